//! The attributes of the canonical customer record: what there is, what each takes, and whether a
//! claim keeps to it.
//!
//! [`Attribute::check`] judges stored claims, so it uses arithmetic and shapes alone and never a
//! registry that changes: the same claim gets the same verdict on every node and in every release.
//! What a registry knows (which countries, currencies and telephone numbers exist) is asked once, at
//! the door, in [`crate::normalize`]. Which value survives is no matter of this module.

mod check;
mod checksum;
mod fault;
mod index;
mod key;
mod table;

use std::borrow::Cow;
use std::cmp::Ordering;

use rust_decimal::Decimal;

pub use self::fault::{CODES, Fault};
pub use self::key::KeyType;
pub use self::table::table;
use crate::id::RecordKind;
use crate::path::{AttributePath, SEGMENTS_MAX, segments, unescape};
use crate::time::parse_date;
use crate::value::{Assertion, Scalar, Value};

pub(crate) use self::check::{CheckedPath, check_scalar, is_forbidden, is_iban};
pub(crate) use self::checksum::{digits, is_luhn, is_mod_11_10, luhn_sum, mod_97, weighted};
pub(crate) use self::fault::{Flaw, quote};
use self::index::facts;
pub(crate) use self::index::{Node, root};
pub(crate) use self::key::{NAME_DIGEST, PRINCIPAL_MAX};
use self::table::BLOCK;
pub(crate) use self::table::TEXT_MAX;

/// What kind of value an attribute takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// Text of up to so many characters after NFC normalisation and trimming.
    Text(usize),
    /// Text of up to so many characters that keeps its line breaks.
    Prose(usize),
    /// A code of up to so many characters: letters, digits, `_`, `-`, `.`; which codes exist is
    /// governed by code lists.
    Code(usize),
    /// One of these words, from the least to the most conservative.
    Ranked(&'static [&'static str]),
    /// One of these words, in no order.
    Word(&'static [&'static str]),
    /// True or false.
    Bool,
    /// Always true: that the item is there is all there is to say. `null` removes it.
    Present,
    /// A whole number in this range.
    Int(i64, i64),
    /// An amount of at least so much in minor units of the currency that the member `currency` of
    /// the same group names.
    Money(i64),
    /// A decimal number in this range, as text without superfluous zeros.
    Decimal(i64, i64),
    /// A day, ISO 8601 `YYYY-MM-DD`.
    Date,
    /// A day, month or year, ISO 8601: `YYYY-MM-DD`, `YYYY-MM` or `YYYY`.
    PartialDate,
    /// A country, ISO 3166-1 alpha-2.
    Country,
    /// A currency, ISO 4217.
    Currency,
    /// A language tag, BCP 47.
    Language,
    /// A web address (http or https).
    Url,
    /// An e-mail address, RFC 5321, its domain in lower case.
    Email,
    /// A telephone number, E.164 with optional `;ext=`.
    Phone,
    /// A bank account number, ISO 13616.
    Iban,
    /// A bank, ISO 9362.
    Bic,
    /// A legal entity identifier, ISO 17442.
    Lei,
    /// A D-U-N-S number: nine digits.
    Duns,
    /// A GS1 global location number: thirteen digits with check digit.
    Gln,
    /// A region of the network.
    Region,
    /// The id of an item of the same record, such as an address.
    ItemId,
    /// A reference to another customer record.
    Record,
    /// A JSON object in the canonical form of RFC 8785, of up to so many bytes: how the facts of
    /// governance hold what they propose.
    Json(usize),
    /// Members that survive together. Where the first is the only one required, it may be stated
    /// alone: `"fraud"` for a block.
    Group(&'static [Member]),
}

/// One member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its name in the JSON object.
    pub name: &'static str,
    /// What it takes; never a group.
    pub value: ValueType,
    /// Whether a group without it is refused.
    pub required: bool,
}

/// What is at stake: lint rules and access follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Descriptive data.
    Ordinary,
    /// Decides what is paid, by whom, when and to which account.
    Money,
    /// Decides what is allowed.
    Compliance,
}

/// One row of the attribute table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// The path with placeholders, for example `company/{company_code}/payment_terms`.
    pub pattern: &'static str,
    /// What a clerk calls it.
    pub title: &'static str,
    /// What it takes.
    pub value: ValueType,
    /// What is at stake.
    pub class: Class,
    /// The standard or register that defines it; empty when it is plain business data.
    pub standard: &'static str,
    /// What each placeholder of the pattern stands for, in order.
    pub keys: &'static [KeyType],
    /// Its place in the [`table()`]; a fact of governance has none.
    pub place: Option<usize>,
}

/// The attribute that a path names, the facts of governance among them; `None` when the table has none, for example because a newer
/// release added it.
///
/// A literal segment of a pattern wins over a placeholder.
#[must_use]
pub fn lookup(path: &AttributePath) -> Option<&'static Attribute> {
    let mut segments = [""; SEGMENTS_MAX];
    let mut count = 0;
    for (place, segment) in segments.iter_mut().zip(path.escaped()) {
        *place = segment;
        count += 1;
    }
    let segments = &segments[..count];
    root().find(segments).or_else(|| facts().find(segments))
}

impl Attribute {
    /// What the placeholders of the pattern stand for in a path, for example
    /// `[("company_code", "1000")]`.
    #[must_use]
    pub fn placeholders<'p>(&self, path: &'p AttributePath) -> Vec<(&'static str, Cow<'p, str>)> {
        if self.keys.is_empty() {
            return Vec::new();
        }
        let named = |(pattern, escaped): (&'static str, &'p str)| {
            let name = pattern.strip_prefix('{')?.strip_suffix('}')?;
            Some((name, unescape(escaped)))
        };
        segments(self.pattern).zip(path.escaped()).filter_map(named).collect()
    }

    /// Whether a path names one item of a set or collection, such as one bank account: the last
    /// segment of the pattern is a placeholder. Attributes that customers define are not items.
    #[must_use]
    pub fn is_item(&self) -> bool {
        self.pattern.ends_with('}') && self.keys.last() != Some(&KeyType::Defined)
    }

    /// The item that a path of the attribute belongs to: `bank/DE89…` for its verification. `None` for
    /// an attribute that stands by itself.
    #[must_use]
    pub fn item_of<'p>(&self, path: &'p AttributePath) -> Option<&'p str> {
        let depth = index::item_depth(self)?;
        let (end, _) = path.as_str().match_indices('/').nth(depth - 1)?;
        path.as_str().get(..end)
    }

    /// The kind of record that carries it.
    #[must_use]
    pub fn record_kind(&self) -> RecordKind {
        let section = self.pattern.split('/').next();
        if matches!(section, Some("code_list" | "code" | "code_map")) {
            RecordKind::CodeList
        } else {
            RecordKind::Customer
        }
    }

    /// Whether it is a block or hold: a reason, and perhaps a day until which it stands.
    #[must_use]
    pub fn is_block(&self) -> bool {
        self.value == ValueType::Group(BLOCK)
    }

    /// Whether a claim on it may be a release: for blocks and for items of a set.
    #[must_use]
    pub fn is_releasable(&self) -> bool {
        self.is_block() || self.is_item()
    }

    /// Judges a claim. The verdict depends on nothing but the arguments.
    ///
    /// # Errors
    /// The first [`Fault`]: the path is not canonical, the value is of the wrong type or shape, over
    /// a limit, or disagrees with the item that the path names.
    pub fn check(&self, path: &AttributePath, assertion: &Assertion) -> Result<(), Fault> {
        self.check_path(path)?.check(assertion)
    }

    /// The part of [`check`](Self::check) that is the same for every claim on a path.
    pub(crate) fn check_path<'a>(
        &'a self,
        path: &'a AttributePath,
    ) -> Result<CheckedPath<'a>, Fault> {
        check::check_path(self, path)
    }

    /// The conservative order of two values: the greater one is the more conservative word of a
    /// ranked list, the later day, the larger number or amount, and `true`.
    ///
    /// `None` when the values cannot be compared: amounts in two currencies, free texts that differ,
    /// or a value that is not of the attribute's type.
    #[must_use]
    pub fn compare(&self, a: &Value, b: &Value) -> Option<Ordering> {
        if a == b {
            return Some(Ordering::Equal);
        }
        match (a, b) {
            (Value::One(a), Value::One(b)) => compare_scalars(&self.value, a, b),
            (Value::Group(_), Value::Group(_)) => self.compare_groups(a, b),
            (Value::One(_), Value::Group(_)) | (Value::Group(_), Value::One(_)) => None,
        }
    }

    /// Groups compare by their amount, when in one currency, or else by their ranked member, which says
    /// its first word where it is not stated.
    fn compare_groups(&self, a: &Value, b: &Value) -> Option<Ordering> {
        let ValueType::Group(members) = self.value else { return None };
        let deciding = members
            .iter()
            .find(|member| matches!(member.value, ValueType::Money(_) | ValueType::Ranked(_)))?;
        let is_money = matches!(deciding.value, ValueType::Money(_));
        if is_money && a.member("currency") != b.member("currency") {
            return None;
        }
        let [a, b] = [a, b].map(|group| group.member(deciding.name));
        match (deciding.value, a, b) {
            (ValueType::Ranked(words), Some(Scalar::Text(said)), None) => {
                Some(rank(words, said)?.cmp(&0))
            }
            (ValueType::Ranked(words), None, Some(Scalar::Text(said))) => {
                Some(0.cmp(&rank(words, said)?))
            }
            (ValueType::Ranked(_), None, None) => Some(Ordering::Equal),
            (value, a, b) => compare_scalars(&value, a?, b?),
        }
    }
}

/// The place of a word in its list.
fn rank(words: &[&str], said: &str) -> Option<usize> {
    words.iter().position(|word| *word == said)
}

fn compare_scalars(value: &ValueType, a: &Scalar, b: &Scalar) -> Option<Ordering> {
    match (value, a, b) {
        (ValueType::Bool | ValueType::Present, Scalar::Bool(a), Scalar::Bool(b)) => Some(a.cmp(b)),
        (ValueType::Int(..) | ValueType::Money(_), Scalar::Int(a), Scalar::Int(b)) => {
            Some(a.cmp(b))
        }
        (ValueType::Ranked(words), Scalar::Text(a), Scalar::Text(b)) => {
            Some(rank(words, a)?.cmp(&rank(words, b)?))
        }
        (ValueType::Date, Scalar::Text(a), Scalar::Text(b)) => {
            Some(parse_date(a)?.cmp(&parse_date(b)?))
        }
        (ValueType::Decimal(..), Scalar::Text(a), Scalar::Text(b)) => {
            Some(a.parse::<Decimal>().ok()?.cmp(&b.parse::<Decimal>().ok()?))
        }
        (_, a, b) => (a == b).then_some(Ordering::Equal),
    }
}

#[cfg(test)]
mod tests;
