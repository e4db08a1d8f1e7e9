//! The customer document: writing, reading, versions, clocks and history.

use super::*;
use crate::id::LogId;
use crate::value::{Assertion, Scalar, Statement, Value};

mod canonical;
mod convergence;
mod founders;
mod hostile;
mod slots;
mod stored;

const LEGAL: &str = "name/legal@erp-emea";
const TERMS: &str = "company/1000/payment_terms@erp-emea";

fn log(number: u8) -> LogId {
    LogId::from_bytes([number; 16])
}

fn author(number: u8, seq: u64) -> Author {
    Author {
        commit: CommitRef { log: log(number), seq },
        time: Hlc::from_ms(1_700_000_000_000 + seq),
        region: ["EMEA", "APAC", "AMER"][usize::from(number) % 3].parse().unwrap(),
    }
}

fn key(text: &str) -> ClaimKey {
    text.parse().unwrap()
}

fn stated(value: Value) -> Assertion {
    Assertion::Stated(Statement::plain(value))
}

fn edit(at: &str, text: &str) -> ClaimEdit {
    ClaimEdit { key: key(at), assertion: stated(Value::text(text)) }
}

fn removal(at: &str) -> ClaimEdit {
    ClaimEdit { key: key(at), assertion: Assertion::Tombstone }
}

fn propose(document: &CustomerDocument, author: &Author, edits: &[ClaimEdit]) -> Vec<u8> {
    document.propose(author, edits, None).unwrap().unwrap()
}

fn write(document: &CustomerDocument, author: &Author, edits: &[ClaimEdit]) -> CustomerDocument {
    document.admit(author, &propose(document, author, edits)).unwrap()
}

/// The claims on one key, by commit: what each says as a cell.
fn cells(claims: &ClaimSet, at: &str) -> Vec<Cell> {
    let key = key(at);
    let on_key =
        claims.claims().iter().filter(|c| (&c.path, &c.source) == (&key.path, &key.source));
    on_key.map(|claim| claim.assertion.as_ref().unwrap().to_cell()).collect()
}

fn text(text: &str) -> Cell {
    Cell::Str(text.to_owned())
}

fn assert_reloads(document: &CustomerDocument) {
    let loaded = CustomerDocument::load(&document.save()).unwrap();
    assert_eq!(loaded.version(), document.version());
    assert_eq!(loaded.claims(), document.claims());
    assert_eq!(loaded.founders, document.founders);
    assert_eq!(loaded.history(), document.history());
    assert_is_what_automerge_reads(document);
}

/// Automerge is the judge of the register table: whoever opens the bytes with it finds the same.
fn assert_is_what_automerge_reads(document: &CustomerDocument) {
    let plain = Automerge::load(&document.automerge_bytes()).unwrap();
    assert_eq!(Registers::of(&plain).unwrap().as_ref(), Some(&*document.registers));
    let heads = plain.get_heads().into_iter().map(|head| head.0).collect();
    assert_eq!(Version::new(heads), document.version());
}

#[test]
fn an_empty_document_has_version_0_and_no_claims() {
    let document = CustomerDocument::empty();
    assert!(document.is_empty());
    assert_eq!(document.version().to_string(), "0");
    assert!(document.claims().claims().is_empty());
    assert!(document.history().is_empty());
    assert!(document.knows(&"0".parse().unwrap()));
    assert_reloads(&document);
}

#[test]
fn a_claim_carries_the_commit_the_time_and_the_region_of_its_change() {
    let writer = author(1, 42);
    let document = write(&CustomerDocument::empty(), &writer, &[edit(LEGAL, "Müller AG")]);
    assert!(!document.is_empty());
    let claims = document.claims();
    let [claim] = claims.claims() else { panic!("one claim, not {:?}", claims.claims()) };
    assert_eq!(format!("{}@{}", claim.path, claim.source), LEGAL);
    assert_eq!(claim.assertion, Ok(stated(Value::text("Müller AG"))));
    assert_eq!(claim.origin.commit, writer.commit);
    assert_eq!(claim.origin.time, writer.time);
    assert_eq!(claim.origin.region, writer.region);
    assert!(claims.has_seen(&writer.commit, &writer.commit));
    assert_reloads(&document);
}

#[test]
fn any_automerge_tool_reads_the_change() {
    let writer = author(1, 42);
    let bytes = propose(&CustomerDocument::empty(), &writer, &[edit(LEGAL, "Müller AG")]);
    let change = automerge::Change::try_from(bytes.as_slice()).unwrap();
    assert_eq!(change.actor_id().to_bytes(), [1; 16]);
    assert_eq!(change.message(), Some("APAC 42"));
    assert_eq!(change.timestamp(), i64::try_from(writer.time.as_u64()).unwrap());
    assert!(change.extra_bytes().is_empty());
    let mut plain = Automerge::new();
    plain.apply_changes([change]).unwrap();
    assert_eq!(
        automerge::ReadDoc::get(&plain, automerge::ROOT, LEGAL).unwrap().unwrap().0,
        "Müller AG".into()
    );
}

#[test]
fn every_kind_of_value_comes_back() {
    let group = Value::Group(BTreeMap::from([
        ("amount".to_owned(), Scalar::Int(-(1 << 53))),
        ("currency".to_owned(), Scalar::Text("EUR".to_owned())),
    ]));
    let values = [
        ("x/a/bool@erp", stated(Value::One(Scalar::Bool(true)))),
        ("x/a/int@erp", stated(Value::One(Scalar::Int(i64::MIN)))),
        ("x/a/large@erp", stated(Value::One(Scalar::Int(i64::MAX)))),
        ("x/a/empty@erp", stated(Value::text(""))),
        ("x/a/brace@erp", stated(Value::text("{not json"))),
        ("x/a/nul@erp", stated(Value::text("a\0b\u{10ffff}"))),
        ("x/a/long@erp", stated(Value::text("x".repeat(TEXT_BYTES_MAX)))),
        ("x/a/group@erp", stated(Value::Group(BTreeMap::new()))),
        ("x/a/tombstone@erp", Assertion::Tombstone),
        ("x/a/release@erp@release", Assertion::Release { reason: "paid".to_owned() }),
        ("x/a/%C3%BC%40@erp", stated(group)),
    ];
    let edits = values.clone().map(|(at, assertion)| ClaimEdit { key: key(at), assertion });
    let document = write(&CustomerDocument::empty(), &author(1, 1), &edits);
    for (at, assertion) in values {
        assert_eq!(cells(&document.claims(), at), [assertion.to_cell()], "{at}");
    }
    assert_reloads(&document);
}

#[test]
fn writing_an_equal_value_writes_nothing() {
    let document = write(&CustomerDocument::empty(), &author(1, 1), &[edit(LEGAL, "A")]);
    assert_eq!(document.propose(&author(1, 2), &[edit(LEGAL, "A")], None), Ok(None));
    assert_eq!(document.propose(&author(2, 1), &[edit(LEGAL, "A")], None), Ok(None));
    assert_eq!(document.propose(&author(2, 1), &[], None), Ok(None));
    // Only what differs is in the change.
    let document = write(&document, &author(1, 2), &[edit(LEGAL, "A"), edit(TERMS, "N30")]);
    assert_eq!(document.history()[1].cells, BTreeMap::from([(key(TERMS), text("N30"))]));
}

#[test]
fn two_values_are_not_equal_to_one_of_them() {
    let start = CustomerDocument::empty();
    let one = propose(&start, &author(1, 1), &[edit(LEGAL, "A")]);
    let two = propose(&start, &author(2, 1), &[edit(LEGAL, "B")]);
    let both = start.admit(&author(1, 1), &one).unwrap().admit(&author(2, 1), &two).unwrap();
    assert_eq!(cells(&both.claims(), LEGAL), [text("A"), text("B")]);
    // Writing A again closes the conflict.
    let closed = write(&both, &author(3, 1), &[edit(LEGAL, "A")]);
    assert_eq!(cells(&closed.claims(), LEGAL), [text("A")]);
}

#[test]
fn a_tombstone_is_a_claim_and_never_a_deletion() {
    let document = write(&CustomerDocument::empty(), &author(1, 1), &[edit(LEGAL, "A")]);
    let removed = write(&document, &author(1, 2), &[removal(LEGAL)]);
    assert_eq!(cells(&removed.claims(), LEGAL), [Cell::Null]);
    assert_eq!(removed.claims().claims()[0].origin, removed.history()[1].origin);
    assert_eq!(removed.propose(&author(1, 3), &[removal(LEGAL)], None), Ok(None));
    // Apart from the removal somebody wrote: both stay.
    let other = propose(&document, &author(2, 1), &[edit(LEGAL, "B")]);
    let both = removed.admit(&author(2, 1), &other).unwrap();
    assert_eq!(cells(&both.claims(), LEGAL), [Cell::Null, text("B")]);
    assert_reloads(&both);
}

#[test]
fn a_key_written_apart_gives_two_claims_on_every_node() {
    let base = write(&CustomerDocument::empty(), &author(1, 1), &[edit(LEGAL, "A")]);
    let emea = propose(&base, &author(1, 2), &[edit(LEGAL, "B")]);
    let apac = propose(&base, &author(2, 1), &[edit(LEGAL, "C")]);
    let left = base.admit(&author(1, 2), &emea).unwrap().admit(&author(2, 1), &apac).unwrap();
    let right = base.admit(&author(2, 1), &apac).unwrap().admit(&author(1, 2), &emea).unwrap();
    assert_eq!(left.version(), right.version());
    assert_eq!(left.version().heads().len(), 2);
    assert_eq!(left.claims().claims(), right.claims().claims());
    assert_eq!(cells(&left.claims(), LEGAL), [text("B"), text("C")]);
    let [b, c] = [author(1, 2).commit, author(2, 1).commit];
    assert!(left.claims().concurrent(&b, &c));
    assert!(left.claims().has_seen(&c, &author(1, 1).commit));
    assert_eq!(left.history(), right.history());
    assert_reloads(&left);
    assert_reloads(&right);
}

#[test]
fn a_write_as_of_an_older_version_keeps_what_its_writer_had_not_seen() {
    let first = write(&CustomerDocument::empty(), &author(1, 1), &[edit(LEGAL, "A")]);
    let seen = first.version();
    let second = write(&first, &author(2, 1), &[edit(LEGAL, "B")]);
    // The same node, whose own log has moved on: the clerk still saw A.
    let bytes = second.propose(&author(2, 2), &[edit(LEGAL, "C")], Some(&seen)).unwrap().unwrap();
    let third = second.admit(&author(2, 2), &bytes).unwrap();
    assert_eq!(cells(&third.claims(), LEGAL), [text("B"), text("C")]);
    assert_eq!(third.version().heads().len(), 1);
    // The change follows B's, and yet its writer had seen A alone: B and C were made apart.
    let [a, b, c] = [author(1, 1), author(2, 1), author(2, 2)].map(|author| author.commit);
    assert!(third.claims().concurrent(&b, &c));
    assert!(third.claims().has_seen(&c, &b) != third.claims().has_seen(&c, &a));
    assert_reloads(&third);
    // Nobody's value was A any more, so the operation that it replaces is found in the history.
    let fourth = write(&third, &author(3, 1), &[edit(LEGAL, "D")]);
    assert_eq!(cells(&fourth.claims(), LEGAL), [text("D")]);
    // Who saw C saw everything that C's change follows.
    assert!([a, b, c].iter().all(|seen| fourth.claims().has_seen(&author(3, 1).commit, seen)));
    let empty = Version::default();
    let bytes = fourth.propose(&author(3, 2), &[edit(LEGAL, "E")], Some(&empty)).unwrap().unwrap();
    let fifth = fourth.admit(&author(3, 2), &bytes).unwrap();
    assert_eq!(cells(&fifth.claims(), LEGAL), [text("D"), text("E")]);
    assert_reloads(&fifth);
}

#[test]
fn an_unchanged_field_of_an_old_form_writes_nothing() {
    let first = write(&CustomerDocument::empty(), &author(1, 1), &[edit(LEGAL, "A")]);
    let seen = first.version();
    let second = write(&first, &author(2, 1), &[edit(LEGAL, "B")]);
    assert_eq!(second.propose(&author(1, 2), &[edit(LEGAL, "A")], Some(&seen)), Ok(None));
}

#[test]
fn a_version_that_is_not_here_is_named_in_the_error() {
    let document = write(&CustomerDocument::empty(), &author(1, 1), &[edit(LEGAL, "A")]);
    let unknown = Version::new(vec![[7; 32], document.version().heads()[0]]);
    assert!(!document.knows(&unknown));
    assert_eq!(document.claims_at(&unknown).unwrap_err(), UnknownVersion(unknown.clone()));
    let refused = document.propose(&author(1, 2), &[edit(LEGAL, "B")], Some(&unknown));
    assert_eq!(refused, Err(ProposeError::UnknownVersion(UnknownVersion(unknown))));
}

#[test]
fn an_earlier_version_reads_as_it_was() {
    let start = CustomerDocument::empty();
    let first = write(&start, &author(1, 1), &[edit(LEGAL, "A")]);
    let one = propose(&first, &author(1, 2), &[edit(LEGAL, "B")]);
    let two = propose(&first, &author(2, 1), &[edit(LEGAL, "C"), edit(TERMS, "N30")]);
    let both = first.admit(&author(1, 2), &one).unwrap().admit(&author(2, 1), &two).unwrap();
    let last = write(&both, &author(3, 1), &[edit(LEGAL, "D"), removal(TERMS)]);
    for earlier in [&start, &first, &both, &last] {
        let then = last.claims_at(&earlier.version()).unwrap();
        assert_eq!(then, earlier.claims());
        for a in then.claims() {
            for b in then.claims() {
                let [a, b] = [&a.origin.commit, &b.origin.commit];
                assert_eq!(then.has_seen(a, b), earlier.claims().has_seen(a, b));
            }
        }
    }
}

#[test]
fn clocks_know_what_each_writer_had_seen_through_others() {
    let start = CustomerDocument::empty();
    let a = write(&start, &author(1, 10), &[edit("x/a/a@erp", "1")]);
    let b = write(&a, &author(2, 20), &[edit("x/a/b@erp", "1")]);
    let apart = propose(&a, &author(3, 30), &[edit("x/a/c@erp", "1")]);
    let c = b.admit(&author(3, 30), &apart).unwrap();
    let d = write(&c, &author(1, 11), &[edit("x/a/d@erp", "1")]);
    let claims = d.claims();
    let [a, b, c, d] =
        [(1, 10), (2, 20), (3, 30), (1, 11)].map(|(log, seq)| author(log, seq).commit);
    let seen = [(a, vec![a]), (b, vec![a, b]), (c, vec![a, c]), (d, vec![a, b, c, d])];
    for (later, had_seen) in seen {
        for earlier in [a, b, c, d] {
            let expected = had_seen.contains(&earlier);
            assert_eq!(claims.has_seen(&later, &earlier), expected, "{later} {earlier}");
        }
    }
    assert!(claims.concurrent(&b, &c));
}

#[test]
fn the_history_is_the_same_however_the_changes_came() {
    let start = CustomerDocument::empty();
    let first = write(&start, &author(1, 1), &[edit(LEGAL, "A")]);
    let one = propose(&first, &author(1, 2), &[edit(LEGAL, "B")]);
    let two = propose(&first, &author(2, 1), &[edit(TERMS, "N30")]);
    let left = first.admit(&author(1, 2), &one).unwrap().admit(&author(2, 1), &two).unwrap();
    let right = first.admit(&author(2, 1), &two).unwrap().admit(&author(1, 2), &one).unwrap();
    let history = left.history();
    assert_eq!(history, right.history());
    let commits: Vec<_> = history.iter().map(|change| change.origin.commit).collect();
    // Commit 1 of the second log is earlier than commit 2 of the first.
    assert_eq!(commits, [author(1, 1).commit, author(2, 1).commit, author(1, 2).commit]);
    assert_eq!(history[0].version, first.version());
    assert_eq!(history[2].version, left.version());
    assert_eq!(history[1].cells, BTreeMap::from([(key(TERMS), text("N30"))]));
    for change in &history {
        assert!(left.claims_at(&change.version).is_ok());
    }
}

#[test]
fn a_change_that_is_here_already_changes_nothing() {
    let start = CustomerDocument::empty();
    let bytes = propose(&start, &author(1, 1), &[edit(LEGAL, "A")]);
    let once = start.admit(&author(1, 1), &bytes).unwrap();
    let later = write(&once, &author(2, 1), &[edit(LEGAL, "B")]);
    assert_eq!(later.admit(&author(1, 1), &bytes).unwrap().version(), later.version());
}

#[test]
fn a_write_over_a_limit_is_refused_with_a_reason() {
    let document = CustomerDocument::empty();
    let many: Vec<_> = (0..=OPERATIONS_MAX).map(|n| edit(&format!("x/a/{n}@erp"), "v")).collect();
    let most = write(&document, &author(1, 1), &many[1..]);
    assert_eq!(most.claims().claims().len(), OPERATIONS_MAX);
    assert_reloads(&most);
    let refused = |edits: &[ClaimEdit]| document.propose(&author(1, 1), edits, None).unwrap_err();
    assert_eq!(refused(&many), ProposeError::TooLarge);
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    assert_eq!(refused(&[edit(LEGAL, &long)]), ProposeError::TextTooLong(key(LEGAL)));
    let large: Vec<_> = (0..5).map(|n| edit(&format!("x/a/{n}@erp"), &long[1..])).collect();
    assert_eq!(refused(&large), ProposeError::TooLarge);
    let twice = [edit(LEGAL, "A"), edit(LEGAL, "B")];
    assert_eq!(refused(&twice), ProposeError::DuplicateKey(key(LEGAL)));
    let path = format!("x/{}", "k".repeat(CLAIM_KEY_MAX - 2)).parse().unwrap();
    let endless = ClaimKey { path, source: "erp".parse().unwrap(), ..key(LEGAL) };
    let edit = ClaimEdit { key: endless.clone(), assertion: Assertion::Tombstone };
    assert_eq!(refused(&[edit]), ProposeError::KeyTooLong(endless));
}

#[test]
fn a_commit_writes_once_on_a_record() {
    let document = write(&CustomerDocument::empty(), &author(1, 5), &[edit(LEGAL, "A")]);
    for seq in [4, 5] {
        let again = document.propose(&author(1, seq), &[edit(LEGAL, "B")], None);
        assert_eq!(again, Err(ProposeError::CommitOrder(author(1, seq).commit)));
    }
}

#[test]
fn clocks_at_the_ends_of_their_range_are_kept() {
    let latest = Hlc::from_u64(u64::try_from(i64::MAX).unwrap()).unwrap();
    let mut document = CustomerDocument::empty();
    for (seq, time) in [latest, Hlc::default(), latest, Hlc::default()].into_iter().enumerate() {
        let writer = Author { time, ..author(1, seq as u64 + 1) };
        document = write(&document, &writer, &[edit(LEGAL, &seq.to_string())]);
        assert_eq!(document.claims().claims()[0].origin.time, time);
    }
    assert_reloads(&document);
}

#[test]
fn damaged_and_foreign_bytes_do_not_load() {
    let document = write(&CustomerDocument::empty(), &author(1, 1), &[edit(LEGAL, "A")]);
    let saved = document.save();
    let change = propose(&document, &author(2, 1), &[edit(LEGAL, "B")]);
    for (bytes, what) in [
        (Vec::new(), "nothing"),
        (saved[..saved.len() - 1].to_vec(), "cut short"),
        ([saved.clone(), change.clone()].concat(), "a change behind the document"),
        (change, "a change"),
        (document.automerge_bytes(), "a document that does not say who founded what"),
    ] {
        assert!(matches!(CustomerDocument::load(&bytes), Err(LoadError::Damaged(_))), "{what}");
    }
    for at in 0..saved.len() {
        let mut bytes = saved.clone();
        bytes[at] ^= 0x10;
        assert!(CustomerDocument::load(&bytes).is_err(), "bit flipped at {at}");
    }
    let mut foreign = Automerge::new();
    foreign
        .transact(|tx| automerge::transaction::Transactable::put(tx, automerge::ROOT, LEGAL, "A"))
        .unwrap();
    let loaded =
        CustomerDocument::load(&envelope::seal(&Founders::default(), &[1], &[&foreign.save()]));
    assert!(matches!(loaded, Err(LoadError::Foreign(_))));
}

#[test]
fn a_version_is_one_text() {
    let version = Version::new(vec![[0xff; 32], [0x0a; 32]]);
    let text = version.to_string();
    assert_eq!(text, format!("{}-{}", "0a".repeat(32), "ff".repeat(32)));
    assert_eq!(text.parse(), Ok(version));
    let backwards = format!("{}-{}", "ff".repeat(32), "0a".repeat(32));
    for wrong in ["", "00", "0-0", "-", &text[1..], &backwards, &text.to_uppercase()] {
        assert_eq!(wrong.parse::<Version>(), Err(VersionError), "{wrong:?}");
    }
}
