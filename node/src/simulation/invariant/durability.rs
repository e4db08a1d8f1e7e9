//! What a client was promised survives, and nothing leaves a node that a power cut could take back.

use std::collections::BTreeMap;

use crdt_model::id::CommitRef;

use super::{EndNode, Invariant, Seen, Verdict};
use crate::kv::{Memory, View as _};
use crate::replica::commit::Commit;
use crate::replica::frame::Frame;
use crate::replica::layout;

#[derive(Debug, Default)]
pub(super) struct Durability {
    /// Commits that clients were told of, and by whom.
    promised: BTreeMap<CommitRef, usize>,
    hostile: Vec<usize>,
    /// Nodes that lost a disk: what they promised others may have, and not all of the core.
    bereft: Vec<usize>,
}

impl Durability {
    /// A power cut takes nothing that was promised; only the loss of a disk may.
    fn resumed(&self, node: usize, disk: &Memory) -> Verdict {
        let own = self.promised.iter().filter(|(_, by)| **by == node && !self.bereft.contains(by));
        let holds = |commit: &CommitRef| {
            disk.get(&layout::commit_key(commit)).is_ok_and(|held| held.is_some())
        };
        match own.map(|(commit, _)| commit).find(|commit| !holds(commit)) {
            Some(commit) => {
                Err(format!("after a power cut it lacks commit {commit}, which it promised"))
            }
            None => Ok(()),
        }
    }
}

impl Invariant for Durability {
    fn name(&self) -> &'static str {
        "durability"
    }

    fn see(&mut self, _: u64, seen: &Seen<'_>) -> Verdict {
        match seen {
            Seen::Promised { node, receipt, disk, .. } => {
                let Some(commit) = receipt.commit else { return Ok(()) };
                if !disk.holds(&layout::commit_key(&commit)) {
                    return Err(format!("it promised commit {commit} before it was durable"));
                }
                self.promised.insert(commit, *node);
            }
            Seen::Sent { node, frame, disk, .. } if !self.hostile.contains(node) => {
                // Only blocks of commits say what is held; the first byte tells them.
                let Ok(Frame::Commits(commits)) = Frame::decode(frame) else { return Ok(()) };
                // One that a fork made void while it waited for the disk is durable, too: set aside.
                let is_durable = |commit: &&Commit| {
                    let at = commit.signed.header.commit();
                    disk.holds(&layout::commit_key(&at))
                        || disk.holds(&layout::aside_key(&at, &commit.signed.hash()))
                };
                if let Some(loose) = commits.iter().find(|commit| !is_durable(commit)) {
                    let at = loose.signed.header.commit();
                    return Err(format!("it sent commit {at} before it was durable"));
                }
            }
            Seen::Lost { commit } => {
                self.promised.remove(commit);
            }
            Seen::Hostile { node } => self.hostile.push(*node),
            Seen::DiskLost { node } => self.bereft.push(*node),
            Seen::Resumed { node, disk } => return self.resumed(*node, disk),
            Seen::Wrote { .. }
            | Seen::Shows { .. }
            | Seen::Sent { .. }
            | Seen::Called { .. }
            | Seen::Alarm { .. } => {}
        }
        Ok(())
    }

    fn end(&mut self, nodes: &[EndNode<'_>]) -> Verdict {
        for (commit, by) in &self.promised {
            let key = layout::commit_key(commit);
            let holds = |node: &EndNode<'_>| node.disk.get(&key).is_ok_and(|held| held.is_some());
            let core = || nodes.iter().filter(|node| node.is_core);
            let promiser = nodes.get(*by);
            // A node that is not of the core keeps its promise on its own disk; what a lost disk had
            // may be where the core cannot reach.
            let must: Vec<&EndNode<'_>> = if self.bereft.contains(by) {
                if !nodes.iter().any(holds) {
                    return Err(format!("nobody has commit {commit}, which a client was promised"));
                }
                if core().any(holds) { core().collect() } else { Vec::new() }
            } else if promiser.is_some_and(|node| node.is_core) {
                core().collect()
            } else {
                promiser.into_iter().collect()
            };
            if let Some(without) = must.iter().find(|node| !holds(node)) {
                return Err(format!(
                    "{} lost commit {commit}, which a client was promised",
                    without.name
                ));
            }
        }
        Ok(())
    }
}
