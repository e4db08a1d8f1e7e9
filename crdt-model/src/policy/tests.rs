//! Tests of the policy: every attribute has a rule, and none leaves money to chance.

use super::*;
use crate::attribute::{Member, ValueType};

#[test]
fn the_built_in_policy_names_a_rule_for_every_attribute() {
    let policy = Policy::built_in();
    for attribute in attribute::table() {
        assert!(policy.rules.contains_key(attribute.pattern), "{}", attribute.pattern);
    }
}

#[test]
fn chance_decides_nothing_about_money_or_compliance() {
    assert_eq!(Policy::built_in().lint(), Ok(()));
    for attribute in attribute::table() {
        if attribute.class == Class::Ordinary {
            continue;
        }
        for rule in [Policy::built_in().rule_of(attribute), rules::fallback(attribute)] {
            assert!(
                rule.is_conservative(attribute.class, rules::is_item(attribute)),
                "{} is decided by {rule:?}",
                attribute.pattern
            );
        }
    }
}

#[test]
fn each_attribute_is_listed_once() {
    let patterns: BTreeMap<_, _> = rules::LISTED.iter().copied().collect();
    assert_eq!(patterns.len(), rules::LISTED.len());
}

#[test]
fn an_attribute_that_no_policy_names_has_a_safe_rule() {
    const BLOCK: &[Member] =
        &[Member { name: "reason", value: ValueType::Text(9), required: true }];
    const WORDS: ValueType = ValueType::Ranked(&["low", "high"]);
    let row = attribute::table()[0];
    for (pattern, value, class, rule) in [
        ("name/new", ValueType::Text(9), Class::Ordinary, Rule::SourcePriority),
        ("name/new/{id}", ValueType::Text(9), Class::Ordinary, Rule::AddWins),
        ("x/{a}/{b}", ValueType::Text(9), Class::Ordinary, Rule::LastWriter),
        ("company/{company_code}/new", ValueType::Text(9), Class::Money, Rule::Owner),
        ("company/{company_code}/new/{id}", ValueType::Text(9), Class::Money, Rule::AddWins),
        ("compliance/new", WORDS, Class::Compliance, Rule::Greatest),
        ("block/new", ValueType::Group(BLOCK), Class::Money, Rule::AnyBlock),
        ("x/{a}", ValueType::Text(9), Class::Money, Rule::Owner),
    ] {
        let attribute = Attribute { pattern, value, class, ..row };
        assert_eq!(rules::fallback(&attribute), rule, "{pattern}");
    }
    let new = Attribute {
        pattern: "company/{company_code}/new",
        class: Class::Money,
        place: None,
        ..row
    };
    assert_eq!(Policy::built_in().rule_of(&new), rules::fallback(&new));
}

#[test]
fn the_lint_names_the_attribute_and_the_rule() {
    let terms = "company/{company_code}/payment_terms";
    for key in [terms, "company/1000/payment_terms"] {
        let mut policy = Policy::built_in();
        policy.rules.insert(key.to_owned(), Rule::LastWriter);
        let fault = policy.lint().unwrap_err();
        assert_eq!((fault.code, fault.at), ("not-conservative", format!("rules.\"{key}\"")));
        assert!(fault.text.contains("choose owner"), "{}", fault.text);
    }
    let mut policy = Policy::built_in();
    policy.rules.insert(terms.to_owned(), Rule::AddWins);
    assert!(policy.lint().is_err(), "a single value is not an item of a set");
    let mut policy = Policy::built_in();
    policy.source_kinds.push("erp".to_owned());
    assert_eq!(policy.lint().unwrap_err().code, "kind-ranked-twice");
}

#[test]
fn a_rule_for_one_path_counts_before_the_pattern() {
    let mut policy = Policy::built_in();
    policy.rules.insert("company/1000/payment_terms".to_owned(), Rule::OwnerElseLeast);
    let rule = |path: &str| {
        let path = path.parse().unwrap();
        policy.rule_for(attribute::lookup(&path), &path)
    };
    assert_eq!(rule("company/1000/payment_terms"), Rule::OwnerElseLeast);
    assert_eq!(rule("company/2000/payment_terms"), Rule::Owner);
    assert_eq!(rule("moon/phase"), Rule::LastWriter, "unknown to this release");
}

#[test]
fn the_longest_prefix_of_whole_segments_names_the_owner() {
    let mut policy = Policy::built_in();
    for (prefix, region) in
        [("company", "EMEA"), ("company/1000", "AMER"), ("company/1000/recon_account", "APAC")]
    {
        policy.owners.insert(prefix.to_owned(), region.parse().unwrap());
    }
    let owner = |path: &str| policy.owner_of(&path.parse().unwrap()).map(Region::as_str);
    assert_eq!(owner("company/1000/recon_account"), Some("APAC"));
    assert_eq!(owner("company/1000/payment_terms"), Some("AMER"));
    assert_eq!(owner("company/10001/payment_terms"), Some("EMEA"));
    assert_eq!(owner("name/legal"), None);
}

#[test]
fn kinds_of_sources_rank_in_order_and_strangers_last() {
    let policy = Policy::built_in();
    let rank = |source: &str| policy.rank(&source.parse().unwrap());
    assert!(rank("register-de") < rank("manual-emea"));
    assert!(rank("manual-emea") < rank("erp-emea"));
    assert!(rank("erp-emea") < rank("crm"));
    assert!(rank("crm") < rank("webshop"));
    assert_eq!(rank("webshop"), rank("portal-9"));
    assert_eq!(rank("erp-emea"), rank("erp-amer"));
}

#[test]
fn a_policy_is_data_and_its_digest_names_it() {
    let policy = Policy::built_in();
    let json = canonical_json(&policy);
    let read: Policy = serde_json::from_str(&json).unwrap();
    assert_eq!(read, policy);
    assert_eq!(read.digest(), policy.digest());
    let mut other = policy.clone();
    other.owners.insert("company/1000".to_owned(), "EMEA".parse().unwrap());
    assert_ne!(other.digest(), policy.digest());
    assert!(serde_json::from_str::<Policy>(&json.replace("\"version\"", "\"vers\"")).is_err());
}

#[test]
fn no_rule_names_an_attribute_that_is_not_in_the_table() {
    for (pattern, _) in rules::LISTED {
        assert!(attribute::table().iter().any(|row| row.pattern == *pattern), "{pattern}");
    }
}
