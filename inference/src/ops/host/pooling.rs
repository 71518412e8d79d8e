//! Pools over two dimensions.

use pulp::{Simd, WithSimd};

use super::{HostCall, HostKernel, Team, kernel::is_simple, reduction, sliding::Axis};
use crate::ops::{operator::Inference, plain::window::Window};

pub(super) const MAX: HostKernel = HostKernel::new(fits, |call| pool(call, Kind::Max));
pub(super) const AVERAGE: HostKernel = HostKernel::new(fits, |call| pool(call, Kind::Average));
/// The mean of all axes behind the channels.
pub(super) const GLOBAL_AVERAGE: HostKernel = HostKernel {
    fits: |context| is_simple(context) && context.shape(0).is_ok_and(|shape| shape.len() > 2),
    ..reduction::MEAN
};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Max,
    Average,
}

/// Two dimensions, and no place that rounding up adds: what such a window averages is a matter of its own.
fn fits(context: &Inference<'_>) -> bool {
    let is_flat = context.shape(0).is_ok_and(|shape| shape.len() == 4);
    let rounds_up = context.attributes.has("ceil_mode") && context.attributes.flag("ceil_mode");
    let is_rowwise = !context.attributes.has("storage_order") || !context.attributes.flag("storage_order");
    is_simple(context) && is_flat && !rounds_up && is_rowwise
}

fn pool(call: &mut HostCall<'_>, kind: Kind) {
    let x = call.input(0);
    let HostCall { isa, team, attributes, .. } = *call;
    let [target] = &mut *call.outputs else { return };
    let window = Window::of_pool(&attributes).expect("accepted by the shape function");
    let axes = Axis::pair(&window, &x.shape[2..], &target.shape[2..]);
    let counts_pads = attributes.has("count_include_pad") && attributes.flag("count_include_pad");
    let (plane, places) = (axes[0].input * axes[1].input, axes[0].output * axes[1].output);
    let x = x.floats();
    let y = target.floats();
    let work = y.len() * axes[0].kernel * axes[1].kernel;
    let asks = team.asks(work);
    team.pieces(y, places, work, &|at, y| {
        isa.run(Plane { axes, kind, counts_pads, asks, x: &x[at * plane..][..plane], y });
    });
}

struct Plane<'a> {
    axes: [Axis; 2],
    kind: Kind,
    counts_pads: bool,
    asks: Option<&'a Team>,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Plane<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { axes: [rows, columns], kind, counts_pads, asks, x, y } = self;
        for (row, y) in y.chunks_exact_mut(columns.output.max(1)).enumerate() {
            if asks.is_some_and(Team::is_over) {
                return;
            }
            y.fill(if kind == Kind::Max { f32::NEG_INFINITY } else { 0.0 });
            for tap_row in 0..rows.kernel {
                if !rows.inside(tap_row).contains(&row) {
                    continue;
                }
                let source = &x[rows.source(row, tap_row) * columns.input..][..columns.input];
                for tap in 0..columns.kernel {
                    let places = columns.inside(tap);
                    if !places.is_empty() {
                        let source = &source[columns.source(places.start, tap)..];
                        take(kind, &mut y[places], source, columns.stride);
                    }
                }
            }
            if kind == Kind::Average {
                let above = if counts_pads { rows.kernel } else { rows.taps(row) };
                for (column, sum) in y.iter_mut().enumerate() {
                    let beside = if counts_pads { columns.kernel } else { columns.taps(column) };
                    *sum /= (above * beside) as f32;
                }
            }
        }
    }
}

#[inline(always)]
fn take(kind: Kind, results: &mut [f32], source: &[f32], stride: usize) {
    let pairs = results.iter_mut().zip(source.iter().step_by(stride));
    match kind {
        // A NaN stays, and wins.
        Kind::Max => pairs.for_each(|(most, x)| *most = if *x > *most || x.is_nan() { *x } else { *most }),
        Kind::Average => pairs.for_each(|(sum, x)| *sum += x),
    }
}
