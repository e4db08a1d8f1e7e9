//! Local writes: from a client's request to a signed commit, and the answer.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use crdt_model::document::{
    Admitted, Author, COUNTER_MAX, ClaimEdit, CustomerDocument, HISTORY_BYTES_MAX, ProposeError,
    QuarantineCode, Refusal, UnknownVersion, Version,
};
use crdt_model::golden_record::{LossReason, Resolution, Resolved};
use crdt_model::id::{CommitRef, LogId, RecordId, Region, SourceName};
use crdt_model::limits::RECORD_MAX;
use crdt_model::normalize::RULESET;
use crdt_model::path::AttributePath;
use crdt_model::survivorship::resolve;
use crdt_model::time::Hlc;
use crdt_model::value::{Assertion, Cell};
use jiff::civil::Date;

use super::commit::{Draft, Head, Header, Note, Opening};
use super::door::Door;
use super::event::{
    Effect, FieldReceipt, Precondition, Provenance, RecordReceipt, RecordWrite, WriteRefusal,
    WriteRequest,
};
use super::history::History;
use super::limits::{COMMIT_ITEMS_MAX, PROVENANCE_BYTES_MAX};
use super::records::Records;
use super::verdict::Verdict;
use crate::kv::View;

/// The log that this incarnation writes, once its first commit is made; before, how to open it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnLog {
    pub(crate) opening: Opening,
    pub(crate) id: LogId,
}

/// A request turned into a commit, with everything needed to apply and answer it.
#[derive(Debug)]
pub(crate) struct Drafted {
    /// None when nothing differed from what the source already said.
    pub(crate) draft: Option<Draft>,
    /// One verdict for each item of the draft.
    pub(crate) verdicts: Vec<Verdict>,
    /// What each record of the request was before.
    before: Vec<Before>,
}

/// A record before it is written.
#[derive(Debug)]
struct Before {
    is_new: bool,
    document: CustomerDocument,
    /// On which attributes something is written.
    written: BTreeSet<AttributePath>,
    /// The request that the write opens, and what it would change.
    request: Option<(String, BTreeSet<AttributePath>)>,
}

/// Everything that the author of a commit brings besides the request.
pub(crate) struct Writer<'a> {
    pub(crate) log: OwnLog,
    pub(crate) region: Region,
    pub(crate) time: Hlc,
    /// Heads of other logs that moved since the commit before.
    pub(crate) follows: Vec<Head>,
    pub(crate) history: &'a History,
    pub(crate) view: &'a dyn View,
}

impl Writer<'_> {
    /// Drafts the commit of a request. Nothing is changed.
    pub(crate) fn draft(&self, request: &WriteRequest) -> Result<Drafted, WriteRefusal> {
        check_size(request)?;
        let seq = self.history.vector.seq(&self.log.id) + 1;
        let commit = CommitRef { log: self.log.id, seq };
        let author = Author { commit, time: self.time, region: self.region.clone() };
        let mut items = Vec::new();
        let mut before = Vec::new();
        for write in &request.records {
            let document = self.document(&write.record)?;
            let door = Door {
                history: self.history,
                records: Records::new(self.view),
                author: &author,
                node: &self.log.opening.node,
                request,
                write,
                document: &document,
            };
            let admitted = door.admit()?;
            let restate = request.restate;
            let item = self.item(&author, write, &admitted.edits, &document, restate)?;
            let mut written = BTreeSet::new();
            if let Some((bytes, Admitted { document, change })) = item {
                written.extend(change.edits.into_iter().map(|edit| edit.key.path));
                items.push((write.record, bytes, Verdict::Applied(Box::new(document))));
            }
            before.push(Before {
                is_new: document.is_empty(),
                document,
                written,
                request: admitted.request,
            });
        }
        items.sort_by_key(|(record, ..)| *record);
        let (verdicts, items): (Vec<_>, Vec<_>) =
            items.into_iter().map(|(record, change, verdict)| (verdict, (record, change))).unzip();
        let draft = (!items.is_empty()).then(|| Draft {
            header: self.header(seq),
            note: Note {
                source: request.source.clone(),
                ruleset: RULESET,
                provenance: request.provenance.clone(),
            },
            items,
        });
        Ok(Drafted { draft, verdicts, before })
    }

    /// Drafts a commit without items, which only says what its author has seen.
    pub(crate) fn follow(&self, source: &SourceName) -> Draft {
        let provenance = Provenance::default();
        Draft {
            header: self.header(self.history.vector.seq(&self.log.id) + 1),
            note: Note { source: source.clone(), ruleset: RULESET, provenance },
            items: Vec::new(),
        }
    }

    fn header(&self, seq: u64) -> Header {
        let held = self.history.vector.get(&self.log.id);
        Header {
            log: self.log.id,
            seq,
            previous: held.map_or([0; 32], |held| held.hash),
            time: self.time,
            epoch: self.history.roster.height(),
            opening: (seq == 1).then_some(self.log.opening),
            follows: self.follows.clone(),
            provenance: [0; 32],
            items: Vec::new(),
        }
    }

    fn document(&self, record: &RecordId) -> Result<CustomerDocument, WriteRefusal> {
        let records = Records::new(self.view);
        if let Some(reason) = records.held(record)? {
            return Err(WriteRefusal::Held { record: *record, reason });
        }
        Ok(self.history.document(record, self.view)?)
    }

    /// The change of one record, and its document after it; none when nothing differs.
    fn item(
        &self,
        author: &Author,
        write: &RecordWrite,
        edits: &[ClaimEdit],
        document: &CustomerDocument,
        restate: bool,
    ) -> Result<Option<(Vec<u8>, Admitted)>, WriteRefusal> {
        let base = check_precondition(write, document)?;
        let record = write.record;
        let resolved = OnceCell::new();
        let resolved =
            || resolved.get_or_init(|| resolve(self.history.policy(), &document.claims()));
        let again = |edit: &ClaimEdit| restate && counts_no_more(resolved(), edit, self.time.day());
        let proposed = document.propose_again(author, edits, base, &again);
        let proposed = proposed.map_err(|error| not_proposed(record, error))?;
        let Some(change) = proposed else { return Ok(None) };
        match document.admit_seen(author, &change, &|_| true) {
            Ok(admitted) if is_over(&admitted.document) => Err(WriteRefusal::RecordFull {
                record,
                what: format!("what its sources say would have over {RECORD_MAX} bytes"),
            }),
            Ok(admitted) => {
                super::door::check(self.history, write, &admitted.document, self.time.day())?;
                Ok(Some((change, admitted)))
            }
            Err(Refusal::Quarantine(QuarantineCode::HistoryTooLarge)) => {
                Err(WriteRefusal::RecordFull {
                    record,
                    what: format!("its history has {HISTORY_BYTES_MAX} bytes"),
                })
            }
            Err(Refusal::Quarantine(code)) => {
                let reason = format!("our own change was set aside: {code}");
                Err(WriteRefusal::Defect { reason })
            }
            Err(Refusal::Defect(reason)) => Err(WriteRefusal::Held { record, reason }),
        }
    }
}

/// Whether a source that said this already must say it again to be heard: somebody released it or spoke
/// later, or claims came that an earlier release had not seen.
fn counts_no_more(resolved: &Resolved, edit: &ClaimEdit, today: Date) -> bool {
    let (day, is_release) = match &edit.assertion {
        Assertion::Stated(statement) => (statement.valid_from.unwrap_or(today).max(today), false),
        Assertion::Release { .. } => (today, true),
        Assertion::Tombstone => return false,
    };
    let Some(resolution) = resolved.at(&edit.key.path, day) else { return false };
    if is_release {
        return resolution.winner.is_some();
    }
    resolution.losers.iter().any(|loser| {
        let is_beaten = matches!(
            loser.reason,
            LossReason::Released | LossReason::Superseded | LossReason::Older
        );
        loser.candidate.source == edit.key.source && is_beaten
    })
}

/// What a client is told about edits that do not become a change.
fn not_proposed(record: RecordId, error: ProposeError) -> WriteRefusal {
    let text = error.to_string();
    match error {
        ProposeError::UnknownVersion(UnknownVersion(version)) => {
            WriteRefusal::UnknownVersion { record, version }
        }
        ProposeError::DuplicateKey(_)
        | ProposeError::KeyTooLong(_)
        | ProposeError::TextTooLong(_) => WriteRefusal::Malformed { what: text },
        ProposeError::TooLarge => WriteRefusal::TooLarge {
            what: format!("customer {record} would change in too many places at once"),
        },
        ProposeError::RecordFull => WriteRefusal::RecordFull {
            record,
            what: format!("it has been written {COUNTER_MAX} times"),
        },
        ProposeError::CommitOrder(_) | ProposeError::Defect(_) => {
            WriteRefusal::Defect { reason: text }
        }
    }
}

/// Whether the claims of a record have more bytes together than they may. Its history does not count:
/// nobody could make a record smaller by writing.
fn is_over(document: &CustomerDocument) -> bool {
    if document.saved_bytes() <= RECORD_MAX {
        return false;
    }
    let claims = document.claims();
    let sizes = claims.claims().iter().map(|claim| {
        let cell = claim.assertion.as_ref().map(Assertion::to_cell);
        let said = match &cell {
            Ok(Cell::Str(text)) => text.len(),
            Ok(_) | Err(_) => 8,
        };
        claim.path.to_string().len() + claim.source.as_str().len() + said
    });
    sizes.sum::<usize>() > RECORD_MAX
}

fn check_size(request: &WriteRequest) -> Result<(), WriteRefusal> {
    let too_large = |what: String| Err(WriteRefusal::TooLarge { what });
    let distinct: BTreeSet<RecordId> = request.records.iter().map(|write| write.record).collect();
    if distinct.len() != request.records.len() {
        let what = "a customer is named twice in one write; send it once".to_owned();
        return Err(WriteRefusal::Malformed { what });
    }
    if distinct.len() > COMMIT_ITEMS_MAX {
        return too_large(format!("over {COMMIT_ITEMS_MAX} records in one write"));
    }
    let provenance = &request.provenance;
    let words = provenance.principal.len() + provenance.reason.len() + provenance.request.len();
    // Room for the source, the rule set and the lengths.
    if words + 64 > PROVENANCE_BYTES_MAX {
        return too_large("principal, reason and request id have over 4,032 bytes".to_owned());
    }
    Ok(())
}

/// Checks what must be true of the record, and gives the version as of which the write is made.
fn check_precondition<'a>(
    write: &'a RecordWrite,
    document: &CustomerDocument,
) -> Result<Option<&'a Version>, WriteRefusal> {
    let record = write.record;
    let exists = !document.is_empty();
    match &write.precondition {
        Precondition::None => Ok(None),
        Precondition::IsNew if exists => Err(WriteRefusal::Exists { record }),
        Precondition::IsNew => Ok(None),
        Precondition::Exists | Precondition::IsAt(_) | Precondition::AsOf(_) if !exists => {
            Err(WriteRefusal::Unknown { record })
        }
        Precondition::Exists => Ok(None),
        Precondition::IsAt(expected) => {
            let actual = document.version();
            if actual == *expected {
                return Ok(None);
            }
            Err(WriteRefusal::VersionMismatch { record, expected: expected.clone(), actual })
        }
        Precondition::AsOf(version) if document.knows(version) => Ok(Some(version)),
        Precondition::AsOf(version) => {
            Err(WriteRefusal::UnknownVersion { record, version: version.clone() })
        }
    }
}

impl Drafted {
    /// The answer, once the commit (if there is one) is applied.
    pub(crate) fn receipts(
        &self,
        request: &WriteRequest,
        history: &History,
        applied: &std::collections::BTreeMap<RecordId, (CustomerDocument, Resolved)>,
        today: Date,
    ) -> Vec<RecordReceipt> {
        let writes = request.records.iter().zip(&self.before);
        writes
            .map(|(write, before)| match applied.get(&write.record) {
                Some((after, resolved)) => RecordReceipt {
                    record: write.record,
                    version: after.version(),
                    created: before.is_new,
                    request: before.request.as_ref().map(|(id, _)| id.clone()),
                    fields: fields(write, Some(before), resolved, today),
                },
                None => {
                    let resolved = resolve(history.policy(), &before.document.claims());
                    RecordReceipt {
                        record: write.record,
                        version: before.document.version(),
                        created: false,
                        request: None,
                        fields: fields(write, None, &resolved, today),
                    }
                }
            })
            .collect()
    }
}

/// What became of each edit. Without a record before, nothing was written.
fn fields(
    write: &RecordWrite,
    before: Option<&Before>,
    resolved: &Resolved,
    today: Date,
) -> Vec<FieldReceipt> {
    let proposed = before.and_then(|before| before.request.as_ref());
    write
        .edits
        .iter()
        .map(|(path, assertion)| {
            let is_written = before.is_some_and(|before| before.written.contains(path));
            let resolution = resolved.at(path, today).cloned();
            let effect = match is_written {
                _ if proposed.is_some_and(|(_, paths)| paths.contains(path)) => Effect::Proposed,
                false => Effect::Unchanged,
                true => effect(assertion, resolution.as_ref()),
            };
            FieldReceipt { path: path.clone(), effect, resolution }
        })
        .collect()
}

fn effect(assertion: &Assertion, resolution: Option<&Resolution>) -> Effect {
    let winner = resolution.and_then(|resolution| resolution.winner.as_ref());
    let shown = winner.and_then(|winner| winner.value.as_ref());
    let took = match assertion {
        Assertion::Stated(statement) => shown == Some(&statement.value),
        Assertion::Tombstone | Assertion::Release { .. } => shown.is_none(),
    };
    if took { Effect::TookEffect } else { Effect::KeptAsClaim }
}
