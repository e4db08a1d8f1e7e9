//! Claims that governance put into a set: edits that approvals made effective, overrides of stewards,
//! and blocks that follow from pending requests. What they are is kept beside them.
//!
//! Such a claim carries the commit that decided, but more than one person stands behind it. Who had
//! seen it, and what it had seen, is answered here, so that a late approval never takes back what an
//! earlier one did.

use std::collections::{BTreeMap, BTreeSet};

use super::{Claim, ClaimSet, Origin, compare_claims, found};
use crate::governance::Ends;
use crate::id::{CommitRef, Region};

/// What a claim is, beside what it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The approvals that made it effective; none for one that somebody stated directly.
    pub(crate) effect: Option<Effect>,
    /// For an override, when it ends.
    pub(crate) ends: Option<Ends>,
    /// It follows from a pending request: nothing but a decision lifts it.
    pub(crate) is_derived: bool,
}

/// What made a proposed edit effective.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Effect {
    /// The commit that opened the request: what the requester had seen.
    pub(crate) opened: CommitRef,
    /// The approvals that count, by principal: one may approve at several nodes apart.
    pub(crate) approvals: Vec<Vec<CommitRef>>,
    /// How many principals make the edit effective.
    pub(crate) needed: usize,
    /// The regions of the requester and of everybody who approved.
    pub(crate) regions: BTreeSet<Region>,
}

impl Effect {
    /// Whether the edit was effective for whoever wrote a commit: as many approvals as it needs were
    /// in sight. Any that came later leave the answer as it is.
    pub(crate) fn is_seen_by(&self, claims: &ClaimSet, commit: &CommitRef) -> bool {
        let is_seen = |approval: &CommitRef| claims.has_seen(commit, approval);
        let seen = self.approvals.iter().filter(|of_one| of_one.iter().any(is_seen));
        seen.take(self.needed).count() == self.needed
    }
}

impl ClaimSet {
    /// The set with other claims and what they are, the clocks of this one, and its founders. The
    /// effects found, too, whether or not their claims stand any more.
    pub(crate) fn governed(
        &self,
        marked: Vec<(Claim, Mark)>,
        founded: &[(Option<String>, Origin)],
    ) -> Self {
        let claims = marked.iter().map(|(claim, _)| claim.clone()).collect();
        let mut set = Self::new(claims, self.clocks.clone());
        set.founders = BTreeMap::clone(&self.founders);
        for (scope, origin) in founded {
            found(&mut set.founders, scope.as_deref(), origin);
        }
        set.marks = marked.into_iter().filter(|(_, mark)| *mark != Mark::default()).collect();
        set.marks.sort_by(|(a, _), (b, _)| compare_claims(a, b));
        set
    }

    /// Whether a claim has the word of a region: a node of it wrote the claim or, for an edit that
    /// approvals made effective, the requester or somebody who approved sits there.
    #[must_use]
    pub fn speaks_for(&self, claim: &Claim, region: &Region) -> bool {
        claim.origin.region == *region
            || self.effects(claim).any(|effect| effect.regions.contains(region))
    }

    /// Whether somebody who stands behind `later` had seen `earlier`: its writer or, for an edit that
    /// approvals made effective, the requester or somebody who approved.
    #[must_use]
    pub fn saw(&self, later: &Claim, earlier: &Claim) -> bool {
        self.is_seen(earlier, &later.origin.commit)
            || self.effects(later).any(|effect| {
                let eyes = effect.approvals.iter().flatten().chain([&effect.opened]);
                eyes.into_iter().any(|commit| self.is_seen(earlier, commit))
            })
    }

    /// Whether a release lifts a claim: its writer had seen it. Of a proposed release that is the
    /// requester, since it is what he had seen that the others approved of.
    pub(crate) fn lifts(&self, release: &Claim, claim: &Claim) -> bool {
        let commit = self.effects(release).next().map_or(release.origin.commit, |e| e.opened);
        // A writer who blocks and releases in one breath has not seen the block before.
        claim.origin.commit != release.origin.commit
            && !self.marks_of(claim).any(|mark| mark.is_derived)
            && self.is_seen(claim, &commit)
    }

    /// For an override, when it ends.
    pub(crate) fn override_ends(&self, claim: &Claim) -> Option<Ends> {
        self.marks_of(claim).find_map(|mark| mark.ends)
    }

    /// Whether governance made anything of any claim; of nearly every record it did not.
    pub(crate) const fn is_marked(&self) -> bool {
        !self.marks.is_empty()
    }

    fn is_seen(&self, claim: &Claim, by: &CommitRef) -> bool {
        if !self.is_marked() {
            return self.has_seen(by, &claim.origin.commit);
        }
        let mut effects = self.effects(claim).peekable();
        if effects.peek().is_none() {
            return self.has_seen(by, &claim.origin.commit);
        }
        effects.any(|effect| effect.is_seen_by(self, by))
    }

    fn effects(&self, claim: &Claim) -> impl Iterator<Item = &Effect> {
        self.marks_of(claim).filter_map(|mark| mark.effect.as_ref())
    }

    fn marks_of(&self, claim: &Claim) -> impl Iterator<Item = &Mark> {
        // Nearly every record has none.
        let from = self.marks.partition_point(|(other, _)| compare_claims(other, claim).is_lt());
        let same = self.marks[from..].iter().take_while(move |(other, _)| other == claim);
        same.map(|(_, mark)| mark)
    }
}
