//! Keys and values as plain data: changes ([`Op`]) and the read-only [`View`] that the pure core reads
//! through.
//!
//! No disk here. [`Memory`] is a view held in memory, [`Overlay`] a view over another one plus changes
//! that are not in it yet. Keys sort as bytes.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// The longest key, in bytes. The shortest is one byte.
pub const KEY_MAX: usize = 512;

/// The first byte that no key may start with: a store keeps its own entries there.
pub const KEY_RESERVED: u8 = 0xFF;

/// The first byte of keys that list things under a prefix: each ends with the [`LISTED_TAIL`] bytes of
/// what it lists, and a store can often say without a look that a prefix has none
/// ([`View::lists_none`]).
pub const KEY_LISTED: u8 = b'x';
/// How many bytes the name of a listed thing has.
pub const LISTED_TAIL: usize = 16;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// One change. Keys have 1 to [`KEY_MAX`] bytes and do not start with [`KEY_RESERVED`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Sets the key to the value, whatever it held.
    Put(Vec<u8>, Vec<u8>),
    /// Removes the key, if it is there.
    Delete(Vec<u8>),
}

impl Op {
    /// The key that changes.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        match self {
            Self::Put(key, _) | Self::Delete(key) => key,
        }
    }

    /// The key, and the value it has afterwards.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, Option<Vec<u8>>) {
        match self {
            Self::Put(key, value) => (key, Some(value)),
            Self::Delete(key) => (key, None),
        }
    }
}

/// Why a read has no answer. Nothing was changed, and no wrong bytes were handed out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The bytes under this key are not the ones that were written.
    #[error(
        "The stored entry {} is damaged: its checksum does not match. Stop the node and run \
         `concord repair`: it makes the store anew from what is sound, and the peers give back the rest.",
        ShowKey(key)
    )]
    Damaged {
        /// The key whose value is damaged.
        key: Vec<u8>,
    },
    /// The store cannot be read at all.
    #[error("The store cannot be read: {reason}. Stop the node and check the disk.")]
    Unavailable {
        /// What the engine or the operating system said.
        reason: String,
    },
}

impl ReadError {
    /// The value under `key` is not the one that was written.
    #[must_use]
    pub fn damaged(key: &[u8]) -> Self {
        Self::Damaged { key: key.to_vec() }
    }
}

/// A key as a person can read it: printable bytes as they are, others escaped, cut at 48 bytes.
#[derive(Debug, Clone, Copy)]
pub struct ShowKey<'a>(pub &'a [u8]);

impl fmt::Display for ShowKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..48).unwrap_or(self.0);
        let more = if shown.len() < self.0.len() { "…" } else { "" };
        write!(f, "\"{}{more}\"", shown.escape_ascii())
    }
}

/// A synchronous, read-only view of keys and values.
///
/// Each call sees one state: never a part of a batch. Two calls may see two states.
pub trait View {
    /// The value of `key`.
    ///
    /// # Errors
    /// When the value is damaged or the store cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError>;

    /// Up to `limit` pairs whose key starts with `prefix` and is `>= from`, ascending.
    ///
    /// # Errors
    /// When a value in the range is damaged (the error names its key, so that a caller may go on
    /// behind it) or the store cannot be read.
    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, ReadError>;

    /// The pair with the greatest key that starts with `prefix`.
    ///
    /// # Errors
    /// When its value is damaged or the store cannot be read.
    fn last(&self, prefix: &[u8]) -> Result<Option<Pair>, ReadError>;

    /// Whether it is known without a look that no key is `prefix`, which starts with [`KEY_LISTED`], and
    /// [`LISTED_TAIL`] bytes more. `false` says nothing.
    fn lists_none(&self, prefix: &[u8]) -> bool {
        let _ = prefix;
        false
    }
}

/// A view held in memory, for the simulator and for tests of pure code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    pairs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Memory {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { pairs: BTreeMap::new() }
    }

    /// Applies the changes in order, all of them.
    pub fn apply(&mut self, ops: &[Op]) {
        for op in ops {
            match op {
                Op::Put(key, value) => {
                    self.pairs.insert(key.clone(), value.clone());
                }
                Op::Delete(key) => {
                    self.pairs.remove(key);
                }
            }
        }
    }

    /// The length of the longest value.
    #[cfg(test)]
    pub(crate) fn longest(&self) -> usize {
        self.pairs.values().map(Vec::len).max().unwrap_or(0)
    }

    /// How many keys it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether it holds no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

impl View for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.pairs.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, ReadError> {
        let range = from_key(&self.pairs, prefix.max(from));
        Ok(range
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<Pair>, ReadError> {
        let (_, found) = last_with_prefix(&self.pairs, prefix, |_| true);
        Ok(found.map(|(key, value)| (key.clone(), value.clone())))
    }
}

/// Keys and the values that they are to have; `None`: they are not to be there.
pub(crate) type Values = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The changes that give keys these values, in the order of the keys.
pub(crate) fn ops_of(values: Values) -> Vec<Op> {
    let op = |(key, value)| match value {
        Some(value) => Op::Put(key, value),
        None => Op::Delete(key),
    };
    values.into_iter().map(op).collect()
}

/// A view over another one plus changes that are not in it yet, as if they were.
///
/// The driver gives it to the pure core while a batch waits for its fsync.
pub struct Overlay<'a> {
    base: &'a dyn View,
    pending: Cow<'a, Values>,
}

impl fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

impl<'a> Overlay<'a> {
    /// A view of `base` without any pending change.
    #[must_use]
    pub fn new(base: &'a dyn View) -> Self {
        Self { base, pending: Cow::Owned(Values::new()) }
    }

    /// A view of `base` as if its keys had these values.
    pub(crate) fn over(base: &'a dyn View, values: &'a Values) -> Self {
        Self { base, pending: Cow::Borrowed(values) }
    }

    /// A view of `base` with changes that were taken out of another one.
    pub(crate) const fn with(base: &'a dyn View, values: Values) -> Self {
        Self { base, pending: Cow::Owned(values) }
    }

    /// The pending changes.
    pub(crate) fn into_values(self) -> Values {
        self.pending.into_owned()
    }

    /// Adds changes on top, in order. The base is not touched.
    pub fn apply(&mut self, ops: &[Op]) {
        self.take(ops.to_vec());
    }

    /// The same with changes that nobody else needs.
    pub fn take(&mut self, ops: Vec<Op>) {
        self.pending.to_mut().extend(ops.into_iter().map(Op::into_parts));
    }

    /// The pending changes, each key once, in the order of the keys.
    #[must_use]
    pub fn into_ops(self) -> Vec<Op> {
        ops_of(self.into_values())
    }

    /// How many keys have a pending change.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The first key at or after `from` that starts with `prefix`.
    fn first_key(&self, prefix: &[u8], from: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.scan(prefix, from, 1)?.pop().map(|(key, _)| key))
    }
}

impl View for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        match self.pending.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(key),
        }
    }

    fn lists_none(&self, prefix: &[u8]) -> bool {
        let mut pending = from_key(&self.pending, prefix);
        let may_list = pending.next().is_some_and(|(key, _)| key.starts_with(prefix));
        !may_list && self.base.lists_none(prefix)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, ReadError> {
        let start = prefix.max(from);
        let mut pending = from_key(&self.pending, start)
            .take_while(|(key, _)| key.starts_with(prefix))
            .peekable();
        let mut base = Pages::new(self.base, prefix, start, limit);
        let mut found = Vec::new();
        while found.len() < limit {
            let base_key = base.peek()?;
            let take_pending = match (pending.peek(), base_key) {
                (None, None) => break,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some((key, _)), Some(base_key)) => key.as_slice() <= base_key.as_slice(),
            };
            if !take_pending {
                found.extend(base.next());
                continue;
            }
            if let Some((key, value)) = pending.next() {
                if base.peek()? == Some(key) {
                    // The pending change hides what the base holds.
                    base.next();
                }
                found.extend(value.as_ref().map(|value| (key.clone(), value.clone())));
            }
        }
        Ok(found)
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<Pair>, ReadError> {
        let (greatest, put) = last_with_prefix(&self.pending, prefix, Option::is_some);
        let put = put.and_then(|(key, value)| Some((key.clone(), value.clone()?)));
        let Some(base) = self.base.last(prefix)? else {
            return Ok(put);
        };
        if greatest.is_none_or(|key| *key < base.0) {
            return Ok(Some(base));
        }
        if let Some(put) = put.filter(|(key, _)| *key >= base.0) {
            return Ok(Some(put));
        }
        // The last key of the base is deleted, and views have no way back from a key: search forward.
        let last = last_key(prefix, |from| self.first_key(prefix, from))?;
        last.map_or(Ok(None), |key| Ok(self.get(&key)?.map(|value| (key, value))))
    }
}

/// The entries at or after `start`.
fn from_key<'m, V>(
    map: &'m BTreeMap<Vec<u8>, V>,
    start: &[u8],
) -> std::collections::btree_map::Range<'m, Vec<u8>, V> {
    map.range::<[u8], _>((std::ops::Bound::Included(start), std::ops::Bound::Unbounded))
}

/// An entry of a map.
type EntryRef<'m, V> = (&'m Vec<u8>, &'m V);

/// The greatest key with the prefix, and the greatest entry with it that is `wanted`.
fn last_with_prefix<'m, V>(
    map: &'m BTreeMap<Vec<u8>, V>,
    prefix: &[u8],
    wanted: impl Fn(&V) -> bool,
) -> (Option<&'m Vec<u8>>, Option<EntryRef<'m, V>>) {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let end = prefix_end(prefix);
    let upper = end.as_deref().map_or(Unbounded, Excluded);
    let mut entries = map.range::<[u8], _>((Included(prefix), upper)).rev().peekable();
    let greatest = entries.peek().map(|(key, _)| *key);
    (greatest, entries.find(|(_, value)| wanted(value)))
}

/// The least key that is greater than every key with the prefix; `None` if there is no such key.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|byte| *byte < 0xFF)?;
    let mut end = prefix[..=keep].to_vec();
    end[keep] += 1;
    Some(end)
}

/// The greatest key with the prefix, found with forward probes alone.
///
/// `first(from)` answers the least key `>= from` that starts with `prefix`. Settles the key byte by
/// byte with at most nine probes each, whatever the number of keys.
///
/// # Errors
/// The first error of a probe.
pub(crate) fn last_key<E>(
    prefix: &[u8],
    mut first: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>, E>,
) -> Result<Option<Vec<u8>>, E> {
    let Some(mut best) = first(prefix)? else {
        return Ok(None);
    };
    // Invariant: `best[..settled]` are the first bytes of the greatest key.
    let mut settled = prefix.len();
    loop {
        let stem = best[..settled].to_vec();
        let mut probe = |byte: u8| -> Result<Option<Vec<u8>>, E> {
            let mut from = stem.clone();
            from.push(byte);
            Ok(first(&from)?.filter(|key| key.starts_with(&stem)))
        };
        let Some(&lowest) = best.get(settled) else {
            // `best` is the stem itself: only a longer key is greater.
            match probe(0)? {
                Some(longer) => best = longer,
                None => return Ok(Some(best)),
            }
            continue;
        };
        // Most bytes are settled already: one probe tells.
        let (mut low, mut high) = (lowest, lowest);
        if let Some(next) = lowest.checked_add(1)
            && let Some(key) = probe(next)?
        {
            low = key[settled];
            high = 0xFF;
            best = key;
        }
        while low < high {
            let middle = high - (high - low) / 2;
            match probe(middle)? {
                Some(key) => {
                    low = key[settled];
                    best = key;
                }
                None => high = middle - 1,
            }
        }
        settled += 1;
    }
}

/// The most pairs that [`Pages`] asks for at a time.
const PAGE_MAX: usize = 256;

/// A cursor over a view, page by page.
struct Pages<'a> {
    view: &'a dyn View,
    prefix: &'a [u8],
    from: Vec<u8>,
    page: usize,
    ready: VecDeque<Pair>,
    ended: bool,
}

impl<'a> Pages<'a> {
    fn new(view: &'a dyn View, prefix: &'a [u8], from: &[u8], limit: usize) -> Self {
        let page = limit.min(PAGE_MAX);
        Self { view, prefix, from: from.to_vec(), page, ready: VecDeque::new(), ended: page == 0 }
    }

    fn peek(&mut self) -> Result<Option<&Vec<u8>>, ReadError> {
        if self.ready.is_empty() && !self.ended {
            let pairs = self.view.scan(self.prefix, &self.from, self.page)?;
            self.ended = pairs.len() < self.page;
            if let Some((key, _)) = pairs.last() {
                self.from.clone_from(key);
                self.from.push(0);
            }
            self.ready = pairs.into();
            // Many deletes on top of the base: ask for more at a time.
            self.page = (self.page * 2).min(PAGE_MAX);
        }
        Ok(self.ready.front().map(|(key, _)| key))
    }

    fn next(&mut self) -> Option<Pair> {
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests;
