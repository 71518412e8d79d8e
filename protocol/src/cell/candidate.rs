//! This node as a candidate for the lease.

use super::ballot::Round;
use super::state::{Cell, Holding, Outcome, Role, Seat, Standing};
use super::voter::lease;
use crate::core::Effects;
use crate::defect::{Defect, Defects};
use crate::election::{Abandon, Campaign, Denial, Promise, VerifiedGrant};
use crate::id::Term;
use crate::time::Mono;
use crate::wire::VerifiedLease;
use hedgerow_attest::id::NodeId;
use std::time::Duration;

/// Longest random part of a candidate's wait, so that equals do not collide.
const JITTER: Duration = Duration::from_millis(100);

/// After a failed round a candidate waits this long and as much again at random.
const BACK_OFF: Duration = Duration::from_millis(200);

impl<D: Defects> Cell<D> {
    /// Lets time pass: campaigns when nobody holds the lease, renews and expires an own one.
    pub(crate) fn tick(&mut self, fx: &mut Effects<'_>, standing: Standing, outcomes: &mut Vec<Outcome>) {
        self.in_view = standing.in_view;
        if self.halted {
            return;
        }
        let Some(seat) = self.seat.as_ref() else { return };
        match &seat.role {
            Role::Holding(_) => self.keep(fx, outcomes),
            Role::Asking(round) if fx.now >= round.ends => self.give_up_round(fx),
            Role::Asking(_) => {}
            Role::Idle if !standing.may_lead || !seat.in_force.has(&self.me) => {}
            Role::Idle => self.watch_vacancy(fx, standing.rivals, outcomes),
        }
    }

    /// When this idle voter might have something to do.
    pub(super) fn earliest_campaign(&self, seat: &Seat) -> Mono {
        let known = seat.known.map_or(Mono(0), |known| known.until);
        let own = if self.own_promise_binds(seat) { seat.until } else { Mono(0) };
        let vacancy = seat.vacancy.unwrap_or(Mono(0));
        known.max(own).max(seat.blocked_until).max(vacancy).max(seat.pause())
    }

    fn own_promise_binds(&self, seat: &Seat) -> bool {
        seat.record.promise.is_some_and(|promise| promise.holder != self.me)
    }

    fn watch_vacancy(&mut self, fx: &mut Effects<'_>, rivals: usize, outcomes: &mut Vec<Outcome>) {
        let Some(seat) = self.seat.as_ref() else { return };
        let known = seat.known.is_some_and(|known| known.until > fx.now);
        let bound = self.own_promise_binds(seat) && seat.until > fx.now;
        let waits = known || bound || seat.blocked_until > fx.now;
        let step = self.config.rank_step * u32::try_from(rivals).unwrap_or(u32::MAX);
        let Some(seat) = self.seat.as_mut() else { return };
        if waits {
            seat.vacancy = None;
            return;
        }
        // A sole voter competes with nobody.
        let alone = seat.in_force.voters.len() == 1;
        let start = *seat.vacancy.get_or_insert_with(|| if alone { fx.now } else { fx.now + step + fx.jitter(JITTER) });
        if fx.now >= start.max(seat.pause()) {
            seat.vacancy = None;
            self.ask(fx, outcomes);
        }
    }

    /// Asks every voter for the lease, itself first: the promise to itself is durable before anyone hears of the term.
    fn ask(&mut self, fx: &mut Effects<'_>, outcomes: &mut Vec<Outcome>) {
        let (me, boot, span) = (self.me, self.boot, self.config.voter_span());
        let resumes = self.defects.has(Defect::RestartTakenForRenewal);
        let Some(seat) = self.seat.as_mut() else { return };
        let former = seat.record.promise.filter(|former| resumes && former.holder == me && former.boot != boot);
        let term = former.map_or(seat.max_term.next(), |former| former.term);
        let nonce = fx.random();
        let after = seat.promise(fx, Promise { term, holder: me, boot }, span);
        seat.role = Role::Asking(Box::new(Round::new(term, nonce, fx.now, fx.now + self.config.campaign)));
        let campaign = seat.campaign(term, boot, nonce);
        for voter in seat.electorate().others(&me) {
            fx.send_after(voter, lease(VerifiedLease::Campaign(campaign.clone())), after);
        }
        fx.sometimes("a campaign for the lease of a cell");
        self.count_own_vote(fx.now, outcomes);
    }

    fn give_up_round(&mut self, fx: &mut Effects<'_>) {
        let (me, boot) = (self.me, self.boot);
        let Some(seat) = self.seat.as_mut() else { return };
        let Role::Asking(mut round) = std::mem::replace(&mut seat.role, Role::Idle) else { return };
        seat.release(fx, me, boot, round.term);
        let grace = round.asked + self.config.lease;
        if self.defects.has(Defect::GrantAfterReleaseCounted) && round.ends < grace {
            round.ends = grace;
            seat.role = Role::Asking(round);
            return;
        }
        let pause = fx.now + BACK_OFF + fx.jitter(BACK_OFF * 2);
        seat.back_off = seat.back_off.max(pause);
        fx.sometimes("a campaign without a quorum");
    }

    /// Gives the lease back, so that the next holder need not wait for its end.
    pub(crate) fn give_back(&mut self, fx: &mut Effects<'_>, outcomes: &mut Vec<Outcome>) {
        let (me, boot) = (self.me, self.boot);
        let Some(seat) = self.seat.as_mut() else { return };
        match std::mem::replace(&mut seat.role, Role::Idle) {
            Role::Holding(holding) => {
                seat.release(fx, me, boot, holding.term);
                outcomes.push(Outcome::Lost(holding.term));
            }
            Role::Asking(round) => seat.release(fx, me, boot, round.term),
            Role::Idle => {}
        }
    }

    /// A voter refused. What it knows of terms and voters is worth having.
    pub(crate) fn denied(&mut self, fx: &mut Effects<'_>, denial: &Denial) {
        let Some(seat) = self.seat.as_mut().filter(|seat| seat.cell == denial.cell) else { return };
        let leap = seat.max_term.0.saturating_add(1 << 20);
        if denial.promised.0 <= leap {
            seat.max_term = seat.max_term.max(denial.promised);
        }
        if let Role::Asking(round) = &seat.role
            && round.nonce == denial.nonce
        {
            let remaining = Duration::from_millis(u64::from(denial.remaining_ms)).min(self.config.voter_span());
            seat.denied_until = seat.denied_until.max(fx.now + remaining + fx.jitter(JITTER));
        }
    }

    /// A voter granted. The caller has adopted the head that came with it.
    pub(crate) fn granted(&mut self, now: Mono, reply: VerifiedGrant, outcomes: &mut Vec<Outcome>) {
        let (me, boot) = (self.me, self.boot);
        let Some(seat) = self.seat.as_mut() else { return };
        let VerifiedGrant { grant, head: _, accepted } = reply;
        let subject = (grant.cell, grant.generation, grant.config_epoch, grant.candidate, grant.boot);
        if subject != (seat.cell, seat.generation, seat.in_force.epoch, me, boot) {
            return;
        }
        if seat.electorate().key_of(&grant.voter) != Some(*grant.signer()) {
            return;
        }
        // A head that could not be proven, or an accepted value that did not come along: the vote is no use.
        let behind = grant.head.slot > seat.head.slot;
        let next = seat.head.slot.next();
        let pending = grant.accepted.filter(|_| grant.head.slot == seat.head.slot);
        if behind || (pending.is_some() && accepted.is_none()) {
            return;
        }
        let round = match &mut seat.role {
            Role::Asking(round) => Some(&mut **round),
            Role::Holding(holding) => holding.renewal.as_mut(),
            Role::Idle => None,
        };
        let Some(round) = round.filter(|round| (round.term, round.nonce) == (grant.term, grant.nonce)) else { return };
        round.votes.insert(grant.voter);
        if let (Some((term, _)), Some(value)) = (pending, accepted.filter(|value| value.slot == next)) {
            round.note(term, value);
        }
        self.count(now, outcomes);
    }

    /// Counts this node's own vote once the promise behind it is durable.
    pub(super) fn count_own_vote(&mut self, now: Mono, outcomes: &mut Vec<Outcome>) {
        let (me, boot) = (self.me, self.boot);
        let Some(seat) = self.seat.as_mut().filter(|seat| seat.writing.is_none()) else { return };
        let Some(promise) = seat.record.promise else { return };
        let votes = seat.in_force.has(&me);
        let round = match &mut seat.role {
            Role::Asking(round) => Some(&mut **round),
            Role::Holding(holding) => holding.renewal.as_mut(),
            Role::Idle => None,
        };
        let Some(round) = round else { return };
        let same_run = promise.boot == boot || self.defects.has(Defect::RestartTakenForRenewal);
        if votes && same_run && (promise.term, promise.holder) == (round.term, me) {
            round.votes.insert(me);
            self.count(now, outcomes);
        }
    }

    fn count(&mut self, now: Mono, outcomes: &mut Vec<Outcome>) {
        let (span, defects, in_view) = (self.config.holder_span(), self.defects, self.in_view);
        let Some(seat) = self.seat.as_mut() else { return };
        let electorate = seat.electorate();
        let decides = |round: &Round| match defects.has(Defect::QuorumOfOwnView) {
            false => electorate.decides(defects, &round.votes),
            true => round.votes.len() * 2 > in_view,
        };
        let until = |round: &Round| match defects.has(Defect::LeaseFromReceipt) {
            false => round.asked + span,
            true => now + span,
        };
        match &mut seat.role {
            Role::Asking(round) if decides(round) => {
                let until = until(round);
                if until <= now {
                    return;
                }
                let (term, accepted) = (round.term, round.accepted.take());
                let next_renewal = round.asked + self.config.renew;
                let inherited = seat.inherit(accepted).filter(|_value| !defects.has(Defect::AcceptedNotReproposed));
                let holding = Holding { term, until, next_renewal, renewal: None, inherited, proposal: None };
                seat.role = Role::Holding(Box::new(holding));
                seat.vacancy = None;
                outcomes.push(Outcome::Acquired(term));
            }
            Role::Holding(holding) => {
                if let Some(round) = holding.renewal.take_if(|round| decides(round)) {
                    holding.until = holding.until.max(until(&round));
                }
            }
            Role::Asking(_) | Role::Idle => {}
        }
    }
}

impl Seat {
    /// How long this candidate has reason to wait, vacancy or not.
    fn pause(&self) -> Mono {
        self.back_off.max(self.denied_until)
    }

    pub(super) fn campaign(&self, term: Term, boot: crate::id::BootId, nonce: u64) -> Campaign {
        Campaign {
            cell: self.cell,
            generation: self.generation,
            config_epoch: self.in_force.epoch,
            term,
            boot,
            nonce,
            head: self.head.slot,
        }
    }

    /// Of what the voters and this node itself accepted, the value of the highest term (Paxos, phase 2a).
    fn inherit(&self, granted: Option<(Term, crate::register::Value)>) -> Option<crate::register::Value> {
        let own = self.record.accepted.as_ref().filter(|accepted| accepted.value.slot == self.head.slot.next());
        let own = own.map(|accepted| (accepted.term, accepted.value.clone()));
        match (own, granted) {
            (Some(own), Some(granted)) => Some(if granted.0 > own.0 { granted.1 } else { own.1 }),
            (own, granted) => own.or(granted).map(|(_, value)| value),
        }
    }

    fn release(&mut self, fx: &mut Effects<'_>, me: NodeId, boot: crate::id::BootId, term: Term) {
        if self.record.promise == Some(Promise { term, holder: me, boot }) {
            self.until = fx.now;
        }
        let abandon = Abandon { cell: self.cell, term, boot };
        for voter in self.electorate().others(&me) {
            fx.send_after(voter, lease(VerifiedLease::Abandon(abandon.clone())), None);
        }
    }
}
