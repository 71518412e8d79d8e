//! How a network is started.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::AsyncUdpSocket;
use tokio::sync::watch;

use super::relay::Relaying;
use super::trust::Trust;

/// How to start the network.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// The one UDP socket.
    pub socket: Socket,
    /// Identity and trust; a change takes effect with the next handshake.
    pub trust: watch::Receiver<Arc<Trust>>,
    /// Whether [`super::Net::emulation`] can be set. Off, no packet is looked at.
    pub emulate: bool,
    /// Whether this node relays for members that cannot dial each other.
    pub relaying: Relaying,
    /// Gossip topics taken from the start; at most [`super::limits::TOPICS_MAX`].
    pub topics: Vec<String>,
}

/// The socket under a network.
#[derive(Clone, Debug)]
pub enum Socket {
    /// One of the kernel's, bound here; port 0 picks a free one.
    Bind(SocketAddr),
    /// Another, such as one of a [`fabric`](super::fabric).
    Given(Arc<dyn AsyncUdpSocket>),
}
