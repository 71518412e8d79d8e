//! A Hedgerow node: the one crate that does IO, and drives the pure machines of the crates below it.
//!
//! The way of a request, the owner of each piece of state and the rules between the modules are in `docs/architecture.md`.

pub mod admin;
pub mod config;
pub mod identity;
pub mod net;
pub mod observe;
pub mod runner;
pub mod store;
