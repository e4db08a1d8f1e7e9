//! `concord network admit`.

use std::path::PathBuf;

use crdt_model::id::Region;
use serde_json::json;

use super::file::NetworkDir;
use super::publish::{To, catch_up, report, shown, tell};
use super::{CliError, Context, DIR, Exit};
use crate::replica::node_id::NodeId;
use crate::replica::roster::Member;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the network key
    #[arg(long, default_value = DIR, value_name = "DIR")]
    dir: PathBuf,
    /// The id of the node, as "concord init" printed it
    #[arg(long, value_name = "ID")]
    node: NodeId,
    /// What people call it
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The region that it serves
    #[arg(long, value_name = "REGION")]
    region: Region,
    /// Where its peers reach it (may be given several times); none: it only calls others
    #[arg(long = "address", value_name = "HOST:PORT")]
    addresses: Vec<String>,
    #[command(flatten)]
    to: To,
}

pub(super) fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let mut network = NetworkDir::open(&args.dir)?;
    let client = args.to.client()?;
    if let Some(client) = &client {
        catch_up(&mut network, &shown(client)?)?;
    }
    let Args { node, name, region, addresses, .. } = args;
    let member = Member { node, name, region, addresses };
    // An entry that stands already is not signed again, so that the command can be repeated.
    let stands = network.roster.members().get(&node).is_some_and(|known| **known == member);
    if !stands {
        network.change(|roster, key| roster.admit(member.clone(), key))?;
    }
    if let Some(client) = &client {
        tell(client, &network)?;
    }
    let json = json!({"node": node, "name": member.name, "height": network.roster.height()});
    let done = if stands { "is a member already." } else { "is admitted." };
    report(context, &json, &format!("{} {done}", member.name), client.as_ref())?;
    Ok(Exit::Ok)
}
