//! Whom a following attribute follows: the source that wins another attribute of the record, day by day.
//!
//! Which attribute that is, the policy says. Whether the chain of attributes ends is for the lint to
//! see; a chain that does not must still give an answer, and the same one everywhere.

use jiff::civil::Date;

use super::Field;
use super::owner::{HOME_REGION, Home, Ownership};
use crate::claim::{Claim, ClaimSet};
use crate::id::SourceName;
use crate::path::AttributePath;
use crate::policy::{Policy, Rule};

/// The most attributes that are followed from one to the next. The one at the end of a longer chain
/// is decided by its last writer.
const CHAIN_MAX: usize = 8;

/// The source that is followed, over time; empty for an attribute that follows no other.
#[derive(Default)]
pub(super) struct Leader {
    timeline: Vec<(Option<Date>, Option<SourceName>)>,
}

impl Leader {
    /// Resolves what an attribute follows.
    pub(super) fn of(field: &Field<'_>, home: &Home<'_>) -> Self {
        if field.rule != Rule::Follow {
            return Self::default();
        }
        Self::along(field, home, &mut Vec::new())
    }

    /// `trail` are the attributes that led here; none of them is followed again.
    fn along(field: &Field<'_>, home: &Home<'_>, trail: &mut Vec<AttributePath>) -> Self {
        if field.rule != Rule::Follow {
            return Self::default();
        }
        trail.push(field.path.clone());
        let next = followed(field);
        let Some(path) = next.filter(|path| trail.len() <= CHAIN_MAX && !trail.contains(path))
        else {
            return Self::default();
        };
        let (policy, claims) = (field.policy, field.claims);
        // Whoever owns the record's attributes is not known before the home region is: what it follows
        // is resolved without it, also for those that follow the home region.
        let founded = (field.path.as_str() == HOME_REGION).then(|| Home::founded(claims));
        let home = founded.as_ref().unwrap_or(home);
        let Some(field) = Field::read(policy, claims, on(claims, path.as_str())) else {
            return Self::default();
        };
        let leader = Self::along(&field, home, trail);
        let segments = field.timeline(&Ownership::of(policy, claims, home, &path), &leader);
        let timeline = segments
            .into_iter()
            .map(|segment| (segment.from, segment.resolution.winner.map(|winner| winner.source)));
        Self { timeline: timeline.collect() }
    }

    pub(super) fn on(&self, day: Option<Date>) -> Option<&SourceName> {
        let begun = self.timeline.partition_point(|(from, _)| *from <= day);
        self.timeline.get(begun.checked_sub(1)?)?.1.as_ref()
    }

    /// The days on which another source is followed.
    pub(super) fn days(&self) -> impl Iterator<Item = Date> {
        self.timeline.iter().filter_map(|(from, _)| *from)
    }
}

/// The path that the policy names for this one, its placeholders filled.
fn followed(field: &Field<'_>) -> Option<AttributePath> {
    let Policy { follows, .. } = field.policy;
    let pattern = field.attribute?.pattern;
    let named = follows.get(field.path.as_str()).or_else(|| follows.get(pattern))?;
    let own = || pattern.split('/').zip(field.path.as_str().split('/'));
    let filled: Option<Vec<&str>> = (named.split('/'))
        .map(|segment| match segment.starts_with('{') {
            false => Some(segment),
            true => own().find(|(name, _)| *name == segment).map(|(_, said)| said),
        })
        .collect();
    filled?.join("/").parse().ok()
}

/// The claims on one attribute.
pub(super) fn on<'a>(claims: &'a ClaimSet, path: &str) -> &'a [Claim] {
    let claims = claims.claims();
    let first = claims.partition_point(|claim| claim.path.as_str() < path);
    let after = claims.partition_point(|claim| claim.path.as_str() <= path);
    claims.get(first..after).unwrap_or_default()
}
