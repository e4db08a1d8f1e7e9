//! Claims: what one source of one region says about one attribute, and who had seen whom.

use std::collections::BTreeMap;

use crate::id::{CommitRef, LogId, Region, SourceName};
use crate::path::AttributePath;
use crate::time::Hlc;
use crate::value::{Assertion, CellError};

/// Where a claim comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Origin {
    /// The commit that made it; principal and reason are found there.
    pub commit: CommitRef,
    /// When, by the writer's hybrid logical clock.
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

/// What a change had seen: for every log, the last commit of it on this record, itself included.
pub type Clock = BTreeMap<LogId, u64>;

/// All claims of one record, in the order of (path, source, origin), and who had seen whom.
#[derive(Debug, Clone, Default)]
pub struct ClaimSet {
    claims: Vec<Claim>,
    clocks: BTreeMap<CommitRef, Clock>,
}

impl ClaimSet {
    /// Puts claims in order beside the clocks of the commits that made them.
    #[must_use]
    pub fn new(mut claims: Vec<Claim>, clocks: BTreeMap<CommitRef, Clock>) -> Self {
        claims.sort_by(|a, b| {
            (&a.path, &a.source, &a.origin.commit).cmp(&(&b.path, &b.source, &b.origin.commit))
        });
        Self { claims, clocks }
    }

    /// Every claim, by path, then source, then commit.
    #[must_use]
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// The claims of one attribute after the other.
    pub fn by_attribute(&self) -> impl Iterator<Item = &[Claim]> {
        self.claims.chunk_by(|a, b| a.path == b.path)
    }

    /// Whether `later` was written by someone who had seen `earlier`. A commit has seen itself.
    #[must_use]
    pub fn has_seen(&self, later: &CommitRef, earlier: &CommitRef) -> bool {
        self.clocks
            .get(later)
            .and_then(|clock| clock.get(&earlier.log))
            .is_some_and(|seen| *seen >= earlier.seq)
    }

    /// Whether two commits were written apart: neither had seen the other.
    #[must_use]
    pub fn concurrent(&self, a: &CommitRef, b: &CommitRef) -> bool {
        !self.has_seen(a, b) && !self.has_seen(b, a)
    }
}
