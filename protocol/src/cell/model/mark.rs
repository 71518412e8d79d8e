//! What of a machine makes a difference to what it does later, for the comparison of states.
//!
//! Times count by how far they lie ahead: the machine asks of a moment only whether it has come. Numbers of writes count by
//! how many came after them.

use super::super::ballot::{Proposal, Round};
use super::super::state::{Cell, Holding, Role, Seat};
use crate::id::Token;
use crate::register::VerifiedDecision;
use crate::testing::Planted;
use crate::time::Mono;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Hashes states relative to one moment of one node.
pub(super) struct Marker {
    hasher: DefaultHasher,
    now: Mono,
    last: Token,
}

impl Marker {
    pub(super) fn new(now: Mono, last: Token) -> Self {
        Self { hasher: DefaultHasher::new(), now, last }
    }

    pub(super) fn finish(&self) -> u64 {
        self.hasher.finish()
    }

    pub(super) fn plain(&mut self, value: impl Hash) {
        value.hash(&mut self.hasher);
    }

    pub(super) fn ahead(&mut self, moment: Mono) {
        self.plain(moment.since(self.now));
    }

    pub(super) fn token(&mut self, token: Token) {
        self.plain(self.last.0 - token.0);
    }

    pub(super) fn decision(&mut self, decision: &VerifiedDecision) {
        self.plain((decision.digest(), decision.term, decision.config_epoch, decision.acceptances.len()));
    }

    pub(super) fn cell(&mut self, cell: &Cell<Planted>) {
        self.plain(cell.halted);
        self.plain((cell.looked.0 == self.now, cell.looked.1));
        if let Some(seat) = &cell.seat {
            self.seat(seat);
        }
    }

    fn seat(&mut self, seat: &Seat) {
        let Seat {
            cell: _,
            generation,
            head,
            head_decision,
            in_force,
            in_force_decision,
            record,
            until,
            released,
            blocked_until,
            writing,
            role,
            max_term,
            known,
            vacancy,
            // Three voters have no rank at which it counts.
            unled: _,
            parting,
            back_off,
            denied_until,
            grants,
            acceptances,
            own_acceptances,
        } = seat;
        assert!(grants.is_empty() && acceptances.is_empty(), "signatures take no time here");
        self.plain((generation, head, in_force.epoch, record, released, max_term, known));
        head_decision.iter().chain(in_force_decision).for_each(|decision| self.decision(decision));
        [until, blocked_until, back_off, denied_until].into_iter().for_each(|moment| self.ahead(*moment));
        writing.iter().for_each(|token| self.token(*token));
        self.plain((writing.is_some(), vacancy, parting));
        for (token, acceptance) in own_acceptances {
            self.token(*token);
            self.plain(&**acceptance);
        }
        match role {
            Role::Idle => self.plain(0),
            Role::Asking(round) => {
                self.plain(1);
                self.round(round);
            }
            Role::Holding(holding) => {
                self.plain(2);
                self.holding(holding);
            }
        }
    }

    fn round(&mut self, round: &Round) {
        let Round { term, nonce, asked, retry, ends, rounds, handed, rid, votes, refused, accepted } = round;
        self.plain((term, nonce, rounds, handed, rid, votes, accepted, self.now.since(*asked)));
        self.ahead(*retry);
        self.ahead(*ends);
        for (node, free) in refused {
            self.plain(node);
            self.ahead(*free);
        }
    }

    fn holding(&mut self, holding: &Holding) {
        let Holding {
            term,
            until,
            asks,
            outranked,
            rid_of,
            next_renewal,
            next_retry,
            last_nonce,
            renewal,
            inherited,
            proposal,
        } = holding;
        self.plain((term, asks, outranked, rid_of, last_nonce, inherited));
        [until, next_renewal, next_retry].into_iter().for_each(|moment| self.ahead(*moment));
        self.plain((renewal.is_some(), proposal.is_some()));
        renewal.iter().for_each(|round| self.round(round));
        if let Some(Proposal { value: _, digest, acceptances, unfit }) = proposal {
            self.plain((digest, unfit, acceptances.len()));
            for (voter, acceptance) in acceptances {
                self.plain((voter, acceptance.term));
            }
        }
    }
}
