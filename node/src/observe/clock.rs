//! The two clocks that the machines are told: one that never jumps and goes on in suspend, one that people read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hedgerow_protocol::time::{Mono, Wall};

/// Microseconds since boot, suspend included.
pub fn mono() -> Mono {
    let now = rustix::time::clock_gettime(boot_clock());
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    Mono(seconds * 1_000_000 + nanos / 1_000)
}

/// Microseconds since the Unix epoch; zero on a machine whose clock stands before it.
pub fn wall() -> Wall {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Wall(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
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
}
