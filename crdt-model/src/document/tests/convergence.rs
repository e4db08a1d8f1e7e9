//! Nodes that write apart and meet in any order hold the same record in the end.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const NODES: usize = 3;
const KEYS: [&str; 6] = [
    LEGAL,
    TERMS,
    "company/1000/payment_block@crm",
    "credit/EU01/limit@erp-emea",
    "bank/DE89370400440532013000@crm",
    "x/a/b@manual-emea",
];
const SCOPES: [Option<&str>; 3] = [None, Some("company/1000"), Some("credit/EU01")];

#[derive(Debug, Clone)]
enum Step {
    /// A node writes: keys and values, and how many of its versions back the writer looked.
    Write { node: usize, edits: Vec<(usize, Option<u8>)>, behind: usize },
    /// A node takes some of what another holds.
    Meet { from: usize, to: usize, at_most: usize },
    /// A node starts again with a new log.
    Restart { node: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let edits = vec((0..KEYS.len(), proptest::option::of(0..3_u8)), 1..4);
    prop_oneof![
        4 => (0..NODES, edits, 0..3_usize)
            .prop_map(|(node, edits, behind)| Step::Write { node, edits, behind }),
        3 => (0..NODES, 0..NODES, 1..8_usize)
            .prop_map(|(from, to, at_most)| Step::Meet { from, to, at_most }),
        1 => (0..NODES).prop_map(|node| Step::Restart { node }),
    ]
}

/// A commit as the history carries it: what it follows, and the change.
#[derive(Debug, Clone)]
struct Commit {
    author: Author,
    change: Vec<u8>,
    follows: Vec<CommitRef>,
    /// What its writer had looked at.
    saw: BTreeSet<CommitRef>,
}

struct Node {
    log: u8,
    seq: u64,
    commits: Vec<Commit>,
    /// Each with the commits in it.
    versions: Vec<(Version, BTreeSet<CommitRef>)>,
    document: CustomerDocument,
}

impl Node {
    fn new(log: u8) -> Self {
        let document = CustomerDocument::empty();
        Self { log, seq: 0, commits: Vec::new(), versions: vec![<_>::default()], document }
    }

    fn holds(&self, commit: &CommitRef) -> bool {
        self.commits.iter().any(|held| held.author.commit == *commit)
    }

    fn take(&mut self, commit: &Commit) {
        let seen = |earlier: &CommitRef| commit.follows.contains(earlier);
        self.document =
            self.document.admit_seen(&commit.author, &commit.change, &seen).unwrap().document;
        self.commits.push(commit.clone());
        let held = self.commits.iter().map(|held| held.author.commit).collect();
        self.versions.push((self.document.version(), held));
    }

    fn write(&mut self, edits: &[(usize, Option<u8>)], behind: usize) {
        let edits: BTreeMap<_, _> = edits.iter().copied().collect();
        let edits: Vec<_> = edits
            .into_iter()
            .map(|(at, value)| match value {
                Some(value) => edit(KEYS[at], &value.to_string()),
                None => removal(KEYS[at]),
            })
            .collect();
        let writer = author(self.log, self.seq + 1);
        let (base, saw) = self.versions[self.versions.len().saturating_sub(behind + 1)].clone();
        if let Some(change) = self.document.propose(&writer, &edits, Some(&base)).unwrap() {
            self.seq += 1;
            let follows = self.commits.iter().map(|held| held.author.commit).collect();
            self.take(&Commit { author: writer, change, follows, saw });
        }
    }
}

fn meet(nodes: &mut [Node], from: usize, to: usize, at_most: usize) {
    let missing: Vec<Commit> = nodes[from]
        .commits
        .iter()
        .filter(|commit| !nodes[to].holds(&commit.author.commit))
        .take(at_most)
        .cloned()
        .collect();
    missing.iter().for_each(|commit| nodes[to].take(commit));
}

fn run(steps: &[Step]) -> Vec<Node> {
    let mut logs = 1..=u8::MAX;
    let mut nodes: Vec<Node> = logs.by_ref().take(NODES).map(Node::new).collect();
    for step in steps {
        match step {
            Step::Write { node, edits, behind } => nodes[*node].write(edits, *behind),
            Step::Meet { from, to, at_most } => meet(&mut nodes, *from, *to, *at_most),
            Step::Restart { node } => {
                nodes[*node].log = logs.next().unwrap();
                nodes[*node].seq = 0;
            }
        }
    }
    nodes
}

/// Delivers `commits` to a fresh document, each time choosing one whose causes are there.
fn deliver(commits: &[Commit], choices: &[usize]) -> CustomerDocument {
    let mut node = Node::new(0);
    let mut choices = choices.iter().cycle();
    while node.commits.len() < commits.len() {
        let ready: Vec<&Commit> = commits
            .iter()
            .filter(|commit| !node.holds(&commit.author.commit))
            .filter(|commit| commit.follows.iter().all(|cause| node.holds(cause)))
            .collect();
        node.take(ready[choices.next().unwrap() % ready.len()]);
    }
    node.document
}

/// What the claims must be by the definition of a multi-value register, worked out without Automerge.
fn expected(commits: &[Commit]) -> Vec<(String, CommitRef, Cell)> {
    let mut live: Vec<(String, CommitRef, u64, Cell)> = Vec::new();
    let mut replaced = Vec::new();
    for commit in commits {
        let content = Content::decode(&commit.change).unwrap();
        for (counter, put) in (content.start..).zip(content.puts) {
            replaced.extend(put.replaces.iter().map(|id| (id.log, id.counter)));
            live.push((put.key.to_string(), commit.author.commit, counter, put.said.into_cell()));
        }
    }
    live.retain(|(_, commit, counter, _)| !replaced.contains(&(commit.log, *counter)));
    let mut live: Vec<_> = live.into_iter().map(|(key, by, _, cell)| (key, by, cell)).collect();
    live.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    live
}

fn found(document: &CustomerDocument) -> Vec<(String, CommitRef, Cell)> {
    let claims = document.claims();
    let mut found: Vec<_> = claims
        .claims()
        .iter()
        .map(|claim| {
            let key = format!("{}@{}", claim.path, claim.source);
            (key, claim.origin.commit, claim.assertion.as_ref().unwrap().to_cell())
        })
        .collect();
    found.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    found
}

/// Who founded each scope, by the definition: the earliest of the commits that put a key of it.
fn expected_founders<'a>(
    commits: &(impl Iterator<Item = &'a Commit> + Clone),
) -> [Option<CommitRef>; 3] {
    SCOPES.map(|scope| {
        let wrote = commits.clone().filter(|commit| {
            let puts = Content::decode(&commit.change).unwrap().puts;
            scope.is_none() || puts.iter().any(|put| crate::claim::scope(&put.key.path) == scope)
        });
        wrote.map(|commit| (commit.author.time, commit.author.commit)).min().map(|(_, first)| first)
    })
}

fn founders(claims: &ClaimSet) -> [Option<CommitRef>; 3] {
    SCOPES.map(|scope| claims.founder(scope).map(|origin| origin.commit))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn replicas_converge_in_any_order_of_delivery(
        steps in vec(step(), 1..40),
        choices in vec(any::<usize>(), 16),
    ) {
        let mut nodes = run(&steps);
        for _ in 0..2 {
            for to in 0..NODES {
                for from in 0..NODES {
                    meet(&mut nodes, from, to, usize::MAX);
                }
            }
        }
        let commits = nodes[0].commits.clone();
        let shuffled = deliver(&commits, &choices);
        let claims = shuffled.claims();
        for document in nodes.iter().map(|node| &node.document) {
            prop_assert_eq!(document.version(), shuffled.version());
            let theirs = document.claims();
            // The founders too, whatever was overwritten on the way.
            prop_assert_eq!(&theirs, &claims);
            prop_assert_eq!(document.history(), shuffled.history());
        }
        prop_assert_eq!(founders(&claims), expected_founders(&commits.iter()));
        let history = shuffled.history();
        for (index, change) in history.iter().enumerate() {
            let then = shuffled.claims_at(&change.version).unwrap();
            let held: BTreeSet<_> = history[..=index].iter().map(|c| c.origin.commit).collect();
            let held = commits.iter().filter(|commit| held.contains(&commit.author.commit));
            prop_assert_eq!(founders(&then), expected_founders(&held));
        }
        prop_assert_eq!(found(&shuffled), expected(&commits));
        // A claim has seen another exactly when its writer had looked at the other.
        for later in claims.claims() {
            let commit = commits.iter().find(|c| c.author.commit == later.origin.commit).unwrap();
            for earlier in claims.claims().iter().map(|claim| claim.origin.commit) {
                let saw = commit.saw.contains(&earlier) || earlier == later.origin.commit;
                prop_assert_eq!(claims.has_seen(&later.origin.commit, &earlier), saw);
            }
        }
        let loaded = CustomerDocument::load(&shuffled.save()).unwrap();
        prop_assert_eq!(loaded.claims(), claims);
        assert_is_what_automerge_reads(&shuffled);
    }
}
