//! Survivorship: which claim survives for every attribute, day by day, and why every other one did not.
//!
//! [`resolve`] is a pure function of the policy and the claims. It reads no clock, so what it gives is
//! the whole timeline: future-dated claims are in it, and a reader cuts it at a day. Nothing in it
//! depends on the order in which claims arrived.
//!
//! [`crate::governance`] speaks first: what comes here is what requests and overrides made of the claims.
//! `standing` decides which claims take part and on which days, `rules` decides among those that do,
//! `owner` says whose word an owner's rule asks for, `follow` whom a following attribute follows, and
//! `belonging` takes back what is said about an item that is not there.

mod belonging;
mod follow;
mod overriding;
mod owner;
mod rules;
mod standing;

use std::collections::BTreeSet;

use jiff::civil::Date;

use self::follow::Leader;
use self::owner::{Home, Ownership};
use self::rules::{Contest, Live};
use self::standing::Entry;
use crate::attribute::{self, Attribute};
use crate::claim::{Claim, ClaimSet};
use crate::golden_record::{Candidate, Loser, LossReason, Resolution, Resolved, Segment};
use crate::governance::{Governed, govern};
use crate::id::Region;
use crate::path::AttributePath;
use crate::policy::{Policy, Rule};

pub use self::standing::{CLAIM_BYTES_PER_REGION_MAX, CLAIMS_PER_REGION_MAX};

/// Resolves every attribute of a record over all time.
///
/// An attribute on which nothing is claimed any more (tombstones alone) is absent; one whose claims
/// all are released, invalid or not the owner's is there without a winner.
#[must_use]
pub fn resolve(policy: &Policy, claims: &ClaimSet) -> Resolved {
    let Governed { claims, requests } = govern(claims);
    let claims = claims.as_ref();
    let home = Home::resolve(policy, claims);
    let mut belonging = Vec::new();
    let attributes = claims.by_attribute().filter_map(|group| {
        let field = Field::read(policy, claims, group)?;
        let item = field.attribute.and_then(|attribute| attribute.item_of(field.path));
        belonging.extend(item.map(|item| (field.path, item)));
        let ownership = match field.asks_owner() {
            true => Ownership::of(policy, claims, &home, field.path),
            false => Ownership::Fixed(None),
        };
        let leader = Leader::of(&field, &home);
        Some((field.path.clone(), field.timeline(&ownership, &leader)))
    });
    let mut attributes = attributes.collect();
    belonging::settle(&mut attributes, &belonging);
    Resolved { attributes, requests }
}

/// The region whose word an attribute of a record asks for on a day; `None` where the rule asks for
/// nobody's, or nobody owns it yet.
#[must_use]
pub fn owner(
    policy: &Policy,
    claims: &ClaimSet,
    path: &AttributePath,
    day: Date,
) -> Option<Region> {
    if !policy.rule_for(attribute::lookup(path), path).asks_owner() {
        return None;
    }
    let Governed { claims, .. } = govern(claims);
    let home = Home::resolve(policy, claims.as_ref());
    let ownership = Ownership::of(policy, claims.as_ref(), &home, path);
    ownership.on(Some(day)).cloned()
}

/// One attribute of one record: its claims, and what decides among them.
struct Field<'a> {
    policy: &'a Policy,
    claims: &'a ClaimSet,
    path: &'a AttributePath,
    attribute: Option<&'static Attribute>,
    rule: Rule,
    entries: Vec<Entry<'a>>,
    /// Which of the entries are overrides.
    overrides: Vec<bool>,
}

impl<'a> Field<'a> {
    /// Reads the claims on one attribute; `None` when nothing is left but tombstones and releases.
    fn read(policy: &'a Policy, claims: &'a ClaimSet, group: &'a [Claim]) -> Option<Self> {
        let path = &group.first()?.path;
        let attribute = attribute::lookup(path);
        let rule = policy.rule_for(attribute, path);
        let mut entries = standing::entries(claims, attribute, rule, group);
        let overrides = overriding::settle(claims, group, &mut entries);
        let field = Self { policy, claims, path, attribute, rule, entries, overrides };
        (!field.entries.is_empty()).then_some(field)
    }

    /// The segments, in order of their days; neighbours differ.
    fn timeline(&self, ownership: &Ownership<'_>, leader: &Leader) -> Vec<Segment> {
        let mut days: BTreeSet<Date> = BTreeSet::new();
        for standing in self.entries.iter().filter_map(|entry| entry.fate.as_ref().ok()) {
            days.extend(standing.from);
            days.extend(standing.to.and_then(|last| last.tomorrow().ok()));
        }
        if self.asks_owner() {
            days.extend(ownership.days());
        }
        days.extend(leader.days());
        let mut segments: Vec<Segment> = Vec::with_capacity(1 + days.len());
        for from in std::iter::once(None).chain(days.into_iter().map(Some)) {
            let resolution = self.resolution(from, ownership, leader);
            if segments.last().is_none_or(|before| before.resolution != resolution) {
                segments.push(Segment { from, resolution });
            }
        }
        segments
    }

    /// What holds on a day; `None` is the time before the first day that anything names.
    fn resolution(
        &self,
        day: Option<Date>,
        ownership: &Ownership<'_>,
        leader: &Leader,
    ) -> Resolution {
        let owner = if self.asks_owner() { ownership.on(day) } else { None };
        // Room for all at once: most of what a resolution costs is memory.
        let mut places: Vec<usize> = Vec::with_capacity(self.entries.len());
        let mut live: Vec<Live<'_>> = Vec::with_capacity(self.entries.len());
        for (place, entry) in self.entries.iter().enumerate() {
            let Ok(standing) = &entry.fate else { continue };
            if standing.holds(day) && !entry.is_lifted(owner) {
                places.push(place);
                live.push(Live { claim: entry.claim, value: standing.value });
            }
        }
        let mut reasons: Vec<Option<LossReason>> = vec![None; self.entries.len()];
        for index in self.succeeded(&places).into_iter().rev() {
            reasons[places.remove(index)] = Some(LossReason::Succeeded);
            live.remove(index);
        }
        let contest = Contest {
            policy: self.policy,
            claims: self.claims,
            attribute: self.attribute,
            owner,
            leader: leader.on(day),
            live,
        };
        let overriding = |index: &usize| self.overrides[places[*index]];
        let overriding: Vec<usize> = (0..places.len()).filter(overriding).collect();
        let is_overridden = !overriding.is_empty();
        let verdict =
            if is_overridden { contest.overridden(&overriding) } else { contest.decide(self.rule) };
        let winner = verdict.winner.map(|index| places[index]);
        for (index, reason) in verdict.reasons {
            reasons[places[index]] = Some(reason);
        }
        let lost = self.entries.len() - usize::from(winner.is_some());
        let mut losers = Vec::with_capacity(lost);
        for (place, (entry, reason)) in self.entries.iter().zip(reasons).enumerate() {
            if winner != Some(place) {
                let reason = reason.unwrap_or_else(|| entry.absence(owner));
                losers.push(Loser { candidate: entry.candidate(), reason });
            }
        }
        let disagreement = contest.disagrees();
        Resolution {
            rule: if is_overridden { Rule::Override } else { self.rule },
            owner: owner.filter(|_| !is_overridden).cloned(),
            winner: winner.map(|place| self.entries[place].candidate()),
            losers,
            disagreement,
            conflict: disagreement && contest.conflicts(),
        }
    }

    /// Which of the claims that hold on a day are followed by a dated one of the same source: what a
    /// source states from the latest day on is what it says. In ascending order.
    fn succeeded(&self, places: &[usize]) -> Vec<usize> {
        let first_day = |place: usize| self.entries[place].fate.as_ref().ok()?.from;
        if places.iter().all(|place| first_day(*place).is_none()) {
            return Vec::new();
        }
        let source = |place: usize| &self.entries[place].claim.source;
        let is_succeeded = |index: &usize| {
            let place = places[*index];
            let by = |other: &usize| {
                !self.overrides[*other]
                    && source(*other) == source(place)
                    && first_day(*other) > first_day(place)
            };
            !self.overrides[place] && places.iter().any(by)
        };
        (0..places.len()).filter(is_succeeded).collect()
    }

    const fn asks_owner(&self) -> bool {
        self.rule.asks_owner()
    }
}

impl Entry<'_> {
    fn candidate(&self) -> Candidate {
        let (value, raw) = self.stated();
        Candidate {
            value,
            raw,
            source: self.claim.source.clone(),
            origin: self.claim.origin.clone(),
        }
    }

    /// Why it does not take part on a day.
    fn absence(&self, owner: Option<&Region>) -> LossReason {
        match &self.fate {
            Ok(_) if self.is_lifted(owner) => LossReason::Released,
            Ok(_) => LossReason::NotValid,
            Err(reason) => reason.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
