//! The replica: the protocol and the history of one node as a pure state machine.
//!
//! [`Replica::handle`] takes the time, an event and a read-only view of the store, and gives the
//! actions that the driver must perform, in order. No clock, no socket, no disk, no thread, no
//! randomness, no async: the same events give the same actions, in the node and in a simulator.
//!
//! Read [`event`] and [`action`] first; they hold the whole outside. Then [`history`] for what a
//! commit does, and `sync` for who sends what to whom.

pub mod action;
mod advice;
pub mod ahead;
pub mod backup;
mod batch;
mod block;
#[cfg(test)]
pub(crate) mod bug;
mod causality;
pub mod codec;
pub mod commit;
mod contact;
mod credit;
mod door;
pub mod event;
pub mod fork;
pub mod frame;
mod freshness;
pub mod history;
mod hot;
pub mod index;
mod issues;
pub mod layout;
pub mod limits;
pub mod lists;
pub mod multiset;
pub mod node_id;
pub mod numbers;
mod peers;
mod permission;
pub mod rebuild;
pub mod records;
pub mod repair;
mod resolving;
pub mod roster;
pub mod state;
pub mod status;
mod sync;
#[cfg(test)]
mod tests;
pub mod vector;
pub mod verdict;
pub mod verify;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use crdt_model::id::{CommitRef, LogId, Region};
use crdt_model::policy::Policy;

use self::action::Action;
use self::ahead::Ahead;
use self::commit::{Commit, Draft, Opening};
use self::event::{
    Answer, Event, LinkId, Ticket, WriteOutcome, WriteReceipt, WriteRefusal, WriteRequest,
};
use self::frame::Digests;
use self::freshness::Freshness;
use self::history::{Applied, History};
use self::limits::{
    ALARMS_MAX, CLOCK_OFFSET_MS_MAX, COMMIT_BYTES_MAX, FOLLOWS_MAX, OPEN_LOGS_MAX,
    RECORD_BYTES_MAX, SETTLED_LINKS_MAX, SETTLED_MS,
};
use self::node_id::NodeId;
use self::numbers::Numbers;
use self::peers::{Link, Peer, clock_offset_ms};
use self::records::Records;
use self::roster::{Roster, RosterError, Signer};
use self::verdict::Verdict;
use self::write::{OwnLog, Writer};
use crate::kv::{Op, Overlay, ReadError, View};

/// What a replica is told when it starts.
pub struct Config {
    /// This node's key.
    pub signer: Box<dyn Signer + Send>,
    /// The roster as the operator brought it; a longer stored one of the same network wins.
    pub roster: Roster,
    /// Chosen at random at this start: no two starts open the same log.
    pub nonce: u64,
    /// Names of the only peers to have links with; empty: every member.
    pub connect: Vec<String>,
    /// How often digests and clocks are told, in milliseconds; usually [`limits::HEARTBEAT_MS`].
    pub heartbeat_ms: u64,
    /// The store came back empty or short of so many commits, which had been acknowledged: fetch
    /// from the peers before anything is served.
    pub behind: Option<u64>,
    /// The rules by which golden records are resolved.
    pub policy: Policy,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("node", &self.signer.key()).finish_non_exhaustive()
    }
}

/// Why a replica cannot start. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store failed or holds a damaged value.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The roster that the operator brought does not go with the stored one.
    #[error(transparent)]
    Roster(#[from] RosterError),
}

/// The state machine of one node.
#[derive(Debug)]
pub struct Replica {
    config: Config,
    node: NodeId,
    history: History,
    own: OwnLog,
    /// Logs of others that moved since our last commit: what the next one follows.
    moved: BTreeSet<LogId>,
    peers: BTreeMap<NodeId, Peer>,
    links: BTreeMap<LinkId, Link>,
    freshness: Freshness,
    /// Authors of over [`OPEN_LOGS_MAX`] open logs: no links with them.
    shunned: BTreeSet<NodeId>,
    /// The newest reading of the wall clock.
    heard_ms: u64,
    beat_at_ms: u64,
    /// The feed position when something last happened, and when to tell what it came to.
    settled: (u64, Option<u64>),
    refused: u64,
    ready: bool,
    alarms: Vec<String>,
    /// When the next page of records is resolved again, or the next policy comes into force.
    policy_at_ms: Option<u64>,
}

/// One call of [`Replica::handle`] under way.
struct Turn<'a> {
    now_ms: u64,
    /// The store plus what this turn has written.
    view: Overlay<'a>,
    actions: Vec<Action>,
}

impl Turn<'_> {
    fn persist(&mut self, ops: Vec<Op>) {
        self.view.apply(&ops);
        self.actions.push(Action::Persist(ops));
    }
}

impl Replica {
    /// Takes up what the store holds. Gives the operations that the store lacks (the roster, when the
    /// operator brought a newer one).
    ///
    /// # Errors
    /// [`LoadError`]; nothing was changed.
    pub fn load(config: Config, view: &dyn View) -> Result<(Self, Vec<Op>), LoadError> {
        let mut roster = config.roster.clone();
        let stored = view.get(layout::ROSTER)?;
        if let Some(stored) = &stored {
            roster = Roster::decode(stored)?;
            roster.extend(0, &config.roster.encode())?;
        }
        let mut history = History::load(view, roster.clone(), config.policy.clone())?;
        let mut ops = Vec::new();
        if stored.as_ref() != Some(&roster.encode()) {
            if let Some(stored) = stored {
                history.roster = Roster::decode(&stored)?;
            }
            ops = history.adopt(roster, view)?;
        }
        let node = config.signer.key();
        let own = own_log(&history, node, config.nonce);
        let spoken_for = own.opening.predecessor.map(|end| end.log);
        let unfolded = history.vector.unfolded().map(|(log, _)| *log);
        let moved = unfolded.filter(|log| Some(*log) != spoken_for).collect();
        let ready = config.behind.is_none();
        let settled = (history.state.feed, None);
        let freshness = Freshness::load(&history.vector, Records::new(view))?;
        let mut replica = Self {
            config,
            node,
            history,
            own,
            moved,
            peers: BTreeMap::new(),
            links: BTreeMap::new(),
            freshness,
            shunned: BTreeSet::new(),
            heard_ms: 0,
            beat_at_ms: 0,
            settled,
            refused: 0,
            ready,
            alarms: Vec::new(),
            policy_at_ms: Some(0),
        };
        replica.fork_alarms(view)?;
        replica.meet_members();
        let authors = replica.members();
        let open = |node: &NodeId| replica.history.vector.open_logs(node) > OPEN_LOGS_MAX;
        replica.shunned = authors.into_iter().filter(open).collect();
        Ok((replica, ops))
    }

    /// Takes one event and gives the actions it asks for, in the order of [`action`].
    ///
    /// `now_ms` is the wall clock in milliseconds since 1970. `view` shows everything that earlier
    /// actions asked to persist, whether or not it is durable yet.
    pub fn handle(&mut self, now_ms: u64, event: Event, view: &dyn View) -> Vec<Action> {
        let mut turn = Turn { now_ms, view: Overlay::new(view), actions: Vec::new() };
        if now_ms < self.heard_ms {
            self.clock_fell(now_ms);
        }
        self.heard_ms = now_ms;
        let outcome = match event {
            Event::LinkUp { link, peer, dialed } => {
                self.link_up(&mut turn, link, peer, dialed);
                Ok(())
            }
            Event::LinkDown { link, reason } => {
                self.link_down(&turn, link, &reason);
                Ok(())
            }
            Event::DialFailed { peer, reason } => {
                self.dial_failed(&turn, peer, &reason);
                Ok(())
            }
            Event::Refused { key, reason } => {
                self.turned_away(key, &reason);
                Ok(())
            }
            Event::Frame { link, bytes } => self.frame(&mut turn, link, Ahead::decode(&bytes)),
            Event::Read { link, read } => self.frame(&mut turn, link, *read),
            Event::Sent { link, bytes } => self.sent(&mut turn, link, bytes),
            Event::Write { ticket, request } => {
                let outcome = self.write(&mut turn, &request);
                self.reply(&mut turn, ticket, Answer::Write(outcome));
                self.pump_all(&mut turn)
            }
            Event::AdoptRoster { ticket, roster } => {
                let outcome = self.roster_from_operator(&mut turn, &roster);
                self.reply(&mut turn, ticket, Answer::Roster(outcome));
                Ok(())
            }
            Event::Tick => self.tick(&mut turn),
        };
        if let Err(error) = outcome {
            self.alarm(&mut turn, format!("the store cannot be read: {error}"));
        }
        if self.settled.0 != self.history.state.feed {
            let is_small = self.links.len() <= SETTLED_LINKS_MAX;
            self.settled = (self.history.state.feed, is_small.then_some(now_ms + SETTLED_MS));
        }
        turn.actions
    }

    /// When [`Event::Tick`] is due, in milliseconds since 1970.
    #[must_use]
    pub fn next_deadline(&self) -> u64 {
        let owed = self.links.values().filter_map(|link| link.owed_at_ms);
        let dials = self.dials_planned().map(|(_, at)| at);
        if self.history.has_due {
            return 0;
        }
        let told = self.settled.1.into_iter().chain([self.beat_at_ms]);
        let due = owed.chain(dials).chain(self.policy_at_ms).chain(told);
        due.min().unwrap_or(self.beat_at_ms)
    }

    /// The position of the newest feed entry.
    #[must_use]
    pub const fn feed_position(&self) -> u64 {
        self.history.state.feed
    }

    /// The newest commit that this node itself wrote.
    #[must_use]
    pub fn newest_own(&self) -> Option<CommitRef> {
        let own = &self.own;
        let vector = &self.history.vector;
        let current = vector.get(&own.id).map(|held| CommitRef { log: own.id, seq: held.seq });
        let before = own.opening.predecessor.map(|end| CommitRef { log: end.log, seq: end.seq });
        current.or(before)
    }

    /// How many other members said to hold durably what this node wrote up to a commit of its own.
    #[must_use]
    pub fn sites_holding(&self, commit: &CommitRef) -> usize {
        let holds =
            |peer: &&Peer| peer.reported.get(&commit.log).is_some_and(|seq| *seq >= commit.seq);
        self.peers.values().filter(holds).count()
    }

    /// How many commits are held.
    #[must_use]
    pub fn commits_held(&self) -> u64 {
        self.history.vector.commits()
    }

    /// Looks again at the issues of the next records that are due.
    fn look_again(&mut self, turn: &mut Turn<'_>) -> Result<(), ReadError> {
        if self.history.has_due {
            let ops = self.history.look_again(&turn.view)?;
            if !ops.is_empty() {
                turn.persist(ops);
            }
        }
        Ok(())
    }

    /// Puts the policy in force that is due, and resolves the next page of records by it.
    fn follow_policy(&mut self, turn: &mut Turn<'_>) -> Result<(), ReadError> {
        if self.policy_at_ms.is_none_or(|at| turn.now_ms < at) {
            return Ok(());
        }
        if self.history.activate(turn.now_ms) {
            turn.persist(vec![Op::Put(layout::STATE.to_vec(), self.history.state.encode())]);
        }
        let ops = self.history.resolve_page(&turn.view)?;
        if !ops.is_empty() {
            turn.persist(ops);
        }
        let more = self.history.state.resolving.is_some().then_some(turn.now_ms);
        self.policy_at_ms = more.or_else(|| self.history.roster.next_activation_ms(turn.now_ms));
        Ok(())
    }

    /// Takes note that a peer has nothing that we lack. Only with as many commits as before the loss
    /// nothing is missing; commits that had reached no peer are gone, and an operator must accept that.
    fn caught_up(&mut self) {
        let commits = self.commits_held();
        self.ready |= self.config.behind.is_none_or(|acknowledged| commits >= acknowledged);
    }

    /// Whether nothing that the node had acknowledged is missing, as far as it knows.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.ready
    }

    /// The keys that may open a link.
    #[must_use]
    pub fn members(&self) -> event::Members {
        self.history.roster.keys()
    }

    /// What is held. For tests, checks and the simulator.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// This node's key.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    fn digests(&self) -> Digests {
        Digests {
            roster_height: self.history.roster.height(),
            control: self.history.roster.digest(),
            history: self.history.vector.digest(),
            golden: self.history.state.golden.digest(),
            rules: self.history.rules(),
        }
    }

    fn reply(&self, turn: &mut Turn<'_>, ticket: Ticket, answer: Answer) {
        turn.actions.push(Action::Reply { ticket, answer });
    }

    fn alarm(&mut self, turn: &mut Turn<'_>, text: String) {
        if self.alarms.contains(&text) {
            return;
        }
        turn.actions.push(Action::Alarm(text.clone()));
        self.alarms.push(text);
        let over = self.alarms.len().saturating_sub(ALARMS_MAX);
        self.alarms.drain(..over);
    }

    /// How far our clock is ahead of our peers', in milliseconds, as far as it can be judged.
    fn clock_offset(&self, now_ms: u64) -> Option<i64> {
        clock_offset_ms(self.peers.values(), now_ms)
    }

    fn write(&mut self, turn: &mut Turn<'_>, request: &WriteRequest) -> WriteOutcome {
        if !self.ready {
            return Err(WriteRefusal::NotReady);
        }
        let height = self.history.roster.height();
        let Some(member) = self.history.roster.member_at(&self.node, height) else {
            return Err(WriteRefusal::NotAMember);
        };
        let offset_ms = self.clock_offset(turn.now_ms).unwrap_or(0);
        if offset_ms.unsigned_abs() > CLOCK_OFFSET_MS_MAX {
            return Err(WriteRefusal::ClockSkew { offset_s: offset_ms / 1_000 });
        }
        if let Some(receipt) = answered(turn, request)? {
            return Ok(receipt);
        }
        let region = member.region.clone();
        self.follow_in_advance(turn, request, &region)?;
        let (numbered, given) =
            Numbers::new(&self.history, &turn.view, &self.node, &region).give(request)?;
        let request = &*numbered;
        let mut drafted = self.writer(turn, &region).draft(request)?;
        let mut receipt = WriteReceipt { commit: None, records: Vec::new() };
        let mut records = BTreeMap::new();
        if let Some(draft) = drafted.draft.take() {
            let verdicts = std::mem::take(&mut drafted.verdicts);
            let (commit, applied) = self.commit(turn, draft, verdicts)?;
            // Should it be lost: the commit marks its numbers, and the next draw passes over them.
            if !given.is_empty() {
                turn.persist(given);
            }
            (receipt.commit, records) = (Some(commit), applied.records);
        }
        let today = crdt_model::time::Hlc::from_ms(turn.now_ms).day();
        receipt.records = drafted.receipts(request, &self.history, &records, today);
        if receipt.commit.is_some() {
            remember_answer(turn, request, &receipt);
        }
        Ok(receipt)
    }

    fn writer<'a>(&'a self, turn: &'a Turn<'_>, region: &Region) -> Writer<'a> {
        let moved = self.moved.iter().take(FOLLOWS_MAX);
        Writer {
            log: self.own,
            region: region.clone(),
            time: self.history.state.clock.tick(turn.now_ms),
            follows: moved.filter_map(|log| self.history.vector.head(log)).collect(),
            history: &self.history,
            view: &turn.view,
        }
    }

    /// Names the logs that moved in commits without items, as long as they are more than one commit
    /// can name: a write must name everything that it has seen.
    fn follow_in_advance(
        &mut self,
        turn: &mut Turn<'_>,
        request: &WriteRequest,
        region: &Region,
    ) -> Result<(), WriteRefusal> {
        while self.moved.len() > FOLLOWS_MAX {
            let draft = self.writer(turn, region).follow(&request.source);
            self.commit(turn, draft, Vec::new())?;
        }
        Ok(())
    }

    /// Signs, applies and spreads a commit of our own.
    fn commit(
        &mut self,
        turn: &mut Turn<'_>,
        draft: Draft,
        verdicts: Vec<Verdict>,
    ) -> Result<(CommitRef, Applied), WriteRefusal> {
        let network = self.history.roster.network_id();
        let commit = draft.sign(&network, |message| self.config.signer.signature(message));
        let bytes = commit.encode();
        if bytes.len() > COMMIT_BYTES_MAX {
            let what = format!("over {COMMIT_BYTES_MAX} bytes in one write");
            return Err(WriteRefusal::TooLarge { what });
        }
        // What peers cannot read must never stand in our log: nothing could follow it.
        if !Commit::decode_first(&bytes).is_ok_and(|(read, rest)| read == commit && rest.is_empty())
        {
            let reason = "the commit does not read back".to_owned();
            return Err(WriteRefusal::Defect { reason });
        }
        let mut applied = self.history.take_own(&commit, verdicts, turn.now_ms, &turn.view)?;
        turn.persist(std::mem::take(&mut applied.ops));
        let header = &commit.signed.header;
        for head in &header.follows {
            self.moved.remove(&head.log);
        }
        self.spread(turn, header.log, None);
        Ok((header.commit(), applied))
    }
}

/// How this incarnation's log will open: after the author's newest log that is held.
fn own_log(history: &History, node: NodeId, nonce: u64) -> OwnLog {
    let own = history.vector.logs().iter().filter(|(_, held)| held.node == node);
    let newest = own.max_by_key(|(log, held)| (held.incarnation, **log));
    let opening = Opening {
        node,
        incarnation: newest.map_or(0, |(_, held)| held.incarnation).saturating_add(1),
        nonce,
        predecessor: newest.and_then(|(log, _)| history.vector.head(log)),
    };
    OwnLog { opening, id: opening.log_id(&history.roster.network_id()) }
}

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn day(now_ms: u64) -> u32 {
    u32::try_from(now_ms / DAY_MS).unwrap_or(u32::MAX)
}

/// The answer that the same request got today or yesterday.
fn answered(turn: &Turn<'_>, request: &WriteRequest) -> Result<Option<WriteReceipt>, ReadError> {
    let id = &request.provenance.request;
    if id.is_empty() {
        return Ok(None);
    }
    let today = day(turn.now_ms);
    for day in [today, today.saturating_sub(1)] {
        let key = layout::request_key(day, id);
        if let Some(bytes) = turn.view.get(&key)? {
            return serde_json::from_slice(&bytes).map(Some).map_err(|_| ReadError::damaged(&key));
        }
    }
    Ok(None)
}

fn remember_answer(turn: &mut Turn<'_>, request: &WriteRequest, receipt: &WriteReceipt) {
    let id = &request.provenance.request;
    if !id.is_empty() {
        let key = layout::request_key(day(turn.now_ms), id);
        let value = crdt_model::value::canonical_json(receipt).into_bytes();
        // One that does not fit is not kept: a repetition finds that nothing differs.
        if value.len() <= RECORD_BYTES_MAX {
            turn.persist(vec![Op::Put(key, value)]);
        }
    }
}

/// How many forgotten answers are read at a time: they may be long.
const FORGET_PAGE: usize = 100;
/// How many pages are deleted at one heartbeat.
const FORGET_PAGES: usize = 10;

/// Deletes answers older than yesterday, some pages at a time. Nearly always there is none, and then
/// one answer is read.
fn forget_answers(turn: &mut Turn<'_>) -> Result<(), ReadError> {
    let kept_from = layout::request_key(day(turn.now_ms).saturating_sub(1), "")[..5].to_vec();
    let is_old = |key: &[u8]| key[..5] < kept_from[..];
    let prefix = [layout::REQUEST];
    let mut from = prefix.to_vec();
    let first = turn.view.scan(&prefix, &from, 1)?;
    if !first.first().is_some_and(|(key, _)| is_old(key)) {
        return Ok(());
    }
    for _ in 0..FORGET_PAGES {
        let page = turn.view.scan(&prefix, &from, FORGET_PAGE)?;
        let full = page.len() == FORGET_PAGE;
        let old: Vec<Vec<u8>> =
            page.into_iter().map(|(key, _)| key).take_while(|key| is_old(key)).collect();
        let Some(last) = old.last() else { break };
        from.clone_from(last);
        let more = full && old.len() == FORGET_PAGE;
        turn.persist(old.into_iter().map(Op::Delete).collect());
        if !more {
            break;
        }
    }
    Ok(())
}
