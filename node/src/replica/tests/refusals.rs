//! Commits that are never stored: forged, out of order, by strangers.

use super::net::{Forger, Key, Net, block, heads, record, roster_of};
use crate::replica::codec::{Reader, Writer};
use crate::replica::commit::{Commit, Head};
use crate::replica::event::LinkId;
use crate::replica::frame::{PROTOCOL_MAX, encode_commits};
use crate::replica::roster::Signer;
use crdt_model::document::{ClaimEdit, CustomerDocument};

/// Two nodes with a link, and a third member who is only a key.
fn scene() -> (Net, LinkId, Forger) {
    let mut net = Net::with_roster(roster_of(3), 2);
    net.set(0, record(1), &[("x/name", "A")]);
    let link = net.meet(0, 1);
    let forger = Forger::new(2, &net.roster);
    (net, link, forger)
}

/// An honest item of the next commit, on a record of its own.
fn item(forger: &Forger, number: u64) -> (crdt_model::id::RecordId, Vec<u8>) {
    let edit = ClaimEdit { key: "x/name@crm".parse().unwrap(), assertion: super::net::stated("F") };
    let change = CustomerDocument::empty().propose(&forger.next(), &[edit], None).unwrap();
    (record(number), change.unwrap())
}

fn honest(forger: &mut Forger, number: u64) -> Commit {
    let item = item(forger, number);
    forger.commit(&[], vec![item])
}

fn assert_refused(net: &mut Net, link: LinkId, commit: &Commit, expected: &[&str]) {
    let held = net.held(1);
    assert_eq!(net.inject(link, 1, block(std::slice::from_ref(commit))), expected);
    assert_eq!(net.held(1), held, "something was stored");
}

#[test]
fn an_honest_commit_of_the_third_member_is_taken() {
    let (mut net, link, mut forger) = scene();
    let commit = honest(&mut forger, 10);
    assert_eq!(net.inject(link, 1, block(&[commit])), ["persist", "to a: ack 1"]);
    net.assert_sound(1);
}

#[test]
fn a_broken_signature() {
    let (mut net, link, mut forger) = scene();
    let mut commit = honest(&mut forger, 10);
    commit.signed.signature[5] ^= 1;
    let at = commit.signed.header.commit();
    let reason = format!("close a: commit {at} is refused: its signature is not its author's");
    assert_refused(&mut net, link, &commit, &[&reason]);
    assert_eq!(net.nodes[1].replica.status(net.now_ms).refused, 1);
}

#[test]
fn a_commit_signed_for_another_network() {
    let (mut net, link, forger) = scene();
    let other = crate::replica::roster::Roster::found("other", &Key::new(99)).unwrap();
    let draft = forger.draft(&[], vec![item(&forger, 10)]);
    let commit = draft.sign(&other.network_id(), |message| forger.key.signature(message));
    let at = commit.signed.header.commit();
    let reason = format!("close a: commit {at} is refused: its signature is not its author's");
    assert_refused(&mut net, link, &commit, &[&reason]);
}

#[test]
fn a_stranger() {
    let (mut net, link, mut forger) = scene();
    forger.key = Key::new(99);
    forger.opening.node = forger.key.key();
    forger.log = forger.opening.log_id(&net.roster.network_id());
    let commit = honest(&mut forger, 10);
    let at = commit.signed.header.commit();
    let reason =
        format!("close a: commit {at} is refused: its author is not a member of the network");
    assert_refused(&mut net, link, &commit, &[&reason]);
}

#[test]
fn a_log_of_somebody_else() {
    let (mut net, link, mut forger) = scene();
    forger.opening.nonce += 1;
    let commit = honest(&mut forger, 10);
    let at = commit.signed.header.commit();
    let reason = format!("close a: commit {at} is refused: its log id is not that of its author");
    assert_refused(&mut net, link, &commit, &[&reason]);
}

#[test]
fn a_log_that_continues_the_log_of_another_author() {
    let (mut net, link, mut forger) = scene();
    forger.opening.predecessor = Some(heads(&net, 0)[0]);
    forger.opening.incarnation = 2;
    forger.log = forger.opening.log_id(&net.roster.network_id());
    let commit = honest(&mut forger, 10);
    let at = commit.signed.header.commit();
    let reason = format!(
        "close a: commit {at} is refused: it does not continue an earlier log of its author"
    );
    assert_refused(&mut net, link, &commit, &[&reason]);
}

#[test]
fn a_wrong_previous_hash_is_no_proof_and_makes_the_branches_be_compared() {
    let (mut net, link, mut forger) = scene();
    let first = honest(&mut forger, 10);
    net.inject(link, 1, block(&[first]));
    let end = forger.last.unwrap();
    forger.last = Some(Head { hash: [7; 32], ..end });
    let commit = honest(&mut forger, 11);
    // No proof without the commit that stood there: the peer is shown what stands here.
    assert_refused(&mut net, link, &commit, &["to a: branch of 1"]);
    // A second commit of one number, unsigned, proves nothing about its author.
    forger.last = None;
    let mut other = honest(&mut forger, 12);
    other.signed.signature[5] ^= 1;
    let at = other.signed.header.commit();
    let reason = format!("close a: commit {at} is refused: its signature is not its author's");
    assert_refused(&mut net, link, &other, &[&reason]);
    net.assert_sound(1);
}

#[test]
fn a_missing_cause_is_asked_for() {
    let (mut net, link, mut forger) = scene();
    honest(&mut forger, 10);
    let second = honest(&mut forger, 11);
    net.now_ms += 10_000;
    assert_refused(&mut net, link, &second, &["to a: vector of 1"]);
    // Not for every commit that lacks one.
    let third = honest(&mut forger, 12);
    assert_refused(&mut net, link, &third, &[]);
    let mut stranger = Forger::new(2, &net.roster);
    let unknown = Head { log: forger.log, seq: 5, hash: [5; 32] };
    stranger.opening.nonce = 99;
    stranger.log = stranger.opening.log_id(&net.roster.network_id());
    let item = item(&stranger, 13);
    let follows = stranger.commit(&[unknown], vec![item]);
    assert_refused(&mut net, link, &follows, &[]);
    // What it follows is here, with another hash.
    let mut wrong = heads(&net, 1)[0];
    wrong.hash[0] ^= 1;
    stranger.last = None;
    let item = self::item(&stranger, 13);
    let follows = stranger.commit(&[wrong], vec![item]);
    assert_refused(&mut net, link, &follows, &["to a: branch of 1"]);
}

#[test]
fn an_epoch_that_is_not_here_yet_waits() {
    let (mut net, link, mut forger) = scene();
    forger.epoch += 1;
    let commit = honest(&mut forger, 10);
    assert_refused(&mut net, link, &commit, &[]);
    let roster = roster_of(4).encode();
    let ticket = crate::replica::event::Ticket(1);
    let adopt = crate::replica::event::Event::AdoptRoster { ticket, roster };
    assert!(net.event(1, adopt).contains(&"persist".to_owned()));
    assert_eq!(net.inject(link, 1, block(&[commit]))[0], "persist");
}

#[test]
fn an_author_who_was_no_member_at_the_epoch_named() {
    let (mut net, link, mut forger) = scene();
    forger.epoch = 2;
    let commit = honest(&mut forger, 10);
    let at = commit.signed.header.commit();
    let reason =
        format!("close a: commit {at} is refused: its author is not a member of the network");
    assert_refused(&mut net, link, &commit, &[&reason]);
}

#[test]
fn an_item_that_the_header_does_not_name() {
    let (mut net, link, mut forger) = scene();
    let mut commit = honest(&mut forger, 10);
    commit.items[0][20] ^= 1;
    // Its hash does not travel: the receiver makes another header than the one that was signed.
    let at = commit.signed.header.commit();
    let reason = format!("close a: commit {at} is refused: its signature is not its author's");
    assert_refused(&mut net, link, &commit, &[&reason]);
}

/// A header whose stem brings a note hash and the beginning of a list of its own, so that what follows
/// from note and items is read as the end of that list. It is well signed, and could never be read back.
#[test]
fn a_stem_that_swallows_the_hashes_behind_it() {
    let (mut net, link, mut forger) = scene();
    let commit = honest(&mut forger, 10);
    let bytes = commit.signed.encode();
    let mut reader = Reader::new(&bytes);
    let header = reader.bytes(bytes.len()).unwrap();
    let note = reader.take_rest()[64..].to_vec();
    let note = Reader::new(&note).bytes(note.len()).unwrap().to_vec();
    let hash = |bytes: &[u8]| *blake3::hash(bytes).as_bytes();
    let (stem, tail) = header.split_at(header.len() - (32 + 1 + 32));
    let stem = [stem, &hash(&note), &[3], &[0; 31]].concat();
    let network = net.nodes[1].replica.history().roster.network_id();
    let signed = hash(&[stem.as_slice(), tail].concat());
    let message = [b"concord commit v1".as_slice(), network.as_bytes(), &signed].concat();
    let mut out = Writer::new();
    out.bytes(&stem).raw(&forger.key.signature(&message)).bytes(&note);
    out.raw(&commit.encode_items());
    let held = net.held(1);
    let said = net.inject(link, 1, encode_commits(&[out.into_bytes()], PROTOCOL_MAX));
    assert_eq!(said, ["close a: a frame cannot be decoded: an unknown version, kind or flag"]);
    assert_eq!(net.held(1), held, "something was stored");
}

#[test]
fn one_record_twice_in_a_commit() {
    let (mut net, link, mut forger) = scene();
    let twice = vec![item(&forger, 10), item(&forger, 10)];
    let commit = forger.commit(&[], twice);
    let reason = "close a: a frame cannot be decoded: a list is out of order";
    assert_refused(&mut net, link, &commit, &[reason]);
}

#[test]
fn what_stood_before_a_refused_commit_is_kept_and_acknowledged() {
    let (mut net, link, mut forger) = scene();
    let first = honest(&mut forger, 10);
    let mut second = honest(&mut forger, 11);
    second.signed.signature[5] ^= 1;
    let actions = net.inject(link, 1, block(&[first, second]));
    let [persist, ack, close] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((persist.as_str(), ack.as_str()), ("persist", "to a: ack 1"));
    assert!(close.starts_with("close a: commit"), "{close}");
    net.assert_sound(1);
}
