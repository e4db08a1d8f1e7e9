//! The rules that no attribute has until a policy chooses them.

use super::scenario::{check_under, claims};
use crate::policy::{Policy, Rule};

const LANGUAGE: &str = "general/language";
const LEGAL: &str = "name/legal";

fn policy(rules: &[(&str, Rule)], follows: &[(&str, &str)]) -> Policy {
    let mut policy = Policy::built_in();
    policy.rules.extend(rules.iter().map(|(pattern, rule)| ((*pattern).to_owned(), *rule)));
    let follows = follows.iter().map(|(at, next)| ((*at).to_owned(), (*next).to_owned()));
    policy.follows.extend(follows);
    policy
}

#[track_caller]
fn check(rule: Rule, path: &str, table: &str, expected: &str) {
    check_under(&policy(&[(path, rule)], &[]), path, &claims(table), expected);
}

#[test]
fn oldest_follows_causality_before_clocks() {
    // Row 2 had read row 1, whose clock ran an hour ahead.
    check(
        Rule::Oldest,
        LANGUAGE,
        "1 | general/language | crm | EMEA | 3600000 |   | de
         2 | general/language | erp | AMER | 1000    | 1 | en",
        "+ de crm
         - en erp: newer
         = disagreement",
    );
}

#[test]
fn oldest_takes_the_earliest_of_claims_made_apart() {
    check(
        Rule::Oldest,
        LANGUAGE,
        "1 | general/language | crm | EMEA | 20 |   | de
         2 | general/language | erp | AMER | 30 |   | en
         3 | general/language | web | APAC | 10 | 1 | ja
         4 | general/language | bot | APAC | 40 | 2 | de",
        "+ de crm
         - de bot: agrees
         - en erp: newer
         - ja web: newer
         = conflict",
    );
    // At the same time, the smaller commit.
    check(
        Rule::Oldest,
        LANGUAGE,
        "2 | general/language | crm | EMEA | 10 | | de
         1 | general/language | erp | AMER | 10 | | en",
        "+ en erp
         - de crm: newer
         = conflict",
    );
}

#[test]
fn what_most_sources_say_beats_the_last_writer() {
    check(
        Rule::MostFrequent,
        LANGUAGE,
        "1 | general/language | crm | EMEA | 10 |     | de
         2 | general/language | erp | AMER | 20 |     | de
         3 | general/language | web | APAC | 30 | 1 2 | en",
        "+ de erp
         - de crm: agrees
         - en web: rarer
         = disagreement",
    );
}

#[test]
fn a_source_counts_once_for_a_value() {
    // The register of crm was written apart twice and says de in both; that is one source.
    check(
        Rule::MostFrequent,
        LANGUAGE,
        "1 | general/language | crm | EMEA | 10 | | de
         2 | general/language | crm | AMER | 20 | | de
         3 | general/language | erp | APAC | 15 | | en
         4 | general/language | web | APAC | 12 | | en",
        "+ en erp
         - de crm: rarer
         - de crm: rarer
         - en web: agrees
         = conflict",
    );
}

#[test]
fn values_said_equally_often_are_decided_by_the_last_writer() {
    check(
        Rule::MostFrequent,
        LANGUAGE,
        "1 | general/language | crm | EMEA | 90 |     | de
         2 | general/language | erp | AMER | 20 |     | de
         3 | general/language | web | APAC | 30 | 1   | en
         4 | general/language | bot | APAC | 25 |     | en
         5 | general/language | app | APAC | 99 |     | ja",
        "+ en web
         - ja app: rarer
         - en bot: agrees
         - de crm: superseded
         - de erp: older
         = conflict",
    );
}

#[test]
fn most_complete_takes_the_longest_text_in_characters() {
    check(
        Rule::MostComplete,
        LEGAL,
        "1 | name/legal | crm | EMEA | 10 |   | Müller Öl
         2 | name/legal | erp | AMER | 20 | 1 | Muller Oel
         3 | name/legal | web | APAC | 30 |   | Mäöüß Öl",
        "+ Muller Oel erp
         - Müller Öl crm: less-complete
         - Mäöüß Öl web: less-complete
         = conflict",
    );
    // Equally long: who had seen the other, then the later.
    check(
        Rule::MostComplete,
        LEGAL,
        "1 | name/legal | crm | EMEA | 30 |   | ACME A
         2 | name/legal | erp | AMER | 20 | 1 | ACME B
         3 | name/legal | web | APAC | 10 |   | ACME C",
        "+ ACME B erp
         - ACME A crm: superseded
         - ACME C web: older
         = conflict",
    );
}

#[test]
fn most_complete_takes_the_group_with_the_most_members() {
    check(
        Rule::MostComplete,
        "name/person",
        r#"1 | name/person | crm | EMEA | 10 |   | {"family":"Lovelace","given":"Ada"}
           2 | name/person | erp | AMER | 20 | 1 | {"family":"King-Noel, Countess of Lovelace"}"#,
        "+ {family:Lovelace,given:Ada} crm
         - {family:King-Noel, Countess of Lovelace} erp: less-complete
         = disagreement",
    );
}

#[test]
fn an_override_without_a_stewards_word_is_the_last_writers() {
    check(
        Rule::Override,
        LANGUAGE,
        "1 | general/language | crm | EMEA | 10 |   | de
         2 | general/language | erp | AMER | 5  | 1 | en",
        "+ en erp
         - de crm: superseded
         = disagreement",
    );
}

#[test]
fn a_follower_takes_the_word_of_the_source_that_wins_the_other_attribute() {
    let policy = policy(&[("name/local", Rule::Follow)], &[("name/local", LEGAL)]);
    let table = r#"1 | name/legal | register-de | EMEA | 10 |     | ACME GmbH
           2 | name/legal | erp-amer    | AMER | 20 | 1   | ACME Inc
           3 | name/local | erp-amer    | AMER | 30 |     | {"name":"ACME Inc"}
           4 | name/local | register-de | EMEA | 10 |     | {"name":"ACME GmbH"}
           5 | name/local | crm         | EMEA | 10 |     | {"name":"ACME GmbH"}"#;
    check_under(
        &policy,
        "name/local",
        &claims(table),
        "+ {name:ACME GmbH} register-de
         - {name:ACME GmbH} crm: agrees
         - {name:ACME Inc} erp-amer: not-followed
         = conflict",
    );
    // The register says nothing about the local name: the last writer decides.
    let table = r#"1 | name/legal | register-de | EMEA | 10 |   | ACME GmbH
           3 | name/local | erp-amer    | AMER | 30 |   | {"name":"ACME Inc"}
           5 | name/local | crm         | EMEA | 10 | 3 | {"name":"ACME GmbH"}"#;
    check_under(
        &policy,
        "name/local",
        &claims(table),
        "+ {name:ACME GmbH} crm
         - {name:ACME Inc} erp-amer: superseded
         = disagreement",
    );
}

#[test]
fn a_register_of_the_followed_source_written_apart_is_decided_by_its_last_writer() {
    check_under(
        &policy(&[("name/local", Rule::Follow)], &[("name/local", LEGAL)]),
        "name/local",
        &claims(
            r#"1 | name/legal | erp | EMEA | 10 | | ACME
               2 | name/local | erp | EMEA | 20 | | {"name":"A"}
               3 | name/local | erp | AMER | 30 | | {"name":"B"}
               4 | name/local | crm | AMER | 40 | | {"name":"C"}"#,
        ),
        "+ {name:B} erp
         - {name:C} crm: not-followed
         - {name:A} erp: older
         = conflict",
    );
}

#[test]
fn another_source_is_followed_from_the_day_on_which_it_wins() {
    check_under(
        &policy(&[("name/local", Rule::Follow)], &[("name/local", LEGAL)]),
        "name/local",
        &claims(
            r#"1 | name/legal | erp      | EMEA | 10 |   | ACME
               2 | name/legal | register | EMEA | 20 |   | {"value":"ACME AG","valid_from":"2027-01-01"}
               3 | name/local | erp      | EMEA | 10 |   | {"name":"ACME"}
               4 | name/local | register | EMEA | 5  |   | {"name":"ACME AG"}"#,
        ),
        "+ {name:ACME} erp
         - {name:ACME AG} register: not-followed
         = conflict
         2027-01-01
         + {name:ACME AG} register
         - {name:ACME} erp: not-followed
         = conflict",
    );
}

#[test]
fn placeholders_of_the_followed_pattern_are_filled_from_the_path() {
    let rules = [("sales/{sales_area}/price_list", Rule::Follow)];
    let follows = [("sales/{sales_area}/price_list", "sales/{sales_area}/price_group")];
    let table = "1 | sales/1000:10:00/price_group | erp-emea | EMEA | 10 |   | G1
         2 | sales/1000:10:00/price_group | crm-emea | EMEA | 20 | 1 | G2
         3 | sales/2000:10:00/price_group | erp-emea | EMEA | 10 |   | G3
         4 | sales/1000:10:00/price_list  | crm-emea | EMEA | 30 |   | L1
         5 | sales/1000:10:00/price_list  | erp-emea | EMEA | 40 | 4 | L2
         6 | sales/2000:10:00/price_list  | erp-emea | EMEA | 40 |   | L3
         7 | sales/2000:10:00/price_list  | crm-emea | EMEA | 50 |   | L4";
    let of_1000 = "+ L1 crm-emea
         - L2 erp-emea: not-followed
         = disagreement";
    let of_2000 = "+ L3 erp-emea
         - L4 crm-emea: not-followed
         = conflict";
    let check = |policy: &Policy, of_2000| {
        check_under(policy, "sales/1000:10:00/price_list", &claims(table), of_1000);
        check_under(policy, "sales/2000:10:00/price_list", &claims(table), of_2000);
    };
    let mut policy = policy(&rules, &follows);
    check(&policy, of_2000);
    // An entry for the path counts before the one for the pattern.
    policy.follows.insert(
        "sales/2000:10:00/price_list".to_owned(),
        "sales/1000:10:00/price_group".to_owned(),
    );
    let of_2000 = "+ L4 crm-emea
         - L3 erp-emea: not-followed
         = conflict";
    check(&policy, of_2000);
}

#[test]
fn a_chain_is_followed_to_its_end_and_a_circle_ends() {
    let table = r#"1 | general/website            | crm | EMEA | 90 | | https://crm.example
           2 | general/website            | erp | EMEA | 10 | | https://erp.example
           3 | general/language           | crm | EMEA | 10 | | de
           4 | general/language           | erp | EMEA | 20 | | en
           5 | general/preferred_channel  | crm | EMEA | 10 | | email
           6 | general/preferred_channel  | erp | EMEA | 20 | | phone"#;
    let rules = [
        ("general/preferred_channel", Rule::Follow),
        (LANGUAGE, Rule::Follow),
        ("general/website", Rule::LastWriter),
    ];
    let chain = [("general/preferred_channel", LANGUAGE), (LANGUAGE, "general/website")];
    let followed = "+ email crm
         - phone erp: not-followed
         = conflict";
    check_under(&policy(&rules, &chain), "general/preferred_channel", &claims(table), followed);

    // Asked from the channel, the language is the end of the circle.
    let circle = [("general/preferred_channel", LANGUAGE), (LANGUAGE, "general/preferred_channel")];
    let policy = policy(&rules, &circle);
    check_under(
        &policy,
        "general/preferred_channel",
        &claims(table),
        "+ phone erp
         - email crm: not-followed
         = conflict",
    );
    assert_eq!(policy.lint().unwrap_err().code, "follow-cycle");
}

#[test]
fn the_home_region_may_follow_without_asking_itself() {
    check_under(
        &policy(
            &[("identity/home_region", Rule::Follow)],
            &[("identity/home_region", "identity/account_group")],
        ),
        "identity/account_group",
        &claims(
            "1 | identity/account_group | erp-emea | EMEA | 10 |   | KEY
             2 | identity/account_group | erp-amer | AMER | 20 | 1 | RETAIL
             3 | identity/home_region   | erp-emea | EMEA | 10 |   | AMER
             4 | identity/home_region   | erp-amer | AMER | 20 |   | EMEA",
        ),
        "+ RETAIL erp-amer
         - KEY erp-emea: not-owner
         = disagreement",
    );
}

#[test]
fn what_follows_the_home_region_follows_the_source_that_is_shown_there() {
    let policy = policy(
        &[("identity/home_region", Rule::Follow), (LANGUAGE, Rule::Follow)],
        &[(LANGUAGE, "identity/home_region"), ("identity/home_region", "identity/account_group")],
    );
    // Before the customer has a home, EMEA founded it and its account group leads: erp-emea hands it
    // over to AMER. That AMER's account group is shown from then on does not lead to another home.
    let table = claims(
        "1 | identity/account_group | erp-emea | EMEA | 10 |   | KEY
         2 | identity/account_group | erp-amer | AMER | 20 | 1 | RETAIL
         3 | identity/home_region   | erp-emea | EMEA | 10 |   | AMER
         4 | identity/home_region   | erp-amer | AMER | 20 |   | EMEA
         5 | general/language       | erp-emea | EMEA | 10 |   | de
         6 | general/language       | erp-amer | AMER | 20 |   | en",
    );
    check_under(
        &policy,
        "identity/home_region",
        &table,
        "+ AMER erp-emea
         - EMEA erp-amer: not-followed
         = conflict",
    );
    check_under(
        &policy,
        LANGUAGE,
        &table,
        "+ de erp-emea
         - en erp-amer: not-followed
         = conflict",
    );
    // The lint keeps governors from it; a policy that is there all the same has one answer.
    assert_eq!(policy.lint().unwrap_err().code, "not-conservative");
}
