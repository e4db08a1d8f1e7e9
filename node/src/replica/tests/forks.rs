//! An author who signs two histories: the log ends where they part, on every node alike, and nothing
//! that anybody else had said is lost.

use crdt_model::document::{ClaimEdit, CustomerDocument};
use crdt_model::id::{CommitRef, RecordId};

use super::backups::{assert_restores, end, segment};
use super::net::{Forger, NAMES, Net, block, heads, member_keys, record, roster_of, stated};
use crate::kv::Op;
use crate::replica::commit::{Commit, Head, Opening};
use crate::replica::event::LinkId;
use crate::replica::fork::ForkProof;
use crate::replica::frame::{Digests, Frame, Hello, PROTOCOL_MAX, PROTOCOL_MIN};
use crate::replica::layout;
use crate::replica::limits::BRANCH_HEADERS_MAX;
use crate::replica::records::Records;
use crate::replica::roster::Signer;
use crate::replica::vector::ToldLog;

/// Where the member is who signs everything.
const FORGER: usize = 3;

/// The forger calls a node and says hello.
fn call(net: &mut Net, at: usize) -> LinkId {
    let link = net.new_link(FORGER, at);
    net.up(link, at);
    let digests = Digests {
        roster_height: net.roster.height(),
        control: net.roster.digest(),
        history: [7; 32],
        golden: [7; 32],
        rules: [0; 8],
    };
    let hello = Hello {
        version_min: PROTOCOL_MIN,
        version_max: PROTOCOL_MAX,
        network: *net.roster.network_id().as_bytes(),
        clock_ms: net.now_ms,
        digests,
    };
    net.inject(link, at, Frame::Hello(hello).encode());
    link
}

/// The forger gives a node commits, and goes.
fn give(net: &mut Net, at: usize, commits: &[Commit]) {
    let link = call(net, at);
    for part in commits.chunks(50) {
        net.inject(link, at, block(part));
    }
    net.cut(link);
}

/// A commit that says one thing about a record that nobody else writes on.
fn says(forger: &mut Forger, about: RecordId, text: &str) -> Commit {
    let edit = ClaimEdit { key: "x/name@crm".parse().unwrap(), assertion: stated(text) };
    let change = CustomerDocument::empty().propose(&forger.next(), &[edit], None);
    forger.commit(&[], vec![(about, change.unwrap().unwrap())])
}

/// Three nodes without links; a member who has signed one commit that all of them hold, and goes on
/// in two ways.
fn scene() -> (Net, [Forger; 2]) {
    let mut net = Net::with_roster(roster_of(4), 3);
    let mut forger = Forger::new(FORGER, &net.roster);
    let first = says(&mut forger, record(1), "common");
    (0..3).for_each(|at| give(&mut net, at, std::slice::from_ref(&first)));
    (net, two(&forger))
}

fn two(forger: &Forger) -> [Forger; 2] {
    [0, 1].map(|_| {
        let mut twin = Forger::new(FORGER, &roster_of(4));
        (twin.opening, twin.log, twin.last) = (forger.opening, forger.log, forger.last);
        twin
    })
}

fn meet_all(net: &mut Net) {
    net.meet(0, 1);
    net.meet(1, 2);
    net.meet(0, 2);
    net.wait(12);
}

fn alarms(net: &Net, at: usize) -> Vec<String> {
    net.nodes[at].replica.status(net.now_ms).alarms
}

fn assert_ended(net: &Net, forger: &Forger, at_seq: u64) {
    net.assert_equal();
    for (at, name) in NAMES.iter().enumerate().take(net.nodes.len()) {
        let vector = &net.nodes[at].replica.history().vector;
        assert_eq!(vector.forks().get(&forger.log), Some(&at_seq), "{name}");
        assert_eq!(vector.seq(&forger.log), at_seq - 1, "{name}");
        assert!(alarms(net, at)[0].contains("signed two different histories"), "{name}");
    }
}

#[test]
fn two_branches_end_where_they_part_and_who_followed_one_says_it_again() {
    let (mut net, [mut left, mut right]) = scene();
    let (a2, a3) = (says(&mut left, record(2), "left"), says(&mut left, record(3), "left"));
    let b2 = says(&mut right, record(4), "right");
    give(&mut net, 0, &[a2, a3]);
    give(&mut net, 1, &[b2]);
    // A value of node a stands on the left branch, one of node b on the right one; c has seen neither.
    net.set(0, record(2), &[("x/phone", "1")]);
    net.set(0, record(9), &[("x/phone", "4")]);
    net.set(1, record(4), &[("x/phone", "2")]);
    net.set(2, record(2), &[("x/fax", "3")]);
    meet_all(&mut net);
    assert_ended(&net, &left, 2);
    assert_eq!(net.shown(0, &record(1)), ["x/name=common"]);
    assert_eq!(net.shown(1, &record(2)), ["x/fax=3", "x/phone=1"]);
    assert_eq!(net.shown(2, &record(3)), [""; 0]);
    assert_eq!(net.shown(0, &record(4)), ["x/phone=2"]);
    assert_eq!(net.shown(1, &record(9)), ["x/phone=4"]);
    let reasons = Records::new(&net.nodes[2].store).history(&record(2), 0, 9).unwrap();
    let reasons = reasons.iter().map(|(_, commit)| {
        let header = Records::new(&net.nodes[2].store).header(commit).unwrap().unwrap();
        header.note.provenance
    });
    let again: Vec<_> = reasons.filter(|it| it.reason.contains("issued again")).collect();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].principal, "tester");
    // What the branches said is kept for a steward, where it was held.
    let aside = |at: usize| Records::new(&net.nodes[at].store).set_aside(&left.log).unwrap().len();
    assert_eq!([0, 1, 2].map(aside), [2, 1, 0]);
    // The next write and a restart find everything in order.
    net.set(1, record(2), &[("x/name", "after")]);
    net.settle();
    (0..3).for_each(|at| net.restart(at));
    meet_all(&mut net);
    assert_ended(&net, &left, 2);
    assert_eq!(net.shown(0, &record(2)), ["x/fax=3", "x/name=after", "x/phone=1"]);
}

#[test]
fn a_log_that_parts_at_its_first_commit_is_gone_and_its_successor_goes_on() {
    let mut net = Net::with_roster(roster_of(4), 3);
    let forger = Forger::new(FORGER, &net.roster);
    let [mut left, mut right] = two(&forger);
    let a1 = says(&mut left, record(1), "left");
    let b1 = says(&mut right, record(2), "right");
    give(&mut net, 0, &[a1]);
    give(&mut net, 1, &[b1]);
    // A later log names the end of one branch.
    let end = left.last;
    left.reopen(2, 9, end);
    let next = says(&mut left, record(3), "next");
    give(&mut net, 0, &[next]);
    meet_all(&mut net);
    net.assert_equal();
    assert_eq!(net.nodes[2].replica.history().vector.seq(&forger.log), 0);
    assert_eq!(net.shown(2, &record(3)), ["x/name=next"]);
    assert_eq!(net.shown(0, &record(1)), [""; 0]);
}

#[test]
fn long_branches_are_compared_in_steps() {
    let (mut net, [mut left, mut right]) = scene();
    let long = BRANCH_HEADERS_MAX + 40;
    let branch = |forger: &mut Forger, text: &str| -> Vec<Commit> {
        (0..long).map(|_| says(forger, record(1_000 + forger.next().commit.seq), text)).collect()
    };
    let (a, b) = (branch(&mut left, "left"), branch(&mut right, "right"));
    give(&mut net, 0, &a);
    give(&mut net, 1, &b[..long - 7]);
    meet_all(&mut net);
    assert_ended(&net, &left, 2);
}

#[test]
fn who_hears_of_the_fork_first_takes_neither_branch() {
    let (mut net, [mut left, mut right]) = scene();
    let a2 = says(&mut left, record(2), "left");
    let b2 = says(&mut right, record(3), "right");
    let proof = ForkProof::new(left.opening, a2.signed.clone(), b2.signed.clone());
    let link = call(&mut net, 2);
    net.inject(link, 2, Frame::Fork(Box::new(proof)).encode());
    let actions = net.inject(link, 2, block(std::slice::from_ref(&a2)));
    assert!(actions.iter().all(|action| action != "persist"), "{actions:?}");
    net.cut(link);
    give(&mut net, 0, &[a2]);
    give(&mut net, 1, &[b2]);
    meet_all(&mut net);
    assert_ended(&net, &left, 2);
}

#[test]
fn a_backup_from_before_and_after_a_fork_restores_the_history_without_the_branches() {
    let (mut net, [mut left, mut right]) = scene();
    let (a2, b2) = (says(&mut left, record(2), "left"), says(&mut right, record(3), "right"));
    give(&mut net, 0, &[a2]);
    give(&mut net, 1, &[b2]);
    net.set(0, record(2), &[("x/phone", "1")]);
    let first = segment(&mut net, 0, None);
    meet_all(&mut net);
    let second = segment(&mut net, 0, end(&first).1);
    let alone = segment(&mut net, 0, None);
    assert_restores(&mut net, 0, vec![first, second]);
    assert_restores(&mut net, 0, vec![alone]);
    assert_eq!(net.shown(0, &record(2)), ["x/phone=1"]);
    assert_eq!(Records::new(&net.nodes[0].store).set_aside(&left.log).unwrap().len(), 1);
}

#[test]
fn a_stored_proof_that_proves_nothing_is_found() {
    let (mut net, [mut left, mut right]) = scene();
    let (a2, b2) = (says(&mut left, record(2), "left"), says(&mut right, record(3), "right"));
    give(&mut net, 0, &[a2]);
    give(&mut net, 1, &[b2]);
    meet_all(&mut net);
    net.assert_sound(0);
    let key = layout::fork_key(&left.log);
    let mut forged = Records::new(&net.nodes[0].store).fork(&left.log).unwrap().unwrap();
    forged.opening.nonce ^= 1;
    for (value, why) in [
        (forged.encode(), "the log is not that of the author named"),
        (b"garbage".to_vec(), "is damaged"),
    ] {
        net.nodes[0].store.apply(&[Op::Put(key.clone(), value)]);
        let problems = net.problems(0);
        assert!(problems.iter().any(|problem| problem.ends_with(why)), "{problems:?}");
    }
}

#[test]
fn nobody_is_accused_without_two_signatures() {
    let mut net = Net::with_roster(roster_of(4), 3);
    net.set(0, record(1), &[("x/name", "A")]);
    net.meet(0, 1);
    let log = *net.nodes[0].replica.history().vector.logs().keys().next().unwrap();
    let link = call(&mut net, 1);
    let told = ToldLog { log, author: [0; 8], incarnation: 1, seq: 1, hash: [9; 8] };
    net.inject(link, 1, Frame::Vector(vec![told]).encode());
    assert_eq!(alarms(&net, 1), [""; 0]);
    // Two headers of which the author signed one: the other is signed by somebody else.
    let ours =
        Records::new(&net.nodes[0].store).header(&CommitRef { log, seq: 1 }).unwrap().unwrap();
    let mut forger = Forger::new(FORGER, &net.roster);
    forger.opening = ours.header.opening.unwrap();
    forger.log = log;
    let forged = says(&mut forger, record(2), "forged");
    let held = net.held(1);
    net.inject(link, 1, Frame::Branch(vec![forged.signed.clone()]).encode());
    let opening = ours.header.opening.unwrap();
    let proof = ForkProof::new(opening, ours.clone(), forged.signed.clone());
    let actions = net.inject(link, 1, Frame::Fork(Box::new(proof)).encode());
    assert_eq!(actions, ["close d: it shows no fork: a header is not signed by the author"]);
    for (opening, one, other, why) in [
        (opening, &ours, &ours, "the headers are not two of one number"),
        (
            Opening { node: member_keys()[FORGER].key(), ..opening },
            &ours,
            &forged.signed,
            "the log is not that of the author named",
        ),
    ] {
        let link = call(&mut net, 1);
        let proof = ForkProof::new(opening, one.clone(), other.clone());
        let actions = net.inject(link, 1, Frame::Fork(Box::new(proof)).encode());
        assert_eq!(actions, [format!("close d: it shows no fork: {why}")]);
    }
    assert_eq!(net.held(1), held, "something was stored");
    assert_eq!(alarms(&net, 1), [""; 0]);
}

#[test]
fn a_stolen_key_in_our_own_log_costs_us_nothing_that_we_said() {
    let mut net = Net::with_roster(roster_of(4), 3);
    net.set(0, record(1), &[("x/name", "1")]);
    net.set(0, record(2), &[("x/name", "2")]);
    net.set(0, record(2), &[("x/name", "3")]);
    // Somebody else goes on from the first commit with the same key.
    let log = net.nodes[0].replica.history().vector.logs().keys().next().copied().unwrap();
    let first = Records::new(&net.nodes[0].store).header(&CommitRef { log, seq: 1 });
    let first = first.unwrap().unwrap();
    let commit = Records::new(&net.nodes[0].store).commit(&CommitRef { log, seq: 1 });
    let mut thief = Forger::new(0, &net.roster);
    (thief.opening, thief.log) = (first.header.opening.unwrap(), log);
    thief.last = Some(Head { log, seq: 1, hash: first.hash() });
    let stolen = says(&mut thief, record(3), "stolen");
    give(&mut net, 1, &[commit.unwrap().unwrap(), stolen]);
    meet_all(&mut net);
    assert_ended(&net, &thief, 2);
    assert_eq!(net.shown(2, &record(1)), ["x/name=1"]);
    assert_eq!(net.shown(1, &record(2)), ["x/name=3"]);
    assert_eq!(net.shown(0, &record(3)), [""; 0]);
    // It writes on, in a log of its own.
    net.set(0, record(1), &[("x/name", "on")]);
    net.settle();
    assert_eq!(net.shown(2, &record(1)), ["x/name=on"]);
    assert!(heads(&net, 2).len() >= 2);
    net.assert_equal();
}
