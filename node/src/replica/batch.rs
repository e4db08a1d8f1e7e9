//! The batch under construction: everything that one cause changes in the store, beside the counters
//! and digests that follow from it.
//!
//! What is judged and resolved comes in; keys and values go out. Nothing is changed outside the batch
//! until it is done.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crdt_model::claim::ClaimSet;
use crdt_model::document::CustomerDocument;
use crdt_model::golden_record::{GoldenRecord, Resolved};
use crdt_model::id::{RecordId, RecordKind};
use crdt_model::survivorship::resolve;
use crdt_model::time::Hlc;
use crdt_model::value::canonical_json;

use super::ahead::First;
use super::commit::Commit;
use super::history::{History, Rebuilt};
use super::index::{self, Changes};
use super::issues::parent_in;
use super::layout;
use super::limits::RECORD_BYTES_MAX;
use super::numbers;
use super::records::{Cause, FeedEntry, QuarantinedItem, RecordDifference, Records};
use super::state::State;
use super::verdict::{Judged, Verdict};
use crate::kv::{Op, ReadError, View};

/// The element of the golden digest for a record.
#[must_use]
pub(super) fn golden_element(record: &RecordId, golden: &[u8]) -> Vec<u8> {
    [b"g".as_slice(), record.as_bytes(), golden].concat()
}

/// The element of the golden digest for a quarantined item.
#[must_use]
pub(super) fn quarantine_element(item: &QuarantinedItem) -> Vec<u8> {
    let key = layout::quarantine_key(&item.record, &item.commit, item.index);
    [&key, item.code.as_bytes()].concat()
}

/// Whether a golden record has a conflict.
#[must_use]
pub(super) fn has_conflict(golden: &GoldenRecord) -> bool {
    let mut values = golden.attributes.values().flatten();
    values.any(|value| value.contest.as_ref().is_some_and(|contest| contest.conflict))
}

/// A golden record with its bytes, which are written, digested and compared.
#[derive(Debug)]
pub(super) struct Golden {
    pub(super) record: GoldenRecord,
    pub(super) bytes: Vec<u8>,
}

impl Golden {
    pub(super) fn of(record: GoldenRecord) -> Self {
        let bytes = record.to_bytes();
        Self { record, bytes }
    }

    fn stored(view: &dyn View, record: &RecordId) -> Result<Option<Self>, ReadError> {
        let key = layout::record_key(layout::GOLDEN, record);
        let Some(bytes) = view.get(&key)? else { return Ok(None) };
        let record = GoldenRecord::from_bytes(&bytes).map_err(|_| ReadError::damaged(&key))?;
        Ok(Some(Self { record, bytes }))
    }
}

/// What is stored of what a record shows.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// The golden record.
    bytes: Vec<u8>,
    /// Its entries in the indexes.
    index: BTreeSet<Vec<u8>>,
    conflicts: bool,
}

impl Shown {
    pub(super) fn of(golden: &Golden) -> Self {
        Self {
            bytes: golden.bytes.clone(),
            index: index::index_keys(&golden.record),
            conflicts: has_conflict(&golden.record),
        }
    }
}

/// A batch under construction.
pub(super) struct Batch<'a> {
    /// The counters and digests after it.
    pub(super) state: State,
    /// What is to be written.
    pub(super) ops: Vec<Op>,
    /// The records that changed, each with the parent that it names now, and since when.
    pub(super) parents: BTreeMap<RecordId, Option<(RecordId, Hlc)>>,
    /// The records that changed, with their resolution, for whoever asked for it.
    pub(super) records: Option<BTreeMap<RecordId, (CustomerDocument, Resolved)>>,
    /// The records that were written before, as they are now: somebody may write them again soon.
    pub(super) hot: Vec<(RecordId, CustomerDocument, Arc<Golden>)>,
    /// What an operator must see.
    pub(super) alarms: Vec<String>,
    /// Whether records became due.
    pub(super) has_due: bool,
    /// Whether a code list is another one after it.
    pub(super) lists_changed: bool,
    /// Entries of the indexes that are new in it and that it may ask for itself.
    pub(super) fresh: BTreeSet<Vec<u8>>,
    /// Whom the store has under prefixes of the index that were asked for.
    pub(super) asked: RefCell<BTreeMap<Vec<u8>, Vec<RecordId>>>,
    /// What becomes of the indexes.
    pub(super) changes: Changes,
    pub(super) history: &'a History,
    pub(super) view: &'a dyn View,
}

impl<'a> Batch<'a> {
    pub(super) fn new(history: &'a History, view: &'a dyn View) -> Self {
        Self {
            state: history.state.clone(),
            ops: Vec::new(),
            parents: BTreeMap::new(),
            records: None,
            hot: Vec::new(),
            alarms: Vec::new(),
            has_due: false,
            lists_changed: false,
            fresh: BTreeSet::new(),
            asked: RefCell::default(),
            changes: Changes::default(),
            history,
            view,
        }
    }

    /// Puts the feed entry of the batch. When the differences are more than a value can be, the entry
    /// names the records only.
    pub(super) fn feed(&mut self, entry: &mut FeedEntry) {
        let mut bytes = canonical_json(entry).into_bytes();
        if bytes.len() > RECORD_BYTES_MAX {
            // Its steps of requests are short and stay.
            entry.records.iter_mut().for_each(|difference| difference.fields.clear());
            bytes = canonical_json(entry).into_bytes();
        }
        self.put(layout::feed_key(self.state.feed), bytes);
    }

    /// The golden record as it is stored. It is a cache: a damaged one is made again.
    fn stored(&self, record: &RecordId) -> Result<Option<Arc<Golden>>, ReadError> {
        if let Some(golden) = self.history.hot.golden(record) {
            return Ok(Some(golden));
        }
        let golden = match Golden::stored(self.view, record) {
            Err(ReadError::Damaged { .. }) => {
                let document = self.history.document(record, self.view)?;
                (!document.is_empty()).then(|| Golden::of(self.history.resolved(record, &document)))
            }
            other => other?,
        };
        Ok(golden.map(Arc::new))
    }

    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.ops.push(Op::Put(key, value));
    }

    pub(super) fn store_commit(&mut self, commit: &Commit) {
        let at = commit.signed.header.commit();
        let position = self.state.feed.to_be_bytes();
        let value = [position.as_slice(), &commit.signed.encode()].concat();
        self.put(layout::commit_key(&at), value);
        self.put(layout::items_key(&at), commit.encode_items());
    }

    /// Books one judged item. Gives the difference it made to the golden record.
    pub(super) fn item(
        &mut self,
        mut item: QuarantinedItem,
        judged: Judged,
    ) -> Result<Option<RecordDifference>, ReadError> {
        let mut commit = item.commit.log.as_bytes().to_vec();
        commit.extend(item.commit.seq.to_be_bytes());
        self.put(layout::history_key(&item.record, self.state.feed), commit);
        let verdict = match judged {
            Judged::Now(verdict) => verdict,
            Judged::Ahead(first) if self.is_alone(&item.record, &first)? => {
                return self.first(&item.record, *first).map(Some);
            }
            Judged::Ahead(first) => Verdict::Applied(Box::new(first.document(&item.record)?)),
        };
        match verdict {
            Verdict::Applied(document) => {
                // Of a record with one change nothing was shown before.
                let before = match document.is_new() {
                    true => None,
                    false => self.stored(&item.record)?,
                };
                self.document(&item.record, *document, before.as_deref()).map(Some)
            }
            Verdict::Quarantined { code, text } => {
                (item.code, item.text) = (code, text);
                self.quarantine(&item);
                Ok(None)
            }
            Verdict::Held(text) => {
                self.hold(&item.record, &text);
                Ok(None)
            }
        }
    }

    /// Whether nobody else has a word in what a new record shows and what is wrong with it.
    fn is_alone(&self, record: &RecordId, first: &First) -> Result<bool, ReadError> {
        let records = Records::new(self.view);
        if self.state.quarantined > 0 && !records.quarantined(Some(record), 1)?.is_empty() {
            return Ok(false);
        }
        for prefix in &first.alone {
            if !self.indexed(prefix)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Books the first change of a record as it was found out ahead: [`Self::document`] for a record in
    /// which nobody else has a word.
    fn first(&mut self, record: &RecordId, first: First) -> Result<RecordDifference, ReadError> {
        self.due_under(&layout::link_prefix(record))?;
        self.replace_shown(record, None, Some(first.shown));
        self.replace_issues(record, &[], &first.issues);
        self.ops.extend(first.marks);
        self.put(layout::record_key(layout::DOCUMENT, record), first.saved);
        self.parents.insert(*record, None);
        Ok(first.difference)
    }

    fn quarantine(&mut self, item: &QuarantinedItem) {
        self.state.quarantined += 1;
        self.state.golden.add(&quarantine_element(item));
        let key = layout::quarantine_key(&item.record, &item.commit, item.index);
        self.put(key, canonical_json(item).into_bytes());
        self.due(&item.record);
    }

    fn hold(&mut self, record: &RecordId, text: &str) {
        self.put(layout::record_key(layout::HELD, record), text.as_bytes().to_vec());
        self.alarms.push(format!(
            "customer {record} is held: {text}. Its commits are kept; report it, and upgrade when a release takes them"
        ));
    }

    fn claims(&self, document: &CustomerDocument) -> ClaimSet {
        let claims = document.claims();
        #[cfg(test)]
        let claims = super::bug::misread(claims, self.state.feed, self.view);
        claims
    }

    fn document(
        &mut self,
        record: &RecordId,
        document: CustomerDocument,
        before: Option<&Golden>,
    ) -> Result<RecordDifference, ReadError> {
        let claims = self.claims(&document);
        let resolved = resolve(self.history.policy(), &claims);
        let after = Golden::of(GoldenRecord::from_resolved(*record, &resolved));
        let difference = RecordDifference::between(before.map(|it| &it.record), &after.record);
        self.golden(record, before, Some(&after))?;
        self.issues(record, &claims, &resolved, &after.record, before.is_some())?;
        self.ops.extend(numbers::marks(record, &claims, &resolved));
        self.put(layout::record_key(layout::DOCUMENT, record), document.save());
        if before.is_some() {
            self.hot.push((*record, document.clone(), Arc::new(after)));
        }
        self.parents.insert(*record, parent_in(&resolved));
        if let Some(records) = &mut self.records {
            records.insert(*record, (document, resolved));
        }
        Ok(difference)
    }

    /// Replaces what is stored of a golden record, and tells its neighbours.
    fn golden(
        &mut self,
        record: &RecordId,
        before: Option<&Golden>,
        after: Option<&Golden>,
    ) -> Result<(), ReadError> {
        if before.map(|before| &before.bytes) == after.map(|after| &after.bytes) {
            return Ok(());
        }
        let shown = [before, after].map(|golden| golden.map(|golden| &golden.record));
        self.neighbours(record, shown[0], shown[1])?;
        self.replace_shown(record, before.map(Shown::of), after.map(Shown::of));
        Ok(())
    }

    /// Replaces the bytes of a golden record, its digest element, index entries and conflict mark.
    fn replace_shown(&mut self, record: &RecordId, before: Option<Shown>, after: Option<Shown>) {
        let is_customer = u64::from(record.kind() == RecordKind::Customer);
        let key = layout::record_key(layout::GOLDEN, record);
        let conflicts = [&before, &after].map(|it| it.as_ref().is_some_and(|it| it.conflicts));
        let (mut old, mut new) = (BTreeSet::new(), BTreeSet::new());
        if let Some(before) = before {
            self.state.golden.remove(&golden_element(record, &before.bytes));
            self.state.records -= is_customer;
            old = before.index;
        }
        match after {
            Some(after) => {
                self.state.golden.add(&golden_element(record, &after.bytes));
                self.state.records += is_customer;
                self.put(key, after.bytes);
                new = after.index;
            }
            None => self.ops.push(Op::Delete(key)),
        }
        let own = |key: &&Vec<u8>| !index::is_in_runs(key);
        self.fresh.extend(new.difference(&old).filter(own).cloned());
        self.reindex(&old, new);
        let mark = layout::record_key(layout::CONFLICT, record);
        match conflicts {
            [false, true] => {
                self.state.conflicted += 1;
                self.put(mark, Vec::new());
            }
            [true, false] => {
                self.state.conflicted -= 1;
                self.ops.push(Op::Delete(mark));
            }
            [true, true] | [false, false] => {}
        }
    }

    /// Replaces entries of the indexes.
    pub(super) fn reindex(&mut self, old: &BTreeSet<Vec<u8>>, new: BTreeSet<Vec<u8>>) {
        for key in old.difference(&new) {
            self.changes.remove(key.clone());
        }
        new.into_iter().filter(|key| !old.contains(key)).for_each(|key| self.changes.add(key));
    }

    /// Writes the indexes. What comes after it may put what is not of a record.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails.
    pub(super) fn done(mut self) -> Result<Self, ReadError> {
        let changes = std::mem::take(&mut self.changes);
        let ops = changes.into_ops(&mut self.state.runs, self.view)?;
        self.ops.extend(ops);
        Ok(self)
    }

    /// Puts a rebuilt record in the place of what is stored. Gives the difference that is seen.
    pub(super) fn replace(
        &mut self,
        record: &RecordId,
        rebuilt: Rebuilt,
    ) -> Result<Option<RecordDifference>, ReadError> {
        let records = Records::new(self.view);
        for item in records.quarantined(Some(record), usize::MAX)? {
            self.state.quarantined -= 1;
            self.state.golden.remove(&quarantine_element(&item));
            let key = layout::quarantine_key(&item.record, &item.commit, item.index);
            self.ops.push(Op::Delete(key));
            // What the store still shows while this batch is made counts among its issues.
            self.due(&item.record);
        }
        for item in &rebuilt.quarantined {
            self.quarantine(item);
        }
        match &rebuilt.held {
            Some(text) => self.hold(record, text),
            None => self.ops.push(Op::Delete(layout::record_key(layout::HELD, record))),
        }
        if rebuilt.document.is_empty() {
            let before = self.stored(record)?;
            let difference = before.as_ref().map(|before| {
                RecordDifference::between(Some(&before.record), &GoldenRecord::empty(*record))
            });
            self.golden(record, before.as_deref(), None)?;
            self.no_issues(record)?;
            self.ops.push(Op::Delete(layout::record_key(layout::DOCUMENT, record)));
            return Ok(difference);
        }
        let before = self.stored(record)?;
        let difference = self.document(record, rebuilt.document, before.as_deref())?;
        Ok((!difference.is_empty()).then_some(difference))
    }

    /// Resolves a record again by the policy in force. Gives the difference, if there is one.
    pub(super) fn resolve_again(
        &mut self,
        record: &RecordId,
    ) -> Result<Option<RecordDifference>, ReadError> {
        let Some(document) = Records::new(self.view).document(record)? else { return Ok(None) };
        let before = self.stored(record)?;
        let claims = self.claims(&document);
        let resolved = resolve(self.history.policy(), &claims);
        let after = Golden::of(GoldenRecord::from_resolved(*record, &resolved));
        let none = GoldenRecord::empty(*record);
        let shown = before.as_ref().map_or(&none, |before| &before.record);
        let difference = RecordDifference::between(Some(shown), &after.record);
        self.golden(record, before.as_deref(), Some(&after))?;
        // The policy may see issues where no value changes.
        self.issues(record, &claims, &resolved, &after.record, true)?;
        Ok((!difference.is_empty()).then_some(difference))
    }

    /// Tells the feed of what changed without a commit.
    pub(super) fn derived(&mut self, cause: Cause, records: Vec<RecordDifference>) {
        if records.is_empty() {
            return;
        }
        self.state.feed += 1;
        self.state.derived += 1;
        self.feed(&mut FeedEntry { cause, records });
    }
}
