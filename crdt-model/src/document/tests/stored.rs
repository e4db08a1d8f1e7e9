//! What a document is kept as, when it has so many changes that some of them became one Automerge
//! document.

use super::*;

/// One more than stand for themselves, and then some.
const MANY: u64 = 80;

/// A record that two logs wrote in turn and sometimes apart, at every step.
fn steps() -> Vec<CustomerDocument> {
    let mut document = CustomerDocument::empty();
    let mut steps = vec![document.clone()];
    for seq in 1..=MANY {
        let one = propose(&document, &author(1, seq), &[edit(LEGAL, &format!("A{seq}"))]);
        let two = propose(&document, &author(2, seq), &[edit(LEGAL, "B"), edit(TERMS, "N30")]);
        document = document.admit(&author(1, seq), &one).unwrap();
        steps.push(document.clone());
        if seq % 3 == 0 {
            document = document.admit(&author(2, seq), &two).unwrap();
            steps.push(document.clone());
        }
    }
    steps
}

#[test]
fn many_changes_become_one_document_and_nothing_else_is_different() {
    let steps = steps();
    let last = steps.last().unwrap();
    assert!(last.stored.document().is_some(), "80 changes are long");
    let mut shortened = 0;
    for (before, after) in steps.iter().zip(&steps[1..]) {
        shortened += usize::from(after.stored.newer().count() < before.stored.newer().count());
        assert_is_what_automerge_reads(after);
        assert_eq!(last.claims_at(&after.version()).unwrap(), after.claims());
    }
    assert!(shortened >= 2, "{shortened}");
    assert_reloads(last);
    let versions: Vec<_> = last.history().into_iter().map(|change| change.version).collect();
    assert_eq!(versions.len() + 1, steps.len());
    assert_eq!(versions.last(), Some(&last.version()));
}

#[test]
fn a_late_change_replaces_what_an_old_one_said() {
    let steps = steps();
    let last = steps.last().unwrap();
    // Its author saw the first change alone; what it replaces is in the Automerge document by now,
    // and long replaced by others.
    let late = propose(&steps[1], &author(3, 1), &[edit(LEGAL, "late")]);
    let merged = last.admit(&author(3, 1), &late).unwrap();
    assert!(cells(&merged.claims(), LEGAL).contains(&text("late")));
    assert_reloads(&merged);
    let mut content = Content::decode(&late).unwrap();
    content.puts[0].key = key(TERMS);
    let bytes = content.encode();
    let refused = last.admit(&author(3, 1), &bytes);
    let code = QuarantineCode::PredecessorOfAnotherKey;
    assert!(matches!(refused, Err(Refusal::Quarantine(found)) if found == code), "{refused:?}");
}

#[test]
fn an_edit_of_a_past_version_is_the_same_before_and_after() {
    let steps = steps();
    let [early, last] = [&steps[4], steps.last().unwrap()];
    let edits = [edit(LEGAL, "of old"), removal(TERMS)];
    let [then, now] = [early, last]
        .map(|seen| seen.propose(&author(4, 1), &edits, Some(&early.version())).unwrap().unwrap());
    let [then, now] = [then, now].map(|change| Content::decode(&change).unwrap());
    let of = |content: &Content| -> Vec<_> {
        content.puts.iter().map(|put| (put.key.clone(), put.replaces.clone())).collect()
    };
    assert_eq!(of(&then), of(&now));
}

#[test]
fn a_damaged_long_document_does_not_load() {
    let saved = steps().last().unwrap().save();
    for at in (0..saved.len()).step_by(7) {
        let mut bytes = saved.clone();
        bytes[at] ^= 0x10;
        assert!(CustomerDocument::load(&bytes).is_err(), "bit flipped at {at}");
    }
    for end in (0..saved.len()).step_by(7) {
        assert!(CustomerDocument::load(&saved[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn a_change_stays_as_it_came_until_there_are_many() {
    let change = propose(&CustomerDocument::empty(), &author(1, 1), &[edit(LEGAL, "A")]);
    let document = CustomerDocument::empty().admit(&author(1, 1), &change).unwrap();
    assert_eq!(document.automerge_bytes(), change);
    assert_eq!(document.saved_bytes(), document.save().len());
}
