//! What this replica knows of the other nodes of its group.

use std::{collections::BTreeMap, time::Duration};

use hedgerow_attest::id::NodeId;
use hedgerow_protocol::{id::PlacementEpoch, placement::ReplicaSet, time::Mono};

use crate::{
    frame::{Lsn, Origin},
    limits::VECTOR_ENTRIES_MAX,
    message::Held,
    replica::log::Reach,
};

/// One other node with which there is or was a link.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    pub(crate) up: bool,
    /// What it said it holds since the link came up.
    pub(crate) held: Reach,
    /// The last placement that it follows, by its own word since the link came up.
    pub(crate) placement: PlacementEpoch,
    /// Asking it for frames that it has and this replica lacks.
    pub(crate) pull: Retry,
    /// Telling it that this replica has frames that it lacks.
    pub(crate) nudge: Retry,
}

/// The nodes to which there have been links, and the nodes that have been replicas.
pub(crate) type Peers = BTreeMap<NodeId, Peer>;

impl Peer {
    /// Whether it follows an earlier placement than that: what it says it holds does not count yet, since by an earlier one it
    /// may hand over to this replica.
    pub(crate) fn lags(&self, placement: Option<&ReplicaSet>) -> bool {
        placement.is_some_and(|placement| self.placement < placement.epoch)
    }

    /// Takes in which placement the peer follows. Whatever it held by an earlier one it may have dropped meanwhile.
    pub(crate) fn follows(&mut self, placement: PlacementEpoch) {
        if placement > self.placement {
            self.placement = placement;
            self.held.clear();
        }
    }

    /// Takes in what the peer says it holds, and says whether any of it is more than before; numbers only grow while a link is up.
    pub(crate) fn heard(&mut self, held: &[Held]) -> bool {
        let mut grew = false;
        for Held { origin, durable } in held {
            if self.held.len() < VECTOR_ENTRIES_MAX || self.held.contains_key(origin) {
                let known = self.held.entry(*origin).or_default();
                grew |= *durable > *known;
                *known = (*known).max(*durable);
            }
        }
        grew
    }

    pub(crate) fn holds(&self, origin: &Origin, lsn: Lsn) -> bool {
        self.held.get(origin).is_some_and(|durable| *durable >= lsn)
    }
}

/// Whether `has` reaches further than `other` anywhere.
pub(crate) fn exceeds(has: &Reach, other: impl Fn(&Origin) -> Lsn) -> bool {
    has.iter().any(|(origin, lsn)| *lsn > other(origin))
}

/// Something that is done again, at growing intervals, until it is no longer needed.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Retry {
    due: Option<Mono>,
    attempts: u32,
}

impl Retry {
    pub(crate) fn due(&self) -> Option<Mono> {
        self.due
    }

    pub(crate) fn is_armed(&self) -> bool {
        self.due.is_some()
    }

    /// Sets the time of the next attempt: 250 ms after the first, doubling to 8 s. Guesses: below typical round trips nothing is gained, and
    /// what is lost on a link that is up is rare; a simulation with lossy links would settle them.
    pub(crate) fn arm(&mut self, now: Mono) {
        self.due = Some(now + FIRST * (1 << self.attempts.min(DOUBLINGS_MAX)));
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Nothing is due, and the next attempt is a first.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

const FIRST: Duration = Duration::from_millis(250);
const DOUBLINGS_MAX: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_slow_down_to_eight_seconds() {
        let mut retry = Retry::default();
        let mut waits = Vec::new();
        for _ in 0..8 {
            retry.arm(Mono(0));
            waits.push(retry.due().unwrap().0 / 1000);
        }
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
        retry.reset();
        assert!(!retry.is_armed());
    }
}
