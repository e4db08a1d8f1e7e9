//! The door: judges a change as a stranger's.
//!
//! A verdict is a pure function of the change, its author and its causal past. It never depends on
//! what else the document holds, so a value that is absent and a value that the author cannot have
//! seen get the same answer.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::change::{Content, OpId};
use super::history::{self, History};
use super::refusal::{QuarantineCode, Refusal};
use super::{Admitted, Author, CustomerDocument, HISTORY_BYTES_MAX};
use crate::id::CommitRef;
use crate::path::ClaimKey;
use crate::time::Hlc;

/// Whether the author of a change can have seen a commit.
pub(super) type Seen<'a> = &'a dyn Fn(&CommitRef) -> bool;

/// Judges the bytes and merges them into a copy.
pub(super) fn admit(
    document: &CustomerDocument,
    author: &Author,
    bytes: &[u8],
    seen: Seen<'_>,
) -> Result<Admitted, Refusal> {
    merge(document, author, Content::decode_named(bytes)?, bytes, seen)
}

/// Judges a change as the first one of a record, by the region that it says its author is in.
pub(super) fn admit_first(
    commit: CommitRef,
    time: Hlc,
    bytes: &[u8],
) -> Result<(Author, Admitted), Refusal> {
    let read = Content::decode_named(bytes)?;
    let region = history::region(&read.0.message).ok_or(QuarantineCode::WrongMessage)?;
    let author = Author { commit, time, region };
    // The empty document holds nothing that anybody could have seen.
    let admitted = merge(&CustomerDocument::empty(), &author, read, bytes, &|_| false)?;
    Ok((author, admitted))
}

fn merge(
    document: &CustomerDocument,
    author: &Author,
    (content, hash): (Content, [u8; 32]),
    bytes: &[u8],
    seen: Seen<'_>,
) -> Result<Admitted, Refusal> {
    check_author(&content, author)?;
    if !content.is(bytes) {
        return Err(QuarantineCode::NotCanonical.into());
    }
    let heads = find_dependencies(&content, &document.history, seen)?;
    let says = content.says();
    if document.history.find(&hash).is_some() {
        return Ok(Admitted { document: document.clone(), change: says });
    }
    let past = document.history.past(&heads);
    check_sequence(&content, author, &document.history, &heads, &past)?;
    check_replaced(&content, document, &find_seen(&content, &document.history, &past)?)?;
    check_history(bytes, document, &past)?;
    let document = document.with(content, hash, bytes).map_err(Refusal::Defect)?;
    Ok(Admitted { document, change: says })
}

fn check_author(content: &Content, author: &Author) -> Result<(), QuarantineCode> {
    if content.log != author.commit.log {
        return Err(QuarantineCode::WrongLog);
    }
    if u64::try_from(content.time) != Ok(author.time.as_u64()) {
        return Err(QuarantineCode::WrongTime);
    }
    let as_of = history::as_of(&content.message);
    if content.message != history::message(&author.region, author.commit, as_of.as_ref()) {
        return Err(QuarantineCode::WrongMessage);
    }
    Ok(())
}

/// The changes that the content depends on.
fn find_dependencies(
    content: &Content,
    history: &History,
    seen: Seen<'_>,
) -> Result<Vec<usize>, QuarantineCode> {
    let find = |hash| {
        history
            .find(hash)
            .filter(|index| seen(&history.node(*index).origin.commit))
            .ok_or(QuarantineCode::MissingDependency)
    };
    content.dependencies.iter().map(find).collect()
}

/// What the author had seen of the causal past of the change: all of it, or the version that it names.
fn find_seen(
    content: &Content,
    history: &History,
    past: &[bool],
) -> Result<Vec<bool>, QuarantineCode> {
    let Some(version) = history::as_of(&content.message) else { return Ok(past.to_vec()) };
    // One that names its whole past would be a second form of the same change.
    if version.heads() == content.dependencies {
        return Err(QuarantineCode::WrongMessage);
    }
    let heads = history.places(&version).filter(|heads| heads.iter().all(|head| past[*head]));
    Ok(history.past(&heads.ok_or(QuarantineCode::UnknownVersion)?))
}

/// The place of the change in its author's log and in the order of counters.
fn check_sequence(
    content: &Content,
    author: &Author,
    history: &History,
    heads: &[usize],
    past: &[bool],
) -> Result<(), QuarantineCode> {
    let own = history.of_log(&content.log);
    if content.sequence != own.len() as u64 + 1 {
        return Err(QuarantineCode::WrongSequence);
    }
    if let Some(previous) = own.last() {
        if !past[*previous] {
            return Err(QuarantineCode::OwnPastMissing);
        }
        if author.commit.seq <= history.node(*previous).origin.commit.seq {
            return Err(QuarantineCode::CommitOrder);
        }
    }
    // The author's previous change is in the past of the heads, so it cannot have a larger counter.
    let largest = heads.iter().map(|head| history.node(*head).last).max().unwrap_or(0);
    if content.start != largest + 1 {
        return Err(QuarantineCode::WrongStartOperation);
    }
    Ok(())
}

/// Every replaced value was seen by the author and stands under the same key.
fn check_replaced(
    content: &Content,
    document: &CustomerDocument,
    seen: &[bool],
) -> Result<(), Refusal> {
    let mut holders = BTreeMap::new();
    for put in content.puts.iter().filter(|put| !put.replaces.is_empty()) {
        let visible = document.registers.visible(&put.key).iter();
        let visible: BTreeSet<OpId> = visible.map(|(id, _)| *id).collect();
        for id in &put.replaces {
            let holder = document.history.find_operation(*id).filter(|holder| seen[*holder]);
            let holder = holder.ok_or(QuarantineCode::UnknownPredecessor)?;
            if visible.contains(id) {
                continue;
            }
            // Not visible any more: the change that holds it knows its key. Each is read once, so that
            // a change which replaces thousands of old values is not dear.
            let keys = match holders.entry(holder) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(keys_of(document, holder)?),
            };
            let index = usize::try_from(id.counter - document.history.node(holder).start);
            if index.ok().and_then(|index| keys.get(index)) != Some(&put.key) {
                return Err(QuarantineCode::PredecessorOfAnotherKey.into());
            }
        }
    }
    Ok(())
}

/// A record must stay small enough to be read. What counts is the causal past of the change alone.
fn check_history(
    bytes: &[u8],
    document: &CustomerDocument,
    past: &[bool],
) -> Result<(), QuarantineCode> {
    let nodes = document.history.nodes().iter().zip(past);
    let before: usize = nodes.filter(|(_, past)| **past).map(|(node, _)| node.bytes).sum();
    if bytes.len() + before > HISTORY_BYTES_MAX {
        Err(QuarantineCode::HistoryTooLarge)
    } else {
        Ok(())
    }
}

/// The key of each operation of a change that the document holds.
fn keys_of(document: &CustomerDocument, holder: usize) -> Result<Vec<ClaimKey>, Refusal> {
    let content = document.stored.change(&document.history, holder);
    let content =
        content.ok_or_else(|| Refusal::Defect("a stored change is not readable".to_owned()))?;
    Ok(content.puts.into_iter().map(|put| put.key).collect())
}
