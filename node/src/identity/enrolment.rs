//! The joining side: from an answer to a member's files.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hedgerow_attest::endorsed::EndorsedError;
use hedgerow_attest::genesis::{Birth, GenesisError};
use hedgerow_attest::id::{MeshId, NodeId};
use hedgerow_attest::member::Member;
use hedgerow_attest::membership::{Certificate, MembershipError};
use hedgerow_attest::root::{RootError, TrustRoot};
use hedgerow_attest::ticket::Ticket;
use hedgerow_attest::time::UnixSeconds;
use hedgerow_protocol::link::{Candidate, Origin};

use super::answer::{AnswerError, JoinAnswer, KnownMember, Welcome};
use super::keys::NodeIdentity;
use super::refusal::JoinRefusal;
use crate::store::{CommitError, DataFolder, MeshStore, file};

/// An answer that was checked part by part against the ticket: made by [`Enrolment::accept`] only.
#[derive(Debug, Clone)]
pub struct Enrolment {
    welcome: Welcome,
    root: Arc<TrustRoot>,
    member: Member,
    births: Vec<Birth>,
}

/// Why an answer makes nobody a member. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// The issuer said no, and why.
    #[error("{0}")]
    Refused(JoinRefusal),
    /// The answer is no answer.
    #[error("join: use the issuer's answer")]
    Answer(#[source] AnswerError),
    /// The root in it is no root.
    #[error("join: use the issuer's root")]
    Root(#[source] RootError),
    /// The root is not that of the ticket: the issuer was replaced, or lies. Ask who gave you the ticket.
    #[error(
        "join: the issuer's root is that of mesh {found}, and the ticket is for mesh {ticket}; ask who gave you the ticket"
    )]
    OtherMesh {
        /// The ticket's mesh.
        ticket: MeshId,
        /// The root's.
        found: MeshId,
    },
    /// The certificate does not hold.
    #[error("join: use the certificate")]
    Certificate(#[source] MembershipError),
    /// The certificate is for another node.
    #[error("join: the certificate is for node {found}, not for this one; ask for a fresh ticket")]
    OtherNode {
        /// For whom it is.
        found: NodeId,
    },
    /// A certificate of another member does not hold.
    #[error("join: use the certificate of another member")]
    Member(#[source] MembershipError),
    /// The issuer did not show its own certificate, without which nothing that it signed can be checked.
    #[error("join: the issuer {issuer} did not show its own certificate; upgrade it")]
    NoIssuer {
        /// The ticket's issuer.
        issuer: NodeId,
    },
    /// A genesis does not hold.
    #[error("join: use the genesis of a region")]
    Genesis(#[source] GenesisError),
    /// The policy is not signed by the root's policy keys.
    #[error("join: use the policy")]
    Policy(#[source] EndorsedError),
    /// The system refused; the same ticket may be tried again.
    #[error("join: write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store refused; the same ticket may be tried again.
    #[error("join: keep what is known of other members")]
    Store(#[source] CommitError),
}

impl Enrolment {
    /// Checks an answer: its root is the mesh that the ticket names, and all else holds under that root.
    pub fn accept(
        ticket: &Ticket,
        identity: &NodeIdentity,
        answer: &[u8],
        now: UnixSeconds,
    ) -> Result<Self, EnrolmentError> {
        let welcome = match JoinAnswer::decode(answer).map_err(EnrolmentError::Answer)? {
            JoinAnswer::Welcome(welcome) => *welcome,
            JoinAnswer::Refused(refusal) => return Err(EnrolmentError::Refused(refusal)),
        };
        let root = TrustRoot::parse(&welcome.root).map_err(EnrolmentError::Root)?;
        if root.mesh() != ticket.mesh {
            return Err(EnrolmentError::OtherMesh { ticket: ticket.mesh, found: root.mesh() });
        }
        let member = welcome.certificate.verify(&root, now, root.skew_s()).map_err(EnrolmentError::Certificate)?;
        if member.node() != identity.node() {
            return Err(EnrolmentError::OtherNode { found: member.node() });
        }
        let members = welcome.members.iter().map(|known| member_of(&known.certificate, &root, now));
        let members: Vec<Member> = members.collect::<Result<_, _>>().map_err(EnrolmentError::Member)?;
        let issuer = members.iter().find(|member| member.node() == ticket.issuer);
        let issuer = issuer.ok_or(EnrolmentError::NoIssuer { issuer: ticket.issuer })?;
        // A region may have another issuer, whose certificate then is among the members.
        let births = welcome.geneses.iter().map(|genesis| {
            let signer = members.iter().find(|member| member.statement() == genesis.claimed_signer()).unwrap_or(issuer);
            Birth::open(genesis, &root, signer)
        });
        let births = births.collect::<Result<_, _>>().map_err(EnrolmentError::Genesis)?;
        if let Some(policy) = &welcome.policy {
            policy.verify_threshold(root.policy()).map_err(EnrolmentError::Policy)?;
        }
        Ok(Self { root: Arc::new(root), member, births, welcome })
    }

    /// Makes the folder that of a member, durably. `membership.bin` is written last and is the sign that all the rest is
    /// there; an enrolment that was interrupted before can be repeated with the same ticket.
    pub async fn save(&self, folder: &DataFolder, store: &MeshStore) -> Result<(), EnrolmentError> {
        for (known, member) in self.welcome.members.iter().zip(self.known_nodes()) {
            let KnownMember { certificate, addresses } = known;
            let kept = store.put_certificate(member, certificate.to_bytes()).await;
            let given: Vec<_> = addresses.iter().map(|at| Candidate::new(*at, Origin::Given, false)).collect();
            let noted = store.put_addresses(member, &given).await;
            kept.await.map_err(EnrolmentError::Store)?;
            noted.await.map_err(EnrolmentError::Store)?;
        }
        let layout = folder.layout();
        let mut files = vec![(layout.root_json(), self.welcome.root.clone())];
        let geneses = self.births.iter().map(Birth::genesis);
        files.extend(geneses.map(|genesis| (layout.genesis(&genesis.region), genesis.envelope().to_bytes())));
        files.extend(self.welcome.policy.iter().map(|policy| (layout.policy(), policy.to_bytes())));
        files.push((layout.membership(), self.welcome.certificate.to_bytes()));
        let written = tokio::task::spawn_blocking(move || {
            files.into_iter().try_for_each(|(path, bytes)| {
                file::write(&path, &bytes).map_err(|source| EnrolmentError::Write { path, source })
            })
        });
        written.await.expect("writing files does not panic")
    }

    /// The fresh member: this node.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// The root of its mesh.
    pub fn root(&self) -> &Arc<TrustRoot> {
        &self.root
    }

    fn known_nodes(&self) -> impl Iterator<Item = NodeId> {
        self.welcome.members.iter().map(|known| known.certificate.identity.node())
    }
}

/// The certificate of who founds cells counts for its keys also after its end.
fn member_of(certificate: &Certificate, root: &TrustRoot, now: UnixSeconds) -> Result<Member, MembershipError> {
    certificate.verify(root, now, root.skew_s()).or_else(|refused| {
        let past = certificate.verify_past(root, now, root.skew_s()).ok();
        past.filter(|past| past.is_past() && root.founds_cells(&past.node())).ok_or(refused)
    })
}

#[cfg(test)]
#[path = "enrolment_tests.rs"]
mod tests;
