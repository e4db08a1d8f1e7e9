//! Who may do what: principals and their roles, and the governors who sign the policy itself.
//!
//! What a role allows is carried out where commits are judged.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::id::{Region, SourceName};

/// What a principal may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Opens requests; writes no golden value by itself.
    Requester,
    /// Writes claims and overrides, opens requests, takes tasks.
    Steward,
    /// Approves and rejects requests of others.
    Approver,
    /// Keeps code lists; governors of the policy are named apart, by key.
    Governor,
    /// Reads everything, writes nothing.
    Auditor,
}

/// A person or system that acts, and within which bounds. An empty list sets no bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    /// What it may do.
    pub roles: BTreeSet<Role>,
    /// The regions from whose nodes it may act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Region>,
    /// The company codes of which it may write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub company_codes: Vec<String>,
    /// The sources in whose name it may write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceName>,
}

/// Who must sign the next policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Governors {
    /// How many of them must sign, from 1 to their number.
    pub needed: u8,
    /// Their Ed25519 keys, 64 hexadecimal digits each, by name.
    pub keys: BTreeMap<String, String>,
}
