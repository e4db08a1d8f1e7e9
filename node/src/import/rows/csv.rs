//! Rows of CSV: a header, then one row a line, where a field in quotes may hold line breaks.

use std::io::{self, BufRead};

use csv_core::ReadRecordResult;
use encoding_rs::Encoding;

use super::{ROW_MAX, Row, decoded, not_in_encoding, too_long};
use crate::import::mapping::{Mapping, nearest};
use crate::import::rejects::COLUMNS as REJECT_COLUMNS;
use crate::import::{ImportError, RowFault};

/// The most columns of a file.
const COLUMNS_MAX: usize = 10_000;

/// The header of a file.
#[derive(Debug)]
pub(in crate::import) struct CsvHeader {
    /// The bytes of its line.
    pub(in crate::import) raw: Vec<u8>,
    /// How many columns it names, without those of a reject file.
    pub(in crate::import) width: usize,
    /// Whether the file is a reject file of an earlier import.
    is_of_rejects: bool,
}

/// Reads records into buffers of a fixed size.
struct Records<R> {
    input: R,
    core: csv_core::Reader,
    fields: Vec<u8>,
    ends: Vec<usize>,
    raw: Vec<u8>,
    /// Line breaks before the record at hand.
    lines: u64,
}

/// A record as it stands in the buffers.
struct Record {
    fields: usize,
    line: u64,
    is_too_long: bool,
}

pub(in crate::import) struct CsvRows<R> {
    records: Records<R>,
    header: CsvHeader,
    /// For each column of the mapping its place in the file.
    places: Vec<usize>,
    delimiter: u8,
    encoding: &'static Encoding,
}

impl<R: BufRead> Records<R> {
    fn next(&mut self) -> io::Result<Option<Record>> {
        let (mut at, mut count, mut breaks) = (0, 0, 0);
        let mut is_too_long = false;
        self.raw.clear();
        loop {
            let input = self.input.fill_buf()?;
            let (result, read, written, ended) =
                self.core.read_record(input, &mut self.fields[at..], &mut self.ends[count..]);
            let room = ROW_MAX.saturating_sub(self.raw.len());
            is_too_long |= read > room;
            self.raw.extend_from_slice(&input[..read.min(room)]);
            breaks += input[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
            self.input.consume(read);
            at += written;
            count += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                // The rest of the record is read over what is there.
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    is_too_long = true;
                    (at, count) = (0, 0);
                }
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
            }
        }
        // The line break before a record belongs to the record for the parser, not for people.
        let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let leading = self.raw.iter().take_while(|byte| is_break(byte)).count();
        let line =
            1 + self.lines + self.raw[..leading].iter().filter(|b| **b == b'\n').count() as u64;
        self.lines += breaks;
        self.raw.drain(..leading);
        if !is_too_long {
            let trailing = self.raw.iter().rev().take_while(|byte| is_break(byte)).count();
            self.raw.truncate(self.raw.len() - trailing);
        }
        Ok(Some(Record { fields: count, line, is_too_long }))
    }

    fn field(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.fields[start..self.ends[at]]
    }
}

impl<R: BufRead> CsvRows<R> {
    pub(super) fn open(input: R, mapping: &Mapping, delimiter: u8) -> Result<Self, ImportError> {
        let mut records = Records {
            input,
            core: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            fields: vec![0; ROW_MAX],
            ends: vec![0; COLUMNS_MAX],
            raw: Vec::new(),
            lines: 0,
        };
        let record = records.next().map_err(ImportError::Read)?;
        let record = record.ok_or_else(|| ImportError::Header("The file is empty.".to_owned()))?;
        if record.is_too_long {
            let text = "The first line is over 1 MiB long. Is the file CSV?".to_owned();
            return Err(ImportError::Header(text));
        }
        let names: Option<Vec<String>> = (0..record.fields)
            .map(|at| Some(decoded(mapping.encoding, records.field(at))?.trim().to_owned()))
            .collect();
        let names = names.ok_or_else(|| {
            ImportError::Encoding(not_in_encoding(mapping.encoding, record.line).text)
        })?;
        let payload = names.len().saturating_sub(REJECT_COLUMNS.len());
        let is_of_rejects = payload > 0 && names[payload..] == REJECT_COLUMNS;
        let width = if is_of_rejects { payload } else { names.len() };
        let places = places(&mapping.columns, &names[..width], delimiter)?;
        let raw = if is_of_rejects {
            serialized((0..width).map(|at| records.field(at)), delimiter)
        } else {
            records.raw.clone()
        };
        let header = CsvHeader { raw, width, is_of_rejects };
        Ok(Self { records, header, places, delimiter, encoding: mapping.encoding })
    }

    pub(super) fn prepend_to_header(&mut self, bytes: &[u8]) {
        self.header.raw.splice(..0, bytes.iter().copied());
    }

    pub(super) const fn header(&self) -> &CsvHeader {
        &self.header
    }

    pub(super) const fn input(&self) -> &R {
        &self.records.input
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Row>> {
        let Some(record) = self.records.next()? else { return Ok(None) };
        let raw = std::mem::take(&mut self.records.raw);
        let columns =
            self.header.width + if self.header.is_of_rejects { REJECT_COLUMNS.len() } else { 0 };
        let is_whole = !record.is_too_long && quotes_are_closed(&raw, self.delimiter);
        let fault = if record.is_too_long {
            Some(too_long(record.line))
        } else if !is_whole {
            Some(quotes(record.line))
        } else if record.fields != columns {
            Some(ragged(record.line, record.fields, columns))
        } else {
            None
        };
        let is_corrected = fault.is_none() && self.header.is_of_rejects;
        let raw = if is_corrected {
            let fields = (0..self.header.width).map(|at| self.records.field(at));
            serialized(fields, self.delimiter)
        } else {
            raw
        };
        let texts = match fault {
            Some(fault) => Err(fault),
            None => {
                let text = |place: &usize| decoded(self.encoding, self.records.field(*place));
                let texts = self.places.iter().map(text).collect::<Option<Vec<String>>>();
                texts.ok_or_else(|| not_in_encoding(self.encoding, record.line))
            }
        };
        Ok(Some(Row { raw, is_whole, texts }))
    }
}

/// Where in the file the columns of the mapping are.
fn places(wanted: &[String], names: &[String], delimiter: u8) -> Result<Vec<usize>, ImportError> {
    let mut faults = Vec::new();
    let mut places = Vec::with_capacity(wanted.len());
    for column in wanted {
        let mut found = (0..names.len()).filter(|at| names[*at] == *column);
        match (found.next(), found.next()) {
            (Some(place), None) => places.push(place),
            (Some(_), Some(_)) => {
                faults.push(format!("The column {column} stands in the header twice."));
            }
            (None, _) => {
                let near = nearest(column, names.iter().map(String::as_str));
                let hint =
                    near.map(|near| format!(" The nearest one is {near}.")).unwrap_or_default();
                faults.push(format!("The file has no column {column}.{hint}"));
            }
        }
    }
    if faults.is_empty() {
        return Ok(places);
    }
    let others = [b',', b';', b'\t', b'|'].into_iter().filter(|other| *other != delimiter);
    if let [only] = names
        && let Some(other) = others.into_iter().find(|other| only.contains(char::from(*other)))
    {
        faults.push(format!(
            "The whole header is one column. Perhaps the delimiter is {:?}.",
            char::from(other)
        ));
    }
    Err(ImportError::Header(faults.join(" ")))
}

/// Whether every field that opens with a quotation mark ends with one.
fn quotes_are_closed(raw: &[u8], delimiter: u8) -> bool {
    let mut rest = raw;
    loop {
        let field_end;
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            let Some(length) = quoted_length(quoted) else { return false };
            match quoted.get(length + 1) {
                None => return true,
                Some(byte) if *byte == delimiter => field_end = length + 2,
                Some(_) => return false,
            }
        } else {
            match rest.iter().position(|byte| *byte == delimiter) {
                Some(end) => field_end = end,
                None => return true,
            }
        }
        rest = &rest[field_end + 1..];
    }
}

/// The bytes before the closing quotation mark; two in a row stand for one.
fn quoted_length(quoted: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < quoted.len() {
        match (quoted[at], quoted.get(at + 1)) {
            (b'"', Some(b'"')) => at += 2,
            (b'"', _) => return Some(at),
            _ => at += 1,
        }
    }
    None
}

fn quotes(line: u64) -> RowFault {
    let text = format!(
        "In the row that starts in line {line} a field opens with a quotation mark and does not end \
         with one. Everything up to the end of that field counts as this row."
    );
    RowFault { code: "quote-open".to_owned(), pointer: String::new(), text }
}

fn ragged(line: u64, fields: usize, columns: usize) -> RowFault {
    let text = format!(
        "The row in line {line} has {fields} fields, the header has {columns}. Perhaps a text with \
         the delimiter in it is not in quotes."
    );
    RowFault { code: "row-ragged".to_owned(), pointer: String::new(), text }
}

/// Fields as a line of CSV, without a line end.
pub(in crate::import) fn serialized<'a>(
    fields: impl Iterator<Item = &'a [u8]>,
    delimiter: u8,
) -> Vec<u8> {
    let mut line = Vec::new();
    for (at, field) in fields.enumerate() {
        if at > 0 {
            line.push(delimiter);
        }
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\n' | b'\r') || *byte == delimiter;
        if !field.iter().any(is_special) {
            line.extend_from_slice(field);
            continue;
        }
        line.push(b'"');
        for byte in field {
            if *byte == b'"' {
                line.push(b'"');
            }
            line.push(*byte);
        }
        line.push(b'"');
    }
    line
}
