//! Claims: what one source of one region says about one attribute, and who had seen whom.
//!
//! A set of claims is a value: however it was gathered, equal claims give an equal set. Which claim
//! survives is decided in [`crate::survivorship`].

mod hlc_text;
mod mark;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::id::{CommitRef, LogId, Region, SourceName};
use crate::path::{AttributePath, ClaimKey, Slot};
use crate::time::Hlc;
use crate::value::{Assertion, CellError, Statement, Value};

pub(crate) use self::mark::{Effect, Mark};

/// Where a claim comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Origin {
    /// The commit that made it; principal and reason are found there.
    pub commit: CommitRef,
    /// When, by the writer's hybrid logical clock. In JSON a time of RFC 3339 with eight decimals:
    /// three of milliseconds, five of the clock's counter.
    #[serde(with = "hlc_text")]
    pub time: Hlc,
    /// The region of the node that wrote it, as the roster says.
    pub region: Region,
}

/// One live register value of the document. A register that two nodes wrote apart gives several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The attribute.
    pub path: AttributePath,
    /// The source that makes the claim.
    pub source: SourceName,
    /// What it says; an error when the stored cell is not readable.
    pub assertion: Result<Assertion, CellError>,
    /// Where it comes from.
    pub origin: Origin,
}

impl Claim {
    /// In which register of its source it stands; the undated one for what cannot be read.
    fn slot(&self) -> Slot {
        self.assertion.as_ref().map_or(Slot::Undated, Slot::of)
    }

    /// Whether a source that makes this claim having seen `earlier`, one of its own on the same
    /// attribute, no longer says that.
    pub(crate) fn replaces(&self, earlier: &Self) -> bool {
        let slot = earlier.slot();
        let ends = |said: &Assertion| said.ends(slot, self.origin.time.day());
        self.slot() == slot || self.assertion.as_ref().is_ok_and(ends)
    }
}

/// One claim to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimEdit {
    /// The attribute and the source.
    pub key: ClaimKey,
    /// What the source says.
    pub assertion: Assertion,
}

impl ClaimEdit {
    /// What a source says about an attribute, in the register where it belongs.
    #[must_use]
    pub fn new(path: AttributePath, source: SourceName, assertion: Assertion) -> Self {
        let slot = Slot::of(&assertion);
        Self { key: ClaimKey { path, source, slot }, assertion }
    }
}

/// What a change had seen: for every log, the last commit of it on this record, itself included.
pub type Clock = BTreeMap<LogId, u64>;

/// The part of a record that one region owns as a whole: `company/1000`, `vendor/1000`, `sales/…` or
/// `credit/…`; `None` for the sections that belong to the customer itself.
#[must_use]
pub fn scope(path: &AttributePath) -> Option<&str> {
    let text = path.as_str();
    let mut segments = path.escaped();
    let (Some(section), Some(scope), Some(_)) = (segments.next(), segments.next(), segments.next())
    else {
        return None;
    };
    let is_scoped = matches!(section, "company" | "vendor" | "sales" | "credit");
    is_scoped.then(|| &text[..section.len() + 1 + scope.len()])
}

/// All claims of one record, in one order, and who had seen whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimSet {
    claims: Vec<Claim>,
    clocks: BTreeMap<CommitRef, Clock>,
    founders: BTreeMap<Option<String>, Origin>,
    marks: Vec<(Claim, Mark)>,
}

impl ClaimSet {
    /// Puts claims in order beside the clocks of the commits that made them. A claim given twice
    /// counts once. The founders are the earliest of these claims, until
    /// [`with_founders`](Self::with_founders) knows better.
    #[must_use]
    pub fn new(mut claims: Vec<Claim>, clocks: BTreeMap<CommitRef, Clock>) -> Self {
        claims.sort_by(compare_claims);
        claims.dedup();
        let mut set = Self { claims, clocks, ..Self::default() };
        let mut founders = BTreeMap::new();
        for claim in &set.claims {
            found(&mut founders, None, &claim.origin);
            if let Some(scope) = scope(&claim.path) {
                found(&mut founders, Some(scope), &claim.origin);
            }
        }
        set.founders = founders;
        set
    }

    /// The set that a faulty program would have read: claims changed, or left out. For suites that put
    /// known bugs back, to see that they are found.
    #[cfg(any(test, feature = "hostile"))]
    #[must_use]
    pub fn misread(mut self, reading: impl FnMut(Claim) -> Option<Claim>) -> Self {
        self.claims = self.claims.into_iter().filter_map(reading).collect();
        self.claims.sort_by(compare_claims);
        self
    }

    /// Adds the first claims ever made, by [`scope`], as the history knows them; under `None`, on the
    /// record as a whole.
    ///
    /// The live claims alone forget who was first as soon as the first claim is replaced; with the
    /// history's word, ownership stays where it began.
    #[must_use]
    pub fn with_founders(mut self, founders: BTreeMap<Option<String>, Origin>) -> Self {
        for (scope, origin) in founders {
            found(&mut self.founders, scope.as_deref(), &origin);
        }
        self
    }

    /// Every claim, by path, then source, then origin.
    #[must_use]
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// The claims of one attribute after the other.
    pub fn by_attribute(&self) -> impl Iterator<Item = &[Claim]> {
        self.claims.chunk_by(|a, b| a.path == b.path)
    }

    /// The earliest claim on a [`scope`], or on the record as a whole, by time and then commit. Any
    /// claim founds: a tombstone, a release, and one that is not readable here, too.
    #[must_use]
    pub fn founder(&self, scope: Option<&str>) -> Option<&Origin> {
        self.founders.get(&scope.map(str::to_owned))
    }

    /// Whether `later` was written by someone who had seen `earlier`. A commit has seen itself.
    #[must_use]
    pub fn has_seen(&self, later: &CommitRef, earlier: &CommitRef) -> bool {
        let clock = self.clocks.get(later);
        let seen = clock.and_then(|clock| clock.get(&earlier.log));
        later == earlier || seen.is_some_and(|seen| *seen >= earlier.seq)
    }

    /// Whether two commits were written apart: neither had seen the other.
    #[must_use]
    pub fn concurrent(&self, a: &CommitRef, b: &CommitRef) -> bool {
        !self.has_seen(a, b) && !self.has_seen(b, a)
    }
}

/// Keeps the earlier of `origin` and what is there.
pub(crate) fn found(
    founders: &mut BTreeMap<Option<String>, Origin>,
    scope: Option<&str>,
    origin: &Origin,
) {
    let first = founders.entry(scope.map(str::to_owned)).or_insert_with(|| origin.clone());
    // A commit has one region; it stands here so that forged origins come out the same, too.
    let key = |of: &Origin| (of.time, of.commit);
    if (key(origin), &origin.region) < (key(first), &first.region) {
        *first = origin.clone();
    }
}

/// A total order, so that the order of arrival never shows.
fn compare_claims(a: &Claim, b: &Claim) -> Ordering {
    (&a.path, &a.source, &a.origin, content(a)).cmp(&(&b.path, &b.source, &b.origin, content(b)))
}

/// What a claim says, as a sort key. Only a hostile writer makes two claims on one register in one
/// commit, so it decides nothing among honest claims.
fn content(claim: &Claim) -> (u8, Option<&Value>, Option<&str>, Option<Date>, Option<Date>) {
    match &claim.assertion {
        Ok(Assertion::Tombstone) => (0, None, None, None, None),
        Ok(Assertion::Release { reason }) => (1, None, Some(reason), None, None),
        Ok(Assertion::Stated(Statement { value, raw, valid_from, valid_to })) => {
            (2, Some(value), raw.as_deref(), *valid_from, *valid_to)
        }
        Err(CellError::NotAnObject) => (3, None, None, None, None),
        Err(CellError::Validity) => (4, None, None, None, None),
        Err(CellError::Slot) => (5, None, None, None, None),
    }
}

#[cfg(test)]
mod tests;
