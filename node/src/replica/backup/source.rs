//! Reads a segment from a store, part by part. The store may be written to meanwhile: how far the segment
//! goes is settled when it is begun, and what comes later is left for the next one.

use crdt_model::id::CommitRef;
use serde::{Deserialize, Serialize};

use super::{
    BEGIN, Begin, COMMITS, END, End, KEPT, KEPT_PREFIXES, MAGIC, PART_BYTES_TARGET, ROSTER, framed,
    write_kept,
};
use crate::kv::{Pair, ReadError, View};
use crate::replica::event::WriteReceipt;
use crate::replica::frame::{PROTOCOL_MAX, encode_commits};
use crate::replica::layout;
use crate::replica::limits::BLOCK_BYTES_TARGET;
use crate::replica::node_id::NodeId;
use crate::replica::records::Records;
use crate::replica::roster::Roster;
use crate::replica::state::State;

/// Feed entries read at a time.
const FEED_PAGE: usize = 16;
/// Kept entries read at a time: answers may be long.
const KEPT_PAGE: usize = 16;

/// How far an earlier segment of the same store went: its last commit, and where the feed has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The position in the feed.
    pub position: u64,
    /// The commit.
    pub commit: CommitRef,
}

/// What comes next.
#[derive(Debug)]
enum Stage {
    Begin(Roster),
    Roster(Roster),
    Commits,
    /// The entries of a prefix, from a key on.
    Kept(usize, Vec<u8>),
    End,
    Done,
}

/// A segment that is being read. All it keeps is where it stands.
#[derive(Debug)]
pub struct Source {
    begin: Begin,
    stage: Stage,
    /// Up to where the feed is read.
    at: u64,
    last: Option<Place>,
    commits: u64,
    hasher: blake3::Hasher,
}

impl Source {
    /// Begins a segment of everything that the store holds now, less what stands up to `after`, if
    /// the store has that commit at that place; otherwise the segment stands alone. Gives nothing for
    /// the store of a node that never ran.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged.
    pub fn open(
        view: &dyn View,
        node: NodeId,
        at_ms: u64,
        after: Option<Place>,
    ) -> Result<Option<Self>, ReadError> {
        let records = Records::new(view);
        let state = match view.get(layout::STATE)? {
            Some(bytes) => State::decode(&bytes).map_err(|_| ReadError::damaged(layout::STATE))?,
            None => return Ok(None),
        };
        // Read after the state: it names every epoch up to there.
        let Some(roster) = records.roster()? else { return Ok(None) };
        let continues = match &after {
            Some(place) => {
                let held = records.header_at(&place.commit)?;
                place.position <= state.feed
                    && held.is_some_and(|(position, _)| position == place.position)
            }
            None => false,
        };
        let last = after.filter(|_| continues);
        let after = last.map_or(0, |place| place.position);
        let begin = Begin {
            release: env!("CARGO_PKG_VERSION").to_owned(),
            network: roster.network_id().to_string(),
            node,
            after,
            position: state.feed,
            commits: state.feed.saturating_sub(state.derived),
            at_ms,
        };
        let stage = Stage::Begin(roster);
        let hasher = blake3::Hasher::new();
        Ok(Some(Self { begin, stage, at: after, last, commits: 0, hasher }))
    }

    /// What the segment is.
    #[must_use]
    pub const fn begin(&self) -> &Begin {
        &self.begin
    }

    /// The bytes of the next part; none after the last one.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged; the segment cannot be finished then.
    pub fn next(&mut self, view: &dyn View) -> Result<Option<Vec<u8>>, ReadError> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Begin(roster) => {
                    self.stage = Stage::Roster(roster);
                    let part = framed(BEGIN, &json(&self.begin));
                    return Ok(Some(self.said([MAGIC.as_slice(), &part].concat())));
                }
                Stage::Roster(roster) => {
                    self.stage = Stage::Commits;
                    return Ok(Some(self.said(framed(ROSTER, &roster.encode()))));
                }
                Stage::Commits => {
                    let block = self.block(view)?;
                    if !block.is_empty() {
                        self.stage = Stage::Commits;
                        self.commits += block.len() as u64;
                        return Ok(Some(
                            self.said(framed(COMMITS, &encode_commits(&block, PROTOCOL_MAX))),
                        ));
                    }
                    self.stage = Stage::Kept(0, Vec::new());
                }
                Stage::Kept(kind, from) => {
                    let Some(prefix) = KEPT_PREFIXES.get(kind) else {
                        self.stage = Stage::End;
                        continue;
                    };
                    let (pairs, from) = self.kept(view, prefix, from)?;
                    self.stage = match from {
                        Some(from) => Stage::Kept(kind, from),
                        None => Stage::Kept(kind + 1, Vec::new()),
                    };
                    if !pairs.is_empty() {
                        return Ok(Some(self.said(framed(KEPT, &write_kept(&pairs)))));
                    }
                }
                Stage::End => {
                    let hash = self.hasher.finalize().to_hex().to_string();
                    let end = End { commits: self.commits, last: self.last, hash };
                    return Ok(Some(framed(END, &json(&end))));
                }
                Stage::Done => return Ok(None),
            }
        }
    }

    fn said(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        self.hasher.update(&bytes);
        bytes
    }

    /// The next commits of the feed, up to the size of a block; empty at the end.
    fn block(&mut self, view: &dyn View) -> Result<Vec<Vec<u8>>, ReadError> {
        let records = Records::new(view);
        let (mut block, mut size) = (Vec::new(), 0);
        loop {
            let page = records.feed(self.at, FEED_PAGE)?;
            let is_last = page.len() < FEED_PAGE;
            for (position, entry) in page {
                if position > self.begin.position {
                    return Ok(block);
                }
                self.at = position;
                let Some(at) = entry.cause.commit() else { continue };
                let Some(bytes) = commit(&records, position, at)? else { continue };
                self.last = Some(Place { position, commit: *at });
                size += bytes.len();
                block.push(bytes);
                if size >= BLOCK_BYTES_TARGET {
                    return Ok(block);
                }
            }
            if is_last {
                return Ok(block);
            }
        }
    }

    /// Entries of a prefix from a key on, up to the size of a part, and where to go on.
    fn kept(
        &self,
        view: &dyn View,
        prefix: &[u8],
        mut from: Vec<u8>,
    ) -> Result<(Vec<Pair>, Option<Vec<u8>>), ReadError> {
        let (mut kept, mut size) = (Vec::new(), 0);
        while size < PART_BYTES_TARGET {
            let page = view.scan(prefix, &from, KEPT_PAGE)?;
            let Some((last, _)) = page.last() else { return Ok((kept, None)) };
            from = [last.as_slice(), &[0]].concat();
            for (key, value) in page {
                if self.is_due(view, &key, &value)? {
                    size += key.len() + value.len();
                    kept.push((key, value));
                }
            }
        }
        Ok((kept, Some(from)))
    }

    /// Whether an entry belongs to what the segment goes up to. An answer that speaks of a later
    /// commit would acknowledge, after a restore, what is not there.
    fn is_due(&self, view: &dyn View, key: &[u8], value: &[u8]) -> Result<bool, ReadError> {
        if key.first() != Some(&layout::REQUEST) {
            return Ok(true);
        }
        let receipt: Option<WriteReceipt> = serde_json::from_slice(value).ok();
        let Some(at) = receipt.and_then(|receipt| receipt.commit) else { return Ok(false) };
        let held = Records::new(view).header_at(&at)?;
        Ok(held.is_some_and(|(position, _)| position <= self.begin.position))
    }
}

/// A commit as it travels; none when a fork has made it void since the feed was read.
fn commit(
    records: &Records<'_>,
    position: u64,
    at: &CommitRef,
) -> Result<Option<Vec<u8>>, ReadError> {
    let read = records.commit(at);
    if let Ok(Some(commit)) = &read {
        return Ok(Some(commit.encode()));
    }
    let now = records.feed(position.saturating_sub(1), 1)?.pop();
    let is_void = now.is_some_and(|(_, entry)| entry.cause.commit() != Some(at));
    match read {
        _ if is_void => Ok(None),
        Err(error) => Err(error),
        Ok(_) => Err(ReadError::damaged(&layout::commit_key(at))),
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    crdt_model::value::canonical_json(value).into_bytes()
}
