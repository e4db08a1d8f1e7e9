//! A whole patch through the door: every attribute of a JSON tree, or every fault.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Context, normalize};
use crate::attribute::{Fault, Flaw, lookup, quote};
use crate::limits::{COLLECTION_MAX, FAULTS_MAX, RECORD_MAX};
use crate::path::AttributePath;
use crate::tree;
use crate::value::{Assertion, Cell};

/// Normalises a JSON tree such as `{"company": {"1000": {"payment_terms": "NT30"}}}`.
///
/// Each object of a group stands for the whole group: to change some members of a stored group, put
/// the patch onto it first (see [`tree::merge`]).
///
/// # Errors
/// The faults found, at most [`FAULTS_MAX`] and at least one. Nothing was changed.
pub fn normalize_patch(
    patch: &Json,
    context: &Context,
) -> Result<BTreeMap<AttributePath, Assertion>, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut assertions = BTreeMap::new();
    for (path, input) in tree::flatten(patch)? {
        match normalize(&path, &input, context) {
            Ok((canonical, assertion)) => {
                if assertions.insert(canonical.clone(), assertion).is_some() {
                    let text = format!("{} is written twice here.", quote(canonical.as_str()));
                    faults.push(Flaw::new("item-twice", text).at(&path));
                }
            }
            Err(more) => faults.extend(more),
        }
        if faults.len() >= FAULTS_MAX {
            break;
        }
    }
    check_sizes(&assertions, &mut faults);
    faults.truncate(FAULTS_MAX);
    if faults.is_empty() { Ok(assertions) } else { Err(faults) }
}

fn check_sizes(assertions: &BTreeMap<AttributePath, Assertion>, faults: &mut Vec<Fault>) {
    let mut items: BTreeMap<&str, usize> = BTreeMap::new();
    let mut bytes = 0;
    for (path, assertion) in assertions {
        bytes += path.as_str().len();
        if let Cell::Str(text) = assertion.to_cell() {
            bytes += text.len();
        }
        let collection = path.as_str().rsplit_once('/').map(|(collection, _)| collection);
        if let Some(collection) = collection.filter(|_| lookup(path).is_some_and(|a| a.is_item())) {
            let count = items.entry(collection).or_default();
            *count += 1;
            if *count == COLLECTION_MAX + 1 {
                let text = format!("{} has over {COLLECTION_MAX} items.", quote(collection));
                faults.push(Flaw::new("collection-too-large", text).at(path));
            }
        }
    }
    if bytes > RECORD_MAX {
        let text = format!("The values have {bytes} bytes; a record takes up to {RECORD_MAX}.");
        faults.push(Flaw::new("record-too-large", text).at_keys(&[]));
    }
}
