//! Whose word an owner's rule asks for: the region that owns the part of the record.
//!
//! The policy's word counts first. Without one, a company code, sales area or credit segment belongs
//! to the region that made the first claim on it, and everything else to the customer's home region.
//! The first claim counts even when it is overwritten, and whatever it said: it is the history's word
//! ([`ClaimSet::founder`]), so that a founder which replaces its claim stays the owner.

use jiff::civil::Date;

use super::Field;
use super::follow::{self, Leader};
use crate::claim::{self, ClaimSet};
use crate::id::Region;
use crate::path::AttributePath;
use crate::policy::Policy;
use crate::value::Value;

/// The attribute that says where a customer is at home.
pub(super) const HOME_REGION: &str = "identity/home_region";

/// The home region of a customer over time.
pub(super) struct Home<'a> {
    founder: Option<&'a Region>,
    timeline: Vec<(Option<Date>, Option<Region>)>,
}

/// The owner of one attribute.
pub(super) enum Ownership<'a> {
    /// The same at all times.
    Fixed(Option<&'a Region>),
    /// The home region, which may move on a day.
    Home(&'a Home<'a>),
}

impl<'a> Home<'a> {
    /// Resolves the home region first, since other attributes depend on it. It belongs itself to the
    /// region that made the record's first claim, unless the policy names another owner.
    pub(super) fn resolve(policy: &'a Policy, claims: &'a ClaimSet) -> Self {
        let Self { founder, .. } = Self::founded(claims);
        let field = Field::read(policy, claims, follow::on(claims, HOME_REGION));
        let segments = field.map(|field| {
            let owner = policy.owner_of(field.path).or(founder);
            let leader = Leader::of(&field, &Self::founded(claims));
            field.timeline(&Ownership::Fixed(owner), &leader)
        });
        let timeline = segments.into_iter().flatten().map(|segment| {
            let winner = segment.resolution.winner.and_then(|winner| winner.value);
            let text = winner.as_deref().and_then(Value::as_text);
            (segment.from, text.and_then(|text| text.parse().ok()))
        });
        Self { founder, timeline: timeline.collect() }
    }

    /// The home as far as it is known before the home region itself is resolved.
    pub(super) fn founded(claims: &'a ClaimSet) -> Self {
        let founder = claims.founder(None).map(|origin| &origin.region);
        Self { founder, timeline: Vec::new() }
    }

    fn on(&self, day: Option<Date>) -> Option<&Region> {
        let begun = self.timeline.iter().take_while(|(from, _)| *from <= day);
        begun.last().and_then(|(_, region)| region.as_ref()).or(self.founder)
    }
}

impl<'a> Ownership<'a> {
    pub(super) fn of(
        policy: &'a Policy,
        claims: &'a ClaimSet,
        home: &'a Home<'a>,
        path: &AttributePath,
    ) -> Self {
        let scope = claim::scope(path);
        match (policy.owner_of(path), scope) {
            (Some(owner), _) => Self::Fixed(Some(owner)),
            (None, Some(_)) => Self::Fixed(claims.founder(scope).map(|origin| &origin.region)),
            (None, None) if path.as_str() == HOME_REGION => Self::Fixed(home.founder),
            (None, None) => Self::Home(home),
        }
    }

    pub(super) fn on(&self, day: Option<Date>) -> Option<&Region> {
        match self {
            Self::Fixed(owner) => *owner,
            Self::Home(home) => home.on(day),
        }
    }

    /// The days on which the owner changes.
    pub(super) fn days(&self) -> impl Iterator<Item = Date> {
        let timeline: &[_] = match self {
            Self::Fixed(_) => &[],
            Self::Home(home) => &home.timeline,
        };
        timeline.iter().filter_map(|(from, _)| *from)
    }
}
