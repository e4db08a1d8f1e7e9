//! Stored values that are not what was written: what can be made again is, the rest stops only itself.

use super::net::{Forger, Net, block, heads, record, roster_of};
use crate::kv::{Memory, Op};
use crate::replica::commit::Head;
use crate::replica::layout;

fn garble(store: &mut Memory, key: Vec<u8>) {
    store.apply(&[Op::Put(key, b"garbage".to_vec())]);
}

#[test]
fn a_damaged_document_or_golden_record_is_made_again() {
    for kinds in [&[layout::DOCUMENT][..], &[layout::GOLDEN], &[layout::DOCUMENT, layout::GOLDEN]] {
        let mut net = Net::new(2);
        net.set(0, record(1), &[("x/name", "A"), ("name/legal", "Alpha")]);
        net.meet(0, 1);
        for kind in kinds {
            garble(&mut net.nodes[1].store, layout::record_key(*kind, &record(1)));
        }
        assert!(!net.problems(1).is_empty());
        net.set(0, record(1), &[("x/name", "B")]);
        net.settle();
        net.assert_equal();
        assert_eq!(net.nodes[1].replica.status(net.now_ms).alarms, [""; 0]);
        // One's own write does it, too.
        for kind in kinds {
            garble(&mut net.nodes[0].store, layout::record_key(*kind, &record(1)));
        }
        net.set(0, record(1), &[("x/name", "C")]);
        net.settle();
        net.assert_equal();
    }
}

#[test]
fn a_damaged_commit_keeps_back_its_own_log_only() {
    let mut net = Net::new(3);
    for name in ["A", "B", "C"] {
        net.set(0, record(1), &[("x/name", name)]);
    }
    net.meet(0, 1);
    for name in ["D", "E"] {
        net.set(1, record(2), &[("x/name", name)]);
    }
    net.settle();
    let log = heads(&net, 0).into_iter().find(|head| head.seq == 3).unwrap().log;
    let second = crdt_model::id::CommitRef { log, seq: 2 };
    garble(&mut net.nodes[0].store, layout::commit_key(&second));
    net.meet(0, 2);
    let vector = &net.nodes[2].replica.history().vector;
    assert_eq!(vector.seq(&log), 1);
    let alarms = net.nodes[0].replica.status(net.now_ms).alarms;
    assert!(
        alarms[0].starts_with("a commit cannot be sent to the peers: The stored"),
        "{alarms:?}"
    );
    // A log that does not follow the damaged one arrives, and what another node holds heals it.
    net.set(0, record(3), &[("x/name", "F")]);
    net.settle();
    net.meet(1, 2);
    net.wait(4);
    let digest = |at: usize| net.nodes[at].replica.status(net.now_ms).history_digest;
    assert_eq!(digest(2), digest(1));
}

#[test]
fn what_stood_before_a_read_error_is_acknowledged() {
    let mut net = Net::with_roster(roster_of(3), 2);
    net.set(0, record(1), &[("x/name", "A")]);
    let first = heads(&net, 0)[0];
    net.set(0, record(1), &[("x/name", "B")]);
    let link = net.meet(0, 1);
    let mut forger = Forger::new(2, &net.roster);
    let commits = [forger.commit(&[], Vec::new()), forger.commit(&[Head { ..first }], Vec::new())];
    let at = crdt_model::id::CommitRef { log: first.log, seq: first.seq };
    garble(&mut net.nodes[1].store, layout::commit_key(&at));
    let said = net.inject(link, 1, block(&commits));
    assert_eq!(said[..2], ["persist", "to a: ack 1"], "{said:?}");
    assert!(said[2].starts_with("alarm: the store cannot be read"), "{said:?}");
}
