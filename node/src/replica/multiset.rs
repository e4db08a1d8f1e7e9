//! An incremental digest over a set: `LtHash16` (Bellare and Micciancio, EUROCRYPT 1997; Lewi et al.,
//! "Securing Update Propagation with Homomorphic Hashing", 2019).
//!
//! Elements are added and removed in any order; equal sets give equal digests, and to find two
//! different sets with one digest is as hard as a lattice problem.

use std::fmt;

use super::commit::Hash;

const LANES: usize = 1_024;

/// The digest of a set under change: 2 KiB of state.
#[derive(Clone, PartialEq, Eq)]
pub struct MultisetHash(Box<[u16; LANES]>);

impl Default for MultisetHash {
    fn default() -> Self {
        Self(Box::new([0; LANES]))
    }
}

impl fmt::Debug for MultisetHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MultisetHash({})", blake3::Hash::from_bytes(self.digest()).to_hex())
    }
}

impl MultisetHash {
    /// Bytes of the stored state.
    pub const STATE_BYTES: usize = 2 * LANES;

    /// Adds an element.
    pub fn add(&mut self, element: &[u8]) {
        self.combine(element, u16::wrapping_add);
    }

    /// Removes an element that was added before.
    pub fn remove(&mut self, element: &[u8]) {
        self.combine(element, u16::wrapping_sub);
    }

    /// The digest of the set.
    #[must_use]
    pub fn digest(&self) -> Hash {
        *blake3::hash(&self.to_bytes()).as_bytes()
    }

    /// The state, to store it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|lane| lane.to_be_bytes()).collect()
    }

    /// The state, from the store; none when it has the wrong length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != Self::STATE_BYTES {
            return None;
        }
        let mut state = Self::default();
        for (lane, pair) in state.0.iter_mut().zip(bytes.chunks_exact(2)) {
            *lane = u16::from_be_bytes([pair[0], pair[1]]);
        }
        Some(state)
    }

    fn combine(&mut self, element: &[u8], operation: fn(u16, u16) -> u16) {
        let mut expanded = [0; Self::STATE_BYTES];
        blake3::Hasher::new_derive_key("concord 2026 multiset element")
            .update(element)
            .finalize_xof()
            .fill(&mut expanded);
        for (lane, pair) in self.0.iter_mut().zip(expanded.chunks_exact(2)) {
            *lane = operation(*lane, u16::from_be_bytes([pair[0], pair[1]]));
        }
    }
}
