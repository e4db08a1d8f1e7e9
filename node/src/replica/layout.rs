//! The keys of the store: one ordered tree, the first byte names the kind (docs/storage.md).
//!
//! Everything that a commit changes is written in one atomic batch over these keys, so the layout is
//! part of the replica and not of the store.

use crdt_model::golden_record::GoldenRecord;
use crdt_model::id::{CommitRef, LogId, RecordId};
use crdt_model::path::AttributePath;
use crdt_model::value::{Scalar, Value};
use std::collections::BTreeSet;

/// A commit without its items, by log and number: its feed position, then the signed header.
pub const COMMIT: u8 = b'c';
/// One item of a commit, by log, number and index. Apart from the header, so that an erasure can
/// hollow it out.
pub const ITEM: u8 = b'i';
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
/// What a commit follows: by its log and the followed log, newest first.
pub const FOLLOWED: u8 = b'b';
/// Records whose golden record has a conflict.
pub const CONFLICT: u8 = b'k';
/// Records held because of a defect.
pub const HELD: u8 = b'!';
/// The roster, encoded.
pub const ROSTER: &[u8] = b"r";
/// Answers to request ids, by day.
pub const REQUEST: u8 = b'u';
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

/// The key of an item of a commit.
#[must_use]
pub fn item_key(commit: &CommitRef, index: u16) -> Vec<u8> {
    let seq = commit.seq.to_be_bytes();
    join(ITEM, &[commit.log.as_bytes(), &seq, &index.to_be_bytes()])
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

fn join(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(kind);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// What customers can be looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lookup {
    /// A customer number, in this or another system.
    Number,
    /// The value of a tax id, without country and type.
    TaxId,
    /// An account number.
    Account,
    /// The start of a word of a name.
    Name,
}

impl Lookup {
    const fn tag(self) -> u8 {
        match self {
            Self::Number => b'n',
            Self::TaxId => b't',
            Self::Account => b'a',
            Self::Name => b'w',
        }
    }

    /// The prefix under which records with this text are found, and whether the text is a whole
    /// value; a name matches by the start of a word.
    #[must_use]
    pub fn prefix(self, text: &str) -> Vec<u8> {
        let folded = fold(text);
        let mut prefix = join(INDEX, &[&[self.tag()], folded.as_bytes()]);
        if self != Self::Name {
            prefix.push(0);
        }
        prefix
    }
}

/// Text as the index compares it: letters and digits in lower case.
fn fold(text: &str) -> String {
    let kept = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase);
    kept.take(INDEX_TEXT_MAX).collect()
}

/// The most characters of a text that the index keeps.
const INDEX_TEXT_MAX: usize = 64;

/// Every index key of a golden record. The last 16 bytes of a key are the record id.
#[must_use]
pub fn index_keys(golden: &GoldenRecord) -> BTreeSet<Vec<u8>> {
    let mut keys = BTreeSet::new();
    let mut add = |lookup: Lookup, text: &str| {
        let folded = fold(text);
        if !folded.is_empty() {
            let parts: [&[u8]; 4] =
                [&[lookup.tag()], folded.as_bytes(), &[0], golden.record.as_bytes()];
            keys.insert(join(INDEX, &parts));
        }
    };
    for (path, values) in &golden.attributes {
        for value in values.iter().filter_map(|golden| golden.value.as_ref()) {
            index_value(path, value, &mut add);
        }
    }
    keys
}

fn index_value(path: &AttributePath, value: &Value, add: &mut impl FnMut(Lookup, &str)) {
    let segments = path.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments[..] {
        ["identity", "customer_number", number] => add(Lookup::Number, number),
        ["xref", id] => add(Lookup::Number, id.rsplit(':').next().unwrap_or(id)),
        ["tax_id", id] => add(Lookup::TaxId, id.rsplit(':').next().unwrap_or(id)),
        ["bank", account] => add(Lookup::Account, account),
        ["name", ..] => texts(value).for_each(|text| {
            text.split(|c: char| !c.is_alphanumeric()).for_each(|word| add(Lookup::Name, word));
        }),
        _ => {}
    }
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let (one, group) = match value {
        Value::One(scalar) => (Some(scalar), None),
        Value::Group(members) => (None, Some(members.values())),
    };
    one.into_iter().chain(group.into_iter().flatten()).filter_map(|scalar| match scalar {
        Scalar::Text(text) => Some(text.as_str()),
        Scalar::Bool(_) | Scalar::Int(_) => None,
    })
}
