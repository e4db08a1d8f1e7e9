//! The graph of a document's changes: who wrote what after having seen what.
//!
//! Derived from the document at load; it decides nothing itself.

use std::collections::{BTreeMap, BTreeSet};

use automerge::Automerge;

use super::change::{Content, OpId};
use crate::claim::{Clock, Origin};
use crate::id::{CommitRef, LogId, Region};
use crate::time::Hlc;
use crate::version::Version;

/// One change of the graph. Its index is its identity inside one [`History`].
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) hash: [u8; 32],
    pub(super) parents: Vec<usize>,
    pub(super) start: u64,
    pub(super) last: u64,
    pub(super) origin: Origin,
    /// The heads of the version that its author had seen, when that was not everything it follows.
    pub(super) as_of: Option<Vec<usize>>,
    /// How long the change is.
    pub(super) bytes: usize,
}

/// What the graph needs to know of a change.
struct Change<'a> {
    hash: [u8; 32],
    log: LogId,
    dependencies: &'a [[u8; 32]],
    /// The first and the last counter.
    operations: (u64, u64),
    time: i64,
    message: &'a str,
    bytes: usize,
}

/// Every change of a document, each after its parents.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    nodes: Vec<Node>,
    by_hash: BTreeMap<[u8; 32], usize>,
    by_log: BTreeMap<LogId, Vec<usize>>,
}

impl History {
    /// Reads the graph of an Automerge document, whose changes have so many bytes each; the reason when
    /// a change is not one of Concord's.
    pub(super) fn of(document: &Automerge, bytes: &[usize]) -> Result<Self, &'static str> {
        let mut history = Self::default();
        let changes = document.get_changes_meta(&[]);
        if changes.len() != bytes.len() {
            return Err("it has another number of changes than it should");
        }
        for (meta, bytes) in changes.iter().zip(bytes) {
            let log = meta.actor.to_bytes().try_into().map_err(|_| "an actor is not a log")?;
            let dependencies: Vec<[u8; 32]> = meta.deps.iter().map(|hash| hash.0).collect();
            history.add(&Change {
                hash: meta.hash.0,
                log: LogId::from_bytes(log),
                dependencies: &dependencies,
                operations: (meta.start_op, meta.max_op),
                time: meta.timestamp,
                message: meta.message.as_deref().unwrap_or_default(),
                bytes: *bytes,
            })?;
        }
        Ok(history)
    }

    /// Adds a change of so many bytes behind those that it follows; the reason when it is not one of
    /// Concord's.
    pub(super) fn push(
        &mut self,
        change: &Content,
        hash: [u8; 32],
        bytes: usize,
    ) -> Result<(), &'static str> {
        self.add(&Change {
            hash,
            log: change.log,
            dependencies: &change.dependencies,
            operations: (change.start, change.start + change.puts.len() as u64 - 1),
            time: change.time,
            message: &change.message,
            bytes,
        })
    }

    fn add(&mut self, change: &Change<'_>) -> Result<(), &'static str> {
        let parents = change.dependencies.iter().map(|hash| self.find(hash));
        let parents = parents.collect::<Option<_>>().ok_or("a change stands before its cause")?;
        let (origin, as_of) = read_origin(change).ok_or("a change does not name its commit")?;
        let as_of = as_of.map(|version| self.places(&version));
        let as_of = as_of.map(|heads| heads.ok_or("a change was made as of an unknown version"));
        let index = self.nodes.len();
        self.by_hash.insert(change.hash, index);
        self.by_log.entry(change.log).or_default().push(index);
        let (start, last) = change.operations;
        let (hash, bytes, as_of) = (change.hash, change.bytes, as_of.transpose()?);
        self.nodes.push(Node { hash, parents, start, last, origin, as_of, bytes });
        Ok(())
    }

    /// The changes that no other one follows, in the order of their hashes.
    pub(super) fn heads(&self) -> Vec<[u8; 32]> {
        let mut is_head = vec![true; self.nodes.len()];
        for parent in self.nodes.iter().flat_map(|node| &node.parents) {
            is_head[*parent] = false;
        }
        let heads = self.nodes.iter().zip(is_head).filter(|(_, is_head)| *is_head);
        let mut heads: Vec<[u8; 32]> = heads.map(|(node, _)| node.hash).collect();
        heads.sort_unstable();
        heads
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(super) fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    pub(super) fn find(&self, hash: &[u8; 32]) -> Option<usize> {
        self.by_hash.get(hash).copied()
    }

    /// The changes that a version names; `None` when one is not here.
    pub(super) fn places(&self, version: &Version) -> Option<Vec<usize>> {
        version.heads().iter().map(|head| self.find(head)).collect()
    }

    /// The changes of one log, in its order.
    pub(super) fn of_log(&self, log: &LogId) -> &[usize] {
        self.by_log.get(log).map_or(&[], Vec::as_slice)
    }

    /// The change that a commit carries.
    pub(super) fn find_commit(&self, commit: &CommitRef) -> Option<usize> {
        let changes = self.of_log(&commit.log);
        let seq = |index: &usize| self.nodes[*index].origin.commit.seq;
        let place = changes.binary_search_by_key(&commit.seq, seq).ok()?;
        Some(changes[place])
    }

    /// The change that holds an operation.
    pub(super) fn find_operation(&self, id: OpId) -> Option<usize> {
        let changes = self.of_log(&id.log);
        let after = changes.partition_point(|index| self.nodes[*index].start <= id.counter);
        let index = *changes.get(after.checked_sub(1)?)?;
        (id.counter <= self.nodes[index].last).then_some(index)
    }

    /// For every change, whether it is one of `heads` or in the causal past of one.
    pub(super) fn past(&self, heads: &[usize]) -> Vec<bool> {
        let mut past = vec![false; self.nodes.len()];
        for head in heads {
            past[*head] = true;
        }
        // Parents stand before their children, so one pass from the back reaches everything.
        for index in (0..self.nodes.len()).rev() {
            if past[index] {
                for parent in &self.nodes[index].parents {
                    past[*parent] = true;
                }
            }
        }
        past
    }

    /// The clocks of the `wanted` changes: what their authors had seen. Of a change that was made as of
    /// a version that is what the version holds, though the change itself follows more.
    ///
    /// One pass over the graph. A clock that nothing needs any more moves to the child instead of
    /// being copied, so a history without branches costs one step for each change.
    pub(super) fn clocks(&self, wanted: &BTreeSet<usize>) -> BTreeMap<usize, Clock> {
        let mut open = vec![0_usize; self.nodes.len()];
        for parent in self.nodes.iter().flat_map(|node| &node.parents) {
            open[*parent] += 1;
        }
        let as_of = |index: usize| self.nodes[index].as_of.iter().flatten();
        for head in wanted.iter().flat_map(|index| as_of(*index)) {
            open[*head] += 1;
        }
        let mut limited: BTreeMap<usize, Clock> = BTreeMap::new();
        let mut clocks: Vec<Clock> = Vec::with_capacity(self.nodes.len());
        for (index, node) in self.nodes.iter().enumerate() {
            if node.as_of.is_some() && wanted.contains(&index) {
                let seen = limited.entry(index).or_default();
                for head in as_of(index) {
                    open[*head] -= 1;
                    merge(seen, clocks[*head].clone());
                }
            }
            let mut clock = Clock::new();
            for parent in &node.parents {
                open[*parent] -= 1;
                let seen = if open[*parent] == 0 && !wanted.contains(parent) {
                    std::mem::take(&mut clocks[*parent])
                } else {
                    clocks[*parent].clone()
                };
                merge(&mut clock, seen);
            }
            let commit = node.origin.commit;
            let own = clock.entry(commit.log).or_default();
            *own = commit.seq.max(*own);
            clocks.push(clock);
        }
        let mut seen = |index: &usize| {
            limited.remove(index).unwrap_or_else(|| std::mem::take(&mut clocks[*index]))
        };
        wanted.iter().map(|index| (*index, seen(index))).collect()
    }

    /// The changes in a causal order that is the same on every node, however they arrived: among
    /// those whose causes are done, the earliest first.
    pub(super) fn causal_order(&self) -> Vec<usize> {
        let mut waiting: Vec<usize> = self.nodes.iter().map(|node| node.parents.len()).collect();
        let mut children = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            node.parents.iter().for_each(|parent| children[*parent].push(index));
        }
        let rank = |index: usize| {
            let origin = &self.nodes[index].origin;
            (origin.time, origin.commit, index)
        };
        let mut ready: BTreeSet<_> =
            (0..self.nodes.len()).filter(|index| waiting[*index] == 0).map(rank).collect();
        let mut order = Vec::with_capacity(self.nodes.len());
        while let Some((_, _, index)) = ready.pop_first() {
            order.push(index);
            for child in &children[index] {
                waiting[*child] -= 1;
                if waiting[*child] == 0 {
                    ready.insert(rank(*child));
                }
            }
        }
        order
    }
}

fn merge(into: &mut Clock, mut from: Clock) {
    if into.len() < from.len() {
        std::mem::swap(into, &mut from);
    }
    for (log, seq) in from {
        let known = into.entry(log).or_default();
        *known = seq.max(*known);
    }
}

/// The message of a change: its region, the number of its commit and, when it was made as of a version
/// that is not the newest, that version; nothing else.
pub(super) fn message(region: &Region, commit: CommitRef, as_of: Option<&Version>) -> String {
    let as_of = as_of.map(|version| format!(" {version}")).unwrap_or_default();
    format!("{region} {}{as_of}", commit.seq)
}

/// The region that a message names.
pub(super) fn region(message: &str) -> Option<Region> {
    message.split(' ').next()?.parse().ok()
}

/// The version that a message names.
pub(super) fn as_of(message: &str) -> Option<Version> {
    message.splitn(3, ' ').nth(2)?.parse().ok()
}

fn read_origin(change: &Change<'_>) -> Option<(Origin, Option<Version>)> {
    let mut words = change.message.split(' ');
    let (region, seq) = (words.next()?, words.next()?);
    let as_of = words.next().map(|version| version.parse().ok());
    let origin = Origin {
        commit: CommitRef { log: change.log, seq: seq.parse().ok()? },
        time: Hlc::from_u64(u64::try_from(change.time).ok()?)?,
        region: region.parse().ok()?,
    };
    let as_of = match as_of {
        None => None,
        Some(version) => Some(version?),
    };
    (words.next().is_none()).then_some((origin, as_of))
}
