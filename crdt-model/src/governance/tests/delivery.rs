//! Requests and decisions made anywhere, delivered in any order, give one answer: that of a count which
//! knows nothing of documents.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::scene::{approve, ask, reject, says};
use super::{BANK, LANGUAGE, LIMIT};
use crate::document::{Author, ClaimEdit, CustomerDocument};
use crate::golden_record::GoldenRecord;
use crate::governance::{RequestState, Verdict, Who, govern, judge};
use crate::id::{CommitRef, LogId, RecordId};
use crate::policy::Policy;
use crate::survivorship::resolve;
use crate::time::Hlc;

const NODES: usize = 3;
const REGIONS: [&str; NODES] = ["EMEA", "APAC", "AMER"];
const PEOPLE: [&str; 5] = ["anna", "ben", "eve", "tom", "uma"];
const ORDERS: usize = 50;
const EDITS: [(&str, &str); 4] = [
    (LANGUAGE, r#""de""#),
    (LANGUAGE, "null"),
    (LIMIT, r#"{"amount":500,"currency":"EUR"}"#),
    (BANK, super::ACCOUNT),
];

#[derive(Debug, Clone)]
enum Step {
    Ask { node: usize, who: usize, needed: u8, edit: usize },
    Decide { node: usize, who: usize, request: usize, approves: bool },
    Write { node: usize, edit: usize },
    Meet { from: usize, to: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let (node, who) = (0..NODES, 0..PEOPLE.len());
    prop_oneof![
        2 => (node.clone(), who.clone(), 1..4_u8, 0..EDITS.len())
            .prop_map(|(node, who, needed, edit)| Step::Ask { node, who, needed, edit }),
        6 => (node.clone(), who, any::<usize>(), prop::bool::weighted(0.8)).prop_map(
            |(node, who, request, approves)| Step::Decide { node, who, request, approves }
        ),
        1 => (node.clone(), 0..EDITS.len()).prop_map(|(node, edit)| Step::Write { node, edit }),
        4 => (node.clone(), node).prop_map(|(from, to)| Step::Meet { from, to }),
    ]
}

/// What a commit did, for the count.
#[derive(Debug, Clone)]
enum Deed {
    Asked { request: usize, who: usize, needed: u8 },
    Decided { request: usize, who: usize, verdict: Verdict },
    Wrote,
}

#[derive(Debug, Clone)]
struct Commit {
    author: Author,
    change: Vec<u8>,
    follows: BTreeSet<CommitRef>,
    deed: Deed,
}

#[derive(Default)]
struct Network {
    commits: Vec<Commit>,
    /// By node, the places of the commits that it holds, and the record that they make.
    nodes: Vec<(BTreeSet<usize>, CustomerDocument)>,
    requests: usize,
}

fn admit(document: &CustomerDocument, commit: &Commit) -> CustomerDocument {
    let seen = |earlier: &CommitRef| commit.follows.contains(earlier);
    document.admit_seen(&commit.author, &commit.change, &seen).unwrap().document
}

impl Network {
    fn run(steps: &[Step]) -> Self {
        let nodes = vec![(BTreeSet::new(), CustomerDocument::empty()); NODES];
        let mut network = Self { nodes, ..Self::default() };
        for step in steps {
            network.step(step);
        }
        network
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Ask { node, who, needed, edit } => {
                let request = self.requests;
                let edits = ask(&id(request), PEOPLE[who], "crm", needed, &[EDITS[edit]]);
                self.requests += 1;
                self.write(node, PEOPLE[who], &edits, Deed::Asked { request, who, needed });
            }
            Step::Decide { node, who, request, approves } => {
                let Some(request) = request.checked_rem(self.requests) else { return };
                let known =
                    govern(&self.nodes[node].1.claims()).requests.contains_key(&id(request));
                let (fact, verdict) = match approves {
                    true => (approve(&id(request), PEOPLE[who]), Verdict::Approve),
                    false => (reject(&id(request), PEOPLE[who]), Verdict::Reject),
                };
                if known {
                    let deed = Deed::Decided { request, who, verdict };
                    self.write(node, PEOPLE[who], &[fact], deed);
                }
            }
            Step::Write { node, edit } => {
                let (path, json) = EDITS[edit];
                self.write(node, "anna", &[says(path, "crm", json)], Deed::Wrote);
            }
            Step::Meet { from, to } => {
                let missing = &self.nodes[from].0 - &self.nodes[to].0;
                for place in missing {
                    let (held, document) = &mut self.nodes[to];
                    *document = admit(document, &self.commits[place]);
                    held.insert(place);
                }
            }
        }
    }

    /// Writes what the verdict lets pass.
    fn write(&mut self, node: usize, principal: &str, edits: &[ClaimEdit], deed: Deed) {
        let (held, document) = &mut self.nodes[node];
        let region = REGIONS[node].parse().unwrap();
        let who = Who { principal, region: &region, creates: document.is_empty() };
        if judge(&Policy::built_in(), &who, edits, &|| document.claims()).is_err() {
            return;
        }
        let place = self.commits.len();
        let log = LogId::from_bytes([u8::try_from(node).unwrap() + 1; 16]);
        let commit = CommitRef { log, seq: place as u64 + 1 };
        // The clocks of the nodes are apart, and never behind what they have seen.
        let ms = 1_000 * place as u64 + [0, 7_000, 3_000][node];
        let latest = held.iter().map(|place| self.commits[*place].author.time).max();
        let time = latest.unwrap_or_default().tick(ms);
        let author = Author { commit, time: time.max(Hlc::from_ms(ms)), region };
        let Some(change) = document.propose(&author, edits, None).unwrap() else { return };
        let follows = held.iter().map(|place| self.commits[*place].author.commit).collect();
        self.commits.push(Commit { author, change, follows, deed });
        *document = admit(document, &self.commits[place]);
        held.insert(place);
    }

    /// The record after the commits came in some order, some of them twice.
    fn delivered(&self, choices: &mut impl Iterator<Item = usize>) -> CustomerDocument {
        let mut document = CustomerDocument::empty();
        let mut held: BTreeSet<CommitRef> = BTreeSet::new();
        while held.len() < self.commits.len() {
            let ready = self.commits.iter().filter(|commit| commit.follows.is_subset(&held));
            let (again, new): (Vec<&Commit>, Vec<&Commit>) =
                ready.partition(|commit| held.contains(&commit.author.commit));
            let choice = choices.next().unwrap();
            document = admit(&document, new[choice % new.len()]);
            held.insert(new[choice % new.len()].author.commit);
            if let Some(repeated) = choice.checked_rem(2 * again.len()).and_then(|at| again.get(at))
            {
                document = admit(&document, repeated);
            }
        }
        document
    }

    /// The states by a count over the list of deeds.
    fn counted(&self) -> BTreeMap<String, &'static str> {
        let mut states = BTreeMap::new();
        for commit in &self.commits {
            let Deed::Asked { request: asked, who: asker, needed } = commit.deed else { continue };
            let decisions: Vec<(usize, Verdict, &Commit)> = self
                .commits
                .iter()
                .filter_map(|commit| match commit.deed {
                    Deed::Decided { request, who, verdict } if request == asked => {
                        Some((who, verdict, commit))
                    }
                    Deed::Decided { .. } | Deed::Asked { .. } | Deed::Wrote => None,
                })
                .collect();
            let approvers = |within: &dyn Fn(&CommitRef) -> bool| {
                let approve = decisions.iter().filter(|(who, verdict, commit)| {
                    *verdict == Verdict::Approve && *who != asker && within(&commit.author.commit)
                });
                approve.map(|(who, _, _)| *who).collect::<BTreeSet<usize>>().len()
            };
            let needed = usize::from(needed);
            let is_rejected = decisions.iter().any(|(_, verdict, commit)| {
                let seen = |approval: &CommitRef| commit.follows.contains(approval);
                *verdict == Verdict::Reject && approvers(&seen) < needed
            });
            let state = match (is_rejected, approvers(&|_| true) >= needed) {
                (true, _) => "rejected",
                (false, true) => "effective",
                (false, false) => "pending",
            };
            states.insert(id(asked), state);
        }
        states
    }
}

fn id(request: usize) -> String {
    format!("r{request}")
}

const fn word(state: &RequestState) -> &'static str {
    match state {
        RequestState::Pending => "pending",
        RequestState::Effective { .. } => "effective",
        RequestState::Rejected => "rejected",
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn fifty_orders_of_delivery_give_the_states_of_a_simple_count(
        steps in vec(step(), 1..40),
        choices in vec(any::<usize>(), 61),
    ) {
        let network = Network::run(&steps);
        let policy = Policy::built_in();
        let mut choices = choices.into_iter().cycle();
        let mut first: Option<Vec<u8>> = None;
        for _ in 0..ORDERS {
            let document = network.delivered(&mut choices);
            let resolved = resolve(&policy, &document.claims());
            let states = resolved.requests.iter().map(|(id, of)| (id.clone(), word(&of.state)));
            prop_assert_eq!(states.collect::<BTreeMap<_, _>>(), network.counted());
            let golden = GoldenRecord::from_resolved(RecordId::from_bytes([9; 16]), &resolved);
            let bytes = golden.to_bytes();
            prop_assert_eq!(&GoldenRecord::from_bytes(&bytes).unwrap(), &golden);
            prop_assert_eq!(first.get_or_insert_with(|| bytes.clone()), &bytes);
        }
    }

    /// What no door would let pass still gives an answer, the same in every order.
    #[test]
    fn no_facts_make_the_count_panic(
        facts in vec((0..9_usize, 0..8_usize, 0..3_u8, 1..3_u64, 0..3_usize, any::<u32>()), 0..40),
        swap in any::<prop::sample::Index>(),
    ) {
        use crate::claim::{Claim, ClaimSet, Clock, Origin};
        use crate::value::{Assertion, Cell};
        const PATHS: [&str; 9] = [
            "request/a/opened", "request/a/edit/general%2Flanguage", "request/a/decision/ben",
            "request/a/decision/eve", "request/a/lease", "override/general%2Flanguage",
            "general/language", "request/b", "block/payment",
        ];
        const SAYS: [&str; 7] = [
            r#"{"by":"anna","needed":1}"#, r#"{"verdict":"approve"}"#, r#"{"verdict":"reject"}"#,
            r#"{"value":"{\"path\":\"general/language\",\"says\":\"de\"}"}"#,
            r#"{"value":"{\"ends\":\"source-changes\",\"path\":\"general/language\",\"says\":\"en\"}"}"#,
            r#"{"by":"ben","until":"2027-01-01T00:00:00Z"}"#, "{broken",
        ];
        let log = |n: u8| LogId::from_bytes([n; 16]);
        let mut clocks: BTreeMap<CommitRef, Clock> = BTreeMap::new();
        let claims: Vec<Claim> = facts.iter().map(|(path, says, by, seq, region, sees)| {
            let commit = CommitRef { log: log(*by), seq: *seq };
            let seen = (0..3_u8).map(|n| (log(n), u64::from(sees >> (2 * n) & 3)));
            clocks.insert(commit, seen.collect());
            let cell = SAYS.get(*says).map_or(Cell::Null, |text| Cell::Str((*text).to_owned()));
            Claim {
                path: PATHS[*path].parse().unwrap(),
                source: "crm".parse().unwrap(),
                assertion: Assertion::from_cell(&cell),
                origin: Origin {
                    commit,
                    time: Hlc::from_ms(u64::from(sees >> 8 & 7)),
                    region: REGIONS[*region].parse().unwrap(),
                },
            }
        }).collect();
        let mut other = claims.clone();
        if !other.is_empty() {
            let at = swap.index(other.len());
            other.rotate_left(at);
            other.push(other[0].clone());
        }
        let [one, other] = [claims, other].map(|claims| {
            let resolved = resolve(&Policy::built_in(), &ClaimSet::new(claims, clocks.clone()));
            GoldenRecord::from_resolved(RecordId::from_bytes([9; 16]), &resolved).to_bytes()
        });
        prop_assert_eq!(one, other);
    }
}
