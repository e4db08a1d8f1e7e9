//! The mapping file: which column of a file says what about a customer.
//!
//! A mapping is TOML, written by hand and read once. Everything that can be known without the data
//! is checked when it is loaded, against the attribute table: what passes here fails later only
//! because of a row. How a row is turned into a customer is told in [`mod@super::customer`].

mod entry;
mod fault;
mod keys;
mod lint;
mod template;

use std::path::Path;

use crdt_model::id::SourceName;
use crdt_model::normalize::Context;
use encoding_rs::Encoding;
use toml_edit::Document;

pub(crate) use self::entry::{Constant, Entry, Kind, Origin, ValueMap, is_frame};
pub use self::fault::{MappingError, MappingFault};
pub(super) use self::keys::nearest;
use self::keys::{Faults, Keys};
pub(super) use self::lint::constant_json;
pub(crate) use self::template::{Unresolved, slot_id};

/// How the rows of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A header and rows, with this byte between the fields (RFC 4180 but for the delimiter).
    Csv {
        /// The delimiter.
        delimiter: u8,
    },
    /// One JSON object a line.
    JsonLines,
}

/// A mapping that was checked against the attribute table.
#[derive(Debug, Clone)]
pub struct Mapping {
    pub(crate) source: SourceName,
    pub(crate) key_system: String,
    pub(crate) key_column: usize,
    pub(crate) format: Format,
    pub(crate) encoding: &'static Encoding,
    pub(crate) default_country: Option<Origin>,
    /// Every column that the mapping names, once.
    pub(crate) columns: Vec<String>,
    pub(crate) entries: Vec<Entry>,
    gives_numbers: bool,
}

/// The keys at the top of the file.
const TOP: [&str; 11] = [
    "source",
    "key",
    "format",
    "delimiter",
    "encoding",
    "decimal",
    "date",
    "default_country",
    "empty",
    "numbers",
    "columns",
];

/// What holds for every column unless it says otherwise.
#[derive(Debug, Clone)]
struct Defaults {
    decimal: char,
    date: String,
    clears: bool,
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// [`MappingError`] with every fault found, each with its line. Nothing was changed.
    pub fn load(path: &Path) -> Result<Self, MappingError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&file, &text),
            Err(error) => Err(MappingError::unreadable(&file, &error)),
        }
    }

    /// Reads the text of a mapping file; `file` names it in faults.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(file: &str, text: &str) -> Result<Self, MappingError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut faults = Faults::new(text);
        let document = match Document::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let line = faults.line(error.span());
                faults.add(line, format!("This is not TOML: {}.", error.message()));
                return Err(MappingError::new(file, faults.into_list()));
            }
        };
        let top = Keys::new(document.as_table(), 1, &TOP, &mut faults);
        let mapping = Self::read(&top, &mut faults);
        let faults = faults.into_list();
        match mapping {
            Some(mapping) if faults.is_empty() => Ok(mapping),
            _ => Err(MappingError::new(file, faults)),
        }
    }

    /// The source system whose claims the rows are.
    #[must_use]
    pub const fn source(&self) -> &SourceName {
        &self.source
    }

    /// The system that gives the customer keys.
    #[must_use]
    pub fn key_system(&self) -> &str {
        &self.key_system
    }

    /// Whether customers without a number get one of the range of the node's region.
    #[must_use]
    pub const fn gives_numbers(&self) -> bool {
        self.gives_numbers
    }

    /// How the rows are written.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Goes on after a fault wherever the rest can still be judged, so that one reading shows all.
    fn read(top: &Keys<'_>, faults: &mut Faults<'_>) -> Option<Self> {
        let mut columns = Vec::new();
        let source = top.required("source", faults).and_then(|text| {
            let source = text.parse::<SourceName>();
            source.map_err(|error| faults.add(top.line("source", faults), format!("{error}."))).ok()
        });
        let format = format(top, faults);
        let encoding = encoding(top, faults, format);
        let key = key(top, faults, &mut columns);
        let defaults = defaults(top, faults);
        let default_country = default_country(top, faults, &mut columns);
        let numbers = top.word("numbers", &["none", "give"], "none", faults);
        let mut entries = Vec::new();
        let tables = top.tables("columns", faults);
        if tables.is_empty() {
            let text = "The mapping has no [[columns]]. Add one for each column to import.";
            faults.add(top.line("columns", faults), text);
        }
        for (table, line) in tables {
            entries.extend(entry::read(table, line, &defaults, &mut columns, faults));
        }
        lint::together(&entries, faults);
        let (key_system, key_column) = key?;
        Some(Self {
            source: source?,
            key_system,
            key_column,
            format: format?,
            encoding: encoding?,
            default_country,
            columns,
            entries,
            gives_numbers: numbers == Some("give"),
        })
    }
}

/// The place of a column among those that the mapping names.
fn column(columns: &mut Vec<String>, name: &str) -> usize {
    let known = columns.iter().position(|column| column == name);
    known.unwrap_or_else(|| {
        columns.push(name.to_owned());
        columns.len() - 1
    })
}

fn key(
    top: &Keys<'_>,
    faults: &mut Faults<'_>,
    columns: &mut Vec<String>,
) -> Option<(String, usize)> {
    let Some((table, line)) = top.table("key", faults) else {
        if !top.has("key") {
            let text = "The mapping does not say which customer a row is about. Write key = \
                        { system = \"customer-number\", column = \"…\" }.";
            faults.add(1, text);
        }
        return None;
    };
    let keys = Keys::new(table, line, &["system", "column"], faults);
    let system = keys.required("system", faults)?.to_owned();
    let name = keys.required("column", faults)?;
    Some((system, column(columns, name)))
}

fn format(top: &Keys<'_>, faults: &mut Faults<'_>) -> Option<Format> {
    let word = top.word("format", &["csv", "jsonl"], "csv", faults)?;
    let delimiter = top.text("delimiter", faults);
    if word == "jsonl" {
        if delimiter.is_some() {
            let text = "JSON Lines have no delimiter. Remove the line, or write format = \"csv\".";
            faults.add(top.line("delimiter", faults), text);
        }
        return Some(Format::JsonLines);
    }
    match delimiter.unwrap_or(",").as_bytes() {
        [delimiter @ (b',' | b';' | b'\t' | b'|')] => Some(Format::Csv { delimiter: *delimiter }),
        _ => {
            let text = "The delimiter is one of \",\", \";\", \"\\t\" and \"|\".";
            faults.add(top.line("delimiter", faults), text);
            None
        }
    }
}

fn encoding(
    top: &Keys<'_>,
    faults: &mut Faults<'_>,
    format: Option<Format>,
) -> Option<&'static Encoding> {
    let label = top.text("encoding", faults).unwrap_or("utf-8");
    // The one name in daily use that the standard of encodings lacks.
    let standard = if label.eq_ignore_ascii_case("latin-1") { "latin1" } else { label };
    let known =
        Encoding::for_label(standard.as_bytes()).filter(|found| found.is_ascii_compatible());
    let Some(encoding) = known else {
        let text = format!(
            "{label:?} is not an encoding that can be read. Use utf-8, windows-1252 (also called \
             latin-1), iso-8859-15, windows-1250, shift_jis, gb18030, euc-kr or big5, or save the \
             file as UTF-8."
        );
        faults.add(top.line("encoding", faults), text);
        return None;
    };
    let is_bar = format == Some(Format::Csv { delimiter: b'|' });
    if is_bar && encoding != encoding_rs::UTF_8 && !encoding.is_single_byte() {
        let text = format!(
            "In {label} the byte of \"|\" is also a part of letters. Save the file as UTF-8, or with \
             another delimiter."
        );
        faults.add(top.line("encoding", faults), text);
        return None;
    }
    Some(encoding)
}

fn defaults(top: &Keys<'_>, faults: &mut Faults<'_>) -> Defaults {
    let decimal = top.word("decimal", &[".", ","], ".", faults).unwrap_or(".");
    let date = entry::date_format(top, faults).unwrap_or_else(|| "%Y-%m-%d".to_owned());
    let empty = top.word("empty", &["skip", "clear"], "skip", faults);
    let decimal = if decimal == "," { ',' } else { '.' };
    Defaults { decimal, date, clears: empty == Some("clear") }
}

fn default_country(
    top: &Keys<'_>,
    faults: &mut Faults<'_>,
    columns: &mut Vec<String>,
) -> Option<Origin> {
    let origin = entry::text_or_column(top, "default_country", columns, faults)?;
    if let Origin::Constant(Constant::Text(country)) = &origin
        && let Err(fault) = Context::with_country(country)
    {
        faults.add(top.line("default_country", faults), fault.text);
    }
    Some(origin)
}

#[cfg(test)]
mod tests;
