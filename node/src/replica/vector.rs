//! The vector: how far every log is held.
//!
//! A head hash commits to its whole log, so equal vectors prove equal histories, and the digest of a
//! vector proves it in 32 bytes. A log whose author went on in a new one folds away: the first
//! commit of the successor names its end, so restarts do not make the vector grow (the idea of
//! version vectors: Parker et al., 1983).

use std::collections::BTreeMap;

use crdt_model::id::{CommitRef, LogId};

use super::codec::{CodecError, Reader, Writer};
use super::commit::{Hash, Head, Header};
use super::limits::VECTOR_ENTRIES_MAX;
use super::node_id::NodeId;

/// What is held of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogState {
    /// Its author.
    pub node: NodeId,
    /// Which of the author's logs it is, from 1.
    pub incarnation: u64,
    /// The number of the newest commit held.
    pub seq: u64,
    /// The hash of that commit.
    pub hash: Hash,
    /// Where the author's log before this one ended, as this one's first commit says.
    pub predecessor: Option<Head>,
    /// The furthest end that a held successor names for this log.
    pub sealed_at: Option<u64>,
}

impl LogState {
    /// Whether a held successor names exactly what is held.
    #[must_use]
    pub fn is_folded(&self) -> bool {
        self.sealed_at == Some(self.seq)
    }

    /// The bytes, as stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.raw(self.node.as_bytes()).number(self.incarnation).number(self.seq).raw(&self.hash);
        out.byte(u8::from(self.predecessor.is_some()));
        if let Some(head) = &self.predecessor {
            out.raw(head.log.as_bytes()).number(head.seq).raw(&head.hash);
        }
        out.number(self.sealed_at.unwrap_or(0));
        out.into_bytes()
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError`] when the bytes are not a log state.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let node = NodeId::from_bytes(reader.array()?);
        let (incarnation, seq, hash) = (reader.number()?, reader.number()?, reader.array()?);
        let predecessor = match reader.byte()? {
            0 => None,
            _ => Some(Head {
                log: LogId::from_bytes(reader.array()?),
                seq: reader.number()?,
                hash: reader.array()?,
            }),
        };
        let sealed_at = Some(reader.number()?).filter(|seq| *seq > 0);
        reader.finish()?;
        Ok(Self { node, incarnation, seq, hash, predecessor, sealed_at })
    }
}

/// How far every log is held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vector {
    logs: BTreeMap<LogId, LogState>,
    /// Logs whose author forked them, with the first number that is void.
    forks: BTreeMap<LogId, u64>,
}

impl Vector {
    /// Puts back what was stored.
    #[must_use]
    pub const fn from_logs(logs: BTreeMap<LogId, LogState>, forks: BTreeMap<LogId, u64>) -> Self {
        Self { logs, forks }
    }

    /// Logs whose author forked them, with the first number that is void.
    #[must_use]
    pub const fn forks(&self) -> &BTreeMap<LogId, u64> {
        &self.forks
    }

    /// Whether a commit stands where its log has ended, because its author signed another one there or
    /// before.
    #[must_use]
    pub fn is_void(&self, commit: &CommitRef) -> bool {
        self.forks.get(&commit.log).is_some_and(|end| commit.seq >= *end)
    }

    /// Ends a log before a place; `before` is the hash of the commit that stands there last. Gives the
    /// logs whose state changed: this one, and one that it had gone on from.
    pub(crate) fn end(&mut self, at: CommitRef, before: Option<Hash>) -> Vec<LogId> {
        self.forks.insert(at.log, at.seq);
        let Some(held) = self.logs.get_mut(&at.log).filter(|held| held.seq >= at.seq) else {
            return Vec::new();
        };
        let mut changed = vec![at.log];
        match before {
            Some(hash) => (held.seq, held.hash) = (at.seq - 1, hash),
            None => {
                let predecessor = held.predecessor;
                self.logs.remove(&at.log);
                changed.extend(predecessor.map(|end| end.log));
                if let Some(end) = predecessor {
                    self.seal_again(&end.log);
                }
            }
        }
        changed
    }

    /// Finds anew the furthest end that a successor names for a log.
    fn seal_again(&mut self, log: &LogId) {
        let ends = self.logs.values().filter_map(|held| held.predecessor);
        let furthest = ends.filter(|end| end.log == *log).map(|end| end.seq).max();
        if let Some(held) = self.logs.get_mut(log) {
            held.sealed_at = furthest;
        }
    }

    /// Every log held, in the order of the ids.
    #[must_use]
    pub const fn logs(&self) -> &BTreeMap<LogId, LogState> {
        &self.logs
    }

    /// What is held of a log.
    #[must_use]
    pub fn get(&self, log: &LogId) -> Option<&LogState> {
        self.logs.get(log)
    }

    /// The number of the newest commit held of a log; 0: none.
    #[must_use]
    pub fn seq(&self, log: &LogId) -> u64 {
        self.logs.get(log).map_or(0, |state| state.seq)
    }

    /// The head of a log held.
    #[must_use]
    pub fn head(&self, log: &LogId) -> Option<Head> {
        self.logs.get(log).map(|state| Head { log: *log, seq: state.seq, hash: state.hash })
    }

    /// Takes the next commit of a log. The caller has checked that it is the next one. Gives the logs
    /// whose state changed: the commit's, and its predecessor when it opens one.
    pub fn advance(&mut self, header: &Header, hash: Hash) -> Vec<LogId> {
        let mut changed = vec![header.log];
        match &header.opening {
            None => {
                if let Some(state) = self.logs.get_mut(&header.log) {
                    (state.seq, state.hash) = (header.seq, hash);
                }
            }
            Some(opening) => {
                let state = LogState {
                    node: opening.node,
                    incarnation: opening.incarnation,
                    seq: header.seq,
                    hash,
                    predecessor: opening.predecessor,
                    sealed_at: None,
                };
                self.logs.insert(header.log, state);
                if let Some(end) = &opening.predecessor
                    && let Some(sealed) = self.logs.get_mut(&end.log)
                {
                    sealed.sealed_at = sealed.sealed_at.max(Some(end.seq));
                    changed.push(end.log);
                }
            }
        }
        changed
    }

    /// The digest: equal digests prove equal histories.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key("concord 2026 history digest");
        for (log, state) in self.unfolded() {
            hasher.update(log.as_bytes()).update(&state.seq.to_be_bytes()).update(&state.hash);
        }
        for (log, end) in &self.forks {
            hasher.update(b"fork").update(log.as_bytes()).update(&end.to_be_bytes());
        }
        *hasher.finalize().as_bytes()
    }

    /// The logs that no held successor speaks for.
    pub fn unfolded(&self) -> impl Iterator<Item = (&LogId, &LogState)> {
        self.logs.iter().filter(|(_, state)| !state.is_folded())
    }

    /// The vector as a peer is told it, as much as fits a frame. The peer takes it that of the other
    /// logs nothing is held, and sends them again.
    #[must_use]
    pub fn told(&self) -> Vec<ToldLog> {
        let told = self.unfolded().map(|(log, state)| ToldLog::of(*log, state));
        told.take(VECTOR_ENTRIES_MAX).collect()
    }

    /// How many logs of an author no held successor speaks for.
    #[must_use]
    pub fn open_logs(&self, node: &NodeId) -> usize {
        self.unfolded().filter(|(_, state)| state.node == *node).count()
    }

    /// How many commits are held.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.logs.values().map(|state| state.seq).sum()
    }
}

/// A vector entry as it travels: 16 bytes of log, 8 of author, incarnation, number, 8 of head hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldLog {
    /// The log.
    pub log: LogId,
    /// The first bytes of the author's key.
    pub author: [u8; 8],
    /// Which of the author's logs it is.
    pub incarnation: u64,
    /// How far it is held.
    pub seq: u64,
    /// The first bytes of the head hash: enough to notice a fork; equality is proved by digests.
    pub hash: [u8; 8],
}

impl ToldLog {
    fn of(log: LogId, state: &LogState) -> Self {
        let (author, hash) = (first_8(state.node.as_bytes()), first_8(&state.hash));
        Self { log, author, incarnation: state.incarnation, seq: state.seq, hash }
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.raw(self.log.as_bytes()).raw(&self.author).number(self.incarnation);
        out.number(self.seq).raw(&self.hash);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            log: LogId::from_bytes(reader.array()?),
            author: reader.array()?,
            incarnation: reader.number()?,
            seq: reader.number()?,
            hash: reader.array()?,
        })
    }
}

/// The first eight bytes of a key or hash.
#[must_use]
pub fn first_8(bytes: &[u8; 32]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&bytes[..8]);
    first
}

/// How far a peer holds each of *our* logs, as its told vector says.
///
/// A log that it names speaks for the logs before it, as far as the first commits name them: those
/// are folded there. When it names a later log that we do not hold, we cannot tell what that one
/// speaks for, and take it that it speaks for all before it: nearly always so, and otherwise seen
/// when that log is here and the vectors are compared again.
#[must_use]
pub fn held_by_peer(ours: &Vector, told: &[ToldLog]) -> BTreeMap<LogId, u64> {
    let mut held: BTreeMap<LogId, u64> = BTreeMap::new();
    let mut unknown: BTreeMap<[u8; 8], u64> = BTreeMap::new();
    for entry in told {
        if !ours.logs.contains_key(&entry.log) {
            let newest = unknown.entry(entry.author).or_default();
            *newest = entry.incarnation.max(*newest);
        }
        let mut end = Some((entry.log, entry.seq));
        while let Some((log, seq)) = end {
            let Some(state) = ours.logs.get(&log) else { break };
            if let Some(known) = held.get_mut(&log) {
                // The logs before this one were walked when it was met first.
                *known = seq.max(*known);
                break;
            }
            held.insert(log, seq);
            end = state.predecessor.map(|head| (head.log, head.seq));
        }
    }
    for (log, state) in &ours.logs {
        let newest = unknown.get(&first_8(state.node.as_bytes()));
        let folded = newest.is_some_and(|newest| *newest > state.incarnation);
        let assumed = if folded { state.sealed_at.unwrap_or(state.seq) } else { 0 };
        held.entry(*log).or_insert(assumed);
    }
    held
}

pub(crate) fn read_told(reader: &mut Reader<'_>) -> Result<Vec<ToldLog>, CodecError> {
    let told = (0..reader.length(VECTOR_ENTRIES_MAX)?)
        .map(|_| ToldLog::read(reader))
        .collect::<Result<Vec<_>, _>>()?;
    if !told.is_sorted_by(|a, b| a.log < b.log) {
        return Err(CodecError::Order);
    }
    Ok(told)
}
