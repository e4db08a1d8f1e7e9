//! Issues in the store: derived with every batch, and again when what a record depends on changes.
//!
//! The issues of a record follow from its claims, the policy, the code lists and a few other records.
//! When one of those others changes, the record becomes *due*: noted in the store, and looked at again
//! a page at a time between other work. So a write costs what it changes, and a code that half of all
//! customers use can retire without stopping the node.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use crdt_model::attribute;
use crdt_model::claim::ClaimSet;
use crdt_model::code_list::CodeList;
use crdt_model::golden_record::{GoldenRecord, Resolved};
use crdt_model::hierarchy::{DEPTH_MAX, PARENT};
use crdt_model::id::{RecordId, RecordKind};
use crdt_model::issue::{self, Around, Issue, Subject};
use crdt_model::path::AttributePath;
use crdt_model::survivorship::resolve;
use crdt_model::time::Hlc;
use crdt_model::value::{Scalar, Value, canonical_json};

use super::batch::Batch;
use super::history::History;
use super::index::Index;
use super::layout;
use super::records::Records;
use crate::kv::{Op, ReadError, View};

/// Records looked at again in one turn.
const PAGE: usize = 100;
/// Others that are looked at again because of one record; an identifier that more share than this is
/// an issue at every one of them already.
const NEIGHBOURS_MAX: usize = 100;
/// Quarantined items that are counted.
const QUARANTINED_MAX: usize = 100;

impl Batch<'_> {
    /// Derives the issues of a record and replaces what is stored of them, if anything can be.
    pub(super) fn issues(
        &mut self,
        record: &RecordId,
        claims: &ClaimSet,
        resolved: &Resolved,
        golden: &GoldenRecord,
        was_shown: bool,
    ) -> Result<(), ReadError> {
        let found = self.derive(record, claims, resolved, golden)?;
        // Only what is shown has issues.
        let before = match was_shown {
            true => Records::new(self.view).issues(record)?,
            false => Vec::new(),
        };
        self.replace_issues(record, &before, &found);
        Ok(())
    }

    /// The issues of a record.
    pub(super) fn derive(
        &self,
        record: &RecordId,
        claims: &ClaimSet,
        resolved: &Resolved,
        golden: &GoldenRecord,
    ) -> Result<Vec<Issue>, ReadError> {
        let around = Surroundings { batch: self, record: *record, failed: Cell::new(None) };
        let (policy, checks) = (self.history.policy(), self.history.checks());
        let subject = Subject { record: *record, claims, resolved, golden, policy, checks };
        let found = issue::of(&subject, &around);
        around.failed.take().map_or(Ok(found), Err)
    }

    /// Forgets the issues of a record that is no more.
    pub(super) fn no_issues(&mut self, record: &RecordId) -> Result<(), ReadError> {
        let before = Records::new(self.view).issues(record)?;
        self.replace_issues(record, &before, &[]);
        Ok(())
    }

    pub(super) fn replace_issues(&mut self, record: &RecordId, before: &[Issue], found: &[Issue]) {
        if before == found {
            return;
        }
        let key = layout::record_key(layout::ISSUES, record);
        if found.is_empty() {
            self.ops.push(Op::Delete(key));
        } else {
            self.put(key, canonical_json(&found).into_bytes());
        }
        let (old, new) = (issue_marks(record, before), issue_marks(record, found));
        self.reindex(&old, new);
        // Which edge of a circle is left out hangs on when each was stated, which no golden record
        // tells: whoever is on the circle hears it from the one that noticed.
        let circles = |issues: &[Issue]| -> BTreeSet<Issue> {
            issues.iter().filter(|issue| issue.code == CYCLE).cloned().collect()
        };
        let changed = &circles(before) ^ &circles(found);
        changed.iter().flat_map(|issue| &issue.about).for_each(|other| self.due(other));
    }

    /// Notes that the issues of a record must be looked at again.
    pub(super) fn due(&mut self, record: &RecordId) {
        self.has_due = true;
        self.put(layout::record_key(layout::DUE, record), Vec::new());
    }

    /// Notes who must be looked at again because a record shows something else than before.
    pub(super) fn neighbours(
        &mut self,
        record: &RecordId,
        before: Option<&GoldenRecord>,
        after: Option<&GoldenRecord>,
    ) -> Result<(), ReadError> {
        if record.kind() == RecordKind::CodeList {
            return self.users(before, after);
        }
        if before.is_some() != after.is_some() {
            self.due_under(&layout::link_prefix(record))?;
        }
        let (old, new) = (identifiers(before), identifiers(after));
        for prefix in &old ^ &new {
            self.due_under(&prefix)?;
        }
        let mut others = &links(before) ^ &links(after);
        let (old, new) = (before.and_then(parent_of), after.and_then(parent_of));
        if old != new {
            for parent in old.into_iter().chain(new) {
                others.extend(self.ancestors(parent)?);
            }
        }
        others.remove(record);
        others.iter().for_each(|other| self.due(other));
        Ok(())
    }

    /// Everybody under a prefix of the index is looked at again; where they are many, page by page.
    pub(super) fn due_under(&mut self, prefix: &[u8]) -> Result<(), ReadError> {
        let others = self.indexed(prefix)?;
        if others.len() < NEIGHBOURS_MAX {
            others.iter().for_each(|other| self.due(other));
        } else {
            self.has_due = true;
            self.put(layout::due_index_key(prefix), Vec::new());
        }
        Ok(())
    }

    /// A code list has changed: whoever uses one of its codes is looked at again.
    fn users(
        &mut self,
        before: Option<&GoldenRecord>,
        after: Option<&GoldenRecord>,
    ) -> Result<(), ReadError> {
        self.lists_changed = true;
        self.has_due = true;
        let codes = |golden: Option<&GoldenRecord>| {
            golden.map(|golden| CodeList::of(golden).codes).unwrap_or_default()
        };
        let (old, new) = (codes(before), codes(after));
        let mut changed: BTreeSet<&str> = BTreeSet::new();
        for code in old.keys().chain(new.keys()) {
            if old.get(code) != new.get(code) {
                changed.insert(code);
            }
        }
        // A new list answers for codes, too, that it does not have.
        let all = before.is_none() || after.is_none();
        let patterns: Vec<String> = self.history.policy().codes.keys().cloned().collect();
        for pattern in &patterns {
            if all {
                self.put(layout::due_index_key(&layout::codes_prefix(pattern)), Vec::new());
            } else {
                for code in &changed {
                    let prefix = layout::code_prefix(pattern, code);
                    self.put(layout::due_index_key(&prefix), Vec::new());
                }
            }
        }
        Ok(())
    }

    /// The first records under a prefix of the index, those of this batch included: the same ones
    /// whether they came together or one by one.
    pub(super) fn indexed(&self, prefix: &[u8]) -> Result<BTreeSet<RecordId>, ReadError> {
        let fresh = self.fresh.range(prefix.to_vec()..).take_while(|key| key.starts_with(prefix));
        let fresh = fresh.filter_map(|key| layout::record_in(key, key.len().checked_sub(16)?));
        let mut ids: BTreeSet<RecordId> = self.shared(prefix)?.into_iter().chain(fresh).collect();
        while ids.len() > NEIGHBOURS_MAX {
            ids.pop_last();
        }
        Ok(ids)
    }

    /// The first records under a prefix of the index in the store. Whoever writes an identifier asks twice
    /// for it: to tell the others, and to look for issues.
    fn shared(&self, prefix: &[u8]) -> Result<Vec<RecordId>, ReadError> {
        if self.view.lists_none(prefix) {
            return Ok(Vec::new());
        }
        if let Some(ids) = self.asked.borrow().get(prefix) {
            return Ok(ids.clone());
        }
        let keys = Index::new(self.view).scan(prefix, prefix, NEIGHBOURS_MAX)?;
        let id = |key: &Vec<u8>| layout::record_in(key, key.len().checked_sub(16)?);
        let ids: Vec<RecordId> = keys.iter().filter_map(id).collect();
        self.asked.borrow_mut().insert(prefix.to_vec(), ids.clone());
        Ok(ids)
    }

    fn ancestors(&self, first: RecordId) -> Result<BTreeSet<RecordId>, ReadError> {
        let mut seen = BTreeSet::from([first]);
        let mut next = self.parent(&first)?;
        while let Some(parent) = next.filter(|_| seen.len() < DEPTH_MAX) {
            if !seen.insert(parent) {
                break;
            }
            next = self.parent(&parent)?;
        }
        Ok(seen)
    }

    /// The parent that a record will name after the batch.
    fn parent(&self, record: &RecordId) -> Result<Option<RecordId>, ReadError> {
        match self.parents.get(record) {
            Some(parent) => Ok(parent.map(|(parent, _)| parent)),
            None => Ok(Records::new(self.view).golden(record)?.as_ref().and_then(parent_of)),
        }
    }
}

/// The kind of issue that members of a circle of parents have.
const CYCLE: &str = "hierarchy-cycle";

/// The keys that mark a record as having these issues.
pub(super) fn issue_marks(record: &RecordId, issues: &[Issue]) -> BTreeSet<Vec<u8>> {
    issues.iter().map(|issue| layout::issue_mark(&issue.code, record)).collect()
}

/// The prefixes of the identifiers that a golden record shows.
pub(super) fn identifiers(golden: Option<&GoldenRecord>) -> BTreeSet<Vec<u8>> {
    let shown = golden.into_iter().flat_map(|golden| &golden.attributes);
    let shown = shown.filter(|(_, values)| values.iter().any(|value| value.value.is_some()));
    shown.filter_map(|(path, _)| layout::identifier_prefix(path)).collect()
}

/// The customers that a golden record names.
pub(super) fn links(golden: Option<&GoldenRecord>) -> BTreeSet<RecordId> {
    let shown = golden.into_iter().flat_map(|golden| &golden.attributes);
    let named = shown.flat_map(|(path, values)| {
        let attribute = attribute::lookup(path);
        let values = values.iter().filter_map(|value| value.value.as_deref());
        values.filter_map(move |value| issue::linked(attribute?, value))
    });
    named.collect()
}

/// The parent that a golden record shows last.
fn parent_of(golden: &GoldenRecord) -> Option<RecordId> {
    let values = golden.attributes.iter().find(|(path, _)| path.as_str() == PARENT);
    let last = values?.1.last()?.value.as_ref()?;
    record_of(last)
}

/// The parent that a resolved record names last, and since when.
pub(super) fn parent_in(resolved: &Resolved) -> Option<(RecordId, Hlc)> {
    let segments = resolved.attributes.iter().find(|(path, _)| path.as_str() == PARENT);
    let winner = segments?.1.last()?.resolution.winner.as_ref()?;
    Some((record_of(winner.value.as_ref()?)?, winner.origin.time))
}

fn record_of(value: &Value) -> Option<RecordId> {
    match value.member("customer")? {
        Scalar::Text(text) => text.parse().ok(),
        Scalar::Bool(_) | Scalar::Int(_) => None,
    }
}

/// What other records say, as the batch and the store have it.
struct Surroundings<'a, 'b> {
    batch: &'a Batch<'b>,
    record: RecordId,
    /// The first failure of a read; what was answered since then does not count.
    failed: Cell<Option<ReadError>>,
}

impl Surroundings<'_, '_> {
    fn or_fail<T: Default>(&self, read: Result<T, ReadError>) -> T {
        read.unwrap_or_else(|error| {
            self.failed.set(Some(error));
            T::default()
        })
    }
}

impl Around for Surroundings<'_, '_> {
    fn exists(&self, record: &RecordId) -> bool {
        let key = layout::record_key(layout::GOLDEN, record);
        self.batch.parents.contains_key(record) || self.or_fail(self.batch.view.get(&key)).is_some()
    }

    fn parent(&self, record: &RecordId) -> Option<(RecordId, Hlc)> {
        if let Some(parent) = self.batch.parents.get(record) {
            return *parent;
        }
        let document = self.or_fail(Records::new(self.batch.view).document(record))?;
        parent_in(&resolve(self.batch.history.policy(), &document.claims()))
    }

    fn sharing(&self, path: &AttributePath) -> Vec<RecordId> {
        let Some(prefix) = layout::identifier_prefix(path) else { return Vec::new() };
        self.or_fail(self.batch.indexed(&prefix)).into_iter().collect()
    }

    fn code_list(&self, name: &str) -> Option<Arc<CodeList>> {
        self.or_fail(self.batch.history.list(&Records::new(self.batch.view), name))
    }

    fn is_named_by(&self, other: &RecordId) -> bool {
        let prefix = layout::link_prefix(&self.record);
        let key = [prefix.as_slice(), other.as_bytes()].concat();
        self.batch.fresh.contains(&key) || self.or_fail(self.batch.view.get(&key)).is_some()
    }

    fn quarantined(&self) -> usize {
        // Mostly nothing is, anywhere.
        if self.batch.history.state.quarantined == 0 {
            return 0;
        }
        let records = Records::new(self.batch.view);
        self.or_fail(records.quarantined(Some(&self.record), QUARANTINED_MAX)).len()
    }
}

impl History {
    /// Looks again at the next records that are due. Gives the batch; nothing when none is.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged; nothing has changed then.
    pub(super) fn look_again(&mut self, view: &dyn View) -> Result<Vec<Op>, ReadError> {
        let due = view.scan(&[layout::DUE], &[layout::DUE], PAGE)?;
        if due.is_empty() {
            return self.spread(view);
        }
        let mut batch = Batch::new(self, view);
        // First, because looking again may make others due, and these again.
        batch.ops.extend(due.iter().map(|(key, _)| Op::Delete(key.clone())));
        for (key, _) in due {
            if let Some(record) = layout::record_in(&key, 1) {
                match Records::new(view).document(&record)? {
                    Some(document) => {
                        let claims = document.claims();
                        let resolved = resolve(&self.policy, &claims);
                        let golden = GoldenRecord::from_resolved(record, &resolved);
                        batch.issues(&record, &claims, &resolved, &golden, true)?;
                    }
                    None => batch.no_issues(&record)?,
                }
            }
        }
        let Batch { state, mut ops, .. } = batch.done()?;
        if self.state.runs != state.runs {
            ops.push(Op::Put(layout::STATE.to_vec(), state.encode()));
            self.state = state;
        }
        Ok(ops)
    }

    /// Makes the next records under a prefix of the index due.
    fn spread(&mut self, view: &dyn View) -> Result<Vec<Op>, ReadError> {
        let Some((key, cursor)) = view.scan(&[layout::DUE_INDEX], &[layout::DUE_INDEX], 1)?.pop()
        else {
            self.has_due = false;
            return Ok(Vec::new());
        };
        let prefix = layout::prefix_of_due(&key);
        let from =
            if cursor.is_empty() { prefix.clone() } else { [cursor.as_slice(), &[0]].concat() };
        let page = Index::new(view).scan(&prefix, &from, PAGE)?;
        let records = page.iter().filter_map(|key| layout::record_in(key, key.len() - 16));
        let due = records.map(|record| layout::record_key(layout::DUE, &record));
        let mut ops: Vec<Op> = due.map(|key| Op::Put(key, Vec::new())).collect();
        ops.push(match page.last() {
            Some(last) if page.len() == PAGE => Op::Put(key, last.clone()),
            Some(_) | None => Op::Delete(key),
        });
        Ok(ops)
    }
}
