//! Amounts: decimal text on one side, minor units of a currency on the other.

use rust_decimal::Decimal;

use super::registry;
use crate::attribute::{Flaw, quote};
use crate::limits::INT_MAX;

/// Why a text is not an amount of a currency. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The code is not a currency of ISO 4217.
    #[error("{0} is not a currency of ISO 4217. Write its code, like EUR.")]
    Currency(String),
    /// The text is not digits with at most one dot.
    #[error("{0} is not an amount. Write digits and a dot before the decimals, like 12345.67.")]
    Malformed(String),
    /// More decimals than the currency has.
    #[error("{amount} has more decimals than {currency} has: at most {decimals}.")]
    Decimals {
        /// The amount as it was written.
        amount: String,
        /// The currency.
        currency: &'static str,
        /// The decimals that it has.
        decimals: u16,
    },
    /// Above 2^53 - 1 minor units.
    #[error("{0} is more than an amount can be.")]
    TooLarge(String),
}

impl MoneyError {
    pub(super) fn flaw(&self) -> Flaw {
        let code = match self {
            Self::Currency(_) => "currency-unknown",
            Self::Malformed(_) | Self::Decimals { .. } => "money-malformed",
            Self::TooLarge(_) => "number-out-of-range",
        };
        Flaw::new(code, self.to_string())
    }
}

/// Reads an amount such as `12345.67` as a whole number of minor units of a currency.
///
/// A comma is refused, because in half of the world it stands for the dot.
///
/// # Errors
/// [`MoneyError`] when the currency is not known, or the text is not an amount of it.
pub fn parse_money(amount: &str, currency: &str) -> Result<i64, MoneyError> {
    let currency =
        registry::currency(currency).map_err(|_| MoneyError::Currency(quote(currency)))?;
    let written = amount.trim();
    let malformed = || MoneyError::Malformed(quote(written));
    let digits = written.strip_prefix('-').unwrap_or(written);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return Err(malformed());
    }
    if whole.trim_start_matches('0').len() > 16 {
        return Err(MoneyError::TooLarge(quote(written)));
    }
    let decimals = currency.exponent().ok_or_else(malformed)?;
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > usize::from(decimals) {
        let currency = currency.code();
        return Err(MoneyError::Decimals { amount: quote(written), currency, decimals });
    }
    let sign = if written.starts_with('-') { "-" } else { "" };
    let padding = usize::from(decimals).saturating_sub(fraction.len());
    let minor = format!("{sign}{whole}{fraction}{}", "0".repeat(padding));
    minor
        .parse::<i64>()
        .ok()
        .filter(|minor| (-INT_MAX..=INT_MAX).contains(minor))
        .ok_or_else(|| MoneyError::TooLarge(quote(written)))
}

/// The amount of so many minor units as people write it, with all decimals of the currency;
/// `None` when the currency is not known.
#[must_use]
pub fn format_money(minor: i64, currency: &str) -> Option<String> {
    let decimals = registry::currency(currency).ok()?.exponent()?;
    Decimal::try_new(minor, u32::from(decimals)).ok().map(|amount| amount.to_string())
}
