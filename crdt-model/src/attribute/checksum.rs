//! Check digits of international numbers: arithmetic that no release and no table changes.

/// The digits of a text; `None` when it holds anything else.
pub(crate) fn digits(text: &str) -> Option<Vec<u32>> {
    text.chars().map(|c| c.to_digit(10)).collect()
}

/// ISO 7064 mod 97-10 over letters and digits, letters counting 10 to 35.
///
/// A LEI is right when this is 1; an IBAN when it is 1 after its first four characters moved to the end.
pub(crate) fn mod_97(characters: impl IntoIterator<Item = char>) -> Option<u32> {
    characters.into_iter().try_fold(0, |rest: u32, c| {
        let number = c.to_digit(36)?;
        let shift = if number < 10 { 10 } else { 100 };
        Some((rest * shift + number) % 97)
    })
}

/// Whether the check digits of an electronic IBAN are right.
pub(crate) fn is_iban_checksum(iban: &str) -> bool {
    match (iban.get(..4), iban.get(4..)) {
        (Some(head), Some(tail)) => mod_97(tail.chars().chain(head.chars())) == Some(1),
        (None, _) | (_, None) => false,
    }
}

/// The GS1 check: weights 1 and 3 from the right, sum divisible by ten.
pub(crate) fn is_gs1(digits: &[u32]) -> bool {
    let sum: u32 = digits.iter().rev().zip([1, 3].iter().cycle()).map(|(d, w)| d * w).sum();
    sum.is_multiple_of(10)
}

/// The Luhn check (ISO/IEC 7812-1 annex B).
pub(crate) fn is_luhn(digits: &[u32]) -> bool {
    luhn_sum(digits).is_multiple_of(10)
}

/// The Luhn sum, the last digit counting once.
pub(crate) fn luhn_sum(digits: &[u32]) -> u32 {
    let weigh = |(index, digit): (usize, &u32)| match (index % 2, digit * 2) {
        (0, _) => *digit,
        (_, twice) if twice > 9 => twice - 9,
        (_, twice) => twice,
    };
    digits.iter().rev().enumerate().map(weigh).sum()
}

/// ISO 7064 mod 11,10, as German and Croatian numbers use it.
pub(crate) fn is_mod_11_10(digits: &[u32]) -> bool {
    let Some((check, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10, |product, digit| {
        let sum = (product + digit) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == *check
}

/// The sum of digits times weights, as far as both go.
pub(crate) fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}
