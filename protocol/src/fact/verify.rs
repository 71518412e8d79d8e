//! The door from a signed fact to a verified one.

use super::accusation::{Accusation, Charge};
use super::rollup::Rollup;
use super::signed::SignedFact;
use super::standing::{author, basis, is_in_time, member, refusal, stands_accusation, stands_record, stands_rollup};
use super::verified::{FactRefusal, VerifiedFact};
use crate::register::{Decision, Recovery, VerifiedDecision, VerifiedRecovery};
use crate::roster::Roster;
use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::genesis::{Birth, Genesis};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_attest::membership::Certificate;
use hedgerow_attest::revocation::Revocation;
use hedgerow_attest::root::TrustRoot;
use hedgerow_attest::signed::{Domain, Signed, Verified};
use hedgerow_attest::time::UnixSeconds;

impl SignedFact {
    /// Checks that whoever had to sign did, and that the fact keeps the rules of its kind.
    ///
    /// # Errors
    /// [`FactRefusal`]; see [`FactRefusal::may_heal`].
    pub fn verify(self, roster: &Roster, root: &TrustRoot, now: UnixSeconds) -> Result<VerifiedFact, FactRefusal> {
        match self {
            Self::Member(certificate) => Ok(VerifiedFact::member(membership(&certificate, root, now)?)),
            Self::Record(signed) => {
                let record = by_node(&signed, roster, |record| record.node)?;
                stands_record(&record, roster)?;
                Ok(VerifiedFact::record(record))
            }
            Self::Accusation(signed) => Ok(VerifiedFact::accusation(charge(&signed, roster)?)),
            Self::Genesis(signed) => genesis(&signed, roster, root),
            Self::Rollup(signed) => rollup(&signed, roster),
            Self::Policy(endorsed) => {
                let policy = endorsed.verify_threshold(root.policy()).map_err(FactRefusal::Endorsement)?;
                if policy.is_well_formed() {
                    Ok(VerifiedFact::policy(policy, endorsed))
                } else {
                    Err(FactRefusal::IllFormed)
                }
            }
            Self::Deployment(endorsed) => {
                let deployment = endorsed.verify_threshold(root.publishers()).map_err(FactRefusal::Endorsement)?;
                Ok(VerifiedFact::deployment(deployment, endorsed))
            }
            Self::NodeClasses(endorsed) => {
                let classes = endorsed.verify_threshold(root.policy()).map_err(FactRefusal::Endorsement)?;
                if classes.is_well_formed() {
                    Ok(VerifiedFact::node_classes(classes, endorsed))
                } else {
                    Err(FactRefusal::IllFormed)
                }
            }
            Self::Recovery(endorsed) => recovery(endorsed, roster, root),
            Self::Revocation(ref endorsed) => {
                let revocation = Revocation::open(endorsed, root).map_err(FactRefusal::Revocation)?;
                let digest = endorsed.payload_digest();
                Ok(VerifiedFact::revocation(revocation, self, digest))
            }
            Self::Withdrawal(ref proven) => {
                let revocation = proven.open(root).map_err(FactRefusal::Revocation)?;
                let digest = proven.withdrawal.payload_digest();
                Ok(VerifiedFact::revocation(revocation, self, digest))
            }
            Self::Decision(decision) => Ok(VerifiedFact::decision(verify_decision(*decision, roster)?, roster)),
        }
    }
}

/// Checks a decision against the voters that are in force at its slot as far as the roster knows.
pub(crate) fn verify_decision(decision: Decision, roster: &Roster) -> Result<VerifiedDecision, FactRefusal> {
    let cell = decision.value.cell;
    let voters = roster.voters_at(&cell, decision.value.point()).ok_or(FactRefusal::UnknownCell(cell))?;
    is_in_time(&decision, roster)?;
    decision.verify_waiving(voters, roster.waiver()).map_err(refusal)
}

/// Cells outlive the certificate of the issuer that founded them: it is passed on after its end, for its keys alone.
fn membership(certificate: &Certificate, root: &TrustRoot, now: UnixSeconds) -> Result<Member, FactRefusal> {
    let refused = match certificate.verify(root, now, root.skew_s()) {
        Ok(member) => return Ok(member),
        Err(refused) => refused,
    };
    let past = certificate.verify_past(root, now, root.skew_s()).ok();
    past.filter(|past| past.is_past() && root.founds_cells(&past.node())).ok_or(FactRefusal::Membership(refused))
}

fn genesis(signed: &Signed<Genesis>, roster: &Roster, root: &TrustRoot) -> Result<VerifiedFact, FactRefusal> {
    let claimed = signed.peek().map_err(FactRefusal::Malformed)?;
    let issuer = author(roster, &root.genesis_issuer(&claimed.region))?;
    Birth::open(signed, root, issuer).map(VerifiedFact::genesis).map_err(FactRefusal::Genesis)
}

fn recovery(endorsed: Endorsed<Recovery>, roster: &Roster, root: &TrustRoot) -> Result<VerifiedFact, FactRefusal> {
    let verified = VerifiedRecovery::open(&endorsed, root).map_err(FactRefusal::Recovery)?;
    let prior = basis(&verified, roster)?.clone();
    Ok(VerifiedFact::recovery(verified, endorsed, prior))
}

/// Every accusation of a charge counts, or none does; in another order the same charge would be another fact.
fn charge(signed: &[Signed<Accusation>], roster: &Roster) -> Result<Charge, FactRefusal> {
    let accusations = signed.iter().map(|one| verify_accusation(one, roster)).collect::<Result<Vec<_>, _>>()?;
    let ordered = accusations.is_sorted_by(|a, b| a.accuser < b.accuser);
    Charge::new(accusations).filter(|_| ordered).ok_or(FactRefusal::IllFormed)
}

/// Checks one accusation.
pub(crate) fn verify_accusation(
    signed: &Signed<Accusation>,
    roster: &Roster,
) -> Result<Verified<Accusation>, FactRefusal> {
    let accusation = by_node(signed, roster, |accusation| accusation.accuser)?;
    stands_accusation(&accusation, roster)?;
    Ok(accusation)
}

/// The voter set that elected the holder names its key: no certificate of another cell is needed.
fn rollup(signed: &Signed<Rollup>, roster: &Roster) -> Result<VerifiedFact, FactRefusal> {
    let claimed = signed.peek().map_err(FactRefusal::Malformed)?;
    let rollup = signed.verify(&stands_rollup(&claimed, roster)?).map_err(FactRefusal::Signature)?;
    Ok(VerifiedFact::rollup(rollup))
}

fn by_node<T: Domain>(
    signed: &Signed<T>,
    roster: &Roster,
    author: fn(&T) -> NodeId,
) -> Result<Verified<T>, FactRefusal> {
    let claimed = author(&signed.peek().map_err(FactRefusal::Malformed)?);
    signed.verify(member(roster, &claimed)?.statement()).map_err(FactRefusal::Signature)
}
