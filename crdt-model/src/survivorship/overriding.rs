//! Overrides of stewards: which stand, until when, and that one which stands decides alone.

use super::rules::{Contest, Verdict};
use super::standing::Entry;
use crate::claim::{Claim, ClaimSet};
use crate::golden_record::LossReason;
use crate::governance::Ends;

/// Sets how long each override among the entries stands; says which of them are overrides.
pub(super) fn settle(claims: &ClaimSet, group: &[Claim], entries: &mut [Entry<'_>]) -> Vec<bool> {
    if !claims.is_marked() {
        return vec![false; entries.len()];
    }
    let ends: Vec<Option<Ends>> =
        entries.iter().map(|entry| claims.override_ends(entry.claim)).collect();
    if ends.iter().all(Option::is_none) {
        return vec![false; entries.len()];
    }
    let is_invalid = |claim: &Claim| {
        let mut entries = entries.iter().filter(|entry| std::ptr::eq(entry.claim, claim));
        entries.any(|entry| matches!(entry.fate, Err(LossReason::Invalid { .. })))
    };
    // A source that withdraws what it said has changed, too.
    let sources: Vec<&Claim> = group
        .iter()
        .filter(|claim| claims.override_ends(claim).is_none() && !is_invalid(claim))
        .collect();
    for (entry, ends) in entries.iter_mut().zip(&ends) {
        let (Some(ends), Ok(standing)) = (ends, &mut entry.fate) else { continue };
        match ends {
            Ends::Never => {}
            Ends::On(day) => standing.to = Some(standing.to.map_or(*day, |to| to.min(*day))),
            Ends::SourceChanges => {
                if !sources.iter().all(|claim| claims.saw(entry.claim, claim)) {
                    entry.fate = Err(LossReason::SourceChanged);
                }
            }
        }
    }
    ends.iter().map(Option::is_some).collect()
}

impl Contest<'_> {
    /// The last of the overrides decides; nothing else takes part.
    pub(super) fn overridden(&self, by: &[usize]) -> Verdict {
        let others: Vec<usize> = (0..self.live.len()).filter(|place| !by.contains(place)).collect();
        self.agreed(self.last_writer(by).and(&others, &LossReason::Overridden))
    }
}
