//! Clients that wait for an answer: for that of the replica, or for other nodes to hold their write.

use std::collections::BTreeMap;

use crdt_model::id::CommitRef;
use tokio::sync::oneshot;

use super::leaves_as_was;
use crate::replica::Replica;
use crate::replica::event::{
    Answer, RosterOutcome, RosterRefusal, StoreFault, Ticket, WriteOutcome, WriteRefusal,
};
use crate::store::StoreError;

#[derive(Default)]
pub(super) struct Tickets {
    next: u64,
    pub(super) writes: BTreeMap<Ticket, oneshot::Sender<WriteOutcome>>,
    pub(super) rosters: BTreeMap<Ticket, oneshot::Sender<RosterOutcome>>,
}

impl Tickets {
    pub(super) fn draw(&mut self) -> Ticket {
        self.next += 1;
        Ticket(self.next)
    }

    /// Answers a client. One that has gone away misses the answer, not the write.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: Answer) {
        match answer {
            Answer::Write(outcome) => {
                if let Some(reply) = self.writes.remove(&ticket) {
                    drop(reply.send(outcome));
                }
            }
            Answer::Roster(outcome) => {
                if let Some(reply) = self.rosters.remove(&ticket) {
                    drop(reply.send(outcome));
                }
            }
        }
    }

    /// Tells everybody who waits how the store refused the batch of their requests.
    pub(super) fn fail(&mut self, error: &StoreError) {
        let fault = StoreFault::from(error);
        let certain = leaves_as_was(error);
        for reply in std::mem::take(&mut self.writes).into_values() {
            drop(reply.send(Err(match certain {
                true => WriteRefusal::Store(fault.clone()),
                false => WriteRefusal::Uncertain { reason: fault.reason.clone() },
            })));
        }
        for reply in std::mem::take(&mut self.rosters).into_values() {
            drop(reply.send(Err(match certain {
                true => RosterRefusal::Store(fault.clone()),
                false => RosterRefusal::Uncertain { reason: fault.reason.clone() },
            })));
        }
    }
}

/// A client that waits until other nodes hold what this node had written when it asked.
struct Waiting {
    /// The newest commit of this node then; none: it had written nothing.
    commit: Option<CommitRef>,
    sites: usize,
    reply: oneshot::Sender<usize>,
}

/// Clients that wait for other nodes.
#[derive(Default)]
pub(super) struct Replications(Vec<Waiting>);

impl Replications {
    /// Waits until so many other nodes hold durably all that this node has written.
    pub(super) fn wait(&mut self, replica: &Replica, sites: usize, reply: oneshot::Sender<usize>) {
        self.0.push(Waiting { commit: replica.newest_own(), sites, reply });
    }

    /// Answers those whose wish is true now, and forgets those who have gone away.
    pub(super) fn answer(&mut self, replica: &Replica) {
        let is_over = |waiting: &mut Waiting| {
            let holding = waiting.commit.map(|commit| replica.sites_holding(&commit));
            waiting.reply.is_closed() || holding.is_none_or(|holding| holding >= waiting.sites)
        };
        for waiting in self.0.extract_if(.., is_over) {
            let holding = waiting.commit.map(|commit| replica.sites_holding(&commit));
            // Who has gone away misses the answer.
            let _ = waiting.reply.send(holding.unwrap_or(waiting.sites));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::VALUE_MAX;

    #[tokio::test]
    async fn who_waits_when_the_store_fails_is_told_whether_something_may_be_written() {
        let reason = "fsync: input/output error".to_owned();
        let failed = StoreError::Engine { dir: "/data".into(), reason };
        let too_long = StoreError::TooLong { key: vec![1], length: VALUE_MAX + 1 };
        for (error, certain) in [(failed, false), (too_long, true)] {
            let mut tickets = Tickets::default();
            let (reply, write) = oneshot::channel();
            let ticket = tickets.draw();
            tickets.writes.insert(ticket, reply);
            let (reply, roster) = oneshot::channel();
            let ticket = tickets.draw();
            tickets.rosters.insert(ticket, reply);
            tickets.fail(&error);
            let refusal = write.await.unwrap().unwrap_err();
            assert_eq!(matches!(refusal, WriteRefusal::Store(_)), certain, "{refusal:?}");
            assert_eq!(matches!(refusal, WriteRefusal::Uncertain { .. }), !certain, "{refusal:?}");
            let refusal = roster.await.unwrap().unwrap_err();
            assert_eq!(matches!(refusal, RosterRefusal::Store(_)), certain, "{refusal:?}");
            assert_eq!(matches!(refusal, RosterRefusal::Uncertain { .. }), !certain, "{refusal:?}");
        }
    }
}
