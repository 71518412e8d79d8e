//! Putting nodes out for good, and forgetting those that are gone.

use serde::{Deserialize, Serialize};

/// `GET /admin/v1/revocations/{target}`: what an operator has to know to put a node out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationDraft {
    /// `NodeId`, base32.
    pub node: String,
    /// `MeshId`, base32.
    pub mesh: String,
    /// The highest serial of a certificate that the node issued, as far as the answering node knows; 0 where it issued none.
    pub issued_up_to: u64,
}

/// A revocation that the mesh goes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationReport {
    /// Who is out.
    pub node: String,
    /// `operators`, or the `NodeId` of the issuer that did it.
    pub by: String,
    /// Certificates that the node issued with a higher serial are void; nothing where an issuer did it.
    pub holds_up_to: Option<u64>,
    /// When, as `2031-02-03T04:05:06Z`.
    pub at: String,
    /// Why.
    pub reason: String,
}

/// Body of `POST /admin/v1/withdrawals`: the answering node, an issuer, puts out whom it issued to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawalRequest {
    /// A node id, or its first characters.
    pub target: String,
    /// Why, for people.
    pub reason: String,
}

/// Body of `POST /admin/v1/forgotten`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgetRequest {
    /// A node id, or its first characters.
    pub target: String,
}

/// What was forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetReport {
    /// Who.
    pub node: String,
}

impl RevocationReport {
    /// What a revocation says.
    pub(crate) fn of(revocation: &hedgerow_attest::revocation::VerifiedRevocation) -> Self {
        use hedgerow_attest::revocation::RevokedBy;
        let (by, holds_up_to) = match revocation.by() {
            RevokedBy::Operators { holds_up_to } => ("operators".to_owned(), Some(holds_up_to)),
            RevokedBy::Issuer { issuer, .. } => (issuer.to_string(), None),
        };
        Self {
            node: revocation.node().to_string(),
            by,
            holds_up_to,
            at: revocation.at().to_string(),
            reason: revocation.reason().to_string(),
        }
    }
}
