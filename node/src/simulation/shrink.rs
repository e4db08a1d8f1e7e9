//! Finds fewer steps that still break the same invariant, by leaving out halves, quarters and so on
//! (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", TSE 2002).

use std::collections::BTreeSet;

use super::plan::Plan;

/// Leaves out whatever can be left out so that `fails` still says so. Calls it at most `budget` times.
pub(super) fn shrink(
    plan: &Plan,
    mut budget: u32,
    mut fails: impl FnMut(&Plan) -> bool,
) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..plan.steps.len()).collect();
    let mut size = kept.len().div_ceil(2).max(1);
    loop {
        let mut from = 0;
        let before = kept.len();
        while from < kept.len() {
            if budget == 0 {
                return kept;
            }
            budget -= 1;
            let upto = (from + size).min(kept.len());
            let without: BTreeSet<usize> =
                kept[..from].iter().chain(&kept[upto..]).copied().collect();
            if fails(&plan.only(&without)) {
                kept = without.into_iter().collect();
            } else {
                from = upto;
            }
        }
        if size == 1 && kept.len() == before {
            return kept;
        }
        size = (size / 2).max(1);
    }
}
