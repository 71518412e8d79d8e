//! `Conv` over one or two dimensions as matrix products over panels of gathered input, chunk by chunk.

use super::{
    HostCall, HostKernel, Team, depthwise,
    kernel::{Geometry, is_simple},
    matrix::{Finish, Product},
    panels::panel_columns,
};
use crate::ops::{attributes::Attributes, operator::Inference, plain::window::Window};

/// Gathered input stays within so many numbers: half of the second cache of small machines.
const GATHERED_NUMBERS: usize = 1 << 16;

pub(super) const CONV: HostKernel = HostKernel { fits, packs: |_| None, scratch, run };

fn fits(context: &Inference<'_>) -> bool {
    let rank = context.shape(1).map_or(0, <[_]>::len);
    is_simple(context) && (rank == 3 || rank == 4)
}

/// A convolution over rows and columns; one over a single dimension has one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter {
    pub(super) groups: usize,
    /// Of a group.
    pub(super) channels: usize,
    /// Of a group.
    pub(super) features: usize,
    /// Extents of input, kernel and output, steps, distances and zeros before, by dimension.
    pub(super) input: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) output: [usize; 2],
    pub(super) strides: [usize; 2],
    pub(super) dilations: [usize; 2],
    pub(super) before: [usize; 2],
}

impl Filter {
    fn of(attributes: &Attributes<'_>, x: &[usize], w: &[usize], y: &[usize]) -> Self {
        let taps = w[2..].iter().map(|extent| *extent as u64).collect();
        let window = Window::of_filter(attributes, taps).expect("accepted by the shape function");
        let groups = usize::try_from(attributes.int("group")).expect("bounded by the shape function");
        let pair = |values: &dyn Fn(usize) -> usize, single: usize| match x.len() {
            3 => [single, values(0)],
            _ => [values(0), values(1)],
        };
        let step = |steps: &[u64], axis: usize| usize::try_from(steps[axis]).expect("bounded by the window");
        let before = |axis: usize| {
            let slide = window.slide(axis, x[2 + axis] as u64).expect("accepted by the shape function");
            usize::try_from(slide.before).expect("bounded by the window")
        };
        Self {
            groups,
            channels: w[1],
            features: w[0] / groups,
            input: pair(&|axis| x[2 + axis], 1),
            kernel: pair(&|axis| w[2 + axis], 1),
            output: pair(&|axis| y[2 + axis], 1),
            strides: pair(&|axis| step(&window.strides, axis), 1),
            dilations: pair(&|axis| step(&window.dilations, axis), 1),
            before: pair(&before, 0),
        }
    }

    fn places(&self) -> usize {
        self.output[0] * self.output[1]
    }

    fn plane(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Each output channel reads one input channel.
    fn is_depthwise(&self) -> bool {
        self.channels == 1 && self.features == 1
    }

    /// Columns of a chunk of gathered input: whole panels.
    fn chunk(&self, width: usize) -> usize {
        let inner = (self.channels * self.taps()).max(1);
        let most = (GATHERED_NUMBERS / inner).max(width) / width * width;
        most.min(self.places().next_multiple_of(width))
    }

    /// The places along an axis, from a first to before a last, where a tap lies inside the input.
    pub(super) fn inside(&self, axis: usize, tap: usize) -> (usize, usize) {
        let (offset, before, stride) = (tap * self.dilations[axis], self.before[axis], self.strides[axis]);
        let first = before.saturating_sub(offset).div_ceil(stride);
        let last = (self.input[axis] + before).saturating_sub(offset).div_ceil(stride);
        (first.min(self.output[axis]), last.min(self.output[axis]))
    }
}

fn scratch(geometry: &Geometry<'_>) -> usize {
    let filter = Filter::of(&geometry.attributes, geometry.shape(0), geometry.shape(1), &geometry.outputs[0].1);
    if filter.is_depthwise() {
        return 0;
    }
    filter.channels * filter.taps() * filter.chunk(panel_columns(geometry.isa))
}

fn run(call: &mut HostCall<'_>) {
    let (x, w) = (call.input(0), call.input(1));
    let bias = call.optional(2).map(|bias| bias.floats());
    let HostCall { isa, team, attributes, bounds, .. } = *call;
    let ([target], scratch) = (&mut *call.outputs, &mut *call.scratch) else { return };
    let filter = Filter::of(&attributes, x.shape, w.shape, target.shape);
    let (x, w, y) = (x.floats(), w.floats(), target.floats());
    if filter.is_depthwise() {
        depthwise::run(isa, team, &filter, [x, w], (bias, bounds), y);
        return;
    }
    let (inner, places, features) = (filter.channels * filter.taps(), filter.places(), filter.features);
    let (width, plane) = (panel_columns(isa), filter.channels * filter.plane());
    let chunk = filter.chunk(width);
    if y.is_empty() {
        return;
    }
    let asks = team.asks(y.len().saturating_mul(inner));
    for (at, y) in y.chunks_mut(features * places).enumerate() {
        let group = at % filter.groups;
        let x = &x[at * plane..][..plane];
        let a = &w[group * features * inner..][..features * inner];
        let per_row = bias.map(|bias| &bias[group * features..][..features]);
        let finish = Finish { per_row, bounds, ..Finish::default() };
        for from in (0..places).step_by(chunk) {
            if asks.is_some_and(Team::is_over) {
                return;
            }
            let columns = chunk.min(places - from);
            let panels = &mut scratch[..inner * columns.next_multiple_of(width)];
            let work = panels.len();
            team.pieces(panels, inner * width, work, &|panel, part| {
                gather(&filter, x, from + panel * width, width, part)
            });
            let product = Product { a, panels, inner, columns, finish };
            // The first row of the chunk begins behind the columns before it.
            product.write(isa, team, &mut y[from..], places);
        }
    }
}

/// One panel: for each channel and tap the input under `width` places of the window.
fn gather(filter: &Filter, x: &[f32], first: usize, width: usize, panel: &mut [f32]) {
    let [rows, columns] = filter.input;
    let is_pointwise = filter.taps() == 1 && filter.strides == [1, 1] && filter.before == [0, 0];
    let count = width.min(filter.places() - first);
    let mut lines = panel.chunks_exact_mut(width);
    for channel in 0..filter.channels {
        let x = &x[channel * rows * columns..][..rows * columns];
        if is_pointwise && filter.output == filter.input {
            let Some(line) = lines.next() else { return };
            line[..count].copy_from_slice(&x[first..first + count]);
            line[count..].fill(0.0);
            continue;
        }
        for tap in 0..filter.taps() {
            let Some(line) = lines.next() else { return };
            line.fill(0.0);
            gather_tap(filter, x, first, tap, &mut line[..count]);
        }
    }
}

/// The input under consecutive places of the window, seen through one tap; zeros stay where it lies
/// outside.
fn gather_tap(filter: &Filter, x: &[f32], first: usize, tap: usize, line: &mut [f32]) {
    let [tap_row, tap_column] = [tap / filter.kernel[1], tap % filter.kernel[1]];
    let ((top, bottom), (left, right)) = (filter.inside(0, tap_row), filter.inside(1, tap_column));
    let width = filter.output[1];
    let mut at = 0;
    while at < line.len() {
        let (row, column) = ((first + at) / width, (first + at) % width);
        let count = (width - column).min(line.len() - at);
        if (top..bottom).contains(&row) {
            let (from, to) = (left.clamp(column, column + count), right.clamp(column, column + count));
            let source = row * filter.strides[0] + tap_row * filter.dilations[0] - filter.before[0];
            let source = &x[source * filter.input[1]..][..filter.input[1]];
            if from < to {
                let begin = from * filter.strides[1] + tap_column * filter.dilations[1] - filter.before[1];
                let target = &mut line[at + from - column..at + to - column];
                match filter.strides[1] {
                    1 => target.copy_from_slice(&source[begin..begin + target.len()]),
                    stride => {
                        let taken = source[begin..].iter().step_by(stride);
                        target.iter_mut().zip(taken).for_each(|(target, number)| *target = *number);
                    }
                }
            }
        }
        at += count;
    }
}
