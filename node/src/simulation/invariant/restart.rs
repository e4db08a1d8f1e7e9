//! The store of a node is sound at the end: signatures, chains and golden records agree with what an
//! audit makes of them.

use super::{EndNode, Invariant, Seen, Verdict};
use crate::replica::verify::verify;

#[derive(Debug)]
pub(super) struct Restart;

impl Invariant for Restart {
    fn name(&self) -> &'static str {
        "sound-store"
    }

    fn see(&mut self, _: u64, _: &Seen<'_>) -> Verdict {
        Ok(())
    }

    fn end(&mut self, nodes: &[EndNode<'_>]) -> Verdict {
        // An audit costs as much as the history did. The first node and the one that started most often
        // have seen what the others have.
        let first = nodes.iter().find(|node| node.is_core);
        let shaken = nodes.iter().filter(|node| node.is_core).max_by_key(|node| node.starts);
        let audited = first.into_iter().chain(shaken.filter(|node| node.starts > 1));
        for node in audited {
            let Some(replica) = node.replica else { continue };
            let findings = verify(replica.history(), node.disk, &mut |_| ());
            let findings = findings.map_err(|error| format!("{}: {error}", node.name))?;
            if let Some(problem) = findings.problems.first() {
                return Err(format!("{}: {problem}", node.name));
            }
            if findings.commits != replica.commits_held() {
                return Err(format!("{}: the vector and the store differ", node.name));
            }
        }
        Ok(())
    }
}
