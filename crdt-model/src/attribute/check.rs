//! The verdict on a stored claim. Shapes and arithmetic alone: no registry, no locale, no table of
//! another crate that a release could change.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Value as Json;

use super::checksum::{digits, is_gs1, is_iban_checksum, mod_97};
use super::fault::{Fault, Flaw, quote};
use super::key::{is_code_byte, is_country_shape};
use super::{Attribute, KeyType, Member, ValueType};
use crate::id::RecordId;
use crate::limits::{FIELD_MAX, INT_MAX};
use crate::path::AttributePath;
use crate::time::parse_date;
use crate::value::{Assertion, Cell, Scalar, Statement, Value, canonical_json};

/// The most characters of the reason of a release.
const REASON_MAX: usize = 500;
/// The most characters of a web address.
const URL_MAX: usize = 2_000;

/// A path whose keys have the shape that the attribute asks for.
#[derive(Debug)]
pub(crate) struct CheckedPath<'a> {
    attribute: &'a Attribute,
    path: &'a AttributePath,
    keys: Vec<(&'static str, Cow<'a, str>)>,
}

pub(super) fn check_path<'a>(
    attribute: &'a Attribute,
    path: &'a AttributePath,
) -> Result<CheckedPath<'a>, Fault> {
    let keys = attribute.placeholders(path);
    for (kind, (_, key)) in attribute.keys.iter().zip(&keys) {
        kind.check(key).map_err(|flaw| flaw.at(path))?;
    }
    Ok(CheckedPath { attribute, path, keys })
}

impl CheckedPath<'_> {
    /// Judges a claim on the path, as [`Attribute::check`] does.
    pub(crate) fn check(&self, assertion: &Assertion) -> Result<(), Fault> {
        check(self, assertion)
    }
}

fn check(on: &CheckedPath<'_>, assertion: &Assertion) -> Result<(), Fault> {
    let CheckedPath { attribute, path, keys } = on;
    match assertion {
        Assertion::Tombstone => Ok(()),
        Assertion::Release { reason } => {
            check_release(attribute, reason).map_err(|flaw| flaw.at(path))
        }
        Assertion::Stated(statement) => {
            check_statement(assertion, statement).map_err(|flaw| flaw.at(path))?;
            match (&*statement.value, attribute.value) {
                (Value::One(_), ValueType::Group(_)) => Err(wrong_type(path, "an object")),
                (Value::Group(members), ValueType::Group(known)) => {
                    check_group(path, members, known)?;
                    check_item(attribute, path, keys, members)
                }
                (Value::Group(_), _) => Err(wrong_type(path, "a single value")),
                (Value::One(scalar), kind) => {
                    check_scalar(&kind, scalar).map_err(|flaw| flaw.at(path))
                }
            }
        }
    }
}

fn wrong_type(path: &AttributePath, expected: &str) -> Fault {
    Flaw::new("wrong-type", format!("This attribute takes {expected}.")).at(path)
}

fn check_release(attribute: &Attribute, reason: &str) -> Result<(), Flaw> {
    if !attribute.is_releasable() {
        return Err(Flaw::new(
            "release-not-possible",
            "Only blocks and items of a set can be released. To withdraw a value, write null.",
        ));
    }
    is_plain_text(reason, REASON_MAX, false)
}

fn check_statement(assertion: &Assertion, statement: &Statement) -> Result<(), Flaw> {
    if let (Some(from), Some(to)) = (statement.valid_from, statement.valid_to)
        && from > to
    {
        return Err(Flaw::new(
            "validity-order",
            format!("The validity ends on {to}, before it starts on {from}. Correct one of them."),
        ));
    }
    // To write the cell takes longer than all other checks together.
    if cell_bytes_at_most(statement) <= FIELD_MAX {
        return Ok(());
    }
    match assertion.to_cell() {
        Cell::Str(text) if text.len() > FIELD_MAX => Err(Flaw::new(
            "field-too-large",
            format!("The value has {} bytes; a field takes up to {FIELD_MAX}.", text.len()),
        )),
        Cell::Null | Cell::Bool(_) | Cell::Int(_) | Cell::Str(_) => Ok(()),
    }
}

/// No fewer bytes than the cell of a statement has.
fn cell_bytes_at_most(statement: &Statement) -> usize {
    // JSON writes a byte as six at most; numbers, names of validity and punctuation fit the rest.
    let text = |text: &str| 6 * text.len() + 32;
    let scalar = |scalar: &Scalar| match scalar {
        Scalar::Text(said) => text(said),
        Scalar::Bool(_) | Scalar::Int(_) => text(""),
    };
    let value = match &*statement.value {
        Value::One(one) => scalar(one),
        Value::Group(members) => members.iter().map(|(name, one)| text(name) + scalar(one)).sum(),
    };
    128 + value + statement.raw.as_deref().map_or(0, text)
}

fn check_group(
    path: &AttributePath,
    members: &BTreeMap<String, Scalar>,
    known: &[Member],
) -> Result<(), Fault> {
    if members.is_empty() {
        let text = "The object has no members. State at least one, or write null to remove it.";
        return Err(Flaw::new("group-empty", text).at(path));
    }
    for (name, scalar) in members {
        let Some(member) = known.iter().find(|member| member.name == name) else {
            let text = format!("There is no member {} here.", quote(name));
            return Err(Flaw::new("member-unknown", text).at_member(path, name));
        };
        check_scalar(&member.value, scalar).map_err(|flaw| flaw.at_member(path, name))?;
    }
    let has_amount = known
        .iter()
        .any(|m| matches!(m.value, ValueType::Money(_)) && members.contains_key(m.name));
    let needed = |m: &&Member| m.required || (has_amount && m.name == "currency");
    match known.iter().filter(needed).find(|m| !members.contains_key(m.name)) {
        Some(member) => {
            let text = format!("{} is missing. State it together with the rest.", member.name);
            Err(Flaw::new("member-missing", text).at_member(path, member.name))
        }
        None => Ok(()),
    }
}

/// The members that repeat the key of the item say what the path says.
fn check_item(
    attribute: &Attribute,
    path: &AttributePath,
    keys: &[(&'static str, Cow<'_, str>)],
    members: &BTreeMap<String, Scalar>,
) -> Result<(), Fault> {
    let (true, Some(kind), Some((_, key))) =
        (attribute.is_item(), attribute.keys.last(), keys.last())
    else {
        return Ok(());
    };
    for (name, part) in kind.members(key) {
        let agrees = matches!(members.get(name), Some(Scalar::Text(t)) if kind.agrees(t, &part));
        if !agrees {
            let text = format!("The path names {}, the value must say the same.", quote(&part));
            return Err(Flaw::new("item-mismatch", text).at_member(path, name));
        }
    }
    Ok(())
}

/// Judges one scalar in canonical form.
pub(crate) fn check_scalar(kind: &ValueType, scalar: &Scalar) -> Result<(), Flaw> {
    match (kind, scalar) {
        (ValueType::Bool, Scalar::Bool(_)) | (ValueType::Present, Scalar::Bool(true)) => Ok(()),
        (ValueType::Present, _) => {
            Err(Flaw::new("wrong-type", "An item is true. To remove it, write null."))
        }
        (ValueType::Int(least, most), Scalar::Int(number)) => is_in(*number, *least, *most),
        (ValueType::Money(least), Scalar::Int(number)) => is_in(*number, *least, INT_MAX),
        (ValueType::Int(..) | ValueType::Money(_), _) => {
            Err(Flaw::new("not-a-whole-number", "This takes a whole number."))
        }
        (ValueType::Bool, _) => Err(Flaw::new("wrong-type", "This takes true or false.")),
        (_, Scalar::Text(text)) => check_text(kind, text),
        (_, Scalar::Bool(_) | Scalar::Int(_)) => Err(Flaw::new(
            "wrong-type",
            "This takes a text. Write it in quotes, so that leading zeros stay.",
        )),
    }
}

fn check_text(kind: &ValueType, text: &str) -> Result<(), Flaw> {
    match kind {
        ValueType::Text(most) => is_plain_text(text, *most, false),
        ValueType::Prose(most) => is_plain_text(text, *most, true),
        ValueType::Code(most) => shape(is_code(text, *most), "code-malformed", || {
            format!(
                "{} is not a code: use up to {most} letters, digits, '_', '.', '-'",
                quote(text)
            )
        }),
        ValueType::Ranked(words) | ValueType::Word(words) => {
            shape(words.contains(&text), "word-unknown", || {
                format!("{} is not one of {}", quote(text), words.join(", "))
            })
        }
        ValueType::Decimal(least, most) => is_decimal(text, *least, *most),
        ValueType::Date => named(parse_date(text).is_some(), "date-malformed", text, "YYYY-MM-DD"),
        ValueType::PartialDate => named(
            is_partial_date(text),
            "date-malformed",
            text,
            "a day, month or year: YYYY-MM-DD, YYYY-MM or YYYY",
        ),
        ValueType::Country => {
            named(is_country_shape(text), "country-unknown", text, "a country of ISO 3166-1")
        }
        ValueType::Currency => {
            let is_shape = text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase());
            named(is_shape, "currency-unknown", text, "a currency of ISO 4217")
        }
        ValueType::Language => {
            named(is_language(text), "language-malformed", text, "a language tag, like de-AT")
        }
        ValueType::Url => named(is_url(text), "url-malformed", text, "an http or https address"),
        ValueType::Email => named(is_email(text), "email-malformed", text, "an e-mail address"),
        ValueType::Phone => {
            named(is_phone(text), "phone-malformed", text, "a number like +4930123456;ext=12")
        }
        ValueType::Iban => is_iban(text),
        ValueType::Bic => named(is_bic(text), "bic-malformed", text, "a BIC of 8 or 11 characters"),
        ValueType::Lei => is_lei(text),
        ValueType::Duns => named(
            text.len() == 9 && digits(text).is_some(),
            "duns-malformed",
            text,
            "a D-U-N-S number of nine digits",
        ),
        ValueType::Gln => is_gln(text),
        ValueType::Region => KeyType::Region.check(text),
        ValueType::ItemId => KeyType::Id.check(text),
        ValueType::Record => named(
            text.parse::<RecordId>().is_ok_and(|id| id.to_string() == text),
            "record-malformed",
            text,
            "the id of a customer record (UUID)",
        ),
        ValueType::Json(most) => named(
            is_canonical_object(text, *most),
            "json-malformed",
            text,
            &format!("a canonical JSON object of up to {most} bytes"),
        ),
        ValueType::Bool
        | ValueType::Present
        | ValueType::Int(..)
        | ValueType::Money(_)
        | ValueType::Group(_) => Err(Flaw::new("wrong-type", "This does not take a text.")),
    }
}

/// A JSON object that is its own canonical form. Numbers are whole, so that no release rounds them.
fn is_canonical_object(text: &str, most: usize) -> bool {
    let is_object = text.len() <= most && text.starts_with('{');
    let json = is_object.then(|| serde_json::from_str::<Json>(text).ok()).flatten();
    json.is_some_and(|json| has_whole_numbers(&json) && canonical_json(&json) == text)
}

// As deep as the parser goes.
fn has_whole_numbers(json: &Json) -> bool {
    match json {
        Json::Number(number) => number.as_i64().is_some_and(|n| (-INT_MAX..=INT_MAX).contains(&n)),
        Json::Array(items) => items.iter().all(has_whole_numbers),
        Json::Object(members) => members.values().all(has_whole_numbers),
        Json::Null | Json::Bool(_) | Json::String(_) => true,
    }
}

fn shape(holds: bool, code: &'static str, text: impl FnOnce() -> String) -> Result<(), Flaw> {
    if holds { Ok(()) } else { Err(Flaw::new(code, format!("{}.", text()))) }
}

fn named(holds: bool, code: &'static str, text: &str, expected: &str) -> Result<(), Flaw> {
    shape(holds, code, || format!("{} is not {expected}", quote(text)))
}

fn is_in(number: i64, least: i64, most: i64) -> Result<(), Flaw> {
    shape((least..=most).contains(&number), "number-out-of-range", || {
        format!("{number} is out of range: this takes {least} to {most}")
    })
}

/// A text that is not empty, not too long, and cannot play tricks with a screen or a terminal.
pub(crate) fn is_plain_text(text: &str, most: usize, lines: bool) -> Result<(), Flaw> {
    // Nearly all are so, and this is looked at in every value of every change.
    let is_simple = |byte: u8| matches!(byte, b'!'..=b'~' | b' ') || (lines && byte == b'\n');
    let is_blank = |byte: u8| byte.is_ascii_whitespace();
    if text.len() <= most && text.bytes().all(is_simple) && !text.bytes().all(is_blank) {
        return Ok(());
    }
    if text.trim().is_empty() {
        return Err(Flaw::new("text-empty", "The text is empty. To remove a value, write null."));
    }
    if text.chars().any(|c| is_forbidden(c) && !(lines && c == '\n')) {
        let text = "The text holds a control or text direction character. Type it anew.";
        return Err(Flaw::new("control-character", text));
    }
    let length = text.chars().take(most + 1).count();
    shape(length <= most, "text-too-long", || {
        format!("The text is too long: this takes up to {most} characters")
    })
}

/// Control characters, and those that reverse or isolate the direction of text (a name that reads
/// differently from what is stored is a known fraud).
pub(crate) fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

pub(crate) fn is_code(text: &str, most: usize) -> bool {
    !text.is_empty() && text.len() <= most && text.bytes().all(is_code_byte)
}

fn is_decimal(text: &str, least: i64, most: i64) -> Result<(), Flaw> {
    let canonical = text
        .parse::<Decimal>()
        .ok()
        .filter(|number| text.len() <= 32 && number.normalize().to_string() == text);
    let Some(number) = canonical else {
        return named(false, "decimal-malformed", text, "a decimal number: write it like 12.5");
    };
    shape(number >= least.into() && number <= most.into(), "number-out-of-range", || {
        format!("{number} is out of range: this takes {least} to {most}")
    })
}

fn is_partial_date(text: &str) -> bool {
    match text.len() {
        4 => parse_date(&format!("{text}-01-01")).is_some(),
        7 => parse_date(&format!("{text}-01")).is_some(),
        _ => parse_date(text).is_some(),
    }
}

/// The shape of RFC 5646: a language of two or three letters, then subtags.
fn is_language(text: &str) -> bool {
    let mut subtags = text.split('-');
    let language = subtags.next().unwrap_or_default();
    text.len() <= 35
        && (2..=3).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_lowercase())
        && subtags
            .all(|s| (1..=8).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !host.is_empty()
            && text.chars().count() <= URL_MAX
            && !text
                .chars()
                .any(|c| c.is_whitespace() || is_forbidden(c) || "<>\"\\^`{|}".contains(c))
    })
}

/// The shape of an address of RFC 5321 and 6531: what the door asks beyond it is not asked again.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    (1..=64).contains(&local.len())
        && text.len() <= 254
        && domain.contains('.')
        && domain.split('.').all(|label| (1..=63).contains(&label.len()))
        && !domain.bytes().any(|b| b.is_ascii_uppercase())
        && !text.chars().any(|c| c.is_whitespace() || is_forbidden(c))
}

/// E.164: a plus sign and 7 to 15 digits, the first not zero; perhaps an extension.
pub(crate) fn is_phone(text: &str) -> bool {
    let (number, extension) = text.split_once(";ext=").map_or((text, None), |(n, e)| (n, Some(e)));
    let number = number.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&number.len())
        && !number.starts_with('0')
        && number.bytes().all(|b| b.is_ascii_digit())
        && extension
            .is_none_or(|e| (1..=11).contains(&e.len()) && e.bytes().all(|b| b.is_ascii_digit()))
}

pub(crate) fn is_iban(text: &str) -> Result<(), Flaw> {
    let bytes = text.as_bytes();
    let is_shape = (15..=34).contains(&bytes.len())
        && bytes.iter().enumerate().all(|(at, b)| match at {
            0 | 1 => b.is_ascii_uppercase(),
            2 | 3 => b.is_ascii_digit(),
            _ => b.is_ascii_uppercase() || b.is_ascii_digit(),
        });
    named(
        is_shape,
        "iban-malformed",
        text,
        "an IBAN. Write an account without IBAN as SCHEME:account",
    )?;
    shape(is_iban_checksum(text), "iban-checksum", || {
        format!("The check digits of IBAN {} are wrong: compare it with the original", quote(text))
    })
}

fn is_bic(text: &str) -> bool {
    matches!(text.len(), 8 | 11)
        && text.bytes().enumerate().all(|(at, b)| match at {
            4 | 5 => b.is_ascii_uppercase(),
            _ => b.is_ascii_uppercase() || b.is_ascii_digit(),
        })
}

fn is_lei(text: &str) -> Result<(), Flaw> {
    let is_shape = text.len() == 20
        && text
            .bytes()
            .enumerate()
            .all(|(at, b)| b.is_ascii_digit() || (at < 18 && b.is_ascii_uppercase()));
    named(is_shape, "lei-malformed", text, "a LEI: 18 letters or digits and two check digits")?;
    shape(mod_97(text.chars()) == Some(1), "check-digit", || {
        format!("The check digits of LEI {} are wrong: compare it with the original", quote(text))
    })
}

fn is_gln(text: &str) -> Result<(), Flaw> {
    let digits = digits(text).filter(|digits| digits.len() == 13);
    let Some(digits) = digits else {
        return named(false, "gln-malformed", text, "a GLN of thirteen digits");
    };
    shape(is_gs1(&digits), "check-digit", || {
        format!("The check digit of GLN {} is wrong: compare it with the original", quote(text))
    })
}
