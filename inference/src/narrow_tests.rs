use super::*;
use crate::data::Data;

fn number(dtype: DType, bits: u8) -> f64 {
    kind(dtype.code()).number(bits)
}

const PLAIN: Rounding = Rounding { saturates: false, powers: Powers::Nearest };

#[test]
fn the_bits_of_formats_mean_what_the_specifications_say() {
    // Largest, smallest normal and smallest number of each format.
    let bounds = |dtype, bits: [u8; 3]| bits.map(|bits| number(dtype, bits));
    assert_eq!(bounds(DType::F8E4M3FN, [0x7e, 0x08, 0x01]), [448.0, power(-6), power(-9)]);
    assert_eq!(bounds(DType::F8E4M3FNUZ, [0x7f, 0x08, 0x01]), [240.0, power(-7), power(-10)]);
    assert_eq!(bounds(DType::F8E5M2, [0x7b, 0x04, 0x01]), [57344.0, power(-14), power(-16)]);
    assert_eq!(bounds(DType::F8E5M2FNUZ, [0x7f, 0x04, 0x01]), [57344.0, power(-15), power(-17)]);
    assert_eq!(bounds(DType::F8E8M0, [0xfe, 0x7f, 0x00]), [power(127), 1.0, power(-127)]);
    let small: Vec<_> = (0..16).map(|bits| number(DType::F4E2M1, bits)).collect();
    assert_eq!(small, [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0]);
    let nan = |dtype| (0..=255_u8).filter(|bits| number(dtype, *bits).is_nan()).collect::<Vec<_>>();
    assert_eq!(nan(DType::F8E4M3FN), [0x7f, 0xff]);
    assert_eq!(nan(DType::F8E4M3FNUZ), [0x80]);
    assert_eq!(nan(DType::F8E5M2), [0x7d, 0x7e, 0x7f, 0xfd, 0xfe, 0xff]);
    assert_eq!(nan(DType::F8E5M2FNUZ), [0x80]);
    assert_eq!(nan(DType::F8E8M0), [0xff]);
    assert_eq!([number(DType::F8E5M2, 0x7c), number(DType::F8E5M2, 0xfc)], [f64::INFINITY, f64::NEG_INFINITY]);
}

#[test]
fn every_number_of_a_type_becomes_its_own_bits_and_what_lies_between_the_nearest() {
    for dtype in DType::ALL.into_iter().filter(|dtype| dtype.is_narrow()) {
        let all: Vec<u8> = (0..=255).filter(|bits| u32::from(*bits) < 1 << dtype.size_bits()).collect();
        let mut numbers: Vec<(f64, u8)> = all.iter().map(|bits| (number(dtype, *bits), *bits)).collect();
        numbers.retain(|(value, _)| value.is_finite());
        for (value, own) in &numbers {
            assert_eq!(bits(dtype, *value, PLAIN), *own, "{dtype} {value}");
        }
        numbers.sort_by(|left, right| left.0.total_cmp(&right.0));
        if !dtype.is_float() || dtype == DType::F8E8M0 {
            continue;
        }
        for pair in numbers.windows(2).filter(|pair| pair[0].0 < pair[1].0) {
            let [(low, low_bits), (high, high_bits)] = [pair[0], pair[1]];
            let (middle, eps) = (low.midpoint(high), (high - low) / 1e6);
            let even = if low_bits % 2 == 0 { low } else { high };
            assert_eq!(number(dtype, bits(dtype, middle, PLAIN)), even, "{dtype} {middle}");
            assert_eq!(number(dtype, bits(dtype, middle - eps, PLAIN)), low, "{dtype} {middle}");
            assert_eq!(number(dtype, bits(dtype, middle + eps, PLAIN)), high, "{dtype} {high_bits}");
        }
    }
}

#[test]
fn what_is_too_large_is_what_the_table_of_cast_says() {
    let rows = [
        (DType::F8E4M3FN, [0x7e, 0xfe, 0x7e, 0x7f], [0x7f, 0xff, 0x7f, 0x7f]),
        (DType::F8E4M3FNUZ, [0x7f, 0xff, 0x7f, 0x80], [0x80, 0x80, 0x80, 0x80]),
        (DType::F8E5M2, [0x7b, 0xfb, 0x7b, 0x7e], [0x7c, 0xfc, 0x7c, 0x7e]),
        (DType::F8E5M2FNUZ, [0x7f, 0xff, 0x7f, 0x80], [0x80, 0x80, 0x80, 0x80]),
        (DType::F4E2M1, [0x7, 0xf, 0x7, 0x8], [0x7, 0xf, 0x7, 0x8]),
    ];
    let wild = [1e6, f64::NEG_INFINITY, 1e300, f64::NAN];
    for (dtype, saturated, not) in rows {
        assert_eq!(wild.map(|value| bits(dtype, value, Rounding::USUAL)), saturated, "{dtype}");
        assert_eq!(wild.map(|value| bits(dtype, value, PLAIN)), not, "{dtype}");
    }
    assert_eq!(bits(DType::F8E4M3FNUZ, -0.0, PLAIN), 0);
    assert_eq!(bits(DType::F8E4M3FN, -0.0, PLAIN), 0x80);
    // Half way to where the next number would lie is not yet too large.
    assert_eq!(bits(DType::F8E4M3FN, 464.0, PLAIN), 0x7e);
    assert_eq!(bits(DType::F8E4M3FN, 464.1, PLAIN), 0x7f);
}

#[test]
fn powers_of_two_are_rounded_as_they_are_told() {
    let all = |value: f64, saturates| {
        [Powers::Up, Powers::Down, Powers::Nearest]
            .map(|powers| bits(DType::F8E8M0, value, Rounding { saturates, powers }))
    };
    assert_eq!(all(1.0, true), [127, 127, 127]);
    assert_eq!(all(1.1, true), [128, 127, 127]);
    assert_eq!(all(1.5, true), [128, 127, 128]);
    assert_eq!(all(0.0, true), [0, 0, 0]);
    assert_eq!(all(0.0, false), [255, 255, 255]);
    assert_eq!(all(power(-130), false), [255, 255, 255]);
    assert_eq!(all(f64::INFINITY, true), [254, 254, 254]);
    assert_eq!(all(f64::INFINITY, false), [255, 255, 255]);
    assert_eq!(all(1e300, true), [254, 254, 254]);
    assert_eq!(all(f64::NAN, true), [255, 255, 255]);
}

#[test]
fn integers_of_few_bits_stop_at_their_bounds_or_wrap() {
    let ints = |dtype, values: &[i128]| Data::of_ints(dtype, values.iter().copied()).to_ints();
    assert_eq!(ints(DType::I4, &[-9, -8, 7, 8, 16]), [7, -8, 7, -8, 0]);
    assert_eq!(ints(DType::U2, &[-1, 3, 4]), [3, 3, 0]);
    let floats = |dtype, values: &[f64]| Data::of_floats(dtype, values.iter().copied()).to_ints();
    assert_eq!(floats(DType::I2, &[-9.0, 1.9, 3.0, f64::NAN]), [-2, 1, 1, 0]);
    assert_eq!(floats(DType::U4, &[-1.0, 15.9, 99.0]), [0, 15, 15]);
}

#[test]
fn the_first_of_packed_elements_is_in_the_lowest_bits() {
    assert_eq!(pack(DType::U4, &[1, 2, 3]), [0x21, 0x03]);
    assert_eq!(unpack(DType::U4, 3, &[0x21, 0xf3]), [1, 2, 3]);
    assert_eq!(pack(DType::I2, &[1, 2, 3, 0, 2]), [0b00_11_10_01, 0b10]);
    assert_eq!(unpack(DType::I2, 5, &[0b00_11_10_01, 0b10]), [1, 2, 3, 0, 2]);
    let data = Data::of_ints(DType::I4, [-8, 7, -1].into_iter());
    assert_eq!(data.write(), [0x78, 0x0f]);
    assert_eq!(Data::read(DType::I4, 3, &[0x78, 0x0f]), data);
}
