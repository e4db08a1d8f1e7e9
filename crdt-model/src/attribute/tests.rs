//! The table is consistent, look-ups find the right row, and the verdicts are the expected ones.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::value::{RESERVED_MEMBERS, Statement};

fn path(text: &str) -> AttributePath {
    text.parse().unwrap()
}

fn segments(parts: &[&str]) -> AttributePath {
    AttributePath::from_segments(parts).unwrap()
}

fn at(text: &str) -> &'static Attribute {
    lookup(&path(text)).unwrap()
}

fn stated(value: Value) -> Assertion {
    Assertion::Stated(Statement::plain(value))
}

fn group(members: &[(&str, Scalar)]) -> Value {
    Value::Group(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

fn text(text: &str) -> Scalar {
    Scalar::Text(text.to_owned())
}

fn code_of(path: &AttributePath, value: Value) -> Option<&'static str> {
    lookup(path).unwrap().check(path, &stated(value)).err().map(|fault| fault.code)
}

/// A pattern with a canonical key in every placeholder.
pub(crate) fn example(attribute: &Attribute) -> AttributePath {
    let mut kinds = attribute.keys.iter();
    let segments: Vec<&str> = attribute
        .pattern
        .split('/')
        .map(|part| match part.strip_prefix('{').and_then(|_| kinds.next()) {
            Some(kind) => example_key(*kind),
            None => part,
        })
        .collect();
    AttributePath::from_segments(&segments).unwrap()
}

fn example_key(kind: KeyType) -> &'static str {
    match kind {
        KeyType::Id => "01J9ZX:main",
        KeyType::Code => "Z1",
        KeyType::Scheme => "nace",
        KeyType::Organisation => "1000",
        KeyType::SalesArea => "1000:10:00",
        KeyType::Region => "EMEA",
        KeyType::Country => "DE",
        KeyType::Name => "acme & söhne",
        KeyType::TaxId => "DE:VAT:DE136695976",
        KeyType::Register => "RA000242:HRB 12345",
        KeyType::Endpoint => "0088",
        KeyType::Xref => "ERP_EU:100:4711",
        KeyType::Vendor => "ERP_EU:90001",
        KeyType::Usage => "bill-to",
        KeyType::Phone => "+4930123456",
        KeyType::Email => "anna@example.com",
        KeyType::Partner => "SH:0190f3a2-0000-7000-8000-000000000001",
        KeyType::Account => "DE89370400440532013000",
        KeyType::Reference => "M-2026/1",
        KeyType::Defined => "loyalty tier",
        KeyType::Principal => "anna@example.com",
        KeyType::Path => "bank/DE89370400440532013000",
    }
}

#[test]
fn patterns_are_unique_parse_and_find_themselves() {
    let mut seen = BTreeSet::new();
    for attribute in table() {
        assert!(seen.insert(attribute.pattern), "{} stands twice", attribute.pattern);
        let placeholders = attribute.pattern.matches('{').count();
        assert_eq!(attribute.keys.len(), placeholders, "{}", attribute.pattern);
        let path = example(attribute);
        assert_eq!(lookup(&path), Some(attribute), "{path}");
        assert_eq!(attribute.check(&path, &Assertion::Tombstone), Ok(()), "{path}");
        assert!(!attribute.title.is_empty());
    }
    assert!(table().len() >= 90, "{} attributes", table().len());
}

#[test]
fn groups_avoid_reserved_names_and_what_hangs_below() {
    for attribute in table() {
        let ValueType::Group(members) = attribute.value else { continue };
        let below: BTreeSet<&str> = table()
            .iter()
            .filter_map(|other| other.pattern.strip_prefix(attribute.pattern)?.strip_prefix('/'))
            .filter_map(|rest| rest.split('/').next())
            .collect();
        let mut names = BTreeSet::new();
        for member in members {
            assert!(names.insert(member.name), "{} {}", attribute.pattern, member.name);
            assert!(!RESERVED_MEMBERS.contains(&member.name), "{}", attribute.pattern);
            assert!(!below.contains(member.name), "{} {}", attribute.pattern, member.name);
            assert!(!matches!(member.value, ValueType::Group(_)), "{}", attribute.pattern);
            let is_money = matches!(member.value, ValueType::Money(_));
            assert!(!is_money || members.iter().any(|m| m.name == "currency"));
        }
        // A tree walk could not tell a member from an item.
        assert!(below.iter().all(|name| !name.starts_with('{')), "{}", attribute.pattern);
    }
}

#[test]
fn members_that_repeat_a_key_exist_in_the_group() {
    for attribute in table().iter().filter(|attribute| attribute.is_item()) {
        let ValueType::Group(members) = attribute.value else { continue };
        let path = example(attribute);
        let key = path.segments().pop().unwrap();
        for (name, part) in attribute.keys.last().unwrap().members(&key) {
            let member = members.iter().find(|member| member.name == name);
            let member = member.unwrap_or_else(|| panic!("{} {name}", attribute.pattern));
            assert_eq!(check_scalar(&member.value, &text(&part)), Ok(()), "{path} {name}");
        }
    }
}

#[test]
fn every_code_is_listed_once_in_order() {
    assert!(CODES.is_sorted());
    assert_eq!(CODES.iter().collect::<BTreeSet<_>>().len(), CODES.len());
}

#[test]
fn placeholders_are_named() {
    let path = path("sales/1000:10:00/tax_class/DE");
    let expected = vec![("sales_area", "1000:10:00".into()), ("country", "DE".into())];
    assert_eq!(lookup(&path).unwrap().placeholders(&path), expected);
    let bank = segments(&["xref", "ERP:100:A/B"]);
    assert_eq!(lookup(&bank).unwrap().placeholders(&bank), vec![("id", "ERP:100:A/B".into())]);
}

#[test]
fn look_ups_know_what_there_is_not() {
    for unknown in ["name/legall", "company/1000", "x/a/b/c/d", "bank/DE/mandate", "nothing/at/all"]
    {
        assert_eq!(lookup(&path(unknown)), None, "{unknown}");
    }
}

#[test]
fn items_blocks_and_releases() {
    assert!(at("bank/DE89370400440532013000").is_item());
    assert!(at("legal_hold/1").is_item() && at("legal_hold/1").is_block());
    assert!(at("block/order").is_block() && at("block/order").is_releasable());
    assert!(!at("x/tier").is_item());
    assert!(!at("name/legal").is_releasable());
    let reason = Assertion::Release { reason: "paid".to_owned() };
    assert!(at("block/order").check(&path("block/order"), &reason).is_ok());
    let fault = at("name/legal").check(&path("name/legal"), &reason).unwrap_err();
    assert_eq!(fault.code, "release-not-possible");
    let empty = Assertion::Release { reason: " ".to_owned() };
    assert!(at("block/order").check(&path("block/order"), &empty).is_err());
}

#[test]
fn values_compare_conservatively() {
    let order = |at_path: &str, a: Value, b: Value| at(at_path).compare(&a, &b);
    let limit = |amount: i64, currency: &str| {
        group(&[("amount", Scalar::Int(amount)), ("currency", text(currency))])
    };
    let less = Some(Ordering::Less);
    assert_eq!(order("credit/0000/limit", limit(1, "EUR"), limit(2, "EUR")), less);
    assert_eq!(order("credit/0000/limit", limit(1, "EUR"), limit(2, "USD")), None);
    let risk = "credit/0000/risk_class";
    assert_eq!(order(risk, Value::text("low"), Value::text("very-high")), less);
    assert_eq!(order(risk, Value::text("low"), Value::text("no such word")), None);
    let score = "credit/0000/score";
    assert_eq!(order(score, Value::text("9.5"), Value::text("10")), less);
    let until = "compliance/retention_until";
    assert_eq!(order(until, Value::text("2026-09-30"), Value::text("2026-10-01")), less);
    let clearing = "company/1000/clearing_with_vendor";
    let flag = |flag| Value::One(Scalar::Bool(flag));
    assert_eq!(order(clearing, flag(false), flag(true)), less);
    let consent =
        |state: &str, basis: &str| group(&[("state", text(state)), ("basis", text(basis))]);
    assert_eq!(order("consent/mail", consent("granted", "a"), consent("withdrawn", "a")), less);
    assert_eq!(order("name/legal", Value::text("A"), Value::text("B")), None);
    assert_eq!(order("name/legal", Value::text("A"), Value::text("A")), Some(Ordering::Equal));
    assert_eq!(order("credit/0000/limit", Value::text("A"), limit(1, "EUR")), None);
}

#[test]
fn claims_of_peers_are_judged() {
    let iban = "DE89370400440532013000";
    let bank = segments(&["bank", iban]);
    assert_eq!(code_of(&bank, group(&[("iban", text(iban))])), None);
    let other = group(&[("iban", text("GB82WEST12345698765432"))]);
    assert_eq!(code_of(&bank, other), Some("item-mismatch"));
    assert_eq!(code_of(&bank, group(&[])), Some("group-empty"));
    assert_eq!(code_of(&bank, Value::text(iban)), Some("wrong-type"));
    let wrong = segments(&["bank", "DE89370400440532013001"]);
    assert_eq!(code_of(&wrong, group(&[("bic", text("COBADEFF"))])), Some("iban-checksum"));
    let lower = segments(&["bank", "de89370400440532013000"]);
    assert_eq!(code_of(&lower, group(&[("iban", text(iban))])), Some("iban-malformed"));

    let phone = segments(&["phone", "+4930123456;ext=12"]);
    assert_eq!(code_of(&phone, group(&[("number", text("+4930123456;ext=12"))])), None);
    let local = segments(&["phone", "030123456"]);
    assert_eq!(code_of(&local, group(&[("number", text("030123456"))])), Some("item-malformed"));

    let limit = path("credit/0000/limit");
    let amount = group(&[("amount", Scalar::Int(5))]);
    assert_eq!(code_of(&limit, amount), Some("member-missing"));
    let negative = group(&[("amount", Scalar::Int(-5)), ("currency", text("EUR"))]);
    assert_eq!(code_of(&limit, negative), Some("number-out-of-range"));
    let size = group(&[("turnover", Scalar::Int(5))]);
    assert_eq!(code_of(&path("general/size"), size), Some("member-missing"));
    let typed = group(&[("amount", text("5")), ("currency", text("EUR"))]);
    assert_eq!(code_of(&limit, typed), Some("not-a-whole-number"));
}

#[test]
fn single_values_of_peers_are_judged() {
    let cases: &[(&str, &str, Option<&str>)] = &[
        ("identifier/lei", "529900T8BM49AURSDO55", None),
        ("identifier/lei", "529900T8BM49AURSDO56", Some("check-digit")),
        ("identifier/lei", "529900", Some("lei-malformed")),
        ("identifier/gln", "4006381333931", None),
        ("identifier/gln", "4006381333932", Some("check-digit")),
        ("identifier/duns", "123456789", None),
        ("identifier/duns", "12345678", Some("duns-malformed")),
        ("general/established_on", "1998", None),
        ("general/established_on", "1998-13", Some("date-malformed")),
        ("general/established_on", "0000-01-01", Some("date-malformed")),
        ("compliance/retention_until", "2026-02-29", Some("date-malformed")),
        ("compliance/retention_until", "2026-1-1", Some("date-malformed")),
        ("general/language", "de-AT", None),
        ("general/language", "german", Some("language-malformed")),
        ("general/website", "https://example.com/a?b", None),
        ("general/website", "javascript:alert(1)", Some("url-malformed")),
        ("general/website", "https://", Some("url-malformed")),
        ("general/website", "https://a\"><b", Some("url-malformed")),
        ("identity/status", "gone", Some("word-unknown")),
        ("company/1000/payment_terms", "NT 30", Some("code-malformed")),
        ("credit/0000/score", "07.50", Some("decimal-malformed")),
        ("credit/0000/score", "-1", Some("number-out-of-range")),
        ("name/legal", "", Some("text-empty")),
        ("name/legal", "a\u{202E}b", Some("control-character")),
        ("name/legal", "a\nb", Some("control-character")),
        ("general/note/1", "a\nb", None),
        ("company/1000/head_office", "4711", Some("record-malformed")),
        ("sales/1000:10/currency", "EUR", Some("item-malformed")),
        ("x/release", "a", Some("name-reserved")),
    ];
    for (at_path, value, expected) in cases {
        assert_eq!(code_of(&path(at_path), Value::text(*value)), *expected, "{at_path} {value}");
    }
    let long = Value::text("ä".repeat(241));
    assert_eq!(code_of(&path("name/legal"), long), Some("text-too-long"));
    let flag = Value::One(Scalar::Bool(false));
    assert_eq!(code_of(&path("address/a/usage/bill-to"), flag), Some("wrong-type"));
}

#[test]
fn sizes_and_validity_are_judged() {
    let at_path = path("name/legal");
    let mut statement = Statement::plain(Value::text("Acme"));
    statement.raw = Some("x".repeat(crate::limits::FIELD_MAX));
    let fault = at("name/legal").check(&at_path, &Assertion::Stated(statement)).unwrap_err();
    assert_eq!((fault.code, fault.pointer.as_str()), ("field-too-large", "/name/legal"));
    let mut statement = Statement::plain(Value::text("Acme"));
    statement.valid_from = parse_date("2026-02-01");
    statement.valid_to = parse_date("2026-01-31");
    let fault = at("name/legal").check(&at_path, &Assertion::Stated(statement)).unwrap_err();
    assert_eq!(fault.code, "validity-order");
}

#[test]
fn pointers_are_escaped_and_bounded() {
    let odd = segments(&["address", "a/b~c"]);
    let fault = lookup(&odd).unwrap().check(&odd, &Assertion::Tombstone).unwrap_err();
    assert_eq!(fault.pointer, "/address/a~1b~0c");
    let flaw = Flaw::new("wrong-type", "").at_keys(&["ä".repeat(10_000)]);
    assert_eq!(flaw.pointer.chars().count(), 512);
    assert!(quote(&"\u{1b}".repeat(10_000)).len() < 700);
}

#[test]
fn check_digits() {
    assert!(is_luhn(&digits("79927398713").unwrap()) && !is_luhn(&digits("79927398710").unwrap()));
    assert!(is_mod_11_10(&digits("136695976").unwrap()) && !is_mod_11_10(&[]));
    assert!(mod_97("ä".chars()).is_none() && !checksum::is_iban_checksum("ä"));
}

fn any_scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        any::<bool>().prop_map(Scalar::Bool),
        any::<i64>().prop_map(Scalar::Int),
        ".{0,40}".prop_map(Scalar::Text),
        "[A-Z0-9:.+-]{0,24}".prop_map(Scalar::Text),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let members = prop_oneof!["[a-z]{1,8}", Just("amount".to_owned()), Just("currency".to_owned())];
    prop_oneof![
        any_scalar().prop_map(Value::One),
        proptest::collection::btree_map(members, any_scalar(), 0..4)
            .prop_map(|members: BTreeMap<String, Scalar>| Value::Group(members)),
    ]
}

proptest! {
    #[test]
    fn no_claim_makes_the_check_panic(
        row in 0..table().len(),
        keys in proptest::collection::vec(prop_oneof![".{1,12}", "[A-Z]{2}[0-9:]{0,20}"], 4),
        value in any_value(),
        other in any_value(),
    ) {
        let attribute = &table()[row];
        let mut keys = keys.into_iter();
        let segments: Vec<String> = attribute
            .pattern
            .split('/')
            .map(|part| if part.starts_with('{') { keys.next().unwrap() } else { part.to_owned() })
            .collect();
        for path in AttributePath::from_segments(&segments).into_iter().chain([example(attribute)]) {
            prop_assert!(lookup(&path).is_some());
            for assertion in [stated(value.clone()), Assertion::Release { reason: segments.concat() }] {
                let verdict = attribute.check(&path, &assertion);
                prop_assert_eq!(&verdict, &attribute.check(&path, &assertion));
                if let Err(fault) = verdict {
                    prop_assert!(CODES.contains(&fault.code));
                    prop_assert!(fault.text.ends_with('.') || fault.text.ends_with('?'), "{}", fault.text);
                }
            }
        }
        let there = attribute.compare(&value, &other);
        prop_assert_eq!(there, attribute.compare(&other, &value).map(Ordering::reverse));
    }
}
