//! The smallest round trip of the last samples: queues only ever add to a round trip, so the least one is the distance.
//!
//! The window is counted in samples, not in seconds: members that are probed rarely would otherwise have a window of one.

use std::num::NonZeroU32;

/// Samples that count. A guess: at a probe every second or two it outlasts a burst of traffic, and a distance that grew by less
/// than [`DETOUR`] is still noticed within a quarter of a minute.
const WINDOW: usize = 8;

/// So many samples in a row, each beyond [`DETOUR`] times the least, are another way and not a queue.
const DETOUR_SAMPLES: usize = 3;

/// How much longer the other way has to be.
const DETOUR: NonZeroU32 = NonZeroU32::new(2).expect("it is not zero");

/// A minimum over a sliding window of samples. Every node keeps one for every other, so it is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RttWindow {
    /// Microseconds, the latest first; nothing where fewer were taken. An hour and more count as the same.
    samples: [Option<NonZeroU32>; WINDOW],
}

impl RttWindow {
    /// Takes a measurement in microseconds.
    pub(crate) fn measured(&mut self, rtt_us: u64) {
        self.samples.rotate_right(1);
        if let Some(latest) = self.samples.first_mut() {
            *latest = NonZeroU32::new(u32::try_from(rtt_us).unwrap_or(u32::MAX).max(1));
        }
        let Some(least) = self.samples.iter().flatten().min().copied() else { return };
        let detour = least.saturating_mul(DETOUR);
        let longer = |sample: &&Option<NonZeroU32>| sample.is_some_and(|sample| sample > detour);
        let longer = self.samples.iter().take_while(longer).count();
        if longer >= DETOUR_SAMPLES {
            self.samples.iter_mut().skip(longer).for_each(|sample| *sample = None);
        }
    }

    /// Takes what the transport says, while nothing better is known: it smooths its measurements and follows a change slowly.
    pub(crate) fn hinted(&mut self, rtt_us: u64) {
        if self.least_us().is_none() {
            self.measured(rtt_us);
        }
    }

    /// The least of the window, in microseconds; nothing before the first measurement.
    pub(crate) fn least_us(&self) -> Option<u64> {
        self.samples.iter().flatten().min().map(|least| u64::from(least.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(samples: &[u64]) -> Option<u64> {
        let mut window = RttWindow::default();
        samples.iter().for_each(|sample| window.measured(*sample));
        window.least_us()
    }

    #[test]
    fn a_queue_does_not_count_and_another_way_does_after_three_samples() {
        assert_eq!(after(&[]), None);
        assert_eq!(after(&[900, 5_000, 950, 5_000, 5_000]), Some(900));
        assert_eq!(after(&[900, 950, 5_000, 5_100, 5_200]), Some(5_000));
        assert_eq!(after(&[40_000, 900]), Some(900));
    }

    #[test]
    fn a_window_is_small_and_holds_whatever_is_measured() {
        assert_eq!(size_of::<RttWindow>(), 32);
        assert_eq!(after(&[0]), Some(1));
        assert_eq!(after(&[u64::MAX]), Some(u64::from(u32::MAX)));
    }

    #[test]
    fn a_little_more_is_believed_when_the_window_has_passed() {
        let mut samples = vec![900; 1];
        samples.extend([1_500; WINDOW]);
        assert_eq!(after(&samples[..WINDOW]), Some(900));
        assert_eq!(after(&samples), Some(1_500));
    }
}
