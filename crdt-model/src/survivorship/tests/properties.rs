//! What holds for any claims, in any order.

use std::collections::BTreeMap;

use jiff::civil::Date;
use proptest::prelude::*;

use crate::claim::{Claim, ClaimSet, Clock, Origin};
use crate::golden_record::{GoldenRecord, Resolved};
use crate::id::{CommitRef, LogId, RecordId};
use crate::policy::Policy;
use crate::survivorship::resolve;
use crate::time::Hlc;
use crate::value::{Assertion, Cell};

const PATHS: [&str; 11] = [
    "identity/home_region",
    "identity/account_group",
    "name/legal",
    "general/language",
    "email/ann%40acme.example",
    "company/1000/payment_terms",
    "company/1000/payment_block",
    "company/1000/legal_dunning_since",
    "credit/EU01/limit",
    "credit/EU01/risk_class",
    "moon/phase",
];
const SOURCES: [&str; 5] = ["register", "manual-emea", "erp-emea", "erp-amer", "webshop"];
const REGIONS: [&str; 3] = ["EMEA", "AMER", "APAC"];
const SAYS: [&str; 18] = [
    "EMEA",
    "AMER",
    "NT30",
    "de",
    "low",
    "high",
    "2026-03-01",
    r#"{"value":"NT45","valid_from":"2026-02-01"}"#,
    r#"{"value":"de","valid_to":"2026-01-31"}"#,
    r#"{"value":"AMER","valid_from":"2026-02-01","valid_to":"2026-02-28"}"#,
    r#"{"address":"ann@acme.example"}"#,
    r#"{"reason":"dispute","until":"2026-02-15"}"#,
    r#"{"reason":"insolvency","valid_from":"-009999-01-01"}"#,
    r#"{"amount":100000,"currency":"EUR"}"#,
    r#"{"amount":70000,"currency":"EUR","valid_from":"2026-01-15"}"#,
    r#"{"amount":9,"currency":"USD"}"#,
    r#"{"value":9223372036854775807}"#,
    r#"{"release":"done"}"#,
];

fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        8 => prop::sample::select(&SAYS[..]).prop_map(|text| Cell::Str(text.to_owned())),
        1 => Just(Cell::Null),
        1 => any::<bool>().prop_map(Cell::Bool),
        1 => any::<i64>().prop_map(Cell::Int),
        1 => any::<String>().prop_map(Cell::Str),
        1 => any::<String>().prop_map(|text| Cell::Str(format!("{{{text}"))),
    ]
}

fn commit() -> impl Strategy<Value = CommitRef> {
    (0_u8..4, 1_u64..4).prop_map(|(log, seq)| CommitRef { log: LogId::from_bytes([log; 16]), seq })
}

prop_compose! {
    fn claim()(
        path in prop::sample::select(&PATHS[..]),
        source in prop::sample::select(&SOURCES[..]),
        region in prop::sample::select(&REGIONS[..]),
        cell in cell(),
        commit in commit(),
        ms in prop_oneof![4 => 0_u64..9, 1 => any::<u64>()],
    ) -> Claim {
        Claim {
            path: path.parse().unwrap(),
            source: source.parse().unwrap(),
            assertion: Assertion::from_cell(&cell),
            origin: Origin { commit, time: Hlc::from_ms(ms), region: region.parse().unwrap() },
        }
    }
}

/// Clocks as forged as they come: cycles, gaps, commits without one.
fn clocks() -> impl Strategy<Value = BTreeMap<CommitRef, Clock>> {
    let log = (0_u8..4).prop_map(|log| LogId::from_bytes([log; 16]));
    prop::collection::btree_map(commit(), prop::collection::btree_map(log, 0_u64..5, 0..4), 0..12)
}

fn golden(resolved: &Resolved) -> GoldenRecord {
    GoldenRecord::from_resolved(RecordId::from_bytes([7; 16]), resolved)
}

proptest! {
    #[test]
    fn the_order_of_arrival_never_shows(
        (claims, shuffled) in prop::collection::vec(claim(), 0..24)
            .prop_flat_map(|claims| (Just(claims.clone()), Just(claims).prop_shuffle())),
        again in 0_usize..5,
        clocks in clocks(),
    ) {
        let policy = Policy::built_in();
        let twice = shuffled.iter().chain(shuffled.iter().take(again)).cloned().collect();
        let one = resolve(&policy, &ClaimSet::new(claims, clocks.clone()));
        let other = resolve(&policy, &ClaimSet::new(twice, clocks));
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(golden(&one).to_bytes(), golden(&other).to_bytes());
    }

    #[test]
    fn no_claim_is_dropped_in_silence(
        claims in prop::collection::vec(claim(), 0..24),
        clocks in clocks(),
    ) {
        let set = ClaimSet::new(claims, clocks);
        let resolved = resolve(&Policy::built_in(), &set);
        for group in set.by_attribute() {
            let heard = group.iter().filter(|claim| {
                !matches!(claim.assertion, Ok(Assertion::Tombstone | Assertion::Release { .. }))
            });
            let heard = heard.count();
            let segments = resolved.attributes.get(&group[0].path);
            prop_assert!(heard == 0 || segments.is_some());
            for segment in segments.into_iter().flatten() {
                let resolution = &segment.resolution;
                let named = resolution.losers.len() + usize::from(resolution.winner.is_some());
                // Releases that break a rule are named too.
                prop_assert!((heard..=group.len()).contains(&named));
                prop_assert!(!resolution.conflict || resolution.disagreement);
                let live = resolution.losers.iter().filter(|loser| loser.reason.is_live()).count();
                let has_owner = resolution.owner.is_some();
                prop_assert!(live == 0 || resolution.winner.is_some() || has_owner);
                for loser in &resolution.losers {
                    let sentence = loser.sentence(&group[0].path, resolution);
                    prop_assert!(sentence.ends_with('.') && !sentence.contains('\n'), "{sentence}");
                }
            }
            let neighbours = segments.into_iter().flat_map(|segments| segments.windows(2));
            for pair in neighbours {
                prop_assert!(pair[0].from < pair[1].from);
                prop_assert_ne!(&pair[0].resolution, &pair[1].resolution);
            }
        }
    }

    #[test]
    fn a_golden_record_survives_its_bytes(
        claims in prop::collection::vec(claim(), 0..24),
        clocks in clocks(),
    ) {
        let golden = golden(&resolve(&Policy::built_in(), &ClaimSet::new(claims, clocks)));
        let read = GoldenRecord::from_bytes(&golden.to_bytes()).unwrap();
        prop_assert_eq!(&read, &golden);
        prop_assert_eq!(GoldenRecord::differences(Some(&golden), &read), vec![]);
    }

    #[test]
    fn a_day_of_the_timeline_is_the_record_of_that_day(
        claims in prop::collection::vec(claim(), 0..24),
        clocks in clocks(),
        day in 0_i64..80,
    ) {
        let day: Date = jiff::civil::date(2026, 1, 1) + jiff::Span::new().days(day);
        let resolved = resolve(&Policy::built_in(), &ClaimSet::new(claims, clocks));
        let golden = golden(&resolved);
        let on_day = golden.at(day);
        for path in resolved.attributes.keys() {
            let resolution = resolved.at(path, day);
            let winner = resolution.and_then(|resolution| resolution.winner.as_ref());
            let shown = on_day.get(path).and_then(|value| value.value.as_deref());
            prop_assert_eq!(shown, winner.and_then(|winner| winner.value.as_deref()));
            let contested = golden.contested(day).contains_key(path);
            prop_assert_eq!(contested, resolution.is_some_and(|resolution| resolution.disagreement));
        }
    }
}
