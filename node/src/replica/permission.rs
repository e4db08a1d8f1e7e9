//! Whether the author of an item may say what it says: by the roles and the four eyes of the policy
//! that the commit names, and by what the author had seen. Alike on every node.

use crdt_model::attribute;
use crdt_model::claim::ClaimSet;
use crdt_model::document::{CustomerDocument, ReadChange, Version};
use crdt_model::governance::{self, Who};
use crdt_model::id::RecordId;
use crdt_model::policy::Policy;

use super::verdict::Verdict;

/// Judges the content of an item that is well formed; `None`: it may be applied.
pub(super) fn judge(
    policy: &Policy,
    record: &RecordId,
    who: &Who<'_>,
    before: &CustomerDocument,
    change: &ReadChange,
) -> Option<Verdict> {
    let quarantined =
        |code: &str, text: String| Verdict::Quarantined { code: code.to_owned(), text };
    let misplaced = change.edits.iter().find(|edit| {
        attribute::lookup(&edit.key.path).is_some_and(|row| row.record_kind() != record.kind())
    });
    if let Some(edit) = misplaced {
        let text = format!("{} does not belong into a record of this kind", edit.key.path);
        return Some(quarantined("attribute-misplaced", text));
    }
    let past = || claims_seen(before, change);
    governance::judge(policy, who, &change.edits, &past)
        .err()
        .map(|denial| quarantined(denial.code, format!("{}: {}", denial.path, denial.text)))
}

/// The claims of a record as the author of a change had seen them.
fn claims_seen(before: &CustomerDocument, change: &ReadChange) -> ClaimSet {
    if change.seen == Version::new(Vec::new()) {
        return ClaimSet::default();
    }
    // The change was admitted, so the document holds what it depends on.
    before.claims_at(&change.seen).unwrap_or_default()
}
