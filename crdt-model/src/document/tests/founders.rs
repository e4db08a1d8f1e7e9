//! Who founded each part of a record: the history's first word, which no later write takes away.

use super::*;
use crate::policy::Policy;
use crate::survivorship::resolve;

const COMPANY: Option<&str> = Some("company/1000");
const PROPOSED: &str = "company/1000/payment_terms@erp-amer";

fn emea(seq: u64, ms: u64) -> Author {
    Author { time: Hlc::from_ms(ms), ..author(3, seq) }
}

fn amer(seq: u64, ms: u64) -> Author {
    Author { time: Hlc::from_ms(ms), ..author(2, seq) }
}

/// A log that comes before those of EMEA and AMER.
fn apac(seq: u64, ms: u64) -> Author {
    Author { time: Hlc::from_ms(ms), ..author(1, seq) }
}

#[track_caller]
fn assert_owned(claims: &ClaimSet, path: &str, owner: &str, winner: &str) {
    let resolved = resolve(&Policy::built_in(), claims);
    let resolution = &resolved.attributes[&path.parse().unwrap()][0].resolution;
    let won = resolution.winner.as_ref().and_then(|winner| winner.value.as_deref());
    let found = (resolution.owner.as_ref().map(Region::as_str), won.and_then(Value::as_text));
    assert_eq!(found, (Some(owner), Some(winner)), "{path}");
}

#[track_caller]
fn assert_founder(claims: &ClaimSet, scope: Option<&str>, writer: &Author) {
    let Author { commit, time, region } = writer.clone();
    assert_eq!(claims.founder(scope), Some(&Origin { commit, time, region }), "{scope:?}");
}

/// EMEA says NT30, AMER proposes NT60, EMEA goes on to NT45: its register is now the later one.
fn flipped() -> CustomerDocument {
    let record = CustomerDocument::empty();
    let record = write(&record, &emea(1, 10), &[edit(TERMS, "NT30")]);
    let record = write(&record, &amer(1, 20), &[edit(PROPOSED, "NT60")]);
    write(&record, &emea(2, 30), &[edit(TERMS, "NT45")])
}

#[test]
fn a_founder_that_replaces_its_first_claim_stays_the_owner() {
    // Every kind of scope; the record as a whole, through the home region and without one.
    let cases = [
        ("company/1000/payment_terms", ["NT30", "NT60", "NT45"]),
        ("sales/1000:10:00/price_group", ["P1", "P2", "P3"]),
        ("credit/EU01/check_rule", ["C1", "C2", "C3"]),
        ("identity/home_region", ["EMEA", "AMER", "APAC"]),
        ("identity/account_group", ["KEY", "RETAIL", "SMB"]),
    ];
    for (path, [first, proposed, second]) in cases {
        let own = format!("{path}@erp-emea");
        let record = write(&CustomerDocument::empty(), &emea(1, 10), &[edit(&own, first)]);
        let other = edit(&format!("{path}@erp-amer"), proposed);
        let record = write(&record, &amer(1, 20), &[other]);
        assert_owned(&record.claims(), path, "EMEA", first);
        let record = write(&record, &emea(2, 30), &[edit(&own, second)]);
        assert_owned(&record.claims(), path, "EMEA", second);
        let path = path.parse().unwrap();
        for scope in [None, crate::claim::scope(&path)] {
            assert_founder(&record.claims(), scope, &emea(1, 10));
        }
        assert_reloads(&record);
    }
}

#[test]
fn founding_one_section_founds_no_other() {
    let record = flipped();
    let record = write(&record, &amer(2, 40), &[edit("company/2000/sort_key@erp-amer", "01")]);
    let claims = record.claims();
    assert_founder(&claims, COMPANY, &emea(1, 10));
    assert_founder(&claims, Some("company/2000"), &amer(2, 40));
    assert_founder(&claims, None, &emea(1, 10));
    assert_eq!(claims.founder(Some("credit/EU01")), None);
}

#[test]
fn an_earlier_claim_that_arrives_later_founds_on_every_node() {
    let empty = CustomerDocument::empty();
    let offline = propose(&empty, &amer(1, 5), &[edit(PROPOSED, "NT60")]);
    let online = propose(&empty, &emea(1, 10), &[edit(TERMS, "NT30")]);
    let late = empty.admit(&emea(1, 10), &online).unwrap();
    let next = propose(&late, &emea(2, 30), &[edit(TERMS, "NT45")]);
    let late = late.admit(&emea(2, 30), &next).unwrap();
    assert_founder(&late.claims(), COMPANY, &emea(1, 10));
    let late = late.admit(&amer(1, 5), &offline).unwrap();
    let early = empty.admit(&amer(1, 5), &offline).unwrap();
    let early = early.admit(&emea(1, 10), &online).unwrap().admit(&emea(2, 30), &next).unwrap();
    assert_founder(&late.claims(), COMPANY, &amer(1, 5));
    assert_eq!(late.claims(), early.claims());
    assert_reloads(&late);
    // An equal time is settled by the commit.
    let tie = propose(&late, &apac(1, 5), &[edit("company/1000/sort_key@crm", "01")]);
    let tied = late.admit(&apac(1, 5), &tie).unwrap();
    assert_founder(&tied.claims(), COMPANY, &apac(1, 5));
}

#[test]
fn any_put_founds_whatever_it_says() {
    let unreadable = Cell::Str("{not json".to_owned());
    let release = Assertion::Release { reason: "paid".to_owned() }.to_cell();
    for cell in [Cell::Null, release, unreadable] {
        // Written as a peer of another release might.
        let empty = CustomerDocument::empty();
        let plain = propose(&empty, &emea(1, 10), &[edit(TERMS, "NT30")]);
        let mut content = Content::decode(&plain).unwrap();
        content.puts[0].said = cell.clone().into();
        let bytes = content.encode();
        let record = empty.admit(&emea(1, 10), &bytes).unwrap();
        let record = write(&record, &amer(1, 20), &[edit(PROPOSED, "NT60")]);
        assert_founder(&record.claims(), COMPANY, &emea(1, 10));
        let record = write(&record, &emea(2, 30), &[edit(TERMS, "NT45")]);
        assert_founder(&record.claims(), COMPANY, &emea(1, 10));
        assert_owned(&record.claims(), "company/1000/payment_terms", "EMEA", "NT45");
        assert_reloads(&record);
    }
}

#[test]
fn an_earlier_version_has_the_founders_of_its_day() {
    let empty = CustomerDocument::empty();
    let online = write(&empty, &emea(1, 10), &[edit(TERMS, "NT30")]);
    let next = write(&online, &emea(2, 30), &[edit(TERMS, "NT45"), edit(LEGAL, "A")]);
    // An offline site comes back with an earlier claim.
    let offline = propose(&empty, &amer(1, 5), &[edit(PROPOSED, "NT60")]);
    let both = next.admit(&amer(1, 5), &offline).unwrap();
    for document in [both.clone(), CustomerDocument::load(&both.save()).unwrap()] {
        assert_founder(&document.claims(), COMPANY, &amer(1, 5));
        let then = document.claims_at(&next.version()).unwrap();
        assert_founder(&then, COMPANY, &emea(1, 10));
        assert_founder(&then, None, &emea(1, 10));
        // The first claim is no longer live there, and the founder is known all the same.
        assert_owned(&then, "company/1000/payment_terms", "EMEA", "NT45");
        for earlier in [&empty, &online, &next, &both] {
            assert_eq!(document.claims_at(&earlier.version()).unwrap(), earlier.claims());
        }
    }
}

#[test]
fn a_change_that_is_refused_or_here_already_founds_nothing() {
    let record = flipped();
    let earlier = propose(&record, &amer(2, 1), &[edit("credit/EU01/score@crm", "7")]);
    assert!(record.admit(&amer(2, 2), &earlier).is_err());
    assert_eq!(record.claims().founder(Some("credit/EU01")), None);
    let once = record.admit(&amer(2, 1), &earlier).unwrap();
    let twice = once.admit(&amer(2, 1), &earlier).unwrap();
    assert_eq!(once.founders, twice.founders);
    assert_founder(&once.claims(), None, &amer(2, 1));
    assert_eq!(record.claims().founder(Some("credit/EU01")), None, "the old value is as it was");
}

#[test]
fn any_automerge_tool_opens_the_plain_document() {
    let record = flipped();
    let plain = Automerge::load(&record.automerge_bytes()).unwrap();
    assert_eq!(Registers::of(&plain).unwrap().as_ref(), Some(&*record.registers));
    assert!(record.save().ends_with(&record.automerge_bytes()));
    // Three texts and a few numbers.
    assert!(record.save().len() - record.automerge_bytes().len() < 48);
}

/// An envelope with a valid checksum around whatever founders the test says.
fn forged(record: &CustomerDocument, founders: &[(&str, CommitRef)]) -> Result<(), LoadError> {
    let origin = |commit| Origin { commit, time: Hlc::default(), region: author(1, 1).region };
    let founders = founders.iter().map(|(scope, commit)| (*scope, origin(*commit)));
    let changes: Vec<&[u8]> = record.stored.newer().collect();
    let sealed = envelope::seal(&Founders::forged(founders), &[], &changes);
    CustomerDocument::load(&sealed).map(|_| ())
}

#[test]
fn founders_that_cannot_be_do_not_load() {
    let record = flipped();
    let [known, unknown] = [emea(1, 10).commit, emea(7, 10).commit];
    assert_eq!(forged(&record, &[("company/1000", known)]), Ok(()));
    let cases = [
        ("company/1000", unknown),
        ("company/1000", author(9, 1).commit),
        ("company/1000/payment_terms", known),
        ("company", known),
        ("name/legal", known),
        ("company/", known),
        ("company/a b", known),
        ("", known),
    ];
    for (scope, commit) in cases {
        let refused = forged(&record, &[(scope, commit)]);
        assert!(matches!(refused, Err(LoadError::Damaged(_))), "{scope:?} {commit}");
    }
    // The founders of one record in front of another.
    let other = write(&CustomerDocument::empty(), &emea(1, 10), &[edit(LEGAL, "A")]);
    let [saved, plain] = [record.save(), record.automerge_bytes()];
    let head = &saved[..saved.len() - plain.len()];
    let mixed = [head, &other.automerge_bytes()].concat();
    assert!(matches!(CustomerDocument::load(&mixed), Err(LoadError::Damaged(_))));
}

#[test]
fn no_envelope_makes_the_loader_panic_or_reserve_memory() {
    let record = flipped();
    let saved = record.save();
    for end in 0..saved.len() {
        assert!(CustomerDocument::load(&saved[..end]).is_err(), "cut at {end}");
    }
    // Counts and lengths as large as they come, behind a head that is right.
    for number in [&[0xff; 12][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]] {
        for at in 12..saved.len() - record.automerge_bytes().len() {
            let bytes = [&saved[..at], number, &saved[at..]].concat();
            assert!(CustomerDocument::load(&bytes).is_err(), "a large number at {at}");
        }
    }
}
