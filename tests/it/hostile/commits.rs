//! Mutated commits with everything repaired: items and note hashed again, the header signed by a valid
//! key of a member. They pass the signature and reach the checks behind it.

use std::cell::Cell;
use std::collections::BTreeMap;

use crdt_model::document::{ClaimEdit, CustomerDocument};
use crdt_model::id::LogId;
use crdt_model::time::Hlc;
use node::replica::commit::{Commit, Draft, Head};
use node::replica::frame::Frame;

use super::changes::customers;
use super::mutator::{leb128, mutated};
use super::scene::{Forger, Scene, block, record, text};
use crate::numbers::Numbers;

/// Examples kept to take parts from.
const CORPUS_MAX: usize = 64;
/// One in so many commits opens a log, so that no author comes near the bound on open logs.
const OPENINGS: u64 = 60;

/// Sends so many mutated commits, and says in `case` how far it is.
pub(crate) fn batch(seed: u64, cases: u64, case: &Cell<u64>) {
    let mut attack = Attack::begin(seed);
    while case.get() < cases {
        attack.step();
        case.set(case.get() + 1);
    }
    let held = attack.scene.replica(0).commits_held();
    assert!(held > cases / 20, "only {held} commits are held");
    attack.end();
}

/// A commit taken apart: what the header says before the hashes, the note and the items.
struct Parts {
    head: Vec<u8>,
    note: Vec<u8>,
    items: Vec<Vec<u8>>,
}

impl Parts {
    fn of(commit: &Commit) -> Self {
        let bytes = commit.signed.encode();
        let (header, rest) = prefixed(&bytes);
        let (note, _) = prefixed(&rest[64..]);
        // The hash of the note, the count and the hashes of the items stand last.
        let tail = 32 + 1 + 32 * commit.items.len();
        let head = header[..header.len() - tail].to_vec();
        Self { head, note: note.to_vec(), items: commit.items.clone() }
    }

    fn signed(&self, forger: &Forger, scene: &Scene) -> Vec<u8> {
        let hash = |bytes: &[u8]| *blake3::hash(bytes).as_bytes();
        let mut header = self.head.clone();
        header.extend(hash(&self.note));
        header.extend(leb128(self.items.len() as u64));
        self.items.iter().for_each(|item| header.extend(hash(item)));
        let network = scene.roster().network_id();
        let message =
            [b"concord commit v1".as_slice(), network.as_bytes(), &hash(&header)].concat();
        // What follows from note and items does not travel.
        let mut bytes = with_length(&self.head);
        bytes.extend(forger.signature(&message));
        bytes.extend(with_length(&self.note));
        bytes.extend(leb128(self.items.len() as u64));
        self.items.iter().for_each(|item| bytes.extend(with_length(item)));
        bytes
    }

    fn mutate(&mut self, corpus: &[Vec<u8>], numbers: &mut Numbers) {
        match numbers.below(4) {
            0 => self.head = mutated(&self.head, corpus, numbers),
            1 => self.note = mutated(&self.note, corpus, numbers),
            _ if self.items.is_empty() => self.items.push(numbers.pick(corpus)),
            _ => {
                let at = numbers.index(self.items.len());
                self.items[at] = mutated(&self.items[at], corpus, numbers);
            }
        }
    }
}

/// A byte string with its length before it, and what is behind it.
fn prefixed(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut length = 0;
    for (at, byte) in bytes.iter().enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return bytes[at + 1..].split_at(length);
        }
    }
    (&[], &[])
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    [&leb128(bytes.len() as u64), bytes].concat()
}

/// A frame with one commit, not compressed.
fn framed(commit: &[u8]) -> Vec<u8> {
    [&[4], &leb128(commit.len() as u64)[..], &[0], commit].concat()
}

struct Attack {
    numbers: Numbers,
    scene: Scene,
    forgers: Vec<Forger>,
    corpus: Vec<Vec<u8>>,
    /// What the first site was told, by forger.
    said: Vec<(usize, Vec<u8>)>,
}

impl Attack {
    fn begin(seed: u64) -> Self {
        let scene = customers(2);
        let forgers = Forger::all(&scene);
        let (numbers, corpus) = (Numbers::new(seed), vec![b"crm".to_vec()]);
        Self { numbers, scene, forgers, corpus, said: Vec::new() }
    }

    /// An honest item of the next commit of a forger.
    fn item(&mut self, who: usize) -> (crdt_model::id::RecordId, Vec<u8>) {
        let number = 100 + self.numbers.below(400);
        let edit = ClaimEdit { key: "name/legal@crm".parse().unwrap(), assertion: text("forged") };
        let next = self.forgers[who].next();
        let change = CustomerDocument::empty().propose(&next, &[edit], None).unwrap();
        (record(number), change.unwrap())
    }

    fn step(&mut self) {
        let who = self.numbers.index(self.forgers.len());
        let forks = self.scene.replica(0).history().vector.forks();
        let is_over = forks.contains_key(&self.forgers[who].log);
        if self.forgers[who].head.is_none() || is_over || self.numbers.one_in(OPENINGS) {
            self.reopen(who);
        }
        let items: BTreeMap<_, _> = (0..self.numbers.below(4)).map(|_| self.item(who)).collect();
        let follows = match self.numbers.below(3) {
            0 => self.scene.heads(0, &self.forgers[who].log),
            _ => Vec::new(),
        };
        let mut draft = self.forgers[who].draft(follows, items.into_iter().collect());
        let frame = if self.numbers.one_in(2) {
            self.twist(&mut draft);
            block(&[self.forgers[who].signed(draft)])
        } else {
            let mut parts = Parts::of(&self.forgers[who].signed(draft));
            self.remember(&parts);
            if !self.numbers.one_in(8) {
                parts.mutate(&self.corpus, &mut self.numbers);
            }
            framed(&parts.signed(&self.forgers[who], &self.scene))
        };
        self.send(who, frame);
    }

    fn remember(&mut self, parts: &Parts) {
        let all = [&parts.head, &parts.note].into_iter().chain(&parts.items);
        for part in all {
            if self.corpus.len() < CORPUS_MAX {
                self.corpus.push(part.clone());
            } else {
                let at = self.numbers.index(CORPUS_MAX);
                self.corpus[at].clone_from(part);
            }
        }
    }

    /// A forger turns to a log that is not open yet, honestly or not.
    fn reopen(&mut self, who: usize) {
        let numbers = &mut self.numbers;
        let forger = &mut self.forgers[who];
        forger.opening.predecessor = match numbers.below(4) {
            0 => None,
            1 => forger.head.map(|head| Head { hash: [7; 32], ..head }),
            2 => self.scene.heads(0, &forger.log).first().copied(),
            _ => forger.head,
        };
        forger.opening.incarnation =
            numbers.pick(&[0, 1, u64::MAX, forger.opening.incarnation.saturating_add(1)]);
        forger.opening.nonce = numbers.next();
        forger.log = forger.opening.log_id(&self.scene.roster().network_id());
        forger.head = None;
    }

    /// A draft that says what an honest one never says.
    fn twist(&mut self, draft: &mut Draft) {
        let numbers = &mut self.numbers;
        let header = &mut draft.header;
        match numbers.below(14) {
            0 => header.time = Hlc::from_ms(0),
            1 => header.time = Hlc::from_ms(u64::MAX),
            2 => header.time = Hlc::from_u64(Hlc::MS_MAX << 16 | 0xffff).unwrap(),
            3 => header.epoch = numbers.below(header.epoch + 3),
            4 => header.epoch = u64::MAX,
            5 => header.seq = numbers.pick(&[header.seq + 1, u64::MAX, header.seq.max(2) - 1]),
            6 => header.previous = [9; 32],
            7 => {
                let log = LogId::from_bytes([numbers.next().to_le_bytes()[0]; 16]);
                header.follows.push(Head { log, seq: u64::MAX, hash: [1; 32] });
                header.follows.sort();
            }
            8 => header.follows.iter_mut().for_each(|head| head.hash[0] ^= 1),
            9 => header.follows.iter_mut().for_each(|head| head.seq = 1),
            10 => draft.note.ruleset = numbers.pick(&[0, u32::MAX]),
            11 => draft.note.provenance.reason = "\u{0}\u{202e}".repeat(numbers.index(300)),
            12 => draft.items.reverse(),
            _ => {
                let (id, change) = (record(numbers.below(12)), vec![0; numbers.index(40)]);
                draft.items = vec![(id, change)];
            }
        }
    }

    fn send(&mut self, who: usize, frame: Vec<u8>) {
        // What decodes is canonical.
        if let Ok(read) = Frame::decode(&frame) {
            assert_eq!(Frame::decode(&read.encode()), Ok(read));
        }
        let link = self.scene.call(&self.forgers[who], 0);
        self.scene.inject(link, 0, frame.clone());
        self.scene.settle();
        self.forgers[who].taken(&self.scene, 0);
        self.said.push((who, frame));
    }

    /// The other site hears the forgers in another order, as often as something is new. Where they
    /// signed two histories it may take the other one first: then the two sites find that out.
    fn replay(&mut self) {
        let mut left = std::mem::take(&mut self.said);
        left.sort_by_key(|(who, _)| std::cmp::Reverse(*who));
        loop {
            let before = left.len();
            let rest = left.into_iter().filter(|(who, frame)| !self.hears(*who, frame));
            left = rest.collect::<Vec<_>>();
            if left.len() == before {
                return;
            }
        }
    }

    /// Whether the other site takes the commit of a frame.
    fn hears(&mut self, who: usize, frame: &[u8]) -> bool {
        let held = self.scene.replica(1).commits_held();
        let link = self.scene.call(&self.forgers[who], 1);
        self.scene.inject(link, 1, frame.to_vec());
        self.scene.settle();
        self.scene.replica(1).commits_held() > held
    }

    fn end(&mut self) {
        self.replay();
        let scene = &mut self.scene;
        let link = scene.meet(0, 1);
        scene.wait(20);
        scene.assert_equal(0, 1);
        scene.cut(link);
        [0, 1].into_iter().for_each(|at| scene.assert_sound(at));
        for number in 0..12 {
            scene.write(1, record(number), &[("name/legal", text("after"))]).unwrap();
        }
        scene.meet(0, 1);
        scene.assert_equal(0, 1);
        scene.restart(0);
        scene.assert_sound(0);
        // A second commit of one number is told; anything else would be a defect of ours.
        for alarm in &scene.alarms {
            assert!(alarm.contains("signed two different histories"), "{alarm}");
        }
    }
}
