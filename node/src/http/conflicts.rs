//! What needs a steward: customers whose sources contradict each other, and changes that could not
//! be applied.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use crdt_model::golden_record::{GoldenRecord, GoldenValue};
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::cursor;
use super::customers::newest;
use super::error::{ApiResult, Problem};
use super::extract::Params;
use super::history::PageParams;
use super::views::{ExplanationView, Witness};

/// A customer with values that were written apart and differ.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConflictView {
    /// The id of the customer.
    pub(crate) id: String,
    /// Its version.
    pub(crate) version: String,
    /// The attributes in conflict, by path.
    pub(crate) attributes: BTreeMap<String, ExplanationView>,
}

/// A page of customers in conflict.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConflictPage {
    /// The customers, in the order of their ids.
    pub(crate) items: Vec<ConflictView>,
    /// Where the list goes on; null at its end.
    pub(crate) next: Option<String>,
}

/// Lists customers in conflict.
#[utoipa::path(
    get, path = "/v1/conflicts", tag = "stewardship", params(PageParams),
    responses(
        (status = 200, description = "A page of customers in conflict", body = ConflictPage),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn conflicts(
    State(app): State<App>,
    Params(params): Params<PageParams>,
) -> ApiResult<Json<ConflictPage>> {
    let after = cursor::record_of(params.cursor.as_deref())?;
    let limit = cursor::page_size(params.limit);
    let status = app.handle.status();
    let day = app.today();
    app.read(move |records| {
        let mut found = records.conflicted(after, limit + 1)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().map(cursor::after_record);
        let mut witness = Witness::new(records, &status);
        let mut items = Vec::with_capacity(found.len());
        for record in found {
            let Some((version, golden)) = newest(records, record)? else { continue };
            let attributes = contested(&golden, day, &mut witness)?;
            // The conflict may have been settled since the index was read.
            if !attributes.is_empty() {
                let (id, version) = (record.to_string(), version.to_string());
                items.push(ConflictView { id, version, attributes });
            }
        }
        Ok(Json(ConflictPage { items, next: last.filter(|_| more) }))
    })
    .await
}

/// The attributes in conflict: as they stand on the day, or else the first time they will be.
fn contested(
    golden: &GoldenRecord,
    day: Date,
    witness: &mut Witness<'_>,
) -> ApiResult<BTreeMap<String, ExplanationView>> {
    let mut attributes = BTreeMap::new();
    for (path, timeline) in &golden.attributes {
        let in_conflict = |value: &&GoldenValue| value.contest.as_ref().is_some_and(|c| c.conflict);
        let begun = timeline.iter().rev().find(|value| value.from.is_none_or(|from| from <= day));
        let coming = timeline.iter().filter(|value| value.from.is_some_and(|from| from > day));
        let shown = begun.into_iter().chain(coming).find(in_conflict);
        if let Some(GoldenValue { from, contest: Some(resolution), .. }) = shown {
            attributes.insert(path.to_string(), witness.explanation(path, *from, resolution)?);
        }
    }
    Ok(attributes)
}
