//! The register table: every visible value of every key, which is all that a document says now.
//!
//! A change is merged by its operations alone: each takes away what it replaces and stands itself. As
//! long as there is nothing but whole values in one root map, that is what Automerge's document shows,
//! without building it (`docs/decisions/0015-register-table.md`). Automerge's own winner, the highest
//! counter, is never shown: it means nothing to a business.

use std::collections::BTreeMap;

use automerge::{
    Automerge, AutomergeError, ObjId, ROOT, ReadDoc, ScalarValue, ScalarValueRef, Value, ValueRef,
};

use super::change::{Content, OpId};
use super::said::Said;
use crate::id::LogId;
use crate::path::{ClaimKey, Slot};
use crate::value::Cell;

/// One visible value of a register and the operation that set it.
pub(super) type Visible = (OpId, Said);

/// Every register with its visible values in the order of their operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Registers(BTreeMap<ClaimKey, Vec<Visible>>);

impl Registers {
    /// Merges a change whose causes are merged, and which was not merged before.
    pub(super) fn apply(&mut self, change: Content) {
        for (counter, put) in (change.start..).zip(change.puts) {
            let values = self.0.entry(put.key).or_default();
            values.retain(|(id, _)| !put.replaces.contains(id));
            let id = OpId { counter, log: change.log };
            let place = values.partition_point(|(other, _)| *other < id);
            values.insert(place, (id, put.said));
        }
    }

    /// The visible values of one register.
    pub(super) fn visible(&self, key: &ClaimKey) -> &[Visible] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// What the source of a key says about its attribute in all its slots.
    pub(super) fn of_source(
        &self,
        key: &ClaimKey,
    ) -> impl Iterator<Item = (&ClaimKey, &[Visible])> {
        let first = ClaimKey { slot: Slot::Undated, ..key.clone() };
        let (path, source) = (first.path.clone(), first.source.clone());
        self.0
            .range(first..)
            .take_while(move |(other, _)| other.path == path && other.source == source)
            .map(|(other, values)| (other, values.as_slice()))
    }

    /// All of them, in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&ClaimKey, &[Visible])> {
        self.0.iter().map(|(key, values)| (key, values.as_slice()))
    }

    /// The registers of an Automerge document; none when one of them is not of ours.
    pub(super) fn of(document: &Automerge) -> Result<Option<Self>, AutomergeError> {
        let mut registers = BTreeMap::new();
        for item in document.map_range(ROOT, ..) {
            let visible = if item.conflict {
                conflicting(document, &item.key)?
            } else {
                read_operation(&item.id())
                    .zip(cell_of_ref(&item.value))
                    .map(|(id, cell)| vec![(id, cell.into())])
            };
            let Some((key, visible)) = item.key.parse().ok().zip(visible) else { return Ok(None) };
            registers.insert(key, visible);
        }
        Ok(Some(Self(registers)))
    }
}

/// The visible values of one register of an Automerge document.
fn conflicting(document: &Automerge, key: &str) -> Result<Option<Vec<Visible>>, AutomergeError> {
    let values = document.get_all(ROOT, key)?;
    let visible = values.iter().map(|(value, id)| {
        read_operation(id).zip(cell_of(value)).map(|(id, cell)| (id, cell.into()))
    });
    Ok(visible.collect())
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
