//! Convolutions whose output channels read one input channel each.

use pulp::{Simd, WithSimd};

use super::{Bounds, Isa, Team, convolution::Filter, sliding::Axis};

/// Writes `y`, plane by plane; `[x, w]` are input and filters.
pub(super) fn run(
    isa: Isa,
    team: &Team,
    filter: &Filter,
    [x, w]: [&[f32]; 2],
    (bias, bounds): (Option<&[f32]>, Option<Bounds>),
    y: &mut [f32],
) {
    let (plane, places, taps) = (filter.plane(), filter.places(), filter.taps());
    let work = y.len() * taps;
    let asks = team.asks(work);
    team.pieces(y, places, work, &|at, y| {
        let channel = at % filter.groups;
        let x = &x[at * plane..][..plane];
        let w = &w[channel * taps..][..taps];
        isa.run(Plane { axes: filter.axes, x, w, bias: bias.map_or(0.0, |bias| bias[channel]), bounds, asks, y });
    });
}

/// One plane: each tap adds its part to whole rows, in the order of the taps.
struct Plane<'a> {
    axes: [Axis; 2],
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
        let Self { axes: [rows, columns], x, w, bias, bounds, asks, y } = self;
        for (row, y) in y.chunks_exact_mut(columns.output.max(1)).enumerate() {
            if asks.is_some_and(Team::is_over) {
                return;
            }
            y.fill(0.0);
            for (tap_row, w) in w.chunks_exact(columns.kernel).enumerate() {
                if !rows.inside(tap_row).contains(&row) {
                    continue;
                }
                let source = &x[rows.source(row, tap_row) * columns.input..][..columns.input];
                for (tap, factor) in w.iter().enumerate() {
                    let places = columns.inside(tap);
                    if !places.is_empty() {
                        let source = &source[columns.source(places.start, tap)..];
                        add_scaled(&mut y[places], source, columns.stride, *factor);
                    }
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
