//! What a replica counts: feed position, clock, records, conflicts, quarantine, the digest of what it
//! shows, and the runs of its indexes. Stored under one key and written with every batch.

use crdt_model::id::RecordId;
use crdt_model::time::Hlc;

use super::codec::{CodecError, Reader, Writer};
use super::index::Runs;
use super::multiset::MultisetHash;

/// The counters of a replica.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The position of the newest feed entry.
    pub feed: u64,
    /// How many feed entries no commit made: a change of policy or a revocation did.
    pub derived: u64,
    /// How many of those were commits that a fork made void.
    pub void: u64,
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
    /// The height of the roster entry whose policy is in force; 0: the one that networks start with.
    pub policy_height: u64,
    /// The rules (policy and resolver) by which the golden records are resolved, or are being
    /// resolved again; all zero before the first.
    pub rules: [u8; 8],
    /// While records are resolved again by [`Self::rules`]: the last one that is done.
    pub resolving: Option<Resolving>,
    /// Where the indexes stand.
    pub runs: Runs,
}

/// How far the records have been resolved again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolving {
    /// None yet.
    Begun,
    /// Up to this one, in the order of their ids.
    After(RecordId),
}

impl State {
    /// The bytes, as stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.number(self.feed).number(self.derived).number(self.void).fixed64(self.clock.as_u64());
        out.number(self.records).number(self.conflicted).number(self.quarantined);
        out.raw(&self.golden.to_bytes()).number(self.policy_height).raw(&self.rules);
        match &self.resolving {
            None => out.byte(0),
            Some(Resolving::Begun) => out.byte(1),
            Some(Resolving::After(record)) => out.byte(2).raw(record.as_bytes()),
        };
        self.runs.encode(&mut out);
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
            derived: reader.number()?,
            void: reader.number()?,
            clock: Hlc::from_u64(reader.fixed64()?).ok_or(CodecError::Number)?,
            records: reader.number()?,
            conflicted: reader.number()?,
            quarantined: reader.number()?,
            golden: MultisetHash::from_bytes(reader.take(MultisetHash::STATE_BYTES)?)
                .ok_or(CodecError::Truncated)?,
            policy_height: reader.number()?,
            rules: reader.array()?,
            resolving: match reader.byte()? {
                0 => None,
                1 => Some(Resolving::Begun),
                2 => Some(Resolving::After(RecordId::from_bytes(reader.array()?))),
                _ => return Err(CodecError::Unknown),
            },
            runs: Runs::decode(&mut reader)?,
        };
        reader.finish()?;
        Ok(state)
    }
}
