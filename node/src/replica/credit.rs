//! Slices of a credit limit at the door: what a region may draw, deal and give away.
//!
//! The model judges ([`Slices::admit`]); here it is told who asks. What peers wrote is never refused:
//! a figure of another region is what that region's books say. It becomes an issue where it does not
//! fit, and a transfer that is not covered counts for nobody.

use std::collections::BTreeSet;

use crdt_model::attribute::Fault;
use crdt_model::claim::{ClaimEdit, ClaimSet};
use crdt_model::credit::slice::Slices;
use crdt_model::credit::slice::door::Desk;
use crdt_model::golden_record::GoldenRecord;
use crdt_model::governance::ProposedEdit;
use crdt_model::id::{RecordId, Region};
use crdt_model::path::AttributePath;
use crdt_model::survivorship::resolve;
use crdt_model::value::Assertion;
use jiff::civil::Date;

use super::history::History;
use super::node_id::NodeId;

/// A write that may touch slices.
pub(super) struct Counter<'a> {
    pub(super) history: &'a History,
    pub(super) node: &'a NodeId,
    pub(super) region: &'a Region,
    pub(super) record: &'a RecordId,
    pub(super) day: Date,
}

impl Counter<'_> {
    /// Judges the edits that would be written and those that would be proposed. `claims` are asked for
    /// only when a slice is touched.
    pub(super) fn judge<'c>(
        &self,
        claims: &dyn Fn() -> &'c ClaimSet,
        edits: &[ClaimEdit],
        proposed: &[ProposedEdit],
    ) -> Result<(), Fault> {
        if let Some(edit) = proposed.iter().find(|edit| is_final(&edit.path)) {
            let text =
                "A slice, an exposure or a transfer cannot wait for others: what is drawn is \
                        drawn. Write it directly; the limit itself is what others decide on."
                    .to_owned();
            return Err(fault("slice-proposed", &edit.path, text));
        }
        let segments: BTreeSet<&str> =
            edits.iter().filter_map(|edit| segment_of(&edit.key.path)).collect();
        if segments.is_empty() {
            return Ok(());
        }
        let (policy, claims) = (self.history.policy(), claims());
        let golden = GoldenRecord::from_resolved(*self.record, &resolve(policy, claims));
        let is_teller = self.history.roster.teller(self.region) == Some(*self.node);
        let desk = Desk { region: self.region, is_teller };
        let edits: Vec<(AttributePath, Assertion)> =
            edits.iter().map(|edit| (edit.key.path.clone(), edit.assertion.clone())).collect();
        for segment in segments {
            let slices = Slices::of(policy, claims, &golden, segment, self.day);
            slices
                .admit(desk, &edits)
                .map_err(|refusal| fault(refusal.code, &refusal.path, refusal.text))?;
        }
        Ok(())
    }
}

fn fault(code: &'static str, path: &AttributePath, text: String) -> Fault {
    Fault { code, pointer: format!("/{path}"), text }
}

/// The segment whose slices an edit touches.
fn segment_of(path: &AttributePath) -> Option<&str> {
    is_final(path).then(|| path.as_str().split('/').nth(1))?
}

/// Whether an attribute is a slice, what is drawn of it or what is given away.
fn is_final(path: &AttributePath) -> bool {
    let mut segments = path.as_str().split('/');
    let part = (segments.next(), segments.nth(1));
    matches!(part, (Some("credit"), Some("slice" | "exposure" | "transfer")))
}
