//! Putting a node out of the mesh for good.
//!
//! The root's revocation keys put out any node, and say of an issuer up to which serial what it issued still holds. An issuer puts
//! out only whom it issued a certificate to, which it has to show. What was revoked stays so: a node comes back under another
//! name.

use crate::delegation::{self, Delegation, DelegationError};
use crate::endorsed::{Endorsed, EndorsedError};
use crate::id::{MeshId, NodeId};
use crate::membership::Membership;
use crate::reason::Reason;
use crate::root::TrustRoot;
use crate::signed::{Domain, Signed, VerifyError};
use crate::time::UnixSeconds;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Version of revocations and withdrawals.
pub const VERSION: u8 = 1;

/// What the operators say: a node is out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// 1.
    pub version: u8,
    /// The mesh.
    pub mesh: MeshId,
    /// Who is out.
    pub node: NodeId,
    /// Certificates that it issued with a higher serial are void, and so are its withdrawals of a higher number.
    pub holds_up_to: u64,
    /// When it was written, for people.
    pub at: UnixSeconds,
    /// Why, for people.
    pub reason: Reason,
}

impl Domain for Revocation {
    const DOMAIN: &'static str = "hedgerow/revocation/1";
    const PAYLOAD_MAX: usize = 192;
}

/// What an issuer says: a node to which it issued a certificate is out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// 1.
    pub version: u8,
    /// The mesh.
    pub mesh: MeshId,
    /// The issuer; its statement key signs.
    pub issuer: NodeId,
    /// Counts what the issuer issues, with its certificates.
    pub serial: u64,
    /// Who is out.
    pub node: NodeId,
    /// When it was written, for people.
    pub at: UnixSeconds,
    /// Why, for people.
    pub reason: Reason,
}

impl Domain for Withdrawal {
    const DOMAIN: &'static str = "hedgerow/withdrawal/1";
    const PAYLOAD_MAX: usize = 224;
}

/// A withdrawal with everything that a stranger needs to check it against the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenWithdrawal {
    /// Signed by the issuer's statement key.
    pub withdrawal: Signed<Withdrawal>,
    /// What the issuer had issued to the node.
    pub issued: Signed<Membership>,
    /// The issuer's right to issue.
    pub delegation: Endorsed<Delegation>,
}

/// Why a node is not out. None of them changes by asking again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RevocationError {
    /// Not signed by enough revocation keys of the root.
    #[error("revocation that the root's revocation keys did not sign")]
    Endorsement(#[source] EndorsedError),
    /// Nobody gave the issuer the right to issue.
    #[error("withdrawal by an issuer without a delegation")]
    Delegation(#[source] DelegationError),
    /// The issuer did not sign the withdrawal, or the membership that it shows.
    #[error("withdrawal that its issuer did not sign")]
    Signature(#[source] VerifyError),
    /// Written in a version that this release does not know: upgrade this node.
    #[error("revocation of version {0}")]
    UnsupportedVersion(u8),
    /// For another mesh.
    #[error("revocation of mesh {0}")]
    OtherMesh(MeshId),
    /// It names another issuer than its delegation.
    #[error("withdrawal that names issuer {named} under a delegation to {delegated}")]
    OtherIssuer {
        /// The issuer in the withdrawal.
        named: NodeId,
        /// The issuer in the delegation.
        delegated: NodeId,
    },
    /// The issuer issued what it shows to another node: it revokes only what it issued.
    #[error("withdrawal of {withdrawn} by an issuer that shows a certificate of {issued}")]
    NotIssued {
        /// Whom it puts out.
        withdrawn: NodeId,
        /// Whose certificate it shows.
        issued: NodeId,
    },
}

/// A revocation that was checked; made by [`Revocation::open`] and [`ProvenWithdrawal::open`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRevocation {
    node: NodeId,
    by: RevokedBy,
    at: UnixSeconds,
    reason: Reason,
}

/// Who put a node out, and what else follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokedBy {
    /// The operators.
    Operators {
        /// Up to this serial what the node issued holds.
        holds_up_to: u64,
    },
    /// An issuer.
    Issuer {
        /// Who.
        issuer: NodeId,
        /// The number of its withdrawal.
        serial: u64,
    },
}

impl Revocation {
    /// The revocation, if enough revocation keys of the root signed it.
    ///
    /// # Errors
    /// [`RevocationError`].
    pub fn open(endorsed: &Endorsed<Self>, root: &TrustRoot) -> Result<VerifiedRevocation, RevocationError> {
        let Self { version, mesh, node, holds_up_to, at, reason } =
            endorsed.verify_threshold(root.revocation()).map_err(RevocationError::Endorsement)?;
        of_this(version, mesh, root)?;
        Ok(VerifiedRevocation { node, by: RevokedBy::Operators { holds_up_to }, at, reason })
    }
}

impl ProvenWithdrawal {
    /// The withdrawal, if an issuer of the root signed it and shows that it issued a certificate to the node. Whether what the
    /// issuer says still counts is for the caller to know.
    ///
    /// # Errors
    /// [`RevocationError`].
    pub fn open(&self, root: &TrustRoot) -> Result<VerifiedRevocation, RevocationError> {
        let delegation = delegation::bound(&self.delegation, root).map_err(RevocationError::Delegation)?;
        let withdrawal = self.withdrawal.verify(&delegation.statement).map_err(RevocationError::Signature)?;
        let issued = self.issued.verify(&delegation.statement).map_err(RevocationError::Signature)?;
        let Withdrawal { version, mesh, issuer, serial, node, at, reason } = withdrawal.into_inner();
        of_this(version, mesh, root)?;
        of_this(VERSION, issued.mesh, root)?;
        for named in [issuer, issued.issuer] {
            if named != delegation.issuer {
                return Err(RevocationError::OtherIssuer { named, delegated: delegation.issuer });
            }
        }
        if issued.node != node {
            return Err(RevocationError::NotIssued { withdrawn: node, issued: issued.node });
        }
        Ok(VerifiedRevocation { node, by: RevokedBy::Issuer { issuer, serial }, at, reason })
    }
}

impl VerifiedRevocation {
    /// Who is out.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// Who put it out.
    #[must_use]
    pub const fn by(&self) -> RevokedBy {
        self.by
    }

    /// When, by the clock of whoever did.
    #[must_use]
    pub const fn at(&self) -> UnixSeconds {
        self.at
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> &Reason {
        &self.reason
    }
}

fn of_this(version: u8, mesh: MeshId, root: &TrustRoot) -> Result<(), RevocationError> {
    if version != VERSION {
        return Err(RevocationError::UnsupportedVersion(version));
    }
    if mesh == root.mesh() { Ok(()) } else { Err(RevocationError::OtherMesh(mesh)) }
}

#[cfg(test)]
#[path = "revocation_tests.rs"]
mod tests;
