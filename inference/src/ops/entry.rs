//! An entry of the table for one backend.

use burn::backend::Backend;

use crate::{
    ops::{
        schema::{Attributes, Schema},
        value::Value,
    },
    tensor::{DType, Tensor},
};

/// One operator: what it is and how a backend computes it.
#[derive(Debug)]
pub(crate) struct Operator<B: Backend> {
    pub(crate) schema: Schema,
    pub(crate) kernel: Kernel<B>,
}

/// Computes the single output from inputs whose types and shapes fit the schema.
///
/// A kernel may assume everything that the shape function checked. Inputs with a constant
/// presence are absent here and stand in [`Call::constants`].
pub(crate) type Kernel<B> = fn(&Call<'_>, Vec<Option<Value<B>>>) -> Value<B>;

/// What a kernel may look at beside its inputs.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) attributes: Attributes<'a>,
    pub(crate) constants: &'a [Option<Tensor>],
    /// Element type of the output.
    pub(crate) dtype: DType,
    /// Shape of the output.
    pub(crate) shape: &'a [usize],
}

/// The required input at a position.
pub(crate) fn take<B: Backend>(inputs: &mut [Option<Value<B>>], position: usize) -> Value<B> {
    optional(inputs, position).expect("presence was checked against the schema")
}

/// The optional input at a position.
pub(crate) fn optional<B: Backend>(inputs: &mut [Option<Value<B>>], position: usize) -> Option<Value<B>> {
    inputs.get_mut(position).and_then(Option::take)
}
