//! What a script does at one moment.

use super::fault::FaultKind;
use super::spec::Who;
use crate::sim::time::Micros;

/// One line of a script.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// A fault begins.
    Begin {
        /// What.
        kind: FaultKind,
        /// In which region.
        region: usize,
        /// To whom.
        who: Who,
        /// How long it lasts.
        span: Option<Micros>,
        /// Of a drift.
        ppm: u32,
    },
    /// The power of a node goes.
    PowerCut {
        /// The node.
        node: u32,
        /// After how long it comes back, if ever.
        span: Option<Micros>,
        /// Who talks to it.
        talkers: Vec<u32>,
    },
    /// A request of those who talk to a node got no answer for longer than expected.
    Unanswered {
        /// The node.
        node: u32,
        /// Who talk to it.
        talkers: Vec<u32>,
    },
    /// A node is started again.
    Start(u32),
    /// A node that announced its end ends.
    Part {
        /// The node.
        node: u32,
        /// When it is started again, if ever.
        back_after: Option<Micros>,
    },
    /// A node that was told to leave ends when it has said so.
    Depart {
        /// The node.
        node: u32,
        /// The run that was told.
        run: u32,
    },
    /// Operators have a cell of a region go on that nobody leads, if one of its members tells them of any.
    Recover {
        /// The region.
        region: usize,
    },
    /// Cuts heal.
    Heal(Vec<u64>),
    /// A disk is well again.
    MendDisk(u32),
    /// Everybody has had time to learn that the node is gone.
    LookForGhosts {
        /// The node.
        node: u32,
        /// Whether it said so itself.
        departed: bool,
    },
    /// Everybody has had time to find each other again, or not.
    LookForEquality {
        /// When the cut healed.
        healed_at: Micros,
    },
    /// The state of things is sampled.
    Sample,
    /// Nothing any more.
    Void,
}
