//! Many seeds of one scenario: which failed, and which faults fired together. A run in which no fault
//! fired is no evidence.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value as Json, json};

use super::super::table::Table;
use super::super::{CliError, Context, Exit};
use crate::simulation::report::length;
use crate::simulation::{Outcome, Scenario, Violation, simulate};

/// What many runs come to.
#[derive(Default)]
struct Tally {
    runs: u64,
    /// Runs in which no fault fired.
    without: u64,
    failed: BTreeMap<u64, Violation>,
    /// In how many runs each fault fired, and each two together.
    together: BTreeMap<(String, String), u64>,
    agreed_ms: Vec<u64>,
    writes: u64,
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        self.runs += 1;
        self.writes += outcome.writes.done;
        self.agreed_ms.extend(outcome.agreed_after_ms);
        let faults: Vec<&String> = outcome.faults.keys().collect();
        self.without += u64::from(faults.is_empty());
        for (at, one) in faults.iter().enumerate() {
            for other in &faults[at..] {
                *self.together.entry(((*one).clone(), (*other).clone())).or_default() += 1;
            }
        }
        if let Some(violation) = outcome.violation {
            self.failed.insert(outcome.seed, violation);
        }
    }

    fn merge(&mut self, other: Self) {
        self.runs += other.runs;
        self.without += other.without;
        self.writes += other.writes;
        self.failed.extend(other.failed);
        self.agreed_ms.extend(other.agreed_ms);
        for (pair, count) in other.together {
            *self.together.entry(pair).or_default() += count;
        }
    }
}

pub(super) fn run(
    scenario: &Scenario,
    path: &Path,
    (first, count): (u64, u64),
    context: &Context,
) -> Result<Exit, CliError> {
    let mut tally = tally(scenario, first, count)?;
    tally.agreed_ms.sort_unstable();
    context.show(&to_json(scenario, &tally), |_| people(scenario, path, &tally))?;
    Ok(if tally.failed.is_empty() { Exit::Ok } else { Exit::Differences })
}

/// Runs the seeds on every processor.
fn tally(scenario: &Scenario, first: u64, count: u64) -> Result<Tally, CliError> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(tally);
            }
            let outcome = simulate(scenario, first.wrapping_add(number));
            tally.add(outcome.map_err(|error| CliError::Refused(format!("{error}.")))?);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let tallies: Vec<Result<Tally, CliError>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| {
            let lost = || CliError::Unreachable("A run of the simulator ended early.".to_owned());
            worker.join().unwrap_or_else(|_| Err(lost()))
        });
        joined.collect()
    });
    let mut all = Tally::default();
    for tally in tallies {
        all.merge(tally?);
    }
    Ok(all)
}

fn middle(sorted: &[u64]) -> u64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

fn to_json(scenario: &Scenario, tally: &Tally) -> Json {
    let failed = tally.failed.iter().map(|(seed, violation)| {
        json!({"seed": seed, "invariant": violation.invariant, "text": violation.text})
    });
    let together = tally.together.iter();
    let together = together.map(|((one, other), runs)| json!({"of": [one, other], "runs": runs}));
    json!({
        "scenario": scenario.name,
        "runs": tally.runs,
        "without_faults": tally.without,
        "writes": tally.writes,
        "failed": failed.collect::<Vec<_>>(),
        "together": together.collect::<Vec<_>>(),
        "agreed_after_ms": {
            "p50": middle(&tally.agreed_ms),
            "max": tally.agreed_ms.last(),
        },
    })
}

fn people(scenario: &Scenario, path: &Path, tally: &Tally) -> String {
    let mut text = format!(
        "{}: {} runs, {} writes; no fault fired in {}\n",
        scenario.name, tally.runs, tally.writes, tally.without
    );
    if let Some(most) = tally.agreed_ms.last() {
        let half = length(middle(&tally.agreed_ms));
        text.push_str(&format!("Agreed after {half} in half of them, {} at most\n", length(*most)));
    }
    let mut kinds: Vec<&String> = tally.together.keys().map(|(one, _)| one).collect();
    kinds.dedup();
    if !kinds.is_empty() {
        text.push_str("\nRuns in which faults fired together:\n");
        text.push_str(&coverage(&kinds, tally).to_string());
    }
    if tally.failed.is_empty() {
        text.push_str("\nEvery invariant held in every run.\n");
        return text;
    }
    text.push_str(&format!("\n{} runs FAILED:\n", tally.failed.len()));
    for (seed, violation) in tally.failed.iter().take(20) {
        text.push_str(&format!(
            "  {}: {}\n    concord simulate {} --seed {seed}\n",
            violation.invariant,
            violation.text,
            path.display()
        ));
    }
    text
}

fn coverage(kinds: &[&String], tally: &Tally) -> Table {
    let head: Vec<&str> = [""].into_iter().chain(kinds.iter().map(|kind| kind.as_str())).collect();
    let mut table = Table::new(&head);
    for one in kinds {
        let runs = |other: &String| {
            let pair = if *one <= other { (*one, other) } else { (other, *one) };
            let runs = tally.together.get(&(pair.0.clone(), pair.1.clone())).copied();
            runs.unwrap_or(0).to_string()
        };
        let cells = kinds.iter().map(|other| runs(other));
        table.row([(*one).clone()].into_iter().chain(cells));
    }
    table
}
