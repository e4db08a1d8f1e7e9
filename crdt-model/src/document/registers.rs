//! Reading the registers of an Automerge document: every concurrent value of every key.
//!
//! Automerge's own winner, the highest counter, is never shown: it means nothing to a business.

use automerge::{
    Automerge, AutomergeError, ChangeHash, ObjId, ROOT, ReadDoc, ScalarValue, ScalarValueRef,
    Value, ValueRef,
};

use super::change::OpId;
use crate::id::LogId;
use crate::path::{ClaimKey, Slot};
use crate::value::Cell;

/// One visible value of a register and the operation that set it.
pub(super) type Visible = (OpId, Cell);

/// Every register with its visible values in the order of their operations; at `heads`, or now.
pub(super) fn registers(
    document: &Automerge,
    heads: Option<&[ChangeHash]>,
) -> Result<Vec<(String, Vec<Visible>)>, AutomergeError> {
    // An empty set of heads is the time before the first change.
    if heads.is_some_and(<[ChangeHash]>::is_empty) {
        return Ok(Vec::new());
    }
    let range = match heads {
        Some(heads) => document.map_range_at(ROOT, .., heads),
        None => document.map_range(ROOT, ..),
    };
    let mut registers = Vec::new();
    for item in range {
        let visible = if item.conflict {
            register(document, &item.key, heads)?
        } else {
            read_operation(&item.id()).zip(cell_of_ref(&item.value)).into_iter().collect()
        };
        registers.push((item.key.into_owned(), visible));
    }
    Ok(registers)
}

/// What the source of a key says about its attribute in all its slots; at `heads`, or now.
pub(super) fn registers_of(
    document: &Automerge,
    key: &ClaimKey,
    heads: Option<&[ChangeHash]>,
) -> Result<Vec<(ClaimKey, Vec<Visible>)>, AutomergeError> {
    let first = ClaimKey { slot: Slot::Undated, ..key.clone() }.to_string();
    // Every slot but the undated one follows the source behind an `@`.
    let after = format!("{first}{}", char::from(b'@' + 1));
    let keys: Vec<String> = match heads {
        Some([]) => Vec::new(),
        Some(heads) => {
            let range = document.map_range_at(ROOT, first..after, heads);
            range.map(|item| item.key.into_owned()).collect()
        }
        None => document.map_range(ROOT, first..after).map(|item| item.key.into_owned()).collect(),
    };
    let of_source = |text: String| {
        let other: ClaimKey = text.parse().ok()?;
        let is_own = other.path == key.path && other.source == key.source;
        is_own.then(|| register(document, &text, heads).map(|visible| (other, visible)))
    };
    keys.into_iter().filter_map(of_source).collect()
}

/// The visible values of one register; at `heads`, or now.
pub(super) fn register(
    document: &Automerge,
    key: &str,
    heads: Option<&[ChangeHash]>,
) -> Result<Vec<Visible>, AutomergeError> {
    let values = match heads {
        Some([]) => Vec::new(),
        Some(heads) => document.get_all_at(ROOT, key, heads)?,
        None => document.get_all(ROOT, key)?,
    };
    let visible = values.iter().map(|(value, id)| read_operation(id).zip(cell_of(value)));
    Ok(visible.flatten().collect())
}

fn read_operation(id: &ObjId) -> Option<OpId> {
    match id {
        ObjId::Root => None,
        ObjId::Id(counter, actor, _) => {
            let log = LogId::from_bytes(actor.to_bytes().try_into().ok()?);
            Some(OpId { counter: *counter, log })
        }
    }
}

fn cell_of(value: &Value<'_>) -> Option<Cell> {
    let Value::Scalar(scalar) = value else { return None };
    match scalar.as_ref() {
        ScalarValue::Null => Some(Cell::Null),
        ScalarValue::Boolean(flag) => Some(Cell::Bool(*flag)),
        ScalarValue::Int(number) => Some(Cell::Int(*number)),
        ScalarValue::Str(text) => Some(Cell::Str(text.to_string())),
        ScalarValue::Bytes(_)
        | ScalarValue::Uint(_)
        | ScalarValue::F64(_)
        | ScalarValue::Counter(_)
        | ScalarValue::Timestamp(_)
        | ScalarValue::Unknown { .. } => None,
    }
}

fn cell_of_ref(value: &ValueRef<'_>) -> Option<Cell> {
    let ValueRef::Scalar(scalar) = value else { return None };
    match scalar {
        ScalarValueRef::Null => Some(Cell::Null),
        ScalarValueRef::Boolean(flag) => Some(Cell::Bool(*flag)),
        ScalarValueRef::Int(number) => Some(Cell::Int(*number)),
        ScalarValueRef::Str(text) => Some(Cell::Str(text.clone().into_owned())),
        ScalarValueRef::Bytes(_)
        | ScalarValueRef::Uint(_)
        | ScalarValueRef::F64(_)
        | ScalarValueRef::Counter(_)
        | ScalarValueRef::Timestamp(_)
        | ScalarValueRef::Unknown { .. } => None,
    }
}
