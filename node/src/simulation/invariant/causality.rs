//! A node stores a commit after everything that it follows, and every log without a gap.

use std::collections::BTreeMap;

use crdt_model::id::LogId;

use super::{EndNode, Invariant, Seen, Verdict};
use crate::kv::{Memory, Op, View as _};
use crate::replica::commit::SignedHeader;
use crate::replica::fork::ForkProof;
use crate::replica::layout;
use crate::replica::records::Records;

#[derive(Debug)]
pub(super) struct Causality {
    /// How far each node holds each log.
    held: Vec<BTreeMap<LogId, u64>>,
    /// From where on each node knows a log to be void: nobody waits for that.
    void: Vec<BTreeMap<LogId, u64>>,
}

impl Causality {
    pub(super) fn new(nodes: usize) -> Self {
        Self { held: vec![BTreeMap::new(); nodes], void: vec![BTreeMap::new(); nodes] }
    }

    fn wrote(&mut self, node: usize, ops: &[Op]) -> Verdict {
        for op in ops {
            let (key, value) = match op {
                Op::Put(key, value) => (key, value),
                Op::Delete(key) => {
                    self.deleted(node, key);
                    continue;
                }
            };
            if key.first() == Some(&layout::FORK) {
                self.ended(node, value)?;
            }
            if key.first() != Some(&layout::COMMIT) {
                continue;
            }
            let signed = value.get(8..).and_then(|signed| SignedHeader::decode(signed).ok());
            let header = signed.ok_or("it stored a commit that cannot be read")?.header;
            let held = &mut self.held[node];
            let predecessor = header.opening.and_then(|opening| opening.predecessor);
            for cause in header.follows.iter().chain(&predecessor) {
                let is_void = self.void[node].get(&cause.log).is_some_and(|end| *end <= cause.seq);
                if !is_void && held.get(&cause.log).copied().unwrap_or(0) < cause.seq {
                    return Err(format!("it stored {} before its cause", header.commit()));
                }
            }
            let before = held.insert(header.log, header.seq).unwrap_or(0);
            if before + 1 != header.seq {
                return Err(format!("it stored {} after number {before}", header.commit()));
            }
        }
        Ok(())
    }

    fn ended(&mut self, node: usize, proof: &[u8]) -> Verdict {
        let proof = ForkProof::decode(proof).map_err(|error| error.to_string())?;
        self.void[node].insert(proof.at().log, proof.at().seq);
        Ok(())
    }

    /// Commits go only where a log has ended, the first of them first.
    fn deleted(&mut self, node: usize, key: &[u8]) {
        let commit = layout::commit_in(key, 1).filter(|_| key.first() == Some(&layout::COMMIT));
        let Some(commit) = commit else { return };
        let held = self.held[node].entry(commit.log).or_default();
        *held = (commit.seq - 1).min(*held);
    }

    fn resumed(&mut self, node: usize, disk: &Memory) {
        let held = &mut self.held[node];
        held.clear();
        for (key, _) in disk.scan(&[layout::COMMIT], &[], usize::MAX).unwrap_or_default() {
            if let Some(commit) = layout::commit_in(&key, 1) {
                let seq = held.entry(commit.log).or_default();
                *seq = commit.seq.max(*seq);
            }
        }
        self.void[node].clear();
        for proof in Records::new(disk).forks().unwrap_or_default() {
            self.void[node].insert(proof.at().log, proof.at().seq);
        }
    }
}

impl Invariant for Causality {
    fn name(&self) -> &'static str {
        "causality"
    }

    fn see(&mut self, _: u64, seen: &Seen<'_>) -> Verdict {
        if let Seen::Resumed { node, disk } = seen {
            self.resumed(*node, disk);
        }
        let Seen::Wrote { node, ops } = seen else { return Ok(()) };
        self.wrote(*node, ops)
    }

    fn end(&mut self, _: &[EndNode<'_>]) -> Verdict {
        Ok(())
    }
}
