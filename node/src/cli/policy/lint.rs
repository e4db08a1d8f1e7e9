//! `concord policy lint`.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::super::{show, table::Table};
use super::file::PolicyFile;
use super::{CliError, Context, Exit};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The policy file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let file = PolicyFile::read(&args.file)?;
    let policy = file.policy();
    let faults: Vec<Json> = policy
        .faults()
        .iter()
        .map(|fault| json!({"at": fault.at, "code": fault.code, "text": fault.text}))
        .collect();
    let advice: Vec<Json> = policy
        .advice()
        .iter()
        .map(|advice| json!({"at": advice.at, "code": advice.code, "text": advice.text}))
        .collect();
    let exit = if faults.is_empty() { Exit::Ok } else { Exit::Differences };
    context
        .show(&json!({"version": policy.version, "faults": faults, "advice": advice}), people)?;
    Ok(exit)
}

fn people(json: &Json) -> String {
    let faults = json["faults"].as_array().map_or(&[][..], Vec::as_slice);
    if faults.is_empty() {
        let fit = format!("Policy version {} is fit to be put in force.\n", json["version"]);
        let advice = json["advice"].as_array().map_or(&[][..], Vec::as_slice);
        let mut table = Table::new(&["WHERE", "WORTH A LOOK"]);
        for one in advice {
            table.row([show::text(&one["at"]), show::text(&one["text"])]);
        }
        return if table.is_empty() { fit } else { format!("{table}{fit}") };
    }
    let mut table = Table::new(&["WHERE", "WHAT IS WRONG"]);
    for fault in faults {
        table.row([show::text(&fault["at"]), show::text(&fault["text"])]);
    }
    format!("{table}{} faults: the policy would be refused.\n", faults.len())
}
