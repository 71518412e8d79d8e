//! Time as machines see it: two kinds of clock readings that come in with every input and are never asked for.

use hedgerow_attest::time::UnixSeconds;
use serde::{Deserialize, Serialize};
use std::ops::Add;
use std::time::Duration;

/// A reading of the local monotonic clock in microseconds. It goes on in suspend (`CLOCK_BOOTTIME`), starts anywhere, and
/// means nothing on another node: readings are compared and subtracted on one node only. What is sent of them is good for
/// differences alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// How long ago `earlier` was; zero when it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Its milliseconds, as many as 32 bits hold: to be differenced by others, see [`crate::wire::ProbeMessage::Ack`].
    #[must_use]
    pub const fn wrapping_millis(self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is below 2^32")]
        let millis = (self.0 / 1_000 % (1 << 32)) as u32;
        millis
    }

    /// How long it is until `later`; zero when it has passed.
    #[must_use]
    pub const fn until(self, later: Self) -> Duration {
        later.since(self)
    }
}

impl Add<Duration> for Mono {
    type Output = Self;

    /// Saturates at the end of time, which no clock reaches (584,942 years of microseconds).
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }
}

/// A reading of the wall clock: microseconds since 1970-01-01T00:00:00Z. It may jump, so nothing is timed by it; it dates
/// statements and decides whether certificates are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Wall(pub u64);

impl Wall {
    /// The second in which this moment lies, as statements count.
    #[must_use]
    pub const fn unix_seconds(self) -> UnixSeconds {
        UnixSeconds(self.0 / 1_000_000)
    }
}

/// A span in whole microseconds, or the longest that a counter of them holds.
#[must_use]
pub fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// A span in whole milliseconds, or the longest that a wire field of 32 bits holds (49 days).
#[must_use]
pub fn millis_u32(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_never_wrap() {
        let (early, late) = (Mono(5), Mono(9));
        assert_eq!(late.since(early), Duration::from_micros(4));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.until(late), Duration::from_micros(4));
        assert_eq!(Mono(u64::MAX) + Duration::from_secs(1), Mono(u64::MAX));
        assert_eq!(micros(Duration::MAX), u64::MAX);
        assert_eq!(millis_u32(Duration::MAX), u32::MAX);
        assert_eq!(Wall(1_999_999).unix_seconds(), UnixSeconds(1));
    }
}
