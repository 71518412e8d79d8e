//! From an ONNX file to the graph IR, on the publisher's machine.
//!
//! The messages in `proto` are written from the public ONNX specification (onnx/onnx,
//! `onnx/onnx.proto`) and hold the fields that are read, and those whose presence would change a
//! model's meaning and is therefore refused. Nodes of the mesh never parse ONNX.

mod attribute;
mod error;
mod lower;
mod proto;
mod tensor;
mod text;
mod translate;

pub use error::{LowerError, ReadError, Unread};
pub use lower::{LowerLimits, Lowered, Report, lower};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
