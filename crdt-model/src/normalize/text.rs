//! Cleaning of text: Unicode normalisation and white space. What a text means is not decided here.

use unicode_normalization::UnicodeNormalization;

use crate::attribute::{Flaw, is_forbidden};
use crate::limits::FIELD_MAX;

/// One line: NFC, no blanks around it, one space for every run of white space inside.
pub(super) fn line(text: &str) -> Result<String, Flaw> {
    let mut line = String::with_capacity(text.len().min(FIELD_MAX));
    for c in composed(text)? {
        if c.is_whitespace() {
            if !line.is_empty() && !line.ends_with(' ') {
                line.push(' ');
            }
        } else {
            line.push(visible(c)?);
        }
    }
    finish(line)
}

/// Several lines: NFC, line feeds alone, no blanks at the ends of lines or around the text.
pub(super) fn lines(text: &str) -> Result<String, Flaw> {
    let mut lines = String::with_capacity(text.len().min(FIELD_MAX));
    let mut after_return = false;
    for c in composed(text)? {
        if c == '\n' && after_return {
            // The second half of a line end that is already written.
        } else if matches!(c, '\n' | '\r') {
            lines.truncate(lines.trim_end_matches(' ').len());
            lines.push('\n');
        } else if c.is_whitespace() {
            lines.push(' ');
        } else {
            lines.push(visible(c)?);
        }
        after_return = c == '\r';
    }
    finish(lines.trim_start().to_owned())
}

/// The text without blanks and the signs that only group, in upper case: how numbers of accounts and
/// registers are written electronically.
pub(super) fn compact(text: &str) -> Result<String, Flaw> {
    let line = line(text)?;
    Ok(line
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '.' | '/'))
        .collect::<String>()
        .to_ascii_uppercase())
}

fn composed(text: &str) -> Result<impl Iterator<Item = char>, Flaw> {
    // Before any work: a text that no attribute takes.
    if text.len() > FIELD_MAX {
        return Err(Flaw::new(
            "text-too-long",
            format!("The text has {} bytes; a field takes up to {FIELD_MAX}.", text.len()),
        ));
    }
    // Invisible marks come with copied text and say nothing.
    let invisible = |c: &char| matches!(c, '\u{FEFF}' | '\u{200B}' | '\u{2060}' | '\u{00AD}');
    Ok(text.nfc().filter(move |c| !invisible(c)))
}

fn visible(c: char) -> Result<char, Flaw> {
    if is_forbidden(c) {
        let text = "The text holds a control or text direction character. Type it anew.";
        return Err(Flaw::new("control-character", text));
    }
    Ok(c)
}

fn finish(mut text: String) -> Result<String, Flaw> {
    text.truncate(text.trim_end().len());
    if text.is_empty() {
        return Err(Flaw::new("text-empty", "The text is empty. To remove a value, write null."));
    }
    // Taking invisible marks out can bring characters together that compose.
    Ok(text.nfc().collect())
}
