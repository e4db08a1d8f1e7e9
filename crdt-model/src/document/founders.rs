//! Who founded each part of a record: the earliest change that wrote there, overwritten or not.
//!
//! Any put founds, whatever it says: a tombstone, a release, and a value that this release cannot
//! read, too. So the founders are a function of the admitted changes alone: neither the order of
//! arrival nor the release decides who owns. What a founder owns is not decided here.

use std::collections::{BTreeMap, BTreeSet};

use super::change::Put;
use super::history::History;
use super::stored::Stored;
use crate::claim::{Origin, found, scope};
use crate::id::CommitRef;

/// The earliest change of each [`scope`]; under `None`, of the whole record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Founders(BTreeMap<Option<String>, Origin>);

impl Founders {
    /// Takes note of one change.
    pub(super) fn add(&mut self, puts: &[Put], origin: &Origin) {
        // Whatever it writes, it is a change of the record as a whole, too.
        let scopes: BTreeSet<_> = puts.iter().map(|put| scope(&put.key.path)).collect();
        for scope in scopes.into_iter().chain([None]) {
            found(&mut self.0, scope, origin);
        }
    }

    /// The founders as they were when only the changes of `past` were there.
    pub(super) fn at(&self, stored: &Stored, history: &History, past: &[bool]) -> Self {
        let mut then = self.clone();
        then.0.retain(|_, origin| history.find_commit(&origin.commit).is_some_and(|at| past[at]));
        // The first of all changes is the first of fewer, if it is among them: only when one is not
        // must the changes be read.
        if then.0.len() == self.0.len() {
            return then;
        }
        for (index, change) in stored.changes(history) {
            if past[index] {
                then.add(&change.puts, &history.node(index).origin);
            }
        }
        then
    }

    /// The commit that founded each scope. The record's own founder is left out: every change is one
    /// of the record, so the history knows the earliest.
    pub(super) fn commits(&self) -> impl Iterator<Item = (&str, CommitRef)> {
        self.0.iter().filter_map(|(scope, origin)| Some((scope.as_deref()?, origin.commit)))
    }

    /// The founders from what [`Self::commits`] gave; `None` when the history lacks a commit.
    pub(super) fn of_commits(commits: Vec<(String, CommitRef)>, history: &History) -> Option<Self> {
        let mut founders = BTreeMap::new();
        for node in history.nodes() {
            found(&mut founders, None, &node.origin);
        }
        for (scope, commit) in commits {
            let origin = &history.node(history.find_commit(&commit)?).origin;
            founders.insert(Some(scope), origin.clone());
        }
        Some(Self(founders))
    }

    pub(super) fn into_map(self) -> BTreeMap<Option<String>, Origin> {
        self.0
    }

    /// Founders that no change made, for tests of what is stored.
    #[cfg(test)]
    pub(super) fn forged<'a>(founders: impl Iterator<Item = (&'a str, Origin)>) -> Self {
        Self(founders.map(|(scope, origin)| (Some(scope.to_owned()), origin)).collect())
    }
}
