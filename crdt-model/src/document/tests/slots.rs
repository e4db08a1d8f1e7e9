//! What one source says in several registers of one attribute, and writes that name what was seen.

use super::*;

const TODAY: &str = "2026-11-23";

fn on(number: u8, seq: u64, day: &str) -> Author {
    let day: Date = day.parse().unwrap();
    let noon = day.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
    let ms = u64::try_from(noon.timestamp().as_millisecond()).unwrap();
    Author { time: Hlc::from_ms(ms + seq), ..author(number, seq) }
}

fn says(json: &str) -> ClaimEdit {
    let assertion = Assertion::from_cell(&text(json)).unwrap();
    let ClaimKey { path, source, .. } = key(TERMS);
    ClaimEdit::new(path, source, assertion)
}

fn from(day: &str, terms: &str) -> ClaimEdit {
    says(&format!(r#"{{"valid_from":"{day}","value":"{terms}"}}"#))
}

fn release() -> ClaimEdit {
    says(r#"{"release":"paid"}"#)
}

/// What the source says: tombstones aside.
fn said(document: &CustomerDocument) -> Vec<Cell> {
    let mut cells = cells(&document.claims(), TERMS);
    cells.retain(|cell| *cell != Cell::Null);
    cells
}

fn cell(edit: &ClaimEdit) -> Cell {
    edit.assertion.to_cell()
}

#[test]
fn a_planned_value_stands_beside_the_present_one() {
    let now = write(&CustomerDocument::empty(), &on(1, 1, TODAY), &[says("NT30")]);
    let planned = from("2027-01-01", "NT45");
    let both = write(&now, &on(1, 2, TODAY), std::slice::from_ref(&planned));
    assert_eq!(said(&both), [text("NT30"), cell(&planned)]);
    // Correcting what holds now leaves the plan, and the plan of another day leaves both.
    let corrected = write(&both, &on(1, 3, TODAY), &[says("NT60")]);
    assert_eq!(said(&corrected), [cell(&planned), text("NT60")]);
    let later = from("2028-01-01", "NT90");
    let three = write(&corrected, &on(1, 4, TODAY), std::slice::from_ref(&later));
    assert_eq!(said(&three), [cell(&planned), text("NT60"), cell(&later)]);
    assert_reloads(&three);
}

#[test]
fn an_undated_value_ends_the_dated_ones_that_have_begun() {
    let planned = [from("2027-01-01", "NT45"), from("2028-01-01", "NT90")];
    let document = write(&CustomerDocument::empty(), &on(1, 1, TODAY), &planned);
    let after = write(&document, &on(1, 2, "2027-01-01"), &[says("NT30")]);
    assert_eq!(said(&after), [cell(&planned[1]), text("NT30")]);
    // The same again ends nothing more.
    assert_eq!(after.propose(&on(1, 3, "2027-01-02"), &[says("NT30")], None), Ok(None));
    // When the next day has come, the same word ends it, too.
    let last = write(&after, &on(1, 4, "2028-01-01"), &[says("NT30")]);
    assert_eq!(said(&last), [text("NT30")]);
}

#[test]
fn a_removal_ends_everything_but_the_release() {
    let start = write(
        &CustomerDocument::empty(),
        &on(1, 1, TODAY),
        &[says("NT30"), from("2027-01-01", "NT45")],
    );
    let released = write(&start, &on(1, 2, TODAY), &[release()]);
    assert_eq!(said(&released).len(), 3, "a release takes the place of nothing");
    let removed = write(&released, &on(1, 3, TODAY), &[removal(TERMS)]);
    assert_eq!(said(&removed), [cell(&release())]);
    let stated = write(&removed, &on(1, 4, TODAY), &[says("NT60")]);
    assert_eq!(said(&stated), [cell(&release()), text("NT60")]);
    assert_reloads(&stated);
}

#[test]
fn a_source_may_repeat_itself() {
    let document = write(&CustomerDocument::empty(), &on(1, 1, TODAY), &[says("NT30")]);
    let edits = [says("NT30")];
    let again =
        document.propose_again(&on(1, 2, TODAY), &edits, None, &|edit| *edit == edits[0]).unwrap();
    let repeated = document.admit(&on(1, 2, TODAY), &again.unwrap()).unwrap();
    assert_eq!(said(&repeated), [text("NT30")]);
    assert_eq!(repeated.claims().claims()[0].origin.commit, author(1, 2).commit);
}

#[test]
fn a_value_in_the_wrong_slot_is_not_readable() {
    let wrong = [
        (format!("{TERMS}@2027-01-01"), text("NT30")),
        (format!("{TERMS}@2027-01-01"), cell(&from("2027-01-02", "NT30"))),
        (format!("{TERMS}@release"), text("NT30")),
        (TERMS.to_owned(), cell(&release())),
        (TERMS.to_owned(), cell(&from("2027-01-01", "NT30"))),
    ];
    for (at, cell) in wrong {
        let edit = ClaimEdit { key: key(&at), assertion: Assertion::from_cell(&cell).unwrap() };
        let document = write(&CustomerDocument::empty(), &author(1, 1), &[edit]);
        let claims = document.claims();
        assert_eq!(claims.claims()[0].assertion, Err(crate::value::CellError::Slot), "{at}");
        assert_reloads(&document);
    }
}

/// A record that two wrote one after the other, and what the second had not seen.
fn scene() -> (CustomerDocument, Version) {
    let first = write(&CustomerDocument::empty(), &author(1, 1), &[edit(LEGAL, "A")]);
    (write(&first, &author(2, 1), &[edit(LEGAL, "B")]), first.version())
}

fn altered(alter: impl FnOnce(&mut Content, &CustomerDocument)) -> Result<(), Refusal> {
    let (document, seen) = scene();
    let honest = document.propose(&author(3, 1), &[edit(LEGAL, "C")], Some(&seen)).unwrap();
    let mut content = Content::decode(&honest.unwrap()).unwrap();
    alter(&mut content, &document);
    let bytes = content.encode();
    document.admit(&author(3, 1), &bytes).map(drop)
}

fn message(as_of: &Version) -> String {
    history::message(&author(3, 1).region, author(3, 1).commit, Some(as_of))
}

#[test]
fn what_a_writer_claims_to_have_seen_is_checked() {
    assert_eq!(altered(|_, _| {}), Ok(()));
    let unknown = altered(|content, _| content.message = message(&Version::new(vec![[7; 32]])));
    assert_eq!(unknown, Err(QuarantineCode::UnknownVersion.into()));
    // Everything that the change follows needs no name: there would be two forms of one change.
    let whole = altered(|content, document| content.message = message(&document.version()));
    assert_eq!(whole, Err(QuarantineCode::WrongMessage.into()));
    let words = altered(|content, _| content.message.push_str(" more"));
    assert_eq!(words, Err(QuarantineCode::WrongMessage.into()));
    // It replaces B, which its author says not to have seen.
    let unseen = altered(|content, document| {
        let visible = document.registers.visible(&key(LEGAL)).iter();
        content.puts[0].replaces = visible.map(|(id, _)| *id).collect();
    });
    assert_eq!(unseen, Err(QuarantineCode::UnknownPredecessor.into()));
}
