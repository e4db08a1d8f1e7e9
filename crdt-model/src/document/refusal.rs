//! Why a change does not apply, in stable codes.
//!
//! A code is part of the commit format: it is reported, stored and compared between nodes, so a code
//! never changes its name or meaning.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why [`CustomerDocument::admit`](super::CustomerDocument::admit) did not take a change. The
/// document is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The change breaks a rule. Every node says so alike; the item is set aside and reported.
    #[error("the change is set aside: {0} ({code})", code = .0.code())]
    Quarantine(QuarantineCode),
    /// The change keeps every rule, and yet the trial failed: a defect of Concord. Hold the record,
    /// raise an alarm, decide nothing.
    #[error(
        "the record is held: a change that keeps every rule could not be applied ({0}); \
         this is a defect of Concord, please report it"
    )]
    Defect(String),
}

impl From<QuarantineCode> for Refusal {
    fn from(code: QuarantineCode) -> Self {
        Self::Quarantine(code)
    }
}

macro_rules! quarantine_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// The rule that a quarantined change breaks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum QuarantineCode {
            $($(#[$doc])* #[serde(rename = $code)] $name,)*
        }

        impl QuarantineCode {
            /// Every code, in the order in which the rules are checked.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable name.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What is wrong, as a sentence without a full stop.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

quarantine_codes! {
    /// Over [`CHANGE_BYTES_MAX`](super::CHANGE_BYTES_MAX).
    ChangeTooLarge = "change-too-large", "the change is larger than a change may be";
    /// No Automerge chunk at all, or one that is cut short.
    NotAChange = "not-a-change", "the bytes are not an Automerge change";
    /// A document, a compressed change, a bundle, or a kind that does not exist.
    ChunkKind = "chunk-kind", "only plain changes are taken, no documents, bundles or compressed changes";
    /// Something follows the change.
    TrailingBytes = "trailing-bytes", "something follows the change";
    /// The checksum does not fit the content.
    ChecksumMismatch = "checksum-mismatch", "the checksum does not fit the content";
    /// The header or a column is cut short or not readable.
    Malformed = "malformed-change", "the content of the change is not readable";
    /// The actor is not the log that carries the commit.
    WrongLog = "wrong-log", "the change names another log than the commit that carries it";
    /// The time is not the time of the commit.
    WrongTime = "wrong-time", "the change names another time than the commit that carries it";
    /// The message is not the region and number of the commit.
    WrongMessage = "wrong-message", "the change does not name the region and number of the commit that carries it";
    /// Dependencies not in ascending order, or named twice.
    DependencyOrder = "dependency-order", "the dependencies are not in order, or one is named twice";
    /// Bytes after the columns, such as an author footer.
    ExtraBytes = "extra-bytes", "the change carries bytes that mean nothing here";
    /// No operation.
    NoOperations = "no-operations", "the change sets nothing";
    /// Over [`OPERATIONS_MAX`](super::OPERATIONS_MAX).
    TooManyOperations = "too-many-operations", "the change sets more values than one change may";
    /// An operation counter over [`COUNTER_MAX`](super::COUNTER_MAX).
    CounterTooLarge = "counter-too-large", "the operation counter is larger than it may be";
    /// An operation on a nested object or on a list.
    NotRootMap = "not-root-map", "an operation does not address the root map by a key";
    /// An operation with the insert flag.
    InsertFlag = "insert-flag", "an operation inserts into a list";
    /// A deletion, increment, new object or mark.
    OperationKind = "operation-kind", "an operation does something else than to set a value";
    /// A key that is not a claim key.
    ClaimKey = "claim-key", "a key is not a claim key";
    /// A key set twice.
    DuplicateKey = "duplicate-key", "a key is set twice in one change";
    /// A value that is neither null, a boolean, a whole number nor a text.
    ValueType = "value-type", "a value is neither empty, true or false, a whole number nor a text";
    /// A text over [`TEXT_BYTES_MAX`](super::TEXT_BYTES_MAX).
    TextTooLong = "text-too-long", "a text is longer than a text may be";
    /// Over [`PREDECESSORS_MAX`](super::PREDECESSORS_MAX).
    TooManyPredecessors = "too-many-predecessors", "the change replaces more values than one change may";
    /// An operation replaces one value twice.
    DuplicatePredecessor = "duplicate-predecessor", "an operation replaces one value twice";
    /// Other bytes than our encoder writes for the same content.
    NotCanonical = "not-canonical", "the change is not written in the one form that is allowed";
    /// A dependency that is not in the causal past.
    MissingDependency = "missing-dependency", "the change depends on a change that is not there";
    /// The author's previous change on the record is not among what the change depends on.
    OwnPastMissing = "own-past-missing", "the change does not depend on its author's previous change";
    /// Not one more than the author's changes on the record.
    WrongSequence = "wrong-sequence", "the change is out of its author's sequence";
    /// The commit does not follow the commit of the author's previous change on the record.
    CommitOrder = "commit-order", "the commit does not follow the author's previous commit on the record";
    /// The first counter is not one more than the largest of the dependencies.
    WrongStartOperation = "wrong-start-operation", "the operation counter does not follow the dependencies";
    /// Made as of a version that is not in its causal past.
    UnknownVersion = "unknown-version", "the change was made as of a version that it does not follow";
    /// An operation replaces a value that is not in the causal past.
    UnknownPredecessor = "unknown-predecessor", "an operation replaces a value that its author cannot have seen";
    /// An operation replaces a value of another key.
    PredecessorOfAnotherKey = "predecessor-of-another-key", "an operation replaces a value of another key";
    /// Over [`HISTORY_BYTES_MAX`](super::HISTORY_BYTES_MAX) with its causal past.
    HistoryTooLarge = "history-too-large", "with everything that the change follows, the record has more history than it may have";
}

impl fmt::Display for QuarantineCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
