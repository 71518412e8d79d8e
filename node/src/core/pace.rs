//! How much gossip this node takes from each of those that pass it on, and from each of those that it is of.
//!
//! A fact that is passed over is not lost: the exchange of digests brings it.

use std::time::Duration;

use hedgerow_attest::id::NodeId;
use hedgerow_protocol::fact::VerifiedFact;
use tokio::time::Instant;

use crate::net::Allowance;

/// What each neighbour may bring to be checked (guess: the facts of a whole cell come through one where it has to, some 60 a second).
const BROUGHT_REFILL: Duration = Duration::from_millis(5);
const BROUGHT_BURST: u32 = 2_000;
/// What each node may have to say that is news (guess: it speaks of itself every few seconds; an issuer speaks of each that it admits,
/// and a hundred may come at once).
const SAID_REFILL: Duration = Duration::from_millis(100);
const SAID_BURST: u32 = 200;
/// Nodes of each kind that used some of it lately.
const NODES_MAX: usize = 4_096;

/// What was taken from whom.
#[derive(Debug)]
pub(super) struct Pace {
    brought: Allowance<NodeId>,
    said: Allowance<NodeId>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            brought: Allowance::new(BROUGHT_BURST, BROUGHT_REFILL, NODES_MAX),
            said: Allowance::new(SAID_BURST, SAID_REFILL, NODES_MAX),
        }
    }

    /// Whether what a neighbour brings is looked at. Before the check nobody else can be held to account.
    pub(super) fn takes_from(&mut self, neighbour: NodeId, now: Instant) -> bool {
        self.brought.take(neighbour, now)
    }

    /// Whether a fact that was checked is taken in and passed on.
    pub(super) fn takes(&mut self, fact: &VerifiedFact, now: Instant) -> bool {
        fact.origin().is_none_or(|origin| self.said.take(origin, now))
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_attest::testing::SampleMesh;

    use super::*;

    #[test]
    fn a_node_that_says_too_much_is_passed_over_and_others_are_not() {
        let (mut pace, now, mesh) = (Pace::new(), Instant::now(), SampleMesh::new(1));
        let member = mesh.member(5, "eu");
        let fact = VerifiedFact::member(member.clone());
        assert_eq!(fact.origin(), Some(member.issuer()));
        let taken = (0..2 * SAID_BURST).filter(|_| pace.takes(&fact, now)).count();
        assert_eq!(taken, SAID_BURST as usize);
        assert!(pace.takes(&fact, now + SAID_REFILL));
        assert!(!pace.takes(&fact, now + SAID_REFILL));

        let (loud, quiet) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let taken = (0..2 * BROUGHT_BURST).filter(|_| pace.takes_from(loud, now)).count();
        assert_eq!(taken, BROUGHT_BURST as usize);
        assert!(pace.takes_from(quiet, now));
    }
}
