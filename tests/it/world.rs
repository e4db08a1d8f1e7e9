//! A small world in virtual time: nodes with the pure replica over stores in memory, links with
//! latency, and faults that a seed decides. The same seed gives the same run, action by action.
//!
//! No real clock, socket, disk or thread. What must be true at every step is in [`oracle`], what
//! clients do in [`workload`], what goes wrong in [`faults`].

mod faults;
mod numbers;
mod oracle;
mod workload;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;

use crdt_model::policy::Policy;
use node::clock::Stopwatch;
use node::identity::NodeKey;
use node::kv::Memory;
use node::replica::action::Action;
use node::replica::event::{Answer, Event, LinkId, Ticket};
use node::replica::frame::Frame;
use node::replica::limits::HEARTBEAT_MS;
use node::replica::node_id::NodeId;
use node::replica::roster::{Member, Roster};
use node::replica::verify::verify;
use node::replica::{Config, Replica};

use self::numbers::Numbers;
use self::oracle::Oracle;
pub(crate) use self::workload::every_edit;
use self::workload::{Workload, may_be_refused};
use crate::support::REGIONS;

/// Nodes of a world.
pub(crate) const NODES: usize = 5;
/// When a world begins, in milliseconds since 1970.
const START_MS: u64 = 1_800_000_000_000;
/// How long faults and clients are at work.
const ACTIVE_MS: u64 = 120_000;
/// How long a healed world may take to agree: the longest pause between calls, and the vectors
/// compared again a few times.
const HEAL_MS: u64 = 60_000;
/// How long the silence is listened to.
const SILENT_MS: u64 = 20_000;

/// Something that will happen.
enum Happening {
    /// The deadline of a node, unless it has set another one since.
    Wake { node: usize, alarm: u64 },
    /// A call gets through to the node called; then to the caller.
    Called { caller: usize, called: usize },
    /// One end of a link is up.
    Up { link: LinkId, at: usize },
    /// One end of a link notices that it is gone.
    Down { link: LinkId, at: usize },
    /// A call fails.
    Failed { caller: usize, called: usize },
    /// A frame was handed to the network.
    Sent { link: LinkId, from: usize, bytes: usize },
    /// A frame arrives.
    Arrival { link: LinkId, to: usize, bytes: Vec<u8> },
    /// A client writes.
    Edit,
    /// Something breaks.
    Fault,
    /// A pair of nodes can reach each other again.
    Mended { pair: (usize, usize) },
    /// A node comes back.
    Start { node: usize },
}

struct Node {
    key: NodeKey,
    /// None while it is down.
    replica: Option<Replica>,
    store: Memory,
    /// An earlier state of the store, to be restored.
    backup: Memory,
    connect: Vec<String>,
    starts: u64,
    /// Its clock minus the world's.
    skew_ms: i64,
    /// The store is older than what it had acknowledged: how many commits it must get back.
    behind: Option<u64>,
    alarm: u64,
}

struct Link {
    ends: [usize; 2],
    up: [bool; 2],
    latency_ms: u64,
    /// When the last frame to either end arrives: frames keep their order.
    arrival_ms: [u64; 2],
}

/// Where the time of a run went.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Profile {
    /// Commits applied, on all nodes together.
    pub(crate) applied: u64,
    /// In the replicas.
    pub(crate) replicas: Duration,
    /// In the audits at the end.
    pub(crate) audits: Duration,
    /// Frames sent, heartbeats aside.
    pub(crate) frames: u64,
    /// Commits that arrived.
    pub(crate) received: u64,
}

pub(crate) struct World {
    seed: u64,
    step: u64,
    now_ms: u64,
    random: Numbers,
    nodes: Vec<Node>,
    roster: Roster,
    links: BTreeMap<LinkId, Link>,
    topology: BTreeSet<(usize, usize)>,
    cut: BTreeSet<(usize, usize)>,
    due: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    scheduled: u64,
    last_link: u64,
    workload: Workload,
    oracle: Oracle,
    healing: bool,
    /// What was last said other than a heartbeat, and when.
    last_said: (u64, String),
    recent: VecDeque<String>,
    trace: blake3::Hasher,
    pub(crate) profile: Profile,
}

impl World {
    /// A world whose clients make so many edits.
    pub(crate) fn new(seed: u64, edits: usize) -> Self {
        let mut random = Numbers::new(seed);
        let network = NodeKey::from_seed(&[200; 32]);
        let mut roster = Roster::found("world", &network).unwrap();
        let keys: Vec<NodeKey> =
            (1..=NODES).map(|at| NodeKey::from_seed(&[u8::try_from(at).unwrap(); 32])).collect();
        for (at, key) in keys.iter().enumerate() {
            let member = Member {
                node: key.id(),
                name: name(at),
                region: REGIONS[at].parse().unwrap(),
                addresses: vec![format!("{}:7400", name(at))],
            };
            roster.admit(member, &network).unwrap();
        }
        let topology = connected_graph(&mut random);
        let connect = |at: usize| {
            let peers = (0..NODES).filter(|other| topology.contains(&pair(at, *other)));
            peers.map(name).collect()
        };
        let nodes = keys.into_iter().enumerate().map(|(at, key)| Node {
            key,
            replica: None,
            store: Memory::new(),
            backup: Memory::new(),
            connect: connect(at),
            starts: 0,
            skew_ms: 0,
            behind: None,
            alarm: 0,
        });
        let mut world = Self {
            seed,
            step: 0,
            now_ms: START_MS,
            nodes: nodes.collect(),
            random,
            roster,
            links: BTreeMap::new(),
            topology,
            cut: BTreeSet::new(),
            due: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            scheduled: 0,
            last_link: 0,
            workload: Workload::new(edits),
            oracle: Oracle::new(NODES),
            healing: false,
            last_said: (0, String::new()),
            recent: VecDeque::new(),
            trace: blake3::Hasher::new(),
            profile: Profile::default(),
        };
        for node in 0..NODES {
            let delay = world.random.below(3_000);
            world.schedule(delay, Happening::Start { node });
        }
        world.schedule(10, Happening::Edit);
        world.schedule(500, Happening::Fault);
        world
    }

    /// Lets everything happen, heals the world, and checks how it ends. Gives a hash of every action.
    pub(crate) fn run(&mut self) -> String {
        self.run_until(START_MS + ACTIVE_MS);
        self.heal();
        let deadline = self.now_ms + HEAL_MS;
        while !(self.agree() && self.is_linked() && !self.is_link_doomed()) {
            assert!(self.now_ms < deadline, "the healed nodes do not agree after {HEAL_MS} ms");
            self.run_until(self.now_ms + 500);
        }
        // What is under way arrives, and the last heartbeats tell so.
        self.run_until(self.now_ms + 3 * HEARTBEAT_MS);
        let silent_from = self.now_ms;
        self.run_until(self.now_ms + SILENT_MS);
        let (said_ms, said) = &self.last_said;
        assert!(*said_ms < silent_from, "the wire does not fall silent: {said}");
        assert!(self.agree(), "nodes that agreed differ again");
        self.assert_end();
        self.trace.finalize().to_hex().to_string()
    }

    fn run_until(&mut self, until_ms: u64) {
        while let Some(Reverse((at_ms, number))) = self.due.peek().copied() {
            if at_ms > until_ms {
                break;
            }
            self.due.pop();
            self.now_ms = at_ms;
            if let Some(happening) = self.happenings.remove(&number) {
                self.step += 1;
                self.happen(happening);
            }
        }
        self.now_ms = until_ms;
    }

    fn schedule(&mut self, delay_ms: u64, happening: Happening) {
        self.schedule_at(self.now_ms + delay_ms, happening);
    }

    fn schedule_at(&mut self, at_ms: u64, happening: Happening) {
        self.scheduled += 1;
        self.due.push(Reverse((at_ms, self.scheduled)));
        self.happenings.insert(self.scheduled, happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wake { node, alarm } => {
                if self.nodes[node].alarm == alarm {
                    self.event(node, Event::Tick);
                }
            }
            Happening::Called { caller, called } => self.called(caller, called),
            Happening::Up { link, at } => self.up(link, at),
            Happening::Down { link, at } => {
                if self.is_up(link, at) {
                    self.take_down(link, at);
                    self.event(at, Event::LinkDown { link, reason: "lost".to_owned() });
                }
            }
            Happening::Failed { caller, called } => {
                let peer = self.nodes[called].key.id();
                self.event(caller, Event::DialFailed { peer, reason: "no answer".to_owned() });
            }
            Happening::Sent { link, from, bytes } => {
                if self.is_up(link, from) {
                    self.event(from, Event::Sent { link, bytes });
                }
            }
            Happening::Arrival { link, to, bytes } => {
                if self.is_up(link, to) {
                    self.event(to, Event::Frame { link, bytes });
                }
            }
            Happening::Edit => self.edit(),
            Happening::Fault => self.fault(),
            Happening::Mended { pair } => {
                self.cut.remove(&pair);
            }
            Happening::Start { node } => self.start(node),
        }
    }

    /// Hands an event to a node and performs what it asks for; or the node crashes over it.
    fn event(&mut self, at: usize, event: Event) {
        let now_ms = self.now_ms.checked_add_signed(self.nodes[at].skew_ms).unwrap();
        let node = &mut self.nodes[at];
        let Some(replica) = &mut node.replica else { return };
        let before = replica.commits_held();
        let watch = Stopwatch::start();
        let mut actions = replica.handle(now_ms, event, &node.store);
        self.profile.replicas += watch.elapsed();
        self.profile.applied += replica.commits_held() - before;
        let crash = !self.healing && self.random.one_in(1_500);
        if crash {
            // The power fails between two of the actions; what comes after is lost for good.
            let kept = self.random.index(actions.len() + 1);
            actions.truncate(kept);
        }
        let told = actions.iter().any(|action| matches!(action, Action::Persist(_)));
        for action in actions {
            self.perform(at, action);
        }
        if crash {
            self.note(format!("{} crashes", name(at)));
            self.stop(at);
            return;
        }
        self.set_alarm(at);
        if self.nodes[at].replica.as_ref().is_some_and(Replica::is_ready) {
            self.nodes[at].behind = None;
        }
        if told {
            self.check(at);
        }
    }

    fn perform(&mut self, at: usize, action: Action) {
        match action {
            Action::Persist(ops) => {
                self.oracle.persisted(at, &ops);
                self.nodes[at].store.apply(&ops);
            }
            Action::Send { link, frame } => self.send(at, link, frame),
            Action::Dial { peer, .. } => self.dial(at, peer),
            Action::Close { link, reason } => {
                self.note(format!("{} closes {link}: {reason}", name(at)));
                self.take_down(link, at);
                let other = self.other_end(link, at);
                let latency = self.links[&link].latency_ms;
                self.schedule(latency, Happening::Down { link, at: other });
            }
            Action::Reply { answer, .. } => self.answered(at, answer),
            Action::Admit(_) => {}
            Action::Alarm(text) => panic!("{} raises an alarm: {text}", name(at)),
        }
    }

    fn answered(&mut self, at: usize, answer: Answer) {
        let Answer::Write(outcome) = answer else { return };
        match outcome {
            Ok(receipt) => {
                self.workload.answered(&receipt);
                if let Some(commit) = receipt.commit {
                    self.oracle.promised(at, commit);
                }
            }
            Err(refusal) => {
                assert!(may_be_refused(&refusal), "{}: {refusal}", name(at));
            }
        }
    }

    fn edit(&mut self) {
        if self.healing || self.workload.is_done() {
            return;
        }
        let up = |at: &usize| self.nodes[*at].replica.is_some();
        let at = (0..NODES).filter(up).collect::<Vec<_>>();
        let pause = self.workload.pause_ms(&mut self.random, ACTIVE_MS);
        self.schedule(pause, Happening::Edit);
        if at.is_empty() {
            return;
        }
        let at = self.random.pick(&at);
        let request = self.workload.request(&mut self.random, REGIONS[at]);
        self.event(at, Event::Write { ticket: Ticket(self.step), request });
    }

    fn set_alarm(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Some(replica) = &node.replica else { return };
        let due_ms = replica.next_deadline().checked_add_signed(-node.skew_ms).unwrap_or(0);
        node.alarm = self.scheduled + 1;
        let alarm = node.alarm;
        self.schedule_at(due_ms.max(self.now_ms + 1), Happening::Wake { node: at, alarm });
    }

    fn start(&mut self, at: usize) {
        let skew = 60_000;
        let skew_ms = i64::try_from(self.random.below(2 * skew)).unwrap() - 60_000;
        let nonce = self.random.next();
        let node = &mut self.nodes[at];
        if node.replica.is_some() {
            return;
        }
        node.starts += 1;
        node.skew_ms = skew_ms;
        let config = Config {
            signer: Box::new(node.key.clone()),
            roster: self.roster.clone(),
            nonce,
            connect: node.connect.clone(),
            heartbeat_ms: HEARTBEAT_MS,
            behind: node.behind,
            policy: Policy::built_in(),
        };
        let (replica, ops) = Replica::load(config, &node.store).unwrap();
        self.oracle.persisted(at, &ops);
        node.store.apply(&ops);
        node.replica = Some(replica);
        self.note(format!("{} starts", name(at)));
        self.set_alarm(at);
        self.check(at);
    }

    fn dial(&mut self, caller: usize, peer: NodeId) {
        let called = self.nodes.iter().position(|node| node.key.id() == peer).unwrap();
        if self.cut.contains(&pair(caller, called)) || self.nodes[called].replica.is_none() {
            self.schedule(3_000, Happening::Failed { caller, called });
        } else {
            let latency = 1 + self.random.below(150);
            self.schedule(latency, Happening::Called { caller, called });
        }
    }

    fn called(&mut self, caller: usize, called: usize) {
        let reachable = !self.cut.contains(&pair(caller, called));
        if !reachable || [caller, called].iter().any(|at| self.nodes[*at].replica.is_none()) {
            self.schedule(1_000, Happening::Failed { caller, called });
            return;
        }
        self.last_link += 1;
        let link = LinkId(self.last_link);
        let latency_ms = 1 + self.random.below(200);
        let ends = [caller, called];
        self.links.insert(link, Link { ends, up: [true; 2], latency_ms, arrival_ms: [0; 2] });
        self.schedule(latency_ms, Happening::Up { link, at: caller });
        self.up(link, called);
    }

    fn up(&mut self, link: LinkId, at: usize) {
        if self.is_up(link, at) {
            let peer = self.nodes[self.other_end(link, at)].key.id();
            let dialed = self.links[&link].ends[0] == at;
            self.event(at, Event::LinkUp { link, peer, dialed });
        }
    }

    fn send(&mut self, from: usize, link: LinkId, frame: Vec<u8>) {
        self.trace.update(&frame);
        let said = Frame::decode(&frame).unwrap();
        if !matches!(said, Frame::Heartbeat(_)) {
            self.profile.frames += 1;
            if let Frame::Commits(commits) = &said {
                self.profile.received += commits.len() as u64;
            }
            if self.healing {
                self.last_said = (self.now_ms, format!("{} says {said:?}", name(from)));
            }
        }
        if !self.is_up(link, from) {
            return;
        }
        let to = self.other_end(link, from);
        let jitter = self.random.below(20);
        let end = self.end_of(link, to);
        let Some(wire) = self.links.get_mut(&link) else { return };
        let arrival_ms = (self.now_ms + wire.latency_ms + jitter).max(wire.arrival_ms[end]);
        wire.arrival_ms[end] = arrival_ms;
        self.schedule(1, Happening::Sent { link, from, bytes: frame.len() });
        if !self.cut.contains(&pair(from, to)) {
            self.schedule_at(arrival_ms, Happening::Arrival { link, to, bytes: frame });
        }
    }

    fn end_of(&self, link: LinkId, at: usize) -> usize {
        usize::from(self.links[&link].ends[0] != at)
    }

    fn other_end(&self, link: LinkId, at: usize) -> usize {
        self.links[&link].ends[1 - self.end_of(link, at)]
    }

    fn is_up(&self, link: LinkId, at: usize) -> bool {
        self.links[&link].up[self.end_of(link, at)] && self.nodes[at].replica.is_some()
    }

    fn take_down(&mut self, link: LinkId, at: usize) {
        let end = self.end_of(link, at);
        if let Some(wire) = self.links.get_mut(&link) {
            wire.up[end] = false;
        }
    }

    /// What must be true whenever a node has stored something.
    fn check(&mut self, at: usize) {
        let Some(replica) = &self.nodes[at].replica else { return };
        let history = replica.history();
        let golden = history.state.golden.digest();
        self.oracle.check(at, history.vector.digest(), golden, history.state.quarantined);
    }

    /// All are up and hold and show the same.
    fn agree(&self) -> bool {
        let digests = self.nodes.iter().map(|node| {
            let history = node.replica.as_ref()?.history();
            Some((history.vector.digest(), history.state.golden.digest()))
        });
        let digests: Vec<_> = digests.collect();
        digests.iter().all(|digest| digest.is_some() && *digest == digests[0])
    }

    /// Every link that is wanted is up.
    fn is_linked(&self) -> bool {
        let peers = |node: &Node| {
            let status = node.replica.as_ref().map(|replica| replica.status(self.now_ms));
            status.map_or(0, |status| status.peers.iter().filter(|peer| peer.connected).count())
        };
        self.nodes.iter().map(peers).sum::<usize>() == 2 * self.topology.len()
    }

    /// An end of a link has yet to notice that it is gone.
    fn is_link_doomed(&self) -> bool {
        let mut coming = self.happenings.values();
        coming.any(
            |happening| matches!(happening, Happening::Down { link, at } if self.is_up(*link, *at)),
        )
    }

    fn assert_end(&mut self) {
        assert!(self.workload.is_done(), "clients did not come to do all their work");
        for at in 0..NODES {
            let status = self.nodes[at].replica.as_ref().unwrap().status(self.now_ms);
            assert_eq!(status.alarms, Vec::<String>::new(), "{}", name(at));
            assert_eq!((status.refused, status.quarantined_items), (0, 0), "{}", name(at));
            // What no disk holds any more cannot come back; an operator must accept it.
            let short = self.nodes[at].behind.is_some_and(|behind| status.commits < behind);
            assert!(status.ready || short, "{} is not ready", name(at));
            for peer in status.peers.iter().filter(|peer| peer.connected) {
                assert_eq!((peer.behind, peer.ahead), (0, 0), "{} of {}", name(at), peer.name);
            }
            self.oracle.assert_kept_promises(at, &self.nodes[at].store);
            let node = &self.nodes[at];
            let history = node.replica.as_ref().unwrap().history();
            let watch = Stopwatch::start();
            let findings = verify(history, &node.store, &mut |_| ()).unwrap();
            self.profile.audits += watch.elapsed();
            assert_eq!(findings.problems, Vec::<String>::new(), "{}", name(at));
            assert_eq!(findings.commits, history.vector.commits());
        }
    }

    fn note(&mut self, text: impl std::fmt::Display) {
        self.recent.push_back(format!("{:>7} {text}", self.now_ms - START_MS));
        if self.recent.len() > 30 {
            self.recent.pop_front();
        }
    }

    /// Everything that is needed to look into a failure.
    pub(crate) fn report(&self) -> String {
        let mut report = format!(
            "seed {}, step {}, {} ms\nreplay: SIM_SEED={} cargo test -p node --test it convergence\n",
            self.seed,
            self.step,
            self.now_ms - START_MS,
            self.seed
        );
        for line in &self.recent {
            report.push_str(line);
            report.push('\n');
        }
        report.push_str("node       starts  feed  logs history  golden   shown    peers\n");
        for (at, node) in self.nodes.iter().enumerate() {
            let line = match &node.replica {
                None => format!("{:<10} {:>6} down", name(at), node.starts),
                Some(replica) => {
                    let status = replica.status(self.now_ms);
                    let logs = replica.history().vector.logs().len();
                    let linked = status.peers.iter().filter(|peer| peer.connected);
                    let linked: Vec<String> = linked
                        .map(|peer| format!("{}-{}+{}", peer.name, peer.behind, peer.ahead))
                        .collect();
                    format!(
                        "{:<10} {:>6} {:>5} {logs:>5} {} {} {} {}",
                        name(at),
                        node.starts,
                        status.commits,
                        &status.history_digest[..8],
                        &status.golden_digest[..8],
                        self.oracle.shown_told(at),
                        linked.join(" ")
                    )
                }
            };
            report.push_str(&line);
            report.push('\n');
        }
        report
    }
}

fn name(at: usize) -> String {
    format!("{}-{at}", REGIONS[at].to_lowercase())
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

/// A random tree, and some further edges.
fn connected_graph(random: &mut Numbers) -> BTreeSet<(usize, usize)> {
    let mut edges = BTreeSet::new();
    for node in 1..NODES {
        edges.insert(pair(node, random.index(node)));
    }
    let density = random.below(4);
    for a in 0..NODES {
        for b in a + 1..NODES {
            if random.below(4) < density {
                edges.insert((a, b));
            }
        }
    }
    edges
}
