//! From a relayed link to a direct one.
//!
//! After `DCUtR` (Direct Connection Upgrade through Relay, libp2p specification, revision 1): over the relayed connection both ends
//! tell each other where they may be seen, and agree on a moment at which they dial each other, so that the first packet of
//! each has opened its own translator or firewall when that of the other arrives. When to try is decided here; what is told is
//! up to whoever drives the machine.

use super::interface::LinkOutput;
use super::limits::{ADDRESSES_MAX, MEET_MAX, MEET_MIN, ROUNDS_MAX};
use super::links::{Links, Step};
use super::peer::{Dialling, Peer, Round};
use super::relayed::Address;
use crate::time::Mono;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

/// When the ends of a relayed link try to meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Upgrade {
    pub(super) at: Mono,
    /// The wait after that.
    wait: Duration,
}

impl<A: Address> Peer<A> {
    /// The link changed. The first attempt to meet is made `first` from now; only the end that dialled asks for it.
    pub(super) fn plan_upgrade(&mut self, now: Mono, first: Duration) {
        let asks = self.link.is_some_and(|link| link.is_relayed() && link.dialled);
        if !asks {
            self.upgrade = None;
        } else if self.upgrade.is_none() {
            self.upgrade = Some(Box::new(Upgrade { at: now + first, wait: MEET_MIN }));
        }
    }
}

impl<K: Copy + Ord + Debug + Hash, A: Address> Links<K, A> {
    /// Asks for a meeting, if it is time for one.
    pub(super) fn ask_to_meet(&mut self, cx: Step<'_, '_, K, A>, peer: K) {
        let Some(known) = self.peer_mut(&peer) else { return };
        let Some(upgrade) = known.upgrade.as_deref_mut().filter(|upgrade| upgrade.at <= cx.now) else { return };
        *upgrade = Upgrade { at: cx.now + upgrade.wait, wait: (upgrade.wait * 2).min(MEET_MAX) };
        let Some(link) = known.link else { return };
        cx.out.push(LinkOutput::Meet { peer, connection: link.connected.connection });
    }

    /// Dials a peer at all of these addresses at once. Nothing comes of it for one to whom the link is direct, or who is being
    /// dialled: a peer that asks for many meetings has no more packets sent than one that asks for one.
    pub(super) fn meet(&mut self, cx: Step<'_, '_, K, A>, peer: K, addresses: &[A]) {
        let rounds = self.rounds;
        let Some(known) = self.peer_mut(&peer) else { return };
        let is_relayed = known.link.is_some_and(|link| link.is_relayed());
        let mut direct: Vec<A> = addresses.iter().copied().filter(|address| !address.is_relayed()).collect();
        direct.truncate(ADDRESSES_MAX);
        if !is_relayed || known.dialling != Dialling::No || rounds >= ROUNDS_MAX || direct.is_empty() {
            return;
        }
        known.dialling = Dialling::Round(Box::new(Round::new(direct.iter().copied())));
        self.rounds += 1;
        for _ in direct {
            self.attempt(cx, peer);
        }
    }
}

#[cfg(test)]
#[path = "upgrade_tests.rs"]
mod tests;
