//! The driver: the only place that owns a replica and a store.
//!
//! One thread, one inbox. It takes every event that waits, lets the replica handle them one after
//! the other, gives everything they ask to persist to the committer as one batch with one sync, and
//! only when that is done performs the rest of the actions, in order. So a hundred clients share one
//! sync, and nothing leaves the node that a power cut could take back. While a batch is on its way to
//! the disk the next one is handled; the replica sees both, readers neither. When nothing waits it
//! sleeps until the next deadline.

mod committer;
mod inbox;
mod reader;
mod tickets;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crdt_model::policy::Policy;
use tokio::sync::{mpsc, oneshot, watch};

use self::committer::Committer;
use self::inbox::{End, Inbox, Input};
use self::reader::{Queue, Readers};
use self::tickets::{Replications, Tickets};
use crate::clock::Clock;
use crate::handle::{Command, Handle};
use crate::identity::NodeKey;
use crate::kv::{Overlay, Values, ops_of};
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
    let readers =
        Readers::start(&policy_seen).map_err(|error| StartError::System(error.to_string()))?;
    let handle = Handle::new(commands, Arc::<S>::clone(&store), status_seen, policy_seen);
    let was_ready = replica.is_ready();
    let driver = Driver {
        replica,
        store,
        store_id: settings.store,
        watermark,
        marked: None,
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
        open: Batch::default(),
        flying: None,
    };
    let (to_driver, written) = mpsc::channel(1);
    let committer = Committer::start(Arc::clone(&driver.store), to_driver)
        .map_err(|error| StartError::System(error.to_string()))?;
    let inbox = Inbox {
        transport: Queue::new(transport_inbox, readers),
        commands: command_inbox,
        written,
        stopped,
        commands_first: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| StartError::System(error.to_string()))?;
    let thread = std::thread::Builder::new()
        .name("driver".to_owned())
        .spawn(move || driver.run(inbox, committer, &runtime, failed))
        .map_err(|error| StartError::System(error.to_string()))?;
    Ok(Running { handle, local_addr, stop, ended, thread })
}

/// Frames that wait, besides those looked at to be read ahead; times the longest frame this bounds the
/// memory for what arrives.
const TRANSPORT_INBOX: usize = 64;
/// Client requests that wait; beyond it clients wait before they are heard.
const COMMAND_INBOX: usize = 1_024;
/// Events taken into one batch.
const BATCH_EVENTS: usize = 256;
/// Store operations after which a batch is closed.
const BATCH_OPS: usize = 1_000;
/// Store operations up to which a batch is worth no other thread.
const SMALL_OPS: usize = 64;
/// How long to sleep while a full batch waits for the one before it: the committer wakes the driver.
const FULL_WAIT: Duration = Duration::from_secs(3_600);
/// How often, at most, a new status is shown.
const STATUS_MS: u64 = 100;

const _: () =
    assert!(RECORD_BYTES_MAX < VALUE_MAX, "the replica asks for nothing that is too long");

struct Driver<S> {
    replica: Replica,
    store: Arc<S>,
    store_id: StoreId,
    watermark: Watermark,
    /// What the watermark says, and since when.
    marked: Option<Mark>,
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
    /// What was handled since the last batch.
    open: Batch,
    /// The batch that the committer writes, and what is true when it has.
    flying: Option<(Batch, After)>,
}

/// What events came to: changes, and actions that wait until they are durable.
#[derive(Default)]
struct Batch {
    values: Values,
    deferred: Vec<Action>,
    events: usize,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.deferred.is_empty()
    }

    fn is_full(&self) -> bool {
        self.events >= BATCH_EVENTS || self.values.len() >= BATCH_OPS
    }
}

/// What is true once a batch is durable, whatever was handled meanwhile.
struct After {
    mark: Mark,
    is_ready: bool,
    policy: Arc<Policy>,
    /// None: it was shown a moment ago.
    status: Option<Status>,
}

/// Why the driver ended.
enum Ended {
    Stopped,
    Store(StoreError),
    /// The committer is gone. Who waits learns it as the driver goes.
    Defect,
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<S: Store> Driver<S> {
    fn run(
        mut self,
        mut inbox: Inbox,
        committer: Committer,
        runtime: &tokio::runtime::Runtime,
        failed: oneshot::Sender<StoreError>,
    ) {
        let Err(ended) = self.run_until_ended(&mut inbox, &committer, runtime);
        let ended = match ended {
            Ended::Stopped => self.finish(&mut inbox, runtime).err().unwrap_or(Ended::Stopped),
            Ended::Store(_) | Ended::Defect => ended,
        };
        // Who still waits is of a batch that failed or was not begun; else all were answered.
        let why = match &ended {
            Ended::Store(error) => {
                self.tickets.fail(error);
                StoreFault::from(error)
            }
            Ended::Stopped | Ended::Defect => StoreFault::stopping(),
        };
        inbox.turn_away(&why);
        runtime.block_on(self.transport.shutdown());
        committer.join();
        inbox.transport.end();
        let outcome = match ended {
            Ended::Stopped => self.store.sync(),
            Ended::Store(error) => Err(error),
            Ended::Defect => return tracing::error!("the node stops by a defect of this release"),
        };
        match outcome {
            Ok(()) => self.mark(self.replica.is_ready(), self.next_mark()),
            Err(error) => {
                tracing::error!(%error, "the node stops");
                drop(failed.send(error));
            }
        }
    }

    fn run_until_ended(
        &mut self,
        inbox: &mut Inbox,
        committer: &Committer,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<Infallible, Ended> {
        loop {
            // What is full and not on its way is launched: only the committer can be waited for.
            let has_room = self.flying.is_none() || !self.open.is_full();
            let wait = self.wait(has_room);
            match runtime.block_on(inbox.next(wait, has_room)) {
                Ok(Input::Written((outcome, _))) => {
                    outcome?;
                    self.land();
                }
                Ok(input) => self.take(input, inbox),
                Err(End::Stop) => return Err(Ended::Stopped),
                Err(End::Defect) => return Err(Ended::Defect),
            }
            self.launch(inbox, committer)?;
            // Peers report what they hold without anything to write here.
            self.replications.answer(&self.replica);
            if self.flying.is_none() {
                self.note_ready();
            }
            self.show_status();
        }
    }

    /// How long to sleep when nothing comes.
    fn wait(&self, has_room: bool) -> Duration {
        if !has_room {
            return FULL_WAIT;
        }
        let mut due = self.replica.next_deadline();
        if self.status_is_old && self.flying.is_none() {
            due = due.min(self.status_at_ms + STATUS_MS);
        }
        Duration::from_millis(due.saturating_sub(self.clock.now_ms()))
    }

    /// Handles an input and what waits behind it, up to a full batch or until the committer is done.
    fn take(&mut self, first: Input, inbox: &mut Inbox) {
        let store = Arc::clone(&self.store);
        // What is on its way to the disk is seen by the replica, and by nobody else.
        let flying = self.flying.take();
        let none = Values::new();
        let under_way = flying.as_ref().map_or(&none, |(batch, _)| &batch.values);
        let below = Overlay::over(&*store, under_way);
        let mut open = std::mem::take(&mut self.open);
        let mut overlay = Overlay::with(&below, std::mem::take(&mut open.values));
        let mut next = Some(first);
        while let Some(input) = next {
            open.events += 1;
            let is_full = open.events >= BATCH_EVENTS || overlay.pending() >= BATCH_OPS;
            next = if is_full || inbox.is_written() { None } else { inbox.waiting() };
            // Under steady load the inbox is never empty; a deadline is met all the same.
            let due = next.is_none() && self.replica.next_deadline() <= self.clock.now_ms();
            for event in self.event(input).into_iter().chain(due.then_some(Event::Tick)) {
                for action in self.replica.handle(self.clock.now_ms(), event, &overlay) {
                    if let Action::Persist(ops) = action {
                        overlay.take(ops);
                    } else {
                        open.deferred.push(action);
                    }
                }
            }
        }
        open.values = overlay.into_values();
        self.open = open;
        self.flying = flying;
    }

    /// Gives what is open to the committer, if it is free. A small batch is written here and now when
    /// nobody waits: that is sooner.
    fn launch(&mut self, inbox: &Inbox, committer: &Committer) -> Result<(), Ended> {
        if self.flying.is_some() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.open);
        if batch.is_empty() {
            return Ok(());
        }
        let is_answer = |action: &Action| matches!(action, Action::Reply { .. });
        // Who was answered must not read a status that does not know of it.
        let after = self.after(batch.deferred.iter().any(is_answer));
        let is_small = batch.values.len() <= SMALL_OPS && inbox.is_idle();
        if is_small || batch.values.is_empty() {
            return self.write_here(batch, after);
        }
        if !committer.write(ops_of(batch.values.clone())) {
            return Err(Ended::Defect);
        }
        self.flying = Some((batch, after));
        Ok(())
    }

    /// When the store refuses the batch nothing of it has left the node; it stops, and starts again from
    /// what is durable.
    fn write_here(&mut self, batch: Batch, after: After) -> Result<(), Ended> {
        if !batch.values.is_empty() {
            self.store.apply(&ops_of(batch.values), true)?;
        }
        self.landed(batch.deferred, after);
        Ok(())
    }

    /// The batch of the committer is durable.
    fn land(&mut self) {
        if let Some((batch, after)) = self.flying.take() {
            self.landed(batch.deferred, after);
        }
    }

    /// Makes durable what is under way, and answers.
    fn finish(
        &mut self,
        inbox: &mut Inbox,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<(), Ended> {
        if self.flying.is_some() {
            runtime.block_on(inbox.written.recv()).ok_or(Ended::Defect)?.0?;
            self.land();
        }
        let batch = std::mem::take(&mut self.open);
        let after = self.after(true);
        self.write_here(batch, after)
    }

    /// What is true when everything that is handled by now is durable.
    fn after(&self, is_awaited: bool) -> After {
        let now = self.clock.now_ms();
        let shows = is_awaited || !is_soon(now, self.status_at_ms, STATUS_MS);
        After {
            mark: self.next_mark(),
            is_ready: self.replica.is_ready(),
            policy: Arc::clone(self.replica.history().policy()),
            status: shows.then(|| self.replica.status(now)),
        }
    }

    /// A batch is durable: shows what follows from it, and does what waited for it.
    fn landed(&mut self, deferred: Vec<Action>, after: After) {
        if !Arc::ptr_eq(&self.policy.borrow(), &after.policy) {
            self.policy.send_replace(Arc::clone(&after.policy));
        }
        self.status_is_old = after.status.is_none();
        if let Some(status) = after.status {
            self.status_at_ms = self.clock.now_ms();
            self.status.send_replace(Arc::new(status));
        }
        deferred.into_iter().for_each(|action| self.perform(action));
        let is_due = !is_soon(self.clock.now_ms(), self.marked_ms, MARK_MS);
        if is_due && self.marked != Some(after.mark) {
            self.mark(after.is_ready, after.mark);
        }
    }

    /// Notes at once that the store is whole again: a kill in the next second must not deny it. Called when
    /// nothing is on its way to the disk.
    fn note_ready(&mut self) {
        if self.replica.is_ready() && !self.was_ready {
            self.was_ready = true;
            self.mark(true, self.next_mark());
        }
    }

    fn next_mark(&self) -> Mark {
        Mark {
            store: self.store_id,
            position: self.replica.commits_held(),
            records: Some(self.replica.history().state.records),
        }
    }

    /// Notes outside the store how far it has come, unless something acknowledged is missing.
    fn mark(&mut self, is_ready: bool, mark: Mark) {
        if !is_ready {
            return;
        }
        (self.marked, self.marked_ms) = (Some(mark), self.clock.now_ms());
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
            // The committer's word is no event.
            Input::Written(_) => return None,
            Input::Deadline => Event::Tick,
            Input::Transport(waiting) => waiting.into(),
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

    /// Shows a new status, or notes that one is due: it is dear where there are many peers and logs, and
    /// says nothing of what is not durable.
    fn show_status(&mut self) {
        let now = self.clock.now_ms();
        self.status_is_old = self.flying.is_some() || is_soon(now, self.status_at_ms, STATUS_MS);
        if !self.status_is_old {
            self.status_at_ms = now;
            self.status.send_replace(Arc::new(self.replica.status(now)));
        }
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
