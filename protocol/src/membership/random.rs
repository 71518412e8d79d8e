//! Random probing: everybody in turn, with others asked for help, and suspicions that are shared (SWIM, with Lifeguard).

use super::config::SwimConfig;
use super::contacts::Contacts;
use super::members::Members;
use super::peer::Peer;
use super::swim::{Finding, UNDOUBTED};
use crate::core::{Effects, Lane};
use crate::defect::{Defect, Defects};
use crate::fact::{Liveness, NodeState};
use crate::id::Incarnation;
use crate::time::Mono;
use crate::wire::{ProbeMessage, SUSPECTS_MAX, Suspicion, VerifiedMessage};
use hedgerow_attest::id::NodeId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Lifeguard's bound on how much slower a node that doubts itself probes.
const LOCAL_HEALTH_MAX: u32 = 8;

/// Sharers of a suspicion that make it certain enough (Lifeguard's `K`).
const SHARERS_ENOUGH: usize = 2;

/// Probes on behalf of others that may be under way.
const RELAYS_MAX: usize = 64;

/// Members to probe out of turn that may wait.
const URGENT_MAX: usize = 32;

/// Share of a period after which a helper says that it failed (Lifeguard's nack, at 80 % of the time).
const NACK_PERCENT: u32 = 60;

/// One probe of this node's own, from the ping to the verdict.
#[derive(Debug)]
struct Round {
    target: NodeId,
    nonce: u64,
    answered: bool,
    ask_at: Mono,
    ends_at: Mono,
    asked: usize,
    refuted: BTreeSet<NodeId>,
}

/// A probe on behalf of another.
#[derive(Debug)]
struct Relay {
    ping: u64,
    target: NodeId,
    origin: NodeId,
    nonce: u64,
    gives_up: Mono,
}

/// What is known of a member that is suspected.
#[derive(Debug)]
enum Doubt {
    /// It did not answer, or was never heard.
    Suspected {
        /// Since when.
        since: Mono,
        /// Who else could not reach it.
        sharers: BTreeSet<NodeId>,
    },
    /// The suspicion ran out; it is asked directly, with the suspicion attached.
    Verifying {
        /// Probes sent.
        sent: u32,
        /// When the next is due, or the verdict.
        next: Mono,
    },
}

/// The probes that are under way, and the suspicions.
#[derive(Debug)]
pub(super) struct Rounds<D> {
    defects: D,
    config: SwimConfig,
    round: Option<Round>,
    relays: Vec<Relay>,
    doubts: BTreeMap<NodeId, Doubt>,
    /// Members to probe before the turn of the others.
    urgent: VecDeque<NodeId>,
    /// The rest of this turn, in random order (SWIM, section 4.3).
    turn: Vec<NodeId>,
    next_round: Mono,
    local_health: u32,
}

impl<D: Defects> Rounds<D> {
    pub(super) fn new(config: SwimConfig, defects: D) -> Self {
        Self {
            defects,
            config,
            round: None,
            relays: Vec::new(),
            doubts: BTreeMap::new(),
            urgent: VecDeque::new(),
            turn: Vec::new(),
            next_round: Mono(0),
            local_health: 0,
        }
    }

    pub(super) fn tick(
        &mut self,
        fx: &mut Effects<'_>,
        members: &mut Members,
        contacts: &mut Contacts,
        findings: &mut Vec<Finding>,
    ) {
        self.follow_round(fx, members, findings);
        if fx.now >= self.next_round {
            self.start_round(fx, members, contacts);
            self.next_round = fx.now + self.config.period * (1 + self.local_health);
        }
        self.give_up_relays(fx);
        self.ripen(fx, members, contacts, findings);
    }

    pub(super) fn next_deadline(&self, members: &Members) -> Mono {
        let round = self.round.iter().map(|round| if round.asked == 0 { round.ask_at } else { round.ends_at });
        let relays = self.relays.iter().map(|relay| relay.gives_up);
        let doubts = self.doubts.values().map(|doubt| self.due(members, doubt));
        round.chain(relays).chain(doubts).fold(self.next_round, Mono::min)
    }

    /// Members that this node itself could not reach, a few.
    pub(super) fn suspects(&self, members: &Members) -> Vec<(NodeId, Incarnation)> {
        let doubted = self.doubts.keys().filter_map(|node| Some((node, members.get(node)?)));
        let doubted = doubted.filter(|(_, peer)| peer.said != NodeState::Stopping);
        doubted.map(|(node, peer)| (*node, peer.incarnation)).take(SUSPECTS_MAX).collect()
    }

    /// A member that was not known, or one that came back: it is doubted until it is heard.
    pub(super) fn newcomer(&mut self, node: NodeId, now: Mono) {
        self.doubts.insert(node, Doubt::Suspected { since: now, sharers: BTreeSet::new() });
        self.hurry(node);
    }

    /// It is of interest no longer.
    pub(super) fn forget(&mut self, node: &NodeId) {
        self.doubts.remove(node);
    }

    /// A reason to ask that member at once.
    pub(super) fn hurry(&mut self, node: NodeId) {
        if self.urgent.len() < URGENT_MAX && !self.urgent.contains(&node) {
            self.urgent.push_back(node);
        }
    }

    /// A packet arrived from that member over its own link.
    pub(super) fn heard(&mut self, members: &mut Members, node: &NodeId, now: Mono, findings: &mut Vec<Finding>) {
        if members.found(node) == Some(Liveness::Suspect) {
            self.doubts.remove(node);
            members.set_found(node, Liveness::Alive, now, findings);
        }
    }

    /// Members that `from` could not reach itself.
    pub(super) fn shared_suspicions(&mut self, members: &Members, from: NodeId, suspects: &[(NodeId, Incarnation)]) {
        for (node, incarnation) in suspects {
            if members.get(node).is_none_or(|peer| peer.incarnation > *incarnation) {
                continue;
            }
            match self.doubts.get_mut(node) {
                Some(Doubt::Suspected { sharers, .. }) => {
                    sharers.insert(from);
                }
                None if members.found(node) == Some(Liveness::Alive) => self.hurry(*node),
                Some(Doubt::Verifying { .. }) | None => {}
            }
        }
    }

    /// Another member verified that this one does not answer. This node asks for itself before it agrees.
    pub(super) fn accused(&mut self, members: &mut Members, node: NodeId, now: Mono, findings: &mut Vec<Finding>) {
        let verifying = matches!(self.doubts.get(&node), Some(Doubt::Verifying { .. }));
        if verifying || members.get(&node).is_none_or(|peer| !peer.is_in_ring()) {
            return;
        }
        self.doubts.insert(node, Doubt::Verifying { sent: 0, next: now });
        members.set_found(&node, Liveness::Suspect, now, findings);
    }

    /// An acknowledgement of one of this node's pings arrived.
    pub(super) fn acknowledged(&mut self, fx: &mut Effects<'_>, from: NodeId, nonce: u64) {
        if let Some(round) = self.round.as_mut().filter(|round| round.target == from && round.nonce == nonce) {
            round.answered = true;
        }
        for relay in self.relays.extract_if(.., |relay| relay.ping == nonce && relay.target == from) {
            let tell = ProbeMessage::Tell { nonce: relay.nonce, target: relay.target, reached: true };
            fx.send(relay.origin, Lane::Probe, VerifiedMessage::Probe(tell));
        }
    }

    /// A member asks to have another probed.
    pub(super) fn asked(
        &mut self,
        fx: &mut Effects<'_>,
        contacts: &mut Contacts,
        from: NodeId,
        nonce: u64,
        target: NodeId,
    ) {
        if self.relays.len() >= RELAYS_MAX {
            return;
        }
        let ping = contacts.ping(fx, target, UNDOUBTED, Vec::new());
        let gives_up = fx.now + self.config.period * NACK_PERCENT / 100;
        self.relays.push(Relay { ping, target, origin: from, nonce, gives_up });
    }

    /// What a helper found out. True when it reached the member.
    pub(super) fn told(&mut self, from: NodeId, nonce: u64, target: NodeId, reached: bool) -> bool {
        let Some(round) = self.round.as_mut().filter(|round| round.nonce == nonce && round.target == target) else {
            return false;
        };
        if reached {
            round.answered = true;
        } else {
            round.refuted.insert(from);
        }
        reached
    }

    /// This node was doubted although it lives: a sign that it, or its network, is slow (Lifeguard, section IV-A).
    pub(super) fn doubted_self(&mut self) {
        self.local_health = (self.local_health + 1).min(LOCAL_HEALTH_MAX);
    }

    /// For how long a member is suspected before it is verified (Lifeguard, section IV-B, with its `K` no larger than the
    /// number of others who could share the suspicion).
    fn suspicion(&self, members: &Members, sharers: usize) -> Duration {
        let decades = members.staying().ilog10().max(1);
        let least = self.config.period * (self.config.suspicion_alpha * decades);
        let helpers = members.peers().values().filter(|peer| peer.is_helper()).take(SHARERS_ENOUGH).count();
        if sharers >= helpers {
            return least;
        }
        // Between the longest and the least: nobody, one, or two others agree. ln 2 / ln 3 is 0.63.
        let longest = least * self.config.suspicion_beta;
        if sharers == 0 { longest } else { longest - (longest - least) * 63 / 100 }
    }

    fn due(&self, members: &Members, doubt: &Doubt) -> Mono {
        match doubt {
            Doubt::Suspected { since, sharers } => *since + self.suspicion(members, sharers.len()),
            Doubt::Verifying { next, .. } => *next,
        }
    }

    fn follow_round(&mut self, fx: &mut Effects<'_>, members: &mut Members, findings: &mut Vec<Finding>) {
        let Some(mut round) = self.round.take() else { return };
        if round.answered {
            self.local_health = self.local_health.saturating_sub(1);
            return;
        }
        if round.asked == 0 && fx.now >= round.ask_at {
            round.asked = self.ask_others(fx, members, &round).max(1);
        }
        if fx.now < round.ends_at {
            self.round = Some(round);
            return;
        }
        // Others who did not even say that they failed mean that the fault may be here (Lifeguard, section IV-A).
        if round.refuted.is_empty() && helpers(members, &round.target).next().is_some() {
            self.local_health = (self.local_health + 1).min(LOCAL_HEALTH_MAX);
        }
        self.doubt(members, round.target, round.refuted, fx.now, findings);
    }

    /// Nobody answered this node's probe of that member, neither directly nor through those who say so.
    fn doubt(
        &mut self,
        members: &mut Members,
        node: NodeId,
        sharers: BTreeSet<NodeId>,
        now: Mono,
        findings: &mut Vec<Finding>,
    ) {
        match self.doubts.get_mut(&node) {
            None if members.found(&node) == Some(Liveness::Alive) => {
                self.doubts.insert(node, Doubt::Suspected { since: now, sharers });
                members.set_found(&node, Liveness::Suspect, now, findings);
            }
            Some(Doubt::Suspected { sharers: known, .. }) => known.extend(sharers),
            Some(Doubt::Verifying { .. }) | None => {}
        }
    }

    fn ask_others(&self, fx: &mut Effects<'_>, members: &Members, round: &Round) -> usize {
        let mut chosen: Vec<NodeId> = helpers(members, &round.target).collect();
        fx.shuffle(&mut chosen);
        chosen.truncate(self.config.indirect);
        for helper in &chosen {
            let ask = ProbeMessage::Ask { nonce: round.nonce, target: round.target };
            fx.send(*helper, Lane::Probe, VerifiedMessage::Probe(ask));
        }
        chosen.len()
    }

    fn start_round(&mut self, fx: &mut Effects<'_>, members: &Members, contacts: &mut Contacts) {
        let Some(target) = self.next_target(fx, members) else { return };
        let (belief, suspects) = (members.belief(&target), self.suspects(members));
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

    fn next_target(&mut self, fx: &mut Effects<'_>, members: &Members) -> Option<NodeId> {
        let probed = |node: &NodeId| members.get(node).is_some_and(Peer::is_in_ring);
        while let Some(node) = self.urgent.pop_front() {
            if probed(&node) {
                return Some(node);
            }
        }
        if !self.turn.iter().any(probed) {
            self.turn = members.peers().keys().copied().collect();
            fx.shuffle(&mut self.turn);
        }
        while let Some(node) = self.turn.pop() {
            if probed(&node) {
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
    fn ripen(
        &mut self,
        fx: &mut Effects<'_>,
        members: &mut Members,
        contacts: &mut Contacts,
        findings: &mut Vec<Finding>,
    ) {
        let due = |(_, doubt): &(&NodeId, &Doubt)| fx.now >= self.due(members, doubt);
        let due: Vec<NodeId> = self.doubts.iter().filter(due).map(|(node, _)| *node).collect();
        for node in due {
            let belief = Suspicion { liveness: Liveness::Suspect, ..members.belief(&node) };
            let sent = if let Some(Doubt::Verifying { sent, .. }) = self.doubts.get(&node) { *sent } else { 0 };
            if sent < self.config.verify_probes && !self.defects.has(Defect::SkippedVerification) {
                contacts.ping(fx, node, belief, Vec::new());
                let patience = contacts.patience(&node, self.config.timeout) * (1 + self.local_health);
                self.doubts.insert(node, Doubt::Verifying { sent: sent + 1, next: fx.now + patience });
                continue;
            }
            self.doubts.remove(&node);
            members.set_found(&node, Liveness::Down, fx.now, findings);
            if let Some(peer) = members.get(&node).filter(|peer| peer.said != NodeState::Stopping) {
                findings.push(Finding::Accuse(node, peer.incarnation));
            }
        }
    }
}

/// Members through whom that one may be asked.
fn helpers<'m>(members: &'m Members, target: &'m NodeId) -> impl Iterator<Item = NodeId> + 'm {
    let helper = move |(node, peer): &(&NodeId, &Peer)| *node != target && peer.is_helper();
    members.peers().iter().filter(helper).map(|(node, _)| *node)
}
