//! Tests of the golden record: its bytes, its days, its differences and its sentences.

use jiff::civil::date;

use super::*;
use crate::id::{CommitRef, LogId};
use crate::time::Hlc;
use crate::value::Scalar;

const TERMS: &str = "company/1000/payment_terms";

fn candidate(value: Value, source: &str, region: &str) -> Candidate {
    let commit = CommitRef { log: LogId::from_bytes([1; 16]), seq: 1 };
    let region = region.parse().unwrap();
    let time = Hlc::from_ms(1_796_040_000_000);
    let origin = Origin { commit, time, region };
    Candidate { value: Some(value.into()), raw: None, source: source.parse().unwrap(), origin }
}

fn contest(reason: LossReason) -> Resolution {
    Resolution {
        rule: Rule::Owner,
        owner: Some("EMEA".parse().unwrap()),
        winner: Some(candidate(Value::text("NT30"), "erp-emea", "EMEA")),
        losers: vec![Loser {
            candidate: candidate(Value::text("NT60"), "crm-amer", "AMER"),
            reason,
        }],
        disagreement: true,
        conflict: true,
    }
}

fn record(segments: Vec<Segment>) -> GoldenRecord {
    let attributes = BTreeMap::from([(TERMS.parse().unwrap(), segments)]);
    let resolved = Resolved { attributes, ..Resolved::default() };
    GoldenRecord::from_resolved(RecordId::from_bytes([1; 16]), &resolved)
}

fn quiet(value: Option<&str>) -> Resolution {
    let winner = value.map(|text| candidate(Value::text(text), "erp-emea", "EMEA"));
    Resolution { winner, losers: vec![], disagreement: false, conflict: false, ..contested() }
}

fn contested() -> Resolution {
    contest(LossReason::NotOwner)
}

#[test]
fn the_bytes_of_a_golden_record_stay_as_they_are() {
    let golden = record(vec![
        Segment { from: None, resolution: quiet(Some("NT14")) },
        Segment { from: Some(date(2027, 1, 1)), resolution: contested() },
    ]);
    let json = r#"{"attributes":{"company/1000/payment_terms":[{"value":"NT14"},{"contest":{"conflict":true,"disagreement":true,"losers":[{"commit":{"log":"01010101010101010101010101010101","seq":1},"reason":{"code":"not-owner"},"region":"AMER","source":"crm-amer","time":"2026-11-30T12:00:00.00000000Z","value":"NT60"}],"owner":"EMEA","rule":"owner","winner":{"commit":{"log":"01010101010101010101010101010101","seq":1},"region":"EMEA","source":"erp-emea","time":"2026-11-30T12:00:00.00000000Z","value":"NT30"}},"from":"2027-01-01","value":"NT30"}]},"record":"01010101-0101-0101-0101-010101010101"}"#;
    assert_eq!(String::from_utf8(golden.to_bytes()).unwrap(), json);
    assert_eq!(GoldenRecord::from_bytes(json.as_bytes()).unwrap(), golden);
    assert_ne!(golden.digest_element(), record(vec![]).digest_element());

    let error = GoldenRecord::from_bytes(&json.as_bytes()[1..]).unwrap_err();
    assert!(error.to_string().contains("rebuild it"), "{error}");
}

#[test]
fn an_attribute_without_a_survivor_or_a_contest_is_absent() {
    let golden = record(vec![Segment { from: None, resolution: quiet(None) }]);
    assert!(golden.attributes.is_empty());

    let golden = record(vec![
        Segment { from: None, resolution: quiet(None) },
        Segment { from: Some(date(2027, 1, 1)), resolution: quiet(Some("NT30")) },
        Segment { from: Some(date(2027, 6, 1)), resolution: quiet(None) },
    ]);
    let path = TERMS.parse().unwrap();
    let days: Vec<_> = golden.attributes[&path].iter().map(|value| value.from).collect();
    assert_eq!(days, [Some(date(2027, 1, 1)), Some(date(2027, 6, 1))]);
    assert!(golden.at(date(2026, 12, 31)).is_empty());
    assert_eq!(golden.at(date(2027, 1, 1))[&path].value, Some(Value::text("NT30").into()));
    assert!(golden.at(date(2027, 6, 1)).is_empty());
}

#[test]
fn a_contest_keeps_the_claims_that_took_part() {
    let mut resolution = contested();
    resolution.losers.push(Loser { reason: LossReason::NotValid, ..resolution.losers[0].clone() });
    let golden = record(vec![Segment { from: None, resolution }]);
    let contests = golden.contested(date(2026, 1, 1));
    assert_eq!(contests.into_values().collect::<Vec<_>>(), [&contested()]);
}

#[test]
fn segments_that_show_the_same_are_one_value() {
    let mut other = quiet(Some("NT30"));
    other.losers.push(Loser { reason: LossReason::NotValid, ..contested().losers[0].clone() });
    let golden = record(vec![
        Segment { from: None, resolution: quiet(Some("NT30")) },
        Segment { from: Some(date(2027, 1, 1)), resolution: other },
    ]);
    assert_eq!(golden.attributes[&TERMS.parse().unwrap()].len(), 1);
}

#[test]
fn differences_name_what_appeared_went_and_changed() {
    let none = record(vec![]);
    let quiet_30 = record(vec![Segment { from: None, resolution: quiet(Some("NT30")) }]);
    let open_30 = record(vec![Segment { from: None, resolution: contested() }]);
    let quiet_60 = record(vec![Segment { from: None, resolution: quiet(Some("NT60")) }]);
    let values = |record: &GoldenRecord| record.attributes[&TERMS.parse().unwrap()].clone();

    assert_eq!(GoldenRecord::differences(None, &none), []);
    assert_eq!(GoldenRecord::differences(Some(&open_30), &open_30), []);
    let new = GoldenRecord::differences(None, &quiet_30);
    assert_eq!((&new[0].before, &new[0].after), (&vec![], &values(&quiet_30)));
    assert!(new[0].value_changed());
    let gone = GoldenRecord::differences(Some(&quiet_30), &none);
    assert_eq!((&gone[0].before, &gone[0].after), (&values(&quiet_30), &vec![]));
    assert!(gone[0].value_changed());
    let contested = GoldenRecord::differences(Some(&quiet_30), &open_30);
    assert!(!contested[0].value_changed(), "only who else says something changed");
    assert!(GoldenRecord::differences(Some(&quiet_30), &quiet_60)[0].value_changed());

    let json = serde_json::to_string(&gone).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Difference>>(&json).unwrap(), gone);
}

#[test]
fn the_sentences_are_fit_for_a_clerk() {
    let table = [
        (
            LossReason::NotOwner,
            "NT60 of crm-amer (AMER) lost to NT30 of erp-emea (EMEA): EMEA, the owner of company code 1000, decides on payment terms.",
        ),
        (LossReason::Agrees, "NT60 of crm-amer (AMER) says the same as NT30 of erp-emea (EMEA)."),
        (
            LossReason::Superseded,
            "NT60 of crm-amer (AMER) lost to NT30 of erp-emea (EMEA): a claim that still stands was made by someone who had seen it.",
        ),
        (
            LossReason::Older,
            "NT60 of crm-amer (AMER) lost to NT30 of erp-emea (EMEA): they were made apart, and the other one was made later, at 2026-11-30T12:00:00.000Z.",
        ),
        (
            LossReason::LowerPriority,
            "NT60 of crm-amer (AMER) lost to NT30 of erp-emea (EMEA): the source erp ranks above crm.",
        ),
        (
            LossReason::LessConservative,
            "NT60 of crm-amer (AMER) lost to NT30 of erp-emea (EMEA): the more conservative one counts.",
        ),
        (
            LossReason::NotComparable,
            "NT60 of crm-amer (AMER) lost to NT30 of erp-emea (EMEA): the two cannot be compared, so the one that stood first stays.",
        ),
        (
            LossReason::AlsoBlocks,
            "NT60 of crm-amer (AMER) blocks as well. Shown is the block that was set first, NT30 of erp-emea (EMEA).",
        ),
        (
            LossReason::Newer,
            "NT60 of crm-amer (AMER) lost to NT30 of erp-emea (EMEA): the oldest claim counts.",
        ),
        (
            LossReason::Rarer,
            "NT60 of crm-amer (AMER) lost to NT30 of erp-emea (EMEA): more sources say so.",
        ),
        (
            LossReason::LessComplete,
            "NT60 of crm-amer (AMER) lost to NT30 of erp-emea (EMEA): the other one says more.",
        ),
        (
            LossReason::NotFollowed,
            "NT60 of crm-amer (AMER) lost to NT30 of erp-emea (EMEA): erp-emea decides here as on the attribute that this one follows.",
        ),
    ];
    assert_sentences(&table);
}

#[test]
fn whoever_took_no_part_is_told_why() {
    let text = "\"net thirty\" is not a code.".to_owned();
    let table = [
        (
            LossReason::Released,
            "NT60 of crm-amer (AMER) does not take part: it was lifted by someone who had seen it.",
        ),
        (
            LossReason::Overridden,
            "NT60 of crm-amer (AMER) lost to NT30 of erp-emea (EMEA): a steward's override stands.",
        ),
        (
            LossReason::SourceChanged,
            "NT60 of crm-amer (AMER) does not take part: it stood until a source said something new, and one has.",
        ),
        (
            LossReason::NotValid,
            "NT60 of crm-amer (AMER) does not take part: it does not hold on this day.",
        ),
        (
            LossReason::Succeeded,
            "NT60 of crm-amer (AMER) does not take part: crm-amer states another value from a later day on.",
        ),
        (
            LossReason::Surplus,
            "NT60 of crm-amer (AMER) does not take part: AMER has too many claims on this attribute, and only its latest count.",
        ),
        (
            LossReason::Invalid { text },
            "NT60 of crm-amer (AMER) does not take part: \"net thirty\" is not a code.",
        ),
    ];
    assert_sentences(&table);
}

#[track_caller]
fn assert_sentences(table: &[(LossReason, &str)]) {
    for (reason, sentence) in table {
        let resolution = contest(reason.clone());
        let path = TERMS.parse().unwrap();
        assert_eq!(resolution.losers[0].sentence(&path, &resolution), *sentence);
    }
}

#[test]
fn a_proposal_without_a_winner_is_told_whose_word_is_missing() {
    let resolution = Resolution { winner: None, ..contested() };
    assert_eq!(
        resolution.losers[0].sentence(&TERMS.parse().unwrap(), &resolution),
        "NT60 of crm-amer (AMER) does not take effect: EMEA, the owner of company code 1000, decides on payment terms, and has stated nothing."
    );
    let path = "identity/account_group".parse().unwrap();
    assert_eq!(
        resolution.losers[0].sentence(&path, &resolution),
        "NT60 of crm-amer (AMER) does not take effect: EMEA, the customer's owner, decides on account group, and has stated nothing."
    );
}

#[test]
fn values_are_written_as_people_write_them() {
    let shown = |value| candidate(value, "erp", "EMEA").to_string();
    let group = |members: &[(&str, Scalar)]| {
        Value::Group(members.iter().map(|(name, s)| ((*name).to_owned(), s.clone())).collect())
    };
    let text = |text: &str| Scalar::Text(text.to_owned());
    let money =
        |amount, currency| group(&[("amount", Scalar::Int(amount)), ("currency", text(currency))]);
    assert_eq!(shown(money(500_000, "EUR")), "EUR 5000.00 of erp (EMEA)");
    assert_eq!(shown(money(500_000, "JPY")), "JPY 500000 of erp (EMEA)");
    assert_eq!(shown(Value::One(Scalar::Bool(true))), "yes of erp (EMEA)");
    let address = group(&[("country", text("DE")), ("city", text("Köln"))]);
    assert_eq!(shown(address), "city Köln, country DE of erp (EMEA)");
    let long = Value::text(format!("{}\n{}", "a".repeat(40), "b".repeat(400)));
    let expected = format!("{} {}… of erp (EMEA)", "a".repeat(40), "b".repeat(39));
    assert_eq!(shown(long), expected);
}
