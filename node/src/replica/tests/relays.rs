//! Who passes a fresh commit on to whom: once to each receiver, and again only when it was lost.

use super::net::{Net, record};

fn mesh() -> Net {
    let mut net = Net::new(3);
    net.meet(0, 1);
    net.meet(0, 2);
    net.meet(1, 2);
    // With its first commits each tells the others with whom it is linked.
    for (at, number) in [(0, 100), (1, 101), (2, 102)] {
        let said = net.set(at, record(number), &[("x/name", "A")]);
        assert_eq!(said.iter().filter(|said| said.contains("linked 1")).count(), 2, "{said:?}");
        net.settle();
    }
    net.wait(2);
    net
}

fn commits_of(said: &[String]) -> Vec<&String> {
    said.iter().filter(|said| said.contains("commits")).collect()
}

#[test]
fn in_a_full_mesh_a_commit_goes_once_to_each_receiver() {
    let mut net = mesh();
    let actions = net.set(0, record(1), &[("x/name", "A")]);
    assert_eq!(actions, ["persist", "reply: written", "to b: commits 1", "to c: commits 1"]);
    let said = net.settle();
    assert_eq!(commits_of(&said), ["a→b commits 1", "a→c commits 1"]);
    net.assert_equal();
    // Every other peer is told that it is held; nothing is owed any more.
    net.wait(3);
    assert_eq!(net.tick(1_000), [""; 0]);
}

#[test]
fn a_commit_that_was_lost_on_the_way_comes_from_another_after_the_heartbeat() {
    let mut net = mesh();
    net.set(0, record(1), &[("x/name", "A")]);
    // It arrives at b; the way to c is dead, and neither end knows yet.
    let (to, actions) = net.deliver().unwrap();
    assert_eq!(
        (to, &actions[..]),
        (1, &["persist", "to a: ack 2", "to c: ack 2"].map(str::to_owned)[..])
    );
    net.lose();
    net.now_ms += 1_999;
    let early = net.event(1, crate::replica::event::Event::Tick);
    assert_eq!(early, ["to a: heartbeat", "to c: heartbeat"]);
    net.now_ms += 1;
    let late = net.event(1, crate::replica::event::Event::Tick);
    assert!(late.contains(&"to c: commits 1".to_owned()), "{late:?}");
    net.settle();
    net.assert_equal();
}

#[test]
fn a_relay_between_strangers_passes_on_at_once() {
    let mut net = Net::new(3);
    net.meet(0, 1);
    net.meet(1, 2);
    net.wait(2);
    net.set(0, record(1), &[("x/name", "A")]);
    let said = net.settle();
    assert_eq!(commits_of(&said), ["a→b commits 1", "b→c commits 1"]);
}

#[test]
fn a_commit_that_follows_a_spared_one_never_overtakes_it() {
    let mut net = mesh();
    net.set(0, record(1), &[("x/name", "A")]);
    net.deliver();
    net.lose();
    // c lacks a's commit and is spared it by b; what b writes now follows it.
    let actions = net.set(1, record(1), &[("x/name", "B")]);
    assert_eq!(actions[2..], ["to a: commits 1", "to c: commits 2"]);
    net.settle();
    net.assert_equal();
    assert_eq!(net.shown(2, &record(1)), ["x/name=B"]);
}
