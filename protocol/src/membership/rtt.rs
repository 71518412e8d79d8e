//! The smallest round trip of the last while: queues only ever add to a round trip, so the least one is the distance.

use crate::time::Mono;
use std::time::Duration;

/// A measurement counts for one to two of these.
const WINDOW: Duration = Duration::from_secs(30);

/// A minimum over a sliding window, in two halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RttWindow {
    opened: Mono,
    current: Option<u64>,
    before: Option<u64>,
}

impl RttWindow {
    /// Takes a measurement in microseconds.
    pub(crate) fn measured(&mut self, rtt_us: u64, now: Mono) {
        let age = now.since(self.opened);
        if age >= WINDOW {
            self.before = if age < WINDOW * 2 { self.current } else { None };
            self.current = None;
            self.opened = now;
        }
        self.current = Some(self.current.map_or(rtt_us, |least| least.min(rtt_us)));
    }

    /// The least of the last half to whole minute, in microseconds; the last known when nothing was measured since.
    pub(crate) fn least_us(&self) -> Option<u64> {
        match (self.current, self.before) {
            (Some(current), Some(before)) => Some(current.min(before)),
            (current, before) => current.or(before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detour_that_ended_is_forgotten_and_a_queue_never_counts() {
        let at = |seconds: u64| Mono(seconds * 1_000_000);
        let mut window = RttWindow::default();
        window.measured(900, at(100));
        window.measured(5_000, at(101));
        assert_eq!(window.least_us(), Some(900));
        window.measured(5_000, at(131));
        assert_eq!(window.least_us(), Some(900));
        window.measured(5_000, at(162));
        assert_eq!(window.least_us(), Some(5_000));
    }
}
