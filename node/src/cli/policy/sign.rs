//! `concord policy sign`.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::super::init::sentence;
use super::super::network::file::{load_roster, write_whole};
use super::super::show;
use super::file::{PolicyFile, parse_time};
use super::{CliError, Context, Exit};
use crate::clock::Clock;
use crate::identity::NodeKey;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The policy file, as written or as another governor has signed it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The key of the governor
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The roster of the network: a signature holds for one successor of one policy
    #[arg(long, value_name = "FILE")]
    roster: PathBuf,
    /// From when on the policy is to be in force, like 2026-12-01T00:00:00Z; the first to sign says it
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<u64>,
    /// Where to write the signed policy
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let file = PolicyFile::read(&args.file)?;
    if matches!(file, PolicyFile::Written(_)) && args.at.is_none() {
        return Err(CliError::Usage(
            "Say with --at from when on the policy is to be in force: the time is signed, too."
                .to_owned(),
        ));
    }
    if let Err(fault) = file.policy().lint() {
        return Err(CliError::Refused(format!("The policy is not fit to be signed: {fault}")));
    }
    let roster = load_roster(&args.roster)?;
    let key = NodeKey::load(&args.key).map_err(|error| CliError::Refused(sentence(&error)))?;
    let mut entry = file.into_entry(args.at, Clock::system().now_ms())?;
    let (before, _) = roster.newest_policy();
    let named = key.id().to_string();
    let governors = before.governors.as_ref();
    if !governors.is_some_and(|governors| governors.keys.values().any(|key| *key == named)) {
        return Err(CliError::Refused(format!(
            "{named} is not the key of a governor by policy version {}.",
            before.version
        )));
    }
    entry.sign(&roster, &key);
    write_whole(&args.out, &entry.encode())?;
    let needed = governors.map_or(0, |governors| governors.needed);
    let json = json!({
        "version": entry.policy.version,
        "activates_at_ms": entry.activates_at_ms,
        "signed_by": entry.signers().map(|key| key.to_string()).collect::<Vec<_>>(),
        "needed": needed,
    });
    context.show(&json, people)?;
    Ok(Exit::Ok)
}

fn people(json: &Json) -> String {
    let signed = json["signed_by"].as_array().map_or(0, Vec::len);
    let at = json["activates_at_ms"].as_u64().map(show::time).unwrap_or_default();
    format!(
        "Policy version {} is signed by {signed} of {} governors, for {at}.\n",
        json["version"], json["needed"]
    )
}
