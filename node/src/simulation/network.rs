//! A network in virtual time. Connections keep their frames in order and lose none, as QUIC does: a
//! lost packet is sent again and comes late, a path that is blocked holds its frames, and a
//! connection whose path is blocked for longer than the idle time ends.

use std::collections::BTreeMap;

use super::numbers::Numbers;
use super::plan::Path;
use crate::replica::event::LinkId;

/// How long a connection survives silence, as `transport` has it by default.
pub(super) const IDLE_MS: u64 = 15_000;
/// How long an attempt to connect takes to fail.
pub(super) const CONNECT_MS: u64 = 8_000;
/// Bytes of a packet.
const PACKET: usize = 1_200;

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    /// Who called, and who was called.
    pub(super) ends: [usize; 2],
    /// Whether each end still takes it for open.
    pub(super) up: [bool; 2],
    /// Until when each end's own sending is busy.
    busy_ms: [u64; 2],
    /// When the last frame to each end arrives.
    arrival_ms: [u64; 2],
    /// Frames that wait for a blocked path, towards each end.
    held: [Vec<Vec<u8>>; 2],
}

/// Connections and blocked ways.
#[derive(Debug, Default)]
pub(super) struct Network {
    pub(super) links: BTreeMap<LinkId, Link>,
    last: u64,
    /// How often each way is blocked at present.
    blocked: BTreeMap<(usize, usize), u32>,
    slow: BTreeMap<(usize, usize), u32>,
}

/// When a frame is out of the sender's hands, and when it is there; none while it is held.
pub(super) struct Transit {
    pub(super) sent_ms: u64,
    pub(super) arrives_ms: Option<u64>,
}

impl Network {
    pub(super) fn open(&mut self, caller: usize, called: usize) -> LinkId {
        self.last += 1;
        let id = LinkId(self.last);
        let link = Link {
            ends: [caller, called],
            up: [true; 2],
            busy_ms: [0; 2],
            arrival_ms: [0; 2],
            held: [Vec::new(), Vec::new()],
        };
        self.links.insert(id, link);
        id
    }

    pub(super) fn is_blocked(&self, from: usize, to: usize) -> bool {
        self.blocked.contains_key(&(from, to))
    }

    /// Whether both ways work.
    pub(super) fn reaches(&self, a: usize, b: usize) -> bool {
        !self.is_blocked(a, b) && !self.is_blocked(b, a)
    }

    pub(super) fn block(&mut self, way: (usize, usize)) {
        *self.blocked.entry(way).or_default() += 1;
    }

    /// Ends one block of a way. True when it is open again.
    pub(super) fn unblock(&mut self, way: (usize, usize)) -> bool {
        lower(&mut self.blocked, way)
    }

    pub(super) fn slow(&mut self, pair: (usize, usize)) {
        *self.slow.entry(pair).or_default() += 1;
    }

    pub(super) fn quicken(&mut self, pair: (usize, usize)) {
        lower(&mut self.slow, pair);
    }

    pub(super) fn mend_all(&mut self) {
        self.blocked.clear();
        self.slow.clear();
    }

    /// The path as it is now.
    pub(super) fn path(&self, plain: Path, pair: (usize, usize)) -> Path {
        if !self.slow.contains_key(&pair) {
            return plain;
        }
        let bandwidth_kbit = (plain.bandwidth_kbit / 10).max(1);
        let (latency_ms, jitter_ms) = (plain.latency_ms * 10, plain.jitter_ms * 10);
        Path { latency_ms, jitter_ms, bandwidth_kbit, ..plain }
    }

    /// Takes a frame from one end. None when the connection is gone for it.
    pub(super) fn send(
        &mut self,
        id: LinkId,
        from: usize,
        frame: &[u8],
        (now_ms, path): (u64, Path),
        random: &mut Numbers,
    ) -> Option<Transit> {
        let to = self.other_end(id, from)?;
        let is_blocked = self.is_blocked(from, to);
        let link = self.links.get_mut(&id)?;
        let (here, there) = (link.end(from), link.end(to));
        if !link.up[here] {
            return None;
        }
        let bits = 8 * frame.len() as u64;
        let sent_ms = now_ms.max(link.busy_ms[here]) + bits / path.bandwidth_kbit;
        link.busy_ms[here] = sent_ms;
        if is_blocked || !link.held[there].is_empty() {
            link.held[there].push(frame.to_vec());
            return Some(Transit { sent_ms, arrives_ms: None });
        }
        let mut arrives_ms = sent_ms + path.latency_ms + random.below(path.jitter_ms + 1);
        arrives_ms += resent_ms(frame.len(), path, random);
        let arrives_ms = arrives_ms.max(link.arrival_ms[there]);
        link.arrival_ms[there] = arrives_ms;
        Some(Transit { sent_ms, arrives_ms: Some(arrives_ms) })
    }

    /// A frame comes to a path that was blocked while it was under way: it waits. False when it may
    /// arrive.
    pub(super) fn hold(&mut self, id: LinkId, to: usize, frame: &[u8]) -> bool {
        let Some(from) = self.other_end(id, to) else { return false };
        let is_blocked = self.is_blocked(from, to);
        let Some(link) = self.links.get_mut(&id) else { return false };
        let there = link.end(to);
        let waits = is_blocked || !link.held[there].is_empty();
        if waits {
            link.held[there].push(frame.to_vec());
        }
        waits
    }

    /// The frames that waited for this way, by connection; they are sent again now.
    pub(super) fn release(&mut self, (from, to): (usize, usize)) -> Vec<(LinkId, Vec<Vec<u8>>)> {
        let links = self
            .links
            .iter_mut()
            .filter(|(_, link)| link.ends.contains(&from) && link.ends.contains(&to) && from != to);
        links.map(|(id, link)| (*id, std::mem::take(&mut link.held[link.end(to)]))).collect()
    }

    /// The connections between two nodes that either takes for open.
    pub(super) fn between(&self, a: usize, b: usize) -> Vec<LinkId> {
        let joins = |link: &&Link| link.ends == [a, b] || link.ends == [b, a];
        let open = self.links.iter().filter(|(_, link)| joins(link) && link.up != [false; 2]);
        open.map(|(id, _)| *id).collect()
    }

    /// The connections of a node that it takes for open.
    pub(super) fn of(&self, at: usize) -> Vec<LinkId> {
        let open = |link: &Link| link.ends.contains(&at) && link.up[link.end(at)];
        self.links.iter().filter(|(_, link)| open(link)).map(|(id, _)| *id).collect()
    }

    pub(super) fn other_end(&self, id: LinkId, at: usize) -> Option<usize> {
        self.links.get(&id).map(|link| link.ends[1 - link.end(at)])
    }

    pub(super) fn is_up(&self, id: LinkId, at: usize) -> bool {
        self.links.get(&id).is_some_and(|link| link.ends.contains(&at) && link.up[link.end(at)])
    }

    /// One end gives a connection up. Gone when both have.
    pub(super) fn take_down(&mut self, id: LinkId, at: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let end = link.end(at);
        link.up[end] = false;
        if link.up == [false; 2] {
            self.links.remove(&id);
        }
    }
}

impl Link {
    fn end(&self, at: usize) -> usize {
        usize::from(self.ends[0] != at)
    }
}

fn lower(counts: &mut BTreeMap<(usize, usize), u32>, key: (usize, usize)) -> bool {
    let Some(count) = counts.get_mut(&key) else { return false };
    *count -= 1;
    if *count == 0 {
        counts.remove(&key);
        return true;
    }
    false
}

/// What lost packets cost: a round trip for each time that some must be sent again.
fn resent_ms(bytes: usize, path: Path, random: &mut Numbers) -> u64 {
    if path.loss_per_mille == 0 {
        return 0;
    }
    let mut packets = bytes.div_ceil(PACKET);
    let mut cost_ms = 0;
    for _ in 0..8 {
        packets = (0..packets).filter(|_| random.per_mille(path.loss_per_mille)).count();
        if packets == 0 {
            break;
        }
        cost_ms += 2 * path.latency_ms + path.jitter_ms;
    }
    cost_ms
}
