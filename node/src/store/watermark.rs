//! The watermark: a small file outside the store that remembers how far the store had come.
//!
//! An engine whose files were cut off or deleted opens as a valid, shorter or empty store. Only something
//! outside can tell. Two slots of 4 KiB are written in turn, each with a checksum and an fsync, so that a
//! power cut while writing spoils at most the slot that is written. The watermark is written after the
//! store's fsync, so it never runs ahead.

use std::fs::{self, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::engine::sync_dir;
use super::format::StoreId;

/// A slot: a page, so that writing one never touches the other.
const SLOT: usize = 4096;
const MAGIC: &[u8; 8] = b"CONCWM01";
/// Magic, counter, store id, position, records: what the checksum covers.
const BODY: usize = 8 + 8 + 16 + 8 + 8;
/// "Not counted", in the place of a number of records.
const NOT_COUNTED: u64 = u64::MAX;

/// How far a store has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which store.
    pub store: StoreId,
    /// How many commits it held of which somebody was told.
    pub position: u64,
    /// How many records it held, if counted. For people; nothing is decided by it.
    pub records: Option<u64>,
}

/// The store is behind its watermark: something that was acknowledged is missing. Nothing was changed.
///
/// Do not serve from it as if nothing were missing, and do not extend a log of an earlier start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "The store has lost data: it should hold {} commits and {}. Its files were cut, deleted or replaced by an \
     older copy. Put the right files back, or let the node fetch everything from its peers before it serves.",
    expected.position,
    describe(*expected, *found)
)]
pub struct Behind {
    /// What the watermark says.
    pub expected: Mark,
    /// What the store holds.
    pub found: Mark,
}

fn describe(expected: Mark, found: Mark) -> String {
    if expected.store == found.store {
        format!("holds {}", found.position)
    } else {
        format!("is another store ({} in place of {})", found.store, expected.store)
    }
}

/// Why the watermark was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum WatermarkError {
    /// The file cannot be read. Nothing was changed.
    #[error("The watermark file {} cannot be read: {source}. Check the disk and the access rights.", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file cannot be written. The earlier mark is still there.
    #[error(
        "The watermark file {} cannot be written: {source}. What was acknowledged is safe in the store; check the \
         disk and the access rights.",
        path.display()
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The mark to record is behind the recorded one. Nothing was changed.
    #[error(transparent)]
    Behind(#[from] Behind),
}

/// The watermark file of a node.
#[derive(Debug)]
pub struct Watermark {
    path: PathBuf,
    mark: Option<Mark>,
    /// The counter of the newest slot; the next one goes into the slot of its parity.
    counter: u64,
    damaged_slots: u32,
}

impl Watermark {
    /// Reads the watermark at `path`. A missing file is a watermark without a mark.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn load(path: &Path) -> Result<Self, WatermarkError> {
        let path = path.to_owned();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(WatermarkError::Read { path, source }),
        };
        let mut loaded = Self { path, mark: None, counter: 0, damaged_slots: 0 };
        for slot in bytes.chunks(SLOT).take(2) {
            match decode(slot) {
                Some((counter, mark)) => {
                    if loaded.mark.is_none() || counter > loaded.counter {
                        (loaded.counter, loaded.mark) = (counter, Some(mark));
                    }
                }
                None if slot.iter().all(|byte| *byte == 0) => {}
                None => loaded.damaged_slots += 1,
            }
        }
        if loaded.damaged_slots > 0 {
            tracing::warn!(
                path = %loaded.path.display(), slots = loaded.damaged_slots, "the watermark file is damaged"
            );
        }
        Ok(loaded)
    }

    /// The newest sound mark.
    #[must_use]
    pub const fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// How many of the two slots were damaged when the file was loaded. One is what a power cut while
    /// writing leaves. Two: a loss in the store cannot be noticed this time; not fatal when the store is sound.
    #[must_use]
    pub const fn damaged_slots(&self) -> u32 {
        self.damaged_slots
    }

    /// Whether a store with this identity and so many commits holds everything that was acknowledged, as far as the watermark knows.
    ///
    /// # Errors
    /// When the store is another one or ends earlier.
    pub fn check(&self, store: StoreId, position: u64) -> Result<(), Behind> {
        let found = Mark { store, position, records: None };
        match self.mark {
            Some(expected) if expected.store != store || position < expected.position => {
                Err(Behind { expected, found })
            }
            _ => Ok(()),
        }
    }

    /// Records that the store has come this far. Call it after the store made it durable, at most once a
    /// second or so, and when closing. Writing an equal mark writes nothing.
    ///
    /// # Errors
    /// When the mark is of another store or behind the recorded one, and when the file cannot be written.
    /// The earlier mark stays.
    pub fn record(&mut self, mark: Mark) -> Result<(), WatermarkError> {
        self.check(mark.store, mark.position)?;
        if self.mark == Some(mark) { Ok(()) } else { self.replace(mark) }
    }

    /// Records a mark without looking at the earlier one: after the loss was repaired from the peers.
    ///
    /// # Errors
    /// When the file cannot be written. The earlier mark stays.
    pub fn replace(&mut self, mark: Mark) -> Result<(), WatermarkError> {
        let counter = self.counter.saturating_add(1);
        self.write_slot(counter, &encode(counter, mark))
            .map_err(|source| WatermarkError::Write { path: self.path.clone(), source })?;
        (self.counter, self.mark) = (counter, Some(mark));
        Ok(())
    }

    fn write_slot(&self, counter: u64, slot: &[u8]) -> io::Result<()> {
        let created = !self.path.exists();
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(false).open(&self.path)?;
        if file.metadata()?.len() != 2 * SLOT as u64 {
            file.set_len(2 * SLOT as u64)?;
        }
        file.seek(SeekFrom::Start((counter % 2) * SLOT as u64))?;
        file.write_all(slot)?;
        file.sync_all()?;
        if created {
            let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
            sync_dir(parent.unwrap_or_else(|| Path::new(".")))?;
        }
        Ok(())
    }
}

fn encode(counter: u64, mark: Mark) -> Vec<u8> {
    let mut slot = Vec::with_capacity(SLOT);
    slot.extend_from_slice(MAGIC);
    slot.extend_from_slice(&counter.to_be_bytes());
    slot.extend_from_slice(mark.store.as_bytes());
    slot.extend_from_slice(&mark.position.to_be_bytes());
    slot.extend_from_slice(&mark.records.unwrap_or(NOT_COUNTED).to_be_bytes());
    let checksum = blake3::hash(&slot);
    slot.extend_from_slice(&checksum.as_bytes()[..16]);
    slot.resize(SLOT, 0);
    slot
}

fn decode(slot: &[u8]) -> Option<(u64, Mark)> {
    let (body, rest) = slot.split_at_checked(BODY)?;
    let checksum = blake3::hash(body);
    if rest.get(..16)? != &checksum.as_bytes()[..16] {
        return None;
    }
    let (magic, rest) = body.split_first_chunk::<8>()?;
    let (counter, rest) = rest.split_first_chunk::<8>()?;
    let (store, rest) = rest.split_first_chunk::<16>()?;
    let (position, rest) = rest.split_first_chunk::<8>()?;
    let records = u64::from_be_bytes(rest.try_into().ok()?);
    let mark = Mark {
        store: StoreId::from_bytes(*store),
        position: u64::from_be_bytes(*position),
        records: Some(records).filter(|records| *records != NOT_COUNTED),
    };
    (magic == MAGIC).then_some((u64::from_be_bytes(*counter), mark))
}
