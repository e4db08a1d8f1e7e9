//! Hostile input: whatever members, files and governors send, nobody panics, nothing false is stored
//! and everything else goes on. `docs/testing.md` tells how to run it for longer.
//!
//! The inputs are mutants of what the product itself made. A seed gives the same mutants for ever;
//! a failure names the one command that makes it again. Attacks that have a name stand elsewhere: in
//! the catalogue of `crdt-model`, and in the tests of the replica.

mod changes;
mod commits;
mod frames;
mod mutator;
mod scene;
mod texts;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// A number from the environment.
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A batch: its seed, how many cases it has, and where it says how far it is.
type Batch = fn(u64, u64, &Cell<u64>);

/// Runs batches of a target until so many cases are done: `CONCORD_FUZZ_CASES`, or `cases`. With
/// `CONCORD_FUZZ_SEED` it runs that batch alone.
fn run(target: &str, cases: u64, batch_cases: u64, batch: Batch) {
    let cases = variable("CONCORD_FUZZ_CASES").unwrap_or(cases);
    let seeds = match variable("CONCORD_FUZZ_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..cases.div_ceil(batch_cases),
    };
    let next = AtomicU64::new(seeds.start);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return;
            }
            let case = Cell::new(0);
            let size = batch_cases.min(cases);
            if catch_unwind(AssertUnwindSafe(|| batch(seed, size, &case))).is_err() {
                panic!(
                    "{target}: seed {seed} fails at case {} of {size}; what failed is said above. \
                     Again: CONCORD_FUZZ_SEED={seed} CONCORD_FUZZ_CASES={cases} cargo test -p node \
                     --test it hostile::{target} -- --exact",
                    case.get()
                );
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            assert!(worker.join().is_ok(), "a batch failed; see above");
        }
    });
}

#[test]
fn mutated_changes_are_judged_alike_and_harm_no_record() {
    run("mutated_changes_are_judged_alike_and_harm_no_record", 4_000, 2_000, changes::batch);
}

#[test]
fn mutated_commits_with_a_valid_signature_are_judged_alike() {
    run("mutated_commits_with_a_valid_signature_are_judged_alike", 2_000, 1_000, commits::batch);
}

#[test]
fn mutated_frames_stop_nobody_else() {
    run("mutated_frames_stop_nobody_else", 4_000, 2_000, frames::batch);
}

#[test]
fn mutated_policies_are_refused_or_can_be_carried_out() {
    run("mutated_policies_are_refused_or_can_be_carried_out", 2_000, 1_000, texts::policies);
}

#[test]
fn mutated_files_and_mappings_never_stop_an_import_without_a_sentence() {
    run(
        "mutated_files_and_mappings_never_stop_an_import_without_a_sentence",
        2_000,
        1_000,
        texts::imports,
    );
}
