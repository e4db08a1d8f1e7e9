//! Credit: what a customer may owe in a segment, what it owes, and what is left.
//!
//! Amounts of two currencies are never added or compared here: a rate is somebody's opinion of today,
//! and the same record must give the same figures on every node.
//!
//! [`mod@slice`] splits a limit among regions, so that regions apart cannot exceed it together.

pub mod slice;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::civil::Date;

use crate::finding::Finding;
use crate::golden_record::{Candidate, GoldenRecord, GoldenValue, Resolution};
use crate::id::{RecordId, Region};
use crate::path::AttributePath;
use crate::policy::Rule;
use crate::value::{Scalar, Value};

/// An amount in minor units of a currency.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money {
    /// Minor units: cents, pence, yen.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
}

impl Money {
    /// The amount that a group with `amount` and `currency` states.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        match (value.member("amount")?, value.member("currency")?) {
            (Scalar::Int(amount), Scalar::Text(currency)) => {
                Some(Self { amount: *amount, currency: currency.clone() })
            }
            (Scalar::Bool(_) | Scalar::Int(_) | Scalar::Text(_), _) => None,
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&figure(i128::from(self.amount), &self.currency))
    }
}

/// An amount as people write it: `1200.50 EUR`.
fn figure(amount: i128, currency: &str) -> String {
    format!("{} {currency}", decimal(amount, currency))
}

/// An amount in minor units as a decimal in major ones: `1200.50`. Sums may be larger than an amount.
#[must_use]
pub fn decimal(amount: i128, currency: &str) -> String {
    // Which currencies have how many decimals is for reading only; no verdict hangs on it.
    let exponent = iso_currency::Currency::from_code(currency).and_then(|known| known.exponent());
    let decimals = usize::from(exponent.unwrap_or(0));
    let sign = if amount < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", amount.unsigned_abs(), width = decimals + 1);
    let (whole, cents) = digits.split_at(digits.len() - decimals);
    let dot = if decimals == 0 { "" } else { "." };
    format!("{sign}{whole}{dot}{cents}")
}

/// The credit segments of which a record says anything.
#[must_use]
pub fn segments(golden: &GoldenRecord) -> BTreeSet<String> {
    let named = golden.attributes.keys().filter_map(|path| {
        let (section, rest) = path.as_str().split_once('/')?;
        let (segment, _) = rest.split_once('/')?;
        (section == "credit").then(|| segment.to_owned())
    });
    named.collect()
}

/// What a customer owes in one segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exposure {
    /// What each region reports.
    pub regions: BTreeMap<Region, Money>,
    /// The sum for each currency.
    pub totals: BTreeMap<String, i128>,
}

impl Exposure {
    fn add(&mut self, other: &Self) {
        for (currency, amount) in &other.totals {
            *self.totals.entry(currency.clone()).or_default() += amount;
        }
    }
}

/// The exposure of a segment on a day.
#[must_use]
pub fn exposure(golden: &GoldenRecord, segment: &str, day: Date) -> Exposure {
    let prefix = format!("credit/{segment}/exposure/");
    let mut exposure = Exposure::default();
    for (path, value) in golden.at(day) {
        let region = path.as_str().strip_prefix(&prefix).and_then(|region| region.parse().ok());
        let money = value.value.as_deref().and_then(Money::of);
        if let (Some(region), Some(money)) = (region, money) {
            *exposure.totals.entry(money.currency.clone()).or_default() += i128::from(money.amount);
            exposure.regions.insert(region, money);
        }
    }
    exposure
}

/// Why a limit is the effective one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitReason {
    /// Nobody says anything else.
    Agreed,
    /// The owner region's word counts, whatever others say.
    Owner(Region),
    /// A rule that asks nobody's word decided, and it chose the least.
    Rule(Rule),
    /// Nobody's word counts more, so the least of what is said in the currency counts.
    Least {
        /// What the policy's rule shows as golden; none where it shows nothing.
        golden: Option<Money>,
    },
}

/// The limit that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveLimit {
    /// How much.
    pub limit: Money,
    /// Why.
    pub reason: LimitReason,
    /// What is said in other currencies, which cannot be compared with it.
    pub apart: Vec<Money>,
}

impl EffectiveLimit {
    /// Why this limit counts, for a clerk.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { limit, reason, apart } = self;
        let mut text = match reason {
            LimitReason::Agreed => format!("The limit is {limit}."),
            LimitReason::Owner(region) => {
                format!("The limit is {limit}, because {region} owns the segment and says so.")
            }
            LimitReason::Rule(rule) => {
                format!("The limit is {limit} by the rule \"{}\".", rule.title())
            }
            LimitReason::Least { golden: Some(golden) } => format!(
                "The limit is {limit}: the sources differ and no owner decides, so the least counts, \
                 not {golden}."
            ),
            LimitReason::Least { golden: None } => format!(
                "The limit is {limit}: the owner of the segment states none, so the least of what \
                 others say counts."
            ),
        };
        if !apart.is_empty() {
            let others: Vec<String> = apart.iter().map(Money::to_string).collect();
            text.push_str(&format!(" Not compared, in another currency: {}.", others.join(", ")));
        }
        text
    }
}

/// The limit of a segment that counts on a day; `None` when nobody states one.
///
/// Where an owner decides, or all agree, it is the golden limit. Where live claims
/// differ and no owner decides, it is the least of them in one currency: chance and haste must not
/// lend money.
#[must_use]
pub fn effective_limit(golden: &GoldenRecord, segment: &str, day: Date) -> Option<EffectiveLimit> {
    let path: AttributePath = format!("credit/{segment}/limit").parse().ok()?;
    let at = golden.at(day);
    let GoldenValue { value, contest, .. } = at.get(&path)?;
    let shown = value.as_deref().and_then(Money::of);
    let Some(contest) = contest else {
        let limit = shown?;
        return Some(EffectiveLimit { limit, reason: LimitReason::Agreed, apart: Vec::new() });
    };
    let claims = stated(contest);
    // Without a golden limit, the currency is that of the claim which stood first.
    let first = claims.iter().min_by_key(|(candidate, _)| {
        (candidate.origin.time, candidate.origin.commit, &candidate.source)
    });
    let currency = shown.as_ref().or_else(|| first.map(|(_, money)| money))?.currency.clone();
    let alike = claims.iter().map(|(_, money)| money).filter(|money| money.currency == currency);
    let least = alike.min().cloned()?;
    let apart: BTreeSet<Money> = claims
        .iter()
        .map(|(_, money)| money)
        .filter(|money| money.currency != currency)
        .cloned()
        .collect();
    let apart = apart.into_iter().collect();
    let (limit, reason) = match (shown, decided_by(contest)) {
        (Some(shown), Some(reason)) => (shown, reason),
        (Some(shown), None) if shown == least => (shown, LimitReason::Rule(contest.rule)),
        (golden, _) => (least, LimitReason::Least { golden }),
    };
    Some(EffectiveLimit { limit, reason, apart })
}

/// What live claims say.
fn stated(contest: &Resolution) -> Vec<(&Candidate, Money)> {
    let losers = contest.losers.iter().filter(|loser| loser.reason.is_live());
    let live = contest.winner.iter().chain(losers.map(|loser| &loser.candidate));
    live.filter_map(|candidate| Some((candidate, Money::of(candidate.value.as_ref()?)?))).collect()
}

/// Whether somebody's word counts before the values: the owner's.
fn decided_by(contest: &Resolution) -> Option<LimitReason> {
    let owner = contest.owner.as_ref()?;
    let winner = contest.winner.as_ref()?;
    (winner.origin.region == *owner).then(|| LimitReason::Owner(owner.clone()))
}

/// What is left of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headroom {
    /// The limit that counts.
    pub limit: EffectiveLimit,
    /// What is owed.
    pub exposure: Exposure,
    /// Limit less exposure, in minor units of the limit's currency; below zero it is exceeded.
    pub left: i128,
    /// What is owed in other currencies, on top.
    pub apart: BTreeMap<String, i128>,
}

impl Headroom {
    /// Whether the customer owes more than it may; what it owes in other currencies does not count.
    #[must_use]
    pub const fn is_exceeded(&self) -> bool {
        self.left < 0
    }

    /// What a steward should look at: that the limit is exceeded.
    #[must_use]
    pub fn finding(&self, segment: &str) -> Option<Finding> {
        let path = format!("credit/{segment}/limit").parse().ok()?;
        let text = format!(
            "{} Collect what is due, or have the limit raised by those who decide on it.",
            self.sentence()
        );
        self.is_exceeded().then(|| Finding::new("limit-exceeded", path, text))
    }

    /// The state for a clerk.
    #[must_use]
    pub fn sentence(&self) -> String {
        let currency = &self.limit.limit.currency;
        let owed = self.exposure.totals.get(currency).copied().unwrap_or_default();
        let left = if self.is_exceeded() { "exceeded by" } else { "left" };
        let mut text = format!(
            "{} of {} are used, {left} {}.",
            figure(owed, currency),
            self.limit.limit,
            figure(self.left.saturating_abs(), currency),
        );
        for (other, amount) in &self.apart {
            text.push_str(&format!(" On top {}, not converted.", figure(*amount, other)));
        }
        text
    }
}

/// What is left of the limit of a segment on a day; `None` without a limit.
#[must_use]
pub fn headroom(golden: &GoldenRecord, segment: &str, day: Date) -> Option<Headroom> {
    let limit = effective_limit(golden, segment, day)?;
    let exposure = exposure(golden, segment, day);
    let mut apart = exposure.totals.clone();
    let owed = apart.remove(&limit.limit.currency).unwrap_or_default();
    let left = i128::from(limit.limit.amount).saturating_sub(owed);
    Some(Headroom { limit, exposure, left, apart })
}

/// What a group of customers owes in one segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupExposure {
    /// The sum for each currency.
    pub totals: BTreeMap<String, i128>,
    /// How many of the members owe or are owed anything.
    pub members: usize,
    /// The members whose records are not here; their exposure is not in the sum.
    pub missing: Vec<RecordId>,
}

/// The exposure of a group, for example of everyone in a [`Tree`](crate::hierarchy::Tree).
pub fn group_exposure(
    members: impl IntoIterator<Item = RecordId>,
    segment: &str,
    day: Date,
    golden: impl Fn(&RecordId) -> Option<GoldenRecord>,
) -> GroupExposure {
    let mut sum = Exposure::default();
    let mut group = GroupExposure::default();
    let members: BTreeSet<RecordId> = members.into_iter().collect();
    for member in members {
        let Some(golden) = golden(&member) else {
            group.missing.push(member);
            continue;
        };
        let exposure = exposure(&golden, segment, day);
        group.members += usize::from(!exposure.totals.is_empty());
        sum.add(&exposure);
    }
    group.totals = sum.totals;
    group
}

#[cfg(test)]
pub(crate) mod tests;
