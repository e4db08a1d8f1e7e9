//! `concord set`: changes of a customer from the command line, as one write.

use std::collections::BTreeMap;

use crdt_model::path::AttributePath;
use crdt_model::tree::nest;
use serde_json::{Map, Value as Json, json};

use super::table::Table;
use super::{CliError, Context, Exit, Method, Request, Target, get, show};

/// How many other nodes are to hold a change before it is answered, and how many do.
const DURABILITY: &str = "Concord-Durability";

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The id of the customer, then what to set: company/1000/payment_terms=NT30, a member of a group
    /// as credit/1000/limit#amount=5000.00, or a group as JSON
    #[arg(value_name = "ID PATH=VALUE", required = true)]
    words: Vec<String>,
    /// Create the customer; the id may be left out
    #[arg(long, conflicts_with_all = ["if_match", "clear", "release"])]
    create: bool,
    /// Write as this source; default: the one of the token
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Why, for the reader of the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Write only if the customer is at this version
    #[arg(long, value_name = "V")]
    if_match: Option<String>,
    /// With --if-match: write as of that version; what was written since stands beside it
    #[arg(long, requires = "if_match")]
    merge: bool,
    /// Answer only when so many other nodes hold the change: sites:K; default: local
    #[arg(long, value_name = "local|sites:K")]
    durability: Option<String>,
    /// With --durability: how many seconds to wait for them
    #[arg(long, requires = "durability", default_value_t = 10, value_name = "S")]
    wait: u64,
    /// Withdraw what this source says about an attribute
    #[arg(long, value_name = "PATH")]
    clear: Vec<String>,
    /// Lift a block, or take an item out of a set, with the reason
    #[arg(long, value_name = "PATH=REASON")]
    release: Vec<String>,
    #[command(flatten)]
    node: Target,
}

pub(super) fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let (id, assignments) = match args.words.split_first() {
        Some((first, rest)) if !first.contains('=') => (Some(first.as_str()), rest),
        _ => (None, &args.words[..]),
    };
    let mut tree = tree(assignments, &args.clear, &args.release)?;
    let request = match (args.create, id) {
        (true, id) => {
            if let (Some(id), Some(tree)) = (id, tree.as_object_mut()) {
                tree.insert("id".to_owned(), json!(id));
            }
            Request::new(Method::POST, "/v1/customers")
        }
        (false, Some(id)) => Request::new(Method::PATCH, get::page_of(id)?),
        (false, None) => {
            return Err(CliError::Usage(
                "Say which customer to change: concord set ID PATH=VALUE. For a new one, add \
                 --create."
                    .to_owned(),
            ));
        }
    };
    let mut request = request.json(&tree);
    if let Some(source) = args.source {
        request = request.header("Concord-Source", source);
    }
    if let Some(reason) = &args.reason {
        request = request.reason(reason);
    }
    if let Some(version) = &args.if_match {
        request = request.header("If-Match", format!("\"{}\"", version.trim_matches('"')));
    }
    if args.merge {
        request = request.header("Prefer", "handling=merge");
    }
    if let Some(durability) = &args.durability {
        request = request.header(DURABILITY, format!("{durability}; wait={}", args.wait));
    }
    let (mut answer, held) = context.client(&args.node)?.ask_with(&request, DURABILITY)?;
    let is_short = held.as_ref().is_some_and(|held| held.contains("wanted="));
    if let (Some(held), Some(members)) = (held, answer.as_object_mut()) {
        members.insert("durability".to_owned(), json!(held));
    }
    context.show(&answer, people)?;
    Ok(if is_short { Exit::Differences } else { Exit::Ok })
}

/// The merge patch that the words mean.
pub(super) fn tree(
    assignments: &[String],
    clear: &[String],
    release: &[String],
) -> Result<Json, CliError> {
    let mut leaves: BTreeMap<AttributePath, Json> = BTreeMap::new();
    for word in assignments {
        let (target, written) = split(word, "PATH=VALUE")?;
        let value = value(word, written)?;
        let Some((path, member)) = target.split_once('#') else {
            put(&mut leaves, path(target)?, value)?;
            continue;
        };
        let path = self::path(path)?;
        let group = leaves.entry(path.clone()).or_insert_with(|| Json::Object(Map::new()));
        match group.as_object_mut() {
            Some(members) if !members.contains_key(member) => {
                members.insert(member.to_owned(), value);
            }
            _ => return Err(twice(&path)),
        }
    }
    for target in clear {
        put(&mut leaves, path(target)?, Json::Null)?;
    }
    for word in release {
        let (target, reason) = split(word, "PATH=REASON")?;
        put(&mut leaves, path(target)?, json!({"release": reason}))?;
    }
    if leaves.is_empty() {
        return Err(CliError::Usage(
            "Say what to change: PATH=VALUE, --clear PATH or --release PATH=REASON.".to_owned(),
        ));
    }
    Ok(nest(leaves.iter().map(|(path, json)| (path, json.clone()))))
}

fn split<'a>(word: &'a str, form: &str) -> Result<(&'a str, &'a str), CliError> {
    word.split_once('=')
        .ok_or_else(|| CliError::Usage(format!("{word:?} does not say what to set; write {form}.")))
}

fn put(
    leaves: &mut BTreeMap<AttributePath, Json>,
    path: AttributePath,
    json: Json,
) -> Result<(), CliError> {
    if leaves.contains_key(&path) {
        return Err(twice(&path));
    }
    leaves.insert(path, json);
    Ok(())
}

fn twice(path: &AttributePath) -> CliError {
    CliError::Usage(format!("{path} is set twice on this command line; set it once."))
}

/// A path as it stands in the record, or as somebody types it, with blanks and letters of any script.
fn path(text: &str) -> Result<AttributePath, CliError> {
    let typed = || AttributePath::from_segments(&text.split('/').collect::<Vec<_>>());
    text.parse().or_else(|_| typed()).map_err(|error| {
        CliError::Usage(format!(
            "{text:?} is not the path of an attribute: {error}. An example is \
             company/1000/payment_terms."
        ))
    })
}

/// What is written is a text, and the node reads numbers, days and amounts from it; what starts like
/// JSON is JSON.
fn value(word: &str, written: &str) -> Result<Json, CliError> {
    if !written.starts_with(['{', '[', '"']) {
        return Ok(Json::String(written.to_owned()));
    }
    serde_json::from_str(written).map_err(|error| {
        CliError::Usage(format!("The value of {word:?} starts like JSON and is none: {error}."))
    })
}

fn people(answer: &Json) -> String {
    let mut table = Table::new(&["ATTRIBUTE", "EFFECT"]);
    for field in answer["fields"].as_array().into_iter().flatten() {
        table.row([show::text(&field["path"]), show::text(&field["sentence"])]);
    }
    let done = match (answer["created"].as_bool(), answer["commit"].is_null()) {
        (Some(true), _) => "created",
        (_, true) => "unchanged",
        (_, false) => "changed",
    };
    let table = match answer["request"].as_str() {
        Some(id) => format!("{table}\nOthers must approve: concord approve {id}\n"),
        None => table.to_string(),
    };
    let (id, version) = (show::text(&answer["id"]), show::text(&answer["version"]));
    format!("customer {id} {done}\nversion  {version}\n\n{table}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(assignments: &[&str], clear: &[&str], release: &[&str]) -> Result<Json, String> {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        tree(&own(assignments), &own(clear), &own(release)).map_err(|error| error.to_string())
    }

    #[test]
    fn words_become_one_merge_patch() {
        let patch = of(
            &[
                "company/1000/payment_terms=NT30",
                "credit/1000/limit#amount=5000.00",
                "credit/1000/limit#currency=EUR",
                "address/main={\"city\":\"Köln\",\"country\":\"DE\"}",
                "x/acme/note=a=b",
            ],
            &["company/1000/interest"],
            &["block/order=paid in full"],
        );
        assert_eq!(
            patch.unwrap(),
            json!({
                "address": {"main": {"city": "Köln", "country": "DE"}},
                "block": {"order": {"release": "paid in full"}},
                "company": {"1000": {"payment_terms": "NT30", "interest": null}},
                "credit": {"1000": {"limit": {"amount": "5000.00", "currency": "EUR"}}},
                "x": {"acme": {"note": "a=b"}},
            })
        );
    }

    #[test]
    fn a_number_stays_the_text_that_was_typed() {
        // 007 must not become 7: what is a number is for the attribute table to say.
        assert_eq!(of(&["x/a/b=007"], &[], &[]).unwrap(), json!({"x": {"a": {"b": "007"}}}));
    }

    #[test]
    fn slips_are_named() {
        for (assignments, clear, part) in [
            (vec!["name/legal"], vec![], "write PATH=VALUE"),
            (vec!["legal=Acme"], vec![], "not the path of an attribute"),
            (vec!["name/legal=A", "name/legal=B"], vec![], "set twice"),
            (vec!["a/b#c=1", "a/b#c=2"], vec![], "set twice"),
            (vec!["name/legal=A"], vec!["name/legal"], "set twice"),
            (vec!["address/main={city"], vec![], "starts like JSON and is none"),
            (vec![], vec![], "Say what to change"),
        ] {
            let error = of(&assignments, &clear, &[]).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
