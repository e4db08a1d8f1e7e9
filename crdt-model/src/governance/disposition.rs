//! What the door makes of a write: a claim, a request, or a refusal.

use jiff::civil::Date;

use super::fact::ProposedEdit;
use super::permission::{Denial, NEEDS_REQUEST, Who, judge};
use super::request::RequestKind;
use super::sensitive::needed;
use crate::claim::{ClaimEdit, ClaimSet};
use crate::policy::{NonOwner, Policy, Role};
use crate::survivorship::owner;

/// What becomes of a write at the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// It is written as a claim.
    Direct,
    /// It becomes a request.
    Propose(Proposal),
    /// It is refused.
    Denied(Denial),
}

/// Why a write becomes a request, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What the request is about.
    pub kind: RequestKind,
    /// How many others must approve.
    pub needed: u8,
    /// Why, for the one who writes.
    pub why: String,
}

/// What the door makes of one edit of an attribute or an override. `claims` are those of the record as
/// it is, `day` is today.
///
/// What is [`Disposition::Direct`] passes [`judge`] at every receiver, as long as the change depends on
/// all that the document holds.
#[must_use]
pub fn disposition(
    policy: &Policy,
    who: &Who<'_>,
    claims: &ClaimSet,
    day: Date,
    edit: &ClaimEdit,
) -> Disposition {
    let past = || claims.clone();
    match judge(policy, who, std::slice::from_ref(edit), &past) {
        Ok(()) => of_owner(policy, who, claims, day, edit),
        Err(denial) if denial.code == NEEDS_REQUEST && may_ask(policy, who) => {
            let proposed =
                ProposedEdit { path: edit.key.path.clone(), assertion: edit.assertion.clone() };
            let needed = needed(policy, [&proposed]);
            let why = denial.text;
            Disposition::Propose(Proposal { kind: RequestKind::Change, needed, why })
        }
        Err(denial) => Disposition::Denied(denial),
    }
}

/// What is another region's to decide becomes a request where the policy says so.
fn of_owner(
    policy: &Policy,
    who: &Who<'_>,
    claims: &ClaimSet,
    day: Date,
    edit: &ClaimEdit,
) -> Disposition {
    let path = &edit.key.path;
    match owner(policy, claims, path, day).filter(|owner| owner != who.region) {
        Some(owner) if policy.non_owner == NonOwner::Propose => {
            let why = format!("{owner} owns {path} and decides. The change is a request to it.");
            Disposition::Propose(Proposal { kind: RequestKind::Ownership, needed: 1, why })
        }
        Some(_) | None => Disposition::Direct,
    }
}

fn may_ask(policy: &Policy, who: &Who<'_>) -> bool {
    let principal = policy.principals.get(who.principal);
    policy.principals.is_empty()
        || principal.is_some_and(|of| {
            of.roles.contains(&Role::Requester) || of.roles.contains(&Role::Steward)
        })
}
