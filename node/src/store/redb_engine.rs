//! redb 4 with its sharp edges covered.
//!
//! The engine may panic on a damaged file, so every call is caught. Readers look through one transaction that is
//! replaced when a batch is to be seen; so they never see what a power cut could take back, and never wait for
//! the disk. Batches that need not be durable are held in memory by the engine and hold back the space that they free:
//! after [`UNSYNCED_MAX`] bytes one is made durable unasked. Knows nothing about what the values hold.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::backends::FileBackend;
use redb::{
    BackendError, Builder, Database, Durability, ReadOnlyTable, ReadableDatabase as _,
    StorageBackend, TableDefinition, TableHandle as _, WriteTransaction,
};

use super::engine::{self, Batch, Bytes, EngineKind, Entry, Fault, Fsync, caught, sync_dir};
use super::open::StoreOptions;

/// The one table.
const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("concord");

const FOREIGN: &str = "a redb database of another program";

/// How much may wait for a durable commit. Each change counts as a page besides its bytes.
const UNSYNCED_MAX: u64 = 64 << 20;
/// What a change costs at least.
const PAGE_BYTES: u64 = 4096;

type Table = ReadOnlyTable<&'static [u8], &'static [u8]>;
type Guard = redb::OwnedAccessGuard<&'static [u8]>;

/// Every error of redb says one of these.
impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        use redb::Error as E;
        let damaged = |what: &dyn fmt::Display| {
            Self::Corrupt(format!("the engine found damaged data ({what})"))
        };
        if let E::Io(error) = error {
            // Shorter than it says, or without its first bytes.
            let cut = [io::ErrorKind::UnexpectedEof, io::ErrorKind::InvalidData];
            return if cut.contains(&error.kind()) { damaged(&error) } else { error.into() };
        }
        if let E::Corrupted(reason) = &error {
            damaged(reason)
        } else if matches!(error, E::DatabaseAlreadyOpen) {
            Self::Held
        } else if matches!(error, E::PreviousIo) {
            Self::Stopped
        } else if matches!(error, E::LockPoisoned(_)) {
            Self::Panic("the engine gave up on damaged data before".to_owned())
        } else if matches!(error, E::UpgradeRequired(_)) {
            Self::Foreign("a redb database of another format".to_owned())
        } else if matches!(
            error,
            E::TableTypeMismatch { .. } | E::TypeDefinitionChanged { .. } | E::TableIsMultimap(_)
        ) {
            Self::Foreign(FOREIGN.to_owned())
        } else {
            Self::Other(error.to_string())
        }
    }
}

/// An open engine. Dropping it closes it.
pub(super) struct RedbEngine {
    /// `None` only while it is dropped.
    db: Option<Database>,
    /// What readers see; `None` only while it is dropped.
    shown: RwLock<Option<Table>>,
    /// The disk may be slow here, or refuse.
    #[cfg(test)]
    fsync: Arc<RwLock<Fsync>>,
    /// About how much was applied and is not durable.
    unsynced: AtomicU64,
    /// Set when a write failed: what is on disk is not known from then on.
    stopped: AtomicBool,
}

impl RedbEngine {
    /// Opens or creates the engine in `dir`, and makes its file and directory durable.
    pub(super) fn open(dir: &Path, options: &StoreOptions) -> Result<Self, Fault> {
        let path = dir.join(EngineKind::Redb.main_file());
        let fsync: Fsync = Box::new(File::sync_data);
        let fsync = Arc::new(RwLock::new(fsync));
        if !path.exists() {
            create(dir, &path, options, &fsync)?;
        }
        let (db, table) = connect(&path, options, &fsync)?;
        sync_dir(dir)?;
        Ok(Self {
            db: Some(db),
            shown: RwLock::new(Some(table)),
            #[cfg(test)]
            fsync,
            unsynced: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        })
    }

    fn read<T>(&self, read: impl FnOnce(&Table) -> Result<T, redb::Error>) -> Result<T, Fault> {
        // Set in one piece: a panic while it was held leaves no harm.
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        let table = shown.as_ref().ok_or(Fault::Stopped)?;
        caught(|| read(table))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        self.read(|table| {
            Ok(table.get_owned(key)?.map(|value| Bytes::Owned(value.value().to_vec())))
        })
    }

    pub(super) fn range(
        &self,
        from: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, Fault> {
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        self.read(|table| {
            let entries = table.range_owned::<&[u8]>((Bound::Included(from), end))?;
            let raw = |entry: Result<(Guard, Guard), redb::StorageError>| {
                let (key, value) = entry?;
                Ok((Bytes::Owned(key.value().to_vec()), Bytes::Owned(value.value().to_vec())))
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

    /// Applies one atomic batch; it is seen when it is shown.
    pub(super) fn apply(&self, batch: &Batch<'_>, durable: bool) -> Result<(), Fault> {
        self.check_running()?;
        let cost = |(key, value): (&[u8], Option<&[u8]>)| {
            PAGE_BYTES + (key.len() + value.map_or(0, <[u8]>::len)) as u64
        };
        let waiting = self.unsynced.load(Ordering::Acquire);
        let waiting = waiting.saturating_add(batch.changes().map(cost).sum());
        let durable = durable || waiting > UNSYNCED_MAX;
        self.commit(batch, durable)?;
        self.unsynced.store(if durable { 0 } else { waiting }, Ordering::Release);
        Ok(())
    }

    fn commit(&self, batch: &Batch<'_>, durable: bool) -> Result<(), Fault> {
        let db = self.db.as_ref().ok_or(Fault::Stopped)?;
        let transaction = caught(|| begin(db, durable))?;
        let filled = caught(|| fill(&transaction, batch));
        // A panic in it must not meet another one.
        caught(move || match filled {
            Ok(()) => Ok(transaction.commit().map_err(redb::Error::from)?),
            Err(fault) => {
                drop(transaction);
                Err(fault)
            }
        })
    }

    /// From now on readers see what was applied.
    pub(super) fn show(&self) -> Result<(), Fault> {
        let db = self.db.as_ref().ok_or(Fault::Stopped)?;
        let table = caught(|| Ok::<_, redb::Error>(db.begin_read()?.open_table(TABLE)?))?;
        let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        let before = shown.replace(table);
        drop(shown);
        caught(|| {
            drop(before);
            Ok::<_, Fault>(())
        })
    }

    /// Makes everything applied so far durable.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        if self.unsynced.load(Ordering::Acquire) > 0 {
            self.commit(&Batch::default(), true)?;
            self.unsynced.store(0, Ordering::Release);
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn set_fsync(&self, fsync: Fsync) {
        *self.fsync.write().unwrap() = fsync;
    }
}

impl Drop for RedbEngine {
    fn drop(&mut self) {
        let shown = self.shown.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(db) = self.db.take() else { return };
        engine::close(move || {
            drop(shown);
            // Makes everything durable that was applied, and writes down which pages are free.
            db.close().map_err(|error| redb::Error::from(error).into())
        });
    }
}

/// Makes the file under another name: redb does not open one whose creation was cut short.
fn create(
    dir: &Path,
    path: &Path,
    options: &StoreOptions,
    fsync: &Arc<RwLock<Fsync>>,
) -> Result<(), Fault> {
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let (db, table) = connect(&fresh, options, fsync)?;
    drop(table);
    caught(|| db.close().map_err(redb::Error::from))?;
    fs::rename(&fresh, path)?;
    Ok(sync_dir(dir)?)
}

/// Opens the file, and the table in it, which is made if there is none.
fn connect(
    path: &Path,
    options: &StoreOptions,
    fsync: &Arc<RwLock<Fsync>>,
) -> Result<(Database, Table), Fault> {
    let mut open = OpenOptions::new();
    let file = open.read(true).write(true).create(true).truncate(false).open(path)?;
    let backend = Backend::new(file, Arc::clone(fsync))?;
    let cache = usize::try_from(options.cache_bytes).unwrap_or(usize::MAX);
    let (db, table) = caught(|| {
        let db = Builder::new().set_cache_size(cache).create_with_backend(backend)?;
        let is_ours = ensure_table(&db)?;
        let table = if is_ours { Some(db.begin_read()?.open_table(TABLE)?) } else { None };
        Ok::<_, redb::Error>((db, table))
    })?;
    Ok((db, table.ok_or_else(|| Fault::Foreign(FOREIGN.to_owned()))?))
}

/// Makes the table in an empty database; false when other tables are there instead.
fn ensure_table(db: &Database) -> Result<bool, redb::Error> {
    let read = db.begin_read()?;
    let tables: Vec<String> = read.list_tables()?.map(|table| table.name().to_owned()).collect();
    if tables.iter().any(|name| name == TABLE.name()) {
        return Ok(true);
    }
    if !tables.is_empty() || read.list_multimap_tables()?.next().is_some() {
        return Ok(false);
    }
    drop(read);
    let transaction = begin(db, true)?;
    drop(transaction.open_table(TABLE)?);
    transaction.commit()?;
    Ok(true)
}

fn begin(db: &Database, durable: bool) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = db.begin_write()?;
    transaction.set_durability(if durable { Durability::Immediate } else { Durability::None })?;
    // Without it, opening after a crash reads everything.
    transaction.set_quick_repair(durable);
    Ok(transaction)
}

fn fill(transaction: &WriteTransaction, batch: &Batch<'_>) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(TABLE)?;
    for (key, value) in batch.changes() {
        match value {
            Some(value) => drop(table.insert(key, value)?),
            None => drop(table.remove(key)?),
        }
    }
    Ok(())
}

/// The engine's file, with an fsync of ours.
struct Backend {
    inner: FileBackend,
    /// The same file.
    file: File,
    fsync: Arc<RwLock<Fsync>>,
}

impl Backend {
    fn new(file: File, fsync: Arc<RwLock<Fsync>>) -> Result<Self, Fault> {
        let inner = FileBackend::new(file.try_clone()?).map_err(redb::Error::from)?;
        Ok(Self { inner, file, fsync })
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        (self.fsync.read().unwrap_or_else(PoisonError::into_inner))(&self.file)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
