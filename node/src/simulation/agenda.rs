//! What will happen, in the order of its time. Things of one time happen in the order in which they
//! were put down.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Things to come and their times, in milliseconds since the beginning.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    due: BinaryHeap<Reverse<(u64, u64)>>,
    things: BTreeMap<u64, T>,
    last: u64,
}

impl<T> Agenda<T> {
    pub(super) const fn new() -> Self {
        Self { due: BinaryHeap::new(), things: BTreeMap::new(), last: 0 }
    }

    pub(super) fn put(&mut self, at_ms: u64, thing: T) {
        self.last += 1;
        self.due.push(Reverse((at_ms, self.last)));
        self.things.insert(self.last, thing);
    }

    /// Takes the next thing that is due by then.
    pub(super) fn next_by(&mut self, until_ms: u64) -> Option<(u64, T)> {
        let Reverse((at_ms, number)) = *self.due.peek()?;
        if at_ms > until_ms {
            return None;
        }
        self.due.pop();
        self.things.remove(&number).map(|thing| (at_ms, thing))
    }
}
