//! Who may write what: the verdict on the content of a change.
//!
//! The same at the door and at every receiver: it depends on the policy of the commit's epoch, on the
//! commit, and on what its author had seen, and never on what else a node holds.

use std::cell::OnceCell;

use super::fact::{Fact, Override, ProposedEdit, Verdict};
use super::request::{self, Reading};
use super::sensitive::{is_override_sensitive, needed, second_person, target, terms};
use crate::claim::{ClaimEdit, ClaimSet};
use crate::id::{Region, SourceName};
use crate::path::AttributePath;
use crate::policy::{Policy, Principal, Role};
use crate::value::{Assertion, Scalar, Statement};

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Who<'a> {
    /// The principal that the commit names.
    pub principal: &'a str,
    /// The region of the node that writes.
    pub region: &'a Region,
    /// Whether this is the first data of the record: nothing that the commit follows wrote on it. Not
    /// merely that the change names no dependency, which its author is free to leave out.
    pub creates: bool,
}

/// Why a write is refused at the door, and set aside by every receiver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {text}")]
pub struct Denial {
    /// For programs: `principal-mismatch`, `not-authorised`, `needs-request`, `four-eyes` or
    /// `fact-final`.
    pub code: &'static str,
    /// Which edit.
    pub path: AttributePath,
    /// Why, and what to do, for a clerk.
    pub text: String,
}

/// Judges the edits that one change makes on one record. `past` gives the claims of the record as the
/// author had seen them (at the dependencies of the change); it is asked once at most, and only for
/// facts of requests and where the policy lets cautious values pass.
///
/// - What states a principal states the one of the commit: `opened.by`, the key of a decision,
///   `lease.by`.
/// - A change of what the policy calls sensitive needs a request, unless it is the record's first data
///   (and the policy does not ask for more there), its source is exempt, or it is cautious and the policy asks for more only when it is not.
/// - A request asks for as many approvals as the policy wants, and is written in one piece; what it
///   says and what was decided is never rewritten.
/// - Where the policy names principals, each acts within its roles, regions, company codes and sources.
///
/// # Errors
/// The first [`Denial`], in the order of the edits.
pub fn judge(
    policy: &Policy,
    who: &Who<'_>,
    edits: &[ClaimEdit],
    past: &dyn Fn() -> ClaimSet,
) -> Result<(), Denial> {
    let court = Court { policy, who, edits, past, seen: OnceCell::new(), read: OnceCell::new() };
    edits.iter().try_for_each(|edit| {
        court.edit(edit).map_err(|(code, text)| Denial { code, path: edit.key.path.clone(), text })
    })
}

type Ruling = Result<(), (&'static str, String)>;

const MISMATCH: &str = "principal-mismatch";
const NOT_AUTHORISED: &str = "not-authorised";
pub(super) const NEEDS_REQUEST: &str = "needs-request";
const FOUR_EYES: &str = "four-eyes";
const FINAL: &str = "fact-final";

struct Court<'a> {
    policy: &'a Policy,
    who: &'a Who<'a>,
    edits: &'a [ClaimEdit],
    past: &'a dyn Fn() -> ClaimSet,
    seen: OnceCell<ClaimSet>,
    read: OnceCell<Vec<Reading>>,
}

impl Court<'_> {
    fn edit(&self, edit: &ClaimEdit) -> Ruling {
        match Fact::of(&edit.key.path) {
            None => self.attribute(edit),
            Some(Fact::Opened { id }) => self.opened(edit, &id),
            Some(Fact::Edit { id }) => self.proposed(edit, &id),
            Some(Fact::Decision { id, principal }) => self.decision(edit, &id, &principal),
            Some(Fact::Lease { .. }) => self.lease(edit),
            Some(Fact::Override) => self.overriding(edit),
            Some(Fact::Unknown) => self
                .role(&[Role::Requester, Role::Steward, Role::Approver], "take part in requests"),
        }
    }

    fn attribute(&self, edit: &ClaimEdit) -> Ruling {
        self.writes(&edit.key.path, &edit.key.source)?;
        match second_person(self.policy, edit, self.who.creates, &|| self.seen().clone()) {
            None => Ok(()),
            Some(approvals) => {
                let others = if approvals == 1 { "one other person" } else { "other persons" };
                let text = format!(
                    "A change of {} takes effect when {approvals} approve: {others} must look. Open \
                     a change request.",
                    edit.key.path
                );
                Err((NEEDS_REQUEST, text))
            }
        }
    }

    /// Whether the principal may write on an attribute in the name of a source by himself.
    fn writes(&self, path: &AttributePath, source: &SourceName) -> Ruling {
        if let Some(principal) = self.principal()?
            && principal.roles.contains(&Role::Requester)
            && !principal.roles.contains(&Role::Steward)
        {
            let name = self.who.principal;
            let text = format!("{name} proposes changes and writes none. Open a change request.");
            return Err((NEEDS_REQUEST, text));
        }
        self.role(&[Role::Steward], "write on customers")?;
        self.source(source)?;
        self.scope(path)
    }

    fn opened(&self, edit: &ClaimEdit, id: &str) -> Ruling {
        self.is_named(edit, "by")?;
        self.role(&[Role::Requester, Role::Steward], "open requests")?;
        self.source(&edit.key.source)?;
        if self.readings().iter().any(|reading| reading.id == id) {
            return Err(final_fact("The request is open already. Take a new id for another one."));
        }
        let proposed = self
            .edits
            .iter()
            .filter(|other| other.key.source == edit.key.source && is_edit_of(other, id));
        let proposed: Vec<ProposedEdit> = proposed
            .filter_map(|other| ProposedEdit::read(&other.key.path, &other.assertion))
            .collect();
        let least = needed(self.policy, &proposed);
        match member(&edit.assertion, "needed") {
            Some(Scalar::Int(needed)) if *needed >= i64::from(least) => Ok(()),
            _ => {
                let text = format!(
                    "The policy asks for {least} approvals of this change, and the request for \
                     fewer. Open it anew."
                );
                Err((NEEDS_REQUEST, text))
            }
        }
    }

    fn proposed(&self, edit: &ClaimEdit, id: &str) -> Ruling {
        let opens = |other: &&ClaimEdit| {
            other.key.source == edit.key.source
                && Fact::of(&other.key.path) == Some(Fact::Opened { id: id.to_owned() })
        };
        if !self.edits.iter().any(|other| opens(&other)) || !is_stated(&edit.assertion) {
            let text = "What a request would change is written together with it, and never again. \
                        Reject it, and open another one.";
            return Err(final_fact(text));
        }
        let Some(proposed) = ProposedEdit::read(&edit.key.path, &edit.assertion) else {
            // Kept with its request, which can never take effect.
            return Ok(());
        };
        let path = target(&proposed.path, &proposed.assertion);
        self.scope(&path)?;
        let is_override = path != proposed.path;
        if is_override
            && is_override_sensitive(self.policy, &path)
            && terms(self.policy, &path).is_empty()
        {
            let text = format!(
                "{path} is a matter of money, compliance or a block. It can be overridden only \
                 where the policy says how many must approve."
            );
            return Err((NOT_AUTHORISED, text));
        }
        Ok(())
    }

    fn decision(&self, edit: &ClaimEdit, id: &str, principal: &str) -> Ruling {
        if principal != self.who.principal {
            return Err(self.mismatch(principal));
        }
        let claims = self.seen().claims().iter();
        if !is_stated(&edit.assertion) || claims.clone().any(|c| c.path == edit.key.path) {
            let text = "The decision is made and stays. To change the customer again, open \
                        another request.";
            return Err(final_fact(text));
        }
        let about: Vec<&Reading> = self.about(id).collect();
        let is_own = about.iter().any(|reading| reading.request.opened_by == principal);
        let verdict = match member(&edit.assertion, "verdict") {
            Some(Scalar::Text(word)) => Verdict::read(word),
            Some(Scalar::Bool(_) | Scalar::Int(_)) | None => None,
        };
        if verdict == Some(Verdict::Reject) && is_own {
            // Whoever asks may withdraw.
            return self.role(&[Role::Requester, Role::Steward, Role::Approver], "decide");
        }
        self.role(&[Role::Approver], "decide on requests")?;
        if is_own {
            let text = format!("{principal} opened this request. Another person must approve it.");
            return Err((FOUR_EYES, text));
        }
        let edits = about.iter().flat_map(|reading| &reading.request.edits);
        edits.map(|(path, said)| target(path, said)).try_for_each(|path| self.scope(&path))
    }

    fn lease(&self, edit: &ClaimEdit) -> Ruling {
        if edit.assertion != Assertion::Tombstone {
            self.is_named(edit, "by")?;
        }
        self.role(&[Role::Steward, Role::Approver], "take requests to work on them")
    }

    fn overriding(&self, edit: &ClaimEdit) -> Ruling {
        let path = self.overridden(edit);
        self.writes(&path, &edit.key.source)?;
        if is_override_sensitive(self.policy, &path) {
            let text =
                format!("An override of {path} needs a second person. Open a change request.");
            return Err((NEEDS_REQUEST, text));
        }
        Ok(())
    }

    /// The attribute that an override is about. Its end says so only by what stood there before.
    fn overridden(&self, edit: &ClaimEdit) -> AttributePath {
        let path = target(&edit.key.path, &edit.assertion);
        if path != edit.key.path {
            return path;
        }
        let before = self.seen().claims().iter().filter(|claim| claim.path == edit.key.path);
        let said = before.filter_map(|claim| claim.assertion.as_ref().ok());
        let mut read = said.filter_map(|assertion| Override::read(&edit.key.path, assertion));
        read.next().map_or(path, |overriding| overriding.path)
    }

    fn about(&self, id: &str) -> impl Iterator<Item = &Reading> {
        let other = format!("{id}+");
        let readings = self.readings().iter();
        readings.filter(move |reading| reading.id == id || reading.id.starts_with(&other))
    }

    fn seen(&self) -> &ClaimSet {
        self.seen.get_or_init(self.past)
    }

    fn readings(&self) -> &[Reading] {
        self.read.get_or_init(|| request::read(self.seen()))
    }

    /// The fact states the principal of the commit.
    fn is_named(&self, edit: &ClaimEdit, name: &str) -> Ruling {
        match member(&edit.assertion, name) {
            Some(Scalar::Text(named)) if named == self.who.principal => Ok(()),
            Some(Scalar::Text(named)) => Err(self.mismatch(named)),
            Some(Scalar::Bool(_) | Scalar::Int(_)) | None if is_stated(&edit.assertion) => {
                Err(self.mismatch("nobody"))
            }
            Some(Scalar::Bool(_) | Scalar::Int(_)) | None => {
                Err(final_fact("A request is not withdrawn but rejected. Reject it."))
            }
        }
    }

    fn mismatch(&self, named: &str) -> (&'static str, String) {
        let text = format!(
            "The fact names {named}, and {} wrote it. Everybody acts in his own name.",
            self.who.principal
        );
        (MISMATCH, text)
    }

    /// The entry of the principal; none where the policy names no principals.
    fn principal(&self) -> Result<Option<&Principal>, (&'static str, String)> {
        if self.policy.principals.is_empty() {
            return Ok(None);
        }
        let Who { principal: name, region, .. } = self.who;
        let Some(principal) = self.policy.principals.get(*name) else {
            let text = format!("The policy does not know {name}. Ask a governor to add it.");
            return Err((NOT_AUTHORISED, text));
        };
        if !principal.regions.is_empty() && !principal.regions.contains(region) {
            let text = format!("{name} does not act in {region}. Use a node of its own region.");
            return Err((NOT_AUTHORISED, text));
        }
        Ok(Some(principal))
    }

    fn role(&self, roles: &[Role], what: &str) -> Ruling {
        match self.principal()? {
            Some(principal) if !roles.iter().any(|role| principal.roles.contains(role)) => {
                let text = format!("{} may not {what}. Ask a governor.", self.who.principal);
                Err((NOT_AUTHORISED, text))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn source(&self, source: &SourceName) -> Ruling {
        match self.principal()? {
            Some(of) if !of.sources.is_empty() && !of.sources.contains(source) => {
                let text = format!(
                    "{} may not write in the name of {source}. Use a source of its own.",
                    self.who.principal
                );
                Err((NOT_AUTHORISED, text))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn scope(&self, path: &AttributePath) -> Ruling {
        let mut segments = path.segments().into_iter();
        let (Some("company"), Some(code)) = (segments.next().as_deref(), segments.next()) else {
            return Ok(());
        };
        match self.principal()? {
            Some(of) if !of.company_codes.is_empty() && !of.company_codes.contains(&code) => {
                let text = format!(
                    "{} does not act for company code {code}. Ask somebody who does.",
                    self.who.principal
                );
                Err((NOT_AUTHORISED, text))
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn final_fact(text: &str) -> (&'static str, String) {
    (FINAL, text.to_owned())
}

fn is_edit_of(edit: &ClaimEdit, id: &str) -> bool {
    matches!(Fact::of(&edit.key.path), Some(Fact::Edit { id: of }) if of == id)
}

const fn is_stated(assertion: &Assertion) -> bool {
    matches!(assertion, Assertion::Stated(_))
}

fn member<'a>(assertion: &'a Assertion, name: &str) -> Option<&'a Scalar> {
    match assertion {
        Assertion::Stated(Statement { value, .. }) => value.member(name),
        Assertion::Tombstone | Assertion::Release { .. } => None,
    }
}
