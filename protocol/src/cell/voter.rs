//! This node as a voter: promises and acceptances.

use super::ballot::Electorate;
use super::state::{Cell, Role, Seat};
use crate::core::{Effects, Lane, put_vote};
use crate::defect::{Defect, Defects};
use crate::election::{Abandon, Accepted, Campaign, Denial, Grant, Promise, Propose, Refusal, VerifiedGrant};
use crate::fact::Statement;
use crate::id::{Slot, Term, Token};
use crate::register::{Acceptance, Value};
use crate::time::{Mono, millis_u32};
use crate::wire::{VerifiedLease, VerifiedMessage};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::signed::Verified;

/// A grant that waits for its signature.
#[derive(Debug, Clone)]
pub(super) struct OpenGrant {
    /// Who asked.
    to: NodeId,
    /// The write that has to be durable before it leaves.
    after: Option<Token>,
    /// How far the candidate knows the register.
    knows: Slot,
}

impl<D: Defects> Cell<D> {
    /// A candidate asks for the lease, or a holder for its renewal.
    pub(crate) fn campaign(&mut self, fx: &mut Effects<'_>, from: NodeId, campaign: &Campaign) {
        let (span, me, defects) = (self.config.voter_span(), self.me, self.defects);
        // Less than what is left of a lease whose last renewal a quorum granted; one that none grants ends within it.
        let renewals = self.config.renew * 2;
        let trusted = self.clock.is_trusted();
        let Some(seat) = self.seat_for(campaign.cell, campaign.generation) else { return };
        let ahead = defects.has(Defect::NewVoterWithoutHead) && campaign.config_epoch > seat.in_force.epoch;
        // Whether this node votes is for the candidate to know: it may count a change that was not proposed here yet.
        if !ahead && !seat.electorate().has(&from) {
            return;
        }
        let asks = Promise { term: campaign.term, holder: from, boot: campaign.boot };
        let counted_alike = ahead || campaign.config_epoch == seat.in_force.epoch;
        if !trusted {
            seat.blocked_until = fx.now + span;
        }
        if !trusted || !counted_alike || !seat.may_promise(defects, &asks, fx.now) {
            return seat.deny(fx, from, campaign);
        }
        seat.is_renewed_by(&asks, fx.now + renewals);
        let after = seat.promise(fx, asks, span).filter(|_write| !defects.has(Defect::TermNotPersisted));
        let grant = seat.grant(campaign, from, me);
        let token = fx.sign(Statement::Grant(Box::new(grant)));
        seat.grants.insert(token, OpenGrant { to: from, after, knows: campaign.head });
    }

    /// A grant came back signed: it leaves when the promise is durable.
    pub(crate) fn signed_grant(&mut self, fx: &mut Effects<'_>, token: Token, grant: &Verified<Grant>) {
        let Some(seat) = self.seat.as_mut() else { return };
        let Some(OpenGrant { to, after, knows }) = seat.grants.remove(&token) else { return };
        // A certificate is several times as long as the grant, and a holder that renews knows it.
        let decision = seat.head_decision.as_ref().filter(|_| grant.head == seat.head && grant.head.slot > knows);
        let accepted = seat
            .record
            .accepted
            .as_ref()
            .filter(|accepted| grant.accepted == Some((accepted.term, accepted.value.digest())));
        let reply = VerifiedGrant {
            grant: grant.clone(),
            head: decision.cloned(),
            accepted: accepted.map(|accepted| accepted.value.clone()),
        };
        fx.send_after(to, lease(VerifiedLease::Grant(Box::new(reply))), after);
    }

    /// A candidate gave up, or a holder gave back: the promise binds no longer.
    pub(crate) fn abandoned(&mut self, now: Mono, from: NodeId, abandon: &Abandon) {
        let Some(seat) = self.seat.as_mut().filter(|seat| seat.cell == abandon.cell) else { return };
        // Whoever was bound by it is free, as this voter is.
        seat.denied_until = now;
        let run = (from, abandon.boot);
        if seat.record.promise.is_some_and(|given| (given.holder, given.boot) == run && given.term <= abandon.term) {
            seat.until = now;
            seat.released = true;
        }
        if let Some(known) = seat.known.as_mut().filter(|known| known.holder == from && known.term <= abandon.term) {
            known.until = now;
        }
    }

    /// The holder proposes the next slot. `fit` is whether the value keeps the rules as far as this node knows them.
    pub(crate) fn proposed(&mut self, fx: &mut Effects<'_>, from: NodeId, propose: Propose, fit: bool) {
        let value = *propose.value;
        let (span, me, defects) = (self.config.voter_span(), self.me, self.defects);
        let trusted = self.clock.is_trusted();
        let Some(seat) = self.seat_for(value.cell, value.generation) else { return };
        let promise = Promise { term: propose.term, holder: from, boot: propose.boot };
        if !Electorate::over(&seat.in_force, Some(&value)).has(&me) {
            return;
        }
        // To accept is to promise, and a clock that runs wrong cannot measure for how long.
        let unfit = Refusal::Unfit { cell: value.cell, slot: value.slot };
        let may_accept = if trusted {
            seat.may_accept(defects, &promise, &value, fit, fx.now)
        } else {
            Err(Some(Box::new(VerifiedLease::Refused(unfit))))
        };
        if let Err(answer) = may_accept {
            if let Some(answer) = answer {
                fx.send(from, Lane::Rpc, VerifiedMessage::Lease(answer));
            }
            return;
        }
        let (token, after) = seat.accept(fx, promise, value, span, me);
        seat.acceptances.insert(token, (from, after));
    }

    /// An acceptance came back signed: it leaves, or is counted, when it is durable.
    pub(crate) fn signed_acceptance(
        &mut self,
        fx: &mut Effects<'_>,
        token: Token,
        acceptance: Verified<Acceptance>,
        outcomes: &mut Vec<super::Outcome>,
    ) {
        let me = self.me;
        let Some(seat) = self.seat.as_mut() else { return };
        let Some((to, after)) = seat.acceptances.remove(&token) else { return };
        if to != me {
            fx.send_after(to, lease(VerifiedLease::Accepted(acceptance)), after);
        } else if let Some(after) = after.filter(|after| seat.writing.is_some_and(|writing| *after <= writing)) {
            seat.own_acceptances.push((after, acceptance));
        } else {
            self.accepted(fx.now, me, acceptance, outcomes);
        }
    }

    fn seat_for(&mut self, cell: hedgerow_attest::id::CellId, generation: crate::id::Generation) -> Option<&mut Seat> {
        let halted = self.halted;
        self.seat.as_mut().filter(|seat| !halted && seat.cell == cell && seat.generation == generation)
    }
}

impl Seat {
    /// Whoever is known to lead asks for the same term again, and so leads still: hints ride on acknowledgements, and a voter
    /// that its neighbours always ping first receives none.
    fn is_renewed_by(&mut self, asks: &Promise, until: Mono) {
        let led = self.known.as_mut().filter(|known| (known.holder, known.term) == (asks.holder, asks.term));
        if let Some(known) = led {
            known.until = known.until.max(until);
        }
    }

    /// Whether nothing that was promised, or forgotten, stands against this promise.
    pub(super) fn may_promise<D: Defects>(&self, defects: D, asks: &Promise, now: Mono) -> bool {
        // A voter inherits the terms of those before it: no candidate is behind the last decision and yet in time.
        let inherited = self.head_decision.as_ref().map_or(Term(0), |decision| decision.term);
        let in_time = asks.term >= inherited || defects.has(Defect::NewVoterWithoutHead);
        let Some(promise) = self.record.promise else { return in_time && now >= self.blocked_until };
        let former_run = (promise.term, promise.holder) == (asks.term, asks.holder);
        if promise == *asks || (former_run && defects.has(Defect::RestartTakenForRenewal)) {
            return !self.released;
        }
        // Another run of the same node does not compete with its former one, which is over.
        let free = now >= self.until || promise.holder == asks.holder;
        in_time && free && now >= self.blocked_until && promise.term < asks.term
    }

    /// Makes the promise; returns the write that has to come before anyone hears of it.
    pub(super) fn promise(&mut self, fx: &mut Effects<'_>, asks: Promise, span: std::time::Duration) -> Option<Token> {
        self.until = fx.now + span;
        self.max_term = self.max_term.max(asks.term);
        // One term of one holder is promised to one run of it.
        let promised = self.record.promise.map(|promise| (promise.term, promise.holder));
        if promised != Some((asks.term, asks.holder)) {
            self.record.promise = Some(asks);
            self.released = false;
            self.write(fx);
        }
        self.writing
    }

    /// Accepts a value under a promise to its proposer; returns the token of the signature and the write before it.
    pub(super) fn accept(
        &mut self,
        fx: &mut Effects<'_>,
        promise: Promise,
        value: Value,
        span: std::time::Duration,
        me: NodeId,
    ) -> (Token, Option<Token>) {
        self.until = fx.now + span;
        self.max_term = self.max_term.max(promise.term);
        let acceptance = Acceptance {
            cell: value.cell,
            generation: value.generation,
            slot: value.slot,
            value: value.digest(),
            term: promise.term,
            voter: me,
        };
        let accepted = Some(Accepted { term: promise.term, value });
        if self.record.promise != Some(promise) || self.record.accepted != accepted {
            // What was given back was the former promise; a value is accepted only where the same one still stands.
            self.released = false;
            self.record.promise = Some(promise);
            self.record.accepted = accepted;
            self.write(fx);
        }
        (fx.sign(Statement::Acceptance(acceptance)), self.writing)
    }

    fn write(&mut self, fx: &mut Effects<'_>) {
        self.writing = Some(fx.persist(vec![put_vote(&self.cell, &self.record)], true));
    }

    fn grant(&self, campaign: &Campaign, candidate: NodeId, me: NodeId) -> Grant {
        Grant {
            cell: campaign.cell,
            generation: campaign.generation,
            config_epoch: campaign.config_epoch,
            term: campaign.term,
            candidate,
            boot: campaign.boot,
            nonce: campaign.nonce,
            voter: me,
            head: self.head,
            accepted: self.accepted().map(|accepted| (accepted.term, accepted.value.digest())),
        }
    }

    fn deny(&self, fx: &mut Effects<'_>, to: NodeId, campaign: &Campaign) {
        let promised = self.record.promise.map_or(self.max_term, |promise| promise.term.max(self.max_term));
        // A rival that still asks is free when its round ends.
        let bound = match &self.role {
            Role::Asking(round) => round.ends,
            Role::Holding(_) | Role::Idle => self.until,
        };
        let bound = bound.max(self.blocked_until);
        let moved = self.in_force_decision.as_ref().filter(|_| campaign.config_epoch < self.in_force.epoch);
        let denial = Denial {
            cell: self.cell,
            nonce: campaign.nonce,
            promised,
            remaining_ms: millis_u32(fx.now.until(bound)),
            moved: None,
        };
        fx.send(to, Lane::Rpc, lease(VerifiedLease::Denial(denial, moved.cloned())));
    }

    /// Whether the proposal may be accepted; if not, what to answer.
    fn may_accept<D: Defects>(
        &self,
        defects: D,
        asks: &Promise,
        value: &Value,
        fit: bool,
        now: Mono,
    ) -> Result<(), Option<Box<VerifiedLease>>> {
        let refused = |refusal| Err(Some(Box::new(VerifiedLease::Refused(refusal))));
        let headless = defects.has(Defect::NewVoterWithoutHead) && value.slot > self.head.slot;
        if !headless && !self.electorate().has(&asks.holder) {
            return Err(None);
        }
        if value.slot <= self.head.slot {
            return Err(self.head_decision.clone().map(|decision| Box::new(VerifiedLease::Decided(decision))));
        }
        if !headless && (value.slot != self.head.slot.next() || value.previous != self.head.digest) {
            return refused(Refusal::Head { cell: self.cell, head: self.head });
        }
        let exchanged = self.record.accepted.as_ref().is_some_and(|accepted| {
            let rivals = accepted.value.point() == value.point() && accepted.value != *value;
            rivals && accepted.term >= asks.term && !defects.has(Defect::AcceptedReplacedAtSameTerm)
        });
        if exchanged || !self.may_promise(defects, asks, now) {
            let promised = self.record.promise.map_or(Term(0), |promise| promise.term);
            return refused(Refusal::Promised { cell: self.cell, term: promised });
        }
        // What was accepted once is not judged again: another holder may have to finish it.
        if !fit && !headless && self.pending() != Some(value) {
            return refused(Refusal::Unfit { cell: self.cell, slot: value.slot });
        }
        Ok(())
    }
}

pub(super) fn lease(message: VerifiedLease) -> VerifiedMessage {
    VerifiedMessage::Lease(Box::new(message))
}
