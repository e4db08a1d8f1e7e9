//! Issues of codes: on no list, outside their validity, or in a list that cannot be translated back.

use jiff::civil::Date;

use super::{Around, Held, Issue, Subject};
use crate::attribute::{Attribute, KeyType, ValueType};
use crate::code_list::{CodeList, list_for};
use crate::id::RecordKind;
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
        let Some(attribute) = held.attribute else { continue };
        let Some(name) = list_for(subject.policy, attribute, held.path) else { continue };
        let Some(code) = code_of(attribute, held.path, held.value) else { continue };
        match around.code_list(&name) {
            Some(list) => of_list(held, &list, &code, issues),
            None => issues.push(held.issue(
                "code-unresolved",
                Severity::Warning,
                format!("The code list {name} is not here yet, so {code} cannot be looked up."),
            )),
        }
    }
    if subject.record.kind() == RecordKind::CodeList {
        ambiguous(subject, issues);
    }
}

/// The code that a value is: the value itself, its member `code`, or the item that the path names.
pub(super) fn code_of(
    attribute: &Attribute,
    path: &AttributePath,
    value: &Value,
) -> Option<String> {
    let is_item =
        attribute.value == ValueType::Present && attribute.keys.last() == Some(&KeyType::Code);
    let takes_code = is_item || matches!(attribute.value, ValueType::Code(_) | ValueType::Group(_));
    match value {
        Value::One(Scalar::Text(text)) if takes_code => Some(text.clone()),
        Value::One(Scalar::Bool(true)) if takes_code => path.segments().pop(),
        Value::Group(members) if takes_code => match members.get("code") {
            Some(Scalar::Text(text)) => Some(text.clone()),
            Some(Scalar::Bool(_) | Scalar::Int(_)) | None => None,
        },
        Value::One(_) | Value::Group(_) => None,
    }
}

fn of_list(held: &Held<'_>, list: &CodeList, code: &str, issues: &mut Vec<Issue>) {
    let Some(entries) = list.codes.get(code) else {
        let near = list.nearest(code, 3).join(", ");
        let hint =
            if near.is_empty() { String::new() } else { format!(" The nearest are {near}.") };
        let text = format!("{code} is not on the code list {}.{hint}", list.name);
        issues.push(held.issue("code-unresolved", Severity::Error, text));
        return;
    };
    // The days on which the list does not have the code, cut with those of the value.
    let ends = entries.iter().skip(1).map(|entry| entry.from).chain([None]);
    let mut gaps: Vec<(Option<Date>, Option<Date>)> = entries
        .iter()
        .zip(ends)
        .filter(|(entry, _)| entry.value.is_none())
        .map(|(entry, end)| (entry.from, end))
        .collect();
    if let Some(first) = entries.first().and_then(|entry| entry.from) {
        gaps.push((None, Some(first)));
    }
    for (from, until) in gaps {
        let from = held.from.max(from);
        let until = match (held.until, until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if until.is_some_and(|until| from.is_some_and(|from| from >= until)) {
            continue;
        }
        let text = match (from, until) {
            (_, Some(until)) => format!("{code} of {} is valid from {until} on only.", list.name),
            (Some(from), None) => {
                format!("{code} of {} is retired since {from}. Choose another code.", list.name)
            }
            (None, None) => format!("{code} of {} is not valid.", list.name),
        };
        let issue = held.issue("code-not-valid", Severity::Warning, text);
        issues.push(Issue { from, until, ..issue });
    }
}

/// Words of other systems that stand for two codes of this list.
fn ambiguous(subject: &Subject<'_>, issues: &mut Vec<Issue>) {
    let golden =
        crate::golden_record::GoldenRecord::from_resolved(subject.record, subject.resolved);
    let list = CodeList::of(&golden);
    for ambiguity in list.ambiguities() {
        let codes = ambiguity.codes.join(" and ");
        let (system, word) = (&ambiguity.system, &ambiguity.word);
        let path = ambiguity
            .codes
            .last()
            .and_then(|code| AttributePath::from_segments(&["code_map", system, code]).ok());
        let since = subject
            .held()
            .filter(|held| Some(held.path) == path.as_ref())
            .map(|held| held.since)
            .max();
        issues.push(Issue {
            code: "code-ambiguous".to_owned(),
            path,
            severity: Severity::Error,
            text: format!(
                "{system} says {word} for {codes}: what comes from there cannot be translated. \
                 Give each code a word of its own."
            ),
            from: None,
            until: None,
            since,
            about: Vec::new(),
        });
    }
}
