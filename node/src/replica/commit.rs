//! Commits: the signed, hash-chained unit of writing.
//!
//! A commit is a header, the author's signature over it, a provenance and up to a hundred items. The
//! header names provenance and items by hash, so that an erasure can hollow one out and the chain
//! still verifies. `docs/replication.md` draws the bytes.

use crdt_model::id::{CommitRef, LogId, RecordId, SourceName};
use crdt_model::time::Hlc;

use super::codec::{CodecError, Reader, Writer};
use super::event::Provenance;
use super::limits::{
    COMMIT_BYTES_MAX, COMMIT_ITEMS_MAX, FOLLOWS_MAX, HEADER_BYTES_MAX, ITEM_BYTES_MAX,
    PROVENANCE_BYTES_MAX,
};
use super::node_id::NodeId;
use super::roster::NetworkId;

/// The version of the commit format. It fixes the limits and the checks of its content.
pub const COMMIT_VERSION: u8 = 1;

/// A BLAKE3 hash.
pub type Hash = [u8; 32];

/// A place in a log together with the hash of the commit that stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Head {
    /// The log.
    pub log: LogId,
    /// The number of the commit, from 1.
    pub seq: u64,
    /// The hash of its header.
    pub hash: Hash,
}

/// What the first commit of a log says: whose log it is, and which log of its author came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// The author of the log.
    pub node: NodeId,
    /// Counts the author's logs, from 1.
    pub incarnation: u64,
    /// Chosen at random at the start of the incarnation, so that a node restored from a backup never
    /// opens the same log again.
    pub nonce: u64,
    /// Where the author's log before this one ended, as far as the author knew.
    pub predecessor: Option<Head>,
}

impl Opening {
    /// The id of the log: a hash of the network and of everything that makes the incarnation unique.
    #[must_use]
    pub fn log_id(&self, network: &NetworkId) -> LogId {
        let mut hasher = blake3::Hasher::new_derive_key("concord 2026 log id");
        hasher.update(network.as_bytes()).update(self.node.as_bytes());
        hasher.update(&self.incarnation.to_be_bytes()).update(&self.nonce.to_be_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        LogId::from_bytes(id)
    }
}

/// The header of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its log.
    pub log: LogId,
    /// Its number in the log, from 1.
    pub seq: u64,
    /// The hash of the commit before it in the log; all zero for the first.
    pub previous: Hash,
    /// When, by the author's hybrid logical clock.
    pub time: Hlc,
    /// The height of the roster by which the author judged.
    pub epoch: u64,
    /// Present in the first commit of a log, and only there.
    pub opening: Option<Opening>,
    /// The heads of other logs that the author applied since its commit before this one, in the
    /// order of their ids.
    pub follows: Vec<Head>,
    /// The hash of the provenance.
    pub provenance: Hash,
    /// The hashes of the items.
    pub items: Vec<Hash>,
}

impl Header {
    /// Where the commit stands.
    #[must_use]
    pub const fn commit(&self) -> CommitRef {
        CommitRef { log: self.log, seq: self.seq }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.byte(COMMIT_VERSION).raw(self.log.as_bytes()).number(self.seq);
        match &self.opening {
            None => out.raw(&self.previous),
            Some(opening) => {
                write_opening(&mut out, opening);
                &mut out
            }
        };
        out.fixed64(self.time.as_u64()).number(self.epoch).length(self.follows.len());
        self.follows.iter().for_each(|head| write_head(&mut out, head));
        // Last, because it follows from note and items, and a commit travels without it.
        out.raw(&tail(&self.provenance, &self.items));
        out.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != COMMIT_VERSION {
            return Err(CodecError::Unknown);
        }
        let log = LogId::from_bytes(reader.array()?);
        let seq = reader.number()?;
        let (previous, opening) = match seq {
            0 => return Err(CodecError::Number),
            1 => ([0; 32], Some(read_opening(&mut reader)?)),
            _ => (reader.array()?, None),
        };
        let time = Hlc::from_u64(reader.fixed64()?).ok_or(CodecError::Number)?;
        let epoch = reader.number()?;
        let follows = (0..reader.length(FOLLOWS_MAX)?)
            .map(|_| read_head(&mut reader))
            .collect::<Result<Vec<_>, _>>()?;
        if follows.iter().any(|head| head.log == log) || !follows.is_sorted_by(|a, b| a.log < b.log)
        {
            return Err(CodecError::Order);
        }
        let provenance = reader.array()?;
        let items = (0..reader.length(COMMIT_ITEMS_MAX)?)
            .map(|_| reader.array())
            .collect::<Result<Vec<_>, _>>()?;
        reader.finish()?;
        Ok(Self { log, seq, previous, time, epoch, opening, follows, provenance, items })
    }
}

/// What a header says of its note and its items.
fn tail(note: &Hash, items: &[Hash]) -> Vec<u8> {
    let mut out = Writer::new();
    out.raw(note).length(items.len());
    items.iter().for_each(|hash| {
        out.raw(hash);
    });
    out.into_bytes()
}

fn write_head(out: &mut Writer, head: &Head) {
    out.raw(head.log.as_bytes()).number(head.seq).raw(&head.hash);
}

fn read_head(reader: &mut Reader<'_>) -> Result<Head, CodecError> {
    let log = LogId::from_bytes(reader.array()?);
    let seq = reader.number()?;
    if seq == 0 {
        return Err(CodecError::Number);
    }
    Ok(Head { log, seq, hash: reader.array()? })
}

pub(crate) fn write_opening(out: &mut Writer, opening: &Opening) {
    out.raw(opening.node.as_bytes()).number(opening.incarnation);
    out.fixed64(opening.nonce).byte(u8::from(opening.predecessor.is_some()));
    opening.predecessor.iter().for_each(|head| write_head(out, head));
}

pub(crate) fn read_opening(reader: &mut Reader<'_>) -> Result<Opening, CodecError> {
    let node = NodeId::from_bytes(reader.array()?);
    let incarnation = reader.number()?;
    let nonce = reader.fixed64()?;
    let predecessor = match reader.byte()? {
        0 => None,
        1 => Some(read_head(reader)?),
        _ => return Err(CodecError::Unknown),
    };
    Ok(Opening { node, incarnation, nonce, predecessor })
}

/// What a commit says about itself besides its items: who asked for it and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The source whose claims the items carry.
    pub source: SourceName,
    /// The version of the rules by which the values were normalised.
    pub ruleset: u32,
    /// Who and why.
    pub provenance: Provenance,
}

impl Note {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.bytes(self.source.as_str().as_bytes()).number(u64::from(self.ruleset));
        let Provenance { principal, reason, request } = &self.provenance;
        out.bytes(principal.as_bytes()).bytes(reason.as_bytes()).bytes(request.as_bytes());
        out.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let source = reader.text(32)?.parse().map_err(|_| CodecError::Text)?;
        let ruleset = u32::try_from(reader.number()?).map_err(|_| CodecError::Number)?;
        let mut text = || reader.text(PROVENANCE_BYTES_MAX).map(str::to_owned);
        let provenance = Provenance { principal: text()?, reason: text()?, request: text()? };
        reader.finish()?;
        Ok(Self { source, ruleset, provenance })
    }
}

/// A header with the author's signature and the note: what the store keeps apart from the items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeader {
    /// The header.
    pub header: Header,
    /// The author's Ed25519 signature over the network and the hash of the header.
    pub signature: [u8; 64],
    /// Who asked for the commit, and why.
    pub note: Note,
    header_bytes: Vec<u8>,
}

impl SignedHeader {
    /// The hash that names the commit.
    #[must_use]
    pub fn hash(&self) -> Hash {
        *blake3::hash(&self.header_bytes).as_bytes()
    }

    /// Whether `author` signed the header for `network`.
    #[must_use]
    pub fn is_signed_by(&self, author: &NodeId, network: &NetworkId) -> bool {
        author.verify(&signed_message(network, &self.hash()), &self.signature)
    }

    /// The bytes, as stored and as sent without the items.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.bytes(&self.header_bytes).raw(&self.signature).bytes(&self.note.encode());
        out.into_bytes()
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError`] when the bytes are not a signed header whose note is the one it names.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let signed = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(signed)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let header_bytes = reader.bytes(HEADER_BYTES_MAX)?;
        let signature = reader.array()?;
        let note_bytes = reader.bytes(PROVENANCE_BYTES_MAX)?;
        let header = Header::decode(header_bytes)?;
        if header.provenance != *blake3::hash(note_bytes).as_bytes() {
            return Err(CodecError::Unknown);
        }
        let note = Note::decode(note_bytes)?;
        Ok(Self { header, signature, note, header_bytes: header_bytes.to_vec() })
    }
}

/// A whole commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The signed header.
    pub signed: SignedHeader,
    /// The items as they travel: a record id, then an Automerge change.
    pub items: Vec<Vec<u8>>,
}

/// What an author puts into a commit; the hashes and the signature follow from it.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The header; its `provenance` and `items` are filled in.
    pub header: Header,
    /// Who asked for the commit, and why.
    pub note: Note,
    /// The items: a record id and a change for it.
    pub items: Vec<(RecordId, Vec<u8>)>,
}

impl Draft {
    /// Completes the header and signs it.
    #[must_use]
    pub fn sign(mut self, network: &NetworkId, signer: impl FnOnce(&[u8]) -> [u8; 64]) -> Commit {
        let items: Vec<Vec<u8>> = self
            .items
            .into_iter()
            .map(|(record, change)| [record.as_bytes().as_slice(), &change].concat())
            .collect();
        self.header.provenance = *blake3::hash(&self.note.encode()).as_bytes();
        self.header.items = items.iter().map(|item| *blake3::hash(item).as_bytes()).collect();
        let header_bytes = self.header.encode();
        let hash = *blake3::hash(&header_bytes).as_bytes();
        let signature = signer(&signed_message(network, &hash));
        let signed = SignedHeader { header: self.header, signature, note: self.note, header_bytes };
        Commit { signed, items }
    }
}

impl Commit {
    /// The bytes, as they travel: without the hashes of note and items, which do not compress and
    /// follow from what travels. Whether they are those that were signed, the signature says.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let SignedHeader { header, signature, note, header_bytes } = &self.signed;
        let stem = header_bytes.len() - tail(&header.provenance, &header.items).len();
        let (note, items) = (note.encode(), self.encode_items());
        let mut out = Writer::with_room(stem + note.len() + items.len() + 80);
        out.bytes(&header_bytes[..stem]).raw(signature).bytes(&note).raw(&items);
        out.into_bytes()
    }

    /// The items alone, one behind the other, as they travel and as they are stored.
    #[must_use]
    pub fn encode_items(&self) -> Vec<u8> {
        let room: usize = self.items.iter().map(|item| item.len() + 4).sum();
        let mut out = Writer::with_room(room + 4);
        out.length(self.items.len());
        self.items.iter().for_each(|item| {
            out.bytes(item);
        });
        out.into_bytes()
    }

    /// Reads what [`Self::encode_items`] wrote. Whether they are the ones that a header names is not
    /// looked at.
    ///
    /// # Errors
    /// [`CodecError`] when the bytes are no such items.
    pub fn decode_items(bytes: &[u8]) -> Result<Vec<Vec<u8>>, CodecError> {
        let mut reader = Reader::new(bytes);
        let items = read_items(&mut reader, 0)?;
        reader.finish()?;
        Ok(items)
    }

    /// Reads one commit from the front of `bytes` and gives what is left.
    ///
    /// # Errors
    /// [`CodecError`] when it is malformed.
    pub fn decode_first(bytes: &[u8]) -> Result<(Self, &[u8]), CodecError> {
        let mut reader = Reader::new(bytes);
        let stem = reader.bytes(HEADER_BYTES_MAX)?;
        let signature = reader.array()?;
        let note = reader.bytes(PROVENANCE_BYTES_MAX)?;
        let items = read_items(&mut reader, stem.len())?;
        let hashes: Vec<Hash> = items.iter().map(|item| *blake3::hash(item).as_bytes()).collect();
        let note_hash = *blake3::hash(note).as_bytes();
        let header_bytes = [stem, &tail(&note_hash, &hashes)].concat();
        let header = Header::decode(&header_bytes)?;
        // A stem that goes on with hashes of its own would make the tail part of a longer list.
        if header.provenance != note_hash || header.items != hashes {
            return Err(CodecError::Unknown);
        }
        let note = Note::decode(note)?;
        let commit = Self { signed: SignedHeader { header, signature, note, header_bytes }, items };
        let in_order = |records: Vec<RecordId>| records.is_sorted_by(|a, b| a < b);
        if !in_order(commit.records().map(|(record, _)| record).collect()) {
            return Err(CodecError::Order);
        }
        Ok((commit, reader.take_rest()))
    }

    /// The records that the items are about, each with its change.
    pub fn records(&self) -> impl Iterator<Item = (RecordId, &[u8])> {
        self.items.iter().filter_map(|item| split_item(item))
    }
}

/// The items of a commit of which so many bytes were read already.
fn read_items(reader: &mut Reader<'_>, before: usize) -> Result<Vec<Vec<u8>>, CodecError> {
    let mut size = before;
    let mut items = Vec::new();
    for _ in 0..reader.length(COMMIT_ITEMS_MAX)? {
        let item = reader.bytes(ITEM_BYTES_MAX)?;
        size += item.len();
        if item.len() < 16 || size > COMMIT_BYTES_MAX {
            return Err(CodecError::TooLong);
        }
        items.push(item.to_vec());
    }
    Ok(items)
}

/// The record id and the change of an item.
#[must_use]
pub fn split_item(item: &[u8]) -> Option<(RecordId, &[u8])> {
    let (record, change) = item.split_first_chunk::<16>()?;
    Some((RecordId::from_bytes(*record), change))
}

fn signed_message(network: &NetworkId, hash: &Hash) -> Vec<u8> {
    [b"concord commit v1".as_slice(), network.as_bytes(), hash].concat()
}
