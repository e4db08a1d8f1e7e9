//! `concord status`: the state of the node.

use serde_json::Value as Json;

use super::{CliError, Context, Exit, Request, Target, peers, show};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    node: Target,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let answer = context.client(&args.node)?.ask(&Request::get("/v1/status"))?;
    let is_well = answer["ready"].as_bool() == Some(true)
        && answer["alarms"].as_array().is_none_or(Vec::is_empty);
    context.show(&answer, people)?;
    Ok(if is_well { Exit::Ok } else { Exit::Differences })
}

fn people(status: &Json) -> String {
    let text = |name: &str| show::text(&status[name]);
    let clock = match status["clock_offset_s"].as_i64() {
        Some(offset) => format!("{offset:+} s from the median of its peers"),
        None => "not compared: fewer than two peers were heard within the hour".to_owned(),
    };
    let ready = match status["ready"].as_bool() {
        Some(true) => "yes",
        _ => "no: it first fetches back what it had acknowledged, and takes no writes",
    };
    let mut rows = vec![
        ("node", format!("{} ({})", text("name"), text("node"))),
        ("region", text("region")),
        ("network", format!("{} ({})", text("network"), text("network_id"))),
        ("roster", format!("{} entries", status["roster_height"])),
        ("ready", ready.to_owned()),
        ("customers", status["records"].to_string()),
        ("in conflict", status["conflicted_records"].to_string()),
        ("quarantined", format!("{} changes", status["quarantined_items"])),
        ("commits", status["commits"].to_string()),
        ("others", show::text(&status["agreement"]["sentence"])),
        ("history", text("history_digest")),
        ("golden", text("golden_digest")),
        ("clock", clock),
        ("refused", format!("{} connections since the start", status["refused"])),
    ];
    for region in status["regions"].as_array().into_iter().flatten() {
        let until = match region["complete_ms"].as_u64().filter(|ms| *ms > 0) {
            Some(ms) => {
                format!("{} complete until {}", show::text(&region["region"]), show::time(ms))
            }
            None => {
                format!("{} complete until a time that is not known", show::text(&region["region"]))
            }
        };
        rows.push(("", until));
    }
    for alarm in status["alarms"].as_array().into_iter().flatten() {
        rows.push(("ALARM", show::text(alarm)));
    }
    let rows: String = rows.iter().map(|(name, value)| format!("{name:11}  {value}\n")).collect();
    format!("{rows}\n{}", peers::table(&status["peers"]))
}
