//! Logs whose author signed two histories, and what their void commits said: a steward may say it again.

use axum::Json;
use axum::extract::State;
use crdt_model::document::CustomerDocument;
use crdt_model::id::RecordId;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::error::{ApiResult, Problem};
use super::views::{AssertionView, Witness};
use crate::replica::commit::Commit;
use crate::replica::fork::ForkProof;
use crate::replica::records::Records;

/// Logs that were forked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForkList {
    /// The forks, by log.
    pub(crate) forks: Vec<ForkView>,
}

/// A log whose author signed two histories in it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForkView {
    /// The log.
    pub(crate) log: String,
    /// Its author: the name in the roster, or the key.
    pub(crate) node: String,
    /// The number of the first commit that does not count.
    pub(crate) from: u64,
    /// The hashes of the two commits that were signed under that number.
    pub(crate) hashes: [String; 2],
    /// The commits of either branch that this node had held, and that do not count.
    pub(crate) set_aside: Vec<VoidCommitView>,
}

/// A commit that does not count any more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VoidCommitView {
    /// Its number.
    pub(crate) seq: u64,
    /// When it was made, by its author's clock.
    pub(crate) time: String,
    /// In whose name.
    pub(crate) principal: String,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    /// What it said.
    pub(crate) claims: Vec<VoidClaimView>,
}

/// What a void commit said about one attribute.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VoidClaimView {
    /// The id of the customer.
    pub(crate) record: String,
    /// The attribute and the source, as a claim key.
    pub(crate) key: String,
    /// What was said.
    #[serde(flatten)]
    pub(crate) said: AssertionView,
}

/// Lists the logs whose author signed two histories.
///
/// Such a log ends where they part, on every node alike. What this node had held beyond is shown here,
/// so that a steward can say again what is right.
#[utoipa::path(
    get, path = "/v1/forks", tag = "stewardship",
    responses(
        (status = 200, description = "Logs that were forked", body = ForkList),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn forks(State(app): State<App>) -> ApiResult<Json<ForkList>> {
    let status = app.handle.status();
    app.read(move |records| {
        let witness = Witness::new(records, &status);
        let forks = records.forks()?.into_iter().map(|proof| view(records, &witness, &proof));
        Ok(Json(ForkList { forks: forks.collect::<ApiResult<_>>()? }))
    })
    .await
}

fn view(records: Records<'_>, witness: &Witness<'_>, proof: &ForkProof) -> ApiResult<ForkView> {
    let at = proof.at();
    let hex = |hash: [u8; 32]| blake3::Hash::from_bytes(hash).to_hex().to_string();
    Ok(ForkView {
        log: at.log.to_string(),
        node: witness.named(&proof.author()),
        from: at.seq,
        hashes: [&proof.one, &proof.other].map(|signed| hex(signed.hash())),
        set_aside: records.set_aside(&at.log)?.iter().map(void).collect(),
    })
}

fn void(commit: &Commit) -> VoidCommitView {
    let header = &commit.signed.header;
    let provenance = &commit.signed.note.provenance;
    VoidCommitView {
        seq: header.seq,
        time: header.time.to_string(),
        principal: provenance.principal.clone(),
        reason: provenance.reason.clone(),
        claims: commit.records().flat_map(|(record, change)| claims(&record, change)).collect(),
    }
}

fn claims(record: &RecordId, change: &[u8]) -> Vec<VoidClaimView> {
    // What is no change says nothing.
    let read = CustomerDocument::empty().read_change(change);
    let edits = read.map(|read| read.edits).unwrap_or_default();
    let claim = |edit: crdt_model::document::ClaimEdit| VoidClaimView {
        record: record.to_string(),
        key: edit.key.to_string(),
        said: AssertionView::from(Ok::<_, std::convert::Infallible>(edit.assertion)),
    };
    edits.into_iter().map(claim).collect()
}
