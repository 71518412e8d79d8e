//! Whether this node's clock runs as fast as leases assume.
//!
//! A lease is safe while every clock is within `ρ` of true time. No node can see true time, but each acknowledgement of a
//! probe carries a reading of its sender's clock, made between the sending of the probe and the arrival of the answer. Of
//! two such readings, half a minute or more apart, the time that passed there is known to a millisecond or two, and the
//! time that passed here to within the two round trips: a rigorous interval, whatever the network did. Two clocks that both
//! keep the bound drift apart by at most `2ρ`; beyond that one of them does not, and which one is told by numbers: a node
//! whose clock more than half of the members contradict in the same direction stops voting and leading. A liar, or a
//! minority of bad clocks, cannot make it.

use crate::node_map::NodeMap;
use crate::time::Mono;
use hedgerow_attest::id::NodeId;
use std::time::Duration;

/// Shortest time between two readings that are compared. At a round trip of 50 ms it leaves an uncertainty of 0.4 %.
const WINDOW_LEAST: Duration = Duration::from_secs(30);

/// Readings older than this say nothing about the clock as it is.
const WINDOW_MOST: Duration = Duration::from_secs(110);

/// One reading is kept per such a span, the one with the shortest round trip.
const GRAIN: Duration = Duration::from_secs(25);

/// Members whose clocks are compared with this one; more would tell no more and take room on every node.
const WITNESSES_MAX: usize = 8;

/// How long nobody may contradict this clock before it is trusted again.
const WELL_AFTER: Duration = Duration::from_secs(60);

/// Members whose clocks must be read before they count: of two clocks that differ, nobody knows which is wrong.
const WITNESSES_LEAST: usize = 2;

/// A reading of another node's clock.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// Before it was made, by this node's clock.
    sent: Mono,
    /// After it was made.
    received: Mono,
    /// Milliseconds of the other clock; it starts anywhere, wraps, and is differenced only.
    clock_ms: u32,
}

/// What one member's clock says about this node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Opinion {
    Agrees,
    /// This clock runs too fast, by so many millionths at least.
    Fast(u64),
    Slow(u64),
}

#[derive(Debug, Clone, Default)]
struct Witness {
    /// The oldest first.
    readings: Vec<Reading>,
    opinion: Option<Opinion>,
    at: Mono,
}

/// How this node's clock is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockVerdict {
    /// It runs too fast or too slow, by so many millionths at least: negative is slow.
    Suspect(i64),
    /// It is trusted again.
    Well,
}

/// Compares this node's clock with those of the members of its cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClockCheck {
    witnesses: NodeMap<Witness>,
    /// When this clock was last contradicted, while it is not trusted.
    contradicted: Option<Mono>,
}

impl ClockCheck {
    /// Takes a reading, made between `sent` and `received`. Returns a verdict when it changes.
    pub(crate) fn read(
        &mut self,
        from: NodeId,
        sent: Mono,
        received: Mono,
        clock_ms: u32,
        bound_permille: u32,
    ) -> Option<ClockVerdict> {
        let tolerance_ppm = u64::from(bound_permille) * 2_000;
        self.witnesses.retain(|_, witness| received.since(witness.at) <= WINDOW_MOST);
        if self.witnesses.len() < WITNESSES_MAX || self.witnesses.contains_key(&from) {
            let witness = self.witnesses.entry(from, Witness::default);
            witness.take(Reading { sent, received, clock_ms }, tolerance_ppm);
        }
        self.judge(received)
    }

    /// This machine stood still: what was read before says nothing.
    pub(crate) fn forget(&mut self) {
        self.witnesses = NodeMap::default();
    }

    /// Whether this node's clock is to be trusted with leases.
    pub(crate) fn is_trusted(&self) -> bool {
        self.contradicted.is_none()
    }

    fn judge(&mut self, now: Mono) -> Option<ClockVerdict> {
        let contradiction = self.contradiction();
        match (contradiction, self.contradicted) {
            (Some(ppm), before) => {
                self.contradicted = Some(now);
                before.is_none().then_some(ClockVerdict::Suspect(ppm))
            }
            (None, Some(at)) if now.since(at) >= WELL_AFTER => {
                self.contradicted = None;
                Some(ClockVerdict::Well)
            }
            (None, _) => None,
        }
    }

    /// By how much more than half of the members contradict this clock in one direction, the median of them. One that was
    /// not read for long enough does not contradict it.
    fn contradiction(&self) -> Option<i64> {
        let opinions: Vec<Opinion> = self.witnesses.values().filter_map(|witness| witness.opinion).collect();
        let side = |sign: i64, pick: fn(&Opinion) -> Option<u64>| {
            let mut by: Vec<u64> = opinions.iter().filter_map(pick).collect();
            by.sort_unstable();
            let most = self.witnesses.len() >= WITNESSES_LEAST && by.len() * 2 > self.witnesses.len();
            let median = by.get(by.len() / 2).filter(|_| most)?;
            Some(sign * i64::try_from(*median).unwrap_or(i64::MAX))
        };
        let fast = side(1, |opinion| if let Opinion::Fast(ppm) = opinion { Some(*ppm) } else { None });
        fast.or_else(|| side(-1, |opinion| if let Opinion::Slow(ppm) = opinion { Some(*ppm) } else { None }))
    }
}

impl Witness {
    fn take(&mut self, reading: Reading, tolerance_ppm: u64) {
        self.at = reading.received;
        self.readings.retain(|kept| reading.received.since(kept.sent) <= WINDOW_MOST);
        let compared = self.readings.iter().filter(|kept| reading.sent.since(kept.received) >= WINDOW_LEAST);
        self.opinion = compared.map(|kept| compare(kept, &reading, tolerance_ppm)).max();
        match self.readings.last_mut() {
            Some(last) if reading.received.since(last.received) < GRAIN => {
                if reading.round_trip() < last.round_trip() {
                    *last = reading;
                }
            }
            Some(_) | None => {
                self.readings.reserve_exact(1);
                self.readings.push(reading);
            }
        }
    }
}

impl Reading {
    fn round_trip(&self) -> Duration {
        self.received.since(self.sent)
    }
}

/// What two readings of one clock say. The earlier was made within `[sent, received]`, and so was the later.
fn compare(earlier: &Reading, later: &Reading, tolerance_ppm: u64) -> Opinion {
    let there_us = u64::from(later.clock_ms.wrapping_sub(earlier.clock_ms)) * 1_000;
    let here_least = later.sent.0.saturating_sub(earlier.received.0);
    let here_most = later.received.0.saturating_sub(earlier.sent.0);
    // A reading is cut to a whole millisecond.
    let (there_most, there_least) = (there_us + 1_000, there_us.saturating_sub(1_000));
    let excess = |more: u64, less: u64| more.saturating_sub(less).saturating_mul(1_000_000) / more.max(1);
    let (fast, slow) = (excess(here_least, there_most), excess(there_least, here_most));
    if fast > tolerance_ppm {
        Opinion::Fast(fast)
    } else if slow > tolerance_ppm {
        Opinion::Slow(slow)
    } else {
        Opinion::Agrees
    }
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
