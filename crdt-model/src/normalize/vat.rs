//! Tax ids: their canonical key, and the VAT numbers of Europe with the check digits that their
//! countries publish. Formats of national ids outside this list are taken as they come.

use std::borrow::Cow;

use super::{registry, text};
use crate::attribute::{
    Flaw, KeyType, digits, is_luhn, is_mod_11_10, luhn_sum, mod_97, quote, weighted,
};

/// The prefix of a VAT number where it is not the code of the country.
const PREFIXES: [(&str, &[&str]); 3] =
    [("GR", &["EL", "GR"]), ("GB", &["GB", "XI"]), ("CH", &["CHE"])];

/// Countries whose VAT numbers are checked.
const CHECKED: &[&str] = &[
    "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GR", "HR", "HU",
    "IE", "IT", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// The canonical key of a tax id: `country:type:number`. A VAT number may be written alone.
pub(super) fn tax_id(written: &str) -> Result<String, Flaw> {
    let line = text::line(written)?;
    let parts: Vec<&str> = line.splitn(3, ':').collect();
    match parts[..] {
        [country, kind, number] => {
            let country = match country.trim() {
                "EL" => "GR".to_owned(),
                country => registry::country(country)?,
            };
            let kind = text::compact(kind)?;
            // Mexico's Ñ, which is no letter of ASCII.
            let number = text::compact(number)?.replace('ñ', "Ñ");
            let number = if kind == "VAT" { vat(&country, &number)? } else { number };
            Ok(format!("{country}:{kind}:{number}"))
        }
        [number] => {
            let number = text::compact(number)?;
            let country = country_of(&number).ok_or_else(|| KeyType::TaxId.malformed(&line))?;
            Ok(format!("{country}:VAT:{}", vat(country, &number)?))
        }
        _ => Err(KeyType::TaxId.malformed(&line)),
    }
}

fn prefixes(country: &str) -> Vec<&str> {
    let special = PREFIXES.iter().find(|(of, _)| *of == country);
    special.map_or_else(|| vec![country], |(_, prefixes)| prefixes.to_vec())
}

fn country_of(number: &str) -> Option<&'static str> {
    let starts = |country: &&&str| prefixes(country).iter().any(|p| number.starts_with(p));
    CHECKED.iter().find(starts).copied()
}

/// The VAT number with its prefix.
fn vat(country: &str, number: &str) -> Result<String, Flaw> {
    if !CHECKED.contains(&country) {
        return Ok(number.to_owned());
    }
    let prefixes = prefixes(country);
    let stripped = prefixes.iter().find_map(|p| number.strip_prefix(p).map(|body| (*p, body)));
    let bare = prefixes.first().map(|prefix| (*prefix, number));
    stripped
        .into_iter()
        .chain(bare)
        .map(|(prefix, body)| (prefix, completed(country, without_suffix(country, body))))
        .find(|(_, body)| is_vat(country, body))
        .map(|(prefix, body)| match prefix {
            // What the country calls itself is no prefix of the system.
            "GR" => format!("EL{body}"),
            prefix => format!("{prefix}{body}"),
        })
        .ok_or_else(|| {
            let text = format!(
                "{} is not a VAT number of {country}: its length, letters or check digit are wrong. \
                 Compare it with the certificate.",
                quote(number)
            );
            Flaw::new("vat-malformed", text)
        })
}

/// Switzerland and Norway append the name of the tax.
fn without_suffix<'a>(country: &str, body: &'a str) -> &'a str {
    let suffixes: &[&str] = match country {
        "CH" => &["MWST", "TVA", "IVA"],
        "NO" => &["MVA"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| body.strip_suffix(suffix)).unwrap_or(body)
}

/// Belgium put a zero before the nine digits that it gave out until 2007: the number is the same.
fn completed<'a>(country: &str, body: &'a str) -> Cow<'a, str> {
    let is_old = country == "BE" && exactly(body, 9, |_| true);
    if is_old { format!("0{body}").into() } else { body.into() }
}

fn is_vat(country: &str, body: &str) -> bool {
    match country {
        "AT" => body.strip_prefix('U').is_some_and(|b| exactly(b, 8, is_austrian)),
        "CY" => {
            body.len() == 9
                && body.ends_with(|c: char| c.is_ascii_uppercase())
                && body.get(..8).is_some_and(|b| digits(b).is_some())
        }
        "ES" => is_spanish(body),
        "FR" => is_french(body),
        "GB" => {
            let government = body.strip_prefix("GD").or_else(|| body.strip_prefix("HA"));
            government.is_some_and(|b| exactly(b, 3, |_| true))
                || exactly(body, 9, |_| true)
                || exactly(body, 12, |_| true)
        }
        "IE" => is_irish(body),
        "NL" => is_dutch(body),
        _ => digits(body).is_some_and(|d| is_numeric_vat(country, body, &d)),
    }
}

/// The countries whose VAT numbers hold digits alone.
fn is_numeric_vat(country: &str, body: &str, d: &[u32]) -> bool {
    let last = d.last().copied().unwrap_or_default();
    match (country, d.len()) {
        ("BE", 10) => d[0] <= 1 && number(&d[..8]) % 97 + number(&d[8..]) == 97,
        ("BG", 9 | 10) | ("CZ", 8..=10) | ("LT", 9 | 12) | ("LV", 11) | ("RO", 2..=10) => true,
        ("CH", 9) => check_11(d, &[5, 4, 3, 2, 7, 6, 5, 4]) == Some(last),
        ("DE", 9) => d[0] != 0 && is_mod_11_10(d),
        ("DK", 8) => d[0] != 0 && weighted(d, &[2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11),
        ("EE", 9) => weighted(d, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10),
        ("FI", 8) => weighted(d, &[7, 9, 10, 5, 8, 4, 2, 1]).is_multiple_of(11),
        ("GR", 9) => weighted(d, &[256, 128, 64, 32, 16, 8, 4, 2]) % 11 % 10 == last,
        ("HR", 11) => is_mod_11_10(d),
        ("HU", 8) => weighted(d, &[9, 7, 3, 1, 9, 7, 3, 1]).is_multiple_of(10),
        ("IT", 11) => is_luhn(d),
        ("LU", 8) => number(&d[..6]) % 89 == number(&d[6..]),
        ("MT", 8) => weighted(d, &[3, 4, 6, 7, 8, 9, 10, 1]).is_multiple_of(37),
        ("NO", 9) => check_11(d, &[3, 2, 7, 6, 5, 4, 3, 2]) == Some(last),
        ("PL", 10) => weighted(d, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == last,
        ("PT", 9) => {
            let rest = weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
            d[0] != 0 && last == if rest < 2 { 0 } else { 11 - rest }
        }
        ("SE", 12) => is_luhn(&d[..10]) && !body.ends_with("00"),
        ("SI", 8) => {
            let rest = weighted(d, &[8, 7, 6, 5, 4, 3, 2]) % 11;
            d[0] != 0 && rest != 0 && last == (11 - rest) % 10
        }
        ("SK", 10) => number(d).is_multiple_of(11),
        _ => false,
    }
}

fn exactly(body: &str, length: usize, check: impl Fn(&[u32]) -> bool) -> bool {
    digits(body).is_some_and(|d| d.len() == length && check(&d))
}

fn number(digits: &[u32]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(*digit))
}

/// The check digit of a weighted sum modulo eleven; `None` when it would be ten.
fn check_11(digits: &[u32], weights: &[u32]) -> Option<u32> {
    let check = (11 - weighted(digits, weights) % 11) % 11;
    (check != 10).then_some(check)
}

fn is_austrian(d: &[u32]) -> bool {
    let cross = |digit: u32| digit / 10 + digit % 10;
    let sum: u32 = d[..7].iter().zip([1, 2, 1, 2, 1, 2, 1]).map(|(d, w)| cross(d * w)).sum();
    (10 - (sum + 4) % 10) % 10 == d[7]
}

/// The letter of a Spanish person's number.
fn spanish_letter(number: u64) -> Option<char> {
    "TRWAGMYFPDXBNJZSQVHLCKE".chars().nth(usize::try_from(number % 23).ok()?)
}

fn is_spanish(body: &str) -> bool {
    let chars: Vec<char> = body.chars().collect();
    let [first, middle @ .., last] = &chars[..] else { return false };
    let Some(middle) = middle.iter().map(|c| c.to_digit(10)).collect::<Option<Vec<u32>>>() else {
        return false;
    };
    if middle.len() != 7 {
        return false;
    }
    let lead = match first {
        '0'..='9' => first.to_digit(10),
        'X' | 'K' | 'L' | 'M' => Some(0),
        'Y' => Some(1),
        'Z' => Some(2),
        _ => None,
    };
    if let Some(lead) = lead {
        return spanish_letter(u64::from(lead) * 10_000_000 + number(&middle)) == Some(*last);
    }
    let mut with_check = middle;
    with_check.push(0);
    let check = (10 - luhn_sum(&with_check) % 10) % 10;
    let letter = "JABCDEFGHI".chars().nth(usize::try_from(check).unwrap_or_default());
    "ABCDEFGHJNPQRSUVW".contains(*first)
        && (last.to_digit(10) == Some(check) || Some(*last) == letter)
}

/// Two check characters and the company number. Keys with letters are taken by their shape.
fn is_french(body: &str) -> bool {
    let (Some(key), Some(siren)) = (body.get(..2), body.get(2..)) else { return false };
    let is_key = key.chars().all(|c| c.is_ascii_alphanumeric() && !matches!(c, 'I' | 'O'));
    // Monaco's numbers start with 000 and are no company numbers of the French register.
    let is_siren = |d: &[u32]| siren.starts_with("000") || is_luhn(d);
    is_key
        && exactly(siren, 9, is_siren)
        && (digits(key).is_none()
            || digits(&format!("{siren}12")).map(|d| number(&d) % 97)
                == digits(key).map(|d| number(&d)))
}

/// Seven digits and one or two letters; in the old form the second character is a sign or letter.
fn is_irish(body: &str) -> bool {
    let b = body.as_bytes();
    let all = |part: &[u8], is: fn(&u8) -> bool| part.iter().all(is);
    match b.len() {
        8 => {
            b[0].is_ascii_digit()
                && (b[1].is_ascii_alphanumeric() || matches!(b[1], b'+' | b'*'))
                && all(&b[2..7], u8::is_ascii_digit)
                && b[7].is_ascii_uppercase()
        }
        9 => all(&b[..7], u8::is_ascii_digit) && all(&b[7..], u8::is_ascii_uppercase),
        _ => false,
    }
}

/// Nine digits, `B`, two digits: by the old rule modulo eleven or the one of 2020 modulo 97.
fn is_dutch(body: &str) -> bool {
    let (Some(front), Some("B"), Some(back)) = (body.get(..9), body.get(9..10), body.get(10..))
    else {
        return false;
    };
    let old = |d: &[u32]| check_11_sum(d);
    exactly(back, 2, |_| true)
        && digits(front).is_some()
        && (exactly(front, 9, old) || mod_97(format!("NL{body}").chars()) == Some(1))
}

fn check_11_sum(d: &[u32]) -> bool {
    weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11 == d[8]
}

#[cfg(test)]
mod tests;
