//! `concord hierarchy`: who a customer belongs to, and who belongs to it.

use serde_json::Value as Json;

use super::{CliError, Context, Exit, Request, Target, show};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The id of the customer
    #[arg(value_name = "ID")]
    id: String,
    /// Show everybody below, and not the direct children alone
    #[arg(long)]
    below: bool,
    #[command(flatten)]
    node: Target,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let request = Request::get(format!("/v1/customers/{}/hierarchy", args.id))
        .maybe("below", args.below.then_some(true));
    let answer = context.client(&args.node)?.ask(&request)?;
    context.show(&answer, people)?;
    Ok(if answer["finding"].is_null() { Exit::Ok } else { Exit::Differences })
}

fn people(answer: &Json) -> String {
    let mut text = String::new();
    let ancestors: Vec<&Json> = answer["ancestors"].as_array().into_iter().flatten().collect();
    for (depth, ancestor) in ancestors.iter().rev().enumerate() {
        text.push_str(&line(depth, ancestor, ""));
    }
    let own = ancestors.len();
    text.push_str(&line(own, &answer["id"], "   <- this one"));
    match answer["below"].as_array() {
        Some(below) => {
            for member in below {
                let depth = member["depth"].as_u64().and_then(|depth| usize::try_from(depth).ok());
                text.push_str(&line(own + depth.unwrap_or(1), &member["id"], ""));
            }
        }
        None => {
            for child in answer["children"].as_array().into_iter().flatten() {
                text.push_str(&line(own + 1, child, ""));
            }
        }
    }
    if answer["truncated"].as_bool() == Some(true) {
        text.push_str("There are more below than are followed.\n");
    }
    if !answer["finding"].is_null() {
        text.push_str(&format!("{}\n", show::text(&answer["finding"])));
    }
    text
}

fn line(depth: usize, id: &Json, mark: &str) -> String {
    format!("{}{}{mark}\n", "  ".repeat(depth), show::text(id))
}
