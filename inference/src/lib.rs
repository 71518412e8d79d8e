//! Model artifacts and their execution: from an ONNX file to a signed artifact on the publisher's
//! machine, and from the artifact's bytes to answers on a node.
//!
//! - [`onnx::lower`] parses ONNX and lowers it to the graph IR and a safetensors file.
//! - [`artifact`] packs both into an OCI image manifest in `ModelPack`'s manner and opens it again,
//!   checking every digest; [`publish`] makes and verifies the statement that publishers sign.
//! - [`exec::Model`] checks an opened artifact against the operator table, keeps its weights
//!   resident and runs it: on the processor with kernels of this crate, on any other burn backend
//!   with burn's, everything else with the table's plain kernels. An [`exec::Lane`] gives it memory
//!   and threads.
//!
//! ```no_run
//! use std::collections::BTreeMap;
//!
//! use hedgerow_inference::{
//!     artifact::pack,
//!     exec::{ExecLimits, Model},
//!     onnx::{LowerLimits, lower},
//!     tensor::Tensor,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (onnx, features) = (Vec::new(), [0.0; 16]);
//! let lowered = lower(&onnx, &LowerLimits::default())?;
//! let artifact = pack("fraud".parse()?, "1".parse()?, &lowered)?;
//! let model = Model::load(&artifact.open()?, ExecLimits::default())?;
//!
//! let features = Tensor::from_f32(vec![1, 16], &features)?;
//! let answer = model.run(BTreeMap::from([("features".to_owned(), features)]))?;
//! println!("{:?}", answer["score"].to_f32()?);
//! # Ok(())
//! # }
//! ```
//!
//! The crate opens no file and no socket and starts no thread but those of a lane. Whatever comes
//! from a peer is bounded before it is allocated and checked before it is used.
//!
//! The formats are described in `docs/artifact.md`.

#![forbid(unsafe_code)]
#![warn(clippy::wildcard_enum_match_arm)]

#[cfg(not(target_endian = "little"))]
compile_error!("tensors are little-endian in files and on the wire, and kernels read them where they lie");

#[macro_use]
mod data;
mod array;
pub mod artifact;
mod bodies;
mod check;
mod dtype;
mod element;
pub mod exec;
mod folding;
pub mod hostile;
pub mod ir;
mod narrow;
pub mod onnx;
mod ops;
pub mod publish;
pub mod tensor;
mod trace;
mod weights;

pub use check::{GraphError, NodeFault};
pub use ops::{AttributeError, Fault, ShapeError};
pub use weights::{WEIGHTS_BYTES_MAX, Weights, WeightsError};
