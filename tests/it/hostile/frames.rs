//! Mutated frames: decoded alone, and sent by a member to a live replica in the middle of its work.
//!
//! The member may lie and be hung up on. Nothing false is stored, nothing piles up, and the links of
//! the others keep working.

use std::cell::Cell;
use std::cmp::Ordering;

use node::replica::action::Action;
use node::replica::event::LinkId;
use node::replica::fork::ForkProof;
use node::replica::frame::Frame;
use node::replica::limits::{FRAME_MAX, LINK_IN_FLIGHT_MAX};

use super::mutator::{leb128, mutated};
use super::scene::{Forger, Scene, block, record, text};
use crate::numbers::Numbers;

/// Sites of the scene; the forgers call the first.
const SITES: usize = 3;
/// Frames between two looks at the others.
const PERIOD: u64 = 50;
/// The kind of a block of commits, and of one that is compressed.
const COMMITS: u8 = 4;
const PACKED: u8 = 1;

/// Whatever decodes is a frame: it has one form, which reads back.
pub(crate) fn probe(bytes: &[u8]) {
    if let Ok(frame) = Frame::decode(bytes) {
        assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
    }
}

/// Sends so many mutated frames, and says in `case` how far it is.
pub(crate) fn batch(seed: u64, cases: u64, case: &Cell<u64>) {
    let mut attack = Attack::begin(seed);
    let corpus = attack.corpus();
    while case.get() < cases {
        let bytes = mutant(&corpus, &mut attack.numbers);
        probe(&bytes);
        let who = attack.numbers.index(attack.forgers.len());
        attack.send(who, bytes);
        case.set(case.get() + 1);
        if case.get().is_multiple_of(PERIOD) {
            attack.look();
        }
    }
    attack.look();
    attack.end();
}

/// A mutant of a frame; of every second block what it packs is altered, and packed again.
fn mutant(corpus: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let frame = numbers.pick(corpus);
    match unpacked(&frame) {
        Some(plain) if numbers.one_in(2) => {
            let plain = mutated(&plain, corpus, numbers);
            // Mostly the true length, so that it is read at all.
            let length = match numbers.below(8) {
                0 => plain.len().saturating_sub(1),
                1 => plain.len() + 1,
                _ => plain.len(),
            };
            packed(&plain, length)
        }
        Some(_) | None => mutated(&frame, corpus, numbers),
    }
}

/// What a block packs.
fn unpacked(frame: &[u8]) -> Option<Vec<u8>> {
    let body = frame.strip_prefix(&[COMMITS])?;
    let after = body.iter().position(|byte| byte & 0x80 == 0)? + 1;
    match body.get(after)? {
        1 => zstd::bulk::decompress(&body[after + 1..], FRAME_MAX).ok(),
        _ => Some(body[after + 1..].to_vec()),
    }
}

/// A block that says it has so many bytes.
fn packed(plain: &[u8], length: usize) -> Vec<u8> {
    let packed = zstd::bulk::compress(plain, 3).unwrap();
    [&[COMMITS][..], &leb128(length as u64), &[PACKED], &packed].concat()
}

struct Attack {
    numbers: Numbers,
    scene: Scene,
    forgers: Vec<Forger>,
    honest: [LinkId; 3],
    written: u64,
}

impl Attack {
    fn begin(seed: u64) -> Self {
        let mut scene = Scene::found(SITES);
        for at in 0..SITES {
            scene.write(at, record(at as u64), &[("name/legal", text("A"))]).unwrap();
        }
        let honest = [(0, 1), (0, 2), (1, 2)].map(|(one, other)| scene.meet(one, other));
        scene.wait(2);
        let forgers = Forger::all(&scene);
        Self { numbers: Numbers::new(seed), scene, forgers, honest, written: 0 }
    }

    /// Frames that the sites sent to each other, some of each kind, and an honest commit of a forger.
    fn corpus(&mut self) -> Vec<Vec<u8>> {
        for number in 0..20 {
            let at = usize::try_from(number % 3).unwrap();
            let edits = [("name/legal", text("B")), ("x/terms", text("N30"))];
            self.scene.write(at, record(number), &edits).unwrap();
            self.scene.settle();
        }
        // A new pair of sites tells everything: rosters, vectors, blocks.
        let mut meeting = Scene::found(SITES);
        meeting.write(0, record(1), &[("name/legal", text("C"))]).unwrap();
        meeting.meet(0, 1);
        let mut corpus = [self.scene.heard.as_slice(), &meeting.heard].concat();
        let (from, entries) = self.scene.roster().parts_from(1).remove(0);
        corpus.push(Frame::Roster { from, entries }.encode());
        let forger = &self.forgers[0];
        let follows = self.scene.heads(0, &forger.log);
        let one = forger.signed(forger.draft(follows, Vec::new()));
        let other = forger.signed(forger.draft(Vec::new(), Vec::new()));
        corpus.push(block(std::slice::from_ref(&one)));
        corpus.push(Frame::Branch(vec![one.signed.clone()]).encode());
        let proof = ForkProof::new(forger.opening, one.signed, other.signed);
        corpus.push(Frame::Fork(Box::new(proof)).encode());
        for kind in 1..=9 {
            assert!(corpus.iter().any(|frame| frame[0] == kind), "no frame of kind {kind}");
        }
        corpus
    }

    /// A frame arrives by the link of a forger, or of one who has not said hello.
    fn send(&mut self, who: usize, bytes: Vec<u8>) {
        let link = self.scene.call(&self.forgers[who], 0);
        let before = self.scene.stored(0);
        let actions = self.scene.inject(link, 0, bytes);
        let said: usize = actions
            .iter()
            .map(|action| if let Action::Send { frame, .. } = action { frame.len() } else { 0 })
            .sum();
        let links = SITES + self.forgers.len();
        assert!(said <= links * (LINK_IN_FLIGHT_MAX + FRAME_MAX), "{said} bytes for one frame");
        // Nothing is stored without a word to the driver.
        let persisted = actions.iter().any(|action| matches!(action, Action::Persist(_)));
        assert!(persisted || self.scene.stored(0).cmp(&before) == Ordering::Equal);
        self.scene.settle();
    }

    /// The honest links are up, and a write gets through.
    fn look(&mut self) {
        for link in self.honest {
            assert!(self.scene.is_up(link), "{link} between honest sites is down");
        }
        self.written += 1;
        let (at, name) = (usize::try_from(self.written % 3).unwrap(), self.written.to_string());
        self.scene.write(at, record(7), &[("name/legal", text(&name))]).unwrap();
        // Some were told that others have it already: those wait for a heartbeat.
        self.scene.wait(3);
        for other in 0..SITES {
            let golden = self.scene.records(other).golden(&record(7)).unwrap().unwrap();
            let shown = golden.attributes[&"name/legal".parse().unwrap()][0].value.clone();
            assert_eq!(shown.unwrap().as_text(), Some(name.as_str()), "site {other}");
        }
        self.scene.assert_bounded(0);
    }

    fn end(&mut self) {
        self.scene.wait(4);
        for at in 0..SITES {
            self.scene.assert_sound(at);
            self.scene.assert_equal(0, at);
        }
    }
}
