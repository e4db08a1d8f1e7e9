//! Issues between customers: links to nobody, parents in a circle, numbers that two customers carry.
//! Both records stay as they are; nobody guesses which one is right.

use std::cell::Cell;

use super::{Around, Held, Issue, Subject};
use crate::attribute::{Attribute, ValueType};
use crate::customer_number;
use crate::hierarchy::{DEPTH_MAX, PARENT, ParentEdge, Place, Summit, ascend};
use crate::id::RecordId;
use crate::path::AttributePath;
use crate::policy::Severity;
use crate::value::{Scalar, Value};

pub(super) fn find(
    subject: &Subject<'_>,
    held: &[Held<'_>],
    around: &dyn Around,
    issues: &mut Vec<Issue>,
) {
    for held in held {
        if let Some(linked) = held.attribute.and_then(|it| linked(it, held.value))
            && !around.exists(&linked)
        {
            let issue =
                held.issue(missing_code(held.path), Severity::Warning, missing(held, linked));
            issues.push(Issue { about: vec![linked], ..issue });
        }
        number(subject, around, held, issues);
    }
    cycle(subject, around, issues);
}

fn missing_code(path: &AttributePath) -> &'static str {
    if path.as_str() == PARENT { "hierarchy-break" } else { "dangling-link" }
}

fn missing(held: &Held<'_>, linked: RecordId) -> String {
    if held.path.as_str() == PARENT {
        return format!(
            "The parent {linked} is not here, so this customer counts as an ultimate parent. Either \
             it is still to arrive, or the parent is wrong."
        );
    }
    format!(
        "{} names customer {linked}, who is not here. Either it is still to arrive, or the link is \
         wrong.",
        held.path
    )
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

/// A customer number that others carry too, or that looks like one of ours and is none.
fn number(subject: &Subject<'_>, around: &dyn Around, held: &Held<'_>, issues: &mut Vec<Issue>) {
    let Some(number) = customer_number::of(held.path) else { return };
    if let Err(fault) = customer_number::check(&subject.policy.numbers, &number) {
        let text = format!("{fault}.");
        issues.push(held.issue("number-invalid", Severity::Warning, text));
    }
    let mut others = around.sharing(held.path);
    others.retain(|other| *other != subject.record);
    if others.is_empty() {
        return;
    }
    let text = format!(
        "{} customers carry the number {number}. If they are one, consolidate them; if not, give all \
         but the first a number of its own. Nothing is merged by itself.",
        others.len() + 1
    );
    let issue = held.issue("number-shared", Severity::Warning, text);
    issues.push(Issue { about: others, ..issue });
}

/// The record is among its own parents. Every member of the circle says so, and names the edge that
/// is left out when the hierarchy is read.
fn cycle(subject: &Subject<'_>, around: &dyn Around, issues: &mut Vec<Issue>) {
    let Some(held) = subject.last(PARENT) else { return };
    let Some(parent) = held.attribute.and_then(|it| linked(it, held.value)) else { return };
    let own = ParentEdge { since: held.since, child: subject.record, parent };
    // Longer ways are no hierarchy but an attack, and nobody waits for their end.
    let asked = Cell::new(0);
    let place = |record: &RecordId| {
        if *record == subject.record {
            return Place::Under(own);
        }
        asked.set(asked.get() + 1);
        let edge = if asked.get() > DEPTH_MAX { None } else { around.parent(record) };
        edge.map_or(Place::Top, |(parent, since)| {
            Place::Under(ParentEdge { since, child: *record, parent })
        })
    };
    let Summit::Cut(cut) = ascend(subject.record, place).summit else { return };
    asked.set(0);
    // From the end of the edge that is left out up to its start: that is the circle.
    let circle = ascend(cut.parent, place);
    if !circle.path.contains(&subject.record) {
        return;
    }
    let mut about = circle.path;
    about.retain(|member| *member != subject.record);
    about.sort();
    let text = format!(
        "The parents of {} customers form a circle. Until it is corrected, the link of customer {} to \
         its parent is left out, because it was made last.",
        about.len() + 1,
        cut.child
    );
    let issue = held.issue("hierarchy-cycle", Severity::Error, text);
    issues.push(Issue { about, since: Some(cut.since), ..issue });
}
