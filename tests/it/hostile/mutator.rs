//! Alters bytes and texts as chance has it: bits, ranges, numbers at the edges of their encodings,
//! parts of other examples. Deterministic: the same numbers make the same mutants. It knows no format;
//! who must repair a checksum or a signature does so afterwards.

use crate::numbers::Numbers;

/// The most bytes that a mutant may have.
const MUTANT_MAX: usize = 64 << 10;

/// Bytes that mean something to somebody: ends of ranges, signs of LEB128, marks of TOML, CSV and JSON.
const BYTES: &[u8] = b"\x00\x01\x7f\x80\x81\xfe\xff\"\n\r;,=[]{}\\/@%";

/// Numbers at which encodings and types end.
const EDGES: [u64; 16] = [
    0,
    1,
    0x7f,
    0x80,
    0x3fff,
    0x4000,
    1_000_000,
    1_000_001,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    (1 << 53) - 1,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX,
];

/// Words that somebody might stumble over.
const WORDS: [&str; 24] = [
    "",
    "-1",
    "0",
    "18446744073709551616",
    "9223372036854775807",
    "-9223372036854775808",
    "1e400",
    "nan",
    "true",
    "null",
    "\"\"\"",
    "'",
    "[[[[[[[[",
    "]]",
    "{}",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "\u{1f4a9}\u{301}",
    "%2F",
    "..",
    "@",
    "\\u0000",
    "9999-12-31",
];

/// One to four alterations of an example. `others` are examples of the same kind.
pub(crate) fn mutated(example: &[u8], others: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = example.to_vec();
    for _ in 0..=numbers.below(4) {
        alter(&mut bytes, others, numbers);
        bytes.truncate(MUTANT_MAX);
    }
    bytes
}

/// As [`mutated`], with alterations of whole words and lines among them.
pub(crate) fn mutated_text(example: &str, others: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = example.as_bytes().to_vec();
    for _ in 0..=numbers.below(4) {
        match numbers.below(4) {
            0 => alter(&mut bytes, others, numbers),
            1 => alter_lines(&mut bytes, others, numbers),
            _ => alter_word(&mut bytes, others, numbers),
        }
        bytes.truncate(MUTANT_MAX);
    }
    bytes
}

/// A number in unsigned LEB128.
pub(crate) fn leb128(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

fn alter(bytes: &mut Vec<u8>, others: &[Vec<u8>], numbers: &mut Numbers) {
    if bytes.is_empty() {
        bytes.push(numbers.pick(BYTES));
        return;
    }
    let at = numbers.index(bytes.len());
    let range = at..(at + 1 + short(numbers)).min(bytes.len());
    match numbers.below(12) {
        0 => bytes[at] ^= 1 << numbers.below(8),
        1 => bytes[at] = numbers.pick(BYTES),
        2 => bytes[at] = bytes[at].wrapping_add(1),
        3 => bytes[at] = bytes[at].wrapping_sub(1),
        4 => drop(bytes.drain(range)),
        5 => {
            let times = 1 + short(numbers);
            let copies = bytes[range].repeat(times);
            drop(bytes.splice(at..at, copies));
        }
        6 => {
            let new: Vec<u8> = range.map(|_| numbers.next().to_le_bytes()[0]).collect();
            drop(bytes.splice(at..at, new));
        }
        7 => {
            // In the place of the number that stands there, if one does.
            let more = bytes[at..].iter().take(10).take_while(|byte| **byte & 0x80 != 0).count();
            let end = (at + more + 1).min(bytes.len());
            drop(bytes.splice(at..end, edge(numbers)));
        }
        8 => drop(bytes.splice(at..at, edge(numbers))),
        9 => bytes.truncate(at),
        10 => {
            let part = part_of(&numbers.pick(others), numbers);
            drop(bytes.splice(range, part));
        }
        _ => {
            // Two parts of the example change places.
            let part = bytes[range.clone()].to_vec();
            let to = numbers.index(bytes.len());
            drop(bytes.drain(range));
            let to = to.min(bytes.len());
            drop(bytes.splice(to..to, part));
        }
    }
}

/// Mostly small, sometimes large.
fn short(numbers: &mut Numbers) -> usize {
    let limit = if numbers.one_in(16) { 400 } else { 8 };
    numbers.index(limit)
}

fn edge(numbers: &mut Numbers) -> Vec<u8> {
    match numbers.below(8) {
        0 => vec![0xff; 11],
        1 => vec![0x80, 0],
        2 => numbers.pick(&EDGES).to_be_bytes().to_vec(),
        _ => leb128(numbers.pick(&EDGES)),
    }
}

fn part_of(bytes: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let at = numbers.index(bytes.len());
    let end = (at + 1 + short(numbers)).min(bytes.len());
    bytes[at..end].to_vec()
}

fn alter_word(bytes: &mut Vec<u8>, others: &[Vec<u8>], numbers: &mut Numbers) {
    let Some(range) = word_in(bytes, numbers) else { return };
    let other = numbers.pick(others);
    let word = match word_in(&other, numbers) {
        Some(range) if !numbers.one_in(2) => other[range].to_vec(),
        Some(_) | None => numbers.pick(&WORDS).as_bytes().to_vec(),
    };
    drop(bytes.splice(range, word));
}

/// A run of letters and digits.
fn word_in(bytes: &[u8], numbers: &mut Numbers) -> Option<std::ops::Range<usize>> {
    if bytes.is_empty() {
        return None;
    }
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let from = numbers.index(bytes.len());
    let start = from + bytes[from..].iter().position(is_part)?;
    let length = bytes[start..].iter().take_while(|byte| is_part(byte)).count();
    Some(start..start + length)
}

/// Removes a line, repeats it elsewhere, or brings one of another example.
fn alter_lines(bytes: &mut Vec<u8>, others: &[Vec<u8>], numbers: &mut Numbers) {
    let mut lines: Vec<Vec<u8>> =
        bytes.split_inclusive(|byte| *byte == b'\n').map(Vec::from).collect();
    if lines.is_empty() {
        return;
    }
    let (at, to) = (numbers.index(lines.len()), numbers.index(lines.len()));
    match numbers.below(3) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(to, lines[at].clone()),
        _ => {
            let other = numbers.pick(others);
            let theirs: Vec<&[u8]> = other.split_inclusive(|byte| *byte == b'\n').collect();
            if !theirs.is_empty() {
                lines.insert(to, theirs[numbers.index(theirs.len())].to_vec());
            }
        }
    }
    *bytes = lines.concat();
}
