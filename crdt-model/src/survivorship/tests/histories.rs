//! Random histories through real documents: every order of delivery gives the same golden bytes, and
//! they are what the plain reference says.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use proptest::prelude::*;

use super::reference::{Commit, Put, Reference, Says, Terms};
use super::samples::{SAMPLES, SOURCES, day};
use super::scenario::cell;
use crate::document::{Author, ClaimEdit, CustomerDocument, Version};
use crate::golden_record::{GoldenRecord, Resolved};
use crate::id::{CommitRef, LogId, RecordId};
use crate::policy::{Policy, Rule};
use crate::survivorship::resolve;
use crate::time::Hlc;
use crate::value::{Assertion, Statement};

/// The regions of the nodes; two nodes are in one region.
const NODES: [&str; 4] = ["EMEA", "AMER", "APAC", "EMEA"];
const RULES: [Rule; 14] = [
    Rule::LastWriter,
    Rule::SourcePriority,
    Rule::Owner,
    Rule::AddWins,
    Rule::Least,
    Rule::Greatest,
    Rule::OwnerElseLeast,
    Rule::LatestElseGreatest,
    Rule::AnyBlock,
    Rule::Oldest,
    Rule::MostFrequent,
    Rule::MostComplete,
    Rule::Follow,
    Rule::Override,
];
/// The paths that one history writes on.
const FOCUS: usize = 4;
/// What the policy may name an owner of.
const OWNERS: [(&str, &str); 3] =
    [("company", "APAC"), ("company/1000", "AMER"), ("identity", "EMEA")];
const ORDERS: u64 = 50;
const DAYS: u8 = 6;

#[derive(Debug, Clone)]
struct Edit {
    /// Which of the paths in focus.
    path: usize,
    source: usize,
    says: Says,
}

#[derive(Debug, Clone)]
enum Step {
    /// A node writes. `behind`: how many versions ago the writer read the record.
    Write { node: usize, ms: u64, behind: usize, edits: Vec<Edit> },
    /// A node takes what another one holds, or the first of it.
    Meet { from: usize, to: usize, at_most: usize },
}

fn says() -> impl Strategy<Value = Says> {
    let on = || prop_oneof![2 => Just(None), 1 => (0..DAYS).prop_map(Some)];
    prop_oneof![
        10 => (0..4_usize, on(), on())
            .prop_map(|(sample, from, to)| Says::Value { sample, from, to }),
        1 => Just(Says::Tombstone),
        2 => Just(Says::Release),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let edit = (0..FOCUS, 0..SOURCES.len(), says()).prop_map(|(path, source, says)| Edit {
        path,
        source,
        says,
    });
    let edits = prop::collection::vec(edit, 1..4);
    let behind = prop_oneof![4 => Just(0), 1 => 1..4_usize];
    prop_oneof![
        3 => (0..NODES.len(), 0..12_u64, behind, edits)
            .prop_map(|(node, ms, behind, edits)| Step::Write { node, ms, behind, edits }),
        2 => (0..NODES.len(), 0..NODES.len(), 1..9_usize)
            .prop_map(|(from, to, at_most)| Step::Meet { from, to, at_most }),
    ]
}

fn terms() -> impl Strategy<Value = (Terms, Vec<usize>)> {
    let path = || 0..SAMPLES.len();
    (
        prop::collection::vec(prop::sample::select(&RULES[..]), SAMPLES.len()),
        prop::collection::vec(path(), FOCUS),
        prop::collection::vec(0..FOCUS, SAMPLES.len()),
        prop::option::of(prop::sample::select(&OWNERS[..])),
        any::<bool>(),
    )
        .prop_map(|(rules, mut focus, followed, owner, moves)| {
            if moves {
                // The home region moves with what is written on it.
                focus[0] = 0;
            }
            let follows = followed.into_iter().enumerate().map(|(path, next)| (path, focus[next]));
            let follows = follows.filter(|(path, next)| path != next).collect();
            (Terms { rules, follows, owner }, focus)
        })
}

/// A change as it travels.
struct Sent {
    author: Author,
    change: Vec<u8>,
}

#[derive(Default)]
struct History {
    commits: Vec<Commit>,
    puts: Vec<Put>,
    sent: Vec<Sent>,
}

struct Node {
    document: CustomerDocument,
    /// In the order of arrival.
    holds: Vec<usize>,
    /// Each version that the node has shown, and the commits in it.
    shown: Vec<(Version, BTreeSet<usize>)>,
    seq: u64,
}

impl Node {
    fn new() -> Self {
        let shown = vec![(Version::default(), BTreeSet::new())];
        Self { document: CustomerDocument::empty(), holds: Vec::new(), shown, seq: 0 }
    }

    fn take(&mut self, history: &History, commit: usize) {
        self.document = admit(&self.document, history, commit);
        if !self.holds.contains(&commit) {
            self.holds.push(commit);
        }
        self.shown.push((self.document.version(), self.holds.iter().copied().collect()));
    }
}

fn admit(document: &CustomerDocument, history: &History, commit: usize) -> CustomerDocument {
    let Sent { author, change } = &history.sent[commit];
    let held = &history.commits[commit].held;
    let seen = |of: &CommitRef| held.iter().any(|one| history.sent[*one].author.commit == *of);
    document.admit_seen(author, change, &seen).unwrap().document
}

fn assertion(path: usize, says: Says) -> Assertion {
    match says {
        Says::Tombstone => Assertion::Tombstone,
        Says::Release => Assertion::Release { reason: "done".to_owned() },
        Says::Value { sample, from, to } => {
            let cell = cell(SAMPLES[path].says[sample].cell);
            let Ok(Assertion::Stated(statement)) = Assertion::from_cell(&cell) else {
                panic!("{cell:?} states nothing")
            };
            let [valid_from, valid_to] = [from, to].map(|number| number.map(day));
            Assertion::Stated(Statement { valid_from, valid_to, ..statement })
        }
    }
}

fn edit(path: usize, source: usize, says: Says) -> ClaimEdit {
    let (at, source) = (SAMPLES[path].path.parse().unwrap(), SOURCES[source].parse().unwrap());
    ClaimEdit::new(at, source, assertion(path, says))
}

/// Two readings fall on one day.
fn time(ms: u64) -> Hlc {
    let start = day(0).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
    Hlc::from_ms(u64::try_from(start.as_millisecond()).unwrap() + ms * 12 * 3_600_000)
}

fn run(steps: &[Step], focus: &[usize]) -> History {
    let mut history = History::default();
    let mut nodes: Vec<Node> = NODES.iter().map(|_| Node::new()).collect();
    for step in steps {
        match step {
            Step::Meet { from, to, at_most } => {
                let missing: Vec<usize> = (nodes[*from].holds.iter().copied())
                    .filter(|commit| !nodes[*to].holds.contains(commit))
                    .take(*at_most)
                    .collect();
                missing.into_iter().for_each(|commit| nodes[*to].take(&history, commit));
            }
            Step::Write { node, ms, behind, edits } => {
                // Each register once.
                let edits: BTreeMap<(usize, usize), Says> = (edits.iter())
                    .map(|edit| {
                        let path = focus[edit.path];
                        ((path, edit.source), edit.says.on(path))
                    })
                    .collect();
                write(&mut history, &mut nodes, *node, *ms, *behind, &edits);
            }
        }
    }
    history
}

fn write(
    history: &mut History,
    nodes: &mut [Node],
    number: usize,
    ms: u64,
    behind: usize,
    edits: &BTreeMap<(usize, usize), Says>,
) {
    let (node, region) = (&mut nodes[number], NODES[number]);
    let log = u8::try_from(number + 1).unwrap();
    let seq = node.seq + 1;
    let (version, saw) = node.shown[node.shown.len().saturating_sub(behind + 1)].clone();
    let author = Author {
        commit: CommitRef { log: LogId::from_bytes([log; 16]), seq },
        time: time(ms),
        region: region.parse().unwrap(),
    };
    let claims: Vec<ClaimEdit> =
        (edits.iter()).map(|((path, source), says)| edit(*path, *source, *says)).collect();
    let Some(change) = node.document.propose(&author, &claims, Some(&version)).unwrap() else {
        return;
    };
    let commit = history.commits.len();
    let held = node.holds.iter().copied().collect();
    history.commits.push(Commit { log, seq, ms, region, held, saw });
    history.sent.push(Sent { author: author.clone(), change });
    node.seq = seq;
    node.take(history, commit);
    // What its key said already is not in the change.
    let changes = node.document.history();
    let made = changes.iter().find(|made| made.origin.commit == author.commit).unwrap();
    let puts = edits.iter().zip(&claims).map(|(((path, source), says), claim)| Put {
        commit,
        path: *path,
        source: *source,
        says: *says,
        is_new: made.cells.contains_key(&claim.key),
        is_written: (made.cells.keys())
            .any(|key| (&key.path, &key.source) == (&claim.key.path, &claim.key.source)),
    });
    history.puts.extend(puts);
}

/// Small numbers that look random (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// Delivers the history in a random order that keeps causes before effects, some commits twice.
fn deliver(history: &History, seed: u64) -> CustomerDocument {
    let mut dice = Dice(seed | 1);
    let mut document = CustomerDocument::empty();
    let mut waiting: Vec<usize> = (0..history.commits.len()).collect();
    let mut held: Vec<usize> = Vec::new();
    while !waiting.is_empty() {
        let is_ready =
            |commit: &usize| history.commits[*commit].held.iter().all(|c| held.contains(c));
        let ready: Vec<usize> = waiting.iter().copied().filter(is_ready).collect();
        let next = ready[dice.below(ready.len())];
        document = admit(&document, history, next);
        waiting.retain(|commit| *commit != next);
        held.push(next);
        if dice.below(4) == 0 {
            document = admit(&document, history, held[dice.below(held.len())]);
        }
    }
    document
}

fn policy(terms: &Terms) -> Policy {
    let mut policy = Policy::built_in();
    for (samples, rule) in SAMPLES.iter().zip(&terms.rules) {
        policy.rules.insert(samples.path.to_owned(), *rule);
    }
    for (path, next) in &terms.follows {
        policy.follows.insert(SAMPLES[*path].path.to_owned(), SAMPLES[*next].path.to_owned());
    }
    if let Some((part, region)) = terms.owner {
        policy.owners.insert(part.to_owned(), region.parse().unwrap());
    }
    policy
}

/// Compares one path on one day with what the reference says.
fn compare(
    resolved: &Resolved,
    golden: &GoldenRecord,
    reference: &Reference<'_>,
    path: usize,
    on: Date,
) -> Result<(), TestCaseError> {
    let at = SAMPLES[path].path.parse().unwrap();
    let resolution = resolved.at(&at, on);
    let winner = resolution.and_then(|resolution| resolution.winner.as_ref());
    let expected = reference.winner(path, on);
    let named = winner.map(|winner| (winner.source.to_string(), winner.origin.commit));
    let wanted = expected.map(|put| {
        let commit = &reference.commits[put.commit];
        let commit = CommitRef { log: LogId::from_bytes([commit.log; 16]), seq: commit.seq };
        (SOURCES[put.source].to_owned(), commit)
    });
    prop_assert_eq!(named, wanted, "{} on {}: {:?}", at, on, resolution);
    let value = expected.map(|put| match assertion(path, put.says) {
        Assertion::Stated(statement) => statement.value,
        Assertion::Tombstone | Assertion::Release { .. } => panic!("states nothing"),
    });
    let read = golden.at(on);
    let read = read.get(&at);
    prop_assert_eq!(read.and_then(|read| read.value.clone()), value, "{} on {}", at, on);
    let state = resolution.map_or((false, false), |it| (it.disagreement, it.conflict));
    let wanted = (reference.disagrees(path, on), reference.conflicts(path, on));
    prop_assert_eq!(state, wanted, "{} on {}: {:?}", at, on, resolution);
    Ok(())
}

fn golden(policy: &Policy, document: &CustomerDocument) -> (GoldenRecord, Resolved) {
    let resolved = resolve(policy, &document.claims());
    (GoldenRecord::from_resolved(RecordId::from_bytes([7; 16]), &resolved), resolved)
}

fn history() -> impl Strategy<Value = (Terms, Vec<usize>, Vec<Step>)> {
    (terms(), prop::collection::vec(step(), 1..36))
        .prop_map(|((terms, focus), steps)| (terms, focus, steps))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_people_read_is_what_the_reference_says(
        (terms, focus, steps) in history(),
        seed in any::<u64>(),
    ) {
        judge(&terms, &focus, &steps, seed)?;
    }
}

/// Whether a history is read as the reference says, on every day.
fn judge(terms: &Terms, focus: &[usize], steps: &[Step], seed: u64) -> Result<(), TestCaseError> {
    let history = run(steps, focus);
    let (golden, resolved) = golden(&policy(terms), &deliver(&history, seed));
    let reference = Reference { commits: &history.commits, puts: &history.puts, terms };
    for on in [Date::MIN, Date::MAX].into_iter().chain((0..=DAYS).map(day)) {
        for path in focus {
            compare(&resolved, &golden, &reference, *path, on)?;
        }
    }
    Ok(())
}

/// A value that is said again beside another edit is not in the change: with a clock that went back, it
/// founds nothing.
#[test]
fn what_is_not_written_founds_nothing() {
    let payment_block = SAMPLES.iter().position(|of| of.path == "company/1000/payment_block");
    let (path, says) =
        (payment_block.unwrap(), |sample| Says::Value { sample, from: None, to: None });
    let edit = |path, source, sample| Edit { path, source, says: says(sample) };
    let write = |node, ms, edits| Step::Write { node, ms, behind: 0, edits };
    let steps = [
        write(1, 8, vec![edit(3, 7, 1)]),
        write(1, 0, vec![edit(0, 0, 0), edit(3, 7, 1)]),
        write(2, 0, vec![edit(3, 0, 0)]),
    ];
    let rules =
        (0..SAMPLES.len()).map(|of| if of == path { Rule::Owner } else { Rule::LastWriter });
    let terms = Terms { rules: rules.collect(), follows: BTreeMap::new(), owner: None };
    judge(&terms, &[0, 0, 0, path], &steps, 0).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_order_of_delivery_gives_the_same_bytes(
        (terms, focus, steps) in history(),
        seed in any::<u64>(),
    ) {
        let history = run(&steps, &focus);
        let policy = policy(&terms);
        let (first, _) = golden(&policy, &deliver(&history, seed));
        for order in 1..ORDERS {
            let (other, _) = golden(&policy, &deliver(&history, seed.wrapping_add(order * 0x9e37_79b9)));
            prop_assert_eq!(other.to_bytes(), first.to_bytes());
        }
    }
}
