//! Whether a commit had seen another one, by what its author declared.
//!
//! A commit names the logs that moved since the author's commit before it, and the first commit of a
//! log names all of them. So an author's declared past is found in its own log alone: the newest
//! note about the other log at or before the commit. Verdicts use this and not what the judging node
//! happens to hold, so that they are alike everywhere.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crdt_model::id::{CommitRef, LogId};

use super::commit::{Head, Header};
use super::layout;
use super::node_id::NodeId;
use super::vector::Vector;
use crate::kv::{Op, ReadError, View};

/// The notes that a commit makes about the logs that it follows.
pub(crate) fn notes(header: &Header) -> impl Iterator<Item = Op> {
    let commit = header.commit();
    header.follows.iter().map(move |head| {
        let key = layout::followed_key(&commit, &head.log);
        Op::Put(key, head.seq.to_be_bytes().to_vec())
    })
}

/// How far an author had seen each log of one node.
type Seen = BTreeMap<LogId, u64>;

/// What the author of one commit had declared to have seen.
pub(crate) struct Past<'a> {
    header: &'a Header,
    vector: &'a Vector,
    view: &'a dyn View,
    /// By node, what [`Self::seen_of`] gave: a commit may ask a thousand times.
    seen: RefCell<BTreeMap<NodeId, Seen>>,
}

impl<'a> Past<'a> {
    pub(crate) fn new(header: &'a Header, vector: &'a Vector, view: &'a dyn View) -> Self {
        Self { header, vector, view, seen: RefCell::default() }
    }

    /// Whether the commit had seen `cause`. A commit has seen itself.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged.
    pub(crate) fn includes(&self, cause: &CommitRef) -> Result<bool, ReadError> {
        if cause.log == self.header.log {
            return Ok(cause.seq <= self.header.seq);
        }
        if self.followed(&cause.log)? >= cause.seq {
            return Ok(true);
        }
        let Some(node) = self.vector.get(&cause.log).map(|held| held.node) else {
            return Ok(false);
        };
        let mut seen = self.seen.borrow_mut();
        let seen = match seen.entry(node) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(self.seen_of(&node)?),
        };
        Ok(seen.get(&cause.log).is_some_and(|seq| *seq >= cause.seq))
    }

    /// How far the author had followed a log.
    fn followed(&self, log: &LogId) -> Result<u64, ReadError> {
        if let Some(head) = self.header.follows.iter().find(|head| head.log == *log) {
            return Ok(head.seq);
        }
        let prefix = layout::followed_prefix(&self.header.log, log);
        let from = layout::followed_key(&self.header.commit(), log);
        let note = self.view.scan(&prefix, &from, 1)?.pop();
        let seq = note.and_then(|(_, value)| layout::number_in(&value, 0));
        Ok(seq.unwrap_or(0))
    }

    /// How far the author had seen every log of a node: what it followed, the logs of its own that
    /// it went on from, and of each the logs before it, up to the ends that the first commits name.
    fn seen_of(&self, node: &NodeId) -> Result<Seen, ReadError> {
        let mut seen = Seen::new();
        let own = self.vector.get(&self.header.log).map(|held| held.predecessor);
        let own = own.or_else(|| self.header.opening.map(|opening| opening.predecessor)).flatten();
        if let Some(end) = own.filter(|end| self.author_of(end) == Some(*node)) {
            self.walk_back(end, &mut seen);
        }
        for (log, held) in self.vector.logs() {
            if held.node != *node || *log == self.header.log {
                continue;
            }
            let seq = self.followed(log)?;
            if seq > 0 {
                self.walk_back(Head { log: *log, seq, hash: held.hash }, &mut seen);
            }
        }
        Ok(seen)
    }

    fn author_of(&self, end: &Head) -> Option<NodeId> {
        self.vector.get(&end.log).map(|held| held.node)
    }

    /// Notes an end and those before it. Where a log was met before, those before it were, too.
    fn walk_back(&self, end: Head, seen: &mut Seen) {
        let mut next = Some(end);
        while let Some(end) = next {
            let before = self.vector.get(&end.log).and_then(|held| held.predecessor);
            next = before.filter(|_| !seen.contains_key(&end.log));
            let known = seen.entry(end.log).or_default();
            *known = end.seq.max(*known);
        }
    }
}
