//! A count and a sum over all entries, changed in the same batch as they are.
//!
//! The engine may open after damage to its log with a page of an earlier time in the middle: no error, no
//! wrong byte, but keys are gone and the end of the feed is in place. Only a walk that is compared
//! with these totals notices. Against damage, not against an attacker with access to the disk.

use super::value::{CHECKSUM, Head, decode_head, encode_head};
use crate::kv::KEY_RESERVED;

/// Where the totals are kept. No chunk key: those go on with a length of at most 512.
pub(super) const TOTALS_KEY: &[u8] = &[KEY_RESERVED, 0xFF, b't'];

/// How many keys there are, and the sum of the checksums of their values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) keys: u64,
    sum: u128,
}

/// The checksum in a head; 0 when it is no head, which nobody writes.
fn weight(head: &[u8]) -> u128 {
    match decode_head(head) {
        Some(Head::Inline { checksum, .. } | Head::Chunked { checksum, .. }) => {
            u128::from_be_bytes(checksum)
        }
        None => 0,
    }
}

impl Totals {
    pub(super) fn add(&mut self, head: &[u8]) {
        self.keys = self.keys.wrapping_add(1);
        self.sum = self.sum.wrapping_add(weight(head));
    }

    pub(super) fn remove(&mut self, head: &[u8]) {
        self.keys = self.keys.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(weight(head));
    }

    /// The entry under [`TOTALS_KEY`].
    pub(super) fn entry(self) -> Vec<u8> {
        let bytes = [self.keys.to_be_bytes().as_slice(), &self.sum.to_be_bytes()].concat();
        encode_head(TOTALS_KEY, &bytes)
    }

    /// Reads the value under [`TOTALS_KEY`].
    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let (keys, sum) = value.split_first_chunk::<8>()?;
        let sum: [u8; CHECKSUM] = sum.try_into().ok()?;
        Some(Self { keys: u64::from_be_bytes(*keys), sum: u128::from_be_bytes(sum) })
    }
}
