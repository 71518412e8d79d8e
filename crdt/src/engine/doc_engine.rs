//! What this crate asks of a document engine.

use std::fmt;

use hedgerow_protocol::session_id::SessionId;

use crate::{
    engine::{Author, Body},
    heads::ChangeHash,
    limits::Limits,
    ops::SessionOp,
    prescan::ScanRefusal,
};

/// A document that merges. Cloning it must be cheap (some microseconds for a session): changes are applied to a clone, which is then installed or
/// thrown away. An engine may panic on a foreign change; callers contain that.
pub trait DocEngine: Clone + fmt::Debug {
    /// The document of a session nobody has written to, equal on all nodes and for all sessions.
    fn skeleton() -> Self;

    /// The heads in ascending order.
    fn heads(&self) -> Vec<ChangeHash>;

    /// Whether a change is part of the document.
    fn contains(&self, change: &ChangeHash) -> bool;

    /// The counter of the last operation of a change that is part of the document.
    fn last_op(&self, change: &ChangeHash) -> Option<u64>;

    /// Writes `ops` as one change that depends on all heads, also when they change nothing: such a change is how a write that repeats another is
    /// acknowledged by a quorum.
    ///
    /// # Errors
    /// When the document does not allow them; it must then be dropped.
    fn edit(
        &mut self,
        author: &Author,
        session: &SessionId,
        ops: &[SessionOp],
        limits: &Limits,
    ) -> Result<ChangeBytes, EditRefusal>;

    /// Applies a change whose dependencies are all contained, and returns its hash as the engine computes it.
    ///
    /// # Errors
    /// When the engine does not take it; the document must then be dropped.
    fn apply(&mut self, change: &[u8]) -> Result<ChangeHash, EngineRefusal>;

    /// The body as JSON, with the values that lost against concurrent ones.
    fn body(&self) -> Body;

    /// Bytes of the live values and their paths.
    fn body_bytes(&self) -> usize;
}

/// One change as it travels and is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeBytes {
    /// Its name.
    pub hash: ChangeHash,
    /// The change chunk, never compressed.
    pub bytes: Vec<u8>,
}

/// Why a session refuses a write. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditRefusal {
    /// An increment of something that is no whole number; put a number there first.
    #[error("increment {pointer}, which holds something else than a whole number")]
    NotACounter {
        /// Where, as a JSON pointer.
        pointer: String,
    },
    /// The counter would leave 64 bits.
    #[error("increment {pointer} beyond 64 bits")]
    CounterOverflow {
        /// Where, as a JSON pointer.
        pointer: String,
    },
    /// The body would exceed its bound; delete values first, or use several sessions.
    #[error("grow the session to {bytes} bytes, at most {max} are allowed")]
    BodyTooLarge {
        /// Bytes it would have.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The session's history has reached its bound; go on in another session.
    #[error("extend a history of {bytes} bytes, at most {max} are allowed")]
    HistoryFull {
        /// Bytes of history.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The write expands to a change that other replicas would refuse, for example a delete of too many keys; split it.
    #[error("write a change that replicas refuse")]
    Change(#[from] ScanRefusal),
    /// The engine failed on a write within all bounds: a defect of the document or the engine. Other sessions are not affected.
    #[error("write through the document engine")]
    Engine(#[from] EngineRefusal),
}

/// Why the engine did not take a change. The document that it was tried on is gone, the one it was cloned from is untouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EngineRefusal {
    /// Its own parser refuses the bytes.
    #[error("parse a change")]
    Unparsable,
    /// It parses and cannot be applied.
    #[error("apply a change")]
    Inapplicable,
    /// It panicked, which was contained.
    #[error("apply a change: the engine panicked")]
    Panicked,
}
