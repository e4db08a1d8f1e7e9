//! The golden record: what people read. Derived from the claims by the policy, never written back.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::claim::Origin;
use crate::id::{RecordId, SourceName};
use crate::path::AttributePath;
use crate::policy::Rule;
use crate::value::Value;

/// A claim as an explanation shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// What it says; none for a claim that is unreadable.
    pub value: Option<Value>,
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
    /// A release or removal had seen it.
    Released,
    /// It does not hold on the day asked for.
    NotValid,
    /// It breaks a rule of the attribute.
    Invalid {
        /// Which one.
        text: String,
    },
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
    /// The surviving claim; none when no claim is live.
    pub winner: Option<Candidate>,
    /// Every other claim.
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
}

/// What is stored and digested of a value: the survivor, and the whole resolution where live claims
/// differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldenValue {
    /// The first day on which it holds; none: since ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// The surviving value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Present when live claims differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contest: Option<Resolution>,
}

/// The golden record of one customer over all time; cut at a day when read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldenRecord {
    /// The customer.
    pub record: RecordId,
    /// By attribute, the values in the order of their days. An attribute without a live claim is absent.
    pub attributes: BTreeMap<AttributePath, Vec<GoldenValue>>,
}
