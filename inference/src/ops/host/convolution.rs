//! `Conv` over one or two dimensions as matrix products over panels of gathered input, chunk by chunk.

use super::{
    HostCall, HostKernel, Team, depthwise,
    kernel::{Geometry, is_simple},
    matrix::{Finish, Product},
    panels::panel_columns,
    sliding::Axis,
};
use crate::ops::{attributes::Attributes, operator::Inference, plain::window::Window};

/// Gathered input stays within so many numbers: half of the second cache of small machines.
const GATHERED_NUMBERS: usize = 1 << 16;

pub(super) const CONV: HostKernel = HostKernel { fits, packs: |_| None, scratch, run };

fn fits(context: &Inference<'_>) -> bool {
    let rank = context.shape(1).map_or(0, <[_]>::len);
    is_simple(context) && (rank == 3 || rank == 4)
}

/// A convolution over rows and columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter {
    pub(super) groups: usize,
    /// Of a group.
    channels: usize,
    /// Of a group.
    features: usize,
    pub(super) axes: [Axis; 2],
}

impl Filter {
    fn of(attributes: &Attributes<'_>, x: &[usize], w: &[usize], y: &[usize]) -> Self {
        let taps = w[2..].iter().map(|extent| *extent as u64).collect();
        let window = Window::of_filter(attributes, taps).expect("accepted by the shape function");
        let groups = usize::try_from(attributes.int("group")).expect("bounded by the shape function");
        Self { groups, channels: w[1], features: w[0] / groups, axes: Axis::pair(&window, &x[2..], &y[2..]) }
    }

    /// Places of the window.
    pub(super) fn places(&self) -> usize {
        self.axes[0].output * self.axes[1].output
    }

    /// Elements of an input channel.
    pub(super) fn plane(&self) -> usize {
        self.axes[0].input * self.axes[1].input
    }

    pub(super) fn taps(&self) -> usize {
        self.axes[0].kernel * self.axes[1].kernel
    }

    /// Products that are added up for an element.
    fn inner(&self) -> usize {
        self.channels * self.taps()
    }

    /// Each output channel reads one input channel.
    fn is_depthwise(&self) -> bool {
        self.channels == 1 && self.features == 1
    }

    /// Columns of a chunk of gathered input: whole panels.
    fn chunk(&self, width: usize) -> usize {
        let most = (GATHERED_NUMBERS / self.inner().max(1)).max(width) / width * width;
        most.min(self.places().next_multiple_of(width))
    }
}

fn scratch(geometry: &Geometry<'_>) -> usize {
    let filter = Filter::of(&geometry.attributes, geometry.shape(0), geometry.shape(1), &geometry.outputs[0].1);
    if filter.is_depthwise() {
        return 0;
    }
    filter.inner() * filter.chunk(panel_columns(geometry.isa))
}

fn run(call: &mut HostCall<'_>) {
    let (x, w) = (call.input(0), call.input(1));
    let bias = call.optional(2).map(|bias| bias.floats());
    let HostCall { isa, team, attributes, bounds, .. } = *call;
    let [target] = &mut *call.outputs else { return };
    let filter = Filter::of(&attributes, x.shape, w.shape, target.shape);
    let (x, w, y) = (x.floats(), w.floats(), target.floats());
    if filter.is_depthwise() {
        depthwise::run(isa, team, &filter, [x, w], (bias, bounds), y);
        return;
    }
    let (inner, places, features) = (filter.inner(), filter.places(), filter.features);
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
            let panels = &mut call.scratch[..inner * columns.next_multiple_of(width)];
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
    let is_pointwise = filter.axes.iter().all(Axis::is_pointwise);
    let count = width.min(filter.places() - first);
    let mut lines = panel.chunks_exact_mut(width);
    for channel in 0..filter.channels {
        let x = &x[channel * filter.plane()..][..filter.plane()];
        for (tap, line) in lines.by_ref().take(filter.taps()).enumerate() {
            line.fill(0.0);
            if is_pointwise {
                line[..count].copy_from_slice(&x[first..first + count]);
            } else {
                gather_tap(filter.axes, x, first, tap, &mut line[..count]);
            }
        }
    }
}

/// The input under consecutive places of the window, seen through one tap; zeros stay where it lies
/// outside.
fn gather_tap([rows, columns]: [Axis; 2], x: &[f32], first: usize, tap: usize, line: &mut [f32]) {
    let (tap_row, tap_column) = (tap / columns.kernel, tap % columns.kernel);
    let (above, beside) = (rows.inside(tap_row), columns.inside(tap_column));
    let mut at = 0;
    while at < line.len() {
        let (row, column) = ((first + at) / columns.output, (first + at) % columns.output);
        let count = (columns.output - column).min(line.len() - at);
        let (from, to) = (beside.start.max(column), beside.end.min(column + count));
        if above.contains(&row) && from < to {
            let source = &x[rows.source(row, tap_row) * columns.input..][..columns.input];
            let source = &source[columns.source(from, tap_column)..];
            let target = &mut line[at + from - column..at + to - column];
            match columns.stride {
                1 => target.copy_from_slice(&source[..target.len()]),
                stride => target.iter_mut().zip(source.iter().step_by(stride)).for_each(|(to, from)| *to = *from),
            }
        }
        at += count;
    }
}
