//! What the steps of a plan do to the world.

use super::super::network::IDLE_MS;
use super::super::plan::{Act, pair};
use super::super::scenario::What;
use super::{Disk, Happening, Liar, PATIENCE_MS, Seen, World, network_key};
use crate::kv::View as _;
use crate::replica::commit::Head;
use crate::replica::event::{Event, LinkId, Ticket};
use crate::replica::layout;

impl World<'_> {
    pub(super) fn step(&mut self, number: usize) {
        let plan = self.plan;
        let Some(step) = plan.steps.get(number) else { return };
        if self.is_ending {
            return;
        }
        match &step.act {
            Act::Write { node, seed, customers } => {
                let region = &plan.places[*node].region;
                let request = self.workload.request(*seed, region, *customers, plan.customers);
                if let Some(request) = request {
                    self.ask(*node, request);
                }
            }
            Act::Block { ways, lasts_ms } => self.block(ways, *lasts_ms),
            Act::Slow { pairs, lasts_ms } => self.slow(pairs, *lasts_ms),
            Act::Reset { pairs } => self.reset(pairs),
            Act::Crash { node, after, lasts_ms } => self.doom(*node, *after, *lasts_ms),
            Act::Backup { node } => {
                let node = &mut self.nodes[*node];
                node.backup = node.disk.durable().clone();
                self.measures.fired(What::Backup);
            }
            Act::Restore { node, lasts_ms } => self.restore(*node, *lasts_ms),
            Act::Clock { node, offset_ms } => self.set_clock(*node, *offset_ms),
            Act::Upgrade { node } => self.upgrade(*node),
            Act::Hostile { node, seed } => self.turn_hostile(*node, *seed),
            Act::Revoke { nodes } => self.revoke(nodes),
        }
    }

    fn block(&mut self, ways: &[(usize, usize)], lasts_ms: Option<u64>) {
        let one_way = ways.iter().any(|(from, to)| !ways.contains(&(*to, *from)));
        let what = if one_way { What::CutOneWay } else { What::Cut };
        self.measures.fired(what);
        let nodes = sides(ways);
        let names: Vec<&str> = nodes.iter().map(|at| self.name(*at)).collect();
        let text = match one_way {
            true => format!("nothing gets out of {}", few(&names)),
            false => format!("{}: nothing gets through between the two sides", few(&names)),
        };
        self.tell_until(&what.to_string(), &nodes, text, lasts_ms);
        for way in ways {
            self.network.block(*way);
            if !self.blocked_since.contains_key(way) {
                let since_ms = self.now_ms;
                self.blocked_since.insert(*way, since_ms);
                self.after(IDLE_MS, Happening::Idle { way: *way, since_ms });
            }
        }
        if let Some(lasts_ms) = lasts_ms {
            self.after(lasts_ms, Happening::Unblock { ways: ways.to_vec() });
        }
    }

    pub(super) fn unblock(&mut self, ways: &[(usize, usize)]) {
        let mut opened = false;
        for way in ways {
            if self.network.unblock(*way) {
                opened = true;
                self.blocked_since.remove(way);
                self.let_through(*way);
            }
        }
        if opened {
            let names: Vec<&str> = sides(ways).iter().map(|at| self.name(*at)).collect();
            self.healed(&format!("the way from {} is open again", few(&names)));
        }
    }

    /// What waited for a way is sent again.
    fn let_through(&mut self, way: (usize, usize)) {
        let path = self.path(way.0, way.1);
        for (link, frames) in self.network.release(way) {
            for frame in frames {
                self.after(path.latency_ms + 1, Happening::Arrival { link, to: way.1, frame });
            }
        }
    }

    pub(super) fn healed(&mut self, what: &str) {
        self.measures.healed(self.now_ms, what);
        self.compare();
    }

    /// A connection does not survive so long a silence.
    pub(super) fn idle(&mut self, way: (usize, usize), since_ms: u64) {
        if self.blocked_since.get(&way) != Some(&since_ms) {
            return;
        }
        for link in self.network.between(way.0, way.1) {
            self.down(link, way.0, "silent for too long");
            self.down(link, way.1, "silent for too long");
        }
    }

    fn slow(&mut self, pairs: &[(usize, usize)], lasts_ms: Option<u64>) {
        self.measures.fired(What::Slow);
        for (a, b) in pairs {
            self.network.slow(pair(*a, *b));
        }
        self.tell_until("slow", &sides(pairs), "paths are slow".to_owned(), lasts_ms);
        if let Some(lasts_ms) = lasts_ms {
            self.after(lasts_ms, Happening::Quicken { pairs: pairs.to_vec() });
        }
    }

    /// The ends notice one after the other; what is under way may still arrive before that.
    fn reset(&mut self, pairs: &[(usize, usize)]) {
        for (a, b) in pairs {
            for link in self.network.between(*a, *b) {
                self.measures.fired(What::Reset);
                for at in [*a, *b] {
                    let delay_ms = self.random.below(2_000);
                    self.after(delay_ms, Happening::Down { link, at });
                }
            }
        }
    }

    fn doom(&mut self, at: usize, after: usize, lasts_ms: u64) {
        let node = &mut self.nodes[at];
        if node.replica.is_none() {
            return;
        }
        node.doom = Some((after, lasts_ms));
        let start = node.starts;
        self.after(3_000, Happening::Doom { node: at, start, lasts_ms });
    }

    /// The power fails before a batch is durable, or after it and some of what follows it.
    pub(super) fn crash_over_batch(&mut self, at: usize, after: usize, lasts_ms: u64) {
        if after > 0 {
            let upto = self.nodes[at].disk.batches();
            self.nodes[at].disk.sync(upto);
            for _ in 1..after {
                let Some(action) = self.nodes[at].disk.next_ready(false) else { break };
                self.perform(at, action);
            }
        }
        self.crash(at, lasts_ms);
    }

    pub(super) fn crash(&mut self, at: usize, lasts_ms: u64) {
        self.measures.fired(What::Crash);
        let text = format!("{} loses power", self.name(at));
        self.tell_until("crash", &[at], text, Some(lasts_ms));
        self.stop(at, lasts_ms);
    }

    /// A node is gone at once and comes back later. Its peers notice in a while, its clients ask again.
    pub(super) fn stop(&mut self, at: usize, lasts_ms: u64) {
        let node = &mut self.nodes[at];
        let Some(replica) = node.replica.take() else { return };
        node.last_held = Some(replica.history().vector.clone());
        node.disk.crash();
        node.doom = None;
        node.in_flight = 0;
        let asked = std::mem::take(&mut node.asked);
        for link in self.network.of(at) {
            self.lose(link, at);
        }
        self.after(lasts_ms, Happening::Start { node: at });
        for request in asked.into_values() {
            self.measures.writes.repeated += 1;
            let request = Box::new(request);
            self.after(lasts_ms + PATIENCE_MS, Happening::Retry { node: at, request });
        }
    }

    fn lose(&mut self, link: LinkId, at: usize) {
        let other = self.network.other_end(link, at);
        self.network.take_down(link, at);
        if let Some(other) = other {
            let delay_ms = self.random.below(IDLE_MS);
            self.after(delay_ms, Happening::Down { link, at: other });
        }
    }

    /// A disk is lost; the node comes back with its last backup, which may be empty.
    fn restore(&mut self, at: usize, lasts_ms: u64) {
        self.measures.fired(What::Restore);
        let text = format!("{} loses its disk and comes back from its backup", self.name(at));
        self.tell_until("restore", &[at], text, Some(lasts_ms));
        self.show(Some(at), &Seen::DiskLost { node: at });
        self.stop(at, lasts_ms);
        let backup = self.nodes[at].backup.clone();
        let lost = std::mem::replace(&mut self.nodes[at].disk, Disk::of(backup));
        let commits = lost.durable().scan(&[layout::COMMIT], &[], usize::MAX).unwrap_or_default();
        let mut elsewhere = 0;
        for (key, _) in commits {
            if self.nodes.iter().any(|node| node.disk.holds(&key)) {
                elsewhere += 1;
            } else if let Some(commit) = layout::commit_in(&key, 1) {
                self.show(None, &Seen::Lost { commit });
            }
        }
        // The watermark survives; what no disk holds any more the operator has given up.
        let behind = &mut self.nodes[at].behind;
        *behind = Some(elsewhere).max(*behind);
    }

    fn set_clock(&mut self, at: usize, offset_ms: i64) {
        self.measures.fired(What::Clock);
        let seconds = offset_ms / 1_000;
        let text = format!("the clock of {} is set {seconds} s off", self.name(at));
        self.tell("clock", &[at], text);
        self.nodes[at].clock_ms = offset_ms;
        if !self.is_ending {
            self.set_alarm(at);
        }
    }

    fn upgrade(&mut self, at: usize) {
        self.measures.fired(What::Upgrade);
        let text = format!("{} is upgraded", self.name(at));
        self.tell("upgrade", &[at], text);
        self.nodes[at].upgraded = true;
        self.stop(at, 2_000);
    }

    fn turn_hostile(&mut self, at: usize, seed: u64) {
        self.measures.fired(What::Hostile);
        let text = format!("somebody else has the key of {}", self.name(at));
        self.tell("hostile", &[at], text);
        self.show(Some(at), &Seen::Hostile { node: at });
        let key = self.nodes[at].key.clone();
        self.nodes[at].liar = Some(Liar::new(key, seed));
    }

    /// The operator of the first node that is up and stays a member brings the roster that revokes
    /// these; what that node holds of them counts.
    fn revoke(&mut self, nodes: &[usize]) {
        self.measures.fired(What::Revoke);
        let is_up = |at: &usize| self.nodes[*at].replica.is_some();
        let Some(at) = (0..self.nodes.len()).filter(|at| !nodes.contains(at)).find(is_up) else {
            return;
        };
        for node in nodes {
            let key = self.nodes[*node].key.id();
            let vector = self.nodes[at].replica.as_ref().map(|replica| &replica.history().vector);
            let logs = vector.into_iter().flat_map(|vector| vector.logs());
            let own = logs.filter(|(_, held)| held.node == key);
            let last = own.map(|(log, held)| Head { log: *log, seq: held.seq, hash: held.hash });
            let revoked = self.roster.revoke(key, last.collect(), &network_key());
            if let Err(error) = revoked {
                self.tell("revoke", &[*node], error.to_string());
                continue;
            }
            self.nodes[*node].revoked = true;
            self.show(Some(*node), &Seen::Hostile { node: *node });
        }
        let names: Vec<&str> = nodes.iter().map(|at| self.name(*at)).collect();
        let text = format!("{} tells that the keys of {} are revoked", self.name(at), few(&names));
        self.tell("revoke", nodes, text);
        self.tickets += 1;
        let (ticket, roster) = (Ticket(self.tickets), self.roster.encode());
        self.event(at, Event::AdoptRoster { ticket, roster });
    }
}

/// The nodes that ways lead from or to: the fewer of the two sides, or both.
fn sides(ways: &[(usize, usize)]) -> Vec<usize> {
    let mut from: Vec<usize> = Vec::new();
    let mut to: Vec<usize> = Vec::new();
    for (a, b) in ways {
        // The pairs of a cut come as a way and its way back.
        if !to.contains(a) && !from.contains(a) {
            from.push(*a);
        }
        if !from.contains(b) && !to.contains(b) {
            to.push(*b);
        }
    }
    if from.len() == to.len() {
        from.extend(to);
        from.sort_unstable();
        return from;
    }
    if to.is_empty() || from.len() < to.len() { from } else { to }
}

fn few(names: &[&str]) -> String {
    match names {
        [first, second, third, _, ..] => {
            format!("{first}, {second}, {third} and {} more", names.len() - 3)
        }
        _ => names.join(", "),
    }
}
