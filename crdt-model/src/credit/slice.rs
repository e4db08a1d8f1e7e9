//! Slices of a credit limit: what each region may draw on its own, so that regions apart can together
//! never exceed the limit.
//!
//! This is a bounded counter (Balegas et al., "Extending Eventually Consistent Cloud Databases for
//! Enforcing Numeric Invariants", SRDS 2015). The owner of the segment deals slices of the limit. A
//! region gives what it does not need to another one by a *transfer*, and draws up to what it has:
//!
//! `rights(region) = slice + received - given`, and `exposure(region) <= rights(region)`.
//!
//! Nobody but the region itself can make its rights smaller, so what it knows is never more than what
//! it has, however long it is apart; and the rights of all regions sum up to no more than the slices,
//! which sum up to no more than the limit. This rests on three things that the door ([`door`]) sees
//! to: a slice is never made smaller (a region gives it back instead), a transfer is final, and a
//! region draws and gives through one of its nodes.
//!
//! What arrives from peers is judged here, alike everywhere: a transfer counts for the receiver only
//! if the region that gives wrote it and had that much. What does not count is a finding.

pub mod door;
mod transfer;

use std::collections::BTreeMap;

use jiff::civil::Date;

pub use self::transfer::{Transfer, TransferFault};
use super::{Money, effective_limit, figure};
use crate::attribute;
use crate::claim::{Claim, ClaimSet, Origin};
use crate::finding::Finding;
use crate::golden_record::GoldenRecord;
use crate::id::Region;
use crate::path::AttributePath;
use crate::policy::Policy;
use crate::value::{Assertion, Statement};

/// The most transfers of one region in one segment that count; the earliest do.
pub const TRANSFERS_MAX: usize = crate::limits::COLLECTION_MAX;

/// What one region has of a limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slice {
    /// The least that the owner's words say, where they differ: that much was dealt.
    granted_least: Option<i64>,
    /// The most that they say. By this a transfer is judged: the region may have seen it.
    granted_most: i64,
    /// Whether the owner dealt it anything, be it nothing at all.
    is_dealt: bool,
    /// What other regions gave it.
    pub received: i128,
    /// What it gave away, counted or not.
    pub given: i128,
    /// What is drawn, by the latest word of a node of the region.
    pub exposure: i64,
    /// What is drawn is in another currency, so nothing more may be.
    pub is_in_other_currency: bool,
}

impl Slice {
    /// What the owner dealt; the least where its own words differ.
    #[must_use]
    pub fn granted(&self) -> i64 {
        self.granted_least.unwrap_or_default()
    }

    /// What the region may draw in all.
    #[must_use]
    pub fn rights(&self) -> i128 {
        i128::from(self.granted()) + self.received - self.given
    }

    /// What it may still draw or give away; below zero it has drawn too much.
    #[must_use]
    pub fn available(&self) -> i128 {
        // What a region is owed backs no other region's lending.
        self.rights() - i128::from(self.exposure.max(0))
    }
}

/// The slices of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slices {
    segment: String,
    /// Who deals them: the owner that the policy names. The first writer of a segment is not enough,
    /// because an earlier one may still arrive.
    pub owner: Option<Region>,
    /// The limit that is split.
    pub limit: Option<Money>,
    /// What each region has.
    pub regions: BTreeMap<Region, Slice>,
    /// Every transfer, counted or not, in the order in which they are judged.
    pub transfers: Vec<Transfer>,
    faults: Vec<Finding>,
}

impl Slices {
    /// The slices of a segment on a day. `golden` is the golden record of the same claims.
    #[must_use]
    pub fn of(
        policy: &Policy,
        claims: &ClaimSet,
        golden: &GoldenRecord,
        segment: &str,
        day: Date,
    ) -> Self {
        let owner = path(segment, "slice").and_then(|path| policy.owner_of(&path).cloned());
        let limit = effective_limit(golden, segment, day).map(|effective| effective.limit);
        let mut slices = Self {
            segment: segment.to_owned(),
            owner,
            limit,
            regions: BTreeMap::new(),
            transfers: Vec::new(),
            faults: Vec::new(),
        };
        slices.read_grants(claims);
        if slices.is_dealt() {
            slices.read_exposure(claims);
            slices.read_transfers(claims);
        }
        slices
    }

    /// Whether the owner dealt any. Until then no region is held to one.
    #[must_use]
    pub fn is_dealt(&self) -> bool {
        self.regions.values().any(|slice| slice.is_dealt)
    }

    /// What a region may still draw; below zero it has drawn too much. Zero for one without a slice.
    #[must_use]
    pub fn available(&self, region: &Region) -> i128 {
        match self.regions.get(region) {
            Some(slice) if slice.is_in_other_currency => slice.available().min(0),
            Some(slice) => slice.available(),
            None => 0,
        }
    }

    /// The sum of the slices as they were dealt.
    #[must_use]
    pub fn granted(&self) -> i128 {
        self.regions.values().map(|slice| i128::from(slice.granted())).sum()
    }

    /// What a steward should look at, in one order.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = self.faults.clone();
        findings.extend(self.transfers.iter().filter_map(|transfer| {
            let fault = transfer.fault.as_ref()?;
            let text = fault.sentence(transfer);
            Some(Finding::new("transfer-not-counted", transfer.path.clone(), text))
        }));
        findings.extend(self.sums());
        findings.sort();
        findings
    }

    fn sums(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let Some(limit) = &self.limit else { return findings };
        let granted = self.granted();
        if granted > i128::from(limit.amount)
            && let Some(path) = path(&self.segment, "limit")
        {
            let text = format!(
                "The slices of the regions sum up to {}, more than the limit of {limit}. Raise the \
                 limit, or let regions give back to the owner what they do not need.",
                figure(granted, &limit.currency)
            );
            findings.push(Finding::new("slices-exceed-limit", path, text));
        }
        for (region, slice) in &self.regions {
            let Some(path) = path(&self.segment, &format!("exposure/{region}")) else { continue };
            if slice.is_in_other_currency {
                let text = format!(
                    "{region} reports its exposure in another currency than the limit's, {}. It \
                     cannot be held against its slice: report it in {}.",
                    limit.currency, limit.currency
                );
                findings.push(Finding::new("exposure-currency", path, text));
            } else if slice.available() < 0 {
                let text = format!(
                    "{region} has drawn {}, more than the {} that it may draw. Let another region \
                     give it some of its slice, or reduce the exposure.",
                    figure(i128::from(slice.exposure), &limit.currency),
                    figure(slice.rights(), &limit.currency),
                );
                findings.push(Finding::new("slice-overdrawn", path, text));
            }
        }
        findings
    }

    /// Reads what the owner dealt. Only amounts in the limit's currency that hold for good count.
    fn read_grants(&mut self, claims: &ClaimSet) {
        let prefix = format!("credit/{}/slice/", self.segment);
        for (claim, statement) in stated(claims, &prefix) {
            let region = claim.path.as_str().strip_prefix(&prefix).and_then(|r| r.parse().ok());
            let (Some(region), Some(money)) = (region, Money::of(&statement.value)) else {
                continue;
            };
            if let Some((code, text)) = self.grant_fault(claim, statement, &region, &money) {
                self.faults.push(Finding::new(code, claim.path.clone(), text));
                if self.owner.as_ref() == Some(&claim.origin.region) {
                    self.regions.entry(region).or_default().is_dealt = true;
                }
                continue;
            }
            let slice = self.regions.entry(region).or_default();
            slice.granted_least =
                Some(slice.granted_least.unwrap_or(money.amount).min(money.amount));
            slice.granted_most = slice.granted_most.max(money.amount);
            slice.is_dealt = true;
        }
    }

    /// Why a statement on a slice does not count.
    fn grant_fault(
        &self,
        claim: &Claim,
        statement: &Statement,
        region: &Region,
        money: &Money,
    ) -> Option<(&'static str, String)> {
        let segment = &self.segment;
        let Some(owner) = &self.owner else {
            let text = format!(
                "The slice of {region} does not count: the policy names no owner of credit/{segment}. \
                 Name one, because without it the owner may change when older claims arrive."
            );
            return Some(("slice-needs-owner", text));
        };
        let author = &claim.origin.region;
        if author != owner {
            let text = format!(
                "The slice of {region} that {author} states does not count: only {owner} deals slices \
                 of credit/{segment}. Ask {owner}."
            );
            return Some(("slice-not-owners", text));
        }
        let Some(limit) = &self.limit else {
            let text = format!("The slice of {region} does not count: there is no limit to split.");
            return Some(("slice-without-limit", text));
        };
        if limit.currency != money.currency {
            let text = format!(
                "The slice of {region} does not count: it is in {}, the limit is in {}.",
                money.currency, limit.currency
            );
            return Some(("slice-currency", text));
        }
        is_bounded(statement).then(|| {
            let text = format!(
                "The slice of {region} does not count: it has a validity. A slice holds until it is \
                 given back: state it without days."
            );
            ("slice-bounded", text)
        })
    }

    /// Reads what each region says it has drawn. Nobody else's word counts here: a smaller figure by
    /// another region must not make room.
    fn read_exposure(&mut self, claims: &ClaimSet) {
        let prefix = format!("credit/{}/exposure/", self.segment);
        let mut latest: BTreeMap<Region, (&Origin, Money)> = BTreeMap::new();
        for (claim, statement) in stated(claims, &prefix) {
            let region = claim.path.as_str().strip_prefix(&prefix).and_then(|r| r.parse().ok());
            let region: Option<Region> = region;
            let (Some(region), Some(money)) = (region, Money::of(&statement.value)) else {
                continue;
            };
            let author = &claim.origin.region;
            if *author != region {
                let text = format!(
                    "{author} states an exposure of {region}. Only {region} reports its own, because \
                     its slice is held against it. Withdraw it at {author}."
                );
                self.faults.push(Finding::new("exposure-not-own", claim.path.clone(), text));
                continue;
            }
            let kept = latest.entry(region).or_insert_with(|| (&claim.origin, money.clone()));
            if (kept.0.time, kept.0.commit) < (claim.origin.time, claim.origin.commit) {
                *kept = (&claim.origin, money);
            }
        }
        for (region, (_, money)) in latest {
            let is_other = self.limit.as_ref().is_none_or(|limit| limit.currency != money.currency);
            let slice = self.regions.entry(region).or_default();
            slice.exposure = money.amount;
            slice.is_in_other_currency = is_other;
        }
    }

    /// Reads the transfers in the limit's currency and books those that count.
    fn read_transfers(&mut self, claims: &ClaimSet) {
        let Some(limit) = &self.limit else { return };
        let granted = |region: &Region| {
            i128::from(self.regions.get(region).map_or(0, |slice| slice.granted_most))
        };
        let transfers = transfer::read(claims, &self.segment, &limit.currency, granted);
        for transfer in &transfers {
            if transfer.is_given() {
                self.regions.entry(transfer.from.clone()).or_default().given +=
                    i128::from(transfer.money.amount);
            }
            if transfer.fault.is_none() {
                self.regions.entry(transfer.to.clone()).or_default().received +=
                    i128::from(transfer.money.amount);
            }
        }
        self.transfers = transfers;
    }
}

/// The readable statements under a prefix that keep to the attribute table. Validity is no matter
/// here, and neither are releases: nobody else can take back what the owner or a region gave.
fn stated<'a>(
    claims: &'a ClaimSet,
    prefix: &str,
) -> impl Iterator<Item = (&'a Claim, &'a Statement)> {
    let begun = claims.claims().partition_point(|claim| claim.path.as_str() < prefix);
    let below = claims.claims()[begun..].iter();
    below.take_while(move |claim| claim.path.as_str().starts_with(prefix)).filter_map(|claim| {
        let assertion = claim.assertion.as_ref().ok()?;
        let Assertion::Stated(statement) = assertion else { return None };
        let attribute = attribute::lookup(&claim.path)?;
        attribute.check(&claim.path, assertion).is_ok().then_some((claim, statement))
    })
}

/// Whether a statement holds on some days only.
const fn is_bounded(statement: &Statement) -> bool {
    statement.valid_from.is_some() || statement.valid_to.is_some()
}

fn path(segment: &str, rest: &str) -> Option<AttributePath> {
    format!("credit/{segment}/{rest}").parse().ok()
}

#[cfg(test)]
mod tests;
