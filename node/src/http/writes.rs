//! Writing customers: a new one, or a patch of one.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use crdt_model::attribute::{ValueType, lookup};
use crdt_model::document::Version;
use crdt_model::golden_record::Resolution;
use crdt_model::id::{RecordId, SourceName};
use crdt_model::normalize::{Context, canonical_path, normalize_patch};
use crdt_model::path::AttributePath;
use crdt_model::survivorship::resolve;
use crdt_model::tree::{amount_left_behind, flatten, merge, nest};
use crdt_model::value::Assertion;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::App;
use super::author::Author;
use super::error::{self, ApiError, ApiResult, Problem};
use super::extract::{Expectation, Id, JsonBody, Params, tag_of};
use super::golden::{Statements, claims_of, difference, document_of, winning_statements};
use crate::replica::event::{
    Effect, FieldReceipt, Precondition, RecordWrite, WriteReceipt, WriteRefusal, WriteRequest,
};
use crate::replica::records::Records;

/// How often a patch is put onto the newest version because the record has changed meanwhile. Each
/// time it fails another write was done, so this many writers of one record can be served at once.
const ATTEMPTS: usize = 64;

/// What became of a write.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WriteView {
    /// The id of the customer.
    pub(crate) id: String,
    /// Its version after the write; also the ETag.
    pub(crate) version: String,
    /// Whether the customer is new.
    pub(crate) created: bool,
    /// The commit, `log:number`; null when nothing differed from what the source already said.
    pub(crate) commit: Option<String>,
    /// The change request that the write opened, when something of it needs others to approve; the
    /// status is 202 then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<String>,
    /// What became of each attribute.
    pub(crate) fields: Vec<FieldView>,
}

/// What became of one attribute of a write.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldView {
    /// The attribute.
    pub(crate) path: String,
    /// Whether the golden record shows it.
    pub(crate) effect: EffectView,
    /// The rule that decided; null when no claim on the attribute is left.
    pub(crate) rule: Option<String>,
    /// What happened, for people.
    pub(crate) sentence: String,
}

/// Whether an attribute of a write shows in the golden record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EffectView {
    /// The source already said so; nothing was written.
    Unchanged,
    /// It is what the golden record shows.
    TookEffect,
    /// It is kept as a claim; another one survives.
    KeptAsClaim,
    /// It is part of a change request and waits for others to approve.
    Proposed,
}

/// How to create a customer.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CreateParams {
    /// `auto` (default): a customer that brings no number gets one of the range that the policy names
    /// for the region of this node, if it names one. `none`: it gets none.
    #[serde(default)]
    #[param(inline)]
    number: NewNumber,
}

/// Whether a new customer gets a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NewNumber {
    /// One of the region's range, unless it brings one.
    #[default]
    Auto,
    /// None.
    None,
}

/// Creates a customer.
#[utoipa::path(
    post, path = "/v1/customers", tag = "customers",
    params(
        CreateParams,
        ("Concord-Source" = Option<String>, Header, description = "Writes as another source"),
        ("Concord-Reason" = Option<String>, Header, description = "Why, percent-encoded UTF-8"),
        ("Concord-Durability" = Option<String>, Header, description = "`local`, or `sites:K; wait=S`: \
            answered when K other nodes hold the write, or with 202 after S seconds"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "A write sent again with its key within a day is done once"),
    ),
    request_body(content = Object, description = "The customer as a tree, see /v1/attributes; \
        optionally its id, a UUID, in the member \"id\""),
    responses(
        (status = 201, description = "The customer is durable", body = WriteView,
            headers(("ETag" = String, description = "The version in quotes"),
                ("Location" = String, description = "The page of the customer"))),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    Params(params): Params<CreateParams>,
    author: Author,
    JsonBody { mut value, digest }: JsonBody,
) -> ApiResult<Response> {
    let given = value.as_object_mut().and_then(|tree| tree.remove("id"));
    let record = match given {
        None => mint(app.now_ms())?,
        Some(Value::String(id)) => id.parse().map_err(|fault: crdt_model::id::IdError| {
            ApiError::new(&error::ID_MALFORMED, error::sentence(&fault.to_string()))
        })?,
        Some(_) => return Err(ApiError::new(&error::ID_MALFORMED, "The id is a UUID as text.")),
    };
    let edits = edits_of(&value, &Context::default())?;
    let numbered = params.number == NewNumber::Auto;
    let write = RecordWrite { record, precondition: Precondition::IsNew, edits, numbered };
    let source = author.source.clone();
    let provenance = author.provenance(&digest);
    let request =
        WriteRequest { source, provenance, records: vec![write], propose: false, restate: true };
    let receipt = app.handle.write(request).await?;
    let mut response = answer(StatusCode::CREATED, &author.source, &receipt)?;
    // A write sent again gets the answer to the first one, and so the id of the first one.
    let record = receipt.records.first().map_or(record, |first| first.record);
    if let Ok(page) = HeaderValue::from_str(&format!("/v1/customers/{record}")) {
        response.headers_mut().insert(header::LOCATION, page);
    }
    Ok(response)
}

pub(super) fn mint(now_ms: u64) -> ApiResult<RecordId> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|fault| ApiError::defect(&fault.to_string()))?;
    Ok(RecordId::mint(now_ms, random))
}

/// The claims of a write, each path at most once.
pub(crate) type Edits = Vec<(AttributePath, Assertion)>;

/// The edits that a tree makes; at least one.
pub(crate) fn edits_of(tree: &Value, context: &Context) -> ApiResult<Edits> {
    let edits: Edits =
        normalize_patch(tree, context).map_err(ApiError::invalid)?.into_iter().collect();
    if edits.is_empty() {
        let text = "The customer has no attribute. Send at least one, such as name/legal.";
        return Err(ApiError::new(&error::CUSTOMER_INVALID, text));
    }
    Ok(edits)
}

/// Changes a customer.
#[utoipa::path(
    patch, path = "/v1/customers/{id}", tag = "customers",
    params(
        ("id" = String, Path, description = "The id of the customer, a UUID"),
        ("If-Match" = Option<String>, Header, description = "The version that the client saw"),
        ("Prefer" = Option<String>, Header, description = "`handling=merge`: write as of the \
            version of If-Match; what was written since stands beside it"),
        ("Concord-Source" = Option<String>, Header, description = "Writes as another source"),
        ("Concord-Reason" = Option<String>, Header, description = "Why, percent-encoded UTF-8"),
        ("Concord-Durability" = Option<String>, Header, description = "`local`, or `sites:K; wait=S`: \
            answered when K other nodes hold the write, or with 202 after S seconds"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "A write sent again with its key within a day is done once"),
    ),
    request_body(content = Object, content_type = "application/merge-patch+json",
        description = "A merge patch (RFC 7396) of the tree. `null` removes the claim of this \
        source; `{\"release\": \"reason\"}` lifts a block or an item of a set; members of a group \
        that are not named stay as the client saw them"),
    responses(
        (status = 200, description = "The change is durable", body = WriteView,
            headers(("ETag" = String, description = "The version in quotes"))),
        (status = 412, description = "The customer is not at the version of If-Match; \
            `difference` says what has changed", body = Problem,
            content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn patch(
    State(app): State<App>,
    Id(record): Id,
    expectation: Expectation,
    author: Author,
    JsonBody { value, digest }: JsonBody,
) -> ApiResult<Response> {
    for _ in 0..ATTEMPTS {
        let (seen, tree, policy) = (expectation.seen.clone(), value.clone(), app.handle.policy());
        let day = app.today();
        let plan = app
            .read(move |records| {
                let document = document_of(records, &record)?;
                // A version that is not known here is refused by the write below, so that a write
                // sent again still gets its answer.
                let seen = seen.filter(|version| document.knows(version));
                let claims = claims_of(&document, seen.as_ref())?;
                let statements = winning_statements(&resolve(&policy, &claims), &claims, day);
                plan(&tree, seen.unwrap_or_else(|| document.version()), &statements)
            })
            .await?;
        let precondition = plan.precondition(&expectation);
        let write = RecordWrite { record, precondition, edits: plan.edits, numbered: false };
        let provenance = author.provenance(&digest);
        let source = author.source.clone();
        let request = WriteRequest {
            source,
            provenance,
            records: vec![write],
            propose: false,
            restate: true,
        };
        match app.handle.write(request).await {
            Ok(receipt) => {
                let mut response = answer(StatusCode::OK, &author.source, &receipt)?;
                if expectation.merge {
                    let applied = HeaderValue::from_static("handling=merge");
                    response.headers_mut().insert("preference-applied", applied);
                }
                return Ok(response);
            }
            Err(WriteRefusal::VersionMismatch { .. }) if expectation.seen.is_none() => {}
            Err(refusal) => return Err(refused(&app, record, refusal).await),
        }
    }
    let text = "Others change this customer again and again. Nothing was written; send it again.";
    Err(ApiError::new(&error::CUSTOMER_BUSY, text))
}

/// What a patch comes to.
struct Plan {
    edits: Edits,
    /// The version whose groups the patch was put onto, when there were any.
    base: Option<Version>,
}

impl Plan {
    fn precondition(&self, expectation: &Expectation) -> Precondition {
        match (&expectation.seen, &self.base) {
            (Some(seen), _) if expectation.merge => Precondition::AsOf(seen.clone()),
            (Some(seen), _) => Precondition::IsAt(seen.clone()),
            // The members that the patch does not name were taken from this version: if it is not
            // the newest any more, they are taken again.
            (None, Some(base)) => Precondition::IsAt(base.clone()),
            (None, None) => Precondition::Exists,
        }
    }
}

/// Puts a patch onto what the client saw: a group is stated whole.
fn plan(tree: &Value, version: Version, seen: &Statements) -> ApiResult<Plan> {
    let context = Context::default();
    let mut is_merged = false;
    let mut leaves = flatten(tree).map_err(ApiError::invalid)?;
    let mut faults = Vec::new();
    for (path, change) in &mut leaves {
        let row = lookup(path).filter(|row| matches!(row.value, ValueType::Group(_)));
        let Some(row) = row.filter(|_| change.is_object()) else { continue };
        // A path that has no canonical form is refused with its pointer below.
        let current = canonical_path(path, &context).ok().and_then(|path| seen.get(&path));
        faults.extend(current.and_then(|said| amount_left_behind(row, path, said, change)));
        *change = merge(current, change);
        is_merged |= current.is_some();
    }
    if !faults.is_empty() {
        return Err(ApiError::invalid(faults));
    }
    let tree = nest(leaves.iter().map(|(path, change)| (path, change.clone())));
    let edits = edits_of(&tree, &context)?;
    Ok(Plan { edits, base: is_merged.then_some(version) })
}

/// The refusal of a patch, with what has changed when that is the reason.
async fn refused(app: &App, record: RecordId, refusal: WriteRefusal) -> ApiError {
    let seen = if let WriteRefusal::VersionMismatch { expected, .. } = &refusal {
        Some(expected.clone())
    } else {
        None
    };
    let mut problem = ApiError::from(refusal);
    if let Some(seen) = seen {
        let (policy, day) = (app.handle.policy(), app.today());
        let changed = move |records: Records<'_>| {
            let document = document_of(records, &record)?;
            Ok(difference(&document, &policy, &seen, day))
        };
        // Without the difference the refusal still stands.
        problem.difference = app.read(changed).await.ok().flatten();
        problem.detail.push_str(
            " Read it again and repeat the change, or send Prefer: handling=merge to write as of \
             the version that you saw.",
        );
    }
    problem
}

pub(crate) fn answer(
    status: StatusCode,
    source: &SourceName,
    receipt: &WriteReceipt,
) -> ApiResult<Response> {
    let Some(record) = receipt.records.first() else {
        return Err(ApiError::defect("a write without a receipt"));
    };
    let view = WriteView {
        id: record.record.to_string(),
        version: record.version.to_string(),
        created: record.created,
        commit: receipt.commit.map(|commit| commit.to_string()),
        request: record.request.clone(),
        fields: record.fields.iter().map(|field| field_view(field, source)).collect(),
    };
    let mut headers = HeaderMap::new();
    if let Ok(tag) = HeaderValue::from_str(&tag_of(&record.version)) {
        headers.insert(header::ETAG, tag);
    }
    let status = if view.request.is_some() { StatusCode::ACCEPTED } else { status };
    Ok((status, headers, Json(view)).into_response())
}

fn field_view(field: &FieldReceipt, source: &SourceName) -> FieldView {
    let resolution = field.resolution.as_ref();
    let rule = resolution.and_then(|resolution| serde_json::to_value(resolution.rule).ok());
    let (effect, sentence) = match field.effect {
        Effect::Unchanged => {
            (EffectView::Unchanged, format!("{source} already said so; nothing was written."))
        }
        Effect::TookEffect => (EffectView::TookEffect, "It took effect.".to_owned()),
        Effect::KeptAsClaim => (EffectView::KeptAsClaim, kept(&field.path, resolution, source)),
        Effect::Proposed => {
            let text = "It is part of a change request and waits for others to approve.";
            (EffectView::Proposed, text.to_owned())
        }
    };
    FieldView {
        path: field.path.to_string(),
        effect,
        rule: rule.and_then(|rule| rule.as_str().map(str::to_owned)),
        sentence,
    }
}

/// Why a claim does not show.
fn kept(path: &AttributePath, resolution: Option<&Resolution>, source: &SourceName) -> String {
    let own = resolution.and_then(|resolution| {
        let mut own = resolution.losers.iter().filter(|l| l.candidate.source == *source);
        Some((resolution, own.next_back()?))
    });
    match own {
        Some((resolution, loser)) => {
            let why = loser.sentence(path, resolution);
            format!("It is kept as a claim of {source}. {why}")
        }
        None => format!("It is kept as a claim of {source} and does not show now."),
    }
}
