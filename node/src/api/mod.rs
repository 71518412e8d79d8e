//! What applications speak: REST on loopback.

mod oip;
mod problem;
pub(crate) mod published;
mod ranking;
mod rejection;
mod rest;
mod state;
mod trace;

pub use problem::{OipProblem, Problem};
pub(crate) use rejection::formed;
pub use rest::router;
pub use state::ApiState;
