//! The door of the replica: what a local write may say, beyond what its shape allows.
//!
//! Only local writes are judged here, by what this node knows: its code lists and the day. The same
//! content from a peer is taken, and becomes an issue where it does not fit.

use crdt_model::attribute::{self, Fault};
use crdt_model::code_list::list_for;
use crdt_model::id::RecordKind;
use crdt_model::issue::judge_code;
use crdt_model::value::Assertion;
use jiff::civil::Date;

use super::event::{RecordWrite, WriteRefusal};
use super::history::History;
use super::records::Records;

/// Judges what a write says about one record.
///
/// # Errors
/// [`WriteRefusal::Invalid`] with every fault, or [`WriteRefusal::Store`].
pub(super) fn judge(
    history: &History,
    records: &Records<'_>,
    write: &RecordWrite,
    day: Date,
) -> Result<(), WriteRefusal> {
    let mut faults = Vec::new();
    for (path, assertion) in &write.edits {
        let Some(attribute) = attribute::lookup(path) else { continue };
        if attribute.record_kind() != write.record.kind() {
            faults.push(wrong_kind(path.as_str(), attribute.record_kind()));
            continue;
        }
        let Assertion::Stated(statement) = assertion else { continue };
        let Some(name) = list_for(history.policy(), attribute, path) else { continue };
        let list = history.list(records, &name);
        let list = list.map_err(|error| WriteRefusal::Store { reason: error.to_string() })?;
        // A list that is not here yet cannot refuse; the value becomes an issue until it arrives.
        let day = statement.valid_from.map_or(day, |from| from.max(day));
        if let Some(list) = list
            && let Err(fault) = judge_code(&list, path, &statement.value, day)
        {
            faults.push(fault);
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(WriteRefusal::Invalid { record: write.record, faults })
}

fn wrong_kind(path: &str, kind: RecordKind) -> Fault {
    let text = match kind {
        RecordKind::CodeList => "Code lists are written at /v1/code-lists, or by concord codes.",
        RecordKind::Customer => "A code list holds codes, and no attribute of a customer.",
    };
    Fault { code: "attribute-misplaced", pointer: format!("/{path}"), text: text.to_owned() }
}
