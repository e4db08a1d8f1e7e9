//! A disk in virtual time: what is written is seen at once and durable a little later, in batches that
//! are atomic and keep their order. A power cut takes what was not durable yet.

use std::collections::VecDeque;

use crate::kv::{Memory, Op, Overlay, Values, View};
use crate::replica::action::Action;

/// The store of one node, and the actions that wait until it is durable.
#[derive(Debug, Default)]
pub(super) struct Disk {
    durable: Memory,
    /// Batches that are written and not durable, the oldest first.
    unsynced: VecDeque<Vec<Op>>,
    /// What those batches come to.
    written: Values,
    /// How many batches were ever written, and how many of them are durable.
    batches: u64,
    synced: u64,
    /// Actions and the number of batches that must be durable before them.
    waiting: VecDeque<(u64, Action)>,
}

impl Disk {
    pub(super) fn of(durable: Memory) -> Self {
        Self { durable, ..Self::default() }
    }

    /// Everything that is written, durable or not.
    pub(super) fn view(&self) -> Overlay<'_> {
        Overlay::over(&self.durable, &self.written)
    }

    /// What a power cut leaves.
    pub(super) const fn durable(&self) -> &Memory {
        &self.durable
    }

    /// Whether a key is written and durable.
    pub(super) fn holds(&self, key: &[u8]) -> bool {
        self.durable.get(key).is_ok_and(|value| value.is_some())
    }

    pub(super) fn write(&mut self, ops: Vec<Op>) {
        self.written.extend(ops.iter().cloned().map(Op::into_parts));
        self.unsynced.push_back(ops);
        self.batches += 1;
    }

    /// Puts an action in line behind everything that is written by now.
    pub(super) fn wait(&mut self, action: Action) {
        self.waiting.push_back((self.batches, action));
    }

    /// The next action whose batches are durable; with the bug `early` it does not wait for them.
    pub(super) fn next_ready(&mut self, early: bool) -> Option<Action> {
        let (after, _) = self.waiting.front()?;
        if *after > self.synced && !early {
            return None;
        }
        self.waiting.pop_front().map(|(_, action)| action)
    }

    /// How many batches were written.
    pub(super) const fn batches(&self) -> u64 {
        self.batches
    }

    /// Whether something is not durable yet.
    pub(super) fn is_dirty(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// An fsync that began after so many batches is done. Gives the batches that it made durable.
    pub(super) fn sync(&mut self, upto: u64) -> Vec<Vec<Op>> {
        let mut done = Vec::new();
        while self.synced < upto {
            let Some(ops) = self.unsynced.pop_front() else { break };
            self.durable.apply(&ops);
            self.synced += 1;
            done.push(ops);
        }
        self.written = self.unsynced.iter().flatten().cloned().map(Op::into_parts).collect();
        done
    }

    /// The power fails: what was not durable is gone, and so is everything that waited. Gives the
    /// number of batches lost.
    pub(super) fn crash(&mut self) -> usize {
        let lost = self.unsynced.len();
        let durable = std::mem::take(&mut self.durable);
        *self = Self::of(durable);
        lost
    }
}
