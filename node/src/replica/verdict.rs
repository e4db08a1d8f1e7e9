//! Verdicts: what becomes of one item of a commit. A pure function of the item, its causal past and the
//! roster, alike on every node; `docs/replication.md` lists them.

use std::cell::Cell;
use std::sync::Arc;

use crdt_model::document::{Admitted, Author, CustomerDocument, Refusal};
use crdt_model::governance::Who;
use crdt_model::id::{CommitRef, RecordId, Region};

use super::ahead::First;
use super::causality::Past;
use super::commit::{Header, Note};
use super::history::History;
use super::limits::RECORD_BYTES_MAX;
use super::node_id::NodeId;
use super::permission;
use crate::kv::ReadError;

/// What becomes of one item.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Applied; the document after it.
    Applied(Box<CustomerDocument>),
    /// Not applied, alike on every node.
    Quarantined {
        /// Why, as a stable code.
        code: String,
        /// Why, in words.
        text: String,
    },
    /// The checks passed and Automerge failed: a defect of ours. The record stays as it was.
    Held(String),
}

/// How the verdict on an item was come to.
pub(super) enum Judged {
    /// In its turn.
    Now(Verdict),
    /// It is applied as it was found out ahead.
    Ahead(Box<First>),
}

/// One item with what its verdict depends on besides the document.
pub(super) struct ItemOf<'a> {
    pub(super) header: &'a Header,
    pub(super) note: &'a Note,
    pub(super) author: &'a NodeId,
    pub(super) region: &'a Region,
    pub(super) record: RecordId,
    pub(super) change: &'a [u8],
    pub(super) past: &'a Past<'a>,
}

impl History {
    /// Whether the membership of the author was revoked before it was accepted.
    fn is_cut_off(&self, item: &ItemOf<'_>) -> bool {
        let header = item.header;
        let cut = self.roster.cut(item.author, &header.log, header.epoch);
        cut.is_some_and(|last| header.seq > last)
    }

    /// Whether what was found out ahead about an item, of whose record nothing is held, is what
    /// [`Self::judge_item`] would find.
    pub(super) fn is_found(&self, item: &ItemOf<'_>, first: &First) -> bool {
        let header = item.header;
        let judged_by = self.policy_at(header.epoch, header.time.ms());
        !self.is_cut_off(item)
            && first.region == *item.region
            && Arc::ptr_eq(&first.policy, &self.policy)
            && Arc::ptr_eq(&first.policy, judged_by)
    }

    /// Judges one item against the document as it was before it.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged.
    pub(super) fn judge_item(
        &self,
        item: &ItemOf<'_>,
        before: &CustomerDocument,
    ) -> Result<Verdict, ReadError> {
        let header = item.header;
        if self.is_cut_off(item) {
            return Ok(Verdict::Quarantined {
                code: "author-revoked".to_owned(),
                text: "its author's membership was revoked before it was accepted".to_owned(),
            });
        }
        let author =
            Author { commit: header.commit(), time: header.time, region: item.region.clone() };
        let past = item.past;
        let failed = Cell::new(None);
        let seen = |cause: &CommitRef| {
            past.includes(cause).unwrap_or_else(|error| {
                failed.set(Some(error));
                false
            })
        };
        let outcome = before.admit_seen(&author, item.change, &seen);
        if let Some(error) = failed.take() {
            return Err(error);
        }
        let denied = match &outcome {
            Ok(Admitted { change, .. }) => {
                let who = Who {
                    principal: &item.note.provenance.principal,
                    region: item.region,
                    creates: !before.commits().any(|commit| seen(&commit)),
                };
                let policy = self.policy_at(header.epoch, header.time.ms());
                permission::judge(policy, &item.record, &who, before, change)
            }
            Err(_) => None,
        };
        if let Some(error) = failed.take() {
            return Err(error);
        }
        Ok(match outcome {
            Ok(Admitted { document, .. }) => {
                match (denied, self.too_large(&item.record, &document)) {
                    (Some(denied), _) => denied,
                    (None, Some(text)) => Verdict::Held(text),
                    (None, None) => Verdict::Applied(Box::new(document)),
                }
            }
            Err(Refusal::Quarantine(code)) => {
                Verdict::Quarantined { code: code.code().to_owned(), text: code.to_string() }
            }
            Err(Refusal::Defect(text)) => Verdict::Held(text),
        })
    }

    /// Why a document cannot be kept although every change of it is within the limits: many logs wrote
    /// much on one record, apart from each other. No author could know, so it is no verdict.
    fn too_large(&self, record: &RecordId, after: &CustomerDocument) -> Option<String> {
        let text = |what: &str| format!("{what} would have over {RECORD_BYTES_MAX} bytes");
        if after.saved_bytes() > RECORD_BYTES_MAX {
            return Some(text("what was written on it"));
        }
        if after.saved_bytes() <= SMALL_DOCUMENT {
            return None;
        }
        let golden = self.resolved(record, after).to_bytes();
        (golden.len() > RECORD_BYTES_MAX).then(|| text("what it shows"))
    }
}

/// A document with no more bytes than this shows no more than [`RECORD_BYTES_MAX`], whatever is in it.
pub(super) const SMALL_DOCUMENT: usize = 128 << 10;
