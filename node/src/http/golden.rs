//! The golden record as an answer shows it: cut at a day, as a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crdt_model::claim::ClaimSet;
use crdt_model::document::{CustomerDocument, Version};
use crdt_model::golden_record::{GoldenRecord, Resolved, Segment};
use crdt_model::id::RecordId;
use crdt_model::path::AttributePath;
use crdt_model::policy::Policy;
use crdt_model::survivorship::resolve;
use crdt_model::tree::nest;
use crdt_model::value::{Assertion, Statement, Value};
use jiff::civil::Date;
use serde_json::Value as Json;

use super::error::{self, ApiError, ApiResult, ChangedView};
use super::views::json_of;
use crate::replica::history::sound_document;
use crate::replica::records::Records;

/// The values of a record on a day.
pub(crate) type Values = BTreeMap<AttributePath, Arc<Value>>;

/// What a stored golden record shows on a day.
pub(crate) fn values_of(golden: &GoldenRecord, day: Date) -> Values {
    let shown = golden.at(day).into_iter();
    shown.filter_map(|(path, entry)| Some((path.clone(), entry.value.clone()?))).collect()
}

/// What resolved claims show on a day.
pub(crate) fn resolved_values(resolved: &Resolved, day: Date) -> Values {
    let shown = segments_on(resolved, day).filter_map(|(path, segment)| {
        let winner = segment.resolution.winner.as_ref()?;
        Some((path.clone(), winner.value.clone()?))
    });
    shown.collect()
}

/// What the source of each surviving value said, with its validity.
pub(crate) type Statements = BTreeMap<AttributePath, Statement>;

/// The statements that survive on a day.
pub(crate) fn winning_statements(resolved: &Resolved, claims: &ClaimSet, day: Date) -> Statements {
    let shown = segments_on(resolved, day).filter_map(|(path, segment)| {
        let winner = segment.resolution.winner.as_ref()?;
        let plain = Statement::plain(Value::clone(winner.value.as_deref()?));
        let said = claims.claims().iter().find_map(|claim| match &claim.assertion {
            Ok(Assertion::Stated(statement)) => {
                let is_winner = claim.path == *path
                    && claim.source == winner.source
                    && claim.origin == winner.origin
                    && statement.value == plain.value;
                is_winner.then(|| statement.clone())
            }
            Ok(Assertion::Tombstone | Assertion::Release { .. }) | Err(_) => None,
        });
        // A value that no claim states alone, like the payment block of a pending request.
        Some((path.clone(), said.unwrap_or(plain)))
    });
    shown.collect()
}

/// For every attribute, the segment that holds on a day.
pub(crate) fn segments_on(
    resolved: &Resolved,
    day: Date,
) -> impl Iterator<Item = (&AttributePath, &Segment)> {
    resolved.attributes.iter().filter_map(move |(path, timeline)| {
        let begun = timeline.partition_point(|segment| segment.from <= Some(day));
        Some((path, timeline.get(begun.checked_sub(1)?)?))
    })
}

/// Whether the record shows the same on every day.
pub(crate) fn is_timeless(golden: &GoldenRecord) -> bool {
    golden.attributes.values().flatten().all(|value| value.from.is_none())
}

/// Values as the tree that clients read and write.
pub(crate) fn tree_of(values: &Values) -> Json {
    let tree = nest(values.iter().map(|(path, value)| (path, json_of(value))));
    if tree.is_null() { Json::Object(serde_json::Map::new()) } else { tree }
}

/// The refusal of an id that no customer has.
pub(crate) fn unknown(record: &RecordId) -> ApiError {
    let text = format!("There is no customer {record} on this node. Check the id.");
    ApiError::new(&error::CUSTOMER_UNKNOWN, text)
}

/// The document of a customer.
pub(crate) fn document_of(records: Records<'_>, record: &RecordId) -> ApiResult<CustomerDocument> {
    sound_document(&records, record)?.ok_or_else(|| unknown(record))
}

/// The claims of a document, now or as of a version.
pub(crate) fn claims_of(
    document: &CustomerDocument,
    version: Option<&Version>,
) -> ApiResult<ClaimSet> {
    let Some(version) = version else { return Ok(document.claims()) };
    document.claims_at(version).map_err(|unknown| {
        ApiError::new(&error::VERSION_UNKNOWN, error::sentence(&unknown.to_string()))
    })
}

/// What has changed between a version that a client saw and now.
pub(crate) fn difference(
    document: &CustomerDocument,
    policy: &Policy,
    seen: &Version,
    day: Date,
) -> Option<Vec<ChangedView>> {
    let before = document.claims_at(seen).ok()?;
    let before = resolved_values(&resolve(policy, &before), day);
    let now = resolved_values(&resolve(policy, &document.claims()), day);
    let paths: BTreeSet<&AttributePath> = before.keys().chain(now.keys()).collect();
    let changed = paths.into_iter().filter(|path| before.get(path) != now.get(path));
    Some(
        changed
            .map(|path| ChangedView {
                path: path.to_string(),
                yours_saw: before.get(path).map(|value| json_of(value)),
                now: now.get(path).map(|value| json_of(value)),
                proposed: None,
            })
            .collect(),
    )
}
