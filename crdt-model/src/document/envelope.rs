//! The stored form of a document as bytes: who founded its scopes, then its changes as they are.
//!
//! ```text
//! "concord" 0x02    what it is, and the version of this form
//! 4 bytes           checksum: SHA-256 of what stands before the chunks, and of the head of each chunk
//! number            how many founders follow; numbers are unsigned LEB128
//!   number, text      a scope, by its length in bytes; in ascending order
//!   16 bytes, number  the log and the number of the commit that founded it
//! number            how many changes are in the Automerge document; 0: there is none
//!   number            how many bytes each of them has by itself
//! the rest          the Automerge document, if there is one, and further changes: chunks of Automerge,
//!                   each with a checksum of its own
//! ```
//!
//! Whether the commits are in the document is not looked at here.

use std::ops::Range;

use sha2::{Digest, Sha256};

use super::chunk::{self, Reader, uleb};
use super::founders::Founders;
use crate::claim;
use crate::id::{CommitRef, LogId};
use crate::path::AttributePath;

const MAGIC: [u8; 8] = *b"concord\x02";
/// The magic bytes and the checksum of a chunk. They bind the founders to it, and it to its place.
const CHUNK_HEAD: usize = 8;

/// What is in an envelope.
pub(super) struct Opened {
    pub(super) founders: Vec<(String, CommitRef)>,
    /// How many bytes each change of the Automerge document has by itself.
    pub(super) sizes: Vec<usize>,
    /// Where each chunk is.
    pub(super) chunks: Vec<Range<usize>>,
}

/// Puts the founders and the sizes of the changes in the first chunk in front of the chunks.
pub(super) fn seal(founders: &Founders, sizes: &[usize], chunks: &[&[u8]]) -> Vec<u8> {
    let mut listed = uleb(founders.commits().count() as u64);
    for (scope, commit) in founders.commits() {
        listed.extend(uleb(scope.len() as u64));
        listed.extend(scope.as_bytes());
        listed.extend(commit.log.as_bytes());
        listed.extend(uleb(commit.seq));
    }
    listed.extend(uleb(sizes.len() as u64));
    sizes.iter().for_each(|size| listed.extend(uleb(*size as u64)));
    let length = chunks.iter().map(|chunk| chunk.len()).sum::<usize>();
    let mut sealed = Vec::with_capacity(MAGIC.len() + 4 + listed.len() + length);
    sealed.extend(MAGIC);
    sealed.extend(checksum(&listed, chunks.iter().copied()));
    sealed.extend(listed);
    chunks.iter().for_each(|chunk| sealed.extend_from_slice(chunk));
    sealed
}

/// Opens what [`seal`] gave; what is wrong with the bytes when they are something else.
pub(super) fn open(bytes: &[u8]) -> Result<Opened, &'static str> {
    let mut reader = Reader::new(bytes);
    if reader.array() != Some(MAGIC) {
        return Err("not a record in the stored form of this release");
    }
    let sum: [u8; 4] = reader.array().ok_or("cut short")?;
    let listed = reader.rest();
    let founders = read_founders(&mut reader).ok_or("the founders are not readable")?;
    let sizes = read_sizes(&mut reader).ok_or("the sizes of its changes are not readable")?;
    let from = bytes.len() - reader.rest().len();
    let listed = &listed[..listed.len() - reader.rest().len()];
    let chunks = read_chunks(bytes, from).ok_or("a change is cut short")?;
    if checksum(listed, chunks.iter().map(|chunk| &bytes[chunk.clone()])) != sum {
        return Err("the checksum does not fit the founders");
    }
    Ok(Opened { founders, sizes, chunks })
}

fn read_sizes(reader: &mut Reader<'_>) -> Option<Vec<usize>> {
    // The count is a claim: nothing is reserved for it.
    (0..reader.length()?).map(|_| reader.length()).collect()
}

fn read_chunks(bytes: &[u8], mut from: usize) -> Option<Vec<Range<usize>>> {
    let mut chunks = Vec::new();
    while from < bytes.len() {
        let to = from + chunk::length_of_first(&bytes[from..])?;
        chunks.push(from..to);
        from = to;
    }
    Some(chunks)
}

fn read_founders(reader: &mut Reader<'_>) -> Option<Vec<(String, CommitRef)>> {
    let count = reader.length()?;
    // The count is a claim: nothing is reserved for it.
    let mut founders: Vec<(String, CommitRef)> = Vec::new();
    for _ in 0..count {
        let scope = reader.text().filter(|scope| is_scope(scope))?;
        if founders.last().is_some_and(|(before, _)| before.as_str() >= scope) {
            return None;
        }
        let log = LogId::from_bytes(reader.array()?);
        founders.push((scope.to_owned(), CommitRef { log, seq: reader.uleb()? }));
    }
    Some(founders)
}

fn is_scope(text: &str) -> bool {
    let path = format!("{text}/_").parse::<AttributePath>();
    path.is_ok_and(|path| claim::scope(&path) == Some(text))
}

fn checksum<'a>(listed: &[u8], chunks: impl Iterator<Item = &'a [u8]>) -> [u8; 4] {
    let mut hasher = Sha256::new();
    hasher.update(listed);
    chunks.for_each(|chunk| hasher.update(&chunk[..chunk.len().min(CHUNK_HEAD)]));
    let hash: [u8; 32] = hasher.finalize().into();
    [hash[0], hash[1], hash[2], hash[3]]
}
