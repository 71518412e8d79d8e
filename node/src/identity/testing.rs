//! A founded mesh in a folder of its own, and nodes that want to join it.

use std::sync::Arc;

use hedgerow_attest::delegation::Delegation;
use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::member::Member;
use hedgerow_attest::membership::Roles;
use hedgerow_attest::root::TrustRoot;
use hedgerow_attest::ticket::Ticket;
use hedgerow_attest::time::UnixSeconds;

use tokio::sync::watch;

use super::admission::{Admission, Admitted, Surroundings};
use super::answer::{KnownMember, Welcome};
use super::appointment::{Appointments, Issuing};
use super::enrolled::Enrolled;
use super::founding::{Founding, found};
use super::issuer::{InviteTerms, Issuer};
use super::keys::NodeIdentity;
use super::request::JoinRequest;
use crate::store::testing::{Disk, mesh_store};
use crate::store::{DataFolder, Layout, MeshStore};

/// 2026-01-01T00:00:00Z.
pub(super) const NOW: UnixSeconds = UnixSeconds(1_767_225_600);

/// A mesh with its first member, region `home`.
pub(super) struct FoundedMesh {
    folder: DataFolder,
    enrolled: Enrolled,
    _temporary: tempfile::TempDir,
}

pub(super) fn founding(region: &str) -> Founding {
    Founding {
        name: "oaks".parse().unwrap(),
        region: region.parse().unwrap(),
        class: "edge".parse().unwrap(),
        domain: None,
        membership_s: super::founding::MEMBERSHIP_S,
    }
}

pub(super) fn founded() -> FoundedMesh {
    let temporary = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(temporary.path()).unwrap();
    found(&folder, &founding("home"), NOW).unwrap();
    let enrolled = Enrolled::load(folder.layout(), NOW).unwrap();
    FoundedMesh { folder, enrolled, _temporary: temporary }
}

/// The keys of a node that belongs to no mesh.
pub(super) fn identity() -> (tempfile::TempDir, NodeIdentity) {
    let folder = tempfile::tempdir().unwrap();
    let identity = NodeIdentity::load_or_make(&Layout::new(folder.path())).unwrap();
    (folder, identity)
}

impl FoundedMesh {
    pub(super) fn layout(&self) -> &Layout {
        self.folder.layout()
    }

    pub(super) fn identity(&self) -> &NodeIdentity {
        &self.enrolled.identity
    }

    pub(super) fn root(&self) -> Arc<TrustRoot> {
        Arc::clone(&self.enrolled.root)
    }

    pub(super) fn issuer(&self) -> &Issuer {
        self.enrolled.issuer.as_ref().unwrap()
    }

    pub(super) fn delegation(&self) -> Endorsed<Delegation> {
        Endorsed::from_bytes(&std::fs::read(self.layout().delegation()).unwrap()).unwrap()
    }

    pub(super) fn member(&self) -> &Member {
        &self.enrolled.member
    }

    /// Its own certificate, as a running node has it.
    pub(super) fn own(&self) -> watch::Receiver<Member> {
        watch::channel(self.enrolled.member.clone()).1
    }

    /// Its right to issue, as a running node has it.
    pub(super) fn issuing(&self) -> Issuing {
        watch::channel(self.enrolled.issuer.clone().map(Arc::new)).1
    }

    /// What admits in its name.
    pub(super) fn admission(&self, store: MeshStore) -> Admission {
        self.enrolled.admission(self.issuing(), store, self.own())
    }

    /// What gives it the right to issue.
    pub(super) fn appointments(&self) -> Appointments {
        self.enrolled.appointments(self.own())
    }

    /// An admission with a store on a disk of its own.
    pub(super) fn door(&self) -> Door<'_> {
        let (store, _thread) = mesh_store(&Disk::default());
        Door { mesh: self, admission: self.admission(store.clone()), store }
    }
}

/// Where nodes knock.
pub(super) struct Door<'a> {
    pub(super) mesh: &'a FoundedMesh,
    pub(super) admission: Admission,
    pub(super) store: MeshStore,
}

/// Keying material of the one connection that tests use.
pub(super) const EXPORTER: [u8; 32] = [5; 32];

impl Door<'_> {
    /// A ticket that lasts ten minutes.
    pub(super) async fn ticket(&self, region: &str, uses: u32) -> Ticket {
        let terms = InviteTerms {
            addresses: vec!["192.0.2.1:4334".parse().unwrap()],
            region: region.parse().unwrap(),
            roles: Roles::all(),
            domain: None,
            uses,
            not_after: NOW.plus_s(600),
        };
        let (id, invite, ticket) = self.mesh.issuer().invite(&terms).unwrap();
        self.store.add_invite(id, invite, NOW).await.await.unwrap();
        ticket
    }

    /// The request of a node as it should be.
    pub(super) fn request(&self, ticket: &Ticket, identity: &NodeIdentity) -> JoinRequest {
        JoinRequest::new(ticket, identity, "edge".parse().unwrap(), &EXPORTER, NOW)
    }

    pub(super) async fn knock(&self, request: &JoinRequest, identity: &NodeIdentity, now: UnixSeconds) -> Admitted {
        let own = KnownMember {
            certificate: self.mesh.member().certificate().clone(),
            addresses: vec!["192.0.2.1:4334".parse().unwrap()],
        };
        let surroundings = Surroundings {
            members: vec![own],
            geneses: self.mesh.enrolled.geneses.clone(),
            policy: self.mesh.enrolled.policy.clone(),
            roster: Arc::default(),
        };
        let transport = identity.transport().public();
        self.admission.answer(&request.encode(), &transport, &EXPORTER, surroundings, now).await
    }
}

/// A welcome of a real mesh, with this many members.
pub(super) fn welcome(members: usize) -> Welcome {
    let mesh = founded();
    let known = |_| KnownMember {
        certificate: mesh.member().certificate().clone(),
        addresses: vec!["192.0.2.1:4334".parse().unwrap()],
    };
    Welcome {
        root: std::fs::read(mesh.layout().root_json()).unwrap(),
        certificate: mesh.member().certificate().clone(),
        geneses: mesh.enrolled.geneses.clone(),
        policy: mesh.enrolled.policy.clone(),
        members: (0..members).map(known).collect(),
    }
}
