//! Members: the outcome of a verified certificate.

use crate::id::NodeId;
use crate::identity::Identity;
use crate::key::PublicKey;
use crate::membership::{Certificate, Membership, Roles};
use crate::name::{FailureDomain, NodeClass};
use crate::peer_id::PeerId;
use crate::region::Region;
use crate::time::UnixSeconds;
use std::sync::Arc;

/// A node whose certificate holds under the root, or held ([`Certificate::verify_past`]); only verification makes one. Clones
/// share their contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member(Arc<Proven>);

#[derive(Debug, PartialEq, Eq)]
struct Proven {
    membership: Membership,
    identity: Identity,
    certificate: Certificate,
    /// By how many seconds clocks of its mesh may differ.
    skew_s: u64,
    /// Its certificate was over when it was verified.
    is_past: bool,
}

impl Member {
    pub(crate) fn bound(membership: Membership, identity: Identity, certificate: Certificate, skew_s: u64) -> Self {
        Self(Arc::new(Proven { membership, identity, certificate, skew_s, is_past: false }))
    }

    /// The same as one who is a member no more.
    #[must_use]
    pub fn past(&self) -> Self {
        let Proven { membership, identity, certificate, skew_s, is_past: _ } = &*self.0;
        let (membership, identity, certificate) = (membership.clone(), identity.clone(), certificate.clone());
        Self(Arc::new(Proven { membership, identity, certificate, skew_s: *skew_s, is_past: true }))
    }

    /// Whether it was a member and is none: its certificate says by which keys to check what it signed, and nothing else.
    #[must_use]
    pub fn is_past(&self) -> bool {
        self.0.is_past
    }

    /// Whether this certificate of the same node replaces the other: the one after more rotations of the transport key,
    /// else the one with the higher serial. Ties between different issuers fall to the greater issuer and payload digest,
    /// so that all nodes keep the same one in whatever order they hear of them.
    #[must_use]
    pub fn supersedes(&self, other: &Self) -> bool {
        self.node() == other.node() && self.rank() > other.rank()
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.0.membership.node
    }

    /// The libp2p name of its transport key in use.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.0.identity.peer()
    }

    /// Its transport key in use.
    #[must_use]
    pub fn transport(&self) -> &PublicKey {
        self.0.identity.transport()
    }

    /// The key that signs its facts.
    #[must_use]
    pub fn statement(&self) -> &PublicKey {
        self.0.identity.statement()
    }

    /// Its region.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.0.membership.region
    }

    /// What kind of machine it is.
    #[must_use]
    pub fn class(&self) -> &NodeClass {
        &self.0.membership.class
    }

    /// What it would fail together with, where the operator said so.
    #[must_use]
    pub fn domain(&self) -> Option<&FailureDomain> {
        self.0.membership.domain.as_ref()
    }

    /// What it may be asked to do.
    #[must_use]
    pub fn roles(&self) -> Roles {
        self.0.membership.roles
    }

    /// The serial of its certificate.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.0.membership.serial
    }

    /// Who issued its certificate.
    #[must_use]
    pub fn issuer(&self) -> NodeId {
        self.0.membership.issuer
    }

    /// First second at which the certificate holds.
    #[must_use]
    pub fn not_before(&self) -> UnixSeconds {
        self.0.membership.not_before
    }

    /// Last second at which both the certificate and the issuer's delegation hold.
    #[must_use]
    pub fn not_after(&self) -> UnixSeconds {
        self.0.membership.not_after
    }

    /// Whether the certificate or the issuer's delegation has ended at `now`, give or take what clocks of its mesh may differ.
    #[must_use]
    pub fn has_ended(&self, now: UnixSeconds) -> bool {
        now > self.not_after().plus_s(self.0.skew_s)
    }

    /// How often it changed its transport key.
    #[must_use]
    pub fn rotations(&self) -> u32 {
        self.0.identity.rotations()
    }

    /// Its verified chain of keys.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// The certificate, to pass on to others who will check it for themselves.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.0.certificate
    }

    fn rank(&self) -> impl Ord + use<> {
        (self.rotations(), self.serial(), self.issuer(), self.0.certificate.membership.payload_digest())
    }
}

/// Whoever holds the keys of a certificate, whose end nobody looked at: good for asking the issuer for a renewal over a
/// connection that proves those keys, and for nothing else. Made by [`Certificate::verify_for_renewal`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalClaim(Member);

impl RenewalClaim {
    pub(crate) fn of(member: Member) -> Self {
        Self(member)
    }

    /// Who asks.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.0.node()
    }

    /// The libp2p name that the connection must have proven.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.0.peer()
    }

    /// What the certificate said, for the one that follows it.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        &self.0.0.membership
    }

    /// The node as the certificate has it, which may be over.
    #[must_use]
    pub fn shown(&self) -> &Member {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::SampleMesh;

    #[test]
    fn rotations_outrank_serials_and_other_nodes_are_not_compared() {
        let mesh = SampleMesh::new(1);
        let keys = mesh.keys(3);
        let rotated = keys.rotated();
        let first = mesh.member_of(&keys, "eu", 7);
        let renewed = mesh.member_of(&keys, "eu", 8);
        let later_key = mesh.member_of(&rotated, "eu", 1);
        assert!(renewed.supersedes(&first) && !first.supersedes(&renewed) && !first.supersedes(&first));
        assert!(later_key.supersedes(&renewed) && !renewed.supersedes(&later_key));
        assert!(!mesh.member_of(&mesh.keys(4), "eu", 9).supersedes(&first));
        assert_eq!((later_key.node(), later_key.rotations()), (first.node(), 1));
        assert_ne!(later_key.peer(), first.peer());
    }
}
