//! QUIC settings of the endpoint and its connections: what a peer may make us hold, and for how long.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quinn::congestion::CubicConfig;
use quinn::crypto::{CryptoError, HmacKey};
use quinn::{
    ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, IdleTimeout, MtuDiscoveryConfig,
    ServerConfig, TokioRuntime, VarInt,
};
use socket2::SockRef;

use super::tls::Tls;
use super::{BindError, TransportConfig};
use crate::identity::NodeKey;

/// More than half the way from the least to the largest packet that quinn looks for, so that the first
/// probe tries the largest, which is right on nearly all paths. The default bisects, with five probes
/// of 1.4 kB from each side on each reconnect.
const MTU_STEP: u16 = 127;

/// Bytes of packets that the system keeps until we read them. The usual 200 kB are less than one burst
/// of a fast peer: over loopback one in thirteen packets was lost and sent again.
const RECEIVE_BUFFER: usize = 4 << 20;

/// One endpoint for dialling and accepting: a node dials from the port on which it listens.
pub(super) struct Quic {
    pub(super) endpoint: Endpoint,
    /// Settings of all connections.
    pub(super) transport: Arc<quinn::TransportConfig>,
    /// Base of the settings of accepted connections; each handshake gets its own TLS part.
    pub(super) server: ServerConfig,
}

impl Quic {
    pub(super) fn bind(
        listen: SocketAddr,
        key: &NodeKey,
        tls: &Tls,
        config: &TransportConfig,
    ) -> Result<Self, BindError> {
        let transport = Arc::new(transport_config(config)?);
        let mut server = ServerConfig::with_crypto(Arc::new(tls.server(&tls.gate(None))?));
        server.transport_config(Arc::clone(&transport)).max_incoming(config.max_incoming);

        let socket = UdpSocket::bind(listen).map_err(|source| refused(listen, source))?;
        // The system gives as much of it as it allows; with less, more packets are sent twice.
        drop(SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER));
        let endpoint = Endpoint::new(
            endpoint_config(key)?,
            Some(server.clone()),
            socket,
            Arc::new(TokioRuntime),
        )
        .map_err(|source| BindError::Socket { listen, source })?;
        Ok(Self { endpoint, transport, server })
    }
}

fn refused(listen: SocketAddr, source: io::Error) -> BindError {
    let kind = source.kind();
    if kind == io::ErrorKind::AddrInUse {
        BindError::PortTaken { listen }
    } else if kind == io::ErrorKind::AddrNotAvailable {
        BindError::NotOurAddress { listen }
    } else {
        BindError::Socket { listen, source }
    }
}

fn transport_config(config: &TransportConfig) -> Result<quinn::TransportConfig, BindError> {
    let wrong = |reason| BindError::Config { reason };
    if u32::try_from(config.frame_max).is_err() {
        return Err(wrong("frame_max must be below 4 GiB"));
    }
    if config.keep_alive >= config.idle_timeout {
        return Err(wrong("keep_alive must be shorter than idle_timeout"));
    }
    let idle = IdleTimeout::try_from(config.idle_timeout)
        .map_err(|_| wrong("idle_timeout is longer than QUIC can say"))?;
    let mut congestion = CubicConfig::default();
    congestion.initial_window(config.initial_window.into());

    let mut mtu = MtuDiscoveryConfig::default();
    mtu.minimum_change(MTU_STEP);

    let mut transport = quinn::TransportConfig::default();
    transport
        // Each side opens one stream and keeps it.
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(1))
        .stream_receive_window(config.receive_window.into())
        .receive_window(config.receive_window.into())
        .send_window(config.send_window.into())
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(config.keep_alive))
        .mtu_discovery_config(Some(mtu))
        .congestion_controller_factory(Arc::new(congestion));
    Ok(transport)
}

fn endpoint_config(key: &NodeKey) -> Result<EndpointConfig, BindError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|source| BindError::Random { source })?;
    let issued = Arc::new(AtomicU64::new(0));
    let mut config = EndpointConfig::new(Arc::new(ResetKey(
        key.derive_secret("concord 2026 QUIC stateless reset key"),
    )));
    config.cid_generator(move || Box::new(ConnectionIds { seed, issued: Arc::clone(&issued) }));
    Ok(config)
}

/// Signs stateless resets. It is the same after every start of a node, so that a node that crashed and
/// came back can tell its peers at once that their old links are dead; otherwise they would wait for
/// the idle timeout.
struct ResetKey([u8; 32]);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        let signature = blake3::keyed_hash(&self.0, data);
        signature_out.copy_from_slice(signature.as_bytes());
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        // Comparing two `Hash` takes the same time whatever they hold.
        let signature = blake3::Hash::from_slice(signature).map_err(|_| CryptoError)?;
        if blake3::keyed_hash(&self.0, data) == signature { Ok(()) } else { Err(CryptoError) }
    }
}

/// Unpredictable connection ids, never the same in two runs. Quinn's own ones are marked with a key of
/// the process, and a packet with a foreign mark gets no stateless reset.
struct ConnectionIds {
    seed: [u8; 32],
    issued: Arc<AtomicU64>,
}

impl ConnectionIds {
    const LENGTH: usize = 8;
}

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let id = blake3::keyed_hash(&self.seed, &number.to_le_bytes());
        ConnectionId::new(&id.as_bytes()[..Self::LENGTH])
    }

    fn cid_len(&self) -> usize {
        Self::LENGTH
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}
