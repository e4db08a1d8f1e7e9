//! Well-signed commits of a member whose content is an attack: each harms the record it names, and
//! there only itself.

use super::net::{Forger, Net, block, heads, record, roster_of, stated};
use crate::replica::limits::ITEM_BYTES_MAX;
use crate::replica::records::Records;
use crdt_model::document::hostile::catalogue;
use crdt_model::document::{ClaimEdit, CustomerDocument};

/// Two nodes that hold a record with a conflict and an overwritten value, and a third member.
fn scene() -> (Net, Forger) {
    let mut net = Net::with_roster(roster_of(3), 2);
    let link = net.meet(0, 1);
    net.set(0, record(1), &[("name/legal", "A"), ("x/terms", "N30")]);
    net.settle();
    net.cut(link);
    net.set(0, record(1), &[("name/legal", "B")]);
    net.set(1, record(1), &[("name/legal", "C"), ("x/terms", "N60")]);
    net.meet(0, 1);
    net.assert_equal();
    let forger = Forger::new(2, &net.roster);
    (net, forger)
}

fn honest_change(forger: &Forger) -> Vec<u8> {
    let edit = ClaimEdit { key: "x/name@crm".parse().unwrap(), assertion: stated("F") };
    CustomerDocument::empty().propose(&forger.next(), &[edit], None).unwrap().unwrap()
}

#[test]
fn every_hostile_change_is_quarantined_alike_and_harms_nothing_else() {
    let (mut net, mut forger) = scene();
    let before = net.shown(0, &record(1));
    let link = *net.nodes[0].replica.links.keys().next().unwrap();
    let mut expected = Vec::new();
    for (number, attack) in (100..).zip(catalogue()) {
        let document = Records::new(&net.nodes[0].store).document(&record(1)).unwrap().unwrap();
        let hostile = attack.bytes(&forger.next(), &document);
        if 16 + hostile.len() > ITEM_BYTES_MAX {
            // Too long for an item: such a commit does not even decode.
            continue;
        }
        let items = vec![(record(1), hostile), (record(number), honest_change(&forger))];
        let follows = if forger.last.is_none() { heads(&net, 0) } else { Vec::new() };
        let commit = forger.commit(&follows, items);
        expected.push((record(1), commit.signed.header.seq, attack.code.code().to_owned()));
        // As if node b had it from the third member and passed it on.
        let actions = net.inject(link, 0, block(&[commit]));
        assert_eq!(
            actions,
            ["persist", "to b: ack 1".replace('1', &expected.len().to_string()).as_str()],
            "{}",
            attack.name
        );
        net.wait(4);
        assert_eq!(net.quarantine(0), expected, "{}", attack.name);
        assert_eq!(net.quarantine(1), expected, "{}", attack.name);
        assert_eq!(net.shown(0, &record(1)), before, "{}", attack.name);
        assert_eq!(net.shown(1, &record(number)), ["x/name=F"], "{}", attack.name);
    }
    assert!(expected.len() > 50, "{}", expected.len());
    net.assert_equal();
    // The record is readable and writable afterwards, on both nodes.
    net.set(0, record(1), &[("name/legal", "D")]);
    net.settle();
    net.set(1, record(1), &[("x/terms", "N90")]);
    net.settle();
    net.assert_equal();
    let mut after = net.shown(1, &record(1));
    assert_eq!(after.pop().unwrap(), "x/terms=N90");
    assert!(after[0].starts_with("name/legal=D"), "{after:?}");
    let alarms = [0, 1].map(|at| net.nodes[at].replica.status(net.now_ms).alarms);
    assert_eq!(alarms, [[""; 0], [""; 0]]);
    // A restart reads it all back, and a new node comes to the same verdicts.
    net.restart(0);
    net.meet(0, 1);
    net.assert_equal();
}

#[test]
fn an_item_that_depends_on_a_quarantined_one_is_quarantined_too() {
    let (mut net, mut forger) = scene();
    let link = *net.nodes[0].replica.links.keys().next().unwrap();
    let document = CustomerDocument::empty();
    let edit = |text| ClaimEdit { key: "x/name@crm".parse().unwrap(), assertion: stated(text) };
    // The first change says another time than its commit.
    let mut author = forger.next();
    author.time = crdt_model::time::Hlc::from_ms(1);
    let wrong = document.propose(&author, &[edit("F")], None).unwrap().unwrap();
    let wrong_author = author;
    let first = forger.commit(&[], vec![(record(9), wrong.clone())]);
    let held = document.admit(&wrong_author, &wrong).unwrap();
    let next = held.propose(&forger.next(), &[edit("G")], None).unwrap().unwrap();
    let second = forger.commit(&[], vec![(record(9), next)]);
    assert_eq!(net.inject(link, 0, block(&[first, second])).len(), 3);
    net.wait(4);
    let codes: Vec<String> = net.quarantine(0).into_iter().map(|(.., code)| code).collect();
    assert_eq!(codes, ["wrong-time", "missing-dependency"]);
    // The record exists for nobody, until somebody writes it.
    assert_eq!(net.shown(0, &record(9)), [""; 0]);
    net.assert_equal();
    net.set(1, record(9), &[("x/name", "H")]);
    net.settle();
    net.assert_equal();
    assert_eq!(net.shown(0, &record(9)), ["x/name=H"]);
}
