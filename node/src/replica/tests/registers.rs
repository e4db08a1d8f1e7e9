//! What one source says beside what it said before: plans, releases, and the same again.

use crdt_model::document::Version;
use crdt_model::value::{Assertion, Cell, canonical_json};

use super::net::{Net, record, request};
use crate::replica::event::{Effect, Precondition, RecordReceipt, WriteRequest};

const BLOCK: &str = "block/payment";
const TERMS: &str = "company/1000/payment_terms";
const DISPUTE: &str = r#"{"reason":"dispute"}"#;
const RELEASE: &str = r#"{"release":"paid"}"#;

/// A person's write in the name of a source; `json` is what it would be stored as.
fn says(path: &str, source: &str, json: &str) -> WriteRequest {
    let mut request = request(0, record(1), &[]);
    let assertion = Assertion::from_cell(&Cell::Str(json.to_owned())).unwrap();
    request.records[0].edits = vec![(path.parse().unwrap(), assertion)];
    request.source = source.parse().unwrap();
    request.restate = true;
    request
}

fn removes(path: &str, source: &str) -> WriteRequest {
    let mut request = says(path, source, "");
    request.records[0].edits[0].1 = Assertion::Tombstone;
    request
}

fn as_of(version: &Version, mut request: WriteRequest) -> WriteRequest {
    request.records[0].precondition = Precondition::AsOf(version.clone());
    request
}

fn write(net: &mut Net, at: usize, request: WriteRequest) -> RecordReceipt {
    let receipt = net.write(at, request).unwrap().records.remove(0);
    net.settle();
    receipt
}

fn effect(receipt: &RecordReceipt) -> Effect {
    receipt.fields[0].effect
}

/// What both nodes show of an attribute, over time.
fn shown(net: &Net, path: &str) -> Vec<String> {
    let shown = [0, 1].map(|at| {
        let golden = net.golden(at, &record(1)).unwrap();
        let values = golden.attributes.get(&path.parse().unwrap()).into_iter().flatten();
        let values = values.filter_map(|timed| Some((timed.from, timed.value.as_ref()?)));
        let told = values.map(|(from, value)| {
            let from = from.map(|day| format!("{day}: ")).unwrap_or_default();
            format!("{from}{}", canonical_json(value))
        });
        told.collect::<Vec<_>>()
    });
    let [first, second] = shown;
    assert_eq!(first, second);
    first
}

fn pair() -> Net {
    let mut net = Net::new(2);
    net.meet(0, 1);
    net
}

#[test]
fn a_lifted_block_stays_lifted_whatever_its_releaser_says_next() {
    let mut net = pair();
    write(&mut net, 0, says(BLOCK, "erp-a", r#"{"reason":"insolvency"}"#));
    write(&mut net, 0, says(BLOCK, "manual", RELEASE));
    assert_eq!(shown(&net, BLOCK), Vec::<String>::new());
    write(&mut net, 0, says(BLOCK, "manual", DISPUTE));
    assert_eq!(shown(&net, BLOCK), [DISPUTE]);
    write(&mut net, 0, removes(BLOCK, "manual"));
    assert_eq!(shown(&net, BLOCK), Vec::<String>::new());
    net.assert_equal();
}

#[test]
fn a_release_as_of_an_older_version_lifts_what_its_writer_saw_and_nothing_else() {
    let mut net = pair();
    let seen = write(&mut net, 0, says(BLOCK, "erp-a", r#"{"reason":"insolvency"}"#)).version;
    write(&mut net, 1, says(BLOCK, "erp-b", DISPUTE));
    write(&mut net, 0, as_of(&seen, says(BLOCK, "manual", RELEASE)));
    assert_eq!(shown(&net, BLOCK), [DISPUTE]);
    // The same again by somebody who sees the other block, too.
    let again = write(&mut net, 0, says(BLOCK, "manual", RELEASE));
    assert_eq!(effect(&again), Effect::TookEffect);
    assert_eq!(shown(&net, BLOCK), Vec::<String>::new());
    // There is nothing left to lift.
    assert_eq!(effect(&write(&mut net, 0, says(BLOCK, "manual", RELEASE))), Effect::Unchanged);
    net.assert_equal();
}

#[test]
fn a_plan_waits_for_its_day_and_the_present_holds_until_then() {
    let mut net = pair();
    write(&mut net, 0, says(TERMS, "erp-a", "NT30"));
    write(&mut net, 0, says(TERMS, "erp-a", r#"{"valid_from":"2099-01-01","value":"NT45"}"#));
    assert_eq!(shown(&net, TERMS), [r#""NT30""#, r#"2099-01-01: "NT45""#]);
    write(&mut net, 0, removes(TERMS, "erp-a"));
    assert_eq!(shown(&net, TERMS), Vec::<String>::new());
    net.assert_equal();
}

#[test]
fn a_person_may_say_again_what_was_beaten_and_a_feed_does_not() {
    let mut net = pair();
    let language = "general/language";
    write(&mut net, 0, says(language, "crm", "de"));
    write(&mut net, 0, says(language, "web", "en"));
    let mut feed = says(language, "crm", "de");
    feed.restate = false;
    assert_eq!(effect(&write(&mut net, 0, feed)), Effect::Unchanged);
    assert_eq!(shown(&net, language), [r#""en""#]);
    assert_eq!(effect(&write(&mut net, 0, says(language, "crm", "de"))), Effect::TookEffect);
    assert_eq!(shown(&net, language), [r#""de""#]);
    // It counts: there is no need to say it once more.
    assert_eq!(effect(&write(&mut net, 0, says(language, "crm", "de"))), Effect::Unchanged);
    net.assert_equal();
}

#[test]
fn a_released_block_that_comes_back_must_be_said_again() {
    let mut net = pair();
    write(&mut net, 0, says(BLOCK, "erp-a", DISPUTE));
    write(&mut net, 0, says(BLOCK, "manual", RELEASE));
    assert_eq!(shown(&net, BLOCK), Vec::<String>::new());
    assert_eq!(effect(&write(&mut net, 1, says(BLOCK, "erp-a", DISPUTE))), Effect::TookEffect);
    assert_eq!(shown(&net, BLOCK).len(), 1);
    net.assert_equal();
}
