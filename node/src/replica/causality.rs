//! Whether a commit had seen another one, by what its author declared.
//!
//! A commit names the logs that moved since the author's commit before it, and the first commit of a
//! log names all of them. So an author's declared past is found in its own log alone: the newest
//! note about the other log at or before the commit. Verdicts use this and not what the judging node
//! happens to hold, so that they are alike everywhere.

use crdt_model::id::CommitRef;

use super::commit::Header;
use super::layout;
use super::records::Records;
use super::vector::Vector;
use crate::kv::{Op, ReadError, View};

/// The notes that a commit makes about the logs that it follows.
pub(crate) fn notes(header: &Header) -> impl Iterator<Item = Op> {
    let commit = header.commit();
    header.follows.iter().map(move |head| {
        let key = layout::followed_key(&commit, &head.log);
        Op::Put(key, head.seq.to_be_bytes().to_vec())
    })
}

/// What the author of one commit had declared to have seen.
pub(crate) struct Past<'a> {
    pub(crate) header: &'a Header,
    pub(crate) vector: &'a Vector,
    pub(crate) view: &'a dyn View,
}

impl Past<'_> {
    /// Whether the commit had seen `cause`. A commit has seen itself.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or a value is damaged.
    pub(crate) fn includes(&self, cause: &CommitRef) -> Result<bool, ReadError> {
        if cause.log == self.header.log {
            return Ok(cause.seq <= self.header.seq);
        }
        if self.followed(cause)? >= cause.seq || self.inherited(cause)? {
            return Ok(true);
        }
        // An author that follows a node's later log has seen the earlier one up to its end.
        for (log, held) in self.vector.logs() {
            let speaks_for =
                held.predecessor.is_some_and(|end| end.log == cause.log && end.seq >= cause.seq);
            if speaks_for
                && *log != self.header.log
                && self.includes(&CommitRef { log: *log, seq: 1 })?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How far the author had followed the log of `cause`.
    fn followed(&self, cause: &CommitRef) -> Result<u64, ReadError> {
        if let Some(head) = self.header.follows.iter().find(|head| head.log == cause.log) {
            return Ok(head.seq);
        }
        let prefix = layout::followed_prefix(&self.header.log, &cause.log);
        let from = layout::followed_key(&self.header.commit(), &cause.log);
        let note = self.view.scan(&prefix, &from, 1)?.pop();
        let seq = note.and_then(|(_, value)| layout::number_in(&value, 0));
        Ok(seq.unwrap_or(0))
    }

    /// Whether `cause` is in the author's own logs before this one.
    fn inherited(&self, cause: &CommitRef) -> Result<bool, ReadError> {
        let opening = match self.header.opening {
            Some(opening) => Some(opening),
            None => {
                let first = CommitRef { log: self.header.log, seq: 1 };
                let first = Records::new(self.view).header(&first)?;
                first.and_then(|first| first.header.opening)
            }
        };
        let mut end = opening.and_then(|opening| opening.predecessor);
        while let Some(head) = end {
            if head.log == cause.log {
                return Ok(cause.seq <= head.seq);
            }
            end = self.vector.get(&head.log).and_then(|held| held.predecessor);
        }
        Ok(false)
    }
}
