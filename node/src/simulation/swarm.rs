//! Faults that a seed draws: which kinds, how often, whom, how long. Each run has a subset of its own,
//! so that one fault does not hide what another would show (Groce et al., "Swarm testing", ISSTA 2012).

use std::collections::BTreeSet;

use super::numbers::Numbers;
use super::plan::{Act, Plan, pair};
use super::scenario::{SwarmSpec, What};

/// What is drawn from when a scenario does not say.
const FAULTS: [What; 10] = [
    What::Cut,
    What::CutOneWay,
    What::Flap,
    What::Slow,
    What::Reset,
    What::Crash,
    What::Backup,
    What::Restore,
    What::Clock,
    What::Upgrade,
];

/// Adds the faults of the plan's seed to it.
pub(super) fn draw(plan: &mut Plan, spec: &SwarmSpec) {
    let mut random = Numbers::of_part(plan.seed, u64::MAX);
    if spec.topology {
        wire(plan, &mut random);
    }
    let all = if spec.faults.is_empty() { &FAULTS[..] } else { &spec.faults[..] };
    let mut kinds: Vec<What> = all.iter().copied().filter(|_| random.one_in(2)).collect();
    if kinds.is_empty() {
        kinds.extend(random.pick(all));
    }
    // A loss is worth more with a backup that is not empty.
    if kinds.contains(&What::Restore) && all.contains(&What::Backup) {
        kinds.push(What::Backup);
    }
    let mean_ms = spec.every.map_or(2_000, |every| every.0.max(1));
    let mean_ms = random.within(mean_ms / 2 + 1, mean_ms * 3);
    let mut at_ms = 0;
    loop {
        at_ms += 1 + random.below(2 * mean_ms);
        if at_ms >= plan.lasts_ms {
            break;
        }
        if let Some(kind) = random.pick(&kinds).copied() {
            add(plan, &mut random, kind, at_ms);
        }
    }
    if spec.core && random.one_in(2) {
        plan.core = core(plan, &mut random);
    }
}

fn add(plan: &mut Plan, random: &mut Numbers, kind: What, at_ms: u64) {
    let nodes = plan.places.len();
    let node = random.index(nodes);
    let lasts_ms = 100 + random.below(plan.lasts_ms / 6 + 1);
    let group: BTreeSet<usize> = {
        let size = 1 + random.index(nodes - 1);
        random.choose(size, nodes).into_iter().collect()
    };
    let others = || (0..nodes).filter(|other| !group.contains(other));
    let out: Vec<(usize, usize)> =
        group.iter().flat_map(|a| others().map(move |b| (*a, b))).collect();
    let both: Vec<(usize, usize)> = out.iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]).collect();
    match kind {
        What::Cut => plan.push(at_ms, Act::Block { ways: both, lasts_ms: Some(lasts_ms) }),
        What::CutOneWay => plan.push(at_ms, Act::Block { ways: out, lasts_ms: Some(lasts_ms) }),
        What::Flap => {
            let period_ms = 100 + random.below(20_000);
            for turn in 0..4 {
                let block = Act::Block { ways: both.clone(), lasts_ms: Some(period_ms) };
                plan.push(at_ms + turn * 2 * period_ms, block);
            }
        }
        What::Slow => plan.push(at_ms, Act::Slow { pairs: out, lasts_ms: Some(lasts_ms) }),
        What::Reset => plan.push(at_ms, Act::Reset { pairs: out }),
        What::Crash => {
            let after = random.index(6);
            plan.push(at_ms, Act::Crash { node, after, lasts_ms });
        }
        What::Backup => plan.push(at_ms, Act::Backup { node }),
        What::Restore => plan.push(at_ms, Act::Restore { node, lasts_ms }),
        What::Clock => {
            // Mostly a clock that drifted; now and then one that nobody would trust.
            let bound = if random.one_in(6) { 31_000_000_000 } else { 60_000 };
            let offset = i64::try_from(random.below(2 * bound)).unwrap_or(0);
            let offset_ms = offset - i64::try_from(bound).unwrap_or(0);
            plan.push(at_ms, Act::Clock { node, offset_ms });
        }
        What::Upgrade => plan.push(at_ms, Act::Upgrade { node }),
        What::Hostile => {
            let seed = random.next();
            plan.push(at_ms, Act::Hostile { node, seed });
        }
        What::Revoke => plan.push(at_ms, Act::Revoke { nodes: vec![node] }),
    }
}

/// A random tree, and some further links.
fn wire(plan: &mut Plan, random: &mut Numbers) {
    let nodes = plan.places.len();
    let mut links = BTreeSet::new();
    for node in 1..nodes {
        links.insert(pair(node, random.index(node)));
    }
    let density = random.below(4);
    for a in 0..nodes {
        for b in a + 1..nodes {
            if random.below(4) < density {
                links.insert((a, b));
            }
        }
    }
    for (a, b) in links {
        plan.places[a].connect.insert(b);
        plan.places[b].connect.insert(a);
    }
}

/// Some nodes that have links with each other, whatever the rest does.
fn core(plan: &Plan, random: &mut Numbers) -> BTreeSet<usize> {
    let nodes = plan.places.len();
    let size = 2 + random.index(nodes - 1);
    let mut core = BTreeSet::from([random.index(nodes)]);
    while core.len() < size {
        let near = |node: &usize| {
            !core.contains(node) && core.iter().any(|member| linked(plan, *member, *node))
        };
        let next: Vec<usize> = (0..nodes).filter(near).collect();
        let Some(next) = random.pick(&next) else { break };
        core.insert(*next);
    }
    core
}

fn linked(plan: &Plan, a: usize, b: usize) -> bool {
    let wants = |from: usize, to: usize| {
        let connect = &plan.places[from].connect;
        connect.is_empty() || connect.contains(&to)
    };
    a != b && wants(a, b) && wants(b, a)
}
