//! The probing of the own cell.

use super::config::SwimConfig;
use super::contacts::Contacts;
use super::peer::{Found, Peer};
use crate::core::{Effects, Lane};
use crate::defect::{Defect, Defects, Sound};
use crate::fact::{Liveness, NodeState};
use crate::id::Incarnation;
use crate::time::Mono;
use crate::wire::{ProbeMessage, SUSPECTS_MAX, Suspicion, VerifiedMessage};
use hedgerow_attest::id::NodeId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Lifeguard's bound on how much slower a node that doubts itself probes.
pub(super) const LOCAL_HEALTH_MAX: u32 = 8;

/// Sharers of a suspicion that make it certain enough (Lifeguard's `K`).
const SHARERS_ENOUGH: usize = 2;

/// Members that are down and asked again in one round; the list rotates.
const REDIAL_BATCH: usize = 8;

/// What was found out in a step, for the core to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// A member is to be seen otherwise.
    Changed(NodeId),
    /// This node verified that a member does not answer; say so.
    Accuse(NodeId, Incarnation),
    /// Somebody doubts this node at that incarnation; say otherwise.
    Doubted(Incarnation),
}

/// One probe of this node's own, from the ping to the verdict.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) target: NodeId,
    pub(super) nonce: u64,
    pub(super) answered: bool,
    ask_at: Mono,
    ends_at: Mono,
    asked: usize,
    pub(super) refuted: BTreeSet<NodeId>,
}

/// A probe on behalf of another.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) ping: u64,
    pub(super) target: NodeId,
    pub(super) origin: NodeId,
    pub(super) nonce: u64,
    pub(super) gives_up: Mono,
}

/// The members of the own cell, and the probes that are under way.
#[derive(Debug)]
pub(crate) struct Swim<D = Sound> {
    pub(super) defects: D,
    pub(super) config: SwimConfig,
    pub(super) peers: BTreeMap<NodeId, Peer>,
    pub(super) round: Option<Round>,
    pub(super) relays: Vec<Relay>,
    /// Members to probe before the turn of the others.
    pub(super) urgent: VecDeque<NodeId>,
    /// The rest of this turn, in random order (SWIM, section 4.3).
    turn: Vec<NodeId>,
    next_round: Mono,
    next_redial: Mono,
    redial_after: Option<NodeId>,
    pub(super) local_health: u32,
}

impl<D: Defects> Swim<D> {
    pub(crate) fn new(config: SwimConfig, defects: D) -> Self {
        Self {
            defects,
            config,
            peers: BTreeMap::new(),
            round: None,
            relays: Vec::new(),
            urgent: VecDeque::new(),
            turn: Vec::new(),
            next_round: Mono(0),
            next_redial: Mono(0),
            redial_after: None,
            local_health: 0,
        }
    }

    pub(crate) fn peers(&self) -> &BTreeMap<NodeId, Peer> {
        &self.peers
    }

    pub(crate) fn tick(&mut self, fx: &mut Effects<'_>, contacts: &mut Contacts, findings: &mut Vec<Finding>) {
        self.follow_round(fx, findings);
        if fx.now >= self.next_round {
            self.start_round(fx, contacts);
            self.next_round = fx.now + self.config.period * (1 + self.local_health);
        }
        self.give_up_relays(fx);
        self.ripen(fx, contacts, findings);
        if fx.now >= self.next_redial {
            self.redial(fx, contacts);
            let pause = if self.is_isolated() { self.config.redial_fast } else { self.config.redial };
            self.next_redial = fx.now + pause + fx.jitter(pause / 4);
        }
    }

    pub(crate) fn next_deadline(&self) -> Mono {
        let round = self.round.iter().map(|round| if round.asked == 0 { round.ask_at } else { round.ends_at });
        let relays = self.relays.iter().map(|relay| relay.gives_up);
        let peers = self.peers.values().filter_map(|peer| match &peer.found {
            Found::Suspect { since, sharers } => Some(*since + self.suspicion(sharers.len())),
            Found::Verifying { next, .. } => Some(*next),
            Found::Alive | Found::Down => None,
        });
        let fixed = self.next_round.min(self.next_redial);
        round.chain(relays).chain(peers).fold(fixed, Mono::min)
    }

    /// Whether this node sees less than half of its cell, itself counted.
    pub(crate) fn is_isolated(&self) -> bool {
        let staying = self.peers.values().filter(|peer| peer.is_staying()).count() + 1;
        let alive = self.peers.values().filter(|peer| peer.found == Found::Alive).count() + 1;
        alive * 2 < staying
    }

    /// What this node believes about a member, as a ping tells it.
    pub(crate) fn belief(&self, node: &NodeId) -> Suspicion {
        self.peers
            .get(node)
            .map_or(UNDOUBTED, |peer| Suspicion { incarnation: peer.incarnation, liveness: peer.found.liveness() })
    }

    /// Members that this node itself could not reach, a few.
    pub(crate) fn suspects(&self) -> Vec<(NodeId, Incarnation)> {
        let doubted = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.found.liveness() == Liveness::Suspect && peer.said != NodeState::Stopping);
        doubted.map(|(node, peer)| (*node, peer.incarnation)).take(SUSPECTS_MAX).collect()
    }

    /// For how long a member is suspected before it is verified (Lifeguard, section IV-B, with its `K` no larger than the
    /// number of others who could share the suspicion).
    fn suspicion(&self, sharers: usize) -> Duration {
        let staying = self.peers.values().filter(|peer| peer.is_staying()).count() + 1;
        let decades = staying.ilog10().max(1);
        let least = self.config.period * (self.config.suspicion_alpha * decades);
        let observers = self.peers.values().filter(|peer| peer.is_observer()).count();
        let enough = SHARERS_ENOUGH.min(observers);
        if sharers >= enough {
            return least;
        }
        // Between the longest and the least: nobody, one, or two others agree. ln 2 / ln 3 is 0.63.
        let longest = least * self.config.suspicion_beta;
        if sharers == 0 { longest } else { longest - (longest - least) * 63 / 100 }
    }

    fn follow_round(&mut self, fx: &mut Effects<'_>, findings: &mut Vec<Finding>) {
        let Some(mut round) = self.round.take() else { return };
        if round.answered {
            self.local_health = self.local_health.saturating_sub(1);
            return;
        }
        if round.asked == 0 && fx.now >= round.ask_at {
            round.asked = self.ask_others(fx, &round).max(1);
        }
        if fx.now < round.ends_at {
            self.round = Some(round);
            return;
        }
        // Others who did not even say that they failed mean that the fault may be here (Lifeguard, section IV-A).
        if round.refuted.is_empty() && self.observers(&round.target).next().is_some() {
            self.local_health = (self.local_health + 1).min(LOCAL_HEALTH_MAX);
        }
        self.doubt(round.target, round.refuted, fx.now, findings);
    }

    fn ask_others(&self, fx: &mut Effects<'_>, round: &Round) -> usize {
        let mut helpers: Vec<NodeId> = self.observers(&round.target).collect();
        fx.shuffle(&mut helpers);
        helpers.truncate(self.config.indirect);
        for helper in &helpers {
            let ask = ProbeMessage::Ask { nonce: round.nonce, target: round.target };
            fx.send(*helper, Lane::Probe, VerifiedMessage::Probe(ask));
        }
        helpers.len()
    }

    fn observers<'a>(&'a self, target: &'a NodeId) -> impl Iterator<Item = NodeId> + 'a {
        self.peers.iter().filter(move |(node, peer)| *node != target && peer.is_observer()).map(|(node, _)| *node)
    }

    fn start_round(&mut self, fx: &mut Effects<'_>, contacts: &mut Contacts) {
        let Some(target) = self.next_target(fx) else { return };
        let (belief, suspects) = (self.belief(&target), self.suspects());
        let nonce = contacts.ping(fx, target, belief, suspects);
        let span = self.config.period * (1 + self.local_health);
        let patience = contacts.patience(&target, self.config.timeout) * (1 + self.local_health);
        self.round = Some(Round {
            target,
            nonce,
            answered: false,
            ask_at: fx.now + patience.min(span * 3 / 5),
            ends_at: fx.now + span,
            asked: 0,
            refuted: BTreeSet::new(),
        });
    }

    fn next_target(&mut self, fx: &mut Effects<'_>) -> Option<NodeId> {
        let probed = |peers: &BTreeMap<NodeId, Peer>, node: &NodeId| {
            peers.get(node).is_some_and(|peer| peer.is_staying() && peer.found != Found::Down)
        };
        while let Some(node) = self.urgent.pop_front() {
            if probed(&self.peers, &node) {
                return Some(node);
            }
        }
        if !self.turn.iter().any(|node| probed(&self.peers, node)) {
            self.turn = self.peers.keys().copied().collect();
            fx.shuffle(&mut self.turn);
        }
        while let Some(node) = self.turn.pop() {
            if probed(&self.peers, &node) {
                return Some(node);
            }
        }
        None
    }

    fn give_up_relays(&mut self, fx: &mut Effects<'_>) {
        let now = fx.now;
        for relay in self.relays.extract_if(.., |relay| now >= relay.gives_up) {
            let tell = ProbeMessage::Tell { nonce: relay.nonce, target: relay.target, reached: false };
            fx.send(relay.origin, Lane::Probe, VerifiedMessage::Probe(tell));
        }
    }

    /// Suspicions that ran out are verified, verifications that ran out are verdicts.
    fn ripen(&mut self, fx: &mut Effects<'_>, contacts: &mut Contacts, findings: &mut Vec<Finding>) {
        let due: Vec<NodeId> =
            self.peers.iter().filter(|(_, peer)| self.is_due(peer, fx.now)).map(|(n, _)| *n).collect();
        for node in due {
            let belief = Suspicion { liveness: Liveness::Suspect, ..self.belief(&node) };
            let Some(peer) = self.peers.get_mut(&node) else { continue };
            let sent = if let Found::Verifying { sent, .. } = peer.found { sent } else { 0 };
            if sent < self.config.verify_probes && !self.defects.has(Defect::SkippedVerification) {
                contacts.ping(fx, node, belief, Vec::new());
                let patience = contacts.patience(&node, self.config.timeout) * (1 + self.local_health);
                peer.found = Found::Verifying { sent: sent + 1, next: fx.now + patience };
            } else {
                peer.found = Found::Down;
                findings.push(Finding::Changed(node));
                if peer.said != NodeState::Stopping {
                    findings.push(Finding::Accuse(node, peer.incarnation));
                }
            }
        }
    }

    fn is_due(&self, peer: &Peer, now: Mono) -> bool {
        match &peer.found {
            Found::Suspect { since, sharers } => now >= *since + self.suspicion(sharers.len()),
            Found::Verifying { next, .. } => now >= *next,
            Found::Alive | Found::Down => false,
        }
    }

    /// Asks members that are down whether they are still: nobody else would, and both sides of a cut would stay apart.
    fn redial(&mut self, fx: &mut Effects<'_>, contacts: &mut Contacts) {
        let down: Vec<NodeId> = self.down().collect();
        let after = self.redial_after.unwrap_or(NodeId::from_bytes([0; 32]));
        let (before, later): (Vec<NodeId>, Vec<NodeId>) = down.into_iter().partition(|node| *node <= after);
        for node in later.into_iter().chain(before).take(REDIAL_BATCH) {
            contacts.ping(fx, node, self.belief(&node), Vec::new());
            self.redial_after = Some(node);
        }
    }

    /// Members that are down and may come back.
    pub(crate) fn down(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.peers.iter().filter(|(_, peer)| peer.is_staying() && peer.found == Found::Down).map(|(node, _)| *node)
    }
}

/// What a ping says to a node about which nothing is believed.
pub(crate) const UNDOUBTED: Suspicion = Suspicion { incarnation: Incarnation(0), liveness: Liveness::Alive };
