//! The store of a node: durable keys and values behind one narrow trait.
//!
//! [`Store`] is the trait, [`DiskStore`] implements it on sled or redb ([`EngineKind`]). What it needs of an
//! engine is in `engine`, opening and recovery in `open`, how a value is laid out and checked in `value`,
//! and [`Watermark`] is the file outside the store that notices a store
//! that came back short. What the keys mean is not known here. See `docs/storage.md`.

mod compact;
mod disk_store;
mod engine;
mod filter;
mod format;
mod lock;
mod open;
mod pack;
mod redb_engine;
mod sled_engine;
mod totals;
mod value;
mod walk;
mod watermark;

use std::path::{Path, PathBuf};

use crate::kv::{KEY_MAX, Op, ShowKey, View};

pub use self::compact::CompactError;
pub use self::disk_store::DiskStore;
pub use self::engine::{EngineKind, UnknownEngine};
pub use self::format::{FORMAT_KEY, FORMAT_VERSION, StoreId};
pub use self::open::{OpenError, OpenReport, StoreOptions};
pub use self::value::VALUE_MAX;
pub use self::watermark::{Behind, Mark, Watermark, WatermarkError};

/// Durable keys and values.
///
/// Narrow on purpose: no closures, no transactions, no watchers, so that an engine is a small
/// piece of work. Reads come from [`View`] and may run on any thread; one thread should write.
pub trait Store: View + Send + Sync {
    /// Applies the changes in order, all or none; a reader never sees a part of them.
    ///
    /// With `durable`, returns only when they and everything applied before survive a power cut; readers
    /// see the state before until then, and for good when the disk refuses. Without, readers see them at
    /// once, and a later durable call or [`Store::sync`] covers them. Keep a call at or below about 1,000
    /// changes and 4 MiB: it is written in one piece, readers wait while it goes into the engine (not for
    /// its fsync), and memory for it is given back only afterwards.
    ///
    /// # Errors
    /// `Key`, `Reserved`, `TooLong`: nothing was changed. All others: what is on disk is not known, so nothing
    /// of this call may be acknowledged, and the store takes no more changes until it was opened again.
    fn apply(&self, ops: &[Op], durable: bool) -> Result<(), StoreError>;

    /// Makes everything applied so far durable.
    ///
    /// # Errors
    /// When the disk did not take it. The store takes no more changes until it was opened again.
    fn sync(&self) -> Result<(), StoreError>;

    /// Reads every entry and checks its checksum. Writes nothing; runs beside readers and the writer.
    ///
    /// # Errors
    /// When the store cannot be read on. Damaged values are not an error but in the report.
    fn verify(&self) -> Result<VerifyReport, StoreError>;

    /// Writes a compact and durable copy of the whole store, as it is now, into the directory `into`,
    /// which must not exist. Serves as backup, too. Changes wait until it is done.
    ///
    /// # Errors
    /// When a value is damaged, an earlier write failed, or the copy cannot be written. This store was not changed; a partial copy
    /// is left behind.
    fn compact(&self, into: &Path) -> Result<CompactReport, StoreError>;

    /// What the store takes on disk. Files that cannot be looked at count as nothing.
    fn stats(&self) -> StoreStats;
}

/// Why a change or a walk over the store failed. Each variant says whether anything was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A key is empty or longer than 512 bytes. Nothing was changed.
    #[error(
        "A store key has {length} bytes, but 1 to {max} are possible. This is a defect of Concord: please \
         report it.",
        max = KEY_MAX
    )]
    Key {
        /// The length of the key.
        length: usize,
    },
    /// A key belongs to the store itself. Nothing was changed.
    #[error(
        "The store key {} belongs to the store itself. This is a defect of Concord: please report it.",
        ShowKey(key)
    )]
    Reserved {
        /// The key.
        key: Vec<u8>,
    },
    /// A value is longer than [`VALUE_MAX`]. Nothing was changed.
    #[error(
        "The value for the store key {} has {length} bytes, but at most {max} are possible. Nothing was stored.",
        ShowKey(key),
        max = VALUE_MAX
    )]
    TooLong {
        /// The key.
        key: Vec<u8>,
        /// The length of the value.
        length: usize,
    },
    /// A value is damaged, so the store cannot be copied. Nothing was changed.
    #[error(
        "The stored entry {} is damaged: its checksum does not match. Nothing was copied. Run `concord \
         verify`. When it names a commit, move the store away and start the node again: it fetches everything from \
         its peers.",
        ShowKey(key)
    )]
    Damaged {
        /// The key of the damaged value.
        key: Vec<u8>,
    },
    /// Entries are missing, so the store cannot be copied. Nothing was changed.
    #[error(
        "The store in {} should hold {expected} entries, but {found} were found or they differ: it was damaged. \
         Nothing was copied. Move this directory away and keep it, then start the node again: it begins \
         with an empty store and fetches its records from its peers.",
        dir.display()
    )]
    Incomplete {
        /// The directory of the store.
        dir: PathBuf,
        /// How many keys it should hold.
        expected: u64,
        /// How many keys were found.
        found: u64,
    },
    /// The disk is full. What was being written is not acknowledged.
    #[error(
        "The disk that holds {} is full. Nothing more is stored until there is room: free some space, then start \
         the node again. What was acknowledged is safe.",
        dir.display()
    )]
    Full {
        /// The directory of the store.
        dir: PathBuf,
    },
    /// The operating system refuses access. What was being written is not acknowledged.
    #[error(
        "The node may not write to {} ({reason}). Give the account that runs the node read and write access, \
         then start it again.",
        dir.display()
    )]
    Denied {
        /// The directory of the store.
        dir: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// Another error of the disk or the engine. What was being written is not acknowledged.
    #[error(
        "The store in {} failed: {reason}. Nothing more is stored. What was acknowledged is on disk: check the \
         disk, then start the node again.",
        dir.display()
    )]
    Engine {
        /// The directory of the store.
        dir: PathBuf,
        /// What the engine or the operating system said.
        reason: String,
    },
    /// The files cannot be read. Nothing was changed.
    #[error(
        "The store in {} cannot be read to its end: {reason}. Stop the node and check the disk; if it is sound, \
         move this directory away and start the node again: it fetches its records from its peers.",
        dir.display()
    )]
    Unreadable {
        /// The directory of the store.
        dir: PathBuf,
        /// What the engine or the operating system said.
        reason: String,
    },
    /// An earlier change failed. Nothing was changed now.
    #[error(
        "The store in {} takes no changes since an earlier write failed. Start the node again; the earlier \
         message says what to repair first.",
        dir.display()
    )]
    Stopped {
        /// The directory of the store.
        dir: PathBuf,
    },
    /// The directory for the copy exists already. Nothing was changed.
    #[error("{} exists already. Name a directory that does not exist yet.", into.display())]
    Exists {
        /// The directory that was named.
        into: PathBuf,
    },
}

/// What [`Store::verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// How many keys were found.
    pub keys: u64,
    /// Whether these are the entries that were written, none more and none less.
    pub complete: bool,
    /// How many bytes their values have.
    pub bytes: u64,
    /// How many values are damaged.
    pub damaged: u64,
    /// The keys of the damaged values, the first 100 of them.
    pub damaged_keys: Vec<Vec<u8>>,
    /// Entries that no value owns: a waste of space, or the remains of a damaged value.
    pub orphans: u64,
    /// Files in sled's blob directory, which are never made durable. Must be 0.
    pub blobs: u64,
}

impl VerifyReport {
    /// Whether everything is as it was written.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.complete && self.damaged == 0 && self.orphans == 0 && self.blobs == 0
    }
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactReport {
    /// How many keys were copied.
    pub keys: u64,
    /// Bytes on disk before.
    pub before: u64,
    /// Bytes on disk afterwards.
    pub after: u64,
}

/// What the store takes on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreStats {
    /// Bytes of all its files.
    pub disk_bytes: u64,
    /// Files in sled's blob directory, which are never made durable. More than 0 is an alarm.
    pub blobs: u64,
}

#[cfg(test)]
mod tests;
