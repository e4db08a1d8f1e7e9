//! Reading a TOML table key by key: no key that is not known, every fault with its line.

use std::ops::Range;

use toml_edit::{Item, TableLike, Value};

use super::fault::MappingFault;

/// The faults found so far.
pub(super) struct Faults<'a> {
    text: &'a str,
    list: Vec<MappingFault>,
}

impl<'a> Faults<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, list: Vec::new() }
    }

    pub(super) fn add(&mut self, line: usize, text: impl Into<String>) {
        self.list.push(MappingFault { line, text: text.into() });
    }

    pub(super) fn line(&self, span: Option<Range<usize>>) -> usize {
        let before = span.and_then(|span| self.text.get(..span.start)).unwrap_or_default();
        before.matches('\n').count() + 1
    }

    pub(super) const fn count(&self) -> usize {
        self.list.len()
    }

    pub(super) fn into_list(self) -> Vec<MappingFault> {
        self.list
    }
}

/// A table whose keys are all known.
pub(super) struct Keys<'a> {
    table: &'a dyn TableLike,
    line: usize,
}

impl<'a> Keys<'a> {
    /// Reports every key that is not known, with the nearest one that is.
    pub(super) fn new(
        table: &'a dyn TableLike,
        line: usize,
        known: &[&str],
        faults: &mut Faults<'_>,
    ) -> Self {
        for (key, item) in table.iter().filter(|(key, _)| !known.contains(key)) {
            let span = table.key(key).and_then(toml_edit::Key::span).or_else(|| item.span());
            let hint = match nearest(key, known.iter().copied()) {
                Some(near) => format!("Did you mean {near}?"),
                None => format!("The keys here are {}.", known.join(", ")),
            };
            faults.add(faults.line(span), format!("There is no key {key:?} here. {hint}"));
        }
        Self { table, line }
    }

    /// The line of a key, or of the table where the key is not there.
    pub(super) fn line(&self, key: &str, faults: &Faults<'_>) -> usize {
        let item = self.table.get(key);
        let span = self.table.key(key).and_then(toml_edit::Key::span);
        let span = span.or_else(|| item.and_then(Item::span));
        if span.is_some() { faults.line(span) } else { self.line }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A single value, whatever its type.
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.table.get(key).and_then(Item::as_value)
    }

    /// A text that is not empty.
    pub(super) fn text(&self, key: &str, faults: &mut Faults<'_>) -> Option<&'a str> {
        let item = self.table.get(key)?;
        let text = item.as_str().filter(|text| !text.is_empty());
        if text.is_none() {
            faults.add(self.line(key, faults), format!("{key} takes a text in quotes."));
        }
        text
    }

    pub(super) fn required(&self, key: &str, faults: &mut Faults<'_>) -> Option<&'a str> {
        if !self.has(key) {
            faults.add(self.line, format!("{key} is missing here."));
        }
        self.text(key, faults)
    }

    /// One of a few words, or the default when the key is not there.
    pub(super) fn word(
        &self,
        key: &str,
        words: &[&'static str],
        default: &'static str,
        faults: &mut Faults<'_>,
    ) -> Option<&'static str> {
        if !self.has(key) {
            return Some(default);
        }
        let text = self.text(key, faults)?;
        let word = words.iter().copied().find(|word| *word == text);
        if word.is_none() {
            let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
            let text = format!("{key} is one of {}, not {text:?}.", words.join(", "));
            faults.add(self.line(key, faults), text);
        }
        word
    }

    /// A table, in one line or in many.
    pub(super) fn table(
        &self,
        key: &str,
        faults: &mut Faults<'_>,
    ) -> Option<(&'a dyn TableLike, usize)> {
        let item = self.table.get(key)?;
        let line = self.line(key, faults);
        let table = item.as_table_like();
        if table.is_none() {
            faults.add(line, format!("{key} takes a table, like {{ … = \"…\" }}."));
        }
        table.map(|table| (table, line))
    }

    /// An array of tables, each with its line.
    pub(super) fn tables(
        &self,
        key: &str,
        faults: &mut Faults<'_>,
    ) -> Vec<(&'a dyn TableLike, usize)> {
        let Some(item) = self.table.get(key) else { return Vec::new() };
        if let Some(tables) = item.as_array_of_tables() {
            let with_line = |table: &'a toml_edit::Table| {
                let table_like: &'a dyn TableLike = table;
                (table_like, faults.line(table.span()))
            };
            return tables.iter().map(with_line).collect();
        }
        let inline = item.as_array().into_iter().flatten();
        let tables: Option<Vec<_>> = inline
            .map(|value| {
                let table: &'a dyn TableLike = value.as_inline_table()?;
                Some((table, faults.line(value.span())))
            })
            .collect();
        match tables {
            Some(tables) if item.is_array() => tables,
            _ => {
                faults.add(self.line(key, faults), format!("Write {key} as tables: [[{key}]]."));
                Vec::new()
            }
        }
    }
}

/// The known name that was probably meant.
pub(in crate::import) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let fold = |text: &str| -> String {
        let letters = text.chars().filter(|c| c.is_alphanumeric());
        letters.take(80).flat_map(char::to_lowercase).collect()
    };
    let written = fold(written);
    let mut best = None;
    for name in known {
        let likeness = strsim::jaro_winkler(&written, &fold(name));
        if likeness >= 0.8 && best.is_none_or(|(most, _)| likeness > most) {
            best = Some((likeness, name));
        }
    }
    best.map(|(_, name)| name)
}
