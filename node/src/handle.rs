//! What HTTP and everything else outside the driver holds: commands in, answers and snapshots out.

use std::sync::Arc;
use std::time::Duration;

use crdt_model::policy::Policy;
use tokio::sync::{mpsc, oneshot, watch};

use crate::kv::View;
use crate::replica::event::{
    RosterOutcome, RosterRefusal, StoreFault, WriteOutcome, WriteRefusal, WriteRequest,
};
use crate::replica::records::Records;
use crate::replica::status::Status;

/// A request on its way to the driver.
#[derive(Debug)]
pub enum Command {
    /// See [`Handle::write`].
    Write(WriteRequest, oneshot::Sender<WriteOutcome>),
    /// See [`Handle::adopt_roster`].
    AdoptRoster(Vec<u8>, oneshot::Sender<RosterOutcome>),
    /// See [`Handle::await_sites`].
    AwaitSites {
        /// How many.
        sites: usize,
        /// Gets how many hold it, once they are enough.
        reply: oneshot::Sender<usize>,
    },
}

/// What a client is told whose request was under way when the driver ended.
const ENDED: &str = "the node ended meanwhile";

/// A cheap handle on a running node. Clones share the node.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    view: Arc<dyn View + Send + Sync>,
    status: watch::Receiver<Arc<Status>>,
    policy: watch::Receiver<Arc<Policy>>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    /// Joins the four ends that the driver gives out.
    #[must_use]
    pub fn new(
        commands: mpsc::Sender<Command>,
        view: Arc<dyn View + Send + Sync>,
        status: watch::Receiver<Arc<Status>>,
        policy: watch::Receiver<Arc<Policy>>,
    ) -> Self {
        Self { commands, view, status, policy }
    }

    /// Writes, and waits until the write is durable.
    ///
    /// # Errors
    /// The [`WriteRefusal`]; nothing of the request was written. When the driver ended with the request
    /// under way its outcome is not known; the refusal says so.
    pub async fn write(&self, request: WriteRequest) -> WriteOutcome {
        let (reply, answer) = oneshot::channel();
        let stopping = || WriteRefusal::Store(StoreFault::stopping());
        self.commands.send(Command::Write(request, reply)).await.map_err(|_| stopping())?;
        let lost = || WriteRefusal::Uncertain { reason: ENDED.to_owned() };
        answer.await.unwrap_or_else(|_| Err(lost()))
    }

    /// Brings roster entries; answers with the height of the roster.
    ///
    /// # Errors
    /// The [`RosterRefusal`]; the roster is as it was, unless the refusal says that this is not known.
    pub async fn adopt_roster(&self, roster: Vec<u8>) -> RosterOutcome {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(Command::AdoptRoster(roster, reply)).await;
        sent.map_err(|_| RosterRefusal::Store(StoreFault::stopping()))?;
        let lost = || RosterRefusal::Uncertain { reason: ENDED.to_owned() };
        answer.await.unwrap_or_else(|_| Err(lost()))
    }

    /// Waits until so many other nodes hold durably everything that this node has written until now, or
    /// until the time is over; gives how many do then.
    pub async fn await_sites(&self, sites: usize, time: Duration) -> usize {
        match tokio::time::timeout(time, self.ask_sites(sites)).await {
            Ok(holding) => holding,
            // As many as there are.
            Err(_) => self.ask_sites(0).await,
        }
    }

    async fn ask_sites(&self, sites: usize) -> usize {
        let (reply, answer) = oneshot::channel();
        // From a node that is stopping nobody learns of any.
        drop(self.commands.send(Command::AwaitSites { sites, reply }).await);
        answer.await.unwrap_or(0)
    }

    /// The newest snapshot of the node's state.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.borrow().clone()
    }

    /// Typed reads of everything durable. Reads block on the disk: call from a blocking thread.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records::new(&*self.view)
    }
}
