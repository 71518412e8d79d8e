//! Messages of other nodes.

use super::effects::Effects;
use super::exchange;
use super::interface::Lane;
use super::mesh_core::MeshCore;
use crate::coords::{Coordinate, Observation};
use crate::defect::Defects;
use crate::fact::{Accusation, FactKey, Liveness, NodeState};
use crate::membership::{Acknowledged, Sign};
use crate::time::Mono;
use crate::wire::{CellMark, CellNews, ProbeMessage, Suspicion, VerifiedMessage};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::signed::Verified;

impl<D: Defects> MeshCore<D> {
    pub(super) fn receive(&mut self, fx: &mut Effects<'_>, from: NodeId, message: VerifiedMessage) {
        if !self.is_running() || from == self.config.me || self.roster.revoked().contains(&from) {
            return;
        }
        self.hear(fx, from, sign(&message));
        match message {
            VerifiedMessage::Probe(probe) => self.probe(fx, from, probe),
            VerifiedMessage::Exchange(exchange) => self.compare(fx, from, exchange),
            VerifiedMessage::Lease(lease) => self.lease(fx, from, *lease),
            VerifiedMessage::Accusation(accusation) => self.accused(fx, from, *accusation),
            VerifiedMessage::Settled(settled) => self.settled_there(fx.now, from, settled),
        }
        self.tell_if_down(fx, from);
    }

    /// Something arrived from that node over its own link.
    pub(super) fn hear(&mut self, fx: &mut Effects<'_>, from: NodeId, sign: Sign) {
        self.contacts.heard(from, fx.now);
        self.swim.heard(fx, &mut self.contacts, &from, sign, &mut self.findings);
        self.remote.heard(&from, fx.now);
    }

    fn probe(&mut self, fx: &mut Effects<'_>, from: NodeId, probe: ProbeMessage) {
        let me = self.config.me;
        match probe {
            ProbeMessage::Ping { nonce, belief, cell, suspects } => {
                match belief.liveness {
                    Liveness::Alive => {}
                    // The acknowledgement says enough.
                    Liveness::Suspect => self.swim.doubted_self(),
                    Liveness::Down => self.refute(fx, belief.incarnation, [from]),
                }
                self.swim.shared_suspicions(from, &suspects);
                let cell = cell.filter(|_| self.swim.peers().contains_key(&from));
                self.acknowledge(fx, from, nonce, cell);
                if let Some(mark) = cell {
                    self.repair(fx, from, mark.charges);
                }
            }
            ProbeMessage::Ack { nonce, incarnation: _, load, cell, suspects, at, clock_ms } => {
                let before = self.contacts.of(&from);
                if let Some(Acknowledged { rtt_us }) = self.contacts.acknowledged(from, nonce, load, fx.now) {
                    let after = self.contacts.of(&from);
                    if before.load != after.load || is_news(before.rtt.least_us(), after.rtt.least_us()) {
                        self.touch();
                    }
                    self.swim.acknowledged(fx, from, nonce);
                    if let Some(rtt_us) = rtt_us {
                        if let Some(at) = at {
                            self.place_by(fx, from, &at, rtt_us);
                            self.note_place(from, at);
                        }
                        self.read_clock(fx, from, rtt_us, clock_ms);
                    }
                }
                self.swim.shared_suspicions(from, &suspects);
                if let Some(news) = cell.filter(|_| self.swim.peers().contains_key(&from)) {
                    let hint = news.lease.and_then(|lease| lease.in_full(self.lease_hint(fx.now)));
                    hint.iter().for_each(|hint| self.heard_of_lease(fx, hint));
                    self.repair(fx, from, news.charges);
                }
            }
            ProbeMessage::Ask { nonce, target } if target == me => self.acknowledge_for(fx, from, nonce),
            ProbeMessage::Ask { nonce, target } => self.swim.asked(fx, &mut self.contacts, from, nonce, target),
            ProbeMessage::Tell { nonce, target, reached } => {
                self.swim.told(from, nonce, target, reached, fx.now, &mut self.findings);
            }
            ProbeMessage::Opinion { about, belief } => {
                self.swim.hearsay(&about, belief.liveness, fx.now, &mut self.findings);
            }
        }
    }

    /// A member could not reach another and asks what is known here.
    fn accused(&mut self, fx: &mut Effects<'_>, from: NodeId, accusation: Verified<Accusation>) {
        let (about, incarnation) = (accusation.accused, accusation.incarnation);
        if about == self.config.me {
            return self.refute(fx, incarnation, [from]);
        }
        if !self.swim.peers().contains_key(&about) || !self.swim.peers().contains_key(&from) {
            return;
        }
        let reply = self.swim.accused(fx, &self.contacts, accusation, &mut self.findings);
        let belief = self.swim.belief(&about);
        let missed = belief.incarnation > incarnation || self.has_left(&about);
        match (self.facts.get(&FactKey::Record(about)).filter(|_| missed), reply) {
            (Some(record), _) => exchange::push(fx, from, [record]),
            (None, Some(reply)) => fx.send(from, Lane::Probe, VerifiedMessage::Accusation(Box::new(reply))),
            (None, None) => fx.send(from, Lane::Probe, VerifiedMessage::Probe(ProbeMessage::Opinion { about, belief })),
        }
    }

    /// What pings say of the own cell.
    pub(super) fn mark(&mut self, now: Mono) -> CellMark {
        let lease = self.lease_hint(now).map(|hint| hint.name());
        let charges = self.home.map_or(0, |cell| self.facts.charges(&cell));
        CellMark { lease, charges: self.exchange.mark(now, charges) }
    }

    /// Compares facts with a member of the cell that holds other accusations.
    fn repair(&mut self, fx: &mut Effects<'_>, with: NodeId, theirs: u16) {
        if self.exchange.is_to_repair(fx.now, theirs) {
            self.open_comparison(fx, with);
        }
    }

    fn acknowledge(&self, fx: &mut Effects<'_>, to: NodeId, nonce: u64, mark: Option<CellMark>) {
        let ack = ProbeMessage::Ack {
            nonce,
            incarnation: self.own.incarnation,
            load: self.own.load(),
            cell: mark.map(|mark| CellNews {
                lease: self.lease_hint(fx.now).map(|hint| hint.news_for(mark.lease)),
                charges: self.contacts.mark.charges,
            }),
            suspects: self.swim.suspects(),
            at: Some(self.coords.own()),
            clock_ms: fx.now.wrapping_millis(),
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
        let home = self.swim.peers().contains_key(&from);
        let belief = if home {
            self.swim.belief(&from)
        } else {
            let Some(peer) = self.remote.peer(&from) else { return };
            Suspicion { incarnation: peer.incarnation, liveness: peer.shown() }
        };
        if belief.liveness == Liveness::Down && self.contacts.is_to_be_told(from, fx.now) {
            if home {
                self.contacts.ping(fx, from, belief, Vec::new());
            } else {
                self.contacts.ping_abroad(fx, from, belief);
            }
            fx.sometimes("a member that was taken for down spoke");
        }
    }

    pub(super) fn has_left(&self, node: &NodeId) -> bool {
        let near = self.swim.peers().get(node).map(|peer| peer.said);
        near.or_else(|| self.remote.peer(node).map(|peer| peer.said)) == Some(NodeState::Left)
    }
}

/// What a message shows of the way to its sender and back.
fn sign(message: &VerifiedMessage) -> Sign {
    match message {
        VerifiedMessage::Probe(ProbeMessage::Ping { belief, .. }) if belief.liveness == Liveness::Alive => {
            Sign::Question
        }
        VerifiedMessage::Probe(ProbeMessage::Ping { .. }) => Sign::Doubt,
        VerifiedMessage::Probe(ProbeMessage::Ack { .. }) => Sign::Answer,
        VerifiedMessage::Probe(ProbeMessage::Ask { .. } | ProbeMessage::Tell { .. } | ProbeMessage::Opinion { .. })
        | VerifiedMessage::Exchange(_)
        | VerifiedMessage::Lease(_)
        | VerifiedMessage::Settled(_)
        | VerifiedMessage::Accusation(_) => Sign::Other,
    }
}

/// Whether a distance changed by so much that somebody may choose otherwise: a fifth.
fn is_news(before: Option<u64>, after: Option<u64>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => before.abs_diff(after) * 5 > before,
        (before, after) => before != after,
    }
}
