//! A node's own coordinate, and how measurements move it.

use super::adjustment::Adjustment;
use super::coordinate::{Coordinate, ERROR_MAX, ERROR_MIN};
use super::latency::Latencies;
use super::position::{Position, whole};
use super::typical::Typical;
use crate::defect::{Defect, Defects, Sound};
use hedgerow_attest::id::NodeId;
use std::num::NonZeroU32;

/// The longest round trip that is taken for one, in microseconds: a ping that was not answered by then is lost.
pub const RTT_MAX_US: u64 = 10_000_000;

/// The farthest that one observation moves a node, in microseconds: its own share and that of gravity.
pub const MOVE_MAX_US: u64 = 11_000;

/// The share of the observation itself in that. A guess: a node at the other end of the world is where it belongs after
/// some thirty of them.
const STEP_MAX: f64 = 10_000.0;

/// The share of gravity; it pulls less than that within [`RHO`] of the origin.
const GRAVITY_MAX: f64 = 1_000.0;

/// `c_e`: the most that an observation weighs in the error; Serf's.
const C_E: f64 = 0.25;

/// `c_c`: the most of a correction that is made. Dabek et al., section 4.1: a quarter is quick and hardly oscillates.
const C_C: f64 = 0.25;

/// `ρ` of gravity, in microseconds. With it the coordinates of Ledlie et al., table 1, drifted by a tenth of what they did
/// without gravity, and predicted as well.
const RHO: f64 = 256_000.0;

/// The largest error of either end with which an estimate is told. A guess; a newcomer in a network at rest is better after
/// some twenty observations.
const ERROR_TOLD: f64 = 0.5;

const ERROR_LEAST: f64 = ERROR_MIN as f64 / 1_000.0;
const ERROR_MOST: f64 = ERROR_MAX as f64 / 1_000.0;

/// The coordinate of one node. Measurements and random draws come in; what became of them is returned.
#[derive(Debug, Clone)]
pub struct Coordinates<D = Sound> {
    position: Position,
    /// By which share of a round trip this node expects its predictions to be off.
    error: f64,
    adjustment: Adjustment,
    typical: Typical,
    latencies: Latencies,
    defects: D,
}

/// What became of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// It counted.
    Moved {
        /// How far the node moved, in microseconds, rounded.
        by_us: u64,
        /// Whether it would have moved farther without the bound.
        bounded: bool,
    },
    /// It did not, and nothing changed.
    Refused(SampleRefusal),
}

/// Why a measurement did not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleRefusal {
    /// No time passed, on no network that there is.
    Instant,
    /// More than [`RTT_MAX_US`] passed.
    TooLong,
}

impl Coordinates {
    /// At the origin, and sure of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::with_defects(Sound)
    }
}

impl Default for Coordinates {
    fn default() -> Self {
        Self::new()
    }
}

impl<D: Defects> Coordinates<D> {
    /// The same, built without some of the rules.
    #[must_use]
    pub fn with_defects(defects: D) -> Self {
        Self {
            position: Position::ORIGIN,
            error: ERROR_MOST,
            adjustment: Adjustment::NONE,
            typical: Typical::UNKNOWN,
            latencies: Latencies::default(),
            defects,
        }
    }

    /// Takes a round trip that this node measured, and where the node at its other end says that it lies. `draw` is any
    /// random number; it decides the direction in which two nodes part that lie in the same place.
    pub fn observe(&mut self, peer: NodeId, theirs: &Coordinate, rtt_us: u64, draw: u64) -> Observation {
        let rtt_us = match plausible(rtt_us) {
            Ok(rtt_us) => self.latencies.measured(&peer, rtt_us),
            Err(refusal) => return Observation::Refused(refusal),
        };
        let (rtt, there) = (f64::from(rtt_us.get()), Position::from(theirs));
        let usual = self.typical.measured(rtt);
        let correction = self.weigh(rtt, self.position.distance(&there), theirs.error());
        let limit = self.step_limit(usual);
        let mut moved = self.position.push(correction.clamp(-limit, limit), &there, draw);
        self.adjustment.predicted(rtt - self.position.distance(&there), usual);
        moved += self.position.sink(gravity(self.position.eccentricity()));
        Observation::Moved { by_us: u64::from(whole(moved).unsigned_abs()), bounded: correction.abs() > limit }
    }

    /// The round trip to expect to a node at `theirs`, in microseconds; nothing while this node or that one expects its
    /// predictions to be off by more than half.
    #[must_use]
    pub fn estimate_rtt_us(&self, theirs: &Coordinate) -> Option<u64> {
        let sure = self.error <= ERROR_TOLD && theirs.error() <= ERROR_TOLD;
        sure.then(|| self.own().estimate_rtt_us(theirs))
    }

    /// Where this node lies, for others.
    #[must_use]
    pub fn own(&self) -> Coordinate {
        Coordinate::nearest(&self.position, self.adjustment.us(), self.error)
    }

    /// Feeds everything that later answers depend on.
    pub fn digest(&self, hasher: &mut blake3::Hasher) {
        for part in self.position.parts().chain([self.error]) {
            hasher.update(&part.to_bits().to_be_bytes());
        }
        self.adjustment.digest(hasher);
        self.typical.digest(hasher);
        self.latencies.digest(hasher);
    }

    /// Figure 3 of Dabek et al.: learns from how far the prediction was off, and returns how far to move for it.
    fn weigh(&mut self, rtt: f64, distance: f64, their_error: f64) -> f64 {
        // w = eᵢ / (eᵢ + eⱼ)
        let weight = self.error / (self.error + their_error);
        // eₛ = |‖xᵢ − xⱼ‖ − rtt| / rtt. None counts for more than the error of a node that knows nothing: a lie about a
        // place may be as far off as it likes.
        let sample = ((distance - rtt).abs() / rtt).min(ERROR_MOST);
        // eᵢ = eₛ cₑ w + eᵢ (1 − cₑ w)
        let share = C_E * weight;
        self.error = (sample * share + self.error * (1.0 - share)).clamp(ERROR_LEAST, ERROR_MOST);
        // δ (rtt − ‖xᵢ − xⱼ‖), where δ = c_c w
        C_C * weight * (rtt - distance)
    }

    /// How far one observation may move this node. A distance that is off by more than the usual round trip counts as off
    /// by that, so that a few liars among neighbours do not move them by what is nothing between continents.
    fn step_limit(&self, usual: f64) -> f64 {
        if self.defects.has(Defect::CoordinateUnbounded) { f64::INFINITY } else { (C_C * usual).min(STEP_MAX) }
    }
}

/// Ledlie et al., section 7.2: `G = (‖x‖ / ρ)²` towards the origin after each update, in the milliseconds of that paper.
fn gravity(eccentricity: f64) -> f64 {
    let share = eccentricity / RHO;
    (share * share * 1_000.0).min(GRAVITY_MAX)
}

fn plausible(rtt_us: u64) -> Result<NonZeroU32, SampleRefusal> {
    if rtt_us > RTT_MAX_US {
        return Err(SampleRefusal::TooLong);
    }
    u32::try_from(rtt_us).ok().and_then(NonZeroU32::new).ok_or(SampleRefusal::Instant)
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
