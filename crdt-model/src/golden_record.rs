//! The golden record: what people read. Derived from the claims by the policy, never written back.
//!
//! [`Resolved`] is the full answer of [`crate::survivorship`], with every explanation; it is computed
//! when asked for. [`GoldenRecord`] is what nodes store, compare and digest: the surviving values, and
//! the live claims where they differ. Equal claims under an equal policy give equal bytes.

mod difference;
mod sentence;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

pub use self::difference::Difference;
use crate::claim::Origin;
use crate::governance::Request;
use crate::id::{RecordId, Region, SourceName};
use crate::path::AttributePath;
use crate::policy::Rule;
use crate::value::{Value, canonical_json};

/// A claim as an explanation shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// What it says; none for a claim that is unreadable.
    pub value: Option<Arc<Value>>,
    /// The text as the source wrote it, where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// The source that says so.
    pub source: SourceName,
    /// Who wrote it, where and when.
    #[serde(flatten)]
    pub origin: Origin,
}

/// Why a claim did not survive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum LossReason {
    /// It says the same as the survivor.
    Agrees,
    /// Another claim on the attribute was written by someone who had seen this one.
    Superseded,
    /// Another claim is later.
    Older,
    /// Another claim's source ranks higher.
    LowerPriority,
    /// It is not the owner region's claim.
    NotOwner,
    /// Another claim is more conservative.
    LessConservative,
    /// The values cannot be compared (two currencies); the value that stood first stays.
    NotComparable,
    /// It blocks as well; the block that is shown was set first.
    AlsoBlocks,
    /// A steward's override stands.
    Overridden,
    /// Another claim was there first.
    Newer,
    /// Fewer sources state its value.
    Rarer,
    /// Another claim has more members or a longer text.
    LessComplete,
    /// It is not of the source that wins the attribute that this one follows.
    NotFollowed,
    /// A release or removal had seen it.
    Released,
    /// It is an override that stood until a source says something new, and one does.
    SourceChanged,
    /// It says something about an item that is not there on that day.
    ItemMissing,
    /// It does not hold on the day asked for.
    NotValid,
    /// Its source states another value from a later day on, and that day has come.
    Succeeded,
    /// Its region has more claims on the attribute than take part, and made the others later.
    Surplus,
    /// It breaks a rule of the attribute.
    Invalid {
        /// Which one.
        text: String,
    },
}

impl LossReason {
    /// Whether the claim took part and lost, rather than not taking part at all.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        match self {
            Self::Agrees
            | Self::Superseded
            | Self::Older
            | Self::LowerPriority
            | Self::NotOwner
            | Self::LessConservative
            | Self::NotComparable
            | Self::AlsoBlocks
            | Self::Overridden
            | Self::Newer
            | Self::Rarer
            | Self::LessComplete
            | Self::NotFollowed => true,
            Self::Released
            | Self::SourceChanged
            | Self::ItemMissing
            | Self::NotValid
            | Self::Succeeded
            | Self::Surplus
            | Self::Invalid { .. } => false,
        }
    }
}

/// A claim that did not survive, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loser {
    /// The claim.
    #[serde(flatten)]
    pub candidate: Candidate,
    /// Why it lost.
    pub reason: LossReason,
}

/// The answer for one attribute at one time: the survivor, the rule, and every claim that lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// The rule of the policy that decided.
    pub rule: Rule,
    /// Whose word the rule asks for, where it asks for an owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Region>,
    /// The surviving claim; none when no claim is live, or none is the owner's.
    pub winner: Option<Candidate>,
    /// Every other claim, by source, then origin.
    pub losers: Vec<Loser>,
    /// Live claims differ.
    pub disagreement: bool,
    /// Live claims differ and their writers had not seen each other.
    pub conflict: bool,
}

/// A resolution that holds from a day on, until the next one of its attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The first day; none: since ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// What holds.
    pub resolution: Resolution,
}

/// The timeline of every attribute of a record, with every explanation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// By attribute, the segments in the order of their days; never empty.
    pub attributes: BTreeMap<AttributePath, Vec<Segment>>,
    /// The change requests, by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Request>,
}

impl Resolved {
    /// The resolution of an attribute on a day; `None` when nothing is claimed on it.
    #[must_use]
    pub fn at(&self, path: &AttributePath, day: Date) -> Option<&Resolution> {
        let segments = self.attributes.get(path)?;
        let begun = segments.partition_point(|segment| segment.from <= Some(day));
        segments.get(begun.checked_sub(1)?).map(|segment| &segment.resolution)
    }
}

/// What is stored and digested of a value: the survivor, and the contest where live claims differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldenValue {
    /// The first day on which it holds; none: since ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// The surviving value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Arc<Value>>,
    /// Present when live claims differ: the resolution, with the losers that took part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contest: Option<Resolution>,
}

impl GoldenValue {
    fn from_segment(segment: &Segment) -> Self {
        let Segment { from, resolution } = segment;
        let contest = resolution.disagreement.then(|| {
            let losers = resolution.losers.iter().filter(|loser| loser.reason.is_live());
            Resolution { losers: losers.cloned().collect(), ..resolution.clone() }
        });
        let value = resolution.winner.as_ref().and_then(|winner| winner.value.clone());
        Self { from: *from, value, contest }
    }

    const fn is_empty(&self) -> bool {
        self.value.is_none() && self.contest.is_none()
    }
}

/// The golden record of one customer over all time; cut at a day when read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldenRecord {
    /// The customer.
    pub record: RecordId,
    /// By attribute, the values in the order of their days; the first one holds something. An
    /// attribute without a survivor and without a contest on any day is absent.
    pub attributes: BTreeMap<AttributePath, Vec<GoldenValue>>,
    /// The change requests, by id: pending ones whole, of decided ones who did what and when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Request>,
}

/// Why bytes are not a golden record. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("the stored golden record is damaged; it is a cache, rebuild it from the record's claims")]
pub struct GoldenRecordError(#[from] serde_json::Error);

impl GoldenRecord {
    /// What is stored of a resolution.
    #[must_use]
    pub fn from_resolved(record: RecordId, resolved: &Resolved) -> Self {
        let attributes = resolved.attributes.iter().filter_map(|(path, segments)| {
            let values = segments.iter().map(GoldenValue::from_segment);
            let mut values: Vec<GoldenValue> = values.skip_while(GoldenValue::is_empty).collect();
            // Segments that differ only in claims that do not take part are one.
            values.dedup_by(|next, value| {
                (&next.value, &next.contest) == (&value.value, &value.contest)
            });
            (!values.is_empty()).then(|| (path.clone(), values))
        });
        let requests = resolved.requests.iter().map(|(id, of)| (id.clone(), of.stored()));
        Self { record, attributes: attributes.collect(), requests: requests.collect() }
    }

    /// A record on which nothing is claimed.
    #[must_use]
    pub const fn empty(record: RecordId) -> Self {
        Self { record, attributes: BTreeMap::new(), requests: BTreeMap::new() }
    }

    /// The canonical JSON (RFC 8785): equal records have equal bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical_json(self).into_bytes()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`GoldenRecordError`] when the bytes are anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, GoldenRecordError> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// What the record adds to the digest of all golden records.
    #[must_use]
    pub fn digest_element(&self) -> [u8; 32] {
        blake3::derive_key("concord 2026 golden record", &self.to_bytes())
    }

    /// The record on a day: every attribute that has a survivor or is contested then.
    #[must_use]
    pub fn at(&self, day: Date) -> BTreeMap<&AttributePath, &GoldenValue> {
        let on_day = self.attributes.iter().filter_map(|(path, values)| {
            let begun = values.partition_point(|value| value.from <= Some(day));
            let value = values.get(begun.checked_sub(1)?)?;
            (!value.is_empty()).then_some((path, value))
        });
        on_day.collect()
    }

    /// The attributes on which live claims differ on a day.
    #[must_use]
    pub fn contested(&self, day: Date) -> BTreeMap<&AttributePath, &Resolution> {
        let on_day = self.at(day).into_iter();
        on_day.filter_map(|(path, value)| Some((path, value.contest.as_ref()?))).collect()
    }
}

#[cfg(test)]
mod tests;
