//! The store on an engine: values checked and chunked, one batch at a time. Readers are never in the middle
//! of one, and see it only when it is durable. Everything here is the same for each engine.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::compact;
use super::engine::{
    Batch, Bytes, Engine, EngineKind, Entry, Fault, count_blobs, disk_bytes, engine_dir,
};
use super::filter::Filter;
use super::format::{FORMAT_KEY, StoreId};
use super::lock::DirLock;
use super::open::{self, OpenError, OpenReport, StoreOptions};
use super::totals::{TOTALS_KEY, Totals};
use super::value::{
    Head, Stored, VALUE_MAX, chunk_count, chunk_key, decode_head, is_sound, parse_chunk_key,
    value_of,
};
use super::walk::Walk;
use super::{CompactReport, Store, StoreError, StoreStats, VerifyReport};
use crate::kv::{
    KEY_MAX, KEY_RESERVED, Op, Overlay, Pair, ReadError, ShowKey, Values, View, last_key,
    prefix_end,
};

/// Changes up to which a batch is not packed: somebody waits for it, and packing is a tenth of its time.
const FEW: usize = 64;
/// How many entries a walk over the store reads at a time.
pub(super) const PAGE: usize = 256;

/// What an open store consists of. Fields are dropped in this order: the lock is given back last.
pub(super) struct Parts {
    pub(super) engine: Engine,
    pub(super) lock: DirLock,
    pub(super) id: StoreId,
    pub(super) dir: PathBuf,
    pub(super) options: StoreOptions,
}

/// The store of a node, on sled or redb ([`EngineKind`]). Dropping it closes it.
///
/// At most one per directory. Calls block: keep them off async threads.
pub struct DiskStore {
    parts: Parts,
    /// Held from the first change of a batch until its fsync returned: one batch at a time.
    writer: Mutex<()>,
    /// Held for writing while readers get to see a batch: no call may see it in part.
    gate: RwLock<Gate>,
    /// Knows of every key that was ever written here, or of none.
    filter: Filter,
    /// A walk of [`Store::verify`] under way, which batches keep up to date.
    walk: Walk,
}

/// What is known of the engine's content.
pub(super) struct Gate {
    /// Of all that is in the engine, durable or not.
    pub(super) totals: Totals,
    /// While a batch is on its way to the disk, and for good when the disk refused it: the values that
    /// its keys had before. Readers see these, and so nothing that a power cut could take back. Not needed
    /// where the engine keeps the state before.
    before: Option<Result<Values, ReadError>>,
}

impl fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The engine's own output would be the whole content.
        f.debug_struct("DiskStore").field("dir", &self.parts.dir).finish_non_exhaustive()
    }
}

impl DiskStore {
    /// Opens the store in `dir`, or creates it.
    ///
    /// On sled it takes 3 to 13 seconds for each 2.6 to 6 GB on disk. Compare the report with the
    /// [`super::Watermark`] before serving anything: a store whose files were lost opens empty.
    ///
    /// # Errors
    /// When another node uses the store, when it is on another engine than asked for, damaged or of another
    /// release, when the disk is full or refuses access. No record was changed.
    pub fn open(dir: &Path, options: &StoreOptions) -> Result<(Self, OpenReport), OpenError> {
        open::open(dir, options)
    }

    pub(super) const fn from_parts(parts: Parts, totals: Totals, filter: Filter) -> Self {
        let gate = RwLock::new(Gate { totals, before: None });
        Self { parts, writer: Mutex::new(()), gate, filter, walk: Walk::new() }
    }

    pub(super) fn into_parts(self) -> Parts {
        self.parts
    }

    pub(super) const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Makes the disk slow, or refuse.
    #[cfg(test)]
    pub(super) fn set_fsync(&mut self, fsync: super::engine::Fsync) {
        self.parts.engine.set_fsync(fsync);
    }

    /// The engine that holds the store.
    #[must_use]
    pub const fn engine(&self) -> EngineKind {
        self.parts.engine.kind()
    }

    /// The identity of the store.
    #[must_use]
    pub const fn id(&self) -> StoreId {
        self.parts.id
    }

    /// The directory of the store.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.parts.dir
    }

    /// Keeps batches out while it is held.
    pub(super) fn reading(&self) -> RwLockReadGuard<'_, Gate> {
        // What it guards is set in whole pieces, so a panic while it was held leaves no harm.
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> RwLockWriteGuard<'_, Gate> {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the batch that is on its way to the disk, and keeps others out while it is held.
    pub(super) fn writing(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads one state, without the batch that is on its way to the disk.
    fn read<T>(
        &self,
        read: impl FnOnce(&dyn View) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let gate = self.reading();
        let content = Content(&self.parts.engine);
        match &gate.before {
            None => read(&content),
            Some(Ok(values)) => read(&Overlay::over(&content, values)),
            Some(Err(error)) => Err(error.clone()),
        }
    }

    /// A read that failed, for a walk over the store.
    pub(super) fn unreadable(&self, fault: &Fault) -> StoreError {
        StoreError::Unreadable { dir: self.parts.dir.clone(), reason: fault.reason() }
    }

    fn fail(&self, fault: Fault) -> StoreError {
        StoreError::of(&self.parts.dir, fault)
    }

    /// Applies the changes. Readers see them when this returns, unless the store still keeps them back
    /// (`Gate::before`). The caller has checked them and is the only writer.
    fn apply_checked(&self, ops: &[Op], durable: bool) -> Result<(), Fault> {
        let engine = &self.parts.engine;
        let totals = self.reading().totals;
        let Planned { changed, stale, totals, before } = plan(engine, &self.filter, ops, totals)?;
        // Before anybody can find them in the engine.
        let written = changed.iter().filter(|change| change.new.is_some());
        written.for_each(|change| self.filter.add(change.key));
        let totals_entry = totals.entry();
        let mut batch = Batch::default();
        stale.iter().for_each(|chunk| batch.remove(&**chunk));
        for change in &changed {
            match &change.new {
                Some(stored) => {
                    for (chunk, bytes) in stored.chunks(change.key) {
                        batch.insert(chunk, bytes);
                    }
                    batch.insert(change.key, stored.head.as_slice());
                }
                None => batch.remove(change.key),
            }
        }
        batch.insert(TOTALS_KEY, totals_entry);
        if engine.keeps_versions() {
            // Readers do not wait for the disk: they see what was shown before.
            engine.apply(&batch, durable)?;
        }
        let mut gate = self.changing();
        if engine.keeps_versions() {
            engine.show()?;
        } else {
            gate.before = Some(before);
            engine.apply(&batch, false)?;
        }
        gate.totals = totals;
        self.walk.follow(&changed);
        drop(gate);
        if durable && !engine.keeps_versions() {
            engine.sync()?;
        }
        Ok(())
    }
}

/// A change of one key.
pub(super) struct Change<'a> {
    pub(super) key: &'a [u8],
    /// Its head before.
    pub(super) old: Option<Bytes>,
    /// What it holds afterwards.
    pub(super) new: Option<Stored<'a>>,
}

/// What a batch comes to.
struct Planned<'a> {
    changed: Vec<Change<'a>>,
    /// Chunks of values that are replaced.
    stale: Vec<Bytes>,
    totals: Totals,
    before: Result<Values, ReadError>,
}

/// Looks up what the changes replace.
fn plan<'a>(
    engine: &Engine,
    filter: &Filter,
    ops: &'a [Op],
    mut totals: Totals,
) -> Result<Planned<'a>, Fault> {
    // One key may change several times: the last one counts.
    let last: BTreeMap<&[u8], Option<&[u8]>> = ops
        .iter()
        .map(|op| match op {
            Op::Put(key, value) => (key.as_slice(), Some(value.as_slice())),
            Op::Delete(key) => (key.as_slice(), None),
        })
        .collect();
    let packs = last.len() > FEW;
    let mut before: Result<Values, ReadError> = Ok(Values::new());
    let mut changed = Vec::with_capacity(last.len());
    let mut stale = Vec::new();
    for (key, value) in last {
        let (old, chunks) = match filter.lacks(key) {
            true => (None, Vec::new()),
            false => owned_entries(engine, key)?,
        };
        stale.extend(chunks);
        if !engine.keeps_versions() {
            before = before.and_then(|mut values| {
                values.insert(key.to_vec(), before_value(engine, key, old.as_deref())?);
                Ok(values)
            });
        }
        let new = value.map(|value| Stored::new(key, value, packs));
        if let Some(head) = &old {
            totals.remove(head);
        }
        if let Some(stored) = &new {
            totals.add(&stored.head);
        }
        changed.push(Change { key, old, new });
    }
    Ok(Planned { changed, stale, totals, before })
}

impl StoreError {
    pub(super) fn of(dir: &Path, fault: Fault) -> Self {
        let dir = dir.to_owned();
        match fault {
            Fault::Full => Self::Full { dir },
            Fault::Denied(reason) => Self::Denied { dir, reason },
            Fault::Stopped => Self::Stopped { dir },
            Fault::Held
            | Fault::Corrupt(_)
            | Fault::Panic(_)
            | Fault::Foreign(_)
            | Fault::Other(_) => Self::Engine { dir, reason: fault.reason() },
        }
    }
}

/// Refuses changes that the layout has no place for.
fn check(op: &Op) -> Result<(), StoreError> {
    let key = op.key();
    if key.is_empty() || key.len() > KEY_MAX {
        return Err(StoreError::Key { length: key.len() });
    }
    if key[0] == KEY_RESERVED || key == FORMAT_KEY {
        return Err(StoreError::Reserved { key: key.to_vec() });
    }
    match op {
        Op::Put(key, value) if value.len() > VALUE_MAX => {
            Err(StoreError::TooLong { key: key.clone(), length: value.len() })
        }
        Op::Put(..) | Op::Delete(_) => Ok(()),
    }
}

impl Store for DiskStore {
    fn apply(&self, ops: &[Op], durable: bool) -> Result<(), StoreError> {
        ops.iter().try_for_each(check)?;
        if !ops.is_empty() {
            let engine = &self.parts.engine;
            let _turn = self.writing();
            let applied = engine.check_running().and_then(|()| self.apply_checked(ops, durable));
            engine.stop_on_error(applied).map_err(|fault| self.fail(fault))?;
            if !engine.keeps_versions() {
                self.changing().before = None;
            }
        } else if durable {
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.parts.engine.sync().map_err(|fault| self.fail(fault))
    }

    fn verify(&self) -> Result<VerifyReport, StoreError> {
        let mut report = VerifyReport { blobs: self.stats().blobs, ..VerifyReport::default() };
        let complete = self.walk.verify(self, &mut report);
        report.complete = complete.map_err(|fault| self.unreadable(&fault))?;
        Ok(report)
    }

    fn compact(&self, into: &Path) -> Result<CompactReport, StoreError> {
        compact::copy(self, into, self.engine())
    }

    fn stats(&self) -> StoreStats {
        StoreStats {
            disk_bytes: disk_bytes(&self.parts.dir),
            blobs: count_blobs(&engine_dir(&self.parts.dir, self.engine())),
        }
    }
}

impl View for DiskStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        if self.filter.lacks(key) { Ok(None) } else { self.read(|view| view.get(key)) }
    }

    fn lists_none(&self, prefix: &[u8]) -> bool {
        self.filter.lacks(prefix)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, ReadError> {
        self.read(|view| view.scan(prefix, from, limit))
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<Pair>, ReadError> {
        self.read(|view| view.last(prefix))
    }
}

/// All that is in the engine, durable or not. Only for who holds the gate.
struct Content<'a>(&'a Engine);

impl View for Content<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        if key.starts_with(&[KEY_RESERVED]) { Ok(None) } else { load(self.0, key) }
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, ReadError> {
        let (start, end) = (prefix.max(from), end_of(prefix));
        if start >= end.as_slice() {
            return Ok(Vec::new());
        }
        let entries =
            self.0.range(start, Some(&end), limit).map_err(|fault| unavailable(&fault))?;
        let resolved = entries
            .iter()
            .map(|(key, entry)| resolve(self.0, key, entry).map(|value| (key.to_vec(), value)));
        resolved.collect()
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<Pair>, ReadError> {
        let end = end_of(prefix);
        // sled's reverse iteration loops and then panics when keys hold four bytes 0xFF in the wrong
        // place, and strangers choose bytes of our keys: search forward.
        let first = |from: &[u8]| {
            if from >= end.as_slice() {
                return Ok(None);
            }
            let found = self.0.range(from, Some(&end), 1).map_err(|fault| unavailable(&fault))?;
            Ok(found.first().map(|(key, _)| key.to_vec()))
        };
        match last_key(prefix, first)? {
            Some(key) => Ok(load(self.0, &key)?.map(|value| (key, value))),
            None => Ok(None),
        }
    }
}

/// The value that a key has before a batch changes it, for readers.
fn before_value(
    engine: &Engine,
    key: &[u8],
    head: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, ReadError> {
    let value = head.map(|head| resolve(engine, key, head)).transpose();
    value.map_err(|_| ReadError::Unavailable {
        // A batch may replace a damaged value: that is how it is repaired. Until it is durable there
        // is no answer to give.
        reason: format!("the damaged entry {} is being replaced", ShowKey(key)),
    })
}

/// The first key behind the caller's keys with this prefix.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    prefix_end(prefix).unwrap_or_else(|| vec![KEY_RESERVED])
}

/// The least key greater than `key`.
pub(super) fn successor(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

fn unavailable(fault: &Fault) -> ReadError {
    ReadError::Unavailable { reason: fault.reason() }
}

/// Whether the engine holds nothing.
pub(super) fn is_empty(engine: &Engine) -> Result<bool, Fault> {
    Ok(engine.range(&[], None, 1)?.is_empty())
}

/// Up to [`PAGE`] raw entries from `from` on, chunks included.
pub(super) fn page(engine: &Engine, from: &[u8]) -> Result<Vec<Entry>, Fault> {
    engine.range(from, None, PAGE)
}

/// The value of `key`, checked.
pub(super) fn load(engine: &Engine, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
    match engine.get(key).map_err(|fault| unavailable(&fault))? {
        Some(entry) => resolve(engine, key, &entry).map(Some),
        None => Ok(None),
    }
}

/// The value behind a head, checked.
pub(super) fn resolve(engine: &Engine, key: &[u8], entry: &[u8]) -> Result<Vec<u8>, ReadError> {
    let damaged = || ReadError::Damaged { key: key.to_vec() };
    let (checksum, body, is_packed) = match decode_head(entry).ok_or_else(damaged)? {
        Head::Inline { checksum, body, is_packed } => (checksum, body.to_vec(), is_packed),
        Head::Chunked { checksum, length, is_packed } => {
            let count = chunk_count(length);
            let found = engine
                .range(&chunk_key(key, 0), Some(&chunk_key(key, count)), count as usize)
                .map_err(|fault| unavailable(&fault))?;
            // As long as what is there, not as what a damaged head promises.
            let body = found.iter().flat_map(|(_, bytes)| &**bytes).copied().collect();
            (checksum, body, is_packed)
        }
    };
    let value = value_of(body, is_packed).ok_or_else(damaged)?;
    if is_sound(key, &value, checksum) { Ok(value) } else { Err(damaged()) }
}

/// The head of `key`, and the chunk keys that it owns: all that are there, whatever a damaged head says.
fn owned_entries(engine: &Engine, key: &[u8]) -> Result<(Option<Bytes>, Vec<Bytes>), Fault> {
    let head = engine.get(key)?;
    let chunks = match head.as_deref().map(decode_head) {
        None | Some(Some(Head::Inline { .. })) => Vec::new(),
        Some(Some(Head::Chunked { .. }) | None) => {
            let end = successor(&chunk_key(key, u32::MAX));
            engine.range(&chunk_key(key, 0), Some(&end), usize::MAX)?
        }
    };
    Ok((head, chunks.into_iter().map(|(chunk, _)| chunk).collect()))
}

/// Whether an entry in the reserved range is the totals or a chunk of a value.
pub(super) fn is_owned(engine: &Engine, chunk: &[u8]) -> Result<bool, Fault> {
    if chunk == TOTALS_KEY {
        return Ok(true);
    }
    let Some((key, index)) = parse_chunk_key(chunk) else {
        return Ok(false);
    };
    let head = engine.get(key)?;
    let length = match head.as_deref().and_then(decode_head) {
        Some(Head::Chunked { length, .. }) => length,
        Some(Head::Inline { .. }) | None => 0,
    };
    Ok(index < chunk_count(length))
}
