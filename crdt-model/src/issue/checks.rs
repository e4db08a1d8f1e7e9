//! Issues of the policy's own checks: expressions over the golden record that do not hold.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::{Issue, Subject};
use crate::path::AttributePath;
use crate::value::Value;

/// The most days on which a record is checked; later ones are checked when they are fewer.
const DAYS_MAX: usize = 16;

/// Checks the record as it stands on each day on which something in it changes.
pub(super) fn find(subject: &Subject<'_>, issues: &mut Vec<Issue>) {
    if subject.checks.is_empty() {
        return;
    }
    let days: BTreeSet<Option<Date>> =
        subject.held().flat_map(|held| [held.from, held.until]).chain([None]).collect();
    let days: Vec<Option<Date>> = days.into_iter().take(DAYS_MAX).collect();
    for (at, day) in days.iter().enumerate() {
        let until = days.get(at + 1).copied().flatten();
        let holds = |held: &super::Held<'_>| {
            held.from <= *day && held.until.is_none_or(|until| Some(until) > *day)
        };
        let held: Vec<super::Held<'_>> = subject.held().filter(holds).collect();
        let golden: BTreeMap<&AttributePath, &Value> =
            held.iter().map(|held| (held.path, held.value)).collect();
        for failed in subject.checks.failed(&golden) {
            let since = held.iter().find(|held| *held.path == failed.path).map(|held| held.since);
            let reason = failed.reason.map(|why| format!(" ({why})")).unwrap_or_default();
            issues.push(Issue {
                code: "check".to_owned(),
                path: Some(failed.path),
                severity: failed.severity,
                text: format!("{}: {}{reason}", failed.name, failed.text),
                from: *day,
                until,
                since,
                about: Vec::new(),
            });
        }
    }
}
