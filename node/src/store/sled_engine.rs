//! sled 0.34.7 with its sharp edges covered.
//!
//! The engine panics on a damaged log, never calls fsync in `flush`, keeps garbage when a batch is
//! large, and may wait for ever for its own dead thread when it is dropped. Here every call is caught,
//! every durable call ends in a real fsync, the garbage is pushed out, and closing has a limit. Knows
//! nothing about what the values hold.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::engine::{self, Batch, Bytes, Entry, Fault, Fsync, caught, sync_dir};
use super::open::StoreOptions;

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

/// An open engine. Dropping it closes it.
pub(super) struct SledEngine {
    /// `None` only while it is dropped.
    db: Option<sled::Db>,
    /// Our own descriptor of the engine's log: fsync works on the file, whoever opened it.
    log: File,
    /// The disk may be slow here, or refuse.
    fsync: Fsync,
    /// Set when a write failed: what is on disk is not known from then on.
    stopped: AtomicBool,
}

impl SledEngine {
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

    fn call<T>(&self, call: impl FnOnce(&sled::Db) -> Result<T, sled::Error>) -> Result<T, Fault> {
        let db = self.db.as_ref().ok_or(Fault::Stopped)?;
        caught(|| call(db))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        Ok(self.call(|db| db.get(key))?.map(Bytes::Shared))
    }

    pub(super) fn range(
        &self,
        from: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, Fault> {
        self.call(|db| {
            let entries = match end {
                Some(end) => db.range(from..end),
                None => db.range(from..),
            };
            let raw = |entry: sled::Result<(sled::IVec, sled::IVec)>| {
                entry.map(|(key, value)| (Bytes::Shared(key), Bytes::Shared(value)))
            };
            entries.take(limit).map(raw).collect()
        })
    }

    pub(super) fn check_running(&self) -> Result<(), Fault> {
        if self.stopped.load(Ordering::Acquire) { Err(Fault::Stopped) } else { Ok(()) }
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Applies one atomic batch, not durable yet.
    pub(super) fn apply(&self, batch: &Batch<'_>) -> Result<(), Fault> {
        self.check_running()?;
        let mut together = sled::Batch::default();
        let mut changes = 0;
        for (key, value) in batch.changes() {
            changes += 1;
            match value {
                Some(value) => together.insert(key, value),
                None => together.remove(key),
            }
        }
        let applied = self.call(|db| db.apply_batch(together));
        // The engine collects garbage too slowly after a large batch; without this its memory grows
        // to a multiple of the cache and stays there. Measured: 40 times for 1,000 changes.
        for _ in 0..(changes / 25).clamp(2, 40) {
            crossbeam_epoch::pin().flush();
        }
        applied
    }

    /// Makes everything applied so far durable.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        self.call(|db| db.flush().map(drop))?;
        // `flush` hands the log to the kernel and does not wait for the disk.
        Ok((self.fsync)(&self.log)?)
    }

    #[cfg(test)]
    pub(super) fn set_fsync(&mut self, fsync: Fsync) {
        self.fsync = fsync;
    }
}

impl Drop for SledEngine {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        engine::close(move || {
            drop(db);
            Ok(())
        });
    }
}

/// The engine takes `snap.*.generating`, left by a killed process, for a snapshot, and fails.
pub(super) fn remove_leftovers(engine_dir: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for path in snapshots(engine_dir)? {
        if path.extension().is_some_and(|extension| extension == "generating") {
            fs::remove_file(path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The snapshot files, whole or not.
fn snapshots(engine_dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(engine_dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Moves the snapshots and the settings file away. Snapshots only shorten the opening. The settings are
/// always the same: had the file held others, the engine would have said so before it met damage.
pub(super) fn set_aside(dir: &Path, engine_dir: &Path) -> io::Result<PathBuf> {
    let mut number = 1_u32;
    let mut aside = dir.join("aside-1");
    while aside.exists() {
        number += 1;
        aside = dir.join(format!("aside-{number}"));
    }
    fs::create_dir(&aside)?;
    let conf = Some(engine_dir.join("conf")).filter(|conf| conf.exists());
    for path in snapshots(engine_dir)?.into_iter().chain(conf) {
        if let Some(name) = path.file_name() {
            fs::rename(&path, aside.join(name))?;
        }
    }
    sync_dir(engine_dir)?;
    sync_dir(&aside)?;
    Ok(aside)
}
