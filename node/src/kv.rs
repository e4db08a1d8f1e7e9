//! Ordered keys and values: what the pure core sees of a store. No engine, no disk.

use std::collections::BTreeMap;
use std::ops::Bound;

/// One change to a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// The key has this value from now on.
    Put(Vec<u8>, Vec<u8>),
    /// The key is gone.
    Delete(Vec<u8>),
}

impl Op {
    /// The key that is changed.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        match self {
            Self::Put(key, _) | Self::Delete(key) => key,
        }
    }
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Why something could not be read. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A stored value is not what was written. Wrong bytes are never served.
    #[error("the value under key {key} is damaged; stop the node and run `concord verify`")]
    Damaged {
        /// The key: its kind as a letter, the rest in hexadecimal.
        key: String,
    },
    /// The engine or the disk failed.
    #[error("the store cannot be read: {0}")]
    Io(String),
}

impl ReadError {
    /// The value under `key` is damaged.
    #[must_use]
    pub fn damaged(key: &[u8]) -> Self {
        let (kind, rest) = key.split_first().unwrap_or((&b'?', &[]));
        let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self::Damaged { key: format!("{}/{rest}", kind.escape_ascii()) }
    }
}

/// A synchronous read-only view of keys and values.
pub trait View {
    /// The value of a key.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or the value is damaged.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError>;

    /// Up to `limit` pairs whose key starts with `prefix` and is at least `from`, ascending.
    ///
    /// # Errors
    /// As [`View::get`].
    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, ReadError>;

    /// The pair with the greatest key that starts with `prefix`.
    ///
    /// # Errors
    /// As [`View::get`].
    fn last(&self, prefix: &[u8]) -> Result<Option<Pair>, ReadError>;
}

/// Keys and values in memory: the disk of the simulator, and of tests of pure code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory(BTreeMap<Vec<u8>, Vec<u8>>);

impl Memory {
    /// Makes changes, all of them.
    pub fn apply(&mut self, ops: &[Op]) {
        for op in ops {
            match op {
                Op::Put(key, value) => {
                    self.0.insert(key.clone(), value.clone());
                }
                Op::Delete(key) => {
                    self.0.remove(key);
                }
            }
        }
    }
}

impl View for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, ReadError> {
        let range = range_of(&self.0, prefix, from);
        Ok(range.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<Pair>, ReadError> {
        let (from, to) = within(prefix);
        let last = self.0.range::<[u8], _>((from, to.as_ref().map(Vec::as_slice))).next_back();
        Ok(last.map(|(key, value)| (key.clone(), value.clone())))
    }
}

/// A view plus changes that it does not have yet.
pub struct Overlay<'a> {
    base: &'a dyn View,
    /// None: deleted.
    pending: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl std::fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

impl<'a> Overlay<'a> {
    /// A view that shows what `base` shows.
    #[must_use]
    pub fn new(base: &'a dyn View) -> Self {
        Self { base, pending: BTreeMap::new() }
    }

    /// Shows these changes from now on, on top of those before.
    pub fn apply(&mut self, ops: &[Op]) {
        for op in ops {
            let (key, value) = match op {
                Op::Put(key, value) => (key, Some(value.clone())),
                Op::Delete(key) => (key, None),
            };
            self.pending.insert(key.clone(), value);
        }
    }

    /// How many keys are changed on top of the base.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether nothing is changed on top of the base.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// The changes on top of the base, each key once, in the order of the keys.
    #[must_use]
    pub fn into_ops(self) -> Vec<Op> {
        let op = |(key, value)| match value {
            Some(value) => Op::Put(key, value),
            None => Op::Delete(key),
        };
        self.pending.into_iter().map(op).collect()
    }

    /// How many of these pairs of the base are deleted on top of it.
    fn deleted_among(&self, pairs: &[Pair]) -> usize {
        pairs.iter().filter(|(key, _)| matches!(self.pending.get(key), Some(None))).count()
    }
}

impl View for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        match self.pending.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(key),
        }
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, ReadError> {
        // Deleted pairs of the base take room in its page: ask for as many more.
        let mut ask = limit;
        let base = loop {
            let base = self.base.scan(prefix, from, ask)?;
            let shown = base.len() - self.deleted_among(&base);
            if shown >= limit || base.len() < ask {
                break base;
            }
            ask = ask.saturating_add(limit - shown).saturating_add(ask / 2);
        };
        let mut merged: BTreeMap<Vec<u8>, Option<Vec<u8>>> =
            base.into_iter().map(|(key, value)| (key, Some(value))).collect();
        for (key, value) in range_of(&self.pending, prefix, from) {
            merged.insert(key.clone(), value.clone());
        }
        let shown = merged.into_iter().filter_map(|(key, value)| Some((key, value?)));
        Ok(shown.take(limit).collect())
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<Pair>, ReadError> {
        let (from, to) = within(prefix);
        let mut pending = self.pending.range::<[u8], _>((from, to.as_ref().map(Vec::as_slice)));
        let pending =
            pending.rfind(|(_, value)| value.is_some()).map(|(key, value)| (key.clone(), value));
        let pending = pending.and_then(|(key, value)| Some((key, value.clone()?)));
        let base = match self.base.last(prefix)? {
            Some((key, _)) if matches!(self.pending.get(&key), Some(None)) => {
                self.last_not_deleted(prefix)?
            }
            base => base,
        };
        Ok(match (pending, base) {
            (Some(pending), Some(base)) if base.0 > pending.0 => Some(base),
            (Some(pending), _) => Some(pending),
            (None, base) => base,
        })
    }
}

impl Overlay<'_> {
    /// The last pair of the base that is not deleted, when its very last one is.
    fn last_not_deleted(&self, prefix: &[u8]) -> Result<Option<Pair>, ReadError> {
        let all = self.base.scan(prefix, prefix, usize::MAX)?;
        Ok(all.into_iter().rev().find(|(key, _)| !matches!(self.pending.get(key), Some(None))))
    }
}

fn range_of<'a, V>(
    map: &'a BTreeMap<Vec<u8>, V>,
    prefix: &'a [u8],
    from: &[u8],
) -> impl Iterator<Item = (&'a Vec<u8>, &'a V)> {
    let from = from.max(prefix).to_vec();
    map.range(from..).take_while(move |(key, _)| key.starts_with(prefix))
}

/// All keys that could start with `prefix`: from it to the first key after all of them.
fn within(prefix: &[u8]) -> (Bound<&[u8]>, Bound<Vec<u8>>) {
    let mut end = prefix.to_vec();
    while end.last() == Some(&u8::MAX) {
        end.pop();
    }
    match end.last_mut() {
        Some(last) => {
            *last += 1;
            (Bound::Included(prefix), Bound::Excluded(end))
        }
        None => (Bound::Included(prefix), Bound::Unbounded),
    }
}
