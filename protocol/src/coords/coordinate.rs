//! A place, as nodes tell each other.

use super::position::{Position, whole};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Dimensions of the space, besides the height. Ledlie, Gardner and Seltzer saw no gain beyond seven; eight is Serf's.
pub const DIMENSIONS: usize = 8;

/// Microseconds in one unit of a coordinate: the least that round trips on one wire differ by.
pub const UNIT_US: u32 = 10;

/// The farthest from the origin that a component may lie, in units: the longest round trip that is taken for one.
pub const COMPONENT_MAX: u32 = 1_000_000;

/// The least height, in units. Above zero: a height grows in proportion to itself, so one of zero would stay so.
pub const HEIGHT_MIN: u32 = 1;

/// The largest height, in units.
pub const HEIGHT_MAX: u32 = 1_000_000;

/// The largest adjustment, in units, in either direction.
pub const ADJUSTMENT_MAX: u32 = 2_000;

/// The least error that a node may claim, in thousandths. A guess: no network is measured more exactly, and whoever claimed
/// none at all would never move again and count for everything with others.
pub const ERROR_MIN: u16 = 10;

/// The largest error, in thousandths: that of a node that has measured nothing.
pub const ERROR_MAX: u16 = 1_500;

const THOUSANDTHS: f64 = 1_000.0;

/// Where a node lies, and how sure it is. Always within the bounds of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "CoordinateWire", into = "CoordinateWire")]
pub struct Coordinate(CoordinateWire);

/// The fields of a [`Coordinate`] as they travel; anything may stand in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinateWire {
    /// Units along each dimension, at most [`COMPONENT_MAX`] from the origin.
    pub vector: [i32; DIMENSIONS],
    /// Units that every path to the node has in common: its access link. From [`HEIGHT_MIN`] to [`HEIGHT_MAX`].
    pub height: u32,
    /// Units by which round trips to this node are longer than the space can express; at most [`ADJUSTMENT_MAX`] either way.
    pub adjustment: i32,
    /// The error that the node expects of its own predictions, in thousandths; from [`ERROR_MIN`] to [`ERROR_MAX`].
    pub error: u16,
}

/// Why fields are no coordinate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CoordinateFault {
    /// Beyond [`COMPONENT_MAX`].
    #[error("component of {0} units")]
    Component(i32),
    /// Not between [`HEIGHT_MIN`] and [`HEIGHT_MAX`].
    #[error("height of {0} units")]
    Height(u32),
    /// Beyond [`ADJUSTMENT_MAX`].
    #[error("adjustment of {0} units")]
    Adjustment(i32),
    /// Not between [`ERROR_MIN`] and [`ERROR_MAX`].
    #[error("error of {0} thousandths")]
    Error(u16),
}

impl Coordinate {
    /// The round trip to expect between the nodes at two coordinates, in microseconds.
    #[must_use]
    pub fn estimate_rtt_us(&self, other: &Self) -> u64 {
        let unit = u64::from(UNIT_US);
        let pairs = self.0.vector.iter().zip(&other.0.vector);
        // At most eight squares of 2 * 10^7 each: 3.2 * 10^15.
        let squares: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b)) * unit).map(|us| us * us).sum();
        let straight = squares.isqrt() + (u64::from(self.0.height) + u64::from(other.0.height)) * unit;
        // Serf: adjustments count as long as something is left of the distance.
        let adjustment = (i64::from(self.0.adjustment) + i64::from(other.0.adjustment)) * i64::from(UNIT_US);
        straight.checked_add_signed(adjustment).filter(|adjusted| *adjusted > 0).unwrap_or(straight)
    }

    /// The fields.
    #[must_use]
    pub fn fields(&self) -> &CoordinateWire {
        &self.0
    }

    /// The error that the node expects of its own predictions, as a share of the round trip.
    pub(super) fn error(&self) -> f64 {
        f64::from(self.0.error) / THOUSANDTHS
    }

    /// What comes nearest to the numbers of a node, within the bounds.
    pub(super) fn nearest(position: &Position, adjustment_us: f64, error: f64) -> Self {
        let (vector, height) = position.units();
        let adjustment = whole(adjustment_us / f64::from(UNIT_US));
        let most = ADJUSTMENT_MAX.cast_signed();
        let error = u16::try_from(whole(error * THOUSANDTHS)).unwrap_or(ERROR_MAX);
        Self(CoordinateWire {
            vector,
            height,
            adjustment: adjustment.clamp(-most, most),
            error: error.clamp(ERROR_MIN, ERROR_MAX),
        })
    }
}

impl TryFrom<CoordinateWire> for Coordinate {
    type Error = CoordinateFault;

    fn try_from(wire: CoordinateWire) -> Result<Self, CoordinateFault> {
        if let Some(far) = wire.vector.iter().find(|component| component.unsigned_abs() > COMPONENT_MAX) {
            return Err(CoordinateFault::Component(*far));
        }
        if !(HEIGHT_MIN..=HEIGHT_MAX).contains(&wire.height) {
            return Err(CoordinateFault::Height(wire.height));
        }
        if wire.adjustment.unsigned_abs() > ADJUSTMENT_MAX {
            return Err(CoordinateFault::Adjustment(wire.adjustment));
        }
        if !(ERROR_MIN..=ERROR_MAX).contains(&wire.error) {
            return Err(CoordinateFault::Error(wire.error));
        }
        Ok(Self(wire))
    }
}

impl From<Coordinate> for CoordinateWire {
    fn from(coordinate: Coordinate) -> Self {
        coordinate.0
    }
}

#[cfg(test)]
#[path = "coordinate_tests.rs"]
pub(super) mod tests;
