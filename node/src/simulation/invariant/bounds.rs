//! What a node keeps for its links stays below the stated bounds, and it never calls others in a
//! storm.

use std::collections::VecDeque;

use super::{EndNode, Invariant, Seen, Verdict};
use crate::replica::limits::{FRAME_MAX, NODE_IN_FLIGHT_MAX};

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

    /// Calls of one node in a window. The pauses double from the shortest one, less up to a half, and
    /// begin anew only after a link that lasted a heartbeat: the most that a peer can be called is four
    /// times in 2.9 s, when each link breaks after its first heartbeat.
    fn calls_max(&self) -> usize {
        self.calls.len().saturating_mul(84)
    }

    /// Bytes in the hands of the network: what all links share, and for each a frame that began below it.
    fn in_flight_max(&self) -> u64 {
        (NODE_IN_FLIGHT_MAX + self.calls.len() * FRAME_MAX) as u64
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
            Seen::Sent { in_flight, .. } if *in_flight > self.in_flight_max() => {
                return Err(format!("it has {in_flight} bytes in the hands of the network"));
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
