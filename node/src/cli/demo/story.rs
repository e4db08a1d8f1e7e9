//! The story of the demo: who edits what on which side of the cut, and how the outcome is told.

use serde_json::{Value as Json, json};

use crate::cli::{CliError, Client, Method, Request};

/// The customers of the story: known to EMEA and to APAC.
pub(super) struct Cast {
    ids: Vec<String>,
}

/// How many customers the story needs.
const CAST: usize = 5;

/// One edit on one side of the cut.
pub(super) struct Edit {
    /// The node that takes it.
    pub(super) node: usize,
    /// What is done, for people.
    pub(super) what: String,
    /// The customer; none: a new one.
    customer: Option<String>,
    tree: Json,
    reason: &'static str,
}

/// An attribute of a customer that both sides touch.
pub(super) struct Watched {
    pub(super) label: &'static str,
    id: String,
    path: &'static str,
}

/// Finds customers that EMEA and APAC share, with a credit limit.
pub(super) fn cast(client: &Client) -> Result<Cast, CliError> {
    let mut ids = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = Request::get("/v1/customers").query("limit", 200).maybe("cursor", cursor);
        let page = client.ask(&page)?;
        for item in page["items"].as_array().into_iter().flatten() {
            let company = &item["customer"]["company"];
            let shared = company["1000"].is_object() && company["3000"].is_object();
            if let Some(id) = item["id"].as_str().filter(|_| shared) {
                ids.push(id.to_owned());
            }
        }
        cursor = page["next"].as_str().map(str::to_owned);
        if ids.len() >= CAST || cursor.is_none() {
            break;
        }
    }
    if ids.len() < CAST {
        return Err(CliError::Refused(
            "The sample files do not share enough customers for the story.".to_owned(),
        ));
    }
    ids.truncate(CAST);
    Ok(Cast { ids })
}

impl Cast {
    /// The customer on whose payment terms the regions disagree.
    pub(super) fn first(&self) -> &str {
        self.ids.first().map_or("", String::as_str)
    }
}

/// The nodes on the two sides of the cut.
const EMEA: usize = 0;
const APAC: usize = 2;

pub(super) fn edits(cast: &Cast) -> Vec<Edit> {
    let edit = |node, at: usize, what: &str, tree, reason| Edit {
        node,
        what: what.to_owned(),
        customer: cast.ids.get(at).cloned(),
        tree,
        reason,
    };
    let terms = |code: &str| json!({"company": {"1000": {"payment_terms": code}}});
    let limit = |amount: &str| {
        json!({"credit": {"1000": {"limit": {"amount": amount, "currency": "EUR"}}}})
    };
    let address = |street: &str, city: &str, postcode: &str| {
        json!({"address": {"main": {
            "street": street, "city": city, "postcode": postcode, "country": "DE",
        }}})
    };
    let bank = json!({"bank": {"DE02120300000000202051": {"holder": "Second account"}}});
    vec![
        edit(EMEA, 0, "payment terms NT45", terms("NT45"), "new contract"),
        edit(APAC, 0, "payment terms NT60", terms("NT60"), "asked by the customer"),
        edit(EMEA, 1, "credit limit 80,000 EUR", limit("80000.00"), "good payer"),
        edit(APAC, 1, "credit limit 20,000 EUR", limit("20000.00"), "two invoices overdue"),
        edit(
            APAC,
            2,
            "payment block",
            json!({"company": {"1000": {"payment_block": {"reason": "dispute"}}}}),
            "invoice disputed",
        ),
        edit(EMEA, 3, "new address", address("Hafenstrasse 7", "Hamburg", "20459"), "moved"),
        edit(APAC, 3, "new address", address("Ringstrasse 12", "Leipzig", "04109"), "moved"),
        edit(APAC, 4, "a second bank account", bank, "new account"),
        Edit {
            node: APAC,
            what: "a new customer".to_owned(),
            customer: None,
            tree: json!({
                "name": {"legal": "Southern Cross Trading Pty Ltd"},
                "company": {"3000": {"payment_terms": "NT30"}},
            }),
            reason: "first order",
        },
    ]
}

pub(super) fn watched(cast: &Cast) -> Vec<Watched> {
    let watch = |label, at: usize, path| Watched {
        label,
        id: cast.ids.get(at).cloned().unwrap_or_default(),
        path,
    };
    vec![
        watch("payment terms", 0, "company/1000/payment_terms"),
        watch("credit limit", 1, "credit/1000/limit"),
        watch("payment block", 2, "company/1000/payment_block"),
        watch("address", 3, "address/main"),
        watch("second bank account", 4, "bank/DE02120300000000202051"),
    ]
}

impl Edit {
    pub(super) fn write(&self, client: &Client) -> Result<Json, CliError> {
        let request = match &self.customer {
            Some(id) => Request::new(Method::PATCH, format!("/v1/customers/{id}")),
            None => Request::new(Method::POST, "/v1/customers"),
        };
        client.ask(&request.reason(self.reason).json(&self.tree))
    }
}

/// What the node answered to a write, in words.
pub(super) fn effect(answer: &Json) -> String {
    let fields = answer["fields"].as_array().map_or(&[][..], Vec::as_slice);
    let took = fields.iter().filter(|field| field["effect"] == "took-effect").count();
    match (took, fields.len()) {
        (took, all) if took == all => "took effect".to_owned(),
        _ => {
            let kept = fields.iter().find(|field| field["effect"] == "kept-as-claim");
            let why = kept.and_then(|field| field["sentence"].as_str()).unwrap_or_default();
            format!("kept as a claim. {why}")
        }
    }
}

fn explained(client: &Client, watched: &Watched) -> Result<Json, CliError> {
    let page = format!("/v1/customers/{}", watched.id);
    let customer = client.ask(&Request::get(page).query("explain", true))?;
    Ok(customer["explanations"][watched.path].clone())
}

/// What a node shows of an attribute now.
pub(super) fn shown(client: &Client, watched: &Watched) -> Result<String, CliError> {
    Ok(value(&explained(client, watched)?["value"]))
}

/// What became of an attribute, and why.
pub(super) fn outcome(client: &Client, watched: &Watched) -> Result<String, CliError> {
    let explained = explained(client, watched)?;
    let winner = &explained["winner"];
    let by = |name: &str| winner[name].as_str().unwrap_or_default().to_owned();
    let conflict = if explained["conflict"] == true { ", written apart" } else { "" };
    let mut text = format!(
        "  {}: {} by {} ({}); rule: {}{conflict}",
        watched.label,
        value(&explained["value"]),
        by("source"),
        by("region"),
        explained["rule"].as_str().unwrap_or_default(),
    );
    for loser in explained["losers"].as_array().into_iter().flatten() {
        text.push_str(&format!("\n      {}", loser["sentence"].as_str().unwrap_or_default()));
    }
    Ok(text)
}

/// A value in a few words.
fn value(value: &Json) -> String {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    match value {
        Json::Null => "nothing".to_owned(),
        Json::String(text) => text.clone(),
        Json::Object(group) if group.contains_key("amount") => {
            let minor = value["amount"].as_i64().unwrap_or_default();
            format!("{}.{:02} {}", minor / 100, minor % 100, text("currency"))
        }
        Json::Object(group) if group.contains_key("street") => {
            format!("{}, {} {}", text("street"), text("postcode"), text("city"))
        }
        Json::Object(group) => {
            let mut texts = group.values().filter_map(Json::as_str);
            texts.next().unwrap_or("present").to_owned()
        }
        other => other.to_string(),
    }
}
