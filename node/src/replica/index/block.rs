//! Blocks: entries in order, each told by what it has in common with the one before and what follows.

use crate::kv::KEY_MAX;
use crate::replica::codec::{CodecError, Reader, Writer};

/// Bytes of a block: it stays in one piece in the store.
const BLOCK_BYTES_MAX: usize = if cfg!(test) { 600 } else { 4_000 };

/// An entry of an index.
pub(super) type Key = Vec<u8>;

/// Lays entries, which are in order, out in blocks: the last entry of each, and its bytes.
pub(super) fn lay_out(keys: &[Key]) -> Vec<(&Key, Vec<u8>)> {
    let mut blocks = Vec::new();
    let mut block = Writer::with_room(BLOCK_BYTES_MAX);
    let mut bytes = 0;
    let mut before: Option<&Key> = None;
    for key in keys {
        // Two lengths of at most two bytes each.
        if let Some(last) = before.filter(|_| bytes + key.len() + 4 > BLOCK_BYTES_MAX) {
            let full = std::mem::replace(&mut block, Writer::with_room(BLOCK_BYTES_MAX));
            blocks.push((last, full.into_bytes()));
            (before, bytes) = (None, 0);
        }
        let shared = before.map_or(0, |before| common(before, key));
        block.length(shared).bytes(&key[shared..]);
        bytes += key.len() - shared + 4;
        before = Some(key);
    }
    blocks.extend(before.map(|last| (last, block.into_bytes())));
    blocks
}

/// Reads what [`lay_out`] wrote.
pub(super) fn read(block: &[u8]) -> Result<Vec<Key>, CodecError> {
    let mut reader = Reader::new(block);
    let mut keys: Vec<Key> = Vec::new();
    while !reader.is_empty() {
        let shared = reader.length(KEY_MAX)?;
        let rest = reader.bytes(KEY_MAX)?;
        let before = keys.last().map_or([].as_slice(), Vec::as_slice);
        let start = before.get(..shared).ok_or(CodecError::Truncated)?;
        let key = [start, rest].concat();
        if key.as_slice() <= before {
            return Err(CodecError::Order);
        }
        keys.push(key);
    }
    Ok(keys)
}

/// How many bytes two keys have in common at their start.
fn common(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_what_was_laid_out() {
        assert!(lay_out(&[]).is_empty());
        let mut keys: Vec<Key> =
            (0..3_000_u32).map(|n| format!("xw{:03}\0{n:032x}", n % 700).into_bytes()).collect();
        keys.push(vec![b'x'; KEY_MAX]);
        keys.sort();
        let blocks = lay_out(&keys);
        assert!(blocks.len() > 2);
        let read: Vec<Vec<Key>> = blocks.iter().map(|(_, block)| read(block).unwrap()).collect();
        for ((last, block), keys) in blocks.iter().zip(&read) {
            assert!(block.len() <= BLOCK_BYTES_MAX && keys.last() == Some(last));
        }
        assert_eq!(read.concat(), keys);
    }

    #[test]
    fn bytes_that_are_no_block_are_refused() {
        let keys = [b"xa".to_vec(), b"xab".to_vec()];
        let block = lay_out(&keys)[0].1.clone();
        assert_eq!(read(&block[..block.len() - 1]), Err(CodecError::Truncated));
        assert_eq!(read(&[9, 1, b'x']), Err(CodecError::Truncated));
        assert_eq!(read(&[0, 1, b'x', 0, 1, b'a']), Err(CodecError::Order));
        assert_eq!(read(&[0, 0]), Err(CodecError::Order));
    }
}
