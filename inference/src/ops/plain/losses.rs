//! Losses, which inference meets only where a model was exported with them.

use super::{
    FLOATS, INDICES,
    activation::{each_lane, log_softmax},
};
use crate::{
    array::{Array, strides},
    ops::{
        attributes::{AttributeSpec, Fallback},
        extent::Extent,
        operator::{Call, Fault, Inference, Operator, Parameter, Shapes, attribute, input, like, optional},
        shape::{ShapeError, at_least, same},
    },
};

const SCORES: &[Parameter] =
    &[input("input", "T", FLOATS), input("target", "Tind", INDICES), optional("weight", "T", FLOATS)];
const ATTRIBUTES: &[AttributeSpec] =
    &[attribute("ignore_index", Fallback::NoInt), attribute("reduction", Fallback::Text("mean"))];

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new("NegativeLogLikelihoodLoss", 12, SCORES, &[like("loss", "T")], infer, |call| {
        Ok(vec![loss(call, &call.input(0).floats())?])
    })
    .with(ATTRIBUTES),
    Operator::new(
        "SoftmaxCrossEntropyLoss",
        12,
        SCORES,
        &[like("output", "T"), like("log_prob", "T")],
        infer_with_scores,
        |call| {
            let scores = call.input(0);
            let mut values = scores.floats();
            each_lane(&mut values, scores.shape(), 1, log_softmax);
            let mut outputs = vec![loss(call, &values)?];
            if call.outputs.len() > 1 {
                outputs.push(call.output(1, values));
            }
            Ok(outputs)
        },
    )
    .with(ATTRIBUTES),
];

fn infer(context: &Inference<'_>) -> Shapes {
    let scores = at_least(context, 0, 2, "at least 2 (batch, classes)")?;
    let target = context.shape(1)?;
    let expected: Vec<Extent> = [&scores[..1], &scores[2..]].concat();
    if target.len() != expected.len() {
        return Err(ShapeError::Rank { input: 1, expected: "those of the scores without classes", got: target.len() });
    }
    for (expected, got) in expected.iter().zip(target) {
        same("extent of the target", expected, got)?;
    }
    if let Some(weight) = context.optional_shape(2)? {
        let [classes] = weight else { return Err(ShapeError::Rank { input: 2, expected: "1", got: weight.len() }) };
        same("number of weights", &scores[1], classes)?;
    }
    match context.attributes.text("reduction") {
        "none" => Ok(vec![expected]),
        "mean" | "sum" => Ok(vec![Vec::new()]),
        _ => Err(ShapeError::Value { name: "reduction" }),
    }
}

fn infer_with_scores(context: &Inference<'_>) -> Shapes {
    let mut shapes = infer(context)?;
    if context.asked > 1 {
        shapes.push(context.shape(0)?.to_vec());
    }
    Ok(shapes)
}

/// `−weight · score` of each target's class; the mean is over the weights.
fn loss(call: &Call<'_>, scores: &[f64]) -> Result<Array, Fault> {
    let (shape, target) = (call.input(0).shape(), call.input(1));
    let classes = shape[1];
    let weights = call.optional(2).map(Array::floats);
    let ignored = call.attributes.optional_int("ignore_index");
    let steps = strides(shape);
    let plane: usize = shape[2..].iter().product();
    let mut losses = Vec::with_capacity(target.len());
    let mut total = 0.0;
    for (at, class) in target.places().into_iter().enumerate() {
        if Some(class) == ignored {
            losses.push(0.0);
            continue;
        }
        let class = usize::try_from(class).ok().filter(|class| *class < classes).ok_or(Fault::Index)?;
        let weight = weights.as_ref().map_or(1.0, |weights| weights[class]);
        let place = at / plane.max(1) * steps[0] + class * steps[1] + at % plane.max(1);
        total += weight;
        losses.push(-scores[place] * weight);
    }
    let sum: f64 = losses.iter().sum();
    Ok(match call.attributes.text("reduction") {
        "none" => call.floats(losses),
        "sum" => call.floats([sum]),
        _ => call.floats([sum / total]),
    })
}
