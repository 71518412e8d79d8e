//! This node as the holder: it renews, and proposes what the register decides next.

use super::ballot::{Electorate, Proposal, Round};
use super::state::{Cell, Outcome, Role};
use super::voter::lease;
use crate::core::Effects;
use crate::defect::{Defect, Defects};
use crate::election::{Promise, Propose, Refusal};
use crate::register::{Acceptance, Content, Value, VerifiedDecision, Waiver};
use crate::time::Mono;
use crate::wire::VerifiedLease;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::signed::Verified;
use std::collections::BTreeSet;

impl<D: Defects> Cell<D> {
    /// Renews in time, stops in time, and goes on asking and proposing where no answer came.
    pub(super) fn keep(&mut self, fx: &mut Effects<'_>, outcomes: &mut Vec<Outcome>) {
        let (me, boot) = (self.me, self.boot);
        let Some(seat) = self.seat.as_mut() else { return };
        let Role::Holding(holding) = &mut seat.role else { return };
        if fx.now >= holding.until && !self.defects.has(Defect::StaleHolderActs) {
            let (term, asks, until) = (holding.term, holding.asks, holding.until);
            seat.role = Role::Idle;
            // Whoever held it knows best that it has run out.
            let ended = seat.lease_of(me, term, until);
            seat.known = Some(seat.known.filter(|known| !ended.supersedes(Some(known))).unwrap_or(ended));
            seat.release(fx, me, boot, asks);
            outcomes.push(Outcome::Lost(term));
        } else if fx.now >= holding.next_renewal {
            self.renew(fx, outcomes);
        } else if fx.now >= holding.next_retry {
            holding.next_retry = fx.now + self.config.retry;
            if let Some(round) = holding.renewal.clone() {
                let (after, until) = (seat.writing, holding.until);
                seat.send_campaign(fx, me, boot, &round, after, until);
            }
            self.resend(fx);
        }
    }

    fn renew(&mut self, fx: &mut Effects<'_>, outcomes: &mut Vec<Outcome>) {
        let (me, boot, span) = (self.me, self.boot, self.config.voter_span());
        let Some(seat) = self.seat.as_mut() else { return };
        let highest = seat.max_term;
        let Role::Holding(holding) = &mut seat.role else { return };
        // What this node accepted itself it has to propose for as long as it counts its own vote. Every other renewal counts
        // it, so that the lease goes on where the others alone are too few.
        let stuck = holding.proposal.as_ref().is_some_and(|proposal| proposal.is_hopeless(&seat.in_force));
        let rid = stuck && !holding.renewal.as_ref().is_some_and(|last| last.rid);
        if std::mem::take(&mut holding.outranked) || rid {
            // A voter that gave this term away is won back under a higher one; the lease goes on meanwhile.
            holding.asks = highest.max(holding.asks).next();
            fx.sometimes(if rid {
                "a holder asked to be rid of a proposal that nobody decides"
            } else {
                "a holder asked for a higher term"
            });
        }
        let mut round = Round::new(holding.asks, fx.random(), fx.now, fx.now + self.config.renew);
        holding.next_renewal = round.ends;
        holding.next_retry = fx.now + self.config.retry;
        round.rid = rid;
        holding.last_nonce = round.nonce;
        holding.renewal = Some(round.clone());
        let (raises, until) = (holding.asks > holding.term, holding.until);
        let promise = Promise { term: round.term, holder: me, boot };
        // Its own promise may have moved on to a later candidate, whose term it then knows to be higher.
        let mut after = None;
        if seat.may_promise(self.defects, &promise, fx.now) {
            after = seat.promise(fx, promise, span).filter(|_write| raises);
        }
        seat.send_campaign(fx, me, boot, &round, after, until);
        self.resend(fx);
        self.count_own_vote(fx.now, outcomes);
    }

    /// Whether the holder may propose something of its own.
    pub(crate) fn is_free_to_propose(&self) -> bool {
        let exchanges = self.defects.has(Defect::AcceptedReplacedAtSameTerm);
        match self.seat.as_ref().map(|seat| &seat.role) {
            Some(Role::Holding(holding)) => (holding.proposal.is_none() || exchanges) && holding.inherited.is_none(),
            Some(Role::Asking(_) | Role::Idle) | None => false,
        }
    }

    /// Proposes what an earlier holder may have had decided. Nothing of its own may come before.
    pub(crate) fn propose_inherited(&mut self, fx: &mut Effects<'_>) {
        let Some(seat) = self.seat.as_mut() else { return };
        let Role::Holding(holding) = &mut seat.role else { return };
        if holding.proposal.is_some() {
            return;
        }
        if let Some(value) = holding.inherited.take() {
            fx.sometimes("the value of an earlier holder was proposed again");
            self.submit(fx, value);
        }
    }

    /// Proposes the next slot, where nothing else is under way for it.
    pub(crate) fn propose(&mut self, fx: &mut Effects<'_>, content: Content) {
        let Some(seat) = self.seat.as_ref().filter(|_| self.is_free_to_propose()) else { return };
        let Role::Holding(holding) = &seat.role else { return };
        if holding.proposal.as_ref().is_some_and(|open| open.value.content == content) {
            return;
        }
        let value = Value {
            cell: seat.cell,
            generation: seat.generation,
            slot: seat.head.slot.next(),
            previous: seat.head.digest,
            content,
        };
        self.submit(fx, value);
    }

    fn submit(&mut self, fx: &mut Effects<'_>, value: Value) {
        let (me, boot, span) = (self.me, self.boot, self.config.voter_span());
        let Some(seat) = self.seat.as_mut() else { return };
        let Role::Holding(holding) = &mut seat.role else { return };
        let promise = Promise { term: holding.term, holder: me, boot };
        holding.next_retry = fx.now + self.config.retry;
        holding.proposal = Some(Proposal {
            digest: value.digest(),
            value: value.clone(),
            acceptances: std::collections::BTreeMap::new(),
            unfit: BTreeSet::new(),
        });
        // The proposer accepts in the same step: from here on it counts the voters before and after a change.
        if seat.may_promise(self.defects, &promise, fx.now) {
            let (token, after) = seat.accept(fx, promise, value, span, me);
            seat.acceptances.insert(token, (me, after));
        }
        self.resend(fx);
    }

    /// Sends the open proposal to all who have not accepted it, once this node itself is bound by it. A message that waited
    /// for the write by itself would leave although the lease was handed over meanwhile.
    pub(super) fn resend(&self, fx: &mut Effects<'_>) {
        let (me, boot) = (self.me, self.boot);
        let Some(seat) = self.seat.as_ref().filter(|seat| seat.writing.is_none()) else { return };
        let Role::Holding(holding) = &seat.role else { return };
        let Some(proposal) = &holding.proposal else { return };
        let propose = Propose {
            term: holding.term,
            boot,
            config_epoch: seat.in_force.epoch,
            value: Box::new(proposal.value.clone()),
        };
        for voter in seat.electorate().others(&me) {
            if !proposal.acceptances.contains_key(&voter) {
                fx.send_until(voter, lease(VerifiedLease::Propose(propose.clone())), None, holding.until);
            }
        }
    }

    /// A voter accepted, this node included.
    pub(crate) fn accepted(
        &mut self,
        now: Mono,
        from: NodeId,
        acceptance: Verified<Acceptance>,
        outcomes: &mut Vec<Outcome>,
    ) {
        let defects = self.defects;
        let Some(seat) = self.seat.as_mut() else { return };
        let (cell, generation, in_force) = (seat.cell, seat.generation, &seat.in_force);
        let Role::Holding(holding) = &mut seat.role else { return };
        let term = holding.term;
        let Some(proposal) = &mut holding.proposal else { return };
        let electorate = Electorate::over(in_force, Some(&proposal.value));
        if electorate.key_of(&from) != Some(*acceptance.signer()) || acceptance.voter != from {
            return;
        }
        let said = (acceptance.cell, acceptance.generation, acceptance.slot, acceptance.value, acceptance.term);
        if said != (cell, generation, proposal.value.slot, proposal.digest, term) || now >= holding.until {
            return;
        }
        proposal.unfit.remove(&from);
        proposal.acceptances.insert(from, acceptance);
        let voters: BTreeSet<NodeId> = proposal.acceptances.keys().copied().collect();
        let placement = proposal.value.content.table().is_some();
        let alone = placement && defects.has(Defect::HolderSignsAlone);
        if electorate.decides(defects, &voters) || alone {
            let acceptances: Vec<Verified<Acceptance>> = proposal.acceptances.values().cloned().collect();
            let waiver = Waiver::of(defects);
            let decision = VerifiedDecision::reached(proposal.value.clone(), term, in_force, &acceptances, waiver);
            holding.proposal = None;
            outcomes.push(Outcome::Decided(Box::new(decision.expect("a quorum of acceptances was just counted"))));
        }
    }

    /// A voter did not accept.
    pub(crate) fn refused(&mut self, fx: &mut Effects<'_>, from: NodeId, refusal: &Refusal) {
        let Some(seat) = self.seat.as_mut() else { return };
        match refusal {
            Refusal::Promised { cell, term } if *cell == seat.cell => seat.learn_term(*term),
            Refusal::Head { cell, head } if *cell == seat.cell && head.slot < seat.head.slot => {
                if let Some(decision) = &seat.head_decision {
                    let decided = VerifiedLease::Decided(decision.clone());
                    fx.send_after(from, lease(decided), None);
                }
            }
            // The facts that the voter lacks travel by themselves, and the proposal is sent again with the next renewal; but what
            // this holder lacked itself when it proposed it no fact makes good.
            Refusal::Unfit { cell, slot } if *cell == seat.cell => {
                let Role::Holding(holding) = &mut seat.role else { return };
                let open = holding.proposal.as_mut().filter(|open| open.value.slot == *slot);
                if let Some(open) = open.filter(|open| Electorate::over(&seat.in_force, Some(&open.value)).has(&from)) {
                    open.unfit.insert(from);
                }
            }
            Refusal::Promised { .. } | Refusal::Head { .. } | Refusal::Unfit { .. } => {}
        }
    }

    /// The other voters, of a change that is under way too.
    pub(crate) fn fellow_voters(&self) -> BTreeSet<NodeId> {
        self.seat.as_ref().map(|seat| seat.electorate().others(&self.me)).unwrap_or_default()
    }

    /// Whether this node knows of a value that ends the cell and may have been decided: it accepted it, or a voter that elected
    /// it did.
    pub(crate) fn is_ending(&self) -> bool {
        let Some(seat) = &self.seat else { return false };
        let (inherited, rid_of) = match &seat.role {
            Role::Holding(holding) => (holding.inherited.as_ref(), holding.rid_of),
            Role::Asking(_) | Role::Idle => (None, None),
        };
        let pending = seat.pending().filter(|value| rid_of.is_none_or(|rid_of| rid_of != value.digest()));
        pending.into_iter().chain(inherited).any(Value::is_last)
    }
}
