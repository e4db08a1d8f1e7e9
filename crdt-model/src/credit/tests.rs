//! Exposure, limits under conflict and headroom, as tables.

use std::collections::BTreeMap as Map;

use jiff::civil::date;

use super::*;
use crate::claim::{Claim, ClaimSet, Clock, Origin};
use crate::id::{CommitRef, LogId};
use crate::policy::Policy;
use crate::survivorship::resolve;
use crate::time::Hlc;
use crate::value::{Assertion, Cell};

const DAY: Date = date(2026, 6, 1);

/// Reads claims, one line for each: `path | source | region | says`. Each is written apart from the
/// others, a second after the one before.
pub(crate) fn claims(table: &str) -> ClaimSet {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut claims = Vec::new();
    let mut clocks = Map::new();
    for (number, line) in lines.enumerate() {
        let cells: Vec<&str> = line.splitn(4, '|').map(str::trim).collect();
        let [path, source, region, says] = cells[..] else { panic!("not a claim: {line}") };
        let log = LogId::from_bytes([u8::try_from(number).unwrap() + 1; 16]);
        let commit = CommitRef { log, seq: 1 };
        clocks.insert(commit, Clock::from([(log, 1)]));
        let cell = match says {
            "true" => Cell::Bool(true),
            "false" => Cell::Bool(false),
            text => Cell::Str(text.to_owned()),
        };
        claims.push(Claim {
            path: path.parse().unwrap(),
            source: source.parse().unwrap(),
            assertion: Assertion::from_cell(&cell),
            origin: Origin {
                commit,
                time: Hlc::from_ms(1_000 * number as u64),
                region: region.parse().unwrap(),
            },
        });
    }
    ClaimSet::new(claims, clocks)
}

pub(crate) fn golden_under(policy: &Policy, table: &str) -> GoldenRecord {
    let resolved = resolve(policy, &claims(table));
    GoldenRecord::from_resolved(RecordId::from_bytes([7; 16]), &resolved)
}

fn golden(table: &str) -> GoldenRecord {
    golden_under(&Policy::built_in(), table)
}

fn euro(amount: i64) -> Money {
    Money { amount, currency: "EUR".to_owned() }
}

#[test]
fn amounts_read_as_people_write_them() {
    for (amount, currency, text) in [
        (120_050, "EUR", "1200.50 EUR"),
        (-5, "EUR", "-0.05 EUR"),
        (1_200, "JPY", "1200 JPY"),
        (1_200, "ZZZ", "1200 ZZZ"),
        (i64::MIN, "KWD", "-9223372036854775.808 KWD"),
    ] {
        assert_eq!(Money { amount, currency: currency.to_owned() }.to_string(), text);
    }
}

#[test]
fn exposure_is_summed_for_each_currency_and_never_across() {
    let golden = golden(
        r#"credit/EU01/exposure/EMEA | erp-emea | EMEA | {"amount":5000,"currency":"EUR"}
           credit/EU01/exposure/AMER | erp-amer | AMER | {"amount":700,"currency":"USD"}
           credit/EU01/exposure/APAC | erp-apac | APAC | {"amount":-1000,"currency":"EUR"}
           credit/US01/exposure/AMER | erp-amer | AMER | {"amount":9,"currency":"USD"}"#,
    );
    let exposure = exposure(&golden, "EU01", DAY);
    assert_eq!(exposure.totals, Map::from([("EUR".to_owned(), 4_000), ("USD".to_owned(), 700)]));
    assert_eq!(exposure.regions.len(), 3);
    assert_eq!(segments(&golden).into_iter().collect::<Vec<_>>(), ["EU01", "US01"]);
    assert_eq!(headroom(&golden, "EU01", DAY), None, "no limit is stated");
}

#[test]
fn headroom_says_what_is_left_and_what_is_on_top() {
    let golden = golden(
        r#"credit/EU01/limit | erp-emea | EMEA | {"amount":10000,"currency":"EUR"}
           credit/EU01/exposure/EMEA | erp-emea | EMEA | {"amount":9000,"currency":"EUR"}
           credit/EU01/exposure/APAC | erp-apac | APAC | {"amount":1500,"currency":"EUR"}
           credit/EU01/exposure/AMER | erp-amer | AMER | {"amount":700,"currency":"USD"}"#,
    );
    let headroom = headroom(&golden, "EU01", DAY).unwrap();
    assert!(headroom.is_exceeded());
    assert_eq!(
        headroom.sentence(),
        "105.00 EUR of 100.00 EUR are used, exceeded by 5.00 EUR. On top 7.00 USD, not converted."
    );
    assert_eq!(headroom.limit.reason, LimitReason::Agreed);
}

#[test]
fn the_effective_limit_and_why() {
    let owned = {
        let mut policy = Policy::built_in();
        policy.owners.insert("credit".to_owned(), "APAC".parse().unwrap());
        policy
    };
    let by = |rule| {
        let mut policy = owned.clone();
        policy.rules.insert("credit/{segment}/limit".to_owned(), rule);
        policy
    };
    let two = r#"credit/EU01/limit | erp-emea | EMEA | {"amount":5000,"currency":"EUR"}
                 credit/EU01/limit | erp-amer | AMER | {"amount":3000,"currency":"EUR"}"#;
    let owners = format!(
        r#"{two}
           credit/EU01/limit | erp-apac | APAC | {{"amount":9000,"currency":"EUR"}}"#
    );
    let dollars = format!(
        r#"{two}
           credit/EU01/limit | crm | AMER | {{"amount":1,"currency":"USD"}}"#
    );
    for (policy, table, limit, sentence) in [
        (
            Policy::built_in(),
            two,
            5_000,
            "The limit is 50.00 EUR, because EMEA owns the segment and says so.",
        ),
        (
            owned.clone(),
            two,
            3_000,
            "The limit is 30.00 EUR by the rule \"Owner region decides, else the least value\".",
        ),
        (
            owned.clone(),
            &owners,
            9_000,
            "The limit is 90.00 EUR, because APAC owns the segment and says so.",
        ),
        (
            by(Rule::Owner),
            two,
            3_000,
            "The limit is 30.00 EUR: the owner of the segment states none, so the least of what \
             others say counts.",
        ),
        (
            by(Rule::LastWriter),
            &owners,
            3_000,
            "The limit is 30.00 EUR: the sources differ and no owner decides, so the least counts, \
             not 90.00 EUR.",
        ),
        (
            by(Rule::Least),
            &dollars,
            3_000,
            "The limit is 30.00 EUR by the rule \"Least value\". Not compared, in another currency: \
             0.01 USD.",
        ),
    ] {
        let effective = effective_limit(&golden_under(&policy, table), "EU01", DAY).unwrap();
        assert_eq!((&effective.limit, effective.sentence().as_str()), (&euro(limit), sentence));
    }
    assert_eq!(effective_limit(&golden(two), "US01", DAY), None);
}

#[test]
fn a_group_is_summed_once_for_each_member_and_misses_nobody_in_silence() {
    let [parent, child, gone] = [1, 2, 3].map(|byte| RecordId::from_bytes([byte; 16]));
    let exposure = |amount: i64| {
        golden(&format!(
            r#"credit/EU01/exposure/EMEA | erp-emea | EMEA | {{"amount":{amount},"currency":"EUR"}}"#
        ))
    };
    let group = group_exposure([child, parent, gone, child], "EU01", DAY, |record| {
        [(parent, 100), (child, 23)]
            .into_iter()
            .find_map(|(id, amount)| (id == *record).then(|| exposure(amount)))
    });
    assert_eq!(group.totals, Map::from([("EUR".to_owned(), 123)]));
    assert_eq!((group.members, group.missing), (2, vec![gone]));
}
