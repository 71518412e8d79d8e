//! A Hedgerow node: the one crate that does IO, and drives the pure machines of the crates below it.
//!
//! The way of a request, the owner of each piece of state and the rules between the modules are in `docs/architecture.md`.

pub mod admin;
pub mod api;
pub mod cli;
pub mod config;
pub mod content;
pub mod core;
pub mod demo;
pub mod exec;
pub mod hostile;
pub mod identity;
pub mod net;
pub mod observe;
pub mod peer;
pub mod route;
pub mod runner;
pub mod session;
pub mod store;

use std::process::ExitCode;

/// The whole program: reads the command line of this process and says how it ended.
pub fn main() -> ExitCode {
    cli::main_from(std::env::args_os().collect())
}
