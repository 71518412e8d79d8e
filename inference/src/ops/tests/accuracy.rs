//! How far results in `FP32` are from what `f64` makes of the same inputs, whichever kernel runs.

use super::application::{Case, floats, ints};
use crate::{
    array::Array,
    tensor::{DType, Tensor},
};

fn of(dtype: DType, shape: &[usize], values: &[f64]) -> Tensor {
    Array::of_floats(dtype, shape.to_vec(), values.iter().copied()).to_tensor()
}

/// Distance in units in the last place of `FP32`.
fn ulps(made: f32, expected: f64) -> u64 {
    let place = |value: f32| {
        let magnitude = i64::from(value.to_bits() & 0x7fff_ffff);
        if value.is_sign_negative() { -magnitude } else { magnitude }
    };
    (place(made) - place(expected as f32)).unsigned_abs()
}

/// Steps over both signs, dense around 0.
fn sweep(most: f32) -> Vec<f32> {
    let side: Vec<_> = (0..20_000_u16).map(|step| most * (f32::from(step) / 20_000.0).powi(3)).collect();
    side.iter().map(|x| -x).chain(side.iter().copied()).collect()
}

/// Results within 1e-7 of the exact one count as exact: beside 0 there is no last place to speak of.
fn worst(op: &'static str, most: f32, exact: fn(f64) -> f64) -> u64 {
    let inputs = sweep(most);
    let made = Case::on(op, &floats(&[inputs.len() as u64], &inputs)).run().to_f32().unwrap();
    let error = |(made, x): (&f32, &f32)| {
        let expected = exact(f64::from(*x));
        if (f64::from(*made) - expected).abs() <= 1e-7 { 0 } else { ulps(*made, expected) }
    };
    made.iter().zip(&inputs).map(error).max().unwrap_or(0)
}

#[test]
fn elementary_functions_keep_their_digits() {
    for (op, most, exact, bound) in [
        ("Exp", 80.0, f64::exp as fn(f64) -> f64, 1),
        ("Erf", 6.0, libm::erf, 8),
        ("Gelu", 10.0, |x| 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2), 8),
        ("Log", 1e6, f64::ln, 1),
        ("Sigmoid", 40.0, |x| (1.0 + (-x).exp()).recip(), 4),
        ("Tanh", 12.0, f64::tanh, 3),
    ] {
        let worst = worst(op, most, exact);
        assert!(worst <= bound, "{op} is {worst} units off, at most {bound} are allowed");
    }
}

/// The bound of a sum of `k` products, doubled for kernels that split it.
#[test]
fn dot_products_stay_within_their_bound() {
    for k in [1_u64, 3, 70, 513] {
        let value = |at: u64, seed: u64| ((at * 7_919 + seed * 104_729) % 2_003) as f32 / 1_001.5 - 1.0;
        let a: Vec<_> = (0..4 * k).map(|at| value(at, 1)).collect();
        let b: Vec<_> = (0..k * 5).map(|at| value(at, 2)).collect();
        let case = Case::new("MatMul", &[floats(&[4, k], &a), floats(&[k, 5], &b)]);
        let made = case.run().to_f32().unwrap();
        for (at, made) in made.iter().enumerate() {
            let (row, column) = (at as u64 / 5, at as u64 % 5);
            let products = (0..k)
                .map(|depth| f64::from(a[(row * k + depth) as usize]) * f64::from(b[(depth * 5 + column) as usize]));
            let (sum, magnitude) =
                products.fold((0.0, 0.0), |(sum, all), product| (sum + product, all + product.abs()));
            let bound = 2.0 * k as f64 * f64::powi(2.0, -24) * magnitude;
            assert!((f64::from(*made) - sum).abs() <= bound, "k {k}: {made} is not {sum}");
        }
    }
}

/// Backend and plain kernels on what is no ordinary number, to the last bit but for the sign of what
/// is no number.
#[test]
fn special_values_come_out_the_same() {
    let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e-42, -1e-42, f32::MAX, f32::MIN, 1.0];
    let count = special.len() as u64;
    let row = floats(&[count], &special);
    let column = floats(&[count, 1], &special);
    let mut wrong = Vec::new();
    let unary = ["Relu", "Sigmoid", "Tanh", "Identity", "Neg", "Abs"].map(|op| Case::on(op, &row));
    let binary = ["Add", "Sub", "Mul", "Div"].map(|op| Case::new(op, &[row.clone(), column.clone()]));
    let rows: Vec<_> = special.iter().flat_map(|x| [*x, 0.5, -2.0]).collect();
    let rows = floats(&[count, 3], &rows);
    let lanes = ["Softmax", "LogSoftmax"].map(|op| Case::on(op, &rows));
    let square: Vec<_> = special.iter().flat_map(|x| [*x, 0.5, -2.0, 1.0]).collect();
    let image = floats(&[1, count, 2, 2], &square);
    let pools = ["MaxPool", "AveragePool"].map(|op| Case::on(op, &image).ints("kernel_shape", &[2, 2]));
    for case in unary.into_iter().chain(binary).chain(lanes).chain(pools) {
        let (made, plain) = (case.run().to_f32().unwrap(), case.run_plainly().to_f32().unwrap());
        for (at, (made, plain)) in made.iter().zip(&plain).enumerate() {
            let is_same = made.to_bits() == plain.to_bits() || (made.is_nan() && plain.is_nan());
            let is_near = made.is_finite() && plain.is_finite() && ulps(*made, f64::from(*plain)) <= 4;
            if !(is_same || is_near && *plain != 0.0) {
                wrong.push(format!("{} {at}: {made} and plainly {plain}", case.op));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn parameters_of_another_type_are_computed_plainly() {
    for dtype in [DType::F16, DType::F64] {
        let parameter = |value| of(dtype, &[1], &[value]);
        let x = floats(&[1, 1, 2], &[1.0, 3.0]);
        let inputs = [x, parameter(2.0), parameter(1.0), parameter(1.0), parameter(1.0)];
        let made = Case::new("BatchNormalization", &inputs).float("epsilon", 0.0).run();
        assert_eq!(made, floats(&[1, 1, 2], &[1.0, 5.0]), "{dtype}");
    }
}

#[test]
fn a_lane_of_one_value_varies_by_nothing() {
    let x = floats(&[1, 1, 30], &[3.3; 30]);
    let made = Case::on("MeanVarianceNormalization", &x).ints("axes", &[0, 2]).run_plainly().to_f32().unwrap();
    assert!(made.iter().all(|x| x.abs() < 1e-3), "{made:?}");
}

#[test]
fn products_of_integers_are_exact_and_wrap() {
    let made = |a, b, alpha| {
        Case::new("Gemm", &[ints(&[1, 1], &[a]), ints(&[1, 1], &[b]), ints(&[1], &[1])]).float("alpha", alpha).run()
    };
    assert_eq!(made((1 << 53) + 1, 1, 1.0), ints(&[1, 1], &[(1 << 53) + 2]));
    assert_eq!(made(i64::MAX, 2, 1.0), ints(&[1, 1], &[-1]));
    assert_eq!(made(6, 1, 0.5), ints(&[1, 1], &[4]));
}

/// A place just past the middle of two elements, which `FP32` would round onto it.
#[test]
fn grids_keep_their_digits() {
    let at = |dtype| {
        let inputs = [floats(&[1, 1, 2], &[0.0, 1.0]), of(dtype, &[1, 1, 1], &[1e-12])];
        Case::new("GridSample", &inputs).at(22).int("align_corners", 1).text("mode", "nearest").run_plainly()
    };
    assert_eq!(at(DType::F64), floats(&[1, 1, 1], &[1.0]));
    assert_eq!(at(DType::F32), floats(&[1, 1, 1], &[0.0]));
}
