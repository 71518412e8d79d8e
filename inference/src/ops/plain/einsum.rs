//! `Einsum`: products of tensors summed over the labels that the result does not have.

use std::{
    collections::BTreeMap,
    num::Wrapping,
    ops::{AddAssign, Mul},
};

use super::{NUMBERS, Outcome, one};
use crate::{
    array::{Array, indices, place, strides},
    ops::{
        attributes::Fallback,
        extent::Extent,
        operator::{Call, Fault, Inference, Operator, Shapes, attribute, input, like},
        shape::{ShapeError, same},
    },
    tensor::RANK_MAX,
};

/// Most combinations of labels: a product of two matrices of 4096 rows and columns.
const COMBINATIONS_MAX: u64 = 1 << 36;

const EQUATION: ShapeError = ShapeError::Value { name: "equation" };

pub(crate) const OPERATORS: &[Operator] =
    &[Operator::new("Einsum", 12, &[input("Inputs", "T", NUMBERS)], &[like("Output", "T")], infer, sum)
        .variadic()
        .with(&[attribute("equation", Fallback::RequiredText)])];

/// A label of a dimension: a letter, or one of the dimensions under `...`, counted from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Wide(usize),
    Letter(char),
}

/// Labels of the dimensions of each input and of the result.
struct Equation {
    inputs: Vec<Vec<Label>>,
    output: Vec<Label>,
}

impl Equation {
    fn parse(text: &str, ranks: &[usize]) -> Option<Self> {
        let text: String = text.chars().filter(|letter| *letter != ' ').collect();
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text.as_str(), None),
        };
        let terms: Vec<_> = left.split(',').collect();
        if terms.len() != ranks.len() {
            return None;
        }
        let mut inputs = Vec::with_capacity(terms.len());
        for (term, rank) in terms.iter().zip(ranks) {
            let letters = term.replace("...", "").chars().count();
            let wide = rank.checked_sub(letters)?;
            let labels = labels(term, wide)?;
            if labels.len() != *rank {
                return None;
            }
            inputs.push(labels);
        }
        let widest = inputs.iter().flatten().filter_map(|label| match label {
            Label::Wide(at) => Some(at + 1),
            Label::Letter(_) => None,
        });
        let widest = widest.max().unwrap_or(0);
        let output = match right {
            Some(right) => labels(right, widest)?,
            None => {
                // What stands once, in the order of the alphabet, behind what `...` covers.
                let mut counts = BTreeMap::new();
                for label in inputs.iter().flatten().filter(|label| matches!(label, Label::Letter(_))) {
                    *counts.entry(*label).or_insert(0) += 1;
                }
                let once = counts.into_iter().filter(|(_, count)| *count == 1).map(|(label, _)| label);
                (0..widest).rev().map(Label::Wide).chain(once).collect()
            }
        };
        let is_known = |label: &Label| inputs.iter().flatten().any(|known| known == label);
        let is_single = |label: &&Label| output.iter().filter(|other| other == label).count() == 1;
        let is_sound = output.iter().all(is_known) && output.iter().filter(is_single).count() == output.len();
        (is_sound && output.len() <= RANK_MAX).then_some(Self { inputs, output })
    }
}

/// Labels of one term whose `...` covers so many dimensions.
fn labels(term: &str, wide: usize) -> Option<Vec<Label>> {
    let letters = |part: &str| -> Option<Vec<Label>> {
        part.chars().map(|letter| letter.is_ascii_alphabetic().then_some(Label::Letter(letter))).collect()
    };
    let Some((before, behind)) = term.split_once("...") else { return letters(term) };
    let covered = (0..wide).rev().map(Label::Wide);
    Some(letters(before)?.into_iter().chain(covered).chain(letters(behind)?).collect())
}

fn infer(context: &Inference<'_>) -> Shapes {
    let mut shapes = Vec::new();
    for fact in context.inputs.iter().flatten() {
        shapes.push(fact.shape.as_deref().ok_or(ShapeError::Unknown)?);
    }
    let ranks: Vec<_> = shapes.iter().map(|shape| shape.len()).collect();
    let equation = Equation::parse(context.attributes.text("equation"), &ranks).ok_or(EQUATION)?;
    let mut extents: BTreeMap<Label, Extent> = BTreeMap::new();
    for (labels, shape) in equation.inputs.iter().zip(&shapes) {
        for (label, extent) in labels.iter().zip(*shape) {
            let known = extents.entry(*label).or_insert_with(|| extent.clone());
            // Dimensions of 1 repeat.
            if known.as_fixed() == Some(1)
                || (known.as_fixed().is_none() && extent.as_fixed().is_some_and(|extent| extent != 1))
            {
                known.clone_from(extent);
            } else if extent.as_fixed() != Some(1) {
                same("extent of a label", known, extent)?;
            }
        }
    }
    let mut known = extents.values().filter_map(Extent::as_fixed);
    let combinations = known.try_fold(1_u64, |all, extent| all.checked_mul(extent.max(1)));
    if combinations.is_none_or(|combinations| combinations > COMBINATIONS_MAX) {
        return Err(ShapeError::Size);
    }
    Ok(vec![equation.output.iter().map(|label| extents[label].clone()).collect()])
}

fn sum(call: &Call<'_>) -> Outcome {
    let arrays: Vec<_> = call.inputs.iter().flatten().map(AsRef::as_ref).collect();
    let ranks: Vec<_> = arrays.iter().map(|array: &&Array| array.rank()).collect();
    let equation = Equation::parse(call.attributes.text("equation"), &ranks).ok_or(Fault::Input("Inputs"))?;
    if call.dtype().is_float() {
        let values: Vec<_> = arrays.iter().map(|array| array.floats()).collect();
        return one(call.floats(contracted(&equation, &arrays, &values, call.shape(), 1.0)));
    }
    let values: Vec<Vec<_>> = arrays.iter().map(|array| array.ints().into_iter().map(Wrapping).collect()).collect();
    let made = contracted(&equation, &arrays, &values, call.shape(), Wrapping(1_i128));
    one(call.ints(made.into_iter().map(|Wrapping(value)| value)))
}

/// Walks over every combination of labels; those of the result are the outer ones.
fn contracted<T>(equation: &Equation, arrays: &[&Array], values: &[Vec<T>], shape: &[usize], unit: T) -> Vec<T>
where
    T: Copy + Default + AddAssign + Mul<Output = T>,
{
    let mut extents: BTreeMap<Label, usize> = BTreeMap::new();
    for (labels, array) in equation.inputs.iter().zip(arrays) {
        for (label, extent) in labels.iter().zip(array.shape()) {
            let known = extents.entry(*label).or_insert(*extent);
            if *known == 1 {
                *known = *extent;
            }
        }
    }
    let summed: Vec<_> = extents.keys().filter(|label| !equation.output.contains(label)).copied().collect();
    let order: Vec<_> = equation.output.iter().chain(&summed).copied().collect();
    // How far one step of each label moves in each input; dimensions of 1 stay where they are.
    let steps: Vec<Vec<usize>> = equation
        .inputs
        .iter()
        .zip(arrays)
        .map(|(labels, array)| {
            let own = strides(array.shape());
            let step = |label: &Label| {
                let places =
                    labels.iter().enumerate().filter(|(axis, mine)| *mine == label && array.shape()[*axis] != 1);
                places.map(|(axis, _)| own[axis]).sum()
            };
            order.iter().map(step).collect()
        })
        .collect();
    let inner: Vec<_> = summed.iter().map(|label| extents[label]).collect();
    let split = equation.output.len();
    let mut made = Vec::with_capacity(shape.iter().product());
    for outer in indices(shape) {
        let starts: Vec<_> = steps.iter().map(|steps| place(&outer, &steps[..split])).collect();
        let mut total = T::default();
        for index in indices(&inner) {
            let factor = |product: T, input: usize| {
                product * values[input][starts[input] + place(&index, &steps[input][split..])]
            };
            total += (0..values.len()).fold(unit, factor);
        }
        made.push(total);
    }
    made
}
