//! The policy: which rule decides which attribute. Data, never code that reads the world.
//!
//! The rules themselves are carried out in [`crate::survivorship`].

pub mod bundle;
mod checks;
mod conditions;
mod expression;
mod facts;
mod lint;
mod roles;
mod rules;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::checks::{CompiledChecks, FailedCheck};
pub use self::conditions::{Check, FourEyes, NonOwner, NumberRange, Severity};
pub use self::lint::{CODES, PolicyFault};
pub use self::roles::{Governors, Principal, Role};
pub use self::rules::Rules;
use crate::attribute::{self, Attribute, Class};
use crate::id::{Region, SourceName};
use crate::path::AttributePath;
use crate::value::canonical_json;

/// The version of the code that carries the rules out. It goes up when the same policy and the same
/// claims would give another golden record, so that nodes compare digests only when they must agree.
pub const RESOLVER: u32 = 4;

/// A survivorship rule: how the surviving value of an attribute is chosen among the live claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The claim that had seen the others; among claims made apart, the latest.
    LastWriter,
    /// The source that ranks highest; among equals, the last writer.
    SourcePriority,
    /// Only claims of the owner region take part; among them, the last writer.
    Owner,
    /// The item belongs to the set while any source claims it; its details are those of the source
    /// that ranks highest.
    AddWins,
    /// The least value: dates as days, money as an amount, `false` before `true`.
    Least,
    /// The greatest value: the most conservative word of a ranked list.
    Greatest,
    /// The owner region's least value; without one, the least of all.
    OwnerElseLeast,
    /// The claim that had seen the others; among claims made apart, the most conservative.
    LatestElseGreatest,
    /// Blocked while any block stands that no release had seen.
    AnyBlock,
    /// The claim that had seen no other; among claims made apart, the earliest.
    Oldest,
    /// The value that most sources state; among values stated equally often, the last writer.
    MostFrequent,
    /// The group with the most members, the longest text; among equals, the last writer.
    MostComplete,
    /// The claim of the source that wins the attribute named by [`Policy::follows`]; when that source
    /// says nothing here, the last writer.
    Follow,
    /// A steward's word in place of the rule. It is shown as what decided, and no policy chooses it.
    Override,
}

impl Rule {
    /// What a clerk calls the rule.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::LastWriter => "Last writer",
            Self::SourcePriority => "Best source",
            Self::Owner => "Owner region decides",
            Self::AddWins => "In the set while any source claims it",
            Self::Least => "Least value",
            Self::Greatest => "Most conservative value",
            Self::OwnerElseLeast => "Owner region decides, else the least value",
            Self::LatestElseGreatest => "Latest word, else the most conservative value",
            Self::AnyBlock => "Blocked while any block stands",
            Self::Oldest => "Oldest claim",
            Self::MostFrequent => "What most sources say",
            Self::MostComplete => "Most complete value",
            Self::Follow => "Same source as another attribute",
            Self::Override => "Steward's override",
        }
    }

    /// Whether the rule asks for the word of the owner region.
    #[must_use]
    pub const fn asks_owner(self) -> bool {
        matches!(self, Self::Owner | Self::OwnerElseLeast)
    }

    /// Whether the rule may decide an attribute of money or compliance: chance, haste and a wrong
    /// clock must not. A set may grow by anyone's claim, so it passes for items of a set alone; and
    /// who had read the more careful word may take it back where permission is given and withdrawn
    /// (consent, a mandate), never where money is lent.
    #[must_use]
    pub const fn is_conservative(self, class: Class, is_item: bool) -> bool {
        match self {
            Self::Owner | Self::Least | Self::Greatest | Self::OwnerElseLeast | Self::AnyBlock => {
                true
            }
            Self::AddWins => is_item,
            Self::LatestElseGreatest => is_item || !matches!(class, Class::Money),
            Self::LastWriter
            | Self::SourcePriority
            | Self::Oldest
            | Self::MostFrequent
            | Self::MostComplete
            | Self::Follow
            | Self::Override => false,
        }
    }
}

/// Which rule decides which attribute, who owns what, and which sources rank before others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Goes up by one with every change of the policy.
    pub version: u32,
    /// Kinds of sources, the best first. Kinds that are not named rank last, all alike.
    pub source_kinds: Vec<String>,
    /// The rule of each attribute, by its pattern, for example
    /// `company/{company_code}/payment_terms`. A path without placeholders, for example
    /// `company/1000/payment_terms`, counts before the pattern.
    pub rules: Rules,
    /// The owner region of a part of the record, by the first segments of its paths, for example
    /// `company/1000`. The longest counts.
    pub owners: BTreeMap<String, Region>,
    /// For attributes whose rule is to follow another one: the pattern of that one. Its placeholders
    /// are among those of the follower.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub follows: BTreeMap<String, String>,
    /// What a change of a sensitive attribute needs, by pattern or path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub four_eyes: BTreeMap<String, FourEyes>,
    /// What becomes of a local write on an attribute that another region owns.
    #[serde(default, skip_serializing_if = "NonOwner::is_claim")]
    pub non_owner: NonOwner,
    /// Checks of golden values, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checks: BTreeMap<String, Check>,
    /// The code list that governs an attribute, by pattern.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub codes: BTreeMap<String, String>,
    /// The customer numbers that each region gives out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub numbers: BTreeMap<Region, NumberRange>,
    /// Who may do what. Empty: everybody with a token may do everything.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub principals: BTreeMap<String, Principal>,
    /// Who signs the next policy; none: the key of the network alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub governors: Option<Governors>,
}

impl Policy {
    /// The policy that a network starts with: a rule for every attribute of the table, no fixed owner.
    #[must_use]
    pub fn built_in() -> Self {
        let listed = rules::LISTED.iter().map(|(pattern, rule)| ((*pattern).to_owned(), *rule));
        let mut rules: BTreeMap<String, Rule> = listed.collect();
        for attribute in attribute::table() {
            rules.entry(attribute.pattern.to_owned()).or_insert_with(|| rules::fallback(attribute));
        }
        let source_kinds = rules::SOURCE_KINDS.map(str::to_owned).to_vec();
        Self {
            version: 1,
            source_kinds,
            rules: rules.into(),
            owners: BTreeMap::new(),
            follows: BTreeMap::new(),
            four_eyes: BTreeMap::new(),
            non_owner: NonOwner::Claim,
            checks: BTreeMap::new(),
            codes: BTreeMap::new(),
            numbers: BTreeMap::new(),
            principals: BTreeMap::new(),
            governors: None,
        }
    }

    /// The rule that decides a path. An attribute that this release does not know is decided by its
    /// last writer, until a release that knows it replaces this one.
    #[must_use]
    pub fn rule_for(&self, attribute: Option<&Attribute>, path: &AttributePath) -> Rule {
        let Some(attribute) = attribute else { return Rule::LastWriter };
        self.rules.of_path(path).unwrap_or_else(|| self.rule_of(attribute))
    }

    /// The rule of an attribute, whatever the path.
    #[must_use]
    pub fn rule_of(&self, attribute: &Attribute) -> Rule {
        self.rules.of_attribute(attribute).unwrap_or_else(|| rules::fallback(attribute))
    }

    /// The region that the policy makes the owner of a path: that of the longest matching entry.
    #[must_use]
    pub fn owner_of(&self, path: &AttributePath) -> Option<&Region> {
        if self.owners.is_empty() {
            return None;
        }
        let mut part = path.as_str();
        loop {
            if let Some(owner) = self.owners.get(part) {
                return Some(owner);
            }
            (part, _) = part.rsplit_once('/')?;
        }
    }

    /// The place of a source in the ranking; the smaller, the better.
    #[must_use]
    pub fn rank(&self, source: &SourceName) -> usize {
        let place = self.source_kinds.iter().position(|kind| kind == source.kind());
        place.unwrap_or(self.source_kinds.len())
    }

    /// What names the policy among peers: BLAKE3 of its canonical JSON.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        *blake3::hash(canonical_json(self).as_bytes()).as_bytes()
    }
}

#[cfg(test)]
mod tests;
