//! `concord changes`: the feed of the node, for people who look and scripts that follow.

use serde_json::{Value as Json, json};

use super::table::Table;
use super::{CliError, Context, Exit, Request, Target, show};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The last position that was seen; 0 is the start
    #[arg(long, default_value_t = 0, value_name = "POSITION")]
    since: u64,
    /// How many commits, 1 to 500
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u16,
    #[command(flatten)]
    node: Target,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let request = Request::get("/v1/changes").query("since", args.since).query("limit", args.limit);
    let answer = context.client(&args.node)?.ask(&request)?;
    context.show(&answer, people)?;
    Ok(Exit::Ok)
}

fn people(answer: &Json) -> String {
    let mut table = Table::new(&["POSITION", "CUSTOMER", "CHANGE"]);
    for item in answer["items"].as_array().into_iter().flatten() {
        let position = item["position"].to_string();
        let records = item["records"].as_array().map_or(&[][..], Vec::as_slice);
        if records.is_empty() {
            table.row([position.clone(), "-".to_owned(), "nothing that shows".to_owned()]);
        }
        for record in records {
            table.row([position.clone(), show::text(&record["id"]), difference(record)]);
        }
    }
    let more = match answer["next"].as_u64() {
        Some(next) => format!("There are more; go on with --since {next}\n"),
        None => String::new(),
    };
    if table.is_empty() {
        "Nothing has changed since.\n".to_owned()
    } else {
        format!("{table}{more}")
    }
}

fn difference(record: &Json) -> String {
    let mut told: Vec<String> = Vec::new();
    if record["created"].as_bool() == Some(true) {
        told.push("new".to_owned());
    }
    let name = |field: &Json| field["path"].as_str().map(str::to_owned);
    let paths: Vec<String> = match &record["fields"] {
        Json::Array(fields) => fields.iter().filter_map(name).collect(),
        Json::Object(fields) => fields.keys().cloned().collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Vec::new(),
    };
    told.extend(paths);
    for step in record["requests"].as_array().into_iter().flatten() {
        let part = |name: &str| show::text(&step[name]);
        let by = if step["by"].is_null() { String::new() } else { format!(" by {}", part("by")) };
        told.push(format!("request {} {}{by}", part("id"), part("step")));
    }
    if told.is_empty() {
        "nothing that shows".to_owned()
    } else {
        show::text(&json!(told.join(", ")))
    }
}
