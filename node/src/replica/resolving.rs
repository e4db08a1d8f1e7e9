//! Putting a policy in force: the records are resolved again, a page at a time.
//!
//! Which policy is in force follows from the roster and the clock, and never goes back. The records
//! that are left are resolved in the order of their ids between other work, so that a node with a
//! million customers goes on reading and writing meanwhile; how far it came is stored, so that a
//! crash costs one page. Until the end golden digests are not compared with peers.

use std::sync::Arc;

use crdt_model::id::RecordId;
use crdt_model::policy::{CompiledChecks, Policy, RESOLVER};

use super::batch::Batch;
use super::history::History;
use super::layout;
use super::records::{Cause, Records};
use super::state::Resolving;
use super::vector::first_8;
use crate::kv::{Op, ReadError, View};

/// Records resolved again in one turn.
const PAGE: usize = 200;

/// What names policy and resolver among peers: with equal rules and equal histories, golden records
/// are equal.
#[must_use]
pub(super) fn rules_of(policy: &Policy) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new_derive_key("concord 2026 rules");
    hasher.update(&policy.digest()).update(&RESOLVER.to_be_bytes());
    first_8(hasher.finalize().as_bytes())
}

impl History {
    /// The policy by which a commit of an epoch and time is judged: never a newer opinion.
    #[must_use]
    pub fn policy_at(&self, epoch: u64, time_ms: u64) -> &Arc<Policy> {
        self.roster.policy_at(epoch, time_ms).unwrap_or(&self.base)
    }

    /// Puts the policy in force that is due, and notes which records must be resolved again. Gives
    /// whether the state changed.
    pub(super) fn activate(&mut self, now_ms: u64) -> bool {
        let reached = self.state.policy_height;
        let due = self
            .roster
            .policies()
            .filter(|(height, entry)| *height <= reached || entry.activates_at_ms <= now_ms)
            .last()
            .map(|(height, entry)| (height, Arc::clone(&entry.policy)));
        let (height, policy) = due.unwrap_or_else(|| (0, Arc::clone(&self.base)));
        let rules = rules_of(&policy);
        let digest = policy.digest();
        if digest != self.policy_digest {
            self.checks = Arc::new(CompiledChecks::of(&policy));
            self.policy_digest = digest;
        }
        self.policy = policy;
        if self.state.rules == rules && reached == height {
            return false;
        }
        let is_empty = self.state.records == 0;
        if self.state.rules != rules {
            self.state.resolving = (!is_empty).then_some(Resolving::Begun);
        }
        self.state.policy_height = height;
        self.state.rules = rules;
        true
    }

    /// Resolves the next page of records. Gives the batch; the state is moved.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged; nothing has changed then.
    pub(super) fn resolve_page(&mut self, view: &dyn View) -> Result<Vec<Op>, ReadError> {
        let after = match self.state.resolving {
            None => return Ok(Vec::new()),
            Some(Resolving::Begun) => None,
            Some(Resolving::After(record)) => Some(record),
        };
        let page = Records::new(view).ids(after, PAGE)?;
        let mut batch = Batch::new(self, view);
        let mut differences = Vec::new();
        for record in &page {
            differences.extend(batch.resolve_again(record)?);
        }
        batch.derived(Cause::Policy(self.policy.version), differences);
        let last = page.last().filter(|_| page.len() == PAGE);
        batch.state.resolving = last.map(|record| Resolving::After(*record));
        let Batch { state, mut ops, has_due, lists_changed, .. } = batch.done()?;
        self.hot.forget_all();
        if lists_changed {
            self.lists.forget();
        }
        self.has_due |= has_due;
        ops.push(Op::Put(layout::STATE.to_vec(), state.encode()));
        self.state = state;
        Ok(ops)
    }

    /// Whether a record is still to be resolved by the policy in force.
    #[must_use]
    pub(super) fn is_due(&self, record: &RecordId) -> bool {
        match self.state.resolving {
            None => false,
            Some(Resolving::Begun) => true,
            Some(Resolving::After(done)) => *record > done,
        }
    }

    /// The rules by which every golden record is resolved; all zero while some are not yet.
    #[must_use]
    pub(super) fn rules(&self) -> [u8; 8] {
        if self.state.resolving.is_some() { [0; 8] } else { self.state.rules }
    }
}
