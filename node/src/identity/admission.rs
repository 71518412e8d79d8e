//! Redeeming what a ticket promised.
//!
//! The answer is a function of the request, the store and the issuer; the connection, its exported keying material and what
//! is known of the mesh come in as values. The transport is the net module's affair.

use std::io;
use std::sync::Arc;

use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::genesis::{Birth, Genesis};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::identity::Identity;
use hedgerow_attest::key::PublicKey;
use hedgerow_attest::member::Member;
use hedgerow_attest::region::Region;
use hedgerow_attest::signed::Signed;
use hedgerow_attest::time::UnixSeconds;
use hedgerow_protocol::fact::VerifiedFact;
use hedgerow_protocol::placement::Policy;
use hedgerow_protocol::roster::Roster;
use tokio::sync::watch;

use super::answer::{GENESES_MAX, JoinAnswer, KNOWN_MEMBERS_MAX, KnownMember, Welcome};
use super::appointment::Issuing;
use super::issuer::{CertificateTerms, Issuer};
use super::refusal::JoinRefusal;
use super::request::JoinRequest;
use crate::store::{CommitError, Invite, Layout, LoadError, MeshStore, RedeemRefusal, file};

/// Admits nodes in the name of this one, while it may issue.
#[derive(Debug, Clone)]
pub struct Admission {
    issuing: Issuing,
    /// The issuer's own membership, by which others check what it signs. It renews itself.
    own: watch::Receiver<Member>,
    /// `root.json`, byte for byte.
    root: Arc<[u8]>,
    store: MeshStore,
    layout: Layout,
}

/// What the issuer knows of the mesh at the moment of a request.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The issuer's own addresses and other members, nearest first; the first [`KNOWN_MEMBERS_MAX`] are passed on.
    pub members: Vec<KnownMember>,
    /// Geneses of regions.
    pub geneses: Vec<Signed<Genesis>>,
    /// The policy in force.
    pub policy: Option<Endorsed<Policy>>,
    /// Who belongs to the mesh, and who is out for good.
    pub roster: Arc<Roster>,
}

/// The outcome of a request.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// What to send back.
    pub answer: JoinAnswer,
    /// Whom to tell the mesh about: the fresh member, and the birth of its region's cell if this is its first member.
    pub fresh: Option<(Member, Option<Birth>)>,
}

impl Admission {
    /// An admission by this node, whose certificate is `own` and whose root file is `root`.
    pub fn new(
        issuing: Issuing,
        own: watch::Receiver<Member>,
        root: Arc<[u8]>,
        store: MeshStore,
        layout: Layout,
    ) -> Self {
        Self { issuing, own, root, store, layout }
    }

    /// The right by which it admits, where it has one.
    pub(super) fn issuer(&self) -> Option<Arc<Issuer>> {
        self.issuing.borrow().clone()
    }

    /// Where it keeps what it gave out.
    pub(super) fn store(&self) -> &MeshStore {
        &self.store
    }

    /// Answers a request. `transport` is the key that the handshake proved, `exporter` the keying material of the same
    /// connection. What the answer promises is durable when this returns.
    pub async fn answer(
        &self,
        body: &[u8],
        transport: &PublicKey,
        exporter: &[u8; 32],
        surroundings: Surroundings,
        now: UnixSeconds,
    ) -> Admitted {
        match self.admit(body, transport, exporter, &surroundings.roster, now).await {
            Ok((member, birth, genesis)) => {
                let welcome = self.welcome(&member, genesis.as_ref(), surroundings);
                Admitted { answer: JoinAnswer::Welcome(Box::new(welcome)), fresh: Some((member, birth)) }
            }
            Err(refusal) => {
                tracing::info!(reason = refusal.code(), peer = %transport, "refused a join");
                Admitted { answer: JoinAnswer::Refused(refusal), fresh: None }
            }
        }
    }

    async fn admit(
        &self,
        body: &[u8],
        transport: &PublicKey,
        exporter: &[u8; 32],
        roster: &Roster,
        now: UnixSeconds,
    ) -> Result<(Member, Option<Birth>, Option<Signed<Genesis>>), JoinRefusal> {
        let request = JoinRequest::decode(body)?;
        let issuer = self.issuer().ok_or(JoinRefusal::NotIssuing)?;
        let (node, invite) = self.check(&request, transport, exporter, issuer.root().skew_s(), now).await?;
        if let Some(revocation) = roster.revocation_of(&node).and_then(VerifiedFact::revoked) {
            return Err(JoinRefusal::Revoked { reason: revocation.reason().clone() });
        }
        let redeemed = self
            .store
            .redeem(request.invite, node, self.serials_up_to(roster, &node), now)
            .await
            .await
            .map_err(|error| not_kept(&error))?;
        let redemption = redeemed.map_err(JoinRefusal::from)?;
        let terms = CertificateTerms {
            region: &request.region,
            class: &request.class,
            roles: invite.roles,
            domain: invite.domain.as_ref(),
        };
        let member = issuer.issue(&request.identity, terms, redemption.serial, now).map_err(|error| {
            tracing::warn!(%error, %node, "could not issue a certificate");
            JoinRefusal::NotIssuing
        })?;
        let (birth, genesis) = self.birth(&issuer, &member).await?;
        let kept = self.store.put_certificate(node, member.certificate().to_bytes()).await.await;
        kept.map_err(|error| not_kept(&error))?;
        tracing::info!(%node, region = %member.region(), uses_left = redemption.uses_left, "admitted a node");
        Ok((member, birth, genesis))
    }

    /// The highest serial that a certificate must exceed: of the node's last one, whoever issued it, and of all that are known of this
    /// issuer, whose store may have come from a backup.
    fn serials_up_to(&self, roster: &Roster, node: &NodeId) -> u64 {
        let me = self.own.borrow().node();
        let last = roster.author(node).map(Member::serial);
        let issued = roster.members().filter(|member| member.issuer() == me).map(Member::serial);
        last.into_iter().chain(issued).max().unwrap_or(0)
    }

    /// Everything that can be refused before a use is counted. Nothing is said about an invitation before the proof.
    async fn check(
        &self,
        request: &JoinRequest,
        transport: &PublicKey,
        exporter: &[u8; 32],
        skew_s: u64,
        now: UnixSeconds,
    ) -> Result<(NodeId, Invite), JoinRefusal> {
        let identity = Identity::verify(&request.identity).map_err(|error| {
            tracing::debug!(%error, "a join with a bad chain");
            JoinRefusal::Identity
        })?;
        if identity.transport() != transport {
            return Err(JoinRefusal::Identity);
        }
        let (store, id) = (self.store.clone(), request.invite);
        let found =
            tokio::task::spawn_blocking(move || store.invite(id)).await.expect("reading the store does not panic");
        let invite = found.map_err(|error| not_read(&error))?.ok_or(JoinRefusal::UnknownInvite)?;
        if !invite.secret.admits(exporter, request.invite, &request.proof) {
            return Err(JoinRefusal::BadProof);
        }
        if request.at.0.abs_diff(now.0) > skew_s {
            return Err(JoinRefusal::ClockSkew { issuer: now, joining: request.at });
        }
        if invite.region != request.region {
            return Err(JoinRefusal::WrongRegion { invited: invite.region });
        }
        Ok((identity.node(), invite))
    }

    /// The genesis of the member's region, if this issuer is the one that signs it. The first member that is admitted to a
    /// region is its cell's first voter; the file, which only one of two racing admissions makes, decides which that is.
    async fn birth(
        &self,
        issuer: &Issuer,
        member: &Member,
    ) -> Result<(Option<Birth>, Option<Signed<Genesis>>), JoinRefusal> {
        if !issuer.founds(member.region()) {
            return Ok((None, None));
        }
        let fresh = issuer.genesis(member).map_err(|error| {
            tracing::warn!(%error, "could not sign a genesis");
            JoinRefusal::NotIssuing
        })?;
        let path = self.layout.genesis(member.region());
        let bytes = fresh.to_bytes();
        let made = tokio::task::spawn_blocking(move || match file::create(&path, &bytes) {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                file::read_bounded(&path, GENESIS_FILE_BYTES_MAX).map(Some)
            }
            Err(error) => Err(error),
        });
        let made = made.await.expect("writing a file does not panic").map_err(|error| {
            tracing::error!(%error, "could not keep a genesis");
            JoinRefusal::Unavailable
        })?;
        let genesis = match &made {
            None => fresh,
            Some(earlier) => Signed::from_bytes(earlier).map_err(|error| {
                tracing::error!(%error, "a genesis on disk does not decode");
                JoinRefusal::Unavailable
            })?,
        };
        let birth = Birth::open(&genesis, issuer.root(), &self.own.borrow().clone()).map_err(|error| {
            tracing::error!(%error, "a genesis of our own does not verify");
            JoinRefusal::Unavailable
        })?;
        Ok((made.is_none().then_some(birth), Some(genesis)))
    }

    /// Who signs the births of a region's cells.
    fn founder_of(&self, region: &Region) -> NodeId {
        self.issuer().map_or(self.own.borrow().node(), |issuer| issuer.root().genesis_issuer(region))
    }

    fn welcome(&self, member: &Member, own: Option<&Signed<Genesis>>, surroundings: Surroundings) -> Welcome {
        let Surroundings { mut members, geneses, policy, roster } = surroundings;
        let others = geneses.into_iter().filter(|genesis| Some(genesis) != own);
        let geneses: Vec<_> = own.cloned().into_iter().chain(others).take(GENESES_MAX).collect();
        members.retain(|known| known.certificate != *member.certificate());
        // The joining node checks all by the certificates of the issuer and of who founded its region, which may be over: they come
        // first, however far away.
        let founders = geneses.iter().filter_map(|genesis| genesis.peek().ok()).map(|genesis| genesis.region);
        let founders = founders.filter_map(|region| roster.author(&self.founder_of(&region)).cloned());
        let mut first = vec![self.own.borrow().certificate().clone()];
        for founder in founders.map(|founder| founder.certificate().clone()) {
            if !first.contains(&founder) && first.len() < FOUNDERS_MAX {
                first.push(founder);
            }
        }
        for (place, certificate) in first.into_iter().enumerate() {
            let known = members.iter().position(|known| known.certificate == certificate);
            let known = known.map(|known| members.remove(known));
            members.insert(place, known.unwrap_or(KnownMember { certificate, addresses: Vec::new() }));
        }
        members.truncate(KNOWN_MEMBERS_MAX);
        Welcome { root: self.root.to_vec(), certificate: member.certificate().clone(), geneses, policy, members }
    }
}

impl From<RedeemRefusal> for JoinRefusal {
    fn from(refusal: RedeemRefusal) -> Self {
        match refusal {
            RedeemRefusal::Unknown => Self::UnknownInvite,
            RedeemRefusal::Expired { not_after } => Self::Expired { not_after },
            RedeemRefusal::UsedUp => Self::UsedUp,
        }
    }
}

fn not_kept(error: &CommitError) -> JoinRefusal {
    tracing::error!(%error, "an admission could not be recorded");
    JoinRefusal::Unavailable
}

fn not_read(error: &LoadError) -> JoinRefusal {
    tracing::error!(%error, "an invitation could not be read");
    JoinRefusal::Unavailable
}

/// Certificates that come before those of members nearby: a mesh has few nodes that found regions.
const FOUNDERS_MAX: usize = 8;
/// A signed genesis has under 400 bytes.
pub(super) const GENESIS_FILE_BYTES_MAX: u64 = 1024;

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
