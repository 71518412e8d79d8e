//! What reaches the task that owns the mesh core, and the bounded queue through which it does.

use bytes::Bytes;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_protocol::core::{Command, LinkEvent, Reply};
use tokio::sync::{mpsc, oneshot};

use crate::net::GossipVerdict;

/// Waiting inputs. A cell of 128 brings about 60 messages a second; beyond this the newest are dropped, which the protocol
/// takes for loss on the network.
pub(super) const INBOX_BOUND: usize = 1_024;

/// One thing that happened outside.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A frame of the mesh protocol.
    Message {
        /// The member at the other end of the link.
        from: NodeId,
        /// Undecoded.
        bytes: Bytes,
    },
    /// A fact that gossip brought.
    Gossip {
        /// Undecoded.
        bytes: Bytes,
        /// Where the judgement goes.
        verdict: GossipVerdict,
    },
    /// A member whose certificate a handshake proved.
    Met(Member),
    /// A link changed.
    Link {
        /// Who is at its other end.
        peer: NodeId,
        /// What happened.
        event: LinkEvent,
    },
    /// Somebody on this node wants something.
    Command {
        /// What.
        command: Box<Command>,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
}

/// The network's end of the queue: it never waits.
#[derive(Clone, Debug)]
pub struct CoreInbox(pub(super) mpsc::Sender<Arrival>);

impl CoreInbox {
    /// A frame of the mesh protocol.
    pub fn message(&self, from: NodeId, bytes: Bytes) {
        self.put(Arrival::Message { from, bytes });
    }

    /// A fact that gossip brought.
    pub fn gossip(&self, bytes: Bytes, verdict: GossipVerdict) {
        self.put(Arrival::Gossip { bytes, verdict });
    }

    /// A member whose certificate a handshake proved.
    pub fn met(&self, member: Member) {
        self.put(Arrival::Met(member));
    }

    /// A change of a link.
    pub fn link(&self, peer: NodeId, event: LinkEvent) {
        self.put(Arrival::Link { peer, event });
    }

    fn put(&self, arrival: Arrival) {
        if self.0.try_send(arrival).is_err() {
            tracing::debug!("the core's inbox is full or closed: an arrival was dropped");
        }
    }
}
