//! What a node would make of a message that was verified elsewhere in the same process.
//!
//! A simulation of thousands of nodes hands messages over without encoding them. Signatures held where they were made,
//! and need not be computed again; what differs from node to node is whose signatures count, so that is asked here, by
//! the rules of [`super::Message::verify`].

use super::verified::{VerifiedExchange, VerifiedLease, VerifiedMessage};
use super::verify::MessageRefusal;
use crate::fact::{VerifiedFact, recheck_accusation, stands_decision};
use crate::roster::Roster;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::key::PublicKey;
use hedgerow_attest::root::TrustRoot;
use std::borrow::Cow;

impl VerifiedMessage {
    /// The message as a node with this roster would take it from `from`, signatures aside.
    ///
    /// # Errors
    /// [`MessageRefusal`], as [`super::Message::verify`] would.
    pub fn recheck(self, from: NodeId, roster: &Roster, root: &TrustRoot) -> Result<Self, MessageRefusal> {
        Ok(match self {
            Self::Exchange(VerifiedExchange::Push(facts)) => {
                Self::Exchange(VerifiedExchange::Push(push(facts, roster, root)))
            }
            Self::Lease(lease) => Self::Lease(Box::new(recheck_lease(*lease, from, roster)?)),
            Self::Accusation(accusation) if accusation.accuser != from => {
                return Err(MessageRefusal::NotTheSender { speaks_for: accusation.accuser });
            }
            Self::Accusation(accusation) => {
                recheck_accusation(&accusation, roster).map_err(MessageRefusal::Accusation)?;
                Self::Accusation(accusation)
            }
            Self::Probe(_)
            | Self::Settled(_)
            | Self::Exchange(
                VerifiedExchange::Summary { .. } | VerifiedExchange::Digest { .. } | VerifiedExchange::Pull { .. },
            ) => self,
        })
    }
}

fn push(facts: Vec<VerifiedFact>, roster: &Roster, root: &TrustRoot) -> Vec<VerifiedFact> {
    let mut roster = Cow::Borrowed(roster);
    let mut kept = Vec::with_capacity(facts.len());
    for fact in facts {
        if fact.stands(&roster, root).is_ok() {
            if roster.is_lesson(&fact) {
                roster.to_mut().learn(&fact);
            }
            kept.push(fact);
        }
    }
    kept
}

fn recheck_lease(lease: VerifiedLease, from: NodeId, roster: &Roster) -> Result<VerifiedLease, MessageRefusal> {
    match &lease {
        VerifiedLease::Grant(reply) => {
            let grant = &reply.grant;
            signed_by(grant.voter, grant.signer(), &grant.cell, from, roster)?;
            if let Some(head) = &reply.head {
                stands_decision(head, roster).map_err(MessageRefusal::Decision)?;
            }
        }
        VerifiedLease::Accepted(acceptance) => {
            signed_by(acceptance.voter, acceptance.signer(), &acceptance.cell, from, roster)?;
        }
        VerifiedLease::Decided(decision) => {
            stands_decision(decision, roster).map_err(MessageRefusal::Decision)?;
        }
        VerifiedLease::Denial(denial, Some(moved)) if stands_decision(moved, roster).is_err() => {
            return Ok(VerifiedLease::Denial(denial.clone(), None));
        }
        VerifiedLease::Handover(abandon, Some(head)) if stands_decision(head, roster).is_err() => {
            return Ok(VerifiedLease::Handover(abandon.clone(), None));
        }
        VerifiedLease::Campaign(_)
        | VerifiedLease::Handover(..)
        | VerifiedLease::Denial(..)
        | VerifiedLease::Abandon(_)
        | VerifiedLease::Propose(_)
        | VerifiedLease::Refused(_) => {}
    }
    Ok(lease)
}

fn signed_by(
    voter: NodeId,
    signer: &PublicKey,
    cell: &CellId,
    from: NodeId,
    roster: &Roster,
) -> Result<(), MessageRefusal> {
    if voter != from {
        return Err(MessageRefusal::NotTheSender { speaks_for: voter });
    }
    match roster.voter_key(cell, &from) {
        Some(key) if key == *signer => Ok(()),
        Some(_) | None => Err(MessageRefusal::UnknownKey(from)),
    }
}
