//! What can go wrong, by what it strikes.

use serde::{Deserialize, Serialize};

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FaultKind {
    /// The power goes, and comes back after the span.
    Crash,
    /// The process is restarted in order.
    Restart,
    /// The node drains, and leaves after the span.
    Drain,
    /// The node leaves for good.
    Leave,
    /// The region falls into two halves that do not hear each other.
    Partition,
    /// Half of the region does not hear the other half, but is heard.
    OneWay,
    /// Two halves that do not hear each other and one node that hears both.
    Bridge,
    /// One node hears nobody.
    Isolate,
    /// Two nodes do not hear each other, every few seconds for a few seconds.
    FlappingLink,
    /// The process stands still.
    Pause,
    /// The machine stands still, clocks included.
    Suspend,
    /// Clocks run fast or slow.
    Drift,
    /// Writes take a hundred times longer.
    SlowDisk,
    /// Writes fail.
    FullDisk,
    /// All packets to and from a node take up to a second longer.
    Congestion,
    /// The wall clock alone jumps ahead by an hour.
    Jump,
    /// Those who have never run before join within a second.
    FlashJoin,
    /// A new policy is announced, so that every cell decides a placement.
    Policy,
    /// So many voters lose their power at once that no quorum is left; operators have the cell go on without them.
    LoseQuorum,
}

/// A fault by what it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    /// Single nodes.
    Node(NodeFault),
    /// The network of a region.
    Network(Split),
    /// Those who have never run before.
    FlashJoin,
    /// What the mesh has to decide.
    Policy,
    /// The quorum of a cell.
    Quorum,
}

/// What strikes a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeFault {
    /// As [`FaultKind::Crash`].
    Crash,
    /// As [`FaultKind::Restart`].
    Restart,
    /// As [`FaultKind::Drain`].
    Drain,
    /// As [`FaultKind::Leave`].
    Leave,
    /// As [`FaultKind::Pause`].
    Pause,
    /// As [`FaultKind::Suspend`].
    Suspend,
    /// As [`FaultKind::Drift`].
    Drift,
    /// As [`FaultKind::SlowDisk`].
    SlowDisk,
    /// As [`FaultKind::FullDisk`].
    FullDisk,
    /// As [`FaultKind::Jump`].
    Jump,
    /// As [`FaultKind::Congestion`].
    Congestion,
}

/// How a network falls apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    /// As [`FaultKind::Partition`].
    Halves,
    /// As [`FaultKind::OneWay`].
    OneWay,
    /// As [`FaultKind::Bridge`].
    Bridge,
    /// As [`FaultKind::Isolate`].
    Isolate,
    /// As [`FaultKind::FlappingLink`].
    Link,
}

impl FaultKind {
    /// What it strikes.
    pub(crate) fn blow(self) -> Blow {
        match self {
            Self::Crash => Blow::Node(NodeFault::Crash),
            Self::Restart => Blow::Node(NodeFault::Restart),
            Self::Drain => Blow::Node(NodeFault::Drain),
            Self::Leave => Blow::Node(NodeFault::Leave),
            Self::Pause => Blow::Node(NodeFault::Pause),
            Self::Suspend => Blow::Node(NodeFault::Suspend),
            Self::Drift => Blow::Node(NodeFault::Drift),
            Self::SlowDisk => Blow::Node(NodeFault::SlowDisk),
            Self::FullDisk => Blow::Node(NodeFault::FullDisk),
            Self::Jump => Blow::Node(NodeFault::Jump),
            Self::Congestion => Blow::Node(NodeFault::Congestion),
            Self::Partition => Blow::Network(Split::Halves),
            Self::OneWay => Blow::Network(Split::OneWay),
            Self::Bridge => Blow::Network(Split::Bridge),
            Self::Isolate => Blow::Network(Split::Isolate),
            Self::FlappingLink => Blow::Network(Split::Link),
            Self::FlashJoin => Blow::FlashJoin,
            Self::Policy => Blow::Policy,
            Self::LoseQuorum => Blow::Quorum,
        }
    }
}
