//! From a relayed link to a direct one.
//!
//! After `DCUtR` (Direct Connection Upgrade through Relay, libp2p specification, revision 1): over the relayed connection both ends
//! tell each other where they may be seen, and agree on a moment at which they dial each other, so that the first packet of
//! each has opened its own translator or firewall when that of the other arrives. When to try is decided here; what is told is
//! up to whoever drives the machine.

use super::interface::LinkOutput;
use super::limits::{ADDRESSES_MAX, MEET_MAX, MEET_MIN, MEETINGS_MAX, SETTLED};
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
    stage: Stage,
    /// The wait after the next attempt.
    wait: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    /// The next attempt is made then.
    Asks { at: Mono },
    /// There has been no relayed link that this node dialled since then.
    Rests { since: Mono },
}

impl Upgrade {
    /// When something is to be done.
    pub(super) fn due(&self) -> Option<Mono> {
        match self.stage {
            Stage::Asks { at } => Some(at),
            Stage::Rests { .. } => None,
        }
    }
}

impl<A: Address> Peer<A> {
    /// The link changed. Only the end that dialled asks for a meeting: at once, but where a direct link broke soon after the last
    /// one no sooner than before. A way that lets a handshake through and nothing after it would be tried for ever.
    pub(super) fn plan_upgrade(&mut self, now: Mono) {
        let asks = self.link.is_some_and(|link| link.is_relayed() && link.dialled);
        match (self.upgrade.as_deref_mut(), asks) {
            (None, false) => {}
            (None, true) => self.upgrade = Some(Box::new(Upgrade { stage: Stage::Asks { at: now }, wait: MEET_MIN })),
            (Some(upgrade), false) => {
                if let Stage::Asks { .. } = upgrade.stage {
                    upgrade.stage = Stage::Rests { since: now };
                }
            }
            (Some(upgrade), true) => {
                if let Stage::Rests { since } = upgrade.stage {
                    let is_settled = now.since(since) >= SETTLED;
                    let (at, wait) = if is_settled { (now, MEET_MIN) } else { (now + upgrade.wait, upgrade.wait) };
                    *upgrade = Upgrade { stage: Stage::Asks { at }, wait };
                }
            }
        }
    }
}

impl<K: Copy + Ord + Debug + Hash, A: Address> Links<K, A> {
    /// Asks for a meeting, if it is time for one.
    pub(super) fn ask_to_meet(&mut self, cx: Step<'_, '_, K, A>, peer: K) {
        let Some(known) = self.peer_mut(&peer) else { return };
        let Some(upgrade) = known.upgrade.as_deref_mut() else { return };
        if upgrade.due().is_none_or(|at| cx.now < at) {
            return;
        }
        *upgrade = Upgrade { stage: Stage::Asks { at: cx.now + upgrade.wait }, wait: (upgrade.wait * 2).min(MEET_MAX) };
        let Some(link) = known.link else { return };
        cx.out.push(LinkOutput::Meet { peer, connection: link.connected.connection });
    }

    /// Dials a peer at all of these addresses at once. Nothing comes of it for one to whom the link is direct, or who is being
    /// dialled, or while many meet: a peer that asks for many meetings has no more packets sent than one that asks for one, and
    /// keeps no other from being dialled.
    pub(super) fn meet(&mut self, cx: Step<'_, '_, K, A>, peer: K, addresses: &[A]) {
        let meetings = self.meetings;
        let Some(known) = self.peer_mut(&peer) else { return };
        let is_relayed = known.link.is_some_and(|link| link.is_relayed());
        let mut direct: Vec<A> = Vec::new();
        for address in addresses.iter().filter(|address| !address.is_relayed()) {
            if direct.len() < ADDRESSES_MAX && !direct.contains(address) {
                direct.push(*address);
            }
        }
        if !is_relayed || known.dialling != Dialling::No || meetings >= MEETINGS_MAX || direct.is_empty() {
            return;
        }
        known.dialling = Dialling::Round(Box::new(Round::meeting(direct.iter().copied())));
        self.meetings += 1;
        for _ in direct {
            self.attempt(cx, peer);
        }
    }
}

#[cfg(test)]
#[path = "upgrade_tests.rs"]
mod tests;
