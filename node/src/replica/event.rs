//! Everything that can happen to a replica, and the requests that clients make of it.

use std::collections::BTreeSet;
use std::fmt;

use crdt_model::attribute::Fault;
use crdt_model::customer_number::NoNumber;
use crdt_model::document::Version;
use crdt_model::golden_record::Resolution;
use crdt_model::governance::Denial;
use crdt_model::id::{CommitRef, RecordId, SourceName};
use crdt_model::path::AttributePath;
use crdt_model::value::Assertion;
use serde::{Deserialize, Serialize};

use super::ahead::Ahead;
use super::node_id::NodeId;
use super::roster::RosterError;
use crate::kv::ReadError;

/// One live connection to a peer. Never reused within a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.0)
    }
}

/// Which waiting client an answer is for. Chosen by the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Something that happened outside the replica.
#[derive(Debug, Clone)]
pub enum Event {
    /// A connection to a member is up and authenticated. Nothing was said on it yet.
    LinkUp {
        /// The connection.
        link: LinkId,
        /// Who is at the other end.
        peer: NodeId,
        /// Whether this node opened it.
        dialed: bool,
    },
    /// A connection is gone; nothing more arrives from it or leaves by it.
    LinkDown {
        /// The connection.
        link: LinkId,
        /// Why, for the operator.
        reason: String,
    },
    /// An attempt to connect failed.
    DialFailed {
        /// Who was called.
        peer: NodeId,
        /// Why, for the operator.
        reason: String,
    },
    /// A stranger, or a peer that does not speak our protocol, was turned away before a link was up.
    Refused {
        /// Its key, if it got so far.
        key: Option<NodeId>,
        /// Its address and why, for the operator.
        reason: String,
    },
    /// A frame arrived.
    Frame {
        /// From here.
        link: LinkId,
        /// The bytes, at most [`super::limits::FRAME_MAX`].
        bytes: Vec<u8>,
    },
    /// A frame arrived and was read ahead. It means the same as [`Event::Frame`] with its bytes.
    Read {
        /// From here.
        link: LinkId,
        /// What was read.
        read: Box<Ahead>,
    },
    /// A frame that the replica asked to send has been handed to the network.
    Sent {
        /// On this connection.
        link: LinkId,
        /// Its length in bytes.
        bytes: usize,
    },
    /// A client wants to write.
    Write {
        /// Who waits for the answer.
        ticket: Ticket,
        /// What to write.
        request: WriteRequest,
    },
    /// An operator brings roster entries (their encoded form, from the genesis on).
    AdoptRoster {
        /// Who waits for the answer.
        ticket: Ticket,
        /// The encoded roster.
        roster: Vec<u8>,
    },
    /// Time has passed; sent when the deadline of [`super::Replica::next_deadline`] is reached.
    Tick,
}

/// Who writes and why: stored once for each commit and covered by its signature.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The person or system that asked, as the token names it.
    pub principal: String,
    /// Why, in the writer's words; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The client's request id (its `Idempotency-Key`); may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request: String,
}

/// A write of up to [`super::limits::COMMIT_ITEMS_MAX`] records, made durable as one commit.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// The source whose claims these are.
    pub source: SourceName,
    /// Who and why. A non-empty `request` that was answered within a day gets the same answer again.
    pub provenance: Provenance,
    /// The records, each at most once.
    pub records: Vec<RecordWrite>,
    /// Opens a change request also where nobody else would have to approve.
    pub propose: bool,
    /// Writes what the source said already where it does not count any more, because it was released
    /// or a later word beat it. A person who says it again means it; a feed that repeats itself does
    /// not.
    pub restate: bool,
}

/// What must be true of a record for a write to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing: create it or change it.
    None,
    /// There is no such record yet.
    IsNew,
    /// There is such a record.
    Exists,
    /// The record is at exactly this version (`If-Match`).
    IsAt(Version),
    /// The record knows this version, and the write is made as of it (`Prefer: handling=merge`):
    /// what was written since stands beside it as a conflict.
    AsOf(Version),
}

/// The write of one record.
#[derive(Debug, Clone)]
pub struct RecordWrite {
    /// Which.
    pub record: RecordId,
    /// What must be true.
    pub precondition: Precondition,
    /// The claims, normalised and valid, each path at most once.
    pub edits: Vec<(AttributePath, Assertion)>,
    /// Gives the record a customer number of the region's range, when it has and gets none and the
    /// policy has a range.
    pub numbered: bool,
}

/// What became of a write request.
pub type WriteOutcome = Result<WriteReceipt, WriteRefusal>;

/// A durable write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteReceipt {
    /// The commit; none when nothing differed from what the source already said.
    pub commit: Option<CommitRef>,
    /// One answer for each record of the request, in its order.
    pub records: Vec<RecordReceipt>,
}

/// What became of one record of a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordReceipt {
    /// Which.
    pub record: RecordId,
    /// Its version after the write.
    pub version: Version,
    /// Whether the record is new.
    pub created: bool,
    /// The change request that the write opened, when something of it needs others to approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// One answer for each edit, in its order.
    pub fields: Vec<FieldReceipt>,
}

/// What became of one edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldReceipt {
    /// The attribute.
    pub path: AttributePath,
    /// Whether the golden record shows it.
    pub effect: Effect,
    /// The resolution after the write; none when no claim on the attribute is left.
    pub resolution: Option<Resolution>,
}

/// Whether an edit shows in the golden record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The source already said so; nothing was written.
    Unchanged,
    /// It is what the golden record shows (or, for a tombstone or release, no longer shows).
    TookEffect,
    /// It is kept as a claim; another one survives by the rule of the resolution.
    KeptAsClaim,
    /// It is part of a change request and waits for others to approve.
    Proposed,
}

/// Why a write was not done. Nothing of the request was written, except that after
/// [`Self::Uncertain`] its fate is open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteRefusal {
    /// The clock of this node is further from its peers' than the bound.
    #[error(
        "the clock of this node is {offset_s} s away from its peers; set it right, then write again"
    )]
    ClockSkew {
        /// How far ahead (positive) or behind, in seconds.
        offset_s: i64,
    },
    /// The node lost data and has not yet fetched it back.
    #[error(
        "this node's store is behind what it had acknowledged; it serves nothing until it has \
         fetched the rest from its peers"
    )]
    NotReady,
    /// The record exists already.
    #[error("customer {record} exists already; change it instead")]
    Exists {
        /// Which.
        record: RecordId,
    },
    /// There is no such record.
    #[error("there is no customer {record}")]
    Unknown {
        /// Which.
        record: RecordId,
    },
    /// The record is not at the version that the client saw.
    #[error("customer {record} has changed since version {expected}; it is at {actual}")]
    VersionMismatch {
        /// Which.
        record: RecordId,
        /// The version that the client named.
        expected: Version,
        /// The version that it is at.
        actual: Version,
    },
    /// The version named is not one of this record here.
    #[error("version {version} of customer {record} is not known here")]
    UnknownVersion {
        /// Which.
        record: RecordId,
        /// The version that the client named.
        version: Version,
    },
    /// What the write says about a record breaks a rule.
    #[error("what is said of {record} breaks a rule: {}", first_text(faults))]
    Invalid {
        /// Which.
        record: RecordId,
        /// Every fault, at least one.
        faults: Vec<Fault>,
    },
    /// The principal may not write this.
    #[error("{denial}")]
    Denied {
        /// The record.
        record: RecordId,
        /// Which edit, and why.
        denial: Denial,
    },
    /// The record was to get a customer number, and there is none to give.
    #[error("{why}")]
    NoNumber {
        /// Why, and what to do.
        why: NoNumber,
    },
    /// More records, bytes or attributes than a commit may carry.
    #[error("the write is too large: {what}; split it")]
    TooLarge {
        /// Which limit.
        what: String,
    },
    /// The input breaks a rule of writing.
    #[error("{what}")]
    Malformed {
        /// Which, and what to do.
        what: String,
    },
    /// The record takes no more: what it says, or its whole history, is at its bound.
    #[error("customer {record} takes no more: {what}; start a new record and name this one in it")]
    RecordFull {
        /// Which.
        record: RecordId,
        /// Which bound.
        what: String,
    },
    /// The record is held because of a defect, see the alarm.
    #[error("customer {record} is held: {reason}")]
    Held {
        /// Which.
        record: RecordId,
        /// The alarm.
        reason: String,
    },
    /// The node is not, or no longer, a member of its network.
    #[error("this node is not a member of the network; let an operator admit it")]
    NotAMember,
    /// What was made of the write broke a rule of ours: a defect of this release.
    #[error("the write was not done by a defect of this release ({reason}); please report it")]
    Defect {
        /// What went wrong.
        reason: String,
    },
    /// The node ended while it wrote: it may be done or not.
    #[error(
        "what became of the write is not known ({reason}); send it again with the same Idempotency-Key"
    )]
    Uncertain {
        /// What happened.
        reason: String,
    },
    /// The store failed, is full or is being closed; what was durable before stays.
    #[error("the store cannot be written: {0}")]
    Store(StoreFault),
}

impl From<ReadError> for WriteRefusal {
    fn from(error: ReadError) -> Self {
        Self::Store(error.into())
    }
}

/// What is the matter with a store that does not serve a request. Nothing of the request was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct StoreFault {
    /// What kind of fault, for programs.
    pub kind: StoreFaultKind,
    /// What the store said, for people.
    pub reason: String,
}

impl StoreFault {
    /// The node is being shut down and looks at no more requests.
    #[must_use]
    pub fn stopping() -> Self {
        let reason = "the node is shutting down".to_owned();
        Self { kind: StoreFaultKind::Stopping, reason }
    }
}

impl From<ReadError> for StoreFault {
    fn from(error: ReadError) -> Self {
        Self { kind: StoreFaultKind::Failed, reason: error.to_string() }
    }
}

/// The kinds of faults of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFaultKind {
    /// No room on the disk.
    Full,
    /// The node is being shut down.
    Stopping,
    /// The store cannot be read or written.
    Failed,
}

fn first_text(faults: &[Fault]) -> &str {
    faults.first().map_or("", |fault| &fault.text)
}

/// What became of a roster that an operator brought.
pub type RosterOutcome = Result<u64, RosterRefusal>;

/// Why a roster that an operator brought was not taken. The roster in use stays as it was, except that
/// after [`Self::Uncertain`] it may be the new one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterRefusal {
    /// The roster is not one that this node may take.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The store failed, is full or is being closed.
    #[error("the store cannot be written: {0}")]
    Store(StoreFault),
    /// The node ended while it stored the roster.
    #[error("what became of the roster is not known ({reason}); send it again")]
    Uncertain {
        /// What happened.
        reason: String,
    },
}

impl From<ReadError> for RosterRefusal {
    fn from(error: ReadError) -> Self {
        Self::Store(error.into())
    }
}

/// The answer to a ticket.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`Event::Write`].
    Write(WriteOutcome),
    /// To [`Event::AdoptRoster`]: the height of the roster now.
    Roster(RosterOutcome),
}

/// The keys that may open a link.
pub type Members = BTreeSet<NodeId>;
