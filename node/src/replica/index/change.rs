//! What one batch changes in the indexes.
//!
//! A few new entries stand by themselves in the store. Many that come together are a run: a few blocks
//! in place of hundreds of entries, each of which would cost more than its bytes. An entry that goes is
//! taken out of its block, so that nothing of it is left.

use super::block::{self, Key};
use super::keys::is_in_runs;
use super::runs::{Merge, Runs};
use crate::kv::{Op, Overlay, ReadError, View};
use crate::replica::layout;

/// New entries that make a run.
pub(crate) const RUN_KEYS_MIN: usize = 64;
/// The longest entry that may stand in a run: the key of its block is longer.
const RUN_KEY_MAX: usize = 480;
/// Blocks of each run that are merged at a time.
const PAGE_BLOCKS: usize = 4;

/// What one batch changes. No entry is added and removed in one, or twice.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Entries that never stand in runs.
    ops: Vec<Op>,
    added: Vec<Key>,
    removed: Vec<Key>,
}

impl Changes {
    /// An entry that is not there yet.
    pub(crate) fn add(&mut self, key: Key) {
        if is_in_runs(&key) && key.len() <= RUN_KEY_MAX {
            self.added.push(key);
        } else {
            self.ops.push(Op::Put(key, Vec::new()));
        }
    }

    /// An entry that is there.
    pub(crate) fn remove(&mut self, key: Key) {
        if is_in_runs(&key) && key.len() <= RUN_KEY_MAX {
            self.removed.push(key);
        } else {
            self.ops.push(Op::Delete(key));
        }
    }

    /// The operations; the runs are those after them.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails. A damaged block is left alone: the audit finds it.
    pub(crate) fn into_ops(
        mut self,
        runs: &mut Runs,
        view: &dyn View,
    ) -> Result<Vec<Op>, ReadError> {
        let mut ops = std::mem::take(&mut self.ops);
        let mut view = Overlay::new(view);
        for key in &self.removed {
            take_out(key, runs, &mut view)?;
        }
        if self.added.len() < RUN_KEYS_MIN {
            ops.extend(self.added.into_iter().map(|key| Op::Put(key, Vec::new())));
        } else {
            merge_on(runs, &mut view)?;
            self.added.sort_unstable();
            let run = runs.number();
            view.take(blocks(run, &self.added));
            runs.add(0, run);
        }
        ops.extend(view.into_ops());
        Ok(ops)
    }
}

/// The operations that write a run.
fn blocks(run: u64, keys: &[Key]) -> Vec<Op> {
    let blocks = block::lay_out(keys).into_iter();
    blocks.map(|(last, block)| Op::Put(layout::block_key(run, last), block)).collect()
}

/// Removes an entry from where it stands.
fn take_out(key: &Key, runs: &Runs, view: &mut Overlay<'_>) -> Result<(), ReadError> {
    if sound(view.get(key))?.flatten().is_some() {
        view.take(vec![Op::Delete(key.clone())]);
        return Ok(());
    }
    for run in runs.all() {
        let from = layout::block_key(run, key);
        let found = sound(view.scan(&layout::run_prefix(run), &from, 1))?;
        let Some((stored, block)) = found.and_then(|mut page| page.pop()) else { continue };
        let Ok(mut keys) = block::read(&block) else { continue };
        if let Ok(at) = keys.binary_search(key) {
            keys.remove(at);
            let mut ops = vec![Op::Delete(stored)];
            // Without an entry a block is never longer.
            ops.extend(blocks(run, &keys));
            view.take(ops);
            return Ok(());
        }
    }
    Ok(())
}

/// Merges on a page at every level: as many entries pass a level as come in, or more.
fn merge_on(runs: &mut Runs, view: &mut Overlay<'_>) -> Result<(), ReadError> {
    let mut level = 0;
    while level < runs.levels.len() {
        runs.begin(level);
        if let Some(merge) = &runs.levels[level].merge
            && let Some(Page { ops, is_last }) = Page::next(merge, view)?
        {
            view.take(ops);
            runs.moves += 1;
            if is_last {
                runs.end(level);
            }
        }
        level += 1;
    }
    Ok(())
}

/// A step of a merge.
struct Page {
    ops: Vec<Op>,
    /// Whether nothing is left in the inputs.
    is_last: bool,
}

impl Page {
    /// The next page; none when a block of an input is damaged.
    fn next(merge: &Merge, view: &Overlay<'_>) -> Result<Option<Self>, ReadError> {
        let mut read: Vec<(u64, Key, Vec<Key>)> = Vec::new();
        // Up to where all inputs were read; none: all of them to the end.
        let mut upto: Option<Key> = None;
        for input in &merge.inputs {
            let prefix = layout::run_prefix(*input);
            let Some(page) = sound(view.scan(&prefix, &prefix, PAGE_BLOCKS))? else {
                return Ok(None);
            };
            if let Some((stored, _)) = page.last().filter(|_| page.len() == PAGE_BLOCKS) {
                let last = layout::last_of_block(stored);
                if upto.as_ref().is_none_or(|upto| last < upto.as_slice()) {
                    upto = Some(last.to_vec());
                }
            }
            for (stored, block) in page {
                let Ok(keys) = block::read(&block) else { return Ok(None) };
                read.push((*input, stored, keys));
            }
        }
        let (mut ops, mut keys) = (Vec::new(), Vec::new());
        for (input, stored, mut entries) in read {
            let end = upto
                .as_ref()
                .map_or(entries.len(), |upto| entries.partition_point(|key| key <= upto));
            if end > 0 {
                // Nothing stands in two places: what goes from one must be nowhere else.
                ops.push(Op::Delete(stored));
                ops.extend(blocks(input, &entries.split_off(end)));
                keys.append(&mut entries);
            }
        }
        // Stable: it takes each input for the run that it is.
        keys.sort();
        ops.extend(blocks(merge.output, &keys));
        Ok(Some(Self { ops, is_last: upto.is_none() }))
    }
}

/// None when the value is damaged.
fn sound<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(ReadError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
