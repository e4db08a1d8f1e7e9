//! What is in the indexes: the entries that a golden record has, and which of them may stand in runs.

use std::collections::BTreeSet;

use crdt_model::attribute;
use crdt_model::golden_record::GoldenRecord;
use crdt_model::issue;
use crdt_model::path::AttributePath;
use crdt_model::value::{Scalar, Value};

use crate::replica::layout;

/// What customers can be looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lookup {
    /// A customer number, in this or another system.
    Number,
    /// The value of a tax id, without country and type.
    TaxId,
    /// An account number.
    Account,
    /// The start of a word of a name.
    Name,
}

impl Lookup {
    const fn tag(self) -> u8 {
        match self {
            Self::Number => b'n',
            Self::TaxId => b't',
            Self::Account => b'a',
            Self::Name => b'w',
        }
    }

    /// The prefix under which records with this text are found, and whether the text is a whole
    /// value; a name matches by the start of a word.
    #[must_use]
    pub fn prefix(self, text: &str) -> Vec<u8> {
        let folded = fold(text);
        let mut prefix = layout::join(layout::INDEX, &[&[self.tag()], folded.as_bytes()]);
        if self != Self::Name {
            prefix.push(0);
        }
        prefix
    }
}

/// Text as the index compares it: letters and digits in lower case.
fn fold(text: &str) -> String {
    let kept = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase);
    kept.take(INDEX_TEXT_MAX).collect()
}

/// The most characters of a text that the index keeps.
const INDEX_TEXT_MAX: usize = 64;

/// Every index key of a golden record. The last 16 bytes of a key are the record id.
#[must_use]
pub fn index_keys(golden: &GoldenRecord) -> BTreeSet<Vec<u8>> {
    let mut keys = BTreeSet::new();
    let mut add = |lookup: Lookup, text: &str| {
        let folded = fold(text);
        if !folded.is_empty() {
            let parts: [&[u8]; 4] =
                [&[lookup.tag()], folded.as_bytes(), &[0], golden.record.as_bytes()];
            keys.insert(layout::join(layout::INDEX, &parts));
        }
    };
    for (path, values) in &golden.attributes {
        for value in values.iter().filter_map(|golden| golden.value.as_ref()) {
            index_value(path, value, &mut add);
        }
    }
    keys.extend(relation_keys(golden));
    keys
}

/// The index keys by which issues find other records: identifiers, links and codes.
fn relation_keys(golden: &GoldenRecord) -> BTreeSet<Vec<u8>> {
    let mut keys = BTreeSet::new();
    let end = golden.record.as_bytes();
    for (id, request) in &golden.requests {
        keys.insert([layout::request_prefix(id).as_slice(), end].concat());
        if request.is_open() {
            keys.insert([layout::task_prefix().as_slice(), end].concat());
        }
    }
    for (path, values) in &golden.attributes {
        let Some(attribute) = attribute::lookup(path) else { continue };
        let stated: Vec<&Value> =
            values.iter().filter_map(|golden| golden.value.as_deref()).collect();
        if let Some(prefix) = layout::identifier_prefix(path).filter(|_| !stated.is_empty()) {
            keys.insert([prefix.as_slice(), end].concat());
        }
        for value in stated {
            if let Some(linked) = issue::linked(attribute, value) {
                keys.insert([layout::link_prefix(&linked).as_slice(), end].concat());
            }
            if let Some(code) = issue::code_of(attribute, path, value) {
                keys.insert(
                    [layout::code_prefix(attribute.pattern, &code).as_slice(), end].concat(),
                );
            }
        }
    }
    keys
}

/// The sections in which something stands that customers can be looked up by.
const LOOKED_UP: [&str; 5] = ["identity/", "xref/", "tax_id/", "bank/", "name/"];

fn index_value(path: &AttributePath, value: &Value, add: &mut impl FnMut(Lookup, &str)) {
    // Most attributes are not looked up by, and need not be taken apart.
    if !LOOKED_UP.iter().any(|section| path.as_str().starts_with(section)) {
        return;
    }
    let segments = path.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments[..] {
        ["identity", "customer_number", number] => add(Lookup::Number, number),
        ["xref", id] => add(Lookup::Number, id.rsplit(':').next().unwrap_or(id)),
        ["tax_id", id] => add(Lookup::TaxId, id.rsplit(':').next().unwrap_or(id)),
        ["bank", account] => add(Lookup::Account, account),
        ["name", ..] => texts(value).for_each(|text| {
            text.split(|c: char| !c.is_alphanumeric()).for_each(|word| add(Lookup::Name, word));
        }),
        _ => {}
    }
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let (one, group) = match value {
        Value::One(scalar) => (Some(scalar), None),
        Value::Group(members) => (None, Some(members.values())),
    };
    one.into_iter().chain(group.into_iter().flatten()).filter_map(|scalar| match scalar {
        Scalar::Text(text) => Some(text.as_str()),
        Scalar::Bool(_) | Scalar::Int(_) => None,
    })
}

/// Whether entries that start so may stand in runs: those that people and pages of work ask for. What
/// every write asks for (identifiers, links) and what is seldom (requests) always stands by itself.
pub(crate) fn is_in_runs(start: &[u8]) -> bool {
    match start {
        [layout::ISSUE_MARK, ..] | [layout::INDEX] => true,
        [layout::INDEX, tag, ..] => RUN_TAGS.contains(tag),
        _ => false,
    }
}

/// The kinds of the lookup index that may stand in runs.
const RUN_TAGS: [u8; 5] = [
    Lookup::Number.tag(),
    Lookup::TaxId.tag(),
    Lookup::Account.tag(),
    Lookup::Name.tag(),
    layout::CODE_TAG,
];
