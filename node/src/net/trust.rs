//! What the network needs to know of identity and trust, as one snapshot that the node replaces.

use std::sync::{Arc, Mutex};

use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::member::Member;
use hedgerow_attest::membership::Certificate;
use hedgerow_attest::revoked::Revoked;
use hedgerow_attest::root::TrustRoot;
use tokio::sync::watch;
use tokio::time::timeout;

use super::certificate::{Presented, TlsIdentity, TlsIdentityError};
use super::limits::LINK_SAMPLE_PERIOD;
use super::refusal::Refusal;
use crate::observe::wall;

/// Who this node is and whom it believes. The node publishes a fresh one whenever any part changes;
/// the next handshake uses it, and links of members it no longer admits are closed.
#[derive(Clone, Debug)]
pub struct Trust {
    /// This node.
    pub node: NodeId,
    /// The key behind the node's PeerId.
    pub transport: Arc<SecretKey>,
    /// The mesh's root; without one no member can be judged, and only the join lane works.
    pub root: Option<Arc<TrustRoot>>,
    /// This node's own membership, shown to every peer.
    pub own: Option<Certificate>,
    /// Who is out for good, and what certificates are void with their issuer.
    pub revoked: Revoked,
}

impl Trust {
    /// Whether somebody who showed this certificate is a member of our mesh.
    pub(super) fn judge(&self, presented: &Presented) -> Result<Member, Refusal> {
        let root = self.root.as_ref().ok_or(Refusal::NoRoot)?;
        let bytes = presented.membership.as_ref().ok_or(Refusal::NoMembership)?;
        let certificate = Certificate::from_bytes(bytes).map_err(|error| {
            tracing::debug!(%error, peer = %presented.peer, "unreadable membership");
            Refusal::Malformed
        })?;
        let member = certificate.verify(root, wall().unix_seconds(), root.skew_s()).map_err(|error| {
            tracing::debug!(%error, peer = %presented.peer, "refused a membership");
            Refusal::from(&error)
        })?;
        if member.peer() != presented.peer {
            return Err(Refusal::WrongPeer);
        }
        self.still_admits(&member)?;
        Ok(member)
    }

    /// Whether a member admitted earlier would be admitted at this moment.
    pub(super) fn still_admits(&self, member: &Member) -> Result<(), Refusal> {
        if self.revoked.judge(member).is_some() {
            return Err(Refusal::Revoked);
        }
        if member.has_ended(wall().unix_seconds()) {
            return Err(Refusal::Expired);
        }
        Ok(())
    }
}

/// The current trust with the TLS certificate made from it.
#[derive(Debug)]
pub(super) struct Gate {
    trust: watch::Receiver<Arc<Trust>>,
    standing: Mutex<Arc<Standing>>,
}

/// One snapshot of trust, ready for handshakes.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) trust: Arc<Trust>,
    pub(super) identity: TlsIdentity,
}

impl Standing {
    fn new(trust: Arc<Trust>) -> Result<Self, TlsIdentityError> {
        let identity = TlsIdentity::new(&trust.transport, membership(&trust))?;
        Ok(Self { trust, identity })
    }

    /// The standing after a change; the TLS certificate stays unless what it shows changed, and its key unless the node's did.
    fn after(&self, trust: Arc<Trust>) -> Result<Self, TlsIdentityError> {
        let same_key = trust.transport.public() == self.trust.transport.public();
        if same_key && membership(&trust) == membership(&self.trust) {
            return Ok(Self { trust, identity: self.identity.clone() });
        }
        if !same_key {
            return Self::new(trust);
        }
        let identity = self.identity.with(&trust.transport, membership(&trust))?;
        Ok(Self { trust, identity })
    }
}

impl Gate {
    pub(super) fn new(trust: watch::Receiver<Arc<Trust>>) -> Result<Self, TlsIdentityError> {
        let standing = Standing::new(trust.borrow().clone())?;
        Ok(Self { trust, standing: Mutex::new(Arc::new(standing)) })
    }

    /// Ends when a member is admitted no more by the certificate that it showed: they end without a change of trust.
    pub(super) async fn unwelcome(&self, member: &Member) {
        let mut changes = self.changes();
        while self.standing().trust.still_admits(member).is_ok() {
            if timeout(LINK_SAMPLE_PERIOD, changes.changed()).await.is_ok() {
                tracing::trace!("trust changed");
            }
        }
    }

    /// The standing of this moment; a changed trust gets its certificate here, at the first use.
    pub(super) fn standing(&self) -> Arc<Standing> {
        let trust = self.trust.borrow().clone();
        let mut standing = self.standing.lock().expect("no holder of the lock panics");
        if !Arc::ptr_eq(&standing.trust, &trust) {
            match standing.after(trust) {
                Ok(fresh) => *standing = Arc::new(fresh),
                Err(error) => {
                    tracing::warn!(%error, "kept the previous certificate: could not make one");
                }
            }
        }
        standing.clone()
    }

    pub(super) fn node(&self) -> NodeId {
        self.trust.borrow().node
    }

    /// Told of every later change of the trust.
    pub(super) fn changes(&self) -> Changes {
        Changes(self.trust.clone())
    }
}

/// The changes of a trust.
#[derive(Debug)]
pub(super) struct Changes(watch::Receiver<Arc<Trust>>);

impl Changes {
    /// Resolves at the next change; never, once nobody can make one.
    pub(super) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn membership(trust: &Trust) -> Option<Vec<u8>> {
    trust.own.as_ref().map(Certificate::to_bytes)
}
