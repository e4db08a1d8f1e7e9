//! The simulator itself: a seed is a run, faults fire, and bugs that are put back are found.

use super::*;

/// Five regions under whatever the seed draws.
const SWARM: &str = r#"
name = "swarm"
lasts = "2min"
settle = "2min"
customers = 60

[[region]]
code = "EMEA"
[[region]]
code = "AMER"
[[region]]
code = "APAC"
[[region]]
code = "LATAM"
[[region]]
code = "MEA"

[[client]]
at = ["EMEA", "AMER", "APAC", "LATAM", "MEA"]
every = "2s"

[swarm]
topology = true
core = true
every = "1s"
"#;

fn swarm() -> Scenario {
    Scenario::read(SWARM).unwrap()
}

/// Runs seeds until one breaks something, and gives it with what it broke.
fn first_failure(bugs: Bugs) -> Option<(u64, Violation)> {
    let scenario = swarm();
    (1..=200).find_map(|seed| {
        let plan = Plan::of(&scenario, seed).unwrap();
        let outcome = run(&scenario, &plan, bugs).unwrap();
        outcome.violation.map(|violation| (seed, violation))
    })
}

/// A simulator that finds nothing may just not look. Each of these was a bug of somebody's.
#[test]
fn known_bugs_that_are_put_back_are_found_within_200_seeds() {
    use crate::replica::bug;
    let none = Bugs::default();
    let cases = [
        (Bugs { sends_before_it_persists: true, ..none }, None, &["durability"][..]),
        (Bugs { opens_the_same_log_again: true, ..none }, None, &["no-equivocation", "isolation"]),
        (none, Some(bug::Bug::AppliesTwice), &["causality", "feed", "no-panic", "isolation"]),
        (none, Some(bug::Bug::ForgetsTombstones), &["convergence"]),
        (none, Some(bug::Bug::ReadsArrivalOrder), &["convergence"]),
    ];
    for (in_world, in_replica, by) in cases {
        bug::put_back(in_replica);
        let found = first_failure(in_world);
        bug::put_back(None);
        let (seed, violation) =
            found.unwrap_or_else(|| panic!("{in_world:?} {in_replica:?} is not found"));
        let told = format!("{in_world:?} {in_replica:?}, seed {seed}: {violation:?}");
        assert!(by.contains(&&*violation.invariant), "{told}");
    }
}

#[test]
fn a_scenario_that_cannot_be_says_where_and_what_to_write() {
    let cases = [
        ("lasts = \"2min\"", "lasts = \"soon\"", "is no length of time"),
        ("customers = 60", "customer = 60", "unknown field"),
        ("code = \"MEA\"", "code = \"M E\"", "is no code of a region"),
        ("at = [\"EMEA\",", "at = [\"MARS\",", "there is no node and no region \"MARS\""),
        ("every = \"2s\"", "every = \"0s\"", "every is more than nothing"),
        ("code = \"MEA\"", "code = \"MEA\"\ncount = 100000", "count is from 1 to 1000"),
    ];
    for (right, wrong, said) in cases {
        assert!(SWARM.contains(right), "{right}");
        let error = Scenario::read(&SWARM.replace(right, wrong)).unwrap_err().to_string();
        assert!(error.contains(said), "{wrong}: {error}");
    }
}
