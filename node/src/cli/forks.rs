//! `concord forks`: logs whose author signed two histories, and what does not count of them.

use serde_json::Value as Json;

use super::{CliError, Context, Exit, Request, Target, show};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    node: Target,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let answer = context.client(&args.node)?.ask(&Request::get("/v1/forks"))?;
    let is_clean = answer["forks"].as_array().is_none_or(Vec::is_empty);
    context.show(&answer, people)?;
    Ok(if is_clean { Exit::Ok } else { Exit::Differences })
}

fn people(answer: &Json) -> String {
    let forks = answer["forks"].as_array().map_or(&[][..], Vec::as_slice);
    if forks.is_empty() {
        return "No author signed two histories.\n".to_owned();
    }
    forks.iter().map(fork).collect::<Vec<_>>().join("\n")
}

fn fork(fork: &Json) -> String {
    let mut text = format!(
        "{} signed two histories in log {}. Nothing counts from commit {} on.\n",
        show::text(&fork["node"]),
        show::text(&fork["log"]),
        fork["from"]
    );
    let commits = fork["set_aside"].as_array().map_or(&[][..], Vec::as_slice);
    if commits.is_empty() {
        text.push_str("  Nothing of it had come here.\n");
    }
    for commit in commits {
        text.push_str(&format!(
            "  commit {} of {}, {}\n",
            commit["seq"],
            show::text(&commit["time"]),
            show::text(&commit["principal"])
        ));
        for claim in commit["claims"].as_array().into_iter().flatten() {
            text.push_str(&format!(
                "    {}  {}  {}\n",
                show::text(&claim["record"]),
                show::text(&claim["key"]),
                said(claim)
            ));
        }
    }
    text.push_str("  Say again what is right with `concord set`; revoke the author's key.\n");
    text
}

fn said(claim: &Json) -> String {
    match (&claim["value"], &claim["release"]) {
        (Json::Null, Json::Null) => "removed".to_owned(),
        (Json::Null, reason) => format!("released: {}", show::text(reason)),
        (value, _) => show::text(value),
    }
}
