//! Everything that a replica can ask of its driver.
//!
//! The order of the actions is a contract: an action must not be performed before every
//! [`Action::Persist`] that stands earlier is durable. So nothing leaves the node, and nothing is
//! acknowledged, that a power cut could take back.

use super::event::{Answer, LinkId, Members, Ticket};
use super::node_id::NodeId;
use crate::kv::Op;

/// Something that the driver must do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Write these operations atomically and durably.
    Persist(Vec<Op>),
    /// Send a frame. The driver reports [`super::event::Event::Sent`] when it is handed over.
    Send {
        /// By this connection.
        link: LinkId,
        /// The encoded frame.
        frame: Vec<u8>,
    },
    /// Try to connect to a member.
    Dial {
        /// Whom.
        peer: NodeId,
        /// Where, in this order: `host:port`.
        addresses: Vec<String>,
    },
    /// Close a connection.
    Close {
        /// Which.
        link: LinkId,
        /// Why, for both operators.
        reason: String,
    },
    /// Answer a client.
    Reply {
        /// Which.
        ticket: Ticket,
        /// What.
        answer: Answer,
    },
    /// The set of keys that may open a link has changed.
    Admit(Members),
    /// Something that an operator must see.
    Alarm(String),
}
