//! Reading ahead: a frame is decoded, and what follows from it alone is found out, before its turn.
//!
//! Most of what the first change of a record costs hangs on nothing that the node holds: decoding and
//! judging it, resolving its claims, the golden record, its index entries, its issues. All of that is
//! pure, so another thread may do it while the replica handles the frame before. What comes out is small
//! and flat: to hand a record from one processor to another is as dear as to make it.
//!
//! What was found is taken only where it stands on the same ground: nothing of the record is held, its
//! author is in the region that the change names, the policy is the same, and nobody else has a word in
//! it. Else it is left, and the replica looks for itself. So the same frames give the same batches, read
//! ahead or not.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

use crdt_model::code_list::CodeList;
use crdt_model::document::{Admitted, CustomerDocument};
use crdt_model::golden_record::GoldenRecord;
use crdt_model::governance::Who;
use crdt_model::id::{RecordId, RecordKind, Region};
use crdt_model::issue::{self, Around, Issue, Subject};
use crdt_model::path::AttributePath;
use crdt_model::policy::{CompiledChecks, Policy};
use crdt_model::survivorship::resolve;
use crdt_model::time::Hlc;

use super::batch::{Golden, Shown};
use super::codec::CodecError;
use super::commit::Commit;
use super::frame::Frame;
use super::issues::{identifiers, links, parent_in};
use super::records::RecordDifference;
use super::verdict::SMALL_DOCUMENT;
use super::{layout, numbers, permission};
use crate::kv::{Op, ReadError};

/// What reading ahead stands on.
#[derive(Debug, Clone)]
pub struct Ground {
    policy: Arc<Policy>,
    checks: CompiledChecks,
}

impl Ground {
    /// The ground of a policy.
    #[must_use]
    pub fn of(policy: Arc<Policy>) -> Self {
        let checks = CompiledChecks::of(&policy);
        Self { policy, checks }
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }
}

/// A frame that was read.
#[derive(Debug, Clone)]
pub struct Ahead {
    /// How many bytes it had.
    pub(super) length: usize,
    pub(super) frame: Result<Frame, CodecError>,
    /// What was found out about its commits, one after the other; nothing where it was not tried.
    pub(super) firsts: Vec<Firsts>,
}

/// For each item of a commit, what it makes of a record that nobody has written yet, if that was found.
pub(super) type Firsts = Vec<Option<Box<First>>>;

impl Ahead {
    /// Decodes a frame and does no more.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        Self { length: bytes.len(), frame: Frame::decode(bytes), firsts: Vec::new() }
    }

    /// Decodes a frame, and does of the work that it brings what can be done without the store.
    #[must_use]
    pub fn read(bytes: &[u8], ground: &Ground) -> Self {
        let read = Self::decode(bytes);
        let firsts = match &read.frame {
            Ok(Frame::Commits(commits)) => commits.iter().map(|it| firsts(it, ground)).collect(),
            Ok(_) | Err(_) => Vec::new(),
        };
        Self { firsts, ..read }
    }
}

fn firsts(commit: &Commit, ground: &Ground) -> Firsts {
    let first = |(record, change)| First::of(commit, &record, change, ground).map(Box::new);
    commit.records().map(first).collect()
}

/// What the first change of a record comes to, if nobody else has a word in it.
#[derive(Debug, Clone)]
pub struct First {
    /// Where its author is, if it says the truth.
    pub(super) region: Region,
    /// By which it was judged and resolved.
    pub(super) policy: Arc<Policy>,
    /// Where nobody else may stand in the indexes: the identifiers that it shows.
    pub(super) alone: BTreeSet<Vec<u8>>,
    pub(super) shown: Shown,
    pub(super) issues: Vec<Issue>,
    pub(super) marks: Vec<Op>,
    /// The document as it is stored.
    pub(super) saved: Vec<u8>,
    pub(super) difference: RecordDifference,
}

impl First {
    fn of(commit: &Commit, record: &RecordId, change: &[u8], ground: &Ground) -> Option<Self> {
        if record.kind() != RecordKind::Customer {
            return None;
        }
        let (header, note) = (&commit.signed.header, &commit.signed.note);
        let first = CustomerDocument::first(header.commit(), header.time, change);
        let (author, Admitted { document, change: says }) = first.ok()?;
        if document.saved_bytes() > SMALL_DOCUMENT {
            return None;
        }
        let (policy, checks) = (&*ground.policy, &ground.checks);
        let principal = note.provenance.principal.as_str();
        let who = Who { principal, region: &author.region, creates: true };
        let none = CustomerDocument::empty();
        if permission::judge(policy, record, &who, &none, &says).is_some() {
            return None;
        }
        let claims = document.claims();
        let resolved = resolve(policy, &claims);
        let golden = GoldenRecord::from_resolved(*record, &resolved);
        let golden = Golden::of(golden);
        if golden.bytes.len() > SMALL_DOCUMENT {
            return None;
        }
        let golden_record = &golden.record;
        let subject = Subject {
            record: *record,
            claims: &claims,
            resolved: &resolved,
            golden: golden_record,
            policy,
            checks,
        };
        let nobody = Nobody::default();
        let issues = issue::of(&subject, &nobody);
        let alone = identifiers(Some(golden_record));
        let stands_alone = links(Some(golden_record)).is_empty() && parent_in(&resolved).is_none();
        if !stands_alone || !nobody.suffices(&alone) {
            return None;
        }
        Some(Self {
            region: author.region,
            policy: Arc::clone(&ground.policy),
            alone,
            marks: numbers::marks(record, &claims, &resolved),
            saved: document.save(),
            difference: RecordDifference::between(None, golden_record),
            shown: Shown::of(&golden),
            issues,
        })
    }
}

impl First {
    /// The document of the record.
    ///
    /// # Errors
    /// [`ReadError`] where what was saved does not load, which would be a defect.
    pub(super) fn document(&self, record: &RecordId) -> Result<CustomerDocument, ReadError> {
        let key = layout::record_key(layout::DOCUMENT, record);
        CustomerDocument::load(&self.saved).map_err(|_| ReadError::damaged(&key))
    }
}

/// Nobody but the record itself.
#[derive(Default)]
struct Nobody {
    /// Whose identifiers were asked for.
    sharing: RefCell<BTreeSet<Vec<u8>>>,
    /// Whether something was asked that only the store can answer.
    is_short: Cell<bool>,
}

impl Nobody {
    /// Whether all that was asked is answered by nobody standing in these places.
    fn suffices(&self, alone: &BTreeSet<Vec<u8>>) -> bool {
        !self.is_short.get() && self.sharing.borrow().is_subset(alone)
    }
}

impl Around for Nobody {
    fn exists(&self, _: &RecordId) -> bool {
        self.is_short.set(true);
        false
    }

    fn parent(&self, _: &RecordId) -> Option<(RecordId, Hlc)> {
        self.is_short.set(true);
        None
    }

    fn sharing(&self, path: &AttributePath) -> Vec<RecordId> {
        self.sharing.borrow_mut().extend(layout::identifier_prefix(path));
        Vec::new()
    }

    fn code_list(&self, _: &str) -> Option<Arc<CodeList>> {
        self.is_short.set(true);
        None
    }

    fn is_named_by(&self, _: &RecordId) -> bool {
        self.is_short.set(true);
        false
    }

    /// A record with items in quarantine is not taken as read ahead.
    fn quarantined(&self) -> usize {
        0
    }
}
