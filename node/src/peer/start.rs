//! The order in which the rooms of a node start, and in which they end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hedgerow_attest::member::Member;
use hedgerow_attest::revocation::VerifiedRevocation;
use hedgerow_inference::exec::{ExecLimits, Lanes};
use hedgerow_protocol::core::Command;
use hedgerow_protocol::id::BootId;
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::addresses::{advertised, tell_relays};
use super::chronicle::Chronicle;
use super::issuers::Issuers;
use super::parts::{Told, about, core_parts, dial_known, groups_parts, random, trust};
use super::renewal::Renewals;
use super::serve::{Founded, Rooms, serve};
use super::timekeeping::Timekeeper;
use super::upkeep::Upkeep;
use crate::admin::{AdminState, Departure, Forgotten, admin_router, bind};
use crate::api::{self, ApiState};
use crate::config::Config;
use crate::core::{self, CoreHandle, CoreInbox, CoreStartError, CoreTask, Fate, MESH_TOPIC};
use crate::exec::{Keeper, KeeperParts, Library, Pool, PoolStartError, Shelf};
use crate::identity::{Appointments, Enrolled};
use crate::net::{Net, NetConfig, NetError, NetEvent, Socket, Trust};
use crate::route::Router;
use crate::session::{Groups, GroupsStartError, Sessions};
use crate::store::{DataFolder, LoadError, Store};

/// A running node.
#[derive(Debug)]
pub struct Peer {
    pub(super) state: AdminState,
    /// Each gives its name when it ends.
    pub(super) tasks: JoinSet<&'static str>,
    /// Those that take requests of applications and operators.
    pub(super) doors: JoinSet<&'static str>,
    /// Ends the doors.
    pub(super) serving: CancellationToken,
    /// Ends the rooms.
    pub(super) stop: CancellationToken,
    pub(super) groups: Groups,
    pub(super) store: Store,
    pub(super) folder: DataFolder,
    /// By what this node was put out of its mesh, once it was.
    pub(super) expelled: watch::Receiver<Option<VerifiedRevocation>>,
}

/// Why a node did not start. What had started is stopped again.
#[derive(Debug, Error)]
pub enum PeerStartError {
    /// The mesh socket.
    #[error("start the network")]
    Net(#[from] NetError),
    /// The mesh core.
    #[error("start the mesh core")]
    Core(#[from] CoreStartError),
    /// The sessions.
    #[error("start the sessions")]
    Sessions(#[from] GroupsStartError),
    /// The worker threads.
    #[error("start the models")]
    Models(#[from] PoolStartError),
    /// What is kept of other members.
    #[error("read what is known of other members")]
    Known(#[from] LoadError),
    /// The REST port.
    #[error("listen on {address} for REST; choose another port with --port-base or --rest")]
    Rest {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The admin socket.
    #[error("listen on {} for the operator", path.display())]
    Admin {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The operating system has no randomness to give.
    #[error("draw random bytes")]
    Random(#[source] getrandom::Error),
    /// The node stopped while it started.
    #[error("announce this node's addresses")]
    Announce(#[source] core::CommandError),
}

impl PeerStartError {
    /// Whether the node left its mesh for good in an earlier run: it starts never again.
    pub fn is_departure(&self) -> bool {
        matches!(self, Self::Core(CoreStartError::Left))
    }

    /// By what the node was put out of its mesh in an earlier run: it starts never again.
    pub fn revocation(&self) -> Option<&VerifiedRevocation> {
        if let Self::Core(CoreStartError::Revoked(revocation)) = self { Some(revocation) } else { None }
    }
}

/// What became of the node of that store.
pub fn fate(store: &Store, enrolled: &Enrolled) -> Result<Fate, PeerStartError> {
    Ok(core::fate(&store.mesh, &enrolled.root, &enrolled.identity.node())?)
}

impl Peer {
    /// Starts every room; when this returns the node answers, and may still be looking for its cell.
    pub async fn start(
        config: &Config,
        folder: DataFolder,
        store: Store,
        enrolled: &Enrolled,
    ) -> Result<Self, PeerStartError> {
        let revoked = core::revoked(&store.mesh, &enrolled.root)?;
        let (trust, trusted) = watch::channel(Arc::new(trust(enrolled, revoked)));
        let topics = vec![MESH_TOPIC.to_owned()];
        let socket = Socket::Bind(config.listen);
        let (net, events) = Net::start(NetConfig {
            socket,
            trust: trusted,
            emulate: config.emulate,
            relaying: config.relaying,
            topics,
        })?;
        let stop = CancellationToken::new();
        let opened = Opened { net: net.clone(), events, trust, stop: stop.clone() };
        match Self::assemble(config, folder, store, enrolled, opened).await {
            Ok(peer) => Ok(peer),
            Err(error) => {
                stop.cancel();
                net.shutdown().await;
                Err(error)
            }
        }
    }

    /// Starts the rooms above the network.
    async fn assemble(
        config: &Config,
        folder: DataFolder,
        store: Store,
        enrolled: &Enrolled,
        opened: Opened,
    ) -> Result<Self, PeerStartError> {
        let Opened { net, events, trust, stop } = opened;
        let listeners = Listeners::bind(config, &folder).await?;
        let started = Instant::now();
        let told = Told::default();
        let mut tasks = JoinSet::new();
        let boot = BootId(random()?);
        let (core, handle, inbox) = CoreTask::new(core_parts(enrolled, &store, &net, boot, &told)?)?;
        let addresses = advertised(&config.advertise, net.local_addr());
        dial_known(&net, &store.mesh)?;
        tasks.spawn(named("the mesh core", core.run(stop.clone())));
        let kept = Kept { handle: &handle, net: &net, store: &store, folder: &folder, told: &told };
        let Looked { own, appointments, renewal_failure, expelled } =
            kept.look_after_myself(enrolled, trust, &mut tasks, &stop)?;

        let groups = groups_parts(enrolled, &store, &net, boot, handle.rosters(), &told)?;
        let groups = Groups::new(groups, stop.clone())?;
        tasks.spawn(named("the sessions", groups.clone().drive(handle.clone())));
        let sessions = Sessions::new(enrolled.identity.node(), groups.clone(), net.clone(), handle.views());

        let library = Library::new(store.artifacts.clone(), store.mesh.clone(), enrolled.root.publishers().clone());
        let (shelf, pool) = (Shelf::default(), Pool::start(Lanes::here())?);
        let keeper = KeeperParts {
            core: handle.clone(),
            net: net.clone(),
            library: library.clone(),
            shelf: shelf.clone(),
            pool: pool.clone(),
            conditions: told.conditions.clone(),
            counters: told.counters.clone(),
            events: told.events.clone(),
            limits: ExecLimits::default(),
        };
        tasks.spawn(named("the models", Keeper::new(keeper).run(stop.clone())));
        let router = Router::new(handle.views(), shelf.clone(), pool, net.clone());

        let (departure, serving) = (Departure::none(), CancellationToken::new());
        tasks.spawn(named("the departure", departure.clone().carry_out(handle.clone(), stop.clone())));
        let state = AdminState {
            api: ApiState { core: handle, shelf, router, sessions },
            net,
            library,
            store: store.mesh.clone(),
            root: enrolled.root.clone(),
            appointments,
            counters: told.counters,
            conditions: told.conditions,
            events: told.events,
            serving: serving.clone(),
            departure,
            own: own.clone(),
            renewal_failure,
            forgotten: Forgotten::of_rows(store.mesh.rows()?),
            about: Arc::new(about(enrolled, &folder, listeners.rest_address, &addresses, started)),
        };
        let mut peer = Self { state, tasks, doors: JoinSet::new(), serving, stop, groups, store, folder, expelled };
        peer.serve(events, inbox, listeners, enrolled);
        let core = peer.state.api.core.clone();
        let announced = core.command(Command::SetAddresses(addresses.clone())).await;
        announced.map_err(PeerStartError::Announce)?;
        let telling = tell_relays(core, peer.state.net.clone(), addresses, peer.stop.clone());
        peer.tasks.spawn(named("where this node is found", telling));
        Ok(peer)
    }

    /// What the operator's handlers use, for commands of the process itself.
    pub fn state(&self) -> &AdminState {
        &self.state
    }

    /// Resolves when a room has ended by itself, which none does but by a fault, with what it was. The node is of no use then.
    pub async fn ended(&mut self) -> &'static str {
        let ended = tokio::select! {
            ended = self.tasks.join_next() => ended,
            ended = self.doors.join_next() => ended,
        };
        match ended {
            Some(Ok(room)) => room,
            Some(Err(error)) => {
                tracing::error!(%error, "a room ended by a fault");
                "a room of the node"
            }
            None => "everything",
        }
    }

    fn serve(&mut self, events: mpsc::Receiver<NetEvent>, inbox: CoreInbox, listeners: Listeners, enrolled: &Enrolled) {
        let state = &self.state;
        let rooms = Rooms {
            inbox,
            core: state.api.core.clone(),
            net: state.net.clone(),
            groups: self.groups.clone(),
            sessions: state.api.sessions.clone(),
            router: state.api.router.clone(),
            library: state.library.clone(),
            admission: enrolled.admission(state.appointments.issuing(), self.store.mesh.clone(), state.own.clone()),
            appointments: Arc::clone(&state.appointments),
            known: Arc::new(Founded { geneses: enrolled.geneses.clone(), policy: enrolled.policy.clone() }),
            counters: state.counters.clone(),
        };
        self.tasks.spawn(named("requests of other nodes", serve(Arc::new(rooms), events, self.stop.clone())));
        let (rest, admin) = (api::router(state.api.clone()), admin_router(state.clone()));
        let (stop_rest, stop_admin) = (self.serving.clone(), self.serving.clone());
        self.doors.spawn(named("REST", async move {
            let served = axum::serve(listeners.rest, rest).with_graceful_shutdown(stop_rest.cancelled_owned());
            ended("REST", served.await);
        }));
        self.doors.spawn(named("the admin socket", async move {
            let served = axum::serve(listeners.admin, admin).with_graceful_shutdown(stop_admin.cancelled_owned());
            ended("the admin socket", served.await);
        }));
    }
}

/// What the tasks work with by which a node looks after itself.
struct Kept<'a> {
    handle: &'a CoreHandle,
    net: &'a Net,
    store: &'a Store,
    folder: &'a DataFolder,
    told: &'a Told,
}

impl Kept<'_> {
    /// Starts what keeps the node's certificate, its trust, its time, its address book and its chronicle.
    fn look_after_myself(
        &self,
        enrolled: &Enrolled,
        trust: watch::Sender<Arc<Trust>>,
        tasks: &mut JoinSet<&'static str>,
        stop: &CancellationToken,
    ) -> Result<Looked, PeerStartError> {
        let (own, current) = watch::channel(enrolled.member.clone());
        let appointments = Arc::new(enrolled.appointments(current.clone()));
        let (failure, renewal_failure) = watch::channel(None);
        let (expulsion, expelled) = watch::channel(None);
        let certificates = self.store.mesh.certificates()?;
        let upkeep = Upkeep {
            net: self.net.clone(),
            views: self.handle.views(),
            rosters: self.handle.rosters(),
            store: self.store.mesh.clone(),
            trust: trust.clone(),
            expulsion,
        };
        tasks.spawn(named("the upkeep", upkeep.run(stop.clone())));
        let timekeeper = Timekeeper {
            layout: self.folder.layout().clone(),
            own: current.clone(),
            rosters: self.handle.rosters(),
            skew_s: enrolled.root.skew_s(),
            conditions: self.told.conditions.clone(),
        };
        tasks.spawn(named("the timekeeping", timekeeper.run(stop.clone())));
        let renewals = Renewals {
            identity: enrolled.identity.clone(),
            root: enrolled.root.clone(),
            issuing: appointments.issuing(),
            own,
            trust,
            core: self.handle.clone(),
            net: self.net.clone(),
            store: self.store.mesh.clone(),
            layout: self.folder.layout().clone(),
            issuers: Issuers::of_kept(certificates.values(), &enrolled.root),
            conditions: self.told.conditions.clone(),
            events: self.told.events.clone(),
            failure,
        };
        tasks.spawn(named("the renewal", renewals.run(stop.clone())));
        let chronicle = Chronicle { net: self.net.clone(), views: self.handle.views(), told: self.told.clone() };
        tasks.spawn(named("the chronicle", chronicle.run(stop.clone())));
        Ok(Looked { own: current, appointments, renewal_failure, expelled })
    }
}

/// What comes of looking after oneself.
struct Looked {
    /// The node's certificate, whichever is the last.
    own: watch::Receiver<Member>,
    /// What gives it the right to issue.
    appointments: Arc<Appointments>,
    /// Why it was not renewed, where the last attempt failed.
    renewal_failure: watch::Receiver<Option<String>>,
    /// By what the node was put out of its mesh, once it was.
    expelled: watch::Receiver<Option<VerifiedRevocation>>,
}

/// What is open before any room works with it.
struct Opened {
    net: Net,
    events: mpsc::Receiver<NetEvent>,
    trust: watch::Sender<Arc<Trust>>,
    stop: CancellationToken,
}

/// What is listened on beside the mesh socket.
struct Listeners {
    rest: TcpListener,
    rest_address: SocketAddr,
    admin: UnixListener,
}

impl Listeners {
    async fn bind(config: &Config, folder: &DataFolder) -> Result<Self, PeerStartError> {
        let refused = |source| PeerStartError::Rest { address: config.rest, source };
        let rest = TcpListener::bind(config.rest).await.map_err(refused)?;
        let rest_address = rest.local_addr().map_err(refused)?;
        let path = folder.layout().admin_socket();
        let admin = bind(&path).map_err(|source| PeerStartError::Admin { path, source })?;
        Ok(Self { rest, rest_address, admin })
    }
}

fn ended(what: &str, outcome: std::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "{what} ended");
    }
}

async fn named(name: &'static str, room: impl Future<Output = ()>) -> &'static str {
    room.await;
    name
}
