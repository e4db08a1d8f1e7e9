//! What is surely not in the store, known without a look: a Bloom filter over its keys (Bloom, "Space/time
//! trade-offs in hash coding with allowable errors", CACM 1970).
//!
//! Whoever takes in a new customer asks for much that is not there: its document, whoever else names it,
//! whoever else shows its tax id, and what each of its keys held before. An engine looks for each through
//! its whole tree, and on sled readers wait for the batch that is being written. A filter knows all keys or
//! it knows nothing: it begins with a store that is new or small, and a large one goes without until
//! its content is read anyway.

use fastbloom::AtomicBloomFilter;

use super::disk_store::PAGE;
use super::engine::{Entry, Fault};
use super::totals::Totals;
use crate::kv::{KEY_LISTED, LISTED_TAIL};

/// Keys up to which a store is read when it is opened; that takes some ten milliseconds. Tests have few.
const SMALL: u64 = if cfg!(test) { 500 } else { 10_000 };
/// 16 MiB: at a million customers, which have twelve entries here each, three of a hundred looks are in
/// vain.
const BITS: usize = 1 << 27;
const HASHES: u32 = 4;

/// The filter; `None` knows nothing.
pub(super) struct Filter(Option<AtomicBloomFilter>);

impl Filter {
    /// The filter of an engine with so many entries, which are read by the page, each from a key on. One
    /// that cannot be read to its end knows nothing: who asks for what is damaged is told.
    pub(super) fn of(totals: &Totals, page: impl Fn(&[u8]) -> Result<Vec<Entry>, Fault>) -> Self {
        if totals.keys > SMALL {
            return Self(None);
        }
        let filter = Self(Some(AtomicBloomFilter::with_num_bits(BITS).hashes(HASHES)));
        match filter.read(page) {
            Ok(()) => filter,
            Err(fault) => {
                tracing::warn!(reason = fault.reason(), "the keys of the store cannot all be read");
                Self(None)
            }
        }
    }

    fn read(&self, page: impl Fn(&[u8]) -> Result<Vec<Entry>, Fault>) -> Result<(), Fault> {
        let mut from = Vec::new();
        loop {
            let entries = page(&from)?;
            entries.iter().for_each(|(key, _)| self.add(key));
            match entries.last() {
                Some((key, _)) if entries.len() == PAGE => from = [key, [0].as_slice()].concat(),
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// Notes a key before it is written.
    pub(super) fn add(&self, key: &[u8]) {
        let Some(filter) = &self.0 else { return };
        filter.insert(key);
        if key.first() == Some(&KEY_LISTED)
            && let Some((prefix, _)) = key.split_last_chunk::<LISTED_TAIL>()
        {
            filter.insert(prefix);
        }
    }

    /// Whether surely no such key was ever written, nor one that goes on with what a listed key ends with.
    pub(super) fn lacks(&self, key: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|filter| !filter.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine::Bytes;
    use super::*;

    /// A page of keys with this first byte.
    fn page(first: u8) -> Vec<Entry> {
        let key = |number: usize| Bytes::Owned(vec![first, u8::try_from(number).unwrap()]);
        (0..PAGE).map(|number| (key(number), Bytes::Owned(Vec::new()))).collect()
    }

    #[test]
    fn a_store_that_cannot_be_read_to_its_end_has_a_filter_that_knows_nothing() {
        let whole = Filter::of(&Totals::default(), |from| {
            Ok(if from.is_empty() { page(1) } else { Vec::new() })
        });
        assert!(!whole.lacks(&[1, 7]) && whole.lacks(&[2, 7]));
        let torn = Filter::of(&Totals::default(), |from| match from.is_empty() {
            true => Ok(page(1)),
            false => Err(Fault::Corrupt("a page".to_owned())),
        });
        assert!(!torn.lacks(&[1, 7]) && !torn.lacks(&[2, 7]));
    }
}
