//! How the node does: for load balancers, operators and scripts.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::error::Problem;
use crate::replica::status::{PeerStatus, Status};

/// Whether the node serves.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthView {
    /// `ok`; or `behind` while the node must first fetch back what it had acknowledged.
    pub(crate) status: &'static str,
    /// Whether it takes writes.
    pub(crate) ready: bool,
}

/// The other members of the network.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PeerList {
    /// Every other member, with the state of the link.
    #[schema(value_type = Vec<Object>)]
    pub(crate) peers: Vec<PeerStatus>,
}

/// Says whether the node serves. Needs no token.
#[utoipa::path(
    get, path = "/v1/health", tag = "node", security(()),
    responses(
        (status = 200, description = "The node serves reads and writes", body = HealthView),
        (status = 503, description = "The node is catching up and takes no writes",
            body = HealthView),
    )
)]
pub(crate) async fn health(State(app): State<App>) -> (StatusCode, Json<HealthView>) {
    if app.handle.status().ready {
        (StatusCode::OK, Json(HealthView { status: "ok", ready: true }))
    } else {
        let view = HealthView { status: "behind", ready: false };
        (StatusCode::SERVICE_UNAVAILABLE, Json(view))
    }
}

/// Shows the state of the node: digests, counts, clock, alarms, peers.
#[utoipa::path(
    get, path = "/v1/status", tag = "node",
    responses(
        (status = 200, description = "The state of the node", body = Object),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn status(State(app): State<App>) -> Json<Status> {
    Json(Status::clone(&app.handle.status()))
}

/// Shows the other members of the network, and how far each is.
#[utoipa::path(
    get, path = "/v1/peers", tag = "node",
    responses(
        (status = 200, description = "The peers", body = PeerList),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn peers(State(app): State<App>) -> Json<PeerList> {
    Json(PeerList { peers: app.handle.status().peers.clone() })
}
