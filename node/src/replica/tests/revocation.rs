//! Members come and go: what a revoked member wrote beyond its cut counts nowhere.

use super::net::{Net, member, network_key, record, roster_of};
use crate::replica::commit::Head;
use crate::replica::event::{Event, Ticket, WriteRefusal};
use crate::replica::roster::{Roster, Signer};

fn adopt(net: &mut Net, at: usize, roster: &Roster) -> Vec<String> {
    net.event(at, Event::AdoptRoster { ticket: Ticket(1), roster: roster.encode() })
}

/// The head of a node's only log at a number.
fn own_head(net: &Net, at: usize, seq: u64) -> Head {
    let node = net.nodes[at].replica.node();
    let vector = &net.nodes[at].replica.history().vector;
    let log = *vector.logs().iter().find(|(_, held)| held.node == node).unwrap().0;
    let commit = crdt_model::id::CommitRef { log, seq };
    let records = crate::replica::records::Records::new(&net.nodes[at].store);
    Head { log, seq, hash: records.header(&commit).unwrap().unwrap().hash() }
}

/// Four commits of c, on records 1, 2, 1, 3; all of them at b, the first two at a. What b writes on
/// record 1 follows c's third.
fn scene() -> (Net, Roster) {
    let mut net = Net::new(3);
    let to_a = net.meet(0, 2);
    net.meet(1, 2);
    net.set(2, record(1), &[("x/name", "A")]);
    net.set(2, record(2), &[("x/name", "A")]);
    net.settle();
    net.cut(to_a);
    net.set(2, record(1), &[("x/name", "bad")]);
    net.set(2, record(3), &[("x/name", "bad")]);
    net.settle();
    net.set(1, record(1), &[("x/phone", "7")]);
    net.settle();
    let mut roster = roster_of(3);
    let cut = own_head(&net, 2, 2);
    roster.revoke(net.nodes[2].key.key(), vec![cut], &network_key()).unwrap();
    (net, roster)
}

#[test]
fn commits_beyond_the_cut_are_quarantined_alike_before_and_after() {
    let (mut net, roster) = scene();
    assert_eq!(net.shown(1, &record(1)), ["x/name=bad", "x/phone=7"]);
    // At b after they arrived: the records are built again.
    let actions = adopt(&mut net, 1, &roster);
    assert_eq!(actions[..2], ["persist", "admit 2"]);
    assert!(actions.contains(&"close c: not a member of the network any more".to_owned()));
    let codes = |net: &Net, at: usize| {
        let mut items = net.quarantine(at);
        items.sort();
        items
    };
    let mut expected = vec![
        (record(1), 1, "missing-dependency".to_owned()),
        (record(1), 3, "author-revoked".to_owned()),
        (record(3), 4, "author-revoked".to_owned()),
    ];
    expected.sort();
    assert_eq!(codes(&net, 1), expected);
    assert_eq!(net.shown(1, &record(1)), ["x/name=A"]);
    assert_eq!(net.shown(1, &record(3)), [""; 0]);
    net.assert_sound(1);
    // At a they arrive after it: the same verdicts.
    adopt(&mut net, 0, &roster);
    net.meet(0, 1);
    net.wait(4);
    assert_eq!(codes(&net, 0), expected);
    let digests = [0, 1].map(|at| net.nodes[at].replica.status(net.now_ms).golden_digest);
    assert_eq!(digests[0], digests[1]);
    // The record goes on, also for b, whose own commit fell with what it followed.
    net.set(1, record(1), &[("x/phone", "8")]);
    net.settle();
    net.set(0, record(3), &[("x/name", "B")]);
    net.settle();
    assert_eq!(net.shown(0, &record(1)), ["x/name=A", "x/phone=8"]);
    assert_eq!(net.shown(1, &record(3)), ["x/name=B"]);
    [0, 1].iter().for_each(|at| net.assert_sound(*at));
    // A restart reads the same.
    net.restart(1);
    net.assert_sound(1);
}

#[test]
fn the_roster_travels_before_the_commits_that_it_cuts_off() {
    let (mut net, roster) = scene();
    // Only b is told; a hears of it from b, in the same contact as of the commits.
    adopt(&mut net, 1, &roster);
    net.meet(0, 1);
    net.wait(4);
    assert_eq!(net.quarantine(0).len(), 3);
    assert_eq!(net.quarantine(0), net.quarantine(1));
    [0, 1].iter().for_each(|at| net.assert_sound(*at));
}

#[test]
fn a_revoked_node_writes_nothing_and_is_heard_again_once_readmitted() {
    let (mut net, mut roster) = scene();
    adopt(&mut net, 0, &roster);
    adopt(&mut net, 1, &roster);
    adopt(&mut net, 2, &roster);
    let refused = net.write(2, super::net::request(2, record(2), &[("x/name", "C")]));
    assert_eq!(refused, Err(WriteRefusal::NotAMember));
    roster.admit(member(2), &network_key()).unwrap();
    net.roster = roster.clone();
    for at in 0..3 {
        adopt(&mut net, at, &roster);
    }
    net.set(2, record(1), &[("x/name", "good")]);
    net.meet(0, 2);
    net.meet(1, 2);
    net.meet(0, 1);
    net.wait(4);
    net.assert_equal();
    assert_eq!(net.shown(0, &record(1)), ["x/name=good"]);
    assert_eq!(net.quarantine(0).len(), 3);
}

#[test]
fn two_rosters_of_one_network_raise_an_alarm_and_stop_nothing() {
    for longer in [false, true] {
        let mut net = Net::new(2);
        let (mut one, mut other) = (roster_of(2), roster_of(2));
        one.admit(member(2), &network_key()).unwrap();
        other.admit(member(3), &network_key()).unwrap();
        if longer {
            one.admit(member(3), &network_key()).unwrap();
        }
        adopt(&mut net, 0, &one);
        adopt(&mut net, 1, &other);
        net.set(0, record(1), &[("x/name", "A")]);
        net.meet(0, 1);
        net.wait(2);
        let alarms = |at: usize| net.nodes[at].replica.status(net.now_ms).alarms;
        let expected = "the network has two rosters that differ from entry";
        assert!(alarms(1).iter().any(|alarm| alarm.starts_with(expected)), "{:?}", alarms(1));
        assert_eq!(net.nodes[1].replica.status(net.now_ms).refused, 0);
        let forked = net.event(0, Event::AdoptRoster { ticket: Ticket(1), roster: other.encode() });
        assert!(forked[0].starts_with("reply: the network has two rosters"), "{forked:?}");
        let strange = super::net::Key::new(77);
        let strange = Roster::found("test", &strange).unwrap();
        let strange =
            net.event(0, Event::AdoptRoster { ticket: Ticket(1), roster: strange.encode() });
        assert!(strange[0].starts_with("reply: the roster belongs to another network"));
    }
}
