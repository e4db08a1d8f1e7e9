//! `concord report`: questions of finance, answered for all customers.

use serde_json::Value as Json;

use super::issues::table;
use super::{CliError, Context, Exit, Request, Target};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    report: Report,
}

#[derive(Debug, clap::Subcommand)]
enum Report {
    /// Reconciliation accounts that are unknown, blocked, of the wrong type, company code or currency
    GlConsistency {
        #[command(flatten)]
        node: Target,
    },
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let Report::GlConsistency { node } = &args.report;
    let client = context.client(node)?;
    let mut items: Vec<Json> = Vec::new();
    let mut cursor: Option<String> = None;
    let customers = loop {
        let request = Request::get("/v1/reports/gl-consistency")
            .query("limit", 500)
            .maybe("cursor", cursor.as_ref());
        let page = client.ask(&request)?;
        items.extend(page["items"].as_array().into_iter().flatten().cloned());
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break page["customers"].clone();
        }
    };
    let exit = if items.is_empty() { Exit::Ok } else { Exit::Differences };
    let json = serde_json::json!({"customers": customers, "items": items});
    context.show(&json, |json| {
        let table = table(&json["items"]);
        let count = json["items"].as_array().map_or(0, Vec::len);
        let list = if table.is_empty() { String::new() } else { format!("{table}\n") };
        format!("{list}{} customers looked at, {count} inconsistencies.\n", json["customers"])
    })?;
    Ok(exit)
}
