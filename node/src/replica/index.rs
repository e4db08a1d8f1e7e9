//! The indexes of the golden records: by what customers are found, who uses a code, who has an issue.
//!
//! An entry is a key without a value that ends with the record. Where many came together they stand in
//! runs ([`Runs`]), otherwise by themselves; who reads them here need not know. Indexes are a cache:
//! `concord verify` derives them again. `docs/decisions/0020-index-runs.md` tells why they are so.

mod block;
mod change;
mod cursor;
mod keys;
mod runs;
#[cfg(test)]
mod tests;

use super::layout;
use super::state::State;
use crate::kv::{ReadError, View};

pub(super) use self::change::Changes;
use self::cursor::{Cursor, OnDamage, Taken};
pub(super) use self::keys::is_in_runs;
pub use self::keys::{Lookup, index_keys};
pub use self::runs::Runs;

/// How often a reader begins anew because a merge moved entries under its hands.
const TRIES_MAX: usize = 16;

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
    /// [`ReadError`] when the store fails, a block is damaged, or merges did not let the reader through.
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
        for _ in 0..TRIES_MAX {
            let found = self.among(&runs, prefix, from, limit)?;
            let now = self.runs()?;
            if now.moves == runs.moves {
                return Ok(found);
            }
            runs = now;
        }
        let reason = "the indexes are being rewritten faster than they can be read; ask again";
        Err(ReadError::Unavailable { reason: reason.to_owned() })
    }

    /// The runs of the store.
    pub(super) fn runs(&self) -> Result<Runs, ReadError> {
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
        let start = prefix.max(from);
        if let Some(upto) = runs.lost_at(prefix, start) {
            return Err(ReadError::damaged(upto));
        }
        let cursors = runs.all().map(|run| Cursor::new(run, start, OnDamage::Fail));
        let mut found = self.merged(cursors.collect(), prefix, start, limit)?;
        found.extend(self.single(prefix, from, limit)?);
        found.sort();
        // What moved while it was read was perhaps met twice.
        found.dedup();
        found.truncate(limit);
        Ok(found)
    }

    /// The first entries of all runs, in order.
    fn merged(
        &self,
        mut cursors: Vec<Cursor>,
        prefix: &[u8],
        start: &[u8],
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, ReadError> {
        let (mut found, mut passed) = (Vec::new(), Taken::default());
        while cursors.iter().any(|cursor| !cursor.is_done()) {
            cursors.iter_mut().try_for_each(|cursor| cursor.fill(self.0))?;
            let upto = cursors.iter().filter_map(Cursor::known_upto).min().cloned();
            let mut known = Vec::new();
            for cursor in &mut cursors {
                cursor.take(upto.as_ref(), &mut known, &mut passed);
            }
            known.sort();
            for key in known.into_iter().filter(|key| key.as_slice() >= start) {
                if !key.starts_with(prefix) || found.len() == limit {
                    return Ok(found);
                }
                found.push(key);
            }
        }
        Ok(found)
    }
}
