//! Answers to clients, and events for operators.

use hedgerow_attest::id::NodeId;
use hedgerow_protocol::session_id::SessionId;

use crate::{
    engine::{Body, EditRefusal},
    etag::{CausalToken, Etag},
    frame::{Lsn, Origin, SealedFrame},
    ops::OpRefusal,
    session_doc::AdmitRefusal,
};

/// How a write went.
#[derive(Debug, Clone, PartialEq)]
pub enum WriteResult {
    /// Durable on `wanted` nodes or more.
    Done(Written),
    /// Durable on `acked` nodes, fewer than `wanted`, when the deadline passed. The write stays and spreads; it is not undone.
    Pending(Written),
    /// The session is in another state than `If-Match` said. Nothing was written.
    PreconditionFailed {
        /// The present state; of an empty session when nobody has written to it.
        etag: Etag,
        /// Shown with it.
        token: CausalToken,
        /// The present body.
        body: Body,
    },
    /// Nothing was written, with the exception that [`Refusal::StorageFailed`] names.
    Refused(Refusal),
}

/// A write that is durable at least here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The state that the write made.
    pub etag: Etag,
    /// To be shown by the client's next request, on whichever node.
    pub token: CausalToken,
    /// Nodes of the group that hold it durably, this one included.
    pub acked: u8,
    /// How many were asked for.
    pub wanted: u8,
}

/// What a read found.
#[derive(Debug, Clone, PartialEq)]
pub enum ReadResult {
    /// The session.
    Found(Found),
    /// Nobody has written to the session, as far as this replica knows.
    NotFound {
        /// As in [`Found::stale`].
        stale: bool,
    },
    /// The deadline passed before this replica had all that the token asks for. Ask another replica, or wait longer.
    Behind {
        /// Changes of the token that are missing here.
        missing: usize,
    },
    /// No answer from here.
    Refused(Refusal),
}

/// A session as one replica has it, all of it durable there.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The value and its conflicts.
    pub body: Body,
    /// Its state.
    pub etag: Etag,
    /// To be shown by the client's next request.
    pub token: CausalToken,
    /// Whether acknowledged writes may be missing: the replica hears too few of the others to be sure, or knows that they have more.
    pub stale: bool,
}

/// Why a replica refuses a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The log is not loaded, or the group's replicas are not known yet. Try again shortly.
    #[error("answer before the replica has started")]
    Starting,
    /// This node is not a replica of the group; forward to one of those.
    #[error("answer for a group of other replicas")]
    NotReplica {
        /// The replicas.
        nodes: Vec<NodeId>,
    },
    /// The session belongs to another group: an error of the caller.
    #[error("answer for a session of another group")]
    OtherGroup,
    /// A persist failed. A write that was under way may or may not have been made: read before repeating it, on another node or after a restart.
    #[error("store durably: the log failed")]
    StorageFailed,
    /// Too many requests wait. Try again shortly or on another replica.
    #[error("take one more request while {waiting} wait")]
    Busy {
        /// Requests that wait.
        waiting: usize,
    },
    /// The deadline passed before the write was begun.
    #[error("begin a write before its deadline")]
    DeadlinePassed,
    /// A quorum of none. Leave it out for the number of the class.
    #[error("write with a quorum of 0")]
    QuorumZero,
    /// The operations break a bound.
    #[error("write these operations")]
    Ops(#[from] OpRefusal),
    /// The session's present content does not allow them.
    #[error("write to the session as it is")]
    Edit(#[from] EditRefusal),
    /// The group holds as many sessions as it may.
    #[error("create another session beside {sessions}")]
    TooManySessions {
        /// Sessions that there are.
        sessions: usize,
    },
    /// The group's log has reached its bound.
    #[error("log more than {bytes} bytes")]
    LogFull {
        /// Bytes that there are.
        bytes: usize,
    },
    /// The token was made for another session.
    #[error("read with the token of another session")]
    OtherSession,
}

/// Something that happened at a replica.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The log was read.
    Started {
        /// Sessions it holds.
        sessions: usize,
        /// Frames it holds.
        frames: usize,
    },
    /// The log does not read back. The machine does not start; restore the log or let the node fetch its groups anew.
    LogUnreadable {
        /// The place in the log, from 0.
        index: usize,
    },
    /// A frame of another node was refused, and all later ones of that boot are.
    Quarantined {
        /// Whose.
        origin: Origin,
        /// The session whose record was refused.
        session: SessionId,
        /// Why.
        reason: AdmitRefusal,
    },
    /// A frame was put aside for lack of room; it is fetched again later.
    NoRoom {
        /// Whose.
        origin: Origin,
        /// Its first record.
        first_lsn: Lsn,
    },
    /// One boot of one node has signed two histories. The two frames prove it to anybody.
    Equivocation {
        /// Whose.
        origin: Origin,
        /// The frame that was here first, unless it is gone.
        held: Option<Box<SealedFrame>>,
        /// The frame that contradicts it.
        refused: Box<SealedFrame>,
    },
    /// Another node holds records of this node's past that are not here: its data folder was restored from an older copy, or the group was dropped
    /// here and has come back.
    OwnPast {
        /// The boot that wrote them.
        origin: Origin,
    },
    /// A persist failed; the machine answers nothing from here on.
    StorageFailed,
}
