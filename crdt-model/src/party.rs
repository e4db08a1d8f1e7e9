//! One party, two roles: a customer that is a vendor as well, and what must fit between the two.
//!
//! Both roles are on one record. The customer's company codes are under `company/…`, the vendor's
//! under `vendor/…`, its accounts in other systems under `relation/vendor/…`. Name, addresses, tax ids
//! and bank accounts are the [`SHARED`] section: they belong to the party and not to a role, so one
//! region decides on them.
//!
//! **The owner of the shared section** is said by the policy in two parts. The *rule* of its
//! attributes is `owner`; then only the owner region's claims survive. Who that is, `policy.owners`
//! says with one and the same region under `name`, `address`, `tax_id` and `bank`; where it says
//! nothing, it is the home region of each customer. [`shared_section_faults`] finds what is missing.
//!
//! Everything here is a pure function of a golden record on a day. What is found refuses nothing and
//! guesses nothing: both sides stay as they are until a person decides.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::attribute;
use crate::finding::Finding;
use crate::golden_record::{GoldenRecord, GoldenValue};
use crate::id::{RecordId, Region};
use crate::path::AttributePath;
use crate::policy::{Policy, Rule};
use crate::value::{Scalar, Value};

/// The sections that belong to the party as a whole.
pub const SHARED: [&str; 4] = ["address", "bank", "name", "tax_id"];

/// The part of the policy that makes one region decide on the shared section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharedSectionFault {
    /// Anybody's claim may survive on this attribute.
    NotOwners {
        /// Its pattern.
        pattern: &'static str,
        /// The rule that decides it.
        rule: Rule,
    },
    /// The sections have different owners, by section; none: the home region.
    SplitOwners(BTreeMap<&'static str, Option<Region>>),
}

/// What keeps the shared section from having one owner under a policy; empty when it has one.
#[must_use]
pub fn shared_section_faults(policy: &Policy) -> Vec<SharedSectionFault> {
    let is_shared = |pattern: &str| {
        SHARED
            .iter()
            .any(|section| pattern.strip_prefix(section).is_some_and(|r| r.starts_with('/')))
    };
    let mut faults: Vec<SharedSectionFault> = attribute::table()
        .iter()
        .filter(|row| is_shared(row.pattern))
        .map(|row| (row.pattern, policy.rule_of(row)))
        .filter(|(_, rule)| !matches!(rule, Rule::Owner | Rule::OwnerElseLeast))
        // That somebody doubts an account or address is heard from anyone.
        .filter(|(pattern, _)| {
            !pattern.ends_with("/verification") && !pattern.ends_with("/validation")
        })
        .map(|(pattern, rule)| SharedSectionFault::NotOwners { pattern, rule })
        .collect();
    let owners: BTreeMap<&'static str, Option<Region>> =
        SHARED.map(|section| (section, policy.owners.get(section).cloned())).into_iter().collect();
    if owners.values().collect::<BTreeSet<_>>().len() > 1 {
        faults.push(SharedSectionFault::SplitOwners(owners));
    }
    faults
}

/// A golden record on a day, read as a party with two roles.
#[derive(Debug)]
pub struct Party<'a> {
    values: BTreeMap<&'a AttributePath, &'a GoldenValue>,
}

impl<'a> Party<'a> {
    /// The party on a day.
    #[must_use]
    pub fn on(golden: &'a GoldenRecord, day: Date) -> Self {
        Self { values: golden.at(day) }
    }

    /// Whether it is a vendor: it has a vendor's section or an account as one.
    #[must_use]
    pub fn is_vendor(&self) -> bool {
        self.below("vendor/").next().is_some() || self.below("relation/vendor/").next().is_some()
    }

    /// Whether open items of both roles are cleared against each other in a company code: only when
    /// both sides say so.
    #[must_use]
    pub fn clears(&self, company_code: &str) -> bool {
        self.clearing(company_code) == (true, true)
    }

    /// What the customer's and the vendor's side say on clearing.
    fn clearing(&self, company_code: &str) -> (bool, bool) {
        let says = |path: String| self.value(&path) == Some(&Value::One(Scalar::Bool(true)));
        (
            says(format!("company/{company_code}/clearing_with_vendor")),
            says(format!("vendor/{company_code}/clearing_with_customer")),
        )
    }

    /// Every finding on how the two roles fit together. `others` says which other records carry the
    /// same item: the same tax id, vendor account or bank account.
    pub fn findings(&self, others: impl Fn(&AttributePath) -> Vec<RecordId>) -> Vec<Finding> {
        let mut findings = self.clearing_findings();
        findings.extend(self.vendor_blocks());
        findings.extend(self.bank_both_ways());
        for path in self.values.keys() {
            let other = match item_section(path) {
                Some("tax_id") => self.tax_id_shared(path, &others(path)),
                Some("relation/vendor") => vendor_linked_twice(path, &others(path)),
                Some("bank") => self.bank_shared(path, &others(path)),
                Some(_) | None => None,
            };
            findings.extend(other);
        }
        findings.sort();
        findings
    }

    /// Clearing needs both sides; one alone clears nothing, and somebody thinks it does.
    #[must_use]
    pub fn clearing_findings(&self) -> Vec<Finding> {
        let codes: BTreeSet<String> = ["company/", "vendor/"]
            .into_iter()
            .flat_map(|section| self.below(section))
            .filter_map(|(path, _)| path.as_str().split('/').nth(1).map(str::to_owned))
            .collect();
        let one_sided = codes.into_iter().filter_map(|code| {
            let (path, text) = match self.clearing(&code) {
                (true, true) | (false, false) => return None,
                (true, false) => (
                    format!("company/{code}/clearing_with_vendor"),
                    format!(
                        "Clearing with the vendor is on for the customer in company code {code}, but \
                         not for the vendor, so nothing is cleared. Turn it on at the vendor, or off \
                         here."
                    ),
                ),
                (false, true) => (
                    format!("vendor/{code}/clearing_with_customer"),
                    format!(
                        "Clearing with the customer is on for the vendor in company code {code}, but \
                         not for the customer, so nothing is cleared. Turn it on at the customer, or \
                         off here."
                    ),
                ),
            };
            Some(Finding::new("clearing-one-sided", path.parse().ok()?, text))
        });
        one_sided.collect()
    }

    /// A vendor that is blocked, or a party that screening hit, warns those who sell to it.
    #[must_use]
    pub fn vendor_blocks(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (path, value) in self.below("vendor/").chain(self.below("block/purchasing")) {
            let is_block = attribute::lookup(path).is_some_and(attribute::Attribute::is_block);
            let reason = value.and_then(|value| value.member("reason"));
            if let (true, Some(Scalar::Text(reason))) = (is_block, reason) {
                let text = format!(
                    "This party is blocked as a vendor ({reason}). Check whether you still want to \
                     sell to it, and with which terms."
                );
                findings.push(Finding::new("vendor-blocked", path.clone(), text));
            }
        }
        let sanctions = self.below("compliance/sanctions").filter(|_| self.is_vendor());
        for (path, value) in sanctions {
            if let Some(state @ ("hit" | "confirmed")) = value.and_then(Value::as_text) {
                let text = format!(
                    "This party is a vendor as well, and its sanctions screening says {state}. Neither \
                     buy from it nor sell to it until compliance has decided."
                );
                findings.push(Finding::new("vendor-sanctioned", path.clone(), text));
            }
        }
        findings
    }

    /// One account to which we pay the vendor and from which we collect from the customer: a wrong
    /// account number then costs twice, and a right one belongs into clearing.
    #[must_use]
    pub fn bank_both_ways(&self) -> Vec<Finding> {
        let both = self.below("bank/").filter(|(path, _)| {
            item_section(path) == Some("bank") && self.pays_to(path) && self.debits(path)
        });
        let finding = |(path, _): (&AttributePath, _)| {
            let text = "We pay the vendor to this account and collect from the customer by direct \
                        debit from it. Verify the account with the party, and consider clearing the \
                        two roles against each other.";
            Finding::new("bank-both-ways", path.clone(), text.to_owned())
        };
        both.map(finding).collect()
    }

    /// A tax id that another party carries, too. Neither is taken away: companies of one group may
    /// share one. A relation to the other party explains it.
    #[must_use]
    pub fn tax_id_shared(&self, path: &AttributePath, others: &[RecordId]) -> Option<Finding> {
        let related: BTreeSet<&str> = (self.below("relation/").filter_map(|(_, value)| value))
            .filter_map(|value| match value.member("customer") {
                Some(Scalar::Text(customer)) => Some(customer.as_str()),
                Some(Scalar::Bool(_) | Scalar::Int(_)) | None => None,
            })
            .collect();
        let unexplained =
            others.iter().filter(|other| !related.contains(other.to_string().as_str()));
        let unexplained: BTreeSet<RecordId> = unexplained.copied().collect();
        let text = format!(
            "The tax id {} stands at {} as well. If they are one party, consolidate them; if not, state \
             how they are related, or correct the tax id.",
            last_segment(path),
            parties(unexplained.len()),
        );
        found("tax-id-shared", path, text, unexplained)
    }

    /// A bank account of two parties, of which this one is paid or collected from by it.
    #[must_use]
    pub fn bank_shared(&self, path: &AttributePath, others: &[RecordId]) -> Option<Finding> {
        if !self.pays_to(path) && !self.debits(path) {
            return None;
        }
        let others: BTreeSet<RecordId> = others.iter().copied().collect();
        let text = format!(
            "The bank account {} stands at {} as well, and money goes through it here. Verify whose \
             it is.",
            last_segment(path),
            parties(others.len()),
        );
        found("bank-shared", path, text, others)
    }

    fn pays_to(&self, bank: &AttributePath) -> bool {
        self.below(&format!("{bank}/pay_to/")).next().is_some()
    }

    fn debits(&self, bank: &AttributePath) -> bool {
        self.below(&format!("{bank}/mandate/")).next().is_some()
    }

    fn value(&self, path: &str) -> Option<&Value> {
        let path: AttributePath = path.parse().ok()?;
        self.values.get(&path)?.value.as_deref()
    }

    /// What has a value under a prefix.
    fn below(&self, prefix: &str) -> impl Iterator<Item = (&'a AttributePath, Option<&'a Value>)> {
        let under = self.values.iter().filter(move |(path, _)| path.as_str().starts_with(prefix));
        under
            .map(|(path, value)| (*path, value.value.as_deref()))
            .filter(|(_, value)| value.is_some())
    }
}

/// An account as a vendor that another customer claims, too.
#[must_use]
pub fn vendor_linked_twice(path: &AttributePath, others: &[RecordId]) -> Option<Finding> {
    let others: BTreeSet<RecordId> = others.iter().copied().collect();
    let text = format!(
        "The vendor account {} is linked with {} as well. Both links stay; remove the wrong one, or \
         consolidate the parties.",
        last_segment(path),
        parties(others.len()),
    );
    found("vendor-linked-twice", path, text, others)
}

/// An account as a vendor that the system of the account does not know (yet).
#[must_use]
pub fn vendor_dangling(path: &AttributePath) -> Finding {
    let text = format!(
        "The vendor account {} is not known. It may still arrive; otherwise correct the link.",
        last_segment(path)
    );
    Finding::new("vendor-dangling", path.clone(), text)
}

fn found(
    code: &'static str,
    path: &AttributePath,
    text: String,
    about: BTreeSet<RecordId>,
) -> Option<Finding> {
    let about: Vec<RecordId> = about.into_iter().collect();
    (!about.is_empty()).then(|| Finding::new(code, path.clone(), text).about(&about))
}

fn parties(count: usize) -> String {
    if count == 1 { "another party".to_owned() } else { format!("{count} other parties") }
}

fn last_segment(path: &AttributePath) -> String {
    path.segments().pop().unwrap_or_default()
}

/// The section of which a path names one item; none for what hangs below an item.
fn item_section(path: &AttributePath) -> Option<&str> {
    let (section, _) = path.as_str().rsplit_once('/')?;
    ["tax_id", "relation/vendor", "bank"].contains(&section).then_some(section)
}

#[cfg(test)]
mod tests;
