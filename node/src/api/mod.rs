//! What applications speak: REST on loopback.

mod oip;
mod problem;
mod ranking;
mod rest;
mod state;

pub use problem::{OipProblem, Problem};
pub(crate) use ranking::ranking_json;
pub use rest::router;
pub use state::ApiState;
