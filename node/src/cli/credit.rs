//! `concord credit`: the credit of a customer, drawing on a slice of its limit, giving a part away.

use serde_json::{Value as Json, json};

use super::table::Table;
use super::{CliError, Context, Exit, Method, Request, Target, show};

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show limit, exposure, slices and what the whole group owes
    Show(ShowArgs),
    /// Raise what the region of the node has drawn, up to its slice; below zero: give back
    Reserve(ReserveArgs),
    /// Give a part of the slice of the node's region to another region, for good
    Transfer(TransferArgs),
}

/// Arguments of `credit show`.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The id of the customer
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    node: Target,
}

/// Arguments of `credit reserve`.
#[derive(Debug, clap::Args)]
pub(super) struct ReserveArgs {
    /// The id of the customer
    #[arg(value_name = "ID")]
    id: String,
    /// The credit segment
    #[arg(value_name = "SEGMENT")]
    segment: String,
    /// By how much, like 1200.50
    #[arg(value_name = "AMOUNT", allow_negative_numbers = true)]
    amount: String,
    /// The currency of the limit, like EUR
    #[arg(value_name = "CURRENCY")]
    currency: String,
    #[command(flatten)]
    why: Why,
}

/// Arguments of `credit transfer`.
#[derive(Debug, clap::Args)]
pub(super) struct TransferArgs {
    /// The id of the customer
    #[arg(value_name = "ID")]
    id: String,
    /// The credit segment
    #[arg(value_name = "SEGMENT")]
    segment: String,
    /// How much, like 1200.50
    #[arg(value_name = "AMOUNT")]
    amount: String,
    /// The currency of the limit, like EUR
    #[arg(value_name = "CURRENCY")]
    currency: String,
    /// The region that receives it
    #[arg(long, value_name = "REGION")]
    to: String,
    #[command(flatten)]
    why: Why,
}

/// In whose name, and why.
#[derive(Debug, clap::Args)]
struct Why {
    /// In the name of this source; default: the one of the token
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    node: Target,
}

pub(super) fn run(command: &Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Show(args) => {
            let request = Request::get(format!("/v1/customers/{}/credit", args.id));
            let answer = context.client(&args.node)?.ask(&request)?;
            context.show(&answer, people)?;
        }
        Command::Reserve(args) => {
            let body = json!({
                "segment": args.segment, "amount": args.amount, "currency": args.currency,
            });
            write(&args.id, "reserve", &body, &args.why, context)?;
        }
        Command::Transfer(args) => {
            let body = json!({
                "segment": args.segment, "to": args.to, "amount": args.amount,
                "currency": args.currency,
            });
            write(&args.id, "transfer", &body, &args.why, context)?;
        }
    }
    Ok(Exit::Ok)
}

/// Writes, and shows the credit as it is then.
fn write(id: &str, page: &str, body: &Json, why: &Why, context: &Context) -> Result<(), CliError> {
    let client = context.client(&why.node)?;
    let mut request =
        Request::new(Method::POST, format!("/v1/customers/{id}/credit/{page}")).json(body);
    if let Some(source) = &why.source {
        request = request.header("Concord-Source", source.clone());
    }
    if let Some(reason) = &why.reason {
        request = request.reason(reason);
    }
    client.ask(&request)?;
    let answer = client.ask(&Request::get(format!("/v1/customers/{id}/credit")))?;
    context.show(&answer, people)
}

fn people(answer: &Json) -> String {
    let mut text = String::new();
    for (segment, of) in answer["segments"].as_object().into_iter().flatten() {
        text.push_str(&format!("segment {}\n", show::text(&json!(segment))));
        for part in ["why", "headroom"] {
            if !of[part].is_null() {
                text.push_str(&format!("{}\n", show::text(&of[part])));
            }
        }
        let mut slices = Table::new(&["REGION", "DEALT", "RECEIVED", "GIVEN", "DRAWN", "LEFT"]);
        for (region, slice) in of["slices"].as_object().into_iter().flatten() {
            let part = |name: &str| show::text(&slice[name]);
            slices.row([
                show::text(&json!(region)),
                part("dealt"),
                part("received"),
                part("given"),
                part("drawn"),
                part("available"),
            ]);
        }
        if !slices.is_empty() {
            text.push_str(&slices.to_string());
        }
        for transfer in of["transfers"].as_array().into_iter().flatten() {
            if !transfer["fault"].is_null() {
                text.push_str(&format!("{}\n", show::text(&transfer["fault"])));
            }
        }
        text.push_str(&group(&of["group"]));
    }
    if text.is_empty() { "Nothing is said of its credit.\n".to_owned() } else { text }
}

fn group(group: &Json) -> String {
    let totals = group["total"].as_object().into_iter().flatten();
    let sums: Vec<String> =
        totals.map(|(currency, sum)| format!("{} {currency}", show::text(sum))).collect();
    if sums.is_empty() {
        return String::new();
    }
    let missing = group["missing"].as_array().map_or(0, Vec::len);
    let mut text = format!("With everybody below: {} owed", sums.join(", "));
    if missing > 0 {
        text.push_str(&format!("; {missing} of them are not here and not in the sum"));
    }
    format!("{text}.\n")
}
