//! From the texts of a row to the customer tree that the node takes.
//!
//! A group is stated whole, so its members are gathered first. What every row says (constants) is
//! said only where the row itself says something: an address is not a country alone.

use std::collections::{BTreeMap, BTreeSet};

use crdt_model::attribute::{KeyType, ValueType};
use crdt_model::normalize::{Context, canonical_path, trading_name_key};
use crdt_model::path::AttributePath;
use crdt_model::tree::nest;
use serde_json::{Map, Value as Json};

use super::RowFault;
use super::convert::{self, Unreadable, shown};
use super::mapping::{
    Constant, Entry, Mapping, Origin, Unresolved, constant_json, is_frame, slot_id,
};

/// What a row says: the key of the customer, and the line that the node takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Customer {
    pub(super) key: String,
    pub(super) tree: Json,
    pub(super) default_country: Option<String>,
}

/// Turns the texts of a row, one for each column of the mapping, into a customer.
pub(super) fn customer(mapping: &Mapping, texts: &[String]) -> Result<Customer, Vec<RowFault>> {
    let key = text_of(texts, mapping.key_column);
    if key.is_empty() {
        let column = &mapping.columns[mapping.key_column];
        let text = "The key is empty, so nobody knows which customer this is.".to_owned();
        return Err(vec![RowFault::at_column("key-empty", column, String::new(), &text)]);
    }
    let mut row = Row::new(mapping, texts);
    for entry in &mapping.entries {
        if let Origin::Column(column) = entry.origin {
            row.column(entry, column);
        }
    }
    for entry in &mapping.entries {
        if let Origin::Constant(constant) = &entry.origin {
            row.constant(entry, constant);
        }
    }
    let Row { drafts, faults, .. } = row;
    if !faults.is_empty() {
        return Err(faults);
    }
    let stated: Vec<(AttributePath, Json)> =
        drafts.into_values().filter_map(Draft::into_stated).collect();
    if stated.is_empty() {
        let text = "No column that the mapping names has a value in this row.".to_owned();
        return Err(vec![RowFault { code: "row-empty".to_owned(), pointer: String::new(), text }]);
    }
    let tree = nest(stated.iter().map(|(path, json)| (path, json.clone())));
    let default_country = row_country(mapping, texts).map(str::to_owned);
    Ok(Customer { key: key.to_owned(), tree, default_country })
}

/// The column that a fault of the node is about, so that the clerk finds it in the file.
pub(super) fn column_at<'a>(
    mapping: &'a Mapping,
    texts: &[String],
    pointer: &str,
) -> Option<&'a str> {
    let row = Row::new(mapping, texts);
    let mut found = None;
    for entry in &mapping.entries {
        let Origin::Column(column) = entry.origin else { continue };
        let Ok(path) = row.path(entry, text_of(texts, column)) else { continue };
        let own = pointer_of(&path, entry.member.as_deref());
        if own == pointer {
            return Some(&mapping.columns[column]);
        }
        // The node may speak of a whole group of which this is the only column.
        if own.starts_with(&format!("{pointer}/")) || pointer.starts_with(&format!("{own}/")) {
            found = match found {
                None => Some(Some(column)),
                Some(_) => Some(None),
            };
        }
    }
    found.flatten().map(|column| mapping.columns[column].as_str())
}

fn text_of(texts: &[String], column: usize) -> &str {
    texts.get(column).map_or("", |text| text.trim())
}

fn row_country<'a>(mapping: &'a Mapping, texts: &'a [String]) -> Option<&'a str> {
    let country = match mapping.default_country.as_ref()? {
        Origin::Column(column) => text_of(texts, *column),
        Origin::Constant(Constant::Text(text)) => text,
        Origin::Constant(_) => "",
    };
    (!country.is_empty()).then_some(country)
}

/// A JSON pointer (RFC 6901) below the customer.
fn pointer_of(path: &AttributePath, member: Option<&str>) -> String {
    let mut pointer = String::new();
    for segment in path.segments().iter().map(String::as_str).chain(member) {
        pointer.push('/');
        pointer.push_str(&segment.replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

/// One attribute while its members are gathered.
#[derive(Debug)]
struct Draft {
    written: AttributePath,
    own: Option<Json>,
    members: Map<String, Json>,
    frame: Map<String, Json>,
    is_stated: bool,
    is_cleared: bool,
}

impl Draft {
    fn new(written: AttributePath) -> Self {
        let (members, frame) = (Map::new(), Map::new());
        Self { written, own: None, members, frame, is_stated: false, is_cleared: false }
    }

    fn into_stated(self) -> Option<(AttributePath, Json)> {
        if !self.is_stated {
            return self.is_cleared.then_some((self.written, Json::Null));
        }
        let json = match (self.own, self.frame.is_empty()) {
            (Some(own), true) if self.members.is_empty() => own,
            (Some(Json::Object(mut own)), false) if self.members.is_empty() => {
                own.extend(self.frame);
                Json::Object(own)
            }
            // A key that says all needs no value beside its validity.
            (Some(own), false) if self.members.is_empty() && own != Json::Bool(true) => {
                let mut object = self.frame;
                object.insert("value".to_owned(), own);
                Json::Object(object)
            }
            _ => {
                let mut object = self.members;
                object.extend(self.frame);
                Json::Object(object)
            }
        };
        Some((self.written, json))
    }
}

struct Row<'a> {
    mapping: &'a Mapping,
    texts: &'a [String],
    context: Context,
    /// By canonical path, so that two spellings of one telephone number are one item.
    drafts: BTreeMap<AttributePath, Draft>,
    slots: BTreeSet<&'a str>,
    faults: Vec<RowFault>,
}

impl<'a> Row<'a> {
    fn new(mapping: &'a Mapping, texts: &'a [String]) -> Self {
        let country = row_country(mapping, texts);
        let context = country.and_then(|country| Context::with_country(country).ok());
        Self {
            mapping,
            texts,
            context: context.unwrap_or_default(),
            drafts: BTreeMap::new(),
            slots: BTreeSet::new(),
            faults: Vec::new(),
        }
    }

    fn path(&self, entry: &Entry, value: &str) -> Result<AttributePath, Unresolved> {
        let slot = |slot: &str| slot_id(&self.mapping.source, slot);
        let is_name = entry.attribute.keys.last() == Some(&KeyType::Name);
        if !is_name || !entry.target.names_value() {
            return entry.target.resolve(value, self.texts, &slot);
        }
        // A path has room for short names alone.
        let key = trading_name_key(value).map_err(|_| Unresolved::TooLong)?;
        entry.target.resolve(&key, self.texts, &slot)
    }

    fn draft(&mut self, path: AttributePath, is_fixed: bool) -> &mut Draft {
        let canonical = if is_fixed { None } else { canonical_path(&path, &self.context).ok() };
        let key = canonical.unwrap_or_else(|| path.clone());
        self.drafts.entry(key).or_insert_with(|| Draft::new(path))
    }

    fn fault(
        &mut self,
        column: usize,
        entry: &Entry,
        path: Option<&AttributePath>,
        why: &Unreadable,
    ) {
        let pointer = path.map(|path| pointer_of(path, entry.member.as_deref()));
        let column = &self.mapping.columns[column];
        let pointer = pointer.unwrap_or_default();
        self.faults.push(RowFault::at_column(why.code, column, pointer, &why.text));
    }

    /// What a column says in this row.
    fn column(&mut self, entry: &'a Entry, column: usize) {
        let written = text_of(self.texts, column);
        let text = match convert::mapped(entry.values.as_ref(), written) {
            Ok(text) => text,
            Err(why) => {
                let path = self.path(entry, "").ok();
                return self.fault(column, entry, path.as_ref(), &why);
            }
        };
        if text.is_empty() {
            if let (true, Ok(path)) = (entry.clears, self.path(entry, "")) {
                self.draft(path, entry.target.is_fixed()).is_cleared = true;
            }
            return;
        }
        let path = match self.path(entry, text) {
            Ok(path) => path,
            Err(Unresolved::Empty(_)) if self.is_said_elsewhere(entry) => return,
            Err(why) => {
                let why = self.unresolved(&why, text);
                return self.fault(column, entry, None, &why);
            }
        };
        let json = if entry.target.names_value() {
            item(entry, text)
        } else {
            match convert::read(entry, &self.mapping.key_system, text) {
                Ok(json) => with_raw(entry, json, written),
                Err(why) => return self.fault(column, entry, Some(&path), &why),
            }
        };
        self.slots.extend(entry.target.slots());
        let currency = self.currency(entry);
        let draft = self.draft(path, entry.target.is_fixed());
        draft.set(entry.member.as_deref(), json);
        if let Some(currency) = currency {
            draft.members.insert("currency".to_owned(), Json::String(currency));
        }
    }

    /// Whether a member of an item that is not there is lost without harm: the holder of no account
    /// is still the name of the customer.
    fn is_said_elsewhere(&self, entry: &Entry) -> bool {
        entry.member.is_some()
            && self
                .mapping
                .entries
                .iter()
                .any(|other| other.origin == entry.origin && other.target.text != entry.target.text)
    }

    fn currency(&self, entry: &Entry) -> Option<String> {
        let currency = match entry.currency.as_ref()? {
            Origin::Column(column) => text_of(self.texts, *column),
            Origin::Constant(Constant::Text(text)) => text,
            Origin::Constant(_) => "",
        };
        (!currency.is_empty()).then(|| currency.to_owned())
    }

    fn unresolved(&self, why: &Unresolved, text: &str) -> Unreadable {
        match why {
            Unresolved::Empty(column) => {
                let empty = &self.mapping.columns[*column];
                let text = format!(
                    "There is {}, but the column {empty} that says where it belongs is empty.",
                    shown(text)
                );
                Unreadable { code: "item-key-empty", text }
            }
            Unresolved::TooLong => {
                let text = format!("{} is too long to name an item.", shown(text));
                Unreadable { code: "path-too-long", text }
            }
        }
    }

    /// What every row says, where this one has something to say it about.
    fn constant(&mut self, entry: &'a Entry, constant: &Constant) {
        let of_value = match constant {
            Constant::Slot(slot) => Some(slot.as_str()),
            Constant::Text(_) | Constant::Whole(_) | Constant::Flag(_) => None,
        };
        if entry.target.slots().chain(of_value).any(|slot| !self.slots.contains(slot)) {
            return;
        }
        // The only other way to fail is an empty column: no item, nothing to say about it.
        let Ok(path) = self.path(entry, "") else { return };
        let slot = of_value.map(|slot| slot_id(&self.mapping.source, slot));
        let json = constant_json(constant, slot.as_deref().unwrap_or_default());
        let is_lone = entry.member.is_none() || self.is_constant_alone(entry);
        let draft = self.draft(path, entry.target.is_fixed());
        if is_lone || draft.is_stated {
            draft.set(entry.member.as_deref(), json);
        }
    }

    /// Whether no column states this group: then it is what every row says, and not an attendant.
    fn is_constant_alone(&self, entry: &Entry) -> bool {
        matches!(entry.attribute.value, ValueType::Group(_))
            && !self.mapping.entries.iter().any(|other| {
                other.target.text == entry.target.text && matches!(other.origin, Origin::Column(_))
            })
    }
}

impl Draft {
    fn set(&mut self, member: Option<&str>, json: Json) {
        match member {
            Some(name) if is_frame(name) => drop(self.frame.insert(name.to_owned(), json)),
            Some(name) => {
                self.members.insert(name.to_owned(), json);
                self.is_stated = true;
            }
            None => {
                self.own = Some(json);
                self.is_stated = true;
            }
        }
    }
}

/// What is said of an item that its key names: a name is itself, anything else is there.
fn item(entry: &Entry, text: &str) -> Json {
    if matches!(entry.attribute.value, ValueType::Text(_) | ValueType::Prose(_)) {
        Json::String(text.to_owned())
    } else {
        Json::Bool(true)
    }
}

/// A lone value keeps the text of the file beside it where that was read differently.
fn with_raw(entry: &Entry, json: Json, written: &str) -> Json {
    let is_lone = entry.member.is_none();
    if !is_lone || json.as_str() == Some(written) {
        return json;
    }
    Json::Object(Map::from_iter([
        ("value".to_owned(), json),
        ("raw".to_owned(), Json::String(written.to_owned())),
    ]))
}

#[cfg(test)]
mod tests;
