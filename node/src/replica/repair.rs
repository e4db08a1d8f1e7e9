//! A damaged store made anew from what of it is sound: commits are the truth, all else follows from
//! them. What is missing comes back from the peers.
//!
//! The commits that can still be read are taken ([`Rebuild`]) in the order in which they were applied
//! here. So whatever was damaged, what comes out is what a node would hold that had heard these commits
//! and no others.

use std::collections::BTreeSet;

use crdt_model::id::{CommitRef, LogId};

use super::fork::ForkProof;
use super::layout;
use super::numbers;
use super::rebuild::{Rebuild, Taken};
use super::records::Records;
use super::roster::Roster;
use crate::kv::{Op, Pair, ReadError, View};

/// Entries read at a time.
const PAGE: usize = 256;

/// What could be saved of a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Saved {
    /// Commits that are in the new store.
    pub commits: u64,
    /// Commits that were there and are not in the new one: damaged, or standing upon a damaged one.
    pub lost: u64,
}

/// Fills an empty store with what of another one is sound. `write` takes each batch; what it took must
/// be readable through `new` afterwards. `progress` is told after each commit.
///
/// # Errors
/// [`ReadError`] when a store as a whole cannot be read, or the error of `write`. The old store is as
/// it was; the new one is of no use then.
pub fn rebuild<E: From<ReadError>>(
    old: &dyn View,
    roster: Roster,
    now_ms: u64,
    new: &dyn View,
    write: &mut dyn FnMut(Vec<Op>) -> Result<(), E>,
    progress: &mut dyn FnMut(Saved),
) -> Result<Saved, E> {
    let (mut rebuilt, first) = Rebuild::begin(roster, now_ms, new)?;
    write(first)?;
    for (_, bytes) in sound(old, &[layout::FORK])?.0 {
        let Ok(proof) = ForkProof::decode(&bytes) else { continue };
        let ops = rebuilt.end_log(&proof, new)?;
        if !ops.is_empty() {
            write(ops)?;
        }
    }
    let (mut waiting, damaged) = commits(old)?;
    let mut saved = Saved { commits: 0, lost: damaged };
    // Causes stand before effects, unless one of them was damaged; then nothing of its log follows.
    let mut broken: BTreeSet<LogId> = BTreeSet::new();
    waiting.retain(|(_, at)| !rebuilt.history().vector.is_void(at));
    for (_, at) in waiting {
        let ops = match broken.contains(&at.log) {
            true => None,
            false => taken(old, &mut rebuilt, &at, new)?,
        };
        match ops {
            Some(ops) => {
                write(ops)?;
                saved.commits += 1;
            }
            None => {
                broken.insert(at.log);
                saved.lost += 1;
            }
        }
        progress(saved);
    }
    for prefix in KEPT {
        for page in sound(old, prefix)?.0.chunks(PAGE) {
            write(page.iter().cloned().map(|(key, value)| Op::Put(key, value)).collect())?;
        }
    }
    Ok(saved)
}

/// What follows from no commit: answers to request ids, numbers given out or lost, void commits set
/// aside.
const KEPT: [&[u8]; 5] =
    [&[layout::REQUEST], &[layout::NUMBER], &[layout::ASIDE], layout::LANES, numbers::LOST];

/// The commits of a store that can be named, in the order in which they were applied, and how many
/// cannot.
fn commits(old: &dyn View) -> Result<(Vec<(u64, CommitRef)>, u64), ReadError> {
    let (pairs, damaged) = sound(old, &[layout::COMMIT])?;
    let mut commits: Vec<(u64, CommitRef)> = Vec::with_capacity(pairs.len());
    for (key, value) in &pairs {
        commits.extend(layout::number_in(value, 0).zip(layout::commit_in(key, 1)));
    }
    commits.sort_unstable();
    Ok((commits, damaged))
}

/// The batch of a commit; none when it is damaged, or what it stands upon is not here.
fn taken(
    old: &dyn View,
    rebuilt: &mut Rebuild,
    at: &CommitRef,
    new: &dyn View,
) -> Result<Option<Vec<Op>>, ReadError> {
    let commit = match Records::new(old).commit(at) {
        Ok(Some(commit)) => commit,
        Ok(None) | Err(ReadError::Damaged { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let hashes = commit.items.iter().map(|item| *blake3::hash(item).as_bytes());
    if !hashes.eq(commit.signed.header.items.iter().copied()) {
        return Ok(None);
    }
    Ok(match rebuilt.take(&commit, new)? {
        Taken::Next(ops) => Some(ops),
        Taken::Known | Taken::Misplaced(_) => None,
    })
}

/// Every entry under a prefix that can be read, and how many cannot.
fn sound(old: &dyn View, prefix: &[u8]) -> Result<(Vec<Pair>, u64), ReadError> {
    let (mut found, mut damaged, mut from) = (Vec::new(), 0, prefix.to_vec());
    let mut limit = PAGE;
    loop {
        match old.scan(prefix, &from, limit) {
            Ok(page) => {
                let is_last = page.len() < limit;
                if let Some((key, _)) = page.last() {
                    from = [key.as_slice(), &[0]].concat();
                }
                found.extend(page);
                if is_last {
                    return Ok((found, damaged));
                }
            }
            // What stands before it is read one by one, and then it is passed over.
            Err(ReadError::Damaged { .. }) if limit > 1 => limit = 1,
            Err(ReadError::Damaged { key }) => {
                from = [key.as_slice(), &[0]].concat();
                damaged += 1;
                limit = PAGE;
            }
            Err(error) => return Err(error),
        }
    }
}
