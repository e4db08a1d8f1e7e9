//! `concord network join`: brings a roster file to the directory of a node.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::init::{Plan, admit_line, sentence};
use super::file::{load_roster, refused, write_whole};
use super::{CliError, Context, Exit};
use crate::config::{self, Config};
use crate::identity::NodeKey;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the node
    #[arg(long, env = "CONCORD_DIR", default_value = config::DIR, value_name = "DIR")]
    dir: PathBuf,
    /// The roster file, as the operator of the network sent it
    roster: PathBuf,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let config = Config::load(&args.dir).map_err(|error| CliError::Refused(error.to_string()))?;
    let key = NodeKey::load(&args.dir.join(config::KEY_FILE))
        .map_err(|error| CliError::Refused(sentence(&error)))?;
    let brought = load_roster(&args.roster)?;
    let path = args.dir.join(config::ROSTER_FILE);
    let roster = if path.exists() {
        // A roster only grows, and a node never changes its network.
        let mut known = load_roster(&path)?;
        known.extend(0, &brought.encode()).map_err(|error| refused(&error))?;
        known
    } else {
        brought
    };
    write_whole(&path, &roster.encode())?;
    let is_member = roster.is_member(&key.id());
    let json = json!({
        "network": roster.name(),
        "network_id": roster.network_id().to_string(),
        "height": roster.height(),
        "member": is_member,
    });
    context.show(&json, |_| {
        let place = format!("The roster of {} is in {}.\n", roster.name(), args.dir.display());
        if is_member {
            return format!("{place}{}", how_to_start(&args.dir));
        }
        let Config { name, region, listen, advertise, http, .. } = config;
        let plan = Plan { name, region, listen, advertise, http, further: Vec::new() };
        format!(
            "{place}It does not name this node. Ask the operator of the network to run:\n  {}\n{}",
            admit_line(&key.id(), &plan),
            how_to_start(&args.dir)
        )
    })?;
    Ok(Exit::Ok)
}

fn how_to_start(dir: &Path) -> String {
    format!("Start, or restart, the node with: concord run --dir {}\n", dir.display())
}
