//! Whom to call, whom to hear, and what is told about it: membership, links and back-off.

use super::action::Action;
use super::advice::advice;
use super::event::{LinkId, RosterOutcome};
use super::frame::{Frame, Hello, PROTOCOL_MAX, PROTOCOL_MIN};
use super::limits::{BACKOFF_MS_MAX, COURTESY_MS, HEARTBEAT_MS, OPEN_LOGS_MAX, SETTLED_MS};
use super::node_id::NodeId;
use super::peers::Link;
use super::roster::{Member, Roster};
use super::status::{Agreement, PeerStatus, PolicyStatus, Status};
use super::vector::first_8;
use super::{Replica, Turn};
use crate::kv::ReadError;

/// What a member is told that opens logs without end.
const BOUNDLESS: &str =
    "it has opened too many logs; it must be revoked and admitted with a new key";

impl Replica {
    /// Keeps a peer for every other member with whom links are wanted.
    pub(super) fn meet_members(&mut self) {
        let members = self.history.roster.members();
        let wanted = |member: &Member| {
            member.node != self.node
                && (self.config.connect.is_empty() || self.config.connect.contains(&member.name))
        };
        let wanted: Vec<NodeId> =
            members.values().filter(|member| wanted(member)).map(|member| member.node).collect();
        self.peers.retain(|node, _| wanted.contains(node));
        for node in wanted {
            self.peers.entry(node).or_default();
        }
    }

    /// The calls to make, and when. The node with the lower key calls at once, the other only when
    /// the first did not get through, so that two nodes seldom call each other at the same time.
    pub(super) fn dials_planned(&self) -> impl Iterator<Item = (&Member, u64)> {
        let roster = &self.history.roster;
        let outbound_only = roster.member(&self.node).is_none_or(|own| own.addresses.is_empty());
        self.peers.iter().filter_map(move |(node, peer)| {
            let member = roster.member(node)?;
            if self.shunned.contains(node) {
                return None;
            }
            if peer.link.is_some() || peer.dialing || member.addresses.is_empty() {
                return None;
            }
            let first = outbound_only || self.node < *node;
            let courtesy = if first { 0 } else { COURTESY_MS };
            Some((member, peer.dial_at_ms.max(peer.since_ms + courtesy)))
        })
    }

    pub(super) fn dial_due(&mut self, turn: &mut Turn<'_>) {
        let due: Vec<(NodeId, Vec<String>)> = self
            .dials_planned()
            .filter(|(_, at)| *at <= turn.now_ms)
            .map(|(member, _)| (member.node, member.addresses.clone()))
            .collect();
        for (node, addresses) in due {
            if let Some(peer) = self.peers.get_mut(&node) {
                peer.dialing = true;
            }
            turn.actions.push(Action::Dial { peer: node, addresses });
        }
    }

    pub(super) fn link_up(&mut self, turn: &mut Turn<'_>, id: LinkId, peer: NodeId, dialed: bool) {
        if self.links.contains_key(&id) {
            return;
        }
        let Some(known) = self.peers.get_mut(&peer) else {
            let reason = "no link is wanted with this node (see `connect` in its configuration)";
            turn.actions.push(Action::Close { link: id, reason: reason.to_owned() });
            return;
        };
        known.dialing = false;
        if self.shunned.contains(&peer) {
            turn.actions.push(Action::Close { link: id, reason: BOUNDLESS.to_owned() });
            return;
        }
        if let Some(other) = known.link {
            // Both called. Both keep the call of the lower key; a second call by the same side means
            // that the first one is dead.
            let lower = self.node.min(peer);
            let caller = |dialed: bool| if dialed { self.node } else { peer };
            let old = self.links.get(&other).is_some_and(|link| caller(link.dialed) == lower);
            let spare = if old && caller(dialed) != lower { id } else { other };
            turn.actions.push(Action::Close {
                link: spare,
                reason: "a second link of one pair".to_owned(),
            });
            if spare == id {
                return;
            }
            if let Some(old) = self.links.remove(&other) {
                known.lost(&old);
            }
        }
        known.link = Some(id);
        known.since_ms = turn.now_ms;
        let digests = self.digests();
        let mut link = Link::new(peer, dialed, turn.now_ms);
        link.digests_told = Some((turn.now_ms, digests));
        self.links.insert(id, link);
        let hello = Hello {
            version_min: PROTOCOL_MIN,
            version_max: PROTOCOL_MAX,
            network: *self.history.roster.network_id().as_bytes(),
            clock_ms: turn.now_ms,
            digests,
        };
        self.send(turn, id, &Frame::Hello(hello));
    }

    /// Ends the links with a member that opens logs without end. Its commits still come by others:
    /// what is held must be alike everywhere, and only a revocation says where to stop.
    pub(super) fn shun_if_boundless(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        if self.history.vector.open_logs(&node) <= OPEN_LOGS_MAX || !self.shunned.insert(node) {
            return;
        }
        self.alarm(
            turn,
            format!(
                "node {node} has over {OPEN_LOGS_MAX} logs that it does not go on from, so no link with it is kept: its key is stolen or it is broken; revoke it (`concord network revoke`) and admit it with a new key"
            ),
        );
        if let Some(link) = self.peers.get(&node).and_then(|peer| peer.link) {
            self.hang_up(turn, link, BOUNDLESS);
        }
    }

    /// Pulls in every deadline when the wall clock was set back, so that nothing waits for a time
    /// that comes again only after as long as the clock fell.
    pub(super) fn clock_fell(&mut self, now_ms: u64) {
        let fell_ms = i64::try_from(self.heard_ms.saturating_sub(now_ms)).unwrap_or(i64::MAX);
        self.beat_at_ms = self.beat_at_ms.min(now_ms + self.config.heartbeat_ms);
        self.settled.1 = self.settled.1.map(|at| at.min(now_ms + SETTLED_MS));
        for peer in self.peers.values_mut() {
            peer.dial_at_ms = peer.dial_at_ms.min(now_ms + BACKOFF_MS_MAX);
            peer.since_ms = peer.since_ms.min(now_ms);
            peer.heard_ms = peer.heard_ms.min(now_ms);
            // Its clock did not step with ours.
            peer.clock_offset_ms = peer.clock_offset_ms.saturating_add(fell_ms);
        }
        for link in self.links.values_mut() {
            link.owed_at_ms = link.owed_at_ms.map(|at| at.min(now_ms + HEARTBEAT_MS));
            link.told_at_ms = link.told_at_ms.map(|at| at.min(now_ms));
            link.digests_told = link.digests_told.map(|(at, told)| (at.min(now_ms), told));
            link.progress_ms = link.progress_ms.min(now_ms);
        }
    }

    pub(super) fn link_down(&mut self, turn: &Turn<'_>, id: LinkId, reason: &str) {
        let Some(link) = self.links.remove(&id) else { return };
        let jitter = self.jitter(&link.peer);
        let Some(peer) = self.peers.get_mut(&link.peer) else { return };
        peer.link = None;
        peer.lost(&link);
        peer.since_ms = turn.now_ms;
        peer.last_error = Some(reason.to_owned());
        peer.back_off(turn.now_ms, jitter);
    }

    pub(super) fn dial_failed(&mut self, turn: &Turn<'_>, node: NodeId, reason: &str) {
        let jitter = self.jitter(&node);
        let Some(peer) = self.peers.get_mut(&node) else { return };
        peer.dialing = false;
        if peer.link.is_none() {
            peer.last_error = Some(reason.to_owned());
            peer.back_off(turn.now_ms, jitter);
        }
    }

    /// Spreads attempts without randomness: a number that differs by pair and attempt.
    fn jitter(&self, peer: &NodeId) -> u64 {
        let failures = self.peers.get(peer).map_or(0, |peer| peer.failures);
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.node.as_bytes()).update(peer.as_bytes()).update(&failures.to_be_bytes());
        u64::from_be_bytes(first_8(hasher.finalize().as_bytes()))
    }

    pub(super) fn turned_away(&mut self, key: Option<NodeId>, reason: &str) {
        self.refused += 1;
        if let Some(peer) = key.and_then(|key| self.peers.get_mut(&key)) {
            peer.last_error = Some(reason.to_owned());
        }
    }

    /// Ends a link because of what the peer did.
    pub(super) fn hang_up(&mut self, turn: &mut Turn<'_>, id: LinkId, reason: &str) {
        self.refused += 1;
        turn.actions.push(Action::Close { link: id, reason: reason.to_owned() });
        self.link_down(turn, id, reason);
    }

    pub(super) fn roster_from_operator(
        &mut self,
        turn: &mut Turn<'_>,
        bytes: &[u8],
    ) -> RosterOutcome {
        let mut roster = self.history.roster.clone();
        if roster.extend(0, bytes)? {
            self.take_roster(turn, roster, None)?;
        }
        Ok(self.history.roster.height())
    }

    /// Puts a longer roster in force and passes it on.
    pub(super) fn take_roster(
        &mut self,
        turn: &mut Turn<'_>,
        roster: Roster,
        from: Option<LinkId>,
    ) -> Result<(), ReadError> {
        let before = self.history.roster.height();
        let ops = self.history.adopt(roster, &turn.view)?;
        turn.persist(ops);
        self.policy_at_ms = Some(turn.now_ms);
        self.follow_policy(turn)?;
        turn.actions.push(Action::Admit(self.history.roster.keys()));
        self.meet_members();
        let strangers: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| !self.peers.contains_key(&link.peer))
            .map(|(id, _)| *id)
            .collect();
        for id in strangers {
            self.hang_up(turn, id, "not a member of the network any more");
        }
        let greeted: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(id, link)| link.greeted && Some(**id) != from)
            .map(|(id, _)| *id)
            .collect();
        for id in greeted {
            self.send_roster(turn, id, before);
        }
        // Commits that named these entries were not taken; ask for them again.
        let all: Vec<LinkId> = self.links.keys().copied().collect();
        all.into_iter().for_each(|id| self.tell_vector(turn, id));
        Ok(())
    }

    /// A snapshot for people.
    #[must_use]
    pub fn status(&self, now_ms: u64) -> Status {
        let hex = |hash: [u8; 32]| blake3::Hash::from_bytes(hash).to_hex().to_string();
        let digests = self.digests();
        let roster = &self.history.roster;
        let members = roster.members();
        let own = members.get(&self.node);
        let others = members.values().filter(|member| member.node != self.node);
        let peers: Vec<_> = others.map(|member| self.peer_status(member, now_ms)).collect();
        let state = &self.history.state;
        Status {
            node: self.node.to_string(),
            name: own.map(|own| own.name.clone()).unwrap_or_default(),
            region: own.map(|own| own.region.to_string()).unwrap_or_default(),
            network: roster.name().to_owned(),
            network_id: roster.network_id().to_string(),
            at_ms: now_ms,
            roster_height: roster.height(),
            history_digest: hex(digests.history),
            golden_digest: hex(digests.golden),
            commits: self.commits_held(),
            feed_position: state.feed,
            policy: PolicyStatus::of(&self.history, now_ms),
            records: state.records,
            conflicted_records: state.conflicted,
            quarantined_items: state.quarantined,
            refused: self.refused,
            ready: self.ready,
            clock_offset_s: self.clock_offset(now_ms).map(|offset| offset / 1_000),
            alarms: self.alarms.clone(),
            agreement: Agreement::of(&peers, now_ms),
            regions: self.freshness.regions(roster, &self.history.vector, self.node, now_ms),
            peers,
        }
    }

    fn peer_status(&self, member: &Member, now_ms: u64) -> PeerStatus {
        let peer = self.peers.get(&member.node).cloned().unwrap_or_default();
        let link = peer.link.and_then(|id| self.links.get(&id));
        let connected = link.is_some_and(|link| link.greeted);
        let ours = self.digests();
        let theirs = peer.digests;
        // A folded log is held by whoever holds the one that goes on from it.
        let behind = self.history.vector.unfolded().map(|(log, held)| {
            held.seq.saturating_sub(peer.reported.get(log).copied().unwrap_or(0))
        });
        let behind = behind.sum();
        let (sent, received) = peer.bytes_before;
        let behind_since_ms = match behind {
            0 => 0,
            // What it was when it was last heard is the last that is known of it.
            _ => peer.unequal_since_ms.unwrap_or(if connected { now_ms } else { peer.heard_ms }),
        };
        let mut status = PeerStatus {
            node: member.node,
            name: member.name.clone(),
            region: member.region.to_string(),
            connected,
            since_ms: peer.since_ms,
            behind,
            behind_since_ms,
            ahead: peer.ahead,
            equal_history: theirs.is_some_and(|theirs| theirs.history == ours.history),
            equal_golden: theirs.is_some_and(|theirs| theirs.golden == ours.golden),
            heard_ms: peer.heard_ms,
            bytes_sent: sent + link.map_or(0, |link| link.sent),
            bytes_received: received + link.map_or(0, |link| link.received),
            last_error: peer.last_error.clone().filter(|_| !connected),
            advice: None,
        };
        status.advice = advice(&status, member, &peer, link, now_ms);
        status
    }
}
