//! A change taken apart, so that a packer can put what many changes have in common side by side.
//!
//! Nothing is judged here, and no text is looked at: what does not come out of [`Parts::change`] as it
//! went into [`Parts::of`] is not taken apart at all.

use super::canonical::{self, Rows};
use super::change::{Columns, Header};
use super::chunk::{self, Reader};
use super::columns::values;
use super::{CHANGE_BYTES_MAX, OPERATIONS_MAX};

/// What a change in canonical form is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts<'a> {
    /// All that stands before the operations: what it follows, its log, numbers, time and message.
    pub head: &'a [u8],
    /// The operations in their order.
    pub puts: Vec<RawPut<'a>>,
    /// What the operations replace, as three columns.
    pub replaces: [&'a [u8]; 3],
}

/// An operation as bytes: a key, and a value with its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawPut<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The type of the value: [`TEXT`](Self::TEXT), or another number below 16.
    pub kind: u8,
    /// The bytes of the value.
    pub value: &'a [u8],
}

impl RawPut<'_> {
    /// The type of a text; its bytes are UTF-8 in every change that is accepted.
    pub const TEXT: u8 = 6;

    const fn meta(&self) -> u64 {
        (self.value.len() as u64) << 4 | self.kind as u64
    }
}

impl<'a> Parts<'a> {
    /// Takes a change apart; none when it is not a change in the canonical form of ours.
    #[must_use]
    pub fn of(change: &'a [u8]) -> Option<Self> {
        if change.len() > CHANGE_BYTES_MAX {
            return None;
        }
        let (_, body) = chunk::frame(change, chunk::CHANGE).ok()?;
        let mut reader = Reader::new(body);
        Header::read(&mut reader).ok()?;
        let head = &body[..body.len() - reader.rest().len()];
        let columns = Columns::read(&mut reader).ok()?;
        let keys = values(columns.key, OPERATIONS_MAX, Reader::bytes).ok()?;
        let metas = values(columns.value_meta, keys.len(), Reader::uleb).ok()?;
        let mut raw = Reader::new(columns.value);
        let put = |(key, meta): (&'a [u8], u64)| {
            let kind = meta.to_le_bytes()[0] & 0x0f;
            let value = raw.take(usize::try_from(meta >> 4).ok()?)?;
            Some(RawPut { key, kind, value })
        };
        let puts = keys.into_iter().zip(metas).map(put).collect::<Option<_>>()?;
        let replaces = [columns.replaces, columns.replaces_actor, columns.replaces_counter];
        let parts = Self { head, puts, replaces };
        (parts.change() == change).then_some(parts)
    }

    /// The change that these parts make, with its checksum. It need not be one that is accepted.
    #[must_use]
    pub fn change(&self) -> Vec<u8> {
        let keys: Vec<&[u8]> = self.puts.iter().map(|put| put.key).collect();
        let metas: Vec<u64> = self.puts.iter().map(RawPut::meta).collect();
        let length: usize = self.puts.iter().map(|put| put.key.len() + put.value.len() + 8).sum();
        let mut raw = Vec::with_capacity(length);
        self.puts.iter().for_each(|put| raw.extend_from_slice(put.value));
        let mut body = Vec::with_capacity(self.head.len() + length + 64);
        body.extend_from_slice(self.head);
        let replaces = self.replaces;
        let rows = Rows { keys: &keys, metas: &metas, values: &raw, replaces };
        canonical::push_columns(&mut body, &rows);
        chunk::seal(chunk::CHANGE, &body)
    }
}
