//! The customer document: the claims of one record as Automerge changes.
//!
//! The only module that names Automerge. One flat root map: a key is a [`ClaimKey`], a value is a
//! [`Cell`]. A change carries who wrote it where a reader of the document alone can find it: the
//! actor is the log, the time is the commit's clock, the message is the region and the number of the
//! commit. Commits are the truth; a document is a cache that can be rebuilt from them. Beside it stands
//! who founded each part of the record, which the live values alone forget.
//!
//! What the changes say is kept in a table of registers, which a change is merged into without
//! Automerge. Automerge makes one document of many changes, and is the judge of the table
//! ([`CustomerDocument::check_with_automerge`]).
//!
//! Every change, local or remote, comes in through [`CustomerDocument::admit`]. Which claim survives
//! is not decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use automerge::Automerge;
use jiff::civil::Date;

use self::change::{Content, Put};
use self::founders::Founders;
use self::history::History;
use self::registers::Registers;
use self::stored::Stored;
use crate::claim::{Claim, ClaimSet, Origin};
use crate::id::{CommitRef, Region};
use crate::path::{CLAIM_KEY_MAX, ClaimKey};
use crate::time::Hlc;
use crate::value::Cell;

mod admission;
mod canonical;
mod change;
mod chunk;
mod columns;
mod envelope;
mod founders;
mod history;
#[cfg(any(test, feature = "hostile"))]
#[doc(hidden)]
pub mod hostile;
mod parts;
mod refusal;
mod registers;
mod said;
mod stored;
#[cfg(test)]
mod tests;

pub use self::parts::{Parts, RawPut};
pub use self::refusal::{QuarantineCode, Refusal};
pub use crate::claim::ClaimEdit;
pub use crate::version::{Version, VersionError};

// The limits belong to the commit format: another limit is another version of it.

/// The most bytes that a change may have.
pub const CHANGE_BYTES_MAX: usize = 256 * 1024;
/// The most values that one change may set.
pub const OPERATIONS_MAX: usize = 1024;
/// The most values that one change may replace.
pub const PREDECESSORS_MAX: usize = 16 * OPERATIONS_MAX;
/// The most bytes that a text value may have.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// The most bytes that a change and everything in its causal past may have together: what a record can
/// take in its life.
pub const HISTORY_BYTES_MAX: usize = 4 << 20;
/// The largest operation counter. Automerge stores 32 bits and panics beyond.
pub const COUNTER_MAX: u64 = 1_000_000;

/// Who writes: everything that a change carries besides its operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The commit that carries the change.
    pub commit: CommitRef,
    /// When, by the writer's hybrid logical clock.
    pub time: Hlc,
    /// The region of the node that writes.
    pub region: Region,
}

/// What a change says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadChange {
    /// The claims that it makes, in its order.
    pub edits: Vec<ClaimEdit>,
    /// The version of the record that its author had seen; no head for none.
    pub seen: Version,
}

/// A change that was admitted: the document with it, and what it says.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The document with the change.
    pub document: CustomerDocument,
    /// What the change says.
    pub change: ReadChange,
}

/// One change of a record, as its history shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSummary {
    /// The commit, the time and the region.
    pub origin: Origin,
    /// The version that the record has once this change and those before it in the list are applied.
    pub version: Version,
    /// What the change set.
    pub cells: BTreeMap<ClaimKey, Cell>,
}

/// Why saved bytes are not a customer document. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Not one whole saved document.
    #[error("the stored record is damaged ({0}); rebuild it from the commits")]
    Damaged(String),
    /// A document that another program wrote.
    #[error("the stored document was not written by Concord: {0}")]
    Foreign(&'static str),
}

/// A version was asked for that the document does not hold. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this node does not hold version {0} of the record; wait until it has arrived, or read the record again"
)]
pub struct UnknownVersion(pub Version);

/// Why edits do not become a change. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// The version that the writer saw is not here.
    #[error(transparent)]
    UnknownVersion(#[from] UnknownVersion),
    /// One key twice.
    #[error("{0} is set twice in one write; send it once")]
    DuplicateKey(ClaimKey),
    /// Over [`CLAIM_KEY_MAX`] bytes.
    #[error("{0} is too long; a path and its source have at most {CLAIM_KEY_MAX} bytes")]
    KeyTooLong(ClaimKey),
    /// Over [`TEXT_BYTES_MAX`].
    #[error("the value of {0} is too long; a value has at most {TEXT_BYTES_MAX} bytes")]
    TextTooLong(ClaimKey),
    /// Over [`OPERATIONS_MAX`], [`PREDECESSORS_MAX`] or [`CHANGE_BYTES_MAX`].
    #[error("the write is too large; split it into several writes")]
    TooLarge,
    /// The record has no operation counters left.
    #[error(
        "the record has been written {COUNTER_MAX} times and takes no more; start a new record"
    )]
    RecordFull,
    /// The log wrote on this record with this commit or a later one.
    #[error("commit {0} does not follow the last commit of its log on this record")]
    CommitOrder(CommitRef),
    /// Automerge failed on a document that we admitted.
    #[error("the record cannot be read ({0}); this is a defect of Concord, please report it")]
    Defect(String),
}

/// The claims of one customer and their whole history.
///
/// A value: [`admit`](Self::admit) gives a new one and leaves the old as it was. Documents with equal
/// versions hold the same, whatever the order in which the changes came.
#[derive(Clone)]
pub struct CustomerDocument {
    registers: Arc<Registers>,
    history: Arc<History>,
    founders: Arc<Founders>,
    stored: Arc<Stored>,
}

impl CustomerDocument {
    /// The document of a record that nobody has written yet.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            registers: Arc::default(),
            history: Arc::default(),
            founders: Arc::default(),
            stored: Arc::default(),
        }
    }

    /// Loads what [`save`](Self::save) gave. For our own bytes: what a peer sends never comes here.
    ///
    /// # Errors
    /// [`LoadError`] when the bytes are damaged or not ours. Never panics.
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        let damaged = |reason: &str| LoadError::Damaged(reason.to_owned());
        let opened = envelope::open(bytes).map_err(damaged)?;
        let stored = Stored::opened(bytes, &opened);
        let (mut history, mut registers) = match stored.document() {
            None => (History::default(), Registers::default()),
            Some((sizes, document)) => open_document(sizes, document)?,
        };
        for change in stored.newer() {
            let (content, hash) =
                Content::decode_named(change).map_err(|code| damaged(code.text()))?;
            history.push(&content, hash, change.len()).map_err(LoadError::Foreign)?;
            registers.apply(content);
        }
        let founders = Founders::of_commits(opened.founders, &history)
            .ok_or_else(|| damaged("a founder is not in the document"))?;
        Ok(Self {
            registers: Arc::new(registers),
            history: Arc::new(history),
            founders: Arc::new(founders),
            stored: Arc::new(stored),
        })
    }

    /// The document with a change that was judged.
    fn with(&self, change: Content, hash: [u8; 32], bytes: &[u8]) -> Result<Self, String> {
        let mut history = History::clone(&self.history);
        history.push(&change, hash, bytes.len())?;
        let mut founders = Founders::clone(&self.founders);
        founders.add(&change.puts, &history.node(history.nodes().len() - 1).origin);
        let mut registers = Registers::clone(&self.registers);
        registers.apply(change);
        let stored = self.stored.with(&founders, bytes);
        let document = Self {
            registers: Arc::new(registers),
            history: Arc::new(history),
            founders: Arc::new(founders),
            stored: Arc::new(stored),
        };
        // When Automerge fails, the changes stay as they are: they say all there is to say.
        let is_long = document.stored.is_long();
        Ok(is_long.then(|| document.shortened().ok()).flatten().unwrap_or(document))
    }

    /// Has Automerge read the record and compares what it finds with what this type says. Takes about
    /// as long as ten writes of a record without history; Automerge has no part in those.
    ///
    /// # Errors
    /// What Automerge says, or in what the two differ: a defect of one of them, or bytes that somebody
    /// changed along with their checksums.
    pub fn check_with_automerge(&self) -> Result<(), String> {
        if self.is_empty() { Ok(()) } else { self.shortened().map(drop) }
    }

    /// The same with all changes in one Automerge document. It is loaded and compared: what is kept is
    /// what a restart will find, and Automerge reads in it what we read.
    fn shortened(&self) -> Result<Self, String> {
        let shortened = catch_unwind(AssertUnwindSafe(|| self.to_document()));
        shortened.unwrap_or_else(|_| Err("automerge panicked".to_owned()))
    }

    fn to_document(&self) -> Result<Self, String> {
        let plain = self.stored.automerge()?;
        let sizes = plain.get_changes_meta(&[]).into_iter().map(|meta| {
            self.history.find(&meta.hash.0).map(|place| self.history.node(place).bytes)
        });
        let sizes: Vec<usize> =
            sizes.collect::<Option<_>>().ok_or("automerge holds a change that we do not")?;
        let stored = Stored::new(&self.founders, sizes, &[&plain.save_nocompress()]);
        let loaded = Self::load(stored.bytes()).map_err(|error| error.to_string())?;
        let is_same = loaded.version() == self.version()
            && loaded.registers == self.registers
            && loaded.founders == self.founders;
        if is_same { Ok(loaded) } else { Err("automerge reads other values than we do".to_owned()) }
    }

    /// The document as bytes for [`load`](Self::load): who founded its parts, in front of
    /// [`automerge_bytes`](Self::automerge_bytes).
    ///
    /// Equal documents may save differently: compare versions, never bytes.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        if self.is_empty() {
            return envelope::seal(&self.founders, &[], &[]);
        }
        self.stored.bytes().to_vec()
    }

    /// How many bytes the document has when it is saved; 0 for the empty one.
    #[must_use]
    pub fn saved_bytes(&self) -> usize {
        self.stored.bytes().len()
    }

    /// The record for any Automerge tool: a document, changes, or a document and changes behind it.
    /// [`load`](Self::load) does not take it, since it does not say who founded what.
    ///
    /// Not deflated: that takes seven times as long, and the store compresses records together, which
    /// is smaller.
    #[must_use]
    pub fn automerge_bytes(&self) -> Vec<u8> {
        self.stored.automerge_bytes()
    }

    /// The version of the record.
    #[must_use]
    pub fn version(&self) -> Version {
        Version::new(self.history.heads())
    }

    /// Whether nobody has written the record yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.history.nodes().is_empty()
    }

    /// Whether one change is all that the record ever had.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.history.nodes().len() == 1
    }

    /// Whether the document holds everything that `version` names.
    #[must_use]
    pub fn knows(&self, version: &Version) -> bool {
        version.heads().iter().all(|head| self.history.find(head).is_some())
    }

    /// Every live claim: all values of every register, who had seen whom, and who founded each part of
    /// the record: the earliest change that ever wrote there, overwritten or not, whatever it said.
    #[must_use]
    pub fn claims(&self) -> ClaimSet {
        self.read_claims(&self.registers).with_founders(Founders::clone(&self.founders).into_map())
    }

    /// The claims that were live at an earlier version, with the founders as they were then.
    ///
    /// # Errors
    /// [`UnknownVersion`] when the document does not hold it.
    pub fn claims_at(&self, version: &Version) -> Result<ClaimSet, UnknownVersion> {
        let past = self.past(version)?;
        let founders = self.founders.at(&self.stored, &self.history, &past);
        let registers = self.registers_of(&past);
        Ok(self.read_claims(&registers).with_founders(founders.into_map()))
    }

    /// Builds the change that makes `edits`, as they look to someone who saw `base` (none: the current
    /// version). It depends on everything that the document holds, replaces only what was visible
    /// at `base`, and names `base` as what its writer had seen: a value that came later stands beside
    /// the new one, and neither is superseded nor released by it.
    ///
    /// An edit that says what its key already says at `base` is left out; `None` when nothing is left.
    /// One that [ends](crate::value::Assertion::ends) what its source says in other slots brings their tombstones
    /// along. The document is as it was: give the bytes to [`admit`](Self::admit).
    ///
    /// # Errors
    /// [`ProposeError`] when a limit is passed, `base` is unknown, or the commit does not follow the
    /// author's last one on this record.
    pub fn propose(
        &self,
        author: &Author,
        edits: &[ClaimEdit],
        base: Option<&Version>,
    ) -> Result<Option<Vec<u8>>, ProposeError> {
        self.propose_again(author, edits, base, &|_| false)
    }

    /// [`propose`](Self::propose), with `again` naming the edits that are written even where they say
    /// what their key already says: a source that repeats itself speaks after all that it has seen.
    ///
    /// # Errors
    /// As [`propose`](Self::propose).
    pub fn propose_again(
        &self,
        author: &Author,
        edits: &[ClaimEdit],
        base: Option<&Version>,
        again: &dyn Fn(&ClaimEdit) -> bool,
    ) -> Result<Option<Vec<u8>>, ProposeError> {
        let own = self.history.of_log(&author.commit.log);
        let previous = own.last().map(|index| self.history.node(*index).origin.commit.seq);
        if previous.is_some_and(|seq| seq >= author.commit.seq) {
            return Err(ProposeError::CommitOrder(author.commit));
        }
        let base = base.filter(|base| **base != self.version());
        let puts = self.puts(edits, base, author.time.day(), again)?;
        if puts.is_empty() {
            return Ok(None);
        }
        let replaced: usize = puts.iter().map(|put| put.replaces.len()).sum();
        if puts.len() > OPERATIONS_MAX || replaced > PREDECESSORS_MAX {
            return Err(ProposeError::TooLarge);
        }
        let start = self.history.nodes().iter().map(|node| node.last).max().unwrap_or(0) + 1;
        if start + puts.len() as u64 - 1 > COUNTER_MAX {
            return Err(ProposeError::RecordFull);
        }
        let content = Content {
            dependencies: self.version().heads().to_vec(),
            log: author.commit.log,
            sequence: own.len() as u64 + 1,
            start,
            time: i64::try_from(author.time.as_u64())
                .map_err(|_| ProposeError::Defect("the clock is out of range".to_owned()))?,
            message: history::message(&author.region, author.commit, base),
            puts,
        };
        let change = content.encode();
        if change.len() > CHANGE_BYTES_MAX {
            return Err(ProposeError::TooLarge);
        }
        Ok(Some(change))
    }

    /// Judges a change as a stranger's and applies it to a copy. `Ok`: the document with the change;
    /// the same document when it held the change already. `self` is as it was in every case.
    ///
    /// The changes that the author's commit follows must have been offered before. A document that
    /// may hold more than those needs [`admit_seen`](Self::admit_seen).
    ///
    /// # Errors
    /// [`Refusal`]: the rule that the change breaks, or a defect of ours.
    pub fn admit(&self, author: &Author, change: &[u8]) -> Result<Self, Refusal> {
        self.admit_seen(author, change, &|_| true).map(|admitted| admitted.document)
    }

    /// [`admit`](Self::admit) for a document that may hold more than the author's commit follows:
    /// `seen` says whether a commit is in the causal past of the author's commit. A dependency that is
    /// here but not there is missing, as it is on a node that does not hold it.
    ///
    /// # Errors
    /// [`Refusal`]: the rule that the change breaks, or a defect of ours.
    pub fn admit_seen(
        &self,
        author: &Author,
        change: &[u8],
        seen: &dyn Fn(&CommitRef) -> bool,
    ) -> Result<Admitted, Refusal> {
        admission::admit(self, author, change, seen)
    }

    /// The document that a change makes of a record that nobody has written yet, judged by the region
    /// that the change itself names. When the author is the one that is given along, this is what
    /// [`admit_seen`](Self::admit_seen) says of the empty document, whatever else anybody holds: so it
    /// can be found out before it is known who the author is.
    ///
    /// # Errors
    /// [`Refusal`]: the rule that the change breaks, or a defect of ours.
    pub fn first(
        commit: CommitRef,
        time: Hlc,
        change: &[u8],
    ) -> Result<(Author, Admitted), Refusal> {
        admission::admit_first(commit, time, change)
    }

    /// Every change in a causal order that is the same on every node; among changes that were made
    /// apart, the earlier first.
    #[must_use]
    pub fn history(&self) -> Vec<ChangeSummary> {
        let mut cells: BTreeMap<usize, BTreeMap<ClaimKey, Cell>> = BTreeMap::new();
        for (place, change) in self.stored.changes(&self.history) {
            let puts = change.puts.into_iter().map(|put| (put.key, put.said.into_cell()));
            cells.insert(place, puts.collect());
        }
        let mut heads = BTreeSet::new();
        let order = self.history.causal_order().into_iter();
        order
            .map(|index| {
                let node = self.history.node(index);
                for parent in &node.parents {
                    heads.remove(&self.history.node(*parent).hash);
                }
                heads.insert(node.hash);
                ChangeSummary {
                    origin: node.origin.clone(),
                    version: Version::new(heads.iter().copied().collect()),
                    cells: cells.remove(&index).unwrap_or_default(),
                }
            })
            .collect()
    }

    /// What a change says, and what its author had seen of the record. Nothing is judged.
    ///
    /// # Errors
    /// The [`QuarantineCode`] of bytes that are not a change.
    pub fn read_change(&self, change: &[u8]) -> Result<ReadChange, QuarantineCode> {
        Content::decode(change).map(|content| content.says())
    }

    /// The commits that the document holds, each once.
    pub fn commits(&self) -> impl Iterator<Item = CommitRef> {
        self.history.nodes().iter().map(|node| node.origin.commit)
    }

    /// For every change, whether a version holds it.
    fn past(&self, version: &Version) -> Result<Vec<bool>, UnknownVersion> {
        let places = self.history.places(version);
        let places = places.ok_or_else(|| UnknownVersion(version.clone()))?;
        Ok(self.history.past(&places))
    }

    /// The registers when only the changes of `past` were there.
    fn registers_of(&self, past: &[bool]) -> Registers {
        let mut registers = Registers::default();
        let mut changes = self.stored.changes(&self.history);
        // Parents stand before their children.
        changes.sort_unstable_by_key(|(place, _)| *place);
        for (_, change) in changes.into_iter().filter(|(place, _)| past[*place]) {
            registers.apply(change);
        }
        registers
    }

    /// The operations of a write: what differs from the values at `base`, in the order of the keys.
    fn puts(
        &self,
        edits: &[ClaimEdit],
        base: Option<&Version>,
        today: Date,
        again: &dyn Fn(&ClaimEdit) -> bool,
    ) -> Result<Vec<Put>, ProposeError> {
        let past = base.map(|version| self.past(version)).transpose()?;
        let registers = match past {
            Some(past) => &self.registers_of(&past),
            None => &*self.registers,
        };
        let mut puts = BTreeMap::new();
        let mut ended = BTreeMap::new();
        for edit in edits {
            let key = edit.key.to_string();
            let cell = edit.assertion.to_cell();
            check_edit(edit, &key, &cell)?;
            let visible = registers.visible(&edit.key);
            let unchanged = matches!(visible, [(_, current)] if *current.cell() == cell);
            let put = Put::over(edit.key.clone(), cell, visible);
            if puts.insert(key, (!unchanged || again(edit)).then_some(put)).is_some() {
                return Err(ProposeError::DuplicateKey(edit.key.clone()));
            }
            ended.extend(ends(registers, edit, today).map(|put| (put.key.to_string(), put)));
        }
        // What the write itself says in a slot counts before what another edit ends there.
        for (key, put) in ended {
            puts.entry(key).or_insert(Some(put));
        }
        Ok(puts.into_values().flatten().collect())
    }

    fn read_claims(&self, registers: &Registers) -> ClaimSet {
        let mut claims = Vec::new();
        let mut writers = BTreeSet::new();
        for (ClaimKey { path, source, slot }, visible) in registers.iter() {
            for (id, said) in visible {
                let Some(writer) = self.history.find_operation(*id) else { continue };
                writers.insert(writer);
                claims.push(Claim {
                    path: path.clone(),
                    source: source.clone(),
                    assertion: said.assertion(*slot),
                    origin: self.history.node(writer).origin.clone(),
                });
            }
        }
        let clocks = self.history.clocks(&writers).into_iter();
        let by_commit =
            clocks.map(|(index, clock)| (self.history.node(index).origin.commit, clock));
        ClaimSet::new(claims, by_commit.collect())
    }
}

/// What a document chunk says, and its graph.
fn open_document(sizes: &[usize], document: &[u8]) -> Result<(History, Registers), LoadError> {
    let damaged = |reason: &str| LoadError::Damaged(reason.to_owned());
    // Automerge takes no bytes at all for an empty document, and loads changes behind a document.
    // It does verify the checksum of a document.
    chunk::frame(document, chunk::DOCUMENT).map_err(|code| damaged(code.text()))?;
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let plain = Automerge::load(document).map_err(|error| damaged(&error.to_string()))?;
        let history = History::of(&plain, sizes).map_err(LoadError::Foreign)?;
        let registers = Registers::of(&plain).map_err(|error| damaged(&error.to_string()))?;
        let registers = registers.ok_or(LoadError::Foreign("a value is not a claim"))?;
        Ok((history, registers))
    }));
    opened.unwrap_or_else(|_| Err(damaged("automerge panicked")))
}

/// The tombstones of what a source says in other slots and no longer says by this edit.
fn ends<'a>(
    registers: &'a Registers,
    edit: &'a ClaimEdit,
    today: Date,
) -> impl Iterator<Item = Put> + 'a {
    let said = registers.of_source(&edit.key).filter(move |(key, visible)| {
        let is_silent = matches!(visible, [(_, said)] if *said.cell() == Cell::Null);
        key.slot != edit.key.slot && edit.assertion.ends(key.slot, today) && !is_silent
    });
    said.map(|(key, visible)| Put::over(key.clone(), Cell::Null, visible))
}

fn check_edit(edit: &ClaimEdit, key: &str, cell: &Cell) -> Result<(), ProposeError> {
    if key.len() > CLAIM_KEY_MAX {
        return Err(ProposeError::KeyTooLong(edit.key.clone()));
    }
    if matches!(cell, Cell::Str(text) if text.len() > TEXT_BYTES_MAX) {
        return Err(ProposeError::TextTooLong(edit.key.clone()));
    }
    Ok(())
}

impl fmt::Debug for CustomerDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomerDocument")
            .field("version", &self.version())
            .field("changes", &self.history.nodes().len())
            .finish()
    }
}
