//! What must be true, judged without the merge code: from the bytes that nodes store.

use std::collections::{BTreeMap, BTreeSet};

use crdt_model::id::{CommitRef, LogId, RecordId};
use node::kv::{Memory, Op, View};
use node::replica::commit::SignedHeader;
use node::replica::layout;

type Hash = [u8; 32];

/// What one node shows, as a sum over its golden records that changes with any byte of any of them.
#[derive(Default, Clone)]
struct Shown {
    records: BTreeMap<RecordId, u128>,
    sum: u128,
}

pub(super) struct Oracle {
    shown: Vec<Shown>,
    /// What any node that held this history showed: golden digest and sum.
    by_history: BTreeMap<Hash, (Hash, u128)>,
    /// The bytes of every commit that any node ever stored.
    commits: BTreeMap<Vec<u8>, Hash>,
    /// The newest feed entry of each node.
    feed: Vec<u64>,
    /// How far each node holds each log.
    held: Vec<BTreeMap<LogId, u64>>,
    /// Commits that clients were told of.
    promised: BTreeSet<CommitRef>,
}

impl Oracle {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            shown: vec![Shown::default(); nodes],
            by_history: BTreeMap::new(),
            commits: BTreeMap::new(),
            feed: vec![0; nodes],
            held: vec![BTreeMap::new(); nodes],
            promised: BTreeSet::new(),
        }
    }

    /// A node made a batch durable.
    pub(super) fn persisted(&mut self, at: usize, ops: &[Op]) {
        for op in ops {
            match (op.key()[0], op) {
                (layout::GOLDEN, Op::Put(key, value)) => {
                    self.shows(at, layout::record_in(key, 1).unwrap(), Some(value));
                }
                (layout::GOLDEN, Op::Delete(key)) => {
                    self.shows(at, layout::record_in(key, 1).unwrap(), None);
                }
                (layout::COMMIT, Op::Put(key, value)) => self.stored(at, key, &value[8..]),
                (layout::FEED, Op::Put(key, _)) => {
                    let position = layout::number_in(key, 1).unwrap();
                    assert_eq!(position, self.feed[at] + 1, "the feed has a gap or a repeat");
                    self.feed[at] = position;
                }
                _ => {}
            }
        }
    }

    /// A node stored a commit: the same that all others have at this place of the log, right after the
    /// one before it, and after its causes.
    fn stored(&mut self, at: usize, key: &[u8], signed: &[u8]) {
        let hash = *blake3::hash(signed).as_bytes();
        let known = self.commits.entry(key.to_vec()).or_insert(hash);
        assert_eq!(*known, hash, "one place in a log has two commits");
        let header = SignedHeader::decode(signed).unwrap().header;
        let predecessor = header.opening.and_then(|opening| opening.predecessor);
        let held = &mut self.held[at];
        for cause in header.follows.iter().chain(&predecessor) {
            let seq = held.get(&cause.log).copied().unwrap_or(0);
            assert!(seq >= cause.seq, "node {at} stored a commit before its cause");
        }
        let before = held.insert(header.log, header.seq).unwrap_or(0);
        assert_eq!(before + 1, header.seq, "node {at} has a gap in a log");
    }

    fn shows(&mut self, at: usize, record: RecordId, golden: Option<&Vec<u8>>) {
        let shown = &mut self.shown[at];
        let new = golden.map(|bytes| {
            let hash = blake3::hash(&[record.as_bytes().as_slice(), bytes].concat());
            u128::from_be_bytes(hash.as_bytes()[..16].try_into().unwrap())
        });
        let old = match new {
            Some(new) => shown.records.insert(record, new),
            None => shown.records.remove(&record),
        };
        shown.sum = shown.sum.wrapping_add(new.unwrap_or(0)).wrapping_sub(old.unwrap_or(0));
    }

    /// A node goes on over another store than before.
    pub(super) fn restored(&mut self, at: usize, store: &Memory) {
        self.shown[at] = Shown::default();
        for (key, value) in store.scan(&[layout::GOLDEN], &[], usize::MAX).unwrap() {
            self.shows(at, layout::record_in(&key, 1).unwrap(), Some(&value));
        }
        self.held[at].clear();
        for (key, _) in store.scan(&[layout::COMMIT], &[], usize::MAX).unwrap() {
            let commit = layout::commit_in(&key, 1).unwrap();
            self.held[at].insert(commit.log, commit.seq);
        }
        let last = store.last(&[layout::FEED]).unwrap();
        self.feed[at] = last.and_then(|(key, _)| layout::number_in(&key, 1)).unwrap_or(0);
    }

    /// A client was told that its write is durable.
    pub(super) fn promised(&mut self, at: usize, commit: CommitRef) {
        let fresh = self.promised.insert(commit);
        assert!(fresh, "node {at} answers two writes with one commit");
    }

    /// The disk of the only node that held these commits is gone: nobody can keep the promise.
    pub(super) fn lost(&mut self, commit: &CommitRef) {
        self.promised.remove(commit);
    }

    pub(super) fn promises(&self) -> Vec<CommitRef> {
        self.promised.iter().copied().collect()
    }

    /// Nodes that hold the same, now or at any other time, show the same, byte by byte.
    pub(super) fn check(&mut self, at: usize, history: Hash, golden: Hash, quarantined: u64) {
        assert_eq!(quarantined, 0, "node {at} quarantined an honest item");
        let shown = (golden, self.shown[at].sum);
        let known = self.by_history.entry(history).or_insert(shown);
        assert_eq!(
            known.0, shown.0,
            "node {at} holds what another held, with another golden digest"
        );
        assert_eq!(known.1, shown.1, "node {at} shows other bytes than another with its history");
    }

    pub(super) fn assert_kept_promises(&self, at: usize, store: &Memory) {
        for commit in &self.promised {
            let held = store.get(&layout::commit_key(commit)).unwrap();
            assert!(held.is_some(), "node {at} lost commit {commit}, which a client was promised");
        }
    }

    pub(super) fn shown_told(&self, at: usize) -> String {
        format!("{:08x}", self.shown[at].sum >> 96)
    }
}
