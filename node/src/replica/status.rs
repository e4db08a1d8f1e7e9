//! A snapshot of the replica for the HTTP interface, the command line and metrics. Plain data.

use crdt_model::time::Hlc;
use serde::{Deserialize, Serialize};

use super::history::History;
use super::node_id::NodeId;
use super::roster::PolicyEntry;

/// What a node knows about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// This node's key.
    pub node: String,
    /// Its name in the roster.
    pub name: String,
    /// Its region.
    pub region: String,
    /// The network's name.
    pub network: String,
    /// The network's id, 64 hexadecimal digits.
    pub network_id: String,
    /// When this was so, in milliseconds since 1970: a node at work says it anew every few seconds.
    pub at_ms: u64,
    /// How many roster entries are known.
    pub roster_height: u64,
    /// The digest of the history held: equal digests prove equal histories.
    pub history_digest: String,
    /// The digest of what is shown: golden records, conflicts and quarantine.
    pub golden_digest: String,
    /// Commits held.
    pub commits: u64,
    /// The position of the newest feed entry.
    pub feed_position: u64,
    /// The policy in force.
    pub policy: PolicyStatus,
    /// Customers held.
    pub records: u64,
    /// Customers with at least one conflict.
    pub conflicted_records: u64,
    /// Items in quarantine.
    pub quarantined_items: u64,
    /// Connections refused since the start: strangers, wrong network, no common version.
    pub refused: u64,
    /// False while the node must first fetch back what it had acknowledged.
    pub ready: bool,
    /// Seconds by which this node's clock is off its peers' median; none with fewer than two peers.
    pub clock_offset_s: Option<i64>,
    /// What an operator must look at, newest last.
    pub alarms: Vec<String>,
    /// How far the other members agree with this node.
    pub agreement: Agreement,
    /// Up to when each region's changes are here.
    pub regions: Vec<RegionStatus>,
    /// Every other member of the roster.
    pub peers: Vec<PeerStatus>,
}

/// How far the other members of the network agree with a node, as they said when last heard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Members that hold and show the same: both digests are equal.
    pub equal: usize,
    /// All members but this one.
    pub of: usize,
    /// The same for people, with the members that differ and since when.
    pub sentence: String,
}

/// Members that a sentence names; the table of peers has the others.
const NAMED_MAX: usize = 5;

impl Agreement {
    pub(super) fn of(peers: &[PeerStatus], now_ms: u64) -> Self {
        let is_equal = |peer: &&PeerStatus| peer.equal_history && peer.equal_golden;
        let equal = peers.iter().filter(is_equal).count();
        let mut parts = vec![format!("equal with {equal} of {}, history and golden", peers.len())];
        let others = || peers.iter().filter(|peer| !is_equal(peer));
        parts.extend(others().take(NAMED_MAX).map(|peer| difference(peer, now_ms)));
        let unnamed = others().count().saturating_sub(NAMED_MAX);
        if unnamed > 0 {
            parts.push(format!("{unnamed} more differ"));
        }
        Self { equal, of: peers.len(), sentence: parts.join("; ") }
    }
}

/// In what a peer differs.
fn difference(peer: &PeerStatus, now_ms: u64) -> String {
    let PeerStatus { name, behind, ahead, .. } = peer;
    let commits =
        |count: u64| if count == 1 { "1 commit".to_owned() } else { format!("{count} commits") };
    let since = |at_ms: u64| moment(at_ms, now_ms);
    if peer.equal_history {
        return format!("{name} holds the same and shows something else");
    }
    match (behind, ahead) {
        _ if peer.heard_ms == 0 && !peer.connected => {
            format!("{name} was not heard since the start")
        }
        (0, 0) if peer.connected => format!("{name} is being compared"),
        (0, 0) => format!("{name} was last heard at {}", since(peer.heard_ms)),
        (0, _) => format!("{name} has {} that are not here yet", commits(*ahead)),
        (_, 0) => {
            format!("{name} is {} behind since {}", commits(*behind), since(peer.behind_since_ms))
        }
        (_, _) => format!(
            "{name} is {} behind since {} and has {} that are not here yet",
            commits(*behind),
            since(peer.behind_since_ms),
            commits(*ahead)
        ),
    }
}

/// A time for people, in UTC; without the day when it is today.
fn moment(at_ms: u64, now_ms: u64) -> String {
    let text = Hlc::from_ms(at_ms).to_rfc3339();
    let today = Hlc::from_ms(at_ms).day() == Hlc::from_ms(now_ms).day();
    match text.get(..10).zip(text.get(11..16)) {
        Some((_, time)) if today => format!("{time} UTC"),
        Some((day, time)) => format!("{day} {time} UTC"),
        None => text,
    }
}

/// Up to when everything that the nodes of a region wrote is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionStatus {
    /// The region.
    pub region: String,
    /// What its nodes wrote before is here, in milliseconds since 1970 by their clocks and never more
    /// than now; 0: not known of one of them.
    pub complete_ms: u64,
}

/// The policy by which golden records are resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// Its version.
    pub version: u32,
    /// Its digest, 64 hexadecimal digits: equal on all nodes that have it in force.
    pub digest: String,
    /// Whether some records are still to be resolved by it; they show what the one before gave.
    pub resolving: bool,
    /// The version that waits for its time, if one does.
    pub next_version: Option<u32>,
    /// When that one comes into force, in milliseconds since 1970.
    pub next_at_ms: Option<u64>,
}

impl PolicyStatus {
    pub(super) fn of(history: &History, now_ms: u64) -> Self {
        let policy = history.policy();
        let waits = |entry: &PolicyEntry| entry.activates_at_ms > now_ms;
        let next = history.roster.policies().map(|(_, entry)| entry).find(|entry| waits(entry));
        Self {
            version: policy.version,
            digest: blake3::Hash::from_bytes(history.policy_digest).to_hex().to_string(),
            resolving: history.state.resolving.is_some(),
            next_version: next.map(|entry| entry.policy.version),
            next_at_ms: next.map(|entry| entry.activates_at_ms),
        }
    }
}

/// What a node knows about a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its key.
    pub node: NodeId,
    /// Its name in the roster.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Whether a hello was exchanged and the link is up.
    pub connected: bool,
    /// When the link last came up or went down, in milliseconds since 1970; 0: never.
    pub since_ms: u64,
    /// Commits that we hold and it has not yet reported as durable.
    pub behind: u64,
    /// Since when it has been behind, in milliseconds since 1970; 0: it is not.
    pub behind_since_ms: u64,
    /// Commits that it reported and we do not hold.
    pub ahead: u64,
    /// Its digests were equal to ours when last heard: history, then golden.
    pub equal_history: bool,
    /// See `equal_history`.
    pub equal_golden: bool,
    /// When it was last heard, in milliseconds since 1970; 0: never.
    pub heard_ms: u64,
    /// Application bytes sent to it since this node started, over all links.
    pub bytes_sent: u64,
    /// Application bytes received from it since this node started, over all links.
    pub bytes_received: u64,
    /// Why it is not connected, or the last error.
    pub last_error: Option<String>,
    /// The one thing to do about it; none while all is well or mends itself.
    pub advice: Option<String>,
}
