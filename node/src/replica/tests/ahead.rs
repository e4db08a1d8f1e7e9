//! What was read ahead comes to the same as what was not.

use std::sync::Arc;

use crdt_model::id::Region;
use crdt_model::policy::Policy;
use crdt_model::value::{Assertion, Cell};

use super::net::{Net, record, request};
use crate::kv::Memory;
use crate::replica::ahead::{Ahead, Ground};
use crate::replica::commit::Commit;
use crate::replica::event::{Precondition, RecordWrite};
use crate::replica::frame::Frame;
use crate::replica::history::{History, Place};
use crate::replica::node_id::NodeId;
use crate::replica::records::Records;
use crate::replica::verify::verify;

/// Read ahead, on the ground of this moment or of another policy, a commit comes to the same. Gives for
/// how many of its items something was found.
pub(super) fn comes_to_the_same(
    history: &History,
    commit: &Commit,
    by: (&NodeId, &Region),
    now_ms: u64,
    store: &Memory,
) -> usize {
    let expected = history.clone().take(commit, by.0, by.1, now_ms, store).unwrap();
    let mut found = 0;
    for policy in [Arc::clone(history.policy()), Arc::new(Policy::built_in())] {
        let frame = Frame::Commits(vec![commit.clone()]).encode();
        let Ahead { firsts, .. } = Ahead::read(&frame, &Ground::of(policy));
        let firsts = firsts.concat();
        found += firsts.iter().flatten().count();
        let mut history = history.clone();
        let taken = history.take_read(commit, firsts, by, now_ms, store).unwrap();
        assert_eq!(taken.ops, expected.ops);
        assert_eq!(taken.alarms, expected.alarms);
    }
    found
}

const TAX: (&str, &str) = (
    "tax_id/DE:VAT:DE136695976",
    "{\"country\":\"DE\",\"number\":\"DE136695976\",\"type\":\"VAT\"}",
);

/// What a customer says by its number: some share a tax id, some name another, some have a check that
/// finds something, and every tenth is no new one.
fn customer(number: u64) -> RecordWrite {
    let mut said = vec![
        ("name/legal", format!("Customer {number} GmbH")),
        ("company/1000/payment_terms", "NT30".to_owned()),
        ("general/website", format!("https://www.{number}.example/")),
    ];
    if number % 7 == 3 {
        said.push((TAX.0, TAX.1.to_owned()));
    }
    if number % 11 == 5 {
        said.push(("relation/parent", format!("{{\"customer\":\"{}\"}}", record(number - 1))));
    }
    let assertion = |text: &String| Assertion::from_cell(&Cell::Str(text.clone())).unwrap();
    let edits = said.iter().map(|(path, text)| (path.parse().unwrap(), assertion(text)));
    let id = if number % 10 == 9 { record(number - 9) } else { record(number) };
    let edits = edits.collect();
    RecordWrite { record: id, precondition: Precondition::None, edits, numbered: false }
}

#[test]
fn new_customers_that_were_read_ahead_are_as_if_they_were_not() {
    let mut net = Net::new(1);
    for first in (0..60).step_by(6) {
        let mut write = request(0, record(0), &[]);
        write.records = (first..first + 6).map(customer).collect();
        net.write(0, write).unwrap();
    }
    let records = Records::new(&net.nodes[0].store);
    let entries = records.feed(0, usize::MAX).unwrap();
    let commits = entries.iter().filter_map(|(_, entry)| entry.cause.commit());
    let commits: Vec<Commit> = commits.map(|at| records.commit(at).unwrap().unwrap()).collect();
    let mut store = Memory::new();
    let mut history = History::load(&store, net.roster.clone(), Policy::built_in()).unwrap();
    let mut found = 0;
    for commit in &commits {
        let Place::Next { author, region } = history.place(commit, &store).unwrap() else {
            panic!("a commit is not the next one");
        };
        let by = (&author, &region);
        found += comes_to_the_same(&history, commit, by, net.now_ms, &store);
        let ground = Ground::of(Arc::clone(history.policy()));
        let frame = Frame::Commits(vec![commit.clone()]).encode();
        let firsts = Ahead::read(&frame, &ground).firsts.concat();
        let taken = history.take_read(commit, firsts, by, net.now_ms, &store).unwrap();
        store.apply(&taken.ops);
    }
    // Read twice each, all new ones but those that name a parent.
    let alone = |number: &u64| number % 10 != 9 && number % 11 != 5;
    assert_eq!(found, 2 * (0..60).filter(alone).count());
    let found = verify(&history, &store, &mut |_| ()).unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
}
