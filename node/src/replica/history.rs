//! The history that a node holds, and what follows from it: documents, golden records, indexes,
//! quarantine, feed and digests.
//!
//! A commit is first placed ([`History::place`]: is it the next one of its log, are its causes here,
//! is it signed by a member?), then its items are judged and everything they change becomes one batch
//! ([`History::take`]). Judging is a pure function of the commit, its causal past and the roster;
//! `docs/replication.md` lists the verdicts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crdt_model::code_list::CodeList;
use crdt_model::document::CustomerDocument;
use crdt_model::golden_record::{GoldenRecord, Resolved};
use crdt_model::id::{CommitRef, LogId, RecordId, Region};
use crdt_model::policy::{CompiledChecks, Policy};
use crdt_model::survivorship::resolve;
use crdt_model::time::Hlc;

use super::ahead::Firsts;
use super::batch::{Batch, Golden};
use super::causality::{self, Past};
use super::commit::{Commit, Head, Opening};
use super::hot::Hot;
use super::layout;
use super::limits::CLOCK_OFFSET_MS_MAX;
use super::lists::Lists;
use super::node_id::NodeId;
use super::records::{Cause, FeedEntry, QuarantinedItem, Records};
use super::roster::Roster;
use super::state::State;
use super::vector::{LogState, Vector};
use super::verdict::{ItemOf, Judged, Verdict};
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
    /// The policy in force where the roster brings none.
    pub(super) base: Arc<Policy>,
    /// The policy in force now.
    pub(super) policy: Arc<Policy>,
    /// Its digest; the status tells it after every write.
    pub(super) policy_digest: [u8; 32],
    /// Its checks.
    pub(super) checks: Arc<CompiledChecks>,
    pub(super) lists: Lists,
    pub(super) hot: Hot,
    /// Whether the issues of some records must be looked at again.
    pub(super) has_due: bool,
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
    /// It contradicts what is held of this log: of its own, whose author then signed two histories, or
    /// of one that it follows.
    Fork(LogId),
    /// Its log has ended before it: a fork is proved.
    Void,
    /// It is not signed by its author, or the author is a stranger, or its log id is not its own.
    Unauthentic(&'static str),
}

/// Whether what a commit names is here.
enum Reach {
    /// It is, or it is void.
    Held,
    /// Not yet.
    Missing,
    /// Another commit stands in its place.
    Contradicted,
}

/// What a commit did here.
#[derive(Debug)]
pub struct Applied {
    /// To be written in one batch.
    pub ops: Vec<Op>,
    /// Of a commit of our own, the records that changed, with their resolution.
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
        let base = Arc::new(policy);
        let policy = Arc::clone(&base);
        let proofs = Records::new(view).forks()?.into_iter().map(|proof| proof.at());
        let vector = Vector::from_logs(logs, proofs.map(|at| (at.log, at.seq)).collect());
        // If nothing is due, the first look says so.
        let (lists, hot, has_due) = (Lists::default(), Hot::default(), true);
        let checks = Arc::new(CompiledChecks::of(&policy));
        let policy_digest = policy.digest();
        let mut history = Self {
            roster,
            vector,
            state,
            base,
            policy,
            policy_digest,
            checks,
            lists,
            hot,
            has_due,
        };
        // What was in force stays so; what has come due meanwhile waits for the clock.
        history.activate(0);
        Ok(history)
    }

    /// The policy by which golden records are resolved.
    #[must_use]
    pub const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// A code list, as the store holds it.
    pub(super) fn list(
        &self,
        records: &Records<'_>,
        name: &str,
    ) -> Result<Option<Arc<CodeList>>, ReadError> {
        self.lists.get(records, name)
    }

    /// The checks of the policy in force.
    pub(super) fn checks(&self) -> &CompiledChecks {
        &self.checks
    }

    /// Where a commit stands. Reads only.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged.
    pub fn place(&self, commit: &Commit, view: &dyn View) -> Result<Place, ReadError> {
        let header = &commit.signed.header;
        if self.vector.is_void(&header.commit()) {
            return Ok(Place::Void);
        }
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
            match self.reach(followed, view)? {
                Reach::Held => {}
                Reach::Missing => return Ok(Place::MissingCause),
                Reach::Contradicted => return Ok(Place::Fork(followed.log)),
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
            Some(Place::Next { .. }) | None => Place::Fork(commit.signed.header.log),
            Some(place) => place,
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
        match self.reach(end, view)? {
            Reach::Held => {}
            Reach::Missing => return Ok(Some(Place::MissingCause)),
            Reach::Contradicted => return Ok(Some(Place::Fork(end.log))),
        }
        let before = match self.vector.get(&end.log) {
            Some(before) => Some((before.node, before.incarnation)),
            // All of it is void; who opened it, the proof says.
            None => {
                let proof = Records::new(view).fork(&end.log)?;
                proof.map(|proof| (proof.opening.node, proof.opening.incarnation))
            }
        };
        let continues = before.is_some_and(|(node, incarnation)| {
            node == opening.node && incarnation < opening.incarnation
        });
        let wrong = Place::Unauthentic("it does not continue an earlier log of its author");
        Ok((!continues).then_some(wrong))
    }

    /// Whether exactly this commit is held. Nobody waits for one that is void.
    fn reach(&self, head: &Head, view: &dyn View) -> Result<Reach, ReadError> {
        let commit = CommitRef { log: head.log, seq: head.seq };
        if self.vector.is_void(&commit) {
            return Ok(Reach::Held);
        }
        let hash = match self.vector.get(&head.log) {
            Some(held) if held.seq == head.seq => Some(held.hash),
            Some(held) if held.seq > head.seq => {
                Records::new(view).header(&commit)?.map(|stored| stored.hash())
            }
            Some(_) | None => None,
        };
        Ok(match hash {
            None => Reach::Missing,
            Some(hash) if hash == head.hash => Reach::Held,
            Some(_) => Reach::Contradicted,
        })
    }

    pub(super) fn resolved(&self, record: &RecordId, document: &CustomerDocument) -> GoldenRecord {
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
        if let Some(document) = self.hot.document(record) {
            return Ok(document.clone());
        }
        match Records::new(view).document(record) {
            Ok(document) => Ok(document.unwrap_or_else(CustomerDocument::empty)),
            Err(ReadError::Damaged { .. }) => Ok(self.rebuild(record, view)?.document),
            Err(error) => Err(error),
        }
    }

    /// Judges and applies a commit that is [`Place::Next`]: moves the vector, the state and the digests,
    /// and gives the batch.
    ///
    /// `now_ms` bounds how far a commit's time may move the local clock.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged; nothing has changed then.
    pub fn take(
        &mut self,
        commit: &Commit,
        author: &NodeId,
        region: &Region,
        now_ms: u64,
        view: &dyn View,
    ) -> Result<Applied, ReadError> {
        self.take_read(commit, Firsts::new(), (author, region), now_ms, view)
    }

    /// The same with what was found out ahead about its items.
    pub(super) fn take_read(
        &mut self,
        commit: &Commit,
        firsts: Firsts,
        (author, region): (&NodeId, &Region),
        now_ms: u64,
        view: &dyn View,
    ) -> Result<Applied, ReadError> {
        let (header, note) = (&commit.signed.header, &commit.signed.note);
        let past = &Past::new(header, &self.vector, view);
        // One item after the other: what is left of one is small, and the next finds the memory warm.
        let firsts = firsts.into_iter().chain(std::iter::repeat(None));
        let verdicts = commit.records().zip(firsts).map(|((record, change), first)| {
            let before = self.document(&record, view)?;
            let item = ItemOf { header, note, author, region, record, change, past };
            match first.filter(|first| before.is_empty() && self.is_found(&item, first)) {
                Some(first) => Ok(Judged::Ahead(first)),
                None => self.judge_item(&item, &before).map(Judged::Now),
            }
        });
        let booked = self.book(Batch::new(self, view), commit, verdicts, now_ms)?;
        Ok(self.adopt_booked(commit, booked))
    }

    /// Applies a commit of our own, whose verdicts are known. As [`Self::take`], and gives the records
    /// that changed.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(super) fn take_own(
        &mut self,
        commit: &Commit,
        verdicts: Vec<Verdict>,
        now_ms: u64,
        view: &dyn View,
    ) -> Result<Applied, ReadError> {
        let batch = Batch { records: Some(BTreeMap::new()), ..Batch::new(self, view) };
        let booked =
            self.book(batch, commit, verdicts.into_iter().map(Judged::Now).map(Ok), now_ms)?;
        Ok(self.adopt_booked(commit, booked))
    }

    /// Makes the batch of a commit, a verdict for each item.
    fn book(
        &self,
        mut batch: Batch<'_>,
        commit: &Commit,
        verdicts: impl Iterator<Item = Result<Judged, ReadError>>,
        now_ms: u64,
    ) -> Result<Booked, ReadError> {
        let header = &commit.signed.header;
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
            differences.extend(batch.item(item, verdict?)?);
        }
        batch.store_commit(commit);
        batch.ops.extend(causality::notes(header));
        batch.feed(&mut FeedEntry { cause: Cause::Commit(header.commit()), records: differences });
        let Batch { state, ops, records, hot, alarms, has_due, lists_changed, .. } =
            batch.done()?;
        let records = records.unwrap_or_default();
        let applied = Applied { ops, records, alarms };
        Ok(Booked { state, applied, hot, has_due, lists_changed })
    }

    /// Moves on to what the batch of a commit says.
    fn adopt_booked(&mut self, commit: &Commit, booked: Booked) -> Applied {
        let Booked { state, mut applied, hot, has_due, lists_changed } = booked;
        if lists_changed {
            self.lists.forget();
        }
        hot.into_iter()
            .for_each(|(record, document, golden)| self.hot.keep(record, document, golden));
        self.has_due |= has_due;
        for log in self.vector.advance(&commit.signed.header, commit.signed.hash()) {
            if let Some(held) = self.vector.get(&log) {
                applied.ops.push(Op::Put(layout::vector_key(&log), held.encode()));
            }
        }
        self.state = state;
        applied.ops.push(Op::Put(layout::STATE.to_vec(), self.state.encode()));
        applied
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
            Ok((state, has_due, mut ops)) => {
                self.state = state;
                self.has_due |= has_due;
                self.lists.forget();
                self.hot.forget_all();
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

    fn adopted(&self, before: &Roster, view: &dyn View) -> Result<Adopted, ReadError> {
        let mut batch = Batch::new(self, view);
        let mut differences = Vec::new();
        for record in self.records_cut_off(before, view)? {
            let rebuilt = self.rebuild(&record, view)?;
            differences.extend(batch.replace(&record, rebuilt)?);
        }
        batch.derived(Cause::Roster(self.roster.height()), differences);
        let Batch { state, has_due, ops, .. } = batch.done()?;
        Ok((state, has_due, ops))
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
        if self.vector.is_void(commit) {
            return Ok(());
        }
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
            let (record, note) = (*record, &whole.signed.note);
            let (author, region) = (&author, &region);
            let item = ItemOf { header, note, author, region, record, change, past };
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

/// The document of a record for readers, made again from its commits where the stored one is damaged:
/// one that is damaged must not keep anybody from the others.
///
/// # Errors
/// [`ReadError`] when the store fails or a commit is damaged.
pub fn sound_document(
    records: &Records<'_>,
    record: &RecordId,
) -> Result<Option<CustomerDocument>, ReadError> {
    match records.document(record) {
        Err(error @ ReadError::Damaged { .. }) => {
            let roster = records.roster()?.ok_or(error)?;
            let history = History::load(records.view(), roster, Policy::built_in())?;
            let document = history.rebuild(record, records.view())?.document;
            Ok((!document.is_empty()).then_some(document))
        }
        other => other,
    }
}

/// What a commit comes to, before anything has moved.
struct Booked {
    state: State,
    applied: Applied,
    hot: Vec<(RecordId, CustomerDocument, Arc<Golden>)>,
    has_due: bool,
    lists_changed: bool,
}

/// What a longer roster gives: the state, whether records became due, and the batch.
type Adopted = (State, bool, Vec<Op>);

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

/// Vector and history entries read at a time.
const LOAD_PAGE: usize = 256;
