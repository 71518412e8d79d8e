//! The machine of one cell: this node as voter, as candidate and as holder of the lease, and the register that the lease
//! serves. Formats are in [`crate::election`] and [`crate::register`]; the argument for its safety in
//! `docs/rfd/0001-register.md`.
//!
//! Two rules tie it together. A voter changes what it promised or accepted in the step that emits the write, and its word
//! leaves after that write. A node that accepted a change of voters which is not certified yet counts quorums of the
//! voters before *and* after it, so that a sole voter cannot go on alone beside the three it made.

mod ballot;
mod candidate;
mod count;
mod handover;
mod holder;
mod mishap;
mod opening;
mod state;
mod voter;

pub(crate) use state::{Cell, Outcome, Standing};

#[cfg(test)]
mod model;

#[cfg(test)]
#[path = "cell_tests.rs"]
mod tests;
