//! Known bugs that the tests of the simulator put back, to see that it finds them. Not in a release.

use std::cell::Cell;

use crdt_model::claim::{Claim, ClaimSet};
use crdt_model::time::Hlc;
use crdt_model::value::Assertion;

use super::commit::Commit;
use super::history::{History, Place};
use super::records::Records;
use crate::kv::View;

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A commit that is held already is applied again.
    AppliesTwice,
    /// A release or a removal is forgotten, on a node that was busy when it came.
    ForgetsTombstones,
    /// The last writer is the one whose commit arrived last.
    ReadsArrivalOrder,
}

thread_local! {
    static PUT_BACK: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Puts a bug back, in this thread, or takes it out again.
pub(crate) fn put_back(bug: Option<Bug>) {
    PUT_BACK.set(bug);
}

/// What a node with the bug reads of a record.
pub(super) fn misread(claims: ClaimSet, feed: u64, view: &dyn View) -> ClaimSet {
    match PUT_BACK.get() {
        Some(Bug::ForgetsTombstones) if feed.is_multiple_of(3) => claims.misread(|claim| {
            let ends =
                matches!(claim.assertion, Ok(Assertion::Tombstone | Assertion::Release { .. }));
            (!ends).then_some(claim)
        }),
        Some(Bug::ReadsArrivalOrder) => claims.misread(|mut claim: Claim| {
            let arrived = Records::new(view).header_at(&claim.origin.commit).ok().flatten();
            if let Some((position, _)) = arrived {
                claim.origin.time = Hlc::from_ms(position);
            }
            Some(claim)
        }),
        Some(Bug::ForgetsTombstones | Bug::AppliesTwice) | None => claims,
    }
}

impl History {
    /// Where a node with the bug puts a commit.
    pub(super) fn misplace(&self, place: Place, commit: &Commit) -> Place {
        let held = self.vector.get(&commit.signed.header.log);
        match (PUT_BACK.get(), held) {
            (Some(Bug::AppliesTwice), Some(held)) if place == Place::Known => {
                let member = self.roster.member_at(&held.node, commit.signed.header.epoch);
                let region = member.map(|member| member.region.clone());
                region.map_or(place, |region| Place::Next { author: held.node, region })
            }
            _ => place,
        }
    }
}
