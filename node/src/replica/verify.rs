//! The audit of a store: every chain and signature, every record built again from its commits, and its
//! issues derived again.
//!
//! Nothing is changed. What is found is said in sentences for an operator; an empty list is a proof
//! that the golden records shown are those that the signed history gives.

use std::collections::BTreeSet;

use crdt_model::document::CustomerDocument;
use crdt_model::golden_record::GoldenRecord;
use crdt_model::id::{CommitRef, LogId, RecordId, RecordKind};
use crdt_model::survivorship::resolve;

use super::batch::{Batch, golden_element, has_conflict, quarantine_element};
use super::commit::Hash;
use super::fork::{Disproof, ForkProof};
use super::history::{History, Rebuilt};
use super::index::{Index, index_keys};
use super::issues::issue_marks;
use super::layout;
use super::multiset::MultisetHash;
use super::records::Records;
use super::vector::LogState;
use crate::kv::{Pair, ReadError, ShowKey, View};

/// What an audit looked at and what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Findings {
    /// Commits whose chain, signature and items were checked.
    pub commits: u64,
    /// Records built again and compared.
    pub records: u64,
    /// Items in quarantine, each found so again.
    pub quarantined: u64,
    /// Issues derived again and compared, except where records wait to be looked at.
    pub issues: u64,
    /// What is wrong, a sentence each, at most [`PROBLEMS_MAX`].
    pub problems: Vec<String>,
}

/// Problems listed; a damaged store would give one for every record.
pub const PROBLEMS_MAX: usize = 1_000;

impl Findings {
    fn problem(&mut self, text: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(text);
        }
    }
}

/// Audits everything. `progress` is told after each log and record how many were done.
///
/// # Errors
/// [`ReadError`] when the store itself fails; a damaged value is a finding.
pub fn verify(
    history: &History,
    view: &dyn View,
    progress: &mut dyn FnMut(&Findings),
) -> Result<Findings, ReadError> {
    let mut audit = Audit {
        history,
        view,
        findings: Findings::default(),
        golden: MultisetHash::default(),
        counts: Counts::default(),
        spreading: !view.scan(&[layout::DUE_INDEX], &[layout::DUE_INDEX], 1)?.is_empty(),
    };
    for (log, held) in history.vector.logs() {
        audit.log(log, held)?;
        progress(&audit.findings);
    }
    audit.forks()?;
    audit.feed()?;
    let mut from = vec![layout::HISTORY];
    while let Some((key, _)) = view.scan(&[layout::HISTORY], &from, 1)?.pop() {
        let Some(record) = layout::record_in(&key, 1) else { return Err(ReadError::damaged(&key)) };
        audit.record(&record)?;
        progress(&audit.findings);
        // Positions are below 2^64 - 1, so this key is after every entry of the record.
        from = layout::history_key(&record, u64::MAX);
    }
    audit.totals()?;
    Ok(audit.findings)
}

#[derive(Debug, Default)]
struct Counts {
    /// Customers and code lists.
    records: u64,
    customers: u64,
    conflicted: u64,
    with_issues: u64,
    /// What the indexes must hold: the entries of golden records, and the marks of issues.
    index: Entries,
    marks: Entries,
}

/// How many entries of an index there are, and the sum of their hashes: against damage.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entries {
    count: u64,
    sum: u128,
}

impl Entries {
    fn add(&mut self, key: &[u8]) {
        let hash = blake3::hash(key);
        let first = hash.as_bytes().first_chunk().copied().unwrap_or_default();
        self.count += 1;
        self.sum = self.sum.wrapping_add(u128::from_be_bytes(first));
    }
}

struct Audit<'a> {
    history: &'a History,
    view: &'a dyn View,
    findings: Findings,
    golden: MultisetHash,
    counts: Counts,
    /// Whether an index is being gone through, so that any record may have to be looked at again.
    spreading: bool,
}

impl Audit<'_> {
    fn log(&mut self, log: &LogId, held: &LogState) -> Result<(), ReadError> {
        let mut previous = [0; 32];
        for seq in 1..=held.seq {
            let at = CommitRef { log: *log, seq };
            match self.commit(&at, held, &previous)? {
                Ok(hash) => previous = hash,
                Err(problem) => {
                    self.findings.problem(format!("commit {at} {problem}"));
                    return Ok(());
                }
            }
            self.findings.commits += 1;
        }
        if previous != held.hash {
            self.findings.problem(format!("log {log} does not end in the head of the vector"));
        }
        Ok(())
    }

    /// Checks one commit; gives its hash, or what is wrong.
    fn commit(
        &self,
        at: &CommitRef,
        held: &LogState,
        previous: &Hash,
    ) -> Result<Result<Hash, &'static str>, ReadError> {
        let records = Records::new(self.view);
        let (position, commit) = match (records.header_at(at), records.commit(at)) {
            (Ok(Some((position, _))), Ok(Some(commit))) => (position, commit),
            (Err(ReadError::Damaged { .. }), _) | (_, Err(ReadError::Damaged { .. })) => {
                return Ok(Err("is damaged"));
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
            (Ok(None), _) | (_, Ok(None)) => return Ok(Err("is missing")),
        };
        let header = &commit.signed.header;
        let roster = &self.history.roster;
        let listed = records.feed(position.saturating_sub(1), 1)?;
        let hashes = commit.items.iter().map(|item| *blake3::hash(item).as_bytes());
        let problem = if header.commit() != *at || header.previous != *previous {
            "does not follow the one before it"
        } else if !hashes.eq(header.items.iter().copied()) {
            "has items that its header does not name"
        } else if roster.member_at(&held.node, header.epoch).is_none() {
            "is by an author who was not a member"
        } else if !commit.signed.is_signed_by(&held.node, &roster.network_id()) {
            "is not signed by its author"
        } else if !listed
            .iter()
            .any(|(found, entry)| *found == position && entry.cause.commit() == Some(at))
        {
            "is not at its place in the feed"
        } else {
            return Ok(Ok(commit.signed.hash()));
        };
        Ok(Err(problem))
    }

    /// Checks the proofs of forks, and that what they end is not held.
    fn forks(&mut self) -> Result<(), ReadError> {
        let mut from = vec![layout::FORK];
        loop {
            let (key, value) = match self.view.scan(&[layout::FORK], &from, 1) {
                Ok(mut page) => match page.pop() {
                    Some(pair) => pair,
                    None => return Ok(()),
                },
                Err(ReadError::Damaged { key }) => (key, Vec::new()),
                Err(error) => return Err(error),
            };
            if let Some(problem) = self.fork(&key, &value) {
                let key = ShowKey(&key);
                self.findings.problem(format!("the proof of a fork under {key} {problem}"));
            }
            from = [key.as_slice(), &[0]].concat();
        }
    }

    fn fork(&self, key: &[u8], value: &[u8]) -> Option<&'static str> {
        let Ok(proof) = ForkProof::decode(value) else { return Some("is damaged") };
        let at = proof.at();
        if layout::fork_key(&at.log) != key {
            return Some("is that of another log");
        }
        match proof.check(&self.history.roster) {
            Err(Disproof::False(why)) => Some(why),
            Err(Disproof::Early) => Some("names an entry that the roster does not have"),
            Ok(()) if self.history.vector.seq(&at.log) >= at.seq => {
                Some("ends its log, and commits beyond are held all the same")
            }
            Ok(()) => None,
        }
    }

    fn feed(&mut self) -> Result<(), ReadError> {
        let last = self.view.last(&[layout::FEED])?;
        let last = last.and_then(|(key, _)| layout::number_in(&key, 1)).unwrap_or(0);
        let (feed, derived) = (self.history.state.feed, self.history.state.derived);
        let held = self.history.vector.commits();
        // Every commit was found at its place; as many places as entries leave no gap.
        if last != feed || feed != held + derived {
            self.findings.problem(format!(
                "the feed ends at {last}, the state says {feed}, and {held} commits and {derived} \
                 changes of policy or roster are held"
            ));
        }
        Ok(())
    }

    fn record(&mut self, record: &RecordId) -> Result<(), ReadError> {
        self.findings.records += 1;
        let rebuilt = match self.history.rebuild(record, self.view) {
            Ok(rebuilt) => rebuilt,
            Err(ReadError::Damaged { .. }) => {
                self.findings
                    .problem(format!("customer {record} cannot be built: a commit is damaged"));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.findings.quarantined += rebuilt.quarantined.len() as u64;
        for item in &rebuilt.quarantined {
            self.golden.add(&quarantine_element(item));
        }
        if let Some(reason) = &rebuilt.held {
            self.findings.problem(format!("customer {record} is held: {reason}"));
        }
        for problem in self.differences(record, &rebuilt)? {
            self.findings.problem(format!("customer {record}: {problem}"));
        }
        Ok(())
    }

    fn differences(
        &mut self,
        record: &RecordId,
        rebuilt: &Rebuilt,
    ) -> Result<Vec<&'static str>, ReadError> {
        let records = Records::new(self.view);
        let mut problems = Vec::new();
        let stored = unless_damaged(records.document(record))?.flatten();
        let version = stored.map(|document| document.version());
        let expected = (!rebuilt.document.is_empty()).then(|| rebuilt.document.version());
        if version != expected {
            problems.push("the stored document is not the one that the commits give");
        }
        if rebuilt.document.check_with_automerge().is_err() {
            problems.push("Automerge reads other values in its changes, or cannot read them");
        }
        if records.quarantined(Some(record), usize::MAX)? != sorted(rebuilt) {
            problems.push("the quarantine is not the one that the commits give");
        }
        let key = layout::record_key(layout::GOLDEN, record);
        let golden = match expected {
            // What the policy before gave is to be replaced; it cannot be built again here.
            Some(_) if self.history.is_due(record) => {
                unless_damaged(records.golden(record))?.flatten()
            }
            Some(_) => {
                let claims = rebuilt.document.claims();
                let resolved = resolve(self.history.policy(), &claims);
                Some(GoldenRecord::from_resolved(*record, &resolved))
            }
            None => None,
        };
        let bytes = golden.as_ref().map(GoldenRecord::to_bytes);
        if unless_damaged(self.view.get(&key))? != Some(bytes.clone()) {
            problems.push("the stored golden record is not the one that the commits give");
        }
        if let (Some(golden), Some(bytes)) = (golden, bytes) {
            self.golden.add(&golden_element(record, &bytes));
            self.counts.records += 1;
            self.counts.customers += u64::from(record.kind() == RecordKind::Customer);
            let marked = self.view.get(&layout::record_key(layout::CONFLICT, record))?.is_some();
            if has_conflict(&golden) != marked {
                problems.push("its conflict mark is wrong");
            }
            self.counts.conflicted += u64::from(has_conflict(&golden));
            index_keys(&golden).iter().for_each(|key| self.counts.index.add(key));
        }
        problems.extend(self.issues(record, &rebuilt.document)?);
        Ok(problems)
    }

    /// Derives the issues again, unless the record waits to be looked at.
    fn issues(
        &mut self,
        record: &RecordId,
        document: &CustomerDocument,
    ) -> Result<Vec<&'static str>, ReadError> {
        let mut problems = Vec::new();
        let Some(stored) = unless_damaged(Records::new(self.view).issues(record))? else {
            problems.push("its stored issues are damaged");
            return Ok(problems);
        };
        issue_marks(record, &stored).iter().for_each(|mark| self.counts.marks.add(mark));
        self.counts.with_issues += u64::from(!stored.is_empty());
        let due = self.view.get(&layout::record_key(layout::DUE, record))?.is_some();
        if due || self.spreading || self.history.is_due(record) {
            return Ok(problems);
        }
        let derived = if document.is_empty() {
            Vec::new()
        } else {
            let claims = document.claims();
            let resolved = resolve(self.history.policy(), &claims);
            let golden = GoldenRecord::from_resolved(*record, &resolved);
            let batch = Batch::new(self.history, self.view);
            match unless_damaged(batch.derive(record, &claims, &resolved, &golden))? {
                Some(derived) => derived,
                // What is damaged beside it is found at its own record.
                None => return Ok(problems),
            }
        };
        if derived != stored {
            problems.push("the stored issues are not those that follow from the claims");
        }
        self.findings.issues += derived.len() as u64;
        Ok(problems)
    }

    fn totals(&mut self) -> Result<(), ReadError> {
        let state = &self.history.state;
        if self.golden != state.golden {
            self.findings.problem("the golden digest is not that of the golden records".to_owned());
        }
        let counted = (self.counts.customers, self.counts.conflicted, self.findings.quarantined);
        if counted != (state.records, state.conflicted, state.quarantined) {
            self.findings.problem(format!(
                "records, conflicts and quarantined items are {counted:?}, the state says {:?}",
                (state.records, state.conflicted, state.quarantined)
            ));
        }
        let Counts { records, conflicted, with_issues, .. } = self.counts;
        let quarantined = self.findings.quarantined;
        for (kind, what, expected) in [
            (layout::DOCUMENT, "documents", records),
            (layout::GOLDEN, "golden records", records),
            (layout::CONFLICT, "conflict marks", conflicted),
            (layout::QUARANTINE, "quarantined items", quarantined),
            (layout::ISSUES, "records with issues", with_issues),
        ] {
            let stored = self.count(kind)?;
            // All that must be there was looked for; what is over belongs to no commit.
            if stored != expected {
                self.findings.problem(format!("the store has {stored} {what}, not {expected}"));
            }
        }
        self.indexes()
    }

    /// Compares the indexes as wholes, since looking each entry up would take longer than all else; only
    /// where they differ it is found out whose entries are missing.
    fn indexes(&mut self) -> Result<(), ReadError> {
        let expected = [
            (layout::INDEX, "lookup index entries", std::mem::take(&mut self.counts.index)),
            (layout::ISSUE_MARK, "marks of issues", std::mem::take(&mut self.counts.marks)),
        ];
        let mut differ = Vec::new();
        for (kind, what, expected) in expected {
            match unless_damaged(self.entries(kind))? {
                Some(stored) if stored == expected => {}
                Some(stored) => differ.push((what, stored.count, expected.count)),
                None => self.findings.problem(format!("some of the {what} are damaged")),
            }
        }
        if !differ.is_empty() {
            self.missing_entries()?;
        }
        for (what, stored, expected) in differ.into_iter().filter(|(_, one, other)| one != other) {
            self.findings.problem(format!("the store has {stored} {what}, not {expected}"));
        }
        self.stray_runs()
    }

    fn entries(&self, kind: u8) -> Result<Entries, ReadError> {
        let mut entries = Entries::default();
        self.each_entry(kind, &mut |key| entries.add(key))?;
        Ok(entries)
    }

    fn each_entry(&self, kind: u8, look: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        let mut from = vec![kind];
        loop {
            let page = Index::new(self.view).scan(&[kind], &from, INDEX_PAGE)?;
            page.iter().for_each(|key| look(key));
            match page.last() {
                Some(key) => from = [key.as_slice(), &[0]].concat(),
                None => return Ok(()),
            }
        }
    }

    /// Names the records of which an entry is missing. Where entries cannot be read nothing is said of
    /// them: that some are damaged is said already.
    fn missing_entries(&mut self) -> Result<(), ReadError> {
        // Eight bytes for each entry: 60 MB at a million customers.
        let mut held: Vec<u64> = Vec::new();
        for kind in [layout::INDEX, layout::ISSUE_MARK] {
            if unless_damaged(self.each_entry(kind, &mut |key| held.push(short_hash(key))))?
                .is_none()
            {
                return Ok(());
            }
        }
        held.sort_unstable();
        let are_held = |keys: &BTreeSet<Vec<u8>>| {
            keys.iter().all(|key| held.binary_search(&short_hash(key)).is_ok())
        };
        let records = Records::new(self.view);
        let mut from = vec![layout::GOLDEN];
        while let Some((key, bytes)) = next_sound(self.view, &[layout::GOLDEN], &from)? {
            from = [key.as_slice(), &[0]].concat();
            let Some(record) = layout::record_in(&key, 1) else { continue };
            let Ok(golden) = GoldenRecord::from_bytes(&bytes) else { continue };
            if golden.record == record && !are_held(&index_keys(&golden)) {
                self.findings
                    .problem(format!("customer {record}: it is missing in a lookup index"));
            }
            let issues = unless_damaged(records.issues(&record))?.unwrap_or_default();
            if !are_held(&issue_marks(&record, &issues)) {
                let text = "it is missing among those with its issues";
                self.findings.problem(format!("customer {record}: {text}"));
            }
        }
        Ok(())
    }

    /// Finds blocks of runs that the state does not name: nobody reads them, and what is in them should
    /// be gone.
    fn stray_runs(&mut self) -> Result<(), ReadError> {
        let known: BTreeSet<u64> = self.history.state.runs.all().collect();
        let mut from = vec![layout::RUN];
        while let Some((key, _)) = next_sound(self.view, &[layout::RUN], &from)? {
            let Some(run) = layout::number_in(&key, 1) else {
                return Err(ReadError::damaged(&key));
            };
            if !known.contains(&run) {
                self.findings
                    .problem(format!("index run {run} is in the store and nothing names it"));
            }
            let Some(next) = run.checked_add(1) else { break };
            from = layout::run_prefix(next);
        }
        Ok(())
    }

    fn count(&self, kind: u8) -> Result<u64, ReadError> {
        let mut stored = 0;
        let mut from = vec![kind];
        loop {
            let page = match self.view.scan(&[kind], &from, COUNT_PAGE) {
                // Found when its record was looked at.
                Err(ReadError::Damaged { key }) => {
                    stored += 1;
                    from = [key.as_slice(), &[0]].concat();
                    continue;
                }
                other => other?,
            };
            stored += page.len() as u64;
            match page.last() {
                Some((key, _)) => from = [key.as_slice(), &[0]].concat(),
                None => return Ok(stored),
            }
        }
    }
}

/// Entries counted at a time.
const COUNT_PAGE: usize = 1_000;
/// Entries of an index read at a time: more of them make reading runs cheaper.
const INDEX_PAGE: usize = 20_000;

fn short_hash(key: &[u8]) -> u64 {
    let hash = blake3::hash(key);
    hash.as_bytes().first_chunk().copied().map_or(0, u64::from_be_bytes)
}

/// The first pair at or after `from` whose value is sound.
fn next_sound(view: &dyn View, prefix: &[u8], from: &[u8]) -> Result<Option<Pair>, ReadError> {
    let mut from = from.to_vec();
    loop {
        match view.scan(prefix, &from, 1) {
            Ok(mut page) => return Ok(page.pop()),
            Err(ReadError::Damaged { key }) => from = [key.as_slice(), &[0]].concat(),
            Err(error) => return Err(error),
        }
    }
}

fn sorted(rebuilt: &Rebuilt) -> Vec<super::records::QuarantinedItem> {
    let mut items = rebuilt.quarantined.clone();
    items.sort_by_key(|item| (item.commit, item.index));
    items
}

/// None when the value is damaged, which is a finding and not a failure.
fn unless_damaged<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(ReadError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
