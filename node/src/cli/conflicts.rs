//! `concord conflicts`: what regions wrote apart, which value survived and why.

use serde_json::Value as Json;

use super::history::{Page, more};
use super::{CliError, Context, Exit, Request, Target, get, show};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    node: Target,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let answer = context.client(&args.node)?.ask(&args.page.of(Request::get("/v1/conflicts")))?;
    let found = answer["items"].as_array().is_some_and(|items| !items.is_empty());
    context.show(&answer, people)?;
    Ok(if found { Exit::Differences } else { Exit::Ok })
}

fn people(answer: &Json) -> String {
    let mut text = String::new();
    for item in answer["items"].as_array().into_iter().flatten() {
        text.push_str(&format!("customer {}\n", show::text(&item["id"])));
        for (path, explanation) in item["attributes"].as_object().into_iter().flatten() {
            text.push_str(&get::explain(path, explanation));
        }
        text.push('\n');
    }
    if text.is_empty() {
        text.push_str("No conflicts.\n");
    }
    text + &more(answer)
}
