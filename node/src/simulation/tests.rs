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

#[test]
fn a_seed_gives_the_same_run_action_by_action() {
    let scenario = swarm();
    let [once, again] = [3, 3].map(|seed| simulate(&scenario, seed).unwrap());
    assert_eq!(once.trace, again.trace);
    assert_ne!(once.trace, simulate(&scenario, 4).unwrap().trace);
}

#[test]
fn seeds_hold() {
    let scenario = swarm();
    for seed in 1..=20 {
        let outcome = simulate(&scenario, seed).unwrap();
        assert!(outcome.holds(), "seed {seed}: {:?}", outcome.violation);
        println!(
            "{seed} {} {:?} {:?} {:?}",
            outcome.steps, outcome.writes, outcome.faults, outcome.agreed_after_ms
        );
    }
}
