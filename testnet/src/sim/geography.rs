//! How long a packet takes: the speed of light in glass, and what lies between.

use super::dice::Dice as _;
use super::time::{MS, Micros};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// A place on the globe in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    /// North of the equator.
    pub(crate) latitude: f64,
    /// East of Greenwich.
    pub(crate) longitude: f64,
}

/// Mean radius of the earth.
const EARTH_KM: f64 = 6_371.0;

/// Round trip that two regions have however near they are, and kilometres that one millisecond of round trip covers:
/// real routes are about a third longer than the great circle.
const BASE_RTT_US: f64 = 4_000.0;
const KM_PER_RTT_MS: f64 = 75.0;

/// Farthest that a node stands from the centre of its region, as one-way delay.
const SPREAD_US: u64 = 2 * MS;

/// Delay of a node's own access line: least and most.
const ACCESS_US: (u64, u64) = (50, MS);

impl Place {
    /// The one-way delay between the centres of two regions.
    fn one_way_us(&self, other: &Self) -> Micros {
        let (a, b) = (self.latitude.to_radians(), other.latitude.to_radians());
        let (dlat, dlon) = (b - a, (other.longitude - self.longitude).to_radians());
        // The haversine formula.
        let h = (dlat / 2.0).sin().powi(2) + a.cos() * b.cos() * (dlon / 2.0).sin().powi(2);
        let km = 2.0 * EARTH_KM * h.sqrt().min(1.0).asin();
        let rtt_us = BASE_RTT_US + km / KM_PER_RTT_MS * 1_000.0;
        if km < 1.0 { 0 } else { (rtt_us / 2.0).round() as Micros }
    }
}

/// How far the nodes of a region stand apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Spread {
    /// Over some hundred kilometres, each behind an access line of its own.
    #[default]
    Region,
    /// Not at all: processes of one machine.
    None,
}

/// Where a node stands within its region.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    region: usize,
    x_us: u64,
    y_us: u64,
    access_us: u64,
}

/// One-way delays between all places.
#[derive(Debug, Default)]
pub(crate) struct Geography {
    between: Vec<Vec<Micros>>,
}

impl Geography {
    /// The delays between the centres of these regions.
    pub(crate) fn new(places: &[Place]) -> Self {
        let row = |from: &Place| places.iter().map(|to| from.one_way_us(to)).collect();
        Self { between: places.iter().map(row).collect() }
    }

    /// A random spot in a region, or its centre where the nodes are not spread.
    pub(crate) fn spot(region: usize, spread: Spread, rng: &mut ChaCha8Rng) -> Spot {
        match spread {
            Spread::Region => Spot {
                region,
                x_us: rng.below(SPREAD_US),
                y_us: rng.below(SPREAD_US),
                access_us: rng.within(ACCESS_US),
            },
            Spread::None => Spot { region, x_us: 0, y_us: 0, access_us: ACCESS_US.0 },
        }
    }

    /// The delay from one spot to another, without jitter. Within a region it is the sum of the sides (streets, not
    /// flight), which stays in integers.
    pub(crate) fn one_way_us(&self, from: &Spot, to: &Spot) -> Micros {
        let streets = from.x_us.abs_diff(to.x_us) + from.y_us.abs_diff(to.y_us);
        self.between[from.region][to.region] + streets + from.access_us + to.access_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::SeedableRng as _;

    #[test]
    fn frankfurt_and_new_york_are_some_eighty_milliseconds_apart() {
        let frankfurt = Place { latitude: 50.1, longitude: 8.7 };
        let new_york = Place { latitude: 40.7, longitude: -74.0 };
        let rtt_ms = 2 * frankfurt.one_way_us(&new_york) / MS;
        assert!((80..92).contains(&rtt_ms), "{rtt_ms}");
        assert_eq!(frankfurt.one_way_us(&frankfurt), 0);
    }

    #[test]
    fn nodes_that_are_not_spread_are_as_near_to_each_other_as_processes() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let geography = Geography::new(&[Place { latitude: 50.1, longitude: 8.7 }]);
        let mut farthest = |spread| {
            let spots: Vec<Spot> = (0..20).map(|_| Geography::spot(0, spread, &mut rng)).collect();
            spots.iter().map(|spot| geography.one_way_us(&spots[0], spot)).max()
        };
        assert_eq!(farthest(Spread::None), Some(100));
        assert!(farthest(Spread::Region) > Some(MS));
    }
}
