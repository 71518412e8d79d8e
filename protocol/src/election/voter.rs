//! What a voter keeps: whom it promised a lease, and what it accepted. Durable before anyone hears of it.

use crate::id::{BootId, Term};
use crate::register::Value;
use hedgerow_attest::id::NodeId;
use serde::{Deserialize, Serialize};

/// The last promise of a voter. A later one has a higher term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Promise {
    pub(crate) term: Term,
    pub(crate) holder: NodeId,
    /// The holder's run: its next one asks for a term of its own.
    pub(crate) boot: BootId,
}

/// The value that a voter accepted for the slot after its head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) term: Term,
    pub(crate) value: Value,
}

/// Everything that a voter must not forget.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct VoterRecord {
    pub(crate) promise: Option<Promise>,
    pub(crate) accepted: Option<Accepted>,
}
