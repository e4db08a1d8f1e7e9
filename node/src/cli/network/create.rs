//! `concord network create`.

use std::path::PathBuf;

use serde_json::json;

use super::file::{NETWORK_KEY_FILE, NetworkDir};
use super::{CliError, Context, DIR, Exit};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What people call the network
    name: String,
    /// Directory for its key and roster
    #[arg(long, default_value = DIR, value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let network = NetworkDir::create(&args.dir, &args.name)?;
    let id = network.roster.network_id().to_string();
    let json = json!({"network": args.name, "network_id": id, "dir": args.dir});
    context.show(&json, |_| {
        let dir = args.dir.display();
        format!(
            "Network {} is in {dir}.\nid {id}\n\
             Whoever has {dir}/{NETWORK_KEY_FILE} decides who belongs to the network: keep it off \
             the nodes, and keep a copy.\n",
            args.name
        )
    })?;
    Ok(Exit::Ok)
}
