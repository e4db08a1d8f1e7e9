//! Claims with a validity: the segments of the timeline.

use std::collections::BTreeMap;

use super::scenario::{check, check_under, claims};
use crate::claim::{Claim, ClaimSet, Clock, Origin};
use crate::golden_record::{GoldenRecord, LossReason};
use crate::id::{CommitRef, LogId, RecordId};
use crate::policy::Policy;
use crate::survivorship::{CLAIMS_PER_REGION_MAX, resolve};
use crate::time::Hlc;
use crate::value::{Assertion, Statement, Value};

#[test]
fn a_future_value_waits_for_its_day_and_the_present_one_holds_until_then() {
    check(
        "company/1000/payment_terms",
        r#"1 | company/1000/payment_terms | erp | EMEA | 10 |   | NT30
           2 | company/1000/payment_terms | crm | EMEA | 20 | 1 | {"value":"NT45","valid_from":"2027-01-01","valid_to":"2027-12-31"}"#,
        "+ NT30 erp
         - NT45 crm: not-valid
         = agreement
         2027-01-01
         + NT45 crm
         - NT30 erp: superseded
         = disagreement
         2028-01-01
         + NT30 erp
         - NT45 crm: not-valid
         = agreement",
    );
}

#[test]
fn equal_neighbours_are_one_segment() {
    check(
        "company/1000/payment_terms",
        r#"1 | company/1000/payment_terms | erp | EMEA | 10 | | {"value":"NT30","valid_from":"2026-01-01"}
           2 | company/1000/recon_account | erp | EMEA | 10 | | 140000"#,
        "+ nothing
         - NT30 erp: not-valid
         = agreement
         2026-01-01
         + NT30 erp
         = agreement",
    );
    // Two claims meet at midnight without a gap.
    check(
        "general/language",
        r#"1 | general/language | erp | EMEA | 10 | | {"value":"de","valid_to":"2026-12-31"}
           2 | general/language | crm | EMEA | 20 | | {"value":"en","valid_from":"2027-01-01"}"#,
        "+ de erp
         - en crm: not-valid
         = agreement
         2027-01-01
         + en crm
         - de erp: not-valid
         = agreement",
    );
}

#[test]
fn a_source_says_what_it_states_from_the_latest_day_on() {
    check(
        "company/1000/payment_terms",
        r#"1 | company/1000/payment_terms | erp-emea | EMEA | 10 |   | NT30
           2 | company/1000/payment_terms | erp-emea | EMEA | 20 | 1 | {"value":"NT45","valid_from":"2027-01-01","valid_to":"2027-01-31"}
           3 | company/1000/payment_terms | crm-emea | EMEA | 15 | 1 | NT60"#,
        "+ NT60 crm-emea
         - NT30 erp-emea: superseded
         - NT45 erp-emea: not-valid
         = disagreement
         2027-01-01
         + NT45 erp-emea
         - NT60 crm-emea: older
         - NT30 erp-emea: succeeded
         = conflict
         2027-02-01
         + NT60 crm-emea
         - NT30 erp-emea: superseded
         - NT45 erp-emea: not-valid
         = disagreement",
    );
}

#[test]
fn a_block_stands_until_its_day() {
    check(
        "company/1000/payment_block",
        r#"1 | company/1000/payment_block | erp | EMEA | 10 | | {"reason":"dispute","until":"2026-12-31"}"#,
        "+ {reason:dispute,until:2026-12-31} erp
         = agreement
         2027-01-01
         + nothing
         - {reason:dispute,until:2026-12-31} erp: not-valid
         = agreement",
    );
}

#[test]
fn ownership_moves_with_the_home_region_on_its_day() {
    let set = claims(
        r#"1 | identity/account_group | erp-emea | EMEA | 10 |   | KEY
           2 | identity/account_group | erp-amer | AMER | 20 | 1 | RETAIL
           3 | identity/home_region   | erp-emea | EMEA | 30 |   | {"value":"AMER","valid_from":"2027-01-01"}"#,
    );
    check_under(
        &Policy::built_in(),
        "identity/account_group",
        &set,
        "+ KEY erp-emea
         - RETAIL erp-amer: not-owner
         = disagreement
         2027-01-01
         + RETAIL erp-amer
         - KEY erp-emea: not-owner
         = disagreement",
    );
}

#[test]
fn the_last_day_of_the_calendar_ends_nothing() {
    check(
        "general/language",
        r#"1 | general/language | erp | EMEA | 10 | | {"value":"de","valid_to":"9999-12-31"}"#,
        "+ de erp
         = agreement",
    );
}

#[test]
fn what_belongs_to_an_item_comes_and_goes_with_it() {
    let path = "bank/DE89370400440532013000/verification";
    let verified = "1 | bank/DE89370400440532013000/verification | erp | EMEA | 10 | | verified";
    check(
        path,
        verified,
        "+ nothing
         - verified erp: item-missing
         = agreement",
    );
    let account =
        r#"{"iban":"DE89370400440532013000","valid_from":"2027-01-01","valid_to":"2027-12-31"}"#;
    check(
        path,
        &format!(
            "{verified}
             2 | bank/DE89370400440532013000 | erp | EMEA | 20 | 1 | {account}"
        ),
        "+ nothing
         - verified erp: item-missing
         = agreement
         2027-01-01
         + verified erp
         = agreement
         2028-01-01
         + nothing
         - verified erp: item-missing
         = agreement",
    );
}

/// Many sources of one region, each with a validity of its own, and one source of another region.
fn crowd(path: &str, sources: u16, padding: usize) -> ClaimSet {
    let mut claims = Vec::new();
    let mut clocks = BTreeMap::new();
    for source in 0..=sources {
        let log = LogId::from_bytes([if source == 0 { 1 } else { 2 }; 16]);
        let commit = CommitRef { log, seq: u64::from(source.max(1)) };
        let day = jiff::civil::date(2026, 1, 1);
        let valid_from = (source > 0).then(|| day + jiff::Span::new().days(i64::from(source)));
        let value = Value::text(format!("ACME {source}{}", "x".repeat(padding)));
        let statement = Statement { valid_from, ..Statement::plain(value) };
        clocks.insert(commit, Clock::from([(log, commit.seq)]));
        claims.push(Claim {
            path: path.parse().unwrap(),
            source: format!("source-{source}").parse().unwrap(),
            assertion: Ok(Assertion::Stated(statement)),
            origin: Origin {
                commit,
                time: Hlc::from_ms(u64::from(source)),
                region: if source == 0 { "EMEA" } else { "AMER" }.parse().unwrap(),
            },
        });
    }
    ClaimSet::new(claims, clocks)
}

#[test]
fn a_crowd_of_claims_of_one_region_is_bounded_and_leaves_the_others_standing() {
    let set = crowd("name/legal", 2_000, 0);
    let resolved = resolve(&Policy::built_in(), &set);
    let segments = &resolved.attributes[&"name/legal".parse().unwrap()];
    assert_eq!(segments.len(), CLAIMS_PER_REGION_MAX + 1);
    assert!(segments.iter().all(|segment| segment.resolution.losers.len() == 2_000));
    let first = &segments[0].resolution;
    assert_eq!(first.winner.as_ref().unwrap().source.as_str(), "source-0");
    let surplus = first.losers.iter().filter(|loser| loser.reason == LossReason::Surplus);
    assert_eq!(surplus.count(), 2_000 - CLAIMS_PER_REGION_MAX);

    let golden = GoldenRecord::from_resolved(RecordId::from_bytes([1; 16]), &resolved);
    assert!(golden.to_bytes().len() < 256 * 1_024, "{} bytes", golden.to_bytes().len());
}

#[test]
fn long_values_of_one_region_take_no_more_room_than_short_ones() {
    // Each of them is as long as a text may be, and an attribute of tomorrow has no limit of its own.
    let set = crowd("tomorrow/story", 32, 64 * 1_024 - 10);
    let resolved = resolve(&Policy::built_in(), &set);
    let golden = GoldenRecord::from_resolved(RecordId::from_bytes([1; 16]), &resolved);
    assert!(golden.to_bytes().len() < 512 * 1_024, "{} bytes", golden.to_bytes().len());
    let segments = &resolved.attributes[&"tomorrow/story".parse().unwrap()];
    let last = &segments.last().unwrap().resolution;
    assert_eq!(last.winner.as_ref().unwrap().source.as_str(), "source-32", "the latest counts");
    assert!(last.losers.iter().any(|loser| loser.candidate.source.as_str() == "source-0"));
}
