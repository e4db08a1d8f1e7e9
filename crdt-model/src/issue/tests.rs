//! Issues: each kind with its cause, gone when the cause is gone.

use jiff::civil::date;

use super::*;
use crate::claim::{Claim, Clock, Origin};
use crate::customer_number;
use crate::id::{CommitRef, LogId};
use crate::survivorship::resolve;
use crate::value::{Assertion, Cell};

/// The others, as a test has them.
#[derive(Default)]
struct Others {
    here: Vec<RecordId>,
    parents: BTreeMap<RecordId, (RecordId, Hlc)>,
    sharing: Vec<RecordId>,
    linking: Vec<RecordId>,
    list: Option<CodeList>,
    quarantined: usize,
}

impl Around for Others {
    fn exists(&self, record: &RecordId) -> bool {
        self.here.contains(record)
    }

    fn parent(&self, record: &RecordId) -> Option<(RecordId, Hlc)> {
        self.parents.get(record).copied()
    }

    fn sharing(&self, _: &AttributePath) -> Vec<RecordId> {
        self.sharing.clone()
    }

    fn code_list(&self, name: &str) -> Option<Arc<CodeList>> {
        self.list.clone().filter(|list| list.name == name).map(Arc::new)
    }

    fn is_named_by(&self, other: &RecordId) -> bool {
        self.linking.contains(other)
    }

    fn quarantined(&self) -> usize {
        self.quarantined
    }
}

fn record(number: u8) -> RecordId {
    RecordId::derive("test", &number.to_string())
}

/// Claims made apart, in the order of their times.
fn stated(said: &[(&str, &str, &str)]) -> ClaimSet {
    let mut clocks: BTreeMap<CommitRef, Clock> = BTreeMap::new();
    let claims = (1_u8..).zip(said).map(|(number, (path, source, says))| {
        let commit = CommitRef { log: LogId::from_bytes([number; 16]), seq: 1 };
        clocks.insert(commit, Clock::from([(commit.log, 1)]));
        let region = source.rsplit('-').next().unwrap().to_uppercase().parse().unwrap();
        let cell = match *says {
            "true" => Cell::Bool(true),
            text => Cell::Str(text.to_owned()),
        };
        Claim {
            path: path.parse().unwrap(),
            source: source.parse().unwrap(),
            assertion: Assertion::from_cell(&cell),
            origin: Origin { commit, time: Hlc::from_ms(u64::from(number)), region },
        }
    });
    let claims = claims.collect();
    ClaimSet::new(claims, clocks)
}

fn resolved(policy: &Policy, said: &[(&str, &str, &str)]) -> Resolved {
    resolve(policy, &stated(said))
}

fn found(policy: &Policy, said: &[(&str, &str, &str)], others: &Others) -> Vec<Issue> {
    let claims = stated(said);
    let resolved = resolve(policy, &claims);
    let golden = GoldenRecord::from_resolved(record(1), &resolved);
    let checks = CompiledChecks::of(policy);
    let (resolved, claims, golden, checks) = (&resolved, &claims, &golden, &checks);
    of(&Subject { record: record(1), claims, resolved, golden, policy, checks }, others)
}

fn codes(issues: &[Issue]) -> Vec<&str> {
    issues.iter().map(|issue| issue.code.as_str()).collect()
}

#[test]
fn a_clean_record_has_no_issue() {
    let said = [("name/legal", "erp-emea", "Acme"), ("general/language", "erp-emea", "de")];
    assert_eq!(found(&Policy::built_in(), &said, &Others::default()), []);
}

#[test]
fn claims_are_looked_at_one_by_one() {
    let policy = Policy::built_in();
    let invalid = [("company/1000/payment_terms", "erp-emea", "net thirty days")];
    assert_eq!(codes(&found(&policy, &invalid, &Others::default())), ["invalid"]);
    let apart = [("general/language", "erp-emea", "de"), ("general/language", "crm-amer", "en")];
    assert_eq!(codes(&found(&policy, &apart, &Others::default())), ["conflict"]);
    let verified = ("bank/DE89370400440532013000/verification", "erp-emea", "verified");
    let orphan = found(&policy, &[verified], &Others::default());
    assert_eq!(codes(&orphan), ["item-missing"]);
    assert!(orphan[0].text.contains("bank/DE89370400440532013000, which"), "{}", orphan[0].text);
    let account =
        ("bank/DE89370400440532013000", "crm-amer", "{\"iban\":\"DE89370400440532013000\"}");
    assert_eq!(found(&policy, &[verified, account], &Others::default()), []);
    let ids = [
        (
            "tax_id/DE:VAT:DE136695976",
            "erp-emea",
            "{\"country\":\"DE\",\"number\":\"DE136695976\",\"type\":\"VAT\"}",
        ),
        (
            "tax_id/DE:VAT:DE129273398",
            "erp-emea",
            "{\"country\":\"DE\",\"number\":\"DE129273398\",\"type\":\"VAT\"}",
        ),
    ];
    assert_eq!(codes(&found(&policy, &ids, &Others::default())), ["two-of-one-type"]);
    let others = Others { quarantined: 2, ..Others::default() };
    assert_eq!(codes(&found(&policy, &[], &others)), ["quarantined"]);
}

fn terms() -> Policy {
    let mut policy = Policy::built_in();
    let pattern = "company/{company_code}/payment_terms";
    policy.codes.insert(pattern.to_owned(), "payment-terms".to_owned());
    policy
}

fn payment_terms(entries: Vec<crate::code_list::Entry>) -> Others {
    let codes = BTreeMap::from([("NT30".to_owned(), entries)]);
    let list = CodeList { name: "payment-terms".to_owned(), codes, ..CodeList::default() };
    Others { list: Some(list), ..Others::default() }
}

#[test]
fn codes_are_looked_up_for_the_days_on_which_they_are_used() {
    use crate::code_list::Entry;
    let said = [("company/1000/payment_terms", "erp-emea", "NT30")];
    assert_eq!(codes(&found(&terms(), &said, &Others::default())), ["code-unresolved"]);
    let entry = || Entry { from: None, value: Some(Value::text("x")) };
    assert_eq!(found(&terms(), &said, &payment_terms(vec![entry()])), []);
    let retired = date(2026, 1, 1);
    let entries = vec![entry(), Entry { from: Some(retired), value: None }];
    let issues = found(&terms(), &said, &payment_terms(entries));
    assert_eq!(codes(&issues), ["code-not-valid"]);
    assert!(issues[0].stands(retired) && !issues[0].stands(date(2025, 12, 31)));
    let unknown = [("company/1000/payment_terms", "erp-emea", "NT03")];
    let issues = found(&terms(), &unknown, &payment_terms(vec![entry()]));
    assert!(issues[0].text.contains("The nearest are NT30"), "{}", issues[0].text);
}

const TAX_ID: (&str, &str, &str) = (
    "tax_id/DE:VAT:DE136695976",
    "erp-emea",
    "{\"country\":\"DE\",\"number\":\"DE136695976\",\"type\":\"VAT\"}",
);

fn parent() -> String {
    format!("{{\"customer\":\"{}\"}}", record(2))
}

#[test]
fn a_link_to_nobody_and_a_parent_who_is_not_here_heal() {
    let policy = Policy::built_in();
    for (path, code) in
        [("relation/parent", "hierarchy-break"), ("relation/other/a", "dangling-link")]
    {
        let says = format!("{{\"type\":\"branch\",\"customer\":\"{}\"}}", record(2));
        let says = if path == "relation/parent" { parent() } else { says };
        let said = [(path, "erp-emea", says.as_str())];
        let issues = found(&policy, &said, &Others::default());
        assert_eq!((codes(&issues), &issues[0].about), (vec![code], &vec![record(2)]));
        let others = Others { here: vec![record(2)], ..Others::default() };
        assert_eq!(found(&policy, &said, &others), []);
    }
}

#[test]
fn invariant_2_one_tax_id_on_two_parties_stays_with_both_until_it_is_explained() {
    let policy = Policy::built_in();
    let others = || Others { sharing: vec![record(1), record(2)], ..Others::default() };
    let issues = found(&policy, &[TAX_ID], &others());
    assert_eq!((codes(&issues), &issues[0].about), (vec!["tax-id-shared"], &vec![record(2)]));
    let linked = Others { linking: vec![record(2)], ..others() };
    assert_eq!(found(&policy, &[TAX_ID], &linked), [], "the other one explains it");
    let parent = parent();
    let said = [TAX_ID, ("relation/parent", "erp-emea", parent.as_str())];
    let linked = Others { here: vec![record(2)], ..others() };
    assert_eq!(found(&policy, &said, &linked), [], "this one explains it");
}

#[test]
fn the_findings_on_a_party_are_issues_on_the_days_on_which_they_stand() {
    let policy = Policy::built_in();
    let said = [
        ("relation/vendor/ERP:9", "erp-emea", "{\"system\":\"ERP\",\"id\":\"9\"}"),
        ("company/1000/clearing_with_vendor", "erp-emea", "true"),
        (
            "vendor/1000/payment_block",
            "erp-emea",
            "{\"reason\":\"dispute\",\"valid_to\":\"2026-06-30\"}",
        ),
    ];
    let others = Others { sharing: vec![record(3)], ..Others::default() };
    let issues = found(&policy, &said, &others);
    let expected = ["clearing-one-sided", "vendor-blocked", "vendor-linked-twice"];
    assert_eq!(codes(&issues), expected);
    assert!(issues[1].stands(date(2026, 6, 30)) && !issues[1].stands(date(2026, 7, 1)));
    assert_eq!((issues[1].since, &issues[2].about), (Some(Hlc::from_ms(3)), &vec![record(3)]));
    assert_eq!((issues[0].from, issues[0].until), (None, None), "one issue over all periods");
}

#[test]
fn what_is_wrong_with_credit_is_an_issue() {
    let mut policy = Policy::built_in();
    policy.owners.insert("credit/EU01".to_owned(), "EMEA".parse().unwrap());
    let euro = |amount: i64| format!("{{\"amount\":{amount},\"currency\":\"EUR\"}}");
    let (limit, slice, drawn) = (euro(1_000), euro(300), euro(400));
    let mut said = vec![
        ("credit/EU01/limit", "erp-emea", limit.as_str()),
        ("credit/EU01/slice/APAC", "erp-emea", slice.as_str()),
        ("credit/EU01/exposure/APAC", "erp-apac", drawn.as_str()),
    ];
    let issues = found(&policy, &said, &Others::default());
    assert_eq!(codes(&issues), ["slice-overdrawn"]);
    assert_eq!((issues[0].severity, issues[0].since), (Severity::Error, Some(Hlc::from_ms(3))));
    let more = euro(700);
    said.push(("credit/EU01/exposure/EMEA", "erp-emea", more.as_str()));
    let issues = found(&policy, &said, &Others::default());
    assert_eq!(codes(&issues), ["limit-exceeded", "slice-overdrawn", "slice-overdrawn"]);
}

#[test]
fn a_number_that_two_carry_or_that_nobody_gave_out_is_an_issue() {
    let mut policy = Policy::built_in();
    let range = crate::policy::NumberRange { prefix: "EU".to_owned(), from: 1, to: 99 };
    policy.numbers.insert("EMEA".parse().unwrap(), range);
    let said = [("identity/customer_number/EU-00000001-02", "erp-emea", "true")];
    let number = customer_number::CustomerNumber::new("EU", 1).unwrap().to_string();
    let path = format!("identity/customer_number/{number}");
    let right = [(path.as_str(), "erp-emea", "true")];
    assert_eq!(codes(&found(&policy, &said, &Others::default())), ["number-invalid"]);
    assert_eq!(found(&policy, &right, &Others::default()), []);
    let others = Others { sharing: vec![record(3)], ..Others::default() };
    assert_eq!(codes(&found(&policy, &right, &others)), ["number-shared"]);
}

#[test]
fn every_member_of_a_circle_of_parents_names_the_same_link() {
    let policy = Policy::built_in();
    let parent = parent();
    let said = [("relation/parent", "erp-emea", parent.as_str())];
    let parents = BTreeMap::from([(record(2), (record(1), Hlc::from_ms(9)))]);
    let others = Others { here: vec![record(1), record(2)], parents, ..Others::default() };
    let issues = found(&policy, &said, &others);
    assert_eq!(codes(&issues), ["hierarchy-cycle"]);
    assert!(issues[0].text.contains(&record(2).to_string()), "{}", issues[0].text);
    // Who belongs to a member of a circle is on none.
    let parents = BTreeMap::from([
        (record(2), (record(3), Hlc::from_ms(9))),
        (record(3), (record(2), Hlc::from_ms(8))),
    ]);
    let here = vec![record(1), record(2), record(3)];
    assert_eq!(found(&policy, &said, &Others { here, parents, ..Others::default() }), []);
}

#[test]
fn the_score_says_what_took_points_away() {
    let policy = Policy::built_in();
    let resolved = resolved(&policy, &[("name/legal", "erp-emea", "Acme")]);
    let issue = Issue {
        code: "code-unresolved".to_owned(),
        path: None,
        severity: Severity::Error,
        text: String::new(),
        from: None,
        until: None,
        since: None,
        about: Vec::new(),
    };
    let quality = quality(&resolved, &[issue], date(2026, 6, 1));
    let (validity, reasons) = &quality.dimensions[&Dimension::Validity];
    assert_eq!((*validity, reasons.as_slice()), (60, &["code-unresolved".to_owned()][..]));
    assert_eq!(quality.dimensions[&Dimension::Completeness].0, 25);
    // The mean of 25, 60 and three times 100.
    assert_eq!(quality.score, 77);
}

#[test]
fn a_stored_issue_reads_back_as_it_was() {
    let said = [("general/language", "erp-emea", "de"), ("general/language", "crm-amer", "en")];
    let mut issues = found(&Policy::built_in(), &said, &Others::default());
    // A reading whose counter canonical JSON would round away as a number.
    issues[0].since = Hlc::from_u64(Hlc::from_ms(1_800_000_000_000).as_u64() + 1);
    let stored = crate::value::canonical_json(&issues);
    assert_eq!(serde_json::from_str::<Vec<Issue>>(&stored).unwrap(), issues);
}
