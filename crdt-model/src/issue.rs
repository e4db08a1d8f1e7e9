//! Issues: what somebody should look at in a record, derived on every node alike from claims, policy,
//! code lists and what other records say.
//!
//! An issue is no fact. Nobody opens or closes one: it is there while its cause is, and heals itself
//! when the cause is gone. No clock is read: an issue says on which days it stands, and a reader cuts
//! it at today. What a rule of survivorship decides is no issue, unless a person should look at it.

mod checks;
mod claims;
mod codes;
mod derived;
mod ledger;
mod links;
mod since;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::attribute::{self, Attribute, Fault};
use crate::claim::ClaimSet;
use crate::code_list::CodeList;
use crate::golden_record::{GoldenRecord, Resolved, Segment};
use crate::id::RecordId;
use crate::path::AttributePath;
use crate::policy::{CompiledChecks, Policy, Severity};
use crate::time::Hlc;
use crate::value::Value;

/// The most issues that one record shows; beyond it the record itself is the issue.
pub const ISSUES_MAX: usize = 200;

/// One thing that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Issue {
    /// What kind of issue, for programs; does not change.
    pub code: String,
    /// The attribute that it is about; none: the record as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<AttributePath>,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong and what to do, for people.
    pub text: String,
    /// The first day on which it stands; none: since ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// The first day on which it does not stand any more; none: until further notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// When its newest cause was written: its age.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "since")]
    pub since: Option<Hlc>,
    /// Other records that it is about, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<RecordId>,
}

impl Issue {
    /// Whether it stands on a day.
    #[must_use]
    pub fn stands(&self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day < until)
    }
}

/// Every kind of issue: code, dimension of quality, and what a clerk calls it.
pub const KINDS: &[(&str, Dimension, &str)] = &[
    ("invalid", Dimension::Validity, "A claim breaks a rule of its attribute"),
    ("conflict", Dimension::Consistency, "Sources differ and had not seen each other"),
    ("undecided", Dimension::Consistency, "Claims stand and none may survive"),
    ("item-missing", Dimension::Consistency, "Something is said about an item that is not there"),
    ("two-of-one-type", Dimension::Uniqueness, "Two identifiers of one type"),
    ("number-shared", Dimension::Uniqueness, "Another customer has the same customer number"),
    ("tax-id-shared", Dimension::Uniqueness, "Another party has the same tax id"),
    ("vendor-linked-twice", Dimension::Uniqueness, "Another customer has the same vendor account"),
    ("bank-shared", Dimension::Uniqueness, "Money goes through another party's bank account"),
    ("code-unresolved", Dimension::Validity, "A code is on no list"),
    ("code-not-valid", Dimension::Timeliness, "A code is used outside its validity"),
    ("code-ambiguous", Dimension::Consistency, "A system has one word for two codes"),
    ("dangling-link", Dimension::Consistency, "A link to a customer who is not here"),
    ("hierarchy-break", Dimension::Consistency, "The parent is not here"),
    ("hierarchy-cycle", Dimension::Consistency, "A customer is its own parent, by way of others"),
    ("number-invalid", Dimension::Validity, "A number of our own that was never given out"),
    ("clearing-one-sided", Dimension::Consistency, "Customer and vendor disagree on clearing"),
    ("vendor-blocked", Dimension::Consistency, "The party is blocked as a vendor"),
    ("vendor-sanctioned", Dimension::Validity, "A vendor whose sanctions screening hit"),
    ("bank-both-ways", Dimension::Consistency, "An account that is paid to and collected from"),
    ("limit-exceeded", Dimension::Consistency, "More is owed than the credit limit"),
    ("slice-overdrawn", Dimension::Consistency, "A region drew more than its slice"),
    ("slices-exceed-limit", Dimension::Consistency, "Slices sum up to more than the limit"),
    ("transfer-not-counted", Dimension::Validity, "A transfer of a slice that does not count"),
    ("slice-needs-owner", Dimension::Validity, "A slice without an owner who deals it"),
    ("slice-not-owners", Dimension::Validity, "A slice that somebody else than the owner dealt"),
    ("slice-without-limit", Dimension::Validity, "A slice of no limit"),
    ("slice-currency", Dimension::Consistency, "A slice in another currency than the limit"),
    ("slice-bounded", Dimension::Validity, "A slice with a validity"),
    ("exposure-not-own", Dimension::Validity, "An exposure that another region reports"),
    ("exposure-currency", Dimension::Consistency, "An exposure in another currency"),
    ("gl-wrong-type", Dimension::Validity, "A reconciliation account of the wrong type"),
    ("gl-blocked", Dimension::Validity, "A reconciliation account that is blocked"),
    ("gl-company-code", Dimension::Consistency, "A reconciliation account of another company code"),
    ("gl-currency", Dimension::Consistency, "A reconciliation account in another currency"),
    ("check", Dimension::Validity, "A check of the policy does not hold"),
    ("quarantined", Dimension::Validity, "A change of this customer was not applied"),
];

/// What an issue takes away from the quality of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dimension {
    /// Nothing that is needed is missing.
    Completeness,
    /// Values keep to their rules.
    Validity,
    /// One thing is there once.
    Uniqueness,
    /// What is said in two places agrees.
    Consistency,
    /// Values are of today.
    Timeliness,
}

/// The dimension of an issue.
#[must_use]
pub fn dimension(code: &str) -> Dimension {
    let kind = code.split(':').next().unwrap_or(code);
    let known = KINDS.iter().find(|(known, ..)| *known == kind);
    known.map_or(Dimension::Validity, |(_, dimension, _)| *dimension)
}

/// What other records say, as far as issues ask. The answers must follow from the histories alone.
pub trait Around {
    /// Whether there is such a customer.
    fn exists(&self, record: &RecordId) -> bool;
    /// The parent that a customer shows, and when that was written.
    fn parent(&self, record: &RecordId) -> Option<(RecordId, Hlc)>;
    /// Customers that show this attribute, in order; for identifiers.
    fn sharing(&self, path: &AttributePath) -> Vec<RecordId>;
    /// A code list; none: it is not here.
    fn code_list(&self, name: &str) -> Option<Arc<CodeList>>;
    /// Whether another customer names the record in a link of its own.
    fn is_named_by(&self, other: &RecordId) -> bool;
    /// How many items of the record are in quarantine.
    fn quarantined(&self) -> usize;
}

/// A record whose issues are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Which.
    pub record: RecordId,
    /// What its sources say.
    pub claims: &'a ClaimSet,
    /// What survives, with every explanation.
    pub resolved: &'a Resolved,
    /// The same as people read it.
    pub golden: &'a GoldenRecord,
    /// The policy in force.
    pub policy: &'a Policy,
    /// Its checks.
    pub checks: &'a CompiledChecks,
}

/// Every issue of a record, in order, at most [`ISSUES_MAX`].
#[must_use]
pub fn of(subject: &Subject<'_>, around: &dyn Around) -> Vec<Issue> {
    let mut issues = Vec::new();
    let held: Vec<Held<'_>> = subject.held().collect();
    claims::find(subject, around, &mut issues);
    codes::find(subject, &held, around, &mut issues);
    ledger::find(subject, &held, around, &mut issues);
    links::find(subject, &held, around, &mut issues);
    derived::find(subject, around, &mut issues);
    checks::find(subject, &mut issues);
    issues.sort();
    issues.dedup();
    issues.truncate(ISSUES_MAX);
    issues
}

/// Whether a path names an identifier that one party only should have: a tax id, a vendor account, a
/// customer number or a bank account.
#[must_use]
pub fn is_identifier(path: &AttributePath) -> bool {
    links::is_identifier(path)
}

/// The customer that a value names.
#[must_use]
pub fn linked(attribute: &Attribute, value: &Value) -> Option<RecordId> {
    links::linked(attribute, value)
}

/// The code that a value is, where the attribute takes one: the value, its member `code`, or the item
/// that the path names.
#[must_use]
pub fn code_of(attribute: &Attribute, path: &AttributePath, value: &Value) -> Option<String> {
    codes::code_of(attribute, path, value)
}

/// Judges a code at the door, on the day of the write.
///
/// # Errors
/// A [`Fault`] with the code `code-unknown` (and the three nearest), `code-retired`, `code-not-yet`,
/// or, for a reconciliation account, `gl-wrong-type`, `gl-blocked` or `gl-company-code`.
pub fn judge_code(
    list: &CodeList,
    path: &AttributePath,
    value: &Value,
    day: Date,
) -> Result<(), Fault> {
    ledger::judge(list, path, value, day)
}

/// A surviving value and the days on which it holds.
struct Held<'a> {
    path: &'a AttributePath,
    attribute: Option<&'static Attribute>,
    value: &'a Value,
    from: Option<Date>,
    until: Option<Date>,
    since: Hlc,
}

impl Subject<'_> {
    /// Every value that survives on some day.
    fn held(&self) -> impl Iterator<Item = Held<'_>> {
        self.resolved.attributes.iter().flat_map(|(path, segments)| held(path, segments))
    }

    /// What a path shows last: the values that are to come included.
    fn last(&self, path: &str) -> Option<Held<'_>> {
        let mut attributes = self.resolved.attributes.iter();
        let (path, segments) = attributes.find(|(found, _)| found.as_str() == path)?;
        held(path, segments).last()
    }
}

/// Every value of an attribute that survives on some day.
fn held<'a>(
    path: &'a AttributePath,
    segments: &'a [Segment],
) -> impl Iterator<Item = Held<'a>> + use<'a> {
    let attribute = attribute::lookup(path);
    days(segments).filter_map(move |(segment, until)| {
        let winner = segment.resolution.winner.as_ref()?;
        let since = winner.origin.time;
        let value = winner.value.as_ref()?;
        Some(Held { path, attribute, value, from: segment.from, until, since })
    })
}

impl Held<'_> {
    /// An issue about this value, on its days.
    fn issue(&self, code: &str, severity: Severity, text: String) -> Issue {
        Issue {
            code: code.to_owned(),
            path: Some(self.path.clone()),
            severity,
            text,
            from: self.from,
            until: self.until,
            since: Some(self.since),
            about: Vec::new(),
        }
    }
}

/// Segments, each with the day on which it ends.
fn days(segments: &[Segment]) -> impl Iterator<Item = (&Segment, Option<Date>)> {
    let ends = segments.iter().skip(1).map(|next| next.from).chain([None]);
    segments.iter().zip(ends)
}

/// How good a record is: points of a hundred, and what took points away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// From 0 to 100.
    pub score: u8,
    /// The same for each dimension, with the codes of the issues that took points away.
    pub dimensions: BTreeMap<Dimension, (u8, Vec<String>)>,
}

/// The attributes that a customer of any use has.
const NEEDED: [&str; 4] = ["name/legal", "tax_id/", "address/", "identity/home_region"];
/// What an issue takes away from its dimension.
const fn points(severity: Severity) -> u8 {
    match severity {
        Severity::Warning => 15,
        Severity::Error => 40,
    }
}

/// Scores a record on a day: each dimension starts at 100, an error takes 40, a warning 15, each
/// missing attribute 25; the score is the mean, rounded down.
#[must_use]
pub fn quality(resolved: &Resolved, issues: &[Issue], day: Date) -> Quality {
    let all = [
        Dimension::Completeness,
        Dimension::Validity,
        Dimension::Uniqueness,
        Dimension::Consistency,
        Dimension::Timeliness,
    ];
    let mut dimensions: BTreeMap<Dimension, (u8, Vec<String>)> =
        all.into_iter().map(|dimension| (dimension, (100, Vec::new()))).collect();
    let mut take = |dimension: Dimension, points: u8, why: String| {
        let (score, reasons) = dimensions.entry(dimension).or_insert((100, Vec::new()));
        *score = score.saturating_sub(points);
        reasons.push(why);
    };
    for needed in NEEDED {
        let shows = |(path, segments): (&AttributePath, &Vec<Segment>)| {
            path.as_str().starts_with(needed)
                && segments.iter().any(|segment| segment.resolution.winner.is_some())
        };
        if !resolved.attributes.iter().any(shows) {
            take(
                Dimension::Completeness,
                25,
                format!("{} is missing", needed.trim_end_matches('/')),
            );
        }
    }
    for issue in issues.iter().filter(|issue| issue.stands(day)) {
        take(dimension(&issue.code), points(issue.severity), issue.code.clone());
    }
    let total: u16 = dimensions.values().map(|(score, _)| u16::from(*score)).sum();
    let score = u8::try_from(total / 5).unwrap_or(100);
    Quality { score, dimensions }
}

#[cfg(test)]
mod tests;
