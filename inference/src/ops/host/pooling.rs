//! Pools over two dimensions.

use pulp::{Simd, WithSimd};

use super::{HostCall, HostKernel, Isa, Team, kernel::is_simple, reduction::average};
use crate::ops::{attributes::Attributes, operator::Inference, plain::window::Window};

pub(super) const MAX: HostKernel = HostKernel::new(fits, |call| pool(call, Kind::Max));
pub(super) const AVERAGE: HostKernel = HostKernel::new(fits, |call| pool(call, Kind::Average));
pub(super) const GLOBAL_AVERAGE: HostKernel = HostKernel::new(
    |context| is_simple(context) && context.shape(0).is_ok_and(|shape| shape.len() > 2),
    global_average,
);

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Max,
    Average,
}

/// A pool along one axis.
#[derive(Clone, Copy)]
struct Axis {
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    before: usize,
    output: usize,
}

impl Axis {
    /// Where a tap lies inside the input: places from a first to before a last.
    fn inside(&self, tap: usize) -> (usize, usize) {
        let offset = tap * self.dilation;
        let first = self.before.saturating_sub(offset).div_ceil(self.stride);
        let last = (self.input + self.before).saturating_sub(offset).div_ceil(self.stride);
        (first.min(self.output), last.min(self.output))
    }

    fn source(&self, place: usize, tap: usize) -> usize {
        place * self.stride + tap * self.dilation - self.before
    }

    /// Taps inside the input at a place.
    fn count(&self, place: usize) -> usize {
        (0..self.kernel).filter(|tap| (self.inside(*tap).0..self.inside(*tap).1).contains(&place)).count()
    }

    fn of(attributes: &Attributes<'_>, x: &[usize], y: &[usize], axis: usize) -> Option<Self> {
        let window = Window::of_pool(attributes).ok()?;
        let number = |value: u64| usize::try_from(value).ok();
        let slide = window.slide(axis, x[2 + axis] as u64)?;
        Some(Self {
            input: x[2 + axis],
            kernel: number(window.kernel[axis])?,
            stride: number(window.strides[axis])?,
            dilation: number(window.dilations[axis])?,
            before: number(slide.before)?,
            output: y[2 + axis],
        })
    }
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
    let axis = |axis| Axis::of(&attributes, x.shape, target.shape, axis).expect("accepted by the shape function");
    let axes = [axis(0), axis(1)];
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
                let (top, bottom) = rows.inside(tap_row);
                if !(top..bottom).contains(&row) {
                    continue;
                }
                let source = &x[rows.source(row, tap_row) * columns.input..][..columns.input];
                for tap in 0..columns.kernel {
                    let (left, right) = columns.inside(tap);
                    if left < right {
                        let source = &source[columns.source(left, tap)..];
                        take(kind, &mut y[left..right], source, columns.stride);
                    }
                }
            }
            if kind == Kind::Average {
                let above = if counts_pads { rows.kernel } else { rows.count(row) };
                for (column, sum) in y.iter_mut().enumerate() {
                    let beside = if counts_pads { columns.kernel } else { columns.count(column) };
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

fn global_average(call: &mut HostCall<'_>) {
    let x = call.input(0);
    let (isa, team) = (call.isa, call.team);
    let [target] = &mut *call.outputs else { return };
    let plane: usize = x.shape[2..].iter().product();
    average_planes(isa, team, x.floats(), plane, target.floats());
}

fn average_planes(isa: Isa, team: &Team, x: &[f32], plane: usize, y: &mut [f32]) {
    let work = x.len();
    team.pieces(y, 1, work, &|at, mean| {
        mean[0] = average(isa, &x[at * plane..][..plane], plane as f32);
    });
}
