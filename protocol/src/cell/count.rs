//! Counting votes: for a lease, and for its renewal.

use super::ballot::Round;
use super::state::{Cell, Holding, Outcome, Role, Seat};
use crate::defect::{Defect, Defects};
use crate::election::VerifiedGrant;
use crate::id::Term;
use crate::register::Value;
use crate::time::Mono;

impl<D: Defects> Cell<D> {
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
        let next = seat.head.next();
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
        if let (Some((term, _)), Some(value)) = (pending, accepted.filter(|value| value.point() == next)) {
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
        if votes && same_run && !round.rid && (promise.term, promise.holder) == (round.term, me) {
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
        let (term, until, asked, rid, accepted) = match &mut seat.role {
            Role::Asking(round) if decides(round) => {
                (round.term, until(round), round.asked, round.rid, round.accepted.take())
            }
            Role::Holding(holding) => {
                let Some(round) = holding.renewal.take_if(|round| decides(round)) else { return };
                if round.term == holding.term {
                    holding.until = holding.until.max(until(&round));
                    return;
                }
                (round.term, until(&round), round.asked, round.rid, round.accepted)
            }
            Role::Asking(_) | Role::Idle => return,
        };
        if until <= now {
            return;
        }
        let inherited = seat.inherit(accepted, rid).filter(|_value| !defects.has(Defect::AcceptedNotReproposed));
        let rid_of = seat.pending().filter(|_| rid).map(Value::digest);
        let next_renewal = asked + self.config.renew;
        let holding = Holding { rid_of, ..Holding::new(term, until, next_renewal, inherited) };
        seat.role = Role::Holding(Box::new(holding));
        (seat.vacancy, seat.unled) = (None, None);
        outcomes.push(Outcome::Acquired(term));
    }
}

impl Seat {
    /// Of what the voters and this node itself accepted, the value of the highest term (Paxos, phase 2a). Where the others are a
    /// quorum by themselves, what this node alone accepted was not decided, and never will be: any quorum that decided it has
    /// a voter in common with them, who would have said so.
    fn inherit(&self, granted: Option<(Term, Value)>, rid: bool) -> Option<Value> {
        let own = self.accepted().filter(|_| !rid).map(|accepted| (accepted.term, accepted.value.clone()));
        // What was granted with an older head was decided meanwhile, and its voter accepted nothing for this slot.
        let granted = granted.filter(|granted| granted.1.point() == self.head.next());
        match (own, granted) {
            (Some(own), Some(granted)) => Some(if granted.0 > own.0 { granted.1 } else { own.1 }),
            (own, granted) => own.or(granted).map(|(_, value)| value),
        }
    }
}
