//! The clocks of one node, with their errors.

use super::time::Micros;
use hedgerow_attest::testing::SampleMesh;
use hedgerow_protocol::time::{Mono, Wall};

/// A monotonic clock that may run fast or slow and may stand still, and a wall clock that follows it but for jumps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeClock {
    /// True time and local time at the last change of the rate.
    base: (Micros, u64),
    rate_ppm: i64,
    /// Where the monotonic clock started: readings of two nodes must not compare by accident.
    start: u64,
    wall_offset: u64,
}

impl NodeClock {
    /// A clock that runs right, started anywhere.
    pub(crate) fn new(start: u64) -> Self {
        Self { base: (0, 0), rate_ppm: 0, start, wall_offset: 0 }
    }

    /// What the monotonic clock shows.
    pub(crate) fn mono(&self, now: Micros) -> Mono {
        Mono(self.start + self.local(now))
    }

    /// What the wall clock shows.
    pub(crate) fn wall(&self, now: Micros) -> Wall {
        Wall(SampleMesh::NOW.0 * 1_000_000 + self.local(now) + self.wall_offset)
    }

    /// The true time at which the monotonic clock shows `mono`, rounded up so that a deadline has passed when it comes.
    pub(crate) fn true_time(&self, mono: Mono) -> Micros {
        let (true_base, local_base) = self.base;
        let shown = i128::from(mono.0.saturating_sub(self.start)) - i128::from(local_base);
        let rate = 1_000_000 + i128::from(self.rate_ppm);
        let at = i128::from(true_base) + (shown * 1_000_000 + rate - 1) / rate;
        Micros::try_from(at.max(0)).unwrap_or(Micros::MAX)
    }

    /// From here on the clock runs fast or slow by so many millionths.
    pub(crate) fn set_rate(&mut self, now: Micros, rate_ppm: i64) {
        self.base = (now, self.local(now));
        self.rate_ppm = rate_ppm;
    }

    /// The machine stood still from `since` on: its monotonic clock has not moved, its wall clock is right again.
    pub(crate) fn stood_still(&mut self, since: Micros, now: Micros) {
        self.base = (now, self.local(since));
        self.wall_offset += now - since;
    }

    /// The wall clock alone jumps ahead.
    pub(crate) fn jump_wall(&mut self, by: Micros) {
        self.wall_offset += by;
    }

    fn local(&self, now: Micros) -> u64 {
        let (true_base, local_base) = self.base;
        let passed = i128::from(now.saturating_sub(true_base)) * (1_000_000 + i128::from(self.rate_ppm)) / 1_000_000;
        local_base + u64::try_from(passed).expect("a clock goes on")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::time::S;

    #[test]
    fn a_deadline_has_passed_when_its_true_time_comes() {
        let mut clock = NodeClock::new(77);
        clock.set_rate(3, -9_000);
        for deadline in [100, 1_000_001, 123_456_789] {
            let at = clock.true_time(Mono(deadline));
            assert!(clock.mono(at) >= Mono(deadline) && clock.mono(at - 2) < Mono(deadline), "{deadline}");
        }
    }

    #[test]
    fn standing_still_moves_the_wall_against_the_monotonic_clock() {
        let mut clock = NodeClock::new(5);
        let (mono, wall) = (clock.mono(10 * S), clock.wall(10 * S));
        clock.stood_still(10 * S, 70 * S);
        assert_eq!(clock.mono(70 * S), mono);
        assert_eq!(clock.wall(70 * S).0 - wall.0, 60 * S);
        assert_eq!(clock.mono(71 * S).0 - mono.0, S);
    }
}
