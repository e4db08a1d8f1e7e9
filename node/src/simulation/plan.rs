//! What a scenario and a seed come to: nodes, paths, and every step of clients and faults with its
//! time. It is drawn whole before anything runs, so that a step can be left out and the others stay.

use std::collections::{BTreeMap, BTreeSet};

use crdt_model::policy::Policy;

use super::numbers::Numbers;
use super::scenario::{
    Between, ClientSpec, EventSpec, LASTS_MS_MAX, Length, PathSpec, Place, Scenario, ScenarioError,
    What, content, group,
};
use super::swarm;

/// Steps of one plan, at most.
pub(super) const STEPS_MAX: usize = 500_000;

/// What a path is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) latency_ms: u64,
    pub(super) jitter_ms: u64,
    pub(super) bandwidth_kbit: u64,
    pub(super) loss_per_mille: u64,
}

/// Something that somebody does, or that breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// A client writes about so many customers; the seed says what.
    Write { node: usize, seed: u64, customers: u64 },
    /// Nothing gets through on these ways, from the first to the second.
    Block { ways: Vec<(usize, usize)>, lasts_ms: Option<u64> },
    /// These paths are slow.
    Slow { pairs: Vec<(usize, usize)>, lasts_ms: Option<u64> },
    /// The connections between these are reset.
    Reset { pairs: Vec<(usize, usize)> },
    /// The power fails after so many actions of the next batch; 0: before it is durable.
    Crash { node: usize, after: usize, lasts_ms: u64 },
    /// A copy of the disk is put aside.
    Backup { node: usize },
    /// The disk is lost.
    Restore { node: usize, lasts_ms: u64 },
    /// The wall clock is set to so much ahead.
    Clock { node: usize, offset_ms: i64 },
    /// It is started again with a release that speaks one more protocol version.
    Upgrade { node: usize },
    /// From now on somebody else has its key.
    Hostile { node: usize, seed: u64 },
    /// The network revokes their keys.
    Revoke { nodes: Vec<usize> },
}

/// A step and its time, in milliseconds since the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) at_ms: u64,
    pub(super) act: Act,
}

/// Everything that is decided before a run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) places: Vec<Place>,
    pub(super) path: Path,
    pub(super) paths: BTreeMap<(usize, usize), Path>,
    pub(super) steps: Vec<Step>,
    /// The nodes that are mended at the end and must agree.
    pub(super) core: BTreeSet<usize>,
    pub(super) lasts_ms: u64,
    pub(super) settle_ms: u64,
    pub(super) customers: u64,
    pub(super) policy: Policy,
}

impl Plan {
    /// Draws the plan of a seed.
    ///
    /// # Errors
    /// [`ScenarioError`] when the scenario says something that cannot be.
    pub(super) fn of(scenario: &Scenario, seed: u64) -> Result<Self, ScenarioError> {
        let places = scenario.places()?;
        let lasts_ms = scenario.lasts.0;
        if !(1..=LASTS_MS_MAX).contains(&lasts_ms) {
            return Err(content("lasts", "a scenario lasts from 1 ms to 5 years"));
        }
        let path = path_of(&scenario.path, DEFAULT_PATH, "path")?;
        let core = (0..places.len()).collect();
        let mut plan = Self {
            seed,
            path,
            paths: paths(&scenario.between, &places, path)?,
            places,
            steps: Vec::new(),
            core,
            lasts_ms,
            settle_ms: scenario.settle.0,
            customers: scenario.customers.max(1),
            policy: scenario.rules()?,
        };
        for (number, spec) in scenario.client.iter().enumerate() {
            plan.add_client(spec, number)?;
        }
        for (number, spec) in scenario.event.iter().enumerate() {
            plan.add_event(spec, number)?;
        }
        if let Some(spec) = &scenario.swarm {
            swarm::draw(&mut plan, spec);
        }
        if plan.steps.len() > STEPS_MAX {
            return Err(content("client", format!("over {STEPS_MAX} steps; write less often")));
        }
        plan.steps.sort_by_key(|step| step.at_ms);
        Ok(plan)
    }

    /// The same plan with these of its steps alone.
    pub(super) fn only(&self, steps: &BTreeSet<usize>) -> Self {
        let kept = self.steps.iter().enumerate().filter(|(number, _)| steps.contains(number));
        Self { steps: kept.map(|(_, step)| step.clone()).collect(), ..self.clone() }
    }

    pub(super) fn path(&self, a: usize, b: usize) -> Path {
        self.paths.get(&pair(a, b)).copied().unwrap_or(self.path)
    }

    pub(super) fn push(&mut self, at_ms: u64, act: Act) {
        self.steps.push(Step { at_ms, act });
    }

    fn add_client(&mut self, spec: &ClientSpec, number: usize) -> Result<(), ScenarioError> {
        let at = format!("client {}", number + 1);
        if spec.every.0 == 0 || !(1..=50).contains(&spec.customers) {
            let text = "every is more than nothing, and customers is from 1 to 50";
            return Err(content(&at, text));
        }
        let until_ms = spec.until.map_or(self.lasts_ms, |until| until.0.min(self.lasts_ms));
        for node in group(&self.places, &spec.at, &at)? {
            let mut random = Numbers::of_part(self.seed, (number as u64) << 32 | node as u64);
            let mut at_ms = spec.from.0;
            loop {
                at_ms += 1 + random.below(2 * spec.every.0);
                if at_ms >= until_ms || self.steps.len() > STEPS_MAX {
                    break;
                }
                let seed = random.next();
                self.push(at_ms, Act::Write { node, seed, customers: spec.customers });
            }
        }
        Ok(())
    }

    fn add_event(&mut self, spec: &EventSpec, number: usize) -> Result<(), ScenarioError> {
        let at = format!("event {}", number + 1);
        let of = group(&self.places, &spec.of, &at)?;
        let mut and = group(&self.places, &spec.and, &at)?;
        if and.is_empty() {
            and = (0..self.places.len()).filter(|node| !of.contains(node)).collect();
        }
        let at_ms = spec.at.0;
        if at_ms >= self.lasts_ms {
            return Err(content(&at, "it comes after the end; see lasts"));
        }
        let lasts_ms = spec.lasts.map(|lasts| lasts.0);
        let pairs = || crossing(&of, &and);
        let both = || pairs().into_iter().flat_map(|(a, b)| [(a, b), (b, a)]).collect::<Vec<_>>();
        let down_ms = lasts_ms.unwrap_or(60_000);
        match spec.what {
            What::Cut => self.push(at_ms, Act::Block { ways: both(), lasts_ms }),
            What::CutOneWay => self.push(at_ms, Act::Block { ways: pairs(), lasts_ms }),
            What::Flap => {
                let every_ms = spec.every.unwrap_or(Length(10_000)).0.max(1);
                let end_ms = lasts_ms.map_or(self.lasts_ms, |lasts| at_ms + lasts);
                let mut from_ms = at_ms;
                while from_ms < end_ms && self.steps.len() <= STEPS_MAX {
                    let lasts_ms = Some(every_ms.min(end_ms - from_ms));
                    self.push(from_ms, Act::Block { ways: both(), lasts_ms });
                    from_ms += 2 * every_ms;
                }
            }
            What::Slow => self.push(at_ms, Act::Slow { pairs: pairs(), lasts_ms }),
            What::Reset => self.push(at_ms, Act::Reset { pairs: pairs() }),
            What::Crash => {
                self.each(&of, at_ms, |node| Act::Crash { node, after: 0, lasts_ms: down_ms });
            }
            What::Backup => self.each(&of, at_ms, |node| Act::Backup { node }),
            What::Restore => {
                self.each(&of, at_ms, |node| Act::Restore { node, lasts_ms: down_ms });
            }
            What::Clock => {
                let Some(offset) = spec.offset else {
                    return Err(content(&at, "a clock needs an offset, for example \"-10min\""));
                };
                self.each(&of, at_ms, |node| Act::Clock { node, offset_ms: offset.0 });
            }
            What::Upgrade => self.each(&of, at_ms, |node| Act::Upgrade { node }),
            What::Hostile => {
                let seed = self.seed;
                self.each(&of, at_ms, |node| Act::Hostile { node, seed });
            }
            What::Revoke => self.push(at_ms, Act::Revoke { nodes: of.iter().copied().collect() }),
        }
        Ok(())
    }

    fn each(&mut self, nodes: &BTreeSet<usize>, at_ms: u64, act: impl Fn(usize) -> Act) {
        for node in nodes {
            self.push(at_ms, act(*node));
        }
    }
}

/// The two, the lower first.
pub(super) const fn pair(a: usize, b: usize) -> (usize, usize) {
    if a < b { (a, b) } else { (b, a) }
}

fn crossing(of: &BTreeSet<usize>, and: &BTreeSet<usize>) -> Vec<(usize, usize)> {
    let pairs = of.iter().flat_map(|a| and.iter().map(move |b| (*a, *b)));
    pairs.filter(|(a, b)| a != b).collect()
}

const DEFAULT_PATH: Path =
    Path { latency_ms: 40, jitter_ms: 10, bandwidth_kbit: 100_000, loss_per_mille: 0 };

fn path_of(spec: &PathSpec, default: Path, at: &str) -> Result<Path, ScenarioError> {
    let latency_ms = spec.latency.map_or(default.latency_ms, |latency| latency.0);
    let jitter = spec.jitter.map(|jitter| jitter.0);
    let bandwidth_kbit = spec.bandwidth_kbit.unwrap_or(default.bandwidth_kbit);
    let loss_per_mille = spec.loss_per_mille.unwrap_or(default.loss_per_mille);
    if bandwidth_kbit == 0 || loss_per_mille > 500 || latency_ms > 600_000 {
        let text =
            "latency is at most 10 minutes, bandwidth-kbit at least 1, loss-per-mille at most 500";
        return Err(content(at, text));
    }
    let jitter_ms = jitter.unwrap_or(latency_ms / 4);
    Ok(Path { latency_ms, jitter_ms, bandwidth_kbit, loss_per_mille })
}

fn paths(
    specs: &[Between],
    places: &[Place],
    default: Path,
) -> Result<BTreeMap<(usize, usize), Path>, ScenarioError> {
    let mut paths = BTreeMap::new();
    for (number, spec) in specs.iter().enumerate() {
        let at = format!("between {}", number + 1);
        let own = PathSpec {
            latency: spec.latency,
            jitter: spec.jitter,
            bandwidth_kbit: spec.bandwidth_kbit,
            loss_per_mille: spec.loss_per_mille,
        };
        let path = path_of(&own, default, &at)?;
        let of = group(places, std::slice::from_ref(&spec.of), &at)?;
        let and = group(places, std::slice::from_ref(&spec.and), &at)?;
        paths.extend(crossing(&of, &and).into_iter().map(|(a, b)| (pair(a, b), path)));
    }
    Ok(paths)
}
