//! Issues of the claims themselves: invalid ones, conflicts that a person should decide, identifiers
//! that stand twice, and changes that were not applied.

use std::collections::BTreeMap;

use super::{Around, Issue, Subject, days};
use crate::attribute;
use crate::golden_record::{Loser, LossReason, Resolution};
use crate::path::AttributePath;
use crate::policy::{Rule, Severity};
use crate::time::Hlc;

pub(super) fn find(subject: &Subject<'_>, around: &dyn Around, issues: &mut Vec<Issue>) {
    for (path, segments) in &subject.resolved.attributes {
        for (segment, until) in days(segments) {
            let resolution = &segment.resolution;
            let found = invalid(resolution)
                .or_else(|| item_missing(path, resolution))
                .or_else(|| contested(path, resolution));
            issues.extend(found.map(|(code, severity, text)| Issue {
                code: code.to_owned(),
                path: Some(path.clone()),
                severity,
                text,
                from: segment.from,
                until,
                since: newest(resolution),
                about: Vec::new(),
            }));
        }
    }
    two_of_one_type(subject, issues);
    let count = around.quarantined();
    if count > 0 {
        issues.push(Issue {
            code: "quarantined".to_owned(),
            path: None,
            severity: Severity::Error,
            text: format!(
                "{count} changes of this customer were not applied. The quarantine says whose they \
                 are and why; their author must write them again in a valid form."
            ),
            from: None,
            until: None,
            since: None,
            about: Vec::new(),
        });
    }
}

type Found = (&'static str, Severity, String);

fn invalid(resolution: &Resolution) -> Option<Found> {
    let invalid = resolution.losers.iter().find_map(|loser| {
        if let LossReason::Invalid { text } = &loser.reason { Some((loser, text)) } else { None }
    });
    let (loser, text) = invalid?;
    let source = &loser.candidate.source;
    let text = format!("The claim of {source} does not take part: {text} Correct it there.");
    Some(("invalid", Severity::Error, text))
}

fn item_missing(path: &AttributePath, resolution: &Resolution) -> Option<Found> {
    let is_missing = |loser: &&Loser| loser.reason == LossReason::ItemMissing;
    let loser = resolution.losers.iter().find(is_missing)?;
    let item = attribute::lookup(path).and_then(|attribute| attribute.item_of(path));
    let text = format!(
        "{} says something about {}, which nobody claims. State the item, or remove {path} there.",
        loser.candidate.source,
        item.unwrap_or("an item"),
    );
    Some(("item-missing", Severity::Warning, text))
}

/// A conflict that no conservative rule settles, or one without a survivor.
fn contested(path: &AttributePath, resolution: &Resolution) -> Option<Found> {
    let live = resolution.losers.iter().filter(|loser| loser.reason.is_live()).count();
    if resolution.winner.is_none() && live > 0 {
        let text = format!(
            "Claims on {path} stand, and none of them is its owner's. The owner region must state \
             a value, or the policy must name another owner."
        );
        return Some(("undecided", Severity::Warning, text));
    }
    let by_chance = matches!(resolution.rule, Rule::LastWriter | Rule::SourcePriority);
    let sources: Vec<&str> = (resolution.winner.iter())
        .chain(resolution.losers.iter().filter(|l| l.reason.is_live()).map(|l| &l.candidate))
        .map(|candidate| candidate.source.as_str())
        .collect();
    (resolution.conflict && by_chance).then(|| {
        let text = format!(
            "{} wrote different values without having seen each other. A steward should confirm \
             the one that is right.",
            sources.join(" and ")
        );
        ("conflict", Severity::Warning, text)
    })
}

fn newest(resolution: &Resolution) -> Option<Hlc> {
    let losers = resolution.losers.iter().map(|loser| &loser.candidate);
    resolution.winner.iter().chain(losers).map(|candidate| candidate.origin.time).max()
}

/// Two tax ids of one country and type, on a common day.
fn two_of_one_type(subject: &Subject<'_>, issues: &mut Vec<Issue>) {
    let mut by_type: BTreeMap<String, Vec<super::Held<'_>>> = BTreeMap::new();
    for held in subject.held() {
        let segments = held.path.segments();
        if let ["tax_id", id] = segments.iter().map(String::as_str).collect::<Vec<_>>()[..]
            && let Some((kind, _)) = id.rsplit_once(':')
        {
            by_type.entry(kind.to_owned()).or_default().push(held);
        }
    }
    for (kind, held) in by_type {
        for (at, one) in held.iter().enumerate() {
            let overlaps = |other: &&super::Held<'_>| {
                other.path != one.path
                    && other.from.is_none_or(|from| one.until.is_none_or(|until| from < until))
                    && one.from.is_none_or(|from| other.until.is_none_or(|until| from < until))
            };
            if let Some(other) = held[at + 1..].iter().find(overlaps) {
                let mut issue = one.issue(
                    "two-of-one-type",
                    Severity::Warning,
                    format!(
                        "There are two tax ids {kind}: {} and {}. Remove the one that is wrong, or \
                         end its validity.",
                        one.path, other.path
                    ),
                );
                issue.since = Some(one.since.max(other.since));
                issue.from = one.from.max(other.from);
                issue.until = match (one.until, other.until) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                issues.push(issue);
            }
        }
    }
}
