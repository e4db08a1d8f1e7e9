//! The feed of a node has no gap and no repeat, whatever happens to the node.

use super::{EndNode, Invariant, Seen, Verdict};
use crate::kv::{Op, View as _};
use crate::replica::layout;
use crate::replica::records::{Cause, FeedEntry};

#[derive(Debug)]
pub(super) struct Feed {
    /// The newest entry of each node.
    last: Vec<u64>,
}

impl Feed {
    pub(super) fn new(nodes: usize) -> Self {
        Self { last: vec![0; nodes] }
    }
}

impl Invariant for Feed {
    fn name(&self) -> &'static str {
        "feed"
    }

    fn see(&mut self, _: u64, seen: &Seen<'_>) -> Verdict {
        if let Seen::Resumed { node, disk } = seen {
            let last = disk.last(&[layout::FEED]).ok().flatten();
            self.last[*node] = last.and_then(|(key, _)| layout::number_in(&key, 1)).unwrap_or(0);
        }
        let Seen::Wrote { node, ops } = seen else { return Ok(()) };
        for op in *ops {
            let Op::Put(key, value) = op else { continue };
            if key.first() != Some(&layout::FEED) {
                continue;
            }
            let position = layout::number_in(key, 1).unwrap_or(0);
            let entry: Option<FeedEntry> = serde_json::from_slice(value).ok();
            let is_void = entry.is_some_and(|entry| matches!(entry.cause, Cause::Fork(_)));
            if is_void && position <= self.last[*node] {
                // The place of a commit that does not count any more.
                continue;
            }
            if position != self.last[*node] + 1 {
                return Err(format!("feed entry {position} comes after {}", self.last[*node]));
            }
            self.last[*node] = position;
        }
        Ok(())
    }

    fn end(&mut self, _: &[EndNode<'_>]) -> Verdict {
        Ok(())
    }
}
