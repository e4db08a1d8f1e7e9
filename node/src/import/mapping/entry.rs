//! One `[[columns]]` entry: where a text comes from, what it becomes, and where it goes.

use std::collections::BTreeMap;

use crdt_model::attribute::{Attribute, ValueType};
use jiff::civil::{Date, date};
use toml_edit::{TableLike, Value};

use super::keys::{Faults, Keys};
use super::template::{Template, is_slot};
use super::{Defaults, column, lint};

/// The keys of an entry.
const KNOWN: [&str; 10] = [
    "column",
    "constant",
    "attribute",
    "member",
    "type",
    "currency",
    "values",
    "unmapped",
    "empty",
    "date",
];

/// One thing that a row says.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The line in the mapping file.
    pub(super) line: usize,
    pub(crate) origin: Origin,
    pub(crate) target: Template,
    pub(crate) attribute: &'static Attribute,
    pub(crate) member: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) currency: Option<Origin>,
    pub(crate) values: Option<ValueMap>,
    /// Whether an empty column takes back what the source said before.
    pub(crate) clears: bool,
    /// The sign before the decimals.
    pub(crate) decimal: char,
    /// The format of days, in the manner of strftime.
    pub(crate) date: String,
}

/// Where a text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Column(usize),
    Constant(Constant),
}

/// What every row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Constant {
    Text(String),
    Whole(i64),
    Flag(bool),
    /// The id of the item in this slot.
    Slot(String),
}

/// What a text is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Date,
    /// A day, or a month or year of ISO 8601.
    PartialDate,
    Decimal,
    Money,
    Whole,
    Flag,
    /// The key of another customer in the key system of the mapping, or a record id.
    Record,
}

/// Codes of the source and what they are called here.
#[derive(Debug, Clone)]
pub(crate) struct ValueMap {
    pub(crate) values: BTreeMap<String, String>,
    /// Whether a text that is not in the map is taken as it is.
    pub(crate) keeps: bool,
}

impl Kind {
    /// How texts for values of a type are read.
    pub(super) const fn of(value: &ValueType) -> Self {
        match value {
            ValueType::Bool | ValueType::Present => Self::Flag,
            ValueType::Int(..) => Self::Whole,
            ValueType::Money(_) => Self::Money,
            ValueType::Decimal(..) => Self::Decimal,
            ValueType::Date => Self::Date,
            ValueType::PartialDate => Self::PartialDate,
            ValueType::Record => Self::Record,
            ValueType::Text(_)
            | ValueType::Prose(_)
            | ValueType::Code(_)
            | ValueType::Ranked(_)
            | ValueType::Word(_)
            | ValueType::Country
            | ValueType::Currency
            | ValueType::Language
            | ValueType::Url
            | ValueType::Email
            | ValueType::Phone
            | ValueType::Iban
            | ValueType::Bic
            | ValueType::Lei
            | ValueType::Duns
            | ValueType::Gln
            | ValueType::Region
            | ValueType::ItemId
            | ValueType::Json(_)
            | ValueType::Group(_) => Self::Text,
        }
    }

    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "text" => Self::Text,
            "date" => Self::Date,
            "decimal" => Self::Decimal,
            "money" => Self::Money,
            "whole" => Self::Whole,
            "flag" => Self::Flag,
            _ => return None,
        })
    }
}

/// Members that describe the statement and not the value; every attribute takes them.
pub(crate) fn is_frame(member: &str) -> bool {
    matches!(member, "valid_from" | "valid_to")
}

/// Reads one entry; `None` when it has a fault.
pub(super) fn read(
    table: &dyn TableLike,
    line: usize,
    defaults: &Defaults,
    columns: &mut Vec<String>,
    faults: &mut Faults<'_>,
) -> Option<Entry> {
    let before = faults.count();
    let keys = Keys::new(table, line, &KNOWN, faults);
    let origin = origin(&keys, line, columns, faults);
    let target = keys.required("attribute", faults).and_then(|text| {
        let template = Template::parse(text, columns);
        template.map_err(|text| faults.add(keys.line("attribute", faults), text)).ok()
    });
    let member = keys.text("member", faults).map(str::to_owned);
    let currency = text_or_column(&keys, "currency", columns, faults);
    let values = values(&keys, faults);
    let empty = if defaults.clears { "clear" } else { "skip" };
    let empty = keys.word("empty", &["skip", "clear"], empty, faults);
    let date = date_format(&keys, faults).unwrap_or_else(|| defaults.date.clone());
    let (origin, target) = (origin?, target?);
    let at = keys.line("attribute", faults);
    let attribute = lint::attribute(&target, at, faults)?;
    let value = lint::member(attribute, &target, member.as_deref(), &keys, faults)?;
    let kind = kind(&keys, &value, faults)?;
    // What a column names cannot be taken back by the empty column: nothing says what it was.
    let can_clear = target.is_known_without_columns() && matches!(origin, Origin::Column(_));
    if keys.has("empty") && empty == Some("clear") && !can_clear {
        let text = "empty = \"clear\" needs a column and a path that the row has no part in: an \
                    empty column does not say which item to take back.";
        faults.add(keys.line("empty", faults), text);
    }
    let clears = empty == Some("clear") && can_clear;
    let decimal = defaults.decimal;
    let entry = Entry {
        line,
        origin,
        target,
        attribute,
        member,
        kind,
        currency,
        values,
        clears,
        decimal,
        date,
    };
    lint::alone(&entry, &value, &keys, faults);
    (faults.count() == before).then_some(entry)
}

fn origin(
    keys: &Keys<'_>,
    line: usize,
    columns: &mut Vec<String>,
    faults: &mut Faults<'_>,
) -> Option<Origin> {
    match (keys.has("column"), keys.has("constant")) {
        (true, false) => {
            keys.text("column", faults).map(|name| Origin::Column(column(columns, name)))
        }
        (false, true) => constant(keys, faults).map(Origin::Constant),
        (true, true) => {
            faults.add(keys.line("constant", faults), "Give column or constant, not both.");
            None
        }
        (false, false) => {
            faults.add(line, "Say where the value comes from: column = \"…\" or constant = \"…\".");
            None
        }
    }
}

fn constant(keys: &Keys<'_>, faults: &mut Faults<'_>) -> Option<Constant> {
    let constant = match keys.value("constant") {
        Some(Value::String(text)) if !text.value().is_empty() => {
            let text = text.value().as_str();
            let slot = text.strip_prefix("{slot:").and_then(|rest| rest.strip_suffix('}'));
            Some(match slot {
                Some(slot) if is_slot(slot) => Constant::Slot(slot.to_owned()),
                _ => Constant::Text(text.to_owned()),
            })
        }
        Some(Value::Integer(number)) => Some(Constant::Whole(*number.value())),
        Some(Value::Boolean(flag)) => Some(Constant::Flag(*flag.value())),
        _ => None,
    };
    if constant.is_none() {
        let text = "constant takes a text, a whole number, true or false. Write amounts and \
                    decimals as texts, like \"12.50\".";
        faults.add(keys.line("constant", faults), text);
    }
    constant
}

/// `"EUR"`, or `{ column = "WAERS" }`.
pub(super) fn text_or_column(
    keys: &Keys<'_>,
    key: &str,
    columns: &mut Vec<String>,
    faults: &mut Faults<'_>,
) -> Option<Origin> {
    let value = keys.value(key);
    if let Some(text) = value.and_then(Value::as_str).filter(|text| !text.is_empty()) {
        return Some(Origin::Constant(Constant::Text(text.to_owned())));
    }
    if let Some(table) = value.and_then(Value::as_inline_table) {
        let inner = Keys::new(table, keys.line(key, faults), &["column"], faults);
        let name = inner.required("column", faults)?;
        return Some(Origin::Column(column(columns, name)));
    }
    if keys.has(key) {
        let text = format!("{key} takes a text, or {{ column = \"…\" }}.");
        faults.add(keys.line(key, faults), text);
    }
    None
}

fn values(keys: &Keys<'_>, faults: &mut Faults<'_>) -> Option<ValueMap> {
    let unmapped = keys.word("unmapped", &["reject", "keep"], "reject", faults);
    let Some((table, line)) = keys.table("values", faults) else {
        if keys.has("unmapped") {
            let text = "unmapped says what happens to a text that is not in values: add values.";
            faults.add(keys.line("unmapped", faults), text);
        }
        return None;
    };
    let mut values = BTreeMap::new();
    for (from, to) in table.iter() {
        let Some(to) = to.as_str() else {
            let text = format!("values maps texts to texts: write {from:?} = \"…\".");
            faults.add(faults.line(to.span()).max(line), text);
            continue;
        };
        if values.insert(from.trim().to_owned(), to.to_owned()).is_some() {
            faults.add(line, format!("{:?} stands in values twice.", from.trim()));
        }
    }
    Some(ValueMap { values, keeps: unmapped == Some("keep") })
}

fn kind(keys: &Keys<'_>, value: &ValueType, faults: &mut Faults<'_>) -> Option<Kind> {
    let natural = Kind::of(value);
    if !keys.has("type") {
        return Some(natural);
    }
    let word = keys.text("type", faults)?;
    let is_text = matches!(value, ValueType::Text(_) | ValueType::Prose(_));
    match Kind::named(word) {
        Some(Kind::Date) if natural == Kind::PartialDate => Some(natural),
        Some(kind) if kind == natural => Some(kind),
        Some(kind @ (Kind::Date | Kind::Decimal)) if is_text => Some(kind),
        Some(_) => {
            let text = format!(
                "This attribute takes no {word}. Leave type out: the attribute says how its texts \
                 are read."
            );
            faults.add(keys.line("type", faults), text);
            None
        }
        None => {
            let text = "type is one of \"text\", \"date\", \"decimal\", \"money\", \"whole\" and \
                        \"flag\".";
            faults.add(keys.line("type", faults), text);
            None
        }
    }
}

/// The format of days, when it is given: one that can be read and leaves no part of a day open.
pub(super) fn date_format(keys: &Keys<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let format = keys.text("date", faults)?;
    let probe = date(2026, 12, 31);
    let written = jiff::fmt::strtime::format(format, probe).ok();
    if written.is_some_and(|text| Date::strptime(format, text).is_ok_and(|read| read == probe)) {
        return Some(format.to_owned());
    }
    let text = format!(
        "{format:?} is not a format of days. Use %d for the day, %m for the month and %Y for the \
         year, like \"%d.%m.%Y\"."
    );
    faults.add(keys.line("date", faults), text);
    None
}
