//! The core's side of its cell: what the cell's machine is told, and what follows when this node leads.

use super::adopt::Origin;
use super::effects::Effects;
use super::exchange::push;
use super::interface::{Event, Lane};
use super::mesh_core::MeshCore;
use super::rollup::LastRollup;
use super::snapshot::{Fence, put_fence};
use crate::cell::{Outcome, Standing};
use crate::defect::Defects;
use crate::election::{ClockVerdict, Grant, LeaseHint};
use crate::fact::{Fact, FactKey, Liveness, NodeState, Scope, VerifiedFact};
use crate::id::{ConfigEpoch, Generation, Slot, Token};
use crate::placement::draw;
use crate::register::{Acceptance, Point, VerifiedDecision};
use crate::time::Mono;
use crate::wire::{VerifiedExchange, VerifiedLease, VerifiedMessage};
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::signed::Verified;
use std::collections::BTreeSet;

/// What a leader remembers of what it said and considered.
#[derive(Debug, Default)]
pub(super) struct Lead {
    /// Boxed, since few nodes lead.
    pub(super) rollup: Option<Box<LastRollup>>,
    pub(super) next_thought: Mono,
}

impl<D: Defects> MeshCore<D> {
    pub(super) fn tick_cell(&mut self, fx: &mut Effects<'_>) {
        let mut outcomes = Vec::new();
        let known = self.cell.known(fx.now).map(|known| known.holder);
        let down = known.filter(|holder| self.liveness(holder) == Some(Liveness::Down));
        // Who ranks before whom is worth a look only where somebody has to lead.
        let rivals = if self.cell.sees_vacancy(fx.now, down) { self.rivals() } else { 0 };
        let standing = Standing { may_lead: self.may_lead(), rivals, down, in_view: self.swim.in_view() };
        self.cell.tick(fx, standing, &mut outcomes);
        self.settle(fx, outcomes);
        self.answer_announced(fx);
        self.lead_on(fx);
    }

    /// What a holder does besides renewing.
    fn lead_on(&mut self, fx: &mut Effects<'_>) {
        let Some(term) = self.cell.acts_under(fx.now) else { return };
        self.cell.propose_inherited(fx);
        // Where the end of the cell may be decided already, whoever leads does nothing but finish it.
        if self.cell.is_ending() {
            return;
        }
        if fx.now >= self.lead.next_thought && self.cell.is_free_to_propose() {
            self.lead.next_thought = fx.now + THOUGHT_GAP;
            if let Some(content) = self.next_content(fx.now) {
                self.cell.propose(fx, content);
            }
        }
        self.roll_up(fx, term);
    }

    pub(super) fn lease(&mut self, fx: &mut Effects<'_>, from: NodeId, message: VerifiedLease) {
        let mut outcomes = Vec::new();
        match message {
            VerifiedLease::Campaign(campaign) => {
                let asked = Point { generation: campaign.generation, slot: campaign.head };
                self.tell_turn(fx, from, &campaign.cell, asked);
                self.catch_up(fx, from, &campaign.cell, campaign.config_epoch, asked);
                self.cell.campaign(fx, from, &campaign);
            }
            VerifiedLease::Grant(mut reply) => {
                if let Some(head) = reply.head.take() {
                    self.adopt(fx, &VerifiedFact::decision(head, &self.roster), Origin::Gossip);
                }
                self.cell.granted(fx.now, *reply, &mut outcomes);
            }
            VerifiedLease::Denial(denial, moved) => {
                self.cell.denied(fx, from, &denial);
                if let Some(moved) = moved {
                    self.adopt(fx, &VerifiedFact::decision(moved, &self.roster), Origin::Gossip);
                }
            }
            VerifiedLease::Abandon(abandon) => self.cell.abandoned(fx.now, from, &abandon),
            VerifiedLease::Propose(propose) => {
                let Point { generation, slot } = propose.value.point();
                let before = Point { generation, slot: Slot(slot.0.saturating_sub(1)) };
                self.tell_turn(fx, from, &propose.value.cell, before);
                self.catch_up(fx, from, &propose.value.cell, propose.config_epoch, before);
                let fit = self.is_fit(&propose.value);
                self.cell.proposed(fx, from, propose, fit);
            }
            VerifiedLease::Accepted(acceptance) => self.cell.accepted(fx.now, from, acceptance, &mut outcomes),
            VerifiedLease::Refused(refusal) => self.cell.refused(fx, from, &refusal),
            VerifiedLease::Decided(decision) => {
                self.adopt(fx, &VerifiedFact::decision(decision, &self.roster), Origin::Gossip);
            }
            VerifiedLease::Handover(abandon, head) => {
                if let Some(head) = head {
                    self.adopt(fx, &VerifiedFact::decision(head, &self.roster), Origin::Gossip);
                }
                self.cell.handed_over(fx, from, &abandon, self.own.state == NodeState::Up, &mut outcomes);
            }
        }
        self.settle(fx, outcomes);
    }

    /// Whoever asks a voter of a cell that ended, or in a generation that did, has missed that.
    fn tell_turn(&self, fx: &mut Effects<'_>, to: NodeId, cell: &CellId, asked: Point) {
        let is_later = |fact: &&VerifiedFact| fact.charter().is_some_and(|(_, at)| at > asked);
        let mut missed: Vec<VerifiedFact> = self.roster.charters_of(cell).filter(is_later).cloned().collect();
        missed.reverse();
        missed.truncate(VOTER_SETS_ASKED);
        // The voter sets on which a recovery builds are taken in before it.
        if missed.iter().any(|fact| fact.recovered().is_some_and(|later| later.generation > asked.generation)) {
            fx.sometimes("a candidate was told that its cell had been recovered");
            push(fx, to, &missed);
        }
        if let Some(Fact::Decision(end)) = self.roster.end_of(cell).map(VerifiedFact::fact) {
            fx.sometimes("a candidate was told that its cell had ended");
            tell_decided(fx, &BTreeSet::from([to]), end, None);
        }
    }

    /// Asks somebody who knows more of the register of the own cell for it, voter sets first.
    fn catch_up(&self, fx: &mut Effects<'_>, from: NodeId, cell: &CellId, epoch: ConfigEpoch, head: Point) {
        let (Some(voters), Some(known)) = (self.cell.voters(), self.cell.head()) else { return };
        if self.home != Some(*cell) || (epoch <= voters.epoch && head <= known.point()) {
            return;
        }
        if head.generation > known.generation {
            let missing = (known.generation.0 + 1..=head.generation.0).take(VOTER_SETS_ASKED);
            let keys = missing.map(|number| FactKey::Recovery(*cell, Generation(number)).hash()).collect();
            let pull = VerifiedExchange::Pull { scope: Scope::Mesh, keys };
            return fx.send(from, Lane::Rpc, VerifiedMessage::Exchange(pull));
        }
        let missing = (voters.epoch.0 + 1..=epoch.0).take(VOTER_SETS_ASKED);
        let sets = missing.map(|epoch| FactKey::Configuration(*cell, ConfigEpoch(epoch)));
        let missed = self.missed_placements(cell, head.slot.0.saturating_sub(known.slot.0));
        let placements = missed.iter().chain([&FactKey::Retirement(*cell)]).map(FactKey::hash).collect();
        for (scope, keys) in [(Scope::Mesh, sets.map(|key| key.hash()).collect()), (Scope::Cell(*cell), placements)] {
            fx.send(from, Lane::Rpc, VerifiedMessage::Exchange(VerifiedExchange::Pull { scope, keys }));
        }
        fx.sometimes("a voter asked for what it had missed of the register");
    }

    pub(super) fn signed_grant(&mut self, fx: &mut Effects<'_>, token: Token, grant: &Verified<Grant>) {
        self.cell.signed_grant(fx, token, grant);
    }

    pub(super) fn signed_acceptance(&mut self, fx: &mut Effects<'_>, token: Token, acceptance: Verified<Acceptance>) {
        let mut outcomes = Vec::new();
        self.cell.signed_acceptance(fx, token, acceptance, &mut outcomes);
        self.settle(fx, outcomes);
    }

    pub(super) fn persisted(&mut self, fx: &mut Effects<'_>, token: Token) {
        self.incarnation_durable(fx, token);
        let mut outcomes = Vec::new();
        self.cell.persisted(fx, token, &mut outcomes);
        self.settle(fx, outcomes);
    }

    pub(super) fn clock_jumped(&mut self, fx: &mut Effects<'_>) {
        let mut outcomes = Vec::new();
        self.cell.clock_jumped(fx.now, &mut outcomes);
        self.settle(fx, outcomes);
    }

    /// This node is about to stop, to drain or to leave: whoever ranks first among the others leads next. Who drains and
    /// has no successor goes on leading: it has to hand its vote over first.
    pub(super) fn hand_over(&mut self, fx: &mut Effects<'_>) {
        let successor = self.successor();
        if successor.is_some() || self.own.state != NodeState::Draining {
            let mut outcomes = Vec::new();
            self.cell.hand_over(fx, successor, &mut outcomes);
            self.settle(fx, outcomes);
        }
    }

    /// A member's clock was read with its acknowledgement.
    pub(super) fn read_clock(&mut self, fx: &mut Effects<'_>, from: NodeId, rtt_us: u64, clock_ms: u32) {
        if self.swim.peers().get(&from).is_none_or(|peer| peer.out_of_time) {
            return;
        }
        let sent = Mono(fx.now.0.saturating_sub(rtt_us));
        let Some(verdict) = self.cell.read_clock(from, sent, fx.now, clock_ms) else { return };
        self.own.out_of_time = matches!(verdict, ClockVerdict::Suspect(_));
        match verdict {
            ClockVerdict::Suspect(ppm) => {
                fx.event(Event::ClockSuspect { ppm });
                let (successor, mut outcomes) = (self.successor(), Vec::new());
                self.cell.hand_over(fx, successor, &mut outcomes);
                self.settle(fx, outcomes);
            }
            ClockVerdict::Well => fx.event(Event::ClockTrusted),
        }
        self.touch();
        self.speak(fx);
    }

    fn may_lead(&self) -> bool {
        match self.own.state {
            NodeState::Up => true,
            NodeState::Draining => self.successor().is_none(),
            NodeState::Stopping | NodeState::Left => false,
        }
    }

    /// The voter that should lead after this node.
    fn successor(&self) -> Option<NodeId> {
        let voters = self.cell.voters()?.voters.iter().map(|voter| voter.node);
        voters.filter(|node| self.would_lead(node)).min_by_key(lead_rank)
    }

    pub(super) fn heard_of_lease(&mut self, fx: &mut Effects<'_>, hint: &LeaseHint) {
        if self.cell.heard(fx.now, hint) {
            self.touch();
            self.raise_fence(fx, hint.cell, Fence::under(hint.generation, hint.term));
        }
    }

    pub(super) fn lease_hint(&self, now: Mono) -> Option<LeaseHint> {
        self.cell.hint(now)
    }

    /// Acts on what became of the cell.
    pub(super) fn settle(&mut self, fx: &mut Effects<'_>, outcomes: Vec<Outcome>) {
        let Some(cell) = self.home else { return };
        let generation = self.cell.head().map_or(Generation(0), |head| head.generation);
        for outcome in outcomes {
            match outcome {
                Outcome::Acquired(term) => {
                    self.raise_fence(fx, cell, Fence::under(generation, term));
                    fx.event(Event::LeaseAcquired { cell, term });
                    self.touch();
                    self.lead_on(fx);
                }
                Outcome::Lost(term) => {
                    fx.event(Event::LeaseLost { cell, term });
                    self.touch();
                    let successor = self.successor();
                    self.cell.voted_out(fx, term, successor);
                }
                Outcome::Decided(decision) => self.decided_here(fx, &decision),
            }
        }
    }

    /// A proposal of this node's own was decided.
    fn decided_here(&mut self, fx: &mut Effects<'_>, decision: &VerifiedDecision) {
        let fact = VerifiedFact::decision(decision.clone(), &self.roster);
        let before = self.cell.fellow_voters();
        let (_, after) = self.adopt(fx, &fact, Origin::Gossip);
        let voters = if decision.value.is_last() { before } else { self.cell.fellow_voters() };
        tell_decided(fx, &voters, decision, after);
        self.publish_to(fx, self.audience(decision.value.cell), &fact, after);
    }

    /// Remembers the highest fence seen, across restarts. Of cells whose detail is not kept no act is obeyed here.
    pub(super) fn raise_fence(&mut self, fx: &mut Effects<'_>, cell: CellId, seen: Fence) {
        if !self.facts.keeps(&cell) {
            return;
        }
        let fence = self.fences.entry(cell).or_default();
        let before = *fence;
        fence.reach(seen);
        if *fence != before {
            let op = put_fence(&cell, fence);
            fx.persist(vec![op], false);
        }
    }

    /// Voters that seem alive, would lead, and rank before this node.
    fn rivals(&self) -> usize {
        let (me, Some(voters)) = (self.config.me, self.cell.voters()) else { return 0 };
        if !voters.has(&me) {
            return 0;
        }
        let before = |node: &NodeId| lead_rank(node) < lead_rank(&me);
        voters.voters.iter().filter(|voter| before(&voter.node) && self.would_lead(&voter.node)).count()
    }

    fn would_lead(&self, node: &NodeId) -> bool {
        let peer = self.swim.peers().get(node);
        peer.is_some_and(|peer| peer.found == Liveness::Alive && peer.said == NodeState::Up && !peer.out_of_time)
    }
}

/// Voter sets that a node asks for at once; the rest follows with the next question.
const VOTER_SETS_ASKED: usize = 16;

/// Shortest time between two thoughts about what the register should decide next.
const THOUGHT_GAP: std::time::Duration = std::time::Duration::from_millis(500);

/// Tells voters what was decided, when it is durable here.
fn tell_decided(fx: &mut Effects<'_>, voters: &BTreeSet<NodeId>, decision: &VerifiedDecision, after: Option<Token>) {
    for voter in voters {
        let decided = VerifiedLease::Decided(decision.clone());
        fx.send_after(*voter, VerifiedMessage::Lease(Box::new(decided)), after);
    }
}

/// The order in which candidates take turns; the lower, the sooner.
pub(super) fn lead_rank(node: &NodeId) -> u64 {
    draw(b"aggregator", node, 1)
}
