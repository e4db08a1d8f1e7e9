//! Values made short: zstd with a dictionary of what records are made of.
//!
//! Documents and golden records have one or two kilobytes each and say the same names over and over;
//! by themselves they pack to a half, with a dictionary that has these names to a fifth. It was trained by
//! zstd (16 KiB, level 1) on the documents and golden records of `concord sample --customers 3000`, in
//! which nobody is real: a dictionary is a copy of what it was trained on. It is part of the format of the
//! store: another one is another version of it.

use std::cell::RefCell;
use std::sync::LazyLock;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

use super::value::VALUE_MAX;

const DICTIONARY: &[u8] = include_bytes!("pack/dictionary.zdict");
/// Values below this length are not worth the time.
const SHORT: usize = 200;
/// The fastest level: the dictionary does most of it.
const LEVEL: i32 = 1;

static TO_PACK: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, LEVEL));
static TO_UNPACK: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

thread_local! {
    // Each takes as long to make as a hundred values to pack.
    static PACKER: RefCell<Option<Compressor<'static>>> =
        RefCell::new(Compressor::with_prepared_dictionary(&TO_PACK).ok());
    static UNPACKER: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::with_prepared_dictionary(&TO_UNPACK).ok());
}

/// The packed form: the length of the value, then a zstd frame. None when it is not shorter.
pub(super) fn pack(value: &[u8]) -> Option<Vec<u8>> {
    if value.len() < SHORT {
        return None;
    }
    let length = u32::try_from(value.len()).ok()?;
    let frame = PACKER.with_borrow_mut(|packer| packer.as_mut()?.compress(value).ok())?;
    let packed = [length.to_be_bytes().as_slice(), &frame].concat();
    (packed.len() < value.len()).then_some(packed)
}

/// The value of a packed form; none for other bytes. Takes no more memory than a value may.
pub(super) fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let (length, frame) = packed.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    if length > VALUE_MAX {
        return None;
    }
    let value =
        UNPACKER.with_borrow_mut(|unpacker| unpacker.as_mut()?.decompress(frame, length).ok());
    value.filter(|value| value.len() == length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_reads_back_and_other_bytes_are_no_value() {
        let long: Vec<u8> = br#"{"value":"NT30"},"company/1000/payment_terms""#.repeat(100_000);
        for value in [&long[..SHORT], &long[..5_000], &long] {
            let packed = pack(value).unwrap();
            assert!(packed.len() < value.len() / 2);
            assert_eq!(unpack(&packed).as_deref(), Some(value));
            assert_eq!(unpack(&packed[..packed.len() - 1]), None);
        }
        assert_eq!(pack(&long[..SHORT - 1]), None);
        let noise: Vec<u8> = (0..64_u8).flat_map(|n| *blake3::hash(&[n]).as_bytes()).collect();
        assert_eq!(pack(&noise), None);
        assert_eq!(unpack(&noise), None);
        assert_eq!(unpack(&[]), None);
    }

    #[test]
    fn a_length_that_lies_takes_no_memory() {
        let mut packed = pack(&[b'a'; 1_000]).unwrap();
        packed[0] = 0xff;
        assert_eq!(unpack(&packed), None);
        packed[..4].copy_from_slice(&999_u32.to_be_bytes());
        assert_eq!(unpack(&packed), None);
    }
}
