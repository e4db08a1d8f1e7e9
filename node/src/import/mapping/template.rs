//! The target of a column: an attribute path whose keys may come from the row.
//!
//! `{value}` is the text of the column itself, `{column:NAME}` that of another one, and `{slot:NAME}`
//! the id of an item that has no natural key: that of the source and the slot.

use crdt_model::id::SourceName;
use crdt_model::path::AttributePath;

use super::column;

/// One piece of a path segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Literal(String),
    Value,
    Slot(String),
    Column(usize),
}

/// An attribute path with placeholders.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) text: String,
    pub(crate) segments: Vec<Vec<Part>>,
    /// The path, when nothing in it comes from the row.
    fixed: Option<AttributePath>,
}

/// Why a row gives no path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// This column is empty.
    Empty(usize),
    /// The texts are too long for a path.
    TooLong,
}

impl Template {
    /// Reads a template; the columns that it names join those of the mapping.
    ///
    /// The error is a sentence.
    pub(super) fn parse(text: &str, columns: &mut Vec<String>) -> Result<Self, String> {
        let mut segments = vec![Vec::new()];
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '/' => {
                    close(&mut segments, &mut literal);
                    segments.push(Vec::new());
                }
                '{' => {
                    close(&mut segments, &mut literal);
                    let (name, after) = rest
                        .split_once('}')
                        .ok_or_else(|| format!("In {text:?} a {{ is not closed by }}."))?;
                    rest = after;
                    let part = placeholder(name, columns)?;
                    segments.last_mut().into_iter().for_each(|segment| segment.push(part.clone()));
                }
                '}' => return Err(format!("In {text:?} a }} stands without its {{.")),
                c => literal.push(c),
            }
        }
        close(&mut segments, &mut literal);
        if segments.iter().any(Vec::is_empty) {
            return Err(format!("{text:?} is not an attribute path, like name/legal."));
        }
        let mut template = Self { text: text.to_owned(), segments, fixed: None };
        if template.parts().all(|part| matches!(part, Part::Literal(_))) {
            template.fixed = template.example();
        }
        Ok(template)
    }

    /// Every part, from left to right.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.segments.iter().flatten()
    }

    /// The slots that it names.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &str> {
        self.parts().filter_map(|part| match part {
            Part::Slot(slot) => Some(slot.as_str()),
            Part::Literal(_) | Part::Value | Part::Column(_) => None,
        })
    }

    /// Whether nothing in the path comes from the columns, so that an empty column names a target.
    pub(crate) fn is_known_without_columns(&self) -> bool {
        self.parts().all(|part| matches!(part, Part::Literal(_) | Part::Slot(_)))
    }

    /// Whether the column itself names the item.
    pub(crate) fn names_value(&self) -> bool {
        self.parts().any(|part| *part == Part::Value)
    }

    /// Whether the path is the same for every row.
    pub(crate) const fn is_fixed(&self) -> bool {
        self.fixed.is_some()
    }

    /// A path of this shape, to look up what the attribute table says of it.
    pub(super) fn example(&self) -> Option<AttributePath> {
        let texts: Vec<String> =
            self.segments.iter().map(|parts| joined(parts, |_| "0".to_owned())).collect();
        AttributePath::from_segments(&texts).ok()
    }

    /// The path for a row.
    pub(crate) fn resolve(
        &self,
        value: &str,
        texts: &[String],
        slot: &dyn Fn(&str) -> String,
    ) -> Result<AttributePath, Unresolved> {
        if let Some(path) = &self.fixed {
            return Ok(path.clone());
        }
        let mut empty = None;
        let mut text_of = |part: &Part| match part {
            Part::Literal(literal) => literal.clone(),
            Part::Value => value.to_owned(),
            Part::Slot(name) => slot(name),
            Part::Column(column) => {
                let text = texts.get(*column).map_or("", |text| text.trim());
                if text.is_empty() {
                    empty.get_or_insert(*column);
                }
                text.to_owned()
            }
        };
        let texts: Vec<String> =
            self.segments.iter().map(|parts| joined(parts, &mut text_of)).collect();
        match empty {
            Some(column) => Err(Unresolved::Empty(column)),
            None => AttributePath::from_segments(&texts).map_err(|_| Unresolved::TooLong),
        }
    }
}

fn joined(parts: &[Part], mut text_of: impl FnMut(&Part) -> String) -> String {
    let text = |part: &Part| match part {
        Part::Literal(literal) => literal.clone(),
        Part::Value | Part::Slot(_) | Part::Column(_) => text_of(part),
    };
    parts.iter().map(text).collect()
}

fn close(segments: &mut [Vec<Part>], literal: &mut String) {
    if literal.is_empty() {
        return;
    }
    // A path may be written with the escapes of its canonical form.
    let path = format!("x/{literal}").parse::<AttributePath>();
    let plain = path.ok().and_then(|path| path.segments().pop());
    let text = plain.unwrap_or_else(|| literal.clone());
    segments.last_mut().into_iter().for_each(|segment| segment.push(Part::Literal(text.clone())));
    literal.clear();
}

fn placeholder(name: &str, columns: &mut Vec<String>) -> Result<Part, String> {
    match name.split_once(':') {
        None if name == "value" => Ok(Part::Value),
        Some(("column", of)) if !of.is_empty() => Ok(Part::Column(column(columns, of))),
        Some(("slot", slot)) if is_slot(slot) => Ok(Part::Slot(slot.to_owned())),
        Some(("slot", _)) => {
            Err("The name of a slot is up to 31 letters, digits, '_' and '-'.".to_owned())
        }
        _ => Err(format!(
            "{{{name}}} is not a placeholder. Write {{value}}, {{column:NAME}} or {{slot:NAME}}."
        )),
    }
}

/// An id has at most 64 characters, and the name of a source up to 32 of them.
pub(super) fn is_slot(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=31).contains(&name.len()) && name.chars().all(is_plain)
}

/// The id of an item without a natural key: the same whenever the file is imported again, apart from
/// what other sources call theirs, and with a meaning for whoever reads it.
pub(crate) fn slot_id(source: &SourceName, slot: &str) -> String {
    format!("{source}:{slot}")
}
