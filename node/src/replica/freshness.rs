//! Up to when everything that a member wrote is here.
//!
//! A log has no gaps and its author's clock never goes back. So a commit proves that everything its
//! author wrote before is here, and so does a heartbeat: it says at which time of the sender's clock its
//! newest own commit was which. Nothing follows from silence: what a member without a link wrote since
//! is not known.

use std::collections::BTreeMap;

use crdt_model::id::{CommitRef, Region};

use super::node_id::NodeId;
use super::records::Records;
use super::roster::Roster;
use super::status::RegionStatus;
use super::vector::Vector;
use crate::kv::ReadError;

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// Everything that it wrote before is here, in milliseconds since 1970 by its clock; 0: not known.
    complete_ms: u64,
    /// What it said last: its clock, and its newest own commit then.
    told: Option<(u64, CommitRef)>,
}

impl Known {
    /// Up to when the member's commits are here, now that this vector is held.
    fn complete_ms(&self, vector: &Vector) -> u64 {
        let held = |commit: &CommitRef| vector.seq(&commit.log) >= commit.seq;
        let told = self.told.filter(|(_, commit)| held(commit)).map_or(0, |(clock_ms, _)| clock_ms);
        told.max(self.complete_ms)
    }
}

/// What is known of all members.
#[derive(Debug, Default)]
pub(super) struct Freshness(BTreeMap<NodeId, Known>);

impl Freshness {
    /// Takes up what the held logs prove.
    pub(super) fn load(vector: &Vector, records: Records<'_>) -> Result<Self, ReadError> {
        let mut freshness = Self::default();
        for (log, held) in vector.unfolded() {
            let newest = CommitRef { log: *log, seq: held.seq };
            // A damaged header proves nothing; what reads the commit tells of it.
            let header = match records.header(&newest) {
                Err(ReadError::Damaged { .. }) => None,
                header => header?,
            };
            header.iter().for_each(|newest| freshness.wrote(held.node, newest.header.time.ms()));
        }
        Ok(freshness)
    }

    /// A commit of the member with this time is held, and so is what it wrote before.
    pub(super) fn wrote(&mut self, node: NodeId, at_ms: u64) {
        let known = self.0.entry(node).or_default();
        known.complete_ms = known.complete_ms.max(at_ms);
    }

    /// The member said where its newest own commit stands; one that has written nothing says nothing.
    pub(super) fn told(
        &mut self,
        node: NodeId,
        clock_ms: u64,
        newest: Option<CommitRef>,
        vector: &Vector,
    ) {
        let known = self.0.entry(node).or_default();
        known.complete_ms = known.complete_ms(vector);
        match newest {
            Some(commit) => known.told = Some((clock_ms, commit)),
            None => known.complete_ms = known.complete_ms.max(clock_ms),
        }
    }

    /// Each region that has members, in the order of their names: complete up to the time up to which
    /// it is for each of its members. Of ourselves everything is here.
    pub(super) fn regions(
        &self,
        roster: &Roster,
        vector: &Vector,
        own: NodeId,
        now_ms: u64,
    ) -> Vec<RegionStatus> {
        let mut complete: BTreeMap<Region, u64> = BTreeMap::new();
        for member in roster.members().into_values() {
            let known = self.0.get(&member.node).copied().unwrap_or_default();
            let is_own = member.node == own;
            let member_ms = if is_own { now_ms } else { known.complete_ms(vector) };
            let least = complete.entry(member.region.clone()).or_insert(now_ms);
            *least = member_ms.min(*least);
        }
        let regions = complete.into_iter();
        regions
            .map(|(region, complete_ms)| RegionStatus { region: region.to_string(), complete_ms })
            .collect()
    }
}
