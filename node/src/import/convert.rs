//! One text of a row, read in the manner of its file: numbers, days, codes.
//!
//! Only what depends on the file is done here. What depends on the attribute (is this an IBAN, has
//! the euro two decimals) is the node's matter, so that every way in has the same rules.

use crdt_model::id::RecordId;
use jiff::civil::Date;
use serde_json::Value as Json;

use super::mapping::nearest;
use super::mapping::{Entry, Kind, ValueMap};

/// Why a text cannot be read; the code is for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) code: &'static str,
    pub(super) text: String,
}

/// The text that stands for a text of the source; empty: the column says nothing.
pub(super) fn mapped<'a>(map: Option<&'a ValueMap>, text: &'a str) -> Result<&'a str, Unreadable> {
    let Some(map) = map else { return Ok(text) };
    match map.values.get(text) {
        Some(to) => Ok(to),
        None if map.keeps || text.is_empty() => Ok(text),
        None => {
            let hint = nearest(text, map.values.keys().map(String::as_str));
            let hint =
                hint.map(|near| format!(" The nearest one is {near:?}.")).unwrap_or_default();
            let text = format!(
                "{} is not in the values of the mapping.{hint} Correct it, or add it to the mapping.",
                shown(text)
            );
            Err(Unreadable { code: "value-unmapped", text })
        }
    }
}

/// The JSON for a text that is not empty.
pub(super) fn read(entry: &Entry, key_system: &str, text: &str) -> Result<Json, Unreadable> {
    let text = match entry.kind {
        Kind::Text | Kind::Flag => text.to_owned(),
        Kind::Decimal | Kind::Money | Kind::Whole => {
            number(text, entry.decimal).ok_or_else(|| not_a_number(text, entry.decimal))?
        }
        Kind::Date => day(text, &entry.date)?,
        Kind::PartialDate if is_month_or_year(text) => text.to_owned(),
        Kind::PartialDate => day(text, &entry.date)?,
        Kind::Record => match text.parse::<RecordId>() {
            Ok(id) => id.to_string(),
            Err(_) => RecordId::derive(key_system, text).to_string(),
        },
    };
    Ok(Json::String(text))
}

/// A number with a dot before its decimals and nothing else between the digits.
///
/// Signs that group thousands must stand where thousands are: `12.34` in a file with decimal commas
/// is refused, because it is more likely twelve and a bit than twelve hundred.
fn number(text: &str, decimal: char) -> Option<String> {
    let (is_negative, unsigned) = match text.strip_prefix('-').or_else(|| text.strip_suffix('-')) {
        Some(unsigned) => (true, unsigned.trim()),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = match unsigned.split_once(decimal) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !fraction.is_none_or(is_digits) {
        return None;
    }
    let separator = whole.chars().find(|c| !c.is_ascii_digit());
    let whole = match separator {
        None => whole.to_owned(),
        Some(sign) if is_grouping(sign, decimal) => {
            let groups: Vec<&str> = whole.split(sign).collect();
            are_thousands(&groups).then(|| groups.concat())?
        }
        Some(_) => return None,
    };
    if !is_digits(&whole) {
        return None;
    }
    let sign = if is_negative { "-" } else { "" };
    Some(match fraction {
        Some(fraction) => format!("{sign}{whole}.{fraction}"),
        None => format!("{sign}{whole}"),
    })
}

fn is_grouping(sign: char, decimal: char) -> bool {
    sign != decimal && matches!(sign, ',' | '.' | ' ' | '\u{a0}' | '\u{202f}' | '\'' | '’')
}

/// Groups of three digits, or in the Indian manner of two with three at the end.
fn are_thousands(groups: &[&str]) -> bool {
    let [first, middle @ .., last] = groups else { return false };
    let are = |length: usize| middle.iter().all(|group| group.len() == length);
    (1..=3).contains(&first.len())
        && last.len() == 3
        && (are(3) || (are(2) && first.len() <= 2))
        && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_digit()))
}

fn not_a_number(text: &str, decimal: char) -> Unreadable {
    let example = if decimal == ',' { "1.234,56" } else { "1,234.56" };
    let text = format!(
        "{} is not a number as the mapping describes them: decimals after {decimal:?}, like {example}.",
        shown(text)
    );
    Unreadable { code: "number-malformed", text }
}

fn day(text: &str, format: &str) -> Result<String, Unreadable> {
    // Four digits: "01.02.26" read as %d.%m.%Y would be a day of the year 26.
    let day = Date::strptime(format, text).ok().filter(|day| day.year() >= 1000);
    day.map(|day| day.to_string()).ok_or_else(|| {
        let text = format!("{} is not a day of the calendar in the form {format}.", shown(text));
        Unreadable { code: "date-malformed", text }
    })
}

fn is_month_or_year(text: &str) -> bool {
    let digits =
        |part: &str, count: usize| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('-') {
        Some((year, month)) => digits(year, 4) && digits(month, 2),
        None => digits(text, 4),
    }
}

/// Somebody else's text in a sentence: in quotes, cut.
pub(super) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(60).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("\"{}{more}\"", cut.escape_debug())
}

#[cfg(test)]
mod tests;
