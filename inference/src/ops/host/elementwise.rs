//! Functions of single elements.

use pulp::{Simd, WithSimd};

use super::{
    Bounds, HostCall, HostKernel,
    kernel::is_simple,
    math::{erf, exp, gelu, gelu_tanh, sigmoid, tanh},
};
use crate::ops::{attributes::Attributes, operator::Inference};

/// The kernel of an operator that has one here.
pub(super) fn kernel(name: &str) -> Option<HostKernel> {
    let run: fn(&mut HostCall<'_>) = match name {
        "Relu" => |call| map(call, |_| |x: f32| if x <= 0.0 { 0.0 } else { x }),
        "LeakyRelu" => |call| map(call, leaky),
        "Clip" => clip,
        "Sigmoid" => |call| map(call, |_| sigmoid),
        "HardSigmoid" => |call| map(call, hard_sigmoid),
        "HardSwish" => |call| map(call, |_| |x: f32| x * bounded(x.mul_add(1.0 / 6.0, 0.5))),
        "Tanh" => |call| map(call, |_| tanh),
        "Erf" => |call| map(call, |_| erf),
        "Exp" => |call| map(call, |_| exp),
        "Sqrt" => |call| map(call, |_| f32::sqrt),
        "Reciprocal" => |call| map(call, |_| |x: f32| 1.0 / x),
        "Neg" => |call| map(call, |_| |x: f32| -x),
        "Abs" => |call| map(call, |_| f32::abs),
        "Gelu" => |call| match call.attributes.text("approximate") {
            "tanh" => map(call, |_| gelu_tanh),
            _ => map(call, |_| gelu),
        },
        _ => return None,
    };
    Some(HostKernel::new(fits, run))
}

fn fits(context: &Inference<'_>) -> bool {
    is_simple(context)
}

fn leaky(attributes: &Attributes<'_>) -> impl Fn(f32) -> f32 + Copy + Sync + use<> {
    let alpha = attributes.float("alpha") as f32;
    move |x: f32| if x < 0.0 { alpha * x } else { x }
}

fn hard_sigmoid(attributes: &Attributes<'_>) -> impl Fn(f32) -> f32 + Copy + Sync + use<> {
    let (alpha, beta) = (attributes.float("alpha") as f32, attributes.float("beta") as f32);
    move |x: f32| bounded(x.mul_add(alpha, beta))
}

/// Between 0 and 1; a NaN stays.
fn bounded(x: f32) -> f32 {
    x.clamp(0.0, 1.0)
}

/// The bounds are attributes in old versions and single elements since.
fn clip(call: &mut HostCall<'_>) {
    let bound = |name: &str, position: usize, missing: f32| match call.attributes.has(name) {
        true => call.attributes.float(name) as f32,
        false => call.optional(position).and_then(|bound| bound.floats().first().copied()).unwrap_or(missing),
    };
    let (least, most) = (bound("min", 1, f32::NEG_INFINITY), bound("max", 2, f32::INFINITY));
    let bounds = Bounds { least, most };
    map(call, move |_| move |x: f32| bounds.of(x));
}

fn map<F: Fn(f32) -> f32 + Copy + Sync>(call: &mut HostCall<'_>, function: impl FnOnce(&Attributes<'_>) -> F) {
    let x = call.input(0).floats();
    let f = function(&call.attributes);
    let (isa, team) = (call.isa, call.team);
    let [target] = &mut *call.outputs else { return };
    let y = target.floats();
    /// An elementary function takes some ten operations an element.
    const COST: usize = 16;
    /// Elements that a thread takes at a time: a quarter of the first cache.
    const PIECE: usize = 4096;
    let work = x.len() * COST;
    team.pieces(y, PIECE, work, &|at, y| isa.run(Map { f, x: &x[at * PIECE..], y }));
}

struct Map<'a, F> {
    f: F,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl<F: Fn(f32) -> f32> WithSimd for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (y, x) in self.y.iter_mut().zip(self.x) {
            *y = (self.f)(*x);
        }
    }
}
