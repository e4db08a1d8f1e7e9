//! Values and assertions: what a claim says, and how it stands in the document.
//!
//! A register of the document holds a plain scalar, so that any Automerge tool can read it:
//! `Null` for a tombstone, `Bool`, `Int`, or `Str`. A `Str` that starts with `{` is a JSON object in
//! the canonical form of RFC 8785; it carries a group of members that survive together, and what a
//! plain scalar cannot: the validity, the text as the source wrote it, or a release.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::path::Slot;
use crate::time::parse_date;

mod canonical;
mod read;

pub use self::canonical::canonical_json;

/// A scalar inside a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// A whole number; money is in minor units of its currency.
    Int(i64),
    /// Text, codes, dates (ISO 8601) and decimals.
    Text(String),
}

/// The value of one attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// One scalar.
    One(Scalar),
    /// Members that survive together, such as an address or a limit with its currency.
    Group(BTreeMap<String, Scalar>),
}

impl Value {
    /// A text value.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::One(Scalar::Text(text.into()))
    }

    /// The text, when the value is one text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::One(Scalar::Text(text)) => Some(text),
            Self::One(Scalar::Bool(_) | Scalar::Int(_)) | Self::Group(_) => None,
        }
    }

    /// A member of a group.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Scalar> {
        match self {
            Self::Group(members) => members.get(name),
            Self::One(_) => None,
        }
    }
}

/// A value as a source states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The normalised value. Shared, since every explanation shows it again.
    pub value: Arc<Value>,
    /// The text as the source wrote it, where it differs from the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// The first day on which the value holds; none: since ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Date>,
    /// The last day on which the value holds; none: until further notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Date>,
}

impl Statement {
    /// A statement without validity whose value is as the source wrote it.
    #[must_use]
    pub fn plain(value: Value) -> Self {
        Self { value: Arc::new(value), raw: None, valid_from: None, valid_to: None }
    }
}

/// What a claim says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assertion {
    /// The attribute has this value.
    Stated(Statement),
    /// The source says nothing about the attribute any more. Other sources' claims stand.
    Tombstone,
    /// Every claim on the attribute that the writer had seen is lifted, with the reason; what it had
    /// not seen stands. For blocks and for members of a set.
    Release {
        /// Why, for the reader of the history.
        reason: String,
    },
}

/// A register of the document as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// A tombstone.
    Null,
    /// A plain boolean.
    Bool(bool),
    /// A plain whole number.
    Int(i64),
    /// A plain text, or a canonical JSON object when it starts with `{`.
    Str(String),
}

/// Why a cell is not an assertion. The claim is kept, does not take part, and is reported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CellError {
    /// A text that starts with `{` and is not a JSON object of scalars.
    #[error("the stored text is not a JSON object of texts, whole numbers and booleans")]
    NotAnObject,
    /// `valid_from` or `valid_to` is not a date, or the validity ends before it starts.
    #[error("the validity is not a pair of dates in order")]
    Validity,
    /// A value that stands where another day or a release belongs.
    #[error("the value stands in the register of another day, or in that of a release")]
    Slot,
}

const VALUE: &str = "value";
const RAW: &str = "raw";
const VALID_FROM: &str = "valid_from";
const VALID_TO: &str = "valid_to";
const RELEASE: &str = "release";

/// Member names that a group cannot use, because they describe the statement and not the value.
pub const RESERVED_MEMBERS: [&str; 5] = [VALUE, RAW, VALID_FROM, VALID_TO, RELEASE];

impl Assertion {
    /// The assertion as it is stored.
    #[must_use]
    pub fn to_cell(&self) -> Cell {
        match self {
            Self::Tombstone => Cell::Null,
            Self::Release { reason } => {
                object(&BTreeMap::from([(RELEASE.to_owned(), Scalar::Text(reason.clone()))]))
            }
            Self::Stated(statement) => statement.to_cell(),
        }
    }

    /// Reads a stored cell.
    ///
    /// # Errors
    /// [`CellError`] when the cell came from a writer that did not keep to the encoding.
    pub fn from_cell(cell: &Cell) -> Result<Self, CellError> {
        let scalar = match cell {
            Cell::Null => return Ok(Self::Tombstone),
            Cell::Str(text) if text.starts_with('{') => return Self::from_object(text),
            Cell::Str(text) => Scalar::Text(text.clone()),
            Cell::Bool(flag) => Scalar::Bool(*flag),
            Cell::Int(number) => Scalar::Int(*number),
        };
        Ok(Self::Stated(Statement::plain(Value::One(scalar))))
    }

    /// Reads what stands in a slot.
    ///
    /// # Errors
    /// [`CellError`] when the cell came from a writer that did not keep to the encoding.
    pub fn in_slot(slot: Slot, cell: &Cell) -> Result<Self, CellError> {
        let assertion = Self::from_cell(cell)?;
        let belongs = assertion == Self::Tombstone || Slot::of(&assertion) == slot;
        if belongs { Ok(assertion) } else { Err(CellError::Slot) }
    }

    /// Whether a source that says this on a day says by it no longer what it had said in another
    /// slot. A value without a first day ends the dated ones that have begun, and leaves those that
    /// are planned; removing what was said removes them all. A release stays until the same source
    /// releases again: it lifts what it had seen and nothing after.
    #[must_use]
    pub fn ends(&self, slot: Slot, on: Date) -> bool {
        match (self, slot) {
            (Self::Release { .. }, _) | (_, Slot::Release) => false,
            (Self::Tombstone, Slot::Undated | Slot::From(_)) => true,
            (Self::Stated(Statement { valid_from: None, .. }), Slot::From(day)) => day <= on,
            (Self::Stated(_), Slot::Undated | Slot::From(_)) => false,
        }
    }

    fn from_object(text: &str) -> Result<Self, CellError> {
        let mut members: BTreeMap<String, Scalar> =
            serde_json::from_str(text).map_err(|_| CellError::NotAnObject)?;
        if let Some(Scalar::Text(reason)) = members.get(RELEASE) {
            return Ok(Self::Release { reason: reason.clone() });
        }
        let mut text_member = |name| match members.remove(name) {
            None => Ok(None),
            Some(Scalar::Text(text)) => Ok(Some(text)),
            Some(Scalar::Bool(_) | Scalar::Int(_)) => Err(CellError::NotAnObject),
        };
        let raw = text_member(RAW)?;
        let valid_from = day(text_member(VALID_FROM)?)?;
        let valid_to = day(text_member(VALID_TO)?)?;
        if valid_from.zip(valid_to).is_some_and(|(from, to)| from > to) {
            return Err(CellError::Validity);
        }
        let value = Arc::new(match members.remove(VALUE) {
            Some(scalar) if members.is_empty() => Value::One(scalar),
            Some(_) => return Err(CellError::NotAnObject),
            None => Value::Group(members),
        });
        Ok(Self::Stated(Statement { value, raw, valid_from, valid_to }))
    }
}

impl Statement {
    fn to_cell(&self) -> Cell {
        let bare = self.raw.is_none() && self.valid_from.is_none() && self.valid_to.is_none();
        let mut members = match &*self.value {
            Value::One(Scalar::Bool(flag)) if bare => return Cell::Bool(*flag),
            Value::One(Scalar::Int(number)) if bare => return Cell::Int(*number),
            Value::One(Scalar::Text(text)) if bare && !text.starts_with('{') => {
                return Cell::Str(text.clone());
            }
            Value::One(scalar) => BTreeMap::from([(VALUE.to_owned(), scalar.clone())]),
            Value::Group(members) => members.clone(),
        };
        let mut extra = |name: &str, text: Option<String>| {
            if let Some(text) = text {
                members.insert(name.to_owned(), Scalar::Text(text));
            }
        };
        extra(RAW, self.raw.clone());
        extra(VALID_FROM, self.valid_from.map(|date| date.to_string()));
        extra(VALID_TO, self.valid_to.map(|date| date.to_string()));
        object(&members)
    }
}

fn object(members: &BTreeMap<String, Scalar>) -> Cell {
    Cell::Str(canonical_json(members))
}

fn day(text: Option<String>) -> Result<Option<Date>, CellError> {
    text.map(|text| parse_date(&text).ok_or(CellError::Validity)).transpose()
}

#[cfg(test)]
mod tests;
