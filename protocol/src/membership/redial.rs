//! Members that are down are asked again: nobody else would, and both sides of a cut would stay apart.

use super::contacts::Contacts;
use super::members::Members;
use super::peer::Peer;
use crate::core::Effects;
use crate::fact::Liveness;
use crate::time::Mono;
use std::time::Duration;

/// Members of the cell that ask each member that is down, in every round.
const ASKERS: usize = 2;

/// Members that one node asks in one round at most.
const BATCH_MAX: usize = 8;

/// Time between rounds of a node that hears again from those whom it missed.
const RUSH: Duration = Duration::from_millis(250);

/// How long it counts that it heard from one of them.
const RUSH_LASTS: Duration = Duration::from_secs(2);

/// When to ask next.
#[derive(Debug)]
pub(super) struct Redial {
    period: Duration,
    next: Mono,
    /// When a member that is down was heard last.
    heard: Option<Mono>,
}

impl Redial {
    pub(super) fn new(period: Duration) -> Self {
        Self { period, next: Mono(0), heard: None }
    }

    /// A member that is down was heard. Perhaps this node was the one that was cut off: then nobody else tells the others
    /// that it missed them, and they come back by their own word only.
    pub(super) fn heard_again(&mut self, now: Mono) {
        self.heard = Some(now);
        self.next = self.next.min(now + RUSH);
    }

    pub(super) fn next_deadline(&self) -> Mono {
        self.next
    }

    pub(super) fn tick(&mut self, fx: &mut Effects<'_>, members: &Members, contacts: &mut Contacts) {
        if fx.now < self.next {
            return;
        }
        let rushes = self.heard.is_some_and(|heard| fx.now.since(heard) < RUSH_LASTS);
        let period = if rushes { RUSH } else { self.period };
        self.next = fx.now + period + fx.jitter(period / 4);
        if members.down() == 0 {
            return;
        }
        let is_down = |peer: &Peer| peer.is_staying() && peer.found == Liveness::Down;
        let count = if rushes || members.is_isolated() { BATCH_MAX } else { share(fx, members) };
        for (node, _) in members.around(fx).filter(|(_, peer)| is_down(peer)).take(count) {
            contacts.ping(fx, *node, members.belief(node), Vec::new());
        }
    }
}

/// How many of those that are down this node asks when it may count on the others: its share of [`ASKERS`] for each, the
/// remainder by lot.
fn share(fx: &mut Effects<'_>, members: &Members) -> usize {
    let (asked, alive) = (members.down() * ASKERS, members.alive());
    let by_lot = usize::from(fx.below(alive) < asked % alive);
    (asked / alive + by_lot).min(BATCH_MAX)
}
