//! The policy as people write it: a TOML file over the built-in policy.
//!
//! What a file does not name keeps the built-in rule. Reading says where a file is wrong as TOML or as
//! data; whether a policy makes sense is asked by [`Policy::faults`].

mod message;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::write::write;
pub(in crate::policy) use self::write::{key, plain_word};
use super::{Check, FourEyes, Governors, NonOwner, NumberRange, Policy, Principal, Rule, Rules};
use crate::id::Region;

/// The most bytes that a file may have.
pub const BUNDLE_MAX: usize = 1024 * 1024;

/// Why a text is not a policy. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// A place of the text is not TOML, or not what the policy has there.
    #[error("line {line}, column {column}: {text}")]
    At {
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// What is wrong, and the nearest word that would be right.
        text: String,
    },
    /// Over [`BUNDLE_MAX`].
    #[error("the policy has {0} bytes; at most {BUNDLE_MAX} are read")]
    TooLong(usize),
}

/// What a file starts from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Base {
    /// The rules and ranks of this release.
    #[default]
    BuiltIn,
    /// No rule and no rank: the file names all there are.
    None,
}

/// The keys of a file: those of [`Policy`], and what they are laid over.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    base: Base,
    source_kinds: Option<Vec<String>>,
    #[serde(default)]
    rules: BTreeMap<String, Rule>,
    #[serde(default)]
    owners: BTreeMap<String, Region>,
    #[serde(default)]
    follows: BTreeMap<String, String>,
    #[serde(default)]
    four_eyes: BTreeMap<String, FourEyes>,
    #[serde(default)]
    non_owner: NonOwner,
    #[serde(default)]
    checks: BTreeMap<String, Check>,
    #[serde(default)]
    codes: BTreeMap<String, String>,
    #[serde(default)]
    numbers: BTreeMap<Region, NumberRange>,
    #[serde(default)]
    principals: BTreeMap<String, Principal>,
    governors: Option<Governors>,
}

/// Reads a policy from TOML.
///
/// # Errors
/// The first [`BundleError`]: the text is too long, is not TOML, lacks `version`, or has a key, a
/// word or a type that the policy does not know. A policy that is read may still have faults
/// ([`Policy::faults`]).
pub fn read(text: &str) -> Result<Policy, BundleError> {
    if text.len() > BUNDLE_MAX {
        return Err(BundleError::TooLong(text.len()));
    }
    // Editors of some systems start a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    toml::from_str::<File>(text).map(File::into_policy).map_err(|error| {
        let (line, column) = place(text, error.span().map_or(0, |span| span.start));
        BundleError::At { line, column, text: message::plain(error.message()) }
    })
}

impl File {
    /// Every field by name, so that a new one cannot be forgotten.
    fn into_policy(self) -> Policy {
        let Policy { mut rules, mut source_kinds, .. } = Policy::built_in();
        if self.base == Base::None {
            rules = Rules::default();
            source_kinds.clear();
        }
        rules.extend(self.rules);
        Policy {
            version: self.version,
            source_kinds: self.source_kinds.unwrap_or(source_kinds),
            rules,
            owners: self.owners,
            follows: self.follows,
            four_eyes: self.four_eyes,
            non_owner: self.non_owner,
            checks: self.checks,
            codes: self.codes,
            numbers: self.numbers,
            principals: self.principals,
            governors: self.governors,
        }
    }
}

/// The line and the character of a byte of the text, both from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

#[cfg(test)]
mod document;
#[cfg(test)]
mod tests;
