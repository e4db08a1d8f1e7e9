//! The feed: what has changed here, gapless and in order, for whoever follows this node.

use axum::Json;
use axum::extract::State;
use crdt_model::governance::{RequestChange, Step};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::cursor::page_size;
use super::error::{ApiError, ApiResult, Problem};
use super::extract::Params;
use crate::replica::records::{Cause, RecordDifference};

/// One cause of change and the difference it made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeedView {
    /// Its position in this node's feed; keep it, and ask with `since`.
    pub(crate) position: u64,
    /// The commit that did it; null when a policy or a revocation did.
    pub(crate) commit: Option<String>,
    /// The version of the policy that did it; null when something else did.
    pub(crate) policy: Option<u32>,
    /// The height of the roster whose revocation did it; null when something else did.
    pub(crate) roster: Option<u64>,
    /// The log whose author was found to have signed two histories in it; null when something else
    /// did. Such an entry also stands where a commit stood that does not count any more.
    pub(crate) fork: Option<String>,
    /// The customers that it touched.
    pub(crate) records: Vec<DifferenceView>,
}

/// The difference that a commit made to one customer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DifferenceView {
    /// The id of the customer.
    pub(crate) id: String,
    /// Whether it is new; then its fields are those of the customer itself and not listed.
    pub(crate) created: bool,
    /// Attribute by attribute.
    #[schema(value_type = Vec<Object>)]
    pub(crate) fields: serde_json::Value,
    /// What has happened to its change requests.
    pub(crate) requests: Vec<RequestStepView>,
}

/// One step of a change request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RequestStepView {
    /// The id of the request.
    pub(crate) id: String,
    /// `opened`, `approved`, `rejected`, `effective`; `withdrawn` when a rejection made apart undoes
    /// what was effective here; `reopened` when what decided it is gone.
    #[schema(value_type = String)]
    pub(crate) step: Step,
    /// What has become of the request by it: `pending`, `effective` or `rejected`.
    pub(crate) state: String,
    /// Who did it; null where nobody in person did.
    pub(crate) by: Option<String>,
}

/// A part of the feed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeedPage {
    /// The entries, in the order applied here.
    pub(crate) items: Vec<FeedView>,
    /// Where to go on, as `since`; null when there is no more now.
    pub(crate) next: Option<u64>,
}

/// Which part of the feed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FeedParams {
    /// The last position that the client has seen; default 0, the start.
    #[serde(default)]
    since: u64,
    /// The most entries: 1 to 500, default 50.
    limit: Option<usize>,
}

/// Follows the node.
#[utoipa::path(
    get, path = "/v1/changes", tag = "feed", params(FeedParams),
    responses(
        (status = 200, description = "A part of the feed", body = FeedPage),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn changes(
    State(app): State<App>,
    Params(params): Params<FeedParams>,
) -> ApiResult<Json<FeedPage>> {
    app.read(move |records| {
        let limit = page_size(params.limit);
        let mut entries = records.feed(params.since, limit + 1)?;
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().map(|(position, _)| *position).filter(|_| more);
        let items = entries.into_iter().map(|(position, entry)| {
            let records = entry.records.iter().map(difference).collect::<ApiResult<_>>()?;
            Ok(view(position, &entry.cause, records))
        });
        Ok(Json(FeedPage { items: items.collect::<ApiResult<_>>()?, next }))
    })
    .await
}

fn view(position: u64, cause: &Cause, records: Vec<DifferenceView>) -> FeedView {
    let of = FeedView { position, commit: None, policy: None, roster: None, fork: None, records };
    match cause {
        Cause::Commit(commit) => FeedView { commit: Some(commit.to_string()), ..of },
        Cause::Policy(version) => FeedView { policy: Some(*version), ..of },
        Cause::Roster(height) => FeedView { roster: Some(*height), ..of },
        Cause::Fork(log) => FeedView { fork: Some(log.to_string()), ..of },
    }
}

pub(crate) fn difference(record: &RecordDifference) -> ApiResult<DifferenceView> {
    let fields = serde_json::to_value(&record.fields);
    let step = |change: &RequestChange| RequestStepView {
        id: change.id.clone(),
        step: change.step,
        state: change.state.clone(),
        by: change.by.clone(),
    };
    Ok(DifferenceView {
        id: record.record.to_string(),
        created: record.created,
        fields: fields.map_err(|fault| ApiError::defect(&fault.to_string()))?,
        requests: record.requests.iter().map(step).collect(),
    })
}
