//! What this node itself heard from others, wherever they are: the only first-hand evidence there is.

use super::rtt::RttWindow;
use crate::core::{Effects, Lane};
use crate::id::Incarnation;
use crate::node_map::NodeMap;
use crate::time::{Mono, micros};
use crate::wire::{CellMark, Load, ProbeMessage, Suspicion, VerifiedMessage};
use hedgerow_attest::id::NodeId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How long the acknowledgement of a ping still measures a round trip.
const PING_LIFE: Duration = Duration::from_secs(10);

/// Pings that are remembered; the oldest is forgotten for the next.
const PINGS_MAX: usize = 1024;

/// How often a member that is taken for down is told so when it is heard.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Nodes without a link whose addresses the transport is told in one step.
const UNLINKED_MAX: usize = 16;

/// Members whose telling is remembered; beyond that some are told more often.
const TOLD_MAX: usize = 128;

/// One node's traces. Every node keeps one for every other that it ever heard, so it is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Contact {
    /// One more than the reading of the clock when anything arrived from it last; 0 when nothing did.
    heard: u64,
    /// How far away it is.
    pub(crate) rtt: RttWindow,
    /// What its last acknowledgement said.
    pub(crate) load: Load,
    /// One more than the reading of the clock when that arrived; 0 when nothing did.
    loaded: u64,
    /// Whether the transport has a link to it.
    linked: bool,
}

impl Contact {
    /// Whether the transport has a link to it.
    pub(crate) fn is_linked(&self) -> bool {
        self.linked
    }

    /// When its last acknowledgement arrived.
    pub(crate) fn loaded(&self) -> Option<Mono> {
        self.loaded.checked_sub(1).map(Mono)
    }

    /// When anything arrived from it last.
    pub(crate) fn heard(&self) -> Option<Mono> {
        self.heard.checked_sub(1).map(Mono)
    }
}

/// A ping whose acknowledgement is awaited.
#[derive(Debug, Clone, Copy)]
struct Ping {
    to: NodeId,
    sent: Mono,
    open: bool,
    /// Whether there was a link when it was sent: else it waited for a dial, and its time is no round trip.
    measures: bool,
}

/// What an acknowledgement of a ping of this node's own shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    /// The round trip in microseconds, where it measures one.
    pub(crate) rtt_us: Option<u64>,
}

/// Everybody's traces.
#[derive(Debug, Default)]
pub(crate) struct Contacts {
    nodes: NodeMap<Contact>,
    /// In the order in which they were sent: their nonces count up from that of the first.
    pings: VecDeque<Ping>,
    first_nonce: u64,
    told: BTreeMap<NodeId, Mono>,
    links: usize,
    /// To whom something was sent without a link, in this step.
    unlinked: BTreeSet<NodeId>,
    /// What pings to members of the own cell say of it.
    pub(crate) mark: CellMark,
}

impl Contacts {
    pub(crate) fn of(&self, node: &NodeId) -> Contact {
        self.nodes.get(node).copied().unwrap_or_default()
    }

    pub(crate) fn entry(&mut self, node: NodeId) -> &mut Contact {
        self.nodes.entry(node, Contact::default)
    }

    /// Something arrived from that node over its own link.
    pub(crate) fn heard(&mut self, node: NodeId, now: Mono) {
        self.entry(node).heard = now.0.saturating_add(1);
    }

    /// The transport made its first link to that node, or lost the last.
    pub(crate) fn set_linked(&mut self, node: NodeId, linked: bool) {
        let contact = self.entry(node);
        let before = std::mem::replace(&mut contact.linked, linked);
        self.links = self.links + usize::from(linked) - usize::from(before);
    }

    /// To whom the transport has a link.
    pub(crate) fn linked(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes.iter().filter(|(_, contact)| contact.linked).map(|(node, _)| *node)
    }

    /// Nodes to which the transport has a link.
    pub(crate) fn links(&self) -> usize {
        self.links
    }

    /// Something is sent to that node: if there is no link the transport has to hear where it is.
    pub(crate) fn reach(&mut self, node: NodeId) {
        let linked = self.nodes.get(&node).is_some_and(|contact| contact.linked);
        if !linked && self.unlinked.len() < UNLINKED_MAX {
            self.unlinked.insert(node);
        }
    }

    /// Nodes to which something was sent without a link.
    pub(crate) fn take_unlinked(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.unlinked)
    }

    /// It is a member no longer.
    pub(crate) fn dismiss(&mut self, node: &NodeId) {
        if self.nodes.remove(node).is_some_and(|contact| contact.linked) {
            self.links -= 1;
        }
        self.told.remove(node);
    }

    /// Sends a ping to a member of the own cell and returns its nonce.
    pub(crate) fn ping(
        &mut self,
        fx: &mut Effects<'_>,
        to: NodeId,
        belief: Suspicion,
        suspects: Vec<(NodeId, Incarnation)>,
    ) -> u64 {
        let nonce = self.expect(fx, to);
        let cell = Some(self.mark);
        fx.send(to, Lane::Probe, VerifiedMessage::Probe(ProbeMessage::Ping { nonce, belief, cell, suspects }));
        nonce
    }

    /// Sends a ping to a node of another cell.
    pub(crate) fn ping_abroad(&mut self, fx: &mut Effects<'_>, to: NodeId, belief: Suspicion) {
        let nonce = self.expect(fx, to);
        let ping = ProbeMessage::Ping { nonce, belief, cell: None, suspects: Vec::new() };
        fx.send(to, Lane::Probe, VerifiedMessage::Probe(ping));
    }

    /// Expects the acknowledgement of a ping that is about to be sent; returns its nonce.
    fn expect(&mut self, fx: &mut Effects<'_>, to: NodeId) -> u64 {
        let over = |ping: &Ping| !ping.open || fx.now.since(ping.sent) >= PING_LIFE;
        while self.pings.len() >= PINGS_MAX || self.pings.front().is_some_and(over) {
            self.pings.pop_front();
            self.first_nonce += 1;
        }
        if self.first_nonce == 0 {
            // Starts anywhere, so that an acknowledgement for an earlier run measures nothing, and low, so that it is short.
            self.first_nonce = (fx.random() >> NONCE_START_SHIFT) | 1;
        }
        let nonce = self.first_nonce + u64::try_from(self.pings.len()).unwrap_or(0);
        let measures = self.nodes.get(&to).is_some_and(|contact| contact.linked);
        self.pings.push_back(Ping { to, sent: fx.now, open: true, measures });
        self.reach(to);
        nonce
    }

    /// Takes an acknowledgement. `None` when it answers no ping of ours to that node.
    pub(crate) fn acknowledged(&mut self, from: NodeId, nonce: u64, load: Load, now: Mono) -> Option<Acknowledged> {
        let index = usize::try_from(nonce.checked_sub(self.first_nonce)?).ok()?;
        let ping = self.pings.get_mut(index).filter(|ping| ping.open && ping.to == from)?;
        ping.open = false;
        let rtt_us = ping.measures.then(|| micros(now.since(ping.sent)).max(1));
        let contact = self.entry(from);
        contact.load = load;
        contact.loaded = now.0.saturating_add(1);
        if let Some(rtt_us) = rtt_us {
            contact.rtt.measured(rtt_us);
        }
        Some(Acknowledged { rtt_us })
    }

    /// How long an answer of that node may take, given a grace beyond its round trip.
    pub(crate) fn patience(&self, node: &NodeId, grace: Duration) -> Duration {
        let rtt = self.nodes.get(node).and_then(|contact| contact.rtt.least_us()).unwrap_or(RTT_UNKNOWN_US);
        grace + Duration::from_micros(rtt.min(RTT_PATIENCE_US))
    }

    /// Whether it is time to tell a member again that it is taken for down; it is then taken for told.
    pub(crate) fn is_to_be_told(&mut self, node: NodeId, now: Mono) -> bool {
        if self.told.get(&node).is_some_and(|told| now.since(*told) < TELL_EVERY) {
            return false;
        }
        if self.told.len() >= TOLD_MAX {
            self.told.retain(|_, told| now.since(*told) < TELL_EVERY);
        }
        if self.told.len() < TOLD_MAX {
            self.told.insert(node, now);
        }
        true
    }
}

/// Leaves 28 bits of a random number: four bytes on the wire.
const NONCE_START_SHIFT: u32 = 36;

/// Assumed until a round trip was measured, in microseconds.
const RTT_UNKNOWN_US: u64 = 50_000;

/// A node cannot make its observers wait longer than this for each answer, in microseconds.
const RTT_PATIENCE_US: u64 = 400_000;

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::SeedableRng as _;

    /// The round trip that an acknowledgement measures half a second after its ping, and how long the next answer may take.
    fn measured(linked: bool) -> (Option<Acknowledged>, Duration) {
        let (mut contacts, to) = (Contacts::default(), NodeId::from_bytes([1; 32]));
        contacts.set_linked(to, linked);
        let mut rng = rand_chacha::ChaCha8Rng::from_seed([1; 32]);
        let (mut out, mut token) = (Vec::new(), crate::id::Token(0));
        let mut cx = crate::machine::Cx { now: Mono(0), wall: crate::time::Wall(0), rng: &mut rng, out: &mut out };
        let belief = Suspicion { incarnation: Incarnation(1), liveness: crate::fact::Liveness::Alive };
        let nonce = contacts.ping(&mut Effects::new(&mut cx, &mut token), to, belief, Vec::new());
        let acknowledged = contacts.acknowledged(to, nonce, Load::default(), Mono(500_000));
        (acknowledged, contacts.patience(&to, Duration::ZERO))
    }

    #[test]
    fn a_ping_that_waited_for_a_dial_measures_nothing() {
        assert_eq!(measured(true), (Some(Acknowledged { rtt_us: Some(500_000) }), Duration::from_millis(400)));
        assert_eq!(measured(false), (Some(Acknowledged { rtt_us: None }), Duration::from_millis(50)));
    }

    #[test]
    fn the_traces_of_one_node_are_few() {
        assert_eq!(size_of::<Contact>(), 64);
    }
}
