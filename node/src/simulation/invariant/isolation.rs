//! What honest nodes write is never quarantined and raises no alarm of theirs; what a hostile one
//! writes harms nothing but itself.

use super::{EndNode, Invariant, Seen, Verdict};

#[derive(Debug, Default)]
pub(super) struct Isolation {
    is_hostile: bool,
}

impl Invariant for Isolation {
    fn name(&self) -> &'static str {
        "isolation"
    }

    fn see(&mut self, _: u64, seen: &Seen<'_>) -> Verdict {
        match seen {
            Seen::Hostile { .. } => self.is_hostile = true,
            Seen::Shows { quarantined, .. } if *quarantined > 0 && !self.is_hostile => {
                return Err("it quarantined an item of an honest node".into());
            }
            Seen::Alarm { text, .. } if !self.is_hostile => {
                return Err(format!("it raises an alarm: {text}"));
            }
            Seen::Wrote { .. }
            | Seen::Shows { .. }
            | Seen::Promised { .. }
            | Seen::Sent { .. }
            | Seen::Called { .. }
            | Seen::Resumed { .. }
            | Seen::DiskLost { .. }
            | Seen::Lost { .. }
            | Seen::Alarm { .. } => {}
        }
        Ok(())
    }

    fn end(&mut self, nodes: &[EndNode<'_>]) -> Verdict {
        let core = nodes.iter().filter(|node| node.is_core);
        let core: Vec<_> = core.filter_map(|node| Some((node.name, node.replica?))).collect();
        let sum = |replica: &crate::replica::Replica| replica.history().state.quarantined;
        let Some((first, expected)) = core.first().map(|(name, replica)| (name, sum(replica)))
        else {
            return Ok(());
        };
        match core.iter().find(|(_, replica)| sum(replica) != expected) {
            Some((other, _)) => Err(format!("{other} quarantines other items than {first}")),
            None => Ok(()),
        }
    }
}
