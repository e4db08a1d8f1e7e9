//! Putting a block together again.

use std::ops::Range;

use crdt_model::document::{Parts, RawPut};

use super::{ANEW, AS_BEFORE, END, ESCAPE, FIXED, WHOLE};
use crate::replica::codec::{CodecError, Reader, Writer};
use crate::replica::limits::{
    BLOCK_BYTES_MAX, COMMIT_ITEMS_MAX, HEADER_BYTES_MAX, ITEM_BYTES_MAX, PROVENANCE_BYTES_MAX,
};

/// The commits that the streams make, one after the other, if they have no more than `length` bytes.
///
/// # Errors
/// [`CodecError`] when the bytes are not exactly the streams of such commits.
pub(in crate::replica) fn join(bytes: &[u8], length: usize) -> Result<Vec<u8>, CodecError> {
    let mut streams = Streams::read(bytes, length)?;
    let mut out = Writer::with_room(length);
    while !streams.commits.is_empty() {
        streams.commit(&mut out)?;
    }
    streams.finish()?;
    Ok(out.into_bytes())
}

/// What is not read yet.
struct Streams<'a> {
    commits: Reader<'a>,
    items: Reader<'a>,
    records: Reader<'a>,
    heads: Reader<'a>,
    patterns: Reader<'a>,
    shapes: Reader<'a>,
    whole: Reader<'a>,
    columns: Vec<Column<'a>>,
    known: Known<'a>,
    /// Bytes that may still be made.
    left: usize,
    /// Operations that may still be made: each has a byte at least.
    puts_left: usize,
}

/// What was said in the block and may be named again.
#[derive(Default)]
struct Known<'a> {
    patterns: Vec<Pattern>,
    shapes: Vec<Vec<usize>>,
    head: Option<(&'a [u8], [&'a [u8]; 3])>,
    /// Columns that the patterns have together.
    columns: usize,
}

/// An operation with holes.
struct Pattern {
    kind: u8,
    key: Vec<Vec<u8>>,
    value: Vec<Vec<u8>>,
    /// The column of the first hole; those of the others follow.
    first: usize,
}

/// Keys and values of one change, one after the other.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    puts: Vec<(u8, Range<usize>, Range<usize>)>,
}

impl<'a> Streams<'a> {
    fn read(bytes: &'a [u8], length: usize) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let count = reader.length(bytes.len())?;
        let mut lengths = [0; FIXED];
        for length in &mut lengths {
            *length = reader.length(bytes.len())?;
        }
        // Each column takes some bytes of the directory.
        let columns = (0..count).map(|_| Column::read(&mut reader));
        let mut columns: Vec<Column<'_>> = columns.collect::<Result<_, _>>()?;
        let mut fixed = [const { Reader::new(&[]) }; FIXED];
        for (stream, length) in fixed.iter_mut().zip(lengths) {
            *stream = Reader::new(reader.take(length)?);
        }
        let [commits, items, records, heads, patterns, shapes, whole] = fixed;
        for column in &mut columns {
            column.rest = Reader::new(reader.take(column.length)?);
        }
        reader.finish()?;
        let known = Known::default();
        let (left, puts_left) = (length, length);
        Ok(Self {
            commits,
            items,
            records,
            heads,
            patterns,
            shapes,
            whole,
            columns,
            known,
            left,
            puts_left,
        })
    }

    fn commit(&mut self, out: &mut Writer) -> Result<(), CodecError> {
        let stem = self.commits.bytes(HEADER_BYTES_MAX)?;
        let signature: [u8; 64] = self.commits.array()?;
        let note = self.commits.bytes(PROVENANCE_BYTES_MAX)?;
        let count = self.commits.length(COMMIT_ITEMS_MAX)?;
        self.spend(stem.len() + note.len())?;
        out.bytes(stem).raw(&signature).bytes(note).length(count);
        for _ in 0..count {
            let number = self.items.length(usize::MAX)?;
            if number == WHOLE {
                let item = self.whole.bytes(ITEM_BYTES_MAX)?;
                self.spend(item.len())?;
                out.bytes(item);
                continue;
            }
            let record = self.records.take(16)?;
            let change = self.change(number)?;
            out.length(record.len() + change.len()).raw(record).raw(&change);
        }
        Ok(())
    }

    /// The next change, which has the shape of this number.
    fn change(&mut self, number: usize) -> Result<Vec<u8>, CodecError> {
        let (head, replaces) = self.head()?;
        if number == self.known.shapes.len() + 1 {
            self.shape()?;
        }
        let shape = self.known.shapes.get(number - 1).ok_or(CodecError::Number)?;
        self.puts_left = self.puts_left.checked_sub(shape.len()).ok_or(CodecError::TooLong)?;
        let mut texts = Texts::default();
        for pattern in shape {
            let pattern = self.known.patterns.get(*pattern).ok_or(CodecError::Number)?;
            texts.fill(pattern, &mut self.columns)?;
        }
        let change = Parts { head, puts: texts.puts(), replaces }.change();
        self.spend(change.len())?;
        Ok(change)
    }

    fn head(&mut self) -> Result<(&'a [u8], [&'a [u8]; 3]), CodecError> {
        match self.heads.byte()? {
            AS_BEFORE => {}
            ANEW => {
                let mut next = || self.heads.bytes(ITEM_BYTES_MAX);
                self.known.head = Some((next()?, [next()?, next()?, next()?]));
            }
            _ => return Err(CodecError::Unknown),
        }
        self.known.head.ok_or(CodecError::Unknown)
    }

    /// Reads the next shape, and the patterns that it is the first to name.
    fn shape(&mut self) -> Result<(), CodecError> {
        let count = self.shapes.length(self.puts_left)?;
        let mut shape = Vec::new();
        for _ in 0..count {
            let number = self.shapes.length(self.known.patterns.len())?;
            if number == self.known.patterns.len() {
                let pattern = Pattern::read(&mut self.patterns, self.known.columns)?;
                self.known.columns += pattern.holes();
                self.known.patterns.push(pattern);
            }
            shape.push(number);
        }
        self.known.shapes.push(shape);
        Ok(())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), CodecError> {
        self.left = self.left.checked_sub(bytes).ok_or(CodecError::TooLong)?;
        Ok(())
    }

    /// Nothing may be left over.
    fn finish(self) -> Result<(), CodecError> {
        let Self { commits, items, records, heads, patterns, shapes, whole, columns, .. } = self;
        let fixed = [commits, items, records, heads, patterns, shapes, whole];
        let columns = columns.into_iter().map(|column| column.rest);
        fixed.into_iter().chain(columns).try_for_each(Reader::finish)
    }
}

/// The fields of one hole that are not read yet.
struct Column<'a> {
    prefix: &'a [u8],
    suffix: &'a [u8],
    /// How many bytes a field has between the two; none when each has an [`END`].
    width: Option<usize>,
    length: usize,
    rest: Reader<'a>,
}

impl<'a> Column<'a> {
    /// What the directory says of it.
    fn read(reader: &mut Reader<'a>) -> Result<Self, CodecError> {
        Ok(Self {
            prefix: reader.bytes(BLOCK_BYTES_MAX)?,
            suffix: reader.bytes(BLOCK_BYTES_MAX)?,
            width: reader.length(BLOCK_BYTES_MAX)?.checked_sub(1),
            length: reader.length(BLOCK_BYTES_MAX)?,
            rest: Reader::new(&[]),
        })
    }

    /// Adds the next field to what was made.
    fn push_next(&mut self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let field = match self.width {
            Some(width) => self.rest.take(width)?,
            None => self.rest.until(END)?,
        };
        [self.prefix, field, self.suffix].iter().try_for_each(|part| push_unescaped(out, part))
    }
}

impl Pattern {
    fn read(reader: &mut Reader<'_>, first: usize) -> Result<Self, CodecError> {
        let kind = reader.byte()?;
        let mut pieces = || {
            let bytes = reader.bytes(BLOCK_BYTES_MAX)?;
            bytes.split(|byte| *byte == END).map(unescaped).collect::<Result<Vec<_>, CodecError>>()
        };
        Ok(Self { kind, key: pieces()?, value: pieces()?, first })
    }

    const fn holes(&self) -> usize {
        // There is a hole between two pieces.
        self.key.len() + self.value.len() - 2
    }
}

impl Texts {
    /// Adds an operation: the pattern with the next field of each of its columns.
    fn fill(&mut self, pattern: &Pattern, columns: &mut [Column<'_>]) -> Result<(), CodecError> {
        let mut columns = columns.iter_mut().skip(pattern.first);
        let start = self.bytes.len();
        self.fill_text(&pattern.key, &mut columns)?;
        let middle = self.bytes.len();
        self.fill_text(&pattern.value, &mut columns)?;
        self.puts.push((pattern.kind, start..middle, middle..self.bytes.len()));
        // A shape may name a long pattern again and again.
        if self.bytes.len() > ITEM_BYTES_MAX { Err(CodecError::TooLong) } else { Ok(()) }
    }

    fn fill_text<'r, 'a: 'r>(
        &mut self,
        pieces: &[Vec<u8>],
        columns: &mut impl Iterator<Item = &'r mut Column<'a>>,
    ) -> Result<(), CodecError> {
        let [first, others @ ..] = pieces else { return Ok(()) };
        self.bytes.extend_from_slice(first);
        for piece in others {
            let column = columns.next().ok_or(CodecError::Truncated)?;
            column.push_next(&mut self.bytes)?;
            self.bytes.extend_from_slice(piece);
        }
        Ok(())
    }

    fn puts(&self) -> Vec<RawPut<'_>> {
        let put = |(kind, key, value): &(u8, Range<usize>, Range<usize>)| RawPut {
            key: &self.bytes[key.clone()],
            kind: *kind,
            value: &self.bytes[value.clone()],
        };
        self.puts.iter().map(put).collect()
    }
}

fn unescaped(bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::with_capacity(bytes.len());
    push_unescaped(&mut out, bytes)?;
    Ok(out)
}

/// Adds bytes as they were before they were escaped.
fn push_unescaped(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), CodecError> {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == ESCAPE) {
        out.extend_from_slice(&rest[..at]);
        let escaped = rest.get(at + 1).filter(|byte| **byte <= END - ESCAPE);
        out.push(ESCAPE + escaped.ok_or(CodecError::Unknown)?);
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
    Ok(())
}
