//! A segment of a backup, streamed: a part is in memory at a time, read on a thread of its own and never
//! on the driver's, and the next one when the client has taken this one.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use crdt_model::id::{CommitRef, LogId};
use futures_util::stream::{self, StreamExt};
use serde::Deserialize;

use super::App;
use super::error::{ApiError, ApiResult, Problem};
use super::extract::Params;
use crate::replica::backup::{Place, Source};
use crate::replica::node_id::NodeId;

/// The media type of a segment.
const OCTETS: &str = "application/octet-stream";

/// How far an earlier segment went, as its end says: all three, or none.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BackupParams {
    /// The place of its last commit in the feed.
    after: Option<u64>,
    /// The log of that commit.
    #[param(value_type = Option<String>)]
    log: Option<LogId>,
    /// The number of that commit in its log.
    seq: Option<u64>,
}

/// Gives a backup of everything that the node holds, or of what is new since an earlier one.
///
/// The bytes are described in `docs/backup.md`; `concord backup` writes them and checks them. When the
/// node does not have the named commit at the named place (its store was made anew), the segment stands
/// alone: its beginning says so. A connection that breaks off gives a segment without an end, which is
/// of no use.
#[utoipa::path(
    get, path = "/v1/backup", tag = "node", params(BackupParams),
    responses(
        (status = 200, description = "A segment", body = String,
            content_type = "application/octet-stream"),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn backup(
    State(app): State<App>,
    Params(params): Params<BackupParams>,
) -> ApiResult<Response> {
    let place = |((position, log), seq)| Place { position, commit: CommitRef { log, seq } };
    let after = params.after.zip(params.log).zip(params.seq).map(place);
    let unknown = || ApiError::defect("the node does not know its own key");
    let node: NodeId = app.handle.status().node.parse().map_err(|_| unknown())?;
    let now_ms = app.now_ms();
    let source = app
        .read(move |records| {
            let source = Source::open(records.view(), node, now_ms, after)?;
            source.ok_or_else(|| ApiError::defect("the store holds no roster"))
        })
        .await?;
    // The first part is read before the answer starts, so that a broken store is a problem document
    // and not a cut stream.
    let Some((first, source)) = part(app.clone(), source).await? else {
        return Err(ApiError::defect("a segment without parts"));
    };
    let rest = stream::try_unfold(source, move |source| {
        let part = part(app.clone(), source);
        // Cutting the connection is the only sign of failure that a stream can give.
        async { part.await.map_err(|problem| std::io::Error::other(problem.detail)) }
    });
    let body = Body::from_stream(stream::iter([Ok(first)]).chain(rest));
    let media_type = [(header::CONTENT_TYPE, HeaderValue::from_static(OCTETS))];
    Ok((media_type, body).into_response())
}

/// The next part, and the source to read the one after it.
async fn part(app: App, mut source: Source) -> ApiResult<Option<(Bytes, Source)>> {
    app.read(move |records| {
        let part = source.next(records.view())?;
        Ok(part.map(|part| (Bytes::from(part), source)))
    })
    .await
}
