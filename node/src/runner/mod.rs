//! Starts, watches and stops node processes; they end when their parent does.
//!
//! A node process is a program re-executed as `… --data DIR run --parent-pipe 0 …`. Its standard input is a pipe whose
//! other end only the parent holds: however the parent ends, the pipe ends too, and [`watch_parent`] in the node stops
//! it. So nothing here keeps process ids in files, and a killed demonstration or testnet leaves no node behind.

mod fleet;
mod leash;
mod log_tail;
mod process;

pub use fleet::{Fleet, FleetError};
pub use leash::{ParentPipeError, watch_parent};
pub use log_tail::{LogTail, log_tail};
pub use process::{EndError, Launcher, NodeProcess, NodeSpec, ReadyError, StartError, Stopped};
