//! `concord issues`: what somebody should look at.

use serde_json::Value as Json;

use super::table::Table;
use super::{CliError, Context, Exit, Request, Target, show};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only the issues of this customer, with its quality
    #[arg(value_name = "ID")]
    customer: Option<String>,
    /// Only this kind, for example code-unresolved
    #[arg(long, value_name = "CODE", conflicts_with = "customer")]
    code: Option<String>,
    /// Only "error" or only "warning"
    #[arg(long, value_name = "SEVERITY", conflicts_with = "customer")]
    severity: Option<String>,
    /// The most customers to show
    #[arg(long, default_value_t = 50, value_name = "NUMBER", conflicts_with = "customer")]
    limit: usize,
    /// Where to go on, as the list before said
    #[arg(long, value_name = "CURSOR", conflicts_with = "customer")]
    cursor: Option<String>,
    #[command(flatten)]
    node: Target,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, CliError> {
    let client = context.client(&args.node)?;
    let (answer, list) = match &args.customer {
        Some(id) => (client.ask(&Request::get(format!("/v1/customers/{id}/issues")))?, "issues"),
        None => {
            let request = Request::get("/v1/issues")
                .query("limit", args.limit)
                .maybe("code", args.code.as_ref())
                .maybe("severity", args.severity.as_ref())
                .maybe("cursor", args.cursor.as_ref());
            (client.ask(&request)?, "items")
        }
    };
    let is_clean = answer[list].as_array().is_none_or(Vec::is_empty);
    context.show(&answer, |answer| people(answer, list))?;
    Ok(if is_clean { Exit::Ok } else { Exit::Differences })
}

fn people(answer: &Json, list: &str) -> String {
    let table = table(&answer[list]);
    let mut text = if table.is_empty() { "No issue.\n".to_owned() } else { table.to_string() };
    if let Some(score) = answer["score"].as_u64() {
        text.push_str(&format!("\nQuality {score} of 100\n"));
        for dimension in answer["dimensions"].as_array().into_iter().flatten() {
            let reasons = dimension["reasons"].as_array().map_or(&[][..], Vec::as_slice);
            let reasons: Vec<String> = reasons.iter().map(show::text).collect();
            let name = show::text(&dimension["dimension"]);
            let score = &dimension["score"];
            text.push_str(&format!("  {name:<13}{score:>4}  {}\n", reasons.join(", ")));
        }
    }
    for (code, count) in answer["counts"].as_object().into_iter().flatten() {
        text.push_str(&format!("{count:>6}  {code}\n"));
    }
    if let Some(next) = answer["next"].as_str() {
        text.push_str(&format!("There are more; go on with --cursor {next}\n"));
    }
    text
}

/// Issues as a table.
pub(super) fn table(issues: &Json) -> Table {
    let mut table = Table::new(&["CUSTOMER", "ISSUE", "ATTRIBUTE", "AGE", "WHAT TO DO"]);
    for issue in issues.as_array().into_iter().flatten() {
        table.row([
            show::text(&issue["id"]),
            show::text(&issue["code"]),
            show::text(&issue["path"]),
            issue["age_s"].as_u64().map(age).unwrap_or_default(),
            show::text(&issue["text"]),
        ]);
    }
    table
}

fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
