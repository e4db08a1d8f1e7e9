//! TLS 1.3 with raw public keys (RFC 7250): who is at the other end, and may it be there? No
//! certificates, no names, no resumption, no early data.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme,
};
use tokio::sync::watch;

use super::{BindError, Members};
use crate::identity::NodeKey;
use crate::replica::node_id::NodeId;

/// The protocol of the links, version included; a node that speaks another is refused by TLS.
const ALPN: &[u8] = b"concord/1";

/// The SubjectPublicKeyInfo (RFC 8410) of an Ed25519 key is this prefix and the 32 bytes of the key.
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Makes the TLS settings of each handshake from the key of this node and the current members.
#[derive(Debug)]
pub(super) struct Tls {
    provider: Arc<CryptoProvider>,
    key: Arc<CertifiedKey>,
    members: watch::Receiver<Members>,
}

impl Tls {
    pub(super) fn new(key: &NodeKey, members: watch::Receiver<Members>) -> Result<Self, BindError> {
        let der = PrivatePkcs8KeyDer::from(key.pkcs8_der());
        let signer = rustls::crypto::ring::sign::any_eddsa_type(&der).map_err(refused)?;
        let mut spki = SPKI_PREFIX.to_vec();
        spki.extend_from_slice(key.id().as_bytes());
        Ok(Self {
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            key: Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], signer)),
            members,
        })
    }

    /// Settings for one handshake that a stranger or a member began.
    pub(super) fn server(
        &self,
        gate: &Arc<Gate>,
    ) -> Result<quinn::crypto::rustls::QuicServerConfig, BindError> {
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(refused)?
            .with_client_cert_verifier(Arc::clone(gate) as Arc<dyn ClientCertVerifier>)
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::clone(
                &self.key,
            ))));
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Nobody comes back on an old proof: a member may have been revoked since.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_early_data_size = 0;
        quinn::crypto::rustls::QuicServerConfig::try_from(config).map_err(refused)
    }

    /// Settings for one handshake that we begin.
    pub(super) fn client(
        &self,
        gate: &Arc<Gate>,
    ) -> Result<quinn::crypto::rustls::QuicClientConfig, BindError> {
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(refused)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(gate) as Arc<dyn ServerCertVerifier>)
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
                Arc::clone(&self.key),
            )));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        config.enable_sni = false;
        quinn::crypto::rustls::QuicClientConfig::try_from(config).map_err(refused)
    }

    /// A gate for one handshake: any member, or just the one that was dialled.
    pub(super) fn gate(&self, expected: Option<NodeId>) -> Arc<Gate> {
        Arc::new(Gate { members: self.members.clone(), expected, turned_away: OnceLock::new() })
    }

    /// Whether a node is a member now. A handshake may have begun under an older roster.
    pub(super) fn is_member(&self, node: &NodeId) -> bool {
        self.members.borrow().contains(node)
    }
}

/// Who proved its key and was turned away, and why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub(super) struct TurnedAway {
    pub(super) key: NodeId,
    pub(super) reason: String,
}

/// Decides one handshake. It looks at the roster after the signature was verified and not before, so
/// that a refusal never names somebody whose key was only copied.
#[derive(Debug)]
pub(super) struct Gate {
    members: watch::Receiver<Members>,
    expected: Option<NodeId>,
    turned_away: OnceLock<TurnedAway>,
}

impl Gate {
    /// Why the handshake failed, if it failed here.
    pub(super) fn turned_away(&self) -> Option<&TurnedAway> {
        self.turned_away.get()
    }

    fn check(
        &self,
        message: &[u8],
        spki: &CertificateDer<'_>,
        proof: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = node_of(spki).ok_or(CertificateError::BadEncoding)?;
        let signed = <&[u8; 64]>::try_from(proof.signature())
            .is_ok_and(|signature| key.verify(message, signature));
        if proof.scheme != SignatureScheme::ED25519 || !signed {
            return Err(CertificateError::BadSignature.into());
        }
        let reason = match self.expected {
            Some(expected) if expected != key => {
                format!("node {} is there, not node {}", key.short(), expected.short())
            }
            Some(_) | None if self.members.borrow().contains(&key) => {
                return Ok(HandshakeSignatureValid::assertion());
            }
            Some(_) | None => format!("node {} is not in the roster", key.short()),
        };
        let away = self.turned_away.get_or_init(|| TurnedAway { key, reason });
        Err(rustls::Error::Other(OtherError(Arc::new(away.clone()))))
    }
}

impl ClientCertVerifier for Gate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        // The proof follows; `check` decides.
        node_of(end_entity).ok_or(CertificateError::BadEncoding)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ServerCertVerifier for Gate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // The proof follows; `check` decides.
        node_of(end_entity).ok_or(CertificateError::BadEncoding)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// The node at the other end of a connection whose handshake is complete.
pub(super) fn peer_of(connection: &quinn::Connection) -> Option<NodeId> {
    let keys = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    node_of(keys.first()?)
}

fn node_of(spki: &CertificateDer<'_>) -> Option<NodeId> {
    let key = spki.as_ref().strip_prefix(&SPKI_PREFIX)?;
    key.try_into().ok().map(NodeId::from_bytes)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` wants")]
fn refused(error: impl ToString) -> BindError {
    BindError::Tls { reason: error.to_string() }
}
