//! Commits of one record, each with what its writer had seen, as claims.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::claim::{Claim, ClaimSet, Clock, Origin};
use crate::document::ClaimEdit;
use crate::governance::fact::assertion_of;
use crate::governance::{NewRequest, ProposedEdit, RequestKind, Verdict, decision};
use crate::id::{CommitRef, LogId};
use crate::path::ClaimKey;
use crate::time::Hlc;
use crate::value::Assertion;

/// Rows are commits, each of its own log.
#[derive(Clone, Default)]
pub(in crate::governance) struct Scene {
    claims: Vec<Claim>,
    clocks: BTreeMap<CommitRef, Clock>,
    origins: BTreeMap<u8, Origin>,
}

impl Scene {
    pub(in crate::governance) fn new() -> Self {
        Self::default()
    }

    /// A commit that had seen other rows, and with them what those had seen.
    pub(in crate::governance) fn row(
        mut self,
        row: u8,
        region: &str,
        ms: u64,
        sees: &[u8],
        edits: Vec<ClaimEdit>,
    ) -> Self {
        let commit = commit(row);
        let mut clock = Clock::from([(commit.log, 1)]);
        for seen in sees {
            clock.extend(self.clocks[&self::commit(*seen)].clone());
        }
        let origin = Origin { commit, time: Hlc::from_ms(ms), region: region.parse().unwrap() };
        for ClaimEdit { key: ClaimKey { path, source, .. }, assertion } in edits {
            let claim = Claim { path, source, assertion: Ok(assertion), origin: origin.clone() };
            self.claims.retain(|earlier| {
                let is_seen = clock.contains_key(&earlier.origin.commit.log);
                let is_own = (&earlier.path, &earlier.source) == (&claim.path, &claim.source);
                !(is_own && is_seen && claim.replaces(earlier))
            });
            self.claims.push(claim);
        }
        self.clocks.insert(commit, clock);
        self.origins.insert(row, origin);
        self
    }

    pub(in crate::governance) fn origin(&self, row: u8) -> Origin {
        self.origins[&row].clone()
    }

    pub(in crate::governance) fn claims(&self) -> ClaimSet {
        ClaimSet::new(self.claims.clone(), self.clocks.clone())
    }
}

fn commit(row: u8) -> CommitRef {
    CommitRef { log: LogId::from_bytes([row; 16]), seq: 1 }
}

/// A claim; `json` is what it would be stored as.
pub(in crate::governance) fn says(path: &str, source: &str, json: &str) -> ClaimEdit {
    ClaimEdit::new(path.parse().unwrap(), source.parse().unwrap(), assertion(json))
}

pub(in crate::governance) fn assertion(json: &str) -> Assertion {
    assertion_of(&serde_json::from_str::<Json>(json).unwrap()).unwrap()
}

/// The claims of a request.
pub(in crate::governance) fn ask(
    id: &str,
    by: &str,
    source: &str,
    needed: u8,
    edits: &[(&str, &str)],
) -> Vec<ClaimEdit> {
    let edit = |(path, json): &(&str, &str)| ProposedEdit {
        path: path.parse().unwrap(),
        assertion: assertion(json),
    };
    let request = NewRequest {
        id: id.to_owned(),
        by: by.to_owned(),
        source: source.parse().unwrap(),
        needed,
        base: None,
        reason: Some("as told on the telephone".to_owned()),
        kind: RequestKind::Change,
        edits: edits.iter().map(edit).collect(),
    };
    request.to_edits().unwrap()
}

pub(in crate::governance) fn approve(id: &str, principal: &str) -> ClaimEdit {
    let source = "manual-desk".parse().unwrap();
    decision(id, principal, Verdict::Approve, None, &source).unwrap()
}

pub(in crate::governance) fn reject(id: &str, principal: &str) -> ClaimEdit {
    let source = "manual-desk".parse().unwrap();
    decision(id, principal, Verdict::Reject, Some("no"), &source).unwrap()
}

pub(in crate::governance) fn of_source(mut edit: ClaimEdit, source: &str) -> ClaimEdit {
    edit.key.source = source.parse().unwrap();
    edit
}
