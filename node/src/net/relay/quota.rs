//! How much one member may have relayed: a token bucket of bytes.

use tokio::time::Instant;

/// A bucket that fills at a rate, and holds what comes in at once at most.
#[derive(Debug)]
pub(super) struct Quota {
    bytes_per_s: u64,
    burst_bytes: u64,
    left_bytes: u64,
    /// Up to when the bucket was filled.
    filled: Instant,
}

impl Quota {
    /// A full bucket.
    pub(super) fn new(bytes_per_s: u64, burst_bytes: u64, now: Instant) -> Self {
        Self { bytes_per_s, burst_bytes, left_bytes: burst_bytes, filled: now }
    }

    /// Takes so many bytes; false where there are fewer, and then none are taken.
    pub(super) fn take(&mut self, bytes: usize, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.filled);
        let gained = u128::from(self.bytes_per_s) * since.as_micros() / 1_000_000;
        // What is less than a byte counts the next time.
        if gained > 0 {
            self.left_bytes = self.left_bytes.saturating_add(u64::try_from(gained).unwrap_or(u64::MAX));
            self.filled = now;
        }
        self.left_bytes = self.left_bytes.min(self.burst_bytes);
        match self.left_bytes.checked_sub(bytes as u64) {
            Some(left) => {
                self.left_bytes = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let start = Instant::now();
        let mut quota = Quota::new(1_000, 3_000, start);
        assert_eq!([1_000, 2_000, 1].map(|bytes| quota.take(bytes, start)), [true, true, false]);
        let later = start + Duration::from_millis(500);
        assert_eq!([501, 500, 1].map(|bytes| quota.take(bytes, later)), [false, true, false]);
        let much_later = later + Duration::from_secs(3_600);
        assert_eq!([3_001, 3_000, 1].map(|bytes| quota.take(bytes, much_later)), [false, true, false]);
    }

    #[test]
    fn looking_often_loses_nothing() {
        let start = Instant::now();
        let mut quota = Quota::new(1_000, 1_000, start);
        assert!(quota.take(1_000, start));
        let mut passed = 0;
        for step in 1..=10_000 {
            passed += u32::from(quota.take(1, start + Duration::from_micros(step * 100)));
        }
        assert_eq!(passed, 1_000, "a thousand bytes in a second");
    }
}
