//! Blocks: commits as they travel, many at once and packed. `docs/replication.md` draws the bytes.

use super::codec::{CodecError, Reader, Writer};
use super::commit::Commit;
use super::limits::BLOCK_BYTES_MAX;

pub(super) mod columns;

/// The zstd level of blocks: the default of the library, the knee of its curve.
const ZSTD_LEVEL: i32 = 3;

/// From this version of the protocol on blocks may come as columns.
pub(super) const COLUMNS_SINCE: u8 = 2;
/// Bytes from which columns are worth their work: below are the commits of one moment. Tests take most
/// blocks apart.
const COLUMNS_FROM: usize = if cfg!(test) { 1 << 10 } else { 8 << 10 };

/// The commits one after the other.
pub(super) const PLAIN: u8 = 0;
/// The same in one zstd frame.
pub(super) const PACKED: u8 = 1;
/// Number: their length; the columns of the commits in one zstd frame.
pub(super) const COLUMNS: u8 = 2;

/// A block of encoded commits, in a form that a node which speaks `version` reads: the length of the
/// commits, the form, and what the form says.
pub(crate) fn encode(commits: &[Vec<u8>], version: u8) -> Vec<u8> {
    let plain = commits.concat();
    let mut out = Writer::with_room(plain.len() / 2);
    out.length(plain.len());
    let is_worth = version >= COLUMNS_SINCE && plain.len() >= COLUMNS_FROM;
    if let Some((length, packed)) = is_worth.then(|| as_columns(commits)).flatten() {
        out.byte(COLUMNS).length(length).raw(&packed);
        return out.into_bytes();
    }
    match zstd::bulk::compress(&plain, ZSTD_LEVEL) {
        Ok(packed) if packed.len() < plain.len() => out.byte(PACKED).raw(&packed),
        Ok(_) | Err(_) => out.byte(PLAIN).raw(&plain),
    };
    out.into_bytes()
}

/// The length of the columns of these commits, and the columns, packed; none where they would be too long
/// or the bytes are no commits.
fn as_columns(commits: &[Vec<u8>]) -> Option<(usize, Vec<u8>)> {
    let streams = columns::of(commits)?;
    let length: usize = streams.iter().map(Vec::len).sum();
    let is_bounded = length <= BLOCK_BYTES_MAX;
    Some((length, is_bounded.then(|| columns::pack(&streams, ZSTD_LEVEL)).flatten()?))
}

/// The commits of a block.
///
/// # Errors
/// [`CodecError`] when the bytes are not exactly one block within the limits.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Commit>, CodecError> {
    let mut reader = Reader::new(bytes);
    let length = reader.length(BLOCK_BYTES_MAX)?;
    let unpacked;
    let plain = match reader.byte()? {
        PLAIN => reader.take_rest(),
        PACKED => {
            unpacked = unpack(reader.take_rest(), length)?;
            &unpacked
        }
        COLUMNS => {
            let streams = reader.length(BLOCK_BYTES_MAX)?;
            unpacked = columns::join(&unpack(reader.take_rest(), streams)?, length)?;
            &unpacked
        }
        _ => return Err(CodecError::Unknown),
    };
    if plain.len() != length {
        return Err(CodecError::Truncated);
    }
    let mut commits = Vec::new();
    let mut rest = plain;
    while !rest.is_empty() {
        let (commit, after) = Commit::decode_first(rest)?;
        commits.push(commit);
        rest = after;
    }
    Ok(commits)
}

/// What is in a zstd frame of exactly this length: it bounds the memory, whatever the frame would
/// unpack to.
fn unpack(packed: &[u8], length: usize) -> Result<Vec<u8>, CodecError> {
    let unpacked = zstd::bulk::decompress(packed, length).map_err(|_| CodecError::Unknown)?;
    if unpacked.len() == length { Ok(unpacked) } else { Err(CodecError::Truncated) }
}
