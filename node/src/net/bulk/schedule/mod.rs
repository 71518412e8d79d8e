//! Which range is asked of whom: a machine without clock or network, told what happens and saying what to do.

mod machine;
mod source;

pub(super) use machine::{Input, Output, Schedule};
pub use source::Fault;
