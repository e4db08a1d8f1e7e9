//! `concord verify`: the audit of the store of a stopped node. Changes nothing.

use std::path::{Path, PathBuf};

use crdt_model::policy::Policy;
use indicatif::ProgressBar;
use serde_json::{Value as Json, json};

use super::init::sentence;
use super::network::file::load_roster;
use super::stores::{self, spinner};
use super::{CliError, Context, Exit};
use crate::config;
use crate::kv::{ReadError, View};
use crate::replica::history::History;
use crate::replica::records::Records;
use crate::replica::verify::{Findings, verify};
use crate::store::{Store as _, VerifyReport};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directory of the node, which must not run
    #[arg(long, env = "CONCORD_DIR", default_value = config::DIR, value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let path = stores::existing(&args.dir)?;
    let (store, id) =
        stores::open(&path, None).map_err(|error| CliError::Unreachable(sentence(&error)))?;
    let bar = spinner();
    bar.set_message("checking stored entries");
    let entries = store.verify().map_err(|error| CliError::Unreachable(sentence(&error)))?;
    let mut problems = entry_problems(&entries);
    let findings = match audit(&store, &args.dir, &bar) {
        Ok(findings) => findings,
        Err(Fault::Refused(error)) => return Err(error),
        // A damaged entry is among the problems already; what hangs on it cannot be audited.
        Err(Fault::Read(error)) => {
            let problems = vec![format!("the audit stopped: {error}")];
            Findings { problems, ..Findings::default() }
        }
    };
    problems.extend(findings.problems.iter().cloned());
    problems.extend(stores::behind(&args.dir, id, findings.commits));
    bar.finish_and_clear();
    let json = json!({
        "entries": entries.keys,
        "bytes": entries.bytes,
        "commits": findings.commits,
        "customers": findings.records,
        "quarantined": findings.quarantined,
        "issues": findings.issues,
        "problems": problems,
    });
    context.show(&json, people)?;
    Ok(if problems.is_empty() { Exit::Ok } else { Exit::Differences })
}

enum Fault {
    Refused(CliError),
    Read(ReadError),
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

fn audit(store: &dyn View, dir: &Path, bar: &ProgressBar) -> Result<Findings, Fault> {
    let roster = match Records::new(store).roster()? {
        Some(roster) => roster,
        // A node that never ran.
        None => load_roster(&dir.join(config::ROSTER_FILE)).map_err(Fault::Refused)?,
    };
    let history = History::load(store, roster, Policy::built_in())?;
    Ok(verify(&history, store, &mut |findings| {
        bar.set_message(format!(
            "{} commits, {} customers checked",
            findings.commits, findings.records
        ));
    })?)
}

pub(super) fn entry_problems(report: &VerifyReport) -> Vec<String> {
    let mut problems = Vec::new();
    if !report.complete {
        problems.push("entries are missing in the store".to_owned());
    }
    if report.damaged > 0 {
        problems.push(format!("{} stored entries are damaged", report.damaged));
    }
    if report.orphans > 0 {
        problems.push(format!("{} pieces of entries belong to none", report.orphans));
    }
    if report.blobs > 0 {
        problems.push(format!("{} files are outside of what is made durable", report.blobs));
    }
    problems
}

fn people(json: &Json) -> String {
    let mut text = format!(
        "{} entries, {} commits, {} customers, {} quarantined changes and {} issues checked\n",
        json["entries"], json["commits"], json["customers"], json["quarantined"], json["issues"]
    );
    let problems = json["problems"].as_array().map_or(&[][..], Vec::as_slice);
    if problems.is_empty() {
        text.push_str(
            "Sound: every signature holds, and every golden record and issue is what the history gives.\n",
        );
        return text;
    }
    text.push_str(&format!("{} problems:\n", problems.len()));
    for problem in problems {
        text.push_str(&format!("  - {}\n", super::show::text(problem)));
    }
    text.push_str(
        "Keep a copy of the directory, then move its store away and start the node: it fetches \
         everything from its peers.\n",
    );
    text
}
