//! `concord network list`.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::super::{Request, show, table::Table};
use super::file::load_roster;
use super::publish::To;
use super::{CliError, Context, DIR, Exit};
use crate::config::ROSTER_FILE;
use crate::replica::roster::Roster;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of a network or of a node
    #[arg(long, default_value = DIR, value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    to: To,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let json = match args.to.client()? {
        Some(client) => client.ask(&Request::get("/v1/network/roster"))?,
        None => of_file(&load_roster(&args.dir.join(ROSTER_FILE))?),
    };
    context.show(&json, people)?;
    Ok(Exit::Ok)
}

fn of_file(roster: &Roster) -> Json {
    let members = roster.members();
    let members: Vec<Json> = members
        .values()
        .map(|member| {
            json!({
                "node": member.node,
                "name": member.name,
                "region": member.region,
                "addresses": member.addresses,
                "revoked": false,
            })
        })
        .collect();
    json!({
        "height": roster.height(),
        "network": roster.name(),
        "network_id": roster.network_id().to_string(),
        "members": members,
    })
}

fn people(json: &Json) -> String {
    let mut table = Table::new(&["NAME", "REGION", "ADDRESSES", "STATE", "ID"]);
    for member in json["members"].as_array().into_iter().flatten() {
        let addresses = member["addresses"].as_array().map_or(&[][..], Vec::as_slice);
        let addresses: Vec<String> = addresses.iter().map(show::text).collect();
        let is_revoked = member["revoked"].as_bool() == Some(true);
        table.row([
            show::text(&member["name"]),
            show::text(&member["region"]),
            if addresses.is_empty() { "outbound only".to_owned() } else { addresses.join(" ") },
            if is_revoked { "revoked" } else { "member" }.to_owned(),
            show::text(&member["node"]),
        ]);
    }
    let members = if table.is_empty() { "No members yet.\n".to_owned() } else { table.to_string() };
    format!(
        "network {} ({})\nroster  {} entries\n\n{members}",
        show::text(&json["network"]),
        show::text(&json["network_id"]),
        json["height"]
    )
}
