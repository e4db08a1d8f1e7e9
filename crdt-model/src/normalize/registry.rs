//! What registries know: countries, currencies, languages. Asked at the door alone.

use iso_currency::Currency;
use oxilangtag::LanguageTag;
use rust_iso3166::CountryCode;

use super::suggest::did_you_mean;
use super::text;
use crate::attribute::{Flaw, quote};

/// Names in daily use that are not the short name of ISO 3166-1.
const EVERYDAY: [(&str, &str); 22] = [
    ("america", "US"),
    ("bolivia", "BO"),
    ("cape verde", "CV"),
    ("czech republic", "CZ"),
    ("great britain", "GB"),
    ("holland", "NL"),
    ("ivory coast", "CI"),
    ("kosovo", "XK"),
    ("laos", "LA"),
    ("macedonia", "MK"),
    ("north korea", "KP"),
    ("russia", "RU"),
    ("south korea", "KR"),
    ("swaziland", "SZ"),
    ("syria", "SY"),
    ("turkey", "TR"),
    ("uk", "GB"),
    ("united kingdom", "GB"),
    ("united states", "US"),
    ("usa", "US"),
    ("vatican", "VA"),
    ("vietnam", "VN"),
];

/// A country as alpha-2, from alpha-2, alpha-3, the number or the English name.
///
/// `XK` (Kosovo) is not in ISO 3166-1 but in use by banks and the European Union.
pub(super) fn country(written: &str) -> Result<String, Flaw> {
    let line = text::line(written)?;
    let upper = line.to_ascii_uppercase();
    if upper == "XK" || upper == "XKX" {
        return Ok("XK".to_owned());
    }
    let coded = rust_iso3166::from_alpha2(&upper)
        .or_else(|| rust_iso3166::from_alpha3(&upper))
        .or_else(|| rust_iso3166::from_numeric_str(&upper));
    if let Some(code) = coded {
        return Ok(code.alpha2.to_owned());
    }
    let folded = line.to_lowercase();
    if let Some((_, code)) = EVERYDAY.iter().find(|(name, _)| *name == folded) {
        return Ok((*code).to_owned());
    }
    by_name(&folded).map(|code| code.alpha2.to_owned()).ok_or_else(|| {
        let hint = did_you_mean(&folded, rust_iso3166::ALL.iter().map(|code| code.name));
        let text = format!("{} is not a country of ISO 3166-1.{hint}", quote(&line));
        Flaw::new("country-unknown", text)
    })
}

/// By the short name, or by what stands before its bracket when that names one country alone.
fn by_name(folded: &str) -> Option<&'static CountryCode> {
    let all = rust_iso3166::ALL;
    let exact = all.iter().find(|code| code.name.to_lowercase() == folded);
    exact.or_else(|| {
        let head = |code: &&CountryCode| {
            code.name.to_lowercase().split(" (").next().is_some_and(|head| head == folded)
        };
        let mut candidates = all.iter().filter(head);
        candidates.next().filter(|_| candidates.next().is_none())
    })
}

/// A currency of ISO 4217 by its code. Metals, test codes and "no currency" are not money.
pub(super) fn currency(written: &str) -> Result<Currency, Flaw> {
    let code = text::line(written)?.to_ascii_uppercase();
    Currency::from_code(&code).filter(|currency| !currency.is_special()).ok_or_else(|| {
        let text =
            format!("{} is not a currency of ISO 4217. Write its code, like EUR.", quote(&code));
        Flaw::new("currency-unknown", text)
    })
}

/// A language tag in its recommended letter case.
pub(super) fn language(written: &str) -> Result<String, Flaw> {
    let line = text::line(written)?.replace('_', "-");
    LanguageTag::parse_and_normalize(&line).map(LanguageTag::into_inner).map_err(|_| {
        let text = format!("{} is not a language tag. Write it like de or pt-BR.", quote(&line));
        Flaw::new("language-malformed", text)
    })
}
