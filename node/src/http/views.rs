//! What answers look like: claims, explanations and who stands behind them.
//!
//! Plain data with its schema. How it is read stands with each page.

use std::collections::BTreeMap;

use crdt_model::claim::{Claim, Origin};
use crdt_model::golden_record::{Candidate, Loser, Resolution};
use crdt_model::id::{CommitRef, LogId};
use crdt_model::path::AttributePath;
use crdt_model::value::{Assertion, Statement, Value};
use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

use super::error::ApiResult;
use crate::replica::node_id::NodeId;
use crate::replica::records::Records;
use crate::replica::status::Status;

/// Who stands behind a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct WhoView {
    /// The person or system that asked.
    pub(crate) principal: String,
    /// Why, in the writer's words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    /// The node that took it: its name in the roster, or its key.
    pub(crate) node: String,
}

/// A claim that stood for survival.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct CandidateView {
    /// What it says; absent when it cannot be read, or its region has too many claims to show them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Json>,
    /// The text as the source wrote it, where it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) raw: Option<String>,
    /// The source that says so.
    pub(crate) source: String,
    /// When, by the writer's clock (RFC 3339).
    pub(crate) time: String,
    /// Where it was written.
    pub(crate) region: String,
    /// The commit that made it.
    pub(crate) commit: String,
    /// Who and why; absent when the commit is not held here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) who: Option<WhoView>,
}

/// A claim that did not survive.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct LoserView {
    /// The claim.
    #[serde(flatten)]
    pub(crate) candidate: CandidateView,
    /// Why it lost, for programs.
    pub(crate) reason: String,
    /// Why it lost, for people.
    pub(crate) sentence: String,
}

/// Why an attribute has its value.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ExplanationView {
    /// The surviving value; absent when no claim is live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Json>,
    /// The first day on which it holds; absent: since ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    /// The rule that decided.
    #[schema(value_type = String, example = "owner")]
    pub(crate) rule: Json,
    /// The region whose word the rule asks for, where it asks for an owner's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// The surviving claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) winner: Option<CandidateView>,
    /// Every other claim, with the reason why it lost.
    pub(crate) losers: Vec<LoserView>,
    /// Live claims differ.
    pub(crate) disagreement: bool,
    /// Live claims differ and their writers had not seen each other.
    pub(crate) conflict: bool,
    /// Who stands behind the surviving claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) who: Option<WhoView>,
}

/// What a source says about an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ClaimView {
    /// The attribute.
    pub(crate) path: String,
    /// The source.
    pub(crate) source: String,
    /// What it says.
    #[serde(flatten)]
    pub(crate) says: AssertionView,
    /// When, by the writer's clock (RFC 3339).
    pub(crate) time: String,
    /// Where it was written.
    pub(crate) region: String,
    /// The node that took it: its name in the roster, or its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<String>,
    /// The commit that made it.
    pub(crate) commit: String,
}

/// What a claim or an edit says: a value, a removal, or the release of what was seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct AssertionView {
    /// The value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Json>,
    /// The text as the source wrote it, where it differs from the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) raw: Option<String>,
    /// The first day on which it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) valid_from: Option<String>,
    /// The last day on which it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) valid_to: Option<String>,
    /// The source says nothing about the attribute any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tombstone: Option<bool>,
    /// Every claim that the writer had seen is lifted, for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) release: Option<String>,
    /// Why the claim cannot be read; it is kept and takes no part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unreadable: Option<String>,
}

impl<E: std::fmt::Display> From<Result<Assertion, E>> for AssertionView {
    fn from(assertion: Result<Assertion, E>) -> Self {
        match assertion {
            Ok(Assertion::Stated(Statement { value, raw, valid_from, valid_to })) => Self {
                value: Some(json_of(&value)),
                raw,
                valid_from: valid_from.map(|day| day.to_string()),
                valid_to: valid_to.map(|day| day.to_string()),
                ..Self::default()
            },
            Ok(Assertion::Tombstone) => Self { tombstone: Some(true), ..Self::default() },
            Ok(Assertion::Release { reason }) => Self { release: Some(reason), ..Self::default() },
            Err(fault) => Self { unreadable: Some(fault.to_string()), ..Self::default() },
        }
    }
}

/// A value as JSON.
pub(crate) fn json_of(value: &Value) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}

/// Finds who stands behind commits. Looks each commit up once.
pub(crate) struct Witness<'a> {
    records: Records<'a>,
    /// Names of nodes by key, as the roster has them.
    names: BTreeMap<String, String>,
    found: BTreeMap<CommitRef, Option<WhoView>>,
}

impl<'a> Witness<'a> {
    pub(crate) fn new(records: Records<'a>, status: &Status) -> Self {
        let peers = status.peers.iter().map(|peer| (peer.node.to_string(), peer.name.clone()));
        let own = (status.node.clone(), status.name.clone());
        let names = peers.chain([own]).filter(|(_, name)| !name.is_empty()).collect();
        Self { records, names, found: BTreeMap::new() }
    }

    /// The node that writes a log: its name, or its key.
    pub(crate) fn node(&self, log: &LogId) -> ApiResult<Option<String>> {
        let Some(state) = self.records.log(log)? else { return Ok(None) };
        Ok(Some(self.named(&state.node)))
    }

    /// The name of a node, or its key.
    pub(crate) fn named(&self, node: &NodeId) -> String {
        let key = node.to_string();
        self.names.get(&key).cloned().unwrap_or(key)
    }

    pub(crate) fn who(&mut self, commit: &CommitRef) -> ApiResult<Option<WhoView>> {
        if let Some(known) = self.found.get(commit) {
            return Ok(known.clone());
        }
        let who = match (self.records.header(commit)?, self.node(&commit.log)?) {
            (Some(header), Some(node)) => {
                let provenance = header.note.provenance;
                Some(WhoView { principal: provenance.principal, reason: provenance.reason, node })
            }
            _ => None,
        };
        self.found.insert(*commit, who.clone());
        Ok(who)
    }

    fn candidate(&mut self, candidate: &Candidate) -> ApiResult<CandidateView> {
        let Candidate { value, raw, source, origin } = candidate;
        let Origin { commit, time, region } = origin;
        Ok(CandidateView {
            value: value.as_deref().map(json_of),
            raw: raw.clone(),
            source: source.to_string(),
            time: time.to_string(),
            region: region.to_string(),
            commit: commit.to_string(),
            who: self.who(commit)?,
        })
    }

    fn loser(
        &mut self,
        path: &AttributePath,
        resolution: &Resolution,
        loser: &Loser,
    ) -> ApiResult<LoserView> {
        let code = serde_json::to_value(&loser.reason).unwrap_or_default();
        Ok(LoserView {
            candidate: self.candidate(&loser.candidate)?,
            reason: code["code"].as_str().unwrap_or_default().to_owned(),
            sentence: loser.sentence(path, resolution),
        })
    }

    /// A resolution with everybody's name.
    pub(crate) fn explanation(
        &mut self,
        path: &AttributePath,
        from: Option<jiff::civil::Date>,
        resolution: &Resolution,
    ) -> ApiResult<ExplanationView> {
        let winner = resolution.winner.as_ref();
        let winner = winner.map(|winner| self.candidate(winner)).transpose()?;
        let losers = resolution.losers.iter().map(|loser| self.loser(path, resolution, loser));
        Ok(ExplanationView {
            losers: losers.collect::<ApiResult<_>>()?,
            value: winner.as_ref().and_then(|winner| winner.value.clone()),
            from: from.map(|day| day.to_string()),
            rule: serde_json::to_value(resolution.rule).unwrap_or_default(),
            owner: resolution.owner.as_ref().map(ToString::to_string),
            disagreement: resolution.disagreement,
            conflict: resolution.conflict,
            who: winner.as_ref().and_then(|winner| winner.who.clone()),
            winner,
        })
    }

    /// A claim as the claims view shows it.
    pub(crate) fn claim(&self, claim: &Claim) -> ApiResult<ClaimView> {
        let Origin { commit, time, region } = &claim.origin;
        Ok(ClaimView {
            path: claim.path.to_string(),
            source: claim.source.to_string(),
            says: claim.assertion.clone().into(),
            time: time.to_string(),
            region: region.to_string(),
            node: self.node(&commit.log)?,
            commit: commit.to_string(),
        })
    }
}
