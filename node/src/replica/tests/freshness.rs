//! Up to when a node is complete, whom it agrees with, and how many others hold what it wrote.

use super::net::{Net, record};
use crate::replica::limits::{HEARTBEAT_MS, SETTLED_MS};

/// The time up to which a node is complete for each region, as far behind now.
fn ages(net: &Net, at: usize) -> Vec<(String, Option<u64>)> {
    let status = net.nodes[at].replica.status(net.now_ms);
    let age = |complete_ms: u64| (complete_ms > 0).then(|| net.now_ms - complete_ms);
    status.regions.into_iter().map(|it| (it.region, age(it.complete_ms))).collect()
}

#[test]
fn a_region_is_complete_up_to_the_last_word_of_each_of_its_nodes() {
    let mut net = Net::new(2);
    // Nothing is known of a node that was never heard.
    let unknown = ages(&net, 0).into_iter().filter(|(_, age)| age.is_none()).count();
    assert_eq!(unknown, 1);
    net.join(0, 1);
    net.settle();
    net.set(1, record(1), &[("x/name", "A")]);
    net.settle();
    net.tick(HEARTBEAT_MS);
    net.settle();
    assert!(ages(&net, 0).iter().all(|(_, age)| age.is_some_and(|age| age <= HEARTBEAT_MS)));
    // Without a word the time stands still.
    let before = ages(&net, 0);
    net.now_ms += 60_000;
    let older = |(region, age): (String, Option<u64>)| (region, age.map(|age| age + 60_000));
    let mut expected: Vec<_> = before.into_iter().map(older).collect();
    let own = ages(&net, 0).into_iter().position(|(_, age)| age == Some(0)).unwrap();
    expected[own].1 = Some(0);
    assert_eq!(ages(&net, 0), expected);
}

#[test]
fn a_restart_knows_what_the_logs_prove() {
    let mut net = Net::new(2);
    net.join(0, 1);
    net.settle();
    net.set(1, record(1), &[("x/name", "A")]);
    net.settle();
    let written_ms = net.now_ms;
    net.now_ms += 5_000;
    net.restart(0);
    let oldest = ages(&net, 0).into_iter().filter_map(|(_, age)| age).max();
    assert_eq!(oldest, Some(net.now_ms - written_ms));
}

#[test]
fn equality_is_told_soon_after_the_last_commit() {
    let mut net = Net::new(2);
    net.join(0, 1);
    net.settle();
    net.tick(HEARTBEAT_MS);
    net.settle();
    net.set(0, record(1), &[("x/name", "A")]);
    net.settle();
    let agreement = |net: &Net| net.nodes[0].replica.status(net.now_ms).agreement;
    assert_eq!(agreement(&net).equal, 0);
    net.tick(SETTLED_MS);
    net.settle();
    assert_eq!(agreement(&net).equal, 1);
    assert_eq!(agreement(&net).sentence, "equal with 1 of 1, history and golden");
}

#[test]
fn who_differs_is_named_with_how_much_and_since_when() {
    let mut net = Net::new(3);
    net.join(0, 1);
    let link = net.join(0, 2);
    net.settle();
    net.tick(HEARTBEAT_MS);
    net.settle();
    net.cut(link);
    net.set(0, record(1), &[("x/name", "A")]);
    net.settle();
    net.tick(SETTLED_MS);
    net.settle();
    let agreement = net.nodes[0].replica.status(net.now_ms).agreement;
    assert_eq!((agreement.equal, agreement.of), (1, 2));
    let sentence = agreement.sentence;
    assert!(
        sentence.starts_with("equal with 1 of 2, history and golden; c is 1 commit behind since "),
        "{sentence}"
    );
    assert!(sentence.ends_with(" UTC"), "{sentence}");
}

#[test]
fn who_holds_a_write_is_counted_when_it_is_durable_there() {
    let mut net = Net::new(3);
    net.join(0, 1);
    net.settle();
    net.set(0, record(1), &[("x/name", "A")]);
    let own = net.nodes[0].replica.newest_own().unwrap();
    assert_eq!(net.nodes[0].replica.sites_holding(&own), 0);
    net.settle();
    assert_eq!(net.nodes[0].replica.sites_holding(&own), 1);
    net.join(0, 2);
    net.settle();
    assert_eq!(net.nodes[0].replica.sites_holding(&own), 2);
}
