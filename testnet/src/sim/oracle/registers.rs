//! What the registers decided, whoever says so.

use super::invariant::Invariant;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::CellId;
use hedgerow_protocol::id::{Generation, Slot};
use hedgerow_protocol::register::{Configuration, Content, VerifiedDecision};
use std::collections::BTreeMap;

/// Every slot that anybody said to be decided.
#[derive(Debug, Default)]
pub(super) struct Registers {
    slots: BTreeMap<(CellId, Generation, Slot), Sha256Digest>,
    configurations: BTreeMap<CellId, BTreeMap<Slot, Configuration>>,
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
        let Content::Configuration(next) = &value.content else { return Ok(()) };
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
}
