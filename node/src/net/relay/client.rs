//! Connections to relays, made on demand and shared by all peers there.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use hedgerow_attest::id::NodeId;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, timeout};

use super::frame::{Frame, places_bytes, read_places};
use super::post::{Post, frames};
use super::ways::Ways;
use crate::net::close::Close;
use crate::net::dial::{DialError, Dialer};
use crate::net::lane::LinkLane;
use crate::net::limits::{DIAL_TIMEOUT, RELAY_IDLE, RELAYS_MAX, RELAYS_WAITED_AT};
use crate::net::tasks::Tasks;
use crate::net::tls::Expected;

/// Why there is no way through a relay.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Its address names a relay of which this node knows nothing.
    #[error("the relay is not known here")]
    Unknown,
    /// The relay could not be reached.
    #[error("dial the relay")]
    Dial(#[source] Box<DialError>),
    /// The relay relays for nobody, or for nobody more.
    #[error("the relay has no place for this node")]
    Refused,
    /// The node waits at other relays, or is away.
    #[error("the node does not wait at the relay")]
    Absent,
    /// This node has connections to as many relays as it may.
    #[error("connections to {RELAYS_MAX} relays are the most")]
    Full,
}

/// The relays of this node; clones share them.
#[derive(Clone, Debug)]
pub(in crate::net) struct Relays(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ways: Arc<Ways>,
    tasks: Tasks,
    ties: Mutex<BTreeMap<NodeId, Arc<Tie>>>,
    /// Where others can find this node.
    waits_at: watch::Sender<Vec<NodeId>>,
    /// A relay says that a peer is not there.
    absent: broadcast::Sender<(NodeId, NodeId)>,
}

/// A connection to one relay, which whoever comes first makes.
#[derive(Debug, Default)]
struct Tie {
    post: tokio::sync::Mutex<Option<Post>>,
    /// Where the relay sees this node.
    seen: Mutex<Option<SocketAddr>>,
}

/// Tells when a relay says that a peer is not there.
#[derive(Debug)]
pub(in crate::net) struct Absences(broadcast::Receiver<(NodeId, NodeId)>);

impl Absences {
    /// Ends when that peer is said to be absent from that relay.
    pub(in crate::net) async fn of(mut self, relay: NodeId, peer: NodeId) {
        loop {
            match self.0.recv().await {
                Ok(absent) if absent == (relay, peer) => return,
                // What was missed is found out by silence.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Relays {
    pub(in crate::net) fn new(ways: Arc<Ways>, tasks: Tasks) -> Self {
        let (waits_at, absent) = (watch::Sender::default(), broadcast::Sender::new(64));
        Self(Arc::new(Inner { ways, tasks, ties: Mutex::default(), waits_at, absent }))
    }

    /// The relays at which this node waits for others, whenever they change.
    pub(in crate::net) fn waits_at(&self) -> watch::Receiver<Vec<NodeId>> {
        self.0.waits_at.subscribe()
    }

    /// The relay that a place of this node's endpoint is at.
    pub(in crate::net) fn relay(&self, place: &SocketAddr) -> Option<NodeId> {
        self.0.ways.relay(place)
    }

    /// Where this node's relays see it.
    pub(in crate::net) fn seen(&self) -> Vec<SocketAddr> {
        let ties: Vec<_> = self.ties().values().cloned().collect();
        ties.iter().filter_map(|tie| *tie.seen.lock().expect("no holder of the lock panics")).collect()
    }

    pub(in crate::net) fn absences(&self) -> Absences {
        Absences(self.0.absent.subscribe())
    }

    /// Where the endpoint finds a peer that waits at a relay, which is at one of `addresses`.
    pub(in crate::net) async fn place(
        &self,
        dialer: &Dialer,
        relay: NodeId,
        addresses: &[SocketAddr],
        peer: NodeId,
    ) -> Result<SocketAddr, RelayError> {
        self.connect(dialer, relay, addresses).await?;
        self.0.ways.place(relay, peer).ok_or(RelayError::Refused)
    }

    /// Lets others find this node at a relay.
    pub(super) async fn wait_at(
        &self,
        dialer: &Dialer,
        relay: NodeId,
        addresses: &[SocketAddr],
    ) -> Result<(), RelayError> {
        self.connect(dialer, relay, addresses).await?;
        self.0.waits_at.send_modify(|waits_at| {
            if !waits_at.contains(&relay) {
                waits_at.push(relay);
            }
        });
        Ok(())
    }

    /// Whether others can find this node at as many relays as they should.
    pub(super) fn waits_at_enough(&self) -> bool {
        self.0.waits_at.borrow().len() >= RELAYS_WAITED_AT
    }

    /// Others reach this node by themselves.
    pub(super) fn wait_nowhere(&self) {
        self.0.waits_at.send_if_modified(|waits_at| !std::mem::take(waits_at).is_empty());
    }

    /// Closes connections to relays that nothing needs.
    pub(super) fn close_idle(&self) {
        let Some(since) = Instant::now().checked_sub(RELAY_IDLE) else { return };
        for (relay, post) in self.0.ways.idle_since(since) {
            if !self.0.waits_at.borrow().contains(&relay) {
                Close::Done.close(&post.connection);
            }
        }
    }

    async fn connect(&self, dialer: &Dialer, relay: NodeId, addresses: &[SocketAddr]) -> Result<(), RelayError> {
        let tie = self.tie(relay)?;
        let mut post = tie.post.lock().await;
        if post.as_ref().is_some_and(|post| post.connection.close_reason().is_none()) {
            return Ok(());
        }
        let made = self.make(dialer, relay, addresses, &tie).await;
        if made.is_err() {
            // Nobody else has it: the map has no room for relays that are not there.
            self.ties().retain(|node, known| *node != relay || !Arc::ptr_eq(known, &tie));
        }
        *post = Some(made?);
        Ok(())
    }

    fn tie(&self, relay: NodeId) -> Result<Arc<Tie>, RelayError> {
        let mut ties = self.ties();
        if ties.len() >= RELAYS_MAX && !ties.contains_key(&relay) {
            return Err(RelayError::Full);
        }
        Ok(ties.entry(relay).or_default().clone())
    }

    async fn make(
        &self,
        dialer: &Dialer,
        relay: NodeId,
        addresses: &[SocketAddr],
        tie: &Arc<Tie>,
    ) -> Result<Post, RelayError> {
        if addresses.is_empty() {
            return Err(RelayError::Unknown);
        }
        let dialled = dialer.dial_any(addresses, LinkLane::Relay, Expected::Node(relay)).await;
        let connection = dialled.map_err(|error| RelayError::Dial(Box::new(error)))?.connection;
        let seen = timeout(DIAL_TIMEOUT, welcome(&connection)).await.ok().flatten().ok_or(RelayError::Refused)?;
        tracing::debug!(relay = %relay.short(), %seen, "connected to a relay");
        *tie.seen.lock().expect("no holder of the lock panics") = Some(seen);
        let post = Post::new(connection, &self.0.tasks);
        self.0.ways.add_relay(relay, post.clone());
        self.0.tasks.spawn(self.clone().take_frames(relay, tie.clone(), post.clone()));
        Ok(post)
    }

    async fn take_frames(self, relay: NodeId, tie: Arc<Tie>, post: Post) {
        let take = |frame| match frame {
            Frame::Carry { node, datagram } => self.0.ways.deliver(relay, node, datagram),
            Frame::Absent { node } => {
                if self.0.absent.send((relay, node)).is_err() {
                    tracing::trace!("nobody waits for word of who is absent");
                }
            }
        };
        let ended = frames(&post.connection, take).await;
        tracing::debug!(relay = %relay.short(), %ended, "a connection to a relay ended");
        self.0.ways.remove_relay(relay, &post);
        self.ties().retain(|node, known| *node != relay || !Arc::ptr_eq(known, &tie));
        self.0.waits_at.send_if_modified(|waits_at| {
            let before = waits_at.len();
            waits_at.retain(|node| *node != relay);
            waits_at.len() != before
        });
    }

    fn ties(&self) -> MutexGuard<'_, BTreeMap<NodeId, Arc<Tie>>> {
        self.0.ties.lock().expect("no holder of the lock panics")
    }
}

/// Where a relay sees this node: the first that it says, on a stream of its own.
async fn welcome(connection: &quinn::Connection) -> Option<SocketAddr> {
    let mut stream = connection.accept_uni().await.ok()?;
    let bytes = stream.read_to_end(places_bytes(1)).await.ok()?;
    match read_places(&bytes)?.as_slice() {
        [seen] => Some(*seen),
        _ => None,
    }
}
