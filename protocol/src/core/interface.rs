//! What goes into the mesh core, and what comes out of it.

use super::snapshot::{Snapshot, StoreOp};
use crate::fact::{Health, Scope, SignedStatement, Statement, VerifiedFact};
use crate::id::{ConfigEpoch, Generation, Incarnation, PlacementEpoch, Term, Token};
use crate::placement::{Settled, TableFault};
use crate::register::Recovery;
use crate::time::Mono;
use crate::view::MemberState;
use crate::wire::VerifiedMessage;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::member::Member;
use hedgerow_attest::reason::Reason;
use std::net::SocketAddr;
use thiserror::Error;

/// What happens to the core.
#[derive(Debug)]
pub enum Input {
    /// The first input: what was durable when the last run ended.
    Start(Box<Snapshot>),
    /// The deadline was reached, or might have been.
    Tick,
    /// A message of a member, decoded and verified ([`crate::wire::Message::verify`]).
    Net {
        /// The member at the other end of the link.
        from: NodeId,
        /// What it sent.
        message: VerifiedMessage,
    },
    /// A fact that arrived by gossip or was read from a file of the node's own.
    Fact(Box<VerifiedFact>),
    /// A link changed.
    Link {
        /// Who is at its other end.
        peer: NodeId,
        /// What happened.
        event: LinkEvent,
    },
    /// The operations of that [`Output::Persist`] are durable (written, where it did not ask for `sync`).
    Persisted(Token),
    /// They are not, or nobody knows. The core promises nothing from here on; restart it from what is on disk.
    PersistFailed {
        /// Of the output.
        token: Token,
        /// Why.
        kind: StorageFailure,
    },
    /// The statement of that [`Output::Sign`], signed.
    Signed {
        /// Of the output.
        token: Token,
        /// [`Statement::sign`] makes it.
        statement: SignedStatement,
    },
    /// Somebody on this node wants something.
    Command {
        /// To be returned in the [`Output::Reply`].
        id: u64,
        /// What.
        command: Command,
    },
}

/// What the transport noticed about a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEvent {
    /// A link came up.
    Up {
        /// Its round trip in microseconds, where the transport measured one.
        rtt_us: Option<u64>,
    },
    /// The transport measured a round trip.
    Rtt {
        /// In microseconds.
        rtt_us: u64,
    },
    /// The last link to that peer went down.
    Down,
    /// Requests travel over the link. Said at most once in ten seconds per peer, and not at all by a transport that does
    /// not count them.
    Used,
    /// A request got no answer for longer than expected; it may still come.
    Unanswered,
}

/// Why operations are not known to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageFailure {
    /// The disk is full.
    Full,
    /// The disk refused.
    Io,
    /// What is on the disk is not what was written.
    Corrupt,
}

/// What somebody on this node may want of the core.
#[derive(Debug)]
pub enum Command {
    /// Tell the mesh what this node can do. A change of the models, of the energy or of the reasons to pass it over is gossiped;
    /// queue depth and free memory ride on acknowledgements.
    SetHealth(Health),
    /// Tell the mesh where this node can be dialled.
    SetAddresses(Vec<SocketAddr>),
    /// Take in a member whose certificate was verified in a handshake or just issued.
    AddMember(Member),
    /// Take in a verified fact of any kind, make it durable and tell the mesh: a deployment, a policy, a genesis, a
    /// certificate. A certificate of this node's own is shown to all linked members as well. Replied to when durable.
    Announce(Box<VerifiedFact>),
    /// What this node's sessions have handed over; said again whenever it changes, for each cell.
    Settled {
        /// What they say of one cell.
        said: Settled,
        /// How many cells had ended by the view from which that follows: an end may have brought something to the cell since.
        ended: usize,
    },
    /// Say what operators may sign so that the cell of this node, which lost its quorum, goes on. Replied to with
    /// [`Reply::Draft`].
    DraftRecovery,
    /// Announce that the process ends and comes back. Replied to when the announcement was handed over.
    Stop,
    /// Announce that this node takes no more work and will leave.
    Drain,
    /// Announce the final departure of this node. Nothing that it signs afterwards counts. A voter drains first, until it is
    /// voted out, and a replica until it has handed over what it holds, or until ten minutes have passed. Replied to when it was
    /// announced.
    Leave,
}

/// What the core wants done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a message to a member.
    Send {
        /// To whom.
        to: NodeId,
        /// How.
        lane: Lane,
        /// What; [`VerifiedMessage::to_wire`] and [`crate::wire::encode`] make the frame.
        message: VerifiedMessage,
        /// Not before that token's operations are durable.
        after: Option<Token>,
        /// Not after that moment.
        not_after: Option<Mono>,
    },
    /// Take the gossip topic of that scope; the topic of [`Scope::Mesh`] is taken from the start.
    Follow(Scope),
    /// Drop it again.
    Unfollow(Scope),
    /// Publish a fact by gossip.
    Publish {
        /// On whose topic; that of [`Scope::Directory`] is that of [`Scope::Mesh`].
        scope: Scope,
        /// The fact; [`VerifiedFact::signed`] is what travels.
        fact: VerifiedFact,
        /// Not before that token's operations are durable.
        after: Option<Token>,
    },
    /// Write to the store, all or nothing, completing in the order of these outputs.
    Persist {
        /// To be returned.
        token: Token,
        /// What.
        ops: Vec<StoreOp>,
        /// Whether anything waits for its durability; if not it may ride with the next that does.
        sync: bool,
    },
    /// Sign a statement with the node's statement key.
    Sign {
        /// To be returned.
        token: Token,
        /// What.
        statement: Statement,
    },
    /// Answer a command.
    Reply {
        /// That of the command.
        id: u64,
        /// The answer.
        reply: Reply,
        /// Not before that token's operations are durable.
        after: Option<Token>,
    },
    /// Something that people may want to read.
    Event(Event),
    /// Something that the link layer should do when it can.
    Hint(Hint),
    /// A rare path was taken: simulations check that each was.
    Sometimes(&'static str),
}

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// As one unreliable datagram where the path takes it, and lost ones are not repeated. What the core sends so has at most
    /// 1,100 bytes.
    Probe,
    /// As a message on the request connection, of at most [`crate::wire::FRAME_MAX`] bytes.
    Rpc,
}

/// What the link layer should do when it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Try to have a link to that peer.
    Dial {
        /// The peer.
        peer: NodeId,
        /// Where it said that it can be reached, best first.
        addresses: Vec<SocketAddr>,
    },
    /// The core needs no link to that peer: close it, unless something else of this node uses it.
    Hangup {
        /// The peer.
        peer: NodeId,
    },
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Done, and durable where it has to be.
    Done,
    /// What operators may sign.
    Draft(Box<Recovery>),
    /// Not done; nothing changed.
    Refused(CommandRefusal),
}

/// Why a command was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CommandRefusal {
    /// The same or a later one is known: count the version or revision up.
    #[error("fact that is not newer than what is known")]
    Stale,
    /// No room: the mesh holds as many of that kind as it may.
    #[error("fact for which there is no room")]
    Full,
    /// More addresses or models than a record may name.
    #[error("record that would be too long")]
    TooMany,
    /// The node has not started, has left, or lost its storage.
    #[error("command to a core that is not running")]
    NotRunning,
    /// The region of this node has no cell yet.
    #[error("recovery where there is no cell")]
    NoCell,
    /// Somebody leads the cell, as far as this node knows: it needs no recovery.
    #[error("recovery of a cell that somebody leads")]
    Led,
    /// No member of the cell that runs may vote, or none has run for long enough.
    #[error("recovery of a cell in which nobody can vote")]
    Voterless,
}

/// Something that people may want to read. Nothing is decided by events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This node may speak: its incarnation is durable.
    Running {
        /// The incarnation of this run.
        incarnation: Incarnation,
    },
    /// This node was thought dead and said otherwise.
    Refuted {
        /// Its incarnation from here on.
        incarnation: Incarnation,
    },
    /// Another node is seen in another state.
    MemberChanged {
        /// The node.
        node: NodeId,
        /// How it was seen, if it was known.
        from: Option<MemberState>,
        /// How it is seen.
        to: MemberState,
    },
    /// This node holds the lease of its cell.
    LeaseAcquired {
        /// The cell.
        cell: CellId,
        /// The term.
        term: Term,
    },
    /// This node does not hold it any more.
    LeaseLost {
        /// The cell.
        cell: CellId,
        /// The term that it held.
        term: Term,
    },
    /// The voters of a cell changed.
    VotersChanged {
        /// The cell.
        cell: CellId,
        /// The voter set's number.
        epoch: ConfigEpoch,
        /// How many vote.
        voters: usize,
    },
    /// A placement was adopted.
    PlacementAdopted {
        /// The cell.
        cell: CellId,
        /// The placement's number.
        epoch: PlacementEpoch,
    },
    /// A placement was decided that breaks a rule, and is not followed here: wake somebody.
    PlacementRefused {
        /// The cell.
        cell: CellId,
        /// The placement's number.
        epoch: PlacementEpoch,
        /// The rule.
        fault: TableFault,
    },
    /// An issuer signed two births for one region: wake somebody.
    TwoBirths {
        /// The cell in use.
        kept: CellId,
        /// The other.
        other: CellId,
    },
    /// The operators gave a cell that had lost its quorum other voters.
    CellRecovered {
        /// The cell.
        cell: CellId,
        /// The generation that begins.
        generation: Generation,
        /// How many vote.
        voters: usize,
    },
    /// The operators signed two recoveries for one generation, and nodes may follow either. Wake somebody: one for the next
    /// generation ends both.
    TwoRecoveries {
        /// The cell.
        cell: CellId,
        /// The generation.
        generation: Generation,
        /// The one that this node follows.
        kept: Sha256Digest,
        /// The one that came later.
        other: Sha256Digest,
    },
    /// A node is out for good; this one may be that.
    Revoked {
        /// The node.
        node: NodeId,
        /// Why.
        reason: Reason,
    },
    /// A cell ended: others took its place.
    CellEnded {
        /// The cell.
        cell: CellId,
        /// Those to which its members belong.
        into: Vec<CellId>,
    },
    /// The clocks jumped against each other, as after a pause of the machine: leases are void until asked for afresh.
    ClockJump,
    /// This node's clock runs faster or slower than leases allow, as more than half of the members see it: it votes and leads
    /// no more until it is trusted again. Wake somebody.
    ClockSuspect {
        /// By how many millionths at least; negative is too slow.
        ppm: i64,
    },
    /// Nobody contradicted this node's clock for a while: it votes again.
    ClockTrusted,
    /// Storage failed: this node votes no more and leads no more until it is restarted.
    StorageLost {
        /// How.
        kind: StorageFailure,
    },
}
