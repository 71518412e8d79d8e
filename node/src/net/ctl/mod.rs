//! The ctl lane: a libp2p swarm (identify, ping, gossipsub) over the node's own endpoint.
//!
//! libp2p's own QUIC transport binds a socket of its own and hides TLS and tuning, so the swarm runs
//! over a small transport of ours: a connection reaches it only after the membership gate.

mod behaviour;
mod muxer;
mod stream;
mod swarm;
mod transport;
mod verdict;

pub use behaviour::BehaviourError;
pub(super) use swarm::Ctl;
pub use swarm::{CtlError, PublishError};
pub(super) use transport::Inbound;
pub use verdict::{GossipVerdict, Verdict};
