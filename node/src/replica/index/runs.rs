//! Which runs there are, and which of them are being merged.
//!
//! A run is a list of entries in order that came together. Runs of one level are merged, a page at a
//! time, into one run of the next, so that there are few to look into and each entry is written anew
//! only once a level (O'Neil et al., "The log-structured merge-tree", 1996).

use crate::kv::{KEY_MAX, prefix_end};
use crate::replica::codec::{CodecError, Reader, Writer};

/// Runs that are merged into one.
pub(super) const FAN_IN: usize = if cfg!(test) { 3 } else { 8 };
/// Levels that there can be, and runs of one: far beyond what a store can hold.
const LEVELS_MAX: usize = 64;
const RUNS_MAX: usize = 1 << 16;
/// Ranges that are told apart.
const LOST_MAX: usize = 64;

/// The runs of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runs {
    /// The number of the newest run.
    newest: u64,
    /// How often entries were moved from some runs to another.
    pub(super) moves: u64,
    pub(super) levels: Vec<Level>,
    /// Where blocks were damaged that a merge had to leave behind: beyond the first entry, up to the
    /// second. What stood there is not known.
    lost: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Runs that went through as many merges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Level {
    /// The oldest first, without those that are being merged.
    pub(super) runs: Vec<u64>,
    pub(super) merge: Option<Merge>,
}

/// Runs that are being merged: what is in the output stands before all that is left in the inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Merge {
    pub(super) inputs: Vec<u64>,
    pub(super) output: u64,
}

impl Runs {
    /// All of them. Every entry is in one of them, and in one only.
    pub(crate) fn all(&self) -> impl Iterator<Item = u64> {
        self.levels.iter().flat_map(|level| {
            let merge = level.merge.iter();
            let merged = merge.flat_map(|merge| merge.inputs.iter().chain([&merge.output]));
            level.runs.iter().chain(merged).copied()
        })
    }

    /// The number of a new run.
    pub(super) const fn number(&mut self) -> u64 {
        self.newest += 1;
        self.newest
    }

    /// Adds a run to a level.
    pub(super) fn add(&mut self, level: usize, run: u64) {
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Level::default);
        }
        self.levels[level].runs.push(run);
    }

    /// Begins to merge the oldest runs of a level, when there are enough and none are being merged.
    pub(super) fn begin(&mut self, level: usize) {
        let waits = &self.levels[level];
        if waits.merge.is_none() && waits.runs.len() >= FAN_IN {
            let output = self.number();
            let level = &mut self.levels[level];
            let inputs = level.runs.drain(..FAN_IN).collect();
            level.merge = Some(Merge { inputs, output });
        }
    }

    /// Ends a merge: its output is a run of the next level.
    pub(super) fn end(&mut self, level: usize) {
        if let Some(merge) = self.levels[level].merge.take() {
            self.add(level + 1, merge.output);
        }
    }

    /// Notes that what stood beyond an entry, up to another one, cannot be read.
    pub(super) fn lose(&mut self, after: Vec<u8>, upto: Vec<u8>) {
        self.lost.push((after, upto));
        if self.lost.len() > LOST_MAX {
            // So many that it does not matter where exactly.
            let after = self.lost.iter().map(|(after, _)| after).min().cloned().unwrap_or_default();
            let upto = self.lost.iter().map(|(_, upto)| upto).max().cloned().unwrap_or_default();
            self.lost = vec![(after, upto)];
        }
    }

    /// The end of a range that cannot be read, if entries from `start` on that begin with `prefix`
    /// could stand in one.
    pub(super) fn lost_at(&self, prefix: &[u8], start: &[u8]) -> Option<&[u8]> {
        let meets = |(after, upto): &&(Vec<u8>, Vec<u8>)| {
            let ends_before = prefix_end(prefix).is_some_and(|end| *after >= end);
            upto.as_slice() >= start && !ends_before
        };
        self.lost.iter().find(meets).map(|(_, upto)| upto.as_slice())
    }

    /// Appends the runs, as they are stored.
    pub(crate) fn encode(&self, out: &mut Writer) {
        out.number(self.newest).number(self.moves).length(self.levels.len());
        for level in &self.levels {
            write_numbers(out, &level.runs);
            match &level.merge {
                None => out.byte(0),
                Some(merge) => {
                    write_numbers(out.byte(1), &merge.inputs);
                    out.number(merge.output)
                }
            };
        }
        out.length(self.lost.len());
        for (after, upto) in &self.lost {
            out.bytes(after).bytes(upto);
        }
    }

    /// Reads what [`Self::encode`] wrote.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let (newest, moves) = (reader.number()?, reader.number()?);
        let count = reader.length(LEVELS_MAX)?;
        let levels = (0..count).map(|_| {
            let runs = read_numbers(reader)?;
            let merge = match reader.byte()? {
                0 => None,
                1 => Some(Merge { inputs: read_numbers(reader)?, output: reader.number()? }),
                _ => return Err(CodecError::Unknown),
            };
            Ok(Level { runs, merge })
        });
        let levels = levels.collect::<Result<_, _>>()?;
        let count = reader.length(LOST_MAX)?;
        let range = |_| Ok((reader.bytes(KEY_MAX)?.to_vec(), reader.bytes(KEY_MAX)?.to_vec()));
        let lost = (0..count).map(range).collect::<Result<_, CodecError>>()?;
        Ok(Self { newest, moves, levels, lost })
    }
}

fn write_numbers(out: &mut Writer, numbers: &[u64]) {
    out.length(numbers.len());
    numbers.iter().for_each(|number| {
        out.number(*number);
    });
}

fn read_numbers(reader: &mut Reader<'_>) -> Result<Vec<u64>, CodecError> {
    let count = reader.length(RUNS_MAX)?;
    (0..count).map(|_| reader.number()).collect()
}
