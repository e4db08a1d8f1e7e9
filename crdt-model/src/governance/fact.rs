//! The facts as they are stored: their paths, their texts, and the claims that state them.
//!
//! What the facts do to a record is not told here, nor who may write them.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::request::RequestKind;
use crate::attribute::{Fault, Flaw, NAME_DIGEST, PRINCIPAL_MAX, TEXT_MAX, lookup};
use crate::claim::ClaimEdit;
use crate::id::SourceName;
use crate::path::AttributePath;
use crate::time::{Hlc, parse_date};
use crate::value::{Assertion, Cell, Scalar, Statement, Value, canonical_json};
use crate::version::Version;

const REQUEST: &str = "request";
const OVERRIDE: &str = "override";

/// The most bytes of a path, escaped, that stand in a key as they are. With the longest id and source
/// a key then keeps to its limit.
const SEGMENT_MAX: usize = 240;

/// Which fact of governance a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// That a request was opened, by whom and why.
    Opened {
        /// The request.
        id: String,
    },
    /// One edit that a request proposes; which, is in its text.
    Edit {
        /// The request.
        id: String,
    },
    /// What one principal decided.
    Decision {
        /// The request.
        id: String,
        /// Who.
        principal: String,
    },
    /// Who works on a request, and until when.
    Lease {
        /// The request.
        id: String,
    },
    /// The override of an attribute; which, is in its text.
    Override,
    /// A fact that this release does not know. It has no effect.
    Unknown,
}

impl Fact {
    /// The fact that a path names; `None` for an attribute of the golden record.
    #[must_use]
    pub fn of(path: &AttributePath) -> Option<Self> {
        if !is_fact(path) {
            return None;
        }
        let segments = path.segments();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let id = || segments.get(1).cloned().unwrap_or_default();
        Some(match parts[..] {
            [REQUEST, _, "opened"] => Self::Opened { id: id() },
            [REQUEST, _, "edit", _] => Self::Edit { id: id() },
            [REQUEST, _, "decision", principal] => {
                Self::Decision { id: id(), principal: principal.to_owned() }
            }
            [REQUEST, _, "lease"] => Self::Lease { id: id() },
            [OVERRIDE, _] => Self::Override,
            _ => Self::Unknown,
        })
    }
}

/// Whether a path names a fact of governance, and no attribute of the golden record.
pub(super) fn is_fact(path: &AttributePath) -> bool {
    // Asked of every claim of every record.
    [REQUEST, OVERRIDE].iter().any(|section| {
        path.as_str().strip_prefix(section).is_some_and(|rest| rest.starts_with('/'))
    })
}

/// What the door says to a write into a section that holds facts of governance.
pub(crate) fn closed_section(section: &str) -> Option<Flaw> {
    let text = match section {
        REQUEST => {
            "Requests are opened, decided and leased by their own commands: use concord request, \
             approve or reject, or /v1/requests."
        }
        OVERRIDE => {
            "An override is set and ended on a page of its own: PUT \
             /v1/customers/{id}/override."
        }
        _ => return None,
    };
    Some(Flaw::new("governed", text))
}

/// When an override ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ends {
    /// As soon as a source says something that the steward had not seen.
    SourceChanges,
    /// After this day.
    On(Date),
    /// Never: only another override, or its removal, ends it.
    Never,
}

impl Ends {
    /// As it is stored: `source-changes`, `forever` or a day.
    #[must_use]
    pub fn to_text(self) -> String {
        match self {
            Self::SourceChanges => "source-changes".to_owned(),
            Self::On(day) => day.to_string(),
            Self::Never => "forever".to_owned(),
        }
    }

    /// Reads what [`to_text`](Self::to_text) wrote; `None` for anything else.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match text {
            "source-changes" => Some(Self::SourceChanges),
            "forever" => Some(Self::Never),
            day => parse_date(day).map(Self::On),
        }
    }
}

/// What a request would change: one claim of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedEdit {
    /// The attribute, or the override of one.
    pub path: AttributePath,
    /// What the source would say.
    pub assertion: Assertion,
}

/// The value that a steward puts in place of what the sources say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The attribute.
    pub path: AttributePath,
    /// The value.
    pub statement: Statement,
    /// Until when.
    pub ends: Ends,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    path: AttributePath,
    says: Json,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends: Option<String>,
}

impl Text {
    /// Reads a text under the key that it belongs to.
    fn read(key: &str, assertion: &Assertion) -> Option<(Self, Assertion)> {
        let Assertion::Stated(Statement { value, .. }) = assertion else { return None };
        let text: Self = serde_json::from_str(value.as_text()?).ok()?;
        let said = assertion_of(&text.says)?;
        (segment(&text.path) == key).then_some((text, said))
    }
}

impl ProposedEdit {
    /// Reads what a claim on `request/{id}/edit/{path}` says.
    #[must_use]
    pub fn read(fact: &AttributePath, assertion: &Assertion) -> Option<Self> {
        let (text, assertion) = Text::read(&fact.segments().pop()?, assertion)?;
        // A request about requests would never end.
        let is_request = is_fact(&text.path) && Fact::of(&text.path) != Some(Fact::Override);
        (!is_request && text.ends.is_none()).then_some(Self { path: text.path, assertion })
    }
}

impl Override {
    /// The path of the override of an attribute.
    ///
    /// # Errors
    /// [`Fault`] when the attribute is a fact of governance itself.
    pub fn path_of(path: &AttributePath) -> Result<AttributePath, Fault> {
        if is_fact(path) {
            let text = "A fact of governance has no override. Name an attribute of the customer.";
            return Err(Flaw::new("attribute-unknown", text).at(path));
        }
        join(path, &[OVERRIDE, &segment(path)])
    }

    /// The claim that sets the override in the name of a source.
    ///
    /// # Errors
    /// [`Fault`] when the value is not one of the attribute, or too long. Nothing was changed.
    pub fn to_assertion(&self) -> Result<(AttributePath, Assertion), Fault> {
        let says = Assertion::Stated(self.statement.clone());
        check(&self.path, &says)?;
        let fact = Self::path_of(&self.path)?;
        let ends = Some(self.ends.to_text());
        let text = Text { path: self.path.clone(), says: json_of(&says), ends };
        stated(fact, Value::text(canonical_json(&text)))
    }

    /// Reads what a claim on `override/{path}` says.
    #[must_use]
    pub fn read(fact: &AttributePath, assertion: &Assertion) -> Option<Self> {
        let (Text { path, ends, .. }, said) = Text::read(&fact.segments().pop()?, assertion)?;
        let ends = Ends::read(&ends?)?;
        match said {
            Assertion::Stated(statement) if !is_fact(&path) => Some(Self { path, statement, ends }),
            Assertion::Stated(_) | Assertion::Tombstone | Assertion::Release { .. } => None,
        }
    }

    /// The attribute that an override's path names by itself; `None` when it holds the digest of a
    /// long one.
    pub(super) fn named_by(fact: &AttributePath) -> Option<AttributePath> {
        fact.segments().pop()?.parse().ok().filter(|path| !is_fact(path))
    }
}

/// A request before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRequest {
    /// A new UUID.
    pub id: String,
    /// Who asks.
    pub by: String,
    /// In whose name the edits will stand.
    pub source: SourceName,
    /// How many others must approve: [`needed`](super::needed).
    pub needed: u8,
    /// The version that the requester saw.
    pub base: Option<Version>,
    /// Why.
    pub reason: Option<String>,
    /// What kind of request.
    pub kind: RequestKind,
    /// What would change.
    pub edits: Vec<ProposedEdit>,
}

impl NewRequest {
    /// The claims that open the request. They belong into one change: an edit that was not written
    /// together with the request is not part of it.
    ///
    /// # Errors
    /// [`Fault`] when an edit is not valid or too long, or there is none. Nothing was changed.
    pub fn to_edits(&self) -> Result<Vec<ClaimEdit>, Fault> {
        let opened = from_parts(&[REQUEST, &self.id, "opened"])?;
        if self.edits.is_empty() {
            let text = "The request changes nothing. Name what should change.";
            return Err(Flaw::new("group-empty", text).at(&opened));
        }
        let mut members = BTreeMap::from([
            ("by".to_owned(), Scalar::Text(self.by.clone())),
            ("needed".to_owned(), Scalar::Int(i64::from(self.needed))),
            ("kind".to_owned(), Scalar::Text(self.kind.word().to_owned())),
        ]);
        let base = self.base.as_ref().map(ToString::to_string);
        for (name, text) in [("base", base), ("reason", self.reason.clone())] {
            members.extend(text.map(|text| (name.to_owned(), Scalar::Text(text))));
        }
        let mut facts = vec![stated(opened, Value::Group(members))?];
        for edit in &self.edits {
            check(&edit.path, &edit.assertion)?;
            let fact = join(&edit.path, &[REQUEST, &self.id, "edit", &segment(&edit.path)])?;
            let text = Text { path: edit.path.clone(), says: json_of(&edit.assertion), ends: None };
            let (fact, assertion) = stated(fact, Value::text(canonical_json(&text)))?;
            if ProposedEdit::read(&fact, &assertion).is_none() {
                let text = "A request cannot change this. Name an attribute of the customer.";
                return Err(Flaw::new("attribute-unknown", text).at(&edit.path));
            }
            facts.push((fact, assertion));
        }
        Ok(facts.into_iter().map(|fact| edit_of(fact, &self.source)).collect())
    }
}

/// How somebody decides on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It shall take effect.
    Approve,
    /// It shall not.
    Reject,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }

    /// Reads the word of a decision.
    pub(super) fn read(word: &str) -> Option<Self> {
        [Self::Approve, Self::Reject].into_iter().find(|verdict| verdict.word() == word)
    }
}

/// The claim by which a principal decides on a request.
///
/// # Errors
/// [`Fault`] when the principal or the reason cannot be stored. Nothing was changed.
pub fn decision(
    id: &str,
    principal: &str,
    verdict: Verdict,
    reason: Option<&str>,
    source: &SourceName,
) -> Result<ClaimEdit, Fault> {
    let fact = from_parts(&[REQUEST, id, "decision", principal])?;
    if fact.as_str().rsplit('/').next().is_none_or(|escaped| escaped.len() > PRINCIPAL_MAX) {
        let text = "The name of the principal is too long to decide on requests. Shorten it.";
        return Err(Flaw::new("path-too-long", text).at(&fact));
    }
    let verdict = ("verdict".to_owned(), Scalar::Text(verdict.word().to_owned()));
    let reason = reason.map(|reason| ("reason".to_owned(), Scalar::Text(reason.to_owned())));
    let members = [verdict].into_iter().chain(reason).collect();
    Ok(edit_of(stated(fact, Value::Group(members))?, source))
}

/// The claim by which a principal takes a request to work on it until a time.
///
/// # Errors
/// [`Fault`] when the principal cannot be stored. Nothing was changed.
pub fn lease(id: &str, by: &str, until: Hlc, source: &SourceName) -> Result<ClaimEdit, Fault> {
    let fact = from_parts(&[REQUEST, id, "lease"])?;
    let members = BTreeMap::from([
        ("by".to_owned(), Scalar::Text(by.to_owned())),
        ("until".to_owned(), Scalar::Text(until.to_rfc3339())),
    ]);
    Ok(edit_of(stated(fact, Value::Group(members))?, source))
}

/// What an assertion would be stored as, for a text of JSON.
pub(super) fn json_of(assertion: &Assertion) -> Json {
    match assertion.to_cell() {
        Cell::Null => Json::Null,
        Cell::Bool(flag) => Json::Bool(flag),
        Cell::Int(number) => Json::from(number),
        Cell::Str(text) if text.starts_with('{') => {
            serde_json::from_str(&text).unwrap_or(Json::String(text))
        }
        Cell::Str(text) => Json::String(text),
    }
}

/// Reads what [`json_of`] wrote; `None` for anything that is not an assertion.
pub(super) fn assertion_of(json: &Json) -> Option<Assertion> {
    let cell = match json {
        Json::Null => Cell::Null,
        Json::Bool(flag) => Cell::Bool(*flag),
        Json::Number(number) => Cell::Int(number.as_i64()?),
        Json::String(text) if text.starts_with('{') => return None,
        Json::String(text) => Cell::Str(text.clone()),
        Json::Object(_) => Cell::Str(canonical_json(json)),
        Json::Array(_) => return None,
    };
    Assertion::from_cell(&cell).ok()
}

/// A path as one segment of a key: itself, or the digest of a long one.
fn segment(path: &AttributePath) -> String {
    let escapes = path.as_str().bytes().filter(|byte| matches!(byte, b'/' | b'%')).count();
    if path.as_str().len() + 2 * escapes <= SEGMENT_MAX {
        return path.as_str().to_owned();
    }
    let digest = blake3::hash(path.as_str().as_bytes());
    format!("{NAME_DIGEST}{}", &digest.to_hex()[..32])
}

fn from_parts(parts: &[&str]) -> Result<AttributePath, Fault> {
    AttributePath::from_segments(parts).map_err(|_| {
        let keys: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        let text = "The id of the request or the name in it is empty or too long. Shorten it.";
        Flaw::new("path-too-long", text).at_keys(&keys)
    })
}

fn join(path: &AttributePath, parts: &[&str]) -> Result<AttributePath, Fault> {
    AttributePath::from_segments(parts).map_err(|_| {
        Flaw::new("path-too-long", "The names in this path are too long. Shorten them.").at(path)
    })
}

fn check(path: &AttributePath, assertion: &Assertion) -> Result<(), Fault> {
    match lookup(path) {
        Some(attribute) => attribute.check(path, assertion),
        None => {
            let text = "There is no such attribute. Check the path.";
            Err(Flaw::new("attribute-unknown", text).at(path))
        }
    }
}

fn stated(fact: AttributePath, value: Value) -> Result<(AttributePath, Assertion), Fault> {
    if value.as_text().is_some_and(|text| text.len() > TEXT_MAX) {
        let text = format!(
            "The value is too long for a request or an override, which take up to {TEXT_MAX} \
             bytes. Shorten it."
        );
        return Err(Flaw::new("field-too-large", text).at(&fact));
    }
    let assertion = Assertion::Stated(Statement::plain(value));
    check(&fact, &assertion)?;
    Ok((fact, assertion))
}

fn edit_of((path, assertion): (AttributePath, Assertion), source: &SourceName) -> ClaimEdit {
    ClaimEdit::new(path, source.clone(), assertion)
}

#[cfg(test)]
mod tests;
