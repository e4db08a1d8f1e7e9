//! Worlds of five nodes in virtual time: whatever breaks, equal histories show equal golden records,
//! and a healed network agrees and falls silent.
//!
//! `SIM_SEED=7` runs that one seed, `SIM_RUNS=1000` so many from 1 on. Both print where time went.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::world::{Profile, World, every_edit};

const SEEDS: u64 = 20;
const EDITS: usize = 2_000;

fn run(seed: u64, edits: usize) -> (String, Profile) {
    let mut world = World::new(seed, edits);
    // Whatever fails, in the replica too, is reported with the state of the world.
    match catch_unwind(AssertUnwindSafe(|| world.run())) {
        Ok(trace) => (trace, world.profile),
        Err(failure) => {
            let said = failure.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| failure.downcast_ref::<&str>().copied());
            panic!("{}\n{}", said.unwrap_or("it panicked"), world.report());
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn five_nodes_converge_whatever_breaks() {
    let (seeds, told) = match (variable("SIM_SEED"), variable("SIM_RUNS")) {
        (Some(seed), _) => (seed..=seed, true),
        (None, Some(runs)) => (1..=runs, true),
        (None, None) => (1..=SEEDS, false),
    };
    let next = AtomicU64::new(*seeds.start());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > *seeds.end() {
                break;
            }
            let (_, profile) = run(seed, EDITS);
            if told {
                let per_commit = profile.replicas.as_micros() / u128::from(profile.applied.max(1));
                let line =
                    format!("seed {seed}: {per_commit} us for a commit applied, {profile:?}\n");
                std::io::stderr().write_all(line.as_bytes()).unwrap();
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().expect("a seed failed; its report is above");
        }
    });
}

#[test]
fn a_seed_gives_the_same_run_action_by_action() {
    let [once, again] = [run(3, 300), run(3, 300)].map(|(trace, _)| trace);
    assert_eq!(once, again);
    assert_ne!(once, run(4, 300).0);
}

#[test]
fn what_the_clients_of_a_world_write_keeps_to_the_attribute_table() {
    for (path, assertion) in every_edit(1) {
        let attribute = crdt_model::attribute::lookup(&path).unwrap();
        assert_eq!(attribute.check(&path, &assertion), Ok(()), "{path} {assertion:?}");
    }
}
