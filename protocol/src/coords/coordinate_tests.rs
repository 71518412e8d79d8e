//! What may stand in a coordinate, its bytes, and what two of them say.

use super::*;
use data_encoding::HEXLOWER;
use proptest::prelude::*;

const ORIGIN: CoordinateWire = CoordinateWire { vector: [0; DIMENSIONS], height: 1, adjustment: 0, error: ERROR_MAX };

fn at(wire: CoordinateWire) -> Coordinate {
    Coordinate::try_from(wire).unwrap()
}

fn along(first: i32, height: u32, adjustment: i32) -> Coordinate {
    at(CoordinateWire { vector: [first, 0, 0, 0, 0, 0, 0, 0], height, adjustment, error: 100 })
}

#[test]
fn the_bytes_are_these() {
    let eu = CoordinateWire { vector: [-5_120, 733, 0, 64, -63, 2_100, 9, -1], height: 48, adjustment: -17, error: 83 };
    let most = i32::try_from(COMPONENT_MAX).unwrap();
    let far = CoordinateWire { vector: [-most; DIMENSIONS], height: HEIGHT_MAX, adjustment: 2_000, error: ERROR_MAX };
    let bytes = |wire| postcard::to_allocvec(&at(wire)).unwrap();
    assert_eq!(HEXLOWER.encode(&bytes(ORIGIN)), "00000000000000000100dc0b");
    assert_eq!(HEXLOWER.encode(&bytes(eu)), "ff4fba0b0080017de820120130215300".trim_end_matches("00"));
    assert_eq!(bytes(far).len(), 31, "the longest there is");
    for wire in [ORIGIN, eu, far] {
        assert_eq!(postcard::from_bytes::<Coordinate>(&bytes(wire)), Ok(at(wire)));
    }
}

#[test]
fn what_lies_beyond_the_bounds_is_no_coordinate_and_cannot_be_read_as_one() {
    let mut vector = [0; DIMENSIONS];
    vector[7] = i32::MIN;
    let cases = [
        (CoordinateWire { vector, ..ORIGIN }, CoordinateFault::Component(i32::MIN)),
        (CoordinateWire { height: 0, ..ORIGIN }, CoordinateFault::Height(0)),
        (CoordinateWire { height: HEIGHT_MAX + 1, ..ORIGIN }, CoordinateFault::Height(HEIGHT_MAX + 1)),
        (CoordinateWire { adjustment: -2_001, ..ORIGIN }, CoordinateFault::Adjustment(-2_001)),
        (CoordinateWire { error: 9, ..ORIGIN }, CoordinateFault::Error(9)),
        (CoordinateWire { error: 1_501, ..ORIGIN }, CoordinateFault::Error(1_501)),
    ];
    for (wire, fault) in cases {
        assert_eq!(Coordinate::try_from(wire), Err(fault));
        let bytes = postcard::to_allocvec(&wire).unwrap();
        assert!(postcard::from_bytes::<Coordinate>(&bytes).is_err(), "{wire:?}");
    }
}

#[test]
fn an_estimate_is_the_way_up_across_and_down_with_adjustments_while_something_is_left() {
    assert_eq!(along(300, 20, 0).estimate_rtt_us(&along(-100, 5, 0)), 4_250);
    assert_eq!(along(300, 20, -10).estimate_rtt_us(&along(-100, 5, 35)), 4_500);
    assert_eq!(along(0, 20, -10).estimate_rtt_us(&along(0, 5, -14)), 10);
    assert_eq!(along(0, 20, -10).estimate_rtt_us(&along(0, 5, -15)), 250);
    let most = i32::try_from(COMPONENT_MAX).unwrap();
    let far = |sign: i32| at(CoordinateWire { vector: [sign * most; DIMENSIONS], height: HEIGHT_MAX, ..ORIGIN });
    assert_eq!(far(1).estimate_rtt_us(&far(-1)), 76_568_542);
}

prop_compose! {
    /// Any coordinate there is.
    pub(in crate::coords) fn any_coordinate()(
        vector in proptest::array::uniform8(-1_000_000..=1_000_000_i32),
        height in HEIGHT_MIN..=HEIGHT_MAX,
        adjustment in -2_000..=2_000_i32,
        error in ERROR_MIN..=ERROR_MAX,
    ) -> Coordinate {
        at(CoordinateWire { vector, height, adjustment, error })
    }
}

proptest! {
    #[test]
    fn a_coordinate_comes_back_from_its_bytes_and_from_numbers(coordinate in any_coordinate()) {
        let bytes = postcard::to_allocvec(&coordinate).unwrap();
        prop_assert!(bytes.len() <= 31);
        prop_assert_eq!(postcard::from_bytes::<Coordinate>(&bytes), Ok(coordinate));
        let adjustment = f64::from(coordinate.fields().adjustment * 10);
        prop_assert_eq!(Coordinate::nearest(&Position::from(&coordinate), adjustment, coordinate.error()), coordinate);
    }

    #[test]
    fn telling_loses_less_than_a_unit(mut position in any_coordinate().prop_map(|it| Position::from(&it)), draw: u64) {
        position.push(4_321.0, &position.clone(), draw);
        let told = Position::from(&Coordinate::nearest(&position, 0.0, 0.5));
        let off = position.parts().zip(told.parts()).map(|(a, b)| (a - b).abs());
        prop_assert!(off.into_iter().all(|off| off <= 5.0));
    }

    #[test]
    fn no_fields_break_anything(vector: [i32; 8], height: u32, adjustment: i32, error: u16) {
        let wire = CoordinateWire { vector, height, adjustment, error };
        let bytes = postcard::to_allocvec(&wire).unwrap();
        prop_assert_eq!(postcard::from_bytes::<Coordinate>(&bytes).ok(), Coordinate::try_from(wire).ok());
    }

    #[test]
    fn an_estimate_is_the_same_from_both_ends_and_never_nothing(a in any_coordinate(), b in any_coordinate()) {
        let estimate = a.estimate_rtt_us(&b);
        prop_assert_eq!(estimate, b.estimate_rtt_us(&a));
        prop_assert!((1..100_000_000).contains(&estimate));
    }
}
