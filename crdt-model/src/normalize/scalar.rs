//! One scalar, from what people and files write to its canonical form.

use email_address::{EmailAddress, Options};
use iban::{Iban, ParseIbanError};
use rust_decimal::Decimal;
use serde_json::Value as Json;

use super::{Context, phone, registry, suggest, text};
use crate::attribute::{Flaw, ValueType, check_scalar, is_iban, quote};
use crate::id::RecordId;
use crate::time::parse_date;
use crate::value::Scalar;

/// The words that mean true or false in files.
const TRUE: [&str; 5] = ["true", "yes", "y", "1", "x"];
const FALSE: [&str; 4] = ["false", "no", "n", "0"];

/// A scalar and, where it differs, the text that was written.
pub(super) struct Normal {
    pub(super) scalar: Scalar,
    pub(super) raw: Option<String>,
}

/// Normalises one scalar; what comes out passes the check of its type.
///
/// Money needs the currency of its group and is not handled here unless it is in minor units.
pub(super) fn scalar(kind: &ValueType, input: &Json, context: &Context) -> Result<Normal, Flaw> {
    let normal = match input {
        Json::String(written) => from_text(kind, written, context)?,
        Json::Bool(flag) => Normal { scalar: Scalar::Bool(*flag), raw: None },
        Json::Number(number) => match (kind, number.as_i64()) {
            (ValueType::Decimal(..), _) => from_text(kind, &number.to_string(), context)?,
            (_, Some(number)) => Normal { scalar: Scalar::Int(number), raw: None },
            (ValueType::Int(..) | ValueType::Money(_), None) => {
                let text = format!("{} is not a whole number.", quote(&number.to_string()));
                return Err(Flaw::new("not-a-whole-number", text));
            }
            (_, None) => return Err(not_scalar()),
        },
        Json::Null | Json::Array(_) | Json::Object(_) => return Err(not_scalar()),
    };
    check_scalar(kind, &normal.scalar)?;
    Ok(normal)
}

fn not_scalar() -> Flaw {
    Flaw::new("wrong-type", "This takes a single text, whole number, true or false.")
}

fn from_text(kind: &ValueType, written: &str, context: &Context) -> Result<Normal, Flaw> {
    let scalar = if matches!(kind, ValueType::Bool | ValueType::Present) {
        Scalar::Bool(flag(&text::line(written)?)?)
    } else if matches!(kind, ValueType::Int(..) | ValueType::Money(_)) {
        Scalar::Int(whole(&text::line(written)?)?)
    } else {
        Scalar::Text(canonical_text(kind, written, context)?)
    };
    let canonical = match &scalar {
        Scalar::Text(text) => text.clone(),
        Scalar::Int(number) => number.to_string(),
        Scalar::Bool(flag) => flag.to_string(),
    };
    let is_prose = matches!(kind, ValueType::Prose(_));
    let raw = (!is_prose && canonical != written).then(|| written.to_owned());
    Ok(Normal { scalar, raw })
}

fn canonical_text(kind: &ValueType, written: &str, context: &Context) -> Result<String, Flaw> {
    match kind {
        ValueType::Prose(_) => text::lines(written),
        ValueType::Ranked(words) | ValueType::Word(words) => word(&text::line(written)?, words),
        ValueType::Decimal(..) => decimal(&text::line(written)?),
        ValueType::Date => day(&text::line(written)?),
        ValueType::PartialDate => {
            let line = text::line(written)?;
            if matches!(line.len(), 4 | 7) { Ok(line) } else { day(&line) }
        }
        ValueType::Country => registry::country(written),
        ValueType::Currency => Ok(registry::currency(written)?.code().to_owned()),
        ValueType::Language => registry::language(written),
        ValueType::Url => Ok(url(&text::line(written)?)),
        ValueType::Email => email(&text::line(written)?),
        ValueType::Phone => phone::phone(&text::line(written)?, context.default_country()),
        ValueType::Iban => iban(written),
        ValueType::Bic => bic(written),
        ValueType::Lei | ValueType::Duns | ValueType::Gln => text::compact(written),
        ValueType::Region => Ok(text::line(written)?.to_ascii_uppercase()),
        ValueType::Record => record(&text::line(written)?),
        ValueType::Text(_)
        | ValueType::Code(_)
        | ValueType::ItemId
        | ValueType::Json(_)
        | ValueType::Bool
        | ValueType::Present
        | ValueType::Int(..)
        | ValueType::Money(_)
        | ValueType::Group(_) => text::line(written),
    }
}

fn flag(line: &str) -> Result<bool, Flaw> {
    let word = line.to_lowercase();
    match (TRUE.contains(&word.as_str()), FALSE.contains(&word.as_str())) {
        (true, _) => Ok(true),
        (false, true) => Ok(false),
        (false, false) => {
            Err(Flaw::new("wrong-type", format!("{} is not true or false.", quote(line))))
        }
    }
}

fn whole(line: &str) -> Result<i64, Flaw> {
    line.parse().map_err(|_| {
        Flaw::new("not-a-whole-number", format!("{} is not a whole number.", quote(line)))
    })
}

fn word(line: &str, words: &[&str]) -> Result<String, Flaw> {
    let folded = line.replace([' ', '_'], "-");
    if let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(&folded)) {
        return Ok((*word).to_owned());
    }
    let hint = suggest::did_you_mean(&folded, words);
    let text = format!("{} is not one of {}.{hint}", quote(line), words.join(", "));
    Err(Flaw::new("word-unknown", text))
}

fn decimal(line: &str) -> Result<String, Flaw> {
    let is_plain =
        line.len() <= 64 && line.bytes().all(|b| b.is_ascii_digit() || b"+-.".contains(&b));
    let number = line.parse::<Decimal>().ok().filter(|_| is_plain);
    number.map(|number| number.normalize().to_string()).ok_or_else(|| {
        let text =
            format!("{} is not a decimal number. Write it with a dot, like 12.5.", quote(line));
        Flaw::new("decimal-malformed", text)
    })
}

/// A day written `2026-01-31`, `20260131` or `31.01.2026`. With slashes nobody knows day from month.
fn day(line: &str) -> Result<String, Flaw> {
    let parts: Vec<&str> = line.split('.').collect();
    let iso = match parts[..] {
        [day, month, year] => format!("{year}-{month:0>2}-{day:0>2}"),
        [packed] if packed.len() == 8 && packed.is_ascii() => {
            format!("{}-{}-{}", &packed[..4], &packed[4..6], &packed[6..])
        }
        _ => line.to_owned(),
    };
    parse_date(&iso).map(|date| date.to_string()).ok_or_else(|| {
        let text = format!("{} is not a day. Write it as YYYY-MM-DD.", quote(line));
        Flaw::new("date-malformed", text)
    })
}

/// The scheme and host in lower case; an address without scheme is taken as https.
fn url(line: &str) -> String {
    let (scheme, rest) = match line.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => ("https".to_owned(), line),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    format!("{scheme}://{}{path}", host.to_lowercase())
}

/// An address with its domain in lower case. The local part is the receiver's own matter.
pub(super) fn email(line: &str) -> Result<String, Flaw> {
    let malformed = || {
        let text = format!("{} is not an e-mail address, like name@example.com.", quote(line));
        Flaw::new("email-malformed", text)
    };
    let options = Options::default().with_required_tld().without_display_text();
    let options = options.without_domain_literal();
    let line = line.strip_prefix("mailto:").unwrap_or(line);
    // Checked here so that the parser never sees what it was not made for.
    if line.len() > 254 || line.contains(' ') {
        return Err(malformed());
    }
    EmailAddress::parse_with_options(line, options).map_err(|_| malformed())?;
    let (local, domain) = line.rsplit_once('@').ok_or_else(malformed)?;
    Ok(format!("{local}@{}", domain.to_lowercase()))
}

/// An IBAN of a country of the registry, in electronic form.
pub(super) fn iban(written: &str) -> Result<String, Flaw> {
    let compact = text::compact(written)?;
    let compact = compact.strip_prefix("IBAN").unwrap_or(&compact);
    is_iban(compact)?;
    let Err(error) = compact.parse::<Iban>() else { return Ok(compact.to_owned()) };
    let iban = quote(compact);
    let text = match error {
        ParseIbanError::UnknownCountry(_) => format!("{iban} is of a country that has no IBAN."),
        ParseIbanError::InvalidBban(_) | ParseIbanError::InvalidBaseIban { .. } => {
            format!("The account in IBAN {iban} has not the length or form of its country.")
        }
    };
    Err(Flaw::new("iban-malformed", text))
}

fn bic(written: &str) -> Result<String, Flaw> {
    let bic = text::compact(written)?;
    let country = bic.get(4..6).map(registry::country);
    match country {
        Some(Ok(code)) if Some(code.as_str()) == bic.get(4..6) => Ok(bic),
        _ => {
            let text = format!("{} is not a BIC: letters 5 and 6 name a country.", quote(&bic));
            Err(Flaw::new("bic-malformed", text))
        }
    }
}

fn record(line: &str) -> Result<String, Flaw> {
    line.parse::<RecordId>().map(|id| id.to_string()).map_err(|_| {
        let text =
            format!("{} is not the id of a customer record. Write it as a UUID.", quote(line));
        Flaw::new("record-malformed", text)
    })
}
