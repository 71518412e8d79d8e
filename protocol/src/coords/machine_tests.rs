//! One node and what it is told.

use super::super::coordinate::tests::any_coordinate;
use super::*;
use crate::coords::{CoordinateWire, HEIGHT_MIN};
use proptest::prelude::*;

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn along(first: i32, error: u16) -> Coordinate {
    let vector = [first, 0, 0, 0, 0, 0, 0, 0];
    CoordinateWire { vector, height: HEIGHT_MIN, adjustment: 0, error }.try_into().unwrap()
}

fn digest(coordinates: &Coordinates) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    coordinates.digest(&mut hasher);
    hasher.finalize()
}

#[test]
fn what_no_network_does_is_refused_and_changes_nothing() {
    let mut coordinates = Coordinates::new();
    coordinates.observe(node(1), &along(900, 500), 4_000, 1);
    let before = digest(&coordinates);
    for (rtt_us, refusal) in
        [(0, SampleRefusal::Instant), (RTT_MAX_US + 1, SampleRefusal::TooLong), (u64::MAX, SampleRefusal::TooLong)]
    {
        assert_eq!(coordinates.observe(node(1), &along(0, 10), rtt_us, 2), Observation::Refused(refusal));
        assert_eq!(digest(&coordinates), before);
    }
    assert!(matches!(coordinates.observe(node(1), &along(0, 10), RTT_MAX_US, 2), Observation::Moved { .. }));
    assert_ne!(digest(&coordinates), before);
}

#[test]
fn a_newcomer_goes_half_of_a_quarter_of_the_way_and_learns_what_it_was_off_by() {
    let mut coordinates = Coordinates::new();
    let there = along(-1_000, 1_500);
    assert_eq!(there.estimate_rtt_us(&coordinates.own()), 10_020);
    // w = 1/2, eₛ = |10,020 − 20,020| / 20,020 = 0.4995: one eighth of 10,000 µs, and 1.5 · 7/8 + 0.4995 / 8 = 1.375.
    let moved = coordinates.observe(node(1), &there, 20_020, 7);
    assert_eq!(moved, Observation::Moved { by_us: 1_250, bounded: false });
    let own = coordinates.own();
    assert_eq!((own.fields().vector, own.fields().height), ([125, 0, 0, 0, 0, 0, 0, 0], 1));
    assert_eq!(own.fields().error, 1_375);
    // A fortieth of the 8,750 µs by which it is still off.
    assert_eq!(own.fields().adjustment, 22);
}

#[test]
fn two_nodes_in_one_place_part() {
    let (mut a, mut b) = (Coordinates::new(), Coordinates::new());
    for draw in 0..60 {
        a.observe(node(2), &b.own(), 1_000, draw);
        b.observe(node(1), &a.own(), 1_000, draw);
    }
    let estimate = a.own().estimate_rtt_us(&b.own());
    assert!((980..=1_020).contains(&estimate), "{estimate}");
}

#[test]
fn a_sample_that_waited_does_not_move_a_settled_node() {
    let mut coordinates = Coordinates::new();
    let there = along(-1_000, 100);
    for draw in 0..200 {
        coordinates.observe(node(1), &there, 20_000, draw);
    }
    let settled = coordinates.own();
    coordinates.observe(node(1), &there, 3_000_000, 0);
    assert_eq!(coordinates.own(), settled);
}

/// Two neighbours in a house, one of which claims to live on the moon.
fn moonstruck<D: Defects>(defects: D) -> (Observation, CoordinateWire) {
    let mut coordinates = Coordinates::with_defects(defects);
    for draw in 0..50 {
        coordinates.observe(node(1), &along(-40, 100), 800, draw);
    }
    let observation = coordinates.observe(node(2), &along(1_000_000, 10), 800, 0);
    (observation, *coordinates.own().fields())
}

#[test]
fn a_lie_moves_a_node_by_a_quarter_of_what_is_usual() {
    let (observation, own) = moonstruck(Sound);
    let Observation::Moved { by_us, bounded: true } = observation else { panic!("{observation:?}") };
    assert!((180..=220).contains(&by_us) && (20..=70).contains(&own.vector[0]), "{by_us} {own:?}");
    assert!((100..400).contains(&own.error), "its own doubt is bounded, too: {own:?}");
}

#[derive(Debug, Clone, Copy)]
struct Planted;

impl Defects for Planted {
    fn has(self, defect: Defect) -> bool {
        defect == Defect::CoordinateUnbounded
    }
}

#[test]
fn without_the_bound_a_lie_moves_it_to_the_moon() {
    let (observation, own) = moonstruck(Planted);
    let Observation::Moved { by_us, bounded: false } = observation else { panic!("{observation:?}") };
    assert!(by_us > 100 * MOVE_MAX_US && own.vector[0] > 100_000, "{by_us} {own:?}");
}

#[test]
fn a_node_that_knows_all_there_is_to_know_is_small() {
    assert!(size_of::<Coordinates>() <= 320, "{}", size_of::<Coordinates>());
}

proptest! {
    #[test]
    fn whatever_is_heard_a_coordinate_is_one_and_moves_within_bounds(
        heard in proptest::collection::vec((0..4_u8, any_coordinate(), any_rtt(), any::<u64>()), 1..60),
    ) {
        let mut coordinates = Coordinates::new();
        for (peer, theirs, rtt_us, draw) in heard {
            let before = coordinates.position;
            let observation = coordinates.observe(node(peer), &theirs, rtt_us, draw);
            let plausible = (1..=RTT_MAX_US).contains(&rtt_us);
            match observation {
                Observation::Moved { by_us, .. } => prop_assert!(plausible && by_us <= MOVE_MAX_US),
                Observation::Refused(_) => prop_assert!(!plausible && coordinates.position == before),
            }
            prop_assert!(coordinates.position.parts().chain([coordinates.error]).all(f64::is_finite));
            let own = coordinates.own();
            prop_assert_eq!(Coordinate::try_from(*own.fields()), Ok(own));
        }
    }
}

/// Round trips of every length, the absurd among them.
fn any_rtt() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1..2_000_u64, 4 => 2_000..=RTT_MAX_US, 1 => Just(0), 1 => any::<u64>()]
}
