//! Requests as the facts tell them: what is proposed, who decided what, and whether it is effective.
//!
//! What an effective request does to the claims is not told here.

mod assertions;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::fact::{Fact, ProposedEdit, Verdict};
use crate::attribute;
use crate::claim::{Claim, ClaimSet, Effect, Origin};
use crate::id::{Region, SourceName};
use crate::path::AttributePath;
use crate::time::Hlc;
use crate::value::{Assertion, Scalar, Value};
use crate::version::Version;

/// The most requests of one region on one record that are shown: of pending ones the first, of decided
/// ones the latest.
///
/// A request beyond counts all the same: it blocks payments while it touches a bank account, and is
/// shown as soon as another one is decided. One member can crowd out the requests of its own region.
pub const REQUESTS_PER_REGION_MAX: usize = 64;

/// The most approvals, and the most rejections, of one region that count on one request: the first do.
const VOTES_PER_REGION_MAX: usize = 64;
/// The most times that one region opens one id: honest writers open it once.
const OPENINGS_PER_REGION_MAX: usize = 8;

/// What a request is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestKind {
    /// A change that needs a second person.
    #[default]
    Change,
    /// A change of what another region owns.
    Ownership,
}

impl RequestKind {
    /// As it is stored.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Ownership => "ownership",
        }
    }
}

/// A change request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Who asks.
    pub opened_by: String,
    /// The commit that opened it.
    pub opened: Origin,
    /// In whose name the edits stand.
    pub source: SourceName,
    /// What it is about.
    #[serde(default)]
    pub kind: RequestKind,
    /// The version that the requester saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Version>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What would change, as it would be stored. Not kept in the golden record once it is decided.
    #[serde(default, with = "assertions", skip_serializing_if = "BTreeMap::is_empty")]
    pub edits: BTreeMap<AttributePath, Assertion>,
    /// How many principals other than the requester must approve, as the policy said when the request
    /// was opened.
    pub needed: u8,
    /// Who approves, in causal order; among those apart, the earlier first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Decision>,
    /// Who rejects, in the same order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejections: Vec<Decision>,
    /// What has become of it.
    #[serde(flatten)]
    pub state: RequestState,
    /// Who works on it, as long as it is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// Why it can never take effect, for a clerk. It can still be rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaw: Option<String>,
}

/// What has become of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RequestState {
    /// It waits for decisions.
    Pending,
    /// Its edits are claims.
    Effective {
        /// The approval that decided.
        since: Origin,
    },
    /// Somebody who had not seen it effective rejected it.
    Rejected,
}

impl RequestState {
    /// What has become of it, in a word: `pending`, `effective` or `rejected`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Effective { .. } => "effective",
            Self::Rejected => "rejected",
        }
    }
}

/// The decision of one principal on a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Who.
    pub principal: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The commit.
    #[serde(flatten)]
    pub origin: Origin,
    /// Whether it counts. The requester's own approval does not, nor a second one of the same
    /// principal, nor a rejection by somebody who had seen the request effective.
    pub counts: bool,
}

/// Who works on a request, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who.
    pub by: String,
    /// Until when; whether it is over is for the reader to say.
    pub until: Hlc,
}

impl Request {
    /// Whether it waits for decisions and could take effect.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == RequestState::Pending && self.flaw.is_none()
    }

    /// What the golden record keeps: a pending request whole, of a decided one who did what and when.
    pub(crate) fn stored(&self) -> Self {
        let stored = self.clone();
        match self.state {
            RequestState::Pending => stored,
            RequestState::Effective { .. } | RequestState::Rejected => {
                Self { edits: BTreeMap::new(), ..stored }
            }
        }
    }
}

/// One request with what governs its edits.
pub(super) struct Reading {
    pub(super) id: String,
    pub(super) request: Request,
    pub(super) effect: Effect,
}

/// The facts about one id, in the order of the set.
#[derive(Default)]
struct Facts<'a> {
    opened: Vec<&'a Claim>,
    edits: Vec<&'a Claim>,
    votes: Vec<Vote<'a>>,
    leases: Vec<&'a Claim>,
}

/// A readable decision.
struct Vote<'a> {
    principal: String,
    verdict: Verdict,
    reason: Option<String>,
    claim: &'a Claim,
}

/// Every request of a record, in the order of ids.
///
/// A request is what one commit opened. Should two commits open one id, as only a hostile writer does,
/// they are two requests, and nobody who had seen both has approved either.
pub(super) fn read(claims: &ClaimSet) -> Vec<Reading> {
    let mut by_id: BTreeMap<String, Facts<'_>> = BTreeMap::new();
    for claim in claims.claims() {
        match Fact::of(&claim.path) {
            Some(Fact::Opened { id }) => by_id.entry(id).or_default().opened.push(claim),
            Some(Fact::Edit { id }) => by_id.entry(id).or_default().edits.push(claim),
            Some(Fact::Decision { id, principal }) => {
                let vote = Vote::read(principal, claim);
                by_id.entry(id).or_default().votes.extend(vote);
            }
            Some(Fact::Lease { id }) => by_id.entry(id).or_default().leases.push(claim),
            Some(Fact::Override | Fact::Unknown) | None => {}
        }
    }
    let readings = by_id.into_iter().flat_map(|(id, mut facts)| {
        facts.bound();
        let openings = facts.opened.iter().enumerate().map(|(place, opened)| {
            let id = match place {
                0 => id.clone(),
                _ => format!("{id}+{}@{}", opened.origin.commit, opened.source),
            };
            facts.reading(claims, id, opened)
        });
        openings.collect::<Vec<Reading>>()
    });
    readings.collect()
}

/// Those that are shown; see [`REQUESTS_PER_REGION_MAX`].
pub(super) fn shown(readings: Vec<Reading>) -> BTreeMap<String, Request> {
    let mut by_region: BTreeMap<(Region, bool), Vec<(String, Request)>> = BTreeMap::new();
    for Reading { id, request, .. } in readings {
        let is_pending = request.state == RequestState::Pending;
        let region = request.opened.region.clone();
        by_region.entry((region, is_pending)).or_default().push((id, request));
    }
    let kept = by_region.into_iter().flat_map(|((_, is_pending), mut requests)| {
        requests.sort_by(|(a, first), (b, second)| {
            let key = |request: &Request| (request.opened.time, request.opened.commit);
            (key(first), a).cmp(&(key(second), b))
        });
        if !is_pending {
            requests.reverse();
        }
        requests.truncate(REQUESTS_PER_REGION_MAX);
        requests
    });
    kept.collect()
}

impl<'a> Vote<'a> {
    fn read(principal: String, claim: &'a Claim) -> Option<Self> {
        let verdict = Verdict::read(&member(claim, "verdict")?)?;
        Some(Self { principal, verdict, reason: member(claim, "reason"), claim })
    }
}

impl Facts<'_> {
    /// Puts openings and votes in the order of their times and drops what one region has too many of,
    /// so that no member can make a record dear.
    fn bound(&mut self) {
        // A withdrawn opening is none; the door lets nobody withdraw one.
        self.opened.retain(|claim| !matches!(claim.assertion, Ok(Assertion::Tombstone)));
        self.opened.sort_by_key(|claim| (claim.origin.time, claim.origin.commit, &claim.source));
        let mut count: BTreeMap<&Region, usize> = BTreeMap::new();
        self.opened.retain(|claim| {
            let count = count.entry(&claim.origin.region).or_default();
            *count += 1;
            *count <= OPENINGS_PER_REGION_MAX
        });
        self.votes.sort_by_key(age);
        let mut count: BTreeMap<(&Region, Verdict), usize> = BTreeMap::new();
        self.votes.retain(|vote| {
            let count = count.entry((&vote.claim.origin.region, vote.verdict)).or_default();
            *count += 1;
            *count <= VOTES_PER_REGION_MAX
        });
    }

    fn reading(&self, claims: &ClaimSet, id: String, opened: &Claim) -> Reading {
        let (edits, edit_flaw) = self.edits_of(opened);
        let flaw = flaw_of(opened).or(edit_flaw);
        let needed = match value_of(opened).and_then(|value| value.member("needed")) {
            Some(Scalar::Int(needed)) => u8::try_from(*needed).unwrap_or(u8::MAX).max(1),
            Some(Scalar::Bool(_) | Scalar::Text(_)) | None => u8::MAX,
        };
        let opened_by = member(opened, "by").unwrap_or_default();
        let seen = self
            .votes
            .iter()
            .filter(|vote| claims.has_seen(&vote.claim.origin.commit, &opened.origin.commit));
        let (approvals, rejections): (Vec<&Vote<'_>>, Vec<&Vote<'_>>) =
            seen.partition(|vote| vote.verdict == Verdict::Approve);
        let valid = self.valid(claims, &opened_by, &approvals);
        let counted = one_each(&valid);
        let of_one = |first: &&Vote<'_>| {
            let same = valid.iter().filter(|vote| vote.principal == first.principal);
            same.map(|vote| vote.claim.origin.commit).collect()
        };
        let effect = Effect {
            opened: opened.origin.commit,
            approvals: counted.iter().map(of_one).collect(),
            needed: usize::from(needed),
            regions: counted
                .iter()
                .map(|vote| vote.claim.origin.region.clone())
                .chain([opened.origin.region.clone()])
                .collect(),
        };
        // Where nothing can take effect, nobody can have seen it.
        let objects = |vote: &Vote<'_>| {
            flaw.is_some() || !effect.is_seen_by(claims, &vote.claim.origin.commit)
        };
        let decider = effect.needed.checked_sub(1).and_then(|last| counted.get(last));
        let state = match (rejections.iter().any(|vote| objects(vote)), decider, &flaw) {
            (true, _, _) => RequestState::Rejected,
            (false, Some(vote), None) => {
                RequestState::Effective { since: vote.claim.origin.clone() }
            }
            (false, None, _) | (false, Some(_), Some(_)) => RequestState::Pending,
        };
        let is_counted = |vote: &Vote<'_>| counted.iter().any(|of| std::ptr::eq(*of, vote));
        let is_ownership = member(opened, "kind").as_deref() == Some(RequestKind::Ownership.word());
        let request = Request {
            opened_by,
            opened: opened.origin.clone(),
            source: opened.source.clone(),
            kind: if is_ownership { RequestKind::Ownership } else { RequestKind::Change },
            base: member(opened, "base").and_then(|base| base.parse().ok()),
            reason: member(opened, "reason"),
            edits,
            needed,
            approvals: list(claims, &approvals, is_counted),
            rejections: list(claims, &rejections, objects),
            lease: if state == RequestState::Pending { self.lease(claims) } else { None },
            state,
            flaw,
        };
        Reading { id, request, effect }
    }

    /// The edits that were written together with the request, and why they are not readable.
    fn edits_of(&self, opened: &Claim) -> (BTreeMap<AttributePath, Assertion>, Option<String>) {
        let own = self.edits.iter().filter(|edit| {
            edit.source == opened.source && edit.origin.commit == opened.origin.commit
        });
        let mut edits = BTreeMap::new();
        let mut flaw = None;
        for claim in own {
            let assertion = claim.assertion.as_ref().ok();
            match assertion.and_then(|said| ProposedEdit::read(&claim.path, said)) {
                Some(edit) => drop(edits.insert(edit.path, edit.assertion)),
                None => {
                    let text = "What it would change is not readable. Reject it, and ask anew.";
                    flaw = Some(text.to_owned());
                }
            }
        }
        if edits.is_empty() && flaw.is_none() {
            flaw = Some("It changes nothing. Reject it.".to_owned());
        }
        (edits, flaw)
    }

    /// The approvals of others who knew what they approve of, in order.
    fn valid<'v>(
        &self,
        claims: &ClaimSet,
        opened_by: &str,
        approvals: &[&'v Vote<'v>],
    ) -> Vec<&'v Vote<'v>> {
        let valid = approvals.iter().copied().filter(|vote| {
            let commit = &vote.claim.origin.commit;
            let opened = self.opened.iter();
            let seen = opened.filter(|opened| claims.has_seen(commit, &opened.origin.commit));
            vote.principal != opened_by && seen.take(2).count() == 1
        });
        in_order(claims, &valid.collect::<Vec<_>>())
    }

    /// The last writer's.
    fn lease(&self, claims: &ClaimSet) -> Option<Lease> {
        let leases = self.leases.iter().copied();
        let readable = leases.filter_map(|claim| {
            let until: jiff::Timestamp = member(claim, "until")?.parse().ok()?;
            let until = Hlc::from_ms(u64::try_from(until.as_millisecond()).ok()?);
            Some((claim, Lease { by: member(claim, "by")?, until }))
        });
        let readable: Vec<(&Claim, Lease)> = readable.collect();
        let is_superseded = |claim: &Claim| {
            let commit = &claim.origin.commit;
            let mut others = readable.iter().map(|(other, _)| &other.origin.commit);
            others.any(|other| other != commit && claims.has_seen(other, commit))
        };
        let latest = readable.iter().filter(|(claim, _)| !is_superseded(claim));
        let key = |claim: &Claim| (claim.origin.time, claim.origin.commit, claim.source.clone());
        latest.max_by_key(|(claim, _)| key(claim)).map(|(_, lease)| lease.clone())
    }
}

/// A total order by time.
fn age(vote: &Vote<'_>) -> impl Ord + use<> {
    let Claim { origin, source, .. } = vote.claim;
    (origin.time, origin.commit, vote.principal.clone(), source.clone())
}

/// Votes so that nobody stands before one that he had seen; among those apart, the earlier first.
fn in_order<'v>(claims: &ClaimSet, votes: &[&'v Vote<'v>]) -> Vec<&'v Vote<'v>> {
    let mut votes = votes.to_vec();
    votes.sort_by_key(|vote| age(vote));
    let is_after = |later: &Vote<'_>, earlier: &Vote<'_>| {
        let [later, earlier] = [later, earlier].map(|vote| &vote.claim.origin.commit);
        later != earlier && claims.has_seen(later, earlier)
    };
    let count = |vote: &&Vote<'_>| votes.iter().filter(|other| is_after(vote, other)).count();
    let mut waits: Vec<usize> = votes.iter().map(count).collect();
    let mut ready: BTreeSet<usize> = (0..votes.len()).filter(|place| waits[*place] == 0).collect();
    let mut placed = vec![false; votes.len()];
    let mut ordered = Vec::with_capacity(votes.len());
    while let Some(place) = ready.pop_first() {
        placed[place] = true;
        ordered.push(votes[place]);
        for (other, vote) in votes.iter().enumerate() {
            if is_after(vote, votes[place]) {
                waits[other] -= 1;
                if waits[other] == 0 && !placed[other] {
                    ready.insert(other);
                }
            }
        }
    }
    // Real clocks have no cycle; forged ones must still give an answer.
    let rest = votes.iter().zip(placed).filter(|(_, placed)| !placed);
    ordered.extend(rest.map(|(vote, _)| *vote));
    ordered
}

/// The first vote of each principal.
fn one_each<'v>(votes: &[&'v Vote<'v>]) -> Vec<&'v Vote<'v>> {
    let mut principals = BTreeSet::new();
    votes.iter().copied().filter(|vote| principals.insert(vote.principal.as_str())).collect()
}

fn list(
    claims: &ClaimSet,
    votes: &[&Vote<'_>],
    counts: impl Fn(&Vote<'_>) -> bool,
) -> Vec<Decision> {
    let ordered = in_order(claims, votes).into_iter();
    ordered
        .map(|vote| Decision {
            principal: vote.principal.clone(),
            reason: vote.reason.clone(),
            origin: vote.claim.origin.clone(),
            counts: counts(vote),
        })
        .collect()
}

fn flaw_of(opened: &Claim) -> Option<String> {
    let attribute = attribute::lookup(&opened.path)?;
    match &opened.assertion {
        Ok(assertion) => attribute.check(&opened.path, assertion).err().map(|fault| fault.text),
        Err(error) => Some(format!("The request is not readable: {error}. Reject it.")),
    }
}

fn value_of(claim: &Claim) -> Option<&Value> {
    match claim.assertion.as_ref().ok()? {
        Assertion::Stated(statement) => Some(&statement.value),
        Assertion::Tombstone | Assertion::Release { .. } => None,
    }
}

/// A member that is a text.
pub(super) fn member(claim: &Claim, name: &str) -> Option<String> {
    match value_of(claim)?.member(name)? {
        Scalar::Text(text) => Some(text.clone()),
        Scalar::Bool(_) | Scalar::Int(_) => None,
    }
}
