//! Numbers with right check digits: drawn, and completed by asking the door of the model which one
//! it takes. No second opinion on how a check digit is made.

use crdt_model::normalize::{Context, canonical_path};
use crdt_model::path::AttributePath;

use super::random::Random;

/// How often a number is drawn before its country is taken to have none.
const DRAWS: usize = 20;

/// Whether the door takes a path made of these segments.
fn is_taken(segments: &[&str], country: &str) -> bool {
    let context = Context::with_country(country).unwrap_or_default();
    AttributePath::from_segments(segments).is_ok_and(|path| canonical_path(&path, &context).is_ok())
}

/// A VAT number of a country of the European Union, with its prefix.
pub(super) fn vat(random: &mut Random, country: &str) -> String {
    // What is drawn before the check digits, how many there are, and what follows.
    let (before, lead, checks, after) = match country {
        "AT" => ("U", 7, 1, ""),
        "BE" => ("0", 7, 2, ""),
        "FR" => ("", 8, 3, ""),
        "IT" => ("", 10, 1, ""),
        "NL" => ("", 8, 1, "B01"),
        "PL" => ("", 9, 1, ""),
        _ => ("", 8, 1, ""),
    };
    for _ in 0..DRAWS {
        let drawn = random.digits(lead);
        for check in 0..10_u32.pow(checks) {
            let width = usize::try_from(checks).unwrap_or_default();
            let check = format!("{check:0width$}");
            let body = match country {
                // The French key stands before the number and one digit of the number behind it.
                "FR" => format!("{}{drawn}{}", &check[..2], &check[2..]),
                _ => format!("{before}{drawn}{check}{after}"),
            };
            let number = format!("{country}{body}");
            if is_taken(&["tax_id", &format!("{country}:VAT:{number}")], country) {
                return number;
            }
        }
    }
    String::new()
}

/// An IBAN of a country, with blanks between groups of four as on letterheads.
pub(super) fn iban(random: &mut Random, country: &str) -> String {
    let account = match country {
        "AT" => random.digits(16),
        "BE" => random.digits(12),
        "FR" => random.digits(23),
        "IT" => format!("X{}", random.digits(22)),
        "NL" => format!("TEST{}", random.digits(10)),
        "PL" => random.digits(24),
        _ => random.digits(18),
    };
    let checked = (2..=98).map(|check| format!("{country}{check:02}{account}"));
    let iban = checked.into_iter().find(|iban| is_taken(&["bank", iban], country));
    grouped(&iban.unwrap_or_default())
}

fn grouped(iban: &str) -> String {
    let mut grouped = String::new();
    for (at, c) in iban.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            grouped.push(' ');
        }
        grouped.push(c);
    }
    grouped
}

/// A telephone number in the national manner; `#` in the pattern is a digit to draw.
pub(super) fn phone(random: &mut Random, country: &str, pattern: &str) -> String {
    for _ in 0..DRAWS {
        let number: String = pattern
            .chars()
            .map(|c| if c == '#' { random.digits(1) } else { c.to_string() })
            .collect();
        if is_taken(&["phone", &number], country) {
            return number;
        }
    }
    String::new()
}
