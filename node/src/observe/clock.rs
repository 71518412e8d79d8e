//! The two clocks that the machines are told: one that never jumps and goes on in suspend, one that people read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hedgerow_attest::time::UnixSeconds;
use hedgerow_protocol::time::{Mono, Wall};

/// Microseconds since boot, suspend included.
pub fn mono() -> Mono {
    let now = rustix::time::clock_gettime(boot_clock());
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    Mono(seconds * 1_000_000 + nanos / 1_000)
}

/// Microseconds since the Unix epoch, by the clock of this machine where it does not contradict what is known to have passed.
pub fn wall() -> Wall {
    FLOOR.lift(system(), mono())
}

/// The clock of this machine, whatever is known; zero where it stands before the epoch.
pub fn system() -> Wall {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Wall(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
}

/// That moment is known to have passed: [`wall`] says no less from here on.
pub fn raise_floor(passed: UnixSeconds) {
    FLOOR.raise(passed, mono());
}

/// By how much the clock of this machine stands behind what is known to have passed.
pub fn behind() -> Duration {
    let (system, lifted) = (system(), wall());
    Duration::from_micros(lifted.0.saturating_sub(system.0))
}

/// Both clocks at one moment: a reader that is set aside between the two looks again, or they would seem to have moved apart.
pub fn clocks() -> (Mono, Wall) {
    let mut read = (mono(), wall());
    for _again in 0..TRIES {
        let after = mono();
        if after.since(read.0) <= ONE_MOMENT {
            break;
        }
        read = (mono(), wall());
    }
    read
}

/// A moment that has passed, as the microseconds that it lies ahead of the boot clock: so it goes on with that clock, and whoever
/// compares both clocks does not find that one stands still.
#[derive(Debug)]
struct Floor(AtomicU64);

impl Floor {
    const fn none() -> Self {
        Self(AtomicU64::new(0))
    }

    fn raise(&self, passed: UnixSeconds, now: Mono) {
        let ahead = passed.0.saturating_mul(1_000_000).saturating_sub(now.0);
        self.0.fetch_max(ahead, Ordering::Relaxed);
    }

    fn lift(&self, system: Wall, now: Mono) -> Wall {
        match self.0.load(Ordering::Relaxed) {
            0 => system,
            ahead => system.max(Wall(ahead.saturating_add(now.0))),
        }
    }
}

/// There is one clock in a process.
static FLOOR: Floor = Floor::none();

/// A reader that is set aside each time takes what it has: the worst is that a lease is asked for afresh.
const TRIES: u32 = 8;

/// Readings that lie no farther apart were taken at one moment.
const ONE_MOMENT: Duration = Duration::from_millis(2);

#[cfg(any(target_os = "linux", target_os = "android"))]
fn boot_clock() -> rustix::time::ClockId {
    rustix::time::ClockId::Boottime
}

/// Elsewhere the monotonic clock is the nearest there is; whether it counts suspend is the platform's affair.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn boot_clock() -> rustix::time::ClockId {
    rustix::time::ClockId::Monotonic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_are_read_at_one_moment() {
        let (before, (mono_then, wall_then), after) = (mono(), clocks(), mono());
        assert!(before <= mono_then && mono_then <= after);
        assert!(wall_then.0.abs_diff(wall().0) < 3_600_000_000, "nobody sets the clock by an hour meanwhile");
    }

    #[test]
    fn the_boot_clock_does_not_go_back() {
        let before = mono();
        assert!(mono() >= before);
    }

    #[test]
    fn time_goes_on_from_what_has_passed_until_the_clock_of_the_machine_has_caught_up() {
        const S: u64 = 1_000_000;
        let floor = Floor::none();
        assert_eq!(floor.lift(Wall(3 * S), Mono(50 * S)), Wall(3 * S), "nothing is known");
        floor.raise(UnixSeconds(1_000), Mono(50 * S));
        floor.raise(UnixSeconds(900), Mono(50 * S));
        let read = |system_s, mono_s| floor.lift(Wall(system_s * S), Mono(mono_s * S)).0 / S;
        assert_eq!([read(3, 50), read(10, 57), read(2, 80)], [1_000, 1_007, 1_030], "by the boot clock");
        assert_eq!([read(1_031, 80), read(5_000, 81)], [1_031, 5_000]);
        assert_eq!(read(5, 82), 1_032, "a clock that is set back again");
    }
}
