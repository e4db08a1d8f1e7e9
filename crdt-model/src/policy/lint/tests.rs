//! Tests of the lint: each thing that it refuses, where it says so, and that it says all at once.

use super::*;
use crate::policy::bundle;

/// The faults of a policy of these lines, as `at code`.
fn faults(lines: &str) -> Vec<String> {
    let policy = bundle::read(&format!("version = 1\n{lines}")).unwrap();
    let faults = policy.faults();
    assert!(faults.iter().all(|fault| CODES.contains(&fault.code)), "{faults:?}");
    assert!(faults.iter().all(|fault| fault.text.ends_with(['.', '?'])), "{faults:?}");
    assert_eq!(policy.lint().err(), faults.first().cloned());
    faults.into_iter().map(|fault| format!("{} {}", fault.at, fault.code)).collect()
}

fn text(lines: &str) -> String {
    let policy = bundle::read(&format!("version = 1\n{lines}")).unwrap();
    policy.faults().into_iter().map(|fault| fault.text).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_built_in_policy_has_no_fault_and_codes_are_sorted() {
    assert_eq!(faults(""), Vec::<String>::new());
    assert!(CODES.is_sorted());
}

#[test]
fn each_attribute_that_makes_no_sense_is_named() {
    for (lines, fault) in [
        ("[rules]\n\"bank/{ibn}\" = \"owner\"", "rules.\"bank/{ibn}\" attribute-unknown"),
        (
            "[rules]\n\"company/a b/recon_account\" = \"owner\"",
            "rules.\"company/a b/recon_account\" attribute-unknown",
        ),
        (
            "[rules]\n\"company/low/recon_account\" = \"owner\"",
            "rules.\"company/low/recon_account\" attribute-unknown",
        ),
        (
            "[rules]\n\"credit/{segment}/limit\" = \"source-priority\"",
            "rules.\"credit/{segment}/limit\" not-conservative",
        ),
        ("[owners]\n\"compny/1000\" = \"EMEA\"", "owners.\"compny/1000\" section-unknown"),
        ("[owners]\n\"company/low\" = \"EMEA\"", "owners.\"company/low\" section-unknown"),
        (
            "[four_eyes.\"bank/{iban}\"]\napprovals = 0",
            "four_eyes.\"bank/{iban}\".approvals approvals-out-of-range",
        ),
        (
            "[four_eyes.\"bank/{iban}\"]\napprovals = 9",
            "four_eyes.\"bank/{iban}\".approvals approvals-out-of-range",
        ),
        (
            "[four_eyes.\"bank/{iban}\"]\napprovals = 2\n[principals.ada]\nroles = [\"approver\"]",
            "four_eyes.\"bank/{iban}\".approvals approvals-too-many",
        ),
        (
            "[four_eyes.\"bank/{iban}\"]\napprovals = 1\nexempt = [\"ERP\"]",
            "four_eyes.\"bank/{iban}\".exempt exempt-malformed",
        ),
        (
            "[four_eyes.\"name/legal\"]\napprovals = 1\nonly_raise = true",
            "four_eyes.\"name/legal\".only_raise not-comparable",
        ),
    ] {
        assert_eq!(faults(lines), [fault], "{lines}");
    }
}

#[test]
fn each_name_number_and_key_that_makes_no_sense_is_named() {
    let key = "ab".repeat(32);
    let upper = key.to_uppercase();
    for (lines, fault) in [
        ("[codes]\n\"name/legal\" = \"names\"", "codes.\"name/legal\" not-a-code"),
        (
            "[codes]\n\"company/{company_code}/payment_terms\" = \"Terms!\"",
            "codes.\"company/{company_code}/payment_terms\" code-list-malformed",
        ),
        (
            "[codes]\n\"company/1000/payment_terms\" = \"payment-terms\"",
            "codes.\"company/1000/payment_terms\" pattern-asked",
        ),
        (
            "[codes]\n\"company/{company_code}/recon_account\" = \"gl/{code}\"",
            "codes.\"company/{company_code}/recon_account\" code-list-malformed",
        ),
        ("[numbers.EMEA]\nprefix = \"eu\"\nfrom = 1\nto = 2", "numbers.EMEA.prefix number-prefix"),
        ("[numbers.EMEA]\nprefix = \"EU\"\nfrom = 3\nto = 2", "numbers.EMEA number-range"),
        ("[numbers.EMEA]\nprefix = \"EU\"\nfrom = 0\nto = 2", "numbers.EMEA number-range"),
        (
            "[numbers.EMEA]\nprefix = \"EU\"\nfrom = 1\nto = 9007199254740992",
            "numbers.EMEA number-range",
        ),
        ("[principals.ada]\nroles = []", "principals.ada.roles principal-without-role"),
        ("[principals.\" \"]\nroles = [\"auditor\"]", "principals.\" \" name-malformed"),
        (
            "[principals.ada]\nroles = [\"steward\"]\ncompany_codes = [\"eins\"]",
            "principals.ada.company_codes company-code-malformed",
        ),
        (
            &format!("[governors]\nneeded = 2\nkeys.ada = \"{key}\""),
            "governors.needed governors-needed",
        ),
        (
            &format!("[governors]\nneeded = 0\nkeys.ada = \"{key}\""),
            "governors.needed governors-needed",
        ),
        (
            &format!("[governors]\nneeded = 1\nkeys.ada = \"{upper}\""),
            "governors.keys.ada governor-key",
        ),
        (
            &format!("[governors]\nneeded = 1\nkeys.ada = \"{key}\"\nkeys.bob = \"{key}\""),
            "governors.keys.bob governor-key",
        ),
        ("source_kinds = [\"erp-emea\"]", "source_kinds kind-malformed"),
        ("source_kinds = [\"erp\", \"crm\", \"erp\"]", "source_kinds kind-ranked-twice"),
    ] {
        assert_eq!(faults(lines), [fault], "{lines}");
    }
    assert_eq!(
        Policy { version: 0, ..Policy::built_in() }.lint().unwrap_err().code,
        "version-zero"
    );
}

#[test]
fn a_code_list_may_be_one_for_each_company_code() {
    let lines = "[codes]\n\"company/{company_code}/recon_account\" = \"gl/{company_code}\"\n\
                 \"company/{company_code}/payment_methods/{method}\" = \"payment-methods\"";
    assert_eq!(faults(lines), Vec::<String>::new());
}

#[test]
fn a_fault_names_the_nearest_pattern() {
    assert!(text("[rules]\n\"bank/{ibn}\" = \"owner\"").contains("Did you mean bank/{iban}?"));
    assert!(text("[owners]\n\"compny/1000\" = \"EMEA\"").contains("Did you mean company?"));
}

#[test]
fn who_begins_to_make_one_region_decide_on_the_shared_section_is_told_what_is_left() {
    let mut policy = Policy::built_in();
    assert_eq!(policy.advice(), [], "nobody began");
    policy.owners.insert("bank".to_owned(), "EMEA".parse().unwrap());
    assert_eq!(policy.faults(), [], "it may be put in force");
    let advice = policy.advice();
    let codes: std::collections::BTreeSet<&str> = advice.iter().map(|it| it.code).collect();
    assert_eq!(codes, ["shared-section-owners", "shared-section-rule"].into());
    assert!(
        advice.iter().any(|it| it.at == "rules.\"name/legal\"" || it.at.contains("name/legal"))
    );
}

#[test]
fn ranges_that_share_a_number_are_found_even_when_a_third_lies_between() {
    let range = |region: &str, prefix: &str, from: u64, to: u64| {
        format!("[numbers.{region}]\nprefix = \"{prefix}\"\nfrom = {from}\nto = {to}\n")
    };
    let apart = [range("A", "EU", 1, 9), range("B", "EU", 10, 19), range("C", "US", 1, 9)];
    assert_eq!(faults(&apart.concat()), Vec::<String>::new());
    let wide = [range("A", "EU", 1, 99), range("B", "EU", 2, 3), range("C", "EU", 50, 60)];
    assert_eq!(
        faults(&wide.concat()),
        ["numbers.B number-ranges-overlap", "numbers.C number-ranges-overlap"]
    );
    assert!(text(&wide.concat()).contains("C and A would both give out EU 50"));
}

#[test]
fn what_needs_approval_by_more_than_there_are_passes_while_nobody_is_listed() {
    assert_eq!(faults("[four_eyes.\"bank/{iban}\"]\napprovals = 8"), Vec::<String>::new());
    let two = "[four_eyes.\"credit/{segment}/limit\"]\napprovals = 2\nonly_raise = true\n\
               [principals.ada]\nroles = [\"approver\"]\n[principals.bob]\nroles = [\"approver\"]";
    assert_eq!(faults(two), Vec::<String>::new());
}

#[test]
fn an_entry_of_follows_without_the_rule_does_nothing_and_is_refused() {
    let lines = "[follows]\n\"name/local\" = \"name/legal\"";
    assert_eq!(faults(lines), ["follows.\"name/local\" follow-idle"]);
}

#[test]
fn what_follows_must_say_what_and_nothing_about_money_follows() {
    for (lines, expected) in [
        (
            "[rules]\n\"name/local\" = \"follow\"\n[follows]\n\"name/local\" = \"name/legal\"",
            &[][..],
        ),
        ("[rules]\n\"name/local\" = \"follow\"", &["rules.\"name/local\" follow-missing"]),
        (
            "[rules]\n\"name/local\" = \"follow\"\n[follows]\n\"name/local\" = \"name/leagl\"",
            &["follows.\"name/local\" attribute-unknown"],
        ),
        (
            "[rules]\n\"name/local\" = \"follow\"\n[follows]\n\
             \"name/local\" = \"company/{company_code}/sort_key\"",
            &["follows.\"name/local\" follow-placeholders"],
        ),
        (
            "[rules]\n\"name/local\" = \"follow\"\n\"name/person\" = \"follow\"\n[follows]\n\
             \"name/local\" = \"name/person\"\n\"name/person\" = \"name/local\"",
            &["follows.\"name/local\" follow-cycle"],
        ),
        // Where the one that is followed says nothing, the last writer decides: not about money.
        (
            "[rules]\n\"bank/{iban}/verification\" = \"follow\"\n[follows]\n\
             \"bank/{iban}/verification\" = \"compliance/retention_class\"",
            &["rules.\"bank/{iban}/verification\" not-conservative"],
        ),
        (
            "[rules]\n\"bank/{iban}/verification\" = \"follow\"\n[follows]\n\
             \"bank/{iban}/verification\" = \"general/website\"",
            &["rules.\"bank/{iban}/verification\" not-conservative"],
        ),
    ] {
        assert_eq!(faults(lines), expected, "{lines}");
    }
}

#[test]
fn the_rules_that_chance_can_sway_decide_nothing_about_money() {
    for rule in ["oldest", "most-frequent", "most-complete"] {
        let of = |attribute| faults(&format!("[rules]\n\"{attribute}\" = \"{rule}\""));
        assert_eq!(of("name/legal"), Vec::<String>::new());
        assert_eq!(
            of("credit/{segment}/limit"),
            ["rules.\"credit/{segment}/limit\" not-conservative"]
        );
    }
}

#[test]
fn an_override_is_no_choice() {
    assert_eq!(
        faults("[rules]\n\"name/legal\" = \"override\""),
        ["rules.\"name/legal\" rule-not-choosable"]
    );
}

fn cycles(lines: &str) -> Vec<String> {
    faults(lines).into_iter().filter(|fault| fault.ends_with("follow-cycle")).collect()
}

#[test]
fn a_circle_through_an_entry_for_a_path_is_found_and_so_is_a_chain_too_long() {
    let lines = "[rules]\n\"address_for/{usage}\" = \"follow\"\n\"general/language\" = \"follow\"\n\
                 [follows]\n\"address_for/{usage}\" = \"general/language\"\n\
                 \"general/language\" = \"address_for/bill-to\"";
    assert_eq!(faults(lines), ["follows.\"address_for/{usage}\" follow-cycle"]);
    // Only where company code 1000 is concerned: one of the two entries is for it alone.
    let [sort, clerk] =
        ["sort_key", "dunning_clerk"].map(|name| format!("company/{{company_code}}/{name}"));
    let at_1000 = sort.replace("{company_code}", "1000");
    let follow = format!("[rules]\n\"{sort}\" = \"follow\"\n\"{clerk}\" = \"follow\"\n[follows]\n");
    let lines = format!("{follow}\"{clerk}\" = \"{sort}\"\n\"{at_1000}\" = \"{clerk}\"");
    assert!(cycles(&lines).contains(&"follows.\"company/1000/sort_key\" follow-cycle".to_owned()));
    let at_2000 = "company/2000/sort_key";
    let lines = format!("{follow}\"{clerk}\" = \"{at_2000}\"\n\"{at_1000}\" = \"{clerk}\"");
    assert_eq!(cycles(&lines), [""; 0]);
    let chain = [
        "general/language",
        "general/website",
        "general/legal_form",
        "general/established_on",
        "general/size",
        "general/preferred_channel",
        "name/person",
        "name/local",
        "name/legal",
        "identifier/duns",
    ];
    let rules: String = chain[..9].iter().map(|one| format!("\"{one}\" = \"follow\"\n")).collect();
    let pairs = chain.windows(2).map(|pair| format!("\"{}\" = \"{}\"\n", pair[0], pair[1]));
    let lines = format!("[rules]\n{rules}[follows]\n{}", pairs.collect::<String>());
    assert_eq!(faults(&lines), ["follows.\"general/language\" follow-too-long"]);
    // Eight entries from the one for a path, nine from the pattern that leads there.
    let clerk_of_1000 = clerk.replace("{company_code}", "1000");
    let entries = [&[clerk_of_1000.as_str()], &chain[..8]].concat();
    let pairs = entries.windows(2).map(|pair| format!("\"{}\" = \"{}\"\n", pair[0], pair[1]));
    let lines = format!("[follows]\n\"{sort}\" = \"{clerk}\"\n{}", pairs.collect::<String>());
    let found = faults(&lines);
    let too_long: Vec<_> = found.iter().filter(|fault| fault.ends_with("too-long")).collect();
    assert_eq!(too_long, [&format!("follows.\"{sort}\" follow-too-long")]);
}

#[test]
fn a_circle_is_named_whole_and_once() {
    let lines = "[follows]\n\"name/local\" = \"name/person\"\n\"name/person\" = \"name/legal\"\n\
                 \"name/legal\" = \"name/local\"\n\"general/website\" = \"name/legal\"";
    assert_eq!(cycles(lines), ["follows.\"name/legal\" follow-cycle"]);
    let whole = "name/legal -> name/local -> name/person -> name/legal";
    assert!(text(lines).contains(whole), "{}", text(lines));
}

#[test]
fn all_faults_are_told_at_once_in_order() {
    let lines = "source_kinds = [\"erp\", \"erp\"]\n[rules]\n\"moon/phase\" = \"owner\"\n\
                 [owners]\nmoon = \"EMEA\"\n[codes]\n\"name/legal\" = \"names\"";
    assert_eq!(
        faults(lines),
        [
            "codes.\"name/legal\" not-a-code",
            "owners.moon section-unknown",
            "rules.\"moon/phase\" attribute-unknown",
            "source_kinds kind-ranked-twice",
        ]
    );
}

/// A policy of one check of an attribute.
fn check(applies: &str, expression: &str) -> String {
    format!(
        "[checks.one]\napplies = [{applies:?}]\nexpression = {expression:?}\ntext = \"Ask.\"\n\
         severity = \"error\""
    )
}

#[test]
fn a_check_is_about_something_and_can_be_read() {
    let limit = "credit/{segment}/limit";
    assert_eq!(faults(&check(limit, "value.amount <= 100")), Vec::<String>::new());
    let keyed = "record.credit[keys.segment].limit == value && value.currency == 'EUR'";
    assert_eq!(faults(&check(limit, keyed)), Vec::<String>::new());
    let at = "checks.one.expression check-expression";
    for (applies, expression, says) in [
        (limit, "now() > value.amount", "may not depend on the time"),
        (limit, "value.amout > 1", "no member \"amout\". Did you mean amount?"),
        ("name/legal", "value.amount > 1", "name/legal has no member"),
        (limit, "record.credt.x == value", "Did you mean credit?"),
        (limit, "keys.segmnt == 'a'", "Did you mean segment?"),
        (limit, "value.amount +", "cannot be read (line 1, column"),
    ] {
        let lines = check(applies, expression);
        assert_eq!(faults(&lines), [at], "{lines}");
        assert!(text(&lines).contains(says), "{}", text(&lines));
    }
    assert_eq!(
        faults(&check("credit/{segmnt}/limit", "value.amount > 1")),
        ["checks.one.applies attribute-unknown"]
    );
    let idle = check(limit, "value.amount > 1").replace("[\"credit/{segment}/limit\"]", "[]");
    assert_eq!(faults(&idle), ["checks.one.applies check-idle"]);
    let silent = check(limit, "value.amount > 1").replace("Ask.", " ");
    assert_eq!(faults(&silent), ["checks.one.text check-text"]);
}
