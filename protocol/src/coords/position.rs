//! Points of the space, as real numbers, and how they are pushed about.

use super::coordinate::{COMPONENT_MAX, Coordinate, DIMENSIONS, HEIGHT_MAX, HEIGHT_MIN, UNIT_US};

/// Nearer than this, in microseconds, two points have no direction to each other.
const COINCIDENT_US: f64 = 1.0;

const UNIT: f64 = UNIT_US as f64;
const COMPONENT_LIMIT: f64 = COMPONENT_MAX as f64 * UNIT;
const HEIGHT_LEAST: f64 = HEIGHT_MIN as f64 * UNIT;
const HEIGHT_MOST: f64 = HEIGHT_MAX as f64 * UNIT;

/// A point in the core of the network and the height of a node above it, in microseconds. Every number in it is finite
/// and within the bounds of a [`Coordinate`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Position {
    vector: [f64; DIMENSIONS],
    height: f64,
}

impl Position {
    /// Where a node begins that has measured nothing.
    pub(super) const ORIGIN: Self = Self { vector: [0.0; DIMENSIONS], height: HEIGHT_LEAST };

    /// Moves by `force`, away from `other` where it is positive, and returns how far it got.
    ///
    /// Dabek et al., figure 3, the last line, with the difference and the norm of section 5.4: `[x, xₕ] − [y, yₕ]` is
    /// `[x − y, xₕ + yₕ]`, and `‖[x, xₕ]‖` is `‖x‖ + xₕ`. So a move is as long as its force. From a point that coincides
    /// no direction leads away, and that of `draw` is taken.
    pub(super) fn push(&mut self, force: f64, other: &Self, draw: u64) -> f64 {
        let apart = difference(&self.vector, &other.vector);
        let across = length(&apart);
        if across < COINCIDENT_US {
            return self.shift(&direction(draw).map(|part| part * force), 0.0);
        }
        let height = self.height + other.height;
        let share = force / (across + height);
        self.shift(&apart.map(|part| part * share), height * share)
    }

    /// Moves by that much towards the origin, not beyond it and leaving the height, and returns how far it got.
    pub(super) fn sink(&mut self, by: f64) -> f64 {
        let across = length(&self.vector);
        if across < COINCIDENT_US {
            return 0.0;
        }
        let share = (by / across).min(1.0);
        self.shift(&self.vector.map(|part| -part * share), 0.0)
    }

    /// `‖[x, xₕ] − [y, yₕ]‖` of section 5.4: up from one node, across, and down to the other.
    pub(super) fn distance(&self, other: &Self) -> f64 {
        length(&difference(&self.vector, &other.vector)) + self.height + other.height
    }

    /// From the origin, the height left out.
    pub(super) fn eccentricity(&self) -> f64 {
        length(&self.vector)
    }

    /// In whole units: the components, and the height.
    pub(super) fn units(&self) -> ([i32; DIMENSIONS], u32) {
        (self.vector.map(|part| whole(part / UNIT)), whole(self.height / UNIT).unsigned_abs())
    }

    /// The components, then the height.
    pub(super) fn parts(&self) -> impl Iterator<Item = f64> {
        self.vector.into_iter().chain([self.height])
    }

    /// Adds, within the bounds. They are convex, so stopping at one never makes a move longer.
    fn shift(&mut self, by: &[f64; DIMENSIONS], up: f64) -> f64 {
        let before = *self;
        for (part, by) in self.vector.iter_mut().zip(by) {
            *part = (*part + by).clamp(-COMPONENT_LIMIT, COMPONENT_LIMIT);
        }
        self.height = (self.height + up).clamp(HEIGHT_LEAST, HEIGHT_MOST);
        length(&difference(&self.vector, &before.vector)) + (self.height - before.height).abs()
    }
}

impl From<&Coordinate> for Position {
    fn from(coordinate: &Coordinate) -> Self {
        let fields = coordinate.fields();
        Self { vector: fields.vector.map(|units| f64::from(units) * UNIT), height: f64::from(fields.height) * UNIT }
    }
}

/// The nearest whole number. What does not fit is cut at the ends of the type.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and callers are bounded far below")]
pub(super) fn whole(number: f64) -> i32 {
    number.round() as i32
}

/// A direction that is any direction: each component is a byte of the draw, and none of them is zero.
fn direction(draw: u64) -> [f64; DIMENSIONS] {
    let parts = draw.to_le_bytes().map(|byte| f64::from(byte) - 127.5);
    let size = length(&parts);
    parts.map(|part| part / size)
}

fn difference(a: &[f64; DIMENSIONS], b: &[f64; DIMENSIONS]) -> [f64; DIMENSIONS] {
    let mut difference = *a;
    difference.iter_mut().zip(b).for_each(|(a, b)| *a -= b);
    difference
}

fn length(vector: &[f64; DIMENSIONS]) -> f64 {
    vector.iter().fold(0.0, |sum, part| sum + part * part).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(first: f64, second: f64, height: f64) -> Position {
        Position { vector: [first, second, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], height }
    }

    #[test]
    fn a_push_is_as_long_as_its_force_and_shared_with_the_height() {
        let (mut here, there) = (at(0.0, 0.0, 1_000.0), at(-3_000.0, -4_000.0, 4_000.0));
        assert_eq!(here.distance(&there), 10_000.0);
        assert_eq!(here.push(2_000.0, &there, 0), 2_000.0);
        assert_eq!(here, at(600.0, 800.0, 2_000.0));
        assert_eq!(here.distance(&there), 12_000.0);
        assert_eq!(here.push(-12_000.0, &there, 0), 7_990.0, "the height stops at its least");
    }

    #[test]
    fn points_that_coincide_part_in_the_direction_drawn() {
        for draw in [0, u64::MAX, 0x0123_4567_89ab_cdef] {
            let mut here = Position::ORIGIN;
            let moved = here.push(500.0, &Position::ORIGIN, draw);
            assert!((moved - 500.0).abs() < 1e-9 && (here.eccentricity() - 500.0).abs() < 1e-9, "{here:?}");
            assert_eq!(here.height, Position::ORIGIN.height);
        }
        assert_ne!(direction(1), direction(2));
    }

    #[test]
    fn nothing_sinks_beyond_the_origin_or_rises_beyond_the_bounds() {
        let mut here = at(3_000.0, 4_000.0, 1_000.0);
        assert_eq!(here.sink(1_000.0), 1_000.0);
        assert_eq!(here, at(2_400.0, 3_200.0, 1_000.0));
        assert_eq!(here.sink(9_000.0), 4_000.0);
        assert_eq!((here, here.sink(1.0)), (at(0.0, 0.0, 1_000.0), 0.0));

        let mut far = at(9_999_000.0, 0.0, 9_999_000.0);
        far.push(1e9, &at(-9_999_000.0, 0.0, 9_999_000.0), 0);
        assert_eq!(far, at(10_000_000.0, 0.0, 10_000_000.0));
    }
}
