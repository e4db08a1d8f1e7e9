//! The vector: restarts fold away, lost tails and doubled incarnations do not hide anything.

use std::collections::BTreeMap;

use crdt_model::id::LogId;
use proptest::prelude::*;

use super::net::{Net, record};
use crate::replica::commit::{Head, Header, Opening};
use crate::replica::node_id::NodeId;
use crate::replica::vector::{LogState, Vector, held_by_peer};

#[test]
fn a_hundred_restarts_leave_one_entry_for_each_node() {
    let mut net = Net::new(2);
    for round in 0..100 {
        net.restart(round % 2);
        net.set(round % 2, record(1), &[("x/name", &round.to_string())]);
        net.meet(0, 1);
    }
    net.assert_equal();
    for node in &net.nodes {
        let vector = &node.replica.history().vector;
        assert_eq!((vector.logs().len(), vector.told().len()), (100, 2));
    }
}

#[test]
fn a_tail_lost_in_a_restore_comes_back_from_the_peer() {
    let mut net = Net::new(2);
    net.set(0, record(1), &[("x/name", "1")]);
    let backup = net.nodes[0].store.clone();
    net.set(0, record(2), &[("x/name", "2")]);
    net.meet(0, 1);
    // The restored node goes on from the first commit, before it meets anybody.
    net.restart_over(0, backup);
    net.set(0, record(1), &[("x/phone", "3")]);
    net.meet(0, 1);
    net.wait(8);
    net.assert_equal();
    assert_eq!(net.shown(0, &record(2)), ["x/name=2"]);
    assert_eq!(net.shown(1, &record(1)), ["x/name=1", "x/phone=3"]);
    // The log has a tail that its successor does not speak for: it is told until the next one does.
    assert_eq!(net.nodes[1].replica.history().vector.told().len(), 2);
    net.restart(0);
    net.set(0, record(1), &[("x/phone", "4")]);
    net.meet(0, 1);
    net.wait(8);
    net.assert_equal();
}

#[test]
fn a_log_beside_the_one_that_went_on_is_not_taken_for_folded() {
    let mut net = Net::new(3);
    net.set(0, record(1), &[("x/name", "1")]);
    net.meet(0, 1);
    net.meet(0, 2);
    let backup = net.nodes[0].store.clone();
    // The second log reaches c alone.
    net.restart(0);
    net.set(0, record(2), &[("x/name", "2")]);
    net.meet(0, 2);
    // Restored, the node writes another second log and a third one; they reach b alone.
    net.restart_over(0, backup);
    net.set(0, record(3), &[("x/name", "3")]);
    net.restart(0);
    net.set(0, record(4), &[("x/name", "4")]);
    net.meet(0, 1);
    net.meet(1, 2);
    net.wait(12);
    let digests = [1, 2].map(|at| net.nodes[at].replica.status(net.now_ms).history_digest);
    assert_eq!(digests[0], digests[1]);
    assert_eq!(net.shown(1, &record(2)), ["x/name=2"]);
    net.wait(8);
    net.assert_equal();
}

/// One author's life: it writes, restarts, or is restored from an older state.
#[derive(Debug, Clone)]
enum Step {
    Write,
    Restart,
    Restore(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Write),
        3 => Just(Step::Restart),
        1 => any::<prop::sample::Index>().prop_map(Step::Restore),
    ];
    prop::collection::vec(step, 1..40)
}

/// Every state that the author's store ever was in. Each is causally closed.
fn states(steps: &[Step]) -> Vec<Vector> {
    let node = NodeId::from_bytes([1; 32]);
    let mut states = vec![Vector::default()];
    let mut current = 0;
    let mut own: Option<(LogId, Opening)> = None;
    let mut nonce = 0;
    for step in steps {
        match step {
            Step::Restart => own = None,
            Step::Restore(index) => (current, own) = (index.index(states.len()), None),
            Step::Write => {
                let mut vector = states[current].clone();
                nonce += 1;
                let (log, opening) = own.unwrap_or_else(|| opening_after(&vector, node, nonce));
                own = Some((log, opening));
                let seq = vector.seq(&log) + 1;
                let opening = (seq == 1).then_some(opening);
                vector.advance(&header(log, seq, opening), [u8::try_from(seq).unwrap(); 32]);
                current = states.len();
                states.push(vector);
            }
        }
    }
    states
}

fn opening_after(vector: &Vector, node: NodeId, nonce: u64) -> (LogId, Opening) {
    let newest: Option<(&LogId, &LogState)> =
        vector.logs().iter().max_by_key(|(log, held)| (held.incarnation, **log));
    let opening = Opening {
        node,
        incarnation: newest.map_or(0, |(_, held)| held.incarnation) + 1,
        nonce,
        predecessor: newest.and_then(|(log, _)| vector.head(log)),
    };
    let mut id = [0; 16];
    // Ids in no order of time.
    id[..8].copy_from_slice(&nonce.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    (LogId::from_bytes(id), opening)
}

fn header(log: LogId, seq: u64, opening: Option<Opening>) -> Header {
    Header {
        log,
        seq,
        previous: [0; 32],
        time: crdt_model::time::Hlc::default(),
        epoch: 1,
        opening,
        follows: Vec::<Head>::new(),
        provenance: [0; 32],
        items: Vec::new(),
    }
}

/// Everything that two nodes hold together.
fn union(a: &Vector, b: &Vector) -> Vector {
    let mut logs: BTreeMap<LogId, LogState> = a.logs().clone();
    for (log, state) in b.logs() {
        let held = logs.entry(*log).or_insert(*state);
        if state.seq > held.seq {
            (held.seq, held.hash) = (state.seq, state.hash);
        }
        held.sealed_at = held.sealed_at.max(state.sealed_at);
    }
    Vector::from_logs(logs, BTreeMap::new())
}

proptest! {
    #[test]
    fn what_a_peer_holds_is_known_exactly_once_its_logs_are_known(
        steps in steps(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 4),
    ) {
        let states = states(&steps);
        let pick = |at: usize| &states[picks[at].index(states.len())];
        let theirs = union(pick(0), pick(1));
        let ours = union(&union(pick(2), pick(3)), &theirs);
        // We hold all that they hold, and perhaps more.
        let held = held_by_peer(&ours, &theirs.told());
        for log in ours.logs().keys() {
            prop_assert_eq!(held[log], theirs.seq(log));
        }
        // Equal digests are equal histories.
        prop_assert_eq!(ours.digest() == theirs.digest(), ours.logs().keys().all(|log| ours.seq(log) == theirs.seq(log)));
    }

    #[test]
    fn what_is_held_only_here_is_noticed(
        steps in steps(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 2),
    ) {
        let states = states(&steps);
        let [ours, theirs] = [0, 1].map(|at: usize| &states[picks[at].index(states.len())]);
        let here = held_by_peer(ours, &theirs.told());
        let there = held_by_peer(theirs, &ours.told());
        let sends = |ours: &Vector, held: &BTreeMap<LogId, u64>| {
            ours.logs().iter().any(|(log, state)| held[log] < state.seq)
        };
        // Of two different histories at least one side has something to send, so contact makes progress.
        let differ = ours.digest() != theirs.digest();
        prop_assert_eq!(differ, sends(ours, &here) || sends(theirs, &there));
    }
}
