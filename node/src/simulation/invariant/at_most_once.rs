//! A write that a client repeats with the same id, because it got no answer, is done once; and nothing
//! is in the history that no client asked for.

use std::collections::BTreeMap;

use crdt_model::id::{CommitRef, LogId};

use super::{EndNode, Invariant, Seen, Verdict};
use crate::kv::View as _;
use crate::replica::layout;
use crate::replica::records::Records;

#[derive(Debug, Default)]
pub(super) struct AtMostOnce {
    /// What each request was answered with, and by whom.
    answered: BTreeMap<String, (usize, CommitRef)>,
    /// Nodes that lost a disk: what they had answered they cannot know.
    forgetful: Vec<usize>,
}

impl Invariant for AtMostOnce {
    fn name(&self) -> &'static str {
        "at-most-once"
    }

    fn see(&mut self, _: u64, seen: &Seen<'_>) -> Verdict {
        if let Seen::Resumed { node, disk } = seen {
            let knows = |commit: &CommitRef| {
                disk.get(&layout::commit_key(commit)).is_ok_and(|held| held.is_some())
            };
            let mut own = self.answered.values().filter(|(by, _)| by == node);
            if own.any(|(_, commit)| !knows(commit)) && !self.forgetful.contains(node) {
                self.forgetful.push(*node);
            }
        }
        let Seen::Promised { node, receipt, request, .. } = seen else { return Ok(()) };
        let Some(commit) = receipt.commit else { return Ok(()) };
        let request = &request.provenance.request;
        let first = self.answered.entry(request.clone()).or_insert((*node, commit));
        if first.1 != commit && !self.forgetful.contains(node) {
            return Err(format!("request {request} was done as {} and again as {commit}", first.1));
        }
        Ok(())
    }

    fn end(&mut self, nodes: &[EndNode<'_>]) -> Verdict {
        let Some(node) = nodes.iter().find(|node| node.is_core) else { return Ok(()) };
        let records = Records::new(node.disk);
        let mut done: BTreeMap<(LogId, String), CommitRef> = BTreeMap::new();
        for (key, _) in node.disk.scan(&[layout::COMMIT], &[], usize::MAX).unwrap_or_default() {
            let Some(at) = layout::commit_in(&key, 1) else { continue };
            let Ok(Some(commit)) = records.commit(&at) else { continue };
            let request = commit.signed.note.provenance.request;
            if request.is_empty() {
                continue;
            }
            if let Some(first) = done.insert((at.log, request.clone()), at) {
                return Err(format!("request {request} stands in the history as {first} and {at}"));
            }
        }
        Ok(())
    }
}
