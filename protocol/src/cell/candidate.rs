//! This node as a candidate for the lease.

use super::ballot::Round;
use super::state::{Cell, Outcome, Role, Seat, Standing};
use super::voter::lease;
use crate::core::Effects;
use crate::defect::{Defect, Defects};
use crate::election::{Abandon, Campaign, Denial, LeaseHint, Promise};
use crate::id::{BootId, Term, Token};
use crate::time::Mono;
use crate::wire::VerifiedLease;
use hedgerow_attest::id::NodeId;
use std::time::Duration;

/// Longest random part of a candidate's wait, so that equals do not collide.
const JITTER: Duration = Duration::from_millis(100);

/// After a failed round a candidate waits this long and as much again at random.
const BACK_OFF: Duration = Duration::from_millis(200);

/// Rounds that follow each other without a pause, each under a term that the voters of the one before demanded.
const ROUNDS_MAX: u8 = 4;

/// Candidates that take turns; those ranked after them wait until two leases have passed (four that are cut off in one
/// direction must not keep everybody else from asking).
const RANKS: usize = 4;

/// Shortest time between two looks of an idle voter at a vacancy.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

impl<D: Defects> Cell<D> {
    /// Lets time pass: campaigns when nobody holds the lease, renews and expires an own one.
    pub(crate) fn tick(&mut self, fx: &mut Effects<'_>, standing: Standing, outcomes: &mut Vec<Outcome>) {
        self.in_view = standing.in_view;
        let may_lead = standing.may_lead && self.clock.is_trusted();
        self.looked = (fx.now, may_lead);
        if self.halted {
            return;
        }
        self.part_on(fx);
        let Some(seat) = self.seat.as_ref() else { return };
        match &seat.role {
            Role::Holding(_) => self.keep(fx, outcomes),
            Role::Asking(round) if fx.now >= round.ends => self.give_up_round(fx),
            Role::Asking(_) => self.ask_once_more(fx, outcomes),
            Role::Idle if !may_lead || !seat.in_force.has(&self.me) => {}
            Role::Idle => self.watch_vacancy(fx, standing, outcomes),
        }
    }

    /// When this idle voter might have something to do by time alone.
    pub(super) fn earliest_campaign(&self, seat: &Seat) -> Mono {
        let known = seat.known.map_or(Mono(0), |known| known.until);
        let own = if self.own_promise_binds(seat) { seat.until } else { Mono(0) };
        let turn = seat.vacancy.map_or(Mono(0), |vacancy| vacancy.turn);
        let waits = known.max(own).max(seat.blocked_until).max(turn).max(seat.pause());
        let (looked, may_lead) = self.looked;
        // Who may not lead has nothing to look for, and whoever looked in vain looks again a little later.
        if may_lead { waits.max(looked + LOOK_AGAIN) } else { Mono(u64::MAX) }
    }

    fn own_promise_binds(&self, seat: &Seat) -> bool {
        seat.record.promise.is_some_and(|promise| promise.holder != self.me)
    }

    /// Whether this node is a voter that knows of nobody who leads, and is bound by nothing; with the holder that is known to
    /// be down.
    pub(crate) fn sees_vacancy(&self, now: Mono, down: Option<NodeId>) -> bool {
        let Some(seat) = self.seat.as_ref().filter(|seat| matches!(seat.role, Role::Idle)) else { return false };
        let bound = self.own_promise_binds(seat) && seat.until > now;
        !seat.knows_holder(now, down) && !bound && seat.blocked_until <= now && seat.in_force.has(&self.me)
    }

    fn watch_vacancy(&mut self, fx: &mut Effects<'_>, standing: Standing, outcomes: &mut Vec<Outcome>) {
        let vacant = self.sees_vacancy(fx.now, standing.down);
        let Some(seat) = self.seat.as_mut() else { return };
        let unled = *seat.unled.get_or_insert(fx.now);
        if seat.knows_holder(fx.now, standing.down) {
            seat.unled = None;
        }
        if !vacant {
            seat.vacancy = None;
            return;
        }
        // A sole voter competes with nobody. Who ranks before this node is seen otherwise as time goes on.
        let alone = seat.in_force.voters.len() == 1;
        let vacancy = seat.vacancy.get_or_insert_with(|| {
            let jitter = if alone { Duration::ZERO } else { fx.jitter(JITTER) };
            Vacancy { since: fx.now + jitter, turn: fx.now }
        });
        vacancy.turn = if standing.rivals < RANKS {
            vacancy.since + self.config.rank_step * u32::try_from(standing.rivals).unwrap_or(u32::MAX)
        } else {
            // Those ranked first, if they ask in vain, bind this voter again and again: that is no reason to wait afresh.
            vacancy.since.max(unled + self.config.lease * 2)
        };
        if fx.now >= vacancy.turn.max(seat.pause()) {
            seat.vacancy = None;
            self.ask(fx, 1, false, outcomes);
        }
    }

    /// Asks every voter for the lease, itself first: the promise to itself is durable before anyone hears of the term.
    pub(super) fn ask(&mut self, fx: &mut Effects<'_>, rounds: u8, handed: bool, outcomes: &mut Vec<Outcome>) {
        let (me, boot, span) = (self.me, self.boot, self.config.voter_span());
        let resumes = self.defects.has(Defect::RestartTakenForRenewal);
        let Some(seat) = self.seat.as_mut() else { return };
        let former = seat.record.promise.filter(|former| resumes && former.holder == me && former.boot != boot);
        let term = former.map_or(seat.max_term.next(), |former| former.term);
        let after = seat.promise(fx, Promise { term, holder: me, boot }, span);
        let mut round = Round::new(term, fx.random(), fx.now, fx.now + self.config.campaign);
        round.retry = fx.now + self.config.retry;
        (round.rounds, round.handed) = (rounds, handed);
        seat.send_campaign(fx, me, boot, &round, after, round.ends);
        seat.role = Role::Asking(Box::new(round));
        fx.sometimes("a campaign for the lease of a cell");
        self.count_own_vote(fx.now, outcomes);
    }

    /// Messages are lost: who has not answered is asked once more, and so is who refused and is free by its own word. A
    /// voter that gave the term away is asked for a higher one.
    fn ask_once_more(&mut self, fx: &mut Effects<'_>, outcomes: &mut Vec<Outcome>) {
        let (me, boot, retry) = (self.me, self.boot, self.config.retry);
        let Some(seat) = self.seat.as_mut() else { return };
        let (highest, after) = (seat.max_term, seat.writing);
        let Role::Asking(round) = &mut seat.role else { return };
        if fx.now < round.retry {
            return;
        }
        let refusals = round.refused.len();
        round.refused.retain(|_, free| *free > fx.now);
        if round.refused.len() < refusals && highest >= round.term && round.rounds < ROUNDS_MAX {
            let (rounds, handed) = (round.rounds + 1, round.handed);
            fx.sometimes("a campaign under a term that the voters had given away");
            return self.ask(fx, rounds, handed, outcomes);
        }
        round.retry = fx.now + retry;
        let round = round.clone();
        seat.send_campaign(fx, me, boot, &round, after, round.ends);
    }

    fn give_up_round(&mut self, fx: &mut Effects<'_>) {
        let (me, boot) = (self.me, self.boot);
        let Some(seat) = self.seat.as_mut() else { return };
        let Role::Asking(mut round) = std::mem::replace(&mut seat.role, Role::Idle) else { return };
        seat.release(fx, me, boot, round.term);
        let grace = round.asked + self.config.lease;
        if self.defects.has(Defect::GrantAfterReleaseCounted) && round.ends < grace {
            (round.ends, round.retry) = (grace, grace);
            seat.role = Role::Asking(round);
            return;
        }
        let pause = fx.now + BACK_OFF + fx.jitter(BACK_OFF * 2);
        seat.back_off = seat.back_off.max(pause);
        fx.sometimes("a campaign without a quorum");
    }

    /// A voter refused. What it knows of terms and voters is worth having.
    pub(crate) fn denied(&mut self, fx: &mut Effects<'_>, from: NodeId, denial: &Denial) {
        let Some(seat) = self.seat.as_mut().filter(|seat| seat.cell == denial.cell) else { return };
        seat.learn_term(denial.promised);
        let remaining = Duration::from_millis(u64::from(denial.remaining_ms)).min(self.config.voter_span());
        let electorate = seat.electorate();
        match &mut seat.role {
            Role::Asking(round) if round.nonce == denial.nonce => {
                // Voters that have not heard yet that the lease was handed over are about to.
                let free = if round.handed { fx.now } else { fx.now + remaining };
                round.refused.insert(from, free);
                round.retry = round.retry.min(free + fx.jitter(JITTER));
                if let Some(free) = round.hopeless_until(&electorate) {
                    self.hopeless(fx, free);
                }
            }
            Role::Holding(holding) if holding.last_nonce == denial.nonce => {
                holding.outranked |= denial.promised >= holding.asks && remaining.is_zero();
            }
            Role::Asking(_) | Role::Holding(_) | Role::Idle => {}
        }
    }

    /// Too many refused for a quorum. If they are free, all that was wrong is the term; else this round is over.
    fn hopeless(&mut self, fx: &mut Effects<'_>, free: Mono) {
        let Some(seat) = self.seat.as_mut() else { return };
        let Role::Asking(round) = &mut seat.role else { return };
        if round.handed {
            // The next question comes soon enough.
        } else if free <= fx.now && round.rounds < ROUNDS_MAX {
            round.retry = fx.now;
        } else {
            seat.denied_until = seat.denied_until.max(free + fx.jitter(JITTER));
            self.give_up_round(fx);
        }
    }
}

/// A time in which nobody is known to hold the lease.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) struct Vacancy {
    /// Since when, and a little more at random.
    since: Mono,
    /// When it is this candidate's turn.
    turn: Mono,
}

impl Seat {
    /// Whether a hint names somebody who may lead: it is nobody's signed word, and of the voters known here no other leads.
    pub(super) fn may_be_led_by(&self, hint: &LeaseHint) -> bool {
        hint.config_epoch != self.in_force.epoch || self.in_force.has(&hint.holder)
    }

    /// Whether somebody leads, as far as this node knows, who is not the one that is known to be down.
    fn knows_holder(&self, now: Mono, down: Option<NodeId>) -> bool {
        self.known.is_some_and(|known| known.until > now && Some(known.holder) != down)
    }

    /// How long this candidate has reason to wait, vacancy or not.
    fn pause(&self) -> Mono {
        self.back_off.max(self.denied_until)
    }

    /// Asks those voters who have not answered in this round.
    pub(super) fn send_campaign(
        &self,
        fx: &mut Effects<'_>,
        me: NodeId,
        boot: BootId,
        round: &Round,
        after: Option<Token>,
        not_after: Mono,
    ) {
        let campaign = Campaign {
            cell: self.cell,
            generation: self.generation,
            config_epoch: self.in_force.epoch,
            term: round.term,
            boot,
            nonce: round.nonce,
            head: self.head.slot,
        };
        for voter in self.electorate().others(&me) {
            if !round.votes.contains(&voter) && !round.refused.contains_key(&voter) {
                fx.send_until(voter, lease(VerifiedLease::Campaign(campaign.clone())), after, not_after);
            }
        }
    }

    /// Frees every voter that promised this run anything up to that term.
    pub(super) fn release(&mut self, fx: &mut Effects<'_>, me: NodeId, boot: BootId, term: Term) {
        self.free_own_promise(fx.now, me, boot);
        let abandon = Abandon { cell: self.cell, term, boot };
        for voter in self.electorate().others(&me) {
            fx.send_after(voter, lease(VerifiedLease::Abandon(abandon.clone())), None);
        }
    }
    pub(super) fn free_own_promise(&mut self, now: Mono, me: NodeId, boot: BootId) {
        if self.record.promise.is_some_and(|promise| (promise.holder, promise.boot) == (me, boot)) {
            self.until = now;
        }
    }
}
