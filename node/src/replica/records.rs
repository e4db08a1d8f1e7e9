//! Typed reads of what the store holds, over any [`View`]: the store, or the store plus what is not
//! yet durable.

use std::collections::BTreeMap;

use crdt_model::code_list::CodeList;
use crdt_model::document::CustomerDocument;
use crdt_model::golden_record::{Difference, GoldenRecord};
use crdt_model::governance::{RequestChange, changes};
use crdt_model::id::{CommitRef, LogId, RecordId, RecordKind};
use crdt_model::issue::Issue;
use crdt_model::policy::Policy;
use crdt_model::survivorship::resolve;
use serde::{Deserialize, Serialize};

use super::commit::{Commit, SignedHeader};
use super::fork::ForkProof;
use super::index::{Index, Lookup};
use super::layout;
use super::roster::Roster;
use super::state::State;
use super::vector::LogState;
use crate::kv::{ReadError, View};

/// An entry of the feed: what changed golden records, and the difference it made here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedEntry {
    /// Why.
    #[serde(flatten)]
    pub cause: Cause,
    /// The records it touched.
    pub records: Vec<RecordDifference>,
}

/// What made an entry of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A commit was applied.
    Commit(CommitRef),
    /// A policy of this version came into force; an entry holds a page of the records that it
    /// changed.
    Policy(u32),
    /// A member was revoked by the roster of this height.
    Roster(u64),
    /// The author of this log was found to have signed two histories in it; also the place of each
    /// commit that is void since.
    Fork(LogId),
}

impl Cause {
    /// The commit, when it was one.
    #[must_use]
    pub const fn commit(&self) -> Option<&CommitRef> {
        match self {
            Self::Commit(commit) => Some(commit),
            Self::Policy(_) | Self::Roster(_) | Self::Fork(_) => None,
        }
    }
}

/// The difference that a commit made to one golden record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordDifference {
    /// Which.
    pub record: RecordId,
    /// Whether the commit created it; then the fields are those of the record itself and not listed.
    pub created: bool,
    /// Field by field.
    pub fields: Vec<Difference>,
    /// What has happened to its change requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<RequestChange>,
}

impl RecordDifference {
    /// What differs between two states of a record; the fields of a new one are not listed.
    #[must_use]
    pub fn between(before: Option<&GoldenRecord>, after: &GoldenRecord) -> Self {
        let none = BTreeMap::new();
        Self {
            record: after.record,
            created: before.is_none(),
            fields: match before {
                Some(before) => GoldenRecord::differences(Some(before), after),
                None => Vec::new(),
            },
            requests: changes(before.map_or(&none, |before| &before.requests), &after.requests),
        }
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        !self.created && self.fields.is_empty() && self.requests.is_empty()
    }
}

/// An item that was not applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedItem {
    /// The record it is about.
    pub record: RecordId,
    /// The commit that carries it.
    pub commit: CommitRef,
    /// Its place in the commit.
    pub index: u16,
    /// Why, as a stable code.
    pub code: String,
    /// Why, in words.
    pub text: String,
}

/// Typed reads over a view.
#[derive(Clone, Copy)]
pub struct Records<'a>(&'a dyn View);

impl std::fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}

/// A place in a listing, and what was found there.
pub type Page<T> = Result<Vec<T>, ReadError>;

impl<'a> Records<'a> {
    /// Reads through `view`.
    #[must_use]
    pub const fn new(view: &'a dyn View) -> Self {
        Self(view)
    }

    /// The view that is read.
    #[must_use]
    pub const fn view(&self) -> &'a dyn View {
        self.0
    }

    /// The golden record of a customer.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or the stored value is damaged.
    pub fn golden(&self, record: &RecordId) -> Result<Option<GoldenRecord>, ReadError> {
        let key = layout::record_key(layout::GOLDEN, record);
        self.read(&key, |bytes| GoldenRecord::from_bytes(bytes).ok())
    }

    /// The document of a customer.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn document(&self, record: &RecordId) -> Result<Option<CustomerDocument>, ReadError> {
        let key = layout::record_key(layout::DOCUMENT, record);
        self.read(&key, |bytes| CustomerDocument::load(bytes).ok())
    }

    /// Why a customer is held because of a defect, if it is.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn held(&self, record: &RecordId) -> Result<Option<String>, ReadError> {
        let key = layout::record_key(layout::HELD, record);
        self.read(&key, |text| Some(String::from_utf8_lossy(text).into_owned()))
    }

    /// The signed header and provenance of a commit.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn header(&self, commit: &CommitRef) -> Result<Option<SignedHeader>, ReadError> {
        Ok(self.header_at(commit)?.map(|(_, header)| header))
    }

    /// The feed position and the signed header of a commit.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn header_at(&self, commit: &CommitRef) -> Result<Option<(u64, SignedHeader)>, ReadError> {
        self.read(&layout::commit_key(commit), |bytes| {
            let (position, header) = bytes.split_first_chunk()?;
            Some((u64::from_be_bytes(*position), SignedHeader::decode(header).ok()?))
        })
    }

    /// What is held of a log; who its author is.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn log(&self, log: &LogId) -> Result<Option<LogState>, ReadError> {
        self.read(&layout::vector_key(log), |bytes| LogState::decode(bytes).ok())
    }

    /// What is held of every log.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn logs(&self) -> Result<BTreeMap<LogId, LogState>, ReadError> {
        let mut logs = BTreeMap::new();
        let mut from = vec![layout::VECTOR];
        loop {
            let page = self.0.scan(&[layout::VECTOR], &from, LOGS_PAGE)?;
            for (key, value) in &page {
                let damaged = || ReadError::damaged(key);
                let id: [u8; 16] = key[1..].try_into().map_err(|_| damaged())?;
                let state = LogState::decode(value).map_err(|_| damaged())?;
                logs.insert(LogId::from_bytes(id), state);
            }
            match page.last() {
                Some((key, _)) if page.len() == LOGS_PAGE => from = [key.as_slice(), &[0]].concat(),
                Some(_) | None => return Ok(logs),
            }
        }
    }

    /// The proofs of forks, in the order of the logs.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn forks(&self) -> Page<ForkProof> {
        let pairs = self.0.scan(&[layout::FORK], &[layout::FORK], usize::MAX)?;
        let read = |(key, value): &(Vec<u8>, Vec<u8>)| {
            ForkProof::decode(value).map_err(|_| ReadError::damaged(key))
        };
        pairs.iter().map(read).collect()
    }

    /// The proof that a log was forked.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn fork(&self, log: &LogId) -> Result<Option<ForkProof>, ReadError> {
        self.read(&layout::fork_key(log), |bytes| ForkProof::decode(bytes).ok())
    }

    /// The commits of a log that were held here and are void, in the order of their numbers.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn set_aside(&self, log: &LogId) -> Page<Commit> {
        let prefix = layout::aside_prefix(log);
        let pairs = self.0.scan(&prefix, &prefix, usize::MAX)?;
        let read = |(key, value): &(Vec<u8>, Vec<u8>)| {
            let read = Commit::decode_first(value).map_err(|_| ReadError::damaged(key));
            read.map(|(commit, _)| commit)
        };
        pairs.iter().map(read).collect()
    }

    /// The roster.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn roster(&self) -> Result<Option<Roster>, ReadError> {
        self.read(layout::ROSTER, |bytes| Roster::decode(bytes).ok())
    }

    /// A whole commit.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn commit(&self, commit: &CommitRef) -> Result<Option<Commit>, ReadError> {
        let Some(header) = self.header(commit)? else { return Ok(None) };
        let key = layout::items_key(commit);
        let items = self.read(&key, |bytes| Commit::decode_items(bytes).ok())?;
        match items.filter(|items| items.len() == header.header.items.len()) {
            Some(items) => Ok(Some(Commit { signed: header, items })),
            None => Err(ReadError::damaged(&key)),
        }
    }

    /// How many commits the feed holds: what a watermark outside the store remembers.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn commits_applied(&self) -> Result<u64, ReadError> {
        let state = self.read(layout::STATE, |bytes| State::decode(bytes).ok())?;
        let last = self.0.last(&[layout::FEED])?;
        let last = last.and_then(|(key, _)| layout::number_in(&key, 1)).unwrap_or(0);
        // The mark was set when commits counted that a fork made void later.
        let derived = state.map_or(0, |state| state.derived.saturating_sub(state.void));
        Ok(last.saturating_sub(derived))
    }

    /// Customers in the order of their ids, from the one after `after` on.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn list(&self, after: Option<RecordId>, limit: usize) -> Page<GoldenRecord> {
        let pairs = self.records_of(layout::GOLDEN, after, limit)?;
        let damaged = |key: &[u8]| ReadError::damaged(key);
        pairs
            .iter()
            .map(|(key, bytes)| GoldenRecord::from_bytes(bytes).map_err(|_| damaged(key)))
            .collect()
    }

    /// The ids of all records, code lists and then customers, in their order, from the one after
    /// `after` on.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails.
    pub fn ids(&self, after: Option<RecordId>, limit: usize) -> Page<RecordId> {
        let from = match after {
            Some(after) => [layout::record_key(layout::DOCUMENT, &after).as_slice(), &[0]].concat(),
            None => vec![layout::DOCUMENT],
        };
        let pairs = self.0.scan(&[layout::DOCUMENT], &from, limit)?;
        Ok(pairs.iter().filter_map(|(key, _)| layout::record_in(key, 1)).collect())
    }

    /// What another policy would change: the customers looked at, from the one after `after` on, and
    /// the differences of those that it would show otherwise.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn differences_under(
        &self,
        policy: &Policy,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<(Vec<RecordId>, Vec<RecordDifference>), ReadError> {
        let page = self.ids(after, limit)?;
        let mut differences = Vec::new();
        for record in &page {
            let Some(document) = self.document(record)? else { continue };
            let resolved = resolve(policy, &document.claims());
            let after = GoldenRecord::from_resolved(*record, &resolved);
            let before = self.golden(record)?.unwrap_or_else(|| GoldenRecord::empty(*record));
            let difference = RecordDifference::between(Some(&before), &after);
            if !difference.is_empty() {
                differences.push(difference);
            }
        }
        Ok((page, differences))
    }

    /// Customers with at least one conflict, in the order of their ids.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn conflicted(&self, after: Option<RecordId>, limit: usize) -> Page<RecordId> {
        let pairs = self.records_of(layout::CONFLICT, after, limit)?;
        Ok(pairs.iter().filter_map(|(key, _)| layout::record_in(key, 1)).collect())
    }

    /// Customers found by an index, without order of rank, each once.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn find(&self, lookup: Lookup, text: &str, limit: usize) -> Page<RecordId> {
        let prefix = lookup.prefix(text);
        let mut found = self.ending(&prefix, limit)?;
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// The issues of a customer, in order.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn issues(&self, record: &RecordId) -> Page<Issue> {
        let key = layout::record_key(layout::ISSUES, record);
        let issues = self.read(&key, |bytes| serde_json::from_slice(bytes).ok())?;
        Ok(issues.unwrap_or_default())
    }

    /// Customers and code lists with an issue of this code, in the order of their ids.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails.
    pub fn with_issue(&self, code: &str, after: Option<RecordId>, limit: usize) -> Page<RecordId> {
        let prefix = layout::issue_prefix(code);
        self.indexed(&prefix, after, limit)
    }

    /// The customers of a change request, in the order of their ids.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails.
    pub fn of_request(&self, id: &str, limit: usize) -> Page<RecordId> {
        self.indexed(&layout::request_prefix(id), None, limit)
    }

    /// Customers with a change request that waits for decisions, in the order of their ids.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails.
    pub fn with_tasks(&self, after: Option<RecordId>, limit: usize) -> Page<RecordId> {
        self.indexed(&layout::task_prefix(), after, limit)
    }

    /// Customers that name a customer in a link of theirs, in the order of their ids.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails.
    pub fn naming(&self, record: &RecordId, limit: usize) -> Page<RecordId> {
        self.indexed(&layout::link_prefix(record), None, limit)
    }

    /// Records with any issue, in the order of their ids.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails.
    pub fn with_issues(&self, after: Option<RecordId>, limit: usize) -> Page<RecordId> {
        let from = from_record(&[layout::ISSUES], after);
        let pairs = self.0.scan(&[layout::ISSUES], &from, limit)?;
        Ok(pairs.iter().filter_map(|(key, _)| layout::record_in(key, 1)).collect())
    }

    /// Customers that use any code in the attributes of a pattern, by code; one that uses two stands
    /// there twice.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails.
    pub fn with_any_code(&self, pattern: &str, limit: usize) -> Page<RecordId> {
        let prefix = layout::codes_prefix(pattern);
        self.ending(&prefix, limit)
    }

    /// Customers that use a code in the attributes of a pattern, in the order of their ids.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails.
    pub fn with_code(
        &self,
        pattern: &str,
        code: &str,
        after: Option<RecordId>,
        limit: usize,
    ) -> Page<RecordId> {
        self.indexed(&layout::code_prefix(pattern, code), after, limit)
    }

    /// Code lists, in the order of their ids.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn code_lists(&self, limit: usize) -> Page<CodeList> {
        let from = vec![layout::GOLDEN];
        let pairs = self.0.scan(&from, &from, limit)?;
        let lists = pairs.iter().take_while(|(key, _)| {
            layout::record_in(key, 1).is_some_and(|id| id.kind() == RecordKind::CodeList)
        });
        lists
            .map(|(key, bytes)| {
                let golden = GoldenRecord::from_bytes(bytes);
                golden.map(|golden| CodeList::of(&golden)).map_err(|_| ReadError::damaged(key))
            })
            .collect()
    }

    fn indexed(&self, prefix: &[u8], after: Option<RecordId>, limit: usize) -> Page<RecordId> {
        let keys = Index::new(self.0).scan(prefix, &from_record(prefix, after), limit)?;
        Ok(keys.iter().filter_map(|key| layout::record_in(key, prefix.len())).collect())
    }

    /// The records that the entries of an index with a prefix end with, in the order of the entries.
    fn ending(&self, prefix: &[u8], limit: usize) -> Page<RecordId> {
        let keys = Index::new(self.0).scan(prefix, prefix, limit)?;
        let record = |key: &Vec<u8>| layout::record_in(key, key.len().checked_sub(16)?);
        Ok(keys.iter().filter_map(record).collect())
    }

    /// The commits that touched a customer, in the order applied here, after a feed position.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn history(&self, record: &RecordId, after: u64, limit: usize) -> Page<(u64, CommitRef)> {
        let prefix = layout::record_key(layout::HISTORY, record);
        let from = layout::history_key(record, after.saturating_add(1));
        let pairs = self.0.scan(&prefix, &from, limit)?;
        pairs
            .iter()
            .map(|(key, value)| {
                let position = layout::number_in(key, prefix.len());
                let commit = layout::commit_in(value, 0);
                position.zip(commit).ok_or_else(|| ReadError::damaged(key))
            })
            .collect()
    }

    /// Quarantined items, of one customer or of all.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn quarantined(&self, record: Option<&RecordId>, limit: usize) -> Page<QuarantinedItem> {
        let prefix = match record {
            Some(record) => layout::record_key(layout::QUARANTINE, record),
            None => vec![layout::QUARANTINE],
        };
        self.decode_all(&self.0.scan(&prefix, &prefix, limit)?)
    }

    /// The feed after a position: gapless, in the order applied here.
    ///
    /// # Errors
    /// As [`Self::golden`].
    pub fn feed(&self, after: u64, limit: usize) -> Page<(u64, FeedEntry)> {
        let from = layout::feed_key(after.saturating_add(1));
        let pairs = self.0.scan(&[layout::FEED], &from, limit)?;
        let positions = pairs.iter().filter_map(|(key, _)| layout::number_in(key, 1));
        Ok(positions.zip(self.decode_all(&pairs)?).collect())
    }

    fn read<T>(
        &self,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, ReadError> {
        let Some(bytes) = self.0.get(key)? else { return Ok(None) };
        decode(&bytes).map(Some).ok_or_else(|| ReadError::damaged(key))
    }

    fn decode_all<T: serde::de::DeserializeOwned>(&self, pairs: &[Pair]) -> Page<T> {
        pairs
            .iter()
            .map(|(key, value)| serde_json::from_slice(value).map_err(|_| ReadError::damaged(key)))
            .collect()
    }

    fn records_of(&self, kind: u8, after: Option<RecordId>, limit: usize) -> Page<Pair> {
        // Code lists stand before all customers, and are no customers.
        let from = match after {
            Some(after) => [layout::record_key(kind, &after).as_slice(), &[0]].concat(),
            None => layout::record_key(kind, &RecordId::first_customer()),
        };
        self.0.scan(&[kind], &from, limit)
    }
}

/// The first key with a prefix behind that of a record.
fn from_record(prefix: &[u8], after: Option<RecordId>) -> Vec<u8> {
    after.map_or_else(|| prefix.to_vec(), |after| [prefix, after.as_bytes(), &[0]].concat())
}

type Pair = (Vec<u8>, Vec<u8>);

/// Logs read at a time.
const LOGS_PAGE: usize = 256;
