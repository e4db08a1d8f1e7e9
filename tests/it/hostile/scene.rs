//! A network under attack: live replicas over stores in memory whose frames are moved by hand, and
//! members who sign whatever they like. Virtual time; no wire, no disk, no thread.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crdt_model::document::Author;
use crdt_model::id::{CommitRef, LogId, RecordId, Region};
use crdt_model::normalize::RULESET;
use crdt_model::path::AttributePath;
use crdt_model::policy::Policy;
use crdt_model::time::Hlc;
use crdt_model::value::{Assertion, Statement, Value};
use node::identity::NodeKey;
use node::kv::Memory;
use node::replica::action::Action;
use node::replica::ahead::{Ahead, Ground};
use node::replica::commit::{Commit, Draft, Head, Header, Note, Opening};
use node::replica::event::{
    Answer, Event, LinkId, Precondition, Provenance, RecordWrite, Ticket, WriteOutcome,
    WriteRequest,
};
use node::replica::frame::Frame;
use node::replica::limits::{ALARMS_MAX, HEARTBEAT_MS};
use node::replica::records::{QuarantinedItem, Records};
use node::replica::roster::{Member, NetworkId, Roster};
use node::replica::verify::verify;
use node::replica::{Config, Replica};

/// When a scene begins, in milliseconds since 1970.
pub(crate) const START_MS: u64 = 1_800_000_000_000;
/// Hostile members of a scene.
pub(crate) const FORGERS: usize = 3;
/// What a replica may keep in memory in a scene, as the length of its description. Larger than any
/// honest scene needs, and far below what a bomb would leave behind.
const DESCRIPTION_MAX: usize = 1 << 20;

/// The key of the network.
pub(crate) fn network_key() -> NodeKey {
    NodeKey::from_seed(&[200; 32])
}

fn key(at: usize) -> NodeKey {
    NodeKey::from_seed(&[u8::try_from(at + 1).unwrap(); 32])
}

fn region(at: usize) -> Region {
    ["EMEA", "APAC", "AMER", "LATAM", "AFRICA", "MEA"][at].parse().unwrap()
}

/// A member of a scene: the sites first, then the forgers.
pub(crate) fn member(at: usize) -> Member {
    Member {
        node: key(at).id(),
        name: format!("m{at}"),
        region: region(at),
        addresses: vec![format!("m{at}.example:7400")],
    }
}

/// A customer by its number.
pub(crate) fn record(number: u64) -> RecordId {
    RecordId::derive("hostile", &number.to_string())
}

pub(crate) fn text(text: &str) -> Assertion {
    Assertion::Stated(Statement::plain(Value::text(text)))
}

struct Site {
    replica: Replica,
    store: Memory,
    starts: u64,
}

/// Sites, the links among them and with the forgers, and the frames under way.
pub(crate) struct Scene {
    sites: Vec<Site>,
    roster: Roster,
    now_ms: u64,
    /// Site and other end: another site, or a forger.
    ends: BTreeMap<LinkId, [usize; 2]>,
    under_way: VecDeque<(LinkId, usize, Vec<u8>)>,
    links: u64,
    /// Alarms of the sites.
    pub(crate) alarms: Vec<String>,
    /// Frames that sites sent to each other.
    pub(crate) heard: Vec<Vec<u8>>,
}

impl Scene {
    /// So many sites without links.
    pub(crate) fn found(sites: usize) -> Self {
        let mut roster = Roster::found("scene", &network_key()).unwrap();
        for at in 0..sites + FORGERS {
            roster.admit(member(at), &network_key()).unwrap();
        }
        Self::with_roster(roster, sites)
    }

    /// Sites of a roster that names more members.
    pub(crate) fn with_roster(roster: Roster, sites: usize) -> Self {
        let mut scene = Self {
            sites: Vec::new(),
            roster,
            now_ms: START_MS,
            ends: BTreeMap::new(),
            under_way: VecDeque::new(),
            links: 0,
            alarms: Vec::new(),
            heard: Vec::new(),
        };
        scene.sites = (0..sites).map(|at| scene.started(at, Memory::new(), 1)).collect();
        scene
    }

    fn started(&self, at: usize, mut store: Memory, starts: u64) -> Site {
        let config = Config {
            signer: Box::new(key(at)),
            roster: self.roster.clone(),
            nonce: starts,
            connect: Vec::new(),
            heartbeat_ms: HEARTBEAT_MS,
            behind: None,
            policy: Policy::built_in(),
        };
        let (replica, ops) = Replica::load(config, &store).unwrap();
        store.apply(&ops);
        Site { replica, store, starts }
    }

    /// Stops a site and starts it over what it holds. Its links are gone.
    pub(crate) fn restart(&mut self, at: usize) {
        let gone: Vec<LinkId> = self
            .ends
            .iter()
            .filter(|(_, ends)| ends.contains(&at))
            .map(|(link, _)| *link)
            .collect();
        gone.into_iter().for_each(|link| self.cut(link));
        let (store, starts) = (self.sites[at].store.clone(), self.sites[at].starts + 1);
        self.sites[at] = self.started(at, store, starts);
    }

    pub(crate) const fn roster(&self) -> &Roster {
        &self.roster
    }

    pub(crate) fn replica(&self, at: usize) -> &Replica {
        &self.sites[at].replica
    }

    pub(crate) fn records(&self, at: usize) -> Records<'_> {
        Records::new(&self.sites[at].store)
    }

    /// Keys in the store of a site.
    pub(crate) fn stored(&self, at: usize) -> usize {
        self.sites[at].store.len()
    }

    /// Hands an event to a site and performs what it asks for.
    pub(crate) fn event(&mut self, at: usize, event: Event) -> Vec<Action> {
        let site = &mut self.sites[at];
        let actions = site.replica.handle(self.now_ms, event, &site.store);
        for action in &actions {
            match action {
                Action::Persist(ops) => self.sites[at].store.apply(ops),
                Action::Send { link, frame } => {
                    self.under_way.push_back((*link, at, frame.clone()));
                }
                Action::Close { link, .. } => self.hung_up(*link, at),
                Action::Alarm(text) => self.alarms.push(text.clone()),
                Action::Dial { .. } | Action::Reply { .. } | Action::Admit(_) => {}
            }
        }
        actions
    }

    fn hung_up(&mut self, link: LinkId, at: usize) {
        let Some(ends) = self.ends.remove(&link) else { return };
        self.under_way.retain(|(other, ..)| *other != link);
        let sites = self.sites.len();
        for other in ends.into_iter().filter(|other| *other != at && *other < sites) {
            self.event(other, Event::LinkDown { link, reason: "closed".to_owned() });
        }
    }

    pub(crate) fn cut(&mut self, link: LinkId) {
        let Some(ends) = self.ends.remove(&link) else { return };
        self.under_way.retain(|(other, ..)| *other != link);
        let sites = self.sites.len();
        for at in ends.into_iter().filter(|at| *at < sites) {
            self.event(at, Event::LinkDown { link, reason: "cut".to_owned() });
        }
    }

    pub(crate) fn is_up(&self, link: LinkId) -> bool {
        self.ends.contains_key(&link)
    }

    fn link(&mut self, caller: usize, called: usize) -> LinkId {
        self.links += 1;
        let link = LinkId(self.links);
        self.ends.insert(link, [caller, called]);
        for (at, other) in [(caller, called), (called, caller)] {
            if at < self.sites.len() {
                let (peer, dialed) = (key(other).id(), at == caller);
                self.event(at, Event::LinkUp { link, peer, dialed });
            }
        }
        link
    }

    /// Two sites get a link, and everything is said.
    pub(crate) fn meet(&mut self, one: usize, other: usize) -> LinkId {
        let link = self.link(one, other);
        self.settle();
        link
    }

    /// A forger gets a link with a site and says hello, unless it has one. It claims to hold what
    /// the site holds.
    pub(crate) fn call(&mut self, forger: &Forger, at: usize) -> LinkId {
        let ends = [forger.at, at];
        if let Some((link, _)) = self.ends.iter().find(|(_, other)| **other == ends) {
            return *link;
        }
        let link = self.link(forger.at, at);
        let hello = self.under_way.iter().rev().find(|(other, ..)| *other == link);
        let hello = hello.map(|(.., frame)| frame.clone()).unwrap();
        self.inject(link, at, hello);
        self.settle();
        link
    }

    /// Bytes reach a site by a link.
    pub(crate) fn inject(&mut self, link: LinkId, at: usize, bytes: Vec<u8>) -> Vec<Action> {
        let frame = self.frame(link, at, bytes);
        self.event(at, frame)
    }

    /// A frame arrives; every other one was read ahead.
    fn frame(&self, link: LinkId, at: usize, bytes: Vec<u8>) -> Event {
        if bytes.len().is_multiple_of(2) {
            return Event::Frame { link, bytes };
        }
        let ground = Ground::of(Arc::clone(self.sites[at].replica.history().policy()));
        Event::Read { link, read: Box::new(Ahead::read(&bytes, &ground)) }
    }

    /// Everything under way arrives. Forgers swallow what they hear.
    pub(crate) fn settle(&mut self) {
        while let Some((link, from, bytes)) = self.under_way.pop_front() {
            self.event(from, Event::Sent { link, bytes: bytes.len() });
            let Some([one, other]) = self.ends.get(&link).copied() else { continue };
            let to = if one == from { other } else { one };
            if to < self.sites.len() {
                if self.heard.len() < 200 {
                    self.heard.push(bytes.clone());
                }
                let frame = self.frame(link, to, bytes);
                self.event(to, frame);
            }
        }
    }

    /// Time passes in heartbeats, and everything arrives.
    pub(crate) fn wait(&mut self, beats: u64) {
        for _ in 0..beats {
            self.now_ms += HEARTBEAT_MS;
            for at in 0..self.sites.len() {
                while self.sites[at].replica.next_deadline() <= self.now_ms {
                    let before = self.sites[at].replica.next_deadline();
                    self.event(at, Event::Tick);
                    if self.sites[at].replica.next_deadline() == before && before != 0 {
                        break;
                    }
                }
            }
            self.settle();
        }
    }

    /// A write of an honest client.
    pub(crate) fn write(
        &mut self,
        at: usize,
        record: RecordId,
        edits: &[(&str, Assertion)],
    ) -> WriteOutcome {
        let edit = |(path, assertion): &(&str, Assertion)| -> (AttributePath, Assertion) {
            (path.parse().unwrap(), assertion.clone())
        };
        let edits = edits.iter().map(edit).collect();
        self.write_as(at, &format!("erp-{at}"), record, edits)
    }

    /// A write in the name of a source.
    pub(crate) fn write_as(
        &mut self,
        at: usize,
        source: &str,
        record: RecordId,
        edits: Vec<(AttributePath, Assertion)>,
    ) -> WriteOutcome {
        let request = WriteRequest {
            source: source.parse().unwrap(),
            propose: false,
            restate: false,
            provenance: Provenance { principal: "client".to_owned(), ..Provenance::default() },
            records: vec![RecordWrite {
                record,
                precondition: Precondition::None,
                edits,
                numbered: false,
            }],
        };
        let actions = self.event(at, Event::Write { ticket: Ticket(1), request });
        let answer = actions.into_iter().find_map(|action| {
            let Action::Reply { answer: Answer::Write(outcome), .. } = action else { return None };
            Some(outcome)
        });
        answer.unwrap()
    }

    /// What a site has set aside: record, commit and code, in order.
    pub(crate) fn quarantine(&self, at: usize) -> Vec<(RecordId, CommitRef, String)> {
        let items = self.records(at).quarantined(None, usize::MAX).unwrap();
        let mut items: Vec<_> = items.into_iter().map(named).collect();
        items.sort();
        items
    }

    /// The heads of everything that a site holds, except of one log.
    pub(crate) fn heads(&self, at: usize, but: &LogId) -> Vec<Head> {
        let vector = &self.replica(at).history().vector;
        let logs = vector.unfolded().map(|(log, _)| *log).filter(|log| log != but);
        logs.filter_map(|log| vector.head(&log)).collect()
    }

    /// What a site holds and shows, as its two digests.
    pub(crate) fn digests(&self, at: usize) -> [String; 2] {
        let status = self.replica(at).status(self.now_ms);
        [status.history_digest, status.golden_digest]
    }

    /// A site can prove what it shows, every record loads, and nothing has piled up in it.
    pub(crate) fn assert_sound(&self, at: usize) {
        let site = &self.sites[at];
        let found = verify(site.replica.history(), &site.store, &mut |_| ()).unwrap();
        assert_eq!(found.problems, Vec::<String>::new(), "site {at}");
        let records = self.records(at);
        for record in records.ids(None, usize::MAX).unwrap() {
            assert!(records.document(&record).unwrap().is_some(), "{record} has no document");
            assert_eq!(records.held(&record).unwrap(), None, "{record} is held");
        }
        self.assert_bounded(at);
    }

    /// Nothing has piled up in the memory of a site.
    pub(crate) fn assert_bounded(&self, at: usize) {
        let replica = self.replica(at);
        let length = format!("{replica:?}").len();
        assert!(length < DESCRIPTION_MAX, "site {at} keeps {length} bytes in memory");
        assert!(replica.status(self.now_ms).alarms.len() <= ALARMS_MAX);
    }

    /// Two sites hold and show the same, and set the same aside.
    pub(crate) fn assert_equal(&self, one: usize, other: usize) {
        assert_eq!(self.quarantine(one), self.quarantine(other), "quarantine");
        assert_eq!(self.digests(one), self.digests(other), "history and golden digest");
    }
}

fn named(item: QuarantinedItem) -> (RecordId, CommitRef, String) {
    (item.record, item.commit, item.code)
}

/// A member who signs whatever he likes. He has a key and a log, and no replica.
pub(crate) struct Forger {
    /// His place among the members.
    pub(crate) at: usize,
    pub(crate) opening: Opening,
    pub(crate) log: LogId,
    pub(crate) head: Option<Head>,
    epoch: u64,
    network: NetworkId,
}

impl Forger {
    /// The forgers of a scene with so many sites.
    pub(crate) fn all(scene: &Scene) -> Vec<Self> {
        (0..FORGERS).map(|number| Self::new(scene.sites.len() + number, scene.roster())).collect()
    }

    fn new(at: usize, roster: &Roster) -> Self {
        let opening = Opening { node: key(at).id(), incarnation: 1, nonce: 7, predecessor: None };
        let network = roster.network_id();
        let log = opening.log_id(&network);
        Self { at, opening, log, head: None, epoch: roster.height(), network }
    }

    /// What the next change must carry.
    pub(crate) fn next(&self) -> Author {
        let seq = self.head.map_or(0, |head| head.seq) + 1;
        Author {
            commit: CommitRef { log: self.log, seq },
            time: Hlc::from_ms(START_MS + seq),
            region: region(self.at),
        }
    }

    /// The next commit, not signed yet.
    pub(crate) fn draft(&self, mut follows: Vec<Head>, items: Vec<(RecordId, Vec<u8>)>) -> Draft {
        let next = self.next();
        follows.sort();
        let header = Header {
            log: self.log,
            seq: next.commit.seq,
            previous: self.head.map_or([0; 32], |head| head.hash),
            time: next.time,
            epoch: self.epoch,
            opening: self.head.is_none().then_some(self.opening),
            follows,
            provenance: [0; 32],
            items: Vec::new(),
        };
        let provenance = Provenance { principal: "m".to_owned(), ..Provenance::default() };
        let note = Note { source: "crm".parse().unwrap(), ruleset: RULESET, provenance };
        let mut draft = Draft { header, note, items };
        draft.items.sort_by_key(|(record, _)| *record);
        draft
    }

    /// A commit with a valid signature.
    pub(crate) fn signed(&self, draft: Draft) -> Commit {
        draft.sign(&self.network, |message| self.signature(message))
    }

    /// His signature over anything.
    pub(crate) fn signature(&self, message: &[u8]) -> [u8; 64] {
        key(self.at).sign(message)
    }

    /// Takes note that the newest commit of his log was taken.
    pub(crate) fn taken(&mut self, scene: &Scene, at: usize) -> bool {
        let head = scene.replica(at).history().vector.head(&self.log);
        let moved = head != self.head;
        self.head = head;
        moved
    }
}

/// A frame with these commits.
pub(crate) fn block(commits: &[Commit]) -> Vec<u8> {
    Frame::Commits(commits.to_vec()).encode()
}
