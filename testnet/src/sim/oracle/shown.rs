//! What the oracle is shown of a node, where it is more than a value or two.

use hedgerow_protocol::id::Incarnation;
use hedgerow_protocol::view::MemberState;

/// How a node sees another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// In which state.
    pub(crate) to: MemberState,
    /// As which incarnation it knows it.
    pub(crate) known: Incarnation,
    /// Whether no cut is between them.
    pub(crate) connected: bool,
}

/// What a lease rests on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Backing {
    /// How many voters it takes.
    pub(crate) quorum: usize,
    /// Those who grant nobody else anything before it ends.
    pub(crate) voters: Vec<u32>,
}
