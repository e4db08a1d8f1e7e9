//! The history of a customer: every change, who made it and why.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use crdt_model::document::ChangeSummary;
use crdt_model::id::CommitRef;
use crdt_model::value::Assertion;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::cursor;
use super::error::{ApiResult, Problem};
use super::extract::{Id, Params};
use super::golden::document_of;
use super::views::{AssertionView, Witness};

/// Which part of a list to show.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// The most entries of a page: 1 to 500, default 50.
    pub(crate) limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    pub(crate) cursor: Option<String>,
}

/// One change of a customer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeView {
    /// The position in this node's feed; other nodes may have applied it in another order.
    pub(crate) position: u64,
    /// The commit.
    pub(crate) commit: String,
    /// When, by the writer's clock (RFC 3339).
    pub(crate) time: String,
    /// Where it was written; absent when the change was not applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    /// The node that took it: its name in the roster, or its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<String>,
    /// The person or system that asked.
    pub(crate) principal: String,
    /// Why, in the writer's words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    /// The source whose claims it sets.
    pub(crate) source: String,
    /// The version that the customer had with it; absent when the change was not applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// What it set.
    pub(crate) changes: Vec<EditView>,
    /// Why it was not applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quarantined: Option<String>,
}

/// One claim that a change set.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EditView {
    /// The attribute.
    pub(crate) path: String,
    /// The source.
    pub(crate) source: String,
    /// What it says.
    #[serde(flatten)]
    pub(crate) says: AssertionView,
}

/// A page of the history.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryPage {
    /// The changes, in the order applied here.
    pub(crate) items: Vec<ChangeView>,
    /// Where the list goes on; null at its end.
    pub(crate) next: Option<String>,
}

/// The most quarantined items of one customer that are looked at.
const QUARANTINED_MAX: usize = 1_000;

/// Lists the changes of a customer.
#[utoipa::path(
    get, path = "/v1/customers/{id}/history", tag = "customers",
    params(("id" = String, Path, description = "The id of the customer, a UUID"), PageParams),
    responses(
        (status = 200, description = "A page of changes", body = HistoryPage),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn history(
    State(app): State<App>,
    Id(record): Id,
    Params(params): Params<PageParams>,
) -> ApiResult<Json<HistoryPage>> {
    let after = cursor::position_of(params.cursor.as_deref())?;
    let limit = cursor::page_size(params.limit);
    let status = app.handle.status();
    app.read(move |records| {
        let document = document_of(records, &record)?;
        let mut applied: BTreeMap<CommitRef, ChangeSummary> =
            document.history().into_iter().map(|change| (change.origin.commit, change)).collect();
        let refused: BTreeMap<CommitRef, String> = records
            .quarantined(Some(&record), QUARANTINED_MAX)?
            .into_iter()
            .map(|item| (item.commit, item.text))
            .collect();
        let mut commits = records.history(&record, after, limit + 1)?;
        let more = commits.len() > limit;
        commits.truncate(limit);
        let last = commits.last().map(|(position, _)| cursor::after_position(*position));
        let witness = Witness::new(records, &status);
        let mut items = Vec::with_capacity(commits.len());
        for (position, commit) in commits {
            let Some(header) = records.header(&commit)? else { continue };
            let change = applied.remove(&commit);
            items.push(ChangeView {
                position,
                commit: commit.to_string(),
                time: header.header.time.to_string(),
                region: change.as_ref().map(|change| change.origin.region.to_string()),
                node: witness.node(&commit.log)?,
                principal: header.note.provenance.principal,
                reason: header.note.provenance.reason,
                source: header.note.source.to_string(),
                version: change.as_ref().map(|change| change.version.to_string()),
                changes: change.map(edits).unwrap_or_default(),
                quarantined: refused.get(&commit).cloned(),
            });
        }
        Ok(Json(HistoryPage { items, next: last.filter(|_| more) }))
    })
    .await
}

fn edits(change: ChangeSummary) -> Vec<EditView> {
    let edit = |(key, cell): (crdt_model::path::ClaimKey, _)| EditView {
        path: key.path.to_string(),
        source: key.source.to_string(),
        says: Assertion::in_slot(key.slot, &cell).into(),
    };
    change.cells.into_iter().map(edit).collect()
}
