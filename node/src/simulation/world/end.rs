//! How a run ends: the core is mended, must agree in time and fall silent; then the invariants look at
//! what is left.

use std::collections::BTreeMap;

use super::super::invariant::{EndNode, LIVENESS, names};
use super::super::network::{CONNECT_MS, IDLE_MS};
use super::super::outcome::{NodeOutcome, Outcome};
use super::super::scenario::Scenario;
use super::World;
use crate::kv::View;
use crate::replica::limits::{BACKOFF_MS_MAX, HEARTBEAT_MS};
use crate::replica::records::Records;

/// How often it is looked whether the core agrees.
const LOOK_MS: u64 = 500;
/// How long the silence is listened to.
const SILENT_MS: u64 = 20_000;

impl World<'_> {
    /// Lets everything happen, mends the core, and looks how it ends.
    pub(in super::super) fn run(&mut self) {
        self.run_until(self.plan.lasts_ms);
        if self.violation.is_some() {
            return;
        }
        self.mend();
        let mended_ms = self.now_ms;
        while self.violation.is_none() && !self.agree() {
            if self.now_ms - mended_ms > self.plan.settle_ms {
                let settle_s = self.plan.settle_ms / 1_000;
                let text = format!("the mended nodes do not agree after {settle_s} s");
                self.violate(LIVENESS, None, text);
                return;
            }
            self.run_until(self.now_ms + LOOK_MS);
        }
        self.agreed_after_ms = Some(self.now_ms - mended_ms);
        self.listen();
        self.judge_end();
    }

    /// What is under way arrives, and after the last heartbeats nobody has anything to say.
    fn listen(&mut self) {
        // A link may notice late that it is gone, and the next attempt may be the most patient one.
        let links_ms = IDLE_MS + BACKOFF_MS_MAX + CONNECT_MS;
        self.run_until(self.now_ms + links_ms + 3 * HEARTBEAT_MS);
        let silent_ms = self.now_ms;
        self.run_until(self.now_ms + SILENT_MS);
        // Nodes that stay broken are called again and again, and hostile ones talk.
        let whole = self.plan.core.len() == self.nodes.len();
        let quiet = self.nodes.iter().all(|node| node.liar.is_none() && !node.revoked);
        if self.violation.is_none() && whole && quiet && self.spoke_ms > silent_ms {
            self.violate(LIVENESS, None, "the wire does not fall silent".to_owned());
        }
        if self.violation.is_none() && !self.agree() {
            self.violate(LIVENESS, None, "nodes that agreed differ again".to_owned());
        }
    }

    /// The core is mended; the rest stays as broken as it is, and cut off.
    fn mend(&mut self) {
        self.is_ending = true;
        let blocked: Vec<(usize, usize)> = self.blocked_since.keys().copied().collect();
        self.network.mend_all();
        self.blocked_since.clear();
        let core = &self.plan.core;
        let count = self.nodes.len();
        let outside = |(a, b): &(usize, usize)| core.contains(a) != core.contains(b);
        let ways = (0..count).flat_map(|a| (0..count).map(move |b| (a, b)));
        for way in ways.filter(outside) {
            self.network.block(way);
            self.blocked_since.insert(way, self.now_ms);
            self.idle(way, self.now_ms);
        }
        for way in blocked.into_iter().filter(|way| !outside(way)) {
            self.release(way);
        }
        for at in core {
            if self.nodes[*at].clock_ms.unsigned_abs() > 60_000 {
                self.nodes[*at].clock_ms = 0;
            }
            self.start(*at);
            self.set_alarm(*at);
        }
        self.healed("everything of the core is mended");
        let text = "clients and faults end; the core is mended".to_owned();
        self.tell("end", &[], text);
    }

    fn release(&mut self, way: (usize, usize)) {
        for (link, frames) in self.network.release(way) {
            for frame in frames {
                self.after(1, super::Happening::Arrival { link, to: way.1, frame });
            }
        }
    }

    /// Whether a node has to agree with the others.
    fn is_core(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        self.plan.core.contains(&at) && node.liar.is_none() && !node.revoked
    }

    /// The core is up, holds and shows the same, and has looked at everything that is due.
    fn agree(&self) -> bool {
        let core = (0..self.nodes.len()).filter(|at| self.is_core(*at));
        let mut digests = core.map(|at| {
            let replica = self.nodes[at].replica.as_ref()?;
            let history = replica.history();
            let idle = replica.next_deadline() > 0;
            idle.then(|| (history.vector.digest(), history.state.golden.digest()))
        });
        let Some(first) = digests.next() else { return true };
        first.is_some() && digests.all(|digest| digest == first)
    }

    fn judge_end(&mut self) {
        let ends: Vec<EndNode<'_>> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(at, node)| EndNode {
                name: &self.plan.places[at].name,
                disk: node.disk.durable(),
                replica: node.replica.as_ref(),
                is_core: self.is_core(at),
                starts: node.starts,
            })
            .collect();
        let mut found = None;
        for invariant in &mut self.invariants {
            if let Err(text) = invariant.end(&ends)
                && found.is_none()
            {
                found = Some((invariant.name(), text));
            }
        }
        if let Some((name, text)) = found {
            self.violate(name, None, text);
        }
    }

    /// What the run gives.
    pub(in super::super) fn outcome(self, scenario: &Scenario) -> Outcome {
        let nodes: Vec<NodeOutcome> =
            (0..self.nodes.len()).map(|at| self.node_outcome(at)).collect();
        let broken = self.violation.as_ref().map(|violation| violation.invariant.clone());
        let invariants =
            names().into_iter().map(|name| (name.to_owned(), broken.as_deref() != Some(name)));
        let first = (0..self.nodes.len()).find(|at| self.is_core(*at)).unwrap_or(0);
        let disk = self.nodes[first].disk.view();
        let replica = self.nodes[first].replica.as_ref();
        let quarantined = replica.map_or(0, |replica| replica.history().state.quarantined);
        let conflicts = conflicts(&disk);
        drop(disk);
        let links = self.measures.links(self.plan);
        let staleness = self.measures.series(self.plan);
        let (writes, faults) = (self.measures.writes, self.measures.faults());
        let (heals, timeline) = self.measures.into_told();
        Outcome {
            scenario: scenario.name.clone(),
            question: scenario.question.clone(),
            seed: self.plan.seed,
            steps: self.plan.steps.len(),
            lasts_ms: self.plan.lasts_ms,
            nodes,
            invariants: invariants.collect(),
            violation: self.violation,
            agreed_after_ms: self.agreed_after_ms,
            heals,
            writes,
            links,
            staleness,
            conflicts,
            quarantined,
            faults,
            timeline,
            trace: self.trace.finalize().to_hex().to_string(),
        }
    }

    fn node_outcome(&self, at: usize) -> NodeOutcome {
        let node = &self.nodes[at];
        let short = |digest: [u8; 32]| blake3::Hash::from_bytes(digest).to_hex()[..8].to_owned();
        let history = node.replica.as_ref().map(|replica| replica.history());
        let of = |history: &crate::replica::history::History| {
            (short(history.vector.digest()), short(history.state.golden.digest()))
        };
        let (held, golden) = history.map(of).unwrap_or_default();
        NodeOutcome {
            name: self.name(at).to_owned(),
            region: self.plan.places[at].region.to_string(),
            starts: node.starts,
            commits: node.replica.as_ref().map_or(0, |replica| replica.commits_held()),
            history: held,
            golden,
            in_flight_max: node.in_flight_max,
            calls_max: node.calls_max,
            core: self.is_core(at),
        }
    }
}

/// Contested attributes, by the rule that decided them.
fn conflicts(disk: &dyn View) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let records = Records::new(disk);
    let golden = records.list(None, usize::MAX).unwrap_or_default();
    let contests = golden.iter().flat_map(|golden| golden.attributes.values());
    for value in contests.filter_map(|values| values.first()) {
        let Some(contest) = value.contest.as_ref().filter(|contest| contest.conflict) else {
            continue;
        };
        let rule = serde_json::to_value(contest.rule).unwrap_or_default();
        *found.entry(rule.as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    found
}
