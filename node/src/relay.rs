//! A UDP relay with a cut switch, for the demo and the tests: it stands in front of a node and drops
//! what a cut node sends or receives. It knows no QUIC and is no part of a network in earnest.
//!
//! One relay stands in front of each node, and the roster advertises the relays' addresses. A node
//! dials from the socket on which it listens, so the source address of a datagram names its sender, and
//! one shared [`RelayControl`] can cut a node off in both directions on all relays at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// Longest UDP payload.
const DATAGRAM_MAX: usize = 65_535;

/// Sources served at one time; the demo has a handful.
const MAX_SOURCES: usize = 1024;

/// A source that was silent this long loses its socket.
const FORGET_AFTER: Duration = Duration::from_secs(120);

/// What passed through the relays of one control, and what they dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RelayTraffic {
    /// Datagrams passed on.
    pub datagrams: u64,
    /// Bytes of UDP payload passed on.
    pub bytes: u64,
    /// Datagrams dropped because an end was cut.
    pub dropped: u64,
}

/// The switch of all relays that share it. Clones are the same switch.
#[derive(Debug, Clone)]
pub struct RelayControl {
    cuts: watch::Sender<BTreeSet<SocketAddr>>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    datagrams: AtomicU64,
    bytes: AtomicU64,
    dropped: AtomicU64,
}

impl RelayControl {
    /// A switch with nothing cut.
    #[must_use]
    pub fn new() -> Self {
        Self { cuts: watch::Sender::new(BTreeSet::new()), counters: Arc::default() }
    }

    /// Drops from now on everything to and from the node whose own socket has this address (not the
    /// address of its relay).
    pub fn cut(&self, node: SocketAddr) {
        self.cuts.send_modify(|cuts| {
            cuts.insert(node);
        });
    }

    /// Takes a cut back. A node that was not cut stays so.
    pub fn heal(&self, node: SocketAddr) {
        self.cuts.send_modify(|cuts| {
            cuts.remove(&node);
        });
    }

    /// Whether a node is cut.
    #[must_use]
    pub fn is_cut(&self, node: SocketAddr) -> bool {
        self.cuts.borrow().contains(&node)
    }

    /// What has passed so far, in both directions.
    #[must_use]
    pub fn traffic(&self) -> RelayTraffic {
        RelayTraffic {
            datagrams: self.counters.datagrams.load(Ordering::Relaxed),
            bytes: self.counters.bytes.load(Ordering::Relaxed),
            dropped: self.counters.dropped.load(Ordering::Relaxed),
        }
    }

    /// Whether a datagram between two nodes may pass; counts it either way.
    fn passes(&self, one: SocketAddr, other: SocketAddr, bytes: usize) -> bool {
        if self.is_cut(one) || self.is_cut(other) {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.counters.datagrams.fetch_add(1, Ordering::Relaxed);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        true
    }
}

impl Default for RelayControl {
    fn default() -> Self {
        Self::new()
    }
}

/// One relay. Dropping it stops it.
#[derive(Debug)]
pub struct UdpRelay {
    address: SocketAddr,
    target: SocketAddr,
    task: AbortHandle,
}

impl UdpRelay {
    /// Starts a relay on a free port of 127.0.0.1, in front of the node whose own socket is `target`.
    /// Call it inside a tokio runtime. The node need not run yet, and may restart.
    ///
    /// # Errors
    /// When the system gives no socket; then nothing runs.
    pub async fn start(target: SocketAddr, control: RelayControl) -> io::Result<Self> {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = front.local_addr()?;
        let relaying =
            Relaying { front: Arc::new(front), target, control, sources: BTreeMap::new() };
        let task = tokio::spawn(relaying.run()).abort_handle();
        Ok(Self { address, target, task })
    }

    /// Where others reach the node: the address to advertise.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The node behind the relay.
    #[must_use]
    pub const fn target(&self) -> SocketAddr {
        self.target
    }
}

impl Drop for UdpRelay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task of a relay: takes from the front and passes on, through one socket per source, as a
/// network address translator does.
struct Relaying {
    front: Arc<UdpSocket>,
    target: SocketAddr,
    control: RelayControl,
    sources: BTreeMap<SocketAddr, Arc<UdpSocket>>,
}

impl Relaying {
    async fn run(mut self) {
        let mut returns = JoinSet::new();
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            tokio::select! {
                // An error tells of an earlier datagram that found nobody; the next one may.
                received = self.front.recv_from(&mut buffer) => if let Ok((length, source)) = received {
                    self.forward(source, &buffer[..length], &mut returns).await;
                },
                Some(forgotten) = returns.join_next() => if let Ok(source) = forgotten {
                    self.sources.remove(&source);
                }
            }
        }
    }

    async fn forward(
        &mut self,
        source: SocketAddr,
        datagram: &[u8],
        returns: &mut JoinSet<SocketAddr>,
    ) {
        if !self.control.passes(source, self.target, datagram.len()) {
            return;
        }
        let back = match self.sources.get(&source) {
            Some(back) => Arc::clone(back),
            None if self.sources.len() >= MAX_SOURCES => return,
            None => {
                // Out of sockets: UDP may lose this one, and the sender will try again.
                let Ok(back) = connected(self.target).await.map(Arc::new) else { return };
                self.sources.insert(source, Arc::clone(&back));
                returns.spawn(give_back(
                    Arc::clone(&back),
                    Arc::clone(&self.front),
                    source,
                    self.target,
                    self.control.clone(),
                ));
                back
            }
        };
        // A full buffer or an absent node loses the datagram, as a network does.
        drop(back.send(datagram).await);
    }
}

async fn connected(target: SocketAddr) -> io::Result<UdpSocket> {
    let any = if target.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(target).await?;
    Ok(socket)
}

/// Passes the node's answers back to one source, until both were silent for long.
async fn give_back(
    back: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    source: SocketAddr,
    target: SocketAddr,
    control: RelayControl,
) -> SocketAddr {
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        match tokio::time::timeout(FORGET_AFTER, back.recv(&mut buffer)).await {
            Ok(Ok(length)) if control.passes(source, target, length) => {
                drop(front.send_to(&buffer[..length], source).await);
            }
            // Cut, or nobody listens there at the moment.
            Ok(Ok(_) | Err(_)) => {}
            Err(_) => return source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn heard(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
        let mut buffer = [0; 64];
        let received = socket.recv_from(&mut buffer);
        let (length, from) =
            tokio::time::timeout(Duration::from_millis(100), received).await.ok()?.ok()?;
        Some((buffer[..length].to_vec(), from))
    }

    #[tokio::test]
    async fn a_cut_stops_both_directions_and_a_heal_restores_them() {
        let node = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let dialer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let control = RelayControl::new();
        let relay = UdpRelay::start(node.local_addr().unwrap(), control.clone()).await.unwrap();

        dialer.send_to(b"ping", relay.address()).await.unwrap();
        let (ping, seen_as) = heard(&node).await.unwrap();
        assert_eq!(ping, b"ping");
        node.send_to(b"pong!", seen_as).await.unwrap();
        assert_eq!(heard(&dialer).await, Some((b"pong!".to_vec(), relay.address())));
        assert_eq!(control.traffic(), RelayTraffic { datagrams: 2, bytes: 9, dropped: 0 });

        // Either end names the cut.
        for cut in [node.local_addr().unwrap(), dialer.local_addr().unwrap()] {
            control.cut(cut);
            dialer.send_to(b"ping", relay.address()).await.unwrap();
            assert_eq!(heard(&node).await, None);
            node.send_to(b"pong", seen_as).await.unwrap();
            assert_eq!(heard(&dialer).await, None);
            control.heal(cut);
        }
        assert_eq!(control.traffic(), RelayTraffic { datagrams: 2, bytes: 9, dropped: 4 });

        dialer.send_to(b"again", relay.address()).await.unwrap();
        assert_eq!(heard(&node).await, Some((b"again".to_vec(), seen_as)));
    }

    #[tokio::test]
    async fn a_node_that_is_not_there_yet_is_reached_once_it_is() {
        let place = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let dialer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let relay = UdpRelay::start(place, RelayControl::new()).await.unwrap();
        dialer.send_to(b"lost", relay.address()).await.unwrap();
        assert_eq!(heard(&dialer).await, None);
        let node = UdpSocket::bind(place).await.unwrap();
        for _ in 0..3 {
            dialer.send_to(b"ping", relay.address()).await.unwrap();
            if heard(&node).await.is_some_and(|(text, _)| text == b"ping") {
                return;
            }
        }
        panic!("the node was not reached");
    }
}
