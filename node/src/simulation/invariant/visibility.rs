//! What a source said stands in the record until the same source says otherwise, having seen it; and then
//! it is gone. What two nodes wrote apart both stands.
//!
//! Judged from what clients asked for and were answered, and from who had seen whom by the headers of
//! commits: no document is asked what it replaces. Left out is what cannot be told from there: values
//! with a first day, releases, and records where something was set aside, quarantined or written without
//! an answer by the same source.

use std::collections::{BTreeMap, BTreeSet};

use crdt_model::document::Version;
use crdt_model::id::{CommitRef, LogId, RecordId, SourceName};
use crdt_model::path::AttributePath;
use crdt_model::value::Assertion;

use super::{EndNode, Invariant, Seen, Verdict};
use crate::kv::{Memory, View as _};
use crate::replica::commit::Commit;
use crate::replica::event::{Effect, Precondition, WriteReceipt, WriteRequest};
use crate::replica::layout;
use crate::replica::records::Records;

/// For every log, the last commit seen.
type Clock = BTreeMap<LogId, u64>;

/// Who says what about which customer.
type Register = (RecordId, AttributePath, SourceName);

/// What a commit says in one register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Value,
    Tombstone,
}

/// What a client was told that it wrote about one customer.
#[derive(Debug)]
struct Told {
    said: BTreeMap<AttributePath, Said>,
    /// As of which version, if it named one.
    as_of: Option<Version>,
}

#[derive(Debug, Default)]
pub(super) struct Visibility {
    told: BTreeMap<(CommitRef, RecordId), Told>,
    /// Which commit a version of a customer is the state after.
    versions: BTreeMap<(RecordId, String), CommitRef>,
}

impl Visibility {
    fn promised(&mut self, asked: &WriteRequest, receipt: &WriteReceipt) {
        let Some(commit) = receipt.commit else { return };
        for write in &asked.records {
            let Some(answer) = receipt.records.iter().find(|one| one.record == write.record) else {
                continue;
            };
            let written = answer
                .fields
                .iter()
                .filter(|field| matches!(field.effect, Effect::TookEffect | Effect::KeptAsClaim));
            let written: BTreeSet<&AttributePath> = written.map(|field| &field.path).collect();
            if written.is_empty() {
                continue;
            }
            let said = write.edits.iter().filter(|(path, _)| written.contains(path));
            let said = said.filter_map(|(path, assertion)| Some((path.clone(), kind(assertion)?)));
            let as_of = match &write.precondition {
                Precondition::AsOf(version) => Some(version.clone()),
                Precondition::None
                | Precondition::IsNew
                | Precondition::Exists
                | Precondition::IsAt(_) => None,
            };
            let told = Told { said: said.collect(), as_of };
            self.told.entry((commit, write.record)).or_insert(told);
            let version = (write.record, answer.version.to_string());
            self.versions.entry(version).or_insert(commit);
        }
    }
}

/// Only what is in the register without a first day is judged.
fn kind(assertion: &Assertion) -> Option<Said> {
    match assertion {
        Assertion::Stated(said) if said.valid_from.is_none() => Some(Said::Value),
        Assertion::Tombstone => Some(Said::Tombstone),
        Assertion::Stated(_) | Assertion::Release { .. } => None,
    }
}

/// A commit that is known to have written a register, and what it had seen of the record.
struct Writing {
    commit: CommitRef,
    said: Said,
    seen: Clock,
}

/// All that was written, as the oracle reads it.
#[derive(Default)]
struct History {
    registers: BTreeMap<Register, Vec<Writing>>,
    /// Where not everything is known.
    unknown: BTreeSet<(RecordId, SourceName)>,
}

impl Visibility {
    fn read(&self, disk: &Memory) -> Result<History, String> {
        let mut history = History::default();
        let mut clocks: BTreeMap<CommitRef, Clock> = BTreeMap::new();
        for commit in commits(disk)? {
            let header = &commit.signed.header;
            let at = header.commit();
            let before = CommitRef { seq: at.seq.saturating_sub(1), ..at };
            let mut seen = clocks.get(&before).cloned().unwrap_or_default();
            let ends = header.opening.and_then(|opening| opening.predecessor);
            for head in header.follows.iter().chain(&ends) {
                let cause = CommitRef { log: head.log, seq: head.seq };
                for (log, seq) in clocks.get(&cause).into_iter().flatten() {
                    let known = seen.entry(*log).or_default();
                    *known = (*known).max(*seq);
                }
            }
            for (record, _) in commit.records() {
                self.write(&mut history, &commit, record, &seen, &clocks);
            }
            seen.insert(at.log, at.seq);
            clocks.insert(at, seen);
        }
        Ok(history)
    }

    fn write(
        &self,
        history: &mut History,
        commit: &Commit,
        record: RecordId,
        seen: &Clock,
        clocks: &BTreeMap<CommitRef, Clock>,
    ) {
        let at = commit.signed.header.commit();
        let source = &commit.signed.note.source;
        let seen_as_of = |version: &Version| {
            clocks.get(self.versions.get(&(record, version.to_string()))?).cloned()
        };
        let told = self.told.get(&(at, record)).and_then(|told| {
            let seen = match &told.as_of {
                Some(version) => seen_as_of(version)?,
                None => seen.clone(),
            };
            Some((told, seen))
        });
        let Some((told, seen)) = told else {
            history.unknown.insert((record, source.clone()));
            return;
        };
        for (path, said) in &told.said {
            let register = (record, path.clone(), source.clone());
            let writing = Writing { commit: at, said: *said, seen: seen.clone() };
            history.registers.entry(register).or_default().push(writing);
        }
    }
}

/// The commits of a disk in the order of its feed, causes first.
fn commits(disk: &Memory) -> Result<Vec<Commit>, String> {
    let records = Records::new(disk);
    let feed = records.feed(0, usize::MAX).map_err(|error| error.to_string())?;
    let commits = feed.iter().filter_map(|(_, entry)| entry.cause.commit());
    let read = commits.map(|at| records.commit(at).map_err(|error| error.to_string()));
    Ok(read.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The values in a register that nothing has replaced.
fn standing(writings: &[Writing]) -> BTreeSet<CommitRef> {
    let is_replaced = |one: &Writing| {
        let sees =
            |by: &Writing| by.seen.get(&one.commit.log).is_some_and(|seq| *seq >= one.commit.seq);
        writings.iter().any(|by| by.commit != one.commit && sees(by))
    };
    let values = writings.iter().filter(|one| one.said == Said::Value && !is_replaced(one));
    values.map(|one| one.commit).collect()
}

impl Invariant for Visibility {
    fn name(&self) -> &'static str {
        "visibility"
    }

    fn see(&mut self, _: u64, seen: &Seen<'_>) -> Verdict {
        if let Seen::Promised { receipt, request, .. } = seen {
            self.promised(request, receipt);
        }
        Ok(())
    }

    fn end(&mut self, nodes: &[EndNode<'_>]) -> Verdict {
        let Some(node) = nodes.iter().find(|node| node.is_core) else { return Ok(()) };
        let records = Records::new(node.disk);
        let read = |error: crate::kv::ReadError| error.to_string();
        let set_aside = node.disk.scan(&[layout::ASIDE], &[], 1).map_err(read)?;
        if !set_aside.is_empty() || !records.forks().map_err(read)?.is_empty() {
            return Ok(());
        }
        let History { registers, unknown } = self.read(node.disk)?;
        for ((record, path, source), writings) in &registers {
            let untold = unknown.contains(&(*record, source.clone()));
            if untold || !records.quarantined(Some(record), 1).map_err(read)?.is_empty() {
                continue;
            }
            let Some(document) = records.document(record).map_err(read)? else {
                return Err(format!("customer {record} is gone, and somebody wrote it"));
            };
            let claims = document.claims();
            let stated = claims.claims().iter().filter(|claim| {
                (&claim.path, &claim.source) == (path, source)
                    && matches!(&claim.assertion, Ok(said) if kind(said) == Some(Said::Value))
            });
            let found: BTreeSet<CommitRef> = stated.map(|claim| claim.origin.commit).collect();
            let expected = standing(writings);
            if found != expected {
                return Err(format!(
                    "{source} says about {path} of customer {record} what {found:?} wrote, and nothing that it has seen replaces {expected:?}"
                ));
            }
        }
        Ok(())
    }
}
