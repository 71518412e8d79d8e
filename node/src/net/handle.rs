//! [`Net`]: starting the network, and what the node can ask of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_attest::peer_id::PeerId;
use hedgerow_protocol::link::{Candidate, Origin};
use quinn::{Endpoint, TokioRuntime};
use tokio::sync::{mpsc, watch};

use super::accept::{Acceptor, failures, server_config};
use super::bulk::{BulkServer, FetchError, GatherError, Gathered};
use super::certificate::TlsIdentityError;
use super::close::Close;
use super::config::{NetConfig, Socket};
use super::ctl::{Ctl, CtlError, PublishError};
use super::dial::{DialReport, Dialer};
use super::emulation::{Emulation, release};
use super::event::NetEvent;
use super::join::{JoinError, JoinServer};
use super::lane::Lane;
use super::limits::EVENT_QUEUE;
use super::quic::Settings;
use super::refusal::Refusals;
use super::relay::{Reached, RelayServer, Relayed, Relays, Ways, wait_at_relays};
use super::reset::endpoint_config;
use super::rpc::{Answers, Dropped, LinkError, LinkView, Links, Protocol, RequestError, SendError};
use super::socket::{MeshSocket, Traffic, bind};
use super::tasks::Tasks;
use super::tls::{Door, TlsConfigError};
use super::trust::Gate;
use crate::content::Sink;

/// Why the network did not start; nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The port is taken, or the address is not of this machine; choose another with `--port-base` or `--listen`.
    #[error("bind UDP {listen}; choose another port with --port-base, or --listen an address of this machine")]
    Bind {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The bound socket could not be used.
    #[error("start QUIC on the UDP socket")]
    Endpoint(#[source] std::io::Error),
    /// No certificate could be made from the transport key.
    #[error("make the TLS certificate")]
    Identity(#[from] TlsIdentityError),
    /// TLS could not be configured.
    #[error("configure TLS")]
    Tls(#[from] TlsConfigError),
    /// The system gave no random bytes.
    #[error("ask the system for random bytes")]
    Random(#[source] getrandom::Error),
    /// The libp2p swarm could not be built.
    #[error("start the libp2p swarm")]
    Ctl(#[from] CtlError),
}

/// Handle to the running network; clones are cheap. [`Net::shutdown`] ends it for all of them.
#[derive(Clone, Debug)]
pub struct Net(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    local_addr: SocketAddr,
    socket: Arc<MeshSocket>,
    emulation: Option<Emulation>,
    dialer: Dialer,
    links: Links,
    relays: Relays,
    relay: RelayServer,
    ctl: Ctl,
    tasks: Tasks,
}

impl Net {
    /// Takes the socket and starts every lane. The receiver must be drained: a full queue holds up
    /// streams and drops datagrams and gossip.
    ///
    /// # Errors
    /// [`NetError`]; the commonest is a port in use.
    pub fn start(config: NetConfig) -> Result<(Self, mpsc::Receiver<NetEvent>), NetError> {
        let gate = Arc::new(Gate::new(config.trust)?);
        let tasks = Tasks::default();
        // Each node loses other packets, and the same ones again.
        let emulation = config.emulate.then(|| Emulation::new(gate.node().lead()));
        let bound = match config.socket {
            Socket::Bind(listen) => bind(listen).map_err(|source| NetError::Bind { listen, source })?,
            Socket::Given(socket) => socket,
        };
        let ways = Arc::new(Ways::default());
        let socket = MeshSocket::new(bound.clone(), emulation.clone(), ways.clone());
        let settings = Settings::new();
        let base = server_config(&Door::new(gate.standing()), settings.accepted())?;
        let endpoint = Endpoint::new_with_abstract_socket(
            endpoint_config(&gate.standing().trust.transport),
            Some(base),
            socket.clone(),
            Arc::new(TokioRuntime),
        )
        .map_err(NetError::Endpoint)?;
        let local_addr = endpoint.local_addr().map_err(NetError::Endpoint)?;

        let reached = Reached::default();
        if !local_addr.ip().is_unspecified() {
            reached.set_own(&[local_addr]);
        }
        let refusals = Arc::new(Refusals::default());
        let (events, inbox) = mpsc::channel(EVENT_QUEUE);
        let dialer = Dialer {
            endpoint: endpoint.clone(),
            gate: gate.clone(),
            refusals: refusals.clone(),
            settings: settings.clone(),
            reached: reached.clone(),
        };
        let relays = Relays::new(ways, tasks.clone());
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(NetError::Random)?;
        let links = Links::new(dialer.clone(), relays.clone(), events.clone(), tasks.clone(), seed);
        let relay = RelayServer::new(config.relaying, reached.clone(), gate.clone(), links.clone(), tasks.clone());
        let (ctl, inbound) = Ctl::start(dialer.clone(), links.clone(), events.clone(), &tasks, &config.topics)?;
        let acceptor = Acceptor {
            gate: gate.clone(),
            refusals,
            settings,
            tasks: tasks.clone(),
            ctl: inbound,
            links: links.clone(),
            bulk: BulkServer::new(events.clone(), gate),
            join: JoinServer::new(events),
            relay: relay.clone(),
            reached: reached.clone(),
            failed: failures(),
        };
        if let Some(emulation) = &emulation {
            tasks.spawn(release(bound, emulation.clone(), tasks.stop().clone()));
        }
        tasks.spawn(acceptor.run(endpoint));
        tasks.spawn(links.clone().announce());
        tasks.spawn(links.clone().keep_time());
        tasks.spawn(links.clone().watch_progress());
        tasks.spawn(wait_at_relays(links.clone(), relays.clone(), reached));
        let inner = Inner { local_addr, socket, emulation, dialer, links, relays, relay, ctl, tasks };
        Ok((Self(Arc::new(inner)), inbox))
    }

    /// Where the socket listens, with the port that was picked.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local_addr
    }

    /// Sets where a member can be dialled; replaces what was known of that origin. Whoever answers must prove to be that node.
    pub fn learn(&self, node: NodeId, origin: Origin, addresses: &[SocketAddr]) {
        self.0.links.learn(node, origin, addresses);
    }

    /// What an earlier run remembered of where a member can be dialled.
    pub fn recall(&self, node: NodeId, known: Vec<Candidate<SocketAddr>>) {
        self.0.links.recall(node, known);
    }

    /// Where each member may be, best first, and who says so.
    pub fn address_book(&self) -> Vec<(NodeId, Vec<Candidate<SocketAddr>>)> {
        self.0.links.address_book()
    }

    /// A member has a later certificate than the one that its handshake showed: its connections go on by that. To be told of
    /// members that were verified only.
    pub fn renewed(&self, member: &Member) {
        self.0.links.renewed(member);
        self.0.ctl.renewed(member);
    }

    /// Grows whenever a member says that this node is none any more. One may lie or be wrong: ask an issuer.
    pub fn shunned(&self) -> watch::Receiver<u64> {
        self.0.links.shunned()
    }

    /// Forgets where a node may be dialled, unless there is a link to it.
    pub fn forget(&self, node: NodeId) {
        self.0.links.forget(node);
    }

    /// Where a member may be dialled, best first: where its link is, if there is one.
    pub fn addresses(&self, node: NodeId) -> Vec<SocketAddr> {
        self.0.links.addresses(node)
    }

    /// Wants a link to a member, without waiting for it.
    pub fn connect(&self, node: NodeId) {
        self.0.links.connect(node);
    }

    /// Waits for a link to a member, made if there is none. A request that follows finds it, unless it broke meanwhile.
    ///
    /// # Errors
    /// [`LinkError`]; nothing was sent to the member.
    pub async fn reach(&self, node: NodeId, within: Duration) -> Result<(), LinkError> {
        self.0.links.reach(node, within).await
    }

    /// Ends the link to a member, if there is one; the next message or request makes another.
    pub fn hangup(&self, node: NodeId) {
        self.0.links.hangup(node);
    }

    /// Closes the link to a member if no request and no message of a session travelled over it in the last minute.
    pub fn spare(&self, node: NodeId) {
        self.0.links.spare(node);
    }

    /// Queues a one-way message, dialling if need be. Nothing tells whether it arrived.
    ///
    /// # Errors
    /// [`SendError`] when it was not even queued.
    pub fn send(&self, to: NodeId, lane: Lane, bytes: Bytes) -> Result<(), SendError> {
        self.0.links.send(to, lane, bytes)
    }

    /// Asks a member and waits for its answer, at most for `deadline`, which the member is told.
    ///
    /// # Errors
    /// [`RequestError`]; its variants say whether the request may have been served.
    pub async fn request(
        &self,
        to: NodeId,
        protocol: Protocol,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, RequestError> {
        self.0.links.request(to, protocol, body, deadline).await
    }

    /// Asks a member for a stream of answers, which it may give for as long as `deadline`, and takes them at the caller's pace.
    ///
    /// # Errors
    /// [`RequestError`]; what the member says comes with the answers.
    pub async fn stream(
        &self,
        to: NodeId,
        protocol: Protocol,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Answers, RequestError> {
        self.0.links.stream(to, protocol, body, deadline).await
    }

    /// Fetches small content, at most [`super::limits::BULK_WHOLE_BYTES_MAX`], in one piece from one member on a bulk
    /// connection of its own, and checks its digest.
    ///
    /// # Errors
    /// [`FetchError`]; nothing of a content that fails its check is returned.
    pub async fn fetch(&self, from: NodeId, digest: Sha256Digest, max_bytes: u64) -> Result<Bytes, FetchError> {
        super::bulk::fetch(&self.0.links, from, digest, max_bytes).await
    }

    /// Brings what a sink lacks from any of these members, from several at once; those named first are put to use first.
    /// Every byte is checked before it is stored. Dropping the future ends the transfer.
    ///
    /// # Errors
    /// [`GatherError`]; the sink keeps what came.
    pub async fn gather(&self, sources: &[NodeId], sink: Arc<dyn Sink>) -> Result<Gathered, GatherError> {
        super::bulk::gather(&self.0.links, sources, sink).await
    }

    /// Publishes a signed envelope to a topic, without waiting. Gossip is lossy: every fact needs a pull path too.
    ///
    /// # Errors
    /// [`PublishError`] when it is too long or the queue is full.
    pub fn publish(&self, topic: &str, envelope: Bytes) -> Result<(), PublishError> {
        self.0.ctl.publish(topic, envelope)
    }

    /// Takes another gossip topic.
    ///
    /// # Errors
    /// [`PublishError`] when the queue is full.
    pub fn subscribe(&self, topic: &str) -> Result<(), PublishError> {
        self.0.ctl.subscribe(topic)
    }

    /// Drops a gossip topic.
    ///
    /// # Errors
    /// [`PublishError`] when the queue is full.
    pub fn unsubscribe(&self, topic: &str) -> Result<(), PublishError> {
        self.0.ctl.unsubscribe(topic)
    }

    /// A diagnostic handshake: shows our membership to whoever answers and reports both judgements.
    pub async fn dial(&self, address: SocketAddr) -> DialReport {
        self.0.dialer.diagnose(address).await
    }

    /// Enrols with the issuer that a ticket pins: `body` makes the request from the connection's
    /// exporter, and the issuer's answer is returned.
    ///
    /// # Errors
    /// [`JoinError`]; an issuer's refusal is inside the answer, not here.
    pub async fn join_client(
        &self,
        address: SocketAddr,
        issuer: PeerId,
        body: impl FnOnce(&[u8; 32]) -> Bytes + Send,
    ) -> Result<Bytes, JoinError> {
        super::join::join(&self.0.dialer, address, issuer, body).await
    }

    /// Asks whoever answers at an address on the join lane. Nothing that it says is proven.
    pub async fn ask_guide(&self, address: SocketAddr, body: &[u8]) -> Result<Bytes, JoinError> {
        super::join::ask_guide(&self.0.dialer, address, body).await
    }

    /// Connections refused since the start, by reason.
    pub fn refusals(&self) -> BTreeMap<&'static str, u64> {
        self.0.dialer.refusals.snapshot()
    }

    /// Says where this node is, as its record does. Those to whom there is only a relayed link are told, so that a direct one can be
    /// made.
    pub fn advertise(&self, addresses: &[SocketAddr]) {
        self.0.dialer.reached.set_own(addresses);
    }

    /// The relays at which others find this node, whenever they change: to be told in its record, as
    /// [`hedgerow_protocol::link::through`] writes them.
    pub fn waits_at(&self) -> watch::Receiver<Vec<NodeId>> {
        self.0.relays.waits_at()
    }

    /// What this node relays for others.
    pub fn relayed(&self) -> Relayed {
        self.0.relay.load()
    }

    /// Live links.
    pub fn links(&self) -> Vec<LinkView> {
        self.0.links.live()
    }

    /// Changes whenever a link comes, goes or is replaced, or could not be made.
    pub fn link_changes(&self) -> watch::Receiver<u64> {
        self.0.links.changes()
    }

    /// Members connected to the libp2p swarm.
    pub fn gossip_peers(&self) -> Vec<NodeId> {
        self.0.ctl.members()
    }

    /// UDP payload moved since the start.
    pub fn traffic(&self) -> Traffic {
        self.0.socket.traffic()
    }

    /// What was lost inside this node since the start because a queue was full or a peer away.
    pub fn dropped(&self) -> Dropped {
        self.0.links.dropped()
    }

    /// What is emulated around this node's socket, `None` unless started with `emulate`.
    pub fn emulation(&self) -> Option<&Emulation> {
        self.0.emulation.as_ref()
    }

    /// Closes every connection with a reason and stops every task. The port is free once the last
    /// connection has drained, which takes a few round trips.
    pub async fn shutdown(&self) {
        let endpoint = &self.0.dialer.endpoint;
        if self.0.links.close_relayed() {
            // What says so travels over the connections to relays, which close next.
            tokio::time::sleep(RELAYED_CLOSE_PATIENCE).await;
        }
        endpoint.close(Close::Shutdown.code(), Close::Shutdown.reason().as_bytes());
        // The close must leave through the emulation's queue before that task stops.
        if tokio::time::timeout(DRAIN_PATIENCE, endpoint.wait_idle()).await.is_err() {
            tracing::debug!("some connections did not drain before the shutdown");
        }
        self.0.tasks.finish(SHUTDOWN_PATIENCE).await;
    }
}

/// How long the closes of relayed connections take to leave this process.
const RELAYED_CLOSE_PATIENCE: Duration = Duration::from_millis(50);
/// How long a shutdown lets closes leave and be answered. A handshake under way would drain for seconds.
const DRAIN_PATIENCE: Duration = Duration::from_millis(500);
/// How long it then waits for tasks to end.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(2);
