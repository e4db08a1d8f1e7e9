//! The task that owns the endpoint and the table of links: who dials, who is let in, who must go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, Incoming, VarInt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::dial::Dialer;
use super::link::{self, Bounds, Closing, LinkHandle};
use super::quic::Quic;
use super::tls::{Tls, peer_of};
use super::{BindError, LinkId, Members, TransportConfig, TransportEvent};
use crate::identity::NodeKey;
use crate::replica::node_id::NodeId;

/// Strangers that are counted by key; keys cost nothing to make.
const MAX_COUNTED_KEYS: usize = 1000;

/// How long a shutdown waits for the links, and then for the last packets.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(2);

/// What the handle asks for.
#[derive(Debug)]
pub(super) enum Command {
    Dial { peer: NodeId, addresses: Vec<String> },
    Shutdown { done: oneshot::Sender<()> },
}

/// What the handle may read; only the registry writes it.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) links: BTreeMap<LinkId, LinkHandle>,
    pub(super) refusals: BTreeMap<Option<NodeId>, u64>,
}

/// How a handshake ended.
enum Handshake {
    Dialed { peer: NodeId, outcome: Result<Connection, String> },
    Accepted { remote: SocketAddr, outcome: Result<Connection, Refusal> },
}

/// Why a caller was not let in, and its key if it proved one.
struct Refusal {
    key: Option<NodeId>,
    reason: String,
}

/// State of the task. Only [`Self::run`] touches it, so nothing is locked.
pub(super) struct Registry<E> {
    config: TransportConfig,
    quic: Quic,
    tls: Arc<Tls>,
    local: SocketAddr,
    members: watch::Receiver<Members>,
    events: mpsc::Sender<E>,
    table: watch::Sender<Table>,
    next_link: u64,
    dialing: BTreeSet<NodeId>,
    accepting: usize,
    handshakes: JoinSet<Handshake>,
    links: JoinSet<LinkId>,
}

impl<E> Registry<E>
where
    E: From<TransportEvent> + Send + 'static,
{
    pub(super) fn bind(
        listen: SocketAddr,
        key: &NodeKey,
        members: watch::Receiver<Members>,
        config: TransportConfig,
        (events, table): (mpsc::Sender<E>, watch::Sender<Table>),
    ) -> Result<Self, BindError> {
        let tls = Arc::new(Tls::new(key, members.clone())?);
        let quic = Quic::bind(listen, key, &tls, &config)?;
        let local =
            quic.endpoint.local_addr().map_err(|source| BindError::Socket { listen, source })?;
        Ok(Self {
            config,
            quic,
            tls,
            local,
            members,
            events,
            table,
            next_link: 1,
            dialing: BTreeSet::new(),
            accepting: 0,
            handshakes: JoinSet::new(),
            links: JoinSet::new(),
        })
    }

    pub(super) const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves until a shutdown is asked for or the handle is gone.
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let endpoint = self.quic.endpoint.clone();
        let mut roster_lives = true;
        let done = loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Dial { peer, addresses }) => self.dial(peer, addresses),
                    Some(Command::Shutdown { done }) => break Some(done),
                    None => break None,
                },
                Some(incoming) = endpoint.accept() => self.accept(incoming),
                Some(finished) = self.handshakes.join_next() => match finished {
                    Ok(Handshake::Dialed { peer, outcome }) => self.dialed(peer, outcome),
                    Ok(Handshake::Accepted { remote, outcome }) => self.accepted(remote, outcome),
                    Err(error) => tracing::error!(%error, "A handshake task failed."),
                },
                Some(ended) = self.links.join_next() => match ended {
                    Ok(link) => self.forget(link),
                    Err(error) => tracing::error!(%error, "A link task failed."),
                },
                changed = self.members.changed(), if roster_lives => {
                    roster_lives = changed.is_ok();
                    self.close_strangers();
                }
            }
        };
        drop(endpoint);
        let local = self.local;
        self.shut_down().await;
        if let Some(done) = done {
            port_freed(local).await;
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        }
    }

    fn dial(&mut self, peer: NodeId, addresses: Vec<String>) {
        if !self.dialing.insert(peer) {
            return;
        }
        let dialer = Dialer {
            endpoint: self.quic.endpoint.clone(),
            tls: Arc::clone(&self.tls),
            transport: Arc::clone(&self.quic.transport),
            timeout: self.config.handshake_timeout,
        };
        self.handshakes.spawn(async move {
            Handshake::Dialed { peer, outcome: dialer.dial(peer, addresses).await }
        });
    }

    fn dialed(&mut self, peer: NodeId, outcome: Result<Connection, String>) {
        self.dialing.remove(&peer);
        let opened = match outcome {
            Ok(connection) => self.open(peer, true, connection),
            Err(reason) => Err(reason),
        };
        if let Err(reason) = opened {
            // The registry never waits for the driver; a task of its own does.
            let events = self.events.clone();
            drop(tokio::spawn(async move {
                let failed = TransportEvent::DialFailed { peer, reason };
                // A driver that is gone needs no news.
                drop(events.send(failed.into()).await);
            }));
        }
    }

    fn accept(&mut self, incoming: Incoming) {
        if self.accepting >= self.config.max_incoming {
            incoming.ignore();
            return;
        }
        if self.accepting >= self.config.max_incoming / 4 && !incoming.remote_address_validated() {
            // A forged address costs us one small packet from here on. It fails only for callers that
            // have proved their address, and those do not come here.
            drop(incoming.retry());
            return;
        }
        let gate = self.tls.gate(None);
        let remote = canonical(incoming.remote_address());
        let mut server = self.quic.server.clone();
        match self.tls.server(&gate) {
            Ok(tls) => server.crypto = Arc::new(tls),
            Err(error) => {
                tracing::error!(%error, "A handshake could not be prepared.");
                return;
            }
        }
        let limit = self.config.handshake_timeout;
        self.accepting += 1;
        self.handshakes.spawn(async move {
            let connecting = match incoming.accept_with(Arc::new(server)) {
                Ok(connecting) => connecting,
                Err(error) => return Handshake::unproved(remote, link::describe_caller(&error)),
            };
            let outcome = match tokio::time::timeout(limit, connecting).await {
                Err(_) => return Handshake::unproved(remote, "handshake timed out".to_owned()),
                Ok(Ok(connection)) => Ok(connection),
                Ok(Err(error)) => Err(match gate.turned_away() {
                    Some(away) => Refusal { key: Some(away.key), reason: away.reason.clone() },
                    None => Refusal { key: None, reason: link::describe_caller(&error) },
                }),
            };
            Handshake::Accepted { remote, outcome }
        });
    }

    fn accepted(&mut self, remote: SocketAddr, outcome: Result<Connection, Refusal>) {
        self.accepting = self.accepting.saturating_sub(1);
        let opened = outcome.and_then(|connection| match peer_of(&connection) {
            Some(peer) => self
                .open(peer, false, connection)
                .map_err(|reason| Refusal { key: Some(peer), reason }),
            None => Err(Refusal { key: None, reason: "the caller showed no key".to_owned() }),
        });
        if let Err(refusal) = opened {
            self.refuse(remote, refusal);
        }
    }

    /// Makes a link of a connection, unless the roster changed meanwhile or the peer has enough.
    fn open(&mut self, peer: NodeId, dialed: bool, connection: Connection) -> Result<(), String> {
        let held = self.table.borrow().links.values().filter(|link| link.peer == peer).count();
        let refused = if !self.tls.is_member(&peer) {
            Some((link::NOT_A_MEMBER, format!("node {} is not in the roster", peer.short())))
        } else if held >= self.config.max_links_per_peer {
            Some((link::TOO_MANY_LINKS, format!("there are {held} links between us already")))
        } else {
            None
        };
        if let Some((code, reason)) = refused {
            connection.close(code, reason.as_bytes());
            return Err(reason);
        }
        let id = LinkId(self.next_link);
        self.next_link += 1;
        let bounds = Bounds {
            frame_max: self.config.frame_max,
            queue_max: self.config.queue_max,
            opening_timeout: self.config.handshake_timeout,
        };
        let (handle, task) = link::new(id, peer, dialed, connection, bounds);
        // The table comes first: the driver may send as soon as it hears of the link.
        self.table.send_modify(|table| drop(table.links.insert(id, handle)));
        self.links.spawn(task.run(self.events.clone()));
        Ok(())
    }

    fn forget(&self, link: LinkId) {
        self.table.send_modify(|table| drop(table.links.remove(&link)));
    }

    /// Counts a refusal, and reports it if it is not one of many.
    fn refuse(&self, remote: SocketAddr, Refusal { key, reason }: Refusal) {
        let mut times = 0;
        self.table.send_modify(|table| {
            let known = table.refusals.contains_key(&key);
            let slot = if known || table.refusals.len() < MAX_COUNTED_KEYS { key } else { None };
            let count = table.refusals.entry(slot).or_insert(0);
            *count = count.saturating_add(1);
            times = *count;
        });
        if times.is_power_of_two() {
            let event = TransportEvent::Refused { remote, key, reason };
            // A full inbox is the driver's to empty; the count keeps what is not told.
            drop(self.events.try_send(event.into()));
        }
    }

    /// Ends the links with nodes that are no longer members.
    fn close_strangers(&self) {
        for link in self.table.borrow().links.values() {
            if !self.tls.is_member(&link.peer) {
                let reason = format!("node {} is no longer in the roster", link.peer.short());
                link.close(Closing::new(link::NOT_A_MEMBER, &reason));
            }
        }
    }

    async fn shut_down(mut self) {
        let code: VarInt = link::SHUTDOWN;
        self.quic.endpoint.close(code, b"the node shuts down");
        self.handshakes.shutdown().await;
        let links = async { while self.links.join_next().await.is_some() {} };
        // A driver that no longer reads its inbox must not hold a shutdown up.
        if tokio::time::timeout(SHUTDOWN_PATIENCE, links).await.is_err() {
            self.links.shutdown().await;
        }
        self.table.send_modify(|table| table.links.clear());
        let idle = self.quic.endpoint.wait_idle();
        if tokio::time::timeout(SHUTDOWN_PATIENCE, idle).await.is_err() {
            tracing::debug!("Some peers did not confirm the end of their links.");
        }
    }
}

/// Waits until the port can be bound again. Quinn gives its socket back in a task of its own, some time
/// after the last handle of the endpoint is gone, and does not say when.
async fn port_freed(local: SocketAddr) {
    let freed = async {
        while UdpSocket::bind(local).is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(SHUTDOWN_PATIENCE, freed).await.is_err() {
        tracing::warn!(%local, "The port is still taken after the shutdown.");
    }
}

impl Handshake {
    /// A caller that left before it proved a key.
    const fn unproved(remote: SocketAddr, reason: String) -> Self {
        Self::Accepted { remote, outcome: Err(Refusal { key: None, reason }) }
    }
}

/// An address as people write it: IPv4 seen through an IPv6 socket is IPv4.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
