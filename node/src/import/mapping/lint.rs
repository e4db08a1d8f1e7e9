//! What the attribute table says about a mapping: before any row is read.

use std::collections::BTreeMap;

use crdt_model::attribute::{Attribute, KeyType, Member, ValueType, lookup};
use crdt_model::normalize::{Context, canonical_path, normalize};
use serde_json::Value as Json;

use super::entry::{Constant, Entry, Kind, Origin, is_frame};
use super::keys::{Faults, Keys, nearest};
use super::template::{Part, Template};

/// The attribute that a template names, if every placeholder in it can stand where it stands.
pub(super) fn attribute(
    target: &Template,
    line: usize,
    faults: &mut Faults<'_>,
) -> Option<&'static Attribute> {
    let Some(example) = target.example() else {
        faults.add(line, format!("{:?} is not an attribute path, like name/legal.", target.text));
        return None;
    };
    let Some(attribute) = lookup(&example) else {
        // The fault of the look-up names the nearest attribute.
        let fault = canonical_path(&example, &Context::default()).err();
        let hint = fault.and_then(|fault| Some(fault.text.split_once(". ")?.1.to_owned()));
        let hint = hint.unwrap_or_else(|| "GET /v1/attributes lists all.".to_owned());
        faults.add(line, format!("There is no attribute {:?}. {hint}", target.text));
        return None;
    };
    let mut keys = attribute.keys.iter();
    let last = target.segments.len().saturating_sub(1);
    for (at, (pattern, parts)) in attribute.pattern.split('/').zip(&target.segments).enumerate() {
        let kind = if pattern.starts_with('{') { keys.next().copied() } else { None };
        for part in parts {
            if let Some(text) = misplaced(part, kind, attribute.is_item() && at == last) {
                faults.add(line, text);
                return None;
            }
        }
    }
    if target.is_fixed()
        && let Err(fault) = canonical_path(&example, &Context::default())
    {
        faults.add(line, fault.text);
        return None;
    }
    Some(attribute)
}

fn misplaced(part: &Part, kind: Option<KeyType>, is_item: bool) -> Option<&'static str> {
    match part {
        Part::Literal(_) => None,
        Part::Slot(_) if kind == Some(KeyType::Id) => None,
        Part::Slot(_) => Some(
            "A slot stands for an item that has no natural key, like an address. Here the key is \
             known: write it, or {value} or {column:NAME}.",
        ),
        Part::Value if is_item => None,
        Part::Value => Some(
            "{value} names an item of a set, like bank/{value}. Here the value is what is said: \
             leave {value} out.",
        ),
        Part::Column(_) if kind == Some(KeyType::Defined) => {
            Some("The names of own attributes are fixed. Write the name.")
        }
        Part::Column(_) => None,
    }
}

/// What the value of an entry is, if its member fits the attribute.
pub(super) fn member(
    attribute: &Attribute,
    target: &Template,
    member: Option<&str>,
    keys: &Keys<'_>,
    faults: &mut Faults<'_>,
) -> Option<ValueType> {
    let line = keys.line("member", faults);
    if target.names_value() {
        if member.is_none() {
            return Some(ValueType::Text(0));
        }
        let text = "{value} names the item and says all. For a member of the item, write \
                    {column:NAME} in the attribute.";
        faults.add(line, text);
        return None;
    }
    match (attribute.value, member) {
        (_, Some(name)) if is_frame(name) => Some(ValueType::Date),
        (ValueType::Group(members), Some(name)) => {
            let found = members.iter().find(|member| member.name == name);
            if found.is_none() {
                let names: Vec<&str> = members.iter().map(|member| member.name).collect();
                let hint = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("Did you mean {near}?"),
                    None => format!("The members are {}.", names.join(", ")),
                };
                faults.add(line, format!("{} has no member {name:?}. {hint}", target.text));
            }
            found.map(|member| member.value)
        }
        (ValueType::Group(members), None) => {
            let names: Vec<&str> = members.iter().map(|member| member.name).collect();
            let text = format!(
                "{} holds several values. Say which one with member = one of {}.",
                target.text,
                names.join(", ")
            );
            faults.add(line, text);
            None
        }
        (value, None) => Some(value),
        (_, Some(name)) => {
            let text = format!("{} is a single value and has no member {name:?}.", target.text);
            faults.add(line, text);
            None
        }
    }
}

/// What can be said about one entry.
pub(super) fn alone(entry: &Entry, value: &ValueType, keys: &Keys<'_>, faults: &mut Faults<'_>) {
    let is_constant = matches!(entry.origin, Origin::Constant(_));
    if entry.currency.is_some() && entry.kind != Kind::Money {
        let text = "currency belongs to an amount, such as the member \"amount\" of a limit.";
        faults.add(keys.line("currency", faults), text);
    }
    for key in ["values", "empty", "date", "type"] {
        if is_constant && keys.has(key) {
            faults.add(keys.line(key, faults), format!("{key} belongs to a column."));
        }
    }
    if is_constant && entry.target.names_value() {
        let text = "A constant has no {value}. Write the key into the attribute.";
        faults.add(keys.line("attribute", faults), text);
    }
    if entry.member.is_some() || entry.target.names_value() || is_record(value) {
        return;
    }
    // A lone value can be put through the door now.
    let Some(example) = entry.target.example() else { return };
    let mut judge = |key: &str, input: Json| {
        if entry.target.is_known_without_columns()
            && let Err(found) = normalize(&example, &input, &Context::default())
        {
            let texts: Vec<String> = found.into_iter().map(|fault| fault.text).collect();
            faults.add(keys.line(key, faults), texts.join(" "));
        }
    };
    match &entry.origin {
        Origin::Constant(constant) => judge("constant", constant_json(constant, "0")),
        Origin::Column(_) if entry.kind == Kind::Text => {
            let outcomes = entry.values.iter().flat_map(|map| map.values.values());
            for outcome in outcomes.filter(|outcome| !outcome.is_empty()) {
                judge("values", Json::String(outcome.clone()));
            }
        }
        Origin::Column(_) => {}
    }
}

/// References to records are derived from keys of rows; an example would not pass.
const fn is_record(value: &ValueType) -> bool {
    matches!(value, ValueType::Record)
}

/// A constant as the node takes it.
pub(in crate::import) fn constant_json(constant: &Constant, slot_id: &str) -> Json {
    match constant {
        Constant::Text(text) => Json::String(text.clone()),
        Constant::Whole(number) => Json::from(*number),
        Constant::Flag(flag) => Json::Bool(*flag),
        Constant::Slot(_) => Json::String(slot_id.to_owned()),
    }
}

/// What can be said about entries that meet in one attribute.
pub(super) fn together(entries: &[Entry], faults: &mut Faults<'_>) {
    let mut targets: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        targets.entry(&entry.target.text).or_default().push(entry);
    }
    for (target, entries) in targets {
        for (at, entry) in entries.iter().enumerate() {
            let twin = entries[..at].iter().find(|other| other.member == entry.member);
            if let Some(twin) = twin.filter(|_| !entry.target.names_value()) {
                let text = format!("{target} is already set in line {}.", twin.line);
                faults.add(entry.line, text);
            }
        }
        let names_items = entries.iter().any(|entry| entry.target.names_value());
        if let (ValueType::Group(members), false) = (entries[0].attribute.value, names_items) {
            complete(target, members, &entries, faults);
        }
        let framed = entries.iter().find(|e| e.member.as_deref().is_some_and(is_frame));
        let is_bare = entries.iter().all(|e| e.member.as_deref().is_some_and(is_frame));
        if let Some(entry) = framed.filter(|e| is_bare && e.target.is_known_without_columns()) {
            let text = format!("{target} has a validity and no value. Map its value as well.");
            faults.add(entry.line, text);
        }
    }
    slots(entries, faults);
}

/// Members without which every row would be rejected.
fn complete(target: &str, members: &[Member], entries: &[&Entry], faults: &mut Faults<'_>) {
    let attribute = entries[0].attribute;
    let is_said_by_key = attribute.is_item()
        && matches!(
            attribute.keys.last(),
            Some(
                KeyType::TaxId
                    | KeyType::Register
                    | KeyType::Xref
                    | KeyType::Vendor
                    | KeyType::Partner
                    | KeyType::Account
                    | KeyType::Phone
                    | KeyType::Email
            )
        );
    let has_currency = entries.iter().any(|entry| entry.currency.is_some());
    let has_amount = entries.iter().any(|entry| entry.kind == Kind::Money);
    for member in members {
        let is_currency = member.name == "currency";
        let is_needed = (member.required && !is_said_by_key) || (is_currency && has_amount);
        let is_there = entries.iter().any(|entry| entry.member.as_deref() == Some(member.name))
            || (is_currency && has_currency);
        if is_needed && !is_there {
            let how = if is_currency { " Add currency = \"…\" to the amount." } else { "" };
            let text = format!("{target} needs its member {} as well.{how}", member.name);
            faults.add(entries[0].line, text);
        }
    }
    let twice = entries.iter().find(|entry| entry.member.as_deref() == Some("currency"));
    if let Some(entry) = twice.filter(|_| has_currency) {
        faults.add(entry.line, format!("{target} has its currency from the amount already."));
    }
}

/// A slot that no column fills would be an item that nobody states.
fn slots(entries: &[Entry], faults: &mut Faults<'_>) {
    let is_filled = |slot: &str| {
        entries.iter().any(|entry| {
            matches!(entry.origin, Origin::Column(_)) && entry.target.slots().any(|s| s == slot)
        })
    };
    for entry in entries {
        let named = match &entry.origin {
            Origin::Constant(Constant::Slot(slot)) => Some(slot.as_str()),
            Origin::Constant(_) | Origin::Column(_) => None,
        };
        for slot in entry.target.slots().chain(named) {
            if !is_filled(slot) {
                let text =
                    format!("No column fills the slot {slot:?}, so the item would never be.");
                faults.add(entry.line, text);
            }
        }
    }
}
