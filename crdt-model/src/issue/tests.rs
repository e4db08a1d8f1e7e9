//! Issues: each kind with its cause, gone when the cause is gone.

use jiff::civil::date;

use super::*;
use crate::claim::{Claim, ClaimSet, Clock, Origin};
use crate::id::{CommitRef, LogId};
use crate::survivorship::resolve;
use crate::value::{Assertion, Cell};

/// The others, as a test has them.
#[derive(Default)]
struct Others {
    here: Vec<RecordId>,
    parents: BTreeMap<RecordId, (RecordId, Hlc)>,
    sharing: Vec<RecordId>,
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

    fn quarantined(&self) -> usize {
        self.quarantined
    }
}

fn record(number: u8) -> RecordId {
    RecordId::derive("test", &number.to_string())
}

/// Claims made apart, in the order of their times.
fn resolved(policy: &Policy, said: &[(&str, &str, &str)]) -> Resolved {
    let mut clocks: BTreeMap<CommitRef, Clock> = BTreeMap::new();
    let claims = (1_u8..).zip(said).map(|(number, (path, source, says))| {
        let commit = CommitRef { log: LogId::from_bytes([number; 16]), seq: 1 };
        clocks.insert(commit, Clock::from([(commit.log, 1)]));
        let region = source.rsplit('-').next().unwrap().to_uppercase().parse().unwrap();
        Claim {
            path: path.parse().unwrap(),
            source: source.parse().unwrap(),
            assertion: Assertion::from_cell(&Cell::Str((*says).to_owned())),
            origin: Origin { commit, time: Hlc::from_ms(u64::from(number)), region },
        }
    });
    let claims = claims.collect();
    resolve(policy, &ClaimSet::new(claims, clocks))
}

fn found(policy: &Policy, said: &[(&str, &str, &str)], others: &Others) -> Vec<Issue> {
    let resolved = resolved(policy, said);
    let checks = CompiledChecks::of(policy);
    of(&Subject { record: record(1), resolved: &resolved, policy, checks: &checks }, others)
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

#[test]
fn links_to_nobody_heal_and_shared_identifiers_name_the_others() {
    let policy = Policy::built_in();
    let parent = format!("{{\"customer\":\"{}\"}}", record(2));
    let said = [("relation/parent", "erp-emea", parent.as_str())];
    assert_eq!(codes(&found(&policy, &said, &Others::default())), ["dangling-link"]);
    let others = Others { here: vec![record(2)], ..Others::default() };
    assert_eq!(found(&policy, &said, &others), []);
    let said = [(
        "tax_id/DE:VAT:DE136695976",
        "erp-emea",
        "{\"country\":\"DE\",\"number\":\"DE136695976\",\"type\":\"VAT\"}",
    )];
    let others = Others { sharing: vec![record(1), record(3)], ..Others::default() };
    let issues = found(&policy, &said, &others);
    assert_eq!((codes(&issues), &issues[0].about), (vec!["shared-identifier"], &vec![record(3)]));
}

#[test]
fn every_member_of_a_circle_of_parents_names_the_same_link() {
    let policy = Policy::built_in();
    let parent = format!("{{\"customer\":\"{}\"}}", record(2));
    let said = [("relation/parent", "erp-emea", parent.as_str())];
    let parents = BTreeMap::from([(record(2), (record(1), Hlc::from_ms(9)))]);
    let others = Others { here: vec![record(1), record(2)], parents, ..Others::default() };
    let issues = found(&policy, &said, &others);
    assert_eq!(codes(&issues), ["hierarchy-cycle"]);
    assert!(issues[0].text.contains(&record(2).to_string()), "{}", issues[0].text);
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
