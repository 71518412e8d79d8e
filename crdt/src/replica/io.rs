//! What goes into the replica machine of a placement group and what comes out.

use hedgerow_attest::{id::NodeId, key::PublicKey, signed::Verified};
use hedgerow_protocol::{
    id::{BootId, PlacementEpoch, Token},
    placement::ReplicaSet,
    session_id::{GroupId, SessionId},
    time::Mono,
};

use crate::{
    etag::{CausalToken, Etag},
    frame::{FrameHead, SealedFrame, VerifiedFrame},
    limits::Limits,
    message::SyncMessage,
    ops::SessionOp,
    replica::{Event, ReadResult, Snapshot, WriteResult},
};

/// What a replica is told once.
#[derive(Debug, Clone)]
pub struct ReplicaConfig {
    /// This node.
    pub me: NodeId,
    /// This run of it. A machine that is made after a failed persist needs another: what was lost must not be numbered again.
    pub boot: BootId,
    /// The key with which the driver signs [`Output::Sign`].
    pub statement: PublicKey,
    /// The group that this machine owns.
    pub group: GroupId,
    /// Bounds on what clients may do here.
    pub limits: Limits,
}

/// What happens to a replica.
#[derive(Debug, Clone)]
pub enum Input {
    /// What the log holds of this group. Comes first and once; before it everything else is refused or ignored.
    Start(Box<Snapshot>),
    /// The group's replicas, whenever they change.
    Placement(ReplicaSet),
    /// A client writes.
    Write(Write),
    /// A client reads.
    Read(Read),
    /// A message from the node that the link names.
    Net {
        /// Its sender.
        from: NodeId,
        /// What it says; frames in it come back as [`Output::VerifyFrame`].
        message: SyncMessage,
    },
    /// A frame of [`Output::VerifyFrame`] whose signature holds. Frames that fail are dropped by the driver, which counts them.
    FrameVerified {
        /// The `from` of the output.
        from: NodeId,
        /// The verified frame.
        frame: VerifiedFrame,
    },
    /// The head of [`Output::Sign`], signed.
    Signed {
        /// The token of the output.
        token: Token,
        /// The head, equal to the one in the output.
        head: Verified<FrameHead>,
    },
    /// The records of an [`Output::Persist`] are on stable storage.
    Persisted(Token),
    /// They may or may not be. The machine is of no further use; make another with a new boot id from the log.
    PersistFailed(Token),
    /// A link to another node came up or went down.
    Link {
        /// The other node.
        peer: NodeId,
        /// Whether it is up.
        up: bool,
    },
    /// The deadline was reached.
    Tick,
}

/// A write of a client.
#[derive(Debug, Clone)]
pub struct Write {
    /// Names the request in [`Output::WriteReply`]; unique among the driver's requests to this machine.
    pub request: u64,
    /// Which session; it is created by its first write.
    pub session: SessionId,
    /// What to do, all or nothing.
    pub ops: Vec<SessionOp>,
    /// Write only if the session is in this state at this replica.
    pub if_match: Option<Etag>,
    /// Durable copies before `Done`; the class' number when left out.
    pub quorum: Option<u8>,
    /// When to answer `Pending` at the latest.
    pub deadline: Mono,
}

/// A read of a client.
#[derive(Debug, Clone)]
pub struct Read {
    /// Names the request in [`Output::ReadReply`]; unique among the driver's requests to this machine.
    pub request: u64,
    /// Which session.
    pub session: SessionId,
    /// What the answer must contain.
    pub min: Option<CausalToken>,
    /// How long to wait for that.
    pub deadline: Mono,
}

/// What a replica wants done, in order. Nothing that is sent or replied depends on anything that is not yet persisted.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send to a node, if there is a link; what is lost is noticed and sent again.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: SyncMessage,
    },
    /// Append to the log in this order, sync, then answer [`Input::Persisted`]. There is at most one outstanding.
    Persist {
        /// For the answer.
        token: Token,
        /// The frames as [`SealedFrame::to_bytes`] encodes them.
        records: Vec<SealedFrame>,
    },
    /// Sign with the statement key and answer [`Input::Signed`].
    Sign {
        /// For the answer.
        token: Token,
        /// What to sign.
        head: FrameHead,
    },
    /// Verify with the statement key of the node that [`SealedFrame::claimed_head`] names, and answer [`Input::FrameVerified`].
    VerifyFrame {
        /// Who sent it; goes back with the answer.
        from: NodeId,
        /// The frame.
        frame: SealedFrame,
    },
    /// The answer to a write.
    WriteReply {
        /// Which request.
        request: u64,
        /// How it went.
        result: WriteResult,
    },
    /// The answer to a read.
    ReadReply {
        /// Which request.
        request: u64,
        /// What was found.
        result: ReadResult,
    },
    /// How far the hand-over to the holders of today is; said when it changes.
    Standing(Standing),
    /// Delete what the log holds of this group, durably. The machine answers nothing from here on; make another from an empty snapshot, with
    /// another boot id, if the group comes back: what was numbered here is numbered once.
    Drop,
    /// Something for operators and tests to know.
    Event(Event),
}

/// How far a replica has handed over what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The placement whose holders are meant.
    pub epoch: PlacementEpoch,
    /// Whether fewer than W of them have, durably, everything that this one has. Nobody asks while the group stays where it is, and then it is
    /// said that nothing is open.
    pub is_open: bool,
}
