//! `concord codes`: code lists, and what hangs on a code.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::table::Table;
use super::{CliError, Context, Exit, Method, Request, Target, show};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the code lists
    List {
        #[command(flatten)]
        node: Target,
    },
    /// Show one code list: codes, validity, and what other systems call them
    Show {
        /// The name of the list, for example payment-terms
        #[arg(value_name = "LIST")]
        list: String,
        #[command(flatten)]
        node: Target,
    },
    /// Change a code list, or start it
    Set(Set),
    /// Show which attributes, rules and customers hang on a code or an attribute
    Impact {
        /// A code as LIST:CODE, or the pattern of an attribute
        #[arg(value_name = "LIST:CODE|ATTRIBUTE")]
        what: String,
        #[command(flatten)]
        node: Target,
    },
}

#[derive(Debug, clap::Args)]
struct Set {
    /// The name of the list, for example payment-terms
    #[arg(value_name = "LIST")]
    list: String,
    /// A JSON file with title, codes and maps, as "show --json" prints them
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A code and its title (may be given several times)
    #[arg(long = "code", value_name = "CODE=TITLE")]
    codes: Vec<String>,
    /// The word of another system for a code (may be given several times)
    #[arg(long = "map", value_name = "SYSTEM:CODE=WORD")]
    maps: Vec<String>,
    /// Retire a code: its last day (may be given several times)
    #[arg(long = "retire", value_name = "CODE=YYYY-MM-DD")]
    retired: Vec<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    node: Target,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    match &args.command {
        Command::List { node } => {
            let answer = context.client(node)?.ask(&Request::get("/v1/code-lists"))?;
            context.show(&answer, lists)?;
        }
        Command::Show { list, node } => {
            let page = format!("/v1/code-lists/{list}");
            let answer = context.client(node)?.ask(&Request::get(page))?;
            context.show(&answer, codes)?;
        }
        Command::Set(set) => set.run(context)?,
        Command::Impact { what, node } => {
            let name = if what.contains(':') && !what.contains('{') { "code" } else { "attribute" };
            let request = Request::get("/v1/impact").query(name, what);
            let answer = context.client(node)?.ask(&request)?;
            context.show(&answer, impact)?;
        }
    }
    Ok(Exit::Ok)
}

impl Set {
    fn run(&self, context: &Context) -> Result<(), CliError> {
        let client = context.client(&self.node)?;
        let page = format!("/v1/code-lists/{}", self.list);
        let mut patch = self.read_file()?;
        for code in &self.codes {
            let (code, title) = pair(code)?;
            patch["codes"][code]["title"] = json!(title);
        }
        for map in &self.maps {
            let (named, word) = pair(map)?;
            let (system, code) = named.split_once(':').ok_or_else(|| malformed(map))?;
            patch["maps"][system][code] = json!(word);
        }
        for retired in &self.retired {
            let (code, day) = pair(retired)?;
            if patch["codes"][code]["title"].is_null() {
                // A code is stated whole: what it says now, with a last day.
                let shown = client.ask(&Request::get(page.clone()))?;
                patch["codes"][code] = shown["codes"][code]["entry"].clone();
            }
            patch["codes"][code]["valid_to"] = json!(day);
        }
        let mut request = Request::new(Method::PATCH, page)
            .body("application/merge-patch+json", patch.to_string().into_bytes());
        if let Some(reason) = &self.reason {
            request = request.reason(reason);
        }
        let answer = client.ask(&request)?;
        context.show(&answer, |answer| {
            let fields = answer["fields"].as_array().map_or(0, Vec::len);
            format!("{fields} entries of {} are written.\n", self.list)
        })
    }

    fn read_file(&self) -> Result<Json, CliError> {
        let Some(path) = &self.file else { return Ok(json!({})) };
        let refused = |error: &dyn std::fmt::Display| {
            CliError::Refused(format!("{} cannot be read: {error}.", path.display()))
        };
        let text = fs::read_to_string(path).map_err(|error| refused(&error))?;
        serde_json::from_str(&text).map_err(|error| refused(&error))
    }
}

fn pair(text: &str) -> Result<(&str, &str), CliError> {
    text.split_once('=').ok_or_else(|| malformed(text))
}

fn malformed(text: &str) -> CliError {
    CliError::Usage(format!("{text:?} is not NAME=VALUE; see \"concord codes set --help\"."))
}

fn lists(answer: &Json) -> String {
    let mut table = Table::new(&["LIST", "CODES", "SYSTEMS", "TITLE"]);
    for list in answer["items"].as_array().into_iter().flatten() {
        let systems = list["systems"].as_array().map_or(&[][..], Vec::as_slice);
        let systems: Vec<String> = systems.iter().map(show::text).collect();
        table.row([
            show::text(&list["name"]),
            list["codes"].to_string(),
            systems.join(" "),
            show::text(&list["title"]),
        ]);
    }
    if table.is_empty() { "There are no code lists.\n".to_owned() } else { table.to_string() }
}

fn codes(answer: &Json) -> String {
    let mut table = Table::new(&["CODE", "STATE", "SINCE", "TITLE", "ELSEWHERE"]);
    for (code, entry) in answer["codes"].as_object().into_iter().flatten() {
        let elsewhere = answer["maps"].as_object().into_iter().flatten();
        let elsewhere = elsewhere
            .filter_map(|(system, map)| Some(format!("{system}: {}", map[code].as_str()?)));
        table.row([
            code.clone(),
            show::text(&entry["state"]),
            show::text(&entry["on"]),
            show::text(&entry["entry"]["title"]),
            elsewhere.collect::<Vec<_>>().join(", "),
        ]);
    }
    table.to_string()
}

fn impact(answer: &Json) -> String {
    let mut table = Table::new(&["ATTRIBUTE", "RULE", "CODE LIST", "FOUR EYES", "CUSTOMERS"]);
    for found in answer["attributes"].as_array().into_iter().flatten() {
        let count = found["customers"].as_u64().map(|count| count.to_string());
        table.row([
            show::text(&found["attribute"]),
            show::text(&found["rule"]),
            show::text(&found["code_list"]),
            show::value(&found["four_eyes"]),
            count.unwrap_or_default(),
        ]);
    }
    if table.is_empty() { "Nothing hangs on it.\n".to_owned() } else { table.to_string() }
}
