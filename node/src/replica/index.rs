//! The indexes of the golden records: by what customers are found, who uses a code, who has an issue.
//!
//! An entry is a key without a value that ends with the record. Where many came together they stand in
//! runs ([`Runs`]), otherwise by themselves; who reads them here need not know. Indexes are a cache:
//! `concord verify` derives them again. `docs/decisions/0020-index-runs.md` tells why they are so.

mod block;
mod change;
mod keys;
mod runs;
#[cfg(test)]
mod tests;

use super::layout;
use super::state::State;
use crate::kv::{ReadError, View};

pub(super) use self::change::Changes;
pub(super) use self::keys::is_in_runs;
pub use self::keys::{Lookup, index_keys};
pub use self::runs::Runs;

/// How often a reader begins anew because a merge moved entries under its hands.
const TRIES_MAX: usize = 16;
/// Blocks read at a time.
const PAGE_BLOCKS: usize = 4;

/// The indexes, for reading.
#[derive(Clone, Copy)]
pub struct Index<'a>(&'a dyn View);

impl std::fmt::Debug for Index<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").finish_non_exhaustive()
    }
}

impl<'a> Index<'a> {
    /// The indexes of a store.
    #[must_use]
    pub const fn new(view: &'a dyn View) -> Self {
        Self(view)
    }

    /// Up to `limit` entries that start with `prefix` and are `>= from`, ascending.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a block is damaged.
    pub fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, ReadError> {
        if !is_in_runs(prefix) {
            return self.single(prefix, from, limit);
        }
        let mut runs = self.runs()?;
        for _ in 1..TRIES_MAX {
            let found = self.among(&runs, prefix, from, limit)?;
            let now = self.runs()?;
            if now.moves == runs.moves {
                return Ok(found);
            }
            runs = now;
        }
        self.among(&runs, prefix, from, limit)
    }

    /// Whether an entry is there.
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub fn contains(&self, key: &[u8]) -> Result<bool, ReadError> {
        Ok(self.scan(key, key, 1)?.first().is_some_and(|found| found == key))
    }

    fn runs(&self) -> Result<Runs, ReadError> {
        let Some(bytes) = self.0.get(layout::STATE)? else { return Ok(Runs::default()) };
        let state = State::decode(&bytes).map_err(|_| ReadError::damaged(layout::STATE))?;
        Ok(state.runs)
    }

    fn single(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, ReadError> {
        let pairs = self.0.scan(prefix, from, limit)?;
        Ok(pairs.into_iter().map(|(key, _)| key).collect())
    }

    fn among(
        &self,
        runs: &Runs,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, ReadError> {
        let mut found = self.single(prefix, from, limit)?;
        for run in runs.all() {
            self.gather(run, prefix, from, limit, &mut found)?;
        }
        found.sort();
        found.truncate(limit);
        Ok(found)
    }

    /// Adds up to `limit` entries of a run.
    fn gather(
        &self,
        run: u64,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
        found: &mut Vec<Vec<u8>>,
    ) -> Result<(), ReadError> {
        let start = from.max(prefix);
        let enough = found.len().saturating_add(limit);
        let blocks = layout::run_prefix(run);
        let mut at = layout::block_key(run, start);
        loop {
            let page = self.0.scan(&blocks, &at, PAGE_BLOCKS)?;
            for (stored, block) in &page {
                let entries = block::read(block).map_err(|_| ReadError::damaged(stored))?;
                for key in entries.into_iter().filter(|key| key.as_slice() >= start) {
                    if !key.starts_with(prefix) || found.len() == enough {
                        return Ok(());
                    }
                    found.push(key);
                }
            }
            match page.last() {
                Some((stored, _)) if page.len() == PAGE_BLOCKS => {
                    at = [stored.as_slice(), &[0]].concat();
                }
                Some(_) | None => return Ok(()),
            }
        }
    }
}
