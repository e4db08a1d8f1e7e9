//! The roster of the network: who belongs to it, and how a node learns of new members.

use axum::Json;
use axum::extract::{Request, State};
use crdt_model::id::LogId;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::author::Operator;
use super::error::{ApiError, ApiResult, Problem};
use super::extract;
use crate::replica::node_id::NodeId;
use crate::replica::vector::LogState;

/// The media type of a roster file.
const OCTETS: &str = "application/octet-stream";

/// The roster of the network.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RosterView {
    /// How many entries it has.
    pub(crate) height: u64,
    /// The name of the network.
    pub(crate) network: String,
    /// The id of the network, 64 hexadecimal digits.
    pub(crate) network_id: String,
    /// Everyone who is or was a member.
    pub(crate) members: Vec<MemberView>,
    /// The roster file in hexadecimal.
    pub(crate) encoded: String,
}

/// One member of the network.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RosterMember)]
pub(crate) struct MemberView {
    /// Its key.
    pub(crate) node: String,
    /// Its name.
    pub(crate) name: String,
    /// Its region.
    pub(crate) region: String,
    /// Where it can be reached; none: it only calls others.
    pub(crate) addresses: Vec<String>,
    /// Whether it has lost its rights.
    pub(crate) revoked: bool,
    /// What this node holds of its logs: where a revocation draws the line.
    pub(crate) logs: Vec<HeadView>,
}

/// The newest commit of a log that this node holds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogHead)]
pub(crate) struct HeadView {
    /// The log.
    pub(crate) log: String,
    /// The number of the commit.
    pub(crate) seq: u64,
    /// The hash of the commit, which commits to the whole log.
    pub(crate) head: String,
}

/// The height of the roster.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeightView {
    /// How many entries the node has now.
    pub(crate) height: u64,
}

/// Shows the roster.
#[utoipa::path(
    get, path = "/v1/network/roster", tag = "network",
    responses(
        (status = 200, description = "The roster", body = RosterView),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(State(app): State<App>) -> ApiResult<Json<RosterView>> {
    app.read_always(move |records| {
        let Some(roster) = records.roster()? else {
            return Err(ApiError::defect("the store holds no roster"));
        };
        let now = roster.members();
        let logs = records.logs()?;
        let heads_of = |node: &NodeId| -> Vec<HeadView> {
            let own = logs.iter().filter(|(_, held)| held.node == *node);
            let head = |(log, held): (&LogId, &LogState)| HeadView {
                log: log.to_string(),
                seq: held.seq,
                head: hex(&held.hash),
            };
            own.map(head).collect()
        };
        // Revoked members are shown with what they were last.
        let ever = roster.members_ever();
        let members = ever.iter().map(|(node, member)| MemberView {
            node: node.to_string(),
            name: member.name.clone(),
            region: member.region.to_string(),
            addresses: member.addresses.clone(),
            revoked: !now.contains_key(node),
            logs: heads_of(node),
        });
        Ok(Json(RosterView {
            height: roster.height(),
            network: roster.name().to_owned(),
            network_id: roster.network_id().to_string(),
            members: members.collect(),
            encoded: hex(&roster.encode()),
        }))
    })
    .await
}

/// Brings a newer roster to the node, which spreads it to its peers.
#[utoipa::path(
    post, path = "/v1/network/roster", tag = "network",
    request_body(content = String, content_type = "application/octet-stream",
        description = "The roster file"),
    responses(
        (status = 200, description = "The node has the roster", body = HeightView),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn adopt(
    State(app): State<App>,
    _: Operator,
    request: Request,
) -> ApiResult<Json<HeightView>> {
    extract::expect_type(request.headers(), &[OCTETS])?;
    let roster = extract::body(request, &()).await?;
    let height = app.handle.adopt_roster(roster.to_vec()).await?;
    Ok(Json(HeightView { height }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
