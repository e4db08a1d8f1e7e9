//! Somebody with the key of a member who sends garbage, and commits that are well signed and break
//! every other rule. Some liars sign two histories and tell each peer one of them.

use crdt_model::id::{LogId, RecordId, SourceName};
use crdt_model::normalize::RULESET;
use crdt_model::time::Hlc;

use super::numbers::Numbers;
use crate::identity::NodeKey;
use crate::kv::View;
use crate::replica::Replica;
use crate::replica::commit::{Commit, Draft, Head, Header, Note, Opening};
use crate::replica::event::Provenance;
use crate::replica::frame::Frame;
use crate::replica::layout;
use crate::replica::records::Records;

/// Commits of one liar, at most: enough to see what they do.
const COMMITS_MAX: usize = 40;
/// The log in which it lies, counted far beyond those of its replica.
pub(super) const INCARNATION: u64 = 1_000_000;
/// After how many commits it parts, if it does.
const COMMON: u64 = 3;

/// A hostile node, on top of the replica that it keeps up as a disguise.
#[derive(Debug)]
pub(super) struct Liar {
    key: NodeKey,
    random: Numbers,
    opening: Opening,
    /// Its histories; the same one twice until it parts.
    branches: [Branch; 2],
    /// Whether it parts.
    parts: bool,
}

/// What it tells some of its peers.
#[derive(Debug, Default, Clone)]
struct Branch {
    last: Option<Head>,
    /// Its commits, said again and again: some of its frames are broken.
    said: Vec<Commit>,
}

impl Liar {
    pub(super) fn new(key: NodeKey, seed: u64) -> Self {
        let opening =
            Opening { node: key.id(), incarnation: INCARNATION, nonce: seed, predecessor: None };
        let mut random = Numbers::new(seed);
        let parts = random.one_in(2);
        Self { key, random, opening, branches: Default::default(), parts }
    }

    /// Breaks some of the frames.
    pub(super) fn garble(&mut self, frame: &mut Vec<u8>) {
        if !self.random.one_in(20) || frame.is_empty() {
            return;
        }
        let at = self.random.index(frame.len());
        match self.random.below(3) {
            0 => frame[at] ^= 1 << self.random.below(8),
            1 => frame.truncate(at),
            _ => frame.extend_from_slice(&[0xFF; 9]),
        }
    }

    /// What it says now to one of two halves of its peers, beside what its replica says.
    pub(super) fn frames(
        &mut self,
        half: usize,
        now_ms: u64,
        replica: &Replica,
        view: &dyn View,
    ) -> Vec<Vec<u8>> {
        if !self.random.one_in(20) {
            return Vec::new();
        }
        let half = half % 2;
        if self.branches[half].said.len() < COMMITS_MAX {
            let last = self.branches[half].last;
            if let Some(commit) = self.commit(last, now_ms, replica, view) {
                self.go_on(half, &commit);
            }
        }
        vec![Frame::Commits(self.branches[half].said.clone()).encode()]
    }

    /// Takes up a commit: in both histories as long as they are one.
    fn go_on(&mut self, half: usize, commit: &Commit) {
        let header = &commit.signed.header;
        let head = Head { log: header.log, seq: header.seq, hash: commit.signed.hash() };
        let is_common = !self.parts || header.seq <= COMMON;
        for (at, branch) in self.branches.iter_mut().enumerate() {
            if at == half || is_common {
                branch.last = Some(head);
                branch.said.push(commit.clone());
            }
        }
    }

    fn commit(
        &mut self,
        last: Option<Head>,
        now_ms: u64,
        replica: &Replica,
        view: &dyn View,
    ) -> Option<Commit> {
        let roster = &replica.history().roster;
        let network = roster.network_id();
        let log: LogId = self.opening.log_id(&network);
        let vector = &replica.history().vector;
        let mut follows: Vec<Head> = vector
            .unfolded()
            .filter_map(|(other, _)| vector.head(other))
            .filter(|head| head.log != log)
            .collect();
        follows.sort();
        let header = Header {
            log,
            seq: last.map_or(0, |last| last.seq) + 1,
            previous: last.map_or([0; 32], |last| last.hash),
            time: Hlc::from_ms(now_ms),
            epoch: roster.height(),
            opening: last.is_none().then_some(self.opening),
            follows,
            provenance: [0; 32],
            items: Vec::new(),
        };
        let source: SourceName = "crm".parse().ok()?;
        let provenance = Provenance { principal: "nobody".to_owned(), ..Provenance::default() };
        let note = Note { source, ruleset: RULESET, provenance };
        let draft = Draft { header, note, items: vec![self.item(view)?] };
        Some(draft.sign(&network, |message| self.key.sign(message)))
    }

    /// A change that somebody else made, as it was or damaged, or plain noise.
    fn item(&mut self, view: &dyn View) -> Option<(RecordId, Vec<u8>)> {
        let commits = view.scan(&[layout::COMMIT], &[], 200).ok()?;
        let (key, _) = self.random.pick(&commits)?;
        let commit = Records::new(view).commit(&layout::commit_in(key, 1)?).ok()??;
        let (record, change) = commit.records().next()?;
        let mut change = change.to_vec();
        match self.random.below(4) {
            0 => {}
            1 => change.truncate(self.random.index(change.len())),
            2 => change = (0..64).map(|_| self.random.next().to_be_bytes()[0]).collect(),
            _ => {
                let at = self.random.index(change.len());
                if let Some(byte) = change.get_mut(at) {
                    *byte ^= 1 << self.random.below(8);
                }
            }
        }
        Some((record, change))
    }
}
