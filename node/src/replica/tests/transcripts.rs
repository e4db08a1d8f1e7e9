//! What two nodes say to each other, action by action.

use super::net::{Net, record};
use crate::replica::event::{Event, Ticket};

#[test]
fn a_link_that_comes_up_is_greeted() {
    let mut net = Net::new(2);
    let link = net.new_link(0, 1);
    assert_eq!(net.up(link, 0), ["to b: hello"]);
    assert_eq!(net.up(link, 1), ["to a: hello"]);
    // The same link does not come up twice.
    assert_eq!(net.up(link, 0), [""; 0]);
}

#[test]
fn equal_nodes_say_hello_and_nothing_else_within_400_bytes() {
    let mut net = Net::new(2);
    for number in 0..50 {
        net.set(0, record(number), &[("x/name", "A")]);
    }
    let link = net.meet(0, 1);
    net.assert_equal();
    net.cut(link);
    net.bytes = 0;
    net.join(0, 1);
    assert_eq!(net.settle(), ["a→b hello", "b→a hello"]);
    assert!(net.bytes <= 400, "{} bytes", net.bytes);
}

#[test]
fn unequal_nodes_exchange_vectors_and_what_the_other_lacks() {
    let mut net = Net::new(2);
    net.set(0, record(1), &[("x/name", "A")]);
    net.set(0, record(2), &[("x/name", "B")]);
    net.set(1, record(3), &[("x/name", "C")]);
    let link = net.new_link(0, 1);
    assert_eq!(net.up(link, 0), ["to b: hello"]);
    assert_eq!(net.up(link, 1), ["to a: hello"]);
    assert_eq!(net.deliver().unwrap(), (1, vec!["to a: vector of 1".to_owned()]));
    assert_eq!(net.deliver().unwrap(), (0, vec!["to b: vector of 1".to_owned()]));
    assert_eq!(net.deliver().unwrap(), (0, vec!["to b: commits 2".to_owned()]));
    assert_eq!(net.deliver().unwrap(), (1, vec!["to a: commits 1".to_owned()]));
    let taken = ["persist", "persist", "to a: ack 2"].map(str::to_owned).to_vec();
    assert_eq!(net.deliver().unwrap(), (1, taken));
    let taken = ["persist", "to b: ack 1"].map(str::to_owned).to_vec();
    assert_eq!(net.deliver().unwrap(), (0, taken));
    assert_eq!(net.deliver().unwrap(), (0, vec![]));
    assert_eq!(net.deliver().unwrap(), (1, vec![]));
    assert!(net.deliver().is_none());
    net.assert_equal();
    let peers = [0, 1].map(|at| net.nodes[at].replica.status(net.now_ms).peers.remove(0));
    assert!(peers.iter().all(|peer| (peer.behind, peer.ahead, peer.connected) == (0, 0, true)));
}

#[test]
fn a_local_write_is_durable_before_it_is_answered_and_answered_before_it_is_sent() {
    let mut net = Net::new(2);
    net.meet(0, 1);
    let actions = net.set(0, record(1), &[("x/name", "A")]);
    assert_eq!(actions, ["persist", "reply: written", "to b: commits 1"]);
    assert_eq!(net.settle(), ["a→b commits 1", "b→a ack 1"]);
    net.assert_equal();
    assert_eq!(net.shown(1, &record(1)), ["x/name=A"]);
}

#[test]
fn a_write_that_changes_nothing_makes_no_commit() {
    let mut net = Net::new(2);
    net.meet(0, 1);
    net.set(0, record(1), &[("x/name", "A")]);
    net.settle();
    assert_eq!(net.set(0, record(1), &[("x/name", "A")]), ["reply: written"]);
}

#[test]
fn heartbeats_are_all_that_equal_nodes_say() {
    let mut net = Net::new(2);
    net.set(0, record(1), &[("x/name", "A")]);
    net.meet(0, 1);
    for _ in 0..10 {
        assert_eq!(net.tick(2_000), ["to b: heartbeat", "to a: heartbeat"]);
        assert_eq!(net.settle(), ["a→b heartbeat", "b→a heartbeat"]);
    }
    // Nothing is due in between.
    let due = net.nodes[0].replica.next_deadline();
    assert_eq!(due, net.now_ms + 2_000);
    assert_eq!(net.tick(1_999), [""; 0]);
}

#[test]
fn an_operators_roster_reaches_the_peer_before_data_that_names_it() {
    let mut net = Net::new(2);
    net.meet(0, 1);
    let longer = super::net::roster_of(3).encode();
    let actions = net.event(0, Event::AdoptRoster { ticket: Ticket(1), roster: longer.clone() });
    let expected =
        ["persist", "admit 3", "to b: roster from 3", "to b: vector of 0", "reply: roster 4"];
    assert_eq!(actions, expected);
    net.set(0, record(1), &[("x/name", "A")]);
    let said = net.settle();
    assert_eq!(said[..3], ["a→b roster from 3", "a→b vector of 0", "a→b commits 1"]);
    net.assert_equal();
    let again = net.event(0, Event::AdoptRoster { ticket: Ticket(1), roster: longer });
    assert_eq!(again, ["reply: roster 4"]);
}
