//! Dialling one peer: its addresses in turn, until the right node answers. Not when to dial again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{ClientConfig, ConnectError, Connection, Endpoint};
use tokio::time::Instant;

use super::link::describe;
use super::tls::Tls;
use crate::replica::node_id::NodeId;

/// Addresses tried for one peer, and places tried for one name. A roster entry is small; a hostile DNS
/// answer must not make a dial endless.
const MAX_ADDRESSES: usize = 8;

/// A dial as a whole takes at most so many times what one address may take: whoever waits for it does
/// nothing else about the peer.
const MAX_WAITS: u32 = 3;

/// QUIC wants a name; raw public keys ignore it, and it is not sent.
const SERVER_NAME: &str = "concord";

/// What every dial needs.
#[derive(Debug, Clone)]
pub(super) struct Dialer {
    pub(super) endpoint: Endpoint,
    pub(super) tls: Arc<Tls>,
    pub(super) transport: Arc<quinn::TransportConfig>,
    /// For one address, and for looking up one name.
    pub(super) timeout: Duration,
}

impl Dialer {
    /// A connection to the peer, which proved its key; or why there is none, address by address.
    pub(super) async fn dial(
        self,
        peer: NodeId,
        addresses: Vec<String>,
    ) -> Result<Connection, String> {
        let mut failures = Vec::new();
        let end = Instant::now() + self.timeout * MAX_WAITS;
        for address in addresses.iter().take(MAX_ADDRESSES) {
            if Instant::now() >= end {
                failures.push("no time was left for its other addresses".to_owned());
                break;
            }
            let places = match self.look_up(address, end).await {
                Ok(places) => places,
                Err(reason) => {
                    failures.push(format!("{address}: {reason}"));
                    continue;
                }
            };
            for place in places.into_iter().take(MAX_ADDRESSES) {
                if Instant::now() >= end {
                    break;
                }
                match self.connect(peer, place, end).await {
                    Ok(connection) => return Ok(connection),
                    Err(reason) if place.to_string() == *address => {
                        failures.push(format!("{address}: {reason}"));
                    }
                    Err(reason) => failures.push(format!("{address} ({place}): {reason}")),
                }
            }
        }
        if failures.is_empty() {
            failures.push("the roster names no address for it".to_owned());
        }
        Err(failures.join("; "))
    }

    /// When a step that starts now must be done.
    fn deadline(&self, end: Instant) -> Instant {
        end.min(Instant::now() + self.timeout)
    }

    async fn look_up(&self, address: &str, end: Instant) -> Result<Vec<SocketAddr>, String> {
        match tokio::time::timeout_at(self.deadline(end), tokio::net::lookup_host(address)).await {
            Ok(Ok(places)) => Ok(places.collect()),
            Ok(Err(error)) => Err(format!("no such address ({error}): write it as host:port")),
            Err(_) => Err("the name service does not answer".to_owned()),
        }
    }

    async fn connect(
        &self,
        peer: NodeId,
        place: SocketAddr,
        end: Instant,
    ) -> Result<Connection, String> {
        let gate = self.tls.gate(Some(peer));
        let tls = self.tls.client(&gate).map_err(|error| error.to_string())?;
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::clone(&self.transport));
        let connecting = self
            .endpoint
            .connect_with(config, place, SERVER_NAME)
            .map_err(|error| describe_connect(&error))?;
        match tokio::time::timeout_at(self.deadline(end), connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(match gate.turned_away() {
                Some(away) => away.reason.clone(),
                None => describe(&error),
            }),
            Err(_) => Err("no answer".to_owned()),
        }
    }
}

fn describe_connect(error: &ConnectError) -> String {
    match error {
        ConnectError::InvalidRemoteAddress(place) if place.is_ipv6() => {
            "this node listens on IPv4 only and cannot call an IPv6 address".to_owned()
        }
        ConnectError::InvalidRemoteAddress(_) => "nobody can be called there".to_owned(),
        ConnectError::EndpointStopping => "the node shuts down".to_owned(),
        ConnectError::CidsExhausted
        | ConnectError::InvalidServerName(_)
        | ConnectError::NoDefaultClientConfig
        | ConnectError::UnsupportedVersion => error.to_string(),
    }
}
