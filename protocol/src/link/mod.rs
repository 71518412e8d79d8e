//! The links of a node: one logical link per peer, over whatever connections come and go.
//!
//! [`Links`] decides where to dial, when to try again, which of two connections is the link, and when one that is not
//! acknowledged is given up. Its driver makes handshakes and closes connections: a node over QUIC, a simulation over queues of
//! events. Neither the transport nor libp2p is trusted with any of it.
//!
//! - **One dial a peer, and few in all.** A round races the peer's addresses, best first, each a moment after the one before
//!   (RFC 8305, section 5). Rounds beyond thirty-two wait; those that a request waits for go first. Nothing that arrives
//!   from a peer makes a round start but what somebody on this node wants.
//! - **One connection a link.** Of two that both ends made at once both keep the dial of the lower name. The other goes on for
//!   a second, and is the link again if the kept one ends meanwhile: an attempt that its dialler gave up may still have been
//!   accepted.
//! - **A direct link beats a relayed one.** Where only a relay leads to a peer its link runs through that, and the ends are told
//!   again and again to dial each other at one moment, until a direct connection stands.
//! - **A dead direction is noticed.** What was sent has to be acknowledged within [`PATIENCE`] and a round trip, however much
//!   the peer says meanwhile. A link over which it is not is ended, and another way is tried at once.
//! - **Addresses outlive links.** Where a connection of a peer's came from is one of them, so that a peer that only ever dialled
//!   in is found again.

mod addresses;
mod connections;
mod dials;
mod interface;
mod limits;
mod links;
mod peer;
mod relayed;
mod upgrade;

pub use addresses::{Candidate, Origin};
pub use interface::{
    AttemptId, CloseReason, Connected, ConnectionId, DialFailure, Ended, Life, LinkInput, LinkOutput, LinkState,
    Urgency,
};
pub use limits::{ADDRESSES_MAX, PATIENCE, PEERS_MAX};
pub use links::Links;
pub use relayed::{Address, relay_of, through};

#[cfg(test)]
mod agreement_tests;
#[cfg(test)]
mod links_tests;
