//! What the machine remembers of one peer.

use super::addresses::AddressBook;
use super::interface::{AttemptId, Connected, ConnectionId, Urgency};
use super::limits::{BACKOFF_MAX, BACKOFF_MIN, DRAIN, OTHERS_MAX, RELAYED_DRAIN, STAGGER};
use super::relayed::Address;
use super::upgrade::Upgrade;
use crate::time::Mono;
use std::collections::VecDeque;
use std::num::NonZeroU8;
use std::time::Duration;

/// One connection of a peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Connection<A> {
    pub(super) connected: Connected<A>,
    /// Whether this node dialled.
    pub(super) dialled: bool,
}

/// One peer.
#[derive(Debug, Clone, Hash)]
pub(super) struct Peer<A> {
    pub(super) addresses: AddressBook<A>,
    pub(super) link: Option<Connection<A>>,
    /// When what was sent over the link has to be acknowledged, while it is not.
    pub(super) acknowledged_by: Option<Mono>,
    /// Other connections to the same run of the peer's process, the latest last, and until when each is kept.
    pub(super) others: Vec<(Connection<A>, Mono)>,
    pub(super) epoch: u32,
    pub(super) dialling: Dialling<A>,
    pub(super) backoff: Option<Backoff>,
    /// While the link is relayed and this node dialled it.
    pub(super) upgrade: Option<Box<Upgrade>>,
}

/// Whether the peer is being dialled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Dialling<A> {
    No,
    /// It waits for others.
    Queued(Urgency),
    Round(Box<Round<A>>),
}

/// Attempts at all addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Round<A> {
    /// Both ends of a relayed link dial each other: nobody waits for it.
    pub(super) is_meeting: bool,
    /// Those that were not tried yet, in order.
    waiting: VecDeque<A>,
    running: Vec<(AttemptId, A)>,
    /// When the next is tried.
    next_at: Mono,
}

/// After a round that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Backoff {
    pub(super) until: Mono,
    /// Rounds in a row.
    failures: NonZeroU8,
}

/// What follows from the end of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The next address is tried at once.
    Attempt,
    /// Others are under way.
    Wait,
    /// There are none.
    Failed,
}

impl<A> Default for Peer<A> {
    fn default() -> Self {
        Self {
            addresses: AddressBook::default(),
            link: None,
            acknowledged_by: None,
            others: Vec::new(),
            epoch: 0,
            dialling: Dialling::No,
            backoff: None,
            upgrade: None,
        }
    }
}

impl<A: Address> Connection<A> {
    pub(super) fn is_relayed(&self) -> bool {
        self.connected.address.is_relayed()
    }

    /// Whether it stays the link beside one that comes later, to the same run of the peer's process. `lower` tells whether this
    /// node has the lower name of the two.
    ///
    /// A direct one beats a relayed one. Else each end keeps the dial of the lower name; of two dials of one end the later,
    /// since it gave up the earlier.
    pub(super) fn is_preferred_to(&self, later: &Self, lower: bool) -> bool {
        if self.is_relayed() != later.is_relayed() {
            return later.is_relayed();
        }
        self.dialled != later.dialled && self.dialled == lower
    }
}

impl<A: Address> Peer<A> {
    pub(super) fn is_link(&self, connection: ConnectionId) -> bool {
        self.link.is_some_and(|link| link.connected.connection == connection)
    }

    /// Whether the peer can be forgotten without loss of anything that is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.link.is_none() && self.others.is_empty() && self.dialling == Dialling::No
    }

    /// A connection is not the link, or is it no more, and is kept for a while; returns one that is too many.
    pub(super) fn keep_other(&mut self, other: Connection<A>, now: Mono) -> Option<Connection<A>> {
        self.others.push((other, now + if other.is_relayed() { RELAYED_DRAIN } else { DRAIN }));
        (self.others.len() > OTHERS_MAX).then(|| self.others.remove(0).0)
    }

    /// The link ended: another connection takes its place. `lower` tells whether this node has the lower name of the two.
    pub(super) fn fall_back(&mut self, lower: bool) {
        let best = (0..)
            .zip(&self.others)
            .max_by_key(|(place, (other, _))| (!other.is_relayed(), other.dialled == lower, *place));
        self.link = best.map(|(place, _)| place).map(|place: usize| self.others.remove(place).0);
        // What ends is given back: few peers ever have two connections.
        self.others.shrink_to_fit();
    }

    pub(super) fn round(&mut self) -> Option<&mut Round<A>> {
        match &mut self.dialling {
            Dialling::Round(round) => Some(round),
            Dialling::No | Dialling::Queued(_) => None,
        }
    }

    /// When something is to be done about this peer unless an input comes first.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let attempt = match &self.dialling {
            Dialling::Round(round) => round.next_attempt(),
            Dialling::No | Dialling::Queued(_) => None,
        };
        let drained = self.others.iter().map(|other| other.1).min();
        let upgrade = self.upgrade.as_ref().and_then(|upgrade| upgrade.due());
        [attempt, drained, self.acknowledged_by, upgrade].into_iter().flatten().min()
    }

    /// A round failed. Returns how long none is begun; `lot` is any number.
    pub(super) fn back_off(&mut self, now: Mono, lot: u64) -> Duration {
        let failures = self.backoff.map_or(0, |last| last.failures.get());
        let wait = BACKOFF_MIN.saturating_mul(1 << failures.min(16)).min(BACKOFF_MAX);
        let wait = wait * 3 / 4 + wait / 2 * u32::try_from(lot % 1_000).unwrap_or(0) / 1_000;
        let failures = NonZeroU8::MIN.saturating_add(failures);
        self.backoff = Some(Backoff { until: now + wait, failures });
        wait
    }
}

impl<A: Copy + Eq> Round<A> {
    pub(super) fn new(addresses: impl Iterator<Item = A>) -> Self {
        Self { is_meeting: false, waiting: addresses.collect(), running: Vec::new(), next_at: Mono(0) }
    }

    /// A round of both ends.
    pub(super) fn meeting(addresses: impl Iterator<Item = A>) -> Self {
        Self { is_meeting: true, ..Self::new(addresses) }
    }

    /// When the next address is tried; nothing where none is left.
    fn next_attempt(&self) -> Option<Mono> {
        (!self.waiting.is_empty()).then_some(self.next_at)
    }

    /// Whether it is time for the next address.
    pub(super) fn is_due(&self, now: Mono) -> bool {
        self.next_attempt().is_some_and(|at| at <= now)
    }

    /// The next address, which is tried from now on.
    pub(super) fn attempt(&mut self, attempt: AttemptId, now: Mono) -> Option<A> {
        let address = self.waiting.pop_front()?;
        self.running.push((attempt, address));
        self.next_at = now + STAGGER;
        Some(address)
    }

    /// Ends an attempt and returns where it was; nothing if it is none of this round's.
    pub(super) fn ended(&mut self, attempt: AttemptId) -> Option<A> {
        let place = self.running.iter().position(|(running, _)| *running == attempt)?;
        Some(self.running.swap_remove(place).1)
    }

    pub(super) fn next(&self) -> Next {
        match (self.waiting.is_empty(), self.running.is_empty()) {
            (false, _) => Next::Attempt,
            (true, false) => Next::Wait,
            (true, true) => Next::Failed,
        }
    }

    pub(super) fn running(&self) -> impl Iterator<Item = AttemptId> + '_ {
        self.running.iter().map(|(attempt, _)| *attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_to_its_bound_and_varies_by_a_quarter() {
        for (lot, share) in [(0, 0.75), (500, 1.0), (999, 1.25)] {
            let mut peer = Peer::<u32>::default();
            let waits = [(); 7].map(|()| peer.back_off(Mono(0), lot).as_secs_f64());
            for (wait, whole) in waits.into_iter().zip([0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]) {
                assert!((wait - whole * share).abs() < whole * 0.01, "{wait} for {whole} at {share}");
            }
        }
    }

    #[test]
    fn the_state_of_a_peer_is_small() {
        assert_eq!(size_of::<Peer<u32>>(), 144);
    }
}
