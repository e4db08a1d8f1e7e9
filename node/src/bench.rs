//! What a node costs and how fast it is: real nodes with real stores over QUIC on the loopback
//! interface, each figure beside a limit of the machine that is measured in the same run.
//!
//! A bench makes its own network in a temporary directory and leaves nothing behind. The machine's speed
//! stands in every figure; the ratio to the limit is what can be compared between machines.

mod customers;
mod history;
mod lifecycle;
mod limits;
mod single;
mod stage;
mod sync;

use serde::Serialize;

use crate::clock::Stopwatch;
use crate::store::EngineKind;

pub use self::customers::CUSTOMERS_MAX;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bench {
    /// Two nodes that were in step meet again: bytes, with nothing changed and with ten customers.
    Reconnect,
    /// A node was away while all customers were written.
    CatchUp,
    /// A new node gets everything.
    FirstSync,
    /// From a write at one node to when a third shows it.
    Latency,
    /// Durable writes of many clients at once.
    Write,
    /// All customers written a hundred to a commit.
    Import,
    /// Golden records read at random.
    Read,
    /// Resident memory of one node that holds all customers.
    Memory,
    /// One golden record resolved.
    Resolve,
    /// A record that was edited up to ten thousand times: read, written, its history.
    History,
    /// Two nodes with all customers: import, restart, a new peer, edits apart, a heal; memory and disk.
    Lifecycle,
}

impl Bench {
    /// All that together measure everything, the quick ones first. What takes all customers is measured
    /// by the last one; the benches of its steps alone are for who works on one of them.
    pub const ALL: [Self; 5] =
        [Self::Resolve, Self::Latency, Self::Write, Self::History, Self::Lifecycle];

    /// Its name, as in the command.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reconnect => "reconnect",
            Self::CatchUp => "catch-up",
            Self::FirstSync => "first-sync",
            Self::Latency => "latency",
            Self::Write => "write",
            Self::Import => "import",
            Self::Read => "read",
            Self::Memory => "memory",
            Self::Resolve => "resolve",
            Self::History => "history",
            Self::Lifecycle => "lifecycle",
        }
    }
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Which bench.
    pub bench: &'static str,
    /// Which of its cases.
    pub case: &'static str,
    /// How many customers there were.
    pub customers: u64,
    /// What was measured.
    pub figure: f64,
    /// Of both figure and limit.
    pub unit: &'static str,
    /// What the machine can do at best, measured in the same run; for bytes, what cannot be less.
    pub limit: Option<f64>,
    /// The figure over the limit, or the limit over it where more is better: 1 is the limit itself.
    pub ratio: Option<f64>,
}

impl Figure {
    fn new(
        bench: Bench,
        case: &'static str,
        customers: u64,
        (figure, unit): (f64, &'static str),
    ) -> Self {
        let bench = bench.name();
        Self { bench, case, customers, figure, unit, limit: None, ratio: None }
    }

    /// Beside a limit that the figure can only be above.
    fn above(mut self, limit: f64) -> Self {
        (self.limit, self.ratio) = (Some(limit), Some(self.figure / limit));
        self
    }

    /// Beside a limit that the figure can only be below.
    fn below(mut self, limit: f64) -> Self {
        (self.limit, self.ratio) = (Some(limit), Some(limit / self.figure));
        self
    }
}

/// Why a bench has no figure.
#[derive(Debug, thiserror::Error)]
#[error("The bench could not {what}: {why}.")]
pub struct BenchError {
    what: &'static str,
    why: String,
}

impl BenchError {
    fn new(what: &'static str, why: &dyn std::fmt::Display) -> Self {
        let why = why.to_string().trim_end_matches('.').to_owned();
        Self { what, why }
    }
}

/// What is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// How many customers there are.
    pub customers: u64,
    /// The engine of every store.
    pub engine: EngineKind,
}

/// Measures, and tells each figure as soon as it is known.
///
/// # Errors
/// [`BenchError`] when a node does not start, write or agree in time. Its files are gone all the same.
pub async fn run(
    bench: Bench,
    setup: Setup,
    tell: &mut (dyn FnMut(Figure) + Send),
) -> Result<(), BenchError> {
    match bench {
        Bench::Reconnect => sync::reconnect(setup, tell).await,
        Bench::CatchUp => sync::catch_up(setup, tell).await,
        Bench::FirstSync => sync::first_sync(setup, tell).await,
        Bench::Latency => sync::latency(setup, tell).await,
        Bench::Write => single::write(setup, tell).await,
        Bench::Import => single::import(setup, tell).await,
        Bench::Read => single::read(setup, tell).await,
        Bench::Memory => single::memory(setup, tell).await,
        Bench::Resolve => single::resolve(setup, tell).await,
        Bench::History => history::history(setup, tell).await,
        Bench::Lifecycle => lifecycle::lifecycle(setup, tell).await,
    }
}

/// Sorted times, from which percentiles are read.
struct Times(Vec<f64>);

impl Times {
    fn new(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    /// The time below which so many of a hundred are.
    fn percentile(&self, percent: usize) -> f64 {
        let at = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(at).copied().unwrap_or(f64::NAN)
    }
}

fn milliseconds(watch: &Stopwatch) -> f64 {
    watch.elapsed().as_secs_f64() * 1_000.0
}

/// Counts stay far below 2^52.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of bytes and customers are exact far beyond what is measured"
)]
const fn real(count: u64) -> f64 {
    count as f64
}
