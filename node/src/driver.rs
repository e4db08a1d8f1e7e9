//! The driver: the only place that owns a replica and a store.
//!
//! One thread, one inbox. It takes every event that waits, lets the replica handle them one after
//! the other, writes everything they ask to persist as one batch with one sync, and only then
//! performs the rest of the actions, in order. So a hundred clients share one sync, and nothing
//! leaves the node that a power cut could take back. When nothing waits it sleeps until the next
//! deadline.

mod inbox;
mod tickets;

use std::sync::Arc;
use std::time::Duration;

use crdt_model::policy::Policy;
use tokio::sync::{mpsc, oneshot, watch};

use self::inbox::{Inbox, Input};
use self::tickets::{Replications, Tickets};
use crate::clock::Clock;
use crate::handle::{Command, Handle};
use crate::identity::NodeKey;
use crate::kv::Overlay;
use crate::replica::action::Action;
use crate::replica::event::{Event, StoreFault, StoreFaultKind};
use crate::replica::limits::RECORD_BYTES_MAX;
use crate::replica::roster::Roster;
use crate::replica::status::Status;
use crate::replica::{Config, LoadError, Replica};
use crate::store::{Mark, Store, StoreError, StoreId, VALUE_MAX, Watermark};
use crate::transport::{BindError, Members, Transport, TransportConfig, TransportEvent};

/// What a driver is started with.
#[derive(Debug)]
pub struct Settings {
    /// The node's key.
    pub key: NodeKey,
    /// The roster as the operator brought it.
    pub roster: Roster,
    /// The UDP address to listen on for peers.
    pub listen: std::net::SocketAddr,
    /// Names of the only peers to have links with; empty: every member.
    pub connect: Vec<String>,
    /// How often digests and clocks are told.
    pub heartbeat: Duration,
    /// Limits of the transport.
    pub transport: TransportConfig,
    /// Names the store in the watermark.
    pub store: StoreId,
    /// How many commits had been acknowledged, when the store came back short of them.
    pub behind: Option<u64>,
}

/// Why a node cannot start. What the store holds is as it was.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listen address cannot be used.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The store cannot be read, or the roster does not fit.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The store cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system has no random numbers or no thread left.
    #[error("the system refused: {0}")]
    System(String),
}

/// A running node. Dropping it stops the node without waiting.
#[derive(Debug)]
pub struct Running {
    /// For HTTP and everything else that talks to the node.
    pub handle: Handle,
    /// The address on which peers reach it.
    pub local_addr: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<StoreError>,
    thread: std::thread::JoinHandle<()>,
}

impl Running {
    /// Waits until the node cannot go on, because its store failed. What it had acknowledged is safe.
    pub async fn failed(&mut self) -> String {
        match (&mut self.ended).await {
            Ok(error) => error.to_string(),
            Err(_) => "the driver ended by a defect of this release; report it".to_owned(),
        }
    }

    /// Finishes what is under way, makes it durable, closes the links and the store.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let thread = self.thread;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the driver ended by a defect");
        }
    }
}

/// Starts a node over an open store.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub async fn start<S: Store + 'static>(
    settings: Settings,
    store: S,
    watermark: Watermark,
) -> Result<Running, StartError> {
    let store = Arc::new(store);
    let key = Arc::new(settings.key);
    let clock = Clock::system();
    let nonce = getrandom::u64().map_err(|error| StartError::System(error.to_string()))?;
    let config = Config {
        signer: Box::new(Arc::clone(&key)),
        roster: settings.roster,
        nonce,
        connect: settings.connect,
        heartbeat_ms: u64::try_from(settings.heartbeat.as_millis()).unwrap_or(u64::MAX),
        behind: settings.behind,
        policy: Policy::built_in(),
    };
    let (replica, ops) = Replica::load(config, &*store)?;
    if !ops.is_empty() {
        store.apply(&ops, true)?;
    }
    let (members, members_seen) = watch::channel(Arc::new(replica.members()));
    let (events, transport_inbox) = mpsc::channel(TRANSPORT_INBOX);
    let transport =
        Transport::bind(settings.listen, &key, members_seen, settings.transport, events).await?;
    let local_addr = transport.local_addr();
    let (commands, command_inbox) = mpsc::channel(COMMAND_INBOX);
    let (status, status_seen) = watch::channel(Arc::new(replica.status(clock.now_ms())));
    let (stop, stopped) = oneshot::channel();
    let (failed, ended) = oneshot::channel();
    let (policy, policy_seen) = watch::channel(Arc::clone(replica.history().policy()));
    let handle = Handle::new(commands, Arc::<S>::clone(&store), status_seen, policy_seen);
    let was_ready = replica.is_ready();
    let driver = Driver {
        replica,
        store,
        store_id: settings.store,
        watermark,
        marked_ms: 0,
        was_ready,
        clock,
        transport,
        members,
        status,
        policy,
        status_at_ms: 0,
        status_is_old: false,
        tickets: Tickets::default(),
        replications: Replications::default(),
    };
    let inbox = Inbox {
        transport: transport_inbox,
        commands: command_inbox,
        stopped,
        commands_first: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| StartError::System(error.to_string()))?;
    let thread = std::thread::Builder::new()
        .name("driver".to_owned())
        .spawn(move || driver.run(inbox, &runtime, failed))
        .map_err(|error| StartError::System(error.to_string()))?;
    Ok(Running { handle, local_addr, stop, ended, thread })
}

/// Frames that wait; times the longest frame this bounds the memory for what arrives.
const TRANSPORT_INBOX: usize = 64;
/// Client requests that wait; beyond it clients wait before they are heard.
const COMMAND_INBOX: usize = 1_024;
/// Events taken into one batch.
const BATCH_EVENTS: usize = 256;
/// Store operations after which a batch is closed.
const BATCH_OPS: usize = 1_000;
/// How often, at most, a new status is shown.
const STATUS_MS: u64 = 100;

const _: () =
    assert!(RECORD_BYTES_MAX < VALUE_MAX, "the replica asks for nothing that is too long");

struct Driver<S> {
    replica: Replica,
    store: Arc<S>,
    store_id: StoreId,
    watermark: Watermark,
    marked_ms: u64,
    /// Whether the watermark knows that nothing is missing.
    was_ready: bool,
    clock: Clock,
    transport: Transport,
    members: watch::Sender<Members>,
    status: watch::Sender<Arc<Status>>,
    policy: watch::Sender<Arc<Policy>>,
    status_at_ms: u64,
    /// Whether something happened since the status was shown.
    status_is_old: bool,
    tickets: Tickets,
    replications: Replications,
}

impl<S: Store> Driver<S> {
    fn run(
        mut self,
        mut inbox: Inbox,
        runtime: &tokio::runtime::Runtime,
        failed: oneshot::Sender<StoreError>,
    ) {
        let outcome = self.run_until_stopped(&mut inbox, runtime);
        // Who still waits is of the turn that failed; without a failure every turn answers all.
        if let Err(error) = &outcome {
            self.tickets.fail(error);
        }
        let why = outcome.as_ref().err().map_or_else(StoreFault::stopping, StoreFault::from);
        inbox.turn_away(&why);
        runtime.block_on(self.transport.shutdown());
        match outcome.and_then(|()| self.store.sync()) {
            Ok(()) => self.mark(),
            Err(error) => {
                tracing::error!(%error, "the node stops");
                drop(failed.send(error));
            }
        }
    }

    fn run_until_stopped(
        &mut self,
        inbox: &mut Inbox,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<(), StoreError> {
        loop {
            let mut due = self.replica.next_deadline();
            if self.status_is_old {
                due = due.min(self.status_at_ms + STATUS_MS);
            }
            let wait = due.saturating_sub(self.clock.now_ms());
            let next = runtime.block_on(inbox.next(Duration::from_millis(wait)));
            let Some(first) = next else { return Ok(()) };
            self.turn(first, inbox)?;
            self.show_status();
        }
    }

    /// Handles what waits as one batch.
    fn turn(&mut self, first: Input, inbox: &mut Inbox) -> Result<(), StoreError> {
        let store = Arc::clone(&self.store);
        let mut overlay = Overlay::new(&*store);
        let mut deferred = Vec::new();
        let mut next = Some(first);
        let mut taken = 0;
        while let Some(input) = next {
            taken += 1;
            let full = taken >= BATCH_EVENTS || overlay.pending() >= BATCH_OPS;
            next = if full { None } else { inbox.waiting() };
            // Under steady load the inbox is never empty; a deadline is met all the same.
            let due = next.is_none() && self.replica.next_deadline() <= self.clock.now_ms();
            for event in self.event(input).into_iter().chain(due.then_some(Event::Tick)) {
                for action in self.replica.handle(self.clock.now_ms(), event, &overlay) {
                    if let Action::Persist(ops) = action {
                        overlay.apply(&ops);
                    } else {
                        deferred.push(action);
                    }
                }
            }
        }
        // When the store refuses the batch nothing of the turn has left the node; it stops, and starts
        // again from what is durable.
        let ops = overlay.into_ops();
        if !ops.is_empty() {
            self.store.apply(&ops, true)?;
            if !is_soon(self.clock.now_ms(), self.marked_ms, MARK_MS) {
                self.mark();
            }
        }
        if self.replica.is_ready() && !self.was_ready {
            // From here on the store is whole again; a kill in the next second must not deny it.
            self.was_ready = true;
            self.mark();
        }
        let policy = self.replica.history().policy();
        if !Arc::ptr_eq(&self.policy.borrow(), policy) {
            self.policy.send_replace(Arc::clone(policy));
        }
        if deferred.iter().any(|action| matches!(action, Action::Reply { .. })) {
            // Who was answered must not read a status that does not know of it.
            self.show_status_now();
        }
        deferred.into_iter().for_each(|action| self.perform(action));
        self.replications.answer(&self.replica);
        Ok(())
    }

    /// Notes outside the store how far it has come.
    fn mark(&mut self) {
        if !self.replica.is_ready() {
            return;
        }
        self.marked_ms = self.clock.now_ms();
        let mark = Mark {
            store: self.store_id,
            position: self.replica.commits_held(),
            records: Some(self.replica.history().state.records),
        };
        // After a loss was made good from the peers, the old mark speaks of a store that is no more.
        let behind = self.watermark.check(mark.store, mark.position).is_err();
        let written =
            if behind { self.watermark.replace(mark) } else { self.watermark.record(mark) };
        if let Err(error) = written {
            tracing::warn!(%error, "the watermark could not be written");
        }
    }

    /// What an input means to the replica; nothing when the driver itself sees to it.
    fn event(&mut self, input: Input) -> Option<Event> {
        Some(match input {
            Input::Deadline => Event::Tick,
            Input::Transport(event) => event.into(),
            Input::Command(Command::Write(request, reply)) => {
                let ticket = self.tickets.draw();
                self.tickets.writes.insert(ticket, reply);
                Event::Write { ticket, request }
            }
            Input::Command(Command::AdoptRoster(roster, reply)) => {
                let ticket = self.tickets.draw();
                self.tickets.rosters.insert(ticket, reply);
                Event::AdoptRoster { ticket, roster }
            }
            Input::Command(Command::AwaitSites { sites, reply }) => {
                self.replications.wait(&self.replica, sites, reply);
                return None;
            }
        })
    }

    fn perform(&mut self, action: Action) {
        match action {
            // Merged into the batch of the turn.
            Action::Persist(_) => {}
            Action::Send { link, frame } => {
                if self.transport.send(link, frame).is_err() {
                    tracing::debug!(?link, "a frame was left: its link is gone");
                }
            }
            Action::Dial { peer, addresses } => self.transport.dial(peer, addresses),
            Action::Close { link, reason } => {
                tracing::info!(?link, reason, "closing a link");
                self.transport.close(link, &reason);
            }
            Action::Reply { ticket, answer } => self.tickets.answer(ticket, answer),
            Action::Admit(members) => {
                self.members.send_replace(Arc::new(members));
            }
            Action::Alarm(text) => tracing::error!(alarm = text, "an operator must look at this"),
        }
    }

    /// Shows a new status, or notes that one is due: it is dear where there are many peers and logs.
    fn show_status(&mut self) {
        let now = self.clock.now_ms();
        self.status_is_old = is_soon(now, self.status_at_ms, STATUS_MS);
        if !self.status_is_old {
            self.show_status_now();
        }
    }

    fn show_status_now(&mut self) {
        let now = self.clock.now_ms();
        self.status_at_ms = now;
        self.status_is_old = false;
        self.status.send_replace(Arc::new(self.replica.status(now)));
    }
}

/// Whether less than `pause` has passed since `then`; a clock that was set back counts as time.
const fn is_soon(now: u64, then: u64, pause: u64) -> bool {
    then <= now && now - then < pause
}

/// Whether a store that refused a batch has surely nothing of it. After a failed write or sync nobody
/// knows what is on the disk.
const fn leaves_as_was(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Key { .. }
            | StoreError::Reserved { .. }
            | StoreError::TooLong { .. }
            | StoreError::Stopped { .. }
    )
}

impl From<&StoreError> for StoreFault {
    fn from(error: &StoreError) -> Self {
        let kind = match error {
            StoreError::Full { .. } => StoreFaultKind::Full,
            StoreError::Key { .. }
            | StoreError::Reserved { .. }
            | StoreError::TooLong { .. }
            | StoreError::Damaged { .. }
            | StoreError::Incomplete { .. }
            | StoreError::Denied { .. }
            | StoreError::Engine { .. }
            | StoreError::Unreadable { .. }
            | StoreError::Stopped { .. }
            | StoreError::Exists { .. } => StoreFaultKind::Failed,
        };
        Self { kind, reason: error.to_string() }
    }
}

/// How often, at most, the watermark is written while there is work.
const MARK_MS: u64 = 1_000;

impl From<TransportEvent> for Event {
    fn from(event: TransportEvent) -> Self {
        match event {
            // The hello may leave before the peer has accepted us: half a round trip earlier.
            TransportEvent::LinkSecured { link, peer } => Self::LinkUp { link, peer, dialed: true },
            TransportEvent::LinkUp { link, peer, dialed, .. } => {
                Self::LinkUp { link, peer, dialed }
            }
            TransportEvent::LinkDown { link, reason, .. } => Self::LinkDown { link, reason },
            TransportEvent::Frame { link, bytes, .. } => Self::Frame { link, bytes },
            TransportEvent::Sent { link, bytes } => Self::Sent { link, bytes },
            TransportEvent::DialFailed { peer, reason } => Self::DialFailed { peer, reason },
            TransportEvent::Refused { remote, key, reason } => {
                tracing::warn!(%remote, ?key, reason, "a connection was refused");
                Self::Refused { key, reason: format!("{remote}: {reason}") }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_over_in_time_and_when_the_clock_was_set_back() {
        assert!(is_soon(1_050, 1_000, 100) && is_soon(1_000, 1_000, 100));
        assert!(!is_soon(1_100, 1_000, 100) && !is_soon(999, 1_000, 100));
    }
}
