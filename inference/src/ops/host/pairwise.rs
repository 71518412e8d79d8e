//! Functions of two elements, whose tensors broadcast.

use pulp::{Simd, WithSimd};

use super::{HostCall, HostKernel, Isa, kernel::is_simple};
use crate::{
    array::{self, Array},
    ops::operator::Inference,
};

/// The kernel of an operator that has one here.
pub(super) fn kernel(name: &str) -> Option<HostKernel> {
    let run: fn(&mut HostCall<'_>) = match name {
        "Add" => |call| zip(call, |a, b| a + b),
        "Sub" => |call| zip(call, |a, b| a - b),
        "Mul" => |call| zip(call, |a, b| a * b),
        "Div" => |call| zip(call, |a, b| a / b),
        "Pow" => |call| zip(call, |a, _| a * a),
        _ => return None,
    };
    Some(HostKernel::new(if name == "Pow" { fits_power } else { fits }, run))
}

fn fits(context: &Inference<'_>) -> bool {
    is_simple(context)
}

/// Squares only, as exporters of normalisations write them.
fn fits_power(context: &Inference<'_>) -> bool {
    let power = context.content(1).ok().flatten().map(Array::floats);
    is_simple(context) && power.as_deref() == Some(&[2.0])
}

/// How an operand lies along the innermost run of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// Element by element.
    Whole,
    /// One element for all.
    Single,
}

/// The result as runs in which each operand either goes along or stands still.
struct Runs {
    length: usize,
    left: Run,
    right: Run,
    /// Extents of the runs, and the steps of the operands from one to the next along each.
    shape: Vec<usize>,
    steps: [Vec<usize>; 2],
}

impl Runs {
    fn of(left: &[usize], right: &[usize], result: &[usize]) -> Self {
        let steps = [array::spread(left, result), array::spread(right, result)];
        let kinds = |axis: usize| {
            let kind = |steps: &Vec<usize>| if steps[axis] == 0 { Run::Single } else { Run::Whole };
            (kind(&steps[0]), kind(&steps[1]))
        };
        // Axes of extent 1 go with any run.
        let mut first = result.len();
        let mut found = None;
        while first > 0 {
            let axis = first - 1;
            if result[axis] != 1 {
                match found {
                    None => found = Some(kinds(axis)),
                    Some(found) if found == kinds(axis) => {}
                    Some(_) => break,
                }
            }
            first = axis;
        }
        let (left, right) = found.unwrap_or((Run::Whole, Run::Whole));
        let length = result[first..].iter().product();
        let outer = |steps: &[usize]| steps[..first].to_vec();
        Self { length, left, right, shape: result[..first].to_vec(), steps: [outer(&steps[0]), outer(&steps[1])] }
    }

    /// Where an operand begins at a run.
    fn place(&self, operand: usize, mut run: usize) -> usize {
        let mut place = 0;
        for (extent, step) in self.shape.iter().zip(&self.steps[operand]).rev() {
            place += run % extent * step;
            run /= extent;
        }
        place
    }
}

fn zip(call: &mut HostCall<'_>, f: impl Fn(f32, f32) -> f32 + Copy + Sync) {
    /// Elements that a thread takes at a time where a run is longer.
    const PIECE: usize = 4096;
    let (left, right) = (call.input(0), call.input(1));
    let (isa, team) = (call.isa, call.team);
    let [target] = &mut *call.outputs else { return };
    let runs = Runs::of(left.shape, right.shape, target.shape);
    let (left, right, result) = (left.floats(), right.floats(), target.floats());
    let work = result.len();
    if runs.shape.is_empty() {
        team.pieces(result, PIECE, work, &|at, part| {
            let begin = |run: Run| if run == Run::Whole { at * PIECE } else { 0 };
            combine(isa, f, (&left[begin(runs.left)..], runs.left), (&right[begin(runs.right)..], runs.right), part);
        });
        return;
    }
    team.pieces(result, runs.length, work, &|at, part| {
        let (left, right) = (&left[runs.place(0, at)..], &right[runs.place(1, at)..]);
        combine(isa, f, (left, runs.left), (right, runs.right), part);
    });
}

type Operand<'a> = (&'a [f32], Run);

fn combine(isa: Isa, f: impl Fn(f32, f32) -> f32, left: Operand<'_>, right: Operand<'_>, result: &mut [f32]) {
    isa.run(Zip { f, left, right, result });
}

struct Zip<'a, F> {
    f: F,
    left: Operand<'a>,
    right: Operand<'a>,
    result: &'a mut [f32],
}

impl<F: Fn(f32, f32) -> f32> WithSimd for Zip<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { f, left: (left, left_run), right: (right, right_run), result } = self;
        match (left_run, right_run) {
            (Run::Whole, Run::Whole) => {
                for ((y, a), b) in result.iter_mut().zip(left).zip(right) {
                    *y = f(*a, *b);
                }
            }
            (Run::Whole, Run::Single) => {
                let b = right[0];
                result.iter_mut().zip(left).for_each(|(y, a)| *y = f(*a, b));
            }
            (Run::Single, Run::Whole) => {
                let a = left[0];
                result.iter_mut().zip(right).for_each(|(y, b)| *y = f(a, *b));
            }
            (Run::Single, Run::Single) => result.fill(f(left[0], right[0])),
        }
    }
}
