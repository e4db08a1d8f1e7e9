//! Equal histories show equal golden records, byte by byte, on any two nodes and at any two times.

use std::collections::BTreeMap;

use crdt_model::id::RecordId;

use super::{EndNode, Invariant, Seen, Verdict};
use crate::kv::{Memory, Op, View as _};
use crate::replica::commit::Hash;
use crate::replica::layout;

/// What one node shows, as a sum over its golden records that changes with any byte of any of them.
#[derive(Debug, Default, Clone)]
struct Shown {
    records: BTreeMap<RecordId, u128>,
    sum: u128,
}

impl Shown {
    fn set(&mut self, record: RecordId, golden: Option<&[u8]>) {
        let old = match golden.map(|bytes| digest(&record, bytes)) {
            Some(new) => {
                self.sum = self.sum.wrapping_add(new);
                self.records.insert(record, new)
            }
            None => self.records.remove(&record),
        };
        self.sum = self.sum.wrapping_sub(old.unwrap_or(0));
    }

    fn of(disk: &Memory) -> Self {
        let mut shown = Self::default();
        for (key, value) in disk.scan(&[layout::GOLDEN], &[], usize::MAX).unwrap_or_default() {
            if let Some(record) = layout::record_in(&key, 1) {
                shown.set(record, Some(&value));
            }
        }
        shown
    }
}

fn digest(record: &RecordId, golden: &[u8]) -> u128 {
    let hash = blake3::hash(&[record.as_bytes().as_slice(), golden].concat());
    hash.as_bytes().iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

#[derive(Debug)]
pub(super) struct Convergence {
    shown: Vec<Shown>,
    /// What any node that held this history showed: golden digest and sum.
    by_history: BTreeMap<Hash, (Hash, u128)>,
}

impl Convergence {
    pub(super) fn new(nodes: usize) -> Self {
        Self { shown: vec![Shown::default(); nodes], by_history: BTreeMap::new() }
    }

    fn wrote(&mut self, node: usize, ops: &[Op]) {
        for op in ops.iter().filter(|op| op.key().first() == Some(&layout::GOLDEN)) {
            let Some(record) = layout::record_in(op.key(), 1) else { continue };
            let golden = match op {
                Op::Put(_, value) => Some(&value[..]),
                Op::Delete(_) => None,
            };
            self.shown[node].set(record, golden);
        }
    }
}

impl Invariant for Convergence {
    fn name(&self) -> &'static str {
        "convergence"
    }

    fn see(&mut self, _: u64, seen: &Seen<'_>) -> Verdict {
        match seen {
            Seen::Wrote { node, ops } => self.wrote(*node, ops),
            Seen::Resumed { node, disk } => self.shown[*node] = Shown::of(disk),
            Seen::Shows { node, history, golden, .. } => {
                let shown = (*golden, self.shown[*node].sum);
                let known = self.by_history.entry(*history).or_insert(shown);
                if known.0 != shown.0 {
                    return Err("it holds what another held, with another golden digest".into());
                }
                if known.1 != shown.1 {
                    return Err("it shows other bytes than another with its history".into());
                }
            }
            Seen::Promised { .. }
            | Seen::Sent { .. }
            | Seen::Called { .. }
            | Seen::DiskLost { .. }
            | Seen::Lost { .. }
            | Seen::Alarm { .. }
            | Seen::Hostile { .. } => {}
        }
        Ok(())
    }

    fn end(&mut self, nodes: &[EndNode<'_>]) -> Verdict {
        let mut core = nodes.iter().filter(|node| node.is_core);
        let Some(first) = core.next() else { return Ok(()) };
        let issues = |node: &EndNode<'_>| {
            node.disk.scan(&[layout::ISSUES], &[], usize::MAX).unwrap_or_default()
        };
        let expected = issues(first);
        match core.find(|node| issues(node) != expected) {
            Some(other) => Err(format!("{} derives other issues than {}", other.name, first.name)),
            None => Ok(()),
        }
    }
}
