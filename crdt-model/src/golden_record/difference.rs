//! The difference between two states of a golden record, attribute by attribute, as the feed tells it.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{GoldenRecord, GoldenValue};
use crate::path::AttributePath;
use crate::value::Value;

/// What became of one attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Which.
    pub path: AttributePath,
    /// Its values before, in the order of their days; empty when it was absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<GoldenValue>,
    /// Its values after; empty when it is absent now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<GoldenValue>,
}

impl Difference {
    /// Whether a surviving value differs on any day. Otherwise only the claims that lost do: a
    /// disagreement began, ended or has other parties.
    #[must_use]
    pub fn value_changed(&self) -> bool {
        shown(&self.before) != shown(&self.after)
    }
}

/// The surviving values alone, each with the first day on which it holds.
fn shown(values: &[GoldenValue]) -> Vec<(Option<Date>, Option<&Value>)> {
    let mut shown: Vec<(Option<Date>, Option<&Value>)> = Vec::new();
    for value in values {
        let before = shown.last().and_then(|(_, before)| *before);
        if before != value.value.as_deref() {
            shown.push((value.from, value.value.as_deref()));
        }
    }
    shown
}

impl GoldenRecord {
    /// Every attribute that differs between two states of a record, in the order of the paths.
    #[must_use]
    pub fn differences(old: Option<&Self>, new: &Self) -> Vec<Difference> {
        let values = |record: Option<&Self>, path| {
            record.and_then(|record| record.attributes.get(path)).cloned().unwrap_or_default()
        };
        let paths: BTreeSet<&AttributePath> =
            old.into_iter().chain([new]).flat_map(|record| record.attributes.keys()).collect();
        let differences = paths.into_iter().map(|path| Difference {
            path: path.clone(),
            before: values(old, path),
            after: values(Some(new), path),
        });
        differences.filter(|difference| difference.before != difference.after).collect()
    }
}
