//! A value with the signatures that decide it.

use super::configuration::{Configuration, VOTERS_MAX};
use super::succession::children_of;
use super::value::{Acceptance, Content, Value};
use crate::defect::{Defect, Defects};
use crate::id::{ConfigEpoch, Term};
use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::signed::{Signed, Verified, VerifyError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;
use thiserror::Error;

/// Acceptances that a decision may carry: those of the voters before and after a change.
const ACCEPTANCES_MAX: usize = VOTERS_MAX * 2;

/// A value and a quorum of acceptances of it under one term: the certificate of a slot. Anyone who knows the voters can
/// check it; [`Decision::verify`] does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What was decided.
    pub value: Value,
    /// The term under which the quorum accepted it.
    pub term: Term,
    /// The voter set whose quorum it was.
    pub config_epoch: ConfigEpoch,
    /// The acceptances, each voter once.
    #[serde(deserialize_with = "bounded_vec::<_, _, ACCEPTANCES_MAX>")]
    pub acceptances: Vec<Signed<Acceptance>>,
}

/// Rules of certificates that a simulation leaves out; see [`crate::defect`]. A node leaves out none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Waiver {
    /// Voters may be exchanged at will, and only those after the change decide it.
    exchange: bool,
    /// One signature decides a placement.
    sole_signer: bool,
}

impl Waiver {
    pub(crate) fn of<D: Defects>(defects: D) -> Self {
        Self { exchange: defects.has(Defect::VotersReplaced), sole_signer: defects.has(Defect::HolderSignsAlone) }
    }

    pub(crate) fn allows(self, before: &Configuration, next: &Configuration) -> bool {
        let exchanged = self.exchange && next.is_well_formed() && next.epoch == before.epoch.next();
        exchanged || before.may_become(next)
    }

    fn decides(self, in_force: &Configuration, content: &Content, voters: &BTreeSet<NodeId>) -> bool {
        match content {
            Content::Configuration(next) if self.exchange => next.is_quorum(voters),
            Content::Configuration(next) => in_force.is_quorum(voters) && next.is_quorum(voters),
            Content::Placement(_) | Content::Takeover(_) => {
                in_force.is_quorum(voters) || (self.sole_signer && !voters.is_empty())
            }
            Content::Retirement(_) | Content::Split(_) | Content::Absorb(_) | Content::MergeInto(_) => {
                in_force.is_quorum(voters)
            }
        }
    }
}

/// Why a decision is not believed. Unless said otherwise the certificate is broken and asking again is no use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecisionError {
    /// It names another voter set than the one in force at its slot as far as this node knows; the decision that made
    /// that set has to come first.
    #[error("certificate of configuration {found}, {expected} is in force")]
    Configuration {
        /// The epoch that the certificate names.
        found: ConfigEpoch,
        /// The epoch that is known to be in force.
        expected: ConfigEpoch,
    },
    /// The configuration it decides may not follow the one in force.
    #[error("change of voters that may not follow the present one")]
    Change,
    /// The cells that it names cannot follow, take in or be taken in by this one.
    #[error("succession of cells that may not follow each other")]
    Succession,
    /// The register ended before that slot.
    #[error("slot after the last of a register")]
    Ended,
    /// The operators recovered the cell without knowing of that slot.
    #[error("slot that a recovery of the cell does not count")]
    Undone,
    /// An acceptance speaks of another value, slot or term, or its signer does not vote.
    #[error("acceptance by {0} that does not belong to the certificate")]
    Stray(NodeId),
    /// An acceptance is not signed by the voter's key.
    #[error("acceptance that does not verify")]
    Signature(#[source] VerifyError),
    /// An acceptance that cannot be read.
    #[error("malformed acceptance")]
    Malformed,
    /// Too few voters accepted.
    #[error("certificate without a quorum")]
    Quorum,
}

/// A decision whose quorum was checked. Clones share their contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedDecision(Arc<Certified>);

#[derive(Debug, PartialEq, Eq)]
struct Certified {
    decision: Decision,
    digest: Sha256Digest,
    /// The cells that it makes, if it is a split.
    children: Option<[CellId; 2]>,
}

impl VerifiedDecision {
    /// The decision that these acceptances make of a value.
    ///
    /// # Errors
    /// [`DecisionError`] when they do not.
    pub(crate) fn reached(
        value: Value,
        term: Term,
        in_force: &Configuration,
        acceptances: &[Verified<Acceptance>],
        waiver: Waiver,
    ) -> Result<Self, DecisionError> {
        let envelopes = acceptances.iter().map(|accepted| accepted.envelope().clone()).collect();
        let decision = Decision { value, term, config_epoch: in_force.epoch, acceptances: envelopes };
        let digest = decision.count(acceptances, in_force, waiver)?;
        Ok(Self::counted(decision, digest))
    }

    fn counted(decision: Decision, digest: Sha256Digest) -> Self {
        let children = children_of(&decision.value, &digest);
        Self(Arc::new(Certified { decision, digest, children }))
    }

    pub(super) fn children(&self) -> Option<&[CellId; 2]> {
        self.0.children.as_ref()
    }

    /// The digest of the value.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        self.0.digest
    }

    /// The decision to pass on; the proof is checked again where it arrives.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        &self.0.decision
    }
}

impl Deref for VerifiedDecision {
    type Target = Decision;

    fn deref(&self) -> &Decision {
        &self.0.decision
    }
}

impl Decision {
    /// Checks the certificate against the voter set that is in force at its slot.
    ///
    /// # Errors
    /// [`DecisionError`].
    pub fn verify(self, in_force: &Configuration) -> Result<VerifiedDecision, DecisionError> {
        self.verify_waiving(in_force, Waiver::default())
    }

    pub(crate) fn verify_waiving(
        self,
        in_force: &Configuration,
        waiver: Waiver,
    ) -> Result<VerifiedDecision, DecisionError> {
        if self.config_epoch != in_force.epoch {
            return Err(DecisionError::Configuration { found: self.config_epoch, expected: in_force.epoch });
        }
        let next = self.value.content.next_voters();
        if next.is_some_and(|next| !waiver.allows(in_force, next)) {
            return Err(DecisionError::Change);
        }
        if !self.value.succeeds_well() {
            return Err(DecisionError::Succession);
        }
        let mut accepted = Vec::with_capacity(self.acceptances.len());
        for signed in &self.acceptances {
            let voter = signed.peek().map_err(|_refused| DecisionError::Malformed)?.voter;
            let key = in_force.key_of(&voter).or_else(|| next.and_then(|next| next.key_of(&voter)));
            let key = key.ok_or(DecisionError::Stray(voter))?;
            accepted.push(signed.verify(&key).map_err(DecisionError::Signature)?);
        }
        let digest = self.count(&accepted, in_force, waiver)?;
        Ok(VerifiedDecision::counted(self, digest))
    }

    /// Whether these acceptances, whose signatures were checked, decide the value; its digest if they do.
    fn count(
        &self,
        acceptances: &[Verified<Acceptance>],
        in_force: &Configuration,
        waiver: Waiver,
    ) -> Result<Sha256Digest, DecisionError> {
        let digest = self.value.digest();
        let mut voters = BTreeSet::new();
        for accepted in acceptances {
            let subject = (accepted.cell, accepted.generation, accepted.slot, accepted.value, accepted.term);
            if subject != (self.value.cell, self.value.generation, self.value.slot, digest, self.term) {
                return Err(DecisionError::Stray(accepted.voter));
            }
            voters.insert(accepted.voter);
        }
        if !waiver.decides(in_force, &self.value.content, &voters) {
            return Err(DecisionError::Quorum);
        }
        Ok(digest)
    }
}
