//! How the node does: for load balancers, operators and scripts.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::error::Problem;
use crate::replica::status::{PeerStatus, Status};

/// How old the node's word about itself may be: it says it anew with every heartbeat.
const STUCK_MS: u64 = 60_000;

/// Whether the node serves.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthView {
    /// `ok`; `behind` while the node must first fetch back what it had acknowledged; `stuck` when it
    /// has not come to the end of anything for a minute: restart it.
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
        (status = 503, description = "The node is catching up (behind) or does not go on (stuck), and takes no writes",
            body = HealthView),
    )
)]
pub(crate) async fn health(State(app): State<App>) -> (StatusCode, Json<HealthView>) {
    let view = HealthView::of(&app.handle.status(), app.clock.now_ms());
    let code = if view.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(view))
}

impl HealthView {
    fn of(status: &Status, now_ms: u64) -> Self {
        // A disk that does not come back, or a defect: only a restart helps, and a supervisor may do it.
        let is_stuck = now_ms.saturating_sub(status.at_ms) > STUCK_MS;
        match (is_stuck, status.ready) {
            (true, _) => Self { status: "stuck", ready: false },
            (false, true) => Self { status: "ok", ready: true },
            (false, false) => Self { status: "behind", ready: false },
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_has_said_nothing_for_a_minute_is_stuck() {
        let status = Status { at_ms: 1_000, ready: true, ..Status::default() };
        assert_eq!(HealthView::of(&status, 1_000 + STUCK_MS).status, "ok");
        let stuck = HealthView::of(&status, 1_001 + STUCK_MS);
        assert_eq!((stuck.status, stuck.ready), ("stuck", false));
        // A clock that was set back says nothing.
        assert_eq!(HealthView::of(&status, 0).status, "ok");
    }
}
