//! What a replica counts: feed position, clock, records, conflicts, quarantine, and the digest of
//! what it shows. Stored under one key and written with every batch.

use crdt_model::time::Hlc;

use super::codec::{CodecError, Reader, Writer};
use super::multiset::MultisetHash;

/// The counters of a replica.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The position of the newest feed entry: how many commits were applied.
    pub feed: u64,
    /// The newest time that was issued here or heard of within the bound.
    pub clock: Hlc,
    /// Customers held.
    pub records: u64,
    /// Customers with a conflict.
    pub conflicted: u64,
    /// Items in quarantine.
    pub quarantined: u64,
    /// The digest of golden records and quarantine.
    pub golden: MultisetHash,
}

impl State {
    /// The bytes, as stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.number(self.feed).fixed64(self.clock.as_u64()).number(self.records);
        out.number(self.conflicted).number(self.quarantined).raw(&self.golden.to_bytes());
        out.into_bytes()
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError`] when the bytes are not a state.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let state = Self {
            feed: reader.number()?,
            clock: Hlc::from_u64(reader.fixed64()?).ok_or(CodecError::Number)?,
            records: reader.number()?,
            conflicted: reader.number()?,
            quarantined: reader.number()?,
            golden: MultisetHash::from_bytes(reader.take(MultisetHash::STATE_BYTES)?)
                .ok_or(CodecError::Truncated)?,
        };
        reader.finish()?;
        Ok(state)
    }
}
