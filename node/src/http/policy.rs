//! The policy: which one is in force and which one waits, and what another one would change.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use crdt_model::id::RecordId;
use crdt_model::policy::Policy;
use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use serde_json::Value;

use utoipa::ToSchema;

use super::App;
use super::bulk::JSON_LINES;
use super::changes::{DifferenceView, difference};
use super::error::{self, ApiError, ApiResult, Problem};
use super::extract::JsonBody;
use crate::replica::records::Records;

/// The policies of the network.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyView {
    /// The version in force.
    pub(crate) version: u32,
    /// Its digest, 64 hexadecimal digits: equal on every node that has it in force.
    pub(crate) digest: String,
    /// Whether some customers still show what the policy before gave.
    pub(crate) resolving: bool,
    /// The policy in force.
    #[schema(value_type = Object)]
    pub(crate) policy: Value,
    /// Every policy that governors have brought, the oldest first.
    pub(crate) versions: Vec<VersionView>,
}

/// One policy of the list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyVersion)]
pub(crate) struct VersionView {
    /// Its version.
    pub(crate) version: u32,
    /// Its digest.
    pub(crate) digest: String,
    /// From when on it is in force, RFC 3339.
    pub(crate) activates_at: String,
    /// The height of the roster at which it stands.
    pub(crate) height: u64,
    /// The keys of those who signed it.
    pub(crate) signed_by: Vec<String>,
}

/// Shows the policy.
#[utoipa::path(
    get, path = "/v1/policy", tag = "policy",
    responses(
        (status = 200, description = "The policy in force, and the list", body = PolicyView),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(State(app): State<App>) -> ApiResult<Json<PolicyView>> {
    let status = app.handle.status();
    let policy = app.handle.policy();
    app.read(move |records| {
        let roster = records.roster()?;
        let versions = roster.iter().flat_map(|roster| roster.policies());
        let versions = versions.map(|(height, entry)| VersionView {
            version: entry.policy.version,
            digest: hex(&entry.policy.digest()),
            activates_at: time(entry.activates_at_ms),
            height,
            signed_by: entry.signers().map(|key| key.to_string()).collect(),
        });
        Ok(Json(PolicyView {
            version: policy.version,
            digest: hex(&policy.digest()),
            resolving: status.policy.resolving,
            policy: serde_json::to_value(&*policy)
                .map_err(|fault| ApiError::defect(&fault.to_string()))?,
            versions: versions.collect(),
        }))
    })
    .await
}

fn hex(digest: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*digest).to_hex().to_string()
}

fn time(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// Customers of one piece of the stream.
const PIECE: usize = 500;

/// The last line of a simulation: proof that nothing was cut off.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SimulationEnd)]
pub(crate) struct EndView {
    /// How many customers were looked at.
    pub(crate) customers: u64,
    /// How many of them would change.
    pub(crate) changed: u64,
}

/// Shows what a policy would change.
///
/// One customer that would change a line, in the order of the ids, with each attribute before and
/// after; the last line counts. The list is that of `/v1/changes` once the policy is in force, as far
/// as nothing was written in between. Nothing is changed.
#[utoipa::path(
    post, path = "/v1/policy/simulate", tag = "policy",
    request_body(content = Object, description = "The policy, as /v1/policy shows one"),
    responses(
        (status = 200, description = "One customer a line, then a SimulationEnd",
            body = DifferenceView, content_type = "application/x-ndjson"),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn simulate(
    State(app): State<App>,
    JsonBody { value, .. }: JsonBody,
) -> ApiResult<Response> {
    let policy: Policy = serde_json::from_value(value).map_err(|fault| {
        ApiError::new(&error::POLICY_REFUSED, error::sentence(&fault.to_string()))
    })?;
    policy.lint().map_err(|fault| {
        ApiError::new(&error::POLICY_REFUSED, error::sentence(&fault.to_string()))
    })?;
    if app.handle.status().policy.resolving {
        let text = "Customers are being resolved by a policy that has just come into force. Try \
                    again when /v1/policy says that it is done.";
        return Err(ApiError::new(&error::POLICY_RESOLVING, text));
    }
    let begun = Simulation { app, policy: Arc::new(policy), customers: 0, changed: 0 };
    // The first piece is worked out before the answer starts, so that a broken store is a problem
    // document and not a cut stream.
    let (first, last) = begun.piece(None).await?;
    let rest = stream::try_unfold(last, |last| async move {
        let Some((simulation, after)) = last else { return Ok(None) };
        let piece = simulation.piece(Some(after)).await;
        piece.map(Some).map_err(|problem| std::io::Error::other(problem.detail))
    });
    let body = Body::from_stream(stream::iter([Ok(first)]).chain(rest));
    let media_type = [(header::CONTENT_TYPE, HeaderValue::from_static(JSON_LINES))];
    Ok((media_type, body).into_response())
}

/// How far a simulation has come.
struct Simulation {
    app: App,
    policy: Arc<Policy>,
    customers: u64,
    changed: u64,
}

/// Where a simulation goes on; none: it is done.
type Next = Option<(Simulation, RecordId)>;

impl Simulation {
    /// Resolves some customers and gives those that would change as lines.
    async fn piece(mut self, after: Option<RecordId>) -> ApiResult<(Bytes, Next)> {
        let app = self.app.clone();
        app.read(move |records: Records<'_>| {
            let (page, differences) = records.differences_under(&self.policy, after, PIECE)?;
            self.customers += page.len() as u64;
            self.changed += differences.len() as u64;
            let mut lines = Vec::new();
            for changed in &differences {
                line(&mut lines, &difference(changed)?)?;
            }
            let last = page.last().filter(|_| page.len() == PIECE).copied();
            let next = match last {
                Some(last) => Some((self, last)),
                None => {
                    let Self { customers, changed, .. } = self;
                    line(&mut lines, &EndView { customers, changed })?;
                    None
                }
            };
            Ok((Bytes::from(lines), next))
        })
        .await
    }
}

fn line(lines: &mut Vec<u8>, value: &impl Serialize) -> ApiResult<()> {
    serde_json::to_writer(&mut *lines, value)
        .map_err(|fault| ApiError::defect(&fault.to_string()))?;
    lines.push(b'\n');
    Ok(())
}
