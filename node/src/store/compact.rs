//! Compaction: a copy into fresh files, which is the only way to get space back from the engine.
//!
//! [`copy`] writes a compact copy beside an open store. [`SledStore::compact_dir`] works on a stopped
//! store and puts the copy in its place, so that a power cut at any moment leaves the old or the new
//! files, never a mixture. [`settle`] tidies up after such a moment.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::engine::{Engine, Fault, disk_bytes, sync_dir};
use super::open::{ENGINE_DIR, OpenError, StoreOptions};
use super::sled_store::{PAGE, SledStore, is_owned, page, resolve, successor};
use super::totals::Totals;
use super::{CompactReport, StoreError};
use crate::kv::{KEY_RESERVED, ReadError};

/// The copy while it is written; worthless until it is complete.
const PARTIAL: &str = "compacted.partial";
/// The complete copy, as long as the old files are in place.
const COMPLETE: &str = "compacted";
/// The old files, once the new ones are complete.
const REPLACED: &str = "replaced";

/// Why a stopped store was not compacted. The store is as it was.
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
        "The compacted store in {} could not take the place of the old one: {source}. Start the node again: it \
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

impl SledStore {
    /// Compacts the stopped store in `dir`: afterwards it takes about twice what it holds. Needs as much
    /// free space meanwhile.
    ///
    /// # Errors
    /// When the store cannot be opened, a value is damaged, or the copy cannot be written. The store is
    /// as it was, and what is left of the copy is removed now or at the next start.
    pub fn compact_dir(dir: &Path, options: &StoreOptions) -> Result<CompactReport, CompactError> {
        let (store, _) = Self::open(dir, options)?;
        let partial = dir.join(PARTIAL);
        let copied = copy(&store, &partial);
        let parts = store.into_parts();
        // Close the old files, keep the lock.
        drop(parts.engine);
        let swapped = copied.map_err(CompactError::from).and_then(|report| {
            swap(dir).map_err(|source| CompactError::Swap { dir: dir.to_owned(), source })?;
            Ok(report)
        });
        if swapped.is_err() && partial.exists() {
            // Best effort: the next start removes it, too.
            drop(fs::remove_dir_all(&partial));
        }
        drop(parts.lock);
        swapped
    }
}

/// Copies every value of the store, checked, into a new store directory.
pub(super) fn copy(store: &SledStore, into: &Path) -> Result<CompactReport, StoreError> {
    let source = &store.parts().engine;
    // No batch is on its way to the disk, and none was refused by it: all that is there is durable, or
    // was never said to be.
    let _turn = store.writing();
    source.check_running().map_err(|fault| StoreError::of(&store.parts().dir, fault))?;
    let read_fail = |fault| store.unreadable(&fault);
    let write_fail = |fault| StoreError::of(into, fault);
    let create = || {
        fs::create_dir(into)?;
        fs::create_dir(into.join(ENGINE_DIR))
    };
    create().map_err(|error: io::Error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            StoreError::Exists { into: into.to_owned() }
        } else {
            write_fail(error.into())
        }
    })?;
    let target =
        Engine::open(&into.join(ENGINE_DIR), &store.parts().options).map_err(write_fail)?;
    let mut seen = Totals::default();
    let mut from = Vec::new();
    // Held to the end, so that the copy is one state of the store.
    let gate = store.reading();
    loop {
        let entries = page(source, &from).map_err(read_fail)?;
        let mut batch = sled::Batch::default();
        for (key, entry) in &entries {
            if key.starts_with(&[KEY_RESERVED]) {
                if !is_owned(source, key).map_err(read_fail)? {
                    continue;
                }
            } else {
                // The value itself is not used: this is the check that it is sound.
                resolve(source, key, entry).map_err(|error| match error {
                    ReadError::Damaged { key } => StoreError::Damaged { key },
                    ReadError::Unavailable { reason } => read_fail(Fault::Other(reason)),
                })?;
                seen.add(entry);
            }
            batch.insert(key, entry);
        }
        target.apply(batch).map_err(write_fail)?;
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
    target.sync().map_err(write_fail)?;
    drop(target);
    sync_dir(into).map_err(|error| write_fail(error.into()))?;
    let before = disk_bytes(&store.parts().dir.join(ENGINE_DIR));
    Ok(CompactReport { keys: seen.keys, before, after: disk_bytes(into) })
}

/// Puts the complete copy in the place of the engine's directory. Each step is one rename.
fn swap(dir: &Path) -> io::Result<()> {
    fs::rename(dir.join(PARTIAL), dir.join(COMPLETE))?;
    sync_dir(dir)?;
    fs::rename(dir.join(ENGINE_DIR), dir.join(REPLACED))?;
    sync_dir(dir)?;
    settle(dir)
}

/// Finishes or undoes a compaction that was interrupted, and removes what it left.
pub(super) fn settle(dir: &Path) -> io::Result<()> {
    let live = dir.join(ENGINE_DIR);
    let complete = dir.join(COMPLETE).join(ENGINE_DIR);
    for waiting in [complete, dir.join(REPLACED)] {
        if !live.exists() && waiting.exists() {
            fs::rename(waiting, &live)?;
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
