//! One running node: the order in which its rooms start, what arrives from the network, and how it stops.
//!
//! It owns handles only; each piece of state belongs to the room that it came from.

mod addresses;
mod chronicle;
mod issuers;
mod parts;
mod renewal;
mod renewal_error;
mod serve;
mod start;
mod stop;
mod timekeeping;
mod upkeep;

pub use crate::core::Fate;
pub use start::{Peer, PeerStartError, fate};
pub use stop::stop_signal;
