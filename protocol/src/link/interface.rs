//! What goes into the link machine, and what comes out of it.

use super::addresses::{Candidate, Origin};
use crate::time::Mono;
use std::time::Duration;

/// A connection, numbered by the driver. No number is used twice in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// An attempt to connect, numbered by the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u64);

/// Tells one run of a peer's process from another: the same on every connection of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Life(pub u64);

/// A connection whose peer proved to be who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Connected<A> {
    /// Its number.
    pub connection: ConnectionId,
    /// The run of the peer's process that is at its other end.
    pub life: Life,
    /// Where the peer is.
    pub address: A,
}

/// Why an attempt came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DialFailure {
    /// Nothing came back in time: nobody is there, or something between the two is silent.
    NoAnswer,
    /// Somebody answered that this node does not take for the peer.
    RefusedByUs,
    /// The peer does not take this node.
    RefusedByPeer,
    /// The handshake broke.
    Broken,
    /// The address cannot be dialled from this node.
    Address,
}

/// Who waits for a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// The mesh, which keeps links for later.
    Upkeep,
    /// A request or a message.
    Request,
}

/// What happens to the machine. What is sent and acknowledged is told by [`super::Links::sent`] and
/// [`super::Links::acknowledged`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkInput<K, A> {
    /// Where a peer can be dialled, in the order of its own preference. Replaces what was known of that origin.
    Learn {
        /// The peer.
        peer: K,
        /// Who says so.
        origin: Origin,
        /// Where; those beyond [`super::ADDRESSES_MAX`] are left out.
        addresses: Vec<A>,
    },
    /// What an earlier run remembered of a peer, best first. What is known already counts more.
    Recall {
        /// The peer.
        peer: K,
        /// Its addresses, as [`super::Links::addresses`] gave them.
        known: Vec<Candidate<A>>,
    },
    /// Somebody on this node wants a link.
    Want {
        /// To whom.
        peer: K,
        /// How much.
        urgency: Urgency,
    },
    /// An attempt ended.
    Attempted {
        /// To whom it was.
        peer: K,
        /// Which.
        attempt: AttemptId,
        /// How.
        outcome: Result<Connected<A>, DialFailure>,
    },
    /// A peer connected.
    Accepted {
        /// Who.
        peer: K,
        /// How.
        connected: Connected<A>,
    },
    /// A connection ended: the peer closed it, the driver did, or nothing was heard for too long.
    Closed {
        /// Who was at its other end.
        peer: K,
        /// Which.
        connection: ConnectionId,
    },
    /// Both ends of a link that is relayed dial each other at this moment, as they agreed to ([`LinkOutput::Meet`]): what is sent
    /// first opens the way for what comes from the other side.
    Meet {
        /// The peer.
        peer: K,
        /// Where it may be met; relayed ones, and those beyond [`super::ADDRESSES_MAX`], are left out.
        addresses: Vec<A>,
    },
    /// Nobody on this node wants the link any more.
    HangUp {
        /// To whom.
        peer: K,
    },
    /// The peer is a member no more: nothing is remembered of it.
    Forget {
        /// Who.
        peer: K,
    },
    /// The deadline was reached, or might have been.
    Tick,
}

/// What the machine wants done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkOutput<K, A> {
    /// Make a handshake, and tell how it ended.
    Dial {
        /// Whom it has to be.
        peer: K,
        /// Of which attempt.
        attempt: AttemptId,
        /// Where.
        address: A,
    },
    /// Nobody waits for that attempt any more.
    Cancel {
        /// Which.
        attempt: AttemptId,
    },
    /// There is a link where there was none, or to another run of the peer's process.
    Up {
        /// To whom.
        peer: K,
        /// The connection that it runs on.
        connection: ConnectionId,
    },
    /// The link runs on another connection from here on. What was sent over one that ended may be lost.
    Moved {
        /// To whom.
        peer: K,
        /// The connection that it runs on.
        connection: ConnectionId,
    },
    /// There is no link any more, and what was sent last may be lost.
    Down {
        /// To whom.
        peer: K,
        /// Why.
        why: Ended,
    },
    /// The link is relayed: agree with the peer, over the link, on a moment to dial each other, which is then
    /// [`LinkInput::Meet`] at both ends.
    Meet {
        /// The peer.
        peer: K,
        /// The connection that the link runs on.
        connection: ConnectionId,
    },
    /// Close a connection.
    Close {
        /// Who is at its other end.
        peer: K,
        /// Which.
        connection: ConnectionId,
        /// Why.
        why: CloseReason,
    },
    /// Every address was tried, and there is no link.
    Failed {
        /// To whom.
        peer: K,
        /// How the last attempt ended.
        failure: DialFailure,
        /// How long nobody is dialled there.
        retry_in: Duration,
    },
}

/// Why a link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// Its connection did.
    Closed,
    /// What this node sent was not acknowledged.
    Unacknowledged,
    /// Nobody on this node wanted it.
    HungUp,
    /// The peer's process is another.
    Restarted,
}

/// Why a connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Another one is the link.
    Duplicate,
    /// What this node sent was not acknowledged.
    Unacknowledged,
    /// Nobody on this node wants it.
    HungUp,
    /// There is no room for another peer, or the peer is this node.
    Unwelcome,
}

/// How it stands with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// There is a link.
    Up {
        /// The connection that it runs on.
        connection: ConnectionId,
        /// Grows with every link that is not only a duplicate of the one before.
        epoch: u32,
    },
    /// Its addresses are being tried, or will be in their turn.
    Dialling,
    /// They were tried in vain.
    BackingOff {
        /// No round starts before.
        until: Mono,
    },
    /// Nobody dials.
    Idle,
    /// No address is known.
    Nowhere,
    /// It is this node.
    Myself,
}
