//! Two or three replicas whose frames are moved by hand. Not a simulator: nothing happens by itself.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crdt_model::document::Author;
use crdt_model::golden_record::GoldenRecord;
use crdt_model::id::{CommitRef, LogId, RecordId, Region, SourceName};
use crdt_model::normalize::RULESET;
use crdt_model::policy::Policy;
use crdt_model::time::Hlc;
use crdt_model::value::{Assertion, Statement, Value};
use ed25519_dalek::{Signer as _, SigningKey};

use crate::kv::Memory;
use crate::replica::action::Action;
use crate::replica::ahead::{Ahead, Ground};
use crate::replica::commit::{Commit, Draft, Head, Header, Note, Opening};
use crate::replica::event::{
    Answer, Event, LinkId, Precondition, Provenance, RecordWrite, Ticket, WriteOutcome,
    WriteRequest,
};
use crate::replica::frame::Frame;
use crate::replica::node_id::NodeId;
use crate::replica::records::Records;
use crate::replica::roster::{Member, Roster, Signer};
use crate::replica::verify::verify;
use crate::replica::{Config, Replica, limits};

/// The time at which every transcript starts.
pub(super) const START_MS: u64 = 1_800_000_000_000;

/// A key made from a number.
#[derive(Clone)]
pub(super) struct Key(SigningKey);

impl Key {
    pub(super) fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }
}

impl Signer for Key {
    fn key(&self) -> NodeId {
        NodeId::from_bytes(self.0.verifying_key().to_bytes())
    }

    fn signature(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// The key of the network.
pub(super) fn network_key() -> Key {
    Key::new(200)
}

pub(super) const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// The keys of the members in ascending order, so that `a` has the lowest.
pub(super) fn member_keys() -> Vec<Key> {
    let mut keys: Vec<Key> = (1..=4).map(Key::new).collect();
    keys.sort_by_key(Key::key);
    keys
}

pub(super) fn member(at: usize) -> Member {
    Member {
        node: member_keys()[at].key(),
        name: NAMES[at].to_owned(),
        region: region(at),
        addresses: vec![format!("{}.example:7400", NAMES[at])],
    }
}

pub(super) fn region(at: usize) -> Region {
    ["EMEA", "APAC", "AMER", "EMEA-2"][at].parse().unwrap()
}

/// The roster of a network with these members.
pub(super) fn roster_of(members: usize) -> Roster {
    let mut roster = Roster::found("test", &network_key()).unwrap();
    for at in 0..members {
        roster.admit(member(at), &network_key()).unwrap();
    }
    roster
}

pub(super) struct Node {
    pub(super) replica: Replica,
    pub(super) store: Memory,
    pub(super) key: Key,
    pub(super) connect: Vec<String>,
    starts: u64,
}

/// Nodes, the links between them and the frames under way.
pub(super) struct Net {
    pub(super) nodes: Vec<Node>,
    pub(super) roster: Roster,
    pub(super) now_ms: u64,
    ends: BTreeMap<LinkId, (usize, usize)>,
    under_way: VecDeque<(LinkId, usize, Vec<u8>)>,
    links: u64,
    /// Bytes sent since the counter was last taken.
    pub(super) bytes: usize,
}

impl Net {
    /// So many members, each with a new store and no link.
    pub(super) fn new(members: usize) -> Self {
        Self::with_roster(roster_of(members), members)
    }

    /// Nodes of a roster that may have more members than there are nodes.
    pub(super) fn with_roster(roster: Roster, nodes: usize) -> Self {
        let mut net = Self {
            nodes: Vec::new(),
            roster,
            now_ms: START_MS,
            ends: BTreeMap::new(),
            under_way: VecDeque::new(),
            links: 0,
            bytes: 0,
        };
        for key in member_keys().into_iter().take(nodes) {
            net.nodes.push(net.started(key, Memory::new(), Vec::new(), 1));
        }
        net
    }

    fn started(&self, key: Key, mut store: Memory, connect: Vec<String>, starts: u64) -> Node {
        let config = Config {
            signer: Box::new(key.clone()),
            roster: self.roster.clone(),
            nonce: starts,
            connect: connect.clone(),
            heartbeat_ms: limits::HEARTBEAT_MS,
            behind: None,
            policy: Policy::built_in(),
        };
        let (replica, ops) = Replica::load(config, &store).unwrap();
        store.apply(&ops);
        Node { replica, store, key, connect, starts }
    }

    /// Stops a node and starts it again over what is durable. Its links go down on both ends.
    pub(super) fn restart(&mut self, at: usize) {
        let store = self.nodes[at].store.clone();
        self.restart_over(at, store);
    }

    /// Starts a node again over another store, as after a restore.
    pub(super) fn restart_over(&mut self, at: usize, store: Memory) {
        let cut: Vec<LinkId> = self.links_of(at);
        cut.into_iter().for_each(|link| self.cut(link));
        let old = &self.nodes[at];
        let (key, connect, starts) = (old.key.clone(), old.connect.clone(), old.starts + 1);
        self.nodes[at] = self.started(key, store, connect, starts);
    }

    /// Takes up another list of peers, by a restart.
    pub(super) fn connect(&mut self, at: usize, peers: &[&str]) {
        self.nodes[at].connect = peers.iter().map(|name| (*name).to_owned()).collect();
        self.restart(at);
    }

    fn links_of(&self, at: usize) -> Vec<LinkId> {
        let ends = self.ends.iter().filter(|(_, ends)| ends.0 == at || ends.1 == at);
        ends.map(|(link, _)| *link).collect()
    }

    /// Hands an event to a node, performs what it asks for, and gives it as text.
    pub(super) fn event(&mut self, at: usize, event: Event) -> Vec<String> {
        let actions = self.handle(at, event);
        actions.iter().map(|action| self.told(at, action)).collect()
    }

    fn handle(&mut self, at: usize, event: Event) -> Vec<Action> {
        let node = &mut self.nodes[at];
        let actions = node.replica.handle(self.now_ms, event, &node.store);
        for action in &actions {
            match action {
                Action::Persist(ops) => node.store.apply(ops),
                Action::Send { link, frame } => {
                    self.bytes += frame.len();
                    self.under_way.push_back((*link, at, frame.clone()));
                }
                Action::Close { link, .. } => {
                    self.under_way.retain(|(other, ..)| other != link);
                }
                Action::Dial { .. }
                | Action::Reply { .. }
                | Action::Admit(_)
                | Action::Alarm(_) => {}
            }
        }
        actions
    }

    fn other_end(&self, link: LinkId, at: usize) -> usize {
        let (one, other) = self.ends[&link];
        if one == at { other } else { one }
    }

    fn told(&self, at: usize, action: &Action) -> String {
        let end = |link: &LinkId| {
            let known = self.ends.contains_key(link);
            if known { NAMES[self.other_end(*link, at)].to_owned() } else { link.to_string() }
        };
        match action {
            Action::Persist(_) => "persist".to_owned(),
            Action::Send { link, frame } => format!("to {}: {}", end(link), frame_told(frame)),
            Action::Dial { peer, addresses } => {
                let at = member_keys().iter().position(|key| key.key() == *peer).unwrap();
                format!("dial {} at {}", NAMES[at], addresses.join(" "))
            }
            Action::Close { link, reason } => format!("close {}: {reason}", end(link)),
            Action::Reply { answer: Answer::Write(Ok(_)), .. } => "reply: written".to_owned(),
            Action::Reply { answer: Answer::Write(Err(error)), .. } => format!("reply: {error}"),
            Action::Reply { answer: Answer::Roster(Ok(height)), .. } => {
                format!("reply: roster {height}")
            }
            Action::Reply { answer: Answer::Roster(Err(error)), .. } => format!("reply: {error}"),
            Action::Admit(members) => format!("admit {}", members.len()),
            Action::Alarm(text) => format!("alarm: {text}"),
        }
    }

    /// A new number for a link between two nodes; nobody has heard of it yet.
    pub(super) fn new_link(&mut self, caller: usize, called: usize) -> LinkId {
        self.links += 1;
        let link = LinkId(self.links);
        self.ends.insert(link, (caller, called));
        link
    }

    /// One end of a link comes up.
    pub(super) fn up(&mut self, link: LinkId, at: usize) -> Vec<String> {
        let peer = self.nodes.get(self.other_end(link, at)).map(|node| node.key.key());
        let peer = peer.unwrap_or_else(|| member(self.other_end(link, at)).node);
        let dialed = self.ends[&link].0 == at;
        self.event(at, Event::LinkUp { link, peer, dialed })
    }

    /// A link between two nodes comes up at both ends; the hellos are under way.
    pub(super) fn join(&mut self, caller: usize, called: usize) -> LinkId {
        let link = self.new_link(caller, called);
        self.up(link, caller);
        self.up(link, called);
        link
    }

    /// Joins two nodes and lets everything be said.
    pub(super) fn meet(&mut self, caller: usize, called: usize) -> LinkId {
        let link = self.join(caller, called);
        self.settle();
        link
    }

    /// A link goes down at both ends; what is under way on it is lost.
    pub(super) fn cut(&mut self, link: LinkId) {
        self.under_way.retain(|(other, ..)| *other != link);
        if let Some((one, other)) = self.ends.remove(&link) {
            for at in [one, other] {
                if at < self.nodes.len() {
                    self.event(at, Event::LinkDown { link, reason: "cut".to_owned() });
                }
            }
        }
    }

    /// The next frame arrives. Gives who got it and what that node asks for.
    pub(super) fn deliver(&mut self) -> Option<(usize, Vec<String>)> {
        let (link, from, bytes) = self.under_way.pop_front()?;
        let to = self.other_end(link, from);
        if to >= self.nodes.len() {
            return Some((to, Vec::new()));
        }
        self.event(from, Event::Sent { link, bytes: bytes.len() });
        // Every other frame is read ahead.
        if bytes.len().is_multiple_of(2) {
            return Some((to, self.event(to, Event::Frame { link, bytes })));
        }
        let ground = Ground::of(Arc::clone(self.nodes[to].replica.history().policy()));
        let read = Box::new(Ahead::read(&bytes, &ground));
        Some((to, self.event(to, Event::Read { link, read })))
    }

    /// Lets everything under way arrive. Gives the frames that were sent, in order.
    pub(super) fn settle(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        while let Some((link, from, bytes)) = self.under_way.front().cloned() {
            let to = self.other_end(link, from);
            said.push(format!("{}→{} {}", NAMES[from], NAMES[to], frame_told(&bytes)));
            self.deliver();
        }
        said
    }

    /// The frames under way, as they travel.
    pub(super) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.under_way.iter().map(|(_, _, bytes)| bytes.as_slice())
    }

    /// Loses everything that is under way; the links stay up.
    pub(super) fn lose(&mut self) {
        self.under_way.clear();
    }

    /// Sends raw bytes to a node by a link, as if its peer had.
    pub(super) fn inject(&mut self, link: LinkId, to: usize, bytes: Vec<u8>) -> Vec<String> {
        self.event(to, Event::Frame { link, bytes })
    }

    /// Time passes; every node ticks.
    pub(super) fn tick(&mut self, ms: u64) -> Vec<String> {
        self.now_ms += ms;
        let ticks = (0..self.nodes.len()).map(|at| self.event(at, Event::Tick));
        let ticks: Vec<Vec<String>> = ticks.collect();
        ticks.concat()
    }

    /// Lets time pass in heartbeats, and everything arrive.
    pub(super) fn wait(&mut self, beats: u64) {
        for _ in 0..beats {
            self.tick(limits::HEARTBEAT_MS);
            self.settle();
        }
    }

    /// A write of one source; gives the actions.
    pub(super) fn set(
        &mut self,
        at: usize,
        record: RecordId,
        edits: &[(&str, &str)],
    ) -> Vec<String> {
        let request = request(at, record, edits);
        self.event(at, Event::Write { ticket: Ticket(1), request })
    }

    /// A write in the name of a source.
    pub(super) fn set_as(
        &mut self,
        at: usize,
        source: &str,
        record: RecordId,
        edits: &[(&str, &str)],
    ) -> WriteOutcome {
        let request =
            WriteRequest { source: source.parse().unwrap(), ..request(at, record, edits) };
        self.write(at, request)
    }

    /// A write; gives the answer.
    pub(super) fn write(&mut self, at: usize, request: WriteRequest) -> WriteOutcome {
        let actions = self.handle(at, Event::Write { ticket: Ticket(1), request });
        let answer = actions.into_iter().find_map(|action| match action {
            Action::Reply { answer: Answer::Write(outcome), .. } => Some(outcome),
            Action::Reply { .. }
            | Action::Persist(_)
            | Action::Send { .. }
            | Action::Dial { .. }
            | Action::Close { .. }
            | Action::Admit(_)
            | Action::Alarm(_) => None,
        });
        answer.unwrap()
    }

    /// What a node shows of a record: path and text, `!` where there is a conflict.
    pub(super) fn shown(&self, at: usize, record: &RecordId) -> Vec<String> {
        let golden = self.golden(at, record);
        let attributes = golden.map(|golden| golden.attributes).unwrap_or_default();
        let values = attributes.iter().flat_map(|(path, values)| {
            values.iter().map(move |value| {
                let text = value.value.as_deref().and_then(Value::as_text).unwrap_or("-");
                let conflict = value.contest.as_ref().is_some_and(|contest| contest.conflict);
                format!("{path}={text}{}", if conflict { " !" } else { "" })
            })
        });
        values.collect()
    }

    /// The golden record of a node.
    pub(super) fn golden(&self, at: usize, record: &RecordId) -> Option<GoldenRecord> {
        Records::new(&self.nodes[at].store).golden(record).unwrap()
    }

    /// The quarantine codes of a node, by record and commit number.
    pub(super) fn quarantine(&self, at: usize) -> Vec<(RecordId, u64, String)> {
        let items = Records::new(&self.nodes[at].store).quarantined(None, usize::MAX).unwrap();
        items.into_iter().map(|item| (item.record, item.commit.seq, item.code)).collect()
    }

    /// All nodes hold the same, show the same, and can prove it.
    pub(super) fn assert_equal(&self) {
        let status = |at: usize| self.nodes[at].replica.status(self.now_ms);
        for (at, name) in NAMES.iter().enumerate().take(self.nodes.len()) {
            assert_eq!(status(at).history_digest, status(0).history_digest, "{name}");
            assert_eq!(status(at).golden_digest, status(0).golden_digest, "{name}");
            self.assert_sound(at);
        }
    }

    /// The audit of a node finds nothing.
    pub(super) fn assert_sound(&self, at: usize) {
        assert_eq!(self.problems(at), Vec::<String>::new(), "{}", NAMES[at]);
    }

    pub(super) fn problems(&self, at: usize) -> Vec<String> {
        let node = &self.nodes[at];
        verify(node.replica.history(), &node.store, &mut |_| ()).unwrap().problems
    }

    /// The history digest of a node and every byte of its store: nothing at all was stored when both
    /// are as before.
    pub(super) fn held(&self, at: usize) -> (String, Memory) {
        let node = &self.nodes[at];
        (node.replica.status(self.now_ms).history_digest, node.store.clone())
    }
}

/// A record id from a number.
pub(super) fn record(number: u64) -> RecordId {
    RecordId::derive("test", &number.to_string())
}

pub(super) fn source(at: usize) -> SourceName {
    format!("erp-{}", NAMES[at]).parse().unwrap()
}

pub(super) fn stated(text: &str) -> Assertion {
    Assertion::Stated(Statement::plain(Value::text(text)))
}

/// A write of texts by the source of a node.
pub(super) fn request(at: usize, record: RecordId, edits: &[(&str, &str)]) -> WriteRequest {
    let edits = edits.iter().map(|(path, text)| (path.parse().unwrap(), stated(text)));
    WriteRequest {
        source: source(at),
        propose: false,
        restate: false,
        provenance: Provenance { principal: "tester".to_owned(), ..Provenance::default() },
        records: vec![RecordWrite {
            record,
            precondition: Precondition::None,
            edits: edits.collect(),
            numbered: false,
        }],
    }
}

/// A frame in a few words.
pub(super) fn frame_told(bytes: &[u8]) -> String {
    match Frame::decode(bytes) {
        Ok(Frame::Hello(_)) => "hello".to_owned(),
        Ok(Frame::Roster { from, .. }) => format!("roster from {from}"),
        Ok(Frame::Vector(told)) => format!("vector of {}", told.len()),
        Ok(Frame::Commits(commits)) => format!("commits {}", commits.len()),
        Ok(Frame::Ack(entries)) => {
            let seqs: Vec<String> = entries.iter().map(|(_, seq)| seq.to_string()).collect();
            format!("ack {}", seqs.join(" "))
        }
        Ok(Frame::Heartbeat(_)) => "heartbeat".to_owned(),
        Ok(Frame::Branch(headers)) => format!("branch of {}", headers.len()),
        Ok(Frame::Fork(_)) => "fork".to_owned(),
        Ok(Frame::Linked(keys)) => format!("linked {}", keys.len()),
        Err(error) => format!("garbage: {error}"),
    }
}

/// A member who signs whatever he likes. He has a log, and no replica.
pub(super) struct Forger {
    pub(super) key: Key,
    pub(super) region: Region,
    pub(super) opening: Opening,
    pub(super) log: LogId,
    pub(super) last: Option<Head>,
    pub(super) epoch: u64,
    roster: Roster,
}

impl Forger {
    /// The member at this place of the roster, about to open a log.
    pub(super) fn new(at: usize, roster: &Roster) -> Self {
        let key = member_keys()[at].clone();
        let opening = Opening { node: key.key(), incarnation: 1, nonce: 7, predecessor: None };
        let log = opening.log_id(&roster.network_id());
        let (epoch, roster) = (roster.height(), roster.clone());
        Self { key, region: region(at), opening, log, last: None, epoch, roster }
    }

    /// Turns to a log not opened yet, after the end named.
    pub(super) fn reopen(&mut self, incarnation: u64, nonce: u64, predecessor: Option<Head>) {
        self.opening = Opening { node: self.key.key(), incarnation, nonce, predecessor };
        self.log = self.opening.log_id(&self.roster.network_id());
        self.last = None;
    }

    /// What the next change must carry.
    pub(super) fn next(&self) -> Author {
        let seq = self.last.map_or(0, |head| head.seq) + 1;
        Author {
            commit: CommitRef { log: self.log, seq },
            time: Hlc::from_ms(START_MS + seq),
            region: self.region.clone(),
        }
    }

    /// The next commit, not signed yet.
    pub(super) fn draft(&self, follows: &[Head], mut items: Vec<(RecordId, Vec<u8>)>) -> Draft {
        let next = self.next();
        items.sort_by_key(|(record, _)| *record);
        let mut follows = follows.to_vec();
        follows.sort();
        let header = Header {
            log: self.log,
            seq: next.commit.seq,
            previous: self.last.map_or([0; 32], |head| head.hash),
            time: next.time,
            epoch: self.epoch,
            opening: self.last.is_none().then_some(self.opening),
            follows,
            provenance: [0; 32],
            items: Vec::new(),
        };
        let provenance = Provenance { principal: "m".to_owned(), ..Provenance::default() };
        let note = Note { source: "crm".parse().unwrap(), ruleset: RULESET, provenance };
        Draft { header, note, items }
    }

    pub(super) fn sign(&self, draft: Draft) -> Commit {
        draft.sign(&self.roster.network_id(), |message| self.key.signature(message))
    }

    /// Signs the next commit and goes on from it.
    pub(super) fn commit(&mut self, follows: &[Head], items: Vec<(RecordId, Vec<u8>)>) -> Commit {
        let commit = self.sign(self.draft(follows, items));
        let header = &commit.signed.header;
        self.last = Some(Head { log: header.log, seq: header.seq, hash: commit.signed.hash() });
        commit
    }
}

/// A frame with these commits.
pub(super) fn block(commits: &[Commit]) -> Vec<u8> {
    Frame::Commits(commits.to_vec()).encode()
}

/// The heads of everything that a node holds.
pub(super) fn heads(net: &Net, at: usize) -> Vec<Head> {
    let vector = &net.nodes[at].replica.history().vector;
    vector.logs().keys().filter_map(|log| vector.head(log)).collect()
}
