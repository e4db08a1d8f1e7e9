//! Segments of a backup as they are read, from a node or from a file: part by part, with the checksum of
//! the whole at the end.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::replica::backup::{End, HEAD_BYTES, MAGIC, Part, read_head};

/// Why a segment cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SegmentError {
    /// The bytes cannot be had, or end too early.
    #[error("it cannot be read to its end: {0}")]
    Read(#[from] io::Error),
    /// The bytes are not those of a segment.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

/// A part as it came.
#[derive(Debug)]
pub(crate) struct RawPart {
    pub(crate) kind: u8,
    /// All its bytes, for a copy.
    pub(crate) bytes: Vec<u8>,
    /// Where its body begins.
    body: usize,
}

impl RawPart {
    /// Reads the body.
    pub(crate) fn decode(&self) -> Result<Part, SegmentError> {
        let body = self.bytes.get(self.body..).unwrap_or_default();
        Part::decode(self.kind, body).map_err(|error| SegmentError::Damaged(error.to_string()))
    }
}

/// Reads a segment. Never takes bytes for good whose end is not there.
pub(crate) struct SegmentReader<R> {
    inner: R,
    hasher: blake3::Hasher,
    begun: bool,
    end: Option<End>,
}

impl SegmentReader<BufReader<File>> {
    pub(crate) fn open(path: &Path) -> Result<Self, SegmentError> {
        Ok(Self::new(BufReader::new(File::open(path)?)))
    }
}

impl<R: Read> SegmentReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, hasher: blake3::Hasher::new(), begun: false, end: None }
    }

    /// The next part; none after the last one, whose checksum was compared.
    pub(crate) fn next(&mut self) -> Result<Option<RawPart>, SegmentError> {
        if self.end.is_some() {
            return match self.inner.read(&mut [0])? {
                0 => Ok(None),
                _ => Err(SegmentError::Damaged("there are bytes after its end".to_owned())),
            };
        }
        let mut bytes = Vec::new();
        if !self.begun {
            let mut magic = [0; MAGIC.len()];
            self.inner.read_exact(&mut magic)?;
            if magic != MAGIC {
                let text = "it does not begin as a backup of this release does";
                return Err(SegmentError::Damaged(text.to_owned()));
            }
            bytes.extend_from_slice(&magic);
            self.begun = true;
        }
        let mut head = [0; HEAD_BYTES];
        self.inner.read_exact(&mut head)?;
        let (kind, length) =
            read_head(head).map_err(|error| SegmentError::Damaged(error.to_string()))?;
        bytes.extend_from_slice(&head);
        let body = bytes.len();
        bytes.resize(body + length, 0);
        self.inner.read_exact(&mut bytes[body..])?;
        let part = RawPart { kind, bytes, body };
        if Part::is_end(kind) {
            let hash = self.hasher.finalize().to_hex();
            let Part::End(end) = part.decode()? else {
                return Err(SegmentError::Damaged("its end is none".to_owned()));
            };
            if end.hash != hash.as_str() {
                return Err(SegmentError::Damaged("its checksum is another one".to_owned()));
            }
            self.end = Some(end);
        } else {
            self.hasher.update(&part.bytes);
        }
        Ok(Some(part))
    }

    /// The end of the segment, once it was reached.
    pub(crate) const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }
}
