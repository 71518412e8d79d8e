//! `hedgerow-testnet measure`: what a mesh of real processes does, beside what the simulator says of the same mesh.
//!
//! Everything is measured over the interfaces that an operator has: the status and the members that each node shows
//! on its admin socket.

mod command;
mod crashes;
mod error;
mod figures;
mod watch;

pub(crate) use command::{MeasureArguments, measure};
