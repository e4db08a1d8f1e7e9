//! Identifiers: records, regions, source systems, logs and commits.
//!
//! Every identifier is a newtype with a private field, parsed at the edge. A value of one of these
//! types is always well formed.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

/// Why a text is not an identifier of the kind asked for. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {kind}: {rule}")]
pub struct IdError {
    kind: &'static str,
    text: String,
    rule: &'static str,
}

impl IdError {
    fn new(kind: &'static str, text: &str, rule: &'static str) -> Self {
        // A hostile text must not flood a log line.
        Self { kind, text: text.chars().take(80).collect(), rule }
    }
}

/// The identity of one customer record: a UUID.
///
/// Version 7 (RFC 9562) for records born in Concord, version 8 for imported ones, derived from the
/// key system and the key, so that two files that share a customer number meet in one record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordId([u8; 16]);

impl RecordId {
    /// Takes the bytes as they are; any 16 bytes name a record.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, in network order.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A new record id (UUIDv7) from a time in milliseconds since 1970 and ten random bytes.
    #[must_use]
    pub fn mint(unix_ms: u64, random: [u8; 10]) -> Self {
        Self(*uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid().as_bytes())
    }

    /// The record id (UUIDv8) of a customer that another system knows by `key`.
    ///
    /// The same `key_system` and `key` give the same id on every node and in every release.
    #[must_use]
    pub fn derive(key_system: &str, key: &str) -> Self {
        let mut hasher =
            blake3::Hasher::new_derive_key("concord 2026 record id of an imported key");
        hasher.update(&(key_system.len() as u64).to_be_bytes());
        hasher.update(key_system.as_bytes());
        hasher.update(key.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(*uuid::Builder::from_custom_bytes(bytes).into_uuid().as_bytes())
    }
}

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// A customer.
    Customer,
    /// A code list, such as the payment terms.
    CodeList,
}

impl RecordId {
    /// The record id of a code list: the same on every node and in every release.
    ///
    /// Its first 48 bits are zero. In a UUIDv7 they would be the year 1970, and a hash has them once
    /// in 2^48 records, so that the kind of a record shows in its id, and code lists come before all
    /// customers.
    #[must_use]
    pub fn code_list(name: &str) -> Self {
        let mut bytes = *blake3::Hasher::new_derive_key("concord 2026 record id of a code list")
            .update(name.as_bytes())
            .finalize()
            .as_bytes();
        bytes[..CODE_LIST_ZEROS].fill(0);
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[..16]);
        Self(*uuid::Builder::from_custom_bytes(id).into_uuid().as_bytes())
    }

    /// What the record is about.
    #[must_use]
    pub fn kind(&self) -> RecordKind {
        let is_list = self.0[..CODE_LIST_ZEROS].iter().all(|byte| *byte == 0);
        if is_list { RecordKind::CodeList } else { RecordKind::Customer }
    }

    /// The id before which all code lists stand, and no customer.
    #[must_use]
    pub const fn first_customer() -> Self {
        let mut bytes = [0; 16];
        bytes[CODE_LIST_ZEROS - 1] = 1;
        Self(bytes)
    }
}

/// How many bytes of the id of a code list are zero.
const CODE_LIST_ZEROS: usize = 6;

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", uuid::Uuid::from_bytes(self.0).as_hyphenated())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordId({self})")
    }
}

impl FromStr for RecordId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        uuid::Uuid::try_parse(text)
            .map(|uuid| Self(*uuid.as_bytes()))
            .map_err(|_| IdError::new("a record id", text, "write it as a UUID"))
    }
}

impl TryFrom<String> for RecordId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<RecordId> for String {
    fn from(id: RecordId) -> Self {
        id.to_string()
    }
}

/// A newtype over a short text with a fixed alphabet. Every claim and every explanation repeats one, so
/// that a copy shares the text.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal, $allowed:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let allowed: fn(char) -> bool = $allowed;
                if text.is_empty() || text.len() > $max || !text.chars().all(allowed) {
                    return Err(IdError::new($kind, text, $rule));
                }
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                (*name.0).to_owned()
            }
        }
    };
}

name_type!(
    /// A business territory that owns its copy and its part of the policy, for example `EMEA`.
    Region,
    "a region",
    16,
    |c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-',
    "use 1 to 16 upper-case letters, digits or hyphens"
);

name_type!(
    /// The system of record that makes a claim, for example `erp-emea`. The part before the first
    /// hyphen is its kind, which source priority ranks.
    SourceName,
    "a source name",
    32,
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    "use 1 to 32 lower-case letters, digits or hyphens"
);

impl SourceName {
    /// The kind of the source: `erp` for `erp-emea`.
    #[must_use]
    pub fn kind(&self) -> &str {
        // Names are short: byte by byte is faster than a search.
        let end = self.0.bytes().position(|byte| byte == b'-').unwrap_or(self.0.len());
        &self.0[..end]
    }
}

/// The identity of one log: everything one incarnation of one node wrote.
///
/// Its 16 bytes are also the Automerge actor id of every change in the log.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogId([u8; 16]);

// A resolution compares thousands of them: as one number they need no call.
impl PartialEq for LogId {
    fn eq(&self, other: &Self) -> bool {
        self.number() == other.number()
    }
}

impl Eq for LogId {}

impl PartialOrd for LogId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LogId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl Hash for LogId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl LogId {
    /// The bytes, the first the highest: it orders as they do.
    const fn number(&self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// Takes the bytes as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogId({self})")
    }
}

impl FromStr for LogId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_hex(text)
            .map(Self)
            .ok_or_else(|| IdError::new("a log id", text, "write 32 lower-case hexadecimal digits"))
    }
}

impl TryFrom<String> for LogId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<LogId> for String {
    fn from(id: LogId) -> Self {
        id.to_string()
    }
}

/// Where a commit stands: its log and its sequence number there, which starts at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommitRef {
    /// The log that holds the commit.
    pub log: LogId,
    /// Its number in the log, from 1.
    pub seq: u64,
}

impl fmt::Display for CommitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.log, self.seq)
    }
}

/// Parses exactly `2 * N` lower-case hexadecimal digits.
#[must_use]
pub fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
