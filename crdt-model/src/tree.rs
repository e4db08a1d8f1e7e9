//! The JSON tree of a record and its attribute paths: one to the other, driven by the attribute table.
//!
//! A tree is what the HTTP interface takes (as a merge patch in the manner of RFC 7396) and shows. A
//! group is one object, and what hangs below it shares that object: `bank/{iban}` and
//! `bank/{iban}/verification` are `{"bank": {"DE89…": {"bic": …, "verification": "pending"}}}`. A single
//! value that has attributes below it, or a validity, stands in the member `value`. Nothing is
//! normalised here.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::attribute::{Attribute, Fault, Flaw, Node, ValueType, quote, root};
use crate::governance;
use crate::limits::{FAULTS_MAX, PATCH_MAX};
use crate::normalize::did_you_mean;
use crate::path::AttributePath;
use crate::value::{RESERVED_MEMBERS, Scalar, Statement, Value};

const VALUE: &str = "value";
const RELEASE: &str = "release";
const VALID_FROM: &str = "valid_from";
const VALID_TO: &str = "valid_to";

/// The attributes that a JSON tree sets, in the order of the tree, each with what it says.
///
/// `null` at an attribute is a value like any other. `null` above several attributes is refused,
/// because a tree cannot tell which of them are meant.
///
/// # Errors
/// The faults found, at most [`FAULTS_MAX`]: an unknown name with its pointer and the nearest known
/// one, a removal that is too wide, more than [`PATCH_MAX`] attributes. Nothing was changed.
pub fn flatten(patch: &Json) -> Result<Vec<(AttributePath, Json)>, Vec<Fault>> {
    let Json::Object(object) = patch else {
        let text = "A record is a JSON object of sections, like {\"name\": {\"legal\": \"Acme\"}}.";
        return Err(vec![Flaw::new("wrong-type", text).at_keys(&[])]);
    };
    let mut walk = Walk::default();
    walk.branch(root(), object.iter());
    if walk.leaves.len() > PATCH_MAX {
        let text = format!("The patch sets over {PATCH_MAX} attributes. Split it.");
        return Err(vec![Flaw::new("too-many-fields", text).at_keys(&[])]);
    }
    if walk.faults.is_empty() { Ok(walk.leaves) } else { Err(walk.faults) }
}

/// One walk through a tree. It goes as deep as the attribute table, never as deep as the input.
#[derive(Default)]
struct Walk {
    keys: Vec<String>,
    leaves: Vec<(AttributePath, Json)>,
    faults: Vec<Fault>,
}

impl Walk {
    /// Keys that each lead on in the table.
    fn branch<'a>(&mut self, node: &Node, entries: impl Iterator<Item = (&'a String, &'a Json)>) {
        for (key, json) in entries {
            if self.is_over() {
                return;
            }
            self.keys.push(key.clone());
            if self.keys.len() == 1
                && let Some(flaw) = governance::closed_section(key)
            {
                self.faults.push(flaw.at_keys(&self.keys));
                self.keys.pop();
                continue;
            }
            match node.literal(key).or_else(|| node.placeholder()) {
                Some(next) => self.visit(next, json),
                None => {
                    let hint = did_you_mean(key, node.literals());
                    let text = format!("There is no attribute {} here.{hint}", quote(key));
                    self.fault("attribute-unknown", text);
                }
            }
            self.keys.pop();
        }
    }

    fn is_over(&self) -> bool {
        self.leaves.len() > PATCH_MAX || self.faults.len() >= FAULTS_MAX
    }

    fn fault(&mut self, code: &'static str, text: impl Into<String>) {
        self.faults.push(Flaw::new(code, text).at_keys(&self.keys));
    }

    fn visit(&mut self, node: &Node, json: &Json) {
        match (node.attribute, json) {
            (Some(attribute), Json::Object(object)) => {
                let is_group = matches!(attribute.value, ValueType::Group(_));
                let (below, own): (Vec<_>, Vec<_>) =
                    object.iter().partition(|(key, _)| is_below(node, is_group, key));
                if !own.is_empty() || below.is_empty() {
                    self.leaf(own_value(own));
                }
                self.branch(node, below.into_iter());
            }
            (Some(_), json) => self.leaf(json.clone()),
            (None, Json::Object(object)) if !object.is_empty() => self.branch(node, object.iter()),
            (None, Json::Object(_)) => {}
            (None, Json::Null) => self.fault(
                "removal-too-wide",
                "null here would remove several attributes. Name the ones to remove.",
            ),
            (None, Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_)) => {
                let known = node.literals().take(8).collect::<Vec<_>>().join(", ");
                let such_as = if known.is_empty() { "" } else { ", with members such as " };
                let text = format!("An object is asked for here{such_as}{known}.");
                self.fault("wrong-type", text);
            }
        }
    }

    fn leaf(&mut self, json: Json) {
        match AttributePath::from_segments(&self.keys) {
            Ok(path) => self.leaves.push((path, json)),
            Err(_) => self.fault("path-too-long", "The names in this path are empty or too long."),
        }
    }
}

/// Whether a key in the object of an attribute leads on, rather than being part of its value.
fn is_below(node: &Node, is_group: bool, key: &str) -> bool {
    let is_reserved = RESERVED_MEMBERS.contains(&key);
    node.literal(key).is_some() || (!is_group && !is_reserved && node.placeholder().is_some())
}

/// The object of an attribute without what hangs below it; `value` alone is the value itself.
fn own_value(own: Vec<(&String, &Json)>) -> Json {
    match own[..] {
        [(name, value)] if name == VALUE => value.clone(),
        _ => own.into_iter().map(|(name, json)| (name.clone(), json.clone())).collect(),
    }
}

/// The JSON tree of attributes with their values: the reverse of [`flatten`].
///
/// Should a hostile claim name a member like an attribute that hangs below, the attribute is shown.
#[must_use]
pub fn nest<'a>(leaves: impl IntoIterator<Item = (&'a AttributePath, Json)>) -> Json {
    let mut root = Branch::default();
    for (path, json) in leaves {
        let mut branch = &mut root;
        for segment in path.segments() {
            branch = branch.below.entry(segment).or_default();
        }
        branch.own = Some(json);
    }
    root.into_json()
}

#[derive(Default)]
struct Branch {
    own: Option<Json>,
    below: BTreeMap<String, Self>,
}

impl Branch {
    // As deep as a path has segments.
    fn into_json(self) -> Json {
        let mut object = match self.own {
            Some(own) if self.below.is_empty() => return own,
            Some(Json::Object(members)) if !members.is_empty() => members,
            Some(own) => Map::from_iter([(VALUE.to_owned(), own)]),
            None => Map::new(),
        };
        for (key, branch) in self.below {
            object.insert(key, branch.into_json());
        }
        Json::Object(object)
    }
}

/// Puts a patch of one attribute onto the statement that survives: members that the patch does not
/// name stay, and so does its validity; those that are `null` go. Anything but an object of members
/// replaces the statement.
#[must_use]
pub fn merge(current: Option<&Statement>, patch: &Json) -> Json {
    let said = current.map(|statement| (statement, &*statement.value));
    let (Some((statement, Value::Group(members))), Json::Object(changes)) = (said, patch) else {
        return patch.clone();
    };
    if changes.contains_key(RELEASE) || changes.contains_key(VALUE) {
        return patch.clone();
    }
    let mut merged: Map<String, Json> =
        members.iter().map(|(name, scalar)| (name.clone(), scalar_json(scalar))).collect();
    let days = [(VALID_FROM, statement.valid_from), (VALID_TO, statement.valid_to)];
    let days = days.into_iter().filter_map(|(name, day)| Some((name, day?)));
    merged.extend(days.map(|(name, day)| (name.to_owned(), Json::String(day.to_string()))));
    for (name, change) in changes {
        if change.is_null() {
            merged.remove(name);
        } else {
            merged.insert(name.clone(), change.clone());
        }
    }
    Json::Object(merged)
}

/// The fault of a patch that names another currency and leaves the amount as it stands: nobody knows
/// whether the number or its worth was meant to stay.
#[must_use]
pub fn amount_left_behind(
    attribute: &Attribute,
    path: &AttributePath,
    current: &Statement,
    patch: &Json,
) -> Option<Fault> {
    let (ValueType::Group(members), Value::Group(said)) = (attribute.value, &*current.value) else {
        return None;
    };
    let amount = members.iter().find(|member| matches!(member.value, ValueType::Money(_)))?;
    let named = patch.get("currency")?.as_str()?;
    let is_same = matches!(said.get("currency"), Some(Scalar::Text(text)) if text == named);
    let stays = said.contains_key(amount.name) && patch.get(amount.name).is_none();
    (stays && !is_same).then(|| {
        let text =
            format!("The currency changes. Say the {} in {} too.", amount.name, quote(named));
        Flaw::new("member-missing", text).at_member(path, amount.name)
    })
}

fn scalar_json(scalar: &Scalar) -> Json {
    match scalar {
        Scalar::Bool(flag) => Json::Bool(*flag),
        Scalar::Int(number) => Json::from(*number),
        Scalar::Text(text) => Json::String(text.clone()),
    }
}

#[cfg(test)]
mod tests;
