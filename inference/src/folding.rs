//! What follows of a node's outputs when a graph is checked, with the elements where all inputs are
//! constants: exporters compute shapes, axes and pads by nodes of their own.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::{
    check::NodeFault,
    ops::{Call, Fact, Inference, Operator, ShapeError},
};

/// Most elements of a value whose content is known at load. Shapes, axes and pads are far smaller;
/// what is larger would make loading as slow as running.
const CONTENT_ELEMENTS_MAX: u64 = 1024;
/// Most work that folding does for a whole graph: for each node the product of the numbers of
/// elements that it reads and makes, which no kernel of [`FOLDED`] exceeds.
pub(crate) const FOLDING_MAX: u64 = 1 << 26;

/// Operators of ONNX's own domain that are folded: whose work is bounded by the elements that they
/// read and make, and of which exporters compute shapes, axes and constants.
const FOLDED: &[&str] = &[
    // Layout and indexing.
    "Concat",
    "ConstantOfShape",
    "Expand",
    "EyeLike",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Identity",
    "NonZero",
    "Pad",
    "Range",
    "Reshape",
    "ScatterElements",
    "ScatterND",
    "Shape",
    "Size",
    "Slice",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Where",
    // Conversion.
    "BitCast",
    "Cast",
    "CastLike",
    "DequantizeLinear",
    "QuantizeLinear",
    // Element by element.
    "Abs",
    "Add",
    "And",
    "BitShift",
    "BitwiseAnd",
    "BitwiseNot",
    "BitwiseOr",
    "BitwiseXor",
    "Ceil",
    "Clip",
    "Cos",
    "Div",
    "Equal",
    "Erf",
    "Exp",
    "Floor",
    "Greater",
    "GreaterOrEqual",
    "IsInf",
    "IsNaN",
    "Less",
    "LessOrEqual",
    "Log",
    "Max",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "Pow",
    "Reciprocal",
    "Relu",
    "Round",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sqrt",
    "Sub",
    "Sum",
    "Tanh",
    "Xor",
    // Reductions.
    "ArgMax",
    "ArgMin",
    "CumSum",
    "ReduceL1",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
];

/// What follows of a node's outputs, with their elements when all inputs are constants.
pub(crate) fn infer(
    operator: &'static Operator,
    inference: &Inference<'_>,
    folding_left: &mut u64,
) -> Result<Vec<Fact>, NodeFault> {
    let asked = inference.asked;
    let shapes = match (operator.infer)(inference) {
        Ok(shapes) => Some(shapes),
        Err(ShapeError::Unknown) => None,
        Err(error) => return Err(NodeFault::Shape(error)),
    };
    let made = shapes.as_ref().map_or(asked, Vec::len);
    let most = if operator.spreads { usize::MAX } else { operator.outputs.len() };
    if asked > made || asked > most {
        return Err(NodeFault::Outputs { asked, made: made.min(most) });
    }
    let dtypes = operator.dtypes(inference, made).map_err(|output| NodeFault::OutputType { output })?;
    let mut facts: Vec<_> = dtypes.into_iter().map(|dtype| Fact { dtype, shape: None, content: None }).collect();
    if let Some(shapes) = shapes {
        for (fact, shape) in facts.iter_mut().zip(shapes) {
            fact.shape = Some(shape);
        }
        fold(operator, inference, &mut facts, folding_left);
    }
    Ok(facts)
}

/// Runs the plain kernel on constants. Where that fails the request will say so.
fn fold(operator: &'static Operator, inference: &Inference<'_>, facts: &mut [Fact], left: &mut u64) {
    if let (Some(told), [fact]) = (operator.told, &mut *facts) {
        if let Some(array) = told(inference) {
            *fact = Fact::of_array(Arc::new(array));
        }
        return;
    }
    let known = |fact: &Option<Fact>| fact.as_ref().is_none_or(|fact| fact.content.is_some());
    let is_cheap = operator.domain.is_empty() && FOLDED.contains(&operator.name);
    if !is_cheap || !inference.inputs.iter().all(known) || !facts.iter().all(is_small) {
        return;
    }
    let specs: Option<Vec<_>> = facts.iter().map(|fact| Some((fact.dtype, fact.extents()?))).collect();
    let Some(specs) = specs else { return };
    let inputs: Vec<_> = inference.inputs.iter().map(|fact| fact.as_ref()?.content.clone()).collect();
    let read = inputs.iter().flatten().map(|array| array.len());
    let made = specs.iter().map(|(_, shape)| shape.iter().product());
    let work = read.chain(made).fold(1_u64, |work, count: usize| work.saturating_mul((count as u64).max(1)));
    let Some(rest) = left.checked_sub(work) else { return };
    *left = rest;
    let call = Call { attributes: inference.attributes, inputs: &inputs, outputs: &specs };
    let Ok(Ok(arrays)) = catch_unwind(AssertUnwindSafe(|| (operator.kernel)(&call))) else { return };
    for (fact, array) in facts.iter_mut().zip(arrays) {
        *fact = Fact::of_array(Arc::new(array));
    }
}

/// Whether a value has fixed extents and few elements.
pub(crate) fn is_small(fact: &Fact) -> bool {
    let elements = fact.shape.as_ref().and_then(|shape| {
        shape.iter().try_fold(1_u64, |elements, extent| elements.checked_mul(extent.as_fixed()?.max(1)))
    });
    elements.is_some_and(|elements| elements <= CONTENT_ELEMENTS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops;

    #[test]
    fn every_operator_that_is_folded_is_in_the_table() {
        let missing = |name: &&&str| ops::versions("", name).next().is_none();
        assert_eq!(FOLDED.iter().filter(missing).collect::<Vec<_>>(), [&""; 0]);
    }
}
