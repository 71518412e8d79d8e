//! How a running node comes by the right to issue: operators sign a delegation to it, and it takes that in.

use std::sync::Arc;

use bytes::Bytes;
use hedgerow_attest::delegation::{Delegation, DelegationError};
use hedgerow_attest::endorsed::{ENDORSED_OVERHEAD, Endorsed};
use hedgerow_attest::id::{MeshId, NodeId};
use hedgerow_attest::member::Member;
use hedgerow_attest::root::TrustRoot;
use hedgerow_attest::signed::Domain as _;
use hedgerow_attest::time::UnixSeconds;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};

use super::enrolled::Enrolled;
use super::issuer::{Issuer, IssuerError, issues};
use super::keys::NodeIdentity;
use super::versioned;
use crate::observe::chain;
use crate::store::{Layout, file};

/// The right of this node to issue, whichever is the last; it may have ended.
pub type Issuing = watch::Receiver<Option<Arc<Issuer>>>;

/// Takes in delegations to this node.
#[derive(Debug)]
pub struct Appointments {
    identity: NodeIdentity,
    root: Arc<TrustRoot>,
    layout: Layout,
    own: watch::Receiver<Member>,
    issuing: watch::Sender<Option<Arc<Issuer>>>,
    /// One at a time: the later of two has to win on the disk too.
    taking: Mutex<()>,
}

/// What became of a delegation, as the node to which it was sent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AppointmentAnswer {
    /// The node may issue until then, and lost no right by being told again.
    Taken {
        /// Last second of its right.
        until: UnixSeconds,
    },
    /// It is as it was.
    Refused(AppointmentRefusal),
}

/// Why a node took no right to issue from a delegation. Nothing was changed.
///
/// The order of the variants is the wire format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AppointmentRefusal {
    /// What was sent is no delegation.
    #[error("the node could not read the delegation; use the same release on both nodes")]
    Malformed,
    /// What was sent is of another release.
    #[error("the node does not know delegations of version {version}; upgrade it")]
    UnsupportedVersion {
        /// The version.
        version: u8,
    },
    /// Too few of the root's membership keys signed it, or others did.
    #[error("the delegation is not signed by enough membership keys of the mesh's root")]
    NotSigned,
    /// It is for another mesh.
    #[error("the delegation is for mesh {mesh}")]
    OtherMesh {
        /// Which.
        mesh: MeshId,
    },
    /// It is to another node.
    #[error("the delegation is to node {node}")]
    OtherNode {
        /// Which.
        node: NodeId,
    },
    /// It is to another statement key than that of the node.
    #[error("the delegation is to another statement key than the node has")]
    OtherKey,
    /// It lasts longer than the root allows.
    #[error("the delegation lasts longer than the {max_s} s that the mesh's root allows")]
    TooLong {
        /// The most.
        max_s: u64,
    },
    /// It does not hold by the clock of the node.
    #[error("the delegation does not hold at {now}, by the clock of the node; set the clock that is wrong")]
    NotNow {
        /// What time it is there.
        now: UnixSeconds,
    },
    /// The node's right ends as late already.
    #[error("the right of the node ends at {until}, which is no sooner")]
    NoLater {
        /// Its last second.
        until: UnixSeconds,
    },
    /// The node's own certificate ends later than one that it could issue to itself.
    #[error("the certificate of the node ends at {until}, and an issuer's own ends no later than its right to issue")]
    BeforeCertificate {
        /// Last second of the certificate.
        until: UnixSeconds,
    },
    /// The disk took it not.
    #[error("the node failed to record it; see its log")]
    Unavailable,
}

impl Appointments {
    /// Of this member; `own` has its certificate, whichever is the last.
    pub fn new(enrolled: &Enrolled, layout: Layout, own: watch::Receiver<Member>) -> Self {
        Self {
            identity: enrolled.identity.clone(),
            root: Arc::clone(&enrolled.root),
            layout,
            own,
            issuing: watch::channel(enrolled.issuer.clone().map(Arc::new)).0,
            taking: Mutex::new(()),
        }
    }

    /// The right to issue, from here on.
    pub fn issuing(&self) -> Issuing {
        self.issuing.subscribe()
    }

    /// Answers whoever sent a delegation; who that is does not matter, since the operators signed it. What was begun is done also
    /// when nobody waits for the answer any more.
    pub async fn answer(self: &Arc<Self>, body: Bytes, now: UnixSeconds) -> AppointmentAnswer {
        let taking = Arc::clone(self);
        let taken = tokio::spawn(async move { taking.take(&body, now).await });
        match taken.await.expect("taking in a delegation does not panic") {
            Ok(until) => AppointmentAnswer::Taken { until },
            Err(refusal) => {
                tracing::info!(reason = refusal.code(), "refused a delegation");
                AppointmentAnswer::Refused(refusal)
            }
        }
    }

    /// The end of the right that follows. It is on the disk before anything is issued under it.
    async fn take(&self, body: &[u8], now: UnixSeconds) -> Result<UnixSeconds, AppointmentRefusal> {
        if body.len() > Delegation::PAYLOAD_MAX + ENDORSED_OVERHEAD {
            return Err(AppointmentRefusal::Malformed);
        }
        let endorsed = Endorsed::from_bytes(body).map_err(|_unread| AppointmentRefusal::Malformed)?;
        let issuer = Issuer::open(self.identity.clone(), Arc::clone(&self.root), endorsed, now);
        let issuer = issuer.map_err(|error| self.refusal(&error, now))?;
        let _alone = self.taking.lock().await;
        if let Some(present) = &*self.issuing.borrow()
            && present.until() >= issuer.until()
        {
            let until = present.until();
            return if issuer.until() == until { Ok(until) } else { Err(AppointmentRefusal::NoLater { until }) };
        }
        let until = self.own.borrow().not_after();
        if issuer.would_end(now) < until {
            return Err(AppointmentRefusal::BeforeCertificate { until });
        }
        let (path, bytes) = (self.layout.delegation(), body.to_vec());
        let written = tokio::task::spawn_blocking(move || file::write(&path, &bytes)).await;
        written.expect("writing a file does not panic").map_err(|error| {
            tracing::error!(error = chain(&error), "a delegation could not be kept");
            AppointmentRefusal::Unavailable
        })?;
        let until = issuer.until();
        tracing::info!(%until, "this node may issue");
        self.issuing.send_replace(Some(Arc::new(issuer)));
        Ok(until)
    }

    fn refusal(&self, error: &IssuerError, now: UnixSeconds) -> AppointmentRefusal {
        match error {
            IssuerError::Delegation(DelegationError::UnsupportedVersion(version)) => {
                AppointmentRefusal::UnsupportedVersion { version: *version }
            }
            IssuerError::Delegation(DelegationError::Endorsement(_)) => AppointmentRefusal::NotSigned,
            IssuerError::Delegation(DelegationError::OtherMesh(mesh)) => AppointmentRefusal::OtherMesh { mesh: *mesh },
            IssuerError::Delegation(DelegationError::Lifetime { max_s, .. }) => {
                AppointmentRefusal::TooLong { max_s: *max_s }
            }
            IssuerError::Delegation(DelegationError::Validity(_)) => AppointmentRefusal::NotNow { now },
            IssuerError::OtherIssuer { delegated } => AppointmentRefusal::OtherNode { node: *delegated },
            IssuerError::OtherKey => AppointmentRefusal::OtherKey,
            IssuerError::Certificate(_) | IssuerError::OtherGenesisIssuer { .. } | IssuerError::Random(_) => {
                unreachable!("opening a delegation issues nothing")
            }
        }
    }
}

impl AppointmentAnswer {
    /// The bytes to send: a version byte and postcard.
    pub fn encode(&self) -> Vec<u8> {
        versioned::write(VERSION, self)
    }

    /// Reads an answer and checks nothing but its shape.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        versioned::read(VERSION, bytes).ok()
    }
}

impl AppointmentRefusal {
    /// A short name for counters.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "appointment_malformed",
            Self::UnsupportedVersion { .. } => "appointment_unsupported_version",
            Self::NotSigned => "appointment_not_signed",
            Self::OtherMesh { .. } => "appointment_other_mesh",
            Self::OtherNode { .. } => "appointment_other_node",
            Self::OtherKey => "appointment_other_key",
            Self::TooLong { .. } => "appointment_too_long",
            Self::NotNow { .. } => "appointment_not_now",
            Self::NoLater { .. } => "appointment_no_later",
            Self::BeforeCertificate { .. } => "appointment_before_certificate",
            Self::Unavailable => "appointment_unavailable",
        }
    }
}

/// From when on an operator is told that a right to issue ends: a twelfth of its life before, a month of a year.
pub fn right_ends_soon(issuer: &Issuer, now: UnixSeconds) -> bool {
    now.plus_s(issuer.life_s() / 12) >= issuer.until()
}

/// How many delegations there were to a member, as far as its certificate shows.
pub fn delegations_to(member: &Member) -> u64 {
    let named = issues(member).then(|| member.certificate().delegation.peek().ok()).flatten();
    named.map_or(0, |delegation| delegation.serial)
}

const VERSION: u8 = 1;

#[cfg(test)]
#[path = "appointment_tests.rs"]
mod tests;
