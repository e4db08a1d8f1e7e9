//! Links between nodes: QUIC connections on which both ends proved their node key.
//!
//! A link carries frames in order, both ways. The transport knows who may connect (the members that
//! it is given) and nothing of what the frames say; it names no store, driver or HTTP.
//!
//! One task (`registry`) owns the endpoint and the table of links; one task per link (`link`) reads
//! and writes. [`Transport`] is the handle: its methods never block. Events go to one bounded inbox;
//! when it is full the readers wait, and QUIC flow control makes the peers wait.
//!
//! What happens to a link, as events:
//!
//! ```text
//! dial ── LinkSecured ── LinkUp ── Frame* / Sent* ── LinkDown
//!   │         └── LinkDown, DialFailed    (the peer does not accept us)
//!   └── DialFailed                        (nobody there, or somebody else)
//! accept ── LinkUp ── Frame* / Sent* ── LinkDown
//!   └── Refused                           (a stranger)
//! ```

mod dial;
mod frame;
mod link;
mod quic;
mod registry;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::identity::NodeKey;
use crate::replica::event::LinkId;
use crate::replica::node_id::NodeId;
use registry::{Command, Registry, Table};

/// The nodes that may connect, as of now. Exchanged as a whole when the roster changes.
pub type Members = Arc<BTreeSet<NodeId>>;

/// What the transport tells its driver. Events of one link arrive in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportEvent {
    /// The peer that we dialled proved its key. Frames may be sent from here on, which saves half a
    /// round trip, but whether the peer accepts us is open until `LinkUp`. A driver may ignore it.
    LinkSecured {
        /// The link.
        link: LinkId,
        /// The other end.
        peer: NodeId,
    },
    /// Both ends accepted each other.
    LinkUp {
        /// The link.
        link: LinkId,
        /// The other end; it proved this key.
        peer: NodeId,
        /// Whether this node dialled.
        dialed: bool,
        /// Where the other end is, as seen from here.
        remote: SocketAddr,
        /// First estimate of the round-trip time.
        rtt: Duration,
    },
    /// The link is over. Comes once for each link that was secured or up. Frames not yet `Sent`, and
    /// some that were, did not reach the peer.
    LinkDown {
        /// The link.
        link: LinkId,
        /// The other end.
        peer: NodeId,
        /// Why, for a person.
        reason: String,
    },
    /// A frame arrived.
    Frame {
        /// The link.
        link: LinkId,
        /// The other end.
        peer: NodeId,
        /// What the peer sent.
        bytes: Vec<u8>,
    },
    /// A frame was handed to QUIC, so there is room for more. It may not have arrived yet.
    Sent {
        /// The link.
        link: LinkId,
        /// The length of the frame.
        bytes: usize,
    },
    /// A dial gave no link, whatever the address.
    DialFailed {
        /// Who was dialled.
        peer: NodeId,
        /// Why, for a person, for each address that was tried.
        reason: String,
    },
    /// Somebody who may not connect tried to. Told at the first, second, fourth, eighth … time for
    /// one key, and only if the inbox has room: a stranger must not fill it.
    Refused {
        /// Where the attempt came from.
        remote: SocketAddr,
        /// The key that the stranger proved, if it came that far.
        key: Option<NodeId>,
        /// Why, for a person.
        reason: String,
    },
}

/// Limits and times of all links of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportConfig {
    /// Longest frame, in bytes, sent or received. A longer one closes the link. Default: 4 MiB and
    /// 64 KiB for its envelope.
    pub frame_max: usize,
    /// Bytes that may wait in one link's queue before QUIC takes them. Over it the link is closed; the
    /// replica keeps its frames in flight well below. Default: 16 MiB.
    pub queue_max: usize,
    /// Bytes that a peer may send beyond what the driver has taken. Default: 8 MiB.
    pub receive_window: u32,
    /// Bytes of one link that QUIC keeps until the peer confirms them. Default: 8 MiB.
    pub send_window: u32,
    /// First congestion window. The usual 14 kB costs several round trips on each reconnect.
    /// Default: 256 kB.
    pub initial_window: u32,
    /// Silence after which a link is down. Default: 15 s.
    pub idle_timeout: Duration,
    /// How often an idle link is exercised; well below `idle_timeout`. Default: 5 s.
    pub keep_alive: Duration,
    /// How long a handshake with one address may take. Default: 8 s.
    pub handshake_timeout: Duration,
    /// Handshakes of others at one time. From a quarter of it on, callers must prove their address;
    /// over it they get no answer. Default: 256.
    pub max_incoming: usize,
    /// Links with one peer at one time. Two nodes may dial each other at once. Default: 4.
    pub max_links_per_peer: usize,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            frame_max: (4 << 20) + (64 << 10),
            queue_max: 16 << 20,
            receive_window: 8 << 20,
            send_window: 8 << 20,
            initial_window: 256_000,
            idle_timeout: Duration::from_secs(15),
            keep_alive: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(8),
            max_incoming: 256,
            max_links_per_peer: 4,
        }
    }
}

/// Why the transport did not start. Nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program has the port.
    #[error(
        "UDP port {} on {} is taken by another program, perhaps by this node running already: stop \
         it or choose another port",
        listen.port(), listen.ip()
    )]
    PortTaken {
        /// The address asked for.
        listen: SocketAddr,
    },
    /// The address is not one of this machine.
    #[error("{} is not an address of this machine: listen on one that is, or on 0.0.0.0", listen.ip())]
    NotOurAddress {
        /// The address asked for.
        listen: SocketAddr,
    },
    /// The system refused otherwise.
    #[error("cannot listen on UDP {listen}: {source}")]
    Socket {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A limit or time is out of range.
    #[error("the transport settings do not fit: {reason}")]
    Config {
        /// Which, and what to do.
        reason: &'static str,
    },
    /// The TLS library refused the key or the settings.
    #[error("TLS cannot be set up: {reason}")]
    Tls {
        /// What it said.
        reason: String,
    },
    /// The system has no random numbers.
    #[error("this system gave no random numbers: {source}")]
    Random {
        /// What it said.
        source: getrandom::Error,
    },
}

/// The link is over, or went over a bound with this frame and is being closed. The frame was not
/// sent; `LinkDown` follows or has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{link} is gone")]
pub struct LinkGone {
    /// The link.
    pub link: LinkId,
}

/// What a link has carried so far, and how far away the peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStats {
    /// The link.
    pub link: LinkId,
    /// The other end.
    pub peer: NodeId,
    /// Bytes handed to the stream: frames with their lengths.
    pub payload_sent: u64,
    /// Bytes taken from the stream.
    pub payload_received: u64,
    /// Bytes of UDP payload sent, handshake and keep-alive included.
    pub udp_sent: u64,
    /// Bytes of UDP payload received.
    pub udp_received: u64,
    /// Current estimate of the round-trip time.
    pub rtt: Duration,
}

/// The handle of the transport. Dropping it closes all links without waiting.
#[derive(Debug)]
pub struct Transport {
    local: SocketAddr,
    commands: mpsc::UnboundedSender<Command>,
    table: watch::Receiver<Table>,
}

impl Transport {
    /// Listens on a UDP address and starts to accept the members. Call it inside a tokio runtime.
    ///
    /// `events` is the driver's inbox: any channel whose items can be made from a
    /// [`TransportEvent`]. Its capacity times the longest frame bounds the memory for what arrives.
    ///
    /// # Errors
    /// When the address or the settings cannot be used; then nothing was started.
    #[expect(clippy::unused_async, reason = "it starts tasks, so it must run inside a runtime")]
    pub async fn bind<E>(
        listen: SocketAddr,
        key: &NodeKey,
        members: watch::Receiver<Members>,
        config: TransportConfig,
        events: mpsc::Sender<E>,
    ) -> Result<Self, BindError>
    where
        E: From<TransportEvent> + Send + 'static,
    {
        let (table_writer, table) = watch::channel(Table::default());
        let (commands, inbox) = mpsc::unbounded_channel();
        let registry = Registry::bind(listen, key, members, config, (events, table_writer))?;
        let local = registry.local_addr();
        // The task ends when the handle is gone; nothing waits for it.
        drop(tokio::spawn(registry.run(inbox)));
        Ok(Self { local, commands, table })
    }

    /// The address that was bound; its port is real even when port 0 was asked for.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Dials a member, trying the addresses (`host:port`, IPv4, `[IPv6]:port` or a name) in turn.
    ///
    /// Returns at once; the outcome is an event. While a dial for this peer runs, another one joins it.
    /// After [`Self::shutdown`] nothing happens.
    pub fn dial(&self, peer: NodeId, addresses: Vec<String>) {
        // A closed channel means that the transport has shut down, as documented.
        drop(self.commands.send(Command::Dial { peer, addresses }));
    }

    /// Queues a frame. Never blocks; `Sent` follows when QUIC took it.
    ///
    /// # Errors
    /// When the link is over, or when this frame is over a limit of [`TransportConfig`], which closes
    /// the link. The frame is dropped.
    pub fn send(&self, link: LinkId, frame: Vec<u8>) -> Result<(), LinkGone> {
        let table = self.table.borrow();
        let handle = table.links.get(&link).ok_or(LinkGone { link })?;
        handle.send(frame).map_err(|()| LinkGone { link })
    }

    /// Ends a link and tells the peer why. Frames not yet delivered are lost. `LinkDown` follows.
    pub fn close(&self, link: LinkId, reason: &str) {
        if let Some(handle) = self.table.borrow().links.get(&link) {
            handle.close(link::Closing::new(link::CLOSED, reason));
        }
    }

    /// Closes all links, tells the peers, and frees the port. Waits at most a few seconds; a driver that
    /// does not read its inbox meanwhile may miss some `LinkDown`.
    pub async fn shutdown(&self) {
        let (done, finished) = oneshot::channel();
        if self.commands.send(Command::Shutdown { done }).is_ok() {
            // The registry drops the sender when it ends, whatever the way.
            drop(finished.await);
        }
    }

    /// What each link has carried so far.
    #[must_use]
    pub fn link_stats(&self) -> Vec<LinkStats> {
        self.table.borrow().links.iter().map(|(link, handle)| handle.stats(*link)).collect()
    }

    /// How often each stranger was refused since the start. `None` stands for callers that proved no
    /// key, and for the keys beyond the first thousand.
    #[must_use]
    pub fn refusals(&self) -> BTreeMap<Option<NodeId>, u64> {
        self.table.borrow().refusals.clone()
    }
}
