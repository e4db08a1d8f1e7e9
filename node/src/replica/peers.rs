//! What is known of each peer and of the links to them. Plain state; the decisions are in
//! [`super::sync`].

use std::collections::{BTreeMap, BTreeSet};

use crdt_model::id::LogId;

use super::event::LinkId;
use super::frame::{Digests, PROTOCOL_MIN};
use super::limits::{BACKOFF_MS_MAX, BACKOFF_MS_MIN, CLOCK_PEERS_MIN, CLOCK_READING_MS};
use super::node_id::NodeId;
use crate::kv::ReadError;

/// What is known of a peer, connected or not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer {
    /// The link in use.
    pub(crate) link: Option<LinkId>,
    /// When the link came up or went down.
    pub(crate) since_ms: u64,
    /// When it was last heard.
    pub(crate) heard_ms: u64,
    /// Its clock minus ours, when last heard.
    pub(crate) clock_offset_ms: i64,
    /// Its digests, when last heard.
    pub(crate) digests: Option<Digests>,
    /// How far it has reported to hold each log, durably.
    pub(crate) reported: BTreeMap<LogId, u64>,
    /// Application bytes sent to it and received from it on links that are gone.
    pub(crate) bytes_before: (u64, u64),
    /// Since when it has been told not to hold all that we hold.
    pub(crate) unequal_since_ms: Option<u64>,
    /// Commits that it told of and we did not hold then.
    pub(crate) ahead: u64,
    /// Whether an attempt to connect is under way.
    pub(crate) dialing: bool,
    /// When the next attempt may start.
    pub(crate) dial_at_ms: u64,
    /// Failed attempts in a row.
    pub(crate) failures: u32,
    /// Why it is not connected, or the last error.
    pub(crate) last_error: Option<String>,
}

impl Peer {
    /// Notes that the peer holds a log so far, durably.
    pub(crate) fn holds(&mut self, log: LogId, seq: u64) {
        let reported = self.reported.entry(log).or_default();
        *reported = seq.max(*reported);
    }

    /// Keeps the count of a link that is gone.
    pub(crate) const fn lost(&mut self, link: &Link) {
        let (sent, received) = self.bytes_before;
        self.bytes_before = (sent + link.sent, received + link.received);
    }

    /// Plans the next attempt: the pause doubles up to a cap, less up to a half by jitter, so that
    /// a fleet that lost one peer does not call it in step.
    pub(crate) fn back_off(&mut self, now_ms: u64, jitter: u64) {
        let doubled = BACKOFF_MS_MIN.saturating_mul(1 << self.failures.min(16));
        let pause = doubled.min(BACKOFF_MS_MAX);
        self.failures = self.failures.saturating_add(1);
        self.dial_at_ms = now_ms + pause - jitter % (pause / 2);
        self.dialing = false;
    }
}

/// One connection to a peer.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// Who is at the other end.
    pub(crate) peer: NodeId,
    /// Whether this node opened it.
    pub(crate) dialed: bool,
    /// Whether the peer's hello was taken. Nothing but a hello is taken before.
    pub(crate) greeted: bool,
    /// The newest version of the protocol that both ends speak; the oldest one until the hello.
    pub(crate) version: u8,
    /// Whether it is known what the peer holds; commits are sent only then.
    pub(crate) compared: bool,
    /// How far the peer holds each log, or has been sent it on this link.
    pub(crate) known: BTreeMap<LogId, u64>,
    /// Logs of which we hold more than `known`.
    pub(crate) lacking: BTreeSet<LogId>,
    /// The next commit to send of each lacking log, by feed position: causes come before effects.
    pub(crate) pending: BTreeMap<u64, LogId>,
    /// Bytes handed to the network and not yet written by it.
    pub(crate) in_flight: usize,
    /// The peers of this peer, by the first bytes of their keys.
    pub(crate) linked: BTreeSet<[u8; 8]>,
    /// Our peers, as this peer was last told.
    pub(crate) linked_told: Vec<[u8; 8]>,
    /// When what was left to others is sent after all.
    pub(crate) owed_at_ms: Option<u64>,
    /// When the peer was last told our digests, and which.
    pub(crate) digests_told: Option<(u64, Digests)>,
    /// When the peer was last told our vector.
    pub(crate) told_at_ms: Option<u64>,
    /// When the peer was last shown our branch of a log.
    pub(crate) branch_shown_ms: Option<u64>,
    /// When the peer was last told of the forks that are known here.
    pub(crate) forks_told_ms: Option<u64>,
    /// When commits last moved, or the vectors were last compared.
    pub(crate) progress_ms: u64,
    /// Application bytes sent.
    pub(crate) sent: u64,
    /// Application bytes received.
    pub(crate) received: u64,
}

impl Link {
    pub(crate) fn new(peer: NodeId, dialed: bool, now_ms: u64) -> Self {
        Self {
            peer,
            dialed,
            greeted: false,
            version: PROTOCOL_MIN,
            compared: false,
            known: BTreeMap::new(),
            lacking: BTreeSet::new(),
            pending: BTreeMap::new(),
            in_flight: 0,
            linked: BTreeSet::new(),
            linked_told: Vec::new(),
            owed_at_ms: None,
            digests_told: None,
            told_at_ms: None,
            branch_shown_ms: None,
            forks_told_ms: None,
            progress_ms: now_ms,
            sent: 0,
            received: 0,
        }
    }

    /// Leaves a log whose next commit is damaged here, until the vectors are compared again.
    ///
    /// # Errors
    /// The same error when the store as a whole cannot be read.
    pub(crate) fn leave_out(
        &mut self,
        log: LogId,
        error: ReadError,
    ) -> Result<ReadError, ReadError> {
        let ReadError::Damaged { .. } = error else { return Err(error) };
        self.lacking.remove(&log);
        Ok(error)
    }

    /// Notes that the peer holds a log so far.
    pub(crate) fn holds(&mut self, log: LogId, seq: u64, ours: u64) {
        let known = self.known.entry(log).or_default();
        *known = seq.max(*known);
        if *known >= ours {
            self.lacking.remove(&log);
            self.pending.retain(|_, pending| *pending != log);
        }
    }
}

/// How far our clock is off the median of the linked peers heard within the hour, in milliseconds:
/// positive when ours is ahead. Of two middle readings the one nearer to ours counts, so that one
/// wrong clock in a network of three stops nobody but its owner. None with fewer than
/// [`CLOCK_PEERS_MIN`] such peers.
pub(crate) fn clock_offset_ms<'a>(
    peers: impl Iterator<Item = &'a Peer>,
    now_ms: u64,
) -> Option<i64> {
    let mut offsets: Vec<i64> = peers
        .filter(|peer| peer.link.is_some() && peer.heard_ms > 0)
        .filter(|peer| now_ms.abs_diff(peer.heard_ms) <= CLOCK_READING_MS)
        .map(|peer| peer.clock_offset_ms)
        .collect();
    if offsets.len() < CLOCK_PEERS_MIN {
        return None;
    }
    offsets.sort_unstable();
    let (low, high) = (offsets[(offsets.len() - 1) / 2], offsets[offsets.len() / 2]);
    let nearer = if low.unsigned_abs() <= high.unsigned_abs() { low } else { high };
    Some(nearer.saturating_neg())
}
