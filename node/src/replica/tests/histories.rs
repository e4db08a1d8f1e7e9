//! Random histories of eight sources over every kind of attribute, with requests and decisions, and a
//! policy that changes in between: delivered in fifty random orders with duplicates, the policies at
//! random moments among them, every store comes to the same golden bytes, issues, decisions and
//! quarantine.

use std::collections::BTreeMap;

use crdt_model::governance::{Verdict as Word, decision};
use crdt_model::id::{CommitRef, RecordId};
use crdt_model::policy::{Check, FourEyes, NumberRange, Policy, Rule, Severity};
use crdt_model::value::{Assertion, Cell};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::ahead::comes_to_the_same;
use super::net::{Net, START_MS, member, network_key, record, request};
use crate::kv::{Memory, View as _};
use crate::replica::commit::Commit;
use crate::replica::event::{Event, Ticket, WriteRequest};
use crate::replica::history::{History, Place};
use crate::replica::layout;
use crate::replica::records::Records;
use crate::replica::roster::{Member, PolicyEntry, Roster};
use crate::replica::verify::verify;

const ORDERS: u64 = 50;
const MINUTE: u64 = 60_000;
const RECORDS: u64 = 3;

/// Eight sources, two or three of each region.
const SOURCES: [(usize, &str); 8] = [
    (0, "erp-emea"),
    (0, "crm-emea"),
    (0, "manual-emea"),
    (1, "erp-apac"),
    (1, "crm-apac"),
    (2, "erp-amer"),
    (2, "register-us"),
    (2, "manual-amer"),
];

/// One attribute of each kind and rule, with what may be said of it. `@1` stands for a record.
const SAYS: [(&str, [&str; 3]); 22] = [
    ("name/legal", ["Acme", "Acme Ltd", "ACME"]),
    ("general/language", ["de", "en", "no such language"]),
    ("general/website", ["https://a.example/", "https://b.example/", "https://c.example/"]),
    ("identity/home_region", ["EMEA", "APAC", "AMER"]),
    ("identity/lifecycle_status", ["prospect", "active", "archived"]),
    ("identity/customer_number/EU-00000001-59", ["true", "true", "true"]),
    ("identity/customer_number/EU-00000001-58", ["true", "true", "true"]),
    ("tax_id/DE:VAT:DE136695976", [TAX, TAX, TAX]),
    ("company/1000/payment_terms", ["NT30", "NT60", "ZB99"]),
    ("company/1000/clearing_with_vendor", ["true", "false", "true"]),
    ("company/1000/payment_block", [BLOCK, BLOCK_UNTIL, BLOCK]),
    ("vendor/1000/clearing_with_customer", ["false", "true", "false"]),
    ("vendor/1000/payment_block", [BLOCK_UNTIL, BLOCK, BLOCK]),
    ("credit/EU01/limit", [EURO_10, EURO_5, "{\"amount\":700,\"currency\":\"USD\"}"]),
    ("credit/EU01/exposure/EMEA", [EURO_5, EURO_10, EURO_10]),
    ("credit/EU01/risk_class", ["low", "high", "medium"]),
    (BANK, [ACCOUNT, "{\"holder\":\"Acme\",\"iban\":\"DE89370400440532013000\"}", ACCOUNT]),
    (
        "relation/parent",
        ["{\"customer\":\"@1\"}", "{\"customer\":\"@2\"}", "{\"customer\":\"@9\"}"],
    ),
    ("relation/vendor/ERP:9", [VENDOR, VENDOR, VENDOR]),
    ("relation/other/a", [RELATED, RELATED, "{\"customer\":\"@9\",\"type\":\"branch\"}"]),
    ("compliance/sanctions", ["clear", "hit", "confirmed"]),
    ("x/segment", ["A", "B", "C"]),
];
const TAX: &str = "{\"country\":\"DE\",\"number\":\"DE136695976\",\"type\":\"VAT\"}";
const BLOCK: &str = "{\"reason\":\"dispute\"}";
const BLOCK_UNTIL: &str = "{\"reason\":\"audit\",\"valid_to\":\"2027-06-30\"}";
const EURO_5: &str = "{\"amount\":500,\"currency\":\"EUR\"}";
const EURO_10: &str = "{\"amount\":1000,\"currency\":\"EUR\"}";
const BANK: &str = "bank/DE89370400440532013000";
const ACCOUNT: &str = "{\"iban\":\"DE89370400440532013000\"}";
const VENDOR: &str = "{\"id\":\"9\",\"system\":\"ERP\"}";
const RELATED: &str = "{\"customer\":\"@2\",\"type\":\"branch\"}";

/// What happens.
#[derive(Debug, Clone)]
enum Step {
    /// A source says something of a record, or takes back what it said.
    Say { source: usize, record: u64, what: usize, which: usize },
    /// Somebody asks a second person.
    Ask { source: usize, record: u64, what: usize, which: usize },
    /// Somebody decides on the requests that his node holds.
    Decide { at: usize, who: u8, approve: bool },
    /// Two nodes meet and part again.
    Meet(usize, usize),
    /// The next policy is brought to a node, in force a minute later.
    Policy(usize),
    /// Time passes.
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let said = || (0..SOURCES.len(), 0..RECORDS, 0..SAYS.len(), 0..4_usize);
    prop_oneof![
        10 => said().prop_map(|(source, record, what, which)| Step::Say { source, record, what, which }),
        3 => said().prop_map(|(source, record, what, which)| Step::Ask { source, record, what, which }),
        3 => (0..3_usize, 0..3_u8, any::<bool>())
            .prop_map(|(at, who, approve)| Step::Decide { at, who, approve }),
        3 => (0..3_usize, 0..3_usize).prop_map(|(one, other)| Step::Meet(one, other)),
        1 => (0..3_usize).prop_map(Step::Policy),
        2 => Just(Step::Wait),
    ]
}

/// The few attributes of one history, so that what is said of them meets.
fn focus() -> impl Strategy<Value = Vec<usize>> {
    prop::sample::subsequence((0..SAYS.len()).collect::<Vec<_>>(), 7)
}

/// Policies that differ in rules, owners, checks, number ranges and what needs a second person.
fn policy(version: u32) -> Policy {
    let mut policy = Policy { version, ..Policy::built_in() };
    policy.owners.insert("credit/EU01".to_owned(), "EMEA".parse().unwrap());
    let range = |to| NumberRange { prefix: "EU".to_owned(), from: 1, to };
    policy.numbers.insert("EMEA".parse().unwrap(), range(u64::from(version) * 5));
    if version.is_multiple_of(2) {
        policy.source_kinds = vec!["erp".to_owned(), "crm".to_owned(), "register".to_owned()];
        policy.rules.insert("general/website".to_owned(), Rule::SourcePriority);
        policy.rules.insert("relation/parent".to_owned(), Rule::Oldest);
        let terms = FourEyes {
            approvals: 1,
            exempt: vec!["erp".to_owned()],
            only_raise: false,
            at_creation: version.is_multiple_of(4),
        };
        policy.four_eyes.insert("bank/{iban}".to_owned(), terms);
    } else {
        policy.rules.insert("name/legal".to_owned(), Rule::MostFrequent);
        policy.owners.insert("company/1000".to_owned(), "APAC".parse().unwrap());
        let check = Check {
            applies: vec!["general/website".to_owned()],
            expression: "value.endsWith(\"a.example/\")".to_owned(),
            text: "Only A is right.".to_owned(),
            severity: Severity::Warning,
        };
        policy.checks.insert("website".to_owned(), check);
    }
    policy
}

fn says(text: &str) -> Assertion {
    let named = (1..10).fold(text.to_owned(), |text, number| {
        text.replace(&format!("@{number}"), &record(number).to_string())
    });
    let cell = match named.as_str() {
        "true" => Cell::Bool(true),
        "false" => Cell::Bool(false),
        text => Cell::Str(text.to_owned()),
    };
    Assertion::from_cell(&cell).unwrap()
}

fn asked(source: usize, of: u64, what: usize, which: usize) -> (usize, WriteRequest) {
    let (at, name) = SOURCES[source];
    let mut request = request(at, record(of), &[]);
    request.source = name.parse().unwrap();
    request.provenance.principal = format!("clerk-{at}");
    let (path, texts) = SAYS[what];
    let assertion = texts.get(which).map_or(Assertion::Tombstone, |text| says(text));
    request.records[0].edits.push((path.parse().unwrap(), assertion));
    (at, request)
}

/// Runs the steps on three replicas; gives them all caught up, under the newest policy.
fn run(steps: &[Step], focus: &[usize]) -> (Net, Roster) {
    let mut roster = Roster::found("test", &network_key()).unwrap();
    for (at, region) in ["EMEA", "APAC", "AMER"].iter().enumerate() {
        let region = region.parse().unwrap();
        roster.admit(Member { region, ..member(at) }, &network_key()).unwrap();
    }
    let mut net = Net::with_roster(roster.clone(), 3);
    net.tick(1);
    for step in steps {
        match step {
            // What a door refuses is not written; that is no matter here.
            Step::Say { source, record, what, which } => {
                let (at, request) = asked(*source, *record, focus[*what % focus.len()], *which);
                drop(net.write(at, request));
            }
            Step::Ask { source, record, what, which } => {
                let (at, request) = asked(*source, *record, focus[*what % focus.len()], *which);
                drop(net.write(at, WriteRequest { propose: true, ..request }));
            }
            Step::Decide { at, who, approve } => decide(&mut net, *at, *who, *approve),
            Step::Meet(one, other) if one != other => {
                let link = net.meet(*one, *other);
                net.cut(link);
            }
            Step::Meet(..) => {}
            Step::Policy(at) => {
                let (newest, _) = roster.newest_policy();
                let next = PolicyEntry::new(policy(newest.version + 1), net.now_ms + MINUTE);
                if roster.put_policy(next, &network_key()).is_ok() {
                    let roster = roster.encode();
                    net.event(*at, Event::AdoptRoster { ticket: Ticket(1), roster });
                }
            }
            Step::Wait => {
                net.tick(MINUTE / 2);
            }
        }
    }
    for (one, other) in [(0, 1), (1, 2), (2, 0), (0, 1)] {
        net.meet(one, other);
    }
    for at in 0..3 {
        let roster = roster.encode();
        net.event(at, Event::AdoptRoster { ticket: Ticket(1), roster });
    }
    net.wait(5);
    net.tick(2 * MINUTE);
    net.wait(60);
    (net, roster)
}

fn decide(net: &mut Net, at: usize, who: u8, approve: bool) {
    let records = Records::new(&net.nodes[at].store);
    let pending = records.with_tasks(None, 9).unwrap();
    let mut facts = Vec::new();
    for id in pending {
        let golden = records.golden(&id).unwrap().unwrap();
        for (request, of) in &golden.requests {
            if of.is_open() {
                facts.push((id, request.clone()));
            }
        }
    }
    for (id, of) in facts {
        let (principal, source) = (format!("boss-{who}"), "manual-desk".parse().unwrap());
        let verdict = if approve { Word::Approve } else { Word::Reject };
        let fact = decision(&of, &principal, verdict, None, &source).unwrap();
        let mut request = request(at, id, &[]);
        (request.source, request.provenance.principal) = (source, principal);
        request.records[0].edits.push((fact.key.path, fact.assertion));
        drop(net.write(at, request));
    }
}

/// Everything that a store shows: golden bytes with their requests, issues, quarantine.
type Shown =
    (BTreeMap<Vec<u8>, Vec<u8>>, BTreeMap<Vec<u8>, Vec<u8>>, Vec<(RecordId, CommitRef, String)>);

fn shown(store: &Memory) -> Shown {
    let all = |kind: u8| store.scan(&[kind], &[kind], usize::MAX).unwrap().into_iter().collect();
    let items = Records::new(store).quarantined(None, usize::MAX).unwrap();
    let mut set_aside: Vec<_> =
        items.into_iter().map(|item| (item.record, item.commit, item.code)).collect();
    set_aside.sort();
    (all(layout::GOLDEN), all(layout::ISSUES), set_aside)
}

/// Small numbers that look random (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}

/// Delivers commits to a new store in a random order, some twice, roster entries and the clock moving
/// on at random moments in between.
fn deliver(commits: &[Commit], whole: &Roster, end_ms: u64, seed: u64) -> Memory {
    let mut dice = Dice(seed | 1);
    let mut store = Memory::new();
    // At first the members alone: the policies are still on their way.
    let mut heights = (4..=whole.height()).collect::<Vec<u64>>().into_iter().peekable();
    let first = heights.next().unwrap();
    let mut history = History::load(&store, part(whole, first), Policy::built_in()).unwrap();
    let mut clock = START_MS;
    let mut waiting: Vec<&Commit> = commits.iter().collect();
    let mut held: Vec<&Commit> = Vec::new();
    let mut stuck = 0;
    while !waiting.is_empty() {
        if dice.below(5) == 0 || stuck > waiting.len() * 4 {
            stuck = 0;
            if let Some(height) = heights.next() {
                let ops = history.adopt(part(whole, height), &store).unwrap();
                store.apply(&ops);
            }
        }
        clock = (clock + MINUTE * dice.below(3) as u64 / 2).min(end_ms);
        settle(&mut history, &mut store, clock, dice.below(3));
        let again = (dice.below(5) == 0 && !held.is_empty()).then(|| held[dice.below(held.len())]);
        let at = dice.below(waiting.len());
        let commit = again.unwrap_or(waiting[at]);
        match history.place(commit, &store).unwrap() {
            Place::Next { author, region } => {
                if dice.below(8) == 0 {
                    comes_to_the_same(&history, commit, (&author, &region), clock, &store);
                }
                let applied = history.take(commit, &author, &region, clock, &store).unwrap();
                store.apply(&applied.ops);
                held.push(waiting.remove(at));
                stuck = 0;
            }
            Place::Known | Place::MissingCause | Place::MissingEpoch => stuck += 1,
            other @ (Place::Fork(_) | Place::Void | Place::Unauthentic(_)) => panic!("{other:?}"),
        }
    }
    let ops = history.adopt(whole.clone(), &store).unwrap();
    store.apply(&ops);
    settle(&mut history, &mut store, end_ms, usize::MAX);
    let found = verify(&history, &store, &mut |_| ()).unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
    store
}

/// What a replica does between other work, a few turns of it.
fn settle(history: &mut History, store: &mut Memory, now_ms: u64, turns: usize) {
    history.activate(now_ms);
    for _ in 0..turns.min(10_000) {
        let ops = history.resolve_page(store).unwrap();
        store.apply(&ops);
        let due = history.look_again(store).unwrap();
        store.apply(&due);
        if ops.is_empty() && due.is_empty() {
            return;
        }
    }
}

/// The roster as it was at a height: what one that began with the members alone has heard by then.
fn part(whole: &Roster, height: u64) -> Roster {
    Roster::decode(&whole.cut_at(height)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn invariant_16_golden_bytes_issues_and_decisions_do_not_hang_on_the_order(
        steps in prop::collection::vec(step(), 20..70),
        focus in focus(),
        seed in any::<u64>(),
    ) {
        let (net, roster) = run(&steps, &focus);
        net.assert_equal();
        let expected = shown(&net.nodes[0].store);
        prop_assert_eq!(&shown(&net.nodes[1].store), &expected);
        prop_assert_eq!(&shown(&net.nodes[2].store), &expected);
        let records = Records::new(&net.nodes[0].store);
        let entries = records.feed(0, usize::MAX).unwrap();
        let commits: Vec<Commit> = entries
            .iter()
            .filter_map(|(_, entry)| entry.cause.commit())
            .map(|at| records.commit(at).unwrap().unwrap())
            .collect();
        for order in 0..ORDERS {
            let store = deliver(&commits, &roster, net.now_ms, seed.wrapping_add(order * 0x9e37_79b9));
            prop_assert_eq!(&shown(&store), &expected, "order {}", order);
        }
    }
}

/// That the histories are not empty words: over some of them, most kinds of issues, decisions and
/// policies occur.
#[test]
fn the_histories_have_issues_decisions_and_policies_in_them() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = prop::collection::vec(step(), 60..70);
    let mut codes = std::collections::BTreeSet::new();
    let (mut decided, mut versions) = (0, 0);
    for _ in 0..40 {
        let steps = strategy.new_tree(&mut runner).unwrap().current();
        let focus = focus().new_tree(&mut runner).unwrap().current();
        let (net, roster) = run(&steps, &focus);
        let records = Records::new(&net.nodes[0].store);
        for id in records.ids(None, 99).unwrap() {
            codes.extend(records.issues(&id).unwrap().into_iter().map(|issue| issue.code));
            let golden = records.golden(&id).unwrap().unwrap();
            decided += golden.requests.values().filter(|of| !of.approvals.is_empty()).count();
        }
        versions = versions.max(roster.newest_policy().0.version);
    }
    let expected = ["check", "conflict", "hierarchy-cycle", "number-shared", "tax-id-shared"];
    let found: Vec<&str> = codes.iter().map(String::as_str).collect();
    assert!(expected.iter().all(|code| found.contains(code)), "{found:?}");
    assert!(found.len() >= 10 && decided > 5 && versions > 3, "{found:?} {decided} {versions}");
}
