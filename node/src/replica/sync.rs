//! Who sends what to whom: hello, vectors, commits, acknowledgements, heartbeats.
//!
//! There are no send queues. For each link the replica knows how far the peer holds each log, or has
//! been sent it (`known`), and the next commit to send is the one with the lowest feed position
//! beyond that. So catching up and passing on a fresh commit are one mechanism, a slow peer costs
//! nothing but its bounded window, and causes always travel before effects.
//!
//! A commit that came from a peer is not passed on to those to whom that peer has a link itself:
//! they get it from there. If no acknowledgement of theirs says so by the next heartbeat, it is sent
//! after all. The idea of push plus anti-entropy is that of Demers et al., "Epidemic algorithms for
//! replicated database maintenance", 1987.

use std::collections::BTreeSet;

use crdt_model::id::{CommitRef, LogId};

use super::action::Action;
use super::ahead::{Ahead, Firsts};
use super::block::COLUMNS_SINCE;
use super::commit::Commit;
use super::event::LinkId;
use super::frame::{Digests, Frame, Heartbeat, Hello, PROTOCOL_MAX, PROTOCOL_MIN, encode_commits};
use super::history::Place;
use super::limits::{
    BLOCK_BYTES_SMALL, BLOCK_BYTES_TARGET, HEARTBEAT_MS, LINK_IN_FLIGHT_MAX, NODE_IN_FLIGHT_MAX,
    STALL_MS,
};
use super::node_id::NodeId;
use super::peers::Link;
use super::records::Records;
use super::roster::RosterError;
use super::vector::{ToldLog, Vector, first_8, held_by_peer};
use super::{Replica, Turn, forget_answers};
use crate::kv::ReadError;

type Outcome = Result<(), ReadError>;

/// When a block is closed. The first ones are small, so that the peer has something to do soon, and so
/// are the last ones, so that in the end it does not wait for one of its threads.
struct Full {
    bytes: usize,
    /// A quarter of the commits that are left.
    commits: u64,
}

impl Full {
    fn of(link: &Link, ours: &Vector) -> Self {
        let sent = usize::try_from(link.sent).unwrap_or(usize::MAX);
        // An older release takes shorter blocks than this one.
        let is_older = link.version < COLUMNS_SINCE;
        let most = if is_older { BLOCK_BYTES_SMALL } else { BLOCK_BYTES_TARGET };
        let bytes = sent.saturating_mul(8).clamp(BLOCK_BYTES_SMALL, most);
        let known = |log| link.known.get(log).copied().unwrap_or(0);
        let left = |log| ours.seq(log).saturating_sub(known(log));
        Self { bytes, commits: link.lacking.iter().map(left).sum::<u64>() / 4 }
    }

    const fn is(&self, commits: usize, bytes: usize) -> bool {
        bytes >= self.bytes || bytes >= BLOCK_BYTES_SMALL && commits as u64 >= self.commits
    }
}

impl Replica {
    pub(super) fn frame(&mut self, turn: &mut Turn<'_>, id: LinkId, read: Ahead) -> Outcome {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        link.received += read.length as u64;
        let (node, greeted) = (link.peer, link.greeted);
        let frame = match read.frame {
            Ok(frame) => frame,
            Err(error) => {
                self.hang_up(turn, id, &format!("a frame cannot be decoded: {error}"));
                return Ok(());
            }
        };
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.heard_ms = turn.now_ms;
        }
        match frame {
            Frame::Hello(hello) => self.hello(turn, id, &hello),
            _ if !greeted => {
                self.hang_up(turn, id, "a frame came before the hello");
                Ok(())
            }
            Frame::Roster { from, entries } => self.roster(turn, id, from, &entries),
            Frame::Vector(told) => self.vector(turn, id, node, &told),
            Frame::Commits(commits) => self.commits(turn, id, &commits, read.firsts),
            Frame::Ack(entries) => {
                self.ack(id, node, &entries);
                Ok(())
            }
            Frame::Heartbeat(beat) => self.heartbeat(turn, id, node, &beat),
            Frame::Branch(headers) => self.branch(turn, headers),
            Frame::Fork(proof) => {
                self.fork(turn, Some(id), &proof)?;
                self.pump_all(turn)
            }
            Frame::Linked(keys) => {
                if let Some(link) = self.links.get_mut(&id) {
                    link.linked = keys.into_iter().collect();
                }
                Ok(())
            }
        }
    }

    fn hello(&mut self, turn: &mut Turn<'_>, id: LinkId, hello: &Hello) -> Outcome {
        let ours = self.history.roster.network_id();
        if hello.network != *ours.as_bytes() {
            self.hang_up(turn, id, "it belongs to another network");
            return Ok(());
        }
        let version = hello.version_max.min(PROTOCOL_MAX);
        if version < hello.version_min.max(PROTOCOL_MIN) {
            let reason = format!(
                "no common protocol version: it speaks {} to {}, this node {PROTOCOL_MIN} to {PROTOCOL_MAX}",
                hello.version_min, hello.version_max
            );
            self.hang_up(turn, id, &reason);
            return Ok(());
        }
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        (link.greeted, link.version) = (true, version);
        let node = link.peer;
        self.heard(turn, node, hello.clock_ms, &hello.digests);
        let theirs = hello.digests.roster_height;
        if theirs < self.history.roster.height() {
            self.send_roster(turn, id, theirs);
        }
        if hello.digests.history == self.history.vector.digest() {
            self.equal(id, node);
            return Ok(());
        }
        self.tell_vector(turn, id);
        Ok(())
    }

    /// Sends the roster's entries from a height on.
    pub(super) fn send_roster(&mut self, turn: &mut Turn<'_>, id: LinkId, height: u64) {
        for (from, entries) in self.history.roster.parts_from(height) {
            self.send(turn, id, &Frame::Roster { from, entries });
        }
    }

    /// Takes note that a peer holds exactly what we hold.
    fn equal(&mut self, id: LinkId, node: NodeId) {
        let held = || self.history.vector.logs().iter().map(|(log, held)| (*log, held.seq));
        if let Some(link) = self.links.get_mut(&id) {
            link.known = held().collect();
            link.lacking.clear();
            link.pending.clear();
            link.owed_at_ms = None;
            link.compared = true;
        }
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.reported = held().collect();
            (peer.ahead, peer.unequal_since_ms) = (0, None);
        }
        self.caught_up();
    }

    /// Books the clock and the digests of a peer, and compares what is shown.
    fn heard(&mut self, turn: &mut Turn<'_>, node: NodeId, clock_ms: u64, digests: &Digests) {
        let ours = self.digests();
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let offset = i128::from(clock_ms) - i128::from(turn.now_ms);
        peer.clock_offset_ms = i64::try_from(offset).unwrap_or(i64::MAX);
        peer.heard_ms = turn.now_ms;
        peer.digests = Some(*digests);
        if digests.history != ours.history {
            peer.unequal_since_ms.get_or_insert(turn.now_ms);
        }
        let same = digests.history == ours.history && digests.control == ours.control;
        // While records are resolved again by a new policy, what is shown is of no one rule.
        let comparable = digests.rules == ours.rules && ours.rules != [0; 8];
        if same && comparable && digests.golden != ours.golden {
            self.alarm(
                turn,
                format!(
                    "this node and {node} hold the same history and show different golden records: run `concord verify` on both"
                ),
            );
        }
        if digests.roster_height == ours.roster_height && digests.control != ours.control {
            let height = ours.roster_height;
            self.alarm(turn, RosterError::Forked { height }.to_string());
        }
    }

    fn roster(&mut self, turn: &mut Turn<'_>, id: LinkId, from: u64, entries: &[u8]) -> Outcome {
        let mut roster = self.history.roster.clone();
        match roster.extend(from, entries) {
            Ok(true) => self.take_roster(turn, roster, Some(id)),
            Ok(false) => Ok(()),
            Err(error @ RosterError::Forked { .. }) => {
                self.alarm(turn, error.to_string());
                Ok(())
            }
            Err(error) => {
                self.hang_up(turn, id, &error.to_string());
                Ok(())
            }
        }
    }

    /// Tells a peer how far we hold every log, so that it sends the rest.
    pub(super) fn tell_vector(&mut self, turn: &mut Turn<'_>, id: LinkId) {
        let told = self.history.vector.told();
        if let Some(link) = self.links.get_mut(&id).filter(|link| link.greeted) {
            link.told_at_ms = Some(turn.now_ms);
            link.progress_ms = turn.now_ms;
            self.send(turn, id, &Frame::Vector(told));
        }
    }

    fn vector(
        &mut self,
        turn: &mut Turn<'_>,
        id: LinkId,
        node: NodeId,
        told: &[ToldLog],
    ) -> Outcome {
        let held = held_by_peer(&self.history.vector, told);
        let ours = &self.history.vector;
        let counts = |entry: &ToldLog| {
            let end = ours.forks().get(&entry.log).map_or(u64::MAX, |void| void - 1);
            entry.seq.min(end).saturating_sub(ours.seq(&entry.log))
        };
        let ahead = told.iter().fold(0_u64, |ahead, entry| ahead.saturating_add(counts(entry)));
        let forked = told.iter().find(|entry| {
            let state = ours.get(&entry.log);
            state.is_some_and(|state| state.seq == entry.seq && first_8(&state.hash) != entry.hash)
        });
        let forked = forked.map(|entry| entry.log);
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.reported.clone_from(&held);
            peer.ahead = ahead;
        }
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        link.lacking =
            held.iter().filter(|(log, seq)| **seq < ours.seq(log)).map(|(log, _)| *log).collect();
        link.known = held;
        link.pending.clear();
        link.compared = true;
        let told_lately = link.told_at_ms.is_some_and(|at| turn.now_ms < at + STALL_MS);
        self.tell_forks(turn, id)?;
        if let Some(log) = forked {
            self.show_branch(turn, id, &log)?;
        }
        if ahead == 0 {
            self.caught_up();
        }
        if !told_lately {
            self.tell_vector(turn, id);
        }
        self.pump(turn, id)
    }

    fn commits(
        &mut self,
        turn: &mut Turn<'_>,
        id: LinkId,
        commits: &[Commit],
        firsts: Vec<Firsts>,
    ) -> Outcome {
        let mut firsts = firsts.into_iter();
        let mut taken = BTreeSet::new();
        let mut gap = false;
        let mut fault = None;
        let mut outcome = Ok(());
        for commit in commits {
            let at = commit.signed.header.commit();
            let place = match self.take(turn, commit, firsts.next().unwrap_or_default()) {
                Ok(place) => place,
                Err(error) => {
                    // What stood before it is taken, and the peers must hear of it.
                    outcome = Err(error);
                    break;
                }
            };
            match place {
                Place::Next { .. } => {
                    taken.insert(at.log);
                }
                Place::Known | Place::MissingEpoch => {}
                Place::MissingCause => gap = true,
                Place::Void | Place::Fork(_) => {
                    outcome = self.forked(turn, id, &place, commit);
                    if outcome.is_err() {
                        break;
                    }
                    continue;
                }
                Place::Unauthentic(why) => {
                    fault = Some(format!("commit {at} is refused: {why}"));
                    break;
                }
            }
            let ours = self.history.vector.seq(&at.log);
            let Some(link) = self.links.get_mut(&id) else { continue };
            if ours > 0 {
                link.holds(at.log, at.seq, ours);
            }
            link.progress_ms = turn.now_ms;
            let fresh = matches!(place, Place::Next { .. });
            if let Some(peer) = self.peers.get_mut(&link.peer)
                && (fresh || place == Place::Known)
            {
                // Nobody sends what is not durable.
                peer.holds(at.log, at.seq);
                peer.ahead = peer.ahead.saturating_sub(u64::from(fresh));
            }
        }
        self.acknowledge(turn, &taken);
        for log in &taken {
            self.spread(turn, *log, Some(id));
        }
        match fault {
            Some(reason) => self.hang_up(turn, id, &reason),
            None if gap && !self.told_lately(turn, id) => self.tell_vector(turn, id),
            None => {}
        }
        let pumped = self.pump_all(turn);
        outcome.and(pumped)
    }

    /// A commit contradicts what is held, or stands where its log has ended. Beside the one that is
    /// held under its number it is the proof of a fork.
    fn forked(
        &mut self,
        turn: &mut Turn<'_>,
        id: LinkId,
        place: &Place,
        commit: &Commit,
    ) -> Outcome {
        let Place::Fork(log) = place else { return self.tell_forks(turn, id) };
        let at = commit.signed.header.commit();
        let ours = Records::new(&turn.view).header(&at)?;
        match ours.filter(|ours| at.log == *log && ours.hash() != commit.signed.hash()) {
            Some(ours) => self.contradicted(turn, ours, commit.signed.clone()),
            None => self.show_branch(turn, id, log),
        }
    }

    fn told_lately(&self, turn: &Turn<'_>, id: LinkId) -> bool {
        let told = self.links.get(&id).and_then(|link| link.told_at_ms);
        told.is_some_and(|at| turn.now_ms < at + STALL_MS)
    }

    /// Applies a commit if it is the next one.
    fn take(
        &mut self,
        turn: &mut Turn<'_>,
        commit: &Commit,
        firsts: Firsts,
    ) -> Result<Place, ReadError> {
        let place = self.history.place(commit, &turn.view)?;
        #[cfg(test)]
        let place = self.history.misplace(place, commit);
        if let Place::Next { author, region } = &place {
            let by = (author, region);
            let applied = self.history.take_read(commit, firsts, by, turn.now_ms, &turn.view)?;
            self.moved.insert(commit.signed.header.log);
            self.freshness.wrote(*author, commit.signed.header.time.ms());
            turn.persist(applied.ops);
            for text in applied.alarms {
                self.alarm(turn, text);
            }
            if commit.signed.header.opening.is_some() {
                self.shun_if_boundless(turn, *author);
            }
        }
        Ok(place)
    }

    /// Tells every peer how far these logs are now held. The order contract of the actions makes it a
    /// statement about what is durable.
    fn acknowledge(&mut self, turn: &mut Turn<'_>, logs: &BTreeSet<LogId>) {
        if logs.is_empty() {
            return;
        }
        let entries = logs.iter().map(|log| (*log, self.history.vector.seq(log))).collect();
        let frame = Frame::Ack(entries);
        let greeted: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| link.greeted).map(|(id, _)| *id).collect();
        for id in greeted {
            self.send(turn, id, &frame);
        }
    }

    fn ack(&mut self, id: LinkId, node: NodeId, entries: &[(LogId, u64)]) {
        for (log, seq) in entries {
            let ours = self.history.vector.seq(log);
            if ours == 0 {
                // Nobody may fill our memory with names of logs; one that exists is told again.
                continue;
            }
            if let Some(link) = self.links.get_mut(&id) {
                link.holds(*log, *seq, ours);
            }
            if let Some(peer) = self.peers.get_mut(&node) {
                peer.holds(*log, *seq);
            }
        }
    }

    fn heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        id: LinkId,
        node: NodeId,
        beat: &Heartbeat,
    ) -> Outcome {
        self.heard(turn, node, beat.clock_ms, &beat.digests);
        self.freshness.told(node, beat.clock_ms, beat.newest, &self.history.vector);
        if let Some(peer) = self.peers.get_mut(&node) {
            // A link that lasted a heartbeat works; a hello alone proves little.
            (peer.failures, peer.last_error) = (0, None);
        }
        let theirs = beat.digests.roster_height;
        if theirs < self.history.roster.height() {
            self.send_roster(turn, id, theirs);
        }
        let equal = beat.digests.history == self.history.vector.digest();
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let idle = link.pending.is_empty() && link.in_flight == 0;
        let stalled = idle && turn.now_ms >= link.progress_ms + STALL_MS;
        if equal {
            self.equal(id, node);
        } else if stalled {
            self.tell_vector(turn, id);
        }
        Ok(())
    }

    /// Marks a log that grew as lacking at every peer that does not hold it.
    pub(super) fn spread(&mut self, turn: &Turn<'_>, log: LogId, from: Option<LinkId>) {
        let ours = self.history.vector.seq(&log);
        let linked = from.and_then(|from| self.links.get(&from)).map(|link| link.linked.clone());
        for (id, link) in &mut self.links {
            let lacks = link.compared && link.known.get(&log).copied().unwrap_or(0) < ours;
            if !lacks || Some(*id) == from {
                continue;
            }
            link.lacking.insert(log);
            let spared = linked
                .as_ref()
                .is_some_and(|linked| linked.contains(&first_8(link.peer.as_bytes())));
            let due = if spared { turn.now_ms + HEARTBEAT_MS } else { turn.now_ms };
            link.owed_at_ms = Some(link.owed_at_ms.map_or(due, |owed| owed.min(due)));
        }
    }

    pub(super) fn pump_all(&mut self, turn: &mut Turn<'_>) -> Outcome {
        let due: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| link.owed_at_ms.is_some_and(|at| at <= turn.now_ms))
            .map(|(id, _)| *id)
            .collect();
        due.into_iter().try_for_each(|id| self.pump(turn, id))
    }

    pub(super) fn sent(&mut self, turn: &mut Turn<'_>, id: LinkId, bytes: usize) -> Outcome {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        link.in_flight = link.in_flight.saturating_sub(bytes);
        if link.pending.is_empty() { Ok(()) } else { self.pump(turn, id) }
    }

    /// Sends a peer what it lacks, as far as its window allows.
    fn pump(&mut self, turn: &mut Turn<'_>, id: LinkId) -> Outcome {
        self.line_up(turn, id)?;
        while let Some(block) = self.next_block(turn, id)? {
            self.tell_linked(turn, id);
            let version = self.links.get(&id).map_or(PROTOCOL_MIN, |link| link.version);
            self.send_bytes(turn, id, encode_commits(&block, version));
        }
        Ok(())
    }

    /// Tells a peer that is about to get commits to whom else they go from here, unless it knows.
    fn tell_linked(&mut self, turn: &mut Turn<'_>, id: LinkId) {
        let others = self.links.iter().filter(|(other, link)| **other != id && link.greeted);
        let linked: Vec<_> = others.map(|(_, link)| first_8(link.peer.as_bytes())).collect();
        let Some(link) = self.links.get_mut(&id).filter(|link| link.linked_told != linked) else {
            return;
        };
        link.linked_told.clone_from(&linked);
        self.send(turn, id, &Frame::Linked(linked));
    }

    /// Puts the next commit of every lacking log in line.
    fn line_up(&mut self, turn: &mut Turn<'_>, id: LinkId) -> Outcome {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        link.owed_at_ms = None;
        let lined_up: BTreeSet<LogId> = link.pending.values().copied().collect();
        let missing: Vec<LogId> = link.lacking.difference(&lined_up).copied().collect();
        let mut damage = Vec::new();
        for log in missing {
            let seq = link.known.get(&log).copied().unwrap_or(0) + 1;
            match position(turn, &CommitRef { log, seq }) {
                Ok(position) => {
                    link.pending.insert(position, log);
                }
                Err(error) => damage.push(link.leave_out(log, error)?),
            }
        }
        self.damaged(turn, &damage);
        Ok(())
    }

    /// Tells the operator what cannot be sent. The other logs go on.
    fn damaged(&mut self, turn: &mut Turn<'_>, damage: &[ReadError]) {
        for error in damage {
            self.alarm(turn, format!("a commit cannot be sent to the peers: {error}"));
        }
    }

    /// Takes the next commits from the line, up to the size of a block; none when the line is empty
    /// or the window is full.
    fn next_block(
        &mut self,
        turn: &mut Turn<'_>,
        id: LinkId,
    ) -> Result<Option<Vec<Vec<u8>>>, ReadError> {
        let share = NODE_IN_FLIGHT_MAX / self.links.len().max(1);
        let Some(link) = self.links.get_mut(&id) else { return Ok(None) };
        if link.in_flight >= share.min(LINK_IN_FLIGHT_MAX) {
            return Ok(None);
        }
        let full = Full::of(link, &self.history.vector);
        let (mut block, mut size) = (Vec::new(), 0);
        let mut damage = Vec::new();
        while !full.is(block.len(), size) {
            let Some((lined_up, log)) = link.pending.pop_first() else { break };
            let at = CommitRef { log, seq: link.known.get(&log).copied().unwrap_or(0) + 1 };
            match position(turn, &at) {
                Ok(actual) if actual == lined_up => {}
                Ok(actual) => {
                    // An acknowledgement moved the log on meanwhile.
                    link.pending.insert(actual, log);
                    continue;
                }
                Err(error) => {
                    damage.push(link.leave_out(log, error)?);
                    continue;
                }
            }
            let bytes = match encoded(turn, &at) {
                Ok(bytes) => bytes,
                Err(error) => {
                    damage.push(link.leave_out(log, error)?);
                    continue;
                }
            };
            size += bytes.len();
            block.push(bytes);
            link.known.insert(log, at.seq);
            if at.seq == self.history.vector.seq(&log) {
                link.lacking.remove(&log);
                continue;
            }
            match position(turn, &CommitRef { log, seq: at.seq + 1 }) {
                Ok(next) => {
                    link.pending.insert(next, log);
                }
                Err(error) => damage.push(link.leave_out(log, error)?),
            }
        }
        link.progress_ms = turn.now_ms;
        self.damaged(turn, &damage);
        Ok((!block.is_empty()).then_some(block))
    }

    pub(super) fn send(&mut self, turn: &mut Turn<'_>, id: LinkId, frame: &Frame) {
        self.send_bytes(turn, id, frame.encode());
    }

    fn send_bytes(&mut self, turn: &mut Turn<'_>, id: LinkId, frame: Vec<u8>) {
        if let Some(link) = self.links.get_mut(&id) {
            link.in_flight += frame.len();
            link.sent += frame.len() as u64;
            turn.actions.push(Action::Send { link: id, frame });
        }
    }

    /// Tells the digests to every peer that was not told the same a moment ago, by a hello or a heartbeat.
    fn beat(&mut self, turn: &mut Turn<'_>) {
        let digests = self.digests();
        let newest = self.newest_own();
        let beat = Frame::Heartbeat(Heartbeat { clock_ms: turn.now_ms, digests, newest });
        let known_until = |link: &Link| match link.digests_told {
            Some((at_ms, told)) if told == digests => at_ms + self.config.heartbeat_ms,
            Some(_) | None => 0,
        };
        let due = self.links.iter().filter(|(_, link)| link.greeted);
        let due = due.filter(|(_, link)| known_until(link) <= turn.now_ms);
        let due: Vec<LinkId> = due.map(|(id, _)| *id).collect();
        for id in due {
            if let Some(link) = self.links.get_mut(&id) {
                link.digests_told = Some((turn.now_ms, digests));
            }
            self.send(turn, id, &beat);
        }
    }

    pub(super) fn tick(&mut self, turn: &mut Turn<'_>) -> Outcome {
        self.dial_due(turn);
        self.follow_policy(turn)?;
        self.look_again(turn)?;
        let is_settled = self.settled.1.is_some_and(|at| turn.now_ms >= at);
        if is_settled || turn.now_ms >= self.beat_at_ms {
            self.settled.1 = None;
            self.beat_at_ms = turn.now_ms + self.config.heartbeat_ms;
            self.beat(turn);
            forget_answers(turn)?;
        }
        self.pump_all(turn)
    }
}

/// A commit as it travels.
fn encoded(turn: &Turn<'_>, commit: &CommitRef) -> Result<Vec<u8>, ReadError> {
    let damaged = || ReadError::damaged(&super::layout::commit_key(commit));
    let found = Records::new(&turn.view).commit(commit)?;
    Ok(found.ok_or_else(damaged)?.encode())
}

fn position(turn: &Turn<'_>, commit: &CommitRef) -> Result<u64, ReadError> {
    let damaged = || ReadError::damaged(&super::layout::commit_key(commit));
    let found = Records::new(&turn.view).header_at(commit)?;
    Ok(found.ok_or_else(damaged)?.0)
}
