//! What must be true whatever breaks, judged without the merge code: from the bytes that nodes store,
//! send and answer. One file for each; the numbers are those of `docs/testing.md`.

mod at_most_once;
mod bounds;
mod causality;
mod convergence;
mod durability;
mod equivocation;
mod feed;
mod isolation;
mod restart;
mod visibility;

use std::collections::BTreeSet;

use crdt_model::id::CommitRef;

use super::disk::Disk;
use crate::kv::{Memory, Op};
use crate::replica::Replica;
use crate::replica::commit::Hash;
use crate::replica::event::{WriteReceipt, WriteRequest};

/// Something that happened, as the invariants see it.
pub(super) enum Seen<'a> {
    /// A node wrote a batch; it is not durable yet.
    Wrote { node: usize, ops: &'a [Op] },
    /// What a node holds and shows, after it has changed.
    Shows { node: usize, history: Hash, golden: Hash, quarantined: u64 },
    /// A client was told that its write is done.
    Promised { node: usize, receipt: &'a WriteReceipt, request: &'a WriteRequest, disk: &'a Disk },
    /// A node let a frame go, and has so many bytes in the hands of the network.
    Sent { node: usize, frame: &'a [u8], in_flight: u64, disk: &'a Disk },
    /// A node calls another.
    Called { node: usize },
    /// A node goes on from what its disk holds, which may be less than it had written.
    Resumed { node: usize, disk: &'a Memory },
    /// The disk of a node is gone; it goes on from a backup.
    DiskLost { node: usize },
    /// The only disk with this commit is gone.
    Lost { commit: CommitRef },
    /// A node raised an alarm.
    Alarm { text: &'a str },
    /// Somebody else has the key of a node from now on.
    Hostile { node: usize },
}

/// A node at the end of a run.
pub(super) struct EndNode<'a> {
    pub(super) name: &'a str,
    pub(super) disk: &'a Memory,
    /// None when it is down.
    pub(super) replica: Option<&'a Replica>,
    pub(super) is_core: bool,
    /// How often it started.
    pub(super) starts: u64,
}

/// What an invariant finds: what is wrong.
pub(super) type Verdict = Result<(), String>;

/// Something that must be true.
pub(super) trait Invariant {
    /// Its name, for people and for the report.
    fn name(&self) -> &'static str;

    /// Looks at something that happened at this time of the world.
    fn see(&mut self, now_ms: u64, seen: &Seen<'_>) -> Verdict;

    /// Looks at the end of a run.
    fn end(&mut self, nodes: &[EndNode<'_>]) -> Verdict;
}

/// All of them, for so many nodes.
pub(super) fn all(nodes: usize) -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(convergence::Convergence::new(nodes)),
        Box::new(durability::Durability::default()),
        Box::new(at_most_once::AtMostOnce::default()),
        Box::new(causality::Causality::new(nodes)),
        Box::new(feed::Feed::new(nodes)),
        Box::new(equivocation::Equivocation::default()),
        Box::new(isolation::Isolation::default()),
        Box::new(restart::Restart),
        Box::new(visibility::Visibility::default()),
        Box::new(bounds::Bounds::new(nodes)),
    ]
}

/// The name of the invariant that the world itself watches: the core agrees in time.
pub(super) const LIVENESS: &str = "liveness";
/// The name of the invariant that no input makes a node panic.
pub(super) const NO_PANIC: &str = "no-panic";

/// Every name, in the order of reports.
pub(super) fn names() -> BTreeSet<&'static str> {
    let own = all(0).iter().map(|invariant| invariant.name()).collect::<Vec<_>>();
    own.into_iter().chain([LIVENESS, NO_PANIC]).collect()
}
