//! Attribute paths and claim keys: the one addressing scheme of the product.
//!
//! A path is `section[/scope]/attribute[/item]`, for example `company/1000/payment_terms` or
//! `bank/DE89370400440532013000`. The same text is the key in the document, the argument of the
//! command line, the target in a mapping file and, nested, the JSON of the HTTP interface. A claim
//! key is a path, `@`, the source that makes the claim and, where it has several, which of its
//! registers on the attribute is meant.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize, Serializer};

use crate::id::SourceName;
use crate::time::parse_date;
use crate::value::Assertion;

/// The most bytes that a claim key may have, escapes included.
pub const CLAIM_KEY_MAX: usize = 384;
/// The most segments that a path may have.
pub const SEGMENTS_MAX: usize = 6;

/// Why a text is not a path or claim key. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Fewer than two or more than [`SEGMENTS_MAX`] segments, or an empty one.
    #[error("a path has 2 to {SEGMENTS_MAX} non-empty segments separated by '/'")]
    Shape,
    /// A byte outside the alphabet, or an escape that is not canonical.
    #[error("a path segment is ASCII letters, digits and _.:- ; anything else is escaped as %XX")]
    Alphabet,
    /// Over [`CLAIM_KEY_MAX`] bytes.
    #[error("a claim key has at most {CLAIM_KEY_MAX} bytes")]
    TooLong,
    /// No `@`, or what follows it is not a source name.
    #[error("a claim key ends in '@' and a source name")]
    Source,
    /// What follows the source is no slot.
    #[error("after the source a claim key names a day like 2027-01-01, or release")]
    Slot,
}

/// The address of one attribute of a customer, always in canonical form.
///
/// Every claim, every explanation and every index repeats it, so that a copy shares the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct AttributePath(Arc<str>);

impl AttributePath {
    /// Builds a path from segments as people write them, escaping what needs it.
    ///
    /// # Errors
    /// [`PathError`] when there are too few, too many or too long segments.
    pub fn from_segments<S: AsRef<str>>(segments: &[S]) -> Result<Self, PathError> {
        let escaped: Vec<String> = segments.iter().map(|s| escape(s.as_ref())).collect();
        escaped.join("/").parse()
    }

    /// The canonical text, escapes included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments as they stand in the path, escapes included.
    pub(crate) fn escaped(&self) -> impl Iterator<Item = &str> {
        segments(&self.0)
    }

    /// The segments as people write them, unescaped.
    #[must_use]
    pub fn segments(&self) -> Vec<String> {
        self.0.split('/').map(|segment| unescape(segment).into_owned()).collect()
    }

    /// The path followed by further segments.
    ///
    /// # Errors
    /// [`PathError`] when the result is too long.
    pub fn join(&self, segment: &str) -> Result<Self, PathError> {
        format!("{}/{}", self.0, escape(segment)).parse()
    }
}

/// What stands between the slashes. Segments are short, and a resolution takes hundreds of paths apart:
/// to go byte by byte is faster than to search.
pub(crate) fn segments(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.bytes().position(|byte| byte == b'/') else { return rest.take() };
        rest = text.get(end + 1..);
        text.get(..end)
    })
}

impl fmt::Display for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AttributePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        if text.len() > CLAIM_KEY_MAX {
            return Err(PathError::TooLong);
        }
        let count = segments(text).count();
        if !(2..=SEGMENTS_MAX).contains(&count) || segments(text).any(str::is_empty) {
            return Err(PathError::Shape);
        }
        if !segments(text).all(is_canonical) {
            return Err(PathError::Alphabet);
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for AttributePath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}

impl From<AttributePath> for String {
    fn from(path: AttributePath) -> Self {
        (*path.0).to_owned()
    }
}

impl Serialize for AttributePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Which of the registers of one source on one attribute.
///
/// What holds from a day on stands beside what holds now, and what lifts the claims of others beside
/// what the source says itself: neither takes the place of the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// What holds without a first day.
    #[default]
    Undated,
    /// What holds from this day on.
    From(Date),
    /// The release of other claims.
    Release,
}

impl Slot {
    /// Where an assertion stands. A tombstone stands in the slot that it ends; without a word that is
    /// the undated one.
    #[must_use]
    pub fn of(assertion: &Assertion) -> Self {
        match assertion {
            Assertion::Release { .. } => Self::Release,
            Assertion::Stated(statement) => statement.valid_from.map_or(Self::Undated, Self::From),
            Assertion::Tombstone => Self::Undated,
        }
    }
}

/// What stands for [`Slot::Release`] in a key.
const RELEASE: &str = "release";

/// The key of one register in the document: what one source says about one attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey {
    /// The attribute.
    pub path: AttributePath,
    /// The source that makes the claim.
    pub source: SourceName,
    /// Which of its registers there.
    pub slot: Slot,
}

impl fmt::Display for ClaimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl FromStr for ClaimKey {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::read(text, None)
    }
}

impl ClaimKey {
    /// The key as text: every change is written with some, so no formatter stands in between.
    pub(crate) fn text(&self) -> String {
        let (path, source) = (self.path.as_str(), self.source.as_str());
        match self.slot {
            Slot::Undated => [path, "@", source].concat(),
            Slot::From(day) => format!("{path}@{source}@{day}"),
            Slot::Release => [path, "@", source, "@", RELEASE].concat(),
        }
    }

    /// Reads a key; the name of its source is shared with that of the key before it, if it is the same.
    pub(crate) fn read(text: &str, before: Option<&SourceName>) -> Result<Self, PathError> {
        if text.len() > CLAIM_KEY_MAX {
            return Err(PathError::TooLong);
        }
        let (path, rest) = text.split_once('@').ok_or(PathError::Source)?;
        let (source, slot) = match rest.split_once('@') {
            None => (rest, Slot::Undated),
            Some((source, RELEASE)) => (source, Slot::Release),
            Some((source, day)) => (source, Slot::From(parse_date(day).ok_or(PathError::Slot)?)),
        };
        let source = match before.filter(|before| before.as_str() == source) {
            Some(before) => before.clone(),
            None => source.parse().map_err(|_| PathError::Source)?,
        };
        Ok(Self { path: path.parse()?, source, slot })
    }
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-')
}

/// Whether a segment is as [`escape`] writes it.
fn is_canonical(segment: &str) -> bool {
    segment.bytes().all(is_plain) || escape(&unescape(segment)) == segment
}

fn escape(segment: &str) -> String {
    let mut escaped = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if is_plain(byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// Undoes [`escape`]; text that [`escape`] did not make comes back as something that escapes differently.
pub(crate) fn unescape(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let bytes = segment.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| segment.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

#[cfg(test)]
mod tests;
