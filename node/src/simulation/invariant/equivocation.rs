//! No honest node signs two commits with one number of one log, not after a crash, a restore or a lost
//! disk; and none is ever proved to have.

use std::collections::{BTreeMap, BTreeSet};

use crdt_model::id::LogId;

use super::{EndNode, Invariant, Seen, Verdict};
use crate::kv::Op;
use crate::replica::commit::SignedHeader;
use crate::replica::fork::ForkProof;
use crate::replica::layout;
use crate::simulation::liar::INCARNATION;

#[derive(Debug, Default)]
pub(super) struct Equivocation {
    /// The bytes of every commit that any node ever stored.
    commits: BTreeMap<Vec<u8>, [u8; 32]>,
    /// Logs of liars.
    lies: BTreeSet<LogId>,
}

impl Invariant for Equivocation {
    fn name(&self) -> &'static str {
        "no-equivocation"
    }

    fn see(&mut self, _: u64, seen: &Seen<'_>) -> Verdict {
        let Seen::Wrote { ops, .. } = seen else { return Ok(()) };
        for op in *ops {
            let Op::Put(key, value) = op else { continue };
            if key.first() == Some(&layout::FORK) {
                let proof = ForkProof::decode(value).map_err(|error| error.to_string())?;
                if proof.opening.incarnation != INCARNATION {
                    return Err(format!("it takes it for proved that {} forked", proof.author()));
                }
                self.lies.insert(proof.at().log);
            }
        }
        for op in *ops {
            let Op::Put(key, value) = op else { continue };
            if key.first() != Some(&layout::COMMIT) {
                continue;
            }
            let signed = value.get(8..).and_then(|signed| SignedHeader::decode(signed).ok());
            let header = signed.map(|signed| signed.header);
            let opening = header.as_ref().and_then(|header| header.opening);
            if opening.is_some_and(|opening| opening.incarnation == INCARNATION) {
                self.lies.extend(header.as_ref().map(|header| header.log));
            }
            if header.is_some_and(|header| self.lies.contains(&header.log)) {
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
