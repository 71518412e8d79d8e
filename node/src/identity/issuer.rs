//! The right to issue, and what is issued under it: tickets, certificates, geneses.

use std::net::SocketAddr;
use std::sync::Arc;

use hedgerow_attest::delegation::{Delegation, DelegationError};
use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::genesis::{self, Genesis};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::identity::Identity;
use hedgerow_attest::inception::InceptionChain;
use hedgerow_attest::invite::{InviteId, InviteSecret};
use hedgerow_attest::member::Member;
use hedgerow_attest::membership::{Certificate, Membership, MembershipError, Roles};
use hedgerow_attest::name::{FailureDomain, NodeClass};
use hedgerow_attest::region::Region;
use hedgerow_attest::revocation::Withdrawal;
use hedgerow_attest::root::TrustRoot;
use hedgerow_attest::signed::Signed;
use hedgerow_attest::ticket::{self, Invitation, Ticket};
use hedgerow_attest::time::UnixSeconds;

use super::keys::NodeIdentity;
use super::secrets::random;
use crate::store::Invite;

/// A node to which the root's membership keys delegated the right to issue.
#[derive(Debug, Clone)]
pub struct Issuer {
    identity: NodeIdentity,
    root: Arc<TrustRoot>,
    endorsed: Endorsed<Delegation>,
    delegation: Delegation,
}

/// What a ticket promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteTerms {
    /// Where the issuer listens, best first; the first eight are carried.
    pub addresses: Vec<SocketAddr>,
    /// The region of whoever joins with it.
    pub region: Region,
    /// The roles in its certificate.
    pub roles: Roles,
    /// The failure domain in its certificate.
    pub domain: Option<FailureDomain>,
    /// How many nodes may join.
    pub uses: u32,
    /// Last second at which the ticket is redeemed.
    pub not_after: UnixSeconds,
}

/// What a certificate says of a node that the node cannot say itself.
#[derive(Clone, Copy, Debug)]
pub struct CertificateTerms<'a> {
    /// Its region.
    pub region: &'a Region,
    /// What kind of machine it is.
    pub class: &'a NodeClass,
    /// What it may be asked to do.
    pub roles: Roles,
    /// What it would fail together with.
    pub domain: Option<&'a FailureDomain>,
}

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// Nobody delegated to this node, or the delegation has ended; an operator has to delegate (again).
    #[error("issue: this node may not")]
    Delegation(#[source] DelegationError),
    /// The delegation is to another node.
    #[error("issue: the delegation is to node {delegated} and not to this one; only that node issues")]
    OtherIssuer {
        /// To whom it is.
        delegated: NodeId,
    },
    /// The delegation is to other keys of this node than it has: they were restored from different backups.
    #[error("issue: the delegation is to another statement key than this node's; restore identity.key from its backup")]
    OtherKey,
    /// What would be issued does not verify: the member's keys are wrong, or the delegation ends.
    #[error("issue a certificate that holds")]
    Certificate(#[source] MembershipError),
    /// The root names another node for that region's cells.
    #[error("sign the genesis of region {region}: the root names node {issuer} for it")]
    OtherGenesisIssuer {
        /// The region.
        region: Region,
        /// Who may.
        issuer: NodeId,
    },
    /// The system has no random numbers.
    #[error("issue: the system gave no random numbers")]
    Random(#[source] getrandom::Error),
}

impl Issuer {
    /// The issuer, if its delegation holds at `now`.
    pub fn open(
        identity: NodeIdentity,
        root: Arc<TrustRoot>,
        endorsed: Endorsed<Delegation>,
        now: UnixSeconds,
    ) -> Result<Self, IssuerError> {
        let delegation = Delegation::open(&endorsed, &root, now, root.skew_s()).map_err(IssuerError::Delegation)?;
        if delegation.issuer != identity.node() {
            return Err(IssuerError::OtherIssuer { delegated: delegation.issuer });
        }
        if delegation.statement != identity.statement().public() {
            return Err(IssuerError::OtherKey);
        }
        Ok(Self { identity, root, endorsed, delegation })
    }

    /// An invitation to keep and the ticket that carries it. The ticket is good only once the invitation is durable.
    pub fn invite(&self, terms: &InviteTerms) -> Result<(InviteId, Invite, Ticket), IssuerError> {
        let id = InviteId(random().map_err(IssuerError::Random)?);
        let secret = InviteSecret::from_bytes(random().map_err(IssuerError::Random)?);
        let InviteTerms { addresses, region, roles, domain, uses, not_after } = terms;
        let ticket = Ticket::issue(
            &Invitation {
                version: ticket::VERSION,
                mesh: self.root.mesh(),
                issuer: self.identity.node(),
                issuer_peer: self.identity.peer(),
                addresses: addresses.iter().copied().take(ticket::ADDRESSES_MAX).collect(),
                invite: id,
                secret: secret.clone(),
                region: region.clone(),
                not_after: *not_after,
            },
            self.identity.statement(),
        );
        let (region, domain) = (region.clone(), domain.clone());
        let invite = Invite { secret, uses_left: *uses, not_after: *not_after, region, roles: *roles, domain };
        Ok((id, invite, ticket))
    }

    /// A certificate for the node with this chain, from `now` for as long as the root allows. `serial` comes from the store
    /// and is used for nothing else.
    pub fn issue(
        &self,
        chain: &InceptionChain,
        terms: CertificateTerms<'_>,
        serial: u64,
        now: UnixSeconds,
    ) -> Result<Member, IssuerError> {
        let keys =
            Identity::verify(chain).map_err(|source| IssuerError::Certificate(MembershipError::Identity(source)))?;
        let CertificateTerms { region, class, roles, domain } = terms;
        let membership = Membership {
            mesh: self.root.mesh(),
            issuer: self.identity.node(),
            serial,
            node: keys.node(),
            transport: *keys.transport(),
            statement: *keys.statement(),
            region: region.clone(),
            class: class.clone(),
            roles,
            not_before: now,
            not_after: self.would_end(now),
            domain: domain.cloned(),
        };
        let certificate = Certificate {
            membership: Signed::sign(&membership, self.identity.statement()),
            identity: chain.clone(),
            delegation: self.endorsed.clone(),
        };
        certificate.verify(&self.root, now, self.root.skew_s()).map_err(IssuerError::Certificate)
    }

    /// The certificate that follows this one: the same of the node, and a later end.
    pub fn renew(&self, before: &Member, serial: u64, now: UnixSeconds) -> Result<Member, IssuerError> {
        let terms = CertificateTerms {
            region: before.region(),
            class: before.class(),
            roles: before.roles(),
            domain: before.domain(),
        };
        self.issue(&before.certificate().identity, terms, serial, now)
    }

    /// Signs that a node to which this one issued a certificate is out.
    pub fn withdraw(&self, withdrawal: &Withdrawal) -> Signed<Withdrawal> {
        Signed::sign(withdrawal, self.identity.statement().as_ref())
    }

    /// Last second of a certificate that is issued at `now`: no certificate holds longer than the right to issue.
    pub fn would_end(&self, now: UnixSeconds) -> UnixSeconds {
        now.plus_s(self.root.lifetimes().membership_s).min(self.delegation.not_after)
    }

    /// The genesis of a region's first cell with this sole voter. To be signed once per region: see [`super::Admission`].
    pub fn genesis(&self, voter: &Member) -> Result<Signed<Genesis>, IssuerError> {
        let region = voter.region().clone();
        let issuer = self.root.genesis_issuer(&region);
        if issuer != self.identity.node() {
            return Err(IssuerError::OtherGenesisIssuer { region, issuer });
        }
        let genesis = Genesis {
            version: genesis::VERSION,
            mesh: self.root.mesh(),
            region,
            voter: voter.node(),
            voter_statement: *voter.statement(),
            nonce: random().map_err(IssuerError::Random)?,
        };
        Ok(Signed::sign(&genesis, self.identity.statement()))
    }

    /// Whether the root names this node for the cells of a region.
    pub fn founds(&self, region: &Region) -> bool {
        self.root.genesis_issuer(region) == self.identity.node()
    }

    /// Last second of the right to issue.
    pub fn until(&self) -> UnixSeconds {
        self.delegation.not_after
    }

    /// Seconds from the beginning of that right to its end.
    pub fn life_s(&self) -> u64 {
        self.delegation.not_after.0.saturating_sub(self.delegation.not_before.0)
    }

    /// The root under which it issues.
    pub fn root(&self) -> &Arc<TrustRoot> {
        &self.root
    }
}

/// Whether a member has the right to issue: whoever has it renews its own certificate, by which all others know.
pub fn issues(member: &Member) -> bool {
    member.issuer() == member.node()
}

#[cfg(test)]
mod tests {
    use hedgerow_attest::membership::Role;
    use hedgerow_attest::secretfile::SecretPurpose;

    use super::super::secrets::load_secrets;
    use super::super::testing::{NOW, founded, identity};
    use super::*;

    #[tokio::test]
    async fn a_ticket_and_its_invitation_agree() {
        let mesh = founded();
        let terms = InviteTerms {
            addresses: (1..=9).map(|port| SocketAddr::from(([192, 0, 2, 1], port))).collect(),
            region: "eu".parse().unwrap(),
            roles: Roles::default().with(Role::Worker),
            domain: Some("rack-7".parse().unwrap()),
            uses: 3,
            not_after: NOW.plus_s(60),
        };
        let (id, invite, ticket) = mesh.issuer().invite(&terms).unwrap();
        let read = Ticket::decode(&ticket.encode()).unwrap();
        assert_eq!((read.invite, &read.secret, read.not_after), (id, &invite.secret, invite.not_after));
        assert_eq!((read.mesh, read.issuer), (mesh.root().mesh(), mesh.identity().node()));
        assert_eq!(read.addresses[..], terms.addresses[..8]);
        assert_eq!((invite.uses_left, invite.roles, &invite.domain), (3, terms.roles, &terms.domain));
        assert!(invite.secret.admits(&[5; 32], id, &read.proof(&[5; 32])));
        let (other, ..) = mesh.issuer().invite(&terms).unwrap();
        assert_ne!(other, id);
    }

    #[tokio::test]
    async fn a_certificate_never_outlives_the_delegation() {
        let mesh = founded();
        let (_folder, joiner) = identity();
        let (region, class, domain) = ("eu".parse().unwrap(), "edge".parse().unwrap(), "rack-7".parse().unwrap());
        let terms = CertificateTerms { region: &region, class: &class, roles: Roles::all(), domain: Some(&domain) };
        let member = mesh.issuer().issue(joiner.chain(), terms, 7, NOW).unwrap();
        assert_eq!((member.node(), member.serial(), member.domain()), (joiner.node(), 7, Some(&domain)));
        assert_eq!(member.not_after(), NOW.plus_s(30 * 86_400));

        let late = NOW.plus_s(360 * 86_400);
        let member = mesh.issuer().issue(joiner.chain(), terms, 8, late).unwrap();
        assert_eq!(member.certificate().membership.peek().unwrap().not_after, NOW.plus_s(365 * 86_400));
        let over = NOW.plus_s(366 * 86_400);
        assert!(matches!(mesh.issuer().issue(joiner.chain(), terms, 9, over), Err(IssuerError::Certificate(_))));
    }

    #[tokio::test]
    async fn a_delegation_is_of_no_use_to_another_node() {
        let mesh = founded();
        let (_folder, other) = identity();
        let refused = Issuer::open(other, mesh.root(), mesh.delegation(), NOW);
        assert!(matches!(refused, Err(IssuerError::OtherIssuer { delegated }) if delegated == mesh.identity().node()));
    }

    #[tokio::test]
    async fn a_region_of_another_issuer_is_not_founded_here() {
        let mesh = founded();
        let (_folder, other) = identity();
        let us: Region = "us".parse().unwrap();
        let operators = load_secrets(&mesh.layout().operator_key()).unwrap();
        let key = |purpose| operators.key(purpose).unwrap();
        let mut draft = mesh.root().content().clone();
        draft.genesis.regions.insert(us.clone(), other.node());
        let root = Arc::new(TrustRoot::parse(&draft.sign(&[&key(SecretPurpose::Operator)])).unwrap());
        let delegation = Delegation { mesh: root.mesh(), ..mesh.delegation().peek().unwrap() };
        let delegation = Endorsed::sign(&delegation, &[&key(SecretPurpose::Membership)]);
        let issuer = Issuer::open(mesh.identity().clone(), root, delegation, NOW).unwrap();

        let class = "edge".parse().unwrap();
        let terms = |region| {
            let terms = CertificateTerms { region, class: &class, roles: Roles::all(), domain: None };
            issuer.issue(other.chain(), terms, 1, NOW)
        };
        let refused = issuer.genesis(&terms(&us).unwrap());
        assert!(
            matches!(&refused, Err(IssuerError::OtherGenesisIssuer { issuer, .. }) if *issuer == other.node()),
            "{refused:?}"
        );
        let eu: Region = "eu".parse().unwrap();
        assert!(issuer.genesis(&terms(&eu).unwrap()).is_ok());
        assert_eq!((issuer.founds(&us), issuer.founds(&eu)), (false, true));
    }
}
