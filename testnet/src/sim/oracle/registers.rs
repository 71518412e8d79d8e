//! What the registers decided, whoever says so.

use super::invariant::Invariant;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::CellId;
use hedgerow_protocol::id::{Generation, Slot, Term};
use hedgerow_protocol::register::{Configuration, Value, VerifiedDecision};
use std::collections::BTreeMap;

/// Every slot that anybody said to be decided.
#[derive(Debug, Default)]
pub(super) struct Registers {
    slots: BTreeMap<(CellId, Generation, Slot), Sha256Digest>,
    configurations: BTreeMap<CellId, BTreeMap<Slot, Configuration>>,
    ballots: BTreeMap<(CellId, Generation, Slot, Term), Sha256Digest>,
}

impl Registers {
    /// A decision was told.
    pub(super) fn decided(&mut self, decision: &VerifiedDecision) -> Result<(), (Invariant, String)> {
        let value = &decision.value;
        let slot = (value.cell, value.generation, value.slot);
        let known = *self.slots.entry(slot).or_insert_with(|| decision.digest());
        if known != decision.digest() {
            let what = format!("slot {} of cell {} was decided twice", value.slot, value.cell.short());
            return Err((Invariant::OneValuePerSlot, what));
        }
        if !self.is_quorum(decision) {
            let what = format!("slot {} of cell {} was decided by too few", value.slot, value.cell.short());
            return Err((Invariant::DecidedByAQuorum, what));
        }
        let Some(next) = value.content.next_voters() else { return Ok(()) };
        let book = self.configurations.entry(value.cell).or_default();
        book.insert(value.slot, next.clone());
        let follows = book
            .values()
            .zip(book.values().skip(1))
            .all(|(former, later)| later.epoch != former.epoch.next() || former.may_become(later));
        if follows {
            Ok(())
        } else {
            let what = format!("configuration {} of cell {} does not follow", next.epoch, value.cell.short());
            Err((Invariant::QuorumsMeet, what))
        }
    }

    /// Whether so many accepted as the configuration in force asks for. The first of a cell has one voter, and is not noted.
    fn is_quorum(&self, decision: &VerifiedDecision) -> bool {
        let (value, accepted) = (&decision.value, decision.acceptances.len());
        let mut known = self.configurations.get(&value.cell).into_iter().flat_map(BTreeMap::values);
        let in_force = known.find(|configuration| configuration.epoch == decision.config_epoch);
        let next = value.content.next_voters();
        in_force.into_iter().chain(next).all(|voters| accepted >= usize::from(voters.quorum))
    }

    /// A holder proposes a value.
    pub(super) fn proposed(&mut self, term: Term, value: &Value) -> Result<(), (Invariant, String)> {
        let digest = value.digest();
        let known = *self.ballots.entry((value.cell, value.generation, value.slot, term)).or_insert(digest);
        if known == digest {
            return Ok(());
        }
        let what = format!("two values are proposed for slot {} of cell {} in {term}", value.slot, value.cell.short());
        Err((Invariant::OneValuePerBallot, what))
    }
}
