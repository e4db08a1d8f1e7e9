//! Reading a run from an entry on, a few blocks at a time: for who asks, and for merges.

use std::collections::VecDeque;

use super::block::{self, Key};
use crate::kv::{Pair, ReadError, View};
use crate::replica::layout;

/// Blocks read at a time, after the first one.
const PAGE_BLOCKS: usize = 4;

/// What is done about a block that is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDamage {
    /// Who asked is told.
    Fail,
    /// It is passed over.
    Skip,
}

/// Entries of one run, in order.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) run: u64,
    on_damage: OnDamage,
    /// What was read and not taken: blocks as they are stored, without what was taken of the first.
    blocks: VecDeque<Block>,
    /// Where the next block is.
    from: Vec<u8>,
    page: usize,
    ended: bool,
    /// The last entry before that, if any was read or passed over.
    passed: Option<Key>,
    /// The blocks that were passed over.
    pub(super) lost: Vec<LostBlock>,
}

/// A block that is damaged.
#[derive(Debug)]
pub(super) struct LostBlock {
    pub(super) stored: Vec<u8>,
    /// The entry before it; none: nothing of the run was read before.
    pub(super) after: Option<Key>,
}

#[derive(Debug)]
struct Block {
    stored: Vec<u8>,
    keys: VecDeque<Key>,
    is_cut: bool,
}

/// What was taken from a run: the blocks that are empty since, and what is left of the one that is cut.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) emptied: Vec<Vec<u8>>,
    pub(super) cut: Option<(Vec<u8>, Vec<Key>)>,
}

impl Cursor {
    /// Before the first entry that is `>= start`.
    pub(super) fn new(run: u64, start: &[u8], on_damage: OnDamage) -> Self {
        Self {
            run,
            on_damage,
            blocks: VecDeque::new(),
            from: layout::block_key(run, start),
            page: 1,
            ended: false,
            passed: None,
            lost: Vec::new(),
        }
    }

    /// The last entry that is read; none: the run is read to its end.
    pub(super) fn known_upto(&self) -> Option<&Key> {
        self.blocks.back().filter(|_| !self.ended)?.keys.back()
    }

    /// Whether nothing is left.
    pub(super) fn is_done(&self) -> bool {
        self.ended && self.blocks.is_empty()
    }

    /// Reads on when all that was read is taken.
    pub(super) fn fill(&mut self, view: &dyn View) -> Result<(), ReadError> {
        while self.blocks.is_empty() && !self.ended {
            let prefix = layout::run_prefix(self.run);
            let page = match view.scan(&prefix, &self.from, self.page) {
                // What stands before the damaged one is sound, and may be all that is asked for.
                Err(ReadError::Damaged { .. }) if self.page > 1 => {
                    self.page = 1;
                    continue;
                }
                Err(ReadError::Damaged { key }) if self.on_damage == OnDamage::Skip => {
                    self.lose(key);
                    continue;
                }
                other => other?,
            };
            self.ended = page.len() < self.page;
            self.page = PAGE_BLOCKS;
            page.into_iter().try_for_each(|pair| self.read(pair))?;
        }
        Ok(())
    }

    fn read(&mut self, (stored, bytes): Pair) -> Result<(), ReadError> {
        match block::read(&bytes) {
            Ok(keys) => {
                self.pass(&stored);
                self.blocks.push_back(Block { stored, keys: keys.into(), is_cut: false });
            }
            Err(_) if self.on_damage == OnDamage::Skip => self.lose(stored),
            Err(_) => return Err(ReadError::damaged(&stored)),
        }
        Ok(())
    }

    fn lose(&mut self, stored: Vec<u8>) {
        let after = self.passed.clone();
        self.pass(&stored);
        self.lost.push(LostBlock { stored, after });
    }

    /// Goes on behind a block.
    fn pass(&mut self, stored: &[u8]) {
        self.from = behind(stored);
        self.passed = Some(layout::last_of_block(stored).to_vec());
    }

    /// Takes what is read up to an entry, this one included.
    pub(super) fn take(&mut self, upto: Option<&Key>, into: &mut Vec<Key>, taken: &mut Taken) {
        while let Some(block) = self.blocks.front_mut() {
            let end =
                upto.map_or(block.keys.len(), |upto| block.keys.partition_point(|key| key <= upto));
            into.extend(block.keys.drain(..end));
            block.is_cut |= end > 0;
            if !block.keys.is_empty() {
                return;
            }
            if let Some(block) = self.blocks.pop_front() {
                taken.emptied.push(block.stored);
            }
        }
    }

    /// Ends the reading: what is left of the block that was cut.
    pub(super) fn end(mut self, taken: &mut Taken) {
        let cut = self.blocks.pop_front().filter(|block| block.is_cut);
        taken.cut = cut.map(|block| (block.stored, block.keys.into()));
    }
}

/// The least key greater than this one.
fn behind(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}
