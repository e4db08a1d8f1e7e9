//! The stored form of a document: who founded its scopes, then the Automerge document as it is.
//!
//! ```text
//! "concord" 0x01    what it is, and the version of this form
//! 4 bytes           checksum: SHA-256 of the founders and of the head of the Automerge document
//! number            how many founders follow; numbers are unsigned LEB128
//!   number, text      a scope, by its length in bytes; in ascending order
//!   16 bytes, number  the log and the number of the commit that founded it
//! the rest          the Automerge document, with a checksum of its own
//! ```
//!
//! Whether the commits are in the document is not looked at here.

use sha2::{Digest, Sha256};

use super::chunk::{Reader, uleb};
use super::founders::Founders;
use crate::claim;
use crate::id::{CommitRef, LogId};
use crate::path::AttributePath;

const MAGIC: [u8; 8] = *b"concord\x01";
/// The magic bytes and the checksum of an Automerge document. They bind the founders to it.
const DOCUMENT_HEAD: usize = 8;

/// What is in an envelope.
pub(super) struct Opened<'a> {
    pub(super) founders: Vec<(String, CommitRef)>,
    pub(super) automerge: &'a [u8],
}

/// Puts the founders in front of a saved Automerge document.
pub(super) fn seal(founders: &Founders, automerge: &[u8]) -> Vec<u8> {
    let mut listed = uleb(founders.commits().count() as u64);
    for (scope, commit) in founders.commits() {
        listed.extend(uleb(scope.len() as u64));
        listed.extend(scope.as_bytes());
        listed.extend(commit.log.as_bytes());
        listed.extend(uleb(commit.seq));
    }
    [&MAGIC[..], &checksum(&listed, automerge), &listed, automerge].concat()
}

/// Opens what [`seal`] gave; what is wrong with the bytes when they are something else.
pub(super) fn open(bytes: &[u8]) -> Result<Opened<'_>, &'static str> {
    let mut reader = Reader::new(bytes);
    if reader.array() != Some(MAGIC) {
        return Err("not a record in the stored form of this release");
    }
    let sum: [u8; 4] = reader.array().ok_or("cut short")?;
    let listed = reader.rest();
    let founders = read_founders(&mut reader).ok_or("the founders are not readable")?;
    let automerge = reader.rest();
    let listed = &listed[..listed.len() - automerge.len()];
    if checksum(listed, automerge) != sum {
        return Err("the checksum does not fit the founders");
    }
    Ok(Opened { founders, automerge })
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

fn checksum(listed: &[u8], automerge: &[u8]) -> [u8; 4] {
    let mut hasher = Sha256::new();
    hasher.update(listed);
    hasher.update(&automerge[..automerge.len().min(DOCUMENT_HEAD)]);
    let hash: [u8; 32] = hasher.finalize().into();
    [hash[0], hash[1], hash[2], hash[3]]
}
