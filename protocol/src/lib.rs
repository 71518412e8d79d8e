//! The state machines and wire types of a Hedgerow mesh.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]
#![warn(clippy::wildcard_enum_match_arm)]

mod cell;
pub mod core;
pub mod election;
pub mod fact;
pub mod id;
pub mod machine;
mod membership;
pub mod name;
pub mod placement;
pub mod register;
pub mod roster;
pub mod route;
pub mod session_id;
pub mod time;
pub mod view;
pub mod wire;

#[cfg(test)]
mod testing;
