//! A change taken apart into its fields and columns, so that each can be altered and put together
//! again with a valid checksum. Writes whatever it is given.

use crate::document::chunk::{CHANGE, MAGIC, Reader, hash, uleb};

/// The fields of a change as they stand in its bytes. Counts that precede lists are derived unless
/// they are given.
#[derive(Debug, Clone)]
pub(super) struct RawChange {
    pub(super) kind: u8,
    pub(super) dependency_count: Option<u64>,
    pub(super) dependencies: Vec<[u8; 32]>,
    pub(super) actor: Vec<u8>,
    /// The sequence number, encoded.
    pub(super) sequence: Vec<u8>,
    /// The first counter, encoded.
    pub(super) start: Vec<u8>,
    /// The time, encoded.
    pub(super) time: Vec<u8>,
    pub(super) message_length: Option<u64>,
    pub(super) message: Vec<u8>,
    pub(super) actor_count: Option<u64>,
    pub(super) other_actors: Vec<Vec<u8>>,
    pub(super) column_count: Option<u64>,
    pub(super) columns: Vec<(u64, Vec<u8>)>,
    pub(super) extra: Vec<u8>,
}

impl RawChange {
    /// Takes the bytes of a well-formed change apart.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        reader.take(MAGIC.len() + 4)?;
        let kind = reader.take(1)?[0];
        reader.length()?;
        let dependencies =
            (0..reader.length()?).map(|_| reader.array()).collect::<Option<Vec<_>>>()?;
        let actor = prefixed(&mut reader)?;
        let sequence = uleb(reader.uleb()?);
        let start = uleb(reader.uleb()?);
        let time = sleb(reader.sleb()?);
        let message = prefixed(&mut reader)?;
        let other_actors =
            (0..reader.length()?).map(|_| prefixed(&mut reader)).collect::<Option<Vec<_>>>()?;
        let layout = (0..reader.length()?)
            .map(|_| Some((reader.uleb()?, reader.length()?)))
            .collect::<Option<Vec<_>>>()?;
        let columns = layout
            .into_iter()
            .map(|(name, length)| Some((name, reader.take(length)?.to_vec())))
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            kind,
            dependency_count: None,
            dependencies,
            actor,
            sequence,
            start,
            time,
            message_length: None,
            message,
            actor_count: None,
            other_actors,
            column_count: None,
            columns,
            extra: Vec::new(),
        })
    }

    /// The column with this name, added at its place when it is absent.
    pub(super) fn column(&mut self, name: u64) -> Option<&mut Vec<u8>> {
        let index = match self.columns.binary_search_by_key(&name, |(name, _)| *name) {
            Ok(index) => index,
            Err(index) => {
                self.columns.insert(index, (name, Vec::new()));
                index
            }
        };
        self.columns.get_mut(index).map(|(_, data)| data)
    }

    /// The change with a valid checksum.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let count = |given: Option<u64>, length: usize| uleb(given.unwrap_or(length as u64));
        let mut body = count(self.dependency_count, self.dependencies.len());
        body.extend(self.dependencies.concat());
        push_prefixed(&mut body, &self.actor);
        body.extend([self.sequence.as_slice(), &self.start, &self.time].concat());
        body.extend(count(self.message_length, self.message.len()));
        body.extend(&self.message);
        body.extend(count(self.actor_count, self.other_actors.len()));
        for actor in &self.other_actors {
            push_prefixed(&mut body, actor);
        }
        body.extend(count(self.column_count, self.columns.len()));
        for (name, data) in &self.columns {
            body.extend(uleb(*name));
            body.extend(uleb(data.len() as u64));
        }
        for (_, data) in &self.columns {
            body.extend(data);
        }
        body.extend(&self.extra);
        chunk(self.kind, &body)
    }
}

/// A chunk with a valid checksum around any body.
pub(super) fn chunk(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(&hash(kind, body)[..4]);
    bytes.push(kind);
    bytes.extend(uleb(body.len() as u64));
    bytes.extend(body);
    bytes
}

/// The bytes as one chunk of the kind that they name, with its length and checksum repaired; a
/// change when they are too short to name one.
#[must_use]
pub fn with_valid_checksum(bytes: &[u8]) -> Vec<u8> {
    let mut reader = Reader::new(bytes);
    let kind = reader.take(MAGIC.len() + 4).and_then(|_| reader.take(1)).map_or(CHANGE, |b| b[0]);
    let length = reader.length().unwrap_or(0);
    let rest = bytes.len().saturating_sub(MAGIC.len() + 5 + uleb(length as u64).len());
    chunk(kind, &bytes[bytes.len() - rest..])
}

/// A number in signed LEB128.
pub(super) fn sleb(mut number: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        let sign = low & 0x40 != 0;
        if (number == 0 && !sign) || (number == -1 && sign) {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A run of one value in a run-length column.
pub(super) fn run(length: i64, value: &[u8]) -> Vec<u8> {
    [sleb(length).as_slice(), value].concat()
}

fn prefixed(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let length = reader.length()?;
    reader.take(length).map(<[u8]>::to_vec)
}

fn push_prefixed(bytes: &mut Vec<u8>, data: &[u8]) {
    bytes.extend(uleb(data.len() as u64));
    bytes.extend(data);
}
