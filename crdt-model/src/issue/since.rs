//! A reading of the clock in a stored issue: its digits as text, because canonical JSON (RFC 8785)
//! rounds numbers above 2^53, and an issue that is read back must be the one that was derived.

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::Serializer;

use crate::time::Hlc;

#[expect(clippy::ref_option, reason = "serde hands the field over like this")]
pub(super) fn serialize<S: Serializer>(
    time: &Option<Hlc>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(&time.as_u64()),
        None => serializer.serialize_none(),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Hlc>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = text.parse().ok().and_then(Hlc::from_u64);
    time.map(Some).ok_or_else(|| D::Error::custom("the time is not one of a hybrid logical clock"))
}
