//! The content of a change: read from a stranger's bytes, and written in the one canonical form.
//!
//! Nothing here looks at a document. The decoder is our own: Automerge's would expand a run of a
//! million operations, and panics on some inputs. Bytes that the encoder of the canonical form does not
//! reproduce are refused, so whatever the decoder overlooks is found there.

use std::collections::BTreeSet;

use super::canonical;
use super::chunk::{self, Reader};
use super::columns::{ColumnError, any_true, rows, sums, values};
use super::refusal::QuarantineCode;
use super::registers::Visible;
use super::said::Said;
use super::{
    CHANGE_BYTES_MAX, COUNTER_MAX, ClaimEdit, OPERATIONS_MAX, PREDECESSORS_MAX, ReadChange,
    TEXT_BYTES_MAX,
};
use crate::id::LogId;
use crate::path::ClaimKey;
use crate::value::{Assertion, Cell};
use crate::version::Version;

/// The identity of one operation, in Automerge's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OpId {
    pub(super) counter: u64,
    pub(super) log: LogId,
}

/// One operation: sets the register of a key and replaces values that the author had seen there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Put {
    pub(super) key: ClaimKey,
    pub(super) said: Said,
    pub(super) replaces: Vec<OpId>,
}

/// Everything that a change says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) dependencies: Vec<[u8; 32]>,
    pub(super) log: LogId,
    pub(super) sequence: u64,
    pub(super) start: u64,
    pub(super) time: i64,
    pub(super) message: String,
    pub(super) puts: Vec<Put>,
}

impl Content {
    /// Reads the bytes of a change.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, QuarantineCode> {
        Self::decode_named(bytes).map(|(content, _)| content)
    }

    /// Reads the bytes of a change, with its hash, by which others depend on it.
    pub(super) fn decode_named(bytes: &[u8]) -> Result<(Self, [u8; 32]), QuarantineCode> {
        if bytes.len() > CHANGE_BYTES_MAX {
            return Err(QuarantineCode::ChangeTooLarge);
        }
        let (body, hash) = chunk::body(bytes, chunk::CHANGE)?;
        let mut reader = Reader::new(body);
        let header = Header::read(&mut reader)?;
        let columns = Columns::read(&mut reader)?;
        if !reader.is_empty() {
            return Err(QuarantineCode::ExtraBytes);
        }
        let puts = columns.puts(&header.actors)?;
        let last = header.start.checked_add(puts.len() as u64 - 1);
        if last.is_none_or(|last| last > COUNTER_MAX) {
            return Err(QuarantineCode::CounterTooLarge);
        }
        let content = Self {
            dependencies: header.dependencies,
            log: header.actors[0],
            sequence: header.sequence,
            start: header.start,
            time: header.time,
            message: header.message.to_owned(),
            puts,
        };
        Ok((content, hash))
    }

    /// What it says, for people and policies.
    pub(super) fn says(&self) -> ReadChange {
        let edit = |put: &Put| ClaimEdit {
            key: put.key.clone(),
            // What cannot be read states nothing.
            assertion: put.said.assertion(put.key.slot).unwrap_or(Assertion::Tombstone),
        };
        let edits = self.puts.iter().map(edit).collect();
        ReadChange { edits, seen: Version::new(self.dependencies.clone()) }
    }

    /// Whether these bytes, whose checksum is right, are the change in canonical form.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        chunk::has_body(bytes, &canonical::body(self))
    }

    /// The change in canonical form.
    pub(super) fn encode(&self) -> Vec<u8> {
        chunk::seal(chunk::CHANGE, &canonical::body(self))
    }
}

impl Put {
    /// Sets a register in place of what is visible there.
    pub(super) fn over(key: ClaimKey, cell: Cell, visible: &[Visible]) -> Self {
        let replaces = visible.iter().map(|(id, _)| *id).collect();
        Self { key, said: cell.into(), replaces }
    }
}

/// What stands before the columns.
pub(super) struct Header<'a> {
    dependencies: Vec<[u8; 32]>,
    /// The author, then the others whose operations are named, in order.
    actors: Vec<LogId>,
    sequence: u64,
    start: u64,
    time: i64,
    message: &'a str,
}

impl<'a> Header<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, QuarantineCode> {
        let malformed = QuarantineCode::Malformed;
        let mut dependencies = Vec::new();
        for _ in 0..reader.length().ok_or(malformed)? {
            dependencies.push(reader.array().ok_or(malformed)?);
        }
        let log = read_actor(reader, QuarantineCode::WrongLog)?;
        let sequence = reader.uleb().ok_or(malformed)?;
        let start = reader.uleb().ok_or(malformed)?;
        let time = reader.sleb().ok_or(malformed)?;
        let message = reader.text().ok_or(malformed)?;
        let mut actors = vec![log];
        for _ in 0..reader.length().ok_or(malformed)? {
            actors.push(read_actor(reader, QuarantineCode::UnknownPredecessor)?);
        }
        if dependencies.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(QuarantineCode::DependencyOrder);
        }
        if start == 0 {
            return Err(QuarantineCode::WrongStartOperation);
        }
        Ok(Self { dependencies, actors, sequence, start, time, message })
    }
}

/// An actor id, which is always a log id here; `other` when it cannot be one.
fn read_actor(reader: &mut Reader<'_>, other: QuarantineCode) -> Result<LogId, QuarantineCode> {
    let length = reader.length().ok_or(QuarantineCode::Malformed)?;
    let bytes = reader.take(length).ok_or(QuarantineCode::Malformed)?;
    bytes.try_into().map(LogId::from_bytes).map_err(|_| other)
}

/// The columns of a change that only sets values in the root map; an absent one is empty.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) key: &'a [u8],
    insert: &'a [u8],
    action: &'a [u8],
    pub(super) value_meta: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) replaces: &'a [u8],
    pub(super) replaces_actor: &'a [u8],
    pub(super) replaces_counter: &'a [u8],
}

/// The columns that Automerge knows: (id << 4) + type.
pub(super) mod specification {
    pub(in super::super) const OBJECT_ACTOR: u64 = 0x01;
    pub(in super::super) const OBJECT_COUNTER: u64 = 0x02;
    pub(in super::super) const KEY_ACTOR: u64 = 0x11;
    pub(in super::super) const KEY_COUNTER: u64 = 0x13;
    pub(in super::super) const KEY_TEXT: u64 = 0x15;
    pub(in super::super) const INSERT: u64 = 0x34;
    pub(in super::super) const ACTION: u64 = 0x42;
    pub(in super::super) const VALUE_META: u64 = 0x56;
    pub(in super::super) const VALUE: u64 = 0x57;
    pub(in super::super) const REPLACES: u64 = 0x70;
    pub(in super::super) const REPLACES_ACTOR: u64 = 0x71;
    pub(in super::super) const REPLACES_COUNTER: u64 = 0x73;
    pub(in super::super) const MARK_EXPAND: u64 = 0x94;
    pub(in super::super) const MARK_NAME: u64 = 0xa5;
}

/// The action that sets a value.
pub(super) const ACTION_PUT: u64 = 1;

impl<'a> Columns<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, QuarantineCode> {
        let malformed = QuarantineCode::Malformed;
        let count = reader.length().ok_or(malformed)?;
        let mut layout = Vec::new();
        for _ in 0..count {
            let name = reader.uleb().ok_or(malformed)?;
            layout.push((name, reader.length().ok_or(malformed)?));
        }
        let mut columns = Self::default();
        for (name, length) in layout {
            let data = reader.take(length).ok_or(malformed)?;
            let column = match name {
                specification::KEY_TEXT => &mut columns.key,
                specification::INSERT => &mut columns.insert,
                specification::ACTION => &mut columns.action,
                specification::VALUE_META => &mut columns.value_meta,
                specification::VALUE => &mut columns.value,
                specification::REPLACES => &mut columns.replaces,
                specification::REPLACES_ACTOR => &mut columns.replaces_actor,
                specification::REPLACES_COUNTER => &mut columns.replaces_counter,
                specification::OBJECT_ACTOR
                | specification::OBJECT_COUNTER
                | specification::KEY_ACTOR
                | specification::KEY_COUNTER => return Err(QuarantineCode::NotRootMap),
                specification::MARK_EXPAND | specification::MARK_NAME => {
                    return Err(QuarantineCode::OperationKind);
                }
                _ => return Err(malformed),
            };
            // An empty or repeated column is not canonical; a repeated one must not hide the first.
            if !column.is_empty() || data.is_empty() {
                return Err(malformed);
            }
            *column = data;
        }
        Ok(columns)
    }

    fn puts(&self, actors: &[LogId]) -> Result<Vec<Put>, QuarantineCode> {
        let actions = values(self.action, OPERATIONS_MAX, Reader::uleb).map_err(operations)?;
        let count = actions.len();
        if count == 0 {
            return Err(QuarantineCode::NoOperations);
        }
        if actions.iter().any(|action| *action != ACTION_PUT) {
            return Err(QuarantineCode::OperationKind);
        }
        if any_true(self.insert).map_err(operations)? {
            return Err(QuarantineCode::InsertFlag);
        }
        let keys = self.keys(count)?;
        let cells = self.cells(count)?;
        let replaces = self.replaces(count, actors)?;
        let puts = keys.into_iter().zip(cells).zip(replaces);
        Ok(puts.map(|((key, cell), replaces)| Put { key, said: cell.into(), replaces }).collect())
    }

    fn keys(&self, count: usize) -> Result<Vec<ClaimKey>, QuarantineCode> {
        let texts = rows(self.key, count, Reader::text).map_err(operations)?;
        if texts.len() != count {
            return Err(QuarantineCode::Malformed);
        }
        let mut seen = BTreeSet::new();
        let mut keys: Vec<ClaimKey> = Vec::with_capacity(count);
        for text in texts {
            let text = text.ok_or(QuarantineCode::NotRootMap)?;
            if !seen.insert(text) {
                return Err(QuarantineCode::DuplicateKey);
            }
            let before = keys.last().map(|key| &key.source);
            keys.push(ClaimKey::read(text, before).map_err(|_| QuarantineCode::ClaimKey)?);
        }
        Ok(keys)
    }

    fn cells(&self, count: usize) -> Result<Vec<Cell>, QuarantineCode> {
        let metas = values(self.value_meta, count, Reader::uleb).map_err(operations)?;
        if metas.len() != count {
            return Err(QuarantineCode::Malformed);
        }
        let mut raw = Reader::new(self.value);
        let cells: Vec<Cell> =
            metas.into_iter().map(|meta| read_cell(meta, &mut raw)).collect::<Result<_, _>>()?;
        if !raw.is_empty() {
            return Err(QuarantineCode::Malformed);
        }
        Ok(cells)
    }

    fn replaces(&self, count: usize, actors: &[LogId]) -> Result<Vec<Vec<OpId>>, QuarantineCode> {
        let lengths = values(self.replaces, count, Reader::length).map_err(operations)?;
        if lengths.len() != count {
            return Err(QuarantineCode::Malformed);
        }
        let total = lengths.iter().try_fold(0_usize, |sum, length| sum.checked_add(*length));
        let total = total
            .filter(|total| *total <= PREDECESSORS_MAX)
            .ok_or(QuarantineCode::TooManyPredecessors)?;
        let indexes =
            values(self.replaces_actor, total, Reader::length).map_err(|_| malformed())?;
        let counters = sums(self.replaces_counter, total).map_err(|_| malformed())?;
        if indexes.len() != total || counters.len() != total {
            return Err(QuarantineCode::Malformed);
        }
        let mut ids = indexes.into_iter().zip(counters).map(|(index, counter)| {
            let log = actors.get(index).copied();
            let counter = u64::try_from(counter).ok().filter(|c| (1..=COUNTER_MAX).contains(c));
            let (log, counter) = log.zip(counter).ok_or(QuarantineCode::UnknownPredecessor)?;
            Ok(OpId { counter, log })
        });
        let mut replaces = Vec::with_capacity(count);
        for length in lengths {
            let of_one: Vec<OpId> = ids.by_ref().take(length).collect::<Result<_, _>>()?;
            if of_one.iter().collect::<BTreeSet<_>>().len() != of_one.len() {
                return Err(QuarantineCode::DuplicatePredecessor);
            }
            replaces.push(of_one);
        }
        Ok(replaces)
    }
}

/// One value: its type and length stand in `meta`, its bytes next in `raw`.
fn read_cell(meta: u64, raw: &mut Reader<'_>) -> Result<Cell, QuarantineCode> {
    let length = usize::try_from(meta >> 4).map_err(|_| QuarantineCode::Malformed)?;
    let bytes = raw.take(length).ok_or(QuarantineCode::Malformed)?;
    match (meta & 0x0f, length) {
        (0, 0) => Ok(Cell::Null),
        (1, 0) => Ok(Cell::Bool(false)),
        (2, 0) => Ok(Cell::Bool(true)),
        (0..=2, _) => Err(QuarantineCode::Malformed),
        (4, _) => {
            let mut reader = Reader::new(bytes);
            let number = reader.sleb().filter(|_| reader.is_empty());
            number.map(Cell::Int).ok_or(QuarantineCode::Malformed)
        }
        (6, _) if length > TEXT_BYTES_MAX => Err(QuarantineCode::TextTooLong),
        (6, _) => std::str::from_utf8(bytes)
            .map(|text| Cell::Str(text.to_owned()))
            .map_err(|_| QuarantineCode::Malformed),
        _ => Err(QuarantineCode::ValueType),
    }
}

const fn malformed() -> QuarantineCode {
    QuarantineCode::Malformed
}

/// A column with one row for each operation that is too long means too many operations.
const fn operations(error: ColumnError) -> QuarantineCode {
    match error {
        ColumnError::TooLong => QuarantineCode::TooManyOperations,
        ColumnError::Malformed => QuarantineCode::Malformed,
    }
}
