//! Running an opened artifact, on a burn backend or with plain kernels.
//!
//! [`Model::load`] checks the graph against the operator table and keeps the weights resident.
//! [`Model::run`] checks every input before anything is computed, adds up from the shapes how
//! much memory the request needs, and contains panics of a kernel.

mod control;
mod limits;
mod measure;
mod model;
mod plan;
mod request;
mod run;
mod value;

pub use limits::ExecLimits;
pub use model::{LoadError, Model};
pub use request::RunError;
