//! How much of a bulk connection may be under way at once, so that what it queues on the way delays nobody much.
//!
//! Requests travel on other connections, but over the same links: what waits in a router's queue before them delays them as
//! well, and loss tells of a queue only when it is full. So the window follows the delay, as in LEDBAT (RFC 6817) and in
//! LEDBAT++ (draft-irtf-iccrg-ledbat-plus-plus), of which this has the measure by round trips and the multiplicative decrease:
//! while the round trip lies above the least one by more than a bound, the window shrinks; else it grows as long as it is
//! used up. The congestion control below it still has its say on loss; the smaller window of the two holds.

use std::time::{Duration, Instant};

/// Window of a new connection, bytes (guess): at 20 Mbit/s it is under way for 26 ms, which is what a queue of it adds at most.
pub(super) const WINDOW_START: u64 = 64 << 10;
/// The window never falls below this, bytes: a dozen packets, 6 ms of a link of 20 Mbit/s.
pub(super) const WINDOW_MIN: u64 = 16 << 10;
/// Nor does it rise above this, bytes; it is what 1 Gbit/s over 64 ms takes, and the memory that one asker may hold here.
pub(super) const WINDOW_MAX: u64 = 8 << 20;
/// Least and largest delay that a transfer may add. Within them it is a quarter of the least round trip, so that a request
/// takes about 1.25 times as long beside a transfer (guess: the share is to leave room for what the estimate misses).
const DELAY_MIN: Duration = Duration::from_millis(2);
const DELAY_MAX: Duration = Duration::from_millis(25);
/// Growth of a round: a quarter until the first delay is seen, then a sixteenth. LEDBAT++ doubles at first, which overshoots by
/// as much as the link holds.
const START_SHARE: u64 = 4;
const GROWTH_SHARE: u64 = 16;
/// Rounds at the least window after which a delay is not ours, but of a longer path or of others: it is the new measure.
const ROUNDS_AT_MIN: u32 = 20;

/// The window of one connection.
#[derive(Debug)]
pub(super) struct Pacer {
    window: u64,
    /// The least round trip seen: what the path takes when nothing queues. Unknown at first.
    base: Option<Duration>,
    /// No delay to speak of was seen yet.
    starting: bool,
    /// The window is judged once a round trip.
    judged: Instant,
    /// Bytes written since then.
    written: u64,
    /// Rounds in a row at the least window with a delay above the bound, and the least round trip among them.
    rounds_at_min: u32,
    rtt_at_min: Duration,
}

impl Pacer {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            window: WINDOW_START,
            base: None,
            starting: true,
            judged: now,
            written: 0,
            rounds_at_min: 0,
            rtt_at_min: Duration::MAX,
        }
    }

    /// Bytes that may be under way: written and not yet acknowledged.
    pub(super) fn window(&self) -> u64 {
        self.window
    }

    /// Takes note of the round trip, as the transport smooths it, and of the bytes written since the last call. `true` when
    /// the window has changed.
    pub(super) fn sample(&mut self, now: Instant, rtt: Duration, written: u64) -> bool {
        self.written = self.written.saturating_add(written);
        let base = self.base.map_or(rtt, |base| base.min(rtt));
        self.base = Some(base);
        if now.saturating_duration_since(self.judged) < rtt {
            return false;
        }
        let before = self.window;
        self.judge(rtt.saturating_sub(base), delay_bound(base), rtt);
        self.judged = now;
        self.written = 0;
        self.window != before
    }

    fn judge(&mut self, delay: Duration, bound: Duration, rtt: Duration) {
        self.starting &= delay <= bound / 4;
        if delay > bound {
            // By as much as the delay is too long, by half at most: a round shows only what the round before it did.
            let excess = (delay.as_secs_f64() / bound.as_secs_f64() - 1.0).min(1.0);
            self.window = scaled(self.window, 1.0 - excess / 2.0).max(WINDOW_MIN);
        } else if self.written >= self.window / 2 {
            let share = if self.starting { START_SHARE } else { GROWTH_SHARE };
            // Less the nearer the bound, so that the window comes to rest below it.
            let room = 1.0 - delay.as_secs_f64() / bound.as_secs_f64();
            self.window = (self.window + scaled(self.window / share, room)).min(WINDOW_MAX);
        }
        if delay > bound && self.window == WINDOW_MIN {
            self.rounds_at_min += 1;
            self.rtt_at_min = self.rtt_at_min.min(rtt);
            if self.rounds_at_min == ROUNDS_AT_MIN {
                self.base = Some(self.rtt_at_min);
            }
        }
        if delay <= bound || self.rounds_at_min == ROUNDS_AT_MIN {
            (self.rounds_at_min, self.rtt_at_min) = (0, Duration::MAX);
        }
    }
}

fn delay_bound(base: Duration) -> Duration {
    (base / 4).clamp(DELAY_MIN, DELAY_MAX)
}

fn scaled(bytes: u64, by: f64) -> u64 {
    (bytes as f64 * by) as u64
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
