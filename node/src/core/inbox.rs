//! What reaches the task that owns the mesh core, and the bounded queue through which it does.

use bytes::Bytes;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_protocol::core::{Command, LinkEvent, Reply};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::handle::CommandError;
use crate::net::GossipVerdict;

/// Waiting inputs. A cell of 128 brings about 60 messages a second; beyond this the newest messages are dropped, which the
/// protocol takes for loss on the network.
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
        /// The member that passed it on.
        from: NodeId,
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
        reply: oneshot::Sender<Result<Reply, CommandError>>,
    },
}

/// The network's end of the queue. Messages and gossip never wait, since they may be lost anywhere. Links do: a change that
/// is not told leaves the core dialling what it has, or waiting for what is gone.
#[derive(Clone, Debug)]
pub struct CoreInbox(pub(super) mpsc::Sender<Arrival>);

impl CoreInbox {
    /// A frame of the mesh protocol.
    pub fn message(&self, from: NodeId, bytes: Bytes) {
        self.put(Arrival::Message { from, bytes });
    }

    /// A fact that gossip brought.
    pub fn gossip(&self, from: NodeId, bytes: Bytes, verdict: GossipVerdict) {
        self.put(Arrival::Gossip { from, bytes, verdict });
    }

    /// A member whose certificate a handshake proved.
    pub async fn met(&self, member: Member) {
        self.wait(Arrival::Met(member)).await;
    }

    /// A change of a link.
    pub async fn link(&self, peer: NodeId, event: LinkEvent) {
        self.wait(Arrival::Link { peer, event }).await;
    }

    fn put(&self, arrival: Arrival) {
        match self.0.try_send(arrival) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => tracing::debug!("the core's inbox is full: a message was dropped"),
            Err(TrySendError::Closed(_)) => tracing::trace!("a message came after the core had ended"),
        }
    }

    async fn wait(&self, arrival: Arrival) {
        if self.0.send(arrival).await.is_err() {
            tracing::debug!("a link changed after the core had ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_of_messages_loses_messages_and_no_link() {
        let (tx, mut arrivals) = mpsc::channel(2);
        let (inbox, peer) = (CoreInbox(tx), NodeId::from_bytes([1; 32]));
        for number in 0..5 {
            inbox.message(peer, Bytes::from(vec![number]));
        }
        let link = tokio::spawn({
            let inbox = inbox.clone();
            async move { inbox.link(peer, LinkEvent::Down).await }
        });
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.push(arrivals.recv().await.expect("the inbox is open"));
        }
        link.await.unwrap();
        let [Arrival::Message { bytes: one, .. }, Arrival::Message { bytes: two, .. }, Arrival::Link { event, .. }] =
            &taken[..]
        else {
            panic!("{taken:?}")
        };
        assert_eq!((one[0], two[0], *event), (0, 1, LinkEvent::Down));
        assert!(arrivals.try_recv().is_err());
    }
}
