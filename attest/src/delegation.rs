//! The right to issue membership certificates, given to a node by the membership keys of the root.

use crate::endorsed::{Endorsed, EndorsedError};
use crate::id::{MeshId, NodeId};
use crate::key::PublicKey;
use crate::root::TrustRoot;
use crate::signed::Domain;
use crate::time::{UnixSeconds, ValidityError, check_validity};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Version of delegations.
pub const VERSION: u8 = 1;

/// Names an issuer: the operators' keys stay offline while the issuer's statement key signs certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// 1.
    pub version: u8,
    /// The mesh in which the issuer may issue.
    pub mesh: MeshId,
    /// The issuer.
    pub issuer: NodeId,
    /// The issuer's statement key, which signs the certificates.
    pub statement: PublicKey,
    /// First second of its validity.
    pub not_before: UnixSeconds,
    /// Last second of its validity; no certificate under it holds longer.
    pub not_after: UnixSeconds,
    /// Counts the delegations to this issuer.
    pub serial: u64,
}

impl Domain for Delegation {
    const DOMAIN: &'static str = "hedgerow/delegation/1";
    const PAYLOAD_MAX: usize = 160;
}

/// Why a node may not issue; an operator has to delegate to it (again).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DelegationError {
    /// Not signed by enough membership keys of the root.
    #[error("delegation that the root's membership keys did not sign")]
    Endorsement(#[source] EndorsedError),
    /// Written in a version that this release does not know: upgrade this node.
    #[error("delegation of version {0}")]
    UnsupportedVersion(u8),
    /// For another mesh.
    #[error("delegation for mesh {0}")]
    OtherMesh(MeshId),
    /// It ends before it begins, or lasts longer than the root allows.
    #[error("delegation over {lifetime_s} s where the root allows {max_s} s")]
    Lifetime {
        /// Seconds from its beginning to its end.
        lifetime_s: u64,
        /// The most that the root allows.
        max_s: u64,
    },
    /// Not at this time.
    #[error("delegation that does not hold at this time")]
    Validity(#[source] ValidityError),
}

/// The delegation, if the root's membership keys gave it, whatever the time.
pub(crate) fn bound(delegation: &Endorsed<Delegation>, root: &TrustRoot) -> Result<Delegation, DelegationError> {
    let delegation = delegation.verify_threshold(root.membership()).map_err(DelegationError::Endorsement)?;
    if delegation.version != VERSION {
        return Err(DelegationError::UnsupportedVersion(delegation.version));
    }
    if delegation.mesh != root.mesh() {
        return Err(DelegationError::OtherMesh(delegation.mesh));
    }
    let max_s = root.lifetimes().delegation_s;
    let lifetime_s = delegation.not_after.0.checked_sub(delegation.not_before.0).unwrap_or(u64::MAX);
    if lifetime_s > max_s {
        return Err(DelegationError::Lifetime { lifetime_s, max_s });
    }
    Ok(delegation)
}

impl Delegation {
    /// The delegation, if the root's membership keys gave it and it holds at `now`, give or take `skew_s` seconds.
    ///
    /// # Errors
    /// [`DelegationError`].
    pub fn open(
        endorsed: &Endorsed<Self>,
        root: &TrustRoot,
        now: UnixSeconds,
        skew_s: u64,
    ) -> Result<Self, DelegationError> {
        let delegation = bound(endorsed, root)?;
        check_validity(delegation.not_before, delegation.not_after, now, skew_s).map_err(DelegationError::Validity)?;
        Ok(delegation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SampleMesh;

    fn delegation(mesh: &SampleMesh) -> Delegation {
        mesh.delegation().peek().unwrap()
    }

    fn open(mesh: &SampleMesh, delegation: &Delegation) -> Result<Delegation, DelegationError> {
        let endorsed = Endorsed::sign(delegation, &[mesh.operator()]);
        Delegation::open(&endorsed, mesh.root(), SampleMesh::NOW, 0)
    }

    #[test]
    fn a_delegation_of_the_root_opens_while_it_holds() {
        let mesh = SampleMesh::new(1);
        let good = delegation(&mesh);
        assert_eq!(open(&mesh, &good), Ok(good.clone()));
        let now = UnixSeconds(good.not_after.0 + 1);
        assert_eq!(
            Delegation::open(mesh.delegation(), mesh.root(), now, 0),
            Err(DelegationError::Validity(ValidityError::Expired { not_after: good.not_after, now }))
        );
    }

    #[test]
    fn other_versions_meshes_and_lifetimes_are_refused() {
        let mesh = SampleMesh::new(1);
        let good = delegation(&mesh);
        let max_s = mesh.root().lifetimes().delegation_s;
        let elsewhere = SampleMesh::new(2).root().mesh();
        let open = |delegation: Delegation| open(&mesh, &delegation);
        assert_eq!(open(Delegation { version: 2, ..good }), Err(DelegationError::UnsupportedVersion(2)));
        assert_eq!(open(Delegation { mesh: elsewhere, ..good }), Err(DelegationError::OtherMesh(elsewhere)));
        let not_after = good.not_before.plus_s(max_s + 1);
        assert_eq!(
            open(Delegation { not_after, ..good }),
            Err(DelegationError::Lifetime { lifetime_s: max_s + 1, max_s })
        );
        let not_after = UnixSeconds(good.not_before.0 - 1);
        assert_eq!(
            open(Delegation { not_after, ..good }),
            Err(DelegationError::Lifetime { lifetime_s: u64::MAX, max_s })
        );
    }

    #[test]
    fn the_delegation_is_frozen() {
        let mesh = SampleMesh::new(1);
        let good = delegation(&mesh);
        let (id, issuer) = (mesh.root().mesh(), mesh.keys(0).chain.node());
        let fields: [&[u8]; 6] = [
            &[1],
            id.as_bytes(),
            issuer.as_bytes(),
            good.statement.as_bytes(),
            // 2026-01-01 and a year later.
            &[0x80, 0xf2, 0xd6, 0xca, 0x06, 0x80, 0xd9, 0xdb, 0xd9, 0x06],
            &[1],
        ];
        let bytes = mesh.delegation().to_bytes();
        assert_eq!(bytes[..2], [0x41, 108], "an endorsed envelope and the length of its payload");
        assert_eq!(bytes[2..110], fields.concat());
        let digest = crate::digest::Sha256Digest::of(&bytes).to_string();
        assert_eq!((bytes.len(), digest.as_str()), (207, FROZEN));
    }

    const FROZEN: &str = "4f6b973a491e4fc73c905a7ed77f2fe1646cacf736840b187242f54cdb991d82";

    #[test]
    fn nobody_delegates_to_themselves() {
        let mesh = SampleMesh::new(1);
        let thief = crate::key::SecretKey::from_seed([66; 32]);
        let endorsed = Endorsed::sign(&delegation(&mesh), &[&thief]);
        assert_eq!(
            Delegation::open(&endorsed, mesh.root(), SampleMesh::NOW, 0),
            Err(DelegationError::Endorsement(EndorsedError::Uninvited(thief.public())))
        );
    }
}
