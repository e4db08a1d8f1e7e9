//! Nodes that were away: restarts, long absences, new nodes, nodes that never meet.

use super::net::{Net, record};
use crate::replica::records::Records;

#[test]
fn a_restart_opens_a_new_incarnation_that_follows_the_old_log() {
    let mut net = Net::new(2);
    net.meet(0, 1);
    net.set(0, record(1), &[("x/name", "A")]);
    net.settle();
    net.restart(0);
    net.meet(0, 1);
    net.set(0, record(1), &[("x/name", "B")]);
    net.settle();
    net.assert_equal();
    let logs = net.nodes[1].replica.history().vector.logs().clone();
    let mut logs: Vec<_> =
        logs.into_iter().map(|(log, held)| (held.incarnation, log, held)).collect();
    logs.sort_by_key(|(incarnation, ..)| *incarnation);
    let [(1, first, old), (2, second, new)] = logs[..] else { panic!("{logs:?}") };
    let end = new.predecessor.unwrap();
    assert_eq!((end.log, end.seq, end.hash), (first, old.seq, old.hash));
    assert!(old.is_folded() && !new.is_folded());
    // The vector has one entry, whatever the number of restarts.
    let told = net.nodes[1].replica.history().vector.told();
    assert_eq!(told.iter().map(|entry| entry.log).collect::<Vec<_>>(), [second]);
    assert_eq!(net.shown(1, &record(1)), ["x/name=B"]);
}

#[test]
fn a_crash_between_persist_and_send_loses_nothing() {
    let mut net = Net::new(2);
    net.meet(0, 1);
    let actions = net.set(0, record(1), &[("x/name", "A")]);
    assert_eq!(actions, ["persist", "reply: written", "to b: commits 1"]);
    net.lose();
    net.restart(0);
    net.set(0, record(1), &[("x/name", "B")]);
    net.meet(0, 1);
    net.assert_equal();
    assert_eq!(net.shown(1, &record(1)), ["x/name=B"]);
}

#[test]
fn a_node_that_was_long_away_catches_up() {
    let mut net = Net::new(2);
    net.set(1, record(1), &[("x/name", "A")]);
    let link = net.meet(0, 1);
    net.cut(link);
    for round in 0..300 {
        net.set(0, record(round % 40), &[("x/name", &round.to_string())]);
        if round % 100 == 99 {
            net.restart(0);
        }
    }
    net.set(1, record(2), &[("x/phone", "7")]);
    net.now_ms += 200 * 24 * 3_600_000;
    net.join(1, 0);
    let said = net.settle();
    assert_eq!(said[..4], ["b→a hello", "a→b hello", "a→b vector of 2", "b→a vector of 1"]);
    net.assert_equal();
    assert_eq!(net.shown(1, &record(2)), ["x/name=282", "x/phone=7"]);
    // Nothing is left to say.
    net.wait(5);
    assert_eq!(net.nodes[1].replica.feed_position(), 302);
}

#[test]
fn a_new_node_catches_up_and_takes_part() {
    let mut net = Net::new(3);
    net.meet(0, 1);
    for number in 0..100 {
        net.set(0, record(number), &[("x/name", "A"), ("name/legal", "Acme GmbH")]);
        net.set(1, record(number), &[("name/legal", "Acme AG")]);
        net.settle();
    }
    net.meet(2, 0);
    assert_eq!(net.nodes[2].replica.feed_position(), 200);
    net.set(2, record(7), &[("x/name", "B")]);
    net.settle();
    net.assert_equal();
    assert_eq!(net.shown(1, &record(7)), ["name/legal=Acme AG !", "x/name=B"]);
    // What it followed is what it had caught up with: two logs, named once.
    let own = net.nodes[2].replica.history();
    let log = own.vector.logs().iter().find(|(_, held)| held.node == net.nodes[2].replica.node());
    let commit = crdt_model::id::CommitRef { log: *log.unwrap().0, seq: 1 };
    let header = Records::new(&net.nodes[2].store).header(&commit).unwrap().unwrap().header;
    assert_eq!(header.follows.iter().map(|head| head.seq).collect::<Vec<_>>(), [100, 100]);
}

#[test]
fn three_in_a_line_converge_though_the_ends_never_meet() {
    let mut net = Net::new(3);
    net.connect(0, &["b"]);
    net.connect(1, &["a", "c"]);
    net.connect(2, &["b"]);
    net.meet(0, 1);
    net.meet(1, 2);
    net.set(0, record(1), &[("x/name", "A")]);
    assert_eq!(
        net.settle(),
        ["a→b commits 1", "b→a ack 1", "b→c ack 1", "b→c linked 1", "b→c commits 1", "c→b ack 1"]
    );
    net.set(2, record(1), &[("x/phone", "7")]);
    net.settle();
    net.assert_equal();
    assert_eq!(net.shown(0, &record(1)), ["x/name=A", "x/phone=7"]);
    let reason = "close c: no link is wanted with this node (see `connect` in its configuration)";
    let link = net.new_link(2, 0);
    assert_eq!(net.up(link, 0), [reason]);
}

#[test]
fn a_node_behind_what_it_had_acknowledged_writes_only_when_it_has_caught_up() {
    let mut net = Net::new(2);
    let old = net.nodes[0].store.clone();
    net.meet(0, 1);
    net.set(0, record(1), &[("x/name", "A")]);
    net.settle();
    // A backup from before the write; the log that follows is a new one of the same number.
    net.restart_over(0, old);
    net.set(0, record(1), &[("x/phone", "7")]);
    net.meet(0, 1);
    net.set(1, record(2), &[("x/name", "B")]);
    net.settle();
    net.wait(5);
    net.assert_equal();
    assert_eq!(net.shown(0, &record(1)), ["x/name=A", "x/phone=7"]);
}
