//! What a proof does: the log ends, its void commits are set aside, and the records that they or their
//! followers touched are built again without them.

use std::collections::{BTreeMap, BTreeSet};

use crdt_model::id::{CommitRef, LogId, RecordId};

use super::ForkProof;
use crate::kv::{Op, ReadError, View};
use crate::replica::batch::Batch;
use crate::replica::causality;
use crate::replica::commit::{Commit, Hash};
use crate::replica::history::History;
use crate::replica::layout;
use crate::replica::records::{Cause, FeedEntry, Records};

/// Feed entries read at a time.
const PAGE: usize = 256;

/// What the end of a log changed.
#[derive(Debug)]
pub(crate) struct Ended {
    /// To be written in one batch.
    pub(crate) ops: Vec<Op>,
    /// The records that were built again.
    pub(crate) touched: BTreeSet<RecordId>,
    /// How many commits that were held are void.
    pub(crate) void: u64,
    /// What an operator must see.
    pub(crate) alarms: Vec<String>,
}

/// A commit that is void, and where the feed has it.
struct Void {
    position: u64,
    commit: Commit,
}

impl History {
    /// Ends a log before the fork. The proof must hold. Gives nothing when the log is known to end
    /// there already, or before.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged; nothing has changed then.
    pub(crate) fn end_log(
        &mut self,
        proof: &ForkProof,
        view: &dyn View,
    ) -> Result<Option<Ended>, ReadError> {
        let at = proof.at();
        if self.vector.is_void(&at) {
            return Ok(None);
        }
        let void = self.void_from(&at, view)?;
        let before = match at.seq {
            1 => None,
            seq => Records::new(view).header(&CommitRef { seq: seq - 1, ..at })?,
        };
        let whole = self.vector.clone();
        let changed = self.vector.end(at, before.map(|signed| signed.hash()));
        match self.without(proof, &void, &changed, view) {
            Ok(ended) => Ok(Some(ended)),
            Err(error) => {
                self.vector = whole;
                Err(error)
            }
        }
    }

    /// The commits held of a log, from a place on.
    fn void_from(&self, at: &CommitRef, view: &dyn View) -> Result<Vec<Void>, ReadError> {
        let records = Records::new(view);
        let held = at.seq..=self.vector.seq(&at.log);
        let read = held.map(|seq| {
            let at = CommitRef { log: at.log, seq };
            let damaged = || ReadError::damaged(&layout::commit_key(&at));
            let (position, _) = records.header_at(&at)?.ok_or_else(damaged)?;
            Ok(Void { position, commit: records.commit(&at)?.ok_or_else(damaged)? })
        });
        read.collect()
    }

    fn without(
        &mut self,
        proof: &ForkProof,
        void: &[Void],
        changed: &[LogId],
        view: &dyn View,
    ) -> Result<Ended, ReadError> {
        let touched = self.touched(void, view)?;
        let mut batch = Batch::new(self, view);
        batch.put(layout::fork_key(&proof.at().log), proof.encode());
        for log in changed {
            batch.ops.push(match self.vector.get(log) {
                Some(held) => Op::Put(layout::vector_key(log), held.encode()),
                None => Op::Delete(layout::vector_key(log)),
            });
        }
        for one in void {
            set_aside(&mut batch, one)?;
        }
        let mut differences = Vec::new();
        for record in &touched {
            let rebuilt = self.rebuild(record, view)?;
            differences.extend(batch.replace(record, rebuilt)?);
        }
        batch.derived(Cause::Fork(proof.at().log), differences);
        let Batch { state, mut ops, alarms, has_due, .. } = batch.done()?;
        ops.push(Op::Put(layout::STATE.to_vec(), state.encode()));
        self.state = state;
        self.has_due |= has_due;
        self.lists.forget();
        self.hot.forget_all();
        Ok(Ended { ops, touched, void: void.len() as u64, alarms })
    }

    /// Every record whose verdicts can change: those of void commits, and of commits whose authors had
    /// seen one. An author's later commits have seen what its earlier ones had.
    fn touched(&self, void: &[Void], view: &dyn View) -> Result<BTreeSet<RecordId>, ReadError> {
        let of = |commit: &Commit| commit.records().map(|(id, _)| id).collect::<Vec<_>>();
        let mut touched: BTreeSet<RecordId> = void.iter().flat_map(|one| of(&one.commit)).collect();
        let Some(first) = void.iter().map(|one| one.position).min() else { return Ok(touched) };
        let records = Records::new(view);
        let mut followers: BTreeMap<LogId, u64> = BTreeMap::new();
        let mut after = first;
        loop {
            let page = records.feed(after, PAGE)?;
            for (position, entry) in &page {
                after = *position;
                let Some(commit) = entry.cause.commit().filter(|at| !self.vector.is_void(at))
                else {
                    continue;
                };
                let Some(signed) = records.header(commit)? else { continue };
                let header = signed.header;
                let ends = header.opening.and_then(|opening| opening.predecessor);
                let has_seen = header.follows.iter().chain(&ends).any(|head| {
                    let at = CommitRef { log: head.log, seq: head.seq };
                    self.vector.is_void(&at)
                        || followers.get(&head.log).is_some_and(|from| *from <= head.seq)
                });
                if has_seen || followers.contains_key(&header.log) {
                    followers.entry(header.log).or_insert(header.seq);
                    touched.extend(records.commit(commit)?.iter().flat_map(of));
                }
            }
            if page.len() < PAGE {
                return Ok(touched);
            }
        }
    }
}

/// Takes a void commit out of the history and keeps it for people: what it said may be right all the
/// same. Its place in the feed stays, without a commit.
fn set_aside(batch: &mut Batch<'_>, void: &Void) -> Result<(), ReadError> {
    let Void { position, commit } = void;
    let header = &commit.signed.header;
    let at = header.commit();
    let hash: Hash = commit.signed.hash();
    batch.put(layout::aside_key(&at, &hash), commit.encode());
    let mut gone = vec![layout::commit_key(&at), layout::items_key(&at)];
    gone.extend(commit.records().map(|(record, _)| layout::history_key(&record, *position)));
    gone.extend(causality::notes(header).filter_map(|op| match op {
        Op::Put(key, _) => Some(key),
        Op::Delete(_) => None,
    }));
    batch.ops.extend(gone.into_iter().map(Op::Delete));
    let entry = Records::new(batch.view).feed(position.saturating_sub(1), 1)?.pop();
    let records = entry.map(|(_, entry)| entry.records).unwrap_or_default();
    let entry = FeedEntry { cause: Cause::Fork(at.log), records };
    batch.put(layout::feed_key(*position), crdt_model::value::canonical_json(&entry).into_bytes());
    batch.state.derived += 1;
    batch.state.void += 1;
    Ok(())
}
