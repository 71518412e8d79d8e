//! Refusals of shape functions, and the few checks that many of them share.

use crate::ops::{
    extent::{Extent, ValueType},
    schema::Inference,
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
    /// Two shapes that must broadcast do not.
    #[error("shapes {left} and {right} do not broadcast")]
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
    /// An attribute or constant has a value that the operator does not allow, or that this table
    /// does not implement yet.
    #[error("`{name}` has a value that is not supported")]
    Value {
        /// The attribute or input.
        name: &'static str,
    },
    /// A dimension that must be a number is a symbol: export the model with this dimension fixed.
    #[error("{what} is `{got}`, needs a fixed number")]
    Symbolic {
        /// Which extent.
        what: &'static str,
        /// The symbolic extent.
        got: String,
    },
    /// The result would be empty, or larger than a machine word can count.
    #[error("result is empty or overflows")]
    Size,
}

/// Position of an axis that may count from the end.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, ShapeError> {
    let magnitude = usize::try_from(axis.unsigned_abs()).ok();
    let position = if axis < 0 { magnitude.and_then(|back| rank.checked_sub(back)) } else { magnitude };
    position.filter(|position| *position < rank).ok_or(ShapeError::Axis { axis, rank })
}

/// An extent that must be a number.
pub(crate) fn fixed(what: &'static str, extent: &Extent) -> Result<u64, ShapeError> {
    extent.as_fixed().ok_or_else(|| ShapeError::Symbolic { what, got: extent.to_string() })
}

/// Two extents that must be the same for every request.
pub(crate) fn same(what: &'static str, expected: &Extent, got: &Extent) -> Result<(), ShapeError> {
    if expected == got {
        Ok(())
    } else {
        Err(ShapeError::Extent { what, expected: expected.to_string(), got: got.to_string() })
    }
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
) -> Result<&'a ValueType, ShapeError> {
    let value = context.input(input);
    if value.rank() == rank { Ok(value) } else { Err(ShapeError::Rank { input, expected, got: value.rank() }) }
}

/// The shape function of operators that keep the type of their first input.
pub(crate) fn unchanged(context: &Inference<'_>) -> Result<ValueType, ShapeError> {
    Ok(context.input(0).clone())
}
