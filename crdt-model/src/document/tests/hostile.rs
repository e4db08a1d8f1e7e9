//! Hostile changes: each refused with its code, cheaply, and without a trace on the document.

use automerge::Change;

use super::*;
use crate::document::hostile::{catalogue, with_valid_checksum};

/// A record that three logs wrote, with a conflict and an overwritten value.
fn record() -> CustomerDocument {
    let first =
        write(&CustomerDocument::empty(), &author(1, 1), &[edit(LEGAL, "A"), edit(TERMS, "N30")]);
    let one = propose(&first, &author(1, 2), &[edit(LEGAL, "B")]);
    let two = propose(&first, &author(2, 1), &[edit(LEGAL, "C"), removal(TERMS)]);
    first.admit(&author(1, 2), &one).unwrap().admit(&author(2, 1), &two).unwrap()
}

fn verdict(
    document: &CustomerDocument,
    author: &Author,
    change: &[u8],
) -> Result<Version, Refusal> {
    document.admit(author, change).map(|admitted| admitted.version())
}

fn quarantined(code: QuarantineCode) -> Result<Version, Refusal> {
    Err(Refusal::Quarantine(code))
}

#[test]
fn every_attack_of_the_catalogue_is_refused_with_its_code() {
    let document = record();
    let before = document.save();
    for attack in catalogue() {
        let bytes = attack.bytes(&author(9, 7), &document);
        let refused = verdict(&document, &author(9, 7), &bytes);
        assert_eq!(refused, quarantined(attack.code), "{}", attack.name);
        assert_eq!(document.save(), before, "{}", attack.name);
    }
    // The record is as it was: readable, writable and reloadable.
    assert_reloads(&document);
    let written = write(&document, &author(9, 7), &[edit(LEGAL, "D")]);
    assert_eq!(cells(&written.claims(), LEGAL), [text("D")]);
    assert_reloads(&written);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test measures, the model does not")]
fn every_attack_is_refused_cheaply() {
    let document = record();
    let attacks: Vec<_> =
        catalogue().iter().map(|attack| attack.bytes(&author(9, 7), &document)).collect();
    // An attack that could not be built would be refused for nothing.
    let distinct: BTreeSet<_> = attacks.iter().collect();
    assert_eq!(distinct.len(), attacks.len());
    let start = std::time::Instant::now();
    for _ in 0..100 {
        for bytes in &attacks {
            assert!(document.admit(&author(9, 7), bytes).is_err());
        }
    }
    // Automerge takes half a second to read one of the bombs, and there are twelve.
    let spent = start.elapsed();
    assert!(spent.as_secs() < 20, "{spent:?}");
}

#[test]
fn the_catalogue_covers_every_code_that_needs_no_past_of_the_author() {
    let of_own_past = [
        QuarantineCode::OwnPastMissing,
        QuarantineCode::CommitOrder,
        QuarantineCode::HistoryTooLarge,
    ];
    for code in QuarantineCode::ALL {
        let covered = catalogue().iter().any(|attack| attack.code == *code);
        assert_ne!(covered, of_own_past.contains(code), "{}", code.code());
        let kebab = code.code().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        assert!(kebab && !code.text().is_empty());
        let named = serde_json::to_value(code).unwrap();
        assert_eq!(named, code.code());
    }
}

#[test]
fn the_honest_change_that_attacks_are_made_from_is_admitted() {
    // Otherwise an attack might be refused for another reason than its own.
    let document = record();
    let writer = author(9, 7);
    let change = propose(&document, &writer, &[edit("x/hostile/one@manual", "harmless")]);
    assert!(document.admit(&writer, &change).is_ok());
}

/// What a change makes of an empty record hangs on nothing but what it says of its author.
#[test]
fn the_first_change_is_judged_before_its_author_is_known() {
    let empty = CustomerDocument::empty();
    let honest = author(7, 1);
    let change = propose(&empty, &honest, &[edit(LEGAL, "Hafen GmbH"), edit(TERMS, "NT30")]);
    let (said, admitted) = CustomerDocument::first(honest.commit, honest.time, &change).unwrap();
    assert_eq!(said, honest);
    let expected = empty.admit_seen(&honest, &change, &|_| true).unwrap();
    assert_eq!(admitted.document.save(), expected.document.save());
    assert_eq!(admitted.document.claims(), expected.document.claims());
    assert_eq!(admitted.change, expected.change);
    // Whoever says that it is in another region is not the author that the roster knows.
    let liar = Author { region: "LATAM".parse().unwrap(), ..author(7, 1) };
    let lie = propose(&empty, &liar, &[edit(LEGAL, "Hafen GmbH")]);
    assert_eq!(CustomerDocument::first(honest.commit, honest.time, &lie).unwrap().0, liar);
    assert!(empty.admit(&honest, &lie).is_err());
    // One that goes on from another change is no first one.
    let second = author(7, 2);
    let document = empty.admit(&honest, &change).unwrap();
    let next = propose(&document, &second, &[edit(LEGAL, "Hafen AG")]);
    let refused = CustomerDocument::first(second.commit, second.time, &next).unwrap_err();
    assert_eq!(refused, Refusal::Quarantine(QuarantineCode::MissingDependency));
    let mut numbers = Numbers(7);
    for _ in 0..2_000 {
        let mut tail = change[10..].to_vec();
        mutate(&mut tail, &mut numbers);
        let bytes = with_valid_checksum(&[&change[..10], &tail].concat());
        let first = CustomerDocument::first(honest.commit, honest.time, &bytes);
        let expected = empty.admit(&honest, &bytes);
        let same = first.as_ref().is_ok_and(|(author, _)| *author == honest);
        assert_eq!(same, expected.is_ok());
    }
}

#[test]
fn a_log_that_forks_is_refused_and_the_record_goes_on() {
    let document = record();
    let one = propose(&document, &author(3, 1), &[edit(LEGAL, "one")]);
    let other = propose(&document, &author(3, 1), &[edit(LEGAL, "other")]);
    let held = document.admit(&author(3, 1), &one).unwrap();
    let refused = verdict(&held, &author(3, 1), &other);
    assert_eq!(refused, quarantined(QuarantineCode::WrongSequence));
    assert_reloads(&write(&held, &author(3, 2), &[edit(LEGAL, "two")]));
}

#[test]
fn a_change_that_forgets_its_authors_past_is_refused() {
    let document = record();
    let held = write(&document, &author(3, 1), &[edit("x/a/b@erp", "1")]);
    // Its author's second change, on the record as it was before the first.
    let mut content =
        Content::decode(&propose(&document, &author(3, 2), &[edit("x/a/c@erp", "2")])).unwrap();
    content.sequence = 2;
    let bytes = content.encode();
    let refused = verdict(&held, &author(3, 2), &bytes);
    assert_eq!(refused, quarantined(QuarantineCode::OwnPastMissing));
}

#[test]
fn a_commit_that_does_not_follow_the_last_is_refused() {
    let held = write(&record(), &author(3, 5), &[edit("x/a/b@erp", "1")]);
    let later = propose(&held, &author(3, 6), &[edit("x/a/c@erp", "2")]);
    for seq in [4, 5] {
        let mut content = Content::decode(&later).unwrap();
        let back = author(3, seq);
        content.message = history::message(&back.region, back.commit, None);
        content.time = i64::try_from(back.time.as_u64()).unwrap();
        let bytes = content.encode();
        assert_eq!(verdict(&held, &back, &bytes), quarantined(QuarantineCode::CommitOrder));
    }
}

#[test]
fn a_verdict_does_not_depend_on_what_else_the_document_holds() {
    let shared = write(&CustomerDocument::empty(), &author(1, 1), &[edit(LEGAL, "A")]);
    let apart = write(&shared, &author(2, 1), &[edit(LEGAL, "B")]);
    // The author saw only `shared`, and yet depends on, or replaces, what is apart.
    let seen = |commit: &CommitRef| *commit == author(1, 1).commit;
    let depending = propose(&apart, &author(3, 1), &[edit(TERMS, "N30")]);
    let mut content =
        Content::decode(&propose(&shared, &author(3, 1), &[edit(LEGAL, "C")])).unwrap();
    let hidden = apart.registers.visible(&key(LEGAL))[0].0;
    content.puts[0].replaces = vec![hidden];
    let replacing = content.encode();
    for document in [&shared, &apart] {
        let judge = |change: &[u8]| {
            document
                .admit_seen(&author(3, 1), change, &seen)
                .map(|admitted| admitted.document.version())
        };
        assert_eq!(judge(&depending), quarantined(QuarantineCode::MissingDependency));
        assert_eq!(judge(&replacing), quarantined(QuarantineCode::UnknownPredecessor));
    }
    // What the author honestly did not see does not stand in its way.
    let honest = propose(&shared, &author(3, 1), &[edit(LEGAL, "C")]);
    let both = apart.admit_seen(&author(3, 1), &honest, &seen).unwrap().document;
    assert_eq!(cells(&both.claims(), LEGAL), [text("B"), text("C")]);
}

#[test]
fn a_dependency_on_a_change_and_on_its_cause_is_harmless() {
    let first = write(&CustomerDocument::empty(), &author(1, 1), &[edit(LEGAL, "A")]);
    let second = write(&first, &author(2, 1), &[edit(LEGAL, "B")]);
    let mut content =
        Content::decode(&propose(&second, &author(3, 1), &[edit(LEGAL, "C")])).unwrap();
    content.dependencies.extend(first.version().heads());
    content.dependencies.sort_unstable();
    let bytes = content.encode();
    let third = second.admit(&author(3, 1), &bytes).unwrap();
    assert_eq!(cells(&third.claims(), LEGAL), [text("C")]);
    assert_reloads(&third);
}

/// A small generator of numbers (SplitMix64), so that a failure names its mutant.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// One to four edits of the bytes: another value, a bit, a neighbour, removed, doubled or inserted.
fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len());
        match numbers.below(7) {
            0 => bytes[at] = numbers.byte(),
            1 => bytes[at] ^= 1 << numbers.below(8),
            2 => bytes[at] = bytes[at].wrapping_add(1),
            3 => bytes[at] = bytes[at].wrapping_sub(1),
            4 if bytes.len() > 1 => {
                bytes.remove(at);
            }
            5 => {
                let end = (at + 1 + numbers.below(4)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => bytes.insert(at, [0, 1, 0x7f, 0x80, 0xff][numbers.below(5)]),
        }
    }
}

/// An admitted change must mean to plain Automerge exactly what it means to us.
fn assert_sound(document: &CustomerDocument, admitted: &CustomerDocument, bytes: &[u8]) {
    assert_reloads(admitted);
    let mut plain = Automerge::load(&document.automerge_bytes()).unwrap();
    plain.apply_changes([Change::try_from(bytes).unwrap()]).unwrap();
    assert_eq!(Registers::of(&plain).unwrap().as_ref(), Some(&*admitted.registers));
    assert_reloads(&write(admitted, &author(5, 1), &[edit(LEGAL, "after")]));
}

#[test]
fn twenty_thousand_mutants_neither_panic_nor_pass_wrongly() {
    let document = record();
    let writer = author(9, 7);
    let edits = [edit(LEGAL, "D"), edit("x/a/b@erp", "E"), removal(TERMS)];
    let honest = propose(&document, &writer, &edits);
    let body = honest.len() - 10;
    let mut numbers = Numbers(7);
    let mut admitted = 0;
    for mutant in 0..20_000 {
        // Half of the mutants are of the columns alone, where the header does not hide them.
        let keep = if mutant % 2 == 0 { 10 } else { honest.len() - body / 2 };
        let mut tail = honest[keep..].to_vec();
        mutate(&mut tail, &mut numbers);
        let bytes = with_valid_checksum(&[&honest[..keep], &tail].concat());
        match document.admit(&writer, &bytes) {
            Ok(after) => {
                assert_sound(&document, &after, &bytes);
                admitted += 1;
            }
            Err(Refusal::Quarantine(_)) => {}
            Err(Refusal::Defect(reason)) => panic!("mutant {mutant}: {reason}"),
        }
    }
    assert!(admitted > 50, "only {admitted} mutants were sound: the test looks at nothing");
}

/// Alters what an honest change says, in one to three places.
fn alter(content: &mut Content, document: &CustomerDocument, numbers: &mut Numbers) {
    let versions: Vec<_> = document.history().into_iter().map(|change| change.version).collect();
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(content.puts.len());
        let put = &mut content.puts[at];
        match numbers.below(8) {
            0 => {
                let counter = 1 + numbers.next() % (content.start + 3);
                let log = log([1, 2, 7, 8, 9][numbers.below(5)]);
                put.replaces.push(change::OpId { counter, log });
            }
            1 => put.replaces.clear(),
            2 => put.key = key([LEGAL, TERMS, "x/a/c@erp"][numbers.below(3)]),
            3 => content.start = 1 + numbers.next() % (content.start + 2),
            4 | 5 => {
                // What an author says who has seen less, counter included.
                let seen = &versions[numbers.below(versions.len())];
                content.dependencies = seen.heads().to_vec();
                let last = |head| document.history.node(document.history.find(head).unwrap()).last;
                content.start = seen.heads().iter().map(last).max().unwrap() + 1;
            }
            6 => content.sequence = numbers.below(4) as u64,
            _ => put.said = [Cell::Null, Cell::Int(i64::MIN)][numbers.below(2)].clone().into(),
        }
    }
}

#[test]
fn attacks_in_several_steps_neither_panic_nor_pass_wrongly() {
    let mut numbers = Numbers(11);
    let mut document = record();
    let mut admitted = 0;
    for step in 0..4_000 {
        if document.history.nodes().len() > 25 {
            document = record();
        }
        let writer = author(7 + numbers.byte() % 3, step + 1);
        let (legal, terms) = (step.to_string(), (step / 2).to_string());
        let edits = [edit(LEGAL, &legal), edit(TERMS, &terms), edit("x/a/b@erp", "E")];
        let mut content = Content::decode(&propose(&document, &writer, &edits)).unwrap();
        alter(&mut content, &document, &mut numbers);
        let bytes = content.encode();
        match document.admit(&writer, &bytes) {
            Ok(after) => {
                assert_sound(&document, &after, &bytes);
                document = after;
                admitted += 1;
            }
            Err(Refusal::Quarantine(_)) => {}
            Err(Refusal::Defect(reason)) => panic!("step {step}: {reason}\n{content:?}"),
        }
    }
    assert!(admitted > 500, "only {admitted} changes were sound: the test looks at nothing");
}

/// A change of over 250 KiB.
fn large(document: &CustomerDocument, author: &Author) -> Vec<u8> {
    let long = "x".repeat(63 << 10);
    let edits: Vec<_> =
        (0..4).map(|n| edit(&format!("x/{}/{n}@erp", author.commit.seq), &long)).collect();
    propose(document, author, &edits)
}

#[test]
fn a_record_takes_so_much_history_and_no_more() {
    let mut document = record();
    let mut seq = 0;
    let full = loop {
        seq += 1;
        let change = large(&document, &author(4, seq));
        match document.admit(&author(4, seq), &change) {
            Ok(after) => document = after,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(full, Refusal::Quarantine(QuarantineCode::HistoryTooLarge));
    let changes = document.stored.automerge().unwrap().get_changes(&[]);
    let held: usize = changes.iter().map(|change| change.raw_bytes().len()).sum();
    assert!(held <= HISTORY_BYTES_MAX && held > HISTORY_BYTES_MAX - CHANGE_BYTES_MAX, "{held}");
    // A small change still fits, and the next large one of somebody who saw less.
    let small = write(&document, &author(4, seq), &[edit(LEGAL, "small")]);
    assert_eq!(small.saved_bytes(), small.save().len());
    let apart = large(&record(), &author(5, 1));
    let both = small.admit(&author(5, 1), &apart).unwrap();
    assert_reloads(&both);
    // What counts is what the author saw, not what is here.
    let little = propose(&record(), &author(6, 1), &[edit(LEGAL, "little")]);
    assert!(both.admit(&author(6, 1), &little).is_ok());
    let much = propose(&both, &author(6, 1), &[edit(LEGAL, "much")]);
    assert_eq!(verdict(&both, &author(6, 1), &much), quarantined(QuarantineCode::HistoryTooLarge));
}
