//! Rules that regions keep while they cannot see each other: slices of a limit, customer numbers,
//! roles; and what becomes of a member that does not keep them.

use std::collections::BTreeSet;

use crdt_model::document::{ClaimEdit, CustomerDocument};
use crdt_model::governance::{Step, Verdict, decision};
use crdt_model::id::{RecordId, Region};
use crdt_model::issue::Issue;
use crdt_model::path::AttributePath;
use crdt_model::policy::{FourEyes, NumberRange, Policy, Principal, Role};
use crdt_model::value::{Assertion, Cell};

use super::net::{Forger, Net, START_MS, block, heads, member, network_key, record, request};
use crate::kv::{Op, View as _};
use crate::replica::event::{WriteOutcome, WriteRefusal, WriteRequest};
use crate::replica::layout;
use crate::replica::records::Records;
use crate::replica::roster::{Member, PolicyEntry, Roster};

/// A network of members in these regions, under a policy in force from the start.
fn net(regions: &[&str], policy: Policy) -> Net {
    let mut roster = roster(regions);
    let policy = Policy { version: 2, ..policy };
    roster.put_policy(PolicyEntry::new(policy, START_MS), &network_key()).unwrap();
    let mut net = Net::with_roster(roster, regions.len());
    net.tick(1);
    net
}

fn roster(regions: &[&str]) -> Roster {
    let mut roster = Roster::found("test", &network_key()).unwrap();
    for (at, region) in regions.iter().enumerate() {
        let region = region.parse().unwrap();
        roster.admit(Member { region, ..member(at) }, &network_key()).unwrap();
    }
    roster
}

fn meet_all(net: &mut Net) {
    for one in 0..net.nodes.len() {
        for other in 0..one {
            net.meet(one, other);
        }
    }
}

/// What a cell says: JSON of a group, `true`, or text.
fn says(text: &str) -> Assertion {
    let cell = if text == "true" { Cell::Bool(true) } else { Cell::Str(text.to_owned()) };
    Assertion::from_cell(&cell).unwrap()
}

fn asked(at: usize, record: RecordId, edits: &[(&str, &str)]) -> WriteRequest {
    let mut request = request(at, record, &[]);
    let edits = edits.iter().map(|(path, text)| (path.parse().unwrap(), says(text)));
    request.records[0].edits = edits.collect();
    request
}

fn write(net: &mut Net, at: usize, record: RecordId, edits: &[(&str, &str)]) -> WriteOutcome {
    let outcome = net.write(at, asked(at, record, edits));
    net.settle();
    outcome
}

fn code(outcome: WriteOutcome) -> &'static str {
    match outcome {
        Ok(_) => "written",
        Err(WriteRefusal::Invalid { faults, .. }) => faults[0].code,
        Err(WriteRefusal::Denied { denial, .. }) => denial.code,
        Err(other) => panic!("{other:?}"),
    }
}

fn issues(net: &Net, at: usize, record: &RecordId) -> Vec<Issue> {
    Records::new(&net.nodes[at].store).issues(record).unwrap()
}

fn codes(net: &Net, at: usize, record: &RecordId) -> Vec<String> {
    issues(net, at, record).into_iter().map(|issue| issue.code).collect()
}

fn euro(amount: i64) -> String {
    format!("{{\"amount\":{amount},\"currency\":\"EUR\"}}")
}

fn credit_policy() -> Policy {
    let mut policy = Policy::built_in();
    policy.owners.insert("credit/EU01".to_owned(), "EMEA".parse().unwrap());
    policy
}

/// EMEA deals a limit of 1,000 to three regions.
fn dealt(net: &mut Net) {
    let (limit, emea, apac, amer) = (euro(1_000), euro(500), euro(300), euro(200));
    let edits = [
        ("credit/EU01/limit", limit.as_str()),
        ("credit/EU01/slice/EMEA", &emea),
        ("credit/EU01/slice/APAC", &apac),
        ("credit/EU01/slice/AMER", &amer),
    ];
    write(net, 0, record(1), &edits).unwrap();
}

#[test]
fn invariant_10_regions_apart_never_exceed_the_limit_together() {
    let mut net = net(&["EMEA", "APAC", "AMER"], credit_policy());
    meet_all(&mut net);
    dealt(&mut net);
    for at in 0..3 {
        net.restart(at);
    }
    net.tick(1);
    let draw = |net: &mut Net, at: usize, amount: i64| {
        let region = ["EMEA", "APAC", "AMER"][at];
        let path = format!("credit/EU01/exposure/{region}");
        code(write(net, at, record(1), &[(&path, &euro(amount))]))
    };
    // Nobody sees anybody. Each has its slice and no more, whatever the others do.
    for (at, slice) in [(0, 500), (1, 300), (2, 200)] {
        assert_eq!(draw(&mut net, at, slice + 1), "slice-exceeded");
        assert_eq!(draw(&mut net, at, slice), "written");
        assert_eq!(draw(&mut net, at, slice + 1), "slice-exceeded");
    }
    // What APAC gives back it may give away; AMER draws it once it has heard of it.
    assert_eq!(draw(&mut net, 1, 100), "written");
    let give = |from: &str, to: &str, amount: i64| {
        format!("{{\"amount\":{amount},\"currency\":\"EUR\",\"from\":\"{from}\",\"to\":\"{to}\"}}")
    };
    let (more, all) = (give("APAC", "AMER", 201), give("APAC", "AMER", 200));
    let transfer = ("credit/EU01/transfer/018f0000-0000-7000-8000-000000000001", more.as_str());
    assert_eq!(code(write(&mut net, 1, record(1), &[transfer])), "transfer-uncovered");
    let transfer = (transfer.0, all.as_str());
    assert_eq!(code(write(&mut net, 1, record(1), &[transfer])), "written");
    assert_eq!(draw(&mut net, 1, 101), "slice-exceeded");
    assert_eq!(draw(&mut net, 2, 400), "slice-exceeded");
    meet_all(&mut net);
    net.wait(2);
    assert_eq!(draw(&mut net, 2, 400), "written");
    net.wait(2);
    net.assert_equal();
    assert_eq!(codes(&net, 0, &record(1)), [""; 0], "500 + 100 + 400 is the limit");
}

#[test]
fn a_member_that_skips_its_door_is_an_issue_for_everybody_alike() {
    let mut net = net(&["EMEA", "APAC"], credit_policy());
    let mut roster = net.roster.clone();
    roster.admit(Member { region: "AMER".parse().unwrap(), ..member(2) }, &network_key()).unwrap();
    let policy = Policy { version: 3, ..credit_policy() };
    roster.put_policy(PolicyEntry::new(policy, START_MS + 1), &network_key()).unwrap();
    net = Net::with_roster(roster, 2);
    net.tick(2);
    meet_all(&mut net);
    dealt(&mut net);
    let mut forger = Forger::new(2, &net.roster);
    let document = Records::new(&net.nodes[0].store).document(&record(1)).unwrap().unwrap();
    let edit = |path: &str, text: &str| ClaimEdit {
        key: format!("{path}@crm").parse().unwrap(),
        assertion: says(text),
    };
    let give = "{\"amount\":201,\"currency\":\"EUR\",\"from\":\"AMER\",\"to\":\"APAC\"}";
    let edits = [
        edit("credit/EU01/exposure/AMER", &euro(900)),
        edit("credit/EU01/exposure/APAC", &euro(0)),
        edit("credit/EU01/slice/AMER", &euro(900)),
        edit("credit/EU01/transfer/018f0000-0000-7000-8000-000000000002", give),
    ];
    let change = document.propose(&forger.next(), &edits, None).unwrap().unwrap();
    let heads = heads(&net, 0);
    let commit = forger.commit(&heads, vec![(record(1), change)]);
    let link = *net.nodes[0].replica.links.keys().next().unwrap();
    net.inject(link, 0, block(&[commit]));
    net.wait(4);
    let expected =
        ["exposure-not-own", "slice-not-owners", "slice-overdrawn", "transfer-not-counted"];
    for at in 0..2 {
        assert_eq!(net.quarantine(at), []);
        assert_eq!(codes(&net, at, &record(1)), expected);
    }
    assert_eq!(issues(&net, 0, &record(1)), issues(&net, 1, &record(1)));
    net.assert_equal();
    // It harmed itself: APAC has what it had, and no more.
    let path = "credit/EU01/exposure/APAC";
    assert_eq!(code(write(&mut net, 1, record(1), &[(path, &euro(301))])), "slice-exceeded");
    assert_eq!(code(write(&mut net, 1, record(1), &[(path, &euro(300))])), "written");
}

#[test]
fn a_region_draws_through_the_member_that_has_been_there_longest() {
    let mut net = net(&["EMEA", "EMEA"], credit_policy());
    meet_all(&mut net);
    dealt(&mut net);
    let (path, amount) = ("credit/EU01/exposure/EMEA", euro(10));
    assert_eq!(code(write(&mut net, 1, record(1), &[(path, &amount)])), "not-teller");
    assert_eq!(code(write(&mut net, 0, record(1), &[(path, &amount)])), "written");
    let region: Region = "EMEA".parse().unwrap();
    let mut roster = net.roster.clone();
    assert_eq!(roster.teller(&region), Some(member(0).node));
    // Changed addresses change nothing; who comes back stands last.
    roster.admit(Member { region: region.clone(), ..member(0) }, &network_key()).unwrap();
    assert_eq!(roster.teller(&region), Some(member(0).node));
    roster.revoke(member(0).node, Vec::new(), &network_key()).unwrap();
    assert_eq!(roster.teller(&region), Some(member(1).node));
    roster.admit(Member { region: region.clone(), ..member(0) }, &network_key()).unwrap();
    assert_eq!(roster.teller(&region), Some(member(1).node));
    let other: Region = "APAC".parse().unwrap();
    roster.admit(Member { region: other, ..member(1) }, &network_key()).unwrap();
    assert_eq!(roster.teller(&region), Some(member(0).node));
}

fn numbers_policy() -> Policy {
    let mut policy = Policy::built_in();
    let range = NumberRange { prefix: "EU".to_owned(), from: 1, to: 1_000 };
    policy.numbers.insert("EMEA".parse().unwrap(), range);
    policy
}

/// Creates a customer; gives its number.
fn numbered(net: &mut Net, at: usize, number: u64) -> String {
    let mut asked = request(at, record(number), &[("name/legal", "Acme")]);
    asked.records[0].numbered = true;
    let receipt = net.write(at, asked).unwrap();
    let paths = receipt.records[0].fields.iter().map(|field| field.path.clone());
    let found: Vec<String> =
        paths.filter_map(|path| crdt_model::customer_number::of(&path)).collect();
    assert_eq!(found.len(), 1, "{receipt:?}");
    found[0].clone()
}

#[test]
fn invariant_1_no_number_is_given_twice_apart_after_a_restart_and_after_a_restore() {
    let mut net = net(&["EMEA", "EMEA", "APAC"], numbers_policy());
    let mut given = BTreeSet::new();
    // Two nodes of one region that never met.
    for number in 0..10 {
        for at in [0, 1] {
            let at_number = 100 * (at as u64 + 1) + number;
            assert!(given.insert(numbered(&mut net, at, at_number)), "{given:?}");
        }
    }
    let backup = net.nodes[0].store.clone();
    net.restart(0);
    net.tick(1);
    assert!(given.insert(numbered(&mut net, 0, 1)));
    net.meet(0, 1);
    assert!(given.insert(numbered(&mut net, 0, 2)));
    net.settle();
    // An old copy comes back. It opens a new incarnation, and fetches its own commits from the peer.
    net.restart_over(0, backup);
    net.tick(1);
    net.meet(0, 1);
    for number in 3..6 {
        assert!(given.insert(numbered(&mut net, 0, number)), "{given:?}");
    }
    // A region without a range gives none, and nobody is refused.
    let mut asked = request(2, record(900), &[("name/legal", "Acme")]);
    asked.records[0].numbered = true;
    assert_eq!(net.write(2, asked).unwrap().records[0].fields.len(), 1);
    meet_all(&mut net);
    net.wait(2);
    net.assert_equal();
    let shared = Records::new(&net.nodes[0].store).with_issue("number-shared", None, 9).unwrap();
    assert_eq!(shared, []);
}

#[test]
fn who_gave_up_commits_of_its_own_gives_out_no_number_any_more() {
    let mut net = net(&["EMEA"], numbers_policy());
    net.nodes[0].store.apply(&[Op::Put(crate::replica::numbers::LOST.to_vec(), Vec::new())]);
    let mut asked = request(0, record(1), &[("name/legal", "Acme")]);
    asked.records[0].numbered = true;
    let refusal = net.write(0, asked).unwrap_err();
    assert!(refusal.to_string().contains("have it admitted under a new key"), "{refusal}");
    net.write(0, request(0, record(1), &[("name/legal", "Acme")])).unwrap();
}

#[test]
fn what_hangs_on_one_record_by_hundreds_heals_when_it_arrives() {
    let mut net = net(&["EMEA", "APAC"], Policy::built_in());
    let (parent, count) = (record(9_999), 150);
    let says = format!("{{\"customer\":\"{parent}\"}}");
    for number in 0..count {
        write(&mut net, 0, record(number), &[("relation/parent", &says)]).unwrap();
    }
    let broken = |net: &Net| {
        Records::new(&net.nodes[0].store).with_issue("hierarchy-break", None, 1_000).unwrap().len()
    };
    assert_eq!(broken(&net), usize::try_from(count).unwrap());
    write(&mut net, 1, parent, &[("name/legal", "Top")]).unwrap();
    net.meet(0, 1);
    net.wait(9);
    assert_eq!(broken(&net), 0);
    net.assert_equal();
}

const TAX_ID: (&str, &str) = (
    "tax_id/DE:VAT:DE136695976",
    "{\"country\":\"DE\",\"number\":\"DE136695976\",\"type\":\"VAT\"}",
);

#[test]
fn invariant_2_one_tax_id_on_two_parties_is_told_at_both_and_heals_at_both() {
    let mut net = net(&["EMEA", "APAC"], Policy::built_in());
    let vendor = ("relation/vendor/ERP:9", "{\"id\":\"9\",\"system\":\"ERP\"}");
    write(&mut net, 0, record(1), &[TAX_ID, vendor]).unwrap();
    write(&mut net, 1, record(2), &[TAX_ID, vendor]).unwrap();
    net.meet(0, 1);
    net.wait(3);
    for (at, record) in [(0, 1), (0, 2), (1, 1), (1, 2)].map(|(at, id)| (at, record(id))) {
        assert_eq!(codes(&net, at, &record), ["tax-id-shared", "vendor-linked-twice"]);
    }
    // One side explains it, and both are well; nothing was merged.
    let related = format!("{{\"customer\":\"{}\",\"type\":\"branch\"}}", record(2));
    let vendor = ("relation/vendor/ERP:9", "null");
    let mut asked = asked(0, record(1), &[("relation/other/a", &related)]);
    asked.records[0].edits.push((vendor.0.parse().unwrap(), Assertion::Tombstone));
    net.write(0, asked).unwrap();
    net.wait(3);
    for (at, record) in [(0, 1), (0, 2), (1, 1), (1, 2)].map(|(at, id)| (at, record(id))) {
        assert_eq!(codes(&net, at, &record), [""; 0]);
    }
    net.assert_equal();
}

#[test]
fn every_member_of_a_circle_hears_when_another_edge_is_the_latest() {
    let mut net = net(&["EMEA", "APAC"], Policy::built_in());
    let parent = |number: u64| format!("{{\"customer\":\"{}\"}}", record(number));
    for (child, above) in [(1, 2), (2, 3), (3, 1)] {
        write(&mut net, 0, record(child), &[("relation/parent", &parent(above))]).unwrap();
        net.tick(1);
    }
    net.meet(0, 1);
    net.wait(3);
    let told = |net: &Net, number: u64| issues(net, 1, &record(number)).remove(0).text;
    assert!(told(&net, 2).contains(&format!("the link of customer {}", record(3))));
    // Another source says the same later: the edge is newer, and no golden value differs.
    write(&mut net, 1, record(1), &[("relation/parent", &parent(2))]).unwrap();
    net.wait(3);
    for number in 1..=3 {
        let text = told(&net, number);
        assert!(text.contains(&format!("the link of customer {}", record(1))), "{text}");
    }
    net.assert_equal();
}

/// Anna may write in EMEA for company code 1000, and bank accounts need a second person, always.
fn roles_policy() -> Policy {
    let mut policy = Policy::built_in();
    let principal = |roles: &[Role], regions: &[&str]| Principal {
        roles: roles.iter().copied().collect(),
        regions: regions.iter().map(|region| region.parse().unwrap()).collect(),
        company_codes: vec!["1000".to_owned()],
        sources: Vec::new(),
    };
    let people = [
        ("anna", principal(&[Role::Steward], &["EMEA"])),
        ("ben", principal(&[Role::Approver], &[])),
        ("max", principal(&[Role::Auditor], &[])),
    ];
    policy.principals = people.map(|(name, of)| (name.to_owned(), of)).into();
    let terms = FourEyes { approvals: 1, exempt: Vec::new(), only_raise: false, at_creation: true };
    policy.four_eyes.insert("bank/{iban}".to_owned(), terms);
    policy
}

const BANK: (&str, &str) = ("bank/DE89370400440532013000", "{\"iban\":\"DE89370400440532013000\"}");

#[test]
fn invariant_18_what_the_door_refuses_every_receiver_sets_aside() {
    let mut roster = roster(&["EMEA", "APAC", "AMER"]);
    let policy = Policy { version: 2, ..roles_policy() };
    roster.put_policy(PolicyEntry::new(policy, START_MS), &network_key()).unwrap();
    let mut net = Net::with_roster(roster, 2);
    net.tick(1);
    net.meet(0, 1);
    let cases = [
        (0, "anna", ("general/language", "de"), "written"),
        (0, "anna", ("company/2000/payment_terms", "NT30"), "not-authorised"),
        (1, "anna", ("general/language", "de"), "not-authorised"),
        (0, "max", ("general/language", "de"), "not-authorised"),
        (0, "ben", ("general/language", "de"), "not-authorised"),
        (0, "nobody", ("general/language", "de"), "not-authorised"),
    ];
    for (number, (at, principal, edit, expected)) in (50..).zip(cases) {
        let mut asked = asked(at, record(number), &[edit]);
        asked.provenance.principal = principal.to_owned();
        assert_eq!(code(net.write(at, asked)), expected, "{principal} {edit:?}");
    }
    net.settle();
    // The same by a node in AMER that asks nobody: `m` is no principal, and anna acts in EMEA only.
    let mut forger = Forger::new(2, &net.roster);
    let link = *net.nodes[0].replica.links.keys().next().unwrap();
    let edits = [("general/language", "de"), BANK, ("override/general%2Flanguage", "{}")];
    for (number, edit) in (1..).zip(edits) {
        let claim =
            ClaimEdit { key: format!("{}@crm", edit.0).parse().unwrap(), assertion: says(edit.1) };
        let change = CustomerDocument::empty().propose(&forger.next(), &[claim], None);
        let follows = if forger.last.is_none() { heads(&net, 0) } else { Vec::new() };
        let commit = forger.commit(&follows, vec![(record(number), change.unwrap().unwrap())]);
        net.inject(link, 0, block(&[commit]));
        net.wait(1);
    }
    net.wait(2);
    let found = net.quarantine(0);
    let codes: Vec<&str> = found.iter().map(|(.., code)| code.as_str()).collect();
    assert_eq!(codes, ["not-authorised"; 3]);
    assert_eq!(net.quarantine(1), found);
    for number in 1..=3 {
        assert_eq!(net.shown(1, &record(number)), [""; 0]);
    }
    net.assert_equal();
}

#[test]
fn the_feed_tells_every_step_of_a_request() {
    let mut net = net(&["EMEA", "APAC"], roles_policy());
    net.meet(0, 1);
    // Also the first data of a customer needs a second person here.
    let mut asked = asked(0, record(1), &[("general/language", "de"), BANK]);
    asked.provenance.principal = "anna".to_owned();
    let receipt = net.write(0, asked).unwrap();
    let id = receipt.records[0].request.clone().unwrap();
    net.settle();
    let golden = |net: &Net| Records::new(&net.nodes[1].store).golden(&record(1)).unwrap().unwrap();
    let path: AttributePath = BANK.0.parse().unwrap();
    assert!(!golden(&net).attributes.contains_key(&path));
    let source = "manual-apac".parse().unwrap();
    let fact = decision(&id, "ben", Verdict::Approve, None, &source).unwrap();
    let mut approval = request(1, record(1), &[]);
    approval.source = source;
    approval.provenance.principal = "ben".to_owned();
    approval.records[0].edits.push((fact.key.path, fact.assertion));
    net.write(1, approval).unwrap();
    net.settle();
    assert!(golden(&net).attributes.contains_key(&path));
    for at in 0..2 {
        let feed = Records::new(&net.nodes[at].store).feed(0, 9).unwrap();
        let steps = feed.iter().flat_map(|(_, entry)| &entry.records);
        let steps = steps.flat_map(|difference| &difference.requests);
        let steps: Vec<(Step, &str, Option<&str>)> =
            steps.map(|step| (step.step, step.state.as_str(), step.by.as_deref())).collect();
        let expected = [
            (Step::Opened, "pending", Some("anna")),
            (Step::Approved, "effective", Some("ben")),
            (Step::Effective, "effective", None),
        ];
        assert_eq!(steps, expected);
    }
    net.assert_equal();
}

#[test]
fn the_audit_finds_issues_that_do_not_follow() {
    let mut net = net(&["EMEA"], Policy::built_in());
    let says = format!("{{\"customer\":\"{}\"}}", record(2));
    write(&mut net, 0, record(1), &[("relation/parent", &says)]).unwrap();
    net.assert_sound(0);
    let whole = net.nodes[0].store.clone();
    let key = layout::record_key(layout::ISSUES, &record(1));
    let mut told = issues(&net, 0, &record(1));
    told[0].text = "All is well.".to_owned();
    let altered = crdt_model::value::canonical_json(&told).into_bytes();
    let mark = layout::issue_mark("hierarchy-break", &record(1));
    let stray = layout::issue_mark("conflict", &record(1));
    for (op, expected) in [
        (Op::Put(key.clone(), altered), "the stored issues are not those that follow"),
        (Op::Put(key.clone(), b"{".to_vec()), "its stored issues are damaged"),
        (Op::Delete(key), "the stored issues are not those that follow"),
        (Op::Delete(mark), "it is missing among those with its issues"),
        (Op::Put(stray, Vec::new()), "the store has 2 marks of issues, not 1"),
    ] {
        net.nodes[0].store = whole.clone();
        net.nodes[0].store.apply(&[op]);
        let problems = net.problems(0);
        assert!(problems[0].contains(expected), "{problems:?}");
    }
    net.nodes[0].store = whole;
    let due = layout::record_key(layout::DUE, &record(1));
    assert!(net.nodes[0].store.get(&due).unwrap().is_none());
}

#[test]
fn a_number_typed_in_counts_as_claimed_also_when_it_was_only_proposed() {
    let mut policy = numbers_policy();
    let terms = FourEyes { approvals: 1, exempt: Vec::new(), only_raise: false, at_creation: true };
    policy.four_eyes.insert("identity/customer_number/{number}".to_owned(), terms);
    let mut net = net(&["EMEA"], policy);
    let first = numbered(&mut net, 0, 1);
    // Lose the count of the lane: the marks alone keep the number from being given again.
    let lanes = net.nodes[0].store.scan(b"s/lane/", b"s/lane/", 9).unwrap();
    let ops: Vec<Op> = lanes.into_iter().map(|(key, _)| Op::Delete(key)).collect();
    assert_eq!(ops.len(), 1);
    net.nodes[0].store.apply(&ops);
    assert_ne!(numbered(&mut net, 0, 2), first);
}
