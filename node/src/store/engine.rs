//! sled 0.34.7 with its sharp edges covered.
//!
//! The engine panics on a damaged log, never calls fsync in `flush`, keeps garbage when a batch is
//! large, and may wait for ever for its own dead thread when it is dropped. Here every call is caught,
//! every durable call ends in a real fsync, the garbage is pushed out, and closing has a limit. Knows
//! nothing about what the values hold.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::open::StoreOptions;

/// How long closing may take. What was acknowledged is on disk before.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

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
            // The engine has no kind of its own for this.
            Self::Held
        } else {
            Self::Other(error.to_string())
        }
    }
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => error.into(),
            sled::Error::Corruption { .. } => {
                Self::Corrupt("the engine found damaged data".to_owned())
            }
            sled::Error::Unsupported(reason) => Self::Foreign(reason),
            sled::Error::ReportableBug(reason) => Self::Corrupt(reason),
            sled::Error::CollectionNotFound(_) => Self::Corrupt("its only tree is gone".to_owned()),
        }
    }
}

/// Runs a call into the engine; a panic becomes a fault.
fn caught<T>(call: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(Fault::from),
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

/// An open engine. Dropping it closes it.
pub(super) struct Engine {
    /// `None` only while it is dropped.
    db: Option<sled::Db>,
    /// Our own descriptor of the engine's log: fsync works on the file, whoever opened it.
    log: File,
    /// The disk may be slow here, or refuse.
    pub(super) fsync: Fsync,
    /// Set when a write failed: what is on disk is not known from then on.
    stopped: AtomicBool,
}

impl Engine {
    /// Opens or creates the engine in `dir`, and makes its files and directory durable.
    pub(super) fn open(dir: &Path, options: &StoreOptions) -> Result<Self, Fault> {
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(options.cache_bytes)
            .flush_every_ms(Some(options.flush_every_ms))
            .mode(sled::Mode::LowSpace);
        let db = caught(|| config.open())?;
        let log = OpenOptions::new().read(true).write(true).open(dir.join("db"))?;
        let engine = Self {
            db: Some(db),
            log,
            fsync: Box::new(File::sync_data),
            stopped: AtomicBool::new(false),
        };
        // The engine never syncs these. Doing it at each open also covers a power cut right after creation.
        engine.sync()?;
        OpenOptions::new().read(true).write(true).open(dir.join("conf"))?.sync_all()?;
        sync_dir(dir)?;
        Ok(engine)
    }

    /// Runs a call into the engine. A failed read stays with itself: other keys may be fine.
    pub(super) fn call<T>(
        &self,
        call: impl FnOnce(&sled::Db) -> Result<T, sled::Error>,
    ) -> Result<T, Fault> {
        let db = self.db.as_ref().ok_or(Fault::Stopped)?;
        caught(|| call(db))
    }

    /// Whether writes are still accepted.
    pub(super) fn check_running(&self) -> Result<(), Fault> {
        if self.stopped.load(Ordering::Acquire) { Err(Fault::Stopped) } else { Ok(()) }
    }

    /// Applies one atomic batch, not durable yet.
    pub(super) fn apply(&self, batch: sled::Batch) -> Result<(), Fault> {
        self.check_running()?;
        let applied = self.call(|db| db.apply_batch(batch));
        // The engine collects garbage too slowly after a large batch; without this its memory grows
        // to a multiple of the cache and stays there.
        for _ in 0..40 {
            crossbeam_epoch::pin().flush();
        }
        self.stop_on_error(applied)
    }

    /// Makes everything applied so far durable.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        self.check_running()?;
        let flushed = self.call(|db| db.flush().map(drop));
        // `flush` hands the log to the kernel and does not wait for the disk.
        let synced = flushed.and_then(|()| Ok((self.fsync)(&self.log)?));
        self.stop_on_error(synced)
    }

    /// After a failed write or fsync the kernel may have dropped the data and say "fine" the next time:
    /// never go on.
    pub(super) fn stop_on_error(&self, result: Result<(), Fault>) -> Result<(), Fault> {
        if result.is_err() {
            self.stopped.store(true, Ordering::Release);
        }
        result
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        let (done, closed) = mpsc::channel();
        let close = move || {
            let result = caught(|| {
                drop(db);
                Ok(())
            });
            // The receiver is gone only when the limit has passed.
            drop(done.send(result));
        };
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
                tracing::error!(
                    "the store did not close in time; what was acknowledged is on disk"
                );
            }
        }
    }
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

/// The files in the engine's blob directory.
pub(super) fn count_blobs(dir: &Path) -> u64 {
    fs::read_dir(dir.join("blobs")).map_or(0, |files| files.count() as u64)
}
