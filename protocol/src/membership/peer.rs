//! What this node found out about one member of its cell.

use crate::fact::{Liveness, NodeState};
use crate::id::Incarnation;
use crate::time::Mono;
use hedgerow_attest::id::NodeId;
use std::collections::BTreeSet;

/// One member of the own cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The latest that it signed.
    pub(crate) incarnation: Incarnation,
    /// What it says it means to do.
    pub(crate) said: NodeState,
    /// What was found out.
    pub(crate) found: Found,
    /// Since when it does not serve: doubted, or by its own word.
    pub(crate) away_since: Option<Mono>,
    /// Since when it serves without a break.
    pub(crate) serves_since: Option<Mono>,
}

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// It answers.
    Alive,
    /// It did not answer, or was never heard.
    Suspect {
        /// Since when.
        since: Mono,
        /// Who else could not reach it.
        sharers: BTreeSet<NodeId>,
    },
    /// The suspicion ran out; it is asked directly, with the suspicion attached.
    Verifying {
        /// Probes sent.
        sent: u32,
        /// When the next is due, or the verdict.
        next: Mono,
    },
    /// It did not answer those either.
    Down,
}

impl Found {
    pub(crate) fn liveness(&self) -> Liveness {
        match self {
            Self::Alive => Liveness::Alive,
            Self::Suspect { .. } | Self::Verifying { .. } => Liveness::Suspect,
            Self::Down => Liveness::Down,
        }
    }

    pub(crate) fn doubted(now: Mono) -> Self {
        Self::Suspect { since: now, sharers: BTreeSet::new() }
    }
}

impl Peer {
    /// Whether it takes part in probing at all.
    pub(crate) fn is_staying(&self) -> bool {
        self.said != NodeState::Left
    }

    /// Whether others may be asked through it.
    pub(crate) fn is_observer(&self) -> bool {
        self.found == Found::Alive && matches!(self.said, NodeState::Up | NodeState::Draining)
    }

    /// Keeps the two spans in step with the rest.
    pub(crate) fn settle(&mut self, now: Mono) {
        let serves = self.found == Found::Alive && self.said == NodeState::Up;
        self.away_since = if serves { None } else { self.away_since.or(Some(now)) };
        self.serves_since = if serves { self.serves_since.or(Some(now)) } else { None };
    }
}
