//! How one value is laid out in the engine: a checksum on everything, long values in chunks, packed where
//! that makes them shorter.
//!
//! The engine holds two kinds of entries. Under the caller's key, the *head*: kind, checksum over key and
//! value, then the body itself or its length. Under `0xFF | key length | key | index`, the chunks of a
//! body longer than [`INLINE_MAX`], so that no page of the engine grows into a blob file, which it never
//! makes durable. No caller's key starts with 0xFF, so chunks never show in a scan.
//!
//! The body is the value, or the value packed ([`super::pack`]). The checksum is that of the value itself.

use std::borrow::Cow;

use super::pack;
use crate::kv::{KEY_MAX, KEY_RESERVED};

/// The longest value that a store takes: 16 MiB.
pub const VALUE_MAX: usize = 16 << 20;

/// The longest body kept under its own key, and the size of a chunk.
pub(super) const INLINE_MAX: usize = 4096;

const KIND_INLINE: u8 = 1;
const KIND_CHUNKED: u8 = 2;
const KIND_PACKED: u8 = 3;
const KIND_PACKED_CHUNKED: u8 = 4;
/// The length of a checksum.
pub(super) const CHECKSUM: usize = 16;

/// What stands under a caller's key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head<'a> {
    /// The body itself.
    Inline { checksum: [u8; CHECKSUM], body: &'a [u8], is_packed: bool },
    /// The body is in chunks.
    Chunked { checksum: [u8; CHECKSUM], length: usize, is_packed: bool },
}

/// A value as it is stored.
#[derive(Debug)]
pub(super) struct Stored<'a> {
    pub(super) head: Vec<u8>,
    body: Cow<'a, [u8]>,
}

impl<'a> Stored<'a> {
    /// The value of a key; with `packs`, packed if that is shorter.
    pub(super) fn new(key: &[u8], value: &'a [u8], packs: bool) -> Self {
        let packed = if packs { pack::pack(value) } else { None };
        let is_packed = packed.is_some();
        let body = packed.map_or(Cow::Borrowed(value), Cow::Owned);
        Self { head: head(key, value, &body, is_packed), body }
    }

    /// The chunks of the body, with their keys; none for a short one.
    pub(super) fn chunks<'b>(&'b self, key: &'b [u8]) -> impl Iterator<Item = (Vec<u8>, &'b [u8])> {
        let body = if self.body.len() <= INLINE_MAX { &[] } else { &*self.body };
        (0u32..).zip(body.chunks(INLINE_MAX)).map(|(index, chunk)| (chunk_key(key, index), chunk))
    }
}

/// The value of a body.
pub(super) fn value_of(body: Vec<u8>, is_packed: bool) -> Option<Vec<u8>> {
    if is_packed { pack::unpack(&body) } else { Some(body) }
}

/// The first 128 bits of BLAKE3 over key and value: a value under a wrong key is damage, too.
fn checksum(key: &[u8], value: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_be_bytes());
    hasher.update(key);
    hasher.update(value);
    let mut short = [0; CHECKSUM];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..CHECKSUM]);
    short
}

/// Whether the value belongs to the key and the checksum.
pub(super) fn is_sound(key: &[u8], value: &[u8], expected: [u8; CHECKSUM]) -> bool {
    checksum(key, value) == expected
}

/// The head of a short value of the store's own.
pub(super) fn encode_head(key: &[u8], value: &[u8]) -> Vec<u8> {
    head(key, value, value, false)
}

fn head(key: &[u8], value: &[u8], body: &[u8], is_packed: bool) -> Vec<u8> {
    let is_inline = body.len() <= INLINE_MAX;
    let kind = match (is_inline, is_packed) {
        (true, false) => KIND_INLINE,
        (false, false) => KIND_CHUNKED,
        (true, true) => KIND_PACKED,
        (false, true) => KIND_PACKED_CHUNKED,
    };
    let room = if is_inline { body.len() } else { size_of::<u64>() };
    let mut head = Vec::with_capacity(1 + CHECKSUM + room);
    head.push(kind);
    head.extend_from_slice(&checksum(key, value));
    if is_inline {
        head.extend_from_slice(body);
    } else {
        head.extend_from_slice(&(body.len() as u64).to_be_bytes());
    }
    head
}

/// Reads a head; `None` when it is no head at all.
pub(super) fn decode_head(bytes: &[u8]) -> Option<Head<'_>> {
    let (kind, rest) = bytes.split_first()?;
    let (checksum, body) = rest.split_first_chunk::<CHECKSUM>()?;
    let (checksum, is_packed) = (*checksum, [KIND_PACKED, KIND_PACKED_CHUNKED].contains(kind));
    match *kind {
        KIND_INLINE | KIND_PACKED => Some(Head::Inline { checksum, body, is_packed }),
        KIND_CHUNKED | KIND_PACKED_CHUNKED => {
            let length = usize::try_from(u64::from_be_bytes(body.try_into().ok()?)).ok()?;
            let possible = INLINE_MAX < length && length <= VALUE_MAX;
            possible.then_some(Head::Chunked { checksum, length, is_packed })
        }
        _ => None,
    }
}

/// The key of one chunk of the body of `key`.
pub(super) fn chunk_key(key: &[u8], index: u32) -> Vec<u8> {
    // Keys are at most KEY_MAX bytes, which the door checks: the length fits.
    let length = u16::try_from(key.len()).unwrap_or(u16::MAX);
    let mut chunk = Vec::with_capacity(1 + 2 + key.len() + 4);
    chunk.push(KEY_RESERVED);
    chunk.extend_from_slice(&length.to_be_bytes());
    chunk.extend_from_slice(key);
    chunk.extend_from_slice(&index.to_be_bytes());
    chunk
}

/// The caller's key and the index that a chunk belongs to; `None` when it is no chunk key.
pub(super) fn parse_chunk_key(chunk: &[u8]) -> Option<(&[u8], u32)> {
    let rest = chunk.strip_prefix(&[KEY_RESERVED])?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (key, index) = rest.split_last_chunk::<4>()?;
    let fits = key.len() == usize::from(u16::from_be_bytes(*length)) && key.len() <= KEY_MAX;
    fits.then(|| (key, u32::from_be_bytes(*index)))
}

/// How many chunks a body of this length has.
pub(super) fn chunk_count(length: usize) -> u32 {
    if length <= INLINE_MAX {
        0
    } else {
        u32::try_from(length.div_ceil(INLINE_MAX)).unwrap_or(u32::MAX)
    }
}
