//! What a run gives: the verdict of every invariant, what happened when, and how long things took.
//! Plain data. Times are milliseconds since the beginning of the run.

use std::collections::BTreeMap;

use serde::Serialize;

/// One run of a scenario.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The name of the scenario.
    pub scenario: String,
    /// What it answers.
    pub question: String,
    /// The seed; with the scenario it decides everything else.
    pub seed: u64,
    /// Steps of clients and faults that were planned.
    pub steps: usize,
    /// How long clients and faults were at work.
    pub lasts_ms: u64,
    /// Every node, in the order of the scenario.
    pub nodes: Vec<NodeOutcome>,
    /// The invariants: true when it held. Without a violation all do.
    pub invariants: BTreeMap<String, bool>,
    /// The first thing that was wrong.
    pub violation: Option<Violation>,
    /// How long after the last fault was mended the nodes agreed; none when they did not.
    pub agreed_after_ms: Option<u64>,
    /// When something was mended, and how long it took until everybody up held what was written before.
    pub heals: Vec<Heal>,
    /// What clients did.
    pub writes: Writes,
    /// Bytes of frames between each two nodes, both ways together; the names in order.
    pub links: Vec<LinkBytes>,
    /// How far each region was behind the newest of the others, over time.
    pub staleness: Vec<Series>,
    /// Contested attributes at the end, by the rule that decided them.
    pub conflicts: BTreeMap<String, u64>,
    /// Items in quarantine at the end.
    pub quarantined: u64,
    /// How often each fault fired: had something to break.
    pub faults: BTreeMap<String, u64>,
    /// The first [`MOMENTS_MAX`] things that happened.
    pub timeline: Vec<Moment>,
    /// A hash over every frame and every batch: equal for equal runs.
    pub trace: String,
}

/// Entries of a timeline, at most.
pub const MOMENTS_MAX: usize = 2_000;
/// Heals that are told, at most.
pub const HEALS_MAX: usize = 1_000;

impl Outcome {
    /// Whether every invariant held.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.violation.is_none()
    }
}

/// A node at the end of a run.
#[derive(Debug, Clone, Serialize)]
pub struct NodeOutcome {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// How often it started.
    pub starts: u64,
    /// Commits it holds.
    pub commits: u64,
    /// First bytes of the digest of what it holds; empty when it is down.
    pub history: String,
    /// First bytes of the digest of what it shows; empty when it is down.
    pub golden: String,
    /// Bytes of frames handed to its links and not yet written by the network: the most at one time.
    pub in_flight_max: u64,
    /// Calls that it got within one minute, at most.
    pub calls_max: usize,
    /// Whether it belongs to the nodes that had to agree.
    pub core: bool,
}

/// What was wrong, and how to see it again.
#[derive(Debug, Clone, Serialize)]
pub struct Violation {
    /// When.
    pub at_ms: u64,
    /// Which invariant.
    pub invariant: String,
    /// Where, when it is one node's.
    pub node: Option<String>,
    /// What is wrong.
    pub text: String,
    /// The fewest steps found that still show it, by their numbers; empty: not looked for.
    pub steps: Vec<usize>,
}

/// Something was mended.
#[derive(Debug, Clone, Serialize)]
pub struct Heal {
    /// When.
    pub at_ms: u64,
    /// What.
    pub what: String,
    /// How long until every node that was up and not cut off held all that was written before; none
    /// when that was not reached.
    pub took_ms: Option<u64>,
}

/// What clients did.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Writes {
    /// Answered with a receipt.
    pub done: u64,
    /// Answered with a refusal.
    pub refused: u64,
    /// Not taken, because the node was down.
    pub turned_away: u64,
    /// Sent again, because no answer came.
    pub repeated: u64,
}

/// What went over the wire between two nodes.
#[derive(Debug, Clone, Serialize)]
pub struct LinkBytes {
    /// One end.
    pub a: String,
    /// The other.
    pub b: String,
    /// Bytes of frames.
    pub bytes: u64,
    /// Frames.
    pub frames: u64,
}

/// A figure over time.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    /// Of what.
    pub region: String,
    /// Time and value, both in milliseconds.
    pub points: Vec<(u64, u64)>,
}

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
pub struct Moment {
    /// When.
    pub at_ms: u64,
    /// When it was over, for what lasts.
    pub until_ms: Option<u64>,
    /// A word for programs, for example `cut`.
    pub what: String,
    /// The nodes.
    pub nodes: Vec<usize>,
    /// A sentence.
    pub text: String,
}
