//! Nodes that write one record, apart or together, with as little as it takes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, date};

use super::super::Slices;
use super::super::door::{Desk, Refusal};
use crate::claim::{Claim, ClaimSet, Clock, Origin};
use crate::golden_record::GoldenRecord;
use crate::id::{CommitRef, LogId, RecordId, Region, SourceName};
use crate::path::AttributePath;
use crate::policy::Policy;
use crate::survivorship::resolve;
use crate::time::Hlc;
use crate::value::{Assertion, Cell};

pub(super) const DAY: Date = date(2026, 6, 1);
pub(super) const SEGMENT: &str = "EU01";

#[derive(Clone)]
struct Commit {
    origin: Origin,
    clock: Clock,
    puts: Vec<(AttributePath, SourceName, Cell)>,
}

/// A node, and which commits it has.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) region: Region,
    source: SourceName,
    log: LogId,
    seen: BTreeSet<usize>,
    pub(super) is_teller: bool,
}

/// Every commit ever made, and the nodes.
pub(super) struct Network {
    pub(super) policy: Policy,
    commits: Vec<Commit>,
    pub(super) nodes: Vec<Node>,
}

impl Network {
    /// One node for each region; the first owns the segment.
    pub(super) fn new(regions: &[&str]) -> Self {
        let mut policy = Policy::built_in();
        policy.owners.insert("credit".to_owned(), regions[0].parse().unwrap());
        let mut network = Self { policy, commits: Vec::new(), nodes: Vec::new() };
        for region in regions {
            network.join(region, true);
        }
        network
    }

    pub(super) fn join(&mut self, region: &str, is_teller: bool) -> usize {
        let place = self.nodes.len();
        self.nodes.push(Node {
            region: region.parse().unwrap(),
            source: format!("erp-{}", region.to_lowercase()).parse().unwrap(),
            log: LogId::from_bytes([u8::try_from(place).unwrap() + 1; 16]),
            seen: BTreeSet::new(),
            is_teller,
        });
        place
    }

    /// The claims that a node has, as they lie in the document.
    pub(super) fn claims(&self, node: usize) -> ClaimSet {
        let (claims, clocks) = self.parts(node);
        ClaimSet::new(claims, clocks)
    }

    /// The same in another order, and some twice.
    pub(super) fn shuffled(&self, node: usize, seed: u64) -> ClaimSet {
        let (mut claims, clocks) = self.parts(node);
        claims.extend(claims.iter().take(3).cloned().collect::<Vec<_>>());
        claims.sort_by_key(|claim| {
            let key = format!("{seed} {} {}", claim.path, claim.origin.commit);
            *blake3::hash(key.as_bytes()).as_bytes()
        });
        ClaimSet::new(claims, clocks)
    }

    fn parts(&self, node: usize) -> (Vec<Claim>, BTreeMap<CommitRef, Clock>) {
        let seen = || self.nodes[node].seen.iter().map(|index| &self.commits[*index]);
        let mut claims = Vec::new();
        let mut clocks = BTreeMap::new();
        for commit in seen() {
            clocks.insert(commit.origin.commit, commit.clock.clone());
            for (path, source, cell) in &commit.puts {
                let is_replaced = seen().any(|later| {
                    later.origin.commit != commit.origin.commit
                        && later.clock.get(&commit.origin.commit.log)
                            >= Some(&commit.origin.commit.seq)
                        && later.puts.iter().any(|(p, s, _)| (p, s) == (path, source))
                });
                if !is_replaced {
                    claims.push(Claim {
                        path: path.clone(),
                        source: source.clone(),
                        assertion: Assertion::from_cell(cell),
                        origin: commit.origin.clone(),
                    });
                }
            }
        }
        (claims, clocks)
    }

    pub(super) fn slices(&self, node: usize) -> Slices {
        self.slices_of(&self.claims(node))
    }

    pub(super) fn slices_of(&self, claims: &ClaimSet) -> Slices {
        Slices::of(&self.policy, claims, &self.golden(claims), SEGMENT, DAY)
    }

    fn golden(&self, claims: &ClaimSet) -> GoldenRecord {
        let resolved = resolve(&self.policy, claims);
        GoldenRecord::from_resolved(RecordId::from_bytes([7; 16]), &resolved)
    }

    /// Writes through the door.
    pub(super) fn write(&mut self, node: usize, edits: &[(&str, &str)]) -> Result<(), Refusal> {
        let parsed: Vec<(AttributePath, Assertion)> = edits
            .iter()
            .map(|(path, says)| (full(path), Assertion::from_cell(&cell(says)).unwrap()))
            .collect();
        let Node { region, is_teller, .. } = self.nodes[node].clone();
        self.slices(node).admit(Desk { region: &region, is_teller }, &parsed)?;
        self.force(node, edits);
        Ok(())
    }

    /// Writes past the door, as a faulty or hostile node could.
    pub(super) fn force(&mut self, node: usize, edits: &[(&str, &str)]) {
        let Node { region, source, log, seen, .. } = self.nodes[node].clone();
        let mut clock = Clock::new();
        for commit in seen.iter().map(|index| &self.commits[*index]) {
            for (log, seq) in &commit.clock {
                let known = clock.entry(*log).or_default();
                *known = (*known).max(*seq);
            }
        }
        let seq = clock.get(&log).copied().unwrap_or_default() + 1;
        clock.insert(log, seq);
        let time = Hlc::from_ms(self.commits.len() as u64);
        let puts =
            edits.iter().map(|(path, says)| (full(path), source.clone(), cell(says))).collect();
        let origin = Origin { commit: CommitRef { log, seq }, time, region };
        self.nodes[node].seen.insert(self.commits.len());
        self.commits.push(Commit { origin, clock, puts });
    }

    /// Brings what one node has to another.
    pub(super) fn sync(&mut self, from: usize, to: usize) {
        let seen = self.nodes[from].seen.clone();
        self.nodes[to].seen.extend(seen);
    }

    pub(super) fn sync_all(&mut self) {
        for node in 1..self.nodes.len() {
            self.sync(node, 0);
        }
        for node in 1..self.nodes.len() {
            self.sync(0, node);
        }
    }
}

/// What a node believes is left of the limit.
pub(super) fn headroom(network: &Network, node: usize) -> i128 {
    let golden = network.golden(&network.claims(node));
    crate::credit::headroom(&golden, SEGMENT, DAY).unwrap().left
}

fn full(path: &str) -> AttributePath {
    format!("credit/{SEGMENT}/{path}").parse().unwrap()
}

fn cell(says: &str) -> Cell {
    if says == "null" { Cell::Null } else { Cell::Str(says.to_owned()) }
}

pub(super) fn money(amount: i64) -> String {
    format!(r#"{{"amount":{amount},"currency":"EUR"}}"#)
}

pub(super) fn transfer(from: &str, to: &str, amount: i64) -> String {
    format!(r#"{{"amount":{amount},"currency":"EUR","from":"{from}","to":"{to}"}}"#)
}
