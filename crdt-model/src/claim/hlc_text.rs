//! A reading of the hybrid logical clock as JSON carries it: a time of RFC 3339.
//!
//! As a number it would pass 2^53, above which canonical JSON (RFC 8785) rounds. So the counter
//! stands in the decimals below the millisecond, in steps of ten nanoseconds. The text loses nothing
//! and sorts as the reading does.

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::Serializer;

use crate::time::Hlc;

const STEP_NS: i128 = 10;
const MS_NS: i128 = 1_000_000;

pub(super) fn serialize<S: Serializer>(time: &Hlc, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{:.8}", timestamp(*time)))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hlc, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
    parse(time).ok_or_else(|| D::Error::custom("the time is not one of a hybrid logical clock"))
}

fn timestamp(time: Hlc) -> jiff::Timestamp {
    let counter = i128::from(time.as_u64() & 0xffff);
    let nanoseconds = i128::from(time.ms()) * MS_NS + counter * STEP_NS;
    jiff::Timestamp::from_nanosecond(nanoseconds).unwrap_or(jiff::Timestamp::MAX)
}

fn parse(time: jiff::Timestamp) -> Option<Hlc> {
    let nanoseconds = time.as_nanosecond();
    let ms = u64::try_from(nanoseconds.checked_div(MS_NS)?).ok()?;
    let counter = u16::try_from(nanoseconds.rem_euclid(MS_NS).checked_div(STEP_NS)?).ok()?;
    let reading = Hlc::from_u64(ms.checked_shl(16)? | u64::from(counter))?;
    (timestamp(reading) == time).then_some(reading)
}
