//! Telephone numbers: from what people write to E.164. Which numbers a country can have is asked
//! here alone; stored numbers are judged by their shape.

use phonenumber::country::Id;
use phonenumber::metadata::DATABASE;

use crate::attribute::{Flaw, quote};

/// The words before an extension, longest first.
const EXTENSION: [&str; 6] = [";ext=", "extension", "ext.", "ext", "x", "#"];
/// The most digits that a written number can have, with every prefix.
const DIGITS_MAX: usize = 20;

/// A number in E.164, with `;ext=` where it has an extension.
///
/// A number without country code is read as one of the default country.
pub(super) fn phone(line: &str, default_country: Option<&str>) -> Result<String, Flaw> {
    let folded = line.to_ascii_lowercase();
    let number = folded.strip_prefix("tel:").unwrap_or(&folded);
    let tail = number.find(|c: char| c.is_alphabetic() || matches!(c, ';' | '#'));
    let (main, tail) = number.split_at(tail.unwrap_or(number.len()));
    let dialled = dialled(main).ok_or_else(|| malformed(line))?;
    let extension = extension(tail).ok_or_else(|| malformed(line))?;

    let home = default_country.and_then(|country| country.parse::<Id>().ok());
    let home = home.filter(|home| DATABASE.by_id(home.as_ref()).is_some());
    let is_national = !dialled.starts_with('+');
    if is_national && home.is_none() {
        let text = format!("{} has no country code. Write it like +49 30 123456.", quote(line));
        return Err(Flaw::new("phone-malformed", text));
    }
    let home = home.filter(|_| is_national);
    let parsed = phonenumber::parse(home, &dialled).map_err(|_| malformed(line))?;
    if !parsed.is_valid() {
        let text = format!("{} is not a number that its country can have. Check it.", quote(line));
        return Err(Flaw::new("phone-malformed", text));
    }
    let code = parsed.country().code();
    Ok(format!("+{code}{}{extension}", parsed.national()))
}

fn malformed(line: &str) -> Flaw {
    let text = format!("{} is not a telephone number. Write it like +49 30 123456.", quote(line));
    Flaw::new("phone-malformed", text)
}

/// The digits and the leading plus sign; `None` when there is anything else than separators.
fn dialled(main: &str) -> Option<String> {
    let mut dialled = String::new();
    for c in main.trim().chars() {
        match c {
            '0'..='9' => dialled.push(c),
            '+' if dialled.is_empty() => dialled.push(c),
            ' ' | '-' | '.' | '(' | ')' | '/' | '\u{2010}'..='\u{2015}' => {}
            _ => return None,
        }
    }
    let digits = dialled.strip_prefix('+').unwrap_or(&dialled);
    ((3..=DIGITS_MAX).contains(&digits.len()) && !dialled.starts_with("+0")).then_some(dialled)
}

/// `;ext=` and the digits, empty without extension; `None` when the tail is something else.
fn extension(tail: &str) -> Option<String> {
    if tail.is_empty() {
        return Some(String::new());
    }
    let digits = EXTENSION.iter().find_map(|word| tail.strip_prefix(word))?.trim();
    let is_extension =
        (1..=11).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    is_extension.then(|| format!(";ext={digits}"))
}
