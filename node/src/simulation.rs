//! What a partition, a crash or a lost disk does to regions, before it happens: the real replica,
//! model, policy and store layout on virtual time, virtual links and virtual disks.
//!
//! [`simulate`] runs a [`Scenario`] with one seed. The same scenario, seed and release give the same
//! run, action by action; [`Outcome::trace`] tells so. `examples/scenarios/README.md` shows scenarios,
//! `docs/testing.md` says what must hold and how it is judged.

mod agenda;
mod bug;
mod disk;
mod invariant;
mod liar;
mod measures;
mod network;
mod numbers;
mod outcome;
mod plan;
pub mod report;
mod scenario;
mod shrink;
mod swarm;
mod workload;
mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use self::bug::Bugs;
use self::invariant::NO_PANIC;
pub use self::outcome::{
    HEALS_MAX, Heal, LinkBytes, MOMENTS_MAX, Moment, NodeOutcome, Outcome, Series, Violation,
    Writes,
};
use self::plan::Plan;
pub use self::scenario::{
    Between, ClientSpec, EventSpec, LASTS_MS_MAX, Length, NODES_MAX, PathSpec, RegionSpec,
    Scenario, ScenarioError, SignedLength, SwarmSpec, What,
};
use self::world::World;

/// Runs a scenario with a seed.
///
/// # Errors
/// [`ScenarioError`] when the scenario says something that cannot be. What goes wrong in the run is no
/// error: it is the outcome's [`Outcome::violation`].
pub fn simulate(scenario: &Scenario, seed: u64) -> Result<Outcome, ScenarioError> {
    let plan = Plan::of(scenario, seed)?;
    run(scenario, &plan, Bugs::default())
}

/// Runs these steps of a scenario alone, by the numbers that [`Violation::steps`] tells.
///
/// # Errors
/// As [`simulate`]; and [`ScenarioError::Content`] when there is no such step.
pub fn replay(
    scenario: &Scenario,
    seed: u64,
    steps: &BTreeSet<usize>,
) -> Result<Outcome, ScenarioError> {
    let plan = Plan::of(scenario, seed)?;
    if let Some(number) = steps.iter().find(|number| **number >= plan.steps.len()) {
        let text = format!("seed {seed} has {} steps and no number {number}", plan.steps.len());
        return Err(scenario::content("steps", text));
    }
    run(scenario, &plan.only(steps), Bugs::default())
}

/// Looks for fewer steps that break the same invariant, with at most so many runs. Gives what
/// [`simulate`] gives, with [`Violation::steps`] filled in.
///
/// # Errors
/// As [`simulate`].
pub fn shrink(scenario: &Scenario, seed: u64, runs: u32) -> Result<Outcome, ScenarioError> {
    let plan = Plan::of(scenario, seed)?;
    let mut outcome = run(scenario, &plan, Bugs::default())?;
    if let Some(violation) = &mut outcome.violation {
        let same = |plan: &Plan| {
            let found =
                run(scenario, plan, Bugs::default()).ok().and_then(|outcome| outcome.violation);
            found.is_some_and(|found| found.invariant == violation.invariant)
        };
        violation.steps = shrink::shrink(&plan, runs, same);
    }
    Ok(outcome)
}

fn run(scenario: &Scenario, plan: &Plan, bugs: Bugs) -> Result<Outcome, ScenarioError> {
    let mut world =
        World::new(plan, bugs).map_err(|error| scenario::content("region", error.to_string()))?;
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| world.run())) {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        world.broke(NO_PANIC, said.unwrap_or("a node panicked"));
    }
    Ok(world.outcome(scenario))
}

#[cfg(test)]
mod tests;
