//! The texts of the facts: what is written reads back, and what cannot be stored is refused.

use jiff::civil::date;

use super::*;
use crate::normalize::{Context, normalize_patch};
use crate::path::CLAIM_KEY_MAX;
use crate::tree::flatten;

fn request(path: &str, says: Assertion) -> NewRequest {
    NewRequest {
        id: "0190f3a2-0000-7000-8000-000000000001".to_owned(),
        by: "anna@example.com".to_owned(),
        source: "manual-emea".parse().unwrap(),
        needed: 1,
        base: Some(Version::default()),
        reason: Some("as told".to_owned()),
        kind: RequestKind::Ownership,
        edits: vec![ProposedEdit { path: path.parse().unwrap(), assertion: says }],
    }
}

fn text(text: &str) -> Assertion {
    Assertion::Stated(Statement::plain(Value::text(text)))
}

#[test]
fn a_request_is_written_as_claims_that_the_table_knows() {
    let edits = request("general/language", text("de")).to_edits().unwrap();
    let keys: Vec<String> = edits.iter().map(|edit| edit.key.to_string()).collect();
    let id = "request/0190f3a2-0000-7000-8000-000000000001";
    assert_eq!(
        keys,
        [format!("{id}/opened@manual-emea"), format!("{id}/edit/general%2Flanguage@manual-emea")]
    );
    for edit in &edits {
        let attribute = lookup(&edit.key.path).unwrap();
        assert_eq!(attribute.check(&edit.key.path, &edit.assertion), Ok(()));
        assert_eq!(Assertion::from_cell(&edit.assertion.to_cell()).as_ref(), Ok(&edit.assertion));
    }
    let read = ProposedEdit::read(&edits[1].key.path, &edits[1].assertion).unwrap();
    assert_eq!((read.path.as_str(), read.assertion), ("general/language", text("de")));
}

#[test]
fn every_kind_of_assertion_can_be_proposed() {
    let block = "company/1000/payment_block";
    let dated = Statement {
        valid_from: Some(date(2027, 1, 1)),
        ..Statement::plain(Value::Group(BTreeMap::from([(
            "reason".to_owned(),
            Scalar::Text("x".to_owned()),
        )])))
    };
    for (path, assertion) in [
        ("general/language", Assertion::Tombstone),
        (block, Assertion::Release { reason: "paid".to_owned() }),
        (block, Assertion::Stated(dated)),
        ("name/legal", text("{curly")),
        (
            "identity/customer_number/EU-1",
            Assertion::Stated(Statement::plain(Value::One(Scalar::Bool(true)))),
        ),
    ] {
        let edits = request(path, assertion.clone()).to_edits().unwrap();
        let read = ProposedEdit::read(&edits[1].key.path, &edits[1].assertion);
        assert_eq!(read.map(|read| read.assertion), Some(assertion), "{path}");
    }
}

#[test]
fn long_paths_stand_in_the_key_as_their_digest() {
    let name = "ö".repeat(30);
    let path = AttributePath::from_segments(&["x", "a", &name]).unwrap();
    let long = request(path.as_str(), text("de"));
    let edits = long.to_edits().unwrap();
    let key = edits[1].key.path.segments().pop().unwrap();
    assert!(key.starts_with("b3-"), "{key}");
    assert!(edits[1].key.to_string().len() <= CLAIM_KEY_MAX);
    let read = ProposedEdit::read(&edits[1].key.path, &edits[1].assertion);
    assert_eq!(read.map(|read| read.path), Some(path.clone()));
    // An override of it, and a request for that override.
    let statement = Statement::plain(Value::text("de"));
    let overriding = Override { path, statement, ends: Ends::Never };
    let (fact, assertion) = overriding.to_assertion().unwrap();
    assert_eq!(Override::read(&fact, &assertion), Some(overriding));
    let edits = request(fact.as_str(), assertion.clone()).to_edits().unwrap();
    let read = ProposedEdit::read(&edits[1].key.path, &edits[1].assertion).unwrap();
    assert_eq!((read.path, read.assertion), (fact, assertion));
}

#[test]
fn what_cannot_be_stored_is_refused_with_a_reason() {
    let code = |of: NewRequest| of.to_edits().unwrap_err().code;
    assert_eq!(code(request("general/language", text("not a language"))), "language-malformed");
    assert_eq!(code(request("moon/phase", text("full"))), "attribute-unknown");
    assert_eq!(code(request("request/a/opened", text("x"))), "wrong-type");
    assert_eq!(code(request("general/note/1", text(&"a".repeat(5_000)))), "field-too-large");
    let empty = NewRequest { edits: vec![], ..request("general/language", text("de")) };
    assert_eq!(code(empty), "group-empty");
    let nobody = NewRequest { by: String::new(), ..request("general/language", text("de")) };
    assert_eq!(code(nobody), "text-empty");
    let none = NewRequest { needed: 0, ..request("general/language", text("de")) };
    assert_eq!(code(none), "number-out-of-range");

    let source = "manual".parse().unwrap();
    let long = "ö".repeat(60);
    for principal in ["", &long, &"a".repeat(129)] {
        assert!(decision("r", principal, Verdict::Approve, None, &source).is_err());
    }
    assert!(decision("r", "Anna Müller", Verdict::Approve, None, &source).is_ok());
    assert_eq!(
        Override::path_of(&"override/a".parse().unwrap()).unwrap_err().code,
        "attribute-unknown"
    );
}

#[test]
fn ends_read_back() {
    for ends in [Ends::SourceChanges, Ends::Never, Ends::On(date(2027, 12, 31))] {
        assert_eq!(Ends::read(&ends.to_text()), Some(ends));
    }
    for other in ["", "never", "2027-02-30", "27-01-01"] {
        assert_eq!(Ends::read(other), None);
    }
}

#[test]
fn facts_are_known_by_their_paths() {
    let of = |path: &str| Fact::of(&path.parse().unwrap());
    let id = || "r".to_owned();
    assert_eq!(of("request/r/opened"), Some(Fact::Opened { id: id() }));
    assert_eq!(of("request/r/edit/general%2Flanguage"), Some(Fact::Edit { id: id() }));
    let decision = Fact::Decision { id: id(), principal: "a b".to_owned() };
    assert_eq!(of("request/r/decision/a%20b"), Some(decision));
    assert_eq!(of("request/r/lease"), Some(Fact::Lease { id: id() }));
    assert_eq!(of("override/general%2Flanguage"), Some(Fact::Override));
    for unknown in ["request/r", "request/r/comment", "request/r/edit/a/b", "override/a/b"] {
        assert_eq!(of(unknown), Some(Fact::Unknown), "{unknown}");
    }
    assert_eq!(of("requests/r/opened"), None);
}

#[test]
fn the_door_for_customers_takes_no_facts_of_governance() {
    for (section, command) in
        [("request", "concord request"), ("override", "PUT /v1/customers/{id}/override")]
    {
        let shapes = [r#"null"#, r#"{}"#, r#"{"r":{"opened":{"by":"x"}}}"#, r#"{"a/b":"c"}"#];
        for shape in shapes {
            let patch = serde_json::from_str(&format!(r#"{{"{section}":{shape}}}"#)).unwrap();
            let faults = normalize_patch(&patch, &Context::default()).unwrap_err();
            assert_eq!((faults.len(), faults[0].code), (1, "governed"), "{shape}");
            assert!(faults[0].text.contains(command), "{}", faults[0].text);
            assert_eq!(flatten(&patch).unwrap_err(), faults);
        }
        let path = format!("{section}/general%2Flanguage").parse().unwrap();
        let faults = crate::normalize::normalize(&path, &Json::Null, &Context::default());
        assert_eq!(faults.unwrap_err()[0].code, "governed");
    }
}
