//! Leaving in good order: the holder names who is to lead next, and both act at once.

use super::state::{Cell, Outcome, Role, Seat};
use super::voter::lease;
use crate::core::Effects;
use crate::defect::{Defect, Defects};
use crate::election::Abandon;
use crate::id::{BootId, Term};
use crate::time::Mono;
use crate::wire::VerifiedLease;
use hedgerow_attest::id::NodeId;
use std::time::Duration;

/// Time between two tellings that a lease was given back. A lost one must not cost the cell its half second.
const TELL: Duration = Duration::from_millis(100);

/// How long it is told, unless somebody is heard of who leads.
const TELL_FOR: Duration = Duration::from_millis(600);

/// A lease that was given back and that nobody took yet.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) struct Parting {
    term: Term,
    successor: Option<NodeId>,
    pub(super) next: Mono,
    ends: Mono,
}

impl<D: Defects> Cell<D> {
    /// Gives the lease back, so that the next holder need not wait for its end, and tells the one who is to be it.
    pub(crate) fn hand_over(&mut self, fx: &mut Effects<'_>, successor: Option<NodeId>, outcomes: &mut Vec<Outcome>) {
        let (me, boot, grace) = (self.me, self.boot, fx.now + self.config.lease);
        let Some(seat) = self.seat.as_mut() else { return };
        match std::mem::replace(&mut seat.role, Role::Idle) {
            Role::Holding(mut holding) => {
                outcomes.push(Outcome::Lost(holding.term));
                seat.part(fx, me, boot, holding.asks, successor);
                if let Some(mut round) = holding.renewal.take()
                    && self.defects.has(Defect::GrantAfterReleaseCounted)
                {
                    (round.ends, round.retry) = (grace, grace);
                    seat.role = Role::Asking(Box::new(round));
                }
            }
            Role::Asking(round) => seat.release(fx, me, boot, round.term),
            Role::Idle => {}
        }
    }

    /// This holder was voted out: the lease ended with the vote, and the others should not wait for it.
    pub(crate) fn voted_out(&mut self, fx: &mut Effects<'_>, term: Term, successor: Option<NodeId>) {
        let (me, boot) = (self.me, self.boot);
        if let Some(seat) = self.seat.as_mut().filter(|seat| !seat.in_force.has(&me)) {
            seat.part(fx, me, boot, term, successor);
        }
    }

    /// Whether a lease that was given back has still to be told of.
    pub(crate) fn is_parting(&self) -> bool {
        self.seat.as_ref().is_some_and(|seat| seat.parting.is_some())
    }

    /// Tells again of a lease that was given back, until somebody else leads or is about to.
    pub(super) fn part_on(&mut self, fx: &mut Effects<'_>) {
        let (me, boot) = (self.me, self.boot);
        let Some(seat) = self.seat.as_mut() else { return };
        let Some(parting) = seat.parting else { return };
        let led = seat.known.is_some_and(|known| known.term > parting.term);
        let asked = seat.record.promise.is_some_and(|promise| promise.term > parting.term);
        if led || asked || fx.now >= parting.ends {
            seat.parting = None;
        } else if fx.now >= parting.next {
            seat.parting = Some(Parting { next: fx.now + TELL, ..parting });
            seat.tell_parting(fx, me, boot, &parting);
        }
    }

    /// The holder leaves and names this node. The caller has adopted the head that came with it.
    pub(crate) fn handed_over(
        &mut self,
        fx: &mut Effects<'_>,
        from: NodeId,
        abandon: &Abandon,
        may_lead: bool,
        outcomes: &mut Vec<Outcome>,
    ) {
        self.abandoned(fx.now, from, abandon);
        let (me, halted) = (self.me, self.halted);
        let Some(seat) = self.seat.as_ref().filter(|seat| seat.cell == abandon.cell && !halted) else { return };
        // Whoever was not known to lead has nothing to hand over.
        let led = seat.known.is_some_and(|known| (known.holder, known.term) == (from, abandon.term));
        let promised = seat.record.promise.is_some_and(|promise| promise.holder == from);
        let free = matches!(seat.role, Role::Idle) && fx.now >= seat.blocked_until;
        let later = seat.max_term > abandon.term;
        if may_lead && free && !later && (led || promised) && seat.in_force.has(&me) {
            fx.sometimes("a lease was handed over");
            self.ask(fx, 1, true, outcomes);
        }
    }
}

impl Seat {
    fn part(&mut self, fx: &mut Effects<'_>, me: NodeId, boot: BootId, term: Term, successor: Option<NodeId>) {
        self.free_own_promise(fx.now, me, boot);
        let parting = Parting { term, successor, next: fx.now + TELL, ends: fx.now + TELL_FOR };
        self.parting = Some(parting).filter(|_| !self.electorate().others(&me).is_empty());
        self.tell_parting(fx, me, boot, &parting);
    }

    fn tell_parting(&self, fx: &mut Effects<'_>, me: NodeId, boot: BootId, parting: &Parting) {
        let abandon = Abandon { cell: self.cell, term: parting.term, boot };
        for voter in self.electorate().others(&me) {
            let message = if Some(voter) == parting.successor {
                VerifiedLease::Handover(abandon.clone(), self.head_decision.clone())
            } else {
                VerifiedLease::Abandon(abandon.clone())
            };
            fx.send_after(voter, lease(message), None);
        }
    }
}
