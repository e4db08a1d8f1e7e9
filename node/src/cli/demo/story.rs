//! The story of the demo: who edits what on which side of the cut, and how the outcome is told.

use serde_json::{Value as Json, json};

use crate::cli::{CliError, Client, Method, Request, show};

/// The customers of the story: known to EMEA and to APAC.
pub(super) struct Cast {
    ids: Vec<String>,
}

/// How many customers the story needs.
const CAST: usize = 6;
/// The place in the cast of the customer whose credit limit changes: one with a limit in EUR.
const LIMITED: usize = 0;

/// One edit on one side of the cut.
pub(super) struct Edit {
    /// The node that takes it.
    pub(super) node: usize,
    /// What is done, for people.
    pub(super) what: &'static str,
    /// The customer; none: a new one.
    customer: Option<String>,
    tree: Json,
    /// The system that says so; none: the clerk at the node.
    source: Option<&'static str>,
    reason: &'static str,
}

/// An attribute of a customer that both sides touch.
pub(super) struct Watched {
    pub(super) label: &'static str,
    id: String,
    path: &'static str,
}

/// Finds customers that EMEA and APAC share, the first of them with a credit limit in EUR.
pub(super) fn cast(client: &Client) -> Result<Cast, CliError> {
    let (mut ids, mut limited) = (Vec::new(), None);
    let mut cursor: Option<String> = None;
    loop {
        let page = Request::get("/v1/customers").query("limit", 200).maybe("cursor", cursor);
        let page = client.ask(&page)?;
        for item in page["items"].as_array().into_iter().flatten() {
            let (company, credit) = (&item["customer"]["company"], &item["customer"]["credit"]);
            let shared = company["1000"].is_object() && company["3000"].is_object();
            let Some(id) = item["id"].as_str().filter(|_| shared) else { continue };
            if limited.is_none() && credit["1000"]["limit"]["currency"] == "EUR" {
                limited = Some(id.to_owned());
            } else {
                ids.push(id.to_owned());
            }
        }
        cursor = page["next"].as_str().map(str::to_owned);
        if (ids.len() >= CAST && limited.is_some()) || cursor.is_none() {
            break;
        }
    }
    let ids: Vec<String> = limited.into_iter().chain(ids).take(CAST).collect();
    if ids.len() < CAST {
        return Err(CliError::Refused(
            "The sample files do not share enough customers for the story. Raise --customers."
                .to_owned(),
        ));
    }
    Ok(Cast { ids })
}

impl Cast {
    fn id(&self, at: usize) -> &str {
        self.ids.get(at).map_or("", String::as_str)
    }

    /// The customer on whose payment terms the regions disagree.
    pub(super) fn disputed(&self) -> &str {
        self.id(1)
    }
}

/// The nodes on the two sides of the cut.
const EMEA: usize = 0;
const APAC: usize = 2;

/// What happens during the cut, in this order.
pub(super) fn edits(cast: &Cast) -> Vec<Edit> {
    let edit = |node, at, what, tree, reason| {
        let customer = Some(cast.id(at).to_owned());
        Edit { node, what, customer, tree, source: None, reason }
    };
    let by_system = |source, edit: Edit| Edit { source: Some(source), ..edit };
    let terms = |code: &str| json!({"company": {"1000": {"payment_terms": code}}});
    let risk = |class: &str| json!({"credit": {"0000": {"risk_class": class}}});
    let limit = |amount: &str| json!({"credit": {"1000": {"limit": {"amount": amount, "currency": "EUR"}}}});
    let address = |street: &str, city: &str, postcode: &str| {
        json!({"address": {"main": {
            "street": street, "city": city, "postcode": postcode, "country": "DE",
        }}})
    };
    let block = json!({"company": {"1000": {"payment_block": {"reason": "invoice in dispute"}}}});
    let bank = json!({"bank": {"DE02120300000000202051": {"holder": "the second account"}}});
    let customer = json!({
        "name": {"legal": "Southern Cross Trading Pty Ltd"},
        "company": {"3000": {"payment_terms": "NT30"}},
    });
    vec![
        edit(EMEA, 1, "payment terms NT45", terms("NT45"), "new contract"),
        edit(APAC, 1, "payment terms NT60", terms("NT60"), "asked by the customer"),
        by_system(
            "erp-emea",
            edit(EMEA, LIMITED, "credit limit EUR 80000", limit("80000.00"), "good payer"),
        ),
        by_system(
            "erp-apac",
            edit(APAC, LIMITED, "credit limit EUR 20000", limit("20000.00"), "overdue"),
        ),
        edit(EMEA, 2, "risk class low", risk("low"), "yearly review"),
        edit(APAC, 2, "risk class very-high", risk("very-high"), "insolvency announced"),
        edit(APAC, 3, "payment block", block, "invoice disputed"),
        edit(EMEA, 4, "address in Hamburg", address("Hafenstrasse 7", "Hamburg", "20459"), "moved"),
        edit(APAC, 4, "address in Leipzig", address("Ringstrasse 12", "Leipzig", "04109"), "moved"),
        edit(APAC, 5, "a second bank account", bank, "new account"),
        Edit {
            node: APAC,
            what: "a new customer",
            customer: None,
            tree: customer,
            source: None,
            reason: "first order",
        },
    ]
}

/// What the story looks at on both sides.
pub(super) fn watched(cast: &Cast) -> Vec<Watched> {
    let watch = |label, at, path| Watched { label, id: cast.id(at).to_owned(), path };
    vec![
        watch("payment terms", 1, "company/1000/payment_terms"),
        watch("credit limit", LIMITED, "credit/1000/limit"),
        watch("risk class", 2, "credit/0000/risk_class"),
        watch("payment block", 3, "company/1000/payment_block"),
        watch("address", 4, "address/main"),
        watch("bank account", 5, "bank/DE02120300000000202051"),
    ]
}

impl Edit {
    pub(super) fn write(&self, client: &Client) -> Result<Json, CliError> {
        let request = match &self.customer {
            Some(id) => Request::new(Method::PATCH, format!("/v1/customers/{id}")),
            None => Request::new(Method::POST, "/v1/customers"),
        };
        let mut request = request.reason(self.reason).json(&self.tree);
        if let Some(source) = self.source {
            request = request.header("Concord-Source", source);
        }
        client.ask(&request)
    }
}

/// What the node answered to a write, in words.
pub(super) fn effect(answer: &Json) -> String {
    let fields = answer["fields"].as_array().map_or(&[][..], Vec::as_slice);
    match fields.iter().find(|field| field["effect"] == "kept-as-claim") {
        None => "took effect".to_owned(),
        Some(kept) => {
            let sentence = show::text(&kept["sentence"]);
            sentence.strip_prefix("It is ").unwrap_or(&sentence).to_owned()
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

/// What became of an attribute: the value that survived, and a sentence for each that lost to it.
pub(super) fn outcome(client: &Client, watched: &Watched) -> Result<Vec<String>, CliError> {
    let explained = explained(client, watched)?;
    let winner = &explained["winner"];
    let mut lines = vec![format!(
        "{}: {} of {} ({})",
        watched.label,
        value(&explained["value"]),
        show::text(&winner["source"]),
        show::text(&winner["region"]),
    )];
    for loser in explained["losers"].as_array().into_iter().flatten() {
        // What was replaced by somebody who knew it, or said the same, is no part of the conflict.
        if !matches!(loser["reason"].as_str(), Some("superseded" | "agrees")) {
            lines.push(show::text(&loser["sentence"]));
        }
    }
    Ok(lines)
}

/// A value in a few words.
fn value(value: &Json) -> String {
    let text = |name: &str| show::text(&value[name]);
    let is_there = |name: &str| value[name].is_string();
    if is_there("street") {
        format!("{}, {} {}", text("street"), text("postcode"), text("city"))
    } else if is_there("holder") {
        text("holder")
    } else {
        show::value(value)
    }
}
