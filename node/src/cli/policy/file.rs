//! The files of a policy: the TOML that a governor writes, and the signed form that goes from
//! governor to governor.

use std::fs;
use std::path::Path;

use crdt_model::policy::{Policy, bundle};
use serde_json::Value as Json;

use super::super::init::sentence;
use super::super::{CliError, Client, Request};
use crate::replica::roster::PolicyEntry;

/// A policy as a file brings it.
pub(super) enum PolicyFile {
    /// As a governor wrote it.
    Written(Box<Policy>),
    /// With a time and signatures.
    Signed(PolicyEntry),
}

impl PolicyFile {
    /// Reads a file of either form. The policy is well formed; whether it is fit is another question.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let bytes = fs::read(path).map_err(|error| {
            CliError::Refused(format!("{} cannot be read: {error}.", path.display()))
        })?;
        if let Ok(entry) = PolicyEntry::decode(&bytes) {
            return Ok(Self::Signed(entry));
        }
        let refused = |error: &dyn std::fmt::Display| {
            CliError::Refused(format!("{}: {error}", path.display()))
        };
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| refused(&"this is neither a policy in TOML nor a signed one."))?;
        bundle::read(text)
            .map(|policy| Self::Written(Box::new(policy)))
            .map_err(|error| refused(&sentence(&error)))
    }

    pub(super) fn policy(&self) -> &Policy {
        match self {
            Self::Written(policy) => policy,
            Self::Signed(entry) => &entry.policy,
        }
    }

    /// The policy with its signatures, to be in force from `at_ms` on. A signed one keeps its time:
    /// it is part of what was signed.
    pub(super) fn into_entry(
        self,
        at_ms: Option<u64>,
        now_ms: u64,
    ) -> Result<PolicyEntry, CliError> {
        match (self, at_ms) {
            (Self::Written(policy), at) => Ok(PolicyEntry::new(*policy, at.unwrap_or(now_ms))),
            (Self::Signed(entry), None) => Ok(entry),
            (Self::Signed(entry), Some(at)) if at == entry.activates_at_ms => Ok(entry),
            (Self::Signed(_), Some(_)) => Err(CliError::Usage(
                "The file is signed for a time of its own; leave --at out, or sign the policy anew."
                    .to_owned(),
            )),
        }
    }
}

/// The policy in force on a running node.
pub(super) fn in_force(client: &Client) -> Result<(Policy, Json), CliError> {
    let mut shown = client.ask(&Request::get("/v1/policy"))?;
    let policy = serde_json::from_value(shown["policy"].take()).map_err(|_| {
        CliError::Refused(
            "The node has a policy that this release does not know. Use the release of the node."
                .to_owned(),
        )
    })?;
    Ok((policy, shown))
}

/// Reads a time of the command line: RFC 3339, in milliseconds since 1970.
pub(super) fn parse_time(text: &str) -> Result<u64, String> {
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| format!("{text:?} is not a time; write it like 2026-12-01T00:00:00Z"))?;
    u64::try_from(time.as_millisecond()).map_err(|_| "the time is before 1970".to_owned())
}
