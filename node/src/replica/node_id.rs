//! The name of a node: its Ed25519 public key. Not the private key, which is `identity::NodeKey`.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};

/// Why a text is not a node id. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a node id: write its 64 lower-case hexadecimal digits")]
pub struct NodeIdError {
    text: String,
}

/// The identity of a node: its Ed25519 public key. Written as 64 lower-case hexadecimal digits.
///
/// Any 32 bytes make a `NodeId`; bytes that are not a point of the curve verify no signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeId([u8; 32]);

impl NodeId {
    /// Takes the public key as it is.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The public key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight digits: enough for a person to tell the nodes of one network apart.
    ///
    /// For display only; never compare or store it.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }

    /// Whether this node signed `message`.
    ///
    /// Strict: keys and signatures of small order are refused, so that a signature proves one
    /// message of one key, and every node gives the same answer.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

impl FromStr for NodeId {
    type Err = NodeIdError;

    fn from_str(text: &str) -> Result<Self, NodeIdError> {
        crdt_model::id::parse_hex(text)
            .map(Self)
            // A hostile text must not flood a log line.
            .ok_or_else(|| NodeIdError { text: text.chars().take(80).collect() })
    }
}

impl TryFrom<String> for NodeId {
    type Error = NodeIdError;

    fn try_from(text: String) -> Result<Self, NodeIdError> {
        text.parse()
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    #[test]
    fn text_and_json_round_trip() {
        let id = NodeId::from_bytes([0xa5; 32]);
        assert_eq!(id.to_string().parse::<NodeId>(), Ok(id));
        assert_eq!(id.short(), "a5a5a5a5");
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{}\"", "a5".repeat(32)));
        assert_eq!(serde_json::from_str::<NodeId>(&json).unwrap(), id);
        for wrong in ["", "a5", &"A5".repeat(32), &"a5".repeat(33), &"g5".repeat(32)] {
            assert!(wrong.parse::<NodeId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_the_key_and_the_message_that_were_signed_verify() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let id = NodeId::from_bytes(key.verifying_key().to_bytes());
        let signature = key.sign(b"commit").to_bytes();
        assert!(id.verify(b"commit", &signature));
        assert!(!id.verify(b"commit ", &signature));
        assert!(!NodeId::from_bytes([7; 32]).verify(b"commit", &signature));
    }

    #[test]
    fn a_key_of_small_order_verifies_nothing() {
        // The neutral element signs every message under the lax rule: R = identity, s = 0.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(!NodeId::from_bytes(neutral).verify(b"anything", &signature));
    }
}
