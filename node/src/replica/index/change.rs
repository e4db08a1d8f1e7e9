//! What one batch changes in the indexes.
//!
//! A few new entries stand by themselves in the store. Many that come together are a run: a few blocks
//! in place of hundreds of entries, each of which would cost more than its bytes. An entry that goes is
//! taken out of its block, so that nothing of it is left.

use super::block::{self, Key};
use super::cursor::{Cursor, LostBlock, OnDamage, Taken};
use super::keys::is_in_runs;
use super::runs::{Merge, Runs};
use crate::kv::{Op, Overlay, ReadError, View};
use crate::replica::layout;

/// New entries that make a run.
const RUN_KEYS_MIN: usize = if cfg!(test) { 4 } else { 64 };
/// The longest entry that may stand in a run: the key of its block is longer.
const RUN_KEY_MAX: usize = 480;
/// Entries that one batch merges at a level, at least.
const STEP_KEYS_MAX: usize = 16_000;

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
        if fits_a_run(&key) {
            self.added.push(key);
        } else {
            self.ops.push(Op::Put(key, Vec::new()));
        }
    }

    /// An entry that is there.
    pub(crate) fn remove(&mut self, key: Key) {
        if fits_a_run(&key) {
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
            merge_on(self.added.len(), runs, &mut view)?;
            self.added.sort_unstable();
            self.added.dedup();
            let run = runs.number();
            view.take(blocks(run, &self.added));
            runs.add(0, run);
        }
        ops.extend(view.into_ops());
        Ok(ops)
    }
}

fn fits_a_run(key: &Key) -> bool {
    is_in_runs(key) && key.len() <= RUN_KEY_MAX
}

/// The operations that write a run.
fn blocks(run: u64, keys: &[Key]) -> Vec<Op> {
    let blocks = block::lay_out(keys).into_iter();
    blocks.map(|(last, block)| Op::Put(layout::block_key(run, last), block)).collect()
}

/// Removes an entry from where it stands.
fn take_out(key: &Key, runs: &Runs, view: &mut Overlay<'_>) -> Result<(), ReadError> {
    let stands_alone = match view.get(key) {
        Err(ReadError::Damaged { .. }) => true,
        other => other?.is_some(),
    };
    if stands_alone {
        view.take(vec![Op::Delete(key.clone())]);
        return Ok(());
    }
    for run in runs.all() {
        let from = layout::block_key(run, key);
        let found = match view.scan(&layout::run_prefix(run), &from, 1) {
            Err(ReadError::Damaged { .. }) => continue,
            other => other?.pop(),
        };
        let Some((stored, block)) = found else { continue };
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

/// Merges on at every level, by twice as many entries as come in: so merges keep pace, and no batch has
/// more to do than in proportion.
fn merge_on(added: usize, runs: &mut Runs, view: &mut Overlay<'_>) -> Result<(), ReadError> {
    let least = (2 * added).min(STEP_KEYS_MAX);
    let mut level = 0;
    while level < runs.levels.len() {
        runs.begin(level);
        if let Some(merge) = &runs.levels[level].merge {
            let Step { ops, lost, is_last } = Step::next(merge, least, view)?;
            view.take(ops);
            runs.moves += 1;
            lost.into_iter().for_each(|(after, upto)| runs.lose(after, upto));
            if is_last {
                runs.end(level);
            }
        }
        level += 1;
    }
    Ok(())
}

/// A step of a merge.
struct Step {
    ops: Vec<Op>,
    /// Where damaged blocks were.
    lost: Vec<(Key, Key)>,
    /// Whether nothing is left in the inputs.
    is_last: bool,
}

impl Step {
    /// Moves at least so many entries, where there are as many.
    fn next(merge: &Merge, least: usize, view: &Overlay<'_>) -> Result<Self, ReadError> {
        let start = |input: &u64| (Cursor::new(*input, &[], OnDamage::Skip), Taken::default());
        let mut inputs: Vec<(Cursor, Taken)> = merge.inputs.iter().map(start).collect();
        let mut keys: Vec<Key> = Vec::new();
        while keys.len() < least && inputs.iter().any(|(cursor, _)| !cursor.is_done()) {
            inputs.iter_mut().try_for_each(|(cursor, _)| cursor.fill(view))?;
            let upto = inputs.iter().filter_map(|(cursor, _)| cursor.known_upto()).min().cloned();
            let before = keys.len();
            for (cursor, taken) in &mut inputs {
                cursor.take(upto.as_ref(), &mut keys, taken);
            }
            // Stable: it takes each input for the run that it is.
            keys[before..].sort();
        }
        let is_last = inputs.iter().all(|(cursor, _)| cursor.is_done());
        let (mut ops, mut lost) = (Vec::new(), Vec::new());
        for (mut cursor, mut taken) in inputs {
            let run = cursor.run;
            for block in std::mem::take(&mut cursor.lost) {
                lost.push(lost_range(merge, &block, view)?);
                ops.push(Op::Delete(block.stored));
            }
            cursor.end(&mut taken);
            ops.extend(taken.emptied.into_iter().map(Op::Delete));
            // Nothing stands in two places: what goes from one must be nowhere else.
            if let Some((stored, left)) = taken.cut {
                ops.push(Op::Delete(stored));
                ops.extend(blocks(run, &left));
            }
        }
        keys.dedup();
        ops.extend(blocks(merge.output, &keys));
        Ok(Self { ops, lost, is_last })
    }
}

/// Between which entries a damaged block stood: what went to the output before stands before it.
fn lost_range(
    merge: &Merge,
    block: &LostBlock,
    view: &Overlay<'_>,
) -> Result<(Key, Key), ReadError> {
    let upto = layout::last_of_block(&block.stored).to_vec();
    if let Some(after) = &block.after {
        return Ok((after.clone(), upto));
    }
    let after = match view.last(&layout::run_prefix(merge.output)) {
        Ok(last) => last.map(|(stored, _)| layout::last_of_block(&stored).to_vec()),
        Err(ReadError::Damaged { key }) => Some(layout::last_of_block(&key).to_vec()),
        Err(error) => return Err(error),
    };
    Ok((after.unwrap_or_default(), upto))
}
