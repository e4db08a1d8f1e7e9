//! A backup as bytes: segments made of parts, read from a store while it is written to, and checked.
//!
//! A segment holds the commits of a node from one place of its feed up to another, in that order, as they
//! travel between nodes; before them the roster, after them what follows from no commit. It knows no
//! engine. [`Source`] makes the parts of a segment, [`Part`] reads one, [`Chain`] checks that segments
//! fit together. Where the bytes go and come from, the caller knows. `docs/backup.md` draws them.

mod chain;
mod source;

use serde::{Deserialize, Serialize};

use super::codec::CodecError;
use super::codec::Reader;
use super::codec::Writer;
use super::commit::Commit;
use super::frame::Frame;
use super::layout;
use super::node_id::NodeId;
use super::numbers;
use super::roster::Roster;
use crate::kv::Pair;

pub use self::chain::{Break, Chain, Tip};
pub use self::source::{Place, Source};

/// The first bytes of a segment: what it is, and the version of its format.
pub const MAGIC: [u8; 8] = *b"CONCBKP1";
/// The bytes before the body of a part: its kind, and the length of the body (4, big-endian).
pub const HEAD_BYTES: usize = 5;
/// The most bytes of the body of a part, packed or not.
pub const PART_BYTES_MAX: usize = 24 << 20;
/// Plain bytes at which a part is closed.
const PART_BYTES_TARGET: usize = 256 << 10;
/// Level of compression: that of the wire.
const ZSTD_LEVEL: i32 = 3;

const BEGIN: u8 = b'B';
const ROSTER: u8 = b'R';
const COMMITS: u8 = b'C';
const KEPT: u8 = b'K';
const END: u8 = b'E';

/// The prefixes of the entries that follow from no commit: proofs of forks, void commits that were set
/// aside, how far lanes gave out numbers, whether some were lost, answers to request ids.
const KEPT_PREFIXES: [&[u8]; 5] =
    [&[layout::FORK], &[layout::ASIDE], layout::LANES, numbers::LOST, &[layout::REQUEST]];

/// What a segment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// The release that made it.
    pub release: String,
    /// The id of the network.
    pub network: String,
    /// Whose store it was read from.
    pub node: NodeId,
    /// The place in that node's feed after which it begins; 0: it stands alone.
    pub after: u64,
    /// The place up to which it goes.
    pub position: u64,
    /// How many commits the store held there.
    pub commits: u64,
    /// When it was begun, in milliseconds since 1970.
    pub at_ms: u64,
}

/// The end of a segment: without it, it was cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// How many commits are in the segment.
    pub commits: u64,
    /// The last commit that the backup has with it, and where the feed of the node has it.
    pub last: Option<Place>,
    /// The BLAKE3 hash of all bytes before this part, 64 hexadecimal digits.
    pub hash: String,
}

/// A part of a segment.
#[derive(Debug)]
pub enum Part {
    /// The first one.
    Begin(Begin),
    /// The roster, with every policy: it names every epoch of the commits.
    Roster(Roster),
    /// Commits, in the order in which the node had applied them.
    Commits(Vec<Commit>),
    /// Entries that follow from no commit, as the store keeps them.
    Kept(Vec<Pair>),
    /// The last one.
    End(End),
}

impl Part {
    /// Reads the body of a part.
    ///
    /// # Errors
    /// [`CodecError`] when it is malformed, of a kind that this release does not know, or an item of a
    /// commit is not the one that its header names.
    pub fn decode(kind: u8, body: &[u8]) -> Result<Self, CodecError> {
        match kind {
            BEGIN => json(body).map(Self::Begin),
            ROSTER => Roster::decode(body).map(Self::Roster).map_err(|_| CodecError::Unknown),
            COMMITS => {
                let Frame::Commits(commits) = Frame::decode(body)? else {
                    return Err(CodecError::Unknown);
                };
                Ok(Self::Commits(commits))
            }
            KEPT => read_kept(body).map(Self::Kept),
            END => json(body).map(Self::End),
            _ => Err(CodecError::Unknown),
        }
    }

    /// Whether a part of this kind is the last one of its segment.
    #[must_use]
    pub const fn is_end(kind: u8) -> bool {
        kind == END
    }

    /// Whether a part of this kind holds commits, which are most of a backup.
    #[must_use]
    pub const fn is_commits(kind: u8) -> bool {
        kind == COMMITS
    }
}

fn json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, CodecError> {
    serde_json::from_slice(body).map_err(|_| CodecError::Text)
}

/// Kind, length and body.
fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [&[kind], length.to_be_bytes().as_slice(), body].concat()
}

/// The length of the body that follows a head, and its kind.
///
/// # Errors
/// [`CodecError::TooLong`] when it is over [`PART_BYTES_MAX`].
pub fn read_head(head: [u8; HEAD_BYTES]) -> Result<(u8, usize), CodecError> {
    let [kind, length @ ..] = head;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > PART_BYTES_MAX { Err(CodecError::TooLong) } else { Ok((kind, length)) }
}

/// Entries as a body: the plain length, then keys and values in one zstd frame.
fn write_kept(pairs: &[Pair]) -> Vec<u8> {
    let mut plain = Writer::new();
    for (key, value) in pairs {
        plain.bytes(key).bytes(value);
    }
    let plain = plain.into_bytes();
    let mut out = Writer::new();
    out.length(plain.len());
    match zstd::bulk::compress(&plain, ZSTD_LEVEL) {
        Ok(packed) if packed.len() < plain.len() => out.byte(1).raw(&packed),
        Ok(_) | Err(_) => out.byte(0).raw(&plain),
    };
    out.into_bytes()
}

fn read_kept(body: &[u8]) -> Result<Vec<Pair>, CodecError> {
    let mut reader = Reader::new(body);
    let length = reader.length(PART_BYTES_MAX)?;
    let unpacked;
    let plain = match (reader.byte()?, reader.take_rest()) {
        (0, body) => body,
        (1, body) => {
            unpacked = zstd::bulk::decompress(body, length).map_err(|_| CodecError::Unknown)?;
            &unpacked
        }
        _ => return Err(CodecError::Unknown),
    };
    if plain.len() != length {
        return Err(CodecError::Truncated);
    }
    let mut reader = Reader::new(plain);
    let mut pairs = Vec::new();
    while !reader.is_empty() {
        let key = reader.bytes(crate::kv::KEY_MAX)?.to_vec();
        // A backup can set aside nothing but what backups hold.
        if !KEPT_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) {
            return Err(CodecError::Unknown);
        }
        pairs.push((key, reader.bytes(PART_BYTES_MAX)?.to_vec()));
    }
    Ok(pairs)
}

/// The proofs of forks among kept entries.
#[must_use]
pub fn forks(kept: &[Pair]) -> Vec<super::fork::ForkProof> {
    let proofs = kept.iter().filter(|(key, _)| key.first() == Some(&layout::FORK));
    proofs.filter_map(|(_, value)| super::fork::ForkProof::decode(value).ok()).collect()
}
