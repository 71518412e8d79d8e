//! Whether an author had the right to say what it said, as far as one node knows; signatures are another matter.

use super::accusation::Accusation;
use super::record::NodeRecord;
use super::rollup::Rollup;
use super::signed::SignedFact;
use super::verified::{Fact, FactRefusal, VerifiedFact};
use crate::register::{Decision, DecisionError, RecoveryError, VerifiedDecision, VerifiedRecovery};
use crate::roster::{Basis, Roster};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::PublicKey;
use hedgerow_attest::member::Member;
use hedgerow_attest::root::TrustRoot;
use hedgerow_attest::signed::Verified;

impl VerifiedFact {
    /// Whether a node with this roster would believe the fact, which was verified elsewhere in the same process: whose
    /// signature counts differs from node to node, whether it holds does not.
    ///
    /// # Errors
    /// [`FactRefusal`], as [`SignedFact::verify`] would.
    pub fn stands(&self, roster: &Roster, root: &TrustRoot) -> Result<(), FactRefusal> {
        match (self.fact(), self.signed()) {
            (Fact::Record(record), SignedFact::Record(signed)) => {
                is_signed_by(&record.node, signed.claimed_signer(), roster)?;
                stands_record(record, roster)
            }
            (Fact::Accusation(charge), SignedFact::Accusation(_)) => {
                charge.accusations().iter().try_for_each(|accusation| recheck_accusation(accusation, roster))
            }
            (Fact::Rollup(rollup), SignedFact::Rollup(signed)) => {
                let key = stands_rollup(rollup, roster)?;
                if key == *signed.claimed_signer() { Ok(()) } else { Err(FactRefusal::UnknownAuthor(rollup.holder)) }
            }
            (Fact::Genesis(founding), _) => author(roster, &root.genesis_issuer(founding.region())).map(|_known| ()),
            (Fact::Decision(decision), _) => stands_decision(decision, roster),
            (Fact::Recovery(recovery), _) => basis(recovery, roster).map(|_prior| ()),
            (
                Fact::Member(_) | Fact::Policy(..) | Fact::Deployment(_) | Fact::NodeClasses(_) | Fact::Revocation(_),
                _,
            ) => Ok(()),
            (Fact::Record(_) | Fact::Accusation(_) | Fact::Rollup(_), _) => Err(FactRefusal::IllFormed),
        }
    }
}

/// Whether a decision is one of the voters that are in force at its slot as far as the roster knows.
pub(crate) fn stands_decision(decision: &VerifiedDecision, roster: &Roster) -> Result<(), FactRefusal> {
    let cell = decision.value.cell;
    let voters = roster.voters_at(&cell, decision.value.point()).ok_or(FactRefusal::UnknownCell(cell))?;
    if decision.config_epoch != voters.epoch {
        let (found, expected) = (decision.config_epoch, voters.epoch);
        return Err(refusal(DecisionError::Configuration { found, expected }));
    }
    is_in_time(decision, roster)?;
    let next = decision.value.content.next_voters();
    if next.is_some_and(|next| !roster.waiver().allows(voters, next)) {
        return Err(refusal(DecisionError::Change));
    }
    Ok(())
}

/// What the recovery follows: what put the voters in force whom the operators name as the last.
pub(super) fn basis<'a>(recovery: &VerifiedRecovery, roster: &'a Roster) -> Result<&'a VerifiedFact, FactRefusal> {
    let book = roster.cell(&recovery.cell).ok_or(FactRefusal::UnknownCell(recovery.cell))?;
    let (found, expected) = (recovery.base_epoch, book.latest().epoch);
    match roster.basis_of(recovery) {
        Basis::Known(prior) => Ok(prior),
        Basis::Unknown => Err(FactRefusal::Voters(DecisionError::Configuration { found, expected })),
        Basis::None => Err(FactRefusal::Recovery(RecoveryError::Contradicted)),
    }
}

/// Whether the slot is not after the last of its register, and counts in spite of the recoveries of the cell.
pub(super) fn is_in_time(decision: &Decision, roster: &Roster) -> Result<(), FactRefusal> {
    let (cell, point) = (&decision.value.cell, decision.value.point());
    if roster.is_undone(cell, point) {
        return Err(refusal(DecisionError::Undone));
    }
    let end = roster.end_of(cell).and_then(VerifiedFact::charter);
    // Of a later generation the recovery is not known yet, which does not count the end.
    if end.is_some_and(|(_, last)| point.generation == last.generation && point > last) {
        Err(refusal(DecisionError::Ended))
    } else {
        Ok(())
    }
}

/// Whether an accusation that was verified elsewhere in the same process is one of the accuser that it names.
pub(crate) fn recheck_accusation(accusation: &Verified<Accusation>, roster: &Roster) -> Result<(), FactRefusal> {
    is_signed_by(&accusation.accuser, accusation.signer(), roster)?;
    stands_accusation(accusation, roster)
}

/// A node speaks of members of its own region, and so of its cell, only.
pub(super) fn stands_accusation(accusation: &Accusation, roster: &Roster) -> Result<(), FactRefusal> {
    let (author, subject) = (accusation.accuser, accusation.accused);
    let near = member(roster, &author)?.region() == member(roster, &subject)?.region();
    if near { Ok(()) } else { Err(FactRefusal::NotItsAuthor { author, subject }) }
}

pub(super) fn stands_record(record: &NodeRecord, roster: &Roster) -> Result<(), FactRefusal> {
    if member(roster, &record.node)?.region() == &record.region { Ok(()) } else { Err(FactRefusal::IllFormed) }
}

/// The key with which the rollup has to be signed.
pub(super) fn stands_rollup(rollup: &Rollup, roster: &Roster) -> Result<PublicKey, FactRefusal> {
    let cell = roster.cell(&rollup.cell).ok_or(FactRefusal::UnknownCell(rollup.cell))?;
    let voters = cell.configuration(rollup.config_epoch).ok_or(FactRefusal::UnknownCell(rollup.cell))?;
    let Some(key) = voters.key_of(&rollup.holder) else {
        return Err(FactRefusal::NotItsAuthor { author: rollup.holder, subject: rollup.holder });
    };
    if cell.region() != &rollup.region || !is_in_order(rollup) {
        return Err(FactRefusal::IllFormed);
    }
    Ok(key)
}

fn is_in_order(rollup: &Rollup) -> bool {
    rollup.contacts.is_sorted_by(|a, b| a.node < b.node)
        && rollup.models.is_sorted_by(|a, b| a.model < b.model)
        && rollup.totals.classes.is_sorted_by(|a, b| a.0 < b.0)
}

/// What a broken certificate means for the fact that carries it.
pub(super) fn refusal(error: DecisionError) -> FactRefusal {
    match error {
        DecisionError::Configuration { found, expected } if found > expected => FactRefusal::Voters(error),
        DecisionError::Configuration { .. }
        | DecisionError::Change
        | DecisionError::Succession
        | DecisionError::Ended
        | DecisionError::Undone
        | DecisionError::Stray(_)
        | DecisionError::Signature(_)
        | DecisionError::Malformed
        | DecisionError::Quorum => FactRefusal::Decision(error),
    }
}

pub(super) fn member<'a>(roster: &'a Roster, node: &NodeId) -> Result<&'a Member, FactRefusal> {
    roster.member(node).ok_or(FactRefusal::UnknownAuthor(*node))
}

/// Somebody whose signature counts although it may be a member no more.
pub(super) fn author<'a>(roster: &'a Roster, node: &NodeId) -> Result<&'a Member, FactRefusal> {
    roster.author(node).ok_or(FactRefusal::UnknownAuthor(*node))
}

fn is_signed_by(node: &NodeId, signer: &PublicKey, roster: &Roster) -> Result<(), FactRefusal> {
    let author = member(roster, node)?;
    if author.statement() == signer { Ok(()) } else { Err(FactRefusal::UnknownAuthor(*node)) }
}
