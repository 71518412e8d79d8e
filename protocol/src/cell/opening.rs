//! How this node comes to its seat: at a start, in a cell that came of another, and in a cell that the operators recovered.

use super::state::{Cell, Outcome, Role, Seat};
use crate::defect::{Defect, Defects};
use crate::election::VoterRecord;
use crate::id::{Generation, Term};
use crate::roster::Roster;
use crate::time::Mono;
use hedgerow_attest::id::CellId;
use std::collections::BTreeMap;

impl<D: Defects> Cell<D> {
    /// What was promised and accepted in earlier runs. Before [`Cell::open`].
    pub(crate) fn restore(&mut self, votes: BTreeMap<CellId, VoterRecord>) {
        self.restored = votes;
    }

    /// Takes a seat in a cell, in the generation in which the roster has it.
    pub(crate) fn open(&mut self, now: Mono, cell: CellId, roster: &Roster) {
        let Some(book) = roster.cell(&cell) else { return };
        let (voters, head) = book.beginning();
        // What this node promised in a cell it keeps, whatever the generation, and whatever cell it goes to: a recovery may
        // lead it back.
        let kept = self.close().filter(|seat| seat.cell == cell);
        let is_renewed = kept.as_ref().is_some_and(|seat| seat.generation < head.generation);
        let writing = kept.as_ref().and_then(|seat| seat.writing);
        let highest = kept.as_ref().map_or(Term(0), |seat| seat.max_term);
        let record = self.restored.remove(&cell).unwrap_or_default();
        let promised = record.promise.map_or(Term(0), |promise| promise.term);
        // What a promise to another binds is forgotten by a restart, so it is waited out in full. A promise to this node
        // itself binds nobody: its earlier run is over. What voters of an earlier generation promised is not known at all.
        let forgets = self.defects.has(Defect::NoRestartWait);
        let bound = record.promise.is_some_and(|promise| promise.holder != self.me) && !forgets;
        let waits = bound || head.generation > Generation(0);
        self.seat = Some(Seat {
            cell,
            generation: head.generation,
            head,
            head_decision: None,
            in_force: voters.clone(),
            in_force_decision: None,
            record,
            until: Mono(0),
            // A promise of an earlier generation is no reason to grant the same in this one.
            released: is_renewed,
            blocked_until: if waits { now + self.config.voter_span() } else { Mono(0) },
            writing,
            role: Role::Idle,
            max_term: promised.max(highest),
            known: None,
            vacancy: None,
            unled: None,
            parting: None,
            back_off: Mono(0),
            denied_until: Mono(0),
            grants: BTreeMap::new(),
            acceptances: BTreeMap::new(),
            own_acceptances: Vec::new(),
        });
    }

    /// There is no cell to which this node belongs, as far as it knows.
    pub(crate) fn leave(&mut self) {
        self.close();
    }

    /// Leaves the cell; what was promised there is kept.
    pub(super) fn close(&mut self) -> Option<Seat> {
        let seat = self.seat.take()?;
        self.restored.insert(seat.cell, seat.record.clone());
        Some(seat)
    }

    /// The operators gave a cell other voters: a lease of an earlier generation, or of a cell that never was, counts no more.
    pub(crate) fn superseded(&mut self, outcomes: &mut Vec<Outcome>) {
        let Some(seat) = self.seat.as_mut() else { return };
        if let Role::Holding(holding) = std::mem::replace(&mut seat.role, Role::Idle) {
            outcomes.push(Outcome::Lost(holding.term));
        }
    }
}
