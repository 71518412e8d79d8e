//! What the probing of the own cell learns from outside.

use super::contacts::Contacts;
use super::peer::{Found, Peer};
use super::swim::{Finding, LOCAL_HEALTH_MAX, Relay, Swim, UNDOUBTED};
use crate::core::{Effects, Lane};
use crate::defect::Defects;
use crate::fact::{Accusation, NodeRecord, NodeState};
use crate::id::Incarnation;
use crate::time::Mono;
use crate::wire::{ProbeMessage, VerifiedMessage};
use hedgerow_attest::id::NodeId;
use std::collections::BTreeSet;

/// Probes on behalf of others that may be under way.
const RELAYS_MAX: usize = 64;

/// Members to probe out of turn that may wait.
const URGENT_MAX: usize = 32;

/// Share of a period after which a helper says that it failed (Lifeguard's nack, at 80 % of the time).
const NACK_PERCENT: u32 = 60;

impl<D: Defects> Swim<D> {
    /// The record of a member of this cell, which the member signed. It opens the way back from down; alive it is when
    /// it is heard.
    pub(crate) fn record(&mut self, record: &NodeRecord, now: Mono, findings: &mut Vec<Finding>) {
        let newcomer = Peer {
            incarnation: record.incarnation,
            said: record.state,
            found: Found::doubted(now),
            away_since: None,
            serves_since: None,
        };
        let known = self.peers.contains_key(&record.node);
        let peer = self.peers.entry(record.node).or_insert(newcomer);
        let returned = record.incarnation > peer.incarnation && peer.found != Found::Alive;
        peer.incarnation = peer.incarnation.max(record.incarnation);
        peer.said = record.state;
        if returned {
            peer.found = Found::doubted(now);
        }
        peer.settle(now);
        if (returned || !known) && self.urgent.len() < URGENT_MAX {
            self.urgent.push_back(record.node);
        }
        findings.push(Finding::Changed(record.node));
    }

    /// It is a member no longer.
    pub(crate) fn dismiss(&mut self, node: &NodeId) {
        self.peers.remove(node);
    }

    /// A packet arrived from that member over its own link.
    pub(crate) fn heard(&mut self, node: &NodeId, now: Mono, findings: &mut Vec<Finding>) {
        let Some(peer) = self.peers.get_mut(node) else { return };
        match peer.found {
            Found::Suspect { .. } | Found::Verifying { .. } => {
                peer.found = Found::Alive;
                peer.settle(now);
                findings.push(Finding::Changed(*node));
            }
            Found::Alive | Found::Down => {}
        }
    }

    /// Nobody answered this node's probe of that member, neither directly nor through those who say so.
    pub(super) fn doubt(&mut self, node: NodeId, sharers: BTreeSet<NodeId>, now: Mono, findings: &mut Vec<Finding>) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        match &mut peer.found {
            Found::Alive => {
                peer.found = Found::Suspect { since: now, sharers };
                peer.settle(now);
                findings.push(Finding::Changed(node));
            }
            Found::Suspect { sharers: known, .. } => known.extend(sharers),
            Found::Verifying { .. } | Found::Down => {}
        }
    }

    /// The transport lost its last link to that member: a reason to ask it at once, and no more.
    pub(crate) fn link_lost(&mut self, node: NodeId) {
        if self.urgent.len() < URGENT_MAX && !self.urgent.contains(&node) {
            self.urgent.push_back(node);
        }
    }

    /// Members that `from` could not reach itself.
    pub(crate) fn shared_suspicions(
        &mut self,
        from: NodeId,
        suspects: &[(NodeId, Incarnation)],
        me: &NodeId,
        findings: &mut Vec<Finding>,
    ) {
        for (node, incarnation) in suspects {
            if node == me {
                findings.push(Finding::Doubted(*incarnation));
                continue;
            }
            let Some(peer) = self.peers.get_mut(node).filter(|peer| peer.incarnation <= *incarnation) else { continue };
            match &mut peer.found {
                Found::Suspect { sharers, .. } => {
                    sharers.insert(from);
                }
                Found::Alive if self.urgent.len() < URGENT_MAX && !self.urgent.contains(node) => {
                    self.urgent.push_back(*node);
                }
                Found::Alive | Found::Verifying { .. } | Found::Down => {}
            }
        }
    }

    /// Another member verified that this one does not answer. This node asks for itself before it agrees.
    pub(crate) fn accused(&mut self, accusation: &Accusation, now: Mono, findings: &mut Vec<Finding>) {
        let Some(peer) = self.peers.get_mut(&accusation.accused) else { return };
        let doubted = matches!(peer.found, Found::Alive | Found::Suspect { .. });
        if !doubted || accusation.incarnation < peer.incarnation || peer.said == NodeState::Left {
            return;
        }
        peer.found = Found::Verifying { sent: 0, next: now };
        peer.settle(now);
        findings.push(Finding::Changed(accusation.accused));
    }

    /// An acknowledgement of one of this node's pings arrived.
    pub(crate) fn acknowledged(&mut self, fx: &mut Effects<'_>, from: NodeId, nonce: u64) {
        if let Some(round) = self.round.as_mut().filter(|round| round.target == from && round.nonce == nonce) {
            round.answered = true;
        }
        for relay in self.relays.extract_if(.., |relay| relay.ping == nonce && relay.target == from) {
            let tell = ProbeMessage::Tell { nonce: relay.nonce, target: relay.target, reached: true };
            fx.send(relay.origin, Lane::Probe, VerifiedMessage::Probe(tell));
        }
    }

    /// A member asks to have another probed.
    pub(crate) fn asked(
        &mut self,
        fx: &mut Effects<'_>,
        contacts: &mut Contacts,
        from: NodeId,
        nonce: u64,
        target: NodeId,
    ) {
        if self.relays.len() >= RELAYS_MAX || !self.peers.contains_key(&target) {
            return;
        }
        let ping = contacts.ping(fx, target, UNDOUBTED, Vec::new());
        let gives_up = fx.now + self.config.period * NACK_PERCENT / 100;
        self.relays.push(Relay { ping, target, origin: from, nonce, gives_up });
    }

    /// What a helper found out.
    pub(crate) fn told(
        &mut self,
        from: NodeId,
        nonce: u64,
        target: NodeId,
        reached: bool,
        now: Mono,
        findings: &mut Vec<Finding>,
    ) {
        let Some(round) = self.round.as_mut().filter(|round| round.nonce == nonce && round.target == target) else {
            return;
        };
        if reached {
            round.answered = true;
            self.heard(&target, now, findings);
        } else {
            round.refuted.insert(from);
        }
    }

    /// This node was doubted although it lives: a sign that it, or its network, is slow (Lifeguard, section IV-A).
    pub(crate) fn doubted_self(&mut self) {
        self.local_health = (self.local_health + 1).min(LOCAL_HEALTH_MAX);
    }
}
