//! What the network hands up to the node.

use std::net::SocketAddr;

use bytes::Bytes;
use hedgerow_attest::digest::{Blake3Digest, Sha256Digest};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::PublicKey;
use hedgerow_attest::member::Member;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::ctl::GossipVerdict;
use super::lane::Lane;
use super::rpc::{AnswerSink, Protocol, RemoteError};
use crate::content::Held;
use crate::observe::TraceContext;

/// One inbound event. `from` and `peer` are names that the TLS handshake proved.
#[derive(Debug)]
pub enum NetEvent {
    /// A link to a member is usable. A message of that member may arrive just before this.
    LinkUp {
        /// The member.
        peer: NodeId,
        /// What its certificate, checked in the handshake, says of it.
        member: Member,
        /// Round trip seen in the handshake, microseconds.
        rtt_us: u64,
    },
    /// The smoothed round trip of a link changed by more than a twentieth.
    LinkRtt {
        /// The member.
        peer: NodeId,
        /// Round trip, microseconds.
        rtt_us: u64,
    },
    /// A link ended, and messages sent on it may be lost. A link that was replaced at once is told as down, then up.
    LinkDown {
        /// The member.
        peer: NodeId,
    },
    /// Requests travel to a member over its link; told once in a while.
    LinkUsed {
        /// The member.
        peer: NodeId,
    },
    /// A request to a member has had no answer for longer than most take.
    LinkUnanswered {
        /// The member.
        peer: NodeId,
    },
    /// A one-way message.
    Message {
        /// Its sender.
        from: NodeId,
        /// The lane it was sent on.
        lane: Lane,
        /// What was sent, at most [`super::limits::MESSAGE_BYTES_MAX`].
        bytes: Bytes,
    },
    /// A request that waits for an answer.
    Request {
        /// Its sender.
        from: NodeId,
        /// What is asked for.
        protocol: Protocol,
        /// At most [`super::limits::REQUEST_BODY_BYTES_MAX`].
        body: Bytes,
        /// When the caller gives up.
        deadline: Instant,
        /// The trace to which it belongs.
        trace: Option<TraceContext>,
        /// Where the answer goes; dropping it tells the caller [`RemoteError::Failed`].
        respond: Respond<Result<Bytes, RemoteError>>,
    },
    /// A request that waits for a stream of answers.
    StreamRequest {
        /// Its sender.
        from: NodeId,
        /// What is asked for.
        protocol: Protocol,
        /// At most [`super::limits::REQUEST_BODY_BYTES_MAX`].
        body: Bytes,
        /// When the caller gives up.
        deadline: Instant,
        /// The trace to which it belongs.
        trace: Option<TraceContext>,
        /// Where the answers go.
        answers: AnswerSink,
    },
    /// A peer asks for small content in one piece.
    BulkRequest {
        /// Its sender.
        from: NodeId,
        /// The content.
        digest: Sha256Digest,
        /// The asker takes no more than this, which is at most [`super::limits::BULK_WHOLE_BYTES_MAX`].
        max_bytes: u64,
        /// The content, or `None` when this node does not hold it.
        respond: Respond<Option<Bytes>>,
    },
    /// A peer asks for ranges of content.
    HoldingRequest {
        /// Its sender.
        from: NodeId,
        /// The content.
        blake3: Blake3Digest,
        /// As far as this node holds it. What is whole is read range by range, as the peer asks for them.
        respond: Respond<Held>,
    },
    /// Somebody wants to join or to renew.
    JoinRequest {
        /// Where it comes from.
        remote: SocketAddr,
        /// The transport key whose possession the handshake proved.
        transport: PublicKey,
        /// Keying material of this very connection (RFC 9266 in spirit); a proof over it cannot be relayed.
        exporter: [u8; 32],
        /// At most [`super::limits::JOIN_BODY_BYTES_MAX`].
        body: Bytes,
        /// The answer, at most [`super::limits::JOIN_ANSWER_BYTES_MAX`]; dropping it closes the connection.
        respond: Respond<Bytes>,
    },
    /// A fact that gossip brought; it spreads no further until judged.
    Gossip {
        /// The member that passed it on, which need not be its author.
        from: NodeId,
        /// The topic.
        topic: String,
        /// The author's signed envelope.
        bytes: Bytes,
        /// Where the judgement goes; dropping it means ignore.
        verdict: GossipVerdict,
    },
}

/// Where one answer goes.
#[derive(Debug)]
pub struct Respond<T>(oneshot::Sender<T>);

impl<T> Respond<T> {
    pub(super) fn channel() -> (Self, oneshot::Receiver<T>) {
        let (tx, rx) = oneshot::channel();
        (Self(tx), rx)
    }

    /// Answers. An answer that comes after the asker left is dropped.
    pub fn send(self, answer: T) {
        if self.0.send(answer).is_err() {
            tracing::debug!("an answer came after its asker had left");
        }
    }

    /// Whether the asker has left, so that work on the answer can stop.
    pub fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }

    /// Ends when the asker leaves.
    pub async fn abandoned(&mut self) {
        self.0.closed().await;
    }
}
