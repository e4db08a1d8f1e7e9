//! Tests of the set of claims: order, causality, founders, and the text of a time.

use super::*;

fn commit(log: u8, seq: u64) -> CommitRef {
    CommitRef { log: LogId::from_bytes([log; 16]), seq }
}

fn claim(path: &str, source: &str, log: u8, ms: u64, text: &str) -> Claim {
    Claim {
        path: path.parse().unwrap(),
        source: source.parse().unwrap(),
        assertion: Ok(Assertion::Stated(Statement::plain(Value::text(text)))),
        origin: Origin {
            commit: commit(log, 1),
            time: Hlc::from_ms(ms),
            region: "EMEA".parse().unwrap(),
        },
    }
}

#[test]
fn a_set_does_not_know_in_which_order_it_was_gathered() {
    // One register, one commit, two values: nothing but the content tells them apart.
    let a = claim("name/legal", "erp", 1, 5, "ACME");
    let b = claim("name/legal", "erp", 1, 5, "Acme");
    let c = claim("name/legal", "crm", 1, 5, "ACME");
    let one = ClaimSet::new(vec![a.clone(), b.clone(), c.clone()], BTreeMap::new());
    let other = ClaimSet::new(vec![b.clone(), c, a, b], BTreeMap::new());
    assert_eq!(one, other);
    assert_eq!(one.claims().len(), 3);
}

#[test]
fn a_commit_has_seen_itself_and_what_its_clock_names() {
    let clock = Clock::from([(LogId::from_bytes([1; 16]), 3), (LogId::from_bytes([2; 16]), 1)]);
    let set = ClaimSet::new(vec![], BTreeMap::from([(commit(2, 1), clock)]));
    assert!(set.has_seen(&commit(2, 1), &commit(2, 1)));
    assert!(set.has_seen(&commit(2, 1), &commit(1, 3)));
    assert!(!set.has_seen(&commit(2, 1), &commit(1, 4)));
    assert!(set.concurrent(&commit(2, 1), &commit(1, 4)));
    assert!(!set.concurrent(&commit(9, 1), &commit(9, 1)), "even without a clock");
}

#[test]
fn scopes_are_company_codes_sales_areas_and_credit_segments() {
    let scope_of = |path: &str| scope(&path.parse().unwrap()).map(str::to_owned);
    assert_eq!(scope_of("company/1000/payment_terms").as_deref(), Some("company/1000"));
    assert_eq!(scope_of("sales/1000-10-00/partner/SH").as_deref(), Some("sales/1000-10-00"));
    assert_eq!(scope_of("credit/EU01/limit").as_deref(), Some("credit/EU01"));
    assert_eq!(scope_of("vendor/1000/payment_terms").as_deref(), Some("vendor/1000"));
    assert_eq!(scope_of("name/legal"), None);
    assert_eq!(scope_of("bank/X/verification"), None);
}

#[test]
fn the_founder_is_the_earliest_claim_and_the_history_may_know_an_earlier_one() {
    let set = ClaimSet::new(
        vec![
            claim("name/legal", "erp", 1, 5, "ACME"),
            claim("company/1000/payment_terms", "erp", 2, 9, "NT30"),
            claim("company/1000/payment_terms", "crm", 3, 8, "NT60"),
        ],
        BTreeMap::new(),
    );
    assert_eq!(set.founder(None).unwrap().commit, commit(1, 1));
    assert_eq!(set.founder(Some("company/1000")).unwrap().commit, commit(3, 1));
    assert_eq!(set.founder(Some("company/2000")), None);

    let first = claim("company/1000/payment_terms", "erp", 2, 7, "NT14").origin;
    let late = claim("name/legal", "erp", 4, 6, "ACME").origin;
    let set = set.with_founders(BTreeMap::from([
        (Some("company/1000".to_owned()), first.clone()),
        (None, late),
    ]));
    assert_eq!(set.founder(Some("company/1000")), Some(&first));
    assert_eq!(set.founder(None).unwrap().commit, commit(1, 1), "the live claim is earlier");
}

#[test]
fn a_time_is_readable_text_without_loss() {
    let mut origin = claim("name/legal", "erp", 1, 1_796_040_000_000, "ACME").origin;
    for time in [Hlc::default(), origin.time, origin.time.tick(0), Hlc::from_ms(u64::MAX)] {
        origin.time = time;
        let json = serde_json::to_string(&origin).unwrap();
        assert_eq!(serde_json::from_str::<Origin>(&json).unwrap(), origin, "{json}");
    }
    origin.time = Hlc::from_ms(1_796_040_000_123).tick(0);
    let json = serde_json::to_value(&origin).unwrap();
    assert_eq!(json["time"], "2026-11-30T12:00:00.12300001Z");

    for text in ["2026-11-30T12:00:00.123999999Z", "1960-01-01T00:00:00Z", "yesterday"] {
        let mut bad = json.clone();
        bad["time"] = text.into();
        assert!(serde_json::from_value::<Origin>(bad).is_err(), "{text}");
    }
}
