//! `concord demo`: three regions as real processes, a cut, edits on both sides, a heal.
//!
//! Everything it does is done by commands and requests that a user could give: the nodes are child
//! processes of this same program with sled stores, QUIC and HTTP on loopback. Only the cut is its
//! own: a UDP relay stands in front of each node (`stage`). The edits are in `story`.

mod stage;
mod story;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

use self::stage::{Stage, Totals};
use super::{CliError, Context, Exit};

/// Start three nodes, cut one off, edit on both sides, heal, and show what became of each conflict
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End when the story is told, instead of staying up to look around
    #[arg(long)]
    pub exit: bool,
    /// Keep everything in this directory, which must not exist; default: a temporary one
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// How long the nodes may take to agree.
const AGREE_TIME: Duration = Duration::from_secs(60);

/// Runs the demo.
///
/// # Errors
/// [`CliError`] when a node does not start, refuses a step, or the directory cannot be used. The nodes
/// are stopped in any case.
pub fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| CliError::Unreachable(format!("The demo cannot start: {error}.")))?;
    let stage = Stage::set(args.keep.as_deref(), &runtime, context)?;
    let told = Demo { stage, context: *context }.tell(&runtime, args.exit);
    told
}

struct Demo {
    stage: Stage,
    context: Context,
}

impl Demo {
    fn tell(&self, runtime: &tokio::runtime::Runtime, exit: bool) -> Result<Exit, CliError> {
        self.introduce()?;
        self.import()?;
        let cast = story::cast(self.stage.client(0))?;
        self.cut_and_edit(&cast)?;
        let agreed = self.heal(&cast)?;
        if !exit && agreed {
            self.look_around(runtime)?;
        }
        self.close(agreed)
    }

    fn say(&self, text: &str) -> Result<(), CliError> {
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

    fn import(&self) -> Result<(), CliError> {
        self.say("\nEach region imports its own customer file. The files share customers.\n")?;
        for (index, node) in self.stage.nodes().iter().enumerate() {
            let line = self.stage.import(index)?;
            self.say(&format!("  {:<8} {line}", node.region))?;
        }
        let (took, totals) = self.agree("after the import")?;
        self.say(&format!(
            "\nConverged after {}: {} customers on each node, {} of them with a conflict.",
            seconds(took),
            totals.records,
            totals.conflicted
        ))?;
        self.step("imported", &json!({"records": totals.records, "ms": millis(took)}))
    }

    fn cut_and_edit(&self, cast: &story::Cast) -> Result<(), CliError> {
        self.stage.cut(2);
        self.say("\nThe line to APAC is cut. Both sides go on working on the same customers:\n")?;
        for edit in story::edits(cast) {
            let answer = edit.write(self.stage.client(edit.node))?;
            let region = &self.stage.nodes()[edit.node].region;
            self.say(&format!("  {region:<8} {}: {}", edit.what, story::effect(&answer)))?;
        }
        self.await_silence()?;
        self.say("\nEach side shows its own view meanwhile:\n")?;
        for path in story::watched(cast) {
            let emea = story::shown(self.stage.client(0), &path)?;
            let apac = story::shown(self.stage.client(2), &path)?;
            self.say(&format!("  {:<32} EMEA {emea:<28} APAC {apac}", path.label))?;
        }
        self.step("cut", &json!({"region": "APAC"}))
    }

    /// Waits until both other nodes have noticed that APAC is gone.
    fn await_silence(&self) -> Result<(), CliError> {
        let gone = |index: usize| self.stage.connected(index, "APAC").map(|linked| !linked);
        let noticed = self.stage.wait(AGREE_TIME, || Ok(gone(0)? && gone(1)?))?;
        let text = match noticed {
            Some(_) => "EMEA and AMER see APAC as unreachable and stay in step with each other.",
            None => "EMEA and AMER have not noticed yet that APAC is gone.",
        };
        self.say(&format!("\n{text}"))
    }

    fn heal(&self, cast: &story::Cast) -> Result<bool, CliError> {
        let before = self.stage.traffic();
        self.stage.heal(2);
        self.say("\nThe line is back.")?;
        let Ok((took, totals)) = self.agree("after the heal") else { return Ok(false) };
        let bytes = self.stage.traffic() - before;
        self.say(&format!(
            "Converged {} after the heal, with {bytes} bytes on the wire, QUIC's own included.\n",
            seconds(took)
        ))?;
        self.say("What became of each conflict, the same on every node:\n")?;
        for path in story::watched(cast) {
            self.say(&story::outcome(self.stage.client(1), &path)?)?;
        }
        let facts = json!({
            "ms": millis(took), "bytes": bytes, "conflicted": totals.conflicted,
        });
        self.step("healed", &facts)?;
        Ok(true)
    }

    /// Waits until all nodes hold and show the same.
    fn agree(&self, when: &str) -> Result<(Duration, Totals), CliError> {
        let took = self.stage.wait(AGREE_TIME, || Ok(self.stage.totals()?.is_some()))?;
        match (took, self.stage.totals()?) {
            (Some(took), Some(totals)) => Ok((took, totals)),
            _ => Err(CliError::Unreachable(format!(
                "The nodes did not agree within {} s {when}. Their logs are in {}.",
                AGREE_TIME.as_secs(),
                self.stage.dir().display()
            ))),
        }
    }

    fn look_around(&self, runtime: &tokio::runtime::Runtime) -> Result<(), CliError> {
        self.say("\nLook around, from another terminal (Ctrl-C here ends everything):\n")?;
        for command in self.stage.commands() {
            self.say(&format!("  {command}"))?;
        }
        runtime.block_on(crate::shutdown::requested());
        self.say("")
    }

    /// Says whether all nodes are equal, as the last line.
    fn close(&self, agreed: bool) -> Result<Exit, CliError> {
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
            let facts = json!({"equal": equal, "nodes": count, "history": history, "golden": golden});
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
