//! The audit finds what does not belong.

use super::net::{Net, record};
use crate::kv::{Op, View};
use crate::replica::index::Lookup;
use crate::replica::layout;
use crate::replica::records::Records;

fn scene() -> Net {
    let mut net = Net::new(2);
    net.meet(0, 1);
    for number in 0..5 {
        net.set(0, record(number), &[("name/legal", &format!("Acme{number}")), ("x/name", "A")]);
        net.set(1, record(number), &[("x/name", "B")]);
        net.settle();
    }
    net.assert_equal();
    net
}

/// The problems after a change of the store behind the replica's back.
fn after(ops: impl FnOnce(&Net) -> Vec<Op>) -> Vec<String> {
    let mut net = scene();
    let ops = ops(&net);
    net.nodes[0].store.apply(&ops);
    net.problems(0)
}

fn first_key(net: &Net, kind: u8) -> Vec<u8> {
    net.nodes[0].store.scan(&[kind], &[], 1).unwrap().remove(0).0
}

#[test]
fn a_flipped_golden_record() {
    let problems = after(|net| {
        let records = Records::new(&net.nodes[0].store);
        let mut golden = records.golden(&record(1)).unwrap().unwrap();
        let other = records.golden(&record(2)).unwrap().unwrap();
        golden.attributes = other.attributes;
        vec![Op::Put(layout::record_key(layout::GOLDEN, &record(1)), golden.to_bytes())]
    });
    let id = record(1);
    let expected =
        format!("customer {id}: the stored golden record is not the one that the commits give");
    assert_eq!(problems, [expected]);
}

#[test]
fn a_golden_record_of_nobody() {
    let problems = after(|net| {
        let records = Records::new(&net.nodes[0].store);
        let mut golden = records.golden(&record(1)).unwrap().unwrap();
        golden.record = record(99);
        vec![Op::Put(layout::record_key(layout::GOLDEN, &record(99)), golden.to_bytes())]
    });
    assert_eq!(problems, ["the store has 6 golden records, not 5"]);
}

#[test]
fn a_missing_item() {
    let problems = after(|net| vec![Op::Delete(first_key(net, layout::ITEMS))]);
    assert!(problems.iter().any(|problem| problem.ends_with("is damaged")), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.contains("cannot be built")), "{problems:?}");
}

#[test]
fn a_wrong_index() {
    let problems = after(|net| vec![Op::Delete(first_key(net, layout::INDEX))]);
    assert!(problems[0].ends_with("it is missing in a lookup index"), "{problems:?}");
    let problems = after(|net| {
        let mut key = first_key(net, layout::INDEX);
        key[2] ^= 1;
        vec![Op::Put(key, Vec::new())]
    });
    assert_eq!(problems, ["the store has 6 lookup index entries, not 5"]);
}

/// Customers whose names have so many words that their entries are runs.
fn renamed() -> Net {
    let mut net = Net::new(2);
    net.meet(0, 1);
    for number in 0..40 {
        let name = format!("Alpha Beta Gamma Delta Word{number} Epsilon");
        net.set(0, record(number), &[("name/legal", &name)]);
    }
    for number in 0..10 {
        let name = format!("Alpha Zeta Word{number} Epsilon");
        net.set(1, record(number), &[("name/legal", &name)]);
    }
    net.settle();
    net.assert_equal();
    net
}

#[test]
fn runs_of_an_index_are_audited_as_entries_are() {
    let mut net = renamed();
    assert!(net.nodes[0].replica.history().state.runs.all().count() > 1);
    assert_eq!(net.problems(0), [""; 0]);
    assert_eq!(net.problems(1), [""; 0]);
    let records = Records::new(&net.nodes[0].store);
    let find = |word: &str| records.find(Lookup::Name, word, 99).unwrap().len();
    assert_eq!((find("beta"), find("zeta"), find("word7"), find("alpha")), (30, 10, 1, 40));
    let whole = net.nodes[0].store.clone();
    let block = first_key(&net, layout::RUN);
    let stray = layout::block_key(9_999, b"xwnobody");
    for (op, expected) in [
        (Op::Delete(block.clone()), "it is missing in a lookup index"),
        (Op::Put(block, vec![9, 1, b'x']), "some of the lookup index entries are damaged"),
        (Op::Put(stray, vec![0]), "index run 9999 is in the store and nothing names it"),
    ] {
        net.nodes[0].store = whole.clone();
        net.nodes[0].store.apply(&[op]);
        let problems = net.problems(0);
        assert!(problems[0].contains(expected), "{problems:?}");
    }
}

#[test]
fn a_tampered_commit() {
    // Behind the feed position: the last byte of the note, the signature, or a byte of the header.
    let lengths = [1, 40, 80, 120];
    for from_end in lengths {
        let problems = after(|net| {
            let key = first_key(net, layout::COMMIT);
            let mut value = net.nodes[0].store.get(&key).unwrap().unwrap();
            let at = value.len() - from_end;
            value[at] ^= 1;
            vec![Op::Put(key, value)]
        });
        assert!(problems.iter().any(|problem| problem.starts_with("commit ")), "{problems:?}");
    }
    let problems = after(|net| {
        let key = first_key(net, layout::COMMIT);
        let mut value = net.nodes[0].store.get(&key).unwrap().unwrap();
        value[7] ^= 1;
        vec![Op::Put(key, value)]
    });
    assert!(problems[0].ends_with("is not at its place in the feed"), "{problems:?}");
}

#[test]
fn a_commit_cut_off_and_a_feed_with_a_gap() {
    let problems = after(|net| {
        let (key, _) = net.nodes[0].store.last(&[layout::COMMIT]).unwrap().unwrap();
        vec![Op::Delete(key)]
    });
    assert!(problems[0].ends_with("is missing"), "{problems:?}");
    let problems = after(|_| vec![Op::Delete(layout::feed_key(3))]);
    assert!(problems[0].ends_with("is not at its place in the feed"), "{problems:?}");
    let problems = after(|_| vec![Op::Delete(layout::feed_key(10))]);
    assert!(
        problems
            .contains(&"the feed ends at 9, the state says 10, and 10 commits and 0 changes of policy or roster are held".to_owned()),
        "{problems:?}"
    );
}

#[test]
fn a_document_and_a_conflict_mark_that_do_not_belong() {
    let problems = after(|net| {
        let records = Records::new(&net.nodes[0].store);
        let other = records.document(&record(2)).unwrap().unwrap().save();
        let mark = layout::record_key(layout::CONFLICT, &record(2));
        vec![Op::Put(layout::record_key(layout::DOCUMENT, &record(1)), other), Op::Delete(mark)]
    });
    let mut problems: Vec<&str> =
        problems.iter().map(|problem| problem.rsplit(": ").next().unwrap()).collect();
    problems.sort_unstable();
    let expected = [
        "its conflict mark is wrong",
        "the store has 4 conflict marks, not 5",
        "the stored document is not the one that the commits give",
    ];
    assert_eq!(problems, expected);
}
