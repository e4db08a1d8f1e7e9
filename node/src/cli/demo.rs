//! `concord demo`: three regions as real processes, a cut, edits on both sides, a heal.
//!
//! Everything it does is done by commands and requests that a user could give: the nodes are child
//! processes of this same program with sled stores, QUIC and HTTP on loopback. Only the cut is its
//! own: a UDP relay stands in front of each node (`stage`). The edits are in `story`.

mod interrupt;
mod stage;
mod story;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

use self::interrupt::Interrupt;
use self::stage::{Stage, Totals};
use super::table::Table;
use super::{CliError, Context, Exit, show};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// End when the story is told, instead of staying up to look around
    #[arg(long)]
    exit: bool,
    /// How many customers the three regions have
    #[arg(long, value_name = "N", default_value_t = crate::sample::CUSTOMERS,
        value_parser = clap::value_parser!(u32).range(50..=100_000))]
    customers: u32,
    /// Keep everything in this directory, which must not exist; default: a temporary one
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// How long the nodes may take to agree.
const AGREE_TIME: Duration = Duration::from_secs(60);
/// How long they may take at the end.
const SETTLE_TIME: Duration = Duration::from_secs(5);

/// Runs the demo. The nodes are stopped in any case.
pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| CliError::Unreachable(format!("The demo cannot start: {error}.")))?;
    let interrupt = Interrupt::listen(&runtime);
    let stage = Stage::set(args.keep.as_deref(), &runtime, &interrupt, context)?;
    Demo { stage, interrupt, context: *context }.tell(&runtime, args)
}

struct Demo {
    stage: Stage,
    interrupt: Interrupt,
    context: Context,
}

/// The node that is cut off: APAC.
const CUT_OFF: usize = 2;

impl Demo {
    fn tell(&self, runtime: &tokio::runtime::Runtime, args: &Args) -> Result<Exit, CliError> {
        self.introduce()?;
        let agreed = self.import(args.customers)? && {
            let cast = story::cast(self.stage.client(0))?;
            self.cut_and_edit(&cast)?;
            let healed = self.heal(&cast)?;
            if healed && !args.exit {
                self.look_around(runtime, &cast)?;
            }
            healed
        };
        self.close(agreed)
    }

    fn say(&self, text: &str) -> Result<(), CliError> {
        self.interrupt.check()?;
        if self.context.json { Ok(()) } else { self.context.print(text) }
    }

    fn step(&self, name: &str, facts: &Json) -> Result<(), CliError> {
        if self.context.json {
            self.context.print(&json!({"step": name, "facts": facts}).to_string())?;
        }
        Ok(())
    }

    fn introduce(&self) -> Result<(), CliError> {
        self.say("Three nodes run, each with a store of its own, linked by QUIC. No hub.\n")?;
        for node in self.stage.nodes() {
            self.say(&format!("  {:<8} {}", node.region, node.client.url()))?;
        }
        self.step("started", &json!({"nodes": self.stage.nodes().len()}))
    }

    fn import(&self, customers: u32) -> Result<bool, CliError> {
        self.say("\nEach region imports its own customer file. The files share customers.\n")?;
        for (index, line) in self.stage.import(customers)?.iter().enumerate() {
            self.say(&format!("  {:<8} {line}", self.stage.nodes()[index].region))?;
        }
        let Some((took, totals)) = self.agree("after the import")? else { return Ok(false) };
        self.say(&format!(
            "\nConverged after {}: {} customers on each node, {} of them with a conflict.",
            seconds(took),
            totals.records,
            totals.conflicted
        ))?;
        self.step("imported", &json!({"records": totals.records, "ms": millis(took)}))?;
        Ok(true)
    }

    fn cut_and_edit(&self, cast: &story::Cast) -> Result<(), CliError> {
        self.stage.cut(CUT_OFF);
        self.say("\nThe line to APAC is cut. Both sides go on working on the same customers:\n")?;
        for edit in story::edits(cast) {
            let answer = edit.write(self.stage.client(edit.node))?;
            let region = &self.stage.nodes()[edit.node].region;
            let line = format!("{region}  {}: {}", edit.what, story::effect(&answer));
            self.say(&show::wrapped(&line, "  ", "        "))?;
        }
        self.await_silence()?;
        self.say("\nEach side shows its own view meanwhile:\n")?;
        let mut table = Table::new(&["", "IN EMEA", "IN APAC"]);
        for path in story::watched(cast) {
            let emea = story::shown(self.stage.client(0), &path)?;
            let apac = story::shown(self.stage.client(CUT_OFF), &path)?;
            table.row([format!("  {}", path.label), emea, apac]);
        }
        self.say(&table.to_string())?;
        self.step("cut", &json!({"region": "APAC"}))
    }

    /// Waits until both other nodes have noticed that APAC is gone.
    fn await_silence(&self) -> Result<(), CliError> {
        let gone = |index: usize| {
            self.interrupt.check()?;
            self.stage.connected(index, "APAC").map(|linked| !linked)
        };
        let noticed = self.stage.wait(AGREE_TIME, || Ok(gone(0)? && gone(1)?))?;
        let text = match noticed {
            Some(_) => "EMEA and AMER see APAC as unreachable and stay in step with each other.",
            None => "EMEA and AMER have not noticed yet that APAC is gone.",
        };
        self.say(&format!("\n{text}"))
    }

    fn heal(&self, cast: &story::Cast) -> Result<bool, CliError> {
        let before = self.stage.traffic();
        self.stage.heal(CUT_OFF);
        self.say("\nThe line is back.")?;
        let Some((took, totals)) = self.agree("after the heal")? else { return Ok(false) };
        let bytes = self.stage.traffic() - before;
        self.say(&format!(
            "Converged {} after the heal, with {bytes} bytes on the wire, those of QUIC included. \
             {} customers were written apart.",
            seconds(took),
            totals.conflicted
        ))?;
        self.say("\nWhat became of it, the same on every node:\n")?;
        for path in story::watched(cast) {
            let lines = story::outcome(self.stage.client(1), &path)?;
            for (index, line) in lines.iter().enumerate() {
                let first = if index == 0 { "  " } else { "    - " };
                self.say(&show::wrapped(line, first, "      "))?;
            }
        }
        let facts = json!({
            "ms": millis(took), "bytes": bytes, "conflicted": totals.conflicted,
        });
        self.step("healed", &facts)?;
        Ok(true)
    }

    /// Waits until all nodes hold and show the same; gives how long it took and on what they agree,
    /// or none when the time is over.
    fn agree(&self, when: &str) -> Result<Option<(Duration, Totals)>, CliError> {
        let mut totals = None;
        let took = self.stage.wait(AGREE_TIME, || {
            self.interrupt.check()?;
            totals = self.stage.totals()?;
            Ok(totals.is_some())
        })?;
        if took.is_none() {
            self.say(&format!(
                "The nodes did not agree within {} s {when}.",
                AGREE_TIME.as_secs()
            ))?;
        }
        Ok(took.zip(totals))
    }

    fn look_around(
        &self,
        runtime: &tokio::runtime::Runtime,
        cast: &story::Cast,
    ) -> Result<(), CliError> {
        self.say("\nLook around, from another terminal (Ctrl-C here ends everything):\n")?;
        for command in self.stage.commands(cast.disputed()) {
            self.say(&format!("  {command}"))?;
        }
        self.interrupt.wait(runtime);
        Ok(())
    }

    /// Says whether all nodes are equal, as the last line.
    fn close(&self, agreed: bool) -> Result<Exit, CliError> {
        // Somebody who looked around may have written a moment ago.
        self.stage.wait(SETTLE_TIME, || Ok(self.stage.totals()?.is_some()))?;
        let statuses = self.stage.statuses()?;
        let first = &statuses[0];
        let text = |json: &Json, name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let (history, golden) = (text(first, "history_digest"), text(first, "golden_digest"));
        let equal = statuses
            .iter()
            .filter(|status| {
                text(status, "history_digest") == history && text(status, "golden_digest") == golden
            })
            .count();
        let count = statuses.len();
        if self.context.json {
            let facts =
                json!({"equal": equal, "nodes": count, "history": history, "golden": golden});
            self.step("converged", &facts)?;
        } else {
            self.context.print(&format!(
                "\nconverged: {equal} of {count} nodes, history {history}, golden {golden}"
            ))?;
        }
        Ok(if agreed && equal == count { Exit::Ok } else { Exit::Differences })
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(time: Duration) -> String {
    format!("{}.{:02} s", time.as_secs(), time.subsec_millis() / 10)
}
