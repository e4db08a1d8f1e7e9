//! Frames: what two nodes say to each other. `docs/replication.md` draws each byte by byte.
//!
//! A frame is one byte of kind and a body. Frames of one link arrive whole and in order; what they
//! mean together is in `super::sync`.

use super::block;
use super::codec::{CodecError, Reader, Writer};
use super::commit::{Commit, Hash, SignedHeader};
use super::fork::ForkProof;
use super::limits::{
    BRANCH_HEADERS_MAX, FRAME_MAX, LINKED_MAX, ROSTER_FRAME_BYTES, VECTOR_ENTRIES_MAX,
};
use super::vector::{ToldLog, read_told};
use crdt_model::id::{CommitRef, LogId};

/// The oldest protocol version that this release speaks.
pub const PROTOCOL_MIN: u8 = 1;
/// The newest protocol version that this release speaks.
pub const PROTOCOL_MAX: u8 = 2;

/// The four digests by which two nodes find out whether there is anything to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// How many roster entries are held.
    pub roster_height: u64,
    /// The digest of the roster (later also of policy and erasures).
    pub control: Hash,
    /// The digest of the vector: what is held.
    pub history: Hash,
    /// The digest of what is shown.
    pub golden: Hash,
    /// Names the policy and the resolver; golden digests are compared only when these are equal.
    pub rules: [u8; 8],
}

/// The first frame on a link, in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The oldest protocol version that the sender speaks.
    pub version_min: u8,
    /// The newest protocol version that the sender speaks.
    pub version_max: u8,
    /// The network's key.
    pub network: [u8; 32],
    /// The sender's wall clock, in milliseconds since 1970.
    pub clock_ms: u64,
    /// What the sender holds and shows.
    pub digests: Digests,
}

/// What is said while connected, so that silence is noticed and divergence is repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The sender's wall clock, in milliseconds since 1970.
    pub clock_ms: u64,
    /// What the sender holds and shows.
    pub digests: Digests,
    /// The newest commit that the sender itself wrote.
    pub newest: Option<CommitRef>,
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Who I am and what I have.
    Hello(Hello),
    /// Roster entries from a height on, encoded. Always before data that needs them.
    Roster {
        /// The height of the first.
        from: u64,
        /// The entries.
        entries: Vec<u8>,
    },
    /// How far I hold every log: send me the rest.
    Vector(Vec<ToldLog>),
    /// A block of commits in an order in which causes come first.
    Commits(Vec<Commit>),
    /// I hold these logs so far, durably.
    Ack(Vec<(LogId, u64)>),
    /// Still here; this is what I have.
    Heartbeat(Heartbeat),
    /// To whom I have a link, by the first bytes of their keys: you need not pass on to them what I
    /// send. Said before commits when it has changed, so that a contact without news does not pay.
    Linked(Vec<[u8; 8]>),
    /// The newest headers of my branch of a log, in the order of their numbers: yours seems another.
    Branch(Vec<SignedHeader>),
    /// An author signed two commits under one number.
    Fork(Box<ForkProof>),
}

const HELLO: u8 = 1;
const ROSTER: u8 = 2;
const VECTOR: u8 = 3;
const COMMITS: u8 = 4;
const ACK: u8 = 5;
const HEARTBEAT: u8 = 6;
const LINKED: u8 = 7;
const BRANCH: u8 = 8;
const FORK: u8 = 9;

/// Starts every hello, so that a stray connection is told apart from a garbled one.
const MAGIC: &[u8; 4] = b"CCRD";

impl Frame {
    /// The bytes, as they travel.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        match self {
            Self::Hello(hello) => {
                out.byte(HELLO).raw(MAGIC).byte(hello.version_min).byte(hello.version_max);
                out.raw(&hello.network).fixed64(hello.clock_ms);
                write_digests(&mut out, &hello.digests);
            }
            Self::Roster { from, entries } => {
                out.byte(ROSTER).number(*from).bytes(entries);
            }
            Self::Vector(told) => {
                out.byte(VECTOR).length(told.len());
                told.iter().for_each(|entry| entry.write(&mut out));
            }
            Self::Commits(commits) => {
                let encoded: Vec<Vec<u8>> = commits.iter().map(Commit::encode).collect();
                return encode_commits(&encoded, PROTOCOL_MAX);
            }
            Self::Ack(entries) => {
                out.byte(ACK).length(entries.len());
                for (log, seq) in entries {
                    out.raw(log.as_bytes()).number(*seq);
                }
            }
            Self::Heartbeat(beat) => {
                out.byte(HEARTBEAT).fixed64(beat.clock_ms);
                write_digests(&mut out, &beat.digests);
                if let Some(newest) = beat.newest {
                    out.raw(newest.log.as_bytes()).number(newest.seq);
                }
            }
            Self::Branch(headers) => {
                out.byte(BRANCH).length(headers.len());
                headers.iter().for_each(|signed| {
                    out.bytes(&signed.encode());
                });
            }
            Self::Fork(proof) => {
                out.byte(FORK).raw(&proof.encode());
            }
            Self::Linked(keys) => {
                out.byte(LINKED).length(keys.len());
                keys.iter().for_each(|key| {
                    out.raw(key);
                });
            }
        }
        out.into_bytes()
    }

    /// Reads a frame from a peer.
    ///
    /// # Errors
    /// [`CodecError`] when the bytes are not exactly one frame within the limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let frame = match reader.byte()? {
            HELLO => Self::Hello(read_hello(&mut reader)?),
            ROSTER => {
                let from = reader.number()?;
                Self::Roster { from, entries: reader.bytes(ROSTER_FRAME_BYTES)?.to_vec() }
            }
            VECTOR => Self::Vector(read_told(&mut reader)?),
            COMMITS => return block::decode(reader.take_rest()).map(Self::Commits),
            ACK => {
                let count = reader.length(VECTOR_ENTRIES_MAX)?;
                let entry = |_| Ok((LogId::from_bytes(reader.array()?), reader.number()?));
                Self::Ack((0..count).map(entry).collect::<Result<_, CodecError>>()?)
            }
            HEARTBEAT => Self::Heartbeat(read_heartbeat(&mut reader)?),
            LINKED => {
                let count = reader.length(LINKED_MAX)?;
                let keys = (0..count).map(|_| reader.array());
                Self::Linked(keys.collect::<Result<_, CodecError>>()?)
            }
            BRANCH => Self::Branch(read_branch(&mut reader)?),
            FORK => {
                let proof = ForkProof::decode(reader.take_rest())?;
                return Ok(Self::Fork(Box::new(proof)));
            }
            _ => return Err(CodecError::Unknown),
        };
        reader.finish()?;
        Ok(frame)
    }
}

fn read_heartbeat(reader: &mut Reader<'_>) -> Result<Heartbeat, CodecError> {
    let (clock_ms, digests) = (reader.fixed64()?, read_digests(reader)?);
    let newest = match reader.is_empty() {
        true => None,
        false => {
            let log = LogId::from_bytes(reader.array()?);
            Some(CommitRef { log, seq: reader.number()? })
        }
    };
    Ok(Heartbeat { clock_ms, digests, newest })
}

/// A frame of encoded commits, for a peer that speaks this version of the protocol.
pub(crate) fn encode_commits(commits: &[Vec<u8>], version: u8) -> Vec<u8> {
    let mut frame = vec![COMMITS];
    frame.append(&mut block::encode(commits, version));
    frame
}

/// Headers of one log, in the order of their numbers.
fn read_branch(reader: &mut Reader<'_>) -> Result<Vec<SignedHeader>, CodecError> {
    let count = reader.length(BRANCH_HEADERS_MAX)?;
    let read = |_| SignedHeader::decode(reader.bytes(FRAME_MAX)?);
    let headers = (0..count).map(read).collect::<Result<Vec<_>, _>>()?;
    let follows = |a: &SignedHeader, b: &SignedHeader| {
        a.header.log == b.header.log && a.header.seq < b.header.seq
    };
    if headers.is_sorted_by(follows) { Ok(headers) } else { Err(CodecError::Order) }
}

fn read_hello(reader: &mut Reader<'_>) -> Result<Hello, CodecError> {
    if reader.array::<4>()? != *MAGIC {
        return Err(CodecError::Unknown);
    }
    Ok(Hello {
        version_min: reader.byte()?,
        version_max: reader.byte()?,
        network: reader.array()?,
        clock_ms: reader.fixed64()?,
        digests: read_digests(reader)?,
    })
}

fn write_digests(out: &mut Writer, digests: &Digests) {
    out.number(digests.roster_height).raw(&digests.control);
    out.raw(&digests.history).raw(&digests.golden).raw(&digests.rules);
}

fn read_digests(reader: &mut Reader<'_>) -> Result<Digests, CodecError> {
    Ok(Digests {
        roster_height: reader.number()?,
        control: reader.array()?,
        history: reader.array()?,
        golden: reader.array()?,
        rules: reader.array()?,
    })
}
