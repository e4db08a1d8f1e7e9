//! The door of the replica: what becomes of a local write, beyond what its shape allows.
//!
//! Codes are judged by what this node knows, its code lists and the day; the same content from a peer
//! is taken, and becomes an issue where it does not fit. Who may write what is judged as every
//! receiver will, and a change that needs a second person becomes a request.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use crdt_model::attribute::{self, Fault};
use crdt_model::claim::ClaimSet;
use crdt_model::code_list::list_for;
use crdt_model::document::{Author, ClaimEdit, CustomerDocument};
use crdt_model::governance::{
    self, Disposition, Fact, NewRequest, Proposal, ProposedEdit, RequestKind, Who,
};
use crdt_model::id::{RecordId, RecordKind};
use crdt_model::issue::judge_code;
use crdt_model::path::AttributePath;
use crdt_model::policy::{NonOwner, Policy, Severity};
use crdt_model::survivorship::resolve;
use crdt_model::value::Assertion;
use jiff::civil::Date;

use super::credit::Counter;
use super::event::{RecordWrite, WriteRefusal, WriteRequest};
use super::history::History;
use super::node_id::NodeId;
use super::numbers::Numbers;
use super::records::Records;

/// What a write comes to at the door.
pub(super) struct Admitted {
    /// The claims to write.
    pub(super) edits: Vec<ClaimEdit>,
    /// The request that the write opens, and the attributes that it would change.
    pub(super) request: Option<(String, BTreeSet<AttributePath>)>,
}

/// One write of one record at the door.
pub(super) struct Door<'a> {
    pub(super) history: &'a History,
    pub(super) records: Records<'a>,
    pub(super) author: &'a Author,
    pub(super) node: &'a NodeId,
    pub(super) request: &'a WriteRequest,
    pub(super) write: &'a RecordWrite,
    pub(super) document: &'a CustomerDocument,
}

impl Door<'_> {
    /// Judges the write.
    ///
    /// # Errors
    /// [`WriteRefusal::Invalid`] with every fault, [`WriteRefusal::Denied`], or
    /// [`WriteRefusal::Store`]. Nothing was changed.
    pub(super) fn admit(&self) -> Result<Admitted, WriteRefusal> {
        self.judge_values()?;
        let policy = self.policy();
        // Few policies ask what stands in the record, and reading it is dear.
        let read = OnceCell::new();
        let claims = || read.get_or_init(|| self.document.claims());
        let mut edits: Vec<ClaimEdit> = Vec::new();
        let mut proposed = Vec::new();
        let mut terms: Option<Proposal> = None;
        for edit in self.edits() {
            match self.disposition(policy, &claims, &edit) {
                Disposition::Direct => edits.push(edit),
                Disposition::Propose(proposal) => {
                    proposed.push(ProposedEdit { path: edit.key.path, assertion: edit.assertion });
                    terms = Some(stricter(terms, proposal));
                }
                Disposition::Denied(denial) => {
                    return Err(WriteRefusal::Denied { record: self.write.record, denial });
                }
            }
        }
        self.judge_credit(&claims, &edits, &proposed)?;
        let Some(terms) = terms else { return Ok(Admitted { edits, request: None }) };
        let id = request_id(self.author);
        let paths = proposed.iter().map(|edit| edit.path.clone()).collect();
        edits.extend(self.open(id.clone(), &terms, proposed)?);
        let who = self.who();
        governance::judge(policy, &who, &edits, &|| claims().clone())
            .map_err(|denial| WriteRefusal::Denied { record: self.write.record, denial })?;
        Ok(Admitted { edits, request: Some((id, paths)) })
    }

    fn judge_credit<'c>(
        &self,
        claims: &dyn Fn() -> &'c ClaimSet,
        edits: &[ClaimEdit],
        proposed: &[ProposedEdit],
    ) -> Result<(), WriteRefusal> {
        let counter = Counter {
            history: self.history,
            node: self.node,
            region: &self.author.region,
            record: &self.write.record,
            day: self.author.time.day(),
        };
        counter.judge(claims, edits, proposed).map_err(|fault| self.invalid(vec![fault]))
    }

    /// The policy by which receivers will judge the commit.
    fn policy(&self) -> &Policy {
        self.history.policy_at(self.history.roster.height(), self.author.time.ms())
    }

    fn who(&self) -> Who<'_> {
        Who {
            principal: &self.request.provenance.principal,
            region: &self.author.region,
            creates: self.document.is_empty(),
        }
    }

    fn edits(&self) -> impl Iterator<Item = ClaimEdit> {
        self.write.edits.iter().map(|(path, assertion)| {
            ClaimEdit::new(path.clone(), self.request.source.clone(), assertion.clone())
        })
    }

    fn disposition<'c>(
        &self,
        policy: &Policy,
        claims: &dyn Fn() -> &'c ClaimSet,
        edit: &ClaimEdit,
    ) -> Disposition {
        let is_override = matches!(Fact::of(&edit.key.path), Some(Fact::Override));
        if Fact::of(&edit.key.path).is_some() && !is_override {
            // The facts of a request are judged together.
            let facts: Vec<ClaimEdit> = self.edits().collect();
            let judged = governance::judge(policy, &self.who(), &facts, &|| claims().clone());
            return judged.map_or_else(Disposition::Denied, |()| Disposition::Direct);
        }
        if self.request.propose && !is_code(edit) {
            let proposal =
                ProposedEdit { path: edit.key.path.clone(), assertion: edit.assertion.clone() };
            return Disposition::Propose(Proposal {
                kind: RequestKind::Change,
                needed: governance::needed(policy, [&proposal]).max(1),
                why: "You asked for a second person.".to_owned(),
            });
        }
        if is_open(policy) && !is_override {
            return Disposition::Direct;
        }
        governance::disposition(policy, &self.who(), claims(), self.author.time.day(), edit)
    }

    fn open(
        &self,
        id: String,
        terms: &Proposal,
        edits: Vec<ProposedEdit>,
    ) -> Result<Vec<ClaimEdit>, WriteRefusal> {
        let provenance = &self.request.provenance;
        let request = NewRequest {
            id,
            by: provenance.principal.clone(),
            source: self.request.source.clone(),
            needed: terms.needed,
            base: (!self.document.is_empty()).then(|| self.document.version()),
            reason: (!provenance.reason.is_empty()).then(|| provenance.reason.clone()),
            kind: terms.kind,
            edits,
        };
        request.to_edits().map_err(|fault| self.invalid(vec![fault]))
    }

    fn invalid(&self, faults: Vec<Fault>) -> WriteRefusal {
        WriteRefusal::Invalid { record: self.write.record, faults }
    }

    /// Judges what the write says by kinds of records and code lists.
    fn judge_values(&self) -> Result<(), WriteRefusal> {
        let policy = self.history.policy();
        let view = self.records.view();
        let numbers = Numbers::new(self.history, view, self.node, &self.author.region);
        let mut faults = Vec::new();
        for (path, assertion) in &self.write.edits {
            let Some(row) = attribute::lookup(path) else { continue };
            if row.record_kind() != self.write.record.kind() {
                faults.push(wrong_kind(path.as_str(), row.record_kind()));
                continue;
            }
            let Assertion::Stated(statement) = assertion else { continue };
            faults.extend(numbers.judge(&self.write.record, path)?.err());
            let Some(name) = list_for(policy, row, path) else { continue };
            let list = self.history.list(&self.records, &name)?;
            let today = self.author.time.day();
            let day = statement.valid_from.map_or(today, |from| from.max(today));
            // A list that is not here yet cannot refuse; the value is an issue until it arrives.
            if let Some(list) = list
                && let Err(fault) = judge_code(&list, path, &statement.value, day)
            {
                faults.push(fault);
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(self.invalid(faults)) }
    }
}

/// Judges the golden record that a write would give by the checks of the policy. A check that a write
/// does not touch is no reason to refuse it.
///
/// # Errors
/// [`WriteRefusal::Invalid`] with every check of severity error that does not hold.
pub(super) fn check(
    history: &History,
    write: &RecordWrite,
    after: &CustomerDocument,
    day: Date,
) -> Result<(), WriteRefusal> {
    if history.checks.is_empty() {
        return Ok(());
    }
    let resolved = resolve(history.policy(), &after.claims());
    let values = resolved.attributes.keys().filter_map(|path| {
        Some((path, resolved.at(path, day)?.winner.as_ref()?.value.as_deref()?))
    });
    let values: BTreeMap<_, _> = values.collect();
    let is_touched = |path: &AttributePath| write.edits.iter().any(|(edited, _)| edited == path);
    let failed = history.checks.failed(&values).into_iter();
    let faults: Vec<Fault> = failed
        .filter(|failed| failed.severity == Severity::Error && is_touched(&failed.path))
        .map(|failed| Fault {
            code: "check-failed",
            pointer: format!("/{}", failed.path),
            text: format!("{}: {}", failed.name, failed.text),
        })
        .collect();
    if faults.is_empty() {
        return Ok(());
    }
    Err(WriteRefusal::Invalid { record: write.record, faults })
}

/// Whether the policy lets everybody write everything.
fn is_open(policy: &Policy) -> bool {
    policy.principals.is_empty()
        && policy.four_eyes.is_empty()
        && policy.non_owner == NonOwner::Claim
}

fn is_code(edit: &ClaimEdit) -> bool {
    attribute::lookup(&edit.key.path).is_some_and(|row| row.record_kind() == RecordKind::CodeList)
}

/// The terms of a request that covers both: the more approvals, and a change before a question of
/// ownership.
fn stricter(terms: Option<Proposal>, other: Proposal) -> Proposal {
    let Some(terms) = terms else { return other };
    let needed = terms.needed.max(other.needed);
    let first = if terms.kind == RequestKind::Change { terms } else { other };
    Proposal { needed, ..first }
}

/// The id of the request that a commit opens: one for all its records, so that a mass change is
/// decided as one.
fn request_id(author: &Author) -> String {
    RecordId::derive("concord change request", &author.commit.to_string()).to_string()
}

fn wrong_kind(path: &str, kind: RecordKind) -> Fault {
    let text = match kind {
        RecordKind::CodeList => "Code lists are written at /v1/code-lists, or by concord codes.",
        RecordKind::Customer => "A code list holds codes, and no attribute of a customer.",
    };
    Fault { code: "attribute-misplaced", pointer: format!("/{path}"), text: text.to_owned() }
}
