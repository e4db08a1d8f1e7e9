//! Code lists: which codes there are, what other systems call them, and what hangs on them.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use crdt_model::attribute::{self, Attribute};
use crdt_model::code_list::{CodeList, Standing, is_name};
use crdt_model::id::RecordId;
use crdt_model::normalize::Context;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::App;
use super::author::Author;
use super::error::{self, ApiError, ApiResult, Problem};
use super::extract::{JsonBody, Params};
use super::writes::{WriteView, answer, edits_of};
use crate::replica::event::{Precondition, RecordWrite, WriteRequest};

/// A code list in short.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListView {
    /// Its name.
    pub(crate) name: String,
    /// What a clerk calls it.
    pub(crate) title: Option<String>,
    /// How many codes it has, retired ones included.
    pub(crate) codes: usize,
    /// The systems into which it can be translated.
    pub(crate) systems: Vec<String>,
}

/// All code lists.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListsView {
    /// In no particular order.
    pub(crate) items: Vec<ListView>,
}

/// A code list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CodesView {
    /// Its name.
    pub(crate) name: String,
    /// What a clerk calls it.
    pub(crate) title: Option<String>,
    /// Its codes.
    pub(crate) codes: BTreeMap<String, CodeView>,
    /// What other systems call the codes: by system, then by code.
    pub(crate) maps: BTreeMap<String, BTreeMap<String, String>>,
}

/// One code.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CodeView {
    /// `valid`, `retired` or `not-yet`, today.
    pub(crate) state: &'static str,
    /// The day on which it retired, or from which on it is valid.
    pub(crate) on: Option<String>,
    /// What it says; of a retired one, what it said last.
    #[schema(value_type = Object)]
    pub(crate) entry: Value,
}

/// The most code lists of an answer.
const LISTS_MAX: usize = 1_000;

/// Lists the code lists.
#[utoipa::path(
    get, path = "/v1/code-lists", tag = "codes",
    responses(
        (status = 200, description = "The code lists", body = ListsView),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(State(app): State<App>) -> ApiResult<Json<ListsView>> {
    app.read(move |records| {
        let lists = records.code_lists(LISTS_MAX)?.into_iter();
        let items = lists.map(|list| ListView {
            name: list.name,
            title: list.title,
            codes: list.codes.len(),
            systems: list.maps.into_keys().collect(),
        });
        Ok(Json(ListsView { items: items.collect() }))
    })
    .await
}

/// Shows a code list.
#[utoipa::path(
    get, path = "/v1/code-lists/{*name}", tag = "codes",
    params(("name" = String, Path, description = "The name, for example recon-accounts/1000")),
    responses(
        (status = 200, description = "The code list", body = CodesView),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
) -> ApiResult<Json<CodesView>> {
    let day = app.today();
    app.read(move |records| {
        let golden = records.golden(&RecordId::code_list(&name))?;
        let Some(golden) = golden else { return Err(unknown(&name)) };
        let list = CodeList::of(&golden);
        let codes = list.codes.iter().map(|(code, entries)| {
            let last = entries.iter().rev().find_map(|entry| entry.value.as_ref());
            let entry = serde_json::to_value(last).unwrap_or_default();
            let (state, on) = match list.standing(code, day) {
                Standing::Valid(_) => ("valid", None),
                Standing::NotYet(from) => ("not-yet", Some(from.to_string())),
                Standing::Retired(since) => ("retired", Some(since.to_string())),
                Standing::Unknown => ("retired", None),
            };
            (code.clone(), CodeView { state, on, entry })
        });
        let codes = codes.collect();
        Ok(Json(CodesView { name, title: list.title, codes, maps: list.maps }))
    })
    .await
}

fn unknown(name: &str) -> ApiError {
    let text =
        format!("There is no code list {name} here. GET /v1/code-lists shows which there are.");
    ApiError::new(&error::CODE_LIST_UNKNOWN, text)
}

/// Changes a code list, or starts it.
#[utoipa::path(
    patch, path = "/v1/code-lists/{*name}", tag = "codes",
    params(
        ("name" = String, Path, description = "The name: letters, digits, `-`, `_`, `.` and `/`"),
        ("Concord-Source" = Option<String>, Header, description = "Writes as another source"),
        ("Concord-Reason" = Option<String>, Header, description = "Why, percent-encoded UTF-8"),
        ("Concord-Durability" = Option<String>, Header, description = "`local`, or `sites:K; wait=S`: \
            answered when K other nodes hold the write, or with 202 after S seconds"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "A write sent again with its key within a day is done once"),
    ),
    request_body(content = Object, content_type = "application/merge-patch+json",
        description = "`title`; `codes`: by code an object with title and, where it applies, type, \
        currency, company_code, blocked, valid_from and valid_to (a code with a last day retires); \
        `maps`: by system and code the word of that system, null to take it away"),
    responses(
        (status = 200, description = "The change is durable", body = WriteView),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn patch(
    State(app): State<App>,
    Path(name): Path<String>,
    author: Author,
    JsonBody { value, digest }: JsonBody,
) -> ApiResult<Response> {
    if !is_name(&name) {
        let text = format!(
            "{name:?} cannot name a code list. Use 1 to 64 letters, digits, '-', '_', '.' and '/'."
        );
        return Err(ApiError::new(&error::CUSTOMER_INVALID, text));
    }
    let record = RecordId::code_list(&name);
    let tree = tree(&name, value)?;
    unambiguous(&app, &name, tree.get("code_map")).await?;
    let edits = edits_of(&tree, &Context::default())?;
    let write = RecordWrite { record, precondition: Precondition::None, edits, numbered: false };
    let source = author.source.clone();
    let request = WriteRequest {
        source,
        provenance: author.provenance(&digest),
        records: vec![write],
        propose: false,
        restate: true,
    };
    let receipt = app.handle.write(request).await?;
    answer(StatusCode::OK, &author.source, &receipt)
}

/// The patch as a tree of attributes.
fn tree(name: &str, patch: Value) -> ApiResult<Value> {
    let malformed = |text: &str| ApiError::new(&error::BODY_MALFORMED, text);
    let Value::Object(patch) = patch else {
        return Err(malformed("Send an object with title, codes and maps."));
    };
    let mut tree = Map::new();
    let mut about = json!({"name": name});
    for (member, value) in patch {
        match member.as_str() {
            "title" => about["title"] = value,
            "codes" => drop(tree.insert("code".to_owned(), value)),
            "maps" => drop(tree.insert("code_map".to_owned(), value)),
            other => {
                let text =
                    format!("A code list has no member {other}. It has title, codes and maps.");
                return Err(malformed(&text));
            }
        }
    }
    tree.insert("code_list".to_owned(), about);
    Ok(Value::Object(tree))
}

/// Refuses a map that could not be inverted: two codes under one word of a system.
async fn unambiguous(app: &App, name: &str, maps: Option<&Value>) -> ApiResult<()> {
    let Some(Value::Object(maps)) = maps.cloned() else { return Ok(()) };
    let record = RecordId::code_list(name);
    app.read(move |records| {
        let golden = records.golden(&record)?;
        let mut list = golden.map(|golden| CodeList::of(&golden)).unwrap_or_default();
        for (system, words) in &maps {
            for (code, word) in words.as_object().into_iter().flatten() {
                let map = list.maps.entry(system.clone()).or_default();
                match word.as_str() {
                    Some(word) => map.insert(code.clone(), word.trim().to_owned()),
                    None => map.remove(code),
                };
            }
        }
        match list.ambiguities().into_iter().find(|found| maps.contains_key(&found.system)) {
            None => Ok(()),
            Some(found) => {
                let (system, word) = (&found.system, &found.word);
                let text = format!(
                    "{system} would say {word} for {}: what comes from there could not be \
                     translated back. Give each code a word of its own.",
                    found.codes.join(" and ")
                );
                Err(ApiError::new(&error::MAP_AMBIGUOUS, text))
            }
        }
    })
    .await
}

/// What hangs on an attribute or a code.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImpactView {
    /// The attributes concerned.
    pub(crate) attributes: Vec<ImpactedAttribute>,
}

/// What hangs on one attribute.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImpactedAttribute {
    /// Its pattern.
    pub(crate) attribute: String,
    /// The code list that governs it.
    pub(crate) code_list: Option<String>,
    /// The rule that decides it.
    #[schema(value_type = String)]
    pub(crate) rule: crdt_model::policy::Rule,
    /// Attributes that follow its winner.
    pub(crate) followed_by: Vec<String>,
    /// Checks of the policy that look at it.
    pub(crate) checks: Vec<String>,
    /// Whether a change of it needs a second person.
    pub(crate) four_eyes: bool,
    /// How many customers use the code asked for, or any code, counted up to 10,000; null where the
    /// attribute takes no code.
    pub(crate) customers: Option<usize>,
    /// Some of them.
    pub(crate) examples: Vec<String>,
}

/// What to look at: one of the two.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImpactParams {
    /// A code as `list:code`, for example `payment-terms:NT30`.
    code: Option<String>,
    /// The pattern or path of an attribute.
    attribute: Option<String>,
}

/// How far users are counted, and how many of them are shown.
const USERS_MAX: usize = 10_000;
const EXAMPLES: usize = 20;

/// Shows what a change of a code or an attribute would touch.
#[utoipa::path(
    get, path = "/v1/impact", tag = "codes", params(ImpactParams),
    responses(
        (status = 200, description = "What hangs on it", body = ImpactView),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn impact(
    State(app): State<App>,
    Params(params): Params<ImpactParams>,
) -> ApiResult<Json<ImpactView>> {
    let policy = app.handle.policy();
    let (rows, code) = match (&params.code, &params.attribute) {
        (Some(code), None) => {
            let (list, code) = code.split_once(':').ok_or_else(|| {
                ApiError::new(&error::QUERY_INVALID, "Write the code as list:code.")
            })?;
            let governed = policy.codes.iter().filter(|(_, template)| fits(template, list));
            let patterns: Vec<&String> = governed.map(|(pattern, _)| pattern).collect();
            let table = attribute::table().iter();
            let rows: Vec<_> =
                table.filter(|row| patterns.iter().any(|it| *it == row.pattern)).collect();
            (rows, Some(code.to_owned()))
        }
        (None, Some(named)) => (vec![row_of(named)?], None),
        _ => {
            let text = "Say what to look at: code=list:code or attribute=pattern.";
            return Err(ApiError::new(&error::QUERY_INVALID, text));
        }
    };
    app.read(move |records| {
        let mut attributes = Vec::new();
        for row in rows {
            let takes_code = matches!(row.value, attribute::ValueType::Code(_))
                || policy.codes.contains_key(row.pattern);
            let users = match &code {
                Some(code) => Some(records.with_code(row.pattern, code, None, USERS_MAX)?),
                None if takes_code => Some(records.with_any_code(row.pattern, USERS_MAX)?),
                None => None,
            };
            let followers = policy.follows.iter().filter(|(_, leader)| *leader == row.pattern);
            let checks = policy.checks.iter();
            let checks =
                checks.filter(|(_, check)| check.applies.iter().any(|it| it == row.pattern));
            let examples = users.iter().flatten().take(EXAMPLES);
            attributes.push(ImpactedAttribute {
                attribute: row.pattern.to_owned(),
                code_list: policy.codes.get(row.pattern).cloned(),
                rule: policy.rule_of(row),
                followed_by: followers.map(|(follower, _)| follower.clone()).collect(),
                checks: checks.map(|(name, _)| name.clone()).collect(),
                four_eyes: policy.four_eyes.contains_key(row.pattern),
                examples: examples.map(ToString::to_string).collect(),
                customers: users.map(|users| users.len()),
            });
        }
        Ok(Json(ImpactView { attributes }))
    })
    .await
}

/// Whether a template of the policy can name a list: placeholders stand for anything but `/`.
fn fits(template: &str, name: &str) -> bool {
    let (template, name): (Vec<&str>, Vec<&str>) =
        (template.split('/').collect(), name.split('/').collect());
    template.len() == name.len()
        && template.iter().zip(&name).all(|(part, named)| part.starts_with('{') || part == named)
}

fn row_of(named: &str) -> ApiResult<&'static Attribute> {
    let by_pattern = attribute::table().iter().find(|row| row.pattern == named);
    let by_path = || named.parse().ok().and_then(|path| attribute::lookup(&path));
    by_pattern.or_else(by_path).ok_or_else(|| {
        let text = format!("There is no attribute {named}. GET /v1/attributes shows them all.");
        ApiError::new(&error::QUERY_INVALID, text)
    })
}
