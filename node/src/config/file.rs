//! Reading `concord.toml`: every key with its line, and nothing that is not a key.

use std::path::Path;

use toml_edit::{Document, Item, TableLike, Value};

use super::{ConfigError, DEFAULTS, Layers, Origin, Raw};

/// The keys that a file sets, each with its line.
pub(super) fn parse(path: &Path, text: &str) -> Result<Layers, ConfigError> {
    let document = Document::parse(text).map_err(|error| ConfigError::Malformed {
        origin: origin(path, text, error.span()),
        reason: error.message().replace('\n', "; "),
    })?;
    let mut walk = Walk { path, text, layers: Layers::new() };
    walk.table("", document.as_table())?;
    Ok(walk.layers)
}

/// A value of [`super::DEFAULTS`], written as in a file.
pub(super) fn value(text: &str) -> Raw {
    text.parse::<Value>().map_or_else(|_| Raw::Other(text.to_owned()), |value| raw(&value))
}

struct Walk<'a> {
    path: &'a Path,
    text: &'a str,
    layers: Layers,
}

impl Walk<'_> {
    // As deep as a known key has dots.
    fn table(&mut self, prefix: &str, table: &dyn TableLike) -> Result<(), ConfigError> {
        for (name, item) in table.iter() {
            let key = format!("{prefix}{name}");
            let span = table.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
            let origin = origin(self.path, self.text, span);
            let setting = DEFAULTS.iter().find(|setting| setting.key == key);
            let below = format!("{key}.");
            match (setting, item.as_table_like(), item) {
                (Some(setting), None, Item::Value(value)) => {
                    self.layers.insert(setting.key, (raw(value), origin));
                }
                (Some(setting), _, _) => {
                    self.layers.insert(setting.key, (Raw::Other("a table".to_owned()), origin));
                }
                (None, Some(table), _) if DEFAULTS.iter().any(|s| s.key.starts_with(&below)) => {
                    self.table(&below, table)?;
                }
                (None, _, _) => return Err(ConfigError::UnknownKey { origin, key }),
            }
        }
        Ok(())
    }
}

fn raw(value: &Value) -> Raw {
    match value {
        Value::String(text) => Raw::Text(text.value().clone()),
        Value::Integer(number) => Raw::Whole(*number.value()),
        Value::Array(array) => {
            let texts = array.iter().map(|entry| entry.as_str().map(str::to_owned));
            let other = || Raw::Other(array.to_string().trim().to_owned());
            texts.collect::<Option<_>>().map_or_else(other, Raw::List)
        }
        Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::InlineTable(_) => {
            Raw::Other(value.to_string().trim().to_owned())
        }
    }
}

fn origin(path: &Path, text: &str, span: Option<std::ops::Range<usize>>) -> Origin {
    let before = span.and_then(|span| text.get(..span.start)).unwrap_or_default();
    Origin::Line(path.to_owned(), before.matches('\n').count() + 1)
}
