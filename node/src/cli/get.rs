//! `concord get`: one customer as people read it, with every reason on demand.

use serde_json::{Value as Json, json};

use super::table::Table;
use super::{CliError, Client, Context, Exit, Request, Target, show};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub(super) struct Args {
    /// The id of the customer, a UUID
    #[arg(group = "which")]
    id: Option<String>,
    /// Find by customer number, or by a key of another system
    #[arg(long, group = "which", value_name = "N")]
    number: Option<String>,
    /// Find by tax id
    #[arg(long, group = "which", value_name = "T")]
    tax_id: Option<String>,
    /// Find by bank account
    #[arg(long, group = "which", value_name = "IBAN")]
    iban: Option<String>,
    /// Find by name
    #[arg(long, group = "which", value_name = "NAME")]
    name: Option<String>,
    /// Show what every source says, instead of the golden record
    #[arg(long, conflicts_with = "explain")]
    claims: bool,
    /// Say why each attribute has its value
    #[arg(long)]
    explain: bool,
    /// Show the customer as of this version
    #[arg(long, value_name = "V")]
    version: Option<String>,
    /// Show what holds on this day, YYYY-MM-DD; default: today in UTC
    #[arg(long, value_name = "DAY")]
    as_of: Option<String>,
    /// How many customers to list when several are found
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u16,
    #[command(flatten)]
    node: Target,
}

pub(super) fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let client = context.client(&args.node)?;
    let id = match &args.id {
        Some(id) => id.clone(),
        None => match find(&args, &client)? {
            Found::One(id) => id,
            Found::Other(page) => {
                let exit = if page["items"].as_array().is_none_or(Vec::is_empty) {
                    Exit::Differences
                } else {
                    Exit::Ok
                };
                context.show(&page, list)?;
                return Ok(exit);
            }
        },
    };
    let request = Request::get(page_of(&id)?)
        .maybe("view", args.claims.then_some("claims"))
        .maybe("explain", args.explain.then_some("true"))
        .maybe("version", args.version)
        .maybe("as_of", args.as_of);
    let customer = client.ask(&request)?;
    context.show(&customer, if args.claims { claims } else { golden })?;
    Ok(Exit::Ok)
}

/// The page of a customer. An id is no part of an address until it is known to be one.
pub(super) fn page_of(id: &str) -> Result<String, CliError> {
    let id: crdt_model::id::RecordId = id.parse().map_err(|_| {
        CliError::Usage(format!(
            "{id:?} is not the id of a customer, which is a UUID. To find one by something else, \
             use: concord get --number N, --tax-id T, --iban I or --name NAME."
        ))
    })?;
    Ok(format!("/v1/customers/{id}"))
}

enum Found {
    /// The only one that matches.
    One(String),
    /// None, or several: the page as it came.
    Other(Json),
}

fn find(args: &Args, client: &Client) -> Result<Found, CliError> {
    let mut items: Vec<Json> = Vec::new();
    let mut cursor: Option<String> = None;
    // A page may be short or empty before the end of the list.
    loop {
        let request = Request::get("/v1/customers")
            .maybe("number", args.number.as_ref())
            .maybe("tax_id", args.tax_id.as_ref())
            .maybe("iban", args.iban.as_ref())
            .maybe("name", args.name.as_ref())
            .query("limit", args.limit)
            .maybe("cursor", cursor);
        let mut page = client.ask(&request)?;
        if let Json::Array(found) = page["items"].take() {
            items.extend(found);
        }
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() || items.len() >= usize::from(args.limit) {
            break;
        }
    }
    items.truncate(usize::from(args.limit));
    match &items[..] {
        [one] => Ok(Found::One(show::text(&one["id"]))),
        _ => Ok(Found::Other(json!({"items": items, "next": cursor}))),
    }
}

/// Several customers, a line each.
fn list(page: &Json) -> String {
    let mut table = Table::new(&["ID", "NAME", "PLACE"]);
    for item in page["items"].as_array().into_iter().flatten() {
        let leaves = show::attributes(&item["customer"]);
        let address = leaves
            .iter()
            .find(|(path, _)| path.starts_with("address/") && path.matches('/').count() == 1);
        let place = address.map_or_else(String::new, |(_, address)| {
            format!("{} {}", show::text(&address["country"]), show::text(&address["city"]))
        });
        table.row([show::text(&item["id"]), title(&item["customer"]), place]);
    }
    if table.is_empty() {
        return "No customer matches.".to_owned();
    }
    let more = if page["next"].is_null() { "" } else { "There are more; raise --limit.\n" };
    format!("{table}{more}")
}

/// What to call a customer.
pub(super) fn title(customer: &Json) -> String {
    let name = &customer["name"];
    let candidates = [&name["legal"]["value"], &name["legal"], &name["person"]["family"]];
    let known = candidates.iter().find(|name| name.is_string());
    known.map_or_else(|| "(no name)".to_owned(), |name| show::text(name))
}

fn golden(answer: &Json) -> String {
    let mut text = head(answer);
    let explanations = answer["explanations"].as_object();
    let mut table = Table::new(&["ATTRIBUTE", "VALUE"]);
    for (path, value) in show::attributes(&answer["customer"]) {
        table.row([path, show::value(&value)]);
    }
    text.push_str(&table.to_string());
    for (path, explanation) in explanations.into_iter().flatten() {
        text.push_str(&format!("\n{}", explain(path, explanation)));
    }
    text
}

fn head(answer: &Json) -> String {
    let name = answer.get("customer").map_or_else(|| "Claims".to_owned(), title);
    format!(
        "{name}\ncustomer {}\nversion  {}\n\n",
        show::text(&answer["id"]),
        show::text(&answer["version"])
    )
}

/// An attribute with its rule, and a sentence for every claim that lost.
pub(super) fn explain(path: &str, explanation: &Json) -> String {
    let winner = &explanation["winner"];
    let shown = if winner.is_null() { "nothing".to_owned() } else { show::value(&winner["value"]) };
    let mark = if explanation["conflict"].as_bool() == Some(true) {
        " [conflict]"
    } else if explanation["disagreement"].as_bool() == Some(true) {
        " [disagreement]"
    } else {
        ""
    };
    let mut text = format!("{path} = {shown}{mark}\n  rule {}", show::text(&explanation["rule"]));
    if !winner.is_null() {
        let source = show::text(&winner["source"]);
        let (region, time) = (show::text(&winner["region"]), show::text(&winner["time"]));
        text.push_str(&format!("; said by {source} ({region}) at {time}"));
    }
    let who = &explanation["who"];
    if let Some(principal) = who["principal"].as_str() {
        text.push_str(&format!(", written by {principal} on {}", show::text(&who["node"])));
        if let Some(reason) = who["reason"].as_str() {
            text.push_str(&format!(": {reason}"));
        }
    }
    text.push('\n');
    for loser in explanation["losers"].as_array().into_iter().flatten() {
        text.push_str(&format!("  - {}\n", show::text(&loser["sentence"])));
    }
    text
}

fn claims(answer: &Json) -> String {
    let mut table = Table::new(&["ATTRIBUTE", "SOURCE", "SAYS", "REGION", "TIME"]);
    for claim in answer["claims"].as_array().into_iter().flatten() {
        table.row([
            show::text(&claim["path"]),
            show::text(&claim["source"]),
            show::assertion(claim),
            show::text(&claim["region"]),
            show::text(&claim["time"]),
        ]);
    }
    format!("{}{table}", head(answer))
}
