//! The whole store as JSON Lines, streamed: a page of records is in memory at a time, and the next
//! one is read when the client has taken this one.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use crdt_model::id::RecordId;
use futures_util::stream::{self, StreamExt};
use jiff::civil::Date;
use serde::Deserialize;

use super::App;
use super::bulk::JSON_LINES;
use super::customers::{CustomerView, newest};
use super::error::{ApiError, ApiResult, Problem};
use super::extract::Params;
use super::golden::{tree_of, values_of};
use crate::replica::records::Records;

/// The records of one piece of the stream.
const PIECE: usize = 100;

/// Where to start.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportParams {
    /// Leaves out customers up to this id: to go on after an interruption.
    #[param(value_type = Option<String>)]
    after: Option<RecordId>,
}

/// Exports every customer, in the order of their ids.
///
/// A connection that breaks off has not sent everything: go on with `after`.
#[utoipa::path(
    get, path = "/v1/export", tag = "customers", params(ExportParams),
    responses(
        (status = 200, description = "One customer a line", body = CustomerView,
            content_type = "application/x-ndjson"),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn export(
    State(app): State<App>,
    Params(params): Params<ExportParams>,
) -> ApiResult<Response> {
    let day = app.today();
    // The first piece is read before the answer starts, so that a broken store is a problem document
    // and not a cut stream.
    let (first, last) = piece(app.clone(), params.after, day).await?;
    let rest = stream::try_unfold(last, move |last| {
        let app = app.clone();
        async move {
            let Some(last) = last else { return Ok(None) };
            // Cutting the connection is the only sign of failure that a stream can give.
            let piece = piece(app, Some(last), day).await;
            piece.map(Some).map_err(|problem| std::io::Error::other(problem.detail))
        }
    });
    let body = Body::from_stream(stream::iter([Ok(first)]).chain(rest));
    let media_type = [(header::CONTENT_TYPE, HeaderValue::from_static(JSON_LINES))];
    Ok((media_type, body).into_response())
}

/// Some records as lines, and the last of them when there may be more.
async fn piece(
    app: App,
    after: Option<RecordId>,
    day: Date,
) -> ApiResult<(Bytes, Option<RecordId>)> {
    app.read(move |records: Records<'_>| {
        let page = records.list(after, PIECE)?;
        let last = page.last().map(|golden| golden.record).filter(|_| page.len() == PIECE);
        let mut lines = Vec::new();
        for golden in page {
            let Some((version, golden)) = newest(records, golden.record)? else { continue };
            let line = CustomerView {
                id: golden.record.to_string(),
                version: version.to_string(),
                customer: tree_of(&values_of(&golden, day)),
                explanations: None,
            };
            serde_json::to_writer(&mut lines, &line)
                .map_err(|fault| ApiError::defect(&fault.to_string()))?;
            lines.push(b'\n');
        }
        Ok((Bytes::from(lines), last))
    })
    .await
}
