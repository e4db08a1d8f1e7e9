//! What travels between the nodes: calls, links and frames.

use super::super::invariant::Seen;
use super::super::network::CONNECT_MS;
use super::{Happening, World, show};
use crate::replica::event::{Event, LinkId};
use crate::replica::node_id::NodeId;

impl World<'_> {
    pub(super) fn dial(&mut self, caller: usize, peer: NodeId) {
        self.show(Some(caller), &Seen::Called { node: caller });
        let Some(called) = self.nodes.iter().position(|node| node.key.id() == peer) else { return };
        if self.network.reaches(caller, called) && self.nodes[called].replica.is_some() {
            let path = self.path(caller, called);
            let delay_ms = 1 + path.latency_ms * 3 + self.random.below(path.jitter_ms + 1);
            self.after(delay_ms, Happening::Called { caller, called });
        } else {
            self.after(CONNECT_MS, Happening::Failed { caller, called });
        }
    }

    /// Whether a node shakes hands with another: the roster that it holds says so.
    fn takes(&self, at: usize, other: usize) -> bool {
        let key = self.nodes[other].key.id();
        let replica = self.nodes[at].replica.as_ref();
        replica.is_some_and(|replica| replica.history().roster.is_member(&key))
    }

    /// Counts a call that a node gets.
    fn rang(&mut self, at: usize) {
        let now_ms = self.now_ms;
        let node = &mut self.nodes[at];
        node.calls.push_back(now_ms);
        while node.calls.front().is_some_and(|first| first + 60_000 < now_ms) {
            node.calls.pop_front();
        }
        node.calls_max = node.calls_max.max(node.calls.len());
    }

    pub(super) fn called(&mut self, caller: usize, called: usize) {
        self.rang(called);
        let is_up = |at: usize| self.nodes[at].replica.is_some();
        if !is_up(caller) || !is_up(called) || !self.network.reaches(caller, called) {
            self.after(CONNECT_MS, Happening::Failed { caller, called });
            return;
        }
        if !self.takes(called, caller) || !self.takes(caller, called) {
            let (peer, reason) =
                (self.nodes[called].key.id(), "no member of the network".to_owned());
            self.event(caller, Event::DialFailed { peer, reason });
            return;
        }
        let link = self.network.open(caller, called);
        let latency_ms = self.path(caller, called).latency_ms;
        self.after(latency_ms, Happening::Up { link, at: caller });
        self.up(link, called);
    }

    pub(super) fn up(&mut self, link: LinkId, at: usize) {
        if !self.network.is_up(link, at) {
            return;
        }
        let Some(other) = self.network.other_end(link, at) else { return };
        let peer = self.nodes[other].key.id();
        let dialed = self.network.links.get(&link).is_some_and(|link| link.ends[0] == at);
        self.event(at, Event::LinkUp { link, peer, dialed });
    }

    pub(super) fn down(&mut self, link: LinkId, at: usize, reason: &str) {
        if self.network.is_up(link, at) {
            self.network.take_down(link, at);
            self.event(at, Event::LinkDown { link, reason: reason.to_owned() });
        }
    }

    pub(super) fn send(&mut self, from: usize, link: LinkId, frame: Vec<u8>) {
        self.trace.update(&frame);
        let Some(to) = self.network.other_end(link, from) else { return };
        let when = (self.now_ms, Some(from));
        let node = &self.nodes[from];
        let in_flight = node.in_flight + frame.len() as u64;
        let seen = Seen::Sent { node: from, frame: &frame, in_flight, disk: &node.disk };
        show(&mut self.invariants, &mut self.violation, when, &seen, self.plan);
        let mut frame = frame;
        let node = &mut self.nodes[from];
        if node.upgraded {
            speak_newer(&mut frame);
        }
        if let Some(liar) = &mut node.liar {
            liar.garble(&mut frame);
        }
        if frame.first() != Some(&HEARTBEAT) {
            self.spoke_ms = self.now_ms;
        }
        let path = self.path(from, to);
        let when = (self.now_ms, path);
        let Some(transit) = self.network.send(link, from, &frame, when, &mut self.random) else {
            return;
        };
        let bytes = frame.len();
        self.measures.sent(from, to, bytes);
        let node = &mut self.nodes[from];
        node.in_flight += bytes as u64;
        node.in_flight_max = node.in_flight_max.max(node.in_flight);
        self.agenda
            .put(transit.sent_ms.max(self.now_ms + 1), Happening::Sent { link, from, bytes });
        if let Some(arrives_ms) = transit.arrives_ms {
            self.agenda.put(arrives_ms, Happening::Arrival { link, to, frame });
        }
    }

    pub(super) fn arrive(&mut self, link: LinkId, to: usize, bytes: Vec<u8>) {
        if !self.network.is_up(link, to) {
            return;
        }
        if self.network.hold(link, to, &bytes) {
            return;
        }
        self.event(to, Event::Frame { link, bytes });
        if self.nodes[to].liar.is_some() {
            self.lie(link, to);
        }
    }

    /// A hostile node says what it likes to whoever spoke with it.
    fn lie(&mut self, link: LinkId, at: usize) {
        let local_ms = self.local_ms(at);
        let node = &mut self.nodes[at];
        let (Some(replica), Some(liar)) = (&node.replica, &mut node.liar) else { return };
        // Each peer hears one history; which, its place among the nodes says.
        let half = self.network.other_end(link, at).unwrap_or_default();
        let frames = liar.frames(half, local_ms, replica, &node.disk.view());
        for frame in frames {
            self.send(at, link, frame);
        }
    }
}

/// The kind of a heartbeat, the first byte of its frame (`docs/replication.md`).
const HEARTBEAT: u8 = 6;

/// What a release does that speaks one more protocol version: it says so in its hello.
fn speak_newer(frame: &mut [u8]) {
    // A hello is its kind, four bytes of magic, the oldest version and the newest.
    if let [1, _, _, _, _, _, newest, ..] = frame {
        *newest = newest.saturating_add(1);
    }
}
