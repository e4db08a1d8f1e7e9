//! No honest node signs two commits with one number of one log: not after a crash, a restore or a lost
//! disk.

use std::collections::BTreeMap;

use super::{EndNode, Invariant, Seen, Verdict};
use crate::kv::Op;
use crate::replica::layout;

#[derive(Debug, Default)]
pub(super) struct Equivocation {
    /// The bytes of every commit that any node ever stored.
    commits: BTreeMap<Vec<u8>, [u8; 32]>,
}

impl Invariant for Equivocation {
    fn name(&self) -> &'static str {
        "no-equivocation"
    }

    fn see(&mut self, _: u64, seen: &Seen<'_>) -> Verdict {
        let Seen::Wrote { ops, .. } = seen else { return Ok(()) };
        for op in *ops {
            let Op::Put(key, value) = op else { continue };
            if key.first() != Some(&layout::COMMIT) {
                continue;
            }
            let hash = *blake3::hash(value.get(8..).unwrap_or_default()).as_bytes();
            if *self.commits.entry(key.clone()).or_insert(hash) != hash {
                let at = layout::commit_in(key, 1).map(|at| at.to_string()).unwrap_or_default();
                return Err(format!("two commits have the place {at}"));
            }
        }
        Ok(())
    }

    fn end(&mut self, _: &[EndNode<'_>]) -> Verdict {
        Ok(())
    }
}
