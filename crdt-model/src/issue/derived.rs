//! Issues of credit and of a party with two roles: what [`crate::credit`] and [`crate::party`] find,
//! on the days on which it stands.
//!
//! Both read a golden record on a day. No clock is asked: they look at each period in which what they
//! read stays the same, and a finding that goes on is one issue.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::{Around, Issue, Subject};
use crate::credit;
use crate::credit::slice::Slices;
use crate::finding::Finding;
use crate::id::RecordId;
use crate::party::Party;
use crate::path::AttributePath;
use crate::policy::Severity;

/// The most periods of one record that are looked at; what would begin later belongs to the last one.
const PERIODS_MAX: usize = 24;

/// Findings that are errors; all others are warnings.
const ERRORS: [&str; 5] = [
    "limit-exceeded",
    "slice-overdrawn",
    "slices-exceed-limit",
    "transfer-not-counted",
    "vendor-sanctioned",
];

pub(super) fn find(subject: &Subject<'_>, around: &dyn Around, issues: &mut Vec<Issue>) {
    credit(subject, issues);
    party(subject, around, issues);
}

fn credit(subject: &Subject<'_>, issues: &mut Vec<Issue>) {
    for segment in used_segments(subject) {
        let prefix = format!("credit/{segment}/");
        over_time(subject, &|path| path.starts_with(&prefix), issues, &|day| {
            let slices = Slices::of(subject.policy, subject.claims, subject.golden, &segment, day);
            let headroom = credit::headroom(subject.golden, &segment, day);
            let exceeded = headroom.and_then(|headroom| headroom.finding(&segment));
            slices.findings().into_iter().chain(exceeded).collect()
        });
    }
}

/// The segments in which anything is drawn, dealt or given.
fn used_segments(subject: &Subject<'_>) -> BTreeSet<String> {
    let paths = subject.claims.claims().iter().map(|claim| claim.path.as_str());
    let used = paths.filter_map(|path| {
        let (segment, rest) = path.strip_prefix("credit/")?.split_once('/')?;
        let (part, _) = rest.split_once('/')?;
        ["exposure", "slice", "transfer"].contains(&part).then(|| segment.to_owned())
    });
    used.collect()
}

fn party(subject: &Subject<'_>, around: &dyn Around, issues: &mut Vec<Issue>) {
    let concerns = |path: &str| {
        ["bank/", "block/purchasing", "compliance/sanctions", "relation/", "tax_id/", "vendor/"]
            .iter()
            .any(|part| path.starts_with(part))
            || (path.starts_with("company/") && path.ends_with("/clearing_with_vendor"))
    };
    if !subject.golden.attributes.keys().any(|path| concerns(path.as_str())) {
        return;
    }
    let named: BTreeSet<RecordId> =
        subject.held().filter_map(|held| super::linked(held.attribute?, held.value)).collect();
    let known: RefCell<BTreeMap<AttributePath, Vec<RecordId>>> = RefCell::default();
    let others = |path: &AttributePath| {
        let mut known = known.borrow_mut();
        let others = known.entry(path.clone()).or_insert_with(|| {
            let is_explained = |other: &RecordId| {
                path.as_str().starts_with("tax_id/")
                    && (named.contains(other) || around.is_named_by(other))
            };
            let mut others = around.sharing(path);
            others.retain(|other| *other != subject.record && !is_explained(other));
            others
        });
        others.clone()
    };
    over_time(subject, &concerns, issues, &|day| Party::on(subject.golden, day).findings(others));
}

/// Adds what is found in each period in which the attributes in question stay the same.
fn over_time(
    subject: &Subject<'_>,
    concerns: &dyn Fn(&str) -> bool,
    issues: &mut Vec<Issue>,
    find: &dyn Fn(Date) -> Vec<Finding>,
) {
    let concerned = subject.golden.attributes.iter().filter(|(path, _)| concerns(path.as_str()));
    let begins: BTreeSet<Date> =
        concerned.flat_map(|(_, values)| values).filter_map(|value| value.from).collect();
    let mut standing: BTreeMap<Finding, Option<Date>> = BTreeMap::new();
    for from in std::iter::once(None).chain(begins.into_iter().map(Some)).take(PERIODS_MAX) {
        let found: BTreeSet<Finding> = find(from.unwrap_or(Date::MIN)).into_iter().collect();
        let over: Vec<Finding> =
            standing.keys().filter(|finding| !found.contains(finding)).cloned().collect();
        for finding in over {
            let since = standing.remove(&finding).flatten();
            issues.push(issue(subject, finding, since, from));
        }
        for finding in found {
            standing.entry(finding).or_insert(from);
        }
    }
    issues.extend(standing.into_iter().map(|(finding, from)| issue(subject, finding, from, None)));
}

fn issue(
    subject: &Subject<'_>,
    finding: Finding,
    from: Option<Date>,
    until: Option<Date>,
) -> Issue {
    let Finding { code, path, text, about } = finding;
    let claims = subject.claims.claims().iter().filter(|claim| claim.path == path);
    let since = claims.map(|claim| claim.origin.time).max();
    let severity = if ERRORS.contains(&code) { Severity::Error } else { Severity::Warning };
    Issue { code: code.to_owned(), path: Some(path), severity, text, from, until, since, about }
}
