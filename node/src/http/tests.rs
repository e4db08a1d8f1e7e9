//! The interface over a node in memory, and the description that is checked in.

mod access;
mod credit;
mod customers;
mod lists;
mod node;

use super::openapi_json;

#[test]
fn refusals_of_the_node_are_told_apart_from_those_of_one_customer() {
    use super::error::ApiError;
    use crate::replica::event::{StoreFault, StoreFaultKind, WriteRefusal};
    // The kind decides, whatever the words say.
    let store = |kind| {
        WriteRefusal::Store(StoreFault { kind, reason: "/no space left/is full".to_owned() })
    };
    let record = crdt_model::id::RecordId::derive("test", "1");
    let cases = [
        (WriteRefusal::ClockSkew { offset_s: 400 }, "clock-skew", true),
        (WriteRefusal::Uncertain { reason: "x".to_owned() }, "outcome-unknown", true),
        (WriteRefusal::NotAMember, "not-a-member", true),
        (store(StoreFaultKind::Full), "store-full", true),
        (store(StoreFaultKind::Failed), "store-failed", true),
        (store(StoreFaultKind::Stopping), "shutting-down", true),
        (WriteRefusal::Held { record, reason: "x".to_owned() }, "customer-held", false),
        (WriteRefusal::RecordFull { record, what: "x".to_owned() }, "customer-full", false),
        (WriteRefusal::Malformed { what: "x".to_owned() }, "customer-invalid", false),
        (WriteRefusal::Defect { reason: "x".to_owned() }, "internal", true),
        (WriteRefusal::TooLarge { what: "101 records".to_owned() }, "too-large", false),
    ];
    for (refusal, code, is_of_node) in cases {
        let problem = ApiError::from(refusal);
        assert_eq!((problem.kind.code, problem.is_of_node()), (code, is_of_node));
    }
}

/// Where the checked-in description is.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

#[test]
fn the_description_is_the_one_that_is_checked_in() {
    let made = openapi_json();
    if std::env::var_os("CONCORD_BLESS").is_some() {
        std::fs::write(GOLDEN, &made).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert!(
        made == golden,
        "docs/openapi.json is not what the handlers say; look at the difference and run: \
         CONCORD_BLESS=1 cargo test -p node --lib the_description"
    );
}

#[test]
fn the_description_covers_every_page_of_the_contract() {
    let description: serde_json::Value = serde_json::from_str(&openapi_json()).unwrap();
    assert_eq!(description["openapi"], "3.1.0");
    let pages = description["paths"].as_object().unwrap();
    for page in [
        "/v1/health",
        "/v1/status",
        "/v1/peers",
        "/v1/customers",
        "/v1/customers/{id}",
        "/v1/customers/{id}/history",
        "/v1/conflicts",
        "/v1/quarantine",
        "/v1/forks",
        "/metrics",
        "/v1/changes",
        "/v1/bulk",
        "/v1/export",
        "/v1/backup",
        "/v1/attributes",
        "/v1/network/roster",
        "/v1/openapi.json",
    ] {
        assert!(pages.contains_key(page), "{page} is missing");
    }
    // Every reference leads somewhere.
    let text = description.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(description.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
}
