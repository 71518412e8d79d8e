//! `RNN`, `GRU` and `LSTM`, with the equations and gate orders of the ONNX operators.

use super::{
    FLOATS, I32, Outcome,
    pointwise::{sigmoid, softplus},
};
use crate::{
    array::Array,
    ops::{
        attributes::{AttributeSpec, Attributes, Fallback},
        extent::Extent,
        operator::{Call, Fault, Inference, Operator, Parameter, Product, Shapes, attribute, input, like, optional},
        shape::{ShapeError, computed, ranked, same},
    },
};

const X: Parameter = input("X", "T", FLOATS);
const W: Parameter = input("W", "T", FLOATS);
const R: Parameter = input("R", "T", FLOATS);
const B: Parameter = optional("B", "T", FLOATS);
const LENGTHS: Parameter = optional("sequence_lens", "T1", &[I32]);
const START: Parameter = optional("initial_h", "T", FLOATS);
const Y: Product = like("Y", "T");
const LAST: Product = like("Y_h", "T");
const ALPHA: AttributeSpec = attribute("activation_alpha", Fallback::NoFloats);
const BETA: AttributeSpec = attribute("activation_beta", Fallback::NoFloats);
const ACTIVATIONS: AttributeSpec = attribute("activations", Fallback::NoTexts);
const CLIP: AttributeSpec = attribute("clip", Fallback::NoFloat);
const DIRECTION: AttributeSpec = attribute("direction", Fallback::Text("forward"));
const HIDDEN: AttributeSpec = attribute("hidden_size", Fallback::NoInt);
const LAYOUT: AttributeSpec = attribute("layout", Fallback::Int(0));

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new(
        "RNN",
        7,
        &[X, W, R, B, LENGTHS, START],
        &[Y, LAST],
        |context| infer(context, Kind::Rnn),
        |call| run(call, Kind::Rnn),
    )
    .with(&[ALPHA, BETA, ACTIVATIONS, CLIP, DIRECTION, HIDDEN, LAYOUT]),
    Operator::new(
        "GRU",
        7,
        &[X, W, R, B, LENGTHS, START],
        &[Y, LAST],
        |context| infer(context, Kind::Gru),
        |call| run(call, Kind::Gru),
    )
    .with(&[
        ALPHA,
        BETA,
        ACTIVATIONS,
        CLIP,
        DIRECTION,
        HIDDEN,
        LAYOUT,
        attribute("linear_before_reset", Fallback::Int(0)),
    ]),
    Operator::new(
        "LSTM",
        7,
        &[X, W, R, B, LENGTHS, START, optional("initial_c", "T", FLOATS), optional("P", "T", FLOATS)],
        &[Y, LAST, like("Y_c", "T")],
        |context| infer(context, Kind::Lstm),
        |call| run(call, Kind::Lstm),
    )
    .with(&[
        ALPHA,
        BETA,
        ACTIVATIONS,
        CLIP,
        DIRECTION,
        HIDDEN,
        attribute("input_forget", Fallback::Int(0)),
        LAYOUT,
    ]),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rnn,
    Gru,
    Lstm,
}

impl Kind {
    fn gates(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Gru => 3,
            Self::Lstm => 4,
        }
    }

    fn activations(self) -> &'static [&'static str] {
        match self {
            Self::Rnn => &["Tanh"],
            Self::Gru => &["Sigmoid", "Tanh"],
            Self::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        }
    }
}

fn infer(context: &Inference<'_>, kind: Kind) -> Shapes {
    let x = ranked(context, 0, 3, "3 (steps, batch, features)")?;
    let w = ranked(context, 1, 3, "3 (directions, gates, features)")?;
    let r = ranked(context, 2, 3, "3 (directions, gates, hidden)")?;
    let directions = if context.attributes.text("direction") == "bidirectional" { 2 } else { 1 };
    let directions = Extent::fixed(directions).ok_or(ShapeError::Size)?;
    let hidden = &r[2];
    let whole = computed(hidden, |hidden| hidden.checked_mul(kind.gates() as u64))?;
    for (what, expected, got) in [
        ("number of directions", &directions, &w[0]),
        ("number of directions", &directions, &r[0]),
        ("extent of the gates", &whole, &w[1]),
        ("extent of the gates", &whole, &r[1]),
        ("number of features", &x[2], &w[2]),
    ] {
        same(what, expected, got)?;
    }
    if let (Some(stated), Some(found)) = (context.attributes.optional_int("hidden_size"), hidden.as_fixed())
        && u64::try_from(stated) != Ok(found)
    {
        return Err(ShapeError::Value { name: "hidden_size" });
    }
    if context.attributes.optional_float("clip").is_some_and(f64::is_nan) {
        return Err(ShapeError::Value { name: "clip" });
    }
    let batch_first = context.attributes.flag("layout");
    let (steps, batch) = if batch_first { (&x[1], &x[0]) } else { (&x[0], &x[1]) };
    let twice = computed(&whole, |gates| gates.checked_mul(2))?;
    let peepholes = computed(hidden, |hidden| hidden.checked_mul(3))?;
    let state = if batch_first {
        vec![batch.clone(), directions.clone(), hidden.clone()]
    } else {
        vec![directions.clone(), batch.clone(), hidden.clone()]
    };
    let sides = [
        (3, vec![directions.clone(), twice]),
        (4, vec![batch.clone()]),
        (5, state.clone()),
        (6, state.clone()),
        (7, vec![directions.clone(), peepholes]),
    ];
    for (position, expected) in sides {
        let Some(got) = context.optional_shape(position)? else { continue };
        if got.len() != expected.len() {
            return Err(ShapeError::Rank { input: position, expected: "as the operator says", got: got.len() });
        }
        for (expected, got) in expected.iter().zip(got) {
            same("extent of a state or parameter", expected, got)?;
        }
    }
    activations(&context.attributes, kind)?;
    let y = if batch_first {
        vec![batch.clone(), steps.clone(), directions, hidden.clone()]
    } else {
        vec![steps.clone(), directions, batch.clone(), hidden.clone()]
    };
    Ok(if kind == Kind::Lstm { vec![y, state.clone(), state] } else { vec![y, state] })
}

/// An activation with its parameters.
#[derive(Clone, Copy)]
struct Activation {
    function: fn(f64, f64, f64) -> f64,
    alpha: f64,
    beta: f64,
}

impl Activation {
    fn apply(&self, x: f64) -> f64 {
        (self.function)(x, self.alpha, self.beta)
    }
}

/// Name, function, and defaults of alpha and beta where it takes them.
type Known = (&'static str, fn(f64, f64, f64) -> f64, Option<f64>, Option<f64>);

const KNOWN: &[Known] = &[
    ("affine", |x, alpha, beta| alpha * x + beta, Some(1.0), Some(0.0)),
    ("elu", |x, alpha, _| if x < 0.0 { alpha * x.exp_m1() } else { x }, Some(1.0), None),
    ("hardsigmoid", |x, alpha, beta| (alpha * x + beta).clamp(0.0, 1.0), Some(0.2), Some(0.5)),
    ("leakyrelu", |x, alpha, _| if x < 0.0 { alpha * x } else { x }, Some(0.01), None),
    ("relu", |x, _, _| x.max(0.0), None, None),
    ("scaledtanh", |x, alpha, beta| alpha * (beta * x).tanh(), Some(1.0), Some(1.0)),
    ("sigmoid", |x, _, _| sigmoid(x), None, None),
    ("softplus", |x, _, _| softplus(x), None, None),
    ("softsign", |x, _, _| x / (1.0 + x.abs()), None, None),
    ("tanh", |x, _, _| x.tanh(), None, None),
    ("thresholdedrelu", |x, alpha, _| if x > alpha { x } else { 0.0 }, Some(1.0), None),
];

/// For each direction its activations; alphas and betas go to those that take one, in order.
fn activations(attributes: &Attributes<'_>, kind: Kind) -> Result<Vec<Vec<Activation>>, ShapeError> {
    const NAME: ShapeError = ShapeError::Value { name: "activations" };
    let directions = match attributes.text("direction") {
        "forward" | "reverse" => 1,
        "bidirectional" => 2,
        _ => return Err(ShapeError::Value { name: "direction" }),
    };
    let own = kind.activations();
    let names = attributes.texts("activations").unwrap_or_else(|| own.repeat(directions));
    if names.len() != own.len() * directions {
        return Err(NAME);
    }
    let mut alphas = attributes.floats("activation_alpha").unwrap_or_default().iter();
    let mut betas = attributes.floats("activation_beta").unwrap_or_default().iter();
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let lower = name.to_ascii_lowercase();
        let (_, function, alpha, beta) = KNOWN.iter().find(|known| known.0 == lower).ok_or(NAME)?;
        let alpha = alpha.map_or(0.0, |default| alphas.next().map_or(default, |alpha| f64::from(*alpha)));
        let beta = beta.map_or(0.0, |default| betas.next().map_or(default, |beta| f64::from(*beta)));
        found.push(Activation { function: *function, alpha, beta });
    }
    Ok(found.chunks(own.len()).map(<[_]>::to_vec).collect())
}

/// Extents and parameters of one direction.
struct Cell<'a> {
    kind: Kind,
    hidden: usize,
    features: usize,
    w: &'a [f64],
    r: &'a [f64],
    /// Of the input, then of the recurrence.
    bias: &'a [f64],
    peepholes: &'a [f64],
    activations: &'a [Activation],
    clip: f64,
    resets_after: bool,
    couples: bool,
}

impl Cell<'_> {
    /// `x · W' + Wb` and `h · R' + Rb` of one gate's row.
    fn halves(&self, row: usize, x: &[f64], h: &[f64]) -> (f64, f64) {
        let dot = |weights: &[f64], values: &[f64]| weights.iter().zip(values).map(|(w, v)| w * v).sum::<f64>();
        let bias = |at: usize| self.bias.get(at).copied().unwrap_or(0.0);
        let own = dot(&self.w[row * self.features..][..self.features], x) + bias(row);
        let back = dot(&self.r[row * self.hidden..][..self.hidden], h) + bias(self.kind.gates() * self.hidden + row);
        (own, back)
    }

    fn activate(&self, which: usize, x: f64) -> f64 {
        self.activations[which].apply(x.clamp(-self.clip, self.clip))
    }

    fn gate(&self, gate: usize, unit: usize, x: &[f64], h: &[f64]) -> f64 {
        let (own, back) = self.halves(gate * self.hidden + unit, x, h);
        own + back
    }

    fn step(&self, x: &[f64], h: &mut Vec<f64>, c: &mut [f64]) {
        *h = match self.kind {
            Kind::Rnn => (0..self.hidden).map(|unit| self.activate(0, self.gate(0, unit, x, h))).collect(),
            Kind::Gru => self.gru(x, h),
            Kind::Lstm => (0..self.hidden).map(|unit| self.lstm(unit, x, h, c)).collect(),
        };
    }

    fn gru(&self, x: &[f64], h: &[f64]) -> Vec<f64> {
        let update: Vec<_> = (0..self.hidden).map(|unit| self.activate(0, self.gate(0, unit, x, h))).collect();
        let reset: Vec<_> = (0..self.hidden).map(|unit| self.activate(0, self.gate(1, unit, x, h))).collect();
        let kept: Vec<_> = reset.iter().zip(h).map(|(reset, h)| reset * h).collect();
        let next = |unit: usize| {
            let row = 2 * self.hidden + unit;
            let sum = if self.resets_after {
                let (own, back) = self.halves(row, x, h);
                own + reset[unit] * back
            } else {
                let (own, back) = self.halves(row, x, &kept);
                own + back
            };
            (1.0 - update[unit]) * self.activate(1, sum) + update[unit] * h[unit]
        };
        (0..self.hidden).map(next).collect()
    }

    /// Gates in the order input, output, forget, cell.
    fn lstm(&self, unit: usize, x: &[f64], h: &[f64], c: &mut [f64]) -> f64 {
        let peephole = |which: usize| self.peepholes.get(which * self.hidden + unit).copied().unwrap_or(0.0);
        let forget = self.activate(0, self.gate(2, unit, x, h) + peephole(2) * c[unit]);
        let input = if self.couples {
            1.0 - forget
        } else {
            self.activate(0, self.gate(0, unit, x, h) + peephole(0) * c[unit])
        };
        let candidate = self.activate(1, self.gate(3, unit, x, h));
        c[unit] = forget * c[unit] + input * candidate;
        let output = self.activate(0, self.gate(1, unit, x, h) + peephole(1) * c[unit]);
        output * self.activations[2].apply(c[unit])
    }
}

fn run(call: &Call<'_>, kind: Kind) -> Outcome {
    let attributes = &call.attributes;
    let (x, r) = (call.input(0), call.input(2));
    let batch_first = attributes.flag("layout");
    let (steps, batch) = if batch_first { (x.shape()[1], x.shape()[0]) } else { (x.shape()[0], x.shape()[1]) };
    let (directions, hidden, features) = (r.shape()[0], r.shape()[2], x.shape()[2]);
    let lengths = call.places(4).unwrap_or_else(|| vec![steps as i64; batch]);
    let lengths: Vec<_> =
        lengths.into_iter().map(|length| usize::try_from(length).ok().filter(|length| *length <= steps)).collect();
    let lengths: Vec<usize> = lengths.into_iter().collect::<Option<_>>().ok_or(Fault::Input("sequence_lens"))?;
    let optional = |position: usize| call.optional(position).map(Array::floats).unwrap_or_default();
    let (values, w, recurrence) = (x.floats(), call.input(1).floats(), r.floats());
    let (bias, first_h, first_c, peepholes) = (optional(3), optional(5), optional(6), optional(7));
    let activations = activations(attributes, kind).map_err(|_refused| Fault::Input("X"))?;
    let share = |all: &[f64], direction: usize| -> Vec<f64> {
        let size = all.len() / directions.max(1);
        all[direction * size..(direction + 1) * size].to_vec()
    };
    let state_place = |direction: usize, row: usize| {
        (if batch_first { row * directions + direction } else { direction * batch + row }) * hidden
    };
    let mut y = vec![0.0; steps * directions * batch * hidden];
    let (mut last_h, mut last_c) = (vec![0.0; directions * batch * hidden], vec![0.0; directions * batch * hidden]);
    for (direction, activations) in activations.iter().enumerate() {
        let runs_back = direction == 1 || attributes.text("direction") == "reverse";
        let (w, r, bias, peepholes) = (
            share(&w, direction),
            share(&recurrence, direction),
            share(&bias, direction),
            share(&peepholes, direction),
        );
        let cell = Cell {
            kind,
            hidden,
            features,
            w: &w,
            r: &r,
            bias: &bias,
            peepholes: &peepholes,
            activations,
            clip: attributes.optional_float("clip").unwrap_or(f64::INFINITY).abs(),
            resets_after: kind == Kind::Gru && attributes.flag("linear_before_reset"),
            couples: kind == Kind::Lstm && attributes.flag("input_forget"),
        };
        for (row, length) in lengths.iter().enumerate() {
            let place = state_place(direction, row);
            let state = |all: &[f64]| all.get(place..place + hidden).map_or_else(|| vec![0.0; hidden], <[_]>::to_vec);
            let (mut h, mut c) = (state(&first_h), state(&first_c));
            for step in 0..*length {
                let step = if runs_back { length - 1 - step } else { step };
                let from = (if batch_first { row * steps + step } else { step * batch + row }) * features;
                cell.step(&values[from..from + features], &mut h, &mut c);
                let to = if batch_first {
                    (row * steps + step) * directions + direction
                } else {
                    (step * directions + direction) * batch + row
                };
                y[to * hidden..(to + 1) * hidden].copy_from_slice(&h);
            }
            last_h[place..place + hidden].copy_from_slice(&h);
            last_c[place..place + hidden].copy_from_slice(&c);
        }
    }
    let mut outputs = vec![call.floats(y), call.output(1, last_h)];
    if kind == Kind::Lstm {
        outputs.push(call.output(2, last_c));
    }
    Ok(outputs)
}
