//! Running an opened artifact: with kernels for the processor, on a burn backend, or with plain kernels.
//!
//! [`Model::load`] checks the graph against the operator table, makes a plan of it and keeps the weights
//! resident. [`Model::run_in`] checks every input before anything is computed, resolves the plan for their
//! extents to a program with a place in memory for every value, adds up how much the request needs, and
//! contains panics of a kernel.

mod arena;
mod control;
mod engine;
mod explain;
mod fusion;
mod host;
mod lane;
mod limits;
mod measure;
mod model;
mod plan;
mod program;
mod reading;
mod request;
mod run;
mod value;

pub use crate::ops::host::{Isa, IsaError};
#[cfg(test)]
pub(crate) use engine::Engine;
pub use explain::{ExplainedStep, Explanation, KernelKind};
pub use fusion::Fusion;
pub use lane::{Lane, LaneError, Lanes};
pub use limits::ExecLimits;
pub use model::{LoadError, Model};
pub use request::RunError;
