//! Governance: change requests that need a second person, and overrides of stewards.
//!
//! Their facts are claims of the customer's own document, so that the golden record stays a pure
//! function of one document: `request/{id}/opened`, `…/edit/{path}`, `…/decision/{principal}`,
//! `…/lease`, and `override/{path}`. None of them is an attribute of the golden record.
//!
//! [`govern`] says what they make of the other claims, alike on every node. [`judge`] says who may write
//! what, alike at the door and at every receiver, and [`disposition()`] what the door makes of a write.
//! Which claim then survives is decided in [`crate::survivorship`].

mod change;
mod disposition;
mod effect;
mod fact;
mod permission;
mod request;
mod sensitive;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use self::change::{RequestChange, Step, changes};
pub use self::disposition::{Disposition, Proposal, disposition};
pub(crate) use self::fact::closed_section;
pub use self::fact::{Ends, Fact, NewRequest, Override, ProposedEdit, Verdict, decision, lease};
pub use self::permission::{Denial, Who, judge};
pub use self::request::{
    Decision, Lease, REQUESTS_PER_REGION_MAX, Request, RequestKind, RequestState,
};
pub use self::sensitive::needed;
use crate::claim::ClaimSet;

/// The claims of a record under governance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Governed<'a> {
    /// The claims that take part in survivorship: those that were stated, the edits of effective
    /// requests, overrides under the attributes that they override, and a payment block for every
    /// pending request on a bank account. No facts of governance.
    pub claims: Cow<'a, ClaimSet>,
    /// The requests, by id, at most [`REQUESTS_PER_REGION_MAX`] of each region pending and as many
    /// decided.
    pub requests: BTreeMap<String, Request>,
}

/// What the facts of governance make of the claims of a record: a pure function, whatever the order in
/// which they arrived.
///
/// A request is effective with as many approvals as it says it needs, by distinct principals other than
/// the requester, and no rejection that counts; a rejection counts unless its writer had seen the
/// request effective. So "reject beats approve" when they were made apart, and nothing undoes what had
/// taken effect for the one who objects. How many it needs is what the policy said when it was opened:
/// a later policy neither undoes an effective request nor makes a pending one effective.
#[must_use]
pub fn govern(claims: &ClaimSet) -> Governed<'_> {
    // Nearly every record has no such fact.
    if !claims.claims().iter().any(|claim| fact::is_fact(&claim.path)) {
        return Governed { claims: Cow::Borrowed(claims), requests: BTreeMap::new() };
    }
    let readings = request::read(claims);
    let governed = effect::apply(claims, &readings);
    Governed { claims: Cow::Owned(governed), requests: request::shown(readings) }
}

#[cfg(test)]
mod tests;
