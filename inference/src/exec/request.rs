//! Checking what a caller gives against the signature.

use std::collections::BTreeMap;

use burn::backend::ExecutionError;

use super::limits::ExecLimits;
use crate::{
    ir::{Dim, ValueInfo},
    ops::{Bindings, Fault, ShapeError},
    tensor::{DType, Tensor},
};

/// Why a request was not answered. The model is unchanged and can take the next request; except
/// for [`RunError::Memory`], [`RunError::Deadline`] and [`RunError::Backend`] the same request fails
/// again.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An input of the signature is not given.
    #[error("input \"{input}\" is missing")]
    MissingInput {
        /// The input.
        input: String,
    },
    /// Something is given that the signature does not have.
    #[error("the model has no input \"{input}\"")]
    UnknownInput {
        /// What was given.
        input: String,
    },
    /// An input has another element type.
    #[error("input \"{input}\" is {got}, takes {expected}")]
    Type {
        /// The input.
        input: String,
        /// The signature's type.
        expected: DType,
        /// The type given.
        got: DType,
    },
    /// An input has another number of dimensions, or another extent where the signature has a
    /// number.
    #[error("input \"{input}\" has shape {got:?}, takes [{}]", list(expected))]
    Shape {
        /// The input.
        input: String,
        /// The signature's shape.
        expected: Vec<Dim>,
        /// The shape given.
        got: Vec<u64>,
    },
    /// Two places that must have one extent differ.
    #[error("dimension `{symbol}` is {got} in input \"{input}\" and {bound} before")]
    Symbol {
        /// The symbolic dimension.
        symbol: String,
        /// The input that differs.
        input: String,
        /// Its extent there.
        got: u64,
        /// Its extent in an earlier place.
        bound: u64,
    },
    /// A symbolic dimension is larger than the publisher or the node allows: send fewer at once.
    #[error("dimension `{symbol}` is {got}, at most {most} are allowed")]
    TooMany {
        /// The symbolic dimension.
        symbol: String,
        /// Its extent.
        got: u64,
        /// The bound.
        most: u64,
    },
    /// An extent is asked about that no input has.
    #[error("no input of the model has a dimension `{symbol}`")]
    UnknownSymbol {
        /// The name.
        symbol: String,
    },
    /// The request would need more memory than the model may take: send fewer at once.
    #[error("request needs {needed} bytes, at most {most} are allowed")]
    Memory {
        /// Bytes at the peak.
        needed: u64,
        /// The bound.
        most: u64,
    },
    /// A tensor of the computation would have more elements than allowed: send fewer at once.
    #[error("a tensor would have more than {most} elements")]
    Elements {
        /// The bound.
        most: u64,
    },
    /// The values of the request do not fit together, or decide on a shape that an operator refuses.
    #[error("request does not fit node \"{node}\"")]
    Fit {
        /// The node.
        node: String,
        /// What does not fit.
        #[source]
        source: ShapeError,
    },
    /// Elements cannot be computed with.
    #[error("node \"{node}\" cannot compute this request")]
    Refused {
        /// The node.
        node: String,
        /// Why not.
        #[source]
        source: Fault,
    },
    /// An output has other extents than the publisher stated.
    #[error("output \"{output}\" has shape {got:?}, the model states [{}]", list(stated))]
    Output {
        /// The output.
        output: String,
        /// The signature's shape.
        stated: Vec<Dim>,
        /// The shape made.
        got: Vec<u64>,
    },
    /// The time of the request was over: ask for less at once, allow more, or ask another node.
    #[error("the deadline passed at node \"{node}\"")]
    Deadline {
        /// The node that was not run to its end.
        node: String,
    },
    /// A kernel panicked; its message went to the panic hook.
    #[error("kernel at node \"{node}\" panicked")]
    Panicked {
        /// The node.
        node: String,
    },
    /// A kernel made something else than its shape function says. This is a bug of this crate.
    #[error("kernel at node \"{node}\" made {got:?}, expected {expected:?}")]
    Kernel {
        /// The node.
        node: String,
        /// The inferred shape.
        expected: Vec<usize>,
        /// The shape made.
        got: Vec<usize>,
    },
    /// The backend could not return the result.
    #[error("backend failed")]
    Backend(#[source] ExecutionError),
}

/// Compares inputs with the signature and learns the symbolic dimensions from them.
pub(super) fn bind(
    signature: &[ValueInfo],
    inputs: &BTreeMap<String, Tensor>,
    limits: &ExecLimits,
) -> Result<Bindings, RunError> {
    if let Some(unknown) = inputs.keys().find(|name| signature.iter().all(|info| info.name != **name)) {
        return Err(RunError::UnknownInput { input: unknown.clone() });
    }
    let mut bindings = Bindings::new();
    for info in signature {
        let input = || info.name.clone();
        let tensor = inputs.get(&info.name).ok_or_else(|| RunError::MissingInput { input: input() })?;
        let (expected, got) = (info.dtype, tensor.dtype());
        if expected != got {
            return Err(RunError::Type { input: input(), expected, got });
        }
        let fits = |(dim, extent): (&Dim, &u64)| match dim {
            Dim::Fixed(fixed) => extent == fixed,
            Dim::Symbol(_) => true,
        };
        if info.shape.len() != tensor.shape().len() || !info.shape.iter().zip(tensor.shape()).all(fits) {
            let (expected, got) = (info.shape.clone(), tensor.shape().to_vec());
            return Err(RunError::Shape { input: input(), expected, got });
        }
        for (dim, extent) in info.shape.iter().zip(tensor.shape()) {
            let Dim::Symbol(symbol) = dim else { continue };
            let (got, most) = (*extent, limits.symbol_max);
            if got > most {
                return Err(RunError::TooMany { symbol: symbol.clone(), got, most });
            }
            let bound = *bindings.entry(symbol.clone()).or_insert(got);
            if bound != got {
                return Err(RunError::Symbol { symbol: symbol.clone(), input: input(), got, bound });
            }
        }
    }
    Ok(bindings)
}

fn list(dims: &[Dim]) -> String {
    dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
