//! `concord history`: every change of a customer.

use serde_json::Value as Json;

use super::table::{Table, one_line};
use super::{CliError, Context, Exit, Request, Target, get, show};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The id of the customer
    id: String,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    node: Target,
}

/// Which part of a list.
#[derive(Debug, clap::Args)]
pub(super) struct Page {
    /// How many entries, 1 to 500
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(super) limit: u16,
    /// Where to go on, as the list before said
    #[arg(long, value_name = "CURSOR")]
    pub(super) cursor: Option<String>,
}

impl Page {
    pub(super) fn of(&self, request: Request) -> Request {
        request.query("limit", self.limit).maybe("cursor", self.cursor.as_ref())
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let page = format!("{}/history", get::page_of(&args.id)?);
    let answer = context.client(&args.node)?.ask(&args.page.of(Request::get(page)))?;
    context.show(&answer, people)?;
    Ok(Exit::Ok)
}

fn people(answer: &Json) -> String {
    let mut text = String::new();
    for item in answer["items"].as_array().into_iter().flatten() {
        let [time, principal, node, source, reason] =
            ["time", "principal", "node", "source", "reason"].map(|name| show::text(&item[name]));
        let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        text.push_str(&format!("{time}  {principal} on {node} as {source}{why}\n"));
        text.push_str(&format!("  commit {}", show::text(&item["commit"])));
        if let Some(version) = item["version"].as_str() {
            text.push_str(&format!(", version {version}"));
        }
        text.push('\n');
        if let Some(fault) = item["quarantined"].as_str() {
            text.push_str(&format!("  not applied: {fault}\n"));
        }
        let mut table = Table::new(&["  ATTRIBUTE", "SAYS"]);
        for change in item["changes"].as_array().into_iter().flatten() {
            table.row([format!("  {}", show::text(&change["path"])), show::assertion(change)]);
        }
        if !table.is_empty() {
            text.push_str(&table.to_string());
        }
        text.push('\n');
    }
    text.push_str(&more(answer));
    text
}

/// How to see the rest of a list; empty at its end.
pub(super) fn more(answer: &Json) -> String {
    let next = answer["next"].as_str();
    next.map_or_else(String::new, |cursor| {
        format!("There are more; go on with --cursor {}\n", one_line(cursor))
    })
}
