//! Networks that delay, lose, hold up and refuse, on any kernel and without privileges.
//!
//! The rules are machines that are told the time and draw from a generator that they are given: [`path`] for one direction of
//! a path, [`firewall`] for the pinholes of a stateful firewall. [`Emulation`] applies them around a node's own socket,
//! changeable while it runs; [`fabric`] is a whole network in memory, with address translators, for tests and benchmarks.

mod around;
pub mod fabric;
mod firewall;
mod held;
mod loss;
mod path;
mod rule;
mod schedule;

pub use around::Emulation;
pub(super) use around::Outbound;
pub use firewall::Firewall;
pub(super) use held::release;
pub use loss::{Loss, LossError};
pub use path::{DropReason, PathSettings};
pub use rule::{Cut, EmulationError, EmulationSettings, Rule};
