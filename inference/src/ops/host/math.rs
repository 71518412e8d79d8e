//! Elementary functions of `FP32` without branches, so that loops over them become vectors.
//!
//! Every step is one rounding that all instruction sets have, fused multiply-adds included: all sets
//! give the same bits. Coefficients were fitted for this file as minimax polynomials by Lawson's
//! weighted least squares; the argument reduction of [`exp`] is that of W. J. Cody and W. Waite,
//! "Software Manual for the Elementary Functions", 1980, chapter 6, and its polynomial that of the Cephes
//! library (S. L. Moshier, `expf`).

/// 1.5 · 2²³: adding it rounds to an integer, ties to even, in the lowest bits.
const ROUNDER: f32 = 12_582_912.0;

/// Picks without a branch.
#[inline(always)]
fn pick(condition: bool, yes: f32, no: f32) -> f32 {
    if condition { yes } else { no }
}

/// A polynomial by Horner's rule, the highest power first.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[0];
    for coefficient in &coefficients[1..] {
        sum = sum.mul_add(x, *coefficient);
    }
    sum
}

/// At most 1 unit in the last place off; 0 below −104, infinite above 88.8.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Beyond these bounds the result is 0 or infinite; a NaN passes through.
    let bounded = pick(x > 89.0, 89.0, pick(x < -104.0, -104.0, x));
    let rounded = bounded.mul_add(std::f32::consts::LOG2_E, ROUNDER);
    let power = rounded - ROUNDER;
    // ln 2 in two parts: its nearest number and what is missing to it.
    let rest = power.mul_add(1.904_654_3e-9, power.mul_add(-std::f32::consts::LN_2, bounded));
    let tail = polynomial(rest, [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5]);
    let value = (rest * rest).mul_add(tail, rest) + 1.0;
    // In two halves, so that the smallest results lose bits only once and the largest overflow.
    let whole = (rounded.to_bits() as i32).wrapping_sub(ROUNDER.to_bits() as i32);
    let half = whole >> 1;
    let scale = |power: i32| f32::from_bits((power.wrapping_add(127) as u32) << 23);
    value * scale(half) * scale(whole.wrapping_sub(half))
}

/// `1 / (1 + e⁻ˣ)`, at most 4 units off.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// At most 3 units off.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let size = x.abs();
    // Beside 0 the odd polynomial of the Cephes library (S. L. Moshier, `tanhf`).
    let square = size * size;
    let tail = polynomial(square, [-5.704_989e-3, 2.063_909e-2, -5.373_971_6e-2, 0.133_314_42, -0.333_332_8]);
    let small = (square * size).mul_add(tail, size);
    let large = 1.0 - 2.0 / (exp(size + size) + 1.0);
    pick(size < 0.625, small, large).copysign(x)
}

/// `erfc(x)` for `x` of at least 0.9: `e` to a polynomial fitted to `ln erfc` up to 5.2, 0 beyond.
#[inline(always)]
fn erfc_tail(x: f32) -> f32 {
    let power = polynomial(
        x,
        [
            -6.145_549e-8,
            2.821_731e-6,
            -5.556_312_3e-5,
            6.377_054e-4,
            -4.860_189e-3,
            2.655_689_6e-2,
            -0.110_154_41,
            -0.631_859_4,
            -1.130_171_3,
            2.979_861e-4,
        ],
    );
    pick(x > 5.2, 0.0, exp(power))
}

/// `erf(x) / x` for `x²` of at most 0.81.
#[inline(always)]
fn erf_slope(square: f32) -> f32 {
    polynomial(
        square,
        [
            8.538_842e-5,
            -8.181_928e-4,
            5.204_436e-3,
            -2.686_075_3e-2,
            0.112_837_195,
            -0.376_126_35,
            std::f32::consts::FRAC_2_SQRT_PI,
        ],
    )
}

/// At most 8 units off.
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let size = x.abs();
    let large = (1.0 - erfc_tail(size)).copysign(x);
    pick(size < 0.9, x * erf_slope(x * x), pick(x.is_nan(), x, large))
}

/// `x · Φ(x)` with the exact distribution function of the normal distribution; at most 8 units off, or
/// 1e-7 where the result is small.
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    let place = x * std::f32::consts::FRAC_1_SQRT_2;
    let size = place.abs();
    let half = 0.5 * x;
    let small = half.mul_add(place * erf_slope(place * place), half);
    // For a negative x the sum 1 + erf would cancel.
    let tail = erfc_tail(size);
    let large = half * pick(x < 0.0, tail, 2.0 - tail);
    pick(size < 0.9, small, large)
}

/// The approximation with a hyperbolic tangent, as ONNX's `Gelu` defines it.
#[inline(always)]
pub(super) fn gelu_tanh(x: f32) -> f32 {
    let inner = (2.0 / std::f32::consts::PI).sqrt() * (0.044_715 * x * x).mul_add(x, x);
    0.5 * x * (1.0 + tanh(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units in the last place; results within 1e-7 of the exact one count as exact where
    /// that is allowed.
    fn worst(most: f32, is_near_enough: bool, made: fn(f32) -> f32, exact: fn(f64) -> f64) -> u32 {
        let side = (0..200_000_u32).map(|step| most * (step as f32 / 200_000.0).powi(3));
        let place = |value: f32| {
            let magnitude = i64::from(value.abs().to_bits());
            if value < 0.0 { -magnitude } else { magnitude }
        };
        let off = |x: f32| {
            let (made, exact) = (made(x), exact(f64::from(x)));
            let near = is_near_enough && (f64::from(made) - exact).abs() <= 1e-7;
            if near { 0 } else { place(made).abs_diff(place(exact as f32)) as u32 }
        };
        side.flat_map(|x| [off(x), off(-x)]).max().unwrap()
    }

    #[test]
    fn functions_keep_their_digits() {
        let gelu_exact = |x: f64| 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
        let found = [
            worst(104.0, false, exp, f64::exp),
            worst(40.0, true, sigmoid, |x| (1.0 + (-x).exp()).recip()),
            worst(12.0, false, tanh, f64::tanh),
            worst(8.0, false, erf, libm::erf),
            worst(12.0, true, gelu, gelu_exact),
        ];
        let most = [1, 4, 3, 8, 8];
        assert!(found.iter().zip(most).all(|(found, most)| *found <= most), "{found:?} of at most {most:?}");
    }

    #[test]
    fn ends_and_what_is_no_number_are_kept() {
        let inf = f32::INFINITY;
        assert_eq!([exp(-inf), exp(-104.0), exp(0.0), exp(88.8), exp(inf)], [0.0, 0.0, 1.0, inf, inf]);
        assert!(exp(-103.0) > 0.0, "the smallest denormals are there");
        assert_eq!([tanh(-inf), tanh(-0.0), tanh(inf)], [-1.0, 0.0, 1.0]);
        assert!(tanh(-0.0).is_sign_negative() && erf(-0.0).is_sign_negative());
        assert_eq!([erf(-inf), erf(inf), erf(1e-40)], [-1.0, 1.0, 1e-40 * std::f32::consts::FRAC_2_SQRT_PI]);
        assert_eq!([sigmoid(-inf), sigmoid(0.0), sigmoid(inf)], [0.0, 0.5, 1.0]);
        assert_eq!([gelu(-1e30), gelu(0.0), gelu(inf)], [0.0, 0.0, inf]);
        // ONNX's formula multiplies an infinity by 0.
        assert!(gelu(-inf).is_nan());
        for function in [exp, sigmoid, tanh, erf, gelu, gelu_tanh] {
            assert!(function(f32::NAN).is_nan());
        }
    }
}
