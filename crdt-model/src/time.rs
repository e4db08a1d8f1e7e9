//! Time as the model sees it: given, never read.
//!
//! [`Hlc`] is a hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", OPODIS 2014): 48 bits
//! of milliseconds since 1970 and a 16-bit counter, so that an effect never carries an earlier time
//! than its cause, whatever the wall clocks say.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, de};

/// A day in its one canonical form, years 0001 to 9999.
pub(crate) fn parse_date(text: &str) -> Option<Date> {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| match at {
            4 | 7 => b == b'-',
            _ => b.is_ascii_digit(),
        });
    let number = |from, to| text.get(from..to).and_then(|part: &str| part.parse::<i16>().ok());
    let small = |from, to| text.get(from..to).and_then(|part: &str| part.parse::<i8>().ok());
    let year = number(0, 4).filter(|year| shape && *year > 0)?;
    Date::new(year, small(5, 7)?, small(8, 10)?).ok()
}

/// One reading of the hybrid logical clock. Orders as a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Hlc(u64);

impl Hlc {
    /// The largest number of milliseconds that fits: the year 6429, and the value stays positive as
    /// the signed time of an Automerge change.
    pub const MS_MAX: u64 = (1 << 47) - 1;

    /// The clock at a wall time in milliseconds since 1970 (cut at [`Self::MS_MAX`]), counter zero.
    #[must_use]
    pub const fn from_ms(unix_ms: u64) -> Self {
        let ms = if unix_ms > Self::MS_MAX { Self::MS_MAX } else { unix_ms };
        Self(ms << 16)
    }

    /// The wall part, in milliseconds since 1970.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0 >> 16
    }

    /// The reading as one number, as commits and changes carry it.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The reading from a commit or change; `None` above [`Self::MS_MAX`].
    #[must_use]
    pub const fn from_u64(value: u64) -> Option<Self> {
        if value >> 16 > Self::MS_MAX { None } else { Some(Self(value)) }
    }

    /// The next local reading: the wall time, or one tick after `self` when the wall lags. It stays
    /// where it is at the last reading of all, which commits and changes still carry.
    #[must_use]
    pub fn tick(self, unix_ms: u64) -> Self {
        let last = Self::MS_MAX << 16 | 0xffff;
        Self::from_ms(unix_ms).max(Self(self.0.saturating_add(1).min(last)))
    }

    /// The day in UTC on which the reading falls.
    #[must_use]
    pub fn day(self) -> Date {
        let ms = i64::try_from(self.ms()).unwrap_or(i64::MAX);
        let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
        time.to_zoned(jiff::tz::TimeZone::UTC).date()
    }

    /// The reading as an RFC 3339 time in UTC with milliseconds.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let ms = i64::try_from(self.ms()).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(ms)
            .map_or_else(|_| "+9999".to_owned(), |time| format!("{time:.3}"))
    }
}

/// Takes the number that [`Hlc::as_u64`] gives; one that [`Hlc::from_u64`] refuses is an error.
impl<'de> Deserialize<'de> for Hlc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = u64::deserialize(deserializer)?;
        Self::from_u64(value).ok_or_else(|| {
            de::Error::custom(format_args!("{value} is later than the last reading of the clock"))
        })
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hlc({self}+{})", self.0 & 0xffff)
    }
}

#[cfg(test)]
mod tests;
