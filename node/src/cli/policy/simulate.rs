//! `concord policy simulate`.

use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::super::{Method, Request, Target, show, table::Table};
use super::file::PolicyFile;
use super::{CliError, Context, Exit};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The policy file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The most customers to list; all are counted
    #[arg(long, default_value_t = 1_000, value_name = "NUMBER")]
    limit: usize,
    #[command(flatten)]
    node: Target,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let file = PolicyFile::read(&args.file)?;
    let client = context.client(&args.node)?;
    let body = serde_json::to_value(file.policy()).unwrap_or_default();
    let request = Request::new(Method::POST, "/v1/policy/simulate").json(&body);
    let mut changes = Vec::new();
    let mut end = None;
    for line in BufReader::new(client.stream(&request)?).lines() {
        let line = line.map_err(|error| client.broken_off(&error))?;
        let json: Json = serde_json::from_str(&line)
            .map_err(|_| client.broken_off(&io::Error::from(io::ErrorKind::InvalidData)))?;
        if json["customers"].is_u64() {
            end = Some(json);
        } else if changes.len() < args.limit {
            changes.push(json);
        }
    }
    let end =
        end.ok_or_else(|| client.broken_off(&io::Error::from(io::ErrorKind::UnexpectedEof)))?;
    let changed = end["changed"].as_u64().unwrap_or(0);
    let json = json!({"customers": end["customers"], "changed": changed, "changes": changes});
    context.show(&json, people)?;
    Ok(if changed == 0 { Exit::Ok } else { Exit::Differences })
}

fn people(json: &Json) -> String {
    let mut table = Table::new(&["CUSTOMER", "ATTRIBUTE", "NOW", "WOULD BE"]);
    let changes = json["changes"].as_array().map_or(&[][..], Vec::as_slice);
    for change in changes {
        for field in change["fields"].as_array().into_iter().flatten() {
            table.row([
                show::text(&change["id"]),
                show::text(&field["path"]),
                shown(&field["before"]),
                shown(&field["after"]),
            ]);
        }
    }
    let (customers, changed) = (&json["customers"], json["changed"].as_u64().unwrap_or(0));
    let list = if table.is_empty() { String::new() } else { format!("{table}\n") };
    let left = changed.saturating_sub(changes.len() as u64);
    let more = if left == 0 { String::new() } else { format!(" {left} are not listed.") };
    format!("{list}{changed} of {customers} customers would change.{more} Nothing was changed.\n")
}

/// The values of a timeline, and who contests them where the value stays the same.
fn shown(values: &Json) -> String {
    let values = values.as_array().map_or(&[][..], Vec::as_slice);
    let each = values.iter().map(|value| {
        let from = value["from"].as_str().map(|day| format!(" from {day}")).unwrap_or_default();
        let contested = if value["contest"].is_null() { "" } else { " (contested)" };
        format!("{}{from}{contested}", show::value(&value["value"]))
    });
    let text = each.collect::<Vec<_>>().join("; ");
    if text.is_empty() { "nothing".to_owned() } else { text }
}
