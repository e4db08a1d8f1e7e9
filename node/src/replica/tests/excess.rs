//! A member that sends or opens far more than any honest one: it harms itself, not the node.

use crdt_model::document::{ClaimEdit, CustomerDocument};
use crdt_model::id::{LogId, RecordId};
use crdt_model::value::Assertion;

use super::net::{Forger, Net, block, heads, record, request, roster_of, stated};
use crate::replica::commit::{Commit, Head};
use crate::replica::event::{LinkId, WriteRefusal};
use crate::replica::frame::Frame;
use crate::replica::limits::{FOLLOWS_MAX, OPEN_LOGS_MAX};
use crate::replica::records::Records;
use crate::replica::vector::{ToldLog, held_by_peer};

/// Two nodes with a link, and two members who are only keys.
fn scene() -> (Net, LinkId) {
    let mut net = Net::with_roster(roster_of(4), 2);
    net.set(0, record(1), &[("x/name", "A")]);
    let link = net.meet(0, 1);
    (net, link)
}

fn told(number: u8, incarnation: u64, seq: u64) -> ToldLog {
    let log = LogId::from_bytes([number; 16]);
    ToldLog { log, author: [1; 8], incarnation, seq, hash: [2; 8] }
}

/// Hands a node commits in blocks that a frame can hold.
fn inject_all(net: &mut Net, link: LinkId, to: usize, commits: &[Commit]) {
    for chunk in commits.chunks(500) {
        let actions = net.inject(link, to, block(chunk));
        assert_eq!(actions[0], "persist", "{actions:?}");
    }
}

#[test]
fn numbers_at_the_end_of_their_range_are_only_numbers() {
    let (mut net, link) = scene();
    let most = [told(1, u64::MAX, u64::MAX), told(2, u64::MAX, u64::MAX)];
    net.inject(link, 1, Frame::Vector(most.to_vec()).encode());
    assert_eq!(net.nodes[1].replica.status(net.now_ms).peers[0].ahead, u64::MAX);
    net.settle();
    let (_, entries) = roster_of(4).parts_from(1).remove(0);
    let said = net.inject(link, 1, Frame::Roster { from: u64::MAX, entries }.encode());
    assert!(said[0].starts_with("close a: roster entry"), "{said:?}");
    net.assert_sound(1);
}

#[test]
fn acknowledgements_of_logs_that_nobody_has_are_not_kept() {
    let (mut net, link) = scene();
    let entries: Vec<_> = (1..=200_u8).map(|n| (LogId::from_bytes([n; 16]), 5)).collect();
    net.inject(link, 1, Frame::Ack(entries).encode());
    // Nor are commits that cannot be taken yet.
    let mut forger = Forger::new(2, &net.roster);
    forger.commit(&[], Vec::new());
    let second = forger.commit(&[], Vec::new());
    net.inject(link, 1, block(&[second]));
    let replica = &net.nodes[1].replica;
    let held = replica.history().vector.logs().len();
    assert!(replica.links.values().all(|link| link.known.len() <= held));
    assert!(replica.peers.values().all(|peer| peer.reported.len() <= held));
}

#[test]
fn a_vector_names_each_log_once_in_order() {
    let (one, two) = (told(1, 1, 1), told(2, 1, 1));
    assert!(Frame::decode(&Frame::Vector(vec![one, two]).encode()).is_ok());
    for wrong in [vec![one, one], vec![two, one]] {
        assert!(Frame::decode(&Frame::Vector(wrong).encode()).is_err());
    }
}

/// A chain of logs of one member, each opened and left; its first commit stands in the first.
fn chain(net: &Net, length: u64) -> (Vec<Commit>, Forger) {
    let mut forger = Forger::new(2, &net.roster);
    let edit = ClaimEdit { key: "x/terms@crm".parse().unwrap(), assertion: stated("N30") };
    let document = Records::new(&net.nodes[1].store).document(&record(1)).unwrap().unwrap();
    let change = document.propose(&forger.next(), &[edit], None).unwrap().unwrap();
    let mut commits = vec![forger.commit(&heads(net, 1), vec![(record(1), change)])];
    for incarnation in 2..=length {
        forger.reopen(incarnation, 7, forger.last);
        commits.push(forger.commit(&[], Vec::new()));
    }
    (commits, forger)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test measures, the replica does not")]
fn a_member_that_restarted_thousands_of_times_is_followed_through_all_its_logs() {
    let (mut net, link) = scene();
    let (commits, mut restarted) = chain(&net, 3_000);
    inject_all(&mut net, link, 1, &commits);
    // Another member names the last log only, and changes what the first one wrote; so does the
    // member itself.
    let mut other = Forger::new(3, &net.roster);
    for forger in [&mut other, &mut restarted] {
        let document = Records::new(&net.nodes[1].store).document(&record(1)).unwrap().unwrap();
        let edit = ClaimEdit { key: "x/name@crm".parse().unwrap(), assertion: stated("B") };
        let edit = ClaimEdit { assertion: stated(&forger.region.to_string()), ..edit };
        let change = document.propose(&forger.next(), &[edit], None).unwrap().unwrap();
        let ends: Vec<Head> = net.nodes[1]
            .replica
            .history()
            .vector
            .unfolded()
            .filter(|(log, _)| **log != forger.log)
            .filter_map(|(log, _)| net.nodes[1].replica.history().vector.head(log))
            .collect();
        let commit = forger.commit(&ends, vec![(record(1), change)]);
        // A long chain takes time, never stack.
        let inject = || net.inject(link, 1, block(&[commit]));
        let small = std::thread::Builder::new().stack_size(256 << 10);
        let said = std::thread::scope(|scope| small.spawn_scoped(scope, inject).unwrap().join());
        assert_eq!(said.unwrap()[0], "persist");
    }
    assert_eq!(net.quarantine(1), []);
    net.settle();
    net.wait(4);
    net.assert_equal();
    // A told vector is walked once, however often it names the chain.
    let vector = &net.nodes[1].replica.history().vector;
    let all: Vec<ToldLog> = vector
        .logs()
        .iter()
        .map(|(log, held)| ToldLog {
            log: *log,
            author: [0; 8],
            incarnation: held.incarnation,
            seq: held.seq,
            hash: [0; 8],
        })
        .collect();
    let started = std::time::Instant::now();
    assert!(held_by_peer(vector, &all).iter().all(|(log, seq)| vector.seq(log) == *seq));
    assert!(started.elapsed() < std::time::Duration::from_millis(200), "{:?}", started.elapsed());
}

#[test]
fn a_write_after_more_openings_than_a_commit_can_name_reads_back_everywhere() {
    let (mut net, link) = scene();
    let mut forger = Forger::new(2, &net.roster);
    let mut commits = Vec::new();
    for nonce in 1..=FOLLOWS_MAX as u64 + 100 {
        forger.reopen(1, nonce, None);
        let edit = ClaimEdit { key: "x/terms@crm".parse().unwrap(), assertion: stated("N30") };
        let document = CustomerDocument::empty();
        let change = document.propose(&forger.next(), &[edit], None).unwrap().unwrap();
        let items = if nonce % 300 == 0 { vec![(record(2), change)] } else { Vec::new() };
        commits.push(forger.commit(&[], items));
    }
    inject_all(&mut net, link, 1, &commits);
    net.settle();
    let said = net.set(1, record(2), &[("x/name", "B")]);
    assert!(said.contains(&"reply: written".to_owned()), "{said:?}");
    net.settle();
    net.wait(4);
    assert_eq!(net.quarantine(0), []);
    net.assert_equal();
    // A node that starts now names all of them in its first commits.
    net.restart(0);
    net.meet(0, 1);
    net.set(0, record(1), &[("x/name", "C")]);
    net.settle();
    net.wait(4);
    net.assert_equal();
    net.restart(1);
    net.meet(0, 1);
    net.assert_equal();
}

#[test]
fn a_member_that_opens_logs_without_end_loses_its_links() {
    let (mut net, link) = scene();
    let mut forger = Forger::new(2, &net.roster);
    let its = net.new_link(1, 2);
    net.up(its, 1);
    let mut commits = Vec::new();
    for nonce in 1..=OPEN_LOGS_MAX as u64 + 1 {
        forger.reopen(1, nonce, None);
        commits.push(forger.commit(&[], Vec::new()));
    }
    let last = commits.pop().unwrap();
    inject_all(&mut net, link, 1, &commits);
    // A restart that goes on from the log before leaves nothing open.
    forger.reopen(2, 1, commits.last().map(head_of));
    inject_all(&mut net, link, 1, &[forger.commit(&[], Vec::new())]);
    assert!(net.nodes[1].replica.links.contains_key(&its));
    let said = net.inject(link, 1, block(&[last]));
    assert_eq!(said.iter().filter(|said| said.starts_with("alarm: node")).count(), 1, "{said:?}");
    assert!(
        said.iter().any(|said| said.starts_with("close c: it has opened too many")),
        "{said:?}"
    );
    let again = net.new_link(2, 1);
    assert!(net.up(again, 1)[0].starts_with("close c: it has opened too many"));
    // It is not called, and the others are served.
    net.now_ms += 120_000;
    assert!(
        !net.event(1, crate::replica::event::Event::Tick)
            .iter()
            .any(|said| said.contains("dial c"))
    );
    net.settle();
    net.wait(4);
    net.assert_equal();
    net.restart(1);
    let again = net.new_link(2, 1);
    assert!(net.up(again, 1)[0].starts_with("close c: it has opened too many"));
}

fn head_of(commit: &Commit) -> Head {
    let header = &commit.signed.header;
    Head { log: header.log, seq: header.seq, hash: commit.signed.hash() }
}

/// A commit whose change sets so many texts of 62 KiB on a record.
fn heavy(
    forger: &mut Forger,
    document: &mut CustomerDocument,
    record: RecordId,
    letter: &str,
) -> Commit {
    let author = forger.next();
    let (log, seq) = (forger.log, author.commit.seq);
    let edits = (0..4).map(|n| ClaimEdit {
        key: format!("x/{log}-{seq}/{n}@crm").parse().unwrap(),
        assertion: stated(&letter.repeat((62 << 10) / letter.len())),
    });
    let edits: Vec<ClaimEdit> = edits.collect();
    let change = document.propose(&author, &edits, None).unwrap().unwrap();
    if let Ok(after) = document.admit(&author, &change) {
        *document = after;
    }
    forger.commit(&[], vec![(record, change)])
}

#[test]
fn a_record_that_one_member_fills_is_cut_off_alike_everywhere() {
    let (mut net, link) = scene();
    let mut forger = Forger::new(2, &net.roster);
    let mut document = CustomerDocument::empty();
    for _ in 0..18 {
        let commit = heavy(&mut forger, &mut document, record(5), "x");
        net.inject(link, 1, block(&[commit]));
    }
    net.wait(4);
    let codes: Vec<String> = net.quarantine(1).into_iter().map(|(.., code)| code).collect();
    assert_eq!(codes, ["history-too-large", "history-too-large"]);
    assert_eq!(net.quarantine(0), net.quarantine(1));
    net.assert_equal();
    let full = net.write(1, request(1, record(5), &[("x/name", &"y".repeat(60 << 10))]));
    assert!(matches!(full, Err(WriteRefusal::RecordFull { .. })), "{full:?}");
}

#[test]
fn a_record_that_many_logs_fill_apart_is_held_and_the_node_goes_on() {
    let (mut net, link) = scene();
    let mut forger = Forger::new(2, &net.roster);
    let mut alarms = 0;
    for nonce in 1..=4 {
        forger.reopen(1, nonce, None);
        let mut document = CustomerDocument::empty();
        for _ in 0..9 {
            let commit = heavy(&mut forger, &mut document, record(5), "x");
            let said = net.inject(link, 1, block(&[commit]));
            assert_eq!(said[0], "persist");
            alarms += said.iter().filter(|said| said.starts_with("alarm: customer")).count();
        }
    }
    assert_eq!(alarms, 1);
    let held = net.write(1, request(1, record(5), &[("x/name", "A")]));
    assert!(matches!(held, Err(WriteRefusal::Held { .. })), "{held:?}");
    net.set(1, record(1), &[("x/name", "B")]);
    net.wait(4);
    assert_eq!(net.shown(0, &record(1)), ["x/name=B"]);
    assert!(net.nodes[1].store.longest() < 16 << 20);
}

#[test]
fn a_difference_that_no_feed_entry_can_hold_names_the_records() {
    let (mut net, link) = scene();
    let mut forger = Forger::new(2, &net.roster);
    let mut documents = Vec::new();
    // Escaped in JSON a control character is six times as long.
    for number in 5..8 {
        let mut document = CustomerDocument::empty();
        for _ in 0..2 {
            let commit = heavy(&mut forger, &mut document, record(number), "\u{1}");
            net.inject(link, 1, block(&[commit]));
        }
        documents.push((record(number), document));
    }
    let author = forger.next();
    let items = documents.iter().map(|(record, document)| {
        let edits: Vec<ClaimEdit> = document
            .claims()
            .claims()
            .iter()
            .map(|claim| {
                let (path, source) = (claim.path.clone(), claim.source.clone());
                ClaimEdit::new(path, source, Assertion::Tombstone)
            })
            .collect();
        (*record, document.propose(&author, &edits, None).unwrap().unwrap())
    });
    let commit = forger.commit(&[], items.collect());
    assert_eq!(net.inject(link, 1, block(&[commit]))[0], "persist");
    let records = Records::new(&net.nodes[1].store);
    let (_, entry) = records.feed(0, 100).unwrap().pop().unwrap();
    assert_eq!(entry.records.len(), 3);
    assert!(entry.records.iter().all(|difference| difference.fields.is_empty()));
    assert!(net.nodes[1].store.longest() < 16 << 20, "{}", net.nodes[1].store.longest());
    net.assert_sound(1);
}
