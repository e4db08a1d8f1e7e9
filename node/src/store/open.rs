//! Opening a store: lock, recovery of what can be recovered, format check.
//!
//! Never panics, never serves a store that it does not understand, and changes nothing in one that it
//! refuses, except for setting aside files that the engine can rebuild.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::compact;
use super::disk_store::{DiskStore, PAGE, Parts, is_empty, load};
use super::engine::{Batch, Engine, EngineKind, Fault, count_blobs, engine_dir, sync_dir};
use super::filter::Filter;
use super::format::{self, FORMAT_KEY, StoreId};
use super::lock::{DirLock, LockError};
use super::sled_engine::{remove_leftovers, set_aside};
use super::totals::{TOTALS_KEY, Totals};
use super::value::encode_head;
use crate::kv::{KEY_RESERVED, ReadError};

/// How a store is run. Nothing of it but the engine is fixed at creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// The engine that must hold the store; none: whichever does, and sled for a new store.
    pub engine: Option<EngineKind>,
    /// How much the engine caches. The memory of sled is about twice this.
    pub cache_bytes: u64,
    /// How often sled writes and tidies up in the background. redb does so with each commit.
    pub flush_every_ms: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { engine: None, cache_bytes: 160 << 20, flush_every_ms: 500 }
    }
}

/// What was found and done while opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// The identity of the store.
    pub store: StoreId,
    /// The engine that holds the store.
    pub engine: EngineKind,
    /// Whether the store was created just now. Check it against the [`super::Watermark`]: a store whose
    /// files were lost looks the same.
    pub created: bool,
    /// How many half-written snapshot files of a killed process were removed.
    pub leftovers: usize,
    /// Where damaged snapshot files were moved to, if there were any. Nothing in them is missed.
    pub moved_aside: Option<PathBuf>,
    /// Files in the engine's blob directory, which are never made durable. More than 0 is an alarm.
    pub blobs: u64,
}

/// Why a store was not opened. No record in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or this one, has the store open.
    #[error(
        "The store in {} is in use by another node{}. Stop that node, or give this one a directory of its own.",
        dir.display(),
        pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
    )]
    Locked {
        /// The directory of the store.
        dir: PathBuf,
        /// The process that holds it, if known.
        pid: Option<u32>,
    },
    /// The files are damaged beyond what the engine can read.
    #[error(
        "The store in {} is damaged and cannot be opened: {reason}. Run `concord repair`: it keeps \
         this directory under another name, and the node fetches its records from its peers.",
        dir.display()
    )]
    Damaged {
        /// The directory of the store.
        dir: PathBuf,
        /// What the engine said.
        reason: String,
    },
    /// Another engine holds the store than the one asked for.
    #[error(
        "The store in {} is on the engine {found}, but {wanted} is configured. Stop the node and run `concord store \
         migrate --to {wanted}`, or set engine = \"{found}\" under [store] in concord.toml.",
        dir.display()
    )]
    Engine {
        /// The directory of the store.
        dir: PathBuf,
        /// The engine that holds it.
        found: EngineKind,
        /// The engine that was asked for.
        wanted: EngineKind,
    },
    /// The store was written by another release.
    #[error(
        "The store in {} has format {found}, but this release reads format {supported}. Use the release \
         that wrote it, or a newer one that can convert it.",
        dir.display()
    )]
    Format {
        /// The directory of the store.
        dir: PathBuf,
        /// The format of the store.
        found: String,
        /// The format of this release.
        supported: String,
    },
    /// The directory holds something else.
    #[error("{} does not hold a Concord store ({reason}). Give the node another directory.", dir.display())]
    Foreign {
        /// The directory that was named.
        dir: PathBuf,
        /// What it holds instead.
        reason: String,
    },
    /// The disk is full.
    #[error("The disk that holds {} is full. Free some space, then start the node again.", dir.display())]
    Full {
        /// The directory of the store.
        dir: PathBuf,
    },
    /// The operating system refuses access.
    #[error(
        "The node may not read and write {} ({reason}). Give the account that runs the node access, then start \
         it again.",
        dir.display()
    )]
    Denied {
        /// The directory of the store.
        dir: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// Another error of the disk, the engine or the operating system.
    #[error("The store in {} cannot be opened: {reason}. Check the disk, then start the node again.", dir.display())]
    Unavailable {
        /// The directory of the store.
        dir: PathBuf,
        /// What the engine or the operating system said.
        reason: String,
    },
}

impl OpenError {
    fn of(dir: &Path, fault: Fault) -> Self {
        let dir = dir.to_owned();
        match fault {
            Fault::Full => Self::Full { dir },
            Fault::Held => Self::Locked { dir, pid: None },
            Fault::Denied(reason) => Self::Denied { dir, reason },
            Fault::Corrupt(reason) | Fault::Panic(reason) => Self::Damaged { dir, reason },
            Fault::Foreign(reason) => Self::Foreign { dir, reason },
            Fault::Other(reason) => Self::Unavailable { dir, reason },
            Fault::Stopped => Self::Unavailable { dir, reason: Fault::Stopped.reason() },
        }
    }
}

/// Opens or creates the store in `dir`.
pub(super) fn open(
    dir: &Path,
    options: &StoreOptions,
) -> Result<(DiskStore, OpenReport), OpenError> {
    let fail = |fault: Fault| OpenError::of(dir, fault);
    let lock = prepare(dir)?;
    let kind = choose(dir, options.engine)?;
    let files = engine_dir(dir, kind);
    fs::create_dir_all(&files).map_err(|error| fail(error.into()))?;
    let Opened { engine, leftovers, moved_aside } =
        open_engine(dir, kind, options).map_err(fail)?;
    sync_names(dir).map_err(|e| fail(e.into()))?;
    let (store, totals, created) = identify(dir, &engine)?;
    // Behind them are the chunks of long values.
    let page = |from: &[u8]| engine.range(from, Some(&[KEY_RESERVED]), PAGE);
    let filter = Filter::of(&totals, page);
    let blobs = count_blobs(&files);
    if leftovers > 0 {
        tracing::warn!(leftovers, "removed half-written snapshot files of an interrupted start");
    }
    if let Some(aside) = &moved_aside {
        tracing::warn!(aside = %aside.display(), "set damaged snapshot files aside; the log has everything");
    }
    if blobs > 0 {
        tracing::error!(
            blobs,
            "the engine wrote blob files, which are not safe in a power cut: report this"
        );
    }
    let parts = Parts { engine, lock, id: store, dir: dir.to_owned(), options: *options };
    let report = OpenReport { store, engine: kind, created, leftovers, moved_aside, blobs };
    Ok((DiskStore::from_parts(parts, totals, filter), report))
}

/// Creates and locks the directory, and finishes or undoes an interrupted compaction.
fn prepare(dir: &Path) -> Result<DirLock, OpenError> {
    let fail = |error: io::Error| {
        use io::ErrorKind::{AlreadyExists, NotADirectory};
        if matches!(error.kind(), AlreadyExists | NotADirectory) {
            OpenError::Foreign { dir: dir.to_owned(), reason: "it is not a directory".to_owned() }
        } else {
            OpenError::of(dir, error.into())
        }
    };
    fs::create_dir_all(dir).map_err(fail)?;
    let lock = DirLock::take(dir).map_err(|error| match error {
        LockError::Held(pid) => OpenError::Locked { dir: dir.to_owned(), pid },
        LockError::Io(error) => fail(error),
    })?;
    compact::settle(dir).map_err(fail)?;
    Ok(lock)
}

/// The engine whose files are there; where there are none, the one asked for.
fn choose(dir: &Path, wanted: Option<EngineKind>) -> Result<EngineKind, OpenError> {
    let there = |kind: &EngineKind| engine_dir(dir, *kind).exists();
    let mut found = EngineKind::ALL.into_iter().filter(there);
    match (found.next(), found.next(), wanted) {
        (Some(_), Some(_), _) => Err(OpenError::Foreign {
            dir: dir.to_owned(),
            reason: "it holds the files of two engines: move those away that are not this store's"
                .to_owned(),
        }),
        (Some(found), None, Some(wanted)) if found != wanted => {
            Err(OpenError::Engine { dir: dir.to_owned(), found, wanted })
        }
        (Some(found), None, _) => Ok(found),
        (None, _, wanted) => Ok(wanted.unwrap_or_default()),
    }
}

/// Makes the names of the store's directories durable.
fn sync_names(dir: &Path) -> io::Result<()> {
    sync_dir(dir)?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_dir(parent.unwrap_or_else(|| Path::new(".")))
}

/// An engine, and what was done to open it.
struct Opened {
    engine: Engine,
    leftovers: usize,
    moved_aside: Option<PathBuf>,
}

/// Opens the engine; when sled finds damage, once more without the files that it can rebuild.
fn open_engine(dir: &Path, kind: EngineKind, options: &StoreOptions) -> Result<Opened, Fault> {
    let files = engine_dir(dir, kind);
    let leftovers = match kind {
        EngineKind::Sled => remove_leftovers(&files)?,
        EngineKind::Redb => 0,
    };
    match open_free(kind, &files, options) {
        Err(Fault::Corrupt(_)) if kind == EngineKind::Sled => {}
        other => return Ok(Opened { engine: other?, leftovers, moved_aside: None }),
    }
    let aside = set_aside(dir, &files)?;
    Ok(Opened { engine: open_free(kind, &files, options)?, leftovers, moved_aside: Some(aside) })
}

/// Opens the engine, waiting a little for threads of a store that this process has just closed. Nobody
/// else can hold its files: we hold the lock of the directory.
fn open_free(kind: EngineKind, files: &Path, options: &StoreOptions) -> Result<Engine, Fault> {
    for _ in 0..40 {
        match Engine::open(kind, files, options) {
            Err(Fault::Held) => thread::sleep(Duration::from_millis(50)),
            other => return other,
        }
    }
    Engine::open(kind, files, options)
}

/// Reads the format entry and the totals, or writes them into an empty store.
fn identify(dir: &Path, engine: &Engine) -> Result<(StoreId, Totals, bool), OpenError> {
    let fail = |fault: Fault| OpenError::of(dir, fault);
    let read = |key: &[u8]| {
        load(engine, key).map_err(|error| match error {
            ReadError::Damaged { .. } => {
                fail(Fault::Corrupt("what it says about itself does not match".to_owned()))
            }
            ReadError::Unavailable { reason } => fail(Fault::Corrupt(reason)),
        })
    };
    if let Some(entry) = read(FORMAT_KEY)? {
        let id = format::decode(&entry, engine.kind()).map_err(|found| OpenError::Format {
            dir: dir.to_owned(),
            found,
            supported: format::supported(engine.kind()),
        })?;
        let totals = read(TOTALS_KEY)?.as_deref().and_then(Totals::decode);
        let gone = || fail(Fault::Corrupt("the count of its entries is gone".to_owned()));
        return Ok((id, totals.ok_or_else(gone)?, false));
    }
    if !is_empty(engine).map_err(fail)? {
        let reason = format!("a {} database of another program", engine.kind());
        return Err(fail(Fault::Foreign(reason)));
    }
    let id = StoreId::mint().map_err(|error| fail(Fault::Other(error.to_string())))?;
    let head = encode_head(FORMAT_KEY, &format::encode(id, engine.kind()));
    let mut totals = Totals::default();
    totals.add(&head);
    let mut batch = Batch::default();
    batch.insert(FORMAT_KEY, head);
    batch.insert(TOTALS_KEY, totals.entry());
    let written = engine.apply(&batch, true).and_then(|()| engine.sync());
    written.and_then(|()| engine.show()).map_err(fail)?;
    Ok((id, totals, true))
}
