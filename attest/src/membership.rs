//! Membership certificates: who belongs to a mesh, where, as what, and until when.
//!
//! A [`Certificate`] carries its whole proof. The root's membership keys name the issuer, the issuer signs the membership,
//! and the node's own chain of inception and rotations binds the keys to the [`NodeId`]: a stolen issuer that writes its
//! own keys beside another node's name is refused by everyone.

use crate::delegation::{self, Delegation, DelegationError};
use crate::endorsed::Endorsed;
use crate::id::{MeshId, NodeId};
use crate::identity::{Identity, IdentityError};
use crate::inception::InceptionChain;
use crate::key::PublicKey;
use crate::member::{Member, RenewalClaim};
use crate::name::{FailureDomain, NodeClass};
use crate::payload;
use crate::region::Region;
use crate::root::TrustRoot;
use crate::signed::{Domain, EnvelopeError, Signed, VerifyError};
use crate::time::{UnixSeconds, ValidityError, check_validity};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Version of memberships without a failure domain, and of the certificate's frame.
const VERSION: u8 = 1;

/// Version of memberships with one.
const VERSION_WITH_DOMAIN: u8 = 2;

/// Bytes of a certificate at most; it travels in the TLS handshake.
pub const CERTIFICATE_MAX: usize = 8 * 1024;

/// What a member may be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// May be a voter of its cell, and thus its aggregator.
    Voter,
    /// Holds sessions.
    Replica,
    /// Runs models.
    Worker,
}

/// A set of roles. Bits that this release gives no name are kept and mean nothing to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Roles(u32);

impl Roles {
    /// Every role that this release knows.
    #[must_use]
    pub const fn all() -> Self {
        Self(Self::bit(Role::Voter) | Self::bit(Role::Replica) | Self::bit(Role::Worker))
    }

    /// This set and one role more.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | Self::bit(role))
    }

    /// Whether the role is in the set.
    #[must_use]
    pub const fn contains(self, role: Role) -> bool {
        self.0 & Self::bit(role) != 0
    }

    const fn bit(role: Role) -> u32 {
        match role {
            Role::Voter => 1,
            Role::Replica => 2,
            Role::Worker => 4,
        }
    }
}

/// An issuer's statement that a node belongs to a mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The mesh.
    pub mesh: MeshId,
    /// Who issues; its statement key signs.
    pub issuer: NodeId,
    /// Counts what the issuer issues. A renewal gets a higher serial than the certificate it replaces, whoever issued that.
    pub serial: u64,
    /// The member.
    pub node: NodeId,
    /// Its transport key in use.
    pub transport: PublicKey,
    /// Its statement key.
    pub statement: PublicKey,
    /// The operator's fence in which it stands.
    pub region: Region,
    /// What kind of machine it is.
    pub class: NodeClass,
    /// What it may be asked to do.
    pub roles: Roles,
    /// First second of its validity.
    pub not_before: UnixSeconds,
    /// Last second of its validity.
    pub not_after: UnixSeconds,
    /// What it would fail together with, where the operator said so.
    pub domain: Option<FailureDomain>,
}

impl Domain for Membership {
    const DOMAIN: &'static str = "hedgerow/membership/1";
    const PAYLOAD_MAX: usize = 320;
}

/// A membership with everything that a stranger needs to check it against the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Signed by the issuer's statement key.
    pub membership: Signed<Membership>,
    /// The member's own proof that the keys are its own.
    pub identity: InceptionChain,
    /// The issuer's right to issue.
    pub delegation: Endorsed<Delegation>,
}

/// Why a certificate makes nobody a member. None of them changes by asking again, save as the variant says.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MembershipError {
    /// Nobody gave the issuer the right to issue.
    #[error("certificate by an issuer without a delegation")]
    Delegation(#[source] DelegationError),
    /// The issuer did not sign it.
    #[error("certificate that its issuer did not sign")]
    Signature(#[source] VerifyError),
    /// Written in a version that this release does not know: upgrade this node.
    #[error("membership of version {0}")]
    UnsupportedVersion(u8),
    /// For another mesh.
    #[error("certificate of mesh {0}")]
    OtherMesh(MeshId),
    /// It names another issuer than its delegation.
    #[error("certificate that names issuer {named} under a delegation to {delegated}")]
    OtherIssuer {
        /// The issuer in the membership.
        named: NodeId,
        /// The issuer in the delegation.
        delegated: NodeId,
    },
    /// The member's keys are not bound to its name.
    #[error("certificate whose keys are not bound to a node")]
    Identity(#[source] IdentityError),
    /// The chain belongs to another node, or to other keys of the node: it has to ask for a certificate of its keys in use.
    #[error("certificate whose node and keys are not those of its chain")]
    OtherKeys,
    /// It ends before it begins, or lasts longer than the root allows.
    #[error("certificate over {lifetime_s} s where the root allows {max_s} s")]
    Lifetime {
        /// Seconds from its beginning to its end.
        lifetime_s: u64,
        /// The most that the root allows.
        max_s: u64,
    },
    /// Not at this time: the member has to renew it, or one of the two clocks is wrong.
    #[error("certificate that does not hold at this time")]
    Validity(#[source] ValidityError),
}

impl Certificate {
    /// The member, if the certificate holds under this root at `now`, give or take `skew_s` seconds. Whether it was
    /// revoked is for the caller to know.
    ///
    /// # Errors
    /// [`MembershipError`], the first check that fails.
    pub fn verify(&self, root: &TrustRoot, now: UnixSeconds, skew_s: u64) -> Result<Member, MembershipError> {
        let (member, delegation) = self.bind(root)?;
        check_validity(delegation.not_before, delegation.not_after, now, skew_s).map_err(undelegated)?;
        check_validity(member.not_before(), member.not_after(), now, skew_s).map_err(MembershipError::Validity)?;
        Ok(member)
    }

    /// The member as it was in the last second of the certificate, if that is over: for what the certificate says of keys. It
    /// makes nobody a member now.
    ///
    /// # Errors
    /// [`MembershipError`] as [`Certificate::verify`] has it at that second: a certificate that never held is refused, too.
    pub fn verify_past(&self, root: &TrustRoot, now: UnixSeconds, skew_s: u64) -> Result<Member, MembershipError> {
        let (member, delegation) = self.bind(root)?;
        let at = now.min(member.not_after());
        check_validity(delegation.not_before, delegation.not_after, at, skew_s).map_err(undelegated)?;
        check_validity(member.not_before(), member.not_after(), at, skew_s).map_err(MembershipError::Validity)?;
        Ok(if member.has_ended(now) { member.past() } else { member })
    }

    /// Who asks for a renewal with this certificate, even after its end: a member that was off for too long proves its keys
    /// and comes back, unless it was revoked.
    ///
    /// # Errors
    /// [`MembershipError`] as [`Certificate::verify`] has it, save that nothing is too late.
    pub fn verify_for_renewal(
        &self,
        root: &TrustRoot,
        now: UnixSeconds,
        skew_s: u64,
    ) -> Result<RenewalClaim, MembershipError> {
        self.verify_past(root, now, skew_s).map(RenewalClaim::of)
    }

    /// The certificate for a file, a handshake or the wire: a version byte, then its parts.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(&(VERSION, self)).expect("postcard writes fixed arrays and byte strings into memory")
    }

    /// Reads a certificate and checks nothing but its shape.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        payload::within(bytes.len(), CERTIFICATE_MAX)?;
        match bytes.first() {
            Some(&VERSION) | None => {}
            Some(&other) => return Err(EnvelopeError::UnsupportedVersion(other)),
        }
        let (_version, certificate): (u8, Self) = payload::whole(bytes)?;
        if certificate.to_bytes() == bytes { Ok(certificate) } else { Err(EnvelopeError::NotCanonical) }
    }

    /// What the issuer signed and this release cannot read is of a later one, if its version says so.
    fn unread(&self, error: VerifyError) -> MembershipError {
        match (&error, self.membership.payload().first()) {
            (VerifyError::Payload(_), Some(version)) if *version > VERSION_WITH_DOMAIN => {
                MembershipError::UnsupportedVersion(*version)
            }
            (VerifyError::Payload(_) | VerifyError::WrongSigner { .. } | VerifyError::BadSignature, _) => {
                MembershipError::Signature(error)
            }
        }
    }

    /// Everything but the time.
    fn bind(&self, root: &TrustRoot) -> Result<(Member, Delegation), MembershipError> {
        let delegation = delegation::bound(&self.delegation, root).map_err(MembershipError::Delegation)?;
        let membership =
            self.membership.verify(&delegation.statement).map_err(|error| self.unread(error))?.into_inner();
        if membership.mesh != root.mesh() {
            return Err(MembershipError::OtherMesh(membership.mesh));
        }
        let (named, delegated) = (membership.issuer, delegation.issuer);
        if named != delegated {
            return Err(MembershipError::OtherIssuer { named, delegated });
        }
        let max_s = root.lifetimes().membership_s;
        let lifetime_s = membership.not_after.0.checked_sub(membership.not_before.0).unwrap_or(u64::MAX);
        if lifetime_s > max_s {
            return Err(MembershipError::Lifetime { lifetime_s, max_s });
        }
        let identity = Identity::verify(&self.identity).map_err(MembershipError::Identity)?;
        let keys = (identity.node(), *identity.transport(), *identity.statement());
        if keys != (membership.node, membership.transport, membership.statement) {
            return Err(MembershipError::OtherKeys);
        }
        let not_after = membership.not_after.min(delegation.not_after);
        let member = Member::bound(Membership { not_after, ..membership }, identity, self.clone(), root.skew_s());
        Ok((member, delegation))
    }
}

fn undelegated(source: ValidityError) -> MembershipError {
    MembershipError::Delegation(DelegationError::Validity(source))
}

#[path = "membership_form.rs"]
mod form;

#[cfg(test)]
#[path = "membership_tests.rs"]
mod tests;
