//! The rules as tables: claims on top, what survives and why below.

mod chosen;
mod histories;
mod merge_table;
mod properties;
mod reference;
mod samples;
mod scenario;
mod timeline;

use self::scenario::{check, check_under, claims};
use crate::policy::{Policy, Rule};

const TERMS: &str = "company/1000/payment_terms";
const BLOCK: &str = "company/1000/payment_block";
const LIMIT: &str = "credit/EU01/limit";
const RISK: &str = "credit/EU01/risk_class";

#[test]
fn last_writer_follows_causality_before_clocks() {
    // Row 2 had read row 1, whose clock ran an hour ahead.
    check(
        "general/language",
        "1 | general/language | crm | EMEA | 3600000 |   | de
         2 | general/language | erp | AMER | 1000    | 1 | en",
        "+ en erp
         - de crm: superseded
         = disagreement",
    );
}

#[test]
fn last_writer_takes_the_latest_of_claims_made_apart() {
    check(
        "general/language",
        "1 | general/language | crm | EMEA | 10 |   | de
         2 | general/language | erp | AMER | 30 |   | en
         3 | general/language | web | APAC | 20 | 1 | ja",
        "+ en erp
         - de crm: superseded
         - ja web: older
         = conflict",
    );
}

#[test]
fn last_writer_at_the_same_time_takes_the_greater_commit() {
    check(
        "general/language",
        "2 | general/language | crm | EMEA | 10 | | de
         1 | general/language | erp | AMER | 10 | | en",
        "+ de crm
         - en erp: older
         = conflict",
    );
}

#[test]
fn one_register_written_apart_by_two_nodes_keeps_both_values() {
    check(
        "general/language",
        "1 | general/language | crm | EMEA | 10 | | de
         2 | general/language | crm | EMEA | 20 | | en",
        "+ en crm
         - de crm: older
         = conflict",
    );
}

#[test]
fn equal_values_agree_whoever_states_them() {
    check(
        "general/language",
        "1 | general/language | crm | EMEA | 10 |   | de
         2 | general/language | erp | AMER | 20 |   | de
         3 | general/language | web | APAC | 30 | 1 2 | de",
        "+ de web
         - de crm: agrees
         - de erp: agrees
         = agreement",
    );
}

#[test]
fn an_attribute_of_a_newer_release_is_decided_by_its_last_writer() {
    check(
        "moon/phase",
        "1 | moon/phase | crm | EMEA | 10 |   | full
         2 | moon/phase | erp | AMER | 5  | 1 | new",
        "+ new erp
         - full crm: superseded
         = disagreement",
    );
}

#[test]
fn source_priority_takes_the_best_kind_then_the_last_writer() {
    check(
        "name/legal",
        "1 | name/legal | register-de | EMEA | 10 |     | ACME GmbH
         2 | name/legal | erp-emea    | EMEA | 20 | 1   | Acme
         3 | name/legal | erp-amer    | AMER | 30 |     | ACME Inc
         4 | name/legal | manual-apac | APAC | 40 | 1 2 | ACME Gmbh",
        "+ ACME GmbH register-de
         - ACME Inc erp-amer: lower-priority
         - Acme erp-emea: lower-priority
         - ACME Gmbh manual-apac: lower-priority
         = conflict",
    );
    check(
        "name/legal",
        "1 | name/legal | erp-emea | EMEA | 20 |   | Acme
         2 | name/legal | erp-amer | AMER | 30 |   | ACME Inc
         3 | name/legal | crm      | APAC | 40 | 2 | ACME",
        "+ ACME Inc erp-amer
         - ACME crm: lower-priority
         - Acme erp-emea: older
         = conflict",
    );
    check(
        "name/legal",
        "1 | name/legal | webshop | EMEA | 20 | | Acme
         2 | name/legal | portal  | AMER | 10 | | ACME",
        "+ Acme webshop
         - ACME portal: older
         = conflict",
    );
}

#[test]
fn a_tombstone_silences_its_own_source_alone() {
    check(
        "name/legal",
        "1 | name/legal | erp      | EMEA | 20 |   | Acme
         2 | name/legal | register | EMEA | 30 | 1 | null",
        "+ Acme erp
         = agreement",
    );
    check("name/legal", "1 | name/legal | erp | EMEA | 30 | | null", "");
}

#[test]
fn an_owner_rule_hears_the_region_that_founded_the_section() {
    check(
        TERMS,
        "1 | company/1000/recon_account | erp-emea | EMEA | 10 |   | 140000
         2 | company/1000/payment_terms | erp-emea | EMEA | 20 | 1 | NT30
         3 | company/1000/payment_terms | crm-amer | AMER | 30 | 2 | NT60
         4 | company/1000/payment_terms | crm-emea | EMEA | 40 | 2 | NT45
         5 | company/1000/payment_terms | web-apac | APAC | 50 |   | NT45",
        "+ NT45 crm-emea
         - NT60 crm-amer: not-owner
         - NT30 erp-emea: superseded
         - NT45 web-apac: agrees
         = conflict",
    );
}

#[test]
fn a_proposal_of_another_region_never_wins() {
    // The founder's own claim is gone; what is left is a proposal.
    check(
        TERMS,
        "1 | company/1000/payment_terms | erp-emea | EMEA | 10 |   | null
         2 | company/1000/payment_terms | crm-amer | AMER | 20 | 1 | NT60",
        "+ nothing
         - NT60 crm-amer: not-owner
         = agreement",
    );
}

#[test]
fn the_policy_names_owners_before_anyone_founds_anything() {
    let mut policy = Policy::built_in();
    policy.owners.insert("company/1000".to_owned(), "AMER".parse().unwrap());
    let set = claims(
        "1 | company/1000/payment_terms | erp-emea | EMEA | 10 |   | NT30
         2 | company/1000/payment_terms | crm-amer | AMER | 20 | 1 | NT60",
    );
    check_under(
        &policy,
        TERMS,
        &set,
        "+ NT60 crm-amer
         - NT30 erp-emea: not-owner
         = disagreement",
    );
}

#[test]
fn ownership_stays_when_the_founder_replaces_its_claim() {
    // EMEA set NT14 at 5; its register now holds the NT30 of 30, later than AMER's proposal.
    let set = claims(
        "1 | company/1000/payment_terms | crm-amer | AMER | 20 |   | NT60
         2 | company/1000/payment_terms | erp-emea | EMEA | 30 | 1 | NT30",
    );
    let mut first = set.claims()[1].origin.clone();
    first.time = crate::time::Hlc::from_ms(5);
    let founders = [(Some("company/1000".to_owned()), first)].into();
    check_under(
        &Policy::built_in(),
        TERMS,
        &set.with_founders(founders),
        "+ NT30 erp-emea
         - NT60 crm-amer: not-owner
         = disagreement",
    );
}

#[test]
fn global_attributes_belong_to_the_home_region() {
    let table = "1 | identity/account_group | erp-emea    | EMEA | 10 |   | KEY
                 2 | identity/account_group | erp-amer    | AMER | 20 | 1 | RETAIL";
    check(
        "identity/account_group",
        table,
        "+ KEY erp-emea
         - RETAIL erp-amer: not-owner
         = disagreement",
    );
    let handed_over =
        format!("{table}\n3 | identity/home_region | manual-emea | EMEA | 30 | | AMER");
    check(
        "identity/account_group",
        &handed_over,
        "+ RETAIL erp-amer
         - KEY erp-emea: not-owner
         = disagreement",
    );
    let seized = format!("{table}\n3 | identity/home_region | manual-amer | AMER | 30 | | AMER");
    check(
        "identity/account_group",
        &seized,
        "+ KEY erp-emea
         - RETAIL erp-amer: not-owner
         = disagreement",
    );
}

#[test]
fn add_wins_keeps_an_item_while_any_source_claims_it() {
    let path = "email/ann%40acme.example";
    check(
        path,
        r#"1 | email/ann%40acme.example | crm | EMEA | 10 |   | {"address":"ann@acme.example"}
           2 | email/ann%40acme.example | erp | EMEA | 20 | 1 | {"release":"bounced"}
           3 | email/ann%40acme.example | web | AMER | 15 |   | {"address":"ann@acme.example","label":"Ann"}"#,
        "+ {address:ann@acme.example,label:Ann} web
         - {address:ann@acme.example} crm: released
         = agreement",
    );
    check(
        path,
        r#"1 | email/ann%40acme.example | crm | EMEA | 10 |   | {"address":"ann@acme.example"}
           2 | email/ann%40acme.example | web | EMEA | 20 | 1 | {"release":"left"}"#,
        "+ nothing
         - {address:ann@acme.example} crm: released
         = agreement",
    );
}

#[test]
fn least_takes_the_earliest_day_and_false_before_true() {
    check(
        "company/1000/legal_dunning_since",
        "1 | company/1000/legal_dunning_since | erp-emea | EMEA | 10 |   | 2026-03-01
         2 | company/1000/legal_dunning_since | erp-amer | AMER | 20 | 1 | 2026-02-01
         3 | company/1000/legal_dunning_since | crm      | APAC | 30 | 2 | 2026-04-01",
        "+ 2026-02-01 erp-amer
         - 2026-04-01 crm: less-conservative
         - 2026-03-01 erp-emea: less-conservative
         = disagreement",
    );
    check(
        "company/1000/clearing_with_vendor",
        "1 | company/1000/clearing_with_vendor | erp-emea | EMEA | 10 |   | false
         2 | company/1000/clearing_with_vendor | erp-amer | AMER | 20 | 1 | true",
        "+ false erp-emea
         - true erp-amer: less-conservative
         = disagreement",
    );
}

#[test]
fn greatest_takes_the_more_conservative_word() {
    check(
        RISK,
        "1 | credit/EU01/risk_class | erp-emea | EMEA | 10 |   | high
         2 | credit/EU01/risk_class | erp-amer | AMER | 20 | 1 | low
         3 | credit/EU01/risk_class | crm      | APAC | 5  |   | high",
        "+ high erp-emea
         - high crm: agrees
         - low erp-amer: less-conservative
         = conflict",
    );
}

#[test]
fn owner_else_least_takes_the_owners_least_limit() {
    check(
        LIMIT,
        r#"1 | credit/EU01/limit | erp-emea | EMEA | 10 |   | {"amount":500000,"currency":"EUR"}
           2 | credit/EU01/limit | crm-emea | EMEA | 20 | 1 | {"amount":800000,"currency":"EUR"}"#,
        "+ {amount:800000,currency:EUR} crm-emea
         - {amount:500000,currency:EUR} erp-emea: superseded
         = disagreement",
    );
    check(
        LIMIT,
        r#"1 | credit/EU01/limit | erp-emea | EMEA | 10 |   | {"amount":500000,"currency":"EUR"}
           2 | credit/EU01/limit | crm-emea | EMEA | 20 |   | {"amount":800000,"currency":"EUR"}
           3 | credit/EU01/limit | erp-amer | AMER | 30 |   | {"amount":100000,"currency":"EUR"}"#,
        "+ {amount:500000,currency:EUR} erp-emea
         - {amount:800000,currency:EUR} crm-emea: less-conservative
         - {amount:100000,currency:EUR} erp-amer: not-owner
         = conflict",
    );
}

#[test]
fn without_a_claim_of_the_owner_the_least_of_all_counts() {
    let mut policy = Policy::built_in();
    policy.owners.insert("credit".to_owned(), "APAC".parse().unwrap());
    let set = claims(
        r#"1 | credit/EU01/limit | erp-emea | EMEA | 10 | | {"amount":500000,"currency":"EUR"}
           2 | credit/EU01/limit | crm-amer | AMER | 20 | | {"amount":100000,"currency":"EUR"}"#,
    );
    check_under(
        &policy,
        LIMIT,
        &set,
        "+ {amount:100000,currency:EUR} crm-amer
         - {amount:500000,currency:EUR} erp-emea: less-conservative
         = conflict",
    );
}

#[test]
fn amounts_in_two_currencies_are_not_compared() {
    let mut policy = Policy::built_in();
    policy.rules.insert("credit/{segment}/limit".to_owned(), Rule::Least);
    let set = claims(
        r#"1 | credit/EU01/limit | erp-emea | EMEA | 10 | | {"amount":500000,"currency":"EUR"}
           2 | credit/EU01/limit | erp-amer | AMER | 20 | | {"amount":100,"currency":"USD"}
           3 | credit/EU01/limit | crm      | EMEA | 30 | | {"amount":400000,"currency":"EUR"}"#,
    );
    check_under(
        &policy,
        LIMIT,
        &set,
        "+ {amount:400000,currency:EUR} crm
         - {amount:100,currency:USD} erp-amer: not-comparable
         - {amount:500000,currency:EUR} erp-emea: less-conservative
         = conflict",
    );
}

#[test]
fn blocked_while_any_block_stands_that_no_release_had_seen() {
    check(
        BLOCK,
        r#"1 | company/1000/payment_block | erp-emea | EMEA | 10 |   | {"reason":"insolvency"}
           2 | company/1000/payment_block | erp-amer | AMER | 20 |   | {"reason":"dispute"}
           3 | company/1000/payment_block | crm      | APAC | 30 |   | {"reason":"insolvency"}"#,
        "+ {reason:insolvency} erp-emea
         - {reason:insolvency} crm: agrees
         - {reason:dispute} erp-amer: also-blocks
         = conflict",
    );
    // The release had seen the block of EMEA and not the one that AMER set meanwhile.
    check(
        BLOCK,
        r#"1 | company/1000/payment_block | erp-emea    | EMEA | 10 |   | {"reason":"insolvency"}
           2 | company/1000/payment_block | erp-amer    | AMER | 20 |   | {"reason":"dispute"}
           3 | company/1000/payment_block | manual-emea | EMEA | 30 | 1 | {"release":"paid"}"#,
        "+ {reason:dispute} erp-amer
         - {reason:insolvency} erp-emea: released
         = agreement",
    );
    check(
        BLOCK,
        r#"1 | company/1000/payment_block | erp-emea    | EMEA | 10 |   | {"reason":"insolvency"}
           3 | company/1000/payment_block | manual-emea | EMEA | 30 | 1 | {"release":"paid"}"#,
        "+ nothing
         - {reason:insolvency} erp-emea: released
         = agreement",
    );
}

#[test]
fn what_is_unreadable_or_breaks_a_rule_is_named_and_takes_no_part() {
    check(
        TERMS,
        r#"1 | company/1000/payment_terms | erp-emea | EMEA | 10 |   | NT30
           2 | company/1000/payment_terms | crm      | EMEA | 20 | 1 | {broken
           3 | company/1000/payment_terms | web      | EMEA | 30 | 1 | net thirty
           4 | company/1000/payment_terms | bot      | EMEA | 40 | 1 | {"release":"please"}"#,
        "+ NT30 erp-emea
         - ? bot: invalid
         - ? crm: invalid
         - net thirty web: invalid
         = agreement",
    );
}

#[test]
fn a_number_that_json_would_round_takes_no_part() {
    check(
        "moon/distance",
        r#"1 | moon/distance | crm | EMEA | 10 | | {"value":9007199254740993}
           2 | moon/distance | erp | EMEA | 20 | | {"value":9007199254740991}"#,
        "+ 9007199254740991 erp
         - ? crm: invalid
         = agreement",
    );
}
