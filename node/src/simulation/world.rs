//! A world in virtual time: the real replicas over disks, links and clocks that a plan rules. The same
//! plan gives the same run, action by action.
//!
//! No real clock, socket, disk or thread. What must be true is in [`super::invariant`], what goes
//! wrong in [`faults`], how a run ends in [`end`].

mod end;
mod faults;
mod wire;

use std::collections::{BTreeMap, VecDeque};

use super::agenda::Agenda;
use super::bug::Bugs;
use super::disk::Disk;
use super::invariant::{self, Invariant, Seen};
use super::liar::Liar;
use super::measures::{Measures, SAMPLES};
use super::network::Network;
use super::numbers::Numbers;
use super::outcome::{Moment, Violation};
use super::plan::{Path, Plan, pair};
use super::workload::Workload;
use crate::identity::NodeKey;
use crate::kv::{Memory, Op};
use crate::replica::action::Action;
use crate::replica::event::{Answer, Event, LinkId, Ticket, WriteRequest};
use crate::replica::layout;
use crate::replica::limits::HEARTBEAT_MS;
use crate::replica::roster::{Member, Roster, RosterError};
use crate::replica::vector::Vector;
use crate::replica::{Config, LoadError, Replica};

/// When a world begins, in milliseconds since 1970.
const START_MS: u64 = 1_800_000_000_000;
/// How long an fsync takes, at least and at most.
const SYNC_MS: (u64, u64) = (1, 9);
/// How long a client waits before it asks again.
const PATIENCE_MS: u64 = 1_000;

/// Something that will happen.
enum Happening {
    /// The deadline of a node, unless it has set another one since.
    Wake { node: usize, alarm: u64 },
    /// A call gets through to the node called.
    Called { caller: usize, called: usize },
    /// A call fails.
    Failed { caller: usize, called: usize },
    /// One end of a link is up.
    Up { link: LinkId, at: usize },
    /// One end of a link notices that it is gone.
    Down { link: LinkId, at: usize },
    /// A frame was handed to the network.
    Sent { link: LinkId, from: usize, bytes: usize },
    /// A frame arrives.
    Arrival { link: LinkId, to: usize, frame: Vec<u8> },
    /// An fsync is done.
    Synced { node: usize, start: u64, upto: u64 },
    /// A step of the plan.
    Step(usize),
    /// A client that got no answer asks again.
    Retry { node: usize, request: Box<WriteRequest> },
    /// Ways are open again.
    Unblock { ways: Vec<(usize, usize)> },
    /// Ways have been blocked for as long as a connection survives.
    Idle { way: (usize, usize), since_ms: u64 },
    /// Paths are quick again.
    Quicken { pairs: Vec<(usize, usize)> },
    /// A node that was to crash over a batch crashes without one.
    Doom { node: usize, start: u64, lasts_ms: u64 },
    /// A node comes back.
    Start { node: usize },
    /// A look at who is behind.
    Sample,
}

/// A node of the world.
struct Node {
    key: NodeKey,
    connect: Vec<String>,
    /// None while it is down.
    replica: Option<Replica>,
    disk: Disk,
    /// An earlier state of the disk, to be restored.
    backup: Memory,
    /// What it held when it went down.
    last_held: Option<Vector>,
    starts: u64,
    /// Its clock minus the world's.
    clock_ms: i64,
    /// The store is older than what it had acknowledged: how many commits it must get back.
    behind: Option<u64>,
    alarm: u64,
    syncing: bool,
    /// Crashes over the next batch after so many of its actions, and stays down so long.
    doom: Option<(usize, u64)>,
    upgraded: bool,
    liar: Option<Liar>,
    /// Its key was revoked; it may not know.
    revoked: bool,
    /// Calls that it got within the last minute, and the most in any.
    calls: VecDeque<u64>,
    calls_max: usize,
    /// Writes without an answer.
    asked: BTreeMap<Ticket, WriteRequest>,
    in_flight: u64,
    in_flight_max: u64,
}

/// The world of one run.
pub(super) struct World<'a> {
    plan: &'a Plan,
    bugs: Bugs,
    now_ms: u64,
    agenda: Agenda<Happening>,
    random: Numbers,
    nodes: Vec<Node>,
    roster: Roster,
    network: Network,
    blocked_since: BTreeMap<(usize, usize), u64>,
    workload: Workload,
    invariants: Vec<Box<dyn Invariant>>,
    measures: Measures,
    tickets: u64,
    is_ending: bool,
    violation: Option<Violation>,
    agreed_after_ms: Option<u64>,
    /// When a frame other than a heartbeat was last sent.
    spoke_ms: u64,
    trace: blake3::Hasher,
}

impl<'a> World<'a> {
    /// The world of a plan, all nodes up and nothing written.
    ///
    /// # Errors
    /// [`RosterError`] when the names of nodes do not make a network.
    pub(super) fn new(plan: &'a Plan, bugs: Bugs) -> Result<Self, RosterError> {
        let network = network_key();
        let mut roster = Roster::found("world", &network)?;
        let keys: Vec<NodeKey> = (0..plan.places.len()).map(key).collect();
        for (place, key) in plan.places.iter().zip(&keys) {
            let member = Member {
                node: key.id(),
                name: place.name.clone(),
                region: place.region.clone(),
                addresses: match place.calls_only {
                    true => Vec::new(),
                    false => vec![format!("{}:7400", place.name)],
                },
            };
            roster.admit(member, &network)?;
        }
        let connect = |at: usize| {
            let peers = plan.places[at].connect.iter();
            peers.map(|peer| plan.places[*peer].name.clone()).collect()
        };
        let count = plan.places.len();
        let nodes = keys.into_iter().enumerate().map(|(at, key)| Node::new(key, connect(at)));
        let mut world = Self {
            plan,
            bugs,
            now_ms: 0,
            agenda: Agenda::new(),
            random: Numbers::of_part(plan.seed, 1),
            nodes: nodes.collect(),
            roster,
            network: Network::default(),
            blocked_since: BTreeMap::new(),
            workload: Workload::default(),
            invariants: invariant::all(count),
            measures: Measures::default(),
            tickets: 0,
            is_ending: false,
            violation: None,
            agreed_after_ms: None,
            spoke_ms: 0,
            trace: blake3::Hasher::new(),
        };
        for at in 0..count {
            world.nodes[at].clock_ms =
                i64::try_from(world.random.below(120_000)).unwrap_or(0) - 60_000;
            world.start(at);
        }
        for (number, step) in plan.steps.iter().enumerate() {
            world.agenda.put(step.at_ms, Happening::Step(number));
        }
        world.agenda.put(0, Happening::Sample);
        Ok(world)
    }

    fn run_until(&mut self, until_ms: u64) {
        while self.violation.is_none()
            && let Some((at_ms, happening)) = self.agenda.next_by(until_ms)
        {
            self.now_ms = at_ms;
            self.happen(happening);
        }
        self.now_ms = until_ms.max(self.now_ms);
    }

    fn after(&mut self, delay_ms: u64, happening: Happening) {
        self.agenda.put(self.now_ms + delay_ms, happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wake { node, alarm } if self.nodes[node].alarm == alarm => {
                self.event(node, Event::Tick);
            }
            Happening::Wake { .. } => {}
            Happening::Called { caller, called } => self.called(caller, called),
            Happening::Failed { caller, called } => {
                let peer = self.nodes[called].key.id();
                self.event(caller, Event::DialFailed { peer, reason: "no answer".to_owned() });
            }
            Happening::Up { link, at } => self.up(link, at),
            Happening::Down { link, at } => self.down(link, at, "lost"),
            Happening::Sent { link, from, bytes } => {
                let node = &mut self.nodes[from];
                node.in_flight = node.in_flight.saturating_sub(bytes as u64);
                if self.network.is_up(link, from) {
                    self.event(from, Event::Sent { link, bytes });
                }
            }
            Happening::Arrival { link, to, frame } => self.arrive(link, to, frame),
            Happening::Synced { node, start, upto } => {
                if self.nodes[node].starts == start {
                    self.synced(node, upto);
                }
            }
            Happening::Step(number) => self.step(number),
            Happening::Retry { node, request } => self.ask(node, *request),
            Happening::Unblock { ways } => self.unblock(&ways),
            Happening::Idle { way, since_ms } => self.idle(way, since_ms),
            Happening::Quicken { pairs } => {
                pairs.into_iter().for_each(|(a, b)| self.network.quicken(pair(a, b)));
            }
            Happening::Doom { node, start, lasts_ms } => {
                if self.nodes[node].starts == start && self.nodes[node].doom.take().is_some() {
                    self.crash(node, lasts_ms);
                }
            }
            Happening::Start { node } => self.start(node),
            Happening::Sample => self.sample(),
        }
    }

    /// Shows something to every invariant.
    fn show(&mut self, node: Option<usize>, seen: &Seen<'_>) {
        show(&mut self.invariants, &mut self.violation, (self.now_ms, node), seen, self.plan);
    }

    fn local_ms(&self, at: usize) -> u64 {
        (START_MS + self.now_ms).saturating_add_signed(self.nodes[at].clock_ms)
    }

    /// Hands an event to a node and takes what it asks for; or the node crashes over it.
    fn event(&mut self, at: usize, event: Event) {
        let local_ms = self.local_ms(at);
        let node = &mut self.nodes[at];
        let Some(replica) = &mut node.replica else { return };
        let actions = replica.handle(local_ms, event, &node.disk.view());
        if replica.is_ready() {
            node.behind = None;
        }
        let mut wrote = false;
        for action in actions {
            match action {
                Action::Persist(ops) => {
                    wrote = true;
                    self.wrote(at, ops);
                }
                Action::Send { .. }
                | Action::Dial { .. }
                | Action::Close { .. }
                | Action::Reply { .. }
                | Action::Admit(_)
                | Action::Alarm(_) => self.nodes[at].disk.wait(action),
            }
        }
        if wrote {
            self.showing(at);
        }
        if wrote && let Some((after, lasts_ms)) = self.nodes[at].doom.take() {
            self.crash_over_batch(at, after, lasts_ms);
            return;
        }
        self.perform_ready(at);
        self.sync_later(at);
        self.set_alarm(at);
    }

    fn wrote(&mut self, at: usize, ops: Vec<Op>) {
        for op in &ops {
            self.trace.update(op.key());
            if op.key().first() == Some(&layout::FORK) {
                self.measures.forked();
            }
        }
        self.show(Some(at), &Seen::Wrote { node: at, ops: &ops });
        self.nodes[at].disk.write(ops);
    }

    fn showing(&mut self, at: usize) {
        let Some(replica) = &self.nodes[at].replica else { return };
        let held = replica.history();
        let state = &held.state;
        // The roster says whose commits count: it is part of what is held.
        let history = [held.vector.digest(), held.roster.digest()].concat();
        let (history, golden) = (*blake3::hash(&history).as_bytes(), state.golden.digest());
        let quarantined = state.quarantined;
        self.show(Some(at), &Seen::Shows { node: at, history, golden, quarantined });
    }

    /// Begins an fsync when something is not durable and none is under way.
    fn sync_later(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if node.syncing || !node.disk.is_dirty() {
            return;
        }
        node.syncing = true;
        let (start, upto) = (node.starts, node.disk.batches());
        let delay_ms = self.random.within(SYNC_MS.0, SYNC_MS.1);
        self.after(delay_ms, Happening::Synced { node: at, start, upto });
    }

    fn synced(&mut self, at: usize, upto: u64) {
        let node = &mut self.nodes[at];
        node.syncing = false;
        node.disk.sync(upto);
        self.perform_ready(at);
        self.sync_later(at);
        if self.measures.is_waiting() {
            self.compare();
        }
    }

    /// Performs the actions that wait for nothing that is not durable.
    fn perform_ready(&mut self, at: usize) {
        let early = self.bugs.sends_before_it_persists;
        while self.violation.is_none()
            && let Some(action) = self.nodes[at].disk.next_ready(early)
        {
            self.perform(at, action);
        }
    }

    fn perform(&mut self, at: usize, action: Action) {
        match action {
            Action::Send { link, frame } => self.send(at, link, frame),
            Action::Dial { peer, .. } => self.dial(at, peer),
            Action::Close { link, .. } => {
                let other = self.network.other_end(link, at);
                self.network.take_down(link, at);
                if let Some(other) = other {
                    let path = self.path(at, other);
                    self.after(path.latency_ms + 1, Happening::Down { link, at: other });
                }
            }
            Action::Reply { ticket, answer } => self.answered(at, ticket, answer),
            Action::Admit(_) | Action::Persist(_) => {}
            Action::Alarm(text) => {
                self.show(Some(at), &Seen::Alarm { text: &text });
                self.tell("alarm", &[at], format!("{} raises an alarm: {text}", self.name(at)));
            }
        }
    }

    /// A client asks a node to write.
    fn ask(&mut self, at: usize, request: WriteRequest) {
        if self.nodes[at].replica.is_none() {
            self.measures.writes.turned_away += 1;
            return;
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.nodes[at].asked.insert(ticket, request.clone());
        self.event(at, Event::Write { ticket, request });
    }

    fn answered(&mut self, at: usize, ticket: Ticket, answer: Answer) {
        let Some(request) = self.nodes[at].asked.remove(&ticket) else { return };
        let Answer::Write(outcome) = answer else { return };
        let Ok(receipt) = outcome else {
            self.measures.writes.refused += 1;
            return;
        };
        self.measures.writes.done += 1;
        self.workload.answered(&receipt);
        // What a revoked node promises the others never see.
        if let Some(commit) = receipt.commit.filter(|_| !self.nodes[at].revoked) {
            self.measures.promised(commit, self.now_ms);
        }
        let disk = &self.nodes[at].disk;
        let seen = Seen::Promised { node: at, receipt: &receipt, request: &request, disk };
        let when = (self.now_ms, Some(at));
        show(&mut self.invariants, &mut self.violation, when, &seen, self.plan);
    }

    fn set_alarm(&mut self, at: usize) {
        let local_ms = self.local_ms(at);
        let node = &mut self.nodes[at];
        let Some(replica) = &node.replica else { return };
        let delay_ms = replica.next_deadline().saturating_sub(local_ms).max(1);
        node.alarm += 1;
        let alarm = node.alarm;
        self.after(delay_ms, Happening::Wake { node: at, alarm });
    }

    fn start(&mut self, at: usize) {
        if self.nodes[at].replica.is_some() {
            return;
        }
        let nonce = if self.bugs.opens_the_same_log_again { 7 } else { self.random.next() };
        let node = &mut self.nodes[at];
        node.starts += 1;
        node.syncing = false;
        let config = Config {
            signer: Box::new(node.key.clone()),
            roster: self.roster.clone(),
            nonce,
            connect: node.connect.clone(),
            heartbeat_ms: HEARTBEAT_MS,
            behind: node.behind,
            policy: self.plan.policy.clone(),
        };
        let loaded = Replica::load(config, node.disk.durable());
        match loaded {
            Ok((replica, ops)) => {
                self.nodes[at].replica = Some(replica);
                self.resumed(at);
                if !ops.is_empty() {
                    self.wrote(at, ops);
                }
                self.showing(at);
                self.sync_later(at);
                self.set_alarm(at);
                if self.nodes[at].starts > 1 {
                    let text = format!("{} is back", self.name(at));
                    self.healed(&text);
                }
            }
            Err(LoadError::Read(error)) => self.fail(at, &error.to_string()),
            Err(LoadError::Roster(error)) => self.fail(at, &error.to_string()),
        }
    }

    /// What is on a disk is where the invariants go on.
    fn resumed(&mut self, at: usize) {
        let disk = self.nodes[at].disk.durable();
        let when = (self.now_ms, Some(at));
        let seen = Seen::Resumed { node: at, disk };
        show(&mut self.invariants, &mut self.violation, when, &seen, self.plan);
    }

    /// Something that no invariant can see was wrong.
    pub(super) fn broke(&mut self, invariant: &str, text: &str) {
        self.violate(invariant, None, text.to_owned());
    }

    fn fail(&mut self, at: usize, error: &str) {
        self.violate("sound-store", Some(at), format!("it does not start: {error}"));
    }

    fn violate(&mut self, invariant: &str, node: Option<usize>, text: String) {
        if self.violation.is_none() {
            self.violation = Some(violation(self.plan, (self.now_ms, node), invariant, text));
        }
    }

    fn path(&self, a: usize, b: usize) -> Path {
        self.network.path(self.plan.path(a, b), pair(a, b))
    }

    fn sample(&mut self) {
        let lag = |node: &Node| match (&node.replica, &node.last_held) {
            (Some(replica), _) => self.measures.lag_ms(self.now_ms, &replica.history().vector),
            (None, Some(held)) => self.measures.lag_ms(self.now_ms, held),
            (None, None) => 0,
        };
        let lags: Vec<u64> = self.nodes.iter().map(lag).collect();
        self.measures.sample(self.now_ms, lags);
        if !self.is_ending {
            self.after((self.plan.lasts_ms / SAMPLES).max(1), Happening::Sample);
        }
    }

    /// Compares what is held with what was written before things were mended, on the nodes that are up
    /// and not cut off from anybody.
    fn compare(&mut self) {
        let cut_off =
            |at: usize| self.blocked_since.keys().any(|(from, to)| *from == at || *to == at);
        // A revoked node gets nothing more.
        let reached =
            self.nodes.iter().enumerate().filter(|(at, node)| !node.revoked && !cut_off(*at));
        let held: Vec<&Vector> = reached
            .filter_map(|(_, node)| Some(&node.replica.as_ref()?.history().vector))
            .collect();
        self.measures.compare(self.now_ms, &held);
    }

    fn name(&self, at: usize) -> &'a str {
        &self.plan.places[at].name
    }

    fn tell(&mut self, what: &str, nodes: &[usize], text: String) {
        self.tell_until(what, nodes, text, None);
    }

    fn tell_until(&mut self, what: &str, nodes: &[usize], text: String, lasts_ms: Option<u64>) {
        self.measures.tell(Moment {
            at_ms: self.now_ms,
            until_ms: lasts_ms.map(|lasts| self.now_ms.saturating_add(lasts)),
            what: what.to_owned(),
            nodes: nodes.to_vec(),
            text,
        });
    }
}

impl Node {
    fn new(key: NodeKey, connect: Vec<String>) -> Self {
        Self {
            key,
            connect,
            replica: None,
            disk: Disk::default(),
            backup: Memory::new(),
            last_held: None,
            starts: 0,
            clock_ms: 0,
            behind: None,
            alarm: 0,
            syncing: false,
            doom: None,
            upgraded: false,
            liar: None,
            revoked: false,
            calls: VecDeque::new(),
            calls_max: 0,
            asked: BTreeMap::new(),
            in_flight: 0,
            in_flight_max: 0,
        }
    }
}

/// The key that signs the roster.
fn network_key() -> NodeKey {
    NodeKey::from_seed(&[200; 32])
}

/// The key of a node. Its bytes are its number, which is no secret.
fn key(at: usize) -> NodeKey {
    let mut seed = [1; 32];
    seed[..8].copy_from_slice(&(at as u64).to_be_bytes());
    NodeKey::from_seed(&seed)
}

fn violation(
    plan: &Plan,
    (at_ms, node): (u64, Option<usize>),
    invariant: &str,
    text: String,
) -> Violation {
    let node = node.map(|at| plan.places[at].name.clone());
    Violation { at_ms, invariant: invariant.to_owned(), node, text, steps: Vec::new() }
}

fn show(
    invariants: &mut [Box<dyn Invariant>],
    found: &mut Option<Violation>,
    when: (u64, Option<usize>),
    seen: &Seen<'_>,
    plan: &Plan,
) {
    for invariant in invariants {
        if let Err(text) = invariant.see(when.0, seen)
            && found.is_none()
        {
            *found = Some(violation(plan, when, invariant.name(), text));
        }
    }
}
