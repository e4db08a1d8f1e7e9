//! Whether segments fit together: every commit is the next one of its log and signed by a member, and
//! none is missing.

use std::collections::BTreeMap;

use crdt_model::id::{CommitRef, LogId};

use super::{Begin, End, Part, forks};
use crate::replica::commit::{Commit, Hash};
use crate::replica::node_id::NodeId;
use crate::replica::roster::Roster;

/// How far a log is in a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Whose log it is.
    pub node: NodeId,
    /// The number of its last commit.
    pub seq: u64,
    /// The hash of that commit.
    pub hash: Hash,
}

/// Why a segment does not fit. What was checked before it does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// The parts are not in the order in which they are written.
    #[error("its parts are out of order")]
    Order,
    /// A commit is not the next one of its log.
    #[error("commit {0} does not follow what stands before it")]
    Gap(CommitRef),
    /// A commit is not signed by a member.
    #[error("commit {0} is not signed by a member of the network")]
    Unauthentic(CommitRef),
    /// Another number of commits than the store held.
    #[error("it comes to {found} commits, but the store held {expected}")]
    Count {
        /// How many the segments hold.
        found: u64,
        /// How many there should be.
        expected: u64,
    },
}

/// What the segments of a backup come to, checked part by part.
#[derive(Debug, Default)]
pub struct Chain {
    tips: BTreeMap<LogId, Tip>,
    /// Logs that were forked, with the first number that is void.
    void: BTreeMap<LogId, u64>,
    begin: Option<Begin>,
    roster: Option<Roster>,
    in_segment: u64,
    end: Option<End>,
}

impl Chain {
    /// Goes on after segments that come to these logs.
    #[must_use]
    pub fn after(tips: BTreeMap<LogId, Tip>) -> Self {
        Self { tips, ..Self::default() }
    }

    /// Takes the next part.
    ///
    /// # Errors
    /// [`Break`]; nothing can follow then.
    pub fn take(&mut self, part: Part) -> Result<(), Break> {
        match part {
            Part::Begin(begin) if self.begin.is_none() || self.end.is_some() => {
                (self.begin, self.end, self.in_segment) = (Some(begin), None, 0);
                self.roster = None;
            }
            _ if self.begin.is_none() || self.end.is_some() => return Err(Break::Order),
            Part::Begin(_) => return Err(Break::Order),
            Part::Roster(roster) => self.roster = Some(roster),
            Part::Commits(commits) => {
                commits.iter().try_for_each(|commit| self.commit(commit))?;
            }
            Part::Kept(pairs) => {
                let Some(roster) = &self.roster else { return Err(Break::Order) };
                for proof in forks(&pairs).iter().filter(|proof| proof.check(roster).is_ok()) {
                    let at = proof.at();
                    let end = self.void.entry(at.log).or_insert(at.seq);
                    *end = at.seq.min(*end);
                }
            }
            Part::End(end) => {
                let expected = self.begin.as_ref().map_or(0, |begin| begin.commits);
                let found = self.commits();
                if found != expected || end.commits != self.in_segment {
                    return Err(Break::Count { found, expected });
                }
                self.end = Some(end);
            }
        }
        Ok(())
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), Break> {
        let header = &commit.signed.header;
        let at = header.commit();
        let Some(roster) = &self.roster else { return Err(Break::Order) };
        let node = match (&header.opening, self.tips.get(&at.log)) {
            (Some(opening), None) if opening.log_id(&roster.network_id()) == at.log => opening.node,
            (None, Some(tip)) if tip.seq + 1 == at.seq && tip.hash == header.previous => tip.node,
            _ => return Err(Break::Gap(at)),
        };
        if roster.member_at(&node, header.epoch).is_none()
            || !commit.signed.is_signed_by(&node, &roster.network_id())
        {
            return Err(Break::Unauthentic(at));
        }
        self.tips.insert(at.log, Tip { node, seq: at.seq, hash: commit.signed.hash() });
        self.in_segment += 1;
        Ok(())
    }

    /// How many commits count: those that no fork made void.
    #[must_use]
    pub fn commits(&self) -> u64 {
        let counts = |(log, tip): (&LogId, &Tip)| {
            self.void.get(log).map_or(tip.seq, |end| tip.seq.min(end.saturating_sub(1)))
        };
        self.tips.iter().map(counts).sum()
    }

    /// How far every log is.
    #[must_use]
    pub const fn tips(&self) -> &BTreeMap<LogId, Tip> {
        &self.tips
    }

    /// How many commits of an earlier backup are neither here nor void.
    #[must_use]
    pub fn lacks(&self, earlier: &BTreeMap<LogId, Tip>) -> u64 {
        let missing = |(log, tip): (&LogId, &Tip)| {
            let end = self.void.get(log).map_or(u64::MAX, |end| end.saturating_sub(1));
            tip.seq.min(end).saturating_sub(self.tips.get(log).map_or(0, |held| held.seq))
        };
        earlier.iter().map(missing).sum()
    }

    /// What the segment is that was begun last.
    #[must_use]
    pub const fn begin(&self) -> Option<&Begin> {
        self.begin.as_ref()
    }

    /// The end of the segment that was begun last; none while it is not whole.
    #[must_use]
    pub const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// The roster of that segment.
    #[must_use]
    pub const fn roster(&self) -> Option<&Roster> {
        self.roster.as_ref()
    }
}
