//! The operator table: one entry per operator with its versions, types, attributes, shape
//! function and plain kernel. Lowering, loading and running read the same entries.
//!
//! Shape functions are called with what is known of the inputs: at load with symbols and with the
//! elements of constants, at a run with everything. Plain kernels compute on the host in `f64` or
//! in whole words and round once; [`host`] has faster ones for the processor, [`backend`] for `FP32` on
//! any other burn backend.

mod attributes;
pub(crate) mod backend;
mod extent;
pub(crate) mod host;
mod operator;
mod plain;
mod shape;
mod table;

pub use attributes::AttributeError;
pub(crate) use attributes::Attributes;
pub(crate) use extent::{Bindings, Extent, Fact};
pub use operator::Fault;
pub(crate) use operator::{Call, Control, Inference, LEARNING, Operator};
pub use shape::ShapeError;
pub(crate) use shape::axis;
pub(crate) use table::{LEARNING_OPSET_MAX, OPSET_MAX, by_id, by_opset, versions};

#[cfg(test)]
mod tests;
