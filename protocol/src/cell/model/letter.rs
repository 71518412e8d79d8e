//! What is under way from one node to another.

use super::mark::Marker;
use crate::election::Denial;
use crate::id::{Term, Token};
use crate::time::Mono;
use crate::wire::VerifiedLease;

/// A message under way.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) lease: VerifiedLease,
    pub(super) mark: u64,
}

impl Letter {
    pub(super) fn new(from: usize, to: usize, lease: VerifiedLease) -> Self {
        let mut marker = Marker::new(Mono(0), Token(0));
        marker.plain((from, to));
        mark_lease(&mut marker, &lease);
        Self { from, to, mark: marker.finish(), lease }
    }

    pub(super) fn kind(&self) -> Kind {
        match &self.lease {
            VerifiedLease::Campaign(campaign) => Kind::Campaign(campaign.term),
            VerifiedLease::Grant(reply) => Kind::Grant(reply.grant.term),
            VerifiedLease::Denial(denial, _) => Kind::Denial(denial.promised),
            VerifiedLease::Abandon(abandon) => Kind::Abandon(abandon.term),
            VerifiedLease::Propose(propose) => Kind::Propose(propose.term),
            VerifiedLease::Accepted(acceptance) => Kind::Accepted(acceptance.term),
            VerifiedLease::Refused(_) => Kind::Refused,
            VerifiedLease::Decided(decision) => Kind::Decided(decision.term),
            VerifiedLease::Handover(abandon, _) => Kind::Handover(abandon.term),
        }
    }
}

/// A letter in a word, for people and for schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Campaign(Term),
    Grant(Term),
    Denial(Term),
    Abandon(Term),
    Propose(Term),
    Accepted(Term),
    Refused,
    Decided(Term),
    Handover(Term),
}

impl Kind {
    /// Whether it grants and decides nothing.
    pub(super) fn is_note(self) -> bool {
        match self {
            Self::Denial(_) | Self::Abandon(_) | Self::Refused | Self::Decided(_) => true,
            Self::Campaign(_) | Self::Grant(_) | Self::Propose(_) | Self::Accepted(_) | Self::Handover(_) => false,
        }
    }
}

pub(super) fn mark_lease(marker: &mut Marker, lease: &VerifiedLease) {
    marker.plain(std::mem::discriminant(lease));
    match lease {
        VerifiedLease::Campaign(campaign) => marker.plain(campaign),
        VerifiedLease::Grant(reply) => {
            marker.plain((&*reply.grant, &reply.accepted));
            reply.head.iter().for_each(|head| marker.decision(head));
        }
        VerifiedLease::Denial(Denial { cell: _, nonce, promised, remaining_ms, moved: _ }, moved) => {
            marker.plain((nonce, promised, remaining_ms));
            moved.iter().for_each(|moved| marker.decision(moved));
        }
        VerifiedLease::Abandon(abandon) => marker.plain(abandon),
        VerifiedLease::Propose(propose) => marker.plain(propose),
        VerifiedLease::Accepted(acceptance) => marker.plain(&**acceptance),
        VerifiedLease::Refused(refusal) => marker.plain(refusal),
        VerifiedLease::Decided(decision) => marker.decision(decision),
        VerifiedLease::Handover(abandon, head) => {
            marker.plain(abandon);
            head.iter().for_each(|head| marker.decision(head));
        }
    }
}
