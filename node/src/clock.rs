//! The wall clock: the only file that reads it.
//!
//! Everything else is given the time as a number. The reading may jump or go backwards, as wall clocks
//! do; [`crdt_model::time::Hlc`] turns it into a time that never does. Not a timer: waiting is done
//! by the runtime.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of wall time.
#[derive(Debug, Clone, Copy)]
pub struct Clock(());

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub const fn system() -> Self {
        Self(())
    }

    /// Milliseconds since 1970, UTC; 0 on a machine whose clock stands before that.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn now_ms(self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Measures how long something takes. Never goes backwards.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads a clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn the_clock_stands_after_this_was_written() {
        assert!(Clock::system().now_ms() > 1_700_000_000_000);
    }
}
