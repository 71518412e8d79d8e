//! What a machine wants signed with the node's own statement key.

use super::accusation::Accusation;
use super::record::NodeRecord;
use super::rollup::Rollup;
use super::verified::VerifiedFact;
use crate::election::Grant;
use crate::register::Acceptance;
use hedgerow_attest::key::Signer;
use hedgerow_attest::signed::Verified;

/// A statement of this node, to be signed by its driver: machines hold no keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// About itself.
    Record(Box<NodeRecord>),
    /// About a member that it cannot reach.
    Accusation(Accusation),
    /// About the cell whose lease it holds.
    Rollup(Box<Rollup>),
    /// A promise to a candidate.
    Grant(Box<Grant>),
    /// That it accepted a value.
    Acceptance(Acceptance),
}

/// A statement of this node, signed by its own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedStatement {
    /// One that is a fact.
    Fact(Box<VerifiedFact>),
    /// About a member that it cannot reach.
    Accusation(Box<Verified<Accusation>>),
    /// A promise to a candidate.
    Grant(Box<Verified<Grant>>),
    /// That it accepted a value.
    Acceptance(Box<Verified<Acceptance>>),
}

impl Statement {
    /// Signs with the node's statement key; the driver's whole part in it.
    #[must_use]
    pub fn sign(&self, key: &impl Signer) -> SignedStatement {
        let fact = |fact| SignedStatement::Fact(Box::new(fact));
        match self {
            Self::Record(record) => fact(VerifiedFact::record(Verified::sign_verified(&**record, key))),
            Self::Accusation(accusation) => {
                SignedStatement::Accusation(Box::new(Verified::sign_verified(accusation, key)))
            }
            Self::Rollup(rollup) => fact(VerifiedFact::rollup(Verified::sign_verified(&**rollup, key))),
            Self::Grant(grant) => SignedStatement::Grant(Box::new(Verified::sign_verified(&**grant, key))),
            Self::Acceptance(acceptance) => {
                SignedStatement::Acceptance(Box::new(Verified::sign_verified(acceptance, key)))
            }
        }
    }
}
