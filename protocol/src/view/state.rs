//! How a member is seen.

use crate::fact::{Liveness, NodeState};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a member is seen: what it says it means to do, and what others find out about it, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    /// It answers.
    Alive,
    /// It did not answer lately, or nothing was heard of its cell for a while.
    Suspect,
    /// It did not answer when verified, or nothing was heard of its cell for long.
    Down,
    /// It said that it would be back soon.
    Stopping,
    /// It answers, takes no more work and will leave.
    Draining,
    /// It left for good.
    Left,
}

impl MemberState {
    /// The one word for an intention and a finding. A stop that lasted longer than a repair waits is a failure.
    #[must_use]
    pub(crate) fn of(said: NodeState, found: Liveness, overdue: bool) -> Self {
        match (said, found) {
            (NodeState::Left, _) => Self::Left,
            (NodeState::Stopping, Liveness::Down | Liveness::Suspect) if overdue => Self::Down,
            (NodeState::Stopping, _) => Self::Stopping,
            (_, Liveness::Down) => Self::Down,
            (_, Liveness::Suspect) => Self::Suspect,
            (NodeState::Draining, Liveness::Alive) => Self::Draining,
            (NodeState::Up, Liveness::Alive) => Self::Alive,
        }
    }

    /// Whether work may be sent there.
    #[must_use]
    pub fn serves(self) -> bool {
        matches!(self, Self::Alive)
    }
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Down => "down",
            Self::Stopping => "stopping",
            Self::Draining => "draining",
            Self::Left => "left",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_neither_a_failure_nor_a_departure_until_it_is_overdue() {
        assert_eq!(MemberState::of(NodeState::Stopping, Liveness::Down, false), MemberState::Stopping);
        assert_eq!(MemberState::of(NodeState::Stopping, Liveness::Down, true), MemberState::Down);
        assert_eq!(MemberState::of(NodeState::Left, Liveness::Alive, true), MemberState::Left);
        assert_eq!(MemberState::of(NodeState::Draining, Liveness::Alive, false), MemberState::Draining);
        assert_eq!(MemberState::of(NodeState::Draining, Liveness::Down, false), MemberState::Down);
    }
}
