//! The link machine with what it decides about: connections, dials under way, and what waits per member.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hedgerow_attest::id::NodeId;
use hedgerow_protocol::link::{self, AttemptId, CloseReason, ConnectionId, LinkInput, LinkOutput};
use hedgerow_protocol::machine::{Cx, Machine as _};
use hedgerow_protocol::time::{Mono, Wall};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::link::Link;
use super::link_error::DialsFailed;
use crate::net::close::Close;
use crate::net::lane::Lane;
use crate::net::limits::PEERS_MAX;

pub(super) type Machine = link::Links<NodeId, SocketAddr>;
pub(super) type Input = LinkInput<NodeId, SocketAddr>;

/// Everything about links, under one lock. Nothing is awaited while it is held.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) machine: Machine,
    rng: ChaCha8Rng,
    /// Every connection that is open, the link's among them.
    connections: BTreeMap<ConnectionId, Arc<Link>>,
    last_connection: u64,
    dials: BTreeMap<AttemptId, CancellationToken>,
    members: BTreeMap<NodeId, Arc<Member>>,
}

/// What waits for a member, and how its last round of dials went.
#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) outboxes: Mutex<[Option<mpsc::Sender<Bytes>>; Lane::ALL.len()]>,
    /// When it was told last that requests go there.
    use_told: Mutex<Option<Instant>>,
    pub(super) failed: Mutex<DialsFailed>,
}

/// Time between two tellings that a link is used. Whoever hears it counts the link as used for six times as long.
const USE_NEWS: Duration = Duration::from_secs(5);

impl Member {
    /// Whether it is worth telling that requests go there; it then counts as told.
    pub(super) fn is_use_news(&self) -> bool {
        let mut told = self.use_told.lock().expect("no holder of the lock panics");
        let is_news = told.is_none_or(|told| told.elapsed() >= USE_NEWS);
        if is_news {
            *told = Some(Instant::now());
        }
        is_news
    }
}

/// A handshake that the machine wants.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) peer: NodeId,
    pub(super) attempt: AttemptId,
    pub(super) address: SocketAddr,
    pub(super) cancelled: CancellationToken,
}

/// What a step asks of whoever holds no lock.
#[derive(Debug, Default)]
pub(super) struct Todo {
    pub(super) dials: Vec<Dial>,
    /// Relayed links whose ends should meet.
    pub(super) meetings: Vec<Arc<Link>>,
    /// Whether anything about links changed that others wait for.
    pub(super) changed: bool,
}

impl Table {
    pub(super) fn new(me: NodeId, seed: [u8; 32]) -> Self {
        Self {
            machine: Machine::new(me),
            rng: ChaCha8Rng::from_seed(seed),
            connections: BTreeMap::new(),
            last_connection: 0,
            dials: BTreeMap::new(),
            members: BTreeMap::new(),
        }
    }

    pub(super) fn step(&mut self, now: Mono, input: Input) -> Todo {
        let mut out = Vec::new();
        // The machine reads no wall clock.
        self.machine.step(&mut Cx { now, wall: Wall(0), rng: &mut self.rng, out: &mut out }, input);
        let mut todo = Todo::default();
        for output in out {
            self.carry_out(&output, &mut todo);
        }
        todo
    }

    fn carry_out(&mut self, output: &LinkOutput<NodeId, SocketAddr>, todo: &mut Todo) {
        match *output {
            LinkOutput::Dial { peer, attempt, address } => {
                let cancelled = CancellationToken::new();
                self.dials.insert(attempt, cancelled.clone());
                todo.dials.push(Dial { peer, attempt, address, cancelled });
                return;
            }
            LinkOutput::Cancel { attempt } => {
                if let Some(dial) = self.dials.remove(&attempt) {
                    dial.cancel();
                }
                return;
            }
            LinkOutput::Meet { connection, .. } => {
                todo.meetings.extend(self.connections.get(&connection).cloned());
                return;
            }
            LinkOutput::Close { peer, connection, why } => {
                if let Some(link) = self.connections.get(&connection) {
                    tracing::debug!(node = %peer.short(), ?why, dialled = link.dialled, "closed a connection");
                    closing(why).close(&link.connection);
                }
                return;
            }
            LinkOutput::Up { peer, .. } => tracing::debug!(node = %peer.short(), "link up"),
            LinkOutput::Moved { peer, .. } => tracing::debug!(node = %peer.short(), "link on another connection"),
            LinkOutput::Down { peer, why } => tracing::info!(node = %peer.short(), ?why, "link down"),
            LinkOutput::Failed { peer, failure, retry_in } => {
                tracing::debug!(node = %peer.short(), ?failure, ?retry_in, "no link");
            }
        }
        todo.changed = true;
    }

    /// Takes in a connection; its number is what the machine knows it by.
    pub(super) fn number(&mut self, make: impl FnOnce(ConnectionId) -> Arc<Link>) -> Arc<Link> {
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        let link = make(id);
        self.connections.insert(id, link.clone());
        link
    }

    pub(super) fn connection_ended(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
    }

    pub(super) fn dial_ended(&mut self, attempt: AttemptId) {
        self.dials.remove(&attempt);
    }

    /// The link to a member, if it is usable.
    pub(super) fn live(&self, peer: &NodeId) -> Option<Arc<Link>> {
        let link = self.connections.get(&self.machine.connection(peer)?)?;
        link.is_live().then(|| link.clone())
    }

    /// Usable links by NodeId, each with its epoch.
    pub(super) fn all_live(&self) -> Vec<(Arc<Link>, u32)> {
        let live = self.machine.up().filter_map(|(_, connection, epoch)| {
            let link = self.connections.get(&connection)?;
            link.is_live().then(|| (link.clone(), epoch))
        });
        live.collect()
    }

    /// Every connection that is open, those beside the links among them.
    pub(super) fn all_open(&self) -> Vec<Arc<Link>> {
        self.connections.values().filter(|link| link.is_live()).cloned().collect()
    }

    /// Nothing waits for a member any more.
    pub(super) fn forget(&mut self, node: &NodeId) {
        self.members.remove(node);
    }

    /// What waits for a member, if anything ever did.
    pub(super) fn known_member(&self, node: &NodeId) -> Option<Arc<Member>> {
        self.members.get(node).cloned()
    }

    /// What waits for a member; room is made at the expense of one without a link.
    pub(super) fn member(&mut self, node: NodeId) -> Option<Arc<Member>> {
        if !self.members.contains_key(&node) && self.members.len() >= PEERS_MAX {
            let idle = self.members.keys().find(|node| self.machine.connection(node).is_none()).copied();
            self.members.remove(&idle?);
        }
        Some(self.members.entry(node).or_default().clone())
    }
}

fn closing(why: CloseReason) -> Close {
    match why {
        CloseReason::Duplicate => Close::Duplicate,
        CloseReason::Unacknowledged => Close::Unacknowledged,
        CloseReason::HungUp => Close::Hangup,
        CloseReason::Unwelcome => Close::Overloaded,
    }
}
