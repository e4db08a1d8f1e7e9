//! The walk over all entries behind `verify`, beside a writer that goes on.
//!
//! The walk reads page by page and sums up what it has seen. A batch that changes entries behind it
//! changes the sum, too, so that at the end it must equal the totals of that moment.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::VerifyReport;
use super::disk_store::{Change, DiskStore, PAGE, is_owned, page, resolve, successor};
use super::engine::Fault;
use super::totals::Totals;
use crate::kv::{KEY_RESERVED, ReadError};

/// The place for one walk at a time.
pub(super) struct Walk {
    /// Held for a whole walk.
    turn: Mutex<()>,
    /// Held for moments, and only under the gate of the store.
    progress: Mutex<Option<Progress>>,
}

/// How far the walk is.
struct Progress {
    /// Entries below this key were read.
    passed: Vec<u8>,
    /// What they add up to now.
    seen: Totals,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked: a walk starts by setting the progress anew.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Walk {
    pub(super) const fn new() -> Self {
        Self { turn: Mutex::new(()), progress: Mutex::new(None) }
    }

    /// Tells the walk what a batch changed. Called while the batch has the gate.
    pub(super) fn follow(&self, changes: &[Change<'_>]) {
        let mut progress = lock(&self.progress);
        let Some(Progress { passed, seen }) = progress.as_mut() else { return };
        for change in changes.iter().filter(|change| change.key < passed.as_slice()) {
            if let Some(head) = &change.old {
                seen.remove(head);
            }
            if let Some(stored) = &change.new {
                seen.add(&stored.head);
            }
        }
    }

    /// Reads and checks every entry; whether they add up to the totals.
    pub(super) fn verify(
        &self,
        store: &DiskStore,
        report: &mut VerifyReport,
    ) -> Result<bool, Fault> {
        let _turn = lock(&self.turn);
        *lock(&self.progress) = Some(Progress { passed: Vec::new(), seen: Totals::default() });
        let complete = self.walk(store, report);
        *lock(&self.progress) = None;
        complete
    }

    fn walk(&self, store: &DiskStore, report: &mut VerifyReport) -> Result<bool, Fault> {
        let engine = &store.parts().engine;
        let mut from = Vec::new();
        let mut all_found = true;
        loop {
            let gate = store.reading();
            let page = page(engine, &from)?;
            let mut progress = lock(&self.progress);
            for (key, entry) in &page {
                if key.starts_with(&[KEY_RESERVED]) {
                    report.orphans += u64::from(!is_owned(engine, key)?);
                    continue;
                }
                report.keys += 1;
                all_found &= engine.checks_pages()
                    || engine.get(key)?.as_deref().is_some_and(|found| found == &**entry);
                progress.iter_mut().for_each(|progress| progress.seen.add(entry));
                match resolve(engine, key, entry) {
                    Ok(value) => report.bytes += value.len() as u64,
                    Err(ReadError::Damaged { key }) => {
                        report.damaged += 1;
                        if report.damaged_keys.len() < 100 {
                            report.damaged_keys.push(key);
                        }
                    }
                    Err(ReadError::Unavailable { reason }) => return Err(Fault::Other(reason)),
                }
            }
            match page.last() {
                Some((key, _)) if page.len() == PAGE => from = successor(key),
                _ => {
                    let adds_up = progress.as_ref().is_some_and(|at| at.seen == gate.totals);
                    return Ok(adds_up && all_found);
                }
            }
            progress.iter_mut().for_each(|progress| progress.passed.clone_from(&from));
        }
    }
}
