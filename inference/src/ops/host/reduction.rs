//! Sums and means along the last axes.

use pulp::{Simd, WithSimd};

use super::{HostCall, HostKernel, Isa};
use crate::{
    ops::{operator::Inference, shape},
    tensor::DType,
};

pub(super) const SUM: HostKernel = HostKernel::new(fits, |call| reduce(call, |_| 1.0));
pub(super) const MEAN: HostKernel = HostKernel::new(fits, |call| reduce(call, |count| count as f32));

/// Partial sums that run beside each other. As many for every instruction set, so that all give the
/// same bits.
const LANES: usize = 16;

/// A sum in a fixed order: every sixteenth number, then the sixteen in halves.
struct Sum<'a>(&'a [f32]);

impl WithSimd for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        sum_of(self.0, |x| x)
    }
}

/// A sum by a divisor, in double precision where the sum of `FP32` is infinite.
fn average(isa: Isa, x: &[f32], divisor: f32) -> f32 {
    let sum = isa.run(Sum(x));
    if sum.is_finite() {
        return sum / divisor;
    }
    (x.iter().map(|x| f64::from(*x)).sum::<f64>() / f64::from(divisor)) as f32
}

/// The sum of a function of each number.
#[inline(always)]
pub(super) fn sum_of(numbers: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (whole, rest) = numbers.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for chunk in whole {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += f(*x);
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += f(*x);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for at in 0..width {
            sums[at] += sums[at + width];
        }
        width /= 2;
    }
    sums[0]
}

/// The axes, as an attribute or a constant second input says, are the last ones.
fn fits(context: &Inference<'_>) -> bool {
    let Some(fact) = context.optional(0) else { return false };
    let Some(rank) = fact.shape.as_ref().map(Vec::len) else { return false };
    let is_simple = context.asked == 1 && fact.dtype == DType::F32;
    let given = match context.attributes.has("axes") {
        true => context.attributes.ints("axes").map(<[i64]>::to_vec),
        false => match context.places(1) {
            Ok(given) => given,
            Err(_unknown) => return false,
        },
    };
    let Some(given) = given.filter(|given| !given.is_empty()) else { return false };
    let Ok(mut axes) = shape::axes(&given, rank) else { return false };
    axes.sort_unstable();
    is_simple && axes.iter().rev().enumerate().all(|(back, axis)| axis + back + 1 == rank)
}

fn reduce(call: &mut HostCall<'_>, divisor: fn(usize) -> f32) {
    let x = call.input(0).floats();
    let (isa, team) = (call.isa, call.team);
    let [target] = &mut *call.outputs else { return };
    let results = target.floats();
    let count = x.len().checked_div(results.len()).unwrap_or(0);
    team.pieces(results, 1, x.len(), &|at, result| {
        result[0] = average(isa, &x[at * count..][..count], divisor(count));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_has_every_number_once() {
        for count in [0, 1, 15, 16, 17, 33, 100] {
            let numbers: Vec<_> = (1..=count).map(|at| at as f32).collect();
            assert_eq!(sum_of(&numbers, |x| x), (count * (count + 1) / 2) as f32);
        }
    }
}
