//! Issues between customers: links to nobody, parents in a circle, identifiers that two customers
//! have. Both records stay as they are; nobody guesses which one is right.

use std::collections::BTreeSet;

use super::{Around, Held, Issue, Subject};
use crate::attribute::{Attribute, ValueType};
use crate::hierarchy::{DEPTH_MAX, PARENT};
use crate::id::RecordId;
use crate::path::AttributePath;
use crate::policy::Severity;
use crate::value::{Scalar, Value};

pub(super) fn find(subject: &Subject<'_>, around: &dyn Around, issues: &mut Vec<Issue>) {
    for held in subject.held() {
        if let Some(linked) = held.attribute.and_then(|it| linked(it, held.value))
            && !around.exists(&linked)
        {
            let text = format!(
                "{} names customer {linked}, who is not here. Either it is still to arrive, or the \
                 link is wrong.",
                held.path
            );
            let issue = held.issue("dangling-link", Severity::Warning, text);
            issues.push(Issue { about: vec![linked], ..issue });
        }
        shared(subject, around, &held, issues);
    }
    cycle(subject, around, issues);
}

/// The customer that a value names.
pub(super) fn linked(attribute: &Attribute, value: &Value) -> Option<RecordId> {
    let text = match value {
        Value::Group(members) => match members.get("customer")? {
            Scalar::Text(text) => text,
            Scalar::Bool(_) | Scalar::Int(_) => return None,
        },
        Value::One(Scalar::Text(text)) => (attribute.value == ValueType::Record).then_some(text)?,
        Value::One(Scalar::Bool(_) | Scalar::Int(_)) => return None,
    };
    text.parse().ok()
}

/// Sections whose items one party only should have.
const IDENTIFIERS: [&str; 4] =
    ["tax_id/", "relation/vendor/", "identity/customer_number/", "bank/"];

pub(super) fn is_identifier(path: &AttributePath) -> bool {
    let is_item_of = |section: &&str| {
        path.as_str().strip_prefix(*section).is_some_and(|item| !item.contains('/'))
    };
    IDENTIFIERS.iter().any(is_item_of)
}

fn shared(subject: &Subject<'_>, around: &dyn Around, held: &Held<'_>, issues: &mut Vec<Issue>) {
    if !is_identifier(held.path) {
        return;
    }
    let mut others = around.sharing(held.path);
    others.retain(|other| *other != subject.record);
    let Some(first) = others.first() else { return };
    let more = match others.len() {
        1 => String::new(),
        several => format!(" and {} more", several - 1),
    };
    let text = format!(
        "Customer {first}{more} has the same {}. They may be one party, or one of them is wrong; \
         nothing is merged by itself.",
        held.path
    );
    let issue = held.issue("shared-identifier", Severity::Warning, text);
    issues.push(Issue { about: others, ..issue });
}

/// The record is among its own parents. Every member of the circle says so, and names the edge that
/// is left out when the hierarchy is read: the latest, by time and then by child.
fn cycle(subject: &Subject<'_>, around: &dyn Around, issues: &mut Vec<Issue>) {
    let Some(held) = subject.last(PARENT) else { return };
    let Some(mut parent) = held.attribute.and_then(|it| linked(it, held.value)) else { return };
    let mut edges = vec![(held.since, subject.record)];
    let mut seen = BTreeSet::from([subject.record]);
    while parent != subject.record {
        if !seen.insert(parent) || edges.len() > DEPTH_MAX {
            return;
        }
        let Some((next, since)) = around.parent(&parent) else { return };
        edges.push((since, parent));
        parent = next;
    }
    let Some((since, dropped)) = edges.iter().max().copied() else { return };
    let mut about: Vec<RecordId> = edges.iter().map(|(_, child)| *child).collect();
    about.retain(|member| *member != subject.record);
    about.sort();
    let text = format!(
        "The parents of {} customers form a circle. Until it is corrected, the link of customer \
         {dropped} to its parent is left out, because it was made last.",
        edges.len()
    );
    let issue = held.issue("hierarchy-cycle", Severity::Error, text);
    issues.push(Issue { about, since: Some(since), ..issue });
}
