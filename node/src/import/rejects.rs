//! The reject file: the rows that were not taken, as they were, and why.
//!
//! It has the format of the input, so that a clerk corrects it and imports it with the same mapping;
//! what was added here is then ignored.

use std::io::{self, Write};

use encoding_rs::Encoding;
use serde_json::json;

use super::RowFault;
use super::mapping::{Format, Mapping};
use super::rows::{CsvHeader, serialized};

/// What a reject file has after the columns of the input.
pub(super) const COLUMNS: [&str; 3] = ["rejected_code", "rejected_pointer", "rejected_text"];
/// What a rejected line of JSON has beside its own members.
pub(super) const MEMBER: &str = "rejected";
/// The most bytes that are kept of a row that cannot be read as one.
const UNREADABLE_MAX: usize = 4096;

/// Writes the rejected rows.
pub(super) struct Rejects<'a> {
    out: &'a mut dyn Write,
    format: Format,
    encoding: &'static Encoding,
    /// The header that is still to be written, and its width.
    header: Option<Vec<u8>>,
    width: usize,
}

impl<'a> Rejects<'a> {
    pub(super) fn new(
        out: &'a mut dyn Write,
        mapping: &Mapping,
        header: Option<&CsvHeader>,
    ) -> Self {
        Self {
            out,
            format: mapping.format,
            encoding: mapping.encoding,
            header: header.map(|header| header.raw.clone()),
            width: header.map_or(0, |header| header.width),
        }
    }

    /// Writes one row with everything that is wrong with it.
    pub(super) fn write(
        &mut self,
        raw: &[u8],
        is_whole: bool,
        faults: &[RowFault],
    ) -> io::Result<()> {
        match self.format {
            Format::Csv { delimiter } => self.csv(delimiter, raw, is_whole, faults),
            Format::JsonLines => self.json(raw, is_whole, faults),
        }
    }

    fn csv(
        &mut self,
        delimiter: u8,
        raw: &[u8],
        is_whole: bool,
        faults: &[RowFault],
    ) -> io::Result<()> {
        if let Some(mut header) = self.header.take() {
            for name in COLUMNS {
                header.push(delimiter);
                header.extend_from_slice(name.as_bytes());
            }
            self.line(&header)?;
        }
        let mut line = if is_whole {
            raw.to_vec()
        } else {
            // As one field, so that what is wrong with it does not spoil the rows behind it.
            let cut = &raw[..raw.len().min(UNREADABLE_MAX)];
            let empty = std::iter::repeat_n(&b""[..], self.width.saturating_sub(1));
            serialized(std::iter::once(cut).chain(empty), delimiter)
        };
        let joined = |of: fn(&RowFault) -> &str| {
            let texts: Vec<&str> = faults.iter().map(of).filter(|text| !text.is_empty()).collect();
            texts.join(" ")
        };
        let texts = [joined(|f| &f.code), joined(|f| &f.pointer), joined(|f| &f.text)];
        let bytes: Vec<Vec<u8>> = texts.iter().map(|text| self.encoded(text)).collect();
        line.push(delimiter);
        line.extend(serialized(bytes.iter().map(Vec::as_slice), delimiter));
        self.line(&line)
    }

    fn json(&mut self, raw: &[u8], is_whole: bool, faults: &[RowFault]) -> io::Result<()> {
        let faults: Vec<_> = faults
            .iter()
            .map(|f| json!({"code": f.code, "pointer": f.pointer, "text": f.text}))
            .collect();
        let faults = json!(faults).to_string();
        let object = raw.iter().position(|byte| *byte == b'{').filter(|_| is_whole);
        let Some(start) = object else {
            let cut = String::from_utf8_lossy(&raw[..raw.len().min(UNREADABLE_MAX)]);
            let line = format!("{{\"{MEMBER}\":{faults},\"line\":{}}}", json!(cut));
            let line = self.encoded(&line);
            return self.line(&line);
        };
        let own = &raw[start + 1..];
        let is_empty = own.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'}');
        let comma = if is_empty { "" } else { "," };
        let mut line = self.encoded(&format!("{{\"{MEMBER}\":{faults}{comma}"));
        line.extend_from_slice(own);
        self.line(&line)
    }

    /// A text in the encoding of the file; a letter that it lacks becomes its number.
    fn encoded(&self, text: &str) -> Vec<u8> {
        self.encoding.encode(text).0.into_owned()
    }

    fn line(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests;
