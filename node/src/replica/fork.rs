//! Forks: two commits that an author signed under one number of one log.
//!
//! Incarnations are never used twice, so an honest node never makes one, and the two signed headers
//! prove it to everybody. The log ends before the lowest number that is proved: what stands there and
//! beyond is void, alike on every node that holds the proof, whichever branch it had followed. Proofs
//! spread, and are part of the history that digests compare. `docs/decisions/0014-forks.md` tells why
//! no branch wins.
//!
//! `ending` is what a proof does to the history, `talk` what nodes say to each other about it.

mod ending;
mod talk;

use crdt_model::id::CommitRef;

use super::codec::{CodecError, Reader, Writer};
use super::commit::{Opening, SignedHeader, read_opening, write_opening};
use super::limits::{HEADER_BYTES_MAX, PROVENANCE_BYTES_MAX};
use super::node_id::NodeId;
use super::roster::Roster;

/// The bytes that a signed header may have.
const SIGNED_BYTES_MAX: usize = HEADER_BYTES_MAX + PROVENANCE_BYTES_MAX + 128;

/// The proof that an author signed two commits under one number of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkProof {
    /// What the log's first commit says; the log's id is made of it, so it names the author.
    pub opening: Opening,
    /// One header, the one with the lesser hash.
    pub one: SignedHeader,
    /// The other header.
    pub other: SignedHeader,
}

/// Why a proof is not taken. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disproof {
    /// It proves nothing: whoever sent it lies, or is broken.
    False(&'static str),
    /// It names a roster entry that is not here yet.
    Early,
}

impl ForkProof {
    /// Puts two headers together, in an order that does not depend on who found them.
    #[must_use]
    pub fn new(opening: Opening, a: SignedHeader, b: SignedHeader) -> Self {
        let (one, other) = if a.hash() <= b.hash() { (a, b) } else { (b, a) };
        Self { opening, one, other }
    }

    /// The first commit that is void.
    #[must_use]
    pub const fn at(&self) -> CommitRef {
        self.one.header.commit()
    }

    /// Who signed both.
    #[must_use]
    pub const fn author(&self) -> NodeId {
        self.opening.node
    }

    /// Judges the proof.
    ///
    /// # Errors
    /// [`Disproof`] when it proves nothing, or cannot be judged yet.
    pub fn check(&self, roster: &Roster) -> Result<(), Disproof> {
        let [one, other] = [&self.one.header, &self.other.header];
        if one.commit() != other.commit() || self.one.hash() >= self.other.hash() {
            return Err(Disproof::False("the headers are not two of one number"));
        }
        if self.opening.log_id(&roster.network_id()) != one.log {
            return Err(Disproof::False("the log is not that of the author named"));
        }
        for signed in [&self.one, &self.other] {
            if signed.header.epoch > roster.height() {
                return Err(Disproof::Early);
            }
            if !signed.is_signed_by(&self.opening.node, &roster.network_id()) {
                return Err(Disproof::False("a header is not signed by the author"));
            }
            // Anybody can sign with a key of his own; only a member's word was ever taken.
            if roster.member_at(&self.opening.node, signed.header.epoch).is_none() {
                return Err(Disproof::False("the author was not a member"));
            }
        }
        Ok(())
    }

    /// The bytes, as they travel and are stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        write_opening(&mut out, &self.opening);
        out.bytes(&self.one.encode()).bytes(&self.other.encode());
        out.into_bytes()
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError`] when the bytes are not a proof; whether it holds, [`Self::check`] says.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let opening = read_opening(&mut reader)?;
        let one = SignedHeader::decode(reader.bytes(SIGNED_BYTES_MAX)?)?;
        let other = SignedHeader::decode(reader.bytes(SIGNED_BYTES_MAX)?)?;
        reader.finish()?;
        Ok(Self { opening, one, other })
    }
}
