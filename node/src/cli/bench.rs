//! `concord bench`: what a node costs and how fast it is on this machine.

use std::io::BufRead as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use serde_json::Value as Json;

use super::table::Table;
use super::{CliError, Context, Exit};
use crate::bench::{Bench, CUSTOMERS_MAX, Figure, Setup, run as measure};
use crate::store::EngineKind;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to measure
    #[arg(value_enum, default_value_t = Which::All)]
    bench: Which,
    /// How many customers there are, of about a kilobyte each
    #[arg(long, value_name = "N", default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(10..=CUSTOMERS_MAX))]
    customers: u64,
    /// The store engine: sled or redb
    #[arg(long, value_name = "ENGINE", default_value_t = EngineKind::default())]
    engine: EngineKind,
}

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    /// Two nodes in step meet again: nothing changed, ten customers changed
    Reconnect,
    /// A node was away while the customers were written
    CatchUp,
    /// A new node gets everything
    FirstSync,
    /// From a write at one node to when a third shows it
    Latency,
    /// Durable writes of 256 clients at once
    Write,
    /// All customers written, a hundred to a commit
    Import,
    /// Golden records read at random
    Read,
    /// Resident memory of one node
    Memory,
    /// One golden record resolved
    Resolve,
    /// A record that was edited often: read, written, its history
    History,
    /// Two nodes: import, restart, a new peer, edits apart, a heal; memory and disk after each
    Lifecycle,
    /// Resolve, latency, write, history and lifecycle, each in a process of its own
    All,
}

impl Which {
    const fn bench(self) -> Option<Bench> {
        match self {
            Self::Reconnect => Some(Bench::Reconnect),
            Self::CatchUp => Some(Bench::CatchUp),
            Self::FirstSync => Some(Bench::FirstSync),
            Self::Latency => Some(Bench::Latency),
            Self::Write => Some(Bench::Write),
            Self::Import => Some(Bench::Import),
            Self::Read => Some(Bench::Read),
            Self::Memory => Some(Bench::Memory),
            Self::Resolve => Some(Bench::Resolve),
            Self::History => Some(Bench::History),
            Self::Lifecycle => Some(Bench::Lifecycle),
            Self::All => None,
        }
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let setup = Setup { customers: args.customers, engine: args.engine };
    let mut figures: Vec<Json> = Vec::new();
    let mut tell = |figure: Json| {
        if context.json {
            context.print(&format!("{figure}\n"))?;
        }
        figures.push(figure);
        Ok(())
    };
    match args.bench.bench() {
        Some(bench) => one(bench, setup, &mut tell)?,
        None => {
            for bench in Bench::ALL {
                apart(bench, setup, &mut tell)?;
            }
        }
    }
    if !context.json {
        context.print(&table(&figures))?;
    }
    Ok(Exit::Ok)
}

type Tell<'a> = &'a mut dyn FnMut(Json) -> Result<(), CliError>;

fn one(bench: Bench, setup: Setup, tell: Tell<'_>) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| CliError::Unreachable(format!("The bench cannot start: {error}.")))?;
    // Told at once: some benches take minutes from one figure to the next.
    let (found, figures) = mpsc::channel::<Figure>();
    std::thread::scope(|scope| {
        let work = scope.spawn(move || {
            runtime.block_on(measure(bench, setup, &mut |figure| drop(found.send(figure))))
        });
        for figure in figures {
            tell(serde_json::to_value(figure).unwrap_or_default())?;
        }
        let measured = work.join().map_err(|_| unreachable("The bench ended by a defect."))?;
        measured.map_err(|error| unreachable(&error.to_string()))
    })
}

fn unreachable(text: &str) -> CliError {
    CliError::Unreachable(text.to_owned())
}

/// Measures in a process of its own: what one bench leaves in memory is not counted to the next.
fn apart(bench: Bench, setup: Setup, tell: Tell<'_>) -> Result<(), CliError> {
    let fail = |error: std::io::Error| {
        CliError::Unreachable(format!("The bench cannot start itself again: {error}."))
    };
    let mut child = Command::new(std::env::current_exe().map_err(fail)?)
        .args(["--json", "bench", bench.name(), "--customers", &setup.customers.to_string()])
        .args(["--engine", setup.engine.name()])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(fail)?;
    if let Some(out) = child.stdout.take() {
        for line in std::io::BufReader::new(out).lines() {
            if let Ok(figure) = serde_json::from_str(&line.map_err(fail)?) {
                tell(figure)?;
            }
        }
    }
    match child.wait().map_err(fail)? {
        ended if ended.success() => Ok(()),
        _ => Err(CliError::Unreachable(format!("The bench {} gave no figure.", bench.name()))),
    }
}

fn table(figures: &[Json]) -> String {
    let mut table = Table::new(&["BENCH", "CASE", "CUSTOMERS", "FIGURE", "LIMIT", "UNIT", "RATIO"]);
    for figure in figures {
        let text = |name: &str| figure[name].as_str().unwrap_or_default().to_owned();
        table.row([
            text("bench"),
            text("case"),
            figure["customers"].to_string(),
            number(&figure["figure"]),
            number(&figure["limit"]),
            text("unit"),
            number(&figure["ratio"]),
        ]);
    }
    table.to_string()
}

/// Three digits that say something.
fn number(json: &Json) -> String {
    match json.as_f64() {
        None => "–".to_owned(),
        Some(number) if number >= 100.0 => format!("{number:.0}"),
        Some(number) if number >= 1.0 => format!("{number:.2}"),
        Some(number) => format!("{number:.4}"),
    }
}
