//! What the operator's handlers use.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hedgerow_attest::member::Member;
use hedgerow_attest::peer_id::PeerId;
use hedgerow_attest::region::Region;
use hedgerow_attest::root::TrustRoot;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::departure::Departure;
use super::forgotten::Forgotten;
use crate::api::ApiState;
use crate::exec::Library;
use crate::identity::Appointments;
use crate::net::Net;
use crate::observe::{Conditions, Counters, EventLog};
use crate::store::MeshStore;

/// Cheap handles on the node, and what does not change while it runs.
#[derive(Clone, Debug)]
pub struct AdminState {
    /// What applications reach too.
    pub api: ApiState,
    /// The network.
    pub net: Net,
    /// The artifacts at rest.
    pub library: Library,
    /// The invitations.
    pub store: MeshStore,
    /// The root of the mesh.
    pub root: Arc<TrustRoot>,
    /// What gives this node the right to issue, and has it.
    pub appointments: Arc<Appointments>,
    /// What was refused, by reason.
    pub counters: Counters,
    /// What is wrong with the node while it goes on.
    pub conditions: Conditions,
    /// What happened.
    pub events: EventLog,
    /// Ends when the node takes no more requests: answers that go on for as long as it runs end with it.
    pub serving: CancellationToken,
    /// Whether this node was told to leave.
    pub departure: Departure,
    /// This node's own certificate, whichever is the last.
    pub own: watch::Receiver<Member>,
    /// Why it was not renewed, where the last attempt failed.
    pub renewal_failure: watch::Receiver<Option<String>>,
    /// Nodes of which the operator wants to see nothing any more.
    pub forgotten: Forgotten,
    /// What does not change.
    pub about: Arc<About>,
}

/// What does not change while a node runs.
#[derive(Clone, Debug)]
pub struct About {
    /// Its current `PeerId`.
    pub peer: PeerId,
    /// The region of its certificate.
    pub region: Region,
    /// Where REST listens.
    pub rest: SocketAddr,
    /// The admin socket.
    pub admin: PathBuf,
    /// Where others reach the mesh socket, best first.
    pub advertised: Vec<SocketAddr>,
    /// When the process started.
    pub started: Instant,
}
