//! Convolutions whose output channels read one input channel each.

use pulp::{Simd, WithSimd};

use super::{Bounds, Isa, Team, convolution::Filter};

/// Writes `y`, plane by plane; `[x, w]` are input and filters.
pub(super) fn run(
    isa: Isa,
    team: &Team,
    filter: &Filter,
    [x, w]: [&[f32]; 2],
    (bias, bounds): (Option<&[f32]>, Option<Bounds>),
    y: &mut [f32],
) {
    let (plane, places) = (filter.input[0] * filter.input[1], filter.output[0] * filter.output[1]);
    let taps = filter.kernel[0] * filter.kernel[1];
    let work = y.len() * taps;
    let asks = team.asks(work);
    team.pieces(y, places, work, &|at, y| {
        let channel = at % filter.groups;
        let x = &x[at * plane..][..plane];
        let w = &w[channel * taps..][..taps];
        isa.run(Plane { filter, x, w, bias: bias.map_or(0.0, |bias| bias[channel]), bounds, asks, y });
    });
}

/// One plane: each tap adds its part to whole rows, in the order of the taps.
struct Plane<'a> {
    filter: &'a Filter,
    x: &'a [f32],
    w: &'a [f32],
    bias: f32,
    bounds: Option<Bounds>,
    asks: Option<&'a Team>,
    y: &'a mut [f32],
}

impl WithSimd for Plane<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { filter, x, w, bias, bounds, asks, y } = self;
        let width = filter.output[1];
        for (row, y) in y.chunks_exact_mut(width.max(1)).enumerate() {
            if asks.is_some_and(Team::is_over) {
                return;
            }
            y.fill(0.0);
            for tap_row in 0..filter.kernel[0] {
                let (top, bottom) = filter.inside(0, tap_row);
                if !(top..bottom).contains(&row) {
                    continue;
                }
                let source = row * filter.strides[0] + tap_row * filter.dilations[0] - filter.before[0];
                let source = &x[source * filter.input[1]..][..filter.input[1]];
                for tap_column in 0..filter.kernel[1] {
                    let factor = w[tap_row * filter.kernel[1] + tap_column];
                    let (left, right) = filter.inside(1, tap_column);
                    if left >= right {
                        continue;
                    }
                    let begin = left * filter.strides[1] + tap_column * filter.dilations[1] - filter.before[1];
                    add_scaled(&mut y[left..right], &source[begin..], filter.strides[1], factor);
                }
            }
            match bounds {
                Some(bounds) => y.iter_mut().for_each(|sum| *sum = bounds.of(*sum + bias)),
                None => y.iter_mut().for_each(|sum| *sum += bias),
            }
        }
    }
}

/// `sums += factor · source`, of which every `stride`-th number counts.
#[inline(always)]
fn add_scaled(sums: &mut [f32], source: &[f32], stride: usize, factor: f32) {
    match stride {
        1 => sums.iter_mut().zip(source).for_each(|(sum, x)| *sum = factor.mul_add(*x, *sum)),
        2 => sums.iter_mut().zip(source.chunks(2)).for_each(|(sum, x)| *sum = factor.mul_add(x[0], *sum)),
        _ => sums.iter_mut().zip(source.iter().step_by(stride)).for_each(|(sum, x)| *sum = factor.mul_add(*x, *sum)),
    }
}
