//! `concord peers`: the other nodes, and how far each is.

use serde_json::Value as Json;

use super::table::Table;
use super::{CliError, Context, Exit, Request, Target, show};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    node: Target,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let answer = context.client(&args.node)?.ask(&Request::get("/v1/peers"))?;
    context.show(&answer, |answer| table(&answer["peers"]))?;
    Ok(Exit::Ok)
}

pub(super) fn table(peers: &Json) -> String {
    let mut table =
        Table::new(&["PEER", "REGION", "LINK", "SINCE", "BEHIND", "AHEAD", "HEARD", "NOTE"]);
    for peer in peers.as_array().into_iter().flatten() {
        let is_up = peer["connected"].as_bool() == Some(true);
        let time = |name: &str| show::time(peer[name].as_u64().unwrap_or(0));
        table.row([
            show::text(&peer["name"]),
            show::text(&peer["region"]),
            if is_up { "up" } else { "down" }.to_owned(),
            time("since_ms"),
            peer["behind"].to_string(),
            peer["ahead"].to_string(),
            time("heard_ms"),
            note(peer, is_up),
        ]);
    }
    if table.is_empty() {
        "This node knows no other member.\n".to_owned()
    } else {
        table.to_string()
    }
}

fn note(peer: &Json, is_up: bool) -> String {
    let equal = |name: &str| peer[name].as_bool() == Some(true);
    if let Json::String(_) = &peer["advice"] {
        return show::text(&peer["advice"]);
    }
    match (is_up, &peer["last_error"]) {
        (false, Json::String(error)) => show::text(&Json::String(error.clone())),
        (false, _) => "not reached yet".to_owned(),
        (true, _) if equal("equal_history") && equal("equal_golden") => "in step".to_owned(),
        // The alarm of the node says more.
        (true, _) if equal("equal_history") => "same history, other golden records".to_owned(),
        (true, _) => "catching up".to_owned(),
    }
}
