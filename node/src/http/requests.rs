//! Change requests: what waits for a second person, who decides, and who works on it.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use crdt_model::attribute::Fault;
use crdt_model::document::ClaimEdit;
use crdt_model::governance::{self, Decision, Ends, Override, Request, RequestState, Verdict};
use crdt_model::id::RecordId;
use crdt_model::normalize::{Context, normalize};
use crdt_model::path::AttributePath;
use crdt_model::policy::Policy;
use crdt_model::survivorship::resolve;
use crdt_model::time::Hlc;
use crdt_model::value::Assertion;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::author::Author;
use super::cursor;
use super::error::{self, ApiError, ApiResult, ChangedView, Problem};
use super::extract::{Id, JsonBody, Params};
use super::golden::{Values, document_of, resolved_values};
use super::views::json_of;
use super::writes::{WriteView, answer, edits_of};
use crate::replica::event::{Precondition, RecordWrite, WriteRequest};
use crate::replica::records::Records;

/// A change request, with every customer that it is about.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RequestView {
    /// Its id.
    pub(crate) id: String,
    /// `pending`, `effective` or `rejected`; of the customers, the first that is not effective.
    pub(crate) state: String,
    /// Who asks.
    pub(crate) opened_by: String,
    /// When, RFC 3339.
    pub(crate) opened_at: String,
    /// Where.
    pub(crate) region: String,
    /// In whose name the change will stand.
    pub(crate) source: String,
    /// Why.
    pub(crate) reason: Option<String>,
    /// How many others must approve.
    pub(crate) needed: u8,
    /// Who approved, who rejected, and whether it counts.
    pub(crate) decisions: Vec<DecisionView>,
    /// Who works on it, and until when.
    pub(crate) lease: Option<LeaseView>,
    /// What would change, by customer.
    pub(crate) customers: Vec<ProposedView>,
}

/// What somebody decided.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct DecisionView {
    /// Who.
    pub(crate) principal: String,
    /// `approve` or `reject`.
    pub(crate) verdict: &'static str,
    /// Why.
    pub(crate) reason: Option<String>,
    /// When, RFC 3339.
    pub(crate) at: String,
    /// Where.
    pub(crate) region: String,
    /// Whether it counts.
    pub(crate) counts: bool,
}

/// Who works on a request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeaseView {
    /// Who.
    pub(crate) by: String,
    /// Until when, RFC 3339.
    pub(crate) until: String,
}

/// What a request would change of one customer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProposedView {
    /// The id of the customer.
    pub(crate) id: String,
    /// What has become of it here.
    pub(crate) state: &'static str,
    /// Attribute by attribute; empty once it is decided.
    pub(crate) edits: Vec<ProposedEditView>,
    /// Why it can never take effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flaw: Option<String>,
}

/// One attribute that a request would change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProposedEditView {
    /// The path.
    pub(crate) path: String,
    /// What the requester saw.
    pub(crate) base: Option<serde_json::Value>,
    /// What the customer shows now.
    pub(crate) now: Option<serde_json::Value>,
    /// What it would show; null where the claim is to be removed.
    pub(crate) proposed: Option<serde_json::Value>,
}

/// The inbox of those who decide.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskPage {
    /// Requests that wait for decisions.
    pub(crate) items: Vec<RequestView>,
    /// Where the list goes on; null at its end.
    pub(crate) next: Option<String>,
}

/// Which tasks.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TaskParams {
    /// Only requests on which this principal works.
    assignee: Option<String>,
    /// Only requests that this principal may still decide: opened by others, not decided by it.
    decidable_by: Option<String>,
    /// The most customers of a page: 1 to 500, default 50.
    limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
}

/// The most customers of one request: one commit carries them.
const CUSTOMERS_MAX: usize = 100;

/// Lists what waits for a decision.
#[utoipa::path(
    get, path = "/v1/tasks", tag = "requests", params(TaskParams),
    responses(
        (status = 200, description = "A page of tasks", body = TaskPage),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn tasks(
    State(app): State<App>,
    Params(params): Params<TaskParams>,
) -> ApiResult<Json<TaskPage>> {
    let after = cursor::record_of(params.cursor.as_deref())?;
    let limit = cursor::page_size(params.limit);
    let (policy, day) = (app.handle.policy(), app.today());
    app.read(move |records| {
        let mut found = records.with_tasks(after, limit + 1)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().map(cursor::after_record).filter(|_| more);
        let mut ids = BTreeSet::new();
        for record in &found {
            let golden = records.golden(record)?;
            let requests = golden.into_iter().flat_map(|golden| golden.requests);
            ids.extend(requests.filter(|(_, it)| is_wanted(&params, it)).map(|(id, _)| id));
        }
        let items: ApiResult<Vec<_>> =
            ids.iter().map(|id| view(&records, &policy, day, id)).collect();
        Ok(Json(TaskPage { items: items?, next }))
    })
    .await
}

fn is_wanted(params: &TaskParams, request: &Request) -> bool {
    let by = |who: &String| request.lease.as_ref().is_some_and(|lease| lease.by == *who);
    let decided = |who: &String| {
        let decisions = request.approvals.iter().chain(&request.rejections);
        request.opened_by == *who || decisions.into_iter().any(|it| it.principal == *who)
    };
    request.is_open()
        && params.assignee.as_ref().is_none_or(by)
        && params.decidable_by.as_ref().is_none_or(|who| !decided(who))
}

/// Shows a change request.
#[utoipa::path(
    get, path = "/v1/requests/{id}", tag = "requests",
    params(("id" = String, Path, description = "The id of the request")),
    responses(
        (status = 200, description = "The request", body = RequestView),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
) -> ApiResult<Json<RequestView>> {
    let (policy, day) = (app.handle.policy(), app.today());
    app.read(move |records| Ok(Json(view(&records, &policy, day, &id)?))).await
}

fn view(records: &Records<'_>, policy: &Policy, day: Date, id: &str) -> ApiResult<RequestView> {
    let mut customers = Vec::new();
    let mut first: Option<(Request, Vec<DecisionView>)> = None;
    let mut states = BTreeSet::new();
    for record in records.of_request(id, CUSTOMERS_MAX)? {
        let document = document_of(*records, &record)?;
        let resolved = resolve(policy, &document.claims());
        let Some(request) = resolved.requests.get(id).cloned() else { continue };
        let now = resolved_values(&resolved, day);
        let seen = request.base.as_ref().and_then(|base| document.claims_at(base).ok());
        let base = seen.map(|claims| resolved_values(&resolve(policy, &claims), day));
        let state = state_of(&request);
        states.insert(state);
        customers.push(ProposedView {
            id: record.to_string(),
            state,
            edits: edit_views(&request, &base.unwrap_or_default(), &now),
            flaw: request.flaw.clone(),
        });
        first.get_or_insert_with(|| {
            let decisions = decisions(&request);
            (request, decisions)
        });
    }
    let Some((request, decisions)) = first else { return Err(unknown(id)) };
    let state = ["pending", "rejected", "effective"].into_iter().find(|it| states.contains(it));
    Ok(RequestView {
        id: id.to_owned(),
        state: state.unwrap_or("pending").to_owned(),
        opened_by: request.opened_by,
        opened_at: request.opened.time.to_rfc3339(),
        region: request.opened.region.to_string(),
        source: request.source.to_string(),
        reason: request.reason,
        needed: request.needed,
        decisions,
        lease: request
            .lease
            .map(|lease| LeaseView { by: lease.by, until: lease.until.to_rfc3339() }),
        customers,
    })
}

const fn state_of(request: &Request) -> &'static str {
    match request.state {
        RequestState::Pending => "pending",
        RequestState::Effective { .. } => "effective",
        RequestState::Rejected => "rejected",
    }
}

fn decisions(request: &Request) -> Vec<DecisionView> {
    let view = |verdict: &'static str| {
        move |decision: &Decision| DecisionView {
            principal: decision.principal.clone(),
            verdict,
            reason: decision.reason.clone(),
            at: decision.origin.time.to_rfc3339(),
            region: decision.origin.region.to_string(),
            counts: decision.counts,
        }
    };
    let approvals = request.approvals.iter().map(view("approve"));
    approvals.chain(request.rejections.iter().map(view("reject"))).collect()
}

fn edit_views(request: &Request, base: &Values, now: &Values) -> Vec<ProposedEditView> {
    let view = |(path, assertion): (&AttributePath, &Assertion)| ProposedEditView {
        path: path.to_string(),
        base: base.get(path).map(|value| json_of(value)),
        now: now.get(path).map(|value| json_of(value)),
        proposed: match assertion {
            Assertion::Stated(statement) => Some(json_of(&statement.value)),
            Assertion::Tombstone | Assertion::Release { .. } => None,
        },
    };
    request.edits.iter().map(view).collect()
}

fn unknown(id: &str) -> ApiError {
    let text = format!("There is no change request {id} on this node. Check the id.");
    ApiError::new(&error::REQUEST_UNKNOWN, text)
}

/// A request for one or more customers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRequestBody {
    /// The customers, 1 to 100.
    #[schema(value_type = Vec<String>)]
    customers: Vec<RecordId>,
    /// What to change of each: a merge patch of the tree.
    #[schema(value_type = Object)]
    patch: serde_json::Value,
    /// Shows what would change and opens nothing.
    #[serde(default)]
    preview: bool,
}

/// What a mass change would do, or did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenedView {
    /// The id of the request; null for a preview, or where nothing differs.
    pub(crate) id: Option<String>,
    /// By customer, attribute by attribute.
    pub(crate) customers: Vec<ProposedView>,
}

/// Opens a change request, also where nobody else would have to approve; or shows what it would change.
#[utoipa::path(
    post, path = "/v1/requests", tag = "requests",
    params(
        ("Concord-Source" = Option<String>, Header, description = "In the name of another source"),
        ("Concord-Reason" = Option<String>, Header, description = "Why, percent-encoded UTF-8"),
        ("Concord-Durability" = Option<String>, Header, description = "`local`, or `sites:K; wait=S`: \
            answered when K other nodes hold the write, or with 202 after S seconds"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "A write sent again with its key within a day is done once"),
    ),
    request_body = NewRequestBody,
    responses(
        (status = 200, description = "The preview", body = OpenedView),
        (status = 202, description = "The request is open and durable", body = OpenedView),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn open(
    State(app): State<App>,
    author: Author,
    JsonBody { value, digest }: JsonBody,
) -> ApiResult<(StatusCode, Json<OpenedView>)> {
    let body: NewRequestBody = serde_json::from_value(value).map_err(|fault| {
        ApiError::new(&error::BODY_MALFORMED, error::sentence(&fault.to_string()))
    })?;
    let customers: BTreeSet<RecordId> = body.customers.iter().copied().collect();
    if customers.is_empty() || customers.len() > CUSTOMERS_MAX {
        let text = format!("Name 1 to {CUSTOMERS_MAX} customers in a request.");
        return Err(ApiError::new(&error::BODY_MALFORMED, text));
    }
    let edits = edits_of(&body.patch, &Context::default())?;
    let (policy, day) = (app.handle.policy(), app.today());
    let (named, previewed) = (customers.clone(), edits.clone());
    let previews = app
        .read(move |records| {
            let preview = |record: &RecordId| preview(&records, &policy, day, record, &previewed);
            named.iter().map(preview).collect::<ApiResult<Vec<_>>>()
        })
        .await?;
    if body.preview {
        return Ok((StatusCode::OK, Json(OpenedView { id: None, customers: previews })));
    }
    let write = |record: &RecordId| RecordWrite {
        record: *record,
        precondition: Precondition::Exists,
        edits: edits.clone(),
        numbered: false,
    };
    let request = WriteRequest {
        source: author.source.clone(),
        provenance: author.provenance(&digest),
        records: customers.iter().map(write).collect(),
        propose: true,
        restate: true,
    };
    let receipt = app.handle.write(request).await?;
    let id = receipt.records.iter().find_map(|record| record.request.clone());
    Ok((StatusCode::ACCEPTED, Json(OpenedView { id, customers: previews })))
}

fn preview(
    records: &Records<'_>,
    policy: &Policy,
    day: Date,
    record: &RecordId,
    edits: &[(AttributePath, Assertion)],
) -> ApiResult<ProposedView> {
    let document = document_of(*records, record)?;
    let now = resolved_values(&resolve(policy, &document.claims()), day);
    let view = |(path, assertion): &(AttributePath, Assertion)| ProposedEditView {
        path: path.to_string(),
        base: now.get(path).map(|value| json_of(value)),
        now: now.get(path).map(|value| json_of(value)),
        proposed: match assertion {
            Assertion::Stated(statement) => Some(json_of(&statement.value)),
            Assertion::Tombstone | Assertion::Release { .. } => None,
        },
    };
    Ok(ProposedView {
        id: record.to_string(),
        state: "pending",
        edits: edits.iter().map(view).collect(),
        flaw: None,
    })
}

/// A decision on a request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionBody {
    /// `approve` or `reject`.
    verdict: VerdictBody,
    /// Why.
    reason: Option<String>,
    /// Approves although what the request would change has changed since it was opened.
    #[serde(default)]
    despite_changes: bool,
}

/// What to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum VerdictBody {
    /// It shall take effect.
    Approve,
    /// It shall not.
    Reject,
}

/// Approves or rejects a change request.
#[utoipa::path(
    post, path = "/v1/requests/{id}/decision", tag = "requests",
    params(
        ("id" = String, Path, description = "The id of the request"),
        ("Concord-Source" = Option<String>, Header, description = "In the name of another source"),
    ),
    request_body = DecisionBody,
    responses(
        (status = 200, description = "The decision is durable; the request as it is now",
            body = RequestView),
        (status = 403, description = "`four-eyes`: the requester may not approve", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "`stale-base`: what would change has changed meanwhile; \
            `difference` says how", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn decide(
    State(app): State<App>,
    Path(id): Path<String>,
    author: Author,
    JsonBody { value, digest }: JsonBody,
) -> ApiResult<Json<RequestView>> {
    let body: DecisionBody = serde_json::from_value(value).map_err(|fault| {
        ApiError::new(&error::BODY_MALFORMED, error::sentence(&fault.to_string()))
    })?;
    let provenance = author.provenance(&digest);
    let is_approval = body.verdict == VerdictBody::Approve;
    let shown = current(&app, &id).await?;
    if is_approval && shown.opened_by == provenance.principal {
        let text = "You opened this request. Somebody else must approve it.";
        return Err(ApiError::new(&error::FOUR_EYES, text));
    }
    if is_approval && !body.despite_changes {
        fresh(&shown)?;
    }
    let verdict = if is_approval { Verdict::Approve } else { Verdict::Reject };
    let principal = provenance.principal.clone();
    let fact =
        governance::decision(&id, &principal, verdict, body.reason.as_deref(), &author.source);
    let fact = fact.map_err(|fault| ApiError::invalid(vec![fault]))?;
    write_fact(&app, &author, provenance, &shown, &fact).await?;
    Ok(Json(current(&app, &id).await?))
}

async fn current(app: &App, id: &str) -> ApiResult<RequestView> {
    let (policy, day, id) = (app.handle.policy(), app.today(), id.to_owned());
    app.read(move |records| view(&records, &policy, day, &id)).await
}

/// Refuses an approval of what has changed since the requester saw it: base, now and proposed differ.
fn fresh(shown: &RequestView) -> ApiResult<()> {
    let edits = shown.customers.iter().flat_map(|customer| &customer.edits);
    let stale = edits.filter(|edit| edit.base != edit.now && edit.now != edit.proposed);
    let difference: Vec<ChangedView> = stale
        .map(|edit| ChangedView {
            path: edit.path.clone(),
            yours_saw: edit.base.clone(),
            now: edit.now.clone(),
            proposed: edit.proposed.clone(),
        })
        .collect();
    if difference.is_empty() {
        return Ok(());
    }
    let text = "What the request would change has changed since it was opened. Look at the \
                difference; approve with despite_changes, or reject and ask for a new request.";
    let mut problem = ApiError::new(&error::STALE_BASE, text);
    problem.difference = Some(difference);
    Err(problem)
}

/// Writes a fact about a request on each of its customers that is still pending.
async fn write_fact(
    app: &App,
    author: &Author,
    provenance: crate::replica::event::Provenance,
    shown: &RequestView,
    fact: &ClaimEdit,
) -> ApiResult<()> {
    let records = shown.customers.iter().filter_map(|customer| customer.id.parse().ok());
    let write = |record: RecordId| RecordWrite {
        record,
        precondition: Precondition::Exists,
        edits: vec![(fact.key.path.clone(), fact.assertion.clone())],
        numbered: false,
    };
    let request = WriteRequest {
        source: author.source.clone(),
        provenance,
        records: records.map(write).collect(),
        propose: false,
        restate: true,
    };
    app.handle.write(request).await?;
    Ok(())
}

/// Who takes a task, and for how long.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeaseBody {
    /// For how many minutes, 1 to 10,080; default 30.
    minutes: Option<u64>,
}

/// A week, in minutes.
const LEASE_MINUTES_MAX: u64 = 7 * 24 * 60;

/// Takes a task to work on it: others see who does, and until when. It binds nobody.
#[utoipa::path(
    post, path = "/v1/requests/{id}/lease", tag = "requests",
    params(("id" = String, Path, description = "The id of the request")),
    request_body = LeaseBody,
    responses(
        (status = 200, description = "The request as it is now", body = RequestView),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn lease(
    State(app): State<App>,
    Path(id): Path<String>,
    author: Author,
    JsonBody { value, digest }: JsonBody,
) -> ApiResult<Json<RequestView>> {
    let body: LeaseBody = serde_json::from_value(value).map_err(|fault| {
        ApiError::new(&error::BODY_MALFORMED, error::sentence(&fault.to_string()))
    })?;
    let minutes = body.minutes.unwrap_or(30).clamp(1, LEASE_MINUTES_MAX);
    let until = Hlc::from_ms(app.now_ms().saturating_add(minutes * 60_000));
    let provenance = author.provenance(&digest);
    let fact = governance::lease(&id, &provenance.principal, until, &author.source);
    let fact = fact.map_err(|fault| ApiError::invalid(vec![fault]))?;
    let shown = current(&app, &id).await?;
    write_fact(&app, &author, provenance, &shown, &fact).await?;
    Ok(Json(current(&app, &id).await?))
}

/// A steward's override of one attribute.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OverrideBody {
    /// The attribute.
    path: String,
    /// The value that is to survive; null ends an override of this source.
    #[schema(value_type = Object)]
    value: serde_json::Value,
    /// `source-changes` (until a source says something new), a last day, or `forever`.
    ends: Option<String>,
}

/// Overrides what the rules would choose, with a stated end.
#[utoipa::path(
    put, path = "/v1/customers/{id}/override", tag = "stewardship",
    params(
        ("id" = String, Path, description = "The id of the customer, a UUID"),
        ("Concord-Source" = Option<String>, Header, description = "In the name of another source"),
        ("Concord-Reason" = Option<String>, Header, description = "Why, percent-encoded UTF-8"),
    ),
    request_body = OverrideBody,
    responses(
        (status = 200, description = "The override is durable", body = WriteView),
        (status = 202, description = "The override waits for others to approve", body = WriteView),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn overrule(
    State(app): State<App>,
    Id(record): Id,
    author: Author,
    JsonBody { value, digest }: JsonBody,
) -> ApiResult<Response> {
    let body: OverrideBody = serde_json::from_value(value).map_err(|fault| {
        ApiError::new(&error::BODY_MALFORMED, error::sentence(&fault.to_string()))
    })?;
    let edit = override_edit(&body).map_err(ApiError::invalid)?;
    let write = RecordWrite {
        record,
        precondition: Precondition::Exists,
        edits: vec![edit],
        numbered: false,
    };
    let request = WriteRequest {
        source: author.source.clone(),
        provenance: author.provenance(&digest),
        records: vec![write],
        propose: false,
        restate: true,
    };
    let receipt = app.handle.write(request).await?;
    answer(StatusCode::OK, &author.source, &receipt)
}

fn override_edit(body: &OverrideBody) -> Result<(AttributePath, Assertion), Vec<Fault>> {
    let fault = |code: &'static str, pointer: &str, text: String| {
        vec![Fault { code, pointer: pointer.to_owned(), text }]
    };
    let path: AttributePath = body
        .path
        .parse()
        .map_err(|error| fault("path-malformed", "/path", error::sentence(&format!("{error}"))))?;
    let (path, assertion) = normalize(&path, &body.value, &Context::default())?;
    let ends = body.ends.as_deref().unwrap_or("source-changes");
    let ends = Ends::read(ends).ok_or_else(|| {
        let text = "Write source-changes, a day like 2026-12-31, or forever.".to_owned();
        fault("ends-malformed", "/ends", text)
    })?;
    match assertion {
        Assertion::Stated(statement) => {
            Override { path, statement, ends }.to_assertion().map_err(|fault| vec![fault])
        }
        Assertion::Tombstone => {
            let fact = Override::path_of(&path).map_err(|fault| vec![fault])?;
            Ok((fact, Assertion::Tombstone))
        }
        Assertion::Release { .. } => {
            let text = "An override states a value, or null to end it.".to_owned();
            Err(fault("value-malformed", "/value", text))
        }
    }
}
