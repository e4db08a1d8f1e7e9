//! An empty store filled from commits that come one after the other, from a damaged store or from a
//! backup: commits are the truth, all else follows from them.
//!
//! Every commit goes through the same place, judgement and application as one that a peer sends, so what
//! comes out is what a node would hold that had heard these commits in this order, and no others. Where
//! the commits come from, the caller knows.

use crdt_model::policy::Policy;

use super::commit::Commit;
use super::fork::ForkProof;
use super::history::{History, Place};
use super::layout;
use super::roster::Roster;
use crate::kv::Op;
use crate::kv::ReadError;
use crate::kv::View;

/// A store that is being filled. What a call gives must be readable through the view before the next.
#[derive(Debug)]
pub struct Rebuild {
    history: History,
    now_ms: u64,
}

/// What became of a commit.
#[derive(Debug)]
pub enum Taken {
    /// It is the next one: the batch that applies it.
    Next(Vec<Op>),
    /// It is here, or void: nothing is to be done.
    Known,
    /// It cannot be placed upon what came before it.
    Misplaced(Place),
}

impl Rebuild {
    /// Begins with an empty store; gives its first batch.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    pub fn begin(
        roster: Roster,
        now_ms: u64,
        new: &dyn View,
    ) -> Result<(Self, Vec<Op>), ReadError> {
        let mut history = History::load(new, roster, Policy::built_in())?;
        history.activate(now_ms);
        let ops = vec![
            Op::Put(layout::ROSTER.to_vec(), history.roster.encode()),
            Op::Put(layout::STATE.to_vec(), history.state.encode()),
        ];
        Ok((Self { history, now_ms }, ops))
    }

    /// Ends the log of a fork; gives the batch, which is empty when the proof does not hold or says
    /// nothing new.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read; nothing has changed then.
    pub fn end_log(&mut self, proof: &ForkProof, new: &dyn View) -> Result<Vec<Op>, ReadError> {
        if proof.check(&self.history.roster).is_err() {
            return Ok(Vec::new());
        }
        Ok(self.history.end_log(proof, new)?.map_or_else(Vec::new, |ended| ended.ops))
    }

    /// Takes a commit whose items are the ones that its header names.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read; nothing has changed then.
    pub fn take(&mut self, commit: &Commit, new: &dyn View) -> Result<Taken, ReadError> {
        Ok(match self.history.place(commit, new)? {
            Place::Next { author, region } => {
                Taken::Next(self.history.take(commit, &author, &region, self.now_ms, new)?.ops)
            }
            Place::Known | Place::Void => Taken::Known,
            place @ (Place::MissingCause
            | Place::MissingEpoch
            | Place::Fork(_)
            | Place::Unauthentic(_)) => Taken::Misplaced(place),
        })
    }

    /// What the store holds by now.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }
}
