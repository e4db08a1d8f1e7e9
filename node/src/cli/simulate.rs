//! `concord simulate`: what a partition, a crash or a lost disk does to regions, before it happens.

mod many;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::table::Table;
use super::{CliError, Context, Exit};
use crate::simulation::report::{html, length, size};
use crate::simulation::{Outcome, Scenario, ScenarioError, replay, shrink};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario; examples/scenarios/ has six to begin with
    #[arg(value_name = "SCENARIO.toml")]
    scenario: PathBuf,
    /// The seed; default: the one that the scenario names
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Run so many seeds, from the first on, and count which faults fired together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000),
        conflicts_with_all = ["only", "report"])]
    seeds: Option<u64>,
    /// Run these steps alone, by the numbers that a failure tells: 3,17,40
    #[arg(long, value_name = "STEPS", value_delimiter = ',')]
    only: Vec<usize>,
    /// Write a page with pictures to this file
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

/// Runs to find fewer steps that still fail.
const SHRINK_RUNS: u32 = 300;

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let path = &args.scenario;
    let text = std::fs::read_to_string(path).map_err(|error| {
        CliError::Refused(format!("{} cannot be read: {error}.", path.display()))
    })?;
    let refused = |error: ScenarioError| CliError::Refused(format!("{}: {error}.", path.display()));
    let scenario = Scenario::read(&text).map_err(refused)?;
    let seed = args.seed.unwrap_or(scenario.seed);
    if let Some(seeds) = args.seeds {
        return many::run(&scenario, path, (seed, seeds), context);
    }
    let outcome = if args.only.is_empty() {
        shrink(&scenario, seed, SHRINK_RUNS)
    } else {
        let steps: BTreeSet<usize> = args.only.iter().copied().collect();
        replay(&scenario, seed, &steps)
    };
    let outcome = outcome.map_err(refused)?;
    if let Some(file) = &args.report {
        std::fs::write(file, html(&outcome)).map_err(|error| {
            CliError::Unreachable(format!("{} cannot be written: {error}.", file.display()))
        })?;
    }
    let json = serde_json::to_value(&outcome)
        .map_err(|error| CliError::Unreachable(format!("The outcome is no JSON: {error}.")))?;
    context.show(&json, |_| people(&outcome, args))?;
    Ok(if outcome.holds() { Exit::Ok } else { Exit::Differences })
}

fn people(outcome: &Outcome, args: &Args) -> String {
    let mut text = format!("{}\n", outcome.scenario);
    if !outcome.question.is_empty() {
        line(&mut text, &outcome.question);
    }
    line(&mut text, "");
    let writes = &outcome.writes;
    line(
        &mut text,
        &format!(
            "{} simulated, {} nodes, seed {}: {} writes done, {} refused, {} met a node that was down",
            length(outcome.lasts_ms),
            outcome.nodes.len(),
            outcome.seed,
            writes.done,
            writes.refused,
            writes.turned_away
        ),
    );
    let bytes: u64 = outcome.links.iter().map(|link| link.bytes).sum();
    line(&mut text, &format!("{} over {} links", size(bytes), outcome.links.len()));
    let mut lags = Table::new(&["region", "was behind by at most"]);
    for series in &outcome.staleness {
        let most = series.points.iter().map(|(_, lag)| *lag).max().unwrap_or(0);
        lags.row([series.region.clone(), length(most)]);
    }
    line(&mut text, &format!("\n{lags}"));
    line(&mut text, &heals(outcome));
    let conflicts: Vec<String> =
        outcome.conflicts.iter().map(|(rule, count)| format!("{count} by {rule}")).collect();
    if !conflicts.is_empty() {
        line(&mut text, &format!("Conflicts at the end: {}", conflicts.join(", ")));
    }
    if outcome.quarantined > 0 {
        line(&mut text, &format!("{} items in quarantine", outcome.quarantined));
    }
    line(&mut text, &verdict(outcome, &args.scenario));
    if let Some(file) = &args.report {
        line(&mut text, &format!("Pictures: {}", file.display()));
    }
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

/// The slowest heals.
fn heals(outcome: &Outcome) -> String {
    const SHOWN: usize = 8;
    let mut table = Table::new(&["at", "everybody up had all of before after", "mended"]);
    let mut heals: Vec<_> = outcome.heals.iter().collect();
    heals.sort_by_key(|heal| std::cmp::Reverse(heal.took_ms.unwrap_or(u64::MAX)));
    for heal in heals.iter().take(SHOWN) {
        let took = heal.took_ms.map_or_else(|| "not before the end".to_owned(), length);
        table.row([length(heal.at_ms), took, heal.what.clone()]);
    }
    table.to_string()
}

/// What held, or what did not and how to see it again.
fn verdict(outcome: &Outcome, scenario: &Path) -> String {
    let Some(violation) = &outcome.violation else {
        let agreed = outcome.agreed_after_ms.map_or_else(|| "never".to_owned(), length);
        return format!(
            "Every invariant held: {}. All agreed {agreed} after the end.",
            outcome.invariants.keys().cloned().collect::<Vec<_>>().join(", ")
        );
    };
    let mut text = format!(
        "BROKEN: {} at {}{}: {}\n\n",
        violation.invariant,
        length(violation.at_ms),
        violation.node.as_deref().map(|node| format!(" on {node}")).unwrap_or_default(),
        violation.text
    );
    let mut nodes = Table::new(&["node", "starts", "commits", "holds", "shows"]);
    for node in &outcome.nodes {
        let (starts, commits) = (node.starts.to_string(), node.commits.to_string());
        nodes.row([node.name.clone(), starts, commits, node.history.clone(), node.golden.clone()]);
    }
    line(&mut text, &nodes.to_string());
    let steps: Vec<String> = violation.steps.iter().map(ToString::to_string).collect();
    let only =
        if steps.is_empty() { String::new() } else { format!(" --only {}", steps.join(",")) };
    line(
        &mut text,
        &format!("Again: concord simulate {} --seed {}{only}", scenario.display(), outcome.seed),
    );
    text
}
