//! The two clocks that the machines are told: one that never jumps and goes on in suspend, one that people read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hedgerow_protocol::time::{Mono, Wall};

/// How far the wall clock may move against the boot clock before the node has to take itself for restarted: a paused or moved
/// virtual machine wakes with leases that ran out while it stood still.
pub const WALL_JUMP_MAX: Duration = Duration::from_secs(1);

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

#[cfg(any(target_os = "linux", target_os = "android"))]
fn boot_clock() -> rustix::time::ClockId {
    rustix::time::ClockId::Boottime
}

/// Elsewhere the monotonic clock is the nearest there is; whether it counts suspend is the platform's affair.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn boot_clock() -> rustix::time::ClockId {
    rustix::time::ClockId::Monotonic
}

/// Notices that wall time and boot time have parted.
#[derive(Debug)]
pub struct JumpDetector {
    /// Wall minus boot time at the last look, in microseconds.
    offset: i128,
}

impl JumpDetector {
    /// Starts from where the two clocks stand.
    pub fn new(mono: Mono, wall: Wall) -> Self {
        Self { offset: i128::from(wall.0) - i128::from(mono.0) }
    }

    /// How far wall time moved against boot time since the last look, where that is more than [`WALL_JUMP_MAX`].
    pub fn look(&mut self, mono: Mono, wall: Wall) -> Option<Duration> {
        let offset = i128::from(wall.0) - i128::from(mono.0);
        let moved = (offset - self.offset).unsigned_abs();
        self.offset = offset;
        let moved = Duration::from_micros(u64::try_from(moved).unwrap_or(u64::MAX));
        (moved > WALL_JUMP_MAX).then_some(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_seen_once_and_drift_is_not_a_jump() {
        let mut detector = JumpDetector::new(Mono(0), Wall(1_000_000));
        assert_eq!(detector.look(Mono(1_000_000), Wall(2_100_000)), None);
        assert_eq!(detector.look(Mono(2_000_000), Wall(8_100_000)), Some(Duration::from_secs(5)));
        assert_eq!(detector.look(Mono(3_000_000), Wall(9_100_000)), None);
        assert_eq!(detector.look(Mono(4_000_000), Wall(0)), Some(Duration::from_micros(10_100_000)));
    }

    #[test]
    fn the_boot_clock_does_not_go_back() {
        let before = mono();
        assert!(mono() >= before);
    }
}
