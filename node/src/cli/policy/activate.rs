//! `concord policy activate`: puts a policy into the roster's list, where the network key gives it
//! its place, and tells a running node, which tells the others.

use std::path::PathBuf;

use serde_json::json;

use super::super::network::DIR;
use super::super::network::file::NetworkDir;
use super::super::network::publish::{To, catch_up, report, shown, tell};
use super::super::show;
use super::file::{PolicyFile, parse_time};
use super::{CliError, Context, Exit};
use crate::clock::Clock;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The policy file: signed by as many governors as the policy in force asks for
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// From when on it is in force, like 2026-12-01T00:00:00Z; without it now, or as signed
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<u64>,
    /// Directory of the network key
    #[arg(long, default_value = DIR, value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    to: To,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let file = PolicyFile::read(&args.file)?;
    let mut network = NetworkDir::open(&args.dir)?;
    let client = args.to.client()?;
    if let Some(client) = &client {
        catch_up(&mut network, &shown(client)?)?;
    }
    let (newest, begun_ms) = network.roster.newest_policy();
    // A policy that stands already is not put in again, so that the command can be repeated.
    let stands = *newest == *file.policy();
    let (version, at_ms) = if stands {
        (newest.version, begun_ms)
    } else {
        let entry = file.into_entry(args.at, Clock::system().now_ms())?;
        let said = (entry.policy.version, entry.activates_at_ms);
        network.change(|roster, key| roster.put_policy(entry, key))?;
        said
    };
    if let Some(client) = &client {
        tell(client, &network)?;
    }
    let json = json!({
        "version": version,
        "activates_at_ms": at_ms,
        "height": network.roster.height(),
    });
    let done = if stands { "is in the list already." } else { "is in the list." };
    let text = format!("Policy version {version}, in force from {}, {done}", show::time(at_ms));
    report(context, &json, &text, client.as_ref())?;
    Ok(Exit::Ok)
}
