//! `concord request`, `approve`, `reject` and `tasks`: changes that a second person must look at.

use serde_json::{Value as Json, json};

use super::table::Table;
use super::{CliError, Context, Exit, Method, Request, Target, set, show};

/// Arguments of `request`.
#[derive(Debug, clap::Args)]
pub(super) struct RequestArgs {
    /// The ids of the customers, then what to change: company/1000/payment_terms=NT30. A request id
    /// alone shows that request
    #[arg(value_name = "ID PATH=VALUE", required = true)]
    words: Vec<String>,
    /// Show what would change, and open nothing
    #[arg(long)]
    preview: bool,
    /// In the name of this source; default: the one of the token
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Why, for those who decide
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    node: Target,
}

/// Arguments of `approve` and `reject`.
#[derive(Debug, clap::Args)]
pub(super) struct DecisionArgs {
    /// The id of the request
    #[arg(value_name = "REQUEST")]
    id: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Approve although what would change has changed since the request was opened
    #[arg(long)]
    despite_changes: bool,
    #[command(flatten)]
    node: Target,
}

/// Arguments of `tasks`.
#[derive(Debug, clap::Args)]
pub(super) struct TaskArgs {
    /// Only tasks on which this principal works
    #[arg(long, value_name = "NAME")]
    assignee: Option<String>,
    /// Only tasks that this principal may still decide
    #[arg(long, value_name = "NAME")]
    decidable_by: Option<String>,
    /// Take this request to work on it; others see who does
    #[arg(long, value_name = "REQUEST")]
    take: Option<String>,
    /// For how many minutes to take it
    #[arg(long, default_value_t = 30, value_name = "NUMBER", requires = "take")]
    minutes: u64,
    /// The most customers to show
    #[arg(long, default_value_t = 50, value_name = "NUMBER")]
    limit: usize,
    /// Where to go on, as the list before said
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    #[command(flatten)]
    node: Target,
}

pub(super) fn request(args: &RequestArgs, context: &Context) -> Result<Exit, CliError> {
    let client = context.client(&args.node)?;
    let (changes, ids): (Vec<String>, Vec<String>) =
        args.words.iter().cloned().partition(|word| word.contains('='));
    if let ([id], []) = (&ids[..], &changes[..]) {
        let answer = client.ask(&Request::get(format!("/v1/requests/{id}")))?;
        context.show(&answer, one)?;
        return Ok(Exit::Ok);
    }
    let patch = set::tree(&changes, &[], &[])?;
    let body = json!({"customers": ids, "patch": patch, "preview": args.preview});
    let mut request = Request::new(Method::POST, "/v1/requests").json(&body);
    if let Some(source) = &args.source {
        request = request.header("Concord-Source", source.clone());
    }
    if let Some(reason) = &args.reason {
        request = request.reason(reason);
    }
    let answer = client.ask(&request)?;
    context.show(&answer, |answer| {
        let head = match answer["id"].as_str() {
            Some(id) => format!("Request {id} is open. Others decide with: concord approve {id}\n"),
            None => "Nothing was opened.\n".to_owned(),
        };
        format!("{}\n{head}", edits(&answer["customers"]))
    })?;
    Ok(Exit::Ok)
}

pub(super) fn decide(
    verdict: &str,
    args: &DecisionArgs,
    context: &Context,
) -> Result<Exit, CliError> {
    let mut body = json!({"verdict": verdict, "despite_changes": args.despite_changes});
    if let Some(reason) = &args.reason {
        body["reason"] = json!(reason);
    }
    let request =
        Request::new(Method::POST, format!("/v1/requests/{}/decision", args.id)).json(&body);
    let answer = context.client(&args.node)?.ask(&request)?;
    context.show(&answer, one)?;
    Ok(Exit::Ok)
}

pub(super) fn tasks(args: &TaskArgs, context: &Context) -> Result<Exit, CliError> {
    let client = context.client(&args.node)?;
    if let Some(id) = &args.take {
        let request = Request::new(Method::POST, format!("/v1/requests/{id}/lease"))
            .json(&json!({"minutes": args.minutes}));
        let answer = client.ask(&request)?;
        context.show(&answer, one)?;
        return Ok(Exit::Ok);
    }
    let request = Request::get("/v1/tasks")
        .query("limit", args.limit)
        .maybe("assignee", args.assignee.as_ref())
        .maybe("decidable_by", args.decidable_by.as_ref())
        .maybe("cursor", args.cursor.as_ref());
    let answer = client.ask(&request)?;
    context.show(&answer, list)?;
    Ok(Exit::Ok)
}

fn list(answer: &Json) -> String {
    let mut table = Table::new(&["REQUEST", "OPENED BY", "AT", "DECISIONS", "TAKEN BY", "REASON"]);
    for task in answer["items"].as_array().into_iter().flatten() {
        table.row([
            show::text(&task["id"]),
            show::text(&task["opened_by"]),
            show::text(&task["opened_at"]),
            counted(task),
            show::text(&task["lease"]["by"]),
            show::text(&task["reason"]),
        ]);
    }
    let more = match answer["next"].as_str() {
        Some(next) => format!("There are more; go on with --cursor {next}\n"),
        None => String::new(),
    };
    if table.is_empty() {
        format!("Nothing waits for a decision.\n{more}")
    } else {
        format!("{table}{more}")
    }
}

/// How many approvals count, of how many.
fn counted(request: &Json) -> String {
    let decisions = request["decisions"].as_array().map_or(&[][..], Vec::as_slice);
    let counts = |it: &&Json| it["counts"] == json!(true) && it["verdict"] == json!("approve");
    format!("{} of {}", decisions.iter().filter(counts).count(), request["needed"])
}

fn one(request: &Json) -> String {
    let mut text = format!(
        "request  {}\nstate    {}, {} approvals\nopened   {} by {} in {}\nreason   {}\n",
        show::text(&request["id"]),
        show::text(&request["state"]),
        counted(request),
        show::text(&request["opened_at"]),
        show::text(&request["opened_by"]),
        show::text(&request["region"]),
        show::text(&request["reason"]),
    );
    for decision in request["decisions"].as_array().into_iter().flatten() {
        let part = |name: &str| show::text(&decision[name]);
        let counts = if decision["counts"] == json!(true) { "" } else { ", does not count" };
        text.push_str(&format!(
            "{:<9}{} {} in {}{counts} {}\n",
            part("verdict"),
            part("at"),
            part("principal"),
            part("region"),
            part("reason"),
        ));
    }
    format!("{text}\n{}", edits(&request["customers"]))
}

fn edits(customers: &Json) -> String {
    let mut table = Table::new(&["CUSTOMER", "ATTRIBUTE", "NOW", "PROPOSED"]);
    for customer in customers.as_array().into_iter().flatten() {
        for edit in customer["edits"].as_array().into_iter().flatten() {
            table.row([
                show::text(&customer["id"]),
                show::text(&edit["path"]),
                show::value(&edit["now"]),
                show::value(&edit["proposed"]),
            ]);
        }
    }
    table.to_string()
}
