//! Compaction and migration: a copy into fresh files, of the same engine or another one.
//!
//! [`copy`] writes a compact copy beside an open store. [`DiskStore::compact_dir`] and
//! [`DiskStore::migrate_dir`] work on a stopped store and put the copy in its place, so that a power cut at
//! any moment leaves the old or the new files, never a mixture. [`settle`] tidies up after such a moment.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::disk_store::{DiskStore, PAGE, is_owned, page, resolve, successor};
use super::engine::{Batch, Engine, EngineKind, Fault, disk_bytes, engine_dir, sync_dir};
use super::format::{self, FORMAT_KEY};
use super::open::{OpenError, StoreOptions};
use super::totals::{TOTALS_KEY, Totals};
use super::value::encode_head;
use super::{CompactReport, StoreError};
use crate::kv::{KEY_RESERVED, ReadError};

/// The copy while it is written; worthless until it is complete.
const PARTIAL: &str = "compacted.partial";
/// The complete copy, as long as the old files are in place.
const COMPLETE: &str = "compacted";
/// The old files, once the new ones are complete.
const REPLACED: &str = "replaced";

/// Why a stopped store was not compacted or migrated. The store is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The store was not opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The copy was not written.
    #[error(transparent)]
    Copy(#[from] StoreError),
    /// The copy did not take the place of the old files. The next start finishes or undoes it.
    #[error(
        "The new files of the store in {} could not take the place of the old ones: {source}. Start the node again: it \
         uses whichever of the two is in place.",
        dir.display()
    )]
    Swap {
        /// The directory of the store.
        dir: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl DiskStore {
    /// Compacts the stopped store in `dir`: afterwards it takes about twice what it holds. Needs as much
    /// free space meanwhile.
    ///
    /// # Errors
    /// When the store cannot be opened, a value is damaged, or the copy cannot be written. The store is
    /// as it was, and what is left of the copy is removed now or at the next start.
    pub fn compact_dir(dir: &Path, options: &StoreOptions) -> Result<CompactReport, CompactError> {
        let (store, report) = Self::open(dir, options)?;
        replace(store, report.engine)
    }

    /// Moves the stopped store in `dir` to another engine; it keeps its identity. Needs about twice what it
    /// holds as free space meanwhile. On that engine already: nothing is done, and the report is `None`.
    ///
    /// # Errors
    /// As [`Self::compact_dir`].
    pub fn migrate_dir(
        dir: &Path,
        to: EngineKind,
        options: &StoreOptions,
    ) -> Result<Option<CompactReport>, CompactError> {
        let (store, report) = Self::open(dir, &StoreOptions { engine: None, ..*options })?;
        if report.engine == to { Ok(None) } else { replace(store, to).map(Some) }
    }
}

/// Puts a copy on this engine in the place of the files of the store, and closes it.
fn replace(store: DiskStore, to: EngineKind) -> Result<CompactReport, CompactError> {
    let dir = store.dir().to_owned();
    let from = store.engine();
    let partial = dir.join(PARTIAL);
    let copied = copy(&store, &partial, to);
    let parts = store.into_parts();
    // Close the old files, keep the lock.
    drop(parts.engine);
    let swapped = copied.map_err(CompactError::from).and_then(|report| {
        swap(&dir, from).map_err(|source| CompactError::Swap { dir: dir.clone(), source })?;
        Ok(report)
    });
    if swapped.is_err() && partial.exists() {
        // Best effort: the next start removes it, too.
        drop(fs::remove_dir_all(&partial));
    }
    drop(parts.lock);
    swapped
}

/// Copies every value of the store, checked, into a new store directory on this engine.
pub(super) fn copy(
    store: &DiskStore,
    into: &Path,
    to: EngineKind,
) -> Result<CompactReport, StoreError> {
    let source = &store.parts().engine;
    // No batch is on its way to the disk, and none was refused by it: all that is there is durable, or
    // was never said to be.
    let _turn = store.writing();
    source.check_running().map_err(|fault| StoreError::of(&store.parts().dir, fault))?;
    let write_fail = |fault| StoreError::of(into, fault);
    let files = engine_dir(into, to);
    fs::create_dir(into).and_then(|()| fs::create_dir(&files)).map_err(|error: io::Error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            StoreError::Exists { into: into.to_owned() }
        } else {
            write_fail(error.into())
        }
    })?;
    let target = Engine::open(to, &files, &store.parts().options).map_err(write_fail)?;
    let mut seen = Totals::default();
    let mut from = Vec::new();
    // Held to the end, so that the copy is one state of the store.
    let gate = store.reading();
    loop {
        let entries = page(source, &from).map_err(|fault| store.unreadable(&fault))?;
        let mut batch = Batch::default();
        for (key, entry) in &entries {
            if is_to_copy(store, key, entry, &mut seen)? {
                batch.insert(&**key, &**entry);
            }
        }
        // Shown, so that the engine may use again what the next batch replaces.
        target.apply(&batch, false).and_then(|()| target.show()).map_err(write_fail)?;
        match entries.last() {
            Some((key, _)) if entries.len() == PAGE => from = successor(key),
            _ => break,
        }
    }
    if seen != gate.totals {
        let dir = store.parts().dir.clone();
        return Err(StoreError::Incomplete { dir, expected: gate.totals.keys, found: seen.keys });
    }
    drop(gate);
    if to != source.kind() {
        rename_engine(store, &target, seen).map_err(write_fail)?;
    }
    target.sync().map_err(write_fail)?;
    drop(target);
    sync_dir(into).map_err(|error| write_fail(error.into()))?;
    let before = disk_bytes(&engine_dir(&store.parts().dir, source.kind()));
    Ok(CompactReport { keys: seen.keys, before, after: disk_bytes(&files) })
}

/// Whether a raw entry belongs into a copy; its value is checked.
fn is_to_copy(
    store: &DiskStore,
    key: &[u8],
    entry: &[u8],
    seen: &mut Totals,
) -> Result<bool, StoreError> {
    let source = &store.parts().engine;
    if key.starts_with(&[KEY_RESERVED]) {
        return is_owned(source, key).map_err(|fault| store.unreadable(&fault));
    }
    // The value itself is not used: this is the check that it is sound.
    resolve(source, key, entry).map_err(|error| match error {
        ReadError::Damaged { key } => StoreError::Damaged { key },
        ReadError::Unavailable { reason } => store.unreadable(&Fault::Other(reason)),
    })?;
    seen.add(entry);
    Ok(true)
}

/// Writes into a copy that another engine holds it now.
fn rename_engine(store: &DiskStore, target: &Engine, mut totals: Totals) -> Result<(), Fault> {
    let id = store.id();
    let head = |kind| encode_head(FORMAT_KEY, &format::encode(id, kind));
    let new = head(target.kind());
    totals.remove(&head(store.engine()));
    totals.add(&new);
    let mut batch = Batch::default();
    batch.insert(FORMAT_KEY, new);
    batch.insert(TOTALS_KEY, totals.entry());
    target.apply(&batch, false)
}

/// Puts the complete copy in the place of this engine's directory. Each step is one rename.
fn swap(dir: &Path, from: EngineKind) -> io::Result<()> {
    fs::rename(dir.join(PARTIAL), dir.join(COMPLETE))?;
    sync_dir(dir)?;
    fs::rename(engine_dir(dir, from), dir.join(REPLACED))?;
    sync_dir(dir)?;
    settle(dir)
}

/// Finishes or undoes a compaction that was interrupted, and removes what it left.
pub(super) fn settle(dir: &Path) -> io::Result<()> {
    let is_live = || EngineKind::ALL.into_iter().any(|kind| engine_dir(dir, kind).exists());
    let complete = EngineKind::ALL.map(|kind| (engine_dir(&dir.join(COMPLETE), kind), kind));
    // The old files have no name of their engine any more, but its file.
    let replaced = dir.join(REPLACED);
    let old = EngineKind::ALL.into_iter().find(|kind| replaced.join(kind.main_file()).exists());
    for (waiting, kind) in complete.into_iter().chain(old.map(|kind| (replaced, kind))) {
        if !is_live() && waiting.exists() {
            fs::rename(waiting, engine_dir(dir, kind))?;
            sync_dir(dir)?;
        }
    }
    for name in [PARTIAL, COMPLETE, REPLACED] {
        match fs::remove_dir_all(dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
