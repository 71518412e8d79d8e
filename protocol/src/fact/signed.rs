//! Facts as they are stored and sent.

use super::accusation::{ACCUSERS_MAX, Accusation};
use super::record::NodeRecord;
use super::rollup::Rollup;
use crate::placement::{Deployment, NodeClasses, Policy};
use crate::register::{Decision, Recovery};
use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::genesis::Genesis;
use hedgerow_attest::membership::Certificate;
use hedgerow_attest::revocation::{ProvenWithdrawal, Revocation};
use hedgerow_attest::signed::Signed;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Bytes that one fact may have, its version byte included. Gossip carries 15 KiB; larger ones are pulled.
pub const FACT_MAX: usize = 60 * 1024;

/// Version byte of a fact.
const FACT_VERSION: u8 = 1;

/// A fact that nobody has checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignedFact {
    /// A membership certificate, which authenticates itself under the root of the mesh.
    Member(Box<Certificate>),
    /// By the node itself.
    Record(Signed<NodeRecord>),
    /// Each by its accuser, in the order of the accusers' names.
    Accusation(#[serde(deserialize_with = "bounded_vec::<_, _, ACCUSERS_MAX>")] Vec<Signed<Accusation>>),
    /// By the one issuer that the root names for the region.
    Genesis(Signed<Genesis>),
    /// By the holder of the cell's lease.
    Rollup(Signed<Rollup>),
    /// By policy keys of the root.
    Policy(Endorsed<Policy>),
    /// By publisher keys of the root.
    Deployment(Endorsed<Deployment>),
    /// By a quorum of the cell's voters.
    Decision(Box<Decision>),
    /// By policy keys of the root.
    NodeClasses(Endorsed<NodeClasses>),
    /// By more than half of the operators' keys of the root.
    Recovery(Endorsed<Recovery>),
    /// By revocation keys of the root.
    Revocation(Endorsed<Revocation>),
    /// By an issuer that shows what it had issued.
    Withdrawal(Box<ProvenWithdrawal>),
}

/// Why bytes are not a fact; the sender is broken, hostile, or of another release.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FactDecodeError {
    /// Longer than any fact may be.
    #[error("fact of {found} bytes, {FACT_MAX} are the most")]
    TooLong {
        /// Bytes that there are.
        found: usize,
    },
    /// Written by a later release: upgrade this node.
    #[error("fact of version {0}, which this release does not know")]
    UnsupportedVersion(u8),
    /// Cut short, out of bounds, or followed by something else.
    #[error("malformed fact")]
    Malformed {
        /// What the decoder stumbled over; nothing when bytes were missing or left over.
        #[source]
        source: Option<postcard::Error>,
    },
}

impl SignedFact {
    /// The fact for a file or for gossip: a version byte and postcard.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FACT_VERSION]).expect("postcard writes every fact into memory")
    }

    /// Bytes that it takes: the length of [`Self::to_bytes`].
    pub(super) fn size(&self) -> usize {
        1 + postcard::serialize_with_flavor(self, postcard::ser_flavors::Size::default())
            .expect("postcard counts every fact")
    }

    /// Reads a fact and checks nothing but its shape and its length.
    ///
    /// # Errors
    /// [`FactDecodeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FactDecodeError> {
        if bytes.len() > FACT_MAX {
            return Err(FactDecodeError::TooLong { found: bytes.len() });
        }
        match bytes.split_first() {
            None => Err(FactDecodeError::Malformed { source: None }),
            Some((&FACT_VERSION, body)) => match postcard::take_from_bytes(body) {
                // One fact has one encoding: under a second one it would spread again as another message.
                Ok((fact, [])) if Self::to_bytes(&fact) == bytes => Ok(fact),
                Ok((_fact, _rest)) => Err(FactDecodeError::Malformed { source: None }),
                Err(source) => Err(FactDecodeError::Malformed { source: Some(source) }),
            },
            Some((&version, _body)) => Err(FactDecodeError::UnsupportedVersion(version)),
        }
    }
}

#[cfg(test)]
#[path = "signed_tests.rs"]
mod tests;
