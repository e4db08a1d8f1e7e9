//! The door: from what a person or a file states to a canonical path and an assertion.
//!
//! Everything is normalised once, here, at the writer; readers and peers never normalise again. What
//! goes through the door always passes [`Attribute::check`](crate::attribute::Attribute::check); the
//! door also asks registries, which the check must not. How a whole JSON tree becomes single
//! attributes is told in [`crate::tree`].
//!
//! An input is a JSON value:
//! - `null` says nothing any more: a tombstone.
//! - A text, number or boolean is the value. Where an attribute takes an object, a single text stands
//!   for its first member where no other is required (`"fraud"` for a block), and `true` for an item whose path says all.
//! - An object holds the members of a group, or `value` alone, and beside them perhaps `valid_from`,
//!   `valid_to` and `raw`.
//! - `{"release": "reason"}` lifts a block or the claims of others on an item.
//! - An amount is a whole number of minor units, or a decimal text in the currency itself: `1250` and
//!   `"12.50"` are the same euros.

mod group;
mod key;
mod money;
mod patch;
mod phone;
mod registry;
mod scalar;
mod suggest;
mod text;
mod vat;

use serde_json::{Map, Value as Json};

use jiff::civil::Date;

pub use self::key::trading_name_key;
pub use self::money::{MoneyError, format_money, parse_money};
pub use self::patch::normalize_patch;
pub(crate) use self::suggest::did_you_mean;
pub(crate) use self::suggest::nearest;
use crate::attribute::{Attribute, Fault, Flaw, KeyType, ValueType, lookup, quote, table};
use crate::governance;
use crate::path::{AttributePath, CLAIM_KEY_MAX};
use crate::time::parse_date;
use crate::value::{Assertion, RESERVED_MEMBERS, Scalar, Statement, Value};

/// The version of the normalisation rules. Each commit names the one that its writer used.
pub const RULESET: u32 = 1;

/// The bytes of a claim key that are kept for `@` and the source.
const SOURCE_MAX: usize = 33;

/// What the writer's surroundings add to what is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    default_country: Option<String>,
}

impl Context {
    /// A context in which telephone numbers without country code belong to a country.
    ///
    /// # Errors
    /// [`Fault`] when it is not a country of ISO 3166-1.
    pub fn with_country(country: &str) -> Result<Self, Fault> {
        let country = registry::country(country).map_err(|flaw| flaw.at_keys(&[]))?;
        Ok(Self { default_country: Some(country) })
    }

    /// The country of telephone numbers without country code, alpha-2.
    #[must_use]
    pub fn default_country(&self) -> Option<&str> {
        self.default_country.as_deref()
    }
}

/// Normalises what a source states about one attribute.
///
/// # Errors
/// Every [`Fault`] found, at least one. Nothing was changed.
pub fn normalize(
    path: &AttributePath,
    input: &Json,
    context: &Context,
) -> Result<(AttributePath, Assertion), Vec<Fault>> {
    let attribute = attribute_of(path).map_err(|fault| vec![fault])?;
    let canonical = canonical(attribute, path, context).map_err(|fault| vec![fault])?;
    let item = Item { attribute, written: path, canonical: &canonical, context };
    let assertion = item.assertion(input)?;
    // The promise of this module, kept even where a rule above forgot something.
    attribute.check(&canonical, &assertion).map_err(|fault| vec![fault])?;
    Ok((canonical, assertion))
}

/// The canonical form of a path: `bank/de89 3704…` becomes `bank/DE89370400440532013000`.
///
/// # Errors
/// The [`Fault`] of an unknown attribute or of a key that has the wrong shape.
pub fn canonical_path(path: &AttributePath, context: &Context) -> Result<AttributePath, Fault> {
    canonical(attribute_of(path)?, path, context)
}

fn attribute_of(path: &AttributePath) -> Result<&'static Attribute, Fault> {
    let section = path.as_str().split('/').next().unwrap_or_default();
    if let Some(flaw) = governance::closed_section(section) {
        return Err(flaw.at(path));
    }
    lookup(path).ok_or_else(|| {
        let segments = path.segments();
        // Anything is near to a name that customers define.
        let named = table().iter().filter(|a| a.keys.first() != Some(&KeyType::Defined));
        let candidates = named.map(|attribute| filled(attribute.pattern, &segments));
        let hint = did_you_mean(&segments.join("/"), candidates);
        let text = format!("There is no attribute {}.{hint}", quote(path.as_str()));
        Flaw::new("attribute-unknown", text).at(path)
    })
}

/// A pattern with the segments of a path in its placeholders, so that only names are compared.
fn filled(pattern: &str, segments: &[String]) -> String {
    let fill = |(at, part): (usize, &str)| match segments.get(at) {
        Some(segment) if part.starts_with('{') => segment.clone(),
        _ => part.to_owned(),
    };
    pattern.split('/').enumerate().map(fill).collect::<Vec<String>>().join("/")
}

fn canonical(
    attribute: &Attribute,
    path: &AttributePath,
    context: &Context,
) -> Result<AttributePath, Fault> {
    let mut kinds = attribute.keys.iter();
    let mut segments = path.segments();
    for (pattern, segment) in attribute.pattern.split('/').zip(&mut segments) {
        let kind = if pattern.starts_with('{') { kinds.next() } else { None };
        if let Some(kind) = kind {
            *segment = key::canonical(*kind, segment, context).map_err(|flaw| flaw.at(path))?;
        }
    }
    AttributePath::from_segments(&segments)
        .ok()
        .filter(|canonical| canonical.as_str().len() <= CLAIM_KEY_MAX - SOURCE_MAX)
        .ok_or_else(|| {
            Flaw::new("path-too-long", "The names in this path are too long. Shorten them.")
                .at(path)
        })
}

/// An attribute at a path, as it was written and in canonical form.
struct Item<'a> {
    attribute: &'static Attribute,
    written: &'a AttributePath,
    canonical: &'a AttributePath,
    context: &'a Context,
}

/// What describes the statement, taken from around the value.
#[derive(Default)]
struct Frame {
    valid_from: Option<Date>,
    valid_to: Option<Date>,
    raw: Option<String>,
}

impl Item<'_> {
    fn assertion(&self, input: &Json) -> Result<Assertion, Vec<Fault>> {
        let Json::Object(object) = input else { return self.stated(Frame::default(), input) };
        if let Some(reason) = object.get("release") {
            return self.release(object, reason);
        }
        let mut body = object.clone();
        let frame = self.frame(&mut body)?;
        match body.remove("value") {
            None => self.stated(frame, &Json::Object(body)),
            Some(value) if body.is_empty() => self.stated(frame, &value),
            Some(_) => Err(self.faults(
                "member-unknown",
                "Beside \"value\" only valid_from, valid_to and raw can stand.",
            )),
        }
    }

    fn faults(&self, code: &'static str, text: impl Into<String>) -> Vec<Fault> {
        vec![Flaw::new(code, text).at(self.written)]
    }

    fn release(&self, object: &Map<String, Json>, reason: &Json) -> Result<Assertion, Vec<Fault>> {
        let Some(reason) = reason.as_str().filter(|_| object.len() == 1) else {
            return Err(self.faults(
                "wrong-type",
                "A release is an object with the reason alone: {\"release\": \"reason\"}.",
            ));
        };
        let reason = text::line(reason).map_err(|flaw| vec![flaw.at(self.written)])?;
        Ok(Assertion::Release { reason })
    }

    /// Takes what describes the statement out of an object.
    fn frame(&self, body: &mut Map<String, Json>) -> Result<Frame, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut take = |name: &str| match body.remove(name) {
            None | Some(Json::Null) => None,
            Some(Json::String(text)) => Some(text),
            Some(Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => {
                let flaw = Flaw::new("wrong-type", format!("{name} takes a text."));
                faults.push(flaw.at_member(self.written, name));
                None
            }
        };
        let (from, to, raw) = (take("valid_from"), take("valid_to"), take("raw"));
        let mut day = |name: &str, text: Option<String>| {
            let input = Json::String(text?);
            let normal = scalar::scalar(&ValueType::Date, &input, self.context);
            match normal.map(|normal| normal.scalar) {
                Ok(Scalar::Text(day)) => parse_date(&day),
                Ok(Scalar::Bool(_) | Scalar::Int(_)) => None,
                Err(flaw) => {
                    faults.push(flaw.at_member(self.written, name));
                    None
                }
            }
        };
        let (valid_from, valid_to) = (day("valid_from", from), day("valid_to", to));
        if faults.is_empty() { Ok(Frame { valid_from, valid_to, raw }) } else { Err(faults) }
    }

    /// A value, its validity, and the text as written: the given one, or what the value differs from.
    fn stated(&self, frame: Frame, body: &Json) -> Result<Assertion, Vec<Fault>> {
        let (value, raw) = match (body, self.attribute.value) {
            (Json::Null, _) => return Ok(Assertion::Tombstone),
            (_, ValueType::Group(known)) => (self.group(known, body)?, self.written_key()),
            (Json::Object(object), _) if object.is_empty() && self.is_whole_item() => {
                (Value::One(Scalar::Bool(true)), self.written_key())
            }
            (Json::Object(object), _) => return Err(self.not_an_object(object)),
            (_, ValueType::Present) => (self.present(body)?, self.written_key()),
            (_, kind) => {
                let body = self.name_from_key(body);
                let normal = scalar::scalar(&kind, &body, self.context)
                    .map_err(|flaw| vec![flaw.at(self.written)])?;
                (Value::One(normal.scalar), normal.raw)
            }
        };
        let Frame { valid_from, valid_to, raw: given } = frame;
        Ok(Assertion::Stated(Statement {
            value: value.into(),
            raw: given.or(raw),
            valid_from,
            valid_to,
        }))
    }

    fn is_whole_item(&self) -> bool {
        self.attribute.value == ValueType::Present
    }

    fn not_an_object(&self, object: &Map<String, Json>) -> Vec<Fault> {
        let Some(name) = object.keys().next() else {
            return self.faults("wrong-type", "This takes a single value, not an object.");
        };
        let hint = did_you_mean(name, RESERVED_MEMBERS);
        let text = format!("There is no member {} here.{hint}", quote(name));
        vec![Flaw::new("member-unknown", text).at_member(self.written, name)]
    }

    /// The last segment as written, where the canonical one differs.
    fn written_key(&self) -> Option<String> {
        let written = self.written.segments().pop();
        written.filter(|_| self.attribute.is_item()).filter(|w| Some(w) != self.key().as_ref())
    }

    /// The canonical key of the item.
    fn key(&self) -> Option<String> {
        self.canonical.segments().pop()
    }

    /// A trading name may be said by its path alone.
    fn name_from_key(&self, body: &Json) -> Json {
        let is_name = self.attribute.keys.last() == Some(&KeyType::Name);
        if is_name && *body == Json::Bool(true) {
            return self.written.segments().pop().map_or(Json::Null, Json::String);
        }
        body.clone()
    }

    /// An item that is there: `true`, or a text that repeats the key.
    fn present(&self, body: &Json) -> Result<Value, Vec<Fault>> {
        if let (Json::String(text), Some(kind)) = (body, self.attribute.keys.last())
            && key::canonical(*kind, text, self.context).ok() == self.key()
        {
            return Ok(Value::One(Scalar::Bool(true)));
        }
        scalar::scalar(&ValueType::Present, body, self.context)
            .map(|normal| Value::One(normal.scalar))
            .map_err(|flaw| vec![flaw.at(self.written)])
    }
}

#[cfg(test)]
mod tests;
