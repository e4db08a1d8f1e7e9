//! What the store needs of an engine: ordered bytes, atomic batches, a durable end.
//!
//! Everything above is common: checksums, chunks, totals, the walk, the copy. An engine is opened, read, changed by one
//! batch at a time, made durable and closed. [`SledEngine`] and [`RedbEngine`] differ in one thing that shows here:
//! redb keeps the state before a batch for readers, sled does not ([`Engine::keeps_versions`]).

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::open::StoreOptions;
use super::redb_engine::RedbEngine;
use super::sled_engine::SledEngine;

/// How long closing may take. What was acknowledged is on disk before.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// Which engine holds a store. `docs/storage.md` says when to choose which.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// sled 0.34, the default.
    #[default]
    Sled,
    /// redb 4.
    Redb,
}

impl EngineKind {
    /// Every engine.
    pub const ALL: [Self; 2] = [Self::Sled, Self::Redb];

    /// The name in the configuration, and of its directory in the store directory.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
        }
    }

    /// The name in the format entry: an engine with another file format gets another one.
    pub(super) const fn format(self) -> &'static str {
        match self {
            Self::Sled => "sled-0.34",
            Self::Redb => "redb-4",
        }
    }

    /// The file that has everything, in the engine's directory.
    pub(super) const fn main_file(self) -> &'static str {
        match self {
            Self::Sled => "db",
            Self::Redb => "data.redb",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("There is no store engine \"{0}\". Use sled or redb.")]
pub struct UnknownEngine(String);

impl FromStr for EngineKind {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| UnknownEngine(name.chars().take(40).collect()))
    }
}

/// What went wrong in the engine.
#[derive(Debug)]
pub(super) enum Fault {
    /// No room on the disk.
    Full,
    /// No permission.
    Denied(String),
    /// The files are held by somebody else.
    Held,
    /// The engine found its files damaged.
    Corrupt(String),
    /// The engine panicked: damage that it does not expect.
    Panic(String),
    /// The files are of another engine version or setting.
    Foreign(String),
    /// Anything else.
    Other(String),
    /// An earlier write failed.
    Stopped,
}

impl Fault {
    /// What happened, for the middle of a sentence.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Full => "the disk is full".to_owned(),
            Self::Held => "its files are in use".to_owned(),
            Self::Stopped => "an earlier write failed".to_owned(),
            Self::Denied(reason)
            | Self::Corrupt(reason)
            | Self::Panic(reason)
            | Self::Foreign(reason)
            | Self::Other(reason) => reason.clone(),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let kind = error.kind();
        // A file that may not grow is as full as a disk.
        if matches!(kind, Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge) {
            Self::Full
        } else if matches!(kind, Kind::PermissionDenied | Kind::ReadOnlyFilesystem) {
            Self::Denied(error.to_string())
        } else if error.to_string().starts_with("could not acquire lock") {
            // sled has no kind of its own for this.
            Self::Held
        } else {
            Self::Other(error.to_string())
        }
    }
}

/// Runs a call into an engine; a panic becomes a fault.
pub(super) fn caught<T, E: Into<Fault>>(call: impl FnOnce() -> Result<T, E>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(Into::into),
        Err(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
            let short: String = text.unwrap_or("no reason given").chars().take(200).collect();
            Err(Fault::Panic(format!("the engine gave up on damaged data ({short})")))
        }
    }
}

/// How a file is made durable: the one call that knows what a power cut would leave.
pub(super) type Fsync = Box<dyn Fn(&File) -> io::Result<()> + Send + Sync>;

/// Bytes that an engine gave out.
#[derive(Debug, Clone)]
pub(super) enum Bytes {
    /// Shared with the cache of sled.
    Shared(sled::IVec),
    /// Copied out of a page.
    Owned(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// A raw entry of the engine: a head or a chunk.
pub(super) type Entry = (Bytes, Bytes);

/// Bytes of a batch, borrowed where they stand somewhere already.
type Part<'a> = Cow<'a, [u8]>;

/// Changes that go in together; each key at most once.
#[derive(Debug, Default)]
pub(super) struct Batch<'a>(Vec<(Part<'a>, Option<Part<'a>>)>);

impl<'a> Batch<'a> {
    pub(super) fn insert(&mut self, key: impl Into<Part<'a>>, value: impl Into<Part<'a>>) {
        self.0.push((key.into(), Some(value.into())));
    }

    pub(super) fn remove(&mut self, key: impl Into<Part<'a>>) {
        self.0.push((key.into(), None));
    }

    /// The changes: a key, and its value or that it goes.
    pub(super) fn changes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value.as_deref()))
    }
}

/// An open engine. Dropping it closes it.
pub(super) enum Engine {
    Sled(SledEngine),
    Redb(RedbEngine),
}

impl Engine {
    /// Opens or creates the engine in `dir`, and makes its files and directory durable.
    pub(super) fn open(
        kind: EngineKind,
        dir: &Path,
        options: &StoreOptions,
    ) -> Result<Self, Fault> {
        Ok(match kind {
            EngineKind::Sled => Self::Sled(SledEngine::open(dir, options)?),
            EngineKind::Redb => Self::Redb(RedbEngine::open(dir, options)?),
        })
    }

    pub(super) const fn kind(&self) -> EngineKind {
        match self {
            Self::Sled(_) => EngineKind::Sled,
            Self::Redb(_) => EngineKind::Redb,
        }
    }

    /// Whether readers see a batch only from [`Engine::show`] on. Otherwise they see it at once, and the
    /// store itself keeps from them what is not durable.
    pub(super) const fn keeps_versions(&self) -> bool {
        matches!(self, Self::Redb(_))
    }

    /// Whether the engine checks each page that it reads from the disk. One that does not may pass an entry
    /// in a walk and yet not find it, when a page above it is damaged.
    pub(super) const fn checks_pages(&self) -> bool {
        matches!(self, Self::Sled(_))
    }

    /// The value of a key. A failed read stays with itself: other keys may be fine.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        match self {
            Self::Sled(sled) => sled.get(key),
            Self::Redb(redb) => redb.get(key),
        }
    }

    /// Up to `limit` entries from `from` on and below `end`, ascending.
    pub(super) fn range(
        &self,
        from: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, Fault> {
        match self {
            Self::Sled(sled) => sled.range(from, end, limit),
            Self::Redb(redb) => redb.range(from, end, limit),
        }
    }

    /// Whether writes are still accepted.
    pub(super) fn check_running(&self) -> Result<(), Fault> {
        match self {
            Self::Sled(sled) => sled.check_running(),
            Self::Redb(redb) => redb.check_running(),
        }
    }

    /// No writes any more after a failed one: after a failed fsync the kernel may have dropped the data and
    /// say "fine" the next time.
    pub(super) fn stop_on_error(&self, result: Result<(), Fault>) -> Result<(), Fault> {
        if result.is_err() {
            match self {
                Self::Sled(sled) => sled.stop(),
                Self::Redb(redb) => redb.stop(),
            }
        }
        result
    }

    /// Applies one atomic batch. sled: not durable yet, and seen at once. redb: durable if asked for, and
    /// seen when it is shown.
    pub(super) fn apply(&self, batch: &Batch<'_>, durable: bool) -> Result<(), Fault> {
        self.stop_on_error(match self {
            Self::Sled(sled) => sled.apply(batch),
            Self::Redb(redb) => redb.apply(batch, durable),
        })
    }

    /// From now on readers see what was applied.
    pub(super) fn show(&self) -> Result<(), Fault> {
        match self {
            Self::Sled(_) => Ok(()),
            Self::Redb(redb) => self.stop_on_error(redb.show()),
        }
    }

    /// Makes everything applied so far durable.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        self.check_running()?;
        self.stop_on_error(match self {
            Self::Sled(sled) => sled.sync(),
            Self::Redb(redb) => redb.sync(),
        })
    }

    /// Makes the disk slow, or refuse.
    #[cfg(test)]
    pub(super) fn set_fsync(&mut self, fsync: Fsync) {
        match self {
            Self::Sled(sled) => sled.set_fsync(fsync),
            Self::Redb(redb) => redb.set_fsync(fsync),
        }
    }
}

/// Closes an engine, which may panic or wait for ever for a thread of its own that is dead.
pub(super) fn close(close: impl FnOnce() -> Result<(), Fault> + Send + 'static) {
    let (done, closed) = mpsc::channel();
    // The receiver is gone only when the limit has passed.
    let close = move || drop(done.send(caught(close)));
    if let Err(error) = thread::Builder::new().name("store-close".to_owned()).spawn(close) {
        tracing::error!(%error, "no thread to close the store");
        return;
    }
    match closed.recv_timeout(CLOSE_LIMIT) {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => {
            tracing::error!(reason = fault.reason(), "the store did not close cleanly");
        }
        Err(_) => {
            tracing::error!("the store did not close in time; what was acknowledged is on disk");
        }
    }
}

/// The engine's directory in a store directory.
pub(super) fn engine_dir(dir: &Path, kind: EngineKind) -> PathBuf {
    dir.join(kind.name())
}

/// Makes the names in a directory durable. Elsewhere than on Unix, directories cannot be synced.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// The bytes of all files below `dir`; what cannot be read counts as nothing.
pub(super) fn disk_bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => disk_bytes(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}

/// The files in the engine's blob directory; only sled has one.
pub(super) fn count_blobs(dir: &Path) -> u64 {
    fs::read_dir(dir.join("blobs")).map_or(0, |files| files.count() as u64)
}
