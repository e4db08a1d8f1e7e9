//! What the policy asks of a value besides a rule of survivorship: a second person, a check, a range
//! of numbers.

use serde::{Deserialize, Serialize};

/// What a change of a sensitive attribute needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FourEyes {
    /// How many persons besides the requester must approve, from 1 to 8.
    pub approvals: u8,
    /// Sources, or kinds of sources, whose claims need no second person: they had one at home.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exempt: Vec<String>,
    /// Only a less conservative value (a higher limit, a lower risk) needs it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_raise: bool,
    /// The first data of a customer needs it, too. Otherwise one person may create a customer whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_creation: bool,
}

/// What becomes of a local write on an attribute that another region owns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NonOwner {
    /// It is kept as a claim that the owner's beats.
    #[default]
    Claim,
    /// It becomes a request that the owner decides.
    Propose,
}

impl NonOwner {
    /// Whether it is the default.
    #[must_use]
    pub fn is_claim(&self) -> bool {
        *self == Self::Claim
    }
}

/// How bad it is that a check does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Somebody should look.
    Warning,
    /// The value is wrong: refused at the door, an issue when it came from a peer.
    Error,
}

/// An expression that the golden record must satisfy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The patterns of the attributes that it is about; it is asked of each value of them.
    pub applies: Vec<String>,
    /// A CEL expression over `record` and `value` that gives a boolean.
    pub expression: String,
    /// What to tell people when it does not hold.
    pub text: String,
    /// How bad that is.
    pub severity: Severity,
}

/// The customer numbers that one region gives out, each once: gaps are allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberRange {
    /// What every number starts with, for example `EU`.
    pub prefix: String,
    /// The first number.
    pub from: u64,
    /// The last number.
    pub to: u64,
}
