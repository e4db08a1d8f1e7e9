//! Proposed edits in the JSON of a request: what each would be stored as.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::Serializer;
use serde_json::Value as Json;

use crate::governance::fact::{assertion_of, json_of};
use crate::path::AttributePath;
use crate::value::Assertion;

pub(super) fn serialize<S: Serializer>(
    edits: &BTreeMap<AttributePath, Assertion>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(edits.iter().map(|(path, assertion)| (path, json_of(assertion))))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<AttributePath, Assertion>, D::Error> {
    let edits = BTreeMap::<AttributePath, Json>::deserialize(deserializer)?.into_iter();
    let read = |(path, says): (AttributePath, Json)| {
        let assertion = assertion_of(&says).ok_or_else(|| D::Error::custom("not an edit"))?;
        Ok((path, assertion))
    };
    edits.map(read).collect()
}
