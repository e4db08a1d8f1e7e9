//! The keys of the store: one ordered tree, the first byte names the kind (docs/storage.md).
//!
//! Everything that a commit changes is written in one atomic batch over these keys, so the layout is
//! part of the replica and not of the store.

use crdt_model::id::{CommitRef, LogId, RecordId};
use crdt_model::issue;
use crdt_model::path::AttributePath;

/// A commit without its items, by log and number: its feed position, then the signed header.
pub const COMMIT: u8 = b'c';
/// The items of a commit, by log and number. Apart from the header, which is read without them, and so
/// that an erasure can hollow one out; together, because an entry of the store costs more than its bytes.
pub const ITEMS: u8 = b'i';
/// The document of a record: a cache of its commits.
pub const DOCUMENT: u8 = b'd';
/// The golden record: a cache of its document.
pub const GOLDEN: u8 = b'g';
/// Which commits touched a record, in the order applied here.
pub const HISTORY: u8 = b'h';
/// Items that were not applied, and why.
pub const QUARANTINE: u8 = b'q';
/// Commits in the order applied here, with the difference they made: the feed.
pub const FEED: u8 = b'f';
/// For every log, how far it is held.
pub const VECTOR: u8 = b'v';
/// Lookup index: customer numbers, tax ids, account numbers, words of names.
pub const INDEX: u8 = b'x';
const _: () = assert!(INDEX == crate::kv::KEY_LISTED, "its entries end with a record");
/// Entries of an index in bulk: a run of them in order, in blocks, each under its last entry.
pub const RUN: u8 = b'X';
/// What a commit follows: by its log and the followed log, newest first.
pub const FOLLOWED: u8 = b'b';
/// Proofs that the author of a log forked it, by log.
pub const FORK: u8 = b'y';
/// Commits that a fork made void, by log, number and hash: set aside for people.
pub const ASIDE: u8 = b'z';
/// Records whose golden record has a conflict.
pub const CONFLICT: u8 = b'k';
/// Records held because of a defect.
pub const HELD: u8 = b'!';
/// The issues of a record.
pub const ISSUES: u8 = b'?';
/// Which records have an issue, by its code.
pub const ISSUE_MARK: u8 = b'M';
/// Records whose issues must be looked at again.
pub const DUE: u8 = b'w';
/// Prefixes of the index under which every record must be looked at again; the value is the last entry
/// that is done.
pub const DUE_INDEX: u8 = b'W';
/// Customer numbers that were ever claimed, with the record: none of them is given out again.
pub const NUMBER: u8 = b'#';
/// The roster, encoded.
pub const ROSTER: &[u8] = b"r";
/// Answers to request ids, by day.
pub const REQUEST: u8 = b'u';
/// The prefix under which lanes remember up to which count they gave out numbers.
pub(super) const LANES: &[u8] = b"s/lane/";
/// The replica's own counters and digests.
pub const STATE: &[u8] = b"s/state";

/// A key of `kind` for a record.
#[must_use]
pub fn record_key(kind: u8, record: &RecordId) -> Vec<u8> {
    join(kind, &[record.as_bytes()])
}

/// The key of a commit.
#[must_use]
pub fn commit_key(commit: &CommitRef) -> Vec<u8> {
    join(COMMIT, &[commit.log.as_bytes(), &commit.seq.to_be_bytes()])
}

/// The key of the items of a commit.
#[must_use]
pub fn items_key(commit: &CommitRef) -> Vec<u8> {
    join(ITEMS, &[commit.log.as_bytes(), &commit.seq.to_be_bytes()])
}

/// The key of the history entry of a record at a feed position.
#[must_use]
pub fn history_key(record: &RecordId, position: u64) -> Vec<u8> {
    join(HISTORY, &[record.as_bytes(), &position.to_be_bytes()])
}

/// The key of a quarantined item.
#[must_use]
pub fn quarantine_key(record: &RecordId, commit: &CommitRef, index: u16) -> Vec<u8> {
    let (seq, index) = (commit.seq.to_be_bytes(), index.to_be_bytes());
    join(QUARANTINE, &[record.as_bytes(), commit.log.as_bytes(), &seq, &index])
}

/// The key of a feed entry.
#[must_use]
pub fn feed_key(position: u64) -> Vec<u8> {
    join(FEED, &[&position.to_be_bytes()])
}

/// The key of a log's entry in the vector.
#[must_use]
pub fn vector_key(log: &LogId) -> Vec<u8> {
    join(VECTOR, &[log.as_bytes()])
}

/// The key of the proof that a log was forked.
#[must_use]
pub fn fork_key(log: &LogId) -> Vec<u8> {
    join(FORK, &[log.as_bytes()])
}

/// The prefix of the void commits of a log.
#[must_use]
pub fn aside_prefix(log: &LogId) -> Vec<u8> {
    join(ASIDE, &[log.as_bytes()])
}

/// The key of a void commit.
#[must_use]
pub fn aside_key(commit: &CommitRef, hash: &[u8; 32]) -> Vec<u8> {
    join(ASIDE, &[commit.log.as_bytes(), &commit.seq.to_be_bytes(), hash])
}

/// The key under which a commit's log notes how far it followed another log. The number counts down,
/// so that a scan from a commit on meets the newest note at or before it first.
#[must_use]
pub fn followed_key(commit: &CommitRef, followed: &LogId) -> Vec<u8> {
    let newest_first = (u64::MAX - commit.seq).to_be_bytes();
    join(FOLLOWED, &[commit.log.as_bytes(), followed.as_bytes(), &newest_first])
}

/// The prefix of every note that a log made about another one.
#[must_use]
pub fn followed_prefix(log: &LogId, followed: &LogId) -> Vec<u8> {
    join(FOLLOWED, &[log.as_bytes(), followed.as_bytes()])
}

/// The key of an answered request, under the day (since 1970) on which it was answered.
#[must_use]
pub fn request_key(day: u32, request: &str) -> Vec<u8> {
    let hash = blake3::hash(request.as_bytes());
    join(REQUEST, &[&day.to_be_bytes(), &hash.as_bytes()[..16]])
}

/// The prefix of the blocks of a run.
#[must_use]
pub fn run_prefix(run: u64) -> Vec<u8> {
    join(RUN, &[&run.to_be_bytes()])
}

/// The key of the block of a run that ends with an index entry.
#[must_use]
pub fn block_key(run: u64, last: &[u8]) -> Vec<u8> {
    join(RUN, &[&run.to_be_bytes(), last])
}

/// The index entry with which the block under a key ends.
#[must_use]
pub fn last_of_block(key: &[u8]) -> &[u8] {
    key.get(9..).unwrap_or_default()
}

/// The key that marks a record as having an issue of this code.
#[must_use]
pub fn issue_mark(code: &str, record: &RecordId) -> Vec<u8> {
    join(ISSUE_MARK, &[code.as_bytes(), &[0], record.as_bytes()])
}

/// The prefix of the marks of an issue.
#[must_use]
pub fn issue_prefix(code: &str) -> Vec<u8> {
    join(ISSUE_MARK, &[code.as_bytes(), &[0]])
}

/// The key that makes every record under a prefix of the index due.
#[must_use]
pub fn due_index_key(prefix: &[u8]) -> Vec<u8> {
    join(DUE_INDEX, &[prefix.get(1..).unwrap_or_default()])
}

/// The prefix of the index that a key of [`due_index_key`] speaks of.
#[must_use]
pub fn prefix_of_due(key: &[u8]) -> Vec<u8> {
    join(INDEX, &[key.get(1..).unwrap_or_default()])
}

/// The prefix of the marks that a customer number was claimed.
#[must_use]
pub fn number_prefix(number: &str) -> Vec<u8> {
    join(NUMBER, &[number.as_bytes(), &[0]])
}

/// The key that remembers up to which count a lane of a range has given out numbers.
#[must_use]
pub fn lane_key(prefix: &str, lane: u32) -> Vec<u8> {
    [LANES, prefix.as_bytes(), b"/", &lane.to_be_bytes()].concat()
}

/// The prefix of the index of those who use any code in an attribute.
#[must_use]
pub fn codes_prefix(pattern: &str) -> Vec<u8> {
    join(INDEX, &[&[CODE_TAG], pattern.as_bytes(), &[0]])
}

/// The prefix of the index of those who use a code in an attribute.
#[must_use]
pub fn code_prefix(pattern: &str, code: &str) -> Vec<u8> {
    join(INDEX, &[&[CODE_TAG], pattern.as_bytes(), &[0], code.as_bytes(), &[0]])
}

/// The prefix of the index of those who name a customer.
#[must_use]
pub fn link_prefix(record: &RecordId) -> Vec<u8> {
    join(INDEX, &[&[LINK_TAG], record.as_bytes()])
}

/// The prefix of the index of those who show an identifier that one party only should have; none:
/// the attribute is no such identifier.
#[must_use]
pub fn identifier_prefix(path: &AttributePath) -> Option<Vec<u8>> {
    issue::is_identifier(path)
        .then(|| join(INDEX, &[&[IDENTIFIER_TAG], path.as_str().as_bytes(), &[0]]))
}

/// The prefix of the index of the records of a change request.
#[must_use]
pub fn request_prefix(id: &str) -> Vec<u8> {
    join(INDEX, &[&[REQUEST_TAG], id.as_bytes(), &[0]])
}

/// The prefix of the index of records with a change request that waits for decisions.
#[must_use]
pub fn task_prefix() -> Vec<u8> {
    join(INDEX, &[&[TASK_TAG]])
}

const REQUEST_TAG: u8 = b'q';
const TASK_TAG: u8 = b'p';
pub(super) const CODE_TAG: u8 = b'c';
const LINK_TAG: u8 = b'l';
const IDENTIFIER_TAG: u8 = b'i';

/// The record id at a place in a key.
#[must_use]
pub fn record_in(key: &[u8], at: usize) -> Option<RecordId> {
    array_in(key, at).map(RecordId::from_bytes)
}

/// The big-endian number at a place in a key.
#[must_use]
pub fn number_in(key: &[u8], at: usize) -> Option<u64> {
    array_in(key, at).map(u64::from_be_bytes)
}

/// The commit named at a place in a key: log, then number.
#[must_use]
pub fn commit_in(key: &[u8], at: usize) -> Option<CommitRef> {
    let log = array_in(key, at).map(LogId::from_bytes)?;
    Some(CommitRef { log, seq: number_in(key, at + 16)? })
}

fn array_in<const N: usize>(key: &[u8], at: usize) -> Option<[u8; N]> {
    key.get(at..at + N)?.try_into().ok()
}

pub(super) fn join(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(kind);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}
