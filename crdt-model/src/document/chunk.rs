//! The Automerge chunk: magic bytes, checksum, kind and length around a body.
//!
//! Read by our own code, because Automerge does not check the checksum of a change, inflates without
//! a limit, and takes documents and bundles where a change is expected.

use sha2::{Digest, Sha256};

use super::refusal::QuarantineCode;

/// The kind of a chunk that is a saved document.
pub(super) const DOCUMENT: u8 = 0;
/// The kind of a chunk that is a plain change.
pub(super) const CHANGE: u8 = 1;

pub(super) const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];

/// The body and the hash of the one chunk of `kind` that `bytes` are, with the checksum verified.
pub(super) fn body(bytes: &[u8], kind: u8) -> Result<(&[u8], [u8; 32]), QuarantineCode> {
    let (checksum, body) = frame(bytes, kind)?;
    let hash = hash(kind, body);
    if hash[..4] != checksum {
        return Err(QuarantineCode::ChecksumMismatch);
    }
    Ok((body, hash))
}

/// How many bytes the first of several chunks has.
pub(super) fn length_of_first(bytes: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(bytes);
    // Magic bytes, checksum, kind.
    reader.take(MAGIC.len() + 4 + 1)?;
    let length = reader.length()?;
    reader.take(length)?;
    Some(bytes.len() - reader.rest().len())
}

/// The checksum and the body of the one chunk of `kind` that `bytes` are; whether they fit is not
/// looked at.
pub(super) fn frame(bytes: &[u8], kind: u8) -> Result<([u8; 4], &[u8]), QuarantineCode> {
    let mut reader = Reader::new(bytes);
    let magic = reader.take(MAGIC.len()).ok_or(QuarantineCode::NotAChange)?;
    let checksum = reader.array().ok_or(QuarantineCode::NotAChange)?;
    let found = reader.take(1).ok_or(QuarantineCode::NotAChange)?;
    if magic != MAGIC {
        return Err(QuarantineCode::NotAChange);
    }
    if found != [kind] {
        return Err(QuarantineCode::ChunkKind);
    }
    let length = reader.length().ok_or(QuarantineCode::NotAChange)?;
    let body = reader.take(length).ok_or(QuarantineCode::NotAChange)?;
    if !reader.is_empty() {
        return Err(QuarantineCode::TrailingBytes);
    }
    Ok((checksum, body))
}

/// The hash of a chunk; for a change, its identity. Its first four bytes are the checksum.
pub(super) fn hash(kind: u8, body: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update([kind]);
    hasher.update(uleb(body.len() as u64));
    hasher.update(body);
    hasher.finalize().into()
}

/// Whether the chunk that `bytes` are has this body, and says its length in the shortest form.
pub(super) fn has_body(bytes: &[u8], body: &[u8]) -> bool {
    let head = MAGIC.len() + 4 + 1 + uleb(body.len() as u64).len();
    bytes.len() == head + body.len() && bytes.ends_with(body)
}

/// The chunk of `kind` with this body.
pub(super) fn seal(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut chunk = Vec::with_capacity(body.len() + 16);
    chunk.extend_from_slice(&MAGIC);
    chunk.extend_from_slice(&hash(kind, body)[..4]);
    chunk.push(kind);
    push_uleb(&mut chunk, body.len() as u64);
    chunk.extend_from_slice(body);
    chunk
}

/// A number in unsigned LEB128.
pub(super) fn uleb(number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_uleb(&mut bytes, number);
    bytes
}

/// Adds a number in unsigned LEB128.
pub(super) fn push_uleb(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Adds a number in signed LEB128.
pub(super) fn push_sleb(out: &mut Vec<u8>, mut number: i64) {
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        // The sixth bit is the sign of all that is left out.
        if number == if low & 0x40 == 0 { 0 } else { -1 } {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Reads bytes from front to back. `None` means that they end or do not fit the type asked for.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is not read yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// An unsigned LEB128 number. A longer form than needed is read: the comparison with our own
    /// encoding finds it.
    pub(super) fn uleb(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for index in 0..10_u32 {
            let byte = self.take(1)?[0];
            let low = u64::from(byte & 0x7f);
            if index == 9 && low > 1 {
                return None;
            }
            number |= low << (7 * index);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// An unsigned LEB128 number that counts bytes or items in memory.
    pub(super) fn length(&mut self) -> Option<usize> {
        usize::try_from(self.uleb()?).ok()
    }

    /// A signed LEB128 number.
    pub(super) fn sleb(&mut self) -> Option<i64> {
        let mut number = 0_i64;
        for index in 0..10_u32 {
            let byte = self.take(1)?[0];
            let low = i64::from(byte & 0x7f);
            // The tenth byte holds the sign bit alone.
            if index == 9 && low != 0 && low != 0x7f {
                return None;
            }
            number |= low.wrapping_shl(7 * index);
            if byte & 0x80 == 0 {
                let bits = 7 * (index + 1);
                if bits < 64 && byte & 0x40 != 0 {
                    number |= -1_i64 << bits;
                }
                return Some(number);
            }
        }
        None
    }

    /// Bytes with their length in front.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    /// A text with its length in front.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}
