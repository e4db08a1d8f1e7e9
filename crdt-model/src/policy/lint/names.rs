//! What a policy calls by name: attributes, parts of the record, code lists, people.

use crate::attribute::{self, Attribute, KeyType, is_forbidden, quote};
use crate::code_list::{NAME_MAX, is_name};
use crate::normalize::did_you_mean;
use crate::path::AttributePath;

/// The most characters of the name of a principal, governor or check.
const SHOWN_MAX: usize = 120;

/// The attribute that a pattern or a path names; the text of the fault where there is none.
pub(super) fn attribute_named(written: &str) -> Result<&'static Attribute, String> {
    if let Some(attribute) = attribute::table().iter().find(|row| row.pattern == written) {
        return Ok(attribute);
    }
    let path: Option<AttributePath> = written.parse().ok();
    let found = path.and_then(|path| Some((attribute::lookup(&path)?, path)));
    let Some((attribute, path)) = found else {
        let hint = did_you_mean(written, attribute::table().iter().map(|row| row.pattern));
        return Err(format!("There is no attribute {}.{hint}", quote(written)));
    };
    let placeholders = attribute.placeholders(&path);
    for (key, (_, said)) in attribute.keys.iter().zip(&placeholders) {
        key.check(said).map_err(|flaw| flaw.text)?;
    }
    Ok(attribute)
}

/// Judges the first segments of paths, such as `company/1000`.
pub(super) fn part(written: &str) -> Result<(), String> {
    let segments: Vec<&str> = written.split('/').collect();
    let mut malformed = None;
    for attribute in attribute::table() {
        match leads_to(attribute, &segments) {
            Some(Ok(())) => return Ok(()),
            Some(Err(text)) => malformed = malformed.or(Some(text)),
            None => {}
        }
    }
    Err(malformed.unwrap_or_else(|| {
        let sections = attribute::table().iter().map(|row| match row.pattern.split_once('/') {
            Some((section, _)) => section,
            None => row.pattern,
        });
        let hint = did_you_mean(segments[0], sections);
        format!(
            "No attribute starts with {}.{hint} Write a section, like name, or a section and what \
             follows, like company/1000.",
            quote(written)
        )
    }))
}

/// Whether the pattern of an attribute starts with the segments; `Some(Err)` when it does but for the
/// shape of a key.
fn leads_to(attribute: &Attribute, segments: &[&str]) -> Option<Result<(), String>> {
    let mut keys = attribute.keys.iter();
    let mut pattern = attribute.pattern.split('/');
    let mut verdict = Ok(());
    for segment in segments {
        let said = pattern.next()?;
        if said.starts_with('{') {
            // Paths hold their segments escaped; what needs an escape is no code of an organisation.
            let checked = keys.next().map_or(Ok(()), |key| key.check(segment));
            verdict = verdict.and_then(|()| checked.map_err(|flaw| flaw.text));
        } else if said != *segment {
            return None;
        }
    }
    Some(verdict)
}

/// Judges the name of a code list, in which `{placeholder}` stands for a segment of the path.
pub(super) fn code_list(name: &str, attribute: &Attribute) -> Result<(), String> {
    let mut filled = name.to_owned();
    for segment in attribute.pattern.split('/').filter(|segment| segment.starts_with('{')) {
        filled = filled.replace(segment, "x");
    }
    if is_name(&filled) {
        return Ok(());
    }
    Err(format!(
        "{} is not the name of a code list: use up to {NAME_MAX} letters, digits, -, _, . and /, and \
         placeholders that {} has.",
        quote(name),
        attribute.pattern
    ))
}

/// Judges a company code.
pub(super) fn company_code(code: &str) -> Result<(), String> {
    KeyType::Organisation.check(code).map_err(|flaw| flaw.text)
}

/// Judges a name that people are shown.
pub(super) fn shown(name: &str) -> Result<(), String> {
    let length = name.chars().count();
    if length == 0 || length > SHOWN_MAX || name.trim() != name || name.chars().any(is_forbidden) {
        return Err(format!(
            "The name {} cannot be shown: use 1 to {SHOWN_MAX} characters, no control characters, no \
             space at the ends.",
            quote(name)
        ));
    }
    Ok(())
}
