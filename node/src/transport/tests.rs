//! Real QUIC on the loopback interface, with short times.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::relay::{RelayControl, UdpRelay};

/// Long enough for a loaded machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

fn key(seed: u8) -> NodeKey {
    NodeKey::from_seed(&[seed; 32])
}

fn members(seeds: &[u8]) -> Members {
    Arc::new(seeds.iter().map(|seed| key(*seed).id()).collect())
}

fn quick() -> TransportConfig {
    TransportConfig {
        idle_timeout: Duration::from_millis(1500),
        keep_alive: Duration::from_millis(200),
        handshake_timeout: Duration::from_secs(2),
        ..TransportConfig::default()
    }
}

/// A node with an inbox and a roster of its own.
struct Node {
    id: NodeId,
    transport: Transport,
    inbox: mpsc::Receiver<TransportEvent>,
    roster: watch::Sender<Members>,
}

impl Node {
    async fn start(seed: u8, roster: &[u8], config: TransportConfig) -> Self {
        Self::start_on("127.0.0.1:0".parse().unwrap(), seed, roster, config, 64).await
    }

    async fn start_on(
        listen: SocketAddr,
        seed: u8,
        roster: &[u8],
        config: TransportConfig,
        capacity: usize,
    ) -> Self {
        let (events, inbox) = mpsc::channel(capacity);
        let (roster, watched) = watch::channel(members(roster));
        let transport = Transport::bind(listen, &key(seed), watched, config, events).await.unwrap();
        Self { id: key(seed).id(), transport, inbox, roster }
    }

    fn address(&self) -> String {
        self.transport.local_addr().to_string()
    }

    async fn next(&mut self) -> TransportEvent {
        tokio::time::timeout(PATIENCE, self.inbox.recv()).await.expect("an event").unwrap()
    }

    async fn silent_for(&mut self, time: Duration) {
        let event = tokio::time::timeout(time, self.inbox.recv()).await;
        assert!(event.is_err(), "{event:?}");
    }

    /// Waits for a link, passing over what comes before it.
    async fn link_up(&mut self) -> (LinkId, NodeId, bool, SocketAddr) {
        loop {
            let event = self.next().await;
            if let TransportEvent::LinkUp { link, peer, dialed, remote, .. } = event {
                return (link, peer, dialed, remote);
            }
            let passing = matches!(
                event,
                // A handshake that the caller gave up during a cut ends here after the heal.
                TransportEvent::LinkSecured { .. } | TransportEvent::Refused { key: None, .. }
            );
            assert!(passing, "{event:?}");
        }
    }

    async fn link_down(&mut self) -> (LinkId, String) {
        loop {
            if let TransportEvent::LinkDown { link, reason, .. } = self.next().await {
                return (link, reason);
            }
        }
    }

    async fn dial_failed(&mut self) -> String {
        loop {
            let event = self.next().await;
            if let TransportEvent::DialFailed { reason, .. } = event {
                return reason;
            }
            assert!(!matches!(event, TransportEvent::LinkUp { .. }), "the dial gave a link");
        }
    }

    async fn refused(&mut self) -> (SocketAddr, Option<NodeId>, String) {
        let event = self.next().await;
        let TransportEvent::Refused { remote, key, reason } = event else { panic!("{event:?}") };
        (remote, key, reason)
    }

    async fn frame(&mut self) -> Vec<u8> {
        loop {
            let event = self.next().await;
            if let TransportEvent::Frame { bytes, .. } = event {
                return bytes;
            }
            assert!(matches!(event, TransportEvent::Sent { .. }), "{event:?}");
        }
    }
}

/// Two members of one network, and the link that the first dialled to the second.
async fn linked(a: &mut Node, b: &mut Node) -> (LinkId, LinkId) {
    a.transport.dial(b.id, vec![b.address()]);
    let (at_a, peer, dialed, remote) = a.link_up().await;
    assert_eq!((peer, dialed, remote), (b.id, true, b.transport.local_addr()));
    let (at_b, peer, dialed, remote) = b.link_up().await;
    assert_eq!((peer, dialed, remote), (a.id, false, a.transport.local_addr()));
    (at_a, at_b)
}

async fn pair(config: TransportConfig) -> (Node, Node, LinkId, LinkId) {
    let mut a = Node::start(1, &[1, 2], config.clone()).await;
    let mut b = Node::start(2, &[1, 2], config).await;
    let (at_a, at_b) = linked(&mut a, &mut b).await;
    (a, b, at_a, at_b)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_of_all_lengths_arrive_in_order_both_ways() {
    let (mut a, mut b, at_a, at_b) = pair(quick()).await;
    let frames: Vec<Vec<u8>> = [0_usize, 1, 150, 65_535, 0, 65_536, 1 << 20, 3]
        .map(|length| vec![length.to_le_bytes()[0]; length])
        .into();
    for frame in &frames {
        a.transport.send(at_a, frame.clone()).unwrap();
        b.transport.send(at_b, frame.clone()).unwrap();
    }
    for frame in &frames {
        assert!(a.frame().await == *frame);
        assert!(b.frame().await == *frame);
    }
    let stats = a.transport.link_stats();
    let payload: u64 = frames.iter().map(|frame| frame.len() as u64 + 4).sum::<u64>() + 1;
    assert_eq!((stats.len(), stats[0].link, stats[0].peer), (1, at_a, b.id));
    assert_eq!((stats[0].payload_sent, stats[0].payload_received), (payload, payload));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_frame_is_reported_as_sent_and_a_close_tells_the_reason() {
    let (mut a, mut b, at_a, at_b) = pair(quick()).await;
    a.transport.send(at_a, vec![7; 40]).unwrap();
    assert_eq!(a.next().await, TransportEvent::Sent { link: at_a, bytes: 40 });
    assert_eq!(b.frame().await, [7; 40]);
    a.transport.close(at_a, "two links are one too many");
    assert_eq!(a.link_down().await, (at_a, "two links are one too many".to_owned()));
    let closed = "closed by the peer: two links are one too many".to_owned();
    assert_eq!(b.link_down().await, (at_b, closed));
    assert_eq!(a.transport.send(at_a, vec![1]), Err(LinkGone { link: at_a }));
    assert_eq!(b.transport.send(at_b, vec![1]), Err(LinkGone { link: at_b }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_sent_as_soon_as_the_peer_proved_its_key_arrive() {
    let mut a = Node::start(1, &[1, 2], quick()).await;
    let mut b = Node::start(2, &[1, 2], quick()).await;
    a.transport.dial(b.id, vec![b.address()]);
    let TransportEvent::LinkSecured { link, peer } = a.next().await else { panic!("secured") };
    assert_eq!(peer, b.id);
    a.transport.send(link, b"hello".to_vec()).unwrap();
    b.link_up().await;
    assert_eq!(b.frame().await, b"hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_refused_counted_and_named() {
    let mut member = Node::start(1, &[1, 2], quick()).await;
    // The stranger believes that it belongs to the network.
    let mut stranger = Node::start(3, &[1, 2, 3], quick()).await;
    for _ in 0..3 {
        stranger.transport.dial(member.id, vec![member.address()]);
        let reason = stranger.dial_failed().await;
        let id = stranger.id.short();
        assert_eq!(reason, format!("refused by the peer: node {id} is not in the roster"));
    }
    let (remote, key, reason) = member.refused().await;
    assert_eq!((remote, key), (stranger.transport.local_addr(), Some(stranger.id)));
    assert_eq!(reason, format!("node {} is not in the roster", stranger.id.short()));
    // Told for the second time, not for the third.
    member.refused().await;
    member.silent_for(Duration::from_millis(100)).await;
    assert_eq!(member.transport.refusals(), BTreeMap::from([(Some(stranger.id), 3)]));
    assert!(member.transport.link_stats().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dial_that_finds_another_node_fails() {
    let mut a = Node::start(1, &[1, 2, 3], quick()).await;
    let mut c = Node::start(3, &[1, 2, 3], quick()).await;
    let expected = key(2).id();
    a.transport.dial(expected, vec![c.address()]);
    let reason = a.dial_failed().await;
    let sentence =
        format!("{}: node {} is there, not node {}", c.address(), c.id.short(), expected.short());
    assert_eq!(reason, sentence);
    // The other side saw a caller that went away.
    let (_, key, reason) = c.refused().await;
    assert_eq!(key, None);
    assert!(reason.starts_with("the caller broke the handshake off: node "), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dial_tries_all_addresses_and_says_what_was_wrong_with_each() {
    let config = TransportConfig { handshake_timeout: Duration::from_secs(1), ..quick() };
    let mut a = Node::start(1, &[1, 2], config.clone()).await;
    let mut b = Node::start(2, &[1, 2], config).await;
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = nobody.local_addr().unwrap().to_string();
    a.transport.dial(b.id, vec!["no port".to_owned(), nobody.clone()]);
    let reason = a.dial_failed().await;
    assert!(reason.starts_with("no port: no such address"), "{reason}");
    assert!(reason.ends_with(&format!("{nobody}: no answer")), "{reason}");
    a.transport.dial(b.id, Vec::new());
    assert_eq!(a.dial_failed().await, "the roster names no address for it");
    // A name, after an address where nobody is.
    let name = format!("localhost:{}", b.transport.local_addr().port());
    a.transport.dial(b.id, vec![nobody, name]);
    assert_eq!(a.link_up().await.1, b.id);
    b.link_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_the_roster_loses_its_link_and_gets_no_other() {
    let (mut a, mut b, at_a, at_b) = pair(quick()).await;
    a.roster.send(members(&[1])).unwrap();
    let reason = format!("node {} is no longer in the roster", b.id.short());
    assert_eq!(a.link_down().await, (at_a, reason.clone()));
    assert_eq!(b.link_down().await, (at_b, format!("closed by the peer: {reason}")));
    b.transport.dial(a.id, vec![a.address()]);
    assert!(b.dial_failed().await.contains("is not in the roster"));
    assert_eq!(a.refused().await.1, Some(b.id));
    // The other way round: we do not dial it either.
    a.transport.dial(b.id, vec![b.address()]);
    let stays_out = format!("{}: node {} is not in the roster", b.address(), b.id.short());
    assert_eq!(a.dial_failed().await, stays_out);
    assert_eq!(b.refused().await.1, None);
    a.roster.send(members(&[1, 2])).unwrap();
    linked(&mut b, &mut a).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_over_the_limit_closes_the_link() {
    let limit = 1000;
    let mut a = Node::start(1, &[1, 2], quick()).await;
    let strict = TransportConfig { frame_max: limit, ..quick() };
    let mut b = Node::start(2, &[1, 2], strict).await;
    let (at_a, at_b) = linked(&mut a, &mut b).await;
    a.transport.send(at_a, vec![1; limit]).unwrap();
    assert_eq!(b.frame().await.len(), limit);
    a.transport.send(at_a, vec![1; limit + 1]).unwrap();
    let reason = "a frame of 1001 bytes is over the limit of 1000".to_owned();
    assert_eq!(b.link_down().await, (at_b, reason.clone()));
    assert_eq!(a.link_down().await, (at_a, format!("closed by the peer: {reason}")));
    // The own limit holds for what is sent, too.
    let (_, at_b) = linked(&mut a, &mut b).await;
    assert_eq!(b.transport.send(at_b, vec![1; limit + 1]), Err(LinkGone { link: at_b }));
    assert_eq!(b.link_down().await, (at_b, reason));
}

/// Speaks the protocol up to the stream, and there says what it likes.
async fn raw_stream(a: &Node, b: &Node, bytes: &[u8], finish: bool) -> quinn::Connection {
    let tls = Arc::new(tls::Tls::new(&key(1), a.roster.subscribe()).unwrap());
    let listen = "127.0.0.1:0".parse().unwrap();
    let quic = quic::Quic::bind(listen, &key(1), &tls, &quick()).unwrap();
    let dialer =
        dial::Dialer { endpoint: quic.endpoint, tls, transport: quic.transport, timeout: PATIENCE };
    let connection = dialer.dial(b.id, vec![b.address()]).await.unwrap();
    let mut stream = connection.open_uni().await.unwrap();
    stream.write_all(bytes).await.unwrap();
    if finish {
        stream.finish().unwrap();
        // Dropping a finished stream delivers it.
        drop(stream);
    } else {
        stream.reset(9_u32.into()).unwrap();
    }
    connection
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_stream_closes_the_connection_with_a_reason() {
    let a = Node::start(1, &[1, 2], quick()).await;
    let mut b = Node::start(2, &[1, 2], quick()).await;
    for (bytes, reason) in [
        (&b"\x01\x00\x00\x00\x05cut"[..], "the stream ended in the middle of a frame"),
        (b"\x01\x00\x00", "the stream ended in the middle of a frame"),
        (b"", "the stream ended in the middle of a frame"),
        (b"\x02", "the stream begins with 2, which is no format that this version knows"),
        (b"\x01\xff\xff\xff\xff", "a frame of 4294967295 bytes is over the limit of 4259840"),
        (b"\x01\x00\x00\x00\x01x", "the peer ended its stream"),
    ] {
        let connection = raw_stream(&a, &b, bytes, true).await;
        b.link_up().await;
        assert_eq!(b.link_down().await.1, reason);
        let quinn::ConnectionError::ApplicationClosed(close) = connection.closed().await else {
            panic!("closed otherwise")
        };
        assert_eq!(close.reason, reason.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_may_open_one_stream_and_no_other() {
    let a = Node::start(1, &[1, 2], quick()).await;
    let mut b = Node::start(2, &[1, 2], quick()).await;
    let connection = raw_stream(&a, &b, b"\x01", false).await;
    b.link_up().await;
    let more = tokio::time::timeout(Duration::from_millis(100), connection.open_bi()).await;
    assert!(more.is_err() || more.unwrap().is_err());
    assert!(connection.max_datagram_size().is_none());
    assert!(b.link_down().await.1.starts_with("the peer gave its stream up"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_stops_the_sender_and_no_other_link() {
    const FRAME: usize = 10_000;
    let config = TransportConfig {
        receive_window: 64 << 10,
        send_window: 64 << 10,
        queue_max: 4 << 20,
        ..quick()
    };
    let mut a = Node::start(1, &[1, 2, 3], config.clone()).await;
    let any = "127.0.0.1:0".parse().unwrap();
    // Two events fill this inbox: `LinkUp` and a frame.
    let mut b = Node::start_on(any, 2, &[1, 2, 3], config.clone(), 2).await;
    let mut c = Node::start(3, &[1, 2, 3], config).await;
    a.transport.dial(b.id, vec![b.address()]);
    let at_a = a.link_up().await.0;
    for number in 0..200_u8 {
        a.transport.send(at_a, vec![number; FRAME]).unwrap();
    }
    let mut sent = 0;
    while let Ok(event) = tokio::time::timeout(Duration::from_millis(500), a.inbox.recv()).await {
        assert_eq!(event, Some(TransportEvent::Sent { link: at_a, bytes: FRAME }));
        sent += 1;
    }
    // Two windows, the inbox and the frame in the reader's hands; not the 200 that wait.
    assert!((5..25).contains(&sent), "{sent} frames were taken although nobody reads");
    // The link is idle only on the surface, and another one of the same node works.
    let (to_c, _) = linked(&mut a, &mut c).await;
    a.transport.send(to_c, vec![5; 5]).unwrap();
    assert_eq!(c.frame().await, [5; 5]);
    // The reader comes back, and nothing is missing. `a` has to be read as well.
    let drain = tokio::spawn(async move {
        while a.inbox.recv().await.is_some() {}
        a
    });
    b.link_up().await;
    for number in 0..200_u8 {
        assert!(b.frame().await == vec![number; FRAME]);
    }
    drain.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_over_its_bound_closes_the_link() {
    let config = TransportConfig { queue_max: 1 << 20, send_window: 64 << 10, ..quick() };
    let mut a = Node::start(1, &[1, 2], config.clone()).await;
    let any = "127.0.0.1:0".parse().unwrap();
    let config = TransportConfig { receive_window: 64 << 10, ..config };
    let b = Node::start_on(any, 2, &[1, 2], config, 1).await;
    a.transport.dial(b.id, vec![b.address()]);
    let at_a = a.link_up().await.0;
    let gone = (0..200).find(|_| a.transport.send(at_a, vec![0; 10_000]).is_err());
    assert!(gone.is_some_and(|number| number >= 100), "{gone:?}");
    let reason = a.link_down().await.1;
    assert!(reason.starts_with("the peer reads too slowly: 1"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_takes_the_link_down_and_after_a_heal_a_dial_succeeds() {
    let mut a = Node::start(1, &[1, 2], quick()).await;
    let mut b = Node::start(2, &[1, 2], quick()).await;
    let control = RelayControl::new();
    let before_a = UdpRelay::start(a.transport.local_addr(), control.clone()).await.unwrap();
    let before_b = UdpRelay::start(b.transport.local_addr(), control.clone()).await.unwrap();
    a.transport.dial(b.id, vec![before_b.address().to_string()]);
    a.link_up().await;
    b.link_up().await;

    control.cut(a.transport.local_addr());
    for node in [&mut a, &mut b] {
        let reason = node.link_down().await.1;
        assert_eq!(reason, "no answer: the peer or the way to it is down");
    }
    // Cut in both directions.
    b.transport.dial(a.id, vec![before_a.address().to_string()]);
    assert!(b.dial_failed().await.contains("no answer"));

    control.heal(a.transport.local_addr());
    b.transport.dial(a.id, vec![before_a.address().to_string()]);
    let link = b.link_up().await.0;
    let at_a = a.link_up().await.0;
    a.transport.send(at_a, b"again".to_vec()).unwrap();
    b.transport.send(link, b"again".to_vec()).unwrap();
    assert_eq!(b.frame().await, b"again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_crashed_and_came_back_ends_the_old_links_at_once() {
    // The idle timeout is far away: it cannot be what ends the link.
    let config = TransportConfig {
        idle_timeout: Duration::from_secs(600),
        keep_alive: Duration::from_millis(100),
        ..quick()
    };
    let mut a = Node::start(1, &[1, 2], config.clone()).await;
    let mut b = Node::start(2, &[1, 2], config.clone()).await;
    let control = RelayControl::new();
    let relay = UdpRelay::start(b.transport.local_addr(), control.clone()).await.unwrap();
    a.transport.dial(b.id, vec![relay.address().to_string()]);
    a.link_up().await;
    b.link_up().await;
    // What a crash looks like from outside: silence, and then a node that knows nothing.
    let place = b.transport.local_addr();
    control.cut(place);
    b.transport.shutdown().await;
    drop(b);
    let b = Node::start_on(place, 2, &[1, 2], config, 64).await;
    control.heal(place);
    assert_eq!(a.link_down().await.1, "the peer has restarted");
    drop(b);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_gets_only_so_many_links() {
    let config = TransportConfig { max_links_per_peer: 2, ..quick() };
    let (mut a, mut b, _, _) = pair(config).await;
    linked(&mut b, &mut a).await;
    a.transport.dial(b.id, vec![b.address()]);
    assert_eq!(a.dial_failed().await, "there are 2 links between us already");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_tells_the_peers_and_frees_the_port() {
    let (a, mut b, at_a, at_b) = pair(quick()).await;
    let place = a.transport.local_addr();
    a.transport.shutdown().await;
    assert_eq!(b.link_down().await, (at_b, "closed by the peer: the node shuts down".to_owned()));
    assert!(a.transport.send(at_a, vec![1]).is_err());
    assert!(a.transport.link_stats().is_empty());
    drop(std::net::UdpSocket::bind(place).unwrap());
    a.transport.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_and_a_foreign_address_are_said_in_a_sentence() {
    let a = Node::start(1, &[1], quick()).await;
    let refused = async |listen: SocketAddr, config| {
        let (events, _inbox) = mpsc::channel::<TransportEvent>(1);
        let roster = a.roster.subscribe();
        Transport::bind(listen, &key(1), roster, config, events).await.unwrap_err().to_string()
    };
    let port = a.transport.local_addr().port();
    let taken = refused(a.transport.local_addr(), quick()).await;
    assert_eq!(
        taken,
        format!(
            "UDP port {port} on 127.0.0.1 is taken by another program, perhaps by this node running \
             already: stop it or choose another port"
        )
    );
    let foreign = refused("192.0.2.1:0".parse().unwrap(), quick()).await;
    assert!(foreign.starts_with("192.0.2.1 is not an address of this machine"), "{foreign}");
    let config = TransportConfig { keep_alive: Duration::from_secs(60), ..quick() };
    let settings = refused("127.0.0.1:0".parse().unwrap(), config).await;
    assert!(settings.contains("keep_alive must be shorter than idle_timeout"), "{settings}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ipv6_works_and_sees_ipv4_callers_as_such() {
    if std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        // No IPv6 on this machine.
        return;
    }
    let mut a = Node::start_on((Ipv6Addr::LOCALHOST, 0).into(), 1, &[1, 2, 3], quick(), 64).await;
    let mut b = Node::start_on((Ipv6Addr::LOCALHOST, 0).into(), 2, &[1, 2, 3], quick(), 64).await;
    linked(&mut a, &mut b).await;
    // A node that listens everywhere, called over IPv4.
    let mut c = Node::start_on((Ipv6Addr::UNSPECIFIED, 0).into(), 3, &[1, 2, 3], quick(), 64).await;
    let mut d = Node::start(2, &[1, 2, 3], quick()).await;
    let place = SocketAddr::from((Ipv4Addr::LOCALHOST, c.transport.local_addr().port()));
    d.transport.dial(c.id, vec![place.to_string()]);
    d.link_up().await;
    assert_eq!(c.link_up().await.3, d.transport.local_addr());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_that_stopped_reading_does_not_hold_a_shutdown_up() {
    let mut a = Node::start(1, &[1, 2], quick()).await;
    let any = "127.0.0.1:0".parse().unwrap();
    let b = Node::start_on(any, 2, &[1, 2], quick(), 1).await;
    a.transport.dial(b.id, vec![b.address()]);
    let at_a = a.link_up().await.0;
    for _ in 0..10 {
        a.transport.send(at_a, vec![1]).unwrap();
    }
    tokio::time::timeout(PATIENCE, b.transport.shutdown()).await.unwrap();
}

/// What one contact costs on the wire: figures for the documents, and a bound against surprises.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_small_frames_cost_little_beyond_the_handshake() {
    let config = TransportConfig::default();
    let (mut a, mut b, at_a, at_b) = pair(config).await;
    a.transport.send(at_a, vec![1; 150]).unwrap();
    assert_eq!(b.frame().await.len(), 150);
    b.transport.send(at_b, vec![2; 150]).unwrap();
    assert_eq!(a.frame().await.len(), 150);
    // Until the acknowledgements are through.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let stats = &a.transport.link_stats()[0];
    assert_eq!(stats.payload_sent + stats.payload_received, 2 * (1 + 4 + 150));
    let udp = stats.udp_sent + stats.udp_received;
    assert!(udp < 9_000, "{stats:?}");
}

#[tokio::test]
async fn a_dial_of_many_silent_addresses_ends_in_time() {
    let config = TransportConfig { handshake_timeout: Duration::from_millis(200), ..quick() };
    let mut node = Node::start(1, &[1, 2], config).await;
    let silent: Vec<std::net::UdpSocket> =
        (0..8).map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let addresses = silent.iter().map(|socket| socket.local_addr().unwrap().to_string());
    let started = tokio::time::Instant::now();
    node.transport.dial(key(2).id(), addresses.collect());
    let TransportEvent::DialFailed { reason, .. } = node.next().await else { panic!("no failure") };
    assert!(reason.ends_with("no time was left for its other addresses"), "{reason}");
    assert!(started.elapsed() < Duration::from_millis(1_400), "{:?}", started.elapsed());
}
