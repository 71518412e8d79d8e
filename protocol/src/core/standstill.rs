//! Clocks that moved apart mean that this machine stood still while others did not.
//!
//! The monotonic clock of a machine that is suspended goes on, but that of a virtual machine that its host stops does not: a
//! lease would then last longer than the promises on which it rests. The wall clock is set right afterwards, which shows it.

use crate::time::{Mono, Wall};
use std::time::Duration;

/// Readings of both clocks, a lease old and older, to compare new ones with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standstill {
    last: Option<Reading>,
    /// The older one was taken a whole span before the newer one, so that what it shows covers at least that span.
    anchors: Option<(Reading, Reading)>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    mono: Mono,
    wall: Wall,
}

impl Reading {
    /// By how much the clocks moved apart since, in microseconds.
    fn apart(&self, since: &Self) -> u64 {
        let passed = self.mono.0.saturating_sub(since.mono.0);
        let walked = i128::from(self.wall.0) - i128::from(since.wall.0);
        u64::try_from((i128::from(passed) - walked).unsigned_abs()).unwrap_or(u64::MAX)
    }
}

impl Standstill {
    /// Takes a reading. True when the clocks moved apart by more than `most` within the last `span`, at once or little by
    /// little; they are compared afresh from there on.
    pub(super) fn read(&mut self, mono: Mono, wall: Wall, span: Duration, most: Duration) -> bool {
        let now = Reading { mono, wall };
        self.last = Some(now);
        let (old, new) = *self.anchors.get_or_insert((now, now));
        if u128::from(now.apart(&old)) > most.as_micros() {
            self.anchors = Some((now, now));
            return true;
        }
        if mono.since(new.mono) >= span {
            self.anchors = Some((new, now));
        }
        false
    }

    /// The wall clock at that moment, by what both clocks showed when they were read last.
    pub(super) fn wall(&self, now: Mono) -> Wall {
        self.last.map_or(Wall(0), |Reading { mono, wall }| Wall(wall.0.saturating_add(now.0.saturating_sub(mono.0))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(4);
    const MOST: Duration = Duration::from_millis(50);

    /// When the clocks were found apart, in milliseconds of the monotonic clock, where the wall clock gains so much at those
    /// moments.
    fn found(gains: &[(u64, i64)]) -> Vec<u64> {
        let mut watch = Standstill::default();
        let readings = (0..60_000).step_by(100).filter(|ms| {
            let gained: i64 = gains.iter().filter(|(at, _)| at <= ms).map(|(_, gain)| gain).sum();
            let wall = Wall(((1 << 30) + ms).checked_add_signed(gained).unwrap() * 1_000);
            watch.read(Mono(ms * 1_000), wall, SPAN, MOST)
        });
        readings.collect()
    }

    #[test]
    fn one_long_standstill_is_found_at_once_and_counted_once() {
        assert_eq!(found(&[(20_000, 51)]), [20_000]);
        assert_eq!(found(&[(20_000, -51)]), [20_000]);
        assert_eq!(found(&[(20_000, 3_600_000)]), [20_000]);
        assert_eq!(found(&[(20_000, 50)]), [0; 0]);
    }

    #[test]
    fn several_short_ones_within_a_lease_count_together() {
        assert_eq!(found(&[(20_000, 30), (23_900, 30)]), [23_900]);
        assert_eq!(found(&[(20_000, 30), (40_000, 30)]), [0; 0]);
    }

    #[test]
    fn the_wall_clock_goes_on_between_readings() {
        let mut watch = Standstill::default();
        assert_eq!(watch.wall(Mono(9)), Wall(0));
        watch.read(Mono(10), Wall(1_000), SPAN, MOST);
        assert_eq!(watch.wall(Mono(25)), Wall(1_015));
    }
}
