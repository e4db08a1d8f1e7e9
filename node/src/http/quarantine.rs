//! Changes of other nodes that were not applied, and why.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::cursor::page_size;
use super::error::{ApiResult, Problem};
use super::extract::Params;
use super::views::Witness;

/// A change that was not applied.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuarantineView {
    /// The id of the customer.
    pub(crate) record: String,
    /// The commit that carries it.
    pub(crate) commit: String,
    /// Its place in the commit.
    pub(crate) index: u16,
    /// The node that wrote it: its name in the roster, or its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<String>,
    /// Why, for programs.
    pub(crate) code: String,
    /// Why, for people.
    pub(crate) text: String,
}

/// Changes that were not applied.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuarantineList {
    /// The changes, by customer.
    pub(crate) items: Vec<QuarantineView>,
}

/// How many to show.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct QuarantineParams {
    /// The most entries: 1 to 500, default 50.
    limit: Option<usize>,
}

/// Lists changes that were not applied.
#[utoipa::path(
    get, path = "/v1/quarantine", tag = "stewardship", params(QuarantineParams),
    responses(
        (status = 200, description = "Changes that were not applied", body = QuarantineList),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn quarantine(
    State(app): State<App>,
    Params(params): Params<QuarantineParams>,
) -> ApiResult<Json<QuarantineList>> {
    let status = app.handle.status();
    app.read(move |records| {
        let witness = Witness::new(records, &status);
        let items = records.quarantined(None, page_size(params.limit))?.into_iter().map(|item| {
            Ok(QuarantineView {
                record: item.record.to_string(),
                commit: item.commit.to_string(),
                index: item.index,
                node: witness.node(&item.commit.log)?,
                code: item.code,
                text: item.text,
            })
        });
        Ok(Json(QuarantineList { items: items.collect::<ApiResult<_>>()? }))
    })
    .await
}
