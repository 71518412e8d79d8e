//! The domain `ai.onnx.ml`: linear models.

use super::{
    F32, I64, Outcome,
    activation::softmax,
    features::{FEATURES, rows},
    one,
    pointwise::sigmoid,
};
use crate::{
    array::Array,
    ops::{
        attributes::{AttributeSpec, Attributes, Fallback},
        extent::Extent,
        operator::{Call, Fault, Inference, Operator, Shapes, attribute, input, of},
        shape::{ShapeError, same},
    },
};

const INTERCEPTS: AttributeSpec = attribute("intercepts", Fallback::NoFloats);
const TRANSFORM: AttributeSpec = attribute("post_transform", Fallback::Text("NONE"));

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new("LinearRegressor", 1, &[input("X", "T", FEATURES)], &[of("Y", F32)], infer_regressor, regress)
        .with(&[
            attribute("coefficients", Fallback::NoFloats),
            INTERCEPTS,
            TRANSFORM,
            attribute("targets", Fallback::Int(1)),
        ])
        .learnt(),
    Operator::new(
        "LinearClassifier",
        1,
        &[input("X", "T1", FEATURES)],
        &[of("Y", I64), of("Z", F32)],
        infer_classifier,
        classify,
    )
    .with(&[
        attribute("classlabels_ints", Fallback::NoInts),
        attribute("coefficients", Fallback::NoFloats),
        INTERCEPTS,
        // One class against the others or all at once: how it was trained, not how it answers.
        attribute("multi_class", Fallback::Int(0)),
        TRANSFORM,
    ])
    .learnt(),
];

/// One row of coefficients and one intercept for each score.
struct Linear<'a> {
    coefficients: &'a [f32],
    intercepts: Option<&'a [f32]>,
    scores: usize,
}

impl<'a> Linear<'a> {
    /// `None` when there is no score, or intercepts of another number.
    fn read(attributes: &Attributes<'a>, scores: usize) -> Option<Self> {
        let coefficients = attributes.floats("coefficients")?;
        let intercepts = attributes.floats("intercepts").filter(|list| !list.is_empty());
        let fits = scores > 0 && intercepts.is_none_or(|list| list.len() == scores);
        fits.then_some(Self { coefficients, intercepts, scores })
    }

    /// Number of rows, after comparing that of features.
    fn rows(&self, context: &Inference<'_>) -> Result<Extent, ShapeError> {
        let (rows, features) = rows(context, 0)?;
        let each = self.coefficients.len() / self.scores;
        if each * self.scores != self.coefficients.len() {
            return Err(ShapeError::Value { name: "coefficients" });
        }
        same("number of features", &Extent::counted(each), &features)?;
        Ok(rows)
    }

    /// The scores of each row.
    fn apply(&self, x: &Array) -> Vec<Vec<f64>> {
        let each = self.coefficients.len() / self.scores;
        let (values, count) = (x.floats(), if x.rank() == 1 { 1 } else { x.shape()[0] });
        let score = |row: &[f64], score: usize| {
            let own = &self.coefficients[score * each..(score + 1) * each];
            let sum: f64 = row.iter().zip(own).map(|(x, coefficient)| x * f64::from(*coefficient)).sum();
            sum + self.intercepts.map_or(0.0, |list| f64::from(list[score]))
        };
        let rows = (0..count).map(|row| &values[row * each..(row + 1) * each]);
        rows.map(|row| (0..self.scores).map(|at| score(row, at)).collect()).collect()
    }
}

/// What becomes of the scores of a row.
fn transform(name: &str, scores: &mut [f64]) {
    match name {
        "SOFTMAX" => softmax(scores),
        "SOFTMAX_ZERO" => softmax_zero(scores),
        "LOGISTIC" => scores.iter_mut().for_each(|score| *score = sigmoid(*score)),
        "PROBIT" => scores.iter_mut().for_each(|score| *score = probit(*score)),
        _ => {}
    }
}

fn infer_transform(context: &Inference<'_>) -> Result<(), ShapeError> {
    match context.attributes.text("post_transform") {
        "NONE" | "SOFTMAX" | "SOFTMAX_ZERO" | "LOGISTIC" | "PROBIT" => Ok(()),
        _ => Err(ShapeError::Value { name: "post_transform" }),
    }
}

/// Softmax in which a score of 0 stays 0 and has no part in the sum.
fn softmax_zero(scores: &mut [f64]) {
    /// So near to 0 counts as 0, as in onnxruntime.
    const NOTHING: f64 = 1e-7;
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        if score.abs() > NOTHING {
            *score = (*score - most).exp();
            sum += *score;
        } else {
            *score *= (-most).exp();
        }
    }
    if sum > 0.0 {
        scores.iter_mut().for_each(|score| *score /= sum);
    }
}

/// The number below which a normal variable lies with this probability: S. Winitzki's closed form
/// ("A handy approximation for the error function and its inverse", 2008, Eq. 7), mended by
/// Newton's method.
fn probit(probability: f64) -> f64 {
    const A: f64 = 0.147;
    let y = 2.0 * probability - 1.0;
    if y.abs() >= 1.0 || y.is_nan() {
        return if y.abs() == 1.0 { y * f64::INFINITY } else { f64::NAN };
    }
    let log = ((1.0 - y) * (1.0 + y)).ln();
    let half = 2.0 / (std::f64::consts::PI * A) + log / 2.0;
    let mut x = ((half * half - log / A).sqrt() - half).max(0.0).sqrt().copysign(y);
    for _ in 0..4 {
        // The derivative of the error function; far out it vanishes and the closed form stands.
        let slope = std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp();
        let error = libm::erf(x) - y;
        if slope > f64::MIN_POSITIVE {
            x -= error / slope;
        }
    }
    x * std::f64::consts::SQRT_2
}

fn targets(attributes: &Attributes<'_>) -> usize {
    usize::try_from(attributes.int("targets")).unwrap_or(0)
}

fn infer_regressor(context: &Inference<'_>) -> Shapes {
    infer_transform(context)?;
    let targets = targets(&context.attributes);
    let model = Linear::read(&context.attributes, targets).ok_or(ShapeError::Value { name: "coefficients" })?;
    Ok(vec![vec![model.rows(context)?, Extent::counted(targets)]])
}

fn regress(call: &Call<'_>) -> Outcome {
    let model = Linear::read(&call.attributes, targets(&call.attributes)).ok_or(Fault::Input("X"))?;
    let mut scores = model.apply(call.input(0));
    scores.iter_mut().for_each(|row| transform(call.attributes.text("post_transform"), row));
    one(call.floats(scores.into_iter().flatten()))
}

/// Labels of the classes and the model of their scores. Two classes may have a single score, which
/// is that of the second.
fn classes<'a>(attributes: &Attributes<'a>) -> Option<(&'a [i64], Linear<'a>)> {
    let labels = attributes.ints("classlabels_ints")?;
    let intercepts = attributes.floats("intercepts").map_or(0, <[_]>::len);
    let scores = if labels.len() == 2 && intercepts == 1 { 1 } else { labels.len() };
    Some((labels, Linear::read(attributes, scores)?))
}

fn infer_classifier(context: &Inference<'_>) -> Shapes {
    infer_transform(context)?;
    let (labels, model) = classes(&context.attributes).ok_or(ShapeError::Value { name: "classlabels_ints" })?;
    // The specification does not say what the other of two classes gets then.
    if model.scores < labels.len() && context.attributes.text("post_transform") == "PROBIT" {
        return Err(ShapeError::Value { name: "post_transform" });
    }
    let rows = model.rows(context)?;
    Ok(vec![vec![rows.clone()], vec![rows, Extent::counted(labels.len())]])
}

fn classify(call: &Call<'_>) -> Outcome {
    let (labels, model) = classes(&call.attributes).ok_or(Fault::Input("X"))?;
    let name = call.attributes.text("post_transform");
    let (mut chosen, mut scores) = (Vec::new(), Vec::new());
    for mut row in model.apply(call.input(0)) {
        let best = if model.scores < labels.len() {
            let score = row[0];
            row = both(name, score);
            usize::from(score > 0.0)
        } else {
            let best = (1..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best });
            transform(name, &mut row);
            best
        };
        chosen.push(i128::from(labels[best]));
        scores.extend(row);
    }
    Ok(vec![call.ints(chosen), call.output(1, scores)])
}

/// Scores of two classes from that of the second: probabilities of each where it becomes one, else
/// what is missing to 1, as in onnxruntime; the specification is silent.
fn both(name: &str, score: f64) -> Vec<f64> {
    if name == "LOGISTIC" { vec![sigmoid(-score), sigmoid(score)] } else { vec![1.0 - score, score] }
}
