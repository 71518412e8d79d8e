//! The relay lane: members that cannot dial each other exchange the datagrams of their connections through one that both can
//! dial. QUIC runs end to end over it, so that every lane, its handshake and its membership are the same as on a direct way, and a
//! relay learns no more than who talks to whom, and how much (RFD 7).
//!
//! A node that nobody outside its network has reached waits at relays and says so among its addresses
//! ([`hedgerow_protocol::link::through`]). To the endpoint a peer at a relay is a socket address like any other, which
//! [`ways::Ways`] translates.

mod client;
mod frame;
mod ports;
mod post;
mod quota;
mod reached;
mod serve;
mod waiting;
mod ways;

pub use client::RelayError;
pub(super) use client::Relays;
pub(super) use frame::{Frame, read_places, write_places};
pub(super) use reached::Reached;
pub(super) use serve::RelayServer;
pub use serve::{ParseRelayingError, Relayed, Relaying};
pub(super) use waiting::wait_at_relays;
pub(super) use ways::{Ways, is_place};
