//! What a node keeps for its links stays below the stated bounds, and it never calls others in a
//! storm.

use std::collections::VecDeque;

use super::{EndNode, Invariant, Seen, Verdict};
use crate::replica::limits::{BACKOFF_MS_MIN, FRAME_MAX};

/// The time over which calls are counted.
const WINDOW_MS: u64 = 60_000;

#[derive(Debug)]
pub(super) struct Bounds {
    /// When each node called within the window.
    calls: Vec<VecDeque<u64>>,
}

impl Bounds {
    pub(super) fn new(nodes: usize) -> Self {
        Self { calls: vec![VecDeque::new(); nodes] }
    }

    /// Calls of one node in a window: to each peer, doubling pauses from the shortest, from the
    /// beginning each time that a link breaks. Links that break at once are the worst case.
    fn calls_max(&self) -> usize {
        let per_peer = usize::try_from(WINDOW_MS / BACKOFF_MS_MIN).unwrap_or(usize::MAX);
        self.calls.len().saturating_mul(per_peer)
    }
}

impl Invariant for Bounds {
    fn name(&self) -> &'static str {
        "bounds"
    }

    fn see(&mut self, now_ms: u64, seen: &Seen<'_>) -> Verdict {
        match seen {
            Seen::Sent { frame, .. } if frame.len() > FRAME_MAX => {
                return Err(format!("it sent a frame of {} bytes", frame.len()));
            }
            Seen::Called { node } => {
                let most = self.calls_max();
                let calls = &mut self.calls[*node];
                calls.push_back(now_ms);
                while calls.front().is_some_and(|first| first + WINDOW_MS < now_ms) {
                    calls.pop_front();
                }
                if calls.len() > most {
                    return Err(format!("it called {} times in a minute", calls.len()));
                }
            }
            Seen::Wrote { .. }
            | Seen::Shows { .. }
            | Seen::Promised { .. }
            | Seen::Sent { .. }
            | Seen::Resumed { .. }
            | Seen::DiskLost { .. }
            | Seen::Lost { .. }
            | Seen::Alarm { .. }
            | Seen::Hostile { .. } => {}
        }
        Ok(())
    }

    fn end(&mut self, _: &[EndNode<'_>]) -> Verdict {
        Ok(())
    }
}
