//! The operator table: one entry per operator with its versions, types, attributes, shape
//! function and kernel. Lowering and loading read the same entries.

mod activation;
mod convolution;
mod elementwise;
mod entry;
mod extent;
mod layout;
mod linear;
mod normalization;
mod pooling;
mod reduction;
mod schema;
mod shape;
mod table;
mod value;
mod window;

pub(crate) use entry::{Call, Operator};
pub(crate) use extent::{Bindings, Extent, ValueType};
pub use schema::AttributeError;
pub(crate) use schema::{Inference, Schema};
pub use shape::ShapeError;
pub(crate) use table::{OPSET_MAX, by_id, by_opset, schema, versions};
pub(crate) use value::{DTYPES, Value};

#[cfg(test)]
mod tests;
