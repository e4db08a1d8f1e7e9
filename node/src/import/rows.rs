//! The rows of a file, one at a time and each of bounded size, with the bytes as they came.
//!
//! A row that cannot be read is still a row: it is counted, rejected and written to the reject file.
//! Only what makes every row meaningless (no header, a column that is missing, another encoding)
//! refuses the file.

mod csv;
mod encoding;
mod jsonl;

use std::io::{self, BufRead, BufReader, Cursor, Read};

use encoding_rs::Encoding;

use self::csv::CsvRows;
pub(super) use self::csv::{CsvHeader, serialized};
pub use self::encoding::check_encoding;
use self::jsonl::JsonRows;
use super::mapping::{Format, Mapping};
use super::{ImportError, RowFault};

/// The most bytes of a row. A record takes 256 KiB, so nothing larger could be accepted.
pub(super) const ROW_MAX: usize = 1 << 20;

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    /// The bytes as they stand in the file, without the line end; cut at [`ROW_MAX`].
    pub(super) raw: Vec<u8>,
    /// Whether `raw` can stand in a reject file as it is.
    pub(super) is_whole: bool,
    /// A text for each column of the mapping, or why there are none.
    pub(super) texts: Result<Vec<String>, RowFault>,
}

/// The rows of an input.
pub(super) enum Rows<R: Read> {
    Csv(Box<CsvRows<Input<R>>>),
    Json(JsonRows<Input<R>>),
}

impl<R: Read> std::fmt::Debug for Rows<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Csv(_) => "Csv",
            Self::Json(_) => "Json",
        })
    }
}

/// An input behind its byte order mark, counting what is read.
pub(super) struct Input<R: Read> {
    inner: BufReader<io::Chain<Cursor<Vec<u8>>, R>>,
    consumed: u64,
}

impl<R: Read> Rows<R> {
    /// Reads as far as the first row.
    pub(super) fn open(mut input: R, mapping: &Mapping) -> Result<Self, ImportError> {
        let (start, mark) = start(&mut input, mapping.encoding)?;
        let inner = BufReader::with_capacity(64 << 10, Cursor::new(start).chain(input));
        let input = Input { inner, consumed: mark };
        match mapping.format {
            Format::Csv { delimiter } => {
                let mut rows = CsvRows::open(input, mapping, delimiter)?;
                if mark > 0 {
                    // Excel knows UTF-8 by the mark alone; the reject file has it as well.
                    rows.prepend_to_header("\u{feff}".as_bytes());
                }
                Ok(Self::Csv(Box::new(rows)))
            }
            Format::JsonLines => Ok(Self::Json(JsonRows::new(input, mapping))),
        }
    }

    /// The next row; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Row>> {
        match self {
            Self::Csv(rows) => rows.next(),
            Self::Json(rows) => rows.next(),
        }
    }

    /// The bytes that were read so far.
    pub(super) fn consumed(&self) -> u64 {
        match self {
            Self::Csv(rows) => rows.input().consumed,
            Self::Json(rows) => rows.input().consumed,
        }
    }

    /// The header of a CSV file.
    pub(super) fn header(&self) -> Option<&CsvHeader> {
        match self {
            Self::Csv(rows) => Some(rows.header()),
            Self::Json(_) => None,
        }
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.consumed += count as u64;
        Ok(count)
    }
}

impl<R: Read> BufRead for Input<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.inner.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
        self.consumed += count as u64;
    }
}

/// The first bytes without the byte order mark, and the length of the mark.
fn start<R: Read>(
    input: &mut R,
    encoding: &'static Encoding,
) -> Result<(Vec<u8>, u64), ImportError> {
    let mut start = Vec::with_capacity(3);
    input.by_ref().take(3).read_to_end(&mut start).map_err(ImportError::Read)?;
    let mark = Encoding::for_bom(&start);
    match mark {
        None => Ok((start, 0)),
        Some((found, length)) if found == encoding => Ok((start.split_off(length), length as u64)),
        Some((found, _)) => Err(ImportError::Encoding(format!(
            "The file says by its first bytes that it is {}, the mapping says {}. Correct the \
             mapping, or save the file as UTF-8.",
            found.name(),
            encoding.name()
        ))),
    }
}

/// The bytes of a text in the encoding of the file; `None` when they are none.
fn decoded(encoding: &'static Encoding, bytes: &[u8]) -> Option<String> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
    text.map(std::borrow::Cow::into_owned)
}

fn not_in_encoding(encoding: &'static Encoding, line: u64) -> RowFault {
    RowFault {
        code: "encoding".to_owned(),
        pointer: String::new(),
        text: format!("Line {line} has bytes that are not {}.", encoding.name()),
    }
}

fn too_long(line: u64) -> RowFault {
    RowFault {
        code: "row-too-long".to_owned(),
        pointer: String::new(),
        text: format!(
            "The row that starts in line {line} has over {} MiB. Perhaps a quotation mark that \
             opens there is never closed.",
            ROW_MAX >> 20
        ),
    }
}

#[cfg(test)]
mod tests;
