//! How one value is laid out in the engine: a checksum on everything, long values in chunks.
//!
//! The engine holds two kinds of entries. Under the caller's key, the *head*: kind, checksum over key and
//! value, then the value itself or its length. Under `0xFF | key length | key | index`, the chunks of a
//! value longer than [`INLINE_MAX`], so that no page of the engine grows into a blob file, which it never
//! makes durable. No caller's key starts with 0xFF, so chunks never show in a scan.

use crate::kv::{KEY_MAX, KEY_RESERVED};

/// The longest value that a store takes: 16 MiB.
pub const VALUE_MAX: usize = 16 << 20;

/// The longest value kept under its own key, and the size of a chunk.
pub(super) const INLINE_MAX: usize = 4096;

const KIND_INLINE: u8 = 1;
const KIND_CHUNKED: u8 = 2;
/// The length of a checksum.
pub(super) const CHECKSUM: usize = 16;

/// What stands under a caller's key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head<'a> {
    /// The value itself.
    Inline { checksum: [u8; CHECKSUM], value: &'a [u8] },
    /// The value is in chunks.
    Chunked { checksum: [u8; CHECKSUM], length: usize },
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

/// The head of a value. Longer ones than [`INLINE_MAX`] need their chunks beside it.
pub(super) fn encode_head(key: &[u8], value: &[u8]) -> Vec<u8> {
    let inline = value.len() <= INLINE_MAX;
    let body = if inline { value.len() } else { size_of::<u64>() };
    let mut head = Vec::with_capacity(1 + CHECKSUM + body);
    head.push(if inline { KIND_INLINE } else { KIND_CHUNKED });
    head.extend_from_slice(&checksum(key, value));
    if inline {
        head.extend_from_slice(value);
    } else {
        head.extend_from_slice(&(value.len() as u64).to_be_bytes());
    }
    head
}

/// Reads a head; `None` when it is no head at all.
pub(super) fn decode_head(bytes: &[u8]) -> Option<Head<'_>> {
    let (kind, rest) = bytes.split_first()?;
    let (checksum, body) = rest.split_first_chunk::<CHECKSUM>()?;
    match *kind {
        KIND_INLINE => Some(Head::Inline { checksum: *checksum, value: body }),
        KIND_CHUNKED => {
            let length = usize::try_from(u64::from_be_bytes(body.try_into().ok()?)).ok()?;
            let possible = INLINE_MAX < length && length <= VALUE_MAX;
            possible.then_some(Head::Chunked { checksum: *checksum, length })
        }
        _ => None,
    }
}

/// The chunks of a value, with their keys; none for a short one.
pub(super) fn chunks<'a>(
    key: &'a [u8],
    value: &'a [u8],
) -> impl Iterator<Item = (Vec<u8>, &'a [u8])> {
    let value = if value.len() <= INLINE_MAX { &[] } else { value };
    (0u32..).zip(value.chunks(INLINE_MAX)).map(|(index, chunk)| (chunk_key(key, index), chunk))
}

/// The key of one chunk of the value of `key`.
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

/// How many chunks a value of this length has.
pub(super) fn chunk_count(length: usize) -> u32 {
    if length <= INLINE_MAX {
        0
    } else {
        u32::try_from(length.div_ceil(INLINE_MAX)).unwrap_or(u32::MAX)
    }
}
