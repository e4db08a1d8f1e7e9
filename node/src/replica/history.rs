//! The history that a node holds, and what follows from it: documents, golden records, indexes,
//! quarantine, feed and digests.
//!
//! A commit is first placed ([`History::place`]: is it the next one of its log, are its causes here,
//! is it signed by a member?), then its items are judged ([`History::judge`]), then everything it
//! changes becomes one batch ([`History::apply`]). Judging is a pure function of the commit, its
//! causal past and the roster; `docs/replication.md` lists the verdicts.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use crdt_model::document::{Author, CustomerDocument, Refusal};
use crdt_model::golden_record::{GoldenRecord, Resolved};
use crdt_model::id::{CommitRef, RecordId, Region};
use crdt_model::policy::Policy;
use crdt_model::survivorship::resolve;
use crdt_model::time::Hlc;
use crdt_model::value::canonical_json;

use super::causality::{self, Past};
use super::commit::{Commit, Head, Header, Opening};
use super::layout;
use super::limits::{CLOCK_OFFSET_MS_MAX, RECORD_BYTES_MAX};
use super::node_id::NodeId;
use super::records::{FeedEntry, QuarantinedItem, RecordDifference, Records};
use super::roster::Roster;
use super::state::State;
use super::vector::{LogState, Vector};
use crate::kv::{Op, ReadError, View};

/// Everything held, as far as it is needed in memory.
#[derive(Debug, Clone)]
pub struct History {
    /// Who belongs to the network.
    pub roster: Roster,
    /// How far every log is held.
    pub vector: Vector,
    /// Counters, clock and the digest of what is shown.
    pub state: State,
    policy: Policy,
}

/// Where a commit from a peer stands in relation to what is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It is held already.
    Known,
    /// It is the next commit of its log and its causes are here. The author, with its region.
    Next {
        /// Who wrote it.
        author: NodeId,
        /// The author's region at the commit's epoch.
        region: Region,
    },
    /// A commit before it, or one that it follows, is not here yet.
    MissingCause,
    /// It names a roster entry that is not here yet.
    MissingEpoch,
    /// It contradicts a commit that is held: the author signed two histories.
    Fork,
    /// It is not signed by its author, or the author is a stranger, or its log id is not its own.
    Unauthentic(&'static str),
}

/// What becomes of one item.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Applied; the document after it.
    Applied(Box<CustomerDocument>),
    /// Not applied, alike on every node.
    Quarantined {
        /// Why, as a stable code.
        code: String,
        /// Why, in words.
        text: String,
    },
    /// The checks passed and Automerge failed: a defect of ours. The record stays as it was.
    Held(String),
}

/// What a commit did here.
#[derive(Debug)]
pub struct Applied {
    /// To be written in one batch.
    pub ops: Vec<Op>,
    /// The records that changed, with their resolution.
    pub records: BTreeMap<RecordId, (CustomerDocument, Resolved)>,
    /// What an operator must see.
    pub alarms: Vec<String>,
}

impl History {
    /// Reads back what was stored.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged.
    pub fn load(view: &dyn View, roster: Roster, policy: Policy) -> Result<Self, ReadError> {
        let logs = Records::new(view).logs()?;
        let state = match view.get(layout::STATE)? {
            Some(bytes) => State::decode(&bytes).map_err(|_| ReadError::damaged(layout::STATE))?,
            None => State::default(),
        };
        Ok(Self { roster, vector: Vector::from_logs(logs), state, policy })
    }

    /// The policy by which golden records are resolved.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Where a commit stands. Reads only.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged.
    pub fn place(&self, commit: &Commit, view: &dyn View) -> Result<Place, ReadError> {
        let header = &commit.signed.header;
        let held = self.vector.get(&header.log);
        if held.is_some_and(|held| header.seq <= held.seq) {
            let stored = Records::new(view).header(&header.commit())?;
            let same = stored.is_some_and(|stored| stored.hash() == commit.signed.hash());
            return Ok(if same { Place::Known } else { self.unless_forged(commit, held) });
        }
        let author = match (&header.opening, held) {
            (Some(opening), None) => {
                if opening.log_id(&self.roster.network_id()) != header.log {
                    return Ok(Place::Unauthentic("its log id is not that of its author"));
                }
                match self.place_opening(opening, view)? {
                    Some(place) => return Ok(place),
                    None => opening.node,
                }
            }
            (None, Some(held)) if header.seq == held.seq + 1 => {
                if header.previous != held.hash {
                    return Ok(self.unless_forged(commit, Some(held)));
                }
                held.node
            }
            (None, Some(_) | None) | (Some(_), Some(_)) => return Ok(Place::MissingCause),
        };
        for followed in &header.follows {
            if !self.holds(followed, view)? {
                return Ok(Place::MissingCause);
            }
        }
        if header.epoch > self.roster.height() {
            return Ok(Place::MissingEpoch);
        }
        Ok(self.authenticate(commit, author))
    }

    /// A contradiction counts as a fork only when the author really signed it.
    fn unless_forged(&self, commit: &Commit, held: Option<&LogState>) -> Place {
        let author = held.map(|held| held.node);
        match author.map(|author| self.authenticate(commit, author)) {
            Some(Place::Next { .. }) => Place::Fork,
            Some(place) => place,
            None => Place::Fork,
        }
    }

    fn authenticate(&self, commit: &Commit, author: NodeId) -> Place {
        let epoch = commit.signed.header.epoch;
        let Some(member) = self.roster.member_at(&author, epoch) else {
            return Place::Unauthentic("its author is not a member of the network");
        };
        if !commit.signed.is_signed_by(&author, &self.roster.network_id()) {
            return Place::Unauthentic("its signature is not its author's");
        }
        Place::Next { author, region: member.region.clone() }
    }

    fn place_opening(
        &self,
        opening: &Opening,
        view: &dyn View,
    ) -> Result<Option<Place>, ReadError> {
        let Some(end) = &opening.predecessor else { return Ok(None) };
        if !self.holds(end, view)? {
            return Ok(Some(Place::MissingCause));
        }
        let continues = self.vector.get(&end.log).is_some_and(|before| {
            before.node == opening.node && before.incarnation < opening.incarnation
        });
        let wrong = Place::Unauthentic("it does not continue an earlier log of its author");
        Ok((!continues).then_some(wrong))
    }

    /// Whether exactly this commit is held.
    fn holds(&self, head: &Head, view: &dyn View) -> Result<bool, ReadError> {
        match self.vector.get(&head.log) {
            Some(held) if held.seq == head.seq => Ok(held.hash == head.hash),
            Some(held) if held.seq > head.seq => {
                let commit = CommitRef { log: head.log, seq: head.seq };
                let stored = Records::new(view).header(&commit)?;
                Ok(stored.is_some_and(|stored| stored.hash() == head.hash))
            }
            Some(_) | None => Ok(false),
        }
    }

    /// Judges every item of a commit that is [`Place::Next`].
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged.
    pub fn judge(
        &self,
        commit: &Commit,
        author: &NodeId,
        region: &Region,
        view: &dyn View,
    ) -> Result<Vec<Verdict>, ReadError> {
        let header = &commit.signed.header;
        let past = &Past::new(header, &self.vector, view);
        commit
            .records()
            .map(|(record, change)| {
                let before = self.document(&record, view)?;
                self.judge_item(&ItemOf { header, author, region, record, change, past }, &before)
            })
            .collect()
    }

    /// Judges one item against the document as it was before it.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged.
    fn judge_item(
        &self,
        item: &ItemOf<'_>,
        before: &CustomerDocument,
    ) -> Result<Verdict, ReadError> {
        let header = item.header;
        let cut = self.roster.cut(item.author, &header.log, header.epoch);
        if cut.is_some_and(|last| header.seq > last) {
            return Ok(Verdict::Quarantined {
                code: "author-revoked".to_owned(),
                text: "its author's membership was revoked before it was accepted".to_owned(),
            });
        }
        let author =
            Author { commit: header.commit(), time: header.time, region: item.region.clone() };
        let past = item.past;
        let failed = Cell::new(None);
        let seen = |cause: &CommitRef| {
            past.includes(cause).unwrap_or_else(|error| {
                failed.set(Some(error));
                false
            })
        };
        let outcome = before.admit_seen(&author, item.change, &seen);
        if let Some(error) = failed.take() {
            return Err(error);
        }
        Ok(match outcome {
            Ok(after) => match self.too_large(&item.record, &after) {
                Some(text) => Verdict::Held(text),
                None => Verdict::Applied(Box::new(after)),
            },
            Err(Refusal::Quarantine(code)) => {
                Verdict::Quarantined { code: code.code().to_owned(), text: code.to_string() }
            }
            Err(Refusal::Defect(text)) => Verdict::Held(text),
        })
    }

    /// Why a document cannot be kept although every change of it is within the limits: many logs wrote
    /// much on one record, apart from each other. No author could know, so it is no verdict.
    fn too_large(&self, record: &RecordId, after: &CustomerDocument) -> Option<String> {
        let text = |what: &str| format!("{what} would have over {RECORD_BYTES_MAX} bytes");
        if after.saved_bytes() > RECORD_BYTES_MAX {
            return Some(text("what was written on it"));
        }
        if after.saved_bytes() <= SMALL_DOCUMENT {
            return None;
        }
        let golden = Golden::of(self.resolved(record, after));
        (golden.bytes.len() > RECORD_BYTES_MAX).then(|| text("what it shows"))
    }

    fn resolved(&self, record: &RecordId, document: &CustomerDocument) -> GoldenRecord {
        GoldenRecord::from_resolved(*record, &resolve(&self.policy, &document.claims()))
    }

    /// The document of a record. It is a cache: a damaged one is built again from its commits.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a commit is damaged.
    pub fn document(
        &self,
        record: &RecordId,
        view: &dyn View,
    ) -> Result<CustomerDocument, ReadError> {
        match Records::new(view).document(record) {
            Ok(document) => Ok(document.unwrap_or_else(CustomerDocument::empty)),
            Err(ReadError::Damaged { .. }) => Ok(self.rebuild(record, view)?.document),
            Err(error) => Err(error),
        }
    }

    /// Takes a judged commit: moves the vector, the state and the digests, and gives the batch.
    ///
    /// `now_ms` bounds how far a commit's time may move the local clock.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged; nothing has changed then.
    pub fn apply(
        &mut self,
        commit: &Commit,
        verdicts: Vec<Verdict>,
        now_ms: u64,
        view: &dyn View,
    ) -> Result<Applied, ReadError> {
        let header = &commit.signed.header;
        let mut batch = Batch::new(self, view);
        batch.state.feed += 1;
        batch.state.clock = self.clock_after(header.time, now_ms);
        let mut differences = Vec::new();
        for ((index, (record, _)), verdict) in (0..).zip(commit.records()).zip(verdicts) {
            let item = QuarantinedItem {
                record,
                commit: header.commit(),
                index,
                code: String::new(),
                text: String::new(),
            };
            differences.extend(batch.item(item, verdict)?);
        }
        batch.store_commit(commit);
        batch.ops.extend(causality::notes(header));
        batch.feed(FeedEntry { commit: header.commit(), records: differences });
        let Batch { state, mut ops, records, alarms, .. } = batch;
        for log in self.vector.advance(header, commit.signed.hash()) {
            if let Some(held) = self.vector.get(&log) {
                ops.push(Op::Put(layout::vector_key(&log), held.encode()));
            }
        }
        self.state = state;
        ops.push(Op::Put(layout::STATE.to_vec(), self.state.encode()));
        Ok(Applied { ops, records, alarms })
    }

    /// The local clock after hearing of `time`: never dragged further than the bound. It always takes
    /// its own next reading, also where the wall clock fell back behind the bound.
    fn clock_after(&self, time: Hlc, now_ms: u64) -> Hlc {
        let bound = Hlc::from_ms(now_ms.saturating_add(CLOCK_OFFSET_MS_MAX));
        self.state.clock.max(time.min(bound.max(self.state.clock.tick(now_ms))))
    }

    /// Takes further roster entries. Gives the batch that makes them durable and sets right the
    /// records that a revocation touches.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged; the roster is as it was.
    pub fn adopt(&mut self, roster: Roster, view: &dyn View) -> Result<Vec<Op>, ReadError> {
        let before = std::mem::replace(&mut self.roster, roster);
        match self.adopted(&before, view) {
            Ok((state, mut ops)) => {
                self.state = state;
                ops.push(Op::Put(layout::ROSTER.to_vec(), self.roster.encode()));
                ops.push(Op::Put(layout::STATE.to_vec(), self.state.encode()));
                Ok(ops)
            }
            Err(error) => {
                self.roster = before;
                Err(error)
            }
        }
    }

    fn adopted(&self, before: &Roster, view: &dyn View) -> Result<(State, Vec<Op>), ReadError> {
        let mut batch = Batch::new(self, view);
        for record in self.records_cut_off(before, view)? {
            let rebuilt = self.rebuild(&record, view)?;
            batch.replace(&record, rebuilt)?;
        }
        Ok((batch.state, batch.ops))
    }

    /// Records with items that the new entries of the roster cut off.
    fn records_cut_off(
        &self,
        before: &Roster,
        view: &dyn View,
    ) -> Result<BTreeSet<RecordId>, ReadError> {
        let records = Records::new(view);
        let mut touched = BTreeSet::new();
        for (revoked, last) in self.roster.revocations_since(before.height()) {
            let logs = self.vector.logs().iter().filter(|(_, held)| held.node == revoked);
            for (log, held) in logs {
                let accepted = last.iter().find(|head| head.log == *log).map_or(0, |head| head.seq);
                for seq in accepted + 1..=held.seq {
                    let commit = records.commit(&CommitRef { log: *log, seq })?;
                    touched.extend(commit.iter().flat_map(Commit::records).map(|(id, _)| id));
                }
            }
        }
        Ok(touched)
    }

    /// Builds a record again from the commits held: what its document and quarantine must be.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged.
    pub fn rebuild(&self, record: &RecordId, view: &dyn View) -> Result<Rebuilt, ReadError> {
        let records = Records::new(view);
        let mut rebuilt =
            Rebuilt { document: CustomerDocument::empty(), quarantined: Vec::new(), held: None };
        let mut after = 0;
        loop {
            let page = records.history(record, after, LOAD_PAGE)?;
            for (position, commit) in &page {
                after = *position;
                self.replay(record, commit, &records, &mut rebuilt)?;
            }
            if page.len() < LOAD_PAGE {
                return Ok(rebuilt);
            }
        }
    }

    fn replay(
        &self,
        record: &RecordId,
        commit: &CommitRef,
        records: &Records<'_>,
        rebuilt: &mut Rebuilt,
    ) -> Result<(), ReadError> {
        let damaged = || ReadError::damaged(&layout::commit_key(commit));
        let whole = records.commit(commit)?.ok_or_else(damaged)?;
        let header = &whole.signed.header;
        let author = self.vector.get(&commit.log).ok_or_else(damaged)?.node;
        let region =
            self.roster.member_at(&author, header.epoch).ok_or_else(damaged)?.region.clone();
        let past = &Past::new(header, &self.vector, records.view());
        for (index, (about, change)) in (0..).zip(whole.records()) {
            if about != *record {
                continue;
            }
            let record = *record;
            let item = ItemOf { header, author: &author, region: &region, record, change, past };
            match self.judge_item(&item, &rebuilt.document)? {
                Verdict::Applied(document) => rebuilt.document = *document,
                Verdict::Quarantined { code, text } => rebuilt.quarantined.push(QuarantinedItem {
                    record,
                    commit: *commit,
                    index,
                    code,
                    text,
                }),
                Verdict::Held(text) => rebuilt.held = Some(text),
            }
        }
        Ok(())
    }
}

/// One item with what its verdict depends on besides the document.
struct ItemOf<'a> {
    header: &'a Header,
    author: &'a NodeId,
    region: &'a Region,
    record: RecordId,
    change: &'a [u8],
    past: &'a Past<'a>,
}

/// A record built again from its commits.
#[derive(Debug)]
pub struct Rebuilt {
    /// Its document.
    pub document: CustomerDocument,
    /// Its quarantined items.
    pub quarantined: Vec<QuarantinedItem>,
    /// Why it is held, if it is.
    pub held: Option<String>,
}

/// A document with no more bytes than this shows no more than [`RECORD_BYTES_MAX`], whatever is in it.
const SMALL_DOCUMENT: usize = 128 << 10;

/// Vector and history entries read at a time.
const LOAD_PAGE: usize = 256;

/// The element of the golden digest for a record.
#[must_use]
pub fn golden_element(record: &RecordId, golden: &[u8]) -> Vec<u8> {
    [b"g".as_slice(), record.as_bytes(), golden].concat()
}

/// The element of the golden digest for a quarantined item.
#[must_use]
pub fn quarantine_element(item: &QuarantinedItem) -> Vec<u8> {
    let key = layout::quarantine_key(&item.record, &item.commit, item.index);
    [&key, item.code.as_bytes()].concat()
}

/// Whether a golden record has a conflict.
#[must_use]
pub fn has_conflict(golden: &GoldenRecord) -> bool {
    let mut values = golden.attributes.values().flatten();
    values.any(|value| value.contest.as_ref().is_some_and(|contest| contest.conflict))
}

/// A golden record with its bytes, which are written, digested and compared.
struct Golden {
    record: GoldenRecord,
    bytes: Vec<u8>,
}

impl Golden {
    fn of(record: GoldenRecord) -> Self {
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

/// A batch under construction. Nothing is changed outside it until it is done.
struct Batch<'a> {
    state: State,
    ops: Vec<Op>,
    records: BTreeMap<RecordId, (CustomerDocument, Resolved)>,
    alarms: Vec<String>,
    history: &'a History,
    view: &'a dyn View,
}

impl<'a> Batch<'a> {
    fn new(history: &'a History, view: &'a dyn View) -> Self {
        let (ops, alarms) = (Vec::new(), Vec::new());
        let state = history.state.clone();
        Self { state, ops, records: BTreeMap::new(), alarms, history, view }
    }

    /// Puts the feed entry of the commit. When the differences are more than a value can be, the entry
    /// names the records only.
    fn feed(&mut self, mut entry: FeedEntry) {
        let mut bytes = canonical_json(&entry).into_bytes();
        if bytes.len() > RECORD_BYTES_MAX {
            entry.records.iter_mut().for_each(|difference| difference.fields.clear());
            bytes = canonical_json(&entry).into_bytes();
        }
        self.put(layout::feed_key(self.state.feed), bytes);
    }

    /// The golden record as it is stored. It is a cache: a damaged one is made again.
    fn stored(&self, record: &RecordId) -> Result<Option<Golden>, ReadError> {
        match Golden::stored(self.view, record) {
            Err(ReadError::Damaged { .. }) => {
                let document = self.history.document(record, self.view)?;
                Ok((!document.is_empty())
                    .then(|| Golden::of(self.history.resolved(record, &document))))
            }
            other => other,
        }
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.ops.push(Op::Put(key, value));
    }

    fn store_commit(&mut self, commit: &Commit) {
        let at = commit.signed.header.commit();
        let position = self.state.feed.to_be_bytes();
        let value = [position.as_slice(), &commit.signed.encode()].concat();
        self.put(layout::commit_key(&at), value);
        for (index, item) in (0..).zip(&commit.items) {
            self.put(layout::item_key(&at, index), item.clone());
        }
    }

    /// Books one judged item. Gives the difference it made to the golden record.
    fn item(
        &mut self,
        mut item: QuarantinedItem,
        verdict: Verdict,
    ) -> Result<Option<RecordDifference>, ReadError> {
        let mut commit = item.commit.log.as_bytes().to_vec();
        commit.extend(item.commit.seq.to_be_bytes());
        self.put(layout::history_key(&item.record, self.state.feed), commit);
        match verdict {
            Verdict::Applied(document) => self.document(&item.record, *document).map(Some),
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

    fn quarantine(&mut self, item: &QuarantinedItem) {
        self.state.quarantined += 1;
        self.state.golden.add(&quarantine_element(item));
        let key = layout::quarantine_key(&item.record, &item.commit, item.index);
        self.put(key, canonical_json(item).into_bytes());
    }

    fn hold(&mut self, record: &RecordId, text: &str) {
        self.put(layout::record_key(layout::HELD, record), text.as_bytes().to_vec());
        self.alarms.push(format!(
            "customer {record} is held: {text}. Its commits are kept; report it, and upgrade when a release takes them"
        ));
    }

    fn document(
        &mut self,
        record: &RecordId,
        document: CustomerDocument,
    ) -> Result<RecordDifference, ReadError> {
        let before = self.stored(record)?;
        let resolved = resolve(self.history.policy(), &document.claims());
        let after = Golden::of(GoldenRecord::from_resolved(*record, &resolved));
        let fields = match &before {
            Some(before) => GoldenRecord::differences(Some(&before.record), &after.record),
            None => Vec::new(),
        };
        self.golden(record, before.as_ref(), Some(&after));
        self.put(layout::record_key(layout::DOCUMENT, record), document.save());
        self.records.insert(*record, (document, resolved));
        Ok(RecordDifference { record: *record, created: before.is_none(), fields })
    }

    /// Replaces what is stored of a golden record: its bytes, digest element, index and conflict mark.
    fn golden(&mut self, record: &RecordId, before: Option<&Golden>, after: Option<&Golden>) {
        if before.map(|before| &before.bytes) == after.map(|after| &after.bytes) {
            return;
        }
        let key = layout::record_key(layout::GOLDEN, record);
        if let Some(before) = before {
            self.state.golden.remove(&golden_element(record, &before.bytes));
            self.state.records -= 1;
        }
        match after {
            Some(after) => {
                self.state.golden.add(&golden_element(record, &after.bytes));
                self.state.records += 1;
                self.put(key, after.bytes.clone());
            }
            None => self.ops.push(Op::Delete(key)),
        }
        let index = |golden: Option<&Golden>| {
            golden.map(|golden| layout::index_keys(&golden.record)).unwrap_or_default()
        };
        let (old, new) = (index(before), index(after));
        self.ops.extend(old.difference(&new).cloned().map(Op::Delete));
        self.ops.extend(new.difference(&old).map(|key| Op::Put(key.clone(), Vec::new())));
        let mark = layout::record_key(layout::CONFLICT, record);
        let marked = |golden: Option<&Golden>| golden.is_some_and(|it| has_conflict(&it.record));
        match (marked(before), marked(after)) {
            (false, true) => {
                self.state.conflicted += 1;
                self.put(mark, Vec::new());
            }
            (true, false) => {
                self.state.conflicted -= 1;
                self.ops.push(Op::Delete(mark));
            }
            (true, true) | (false, false) => {}
        }
    }

    /// Puts a rebuilt record in the place of what is stored.
    fn replace(&mut self, record: &RecordId, rebuilt: Rebuilt) -> Result<(), ReadError> {
        let records = Records::new(self.view);
        for item in records.quarantined(Some(record), usize::MAX)? {
            self.state.quarantined -= 1;
            self.state.golden.remove(&quarantine_element(&item));
            let key = layout::quarantine_key(&item.record, &item.commit, item.index);
            self.ops.push(Op::Delete(key));
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
            self.golden(record, before.as_ref(), None);
            self.ops.push(Op::Delete(layout::record_key(layout::DOCUMENT, record)));
        } else {
            self.document(record, rebuilt.document)?;
        }
        Ok(())
    }
}
