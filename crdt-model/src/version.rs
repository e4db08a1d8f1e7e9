//! The version of a record: which changes it holds, named by the last of them.
//!
//! Not a number and not a time: two versions may have been made apart, and then neither is newer.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::parse_hex;

/// A version of a record: the hashes of the changes that no other change of the record follows, in
/// ascending order. A hash names everything before it, so equal versions are equal records.
///
/// Written as hexadecimal hashes joined by `-`; the version of an empty record is `0`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(Vec<[u8; 32]>);

impl Version {
    /// The version with these hashes, in whatever order they come.
    #[must_use]
    pub fn new(mut heads: Vec<[u8; 32]>) -> Self {
        heads.sort_unstable();
        heads.dedup();
        Self(heads)
    }

    /// The hashes, in ascending order.
    #[must_use]
    pub fn heads(&self) -> &[[u8; 32]] {
        &self.0
    }

    /// Whether it is the version of an empty record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("0");
        }
        for (index, head) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("-")?;
            }
            head.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

/// A text is not a version. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not a version of a record: take the text as the record showed it, \
     64 hexadecimal digits each joined by '-', or 0"
)]
pub struct VersionError;

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        if text == "0" {
            return Ok(Self::default());
        }
        let heads: Vec<[u8; 32]> =
            text.split('-').map(parse_hex).collect::<Option<_>>().ok_or(VersionError)?;
        // One text for one version: tags and idempotency compare the text.
        if heads.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(VersionError);
        }
        Ok(Self(heads))
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}
