//! A block as columns: what its changes say of one attribute stands side by side.
//!
//! The customers of a source are told by changes that look alike: the same keys in the same order, values
//! of the same kind. Side by side, like with like, they pack into two thirds of what they take one behind
//! the other. The idea is that of column stores (Copeland and Khoshafian, "A decomposition storage model",
//! 1985) and of CLP, which packs log lines as patterns and what varies (Rodrigues, Luo, Yuan, OSDI 2021).
//!
//! An operation is a **pattern** with holes and a **field** for each hole; a **shape** is the patterns of
//! a change. What cannot be taken apart stands as it is. Nobody needs to trust whoever took a block apart:
//! the signatures of the commits say whether it came together as it was.

mod apart;
mod together;

pub(in crate::replica) use self::apart::{of, pack};
pub(in crate::replica) use self::together::join;

/// Ends a field, and stands in a pattern for a hole. No text in UTF-8 has it.
const END: u8 = 0xff;
/// Stands before what would be one of these two, less [`ESCAPE`].
const ESCAPE: u8 = 0xfe;

/// The streams before the columns.
const FIXED: usize = 7;

/// Says that an item stands as it is; shapes are counted from 1.
const WHOLE: usize = 0;
/// Says that a change begins, and replaces, as the one before it in the block.
const AS_BEFORE: u8 = 0;
/// Says that what a change begins with, and replaces, follows.
const ANEW: u8 = 1;
