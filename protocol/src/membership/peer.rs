//! What this node found out about one member of its cell.

use super::ring::Place;
use crate::fact::{DegradedReason, Liveness, NodeRecord, NodeState};
use crate::id::Incarnation;
use crate::time::Mono;

/// One member of the own cell. Every node keeps one for every member, so it is small; what is only of interest while a
/// member is in doubt is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The latest that it signed.
    pub(crate) incarnation: Incarnation,
    /// Since when it serves, or does not.
    since: Mono,
    /// Where it stands in the rings.
    pub(super) place: Place,
    /// What it says it means to do.
    pub(crate) said: NodeState,
    /// What was found out.
    pub(crate) found: Liveness,
    /// Whether it says itself that its clock is not to be trusted: it does not vote.
    pub(crate) out_of_time: bool,
}

impl Peer {
    pub(super) fn new(record: &NodeRecord, found: Liveness, now: Mono) -> Self {
        let (incarnation, said, out_of_time) = (record.incarnation, record.state, is_out_of_time(record));
        Self { incarnation, since: now, place: Place::of(&record.node), said, found, out_of_time }
    }

    /// Takes over what its latest record says.
    pub(super) fn says(&mut self, record: &NodeRecord) {
        self.incarnation = self.incarnation.max(record.incarnation);
        self.said = record.state;
        self.out_of_time = is_out_of_time(record);
    }

    /// Whether it takes part in probing at all.
    pub(crate) fn is_staying(&self) -> bool {
        self.said != NodeState::Left
    }

    /// Whether it has a place in the rings.
    pub(super) fn is_in_ring(&self) -> bool {
        self.is_staying() && self.found != Liveness::Down
    }

    /// Whether others may be asked through it.
    pub(super) fn is_helper(&self) -> bool {
        self.found == Liveness::Alive && matches!(self.said, NodeState::Up | NodeState::Draining)
    }

    /// Since when it does not serve: doubted, or by its own word.
    pub(crate) fn away_since(&self) -> Option<Mono> {
        (!self.serves()).then_some(self.since)
    }

    /// Since when it serves without a break.
    pub(crate) fn serves_since(&self) -> Option<Mono> {
        self.serves().then_some(self.since)
    }

    fn serves(&self) -> bool {
        self.found == Liveness::Alive && self.said == NodeState::Up
    }

    /// Applies a change and keeps the span in step with it.
    pub(super) fn change(&mut self, now: Mono, change: impl FnOnce(&mut Self)) {
        let served = self.serves();
        change(self);
        if self.serves() != served {
            self.since = now;
        }
    }
}

fn is_out_of_time(record: &NodeRecord) -> bool {
    record.health.degraded.contains(&DegradedReason::CLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_takes_little_room() {
        assert!(size_of::<Peer>() <= 40, "{}", size_of::<Peer>());
    }
}
