//! Every bound of the history and the protocol in one place, each with its reason.
//!
//! Limits of the commit format are part of its version: a node of another release must come to the
//! same verdict.

/// Items in a commit. A commit is applied in one batch, and the store wants batches of at most about
/// a thousand keys.
pub const COMMIT_ITEMS_MAX: usize = 100;
/// Bytes of a commit: header, provenance and items.
pub const COMMIT_BYTES_MAX: usize = 1 << 20;
/// Bytes of one item: a record id and a change.
pub const ITEM_BYTES_MAX: usize = 16 + (256 << 10);
/// Bytes of a header: a hundred item hashes and as many followed logs as [`FOLLOWS_MAX`].
pub const HEADER_BYTES_MAX: usize = 128 << 10;
/// Logs that a commit can follow. Only logs that moved since the author's last commit are named.
pub const FOLLOWS_MAX: usize = 2_048;
/// Logs of one author that no later log of its own goes on from: restores and lost disks leave a
/// few behind. A member with more is not linked with: its key is stolen, or it is broken.
pub const OPEN_LOGS_MAX: usize = 256;
/// Bytes of a stored record, of what it shows, and of a feed entry or an answer: twice what one author
/// can have seen of a record, and half of what a store takes as a value.
pub const RECORD_BYTES_MAX: usize = 8 << 20;
/// Bytes of memory for the documents and golden records of the records written last.
pub const HOT_BYTES_MAX: usize = 32 << 20;
/// Bytes of principal, reason and request id together.
pub const PROVENANCE_BYTES_MAX: usize = 4 << 10;
/// Bytes of a frame as it travels.
pub const FRAME_MAX: usize = 2 << 20;
/// Bytes of the commits in one block, before compression: a block is closed after the commit that
/// reaches [`BLOCK_BYTES_TARGET`].
pub const BLOCK_BYTES_MAX: usize = BLOCK_BYTES_TARGET + COMMIT_BYTES_MAX + (64 << 10);
/// Bytes of commits at which a block is closed: large enough to compress well, small enough to be
/// applied while the next one travels.
pub const BLOCK_BYTES_TARGET: usize = 512 << 10;
/// Bytes of commits at which the first blocks of a link and the last ones are closed: the peer has
/// something to do soon, and is done soon.
pub const BLOCK_BYTES_SMALL: usize = 64 << 10;
/// Bytes handed to the network for one link and not yet written by it. A slow peer holds no more
/// memory than this; the rest waits in the store.
pub const LINK_IN_FLIGHT_MAX: usize = 256 << 10;
/// Bytes handed to the network for all links together and not yet written by it: the links share it
/// evenly, and each may go over its share by the one block that it began below it.
pub const NODE_IN_FLIGHT_MAX: usize = 64 << 20;
/// Entries of a roster.
pub const ROSTER_ENTRIES_MAX: usize = 10_000;
/// Members of a roster; every node keeps a link to every other.
pub const MEMBERS_MAX: usize = 1_000;
/// Bytes of an encoded roster. It travels in frames of at most [`ROSTER_FRAME_BYTES`].
pub const ROSTER_BYTES_MAX: usize = 16 << 20;
/// Bytes of roster entries in one frame: it is closed before the entry that would exceed it. The
/// longest entry, a policy, fits.
pub const ROSTER_FRAME_BYTES: usize = 1 << 20;
/// Bytes of a policy as canonical JSON.
pub const POLICY_BYTES_MAX: usize = 512 << 10;
/// Signatures of governors under a policy.
pub const POLICY_SIGNATURES_MAX: usize = 64;
/// Entries of a vector in one frame.
pub const VECTOR_ENTRIES_MAX: usize = 20_000;
/// Headers that a node shows of its branch of a log; a longer one is compared in as many steps.
pub const BRANCH_HEADERS_MAX: usize = 256;
/// Peers by whose links a relay decides whom to spare.
pub const LINKED_MAX: usize = MEMBERS_MAX;
/// Alarms kept for the operator.
pub const ALARMS_MAX: usize = 50;

/// How often digests and clocks are told, in milliseconds.
pub const HEARTBEAT_MS: u64 = 2_000;
/// How long after the last commit digests are told out of turn, in milliseconds: long enough that a
/// stream of commits costs no more heartbeats.
pub const SETTLED_MS: u64 = 250;
/// Links up to which that is done: with more of them the regular heartbeat must do.
pub const SETTLED_LINKS_MAX: usize = 16;
/// How long unequal digests may stand without progress before the vectors are compared again.
pub const STALL_MS: u64 = 5_000;
/// The first pause after a failed attempt to connect; it doubles up to [`BACKOFF_MS_MAX`].
pub const BACKOFF_MS_MIN: u64 = 250;
/// The longest pause between attempts to connect.
pub const BACKOFF_MS_MAX: u64 = 30_000;
/// How long the node with the higher key waits for the other to call first.
pub const COURTESY_MS: u64 = 2_000;
/// How far the local clock may be from the median of its peers before local writes are refused.
pub const CLOCK_OFFSET_MS_MAX: u64 = 5 * 60 * 1_000;
/// How long a peer's clock reading counts.
pub const CLOCK_READING_MS: u64 = 60 * 60 * 1_000;
/// Peers that must have been heard before the clock is judged.
pub const CLOCK_PEERS_MIN: usize = 2;

const _: () = {
    assert!(HEADER_BYTES_MAX + PROVENANCE_BYTES_MAX < COMMIT_BYTES_MAX);
    assert!(BLOCK_BYTES_MAX <= FRAME_MAX, "a block that does not compress must fit a frame");
    assert!(BLOCK_BYTES_TARGET <= BLOCK_BYTES_MAX);
    assert!(ITEM_BYTES_MAX < COMMIT_BYTES_MAX);
    assert!(POLICY_BYTES_MAX + (64 << 10) < ROSTER_FRAME_BYTES, "a policy must fit a frame");
    assert!(ROSTER_FRAME_BYTES < FRAME_MAX);
    assert!(crdt_model::document::HISTORY_BYTES_MAX < RECORD_BYTES_MAX);
    assert!(SETTLED_MS < HEARTBEAT_MS && HEARTBEAT_MS < STALL_MS);
    assert!(BACKOFF_MS_MIN < BACKOFF_MS_MAX);
};
