//! Tests of checks: which values they are asked of, what they tell, and what they cost at most.

use super::*;
use crate::policy::Check;
use crate::value::Scalar;

fn policy<const N: usize>(checks: [(&str, &[&str], &str); N]) -> Policy {
    let check = |applies: &[&str], expression: &str| Check {
        applies: applies.iter().map(|one| (*one).to_owned()).collect(),
        expression: expression.to_owned(),
        text: "Ask credit control.".to_owned(),
        severity: Severity::Error,
    };
    let named = checks.map(|(name, applies, source)| (name.to_owned(), check(applies, source)));
    Policy { checks: named.into(), ..Policy::built_in() }
}

fn failed(policy: &Policy, golden: &[(String, Value)]) -> Vec<FailedCheck> {
    let parsed: Vec<(AttributePath, &Value)> =
        golden.iter().map(|(path, value)| (path.parse().unwrap(), value)).collect();
    let golden = parsed.iter().map(|(path, value)| (path, *value)).collect();
    CompiledChecks::of(policy).failed(&golden)
}

fn score(segment: &str, points: i64) -> (String, Value) {
    (format!("credit/{segment}/score"), Value::One(Scalar::Int(points)))
}

#[test]
fn a_check_is_asked_of_each_value_of_its_attributes() {
    let pattern = "credit/{segment}/score";
    let policy = policy([
        ("low", &[pattern][..], "value >= 10"),
        ("odd", &[pattern, "credit/2000/score"], "value % 2 == 0"),
        ("one", &["credit/2000/score"], "keys.segment == '2000' && value < 1"),
    ]);
    let found = failed(&policy, &[score("1000", 4), score("2000", 11)]);
    let short: Vec<_> = found.iter().map(|one| format!("{} {}", one.name, one.path)).collect();
    let expected = ["low credit/1000/score", "odd credit/2000/score", "one credit/2000/score"];
    assert_eq!(short, expected);
    assert!(found.iter().all(|one| one.reason.is_none() && one.severity == Severity::Error));
    assert_eq!(found[0].text, "Ask credit control.");
    assert_eq!(failed(&policy, &[("name/legal".to_owned(), Value::text("Acme"))]), []);
    assert!(CompiledChecks::of(&Policy::built_in()).is_empty());
}

#[test]
fn a_check_without_an_answer_has_failed_with_the_reason() {
    let missing = policy([("a", &["name/legal"][..], "record.name.local.text == value")]);
    let golden = [("name/legal".to_owned(), Value::text("Acme"))];
    let found = failed(&missing, &golden);
    assert_eq!((found.len(), found[0].severity), (1, Severity::Error));
    assert!(found[0].reason.as_ref().unwrap().contains("no local"), "{found:?}");
    // A release that cannot read the expression must not stop the work.
    let newer = policy([("a", &["name/legal"][..], "brandNew(value)")]);
    let found = failed(&newer, &golden);
    assert_eq!(found[0].severity, Severity::Warning);
    assert!(found[0].reason.as_ref().unwrap().contains("not allowed"), "{found:?}");
}

#[test]
fn an_expression_reads_sections_of_other_checks_and_its_own() {
    let policy = policy([
        ("a", &["name/legal"][..], "has(record.credit) && size(record.credit) == 1"),
        ("b", &["name/legal"][..], "record.exists(section, section == 'credit')"),
    ]);
    let golden = [("name/legal".to_owned(), Value::text("Acme")), score("1000", 1)];
    assert_eq!(failed(&policy, &golden), []);
}

#[test]
fn a_record_costs_no_more_than_its_steps_however_many_values_and_checks() {
    let costly = "record.credit.all(a, record.credit.all(b, a == a && b == b))";
    let applies = &["credit/{segment}/score"][..];
    let policy = policy([
        ("a", applies, costly),
        ("b", applies, costly),
        ("c", applies, "true || value > 1"),
    ]);
    let golden: Vec<_> = (0..500).map(|place| score(&format!("S{place:03}"), place)).collect();
    let found = failed(&policy, &golden);
    // Four evaluations use up all steps; from then on each check says so once.
    assert_eq!(found.iter().filter(|one| one.name == "a").count(), 3, "{}", found.len());
    assert_eq!(found.iter().filter(|one| one.name == "b").count(), 3);
    assert_eq!(found.iter().filter(|one| one.name == "c").count(), 1);
    assert!(found.iter().all(|one| one.reason.as_ref().unwrap().contains("too large")));
    let plain = self::policy([("a", applies, "value < 0")]);
    assert_eq!(failed(&plain, &golden).len(), FAULTS_MAX, "nobody reads more");
}
