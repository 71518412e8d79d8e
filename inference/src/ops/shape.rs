//! Refusals of shape functions, and the checks that many of them share.

use crate::ops::{
    attributes::Attributes,
    extent::{Extent, broadcast, list},
    operator::{Inference, Shapes},
};

/// Why the inputs of a node do not fit its operator. The message reads after the operator's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// An input has too few or too many dimensions.
    #[error("input {input} has {got} dimensions, takes {expected}")]
    Rank {
        /// Position of the input.
        input: usize,
        /// What the operator takes, for example `at least 2`.
        expected: &'static str,
        /// Dimensions found.
        got: usize,
    },
    /// An input that says shapes, axes or counts has more elements than any of them has.
    #[error("input {input} has more than {most} elements")]
    Long {
        /// Position of the input.
        input: usize,
        /// The bound.
        most: usize,
    },
    /// Two shapes that must broadcast do not.
    #[error("shapes [{left}] and [{right}] do not broadcast")]
    Broadcast {
        /// The left operand.
        left: String,
        /// The right operand.
        right: String,
    },
    /// Two extents that must be equal differ.
    #[error("{what} is {got}, needs {expected}")]
    Extent {
        /// Which extent.
        what: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// An axis outside the rank, or named twice.
    #[error("axis {axis} does not fit {rank} dimensions")]
    Axis {
        /// The axis.
        axis: i64,
        /// Dimensions of the input.
        rank: usize,
    },
    /// An attribute or input has a value that the operator does not allow, or that this table
    /// does not implement.
    #[error("`{name}` has a value that is not supported")]
    Value {
        /// The attribute or input.
        name: &'static str,
    },
    /// The result would be larger than a machine word can count, or less than nothing.
    #[error("result has an impossible size")]
    Size,
    /// Not known before a request; no refusal when a model is loaded.
    #[error("shapes depend on a request")]
    Unknown,
}

/// Position of an axis that may count from the end.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, ShapeError> {
    let magnitude = usize::try_from(axis.unsigned_abs()).ok();
    let position = if axis < 0 { magnitude.and_then(|back| rank.checked_sub(back)) } else { magnitude };
    position.filter(|position| *position < rank).ok_or(ShapeError::Axis { axis, rank })
}

/// Positions of axes, each at most once.
pub(crate) fn axes(given: &[i64], rank: usize) -> Result<Vec<usize>, ShapeError> {
    let mut found = Vec::with_capacity(given.len().min(rank));
    for wanted in given {
        let position = axis(*wanted, rank)?;
        if found.contains(&position) {
            return Err(ShapeError::Axis { axis: *wanted, rank });
        }
        found.push(position);
    }
    Ok(found)
}

/// The axis that an attribute names, after the shape function accepted it.
pub(crate) fn checked_axis(attributes: &Attributes<'_>, rank: usize) -> usize {
    axis(attributes.int("axis"), rank).expect("accepted by the shape function")
}

/// A scalar, or a list of one.
pub(crate) fn is_single(shape: &[Extent]) -> bool {
    shape.is_empty() || shape == [Extent::ONE]
}

/// An extent that has to be a number; not known while it is a symbol.
pub(crate) fn fixed(extent: &Extent) -> Result<u64, ShapeError> {
    extent.as_fixed().ok_or(ShapeError::Unknown)
}

/// An extent computed from one that may not be known.
pub(crate) fn computed(extent: &Extent, f: impl FnOnce(u64) -> Option<u64>) -> Result<Extent, ShapeError> {
    match extent.as_fixed() {
        Some(number) => f(number).and_then(Extent::fixed).ok_or(ShapeError::Size),
        None => Ok(Extent::Unknown),
    }
}

/// Two extents that must be equal; what a request decides is compared then.
pub(crate) fn same(what: &'static str, expected: &Extent, got: &Extent) -> Result<(), ShapeError> {
    if expected.differs(got) {
        return Err(ShapeError::Extent { what, expected: expected.to_string(), got: got.to_string() });
    }
    Ok(())
}

/// An integer attribute of which only one value is implemented.
pub(crate) fn only(context: &Inference<'_>, name: &'static str, value: i64) -> Result<(), ShapeError> {
    if context.attributes.int(name) == value { Ok(()) } else { Err(ShapeError::Value { name }) }
}

/// An input whose rank must be exactly `rank`, described by `expected`.
pub(crate) fn ranked<'a>(
    context: &Inference<'a>,
    input: usize,
    rank: usize,
    expected: &'static str,
) -> Result<&'a [Extent], ShapeError> {
    of_rank(context, input, |found| found == rank, expected)
}

/// An input that must have at least so many dimensions.
pub(crate) fn at_least<'a>(
    context: &Inference<'a>,
    input: usize,
    rank: usize,
    expected: &'static str,
) -> Result<&'a [Extent], ShapeError> {
    of_rank(context, input, |found| found >= rank, expected)
}

fn of_rank<'a>(
    context: &Inference<'a>,
    input: usize,
    fits: impl FnOnce(usize) -> bool,
    expected: &'static str,
) -> Result<&'a [Extent], ShapeError> {
    let shape = context.shape(input)?;
    if fits(shape.len()) { Ok(shape) } else { Err(ShapeError::Rank { input, expected, got: shape.len() }) }
}

/// The shape function of operators whose first output has the extents of their first input.
pub(crate) fn unchanged(context: &Inference<'_>) -> Shapes {
    Ok(vec![context.shape(0)?.to_vec()])
}

/// Two shapes broadcast, or the refusal.
pub(crate) fn broadcast_pair(left: &[Extent], right: &[Extent]) -> Result<Vec<Extent>, ShapeError> {
    broadcast(left, right).ok_or_else(|| ShapeError::Broadcast { left: list(left), right: list(right) })
}

/// The shape function of operators over inputs that broadcast.
pub(crate) fn broadcast_all(context: &Inference<'_>) -> Shapes {
    let mut whole = Vec::new();
    for fact in context.inputs.iter().flatten() {
        let shape = fact.shape.as_deref().ok_or(ShapeError::Unknown)?;
        whole = broadcast_pair(&whole, shape)?;
    }
    Ok(vec![whole])
}

/// Several extents from numbers.
pub(crate) fn numbers(extents: &[u64]) -> Result<Vec<Extent>, ShapeError> {
    extents.iter().map(|extent| Extent::fixed(*extent).ok_or(ShapeError::Size)).collect()
}
