//! Messages of other nodes.

use super::effects::Effects;
use super::interface::Lane;
use super::mesh_core::MeshCore;
use crate::coords::{Coordinate, Observation};
use crate::defect::Defects;
use crate::fact::{Liveness, NodeState};
use crate::wire::{ProbeMessage, Suspicion, VerifiedMessage};
use hedgerow_attest::id::NodeId;
use std::time::Duration;

/// How often a member that is taken for down is told so when it is heard.
const TELL_EVERY: Duration = Duration::from_secs(1);

impl<D: Defects> MeshCore<D> {
    pub(super) fn receive(&mut self, fx: &mut Effects<'_>, from: NodeId, message: VerifiedMessage) {
        if !self.is_running() || from == self.config.me {
            return;
        }
        self.contacts.entry(from).heard = Some(fx.now);
        self.swim.heard(&from, fx.now, &mut self.findings);
        self.remote.heard(&from, fx.now);
        match message {
            VerifiedMessage::Probe(probe) => self.probe(fx, from, probe),
            VerifiedMessage::Exchange(exchange) => self.compare(fx, from, exchange),
            VerifiedMessage::Lease(lease) => self.lease(fx, from, *lease),
        }
        self.tell_if_down(fx, from);
    }

    fn probe(&mut self, fx: &mut Effects<'_>, from: NodeId, probe: ProbeMessage) {
        let me = self.config.me;
        match probe {
            ProbeMessage::Ping { nonce, belief, suspects } => {
                if belief.liveness != Liveness::Alive {
                    self.refute(fx, belief.incarnation, Some(from));
                }
                self.swim.shared_suspicions(from, &suspects, &me, &mut self.findings);
                self.acknowledge(fx, from, nonce);
            }
            ProbeMessage::Ack { nonce, incarnation: _, load, lease, suspects, at } => {
                let before = self.contacts.of(&from);
                if let Some(rtt_us) = self.contacts.acknowledged(from, nonce, load, fx.now) {
                    let after = self.contacts.of(&from);
                    if before.load != after.load || is_news(before.rtt.least_us(), after.rtt.least_us()) {
                        self.touch();
                    }
                    self.swim.acknowledged(fx, from, nonce);
                    if let Some(at) = at {
                        self.place_by(fx, from, &at, rtt_us);
                    }
                }
                self.swim.shared_suspicions(from, &suspects, &me, &mut self.findings);
                if let Some(hint) = lease {
                    self.heard_of_lease(fx, &hint);
                }
            }
            ProbeMessage::Ask { nonce, target } if target == me => self.acknowledge_for(fx, from, nonce),
            ProbeMessage::Ask { nonce, target } => self.swim.asked(fx, &mut self.contacts, from, nonce, target),
            ProbeMessage::Tell { nonce, target, reached } => {
                self.swim.told(from, nonce, target, reached, fx.now, &mut self.findings);
            }
        }
    }

    fn acknowledge(&self, fx: &mut Effects<'_>, to: NodeId, nonce: u64) {
        let ack = ProbeMessage::Ack {
            nonce,
            incarnation: self.own.incarnation,
            load: self.own.load(),
            lease: self.lease_hint(fx.now),
            suspects: self.swim.suspects(),
            at: Some(self.coords.own()),
        };
        fx.send(to, Lane::Probe, VerifiedMessage::Probe(ack));
    }

    /// This node's own measurement, and where the other end says that it lies, move this node's coordinate.
    fn place_by(&mut self, fx: &mut Effects<'_>, from: NodeId, at: &Coordinate, rtt_us: u64) {
        let draw = fx.random();
        match self.coords.observe(from, at, rtt_us, draw) {
            Observation::Moved { bounded: true, .. } => fx.sometimes("a coordinate was kept from moving farther"),
            Observation::Moved { bounded: false, .. } | Observation::Refused(_) => {}
        }
    }

    /// A member that looks for this node asks this node.
    fn acknowledge_for(&self, fx: &mut Effects<'_>, to: NodeId, nonce: u64) {
        let tell = ProbeMessage::Tell { nonce, target: self.config.me, reached: true };
        fx.send(to, Lane::Probe, VerifiedMessage::Probe(tell));
    }

    /// A member that speaks although it is taken for down has to hear of it: only its own signed word brings it back.
    fn tell_if_down(&mut self, fx: &mut Effects<'_>, from: NodeId) {
        let belief = if self.swim.peers().contains_key(&from) {
            self.swim.belief(&from)
        } else {
            let Some(peer) = self.remote.peer(&from) else { return };
            Suspicion { incarnation: peer.incarnation, liveness: peer.shown() }
        };
        let told = self.contacts.of(&from).told;
        if belief.liveness == Liveness::Down && told.is_none_or(|told| fx.now.since(told) >= TELL_EVERY) {
            self.contacts.entry(from).told = Some(fx.now);
            self.contacts.ping(fx, from, belief, Vec::new());
            fx.sometimes("a member that was taken for down spoke");
        }
    }

    pub(super) fn has_left(&self, node: &NodeId) -> bool {
        let near = self.swim.peers().get(node).map(|peer| peer.said);
        near.or_else(|| self.remote.peer(node).map(|peer| peer.said)) == Some(NodeState::Left)
    }
}

/// Whether a distance changed by so much that somebody may choose otherwise: a fifth.
fn is_news(before: Option<u64>, after: Option<u64>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => before.abs_diff(after) * 5 > before,
        (before, after) => before != after,
    }
}
