//! Connections to relays, made on demand and shared by all peers there.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, timeout};

use super::frame::{Frame, places_bytes, read_places};
use super::post::{Post, frames};
use super::ways::{Ways, is_place};
use crate::net::close::Close;
use crate::net::dial::{DialError, Dialer};
use crate::net::lane::LinkLane;
use crate::net::limits::{DIAL_TIMEOUT, RELAY_IDLE, RELAYS_MAX};
use crate::net::tasks::Tasks;
use crate::net::tls::Expected;

/// Why there is no way through a relay.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RelayError {
    /// Its address names a relay of which this node knows nothing.
    #[error("the relay is not known here")]
    Unknown,
    /// The relay could not be reached.
    #[error("dial the relay")]
    Dial(#[source] Arc<DialError>),
    /// The relay relays for nobody, or for nobody more.
    #[error("the relay has no place for this node")]
    Refused,
    /// The node waits at other relays, or is away.
    #[error("the node does not wait at the relay")]
    Absent,
    /// This node has connections to as many relays as it may.
    #[error("connections to {RELAYS_MAX} relays are the most")]
    Full,
    /// The connection to the relay ended.
    #[error("the connection to the relay ended")]
    Ended,
}

/// The relays of this node; clones share them.
#[derive(Clone, Debug)]
pub(in crate::net) struct Relays(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ways: Arc<Ways>,
    tasks: Tasks,
    ties: Mutex<BTreeMap<NodeId, watch::Receiver<Tie>>>,
    /// Where others can find this node.
    waits_at: watch::Sender<Vec<NodeId>>,
    /// A relay says that a peer is not there.
    absent: broadcast::Sender<(NodeId, NodeId)>,
}

/// A connection to one relay. A task of its own makes it, and keeps it to its end, whoever gives up waiting for it.
#[derive(Clone, Debug)]
enum Tie {
    Made {
        /// Where the relay sees this node.
        seen: SocketAddr,
    },
    Making,
    Failed(RelayError),
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

    /// Where relays see this node, each place once.
    pub(in crate::net) fn seen(&self) -> Vec<SocketAddr> {
        let mut seen = Vec::new();
        for tie in self.ties().values() {
            if let Tie::Made { seen: place } = *tie.borrow()
                && !seen.contains(&place)
            {
                seen.push(place);
            }
        }
        seen
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
        self.connect(dialer, relay, addresses, RELAYS_MAX).await?;
        self.0.ways.place(relay, peer).ok_or(RelayError::Ended)
    }

    /// Lets others find this node at a relay.
    pub(super) async fn wait_at(
        &self,
        dialer: &Dialer,
        relay: NodeId,
        addresses: &[SocketAddr],
    ) -> Result<(), RelayError> {
        // Those through which others are reached leave room for those at which this node waits.
        self.connect(dialer, relay, addresses, usize::MAX).await?;
        self.0.waits_at.send_if_modified(|waits_at| {
            let is_news = !waits_at.contains(&relay);
            if is_news {
                waits_at.push(relay);
            }
            is_news
        });
        // It may have ended meanwhile, and then took no entry away that was not there yet.
        if !self.ties().contains_key(&relay) {
            self.wait_no_more_at(relay);
            return Err(RelayError::Ended);
        }
        Ok(())
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

    fn wait_no_more_at(&self, relay: NodeId) {
        self.0.waits_at.send_if_modified(|waits_at| {
            let before = waits_at.len();
            waits_at.retain(|node| *node != relay);
            waits_at.len() != before
        });
    }

    /// Waits for the connection to a relay, made if there is none and no more than `most`. All who wait share its outcome.
    async fn connect(
        &self,
        dialer: &Dialer,
        relay: NodeId,
        addresses: &[SocketAddr],
        most: usize,
    ) -> Result<(), RelayError> {
        let mut tie = self.tie(dialer, relay, addresses, most)?;
        let made = tie.wait_for(|tie| !matches!(tie, Tie::Making)).await;
        match made.as_deref() {
            Ok(Tie::Failed(error)) => Err(error.clone()),
            Ok(Tie::Made { .. }) => Ok(()),
            Ok(Tie::Making) | Err(_) => Err(RelayError::Ended),
        }
    }

    fn tie(
        &self,
        dialer: &Dialer,
        relay: NodeId,
        addresses: &[SocketAddr],
        most: usize,
    ) -> Result<watch::Receiver<Tie>, RelayError> {
        let mut ties = self.ties();
        if let Some(tie) = ties.get(&relay) {
            return Ok(tie.clone());
        }
        if ties.len() >= most {
            return Err(RelayError::Full);
        }
        // A place would make the way to the relay one through a relay.
        let addresses: Vec<_> = addresses.iter().copied().filter(|address| !is_place(address)).collect();
        if addresses.is_empty() {
            return Err(RelayError::Unknown);
        }
        let (told, tie) = watch::channel(Tie::Making);
        ties.insert(relay, tie.clone());
        self.0.tasks.spawn(self.clone().keep(dialer.clone(), relay, addresses, told));
        Ok(tie)
    }

    /// Makes a connection to a relay and keeps it to its end. Its entry in the map is this task's, from its start to its end.
    async fn keep(self, dialer: Dialer, relay: NodeId, addresses: Vec<SocketAddr>, told: watch::Sender<Tie>) {
        let made = make(&dialer, relay, &addresses).await;
        let (connection, member, seen) = match made {
            Ok(made) => made,
            Err(error) => {
                self.ties().remove(&relay);
                told.send_replace(Tie::Failed(error));
                return;
            }
        };
        tracing::debug!(relay = %relay.short(), %seen, "connected to a relay");
        let post = Post::new(connection, &self.0.tasks);
        self.0.ways.add_relay(relay, post.clone());
        told.send_replace(Tie::Made { seen });
        let take = |frame| match frame {
            Frame::Carry { node, datagram } => self.0.ways.deliver(relay, node, datagram),
            Frame::Absent { node } => {
                if self.0.absent.send((relay, node)).is_err() {
                    tracing::trace!("nobody waits for word of who is absent");
                }
            }
        };
        tokio::select! {
            ended = frames(&post.connection, take) => {
                tracing::debug!(relay = %relay.short(), %ended, "a connection to a relay ended");
            }
            // Others will have nothing of a relay that is a member no more, and do not find this node there.
            () = dialer.gate.unwelcome(&member) => Close::Trust.close(&post.connection),
        }
        self.0.ways.remove_relay(relay, &post);
        self.ties().remove(&relay);
        self.wait_no_more_at(relay);
    }

    fn ties(&self) -> MutexGuard<'_, BTreeMap<NodeId, watch::Receiver<Tie>>> {
        self.0.ties.lock().expect("no holder of the lock panics")
    }
}

/// A connection to a relay, by which certificate it is a member, and where it sees this node.
async fn make(
    dialer: &Dialer,
    relay: NodeId,
    addresses: &[SocketAddr],
) -> Result<(quinn::Connection, Member, SocketAddr), RelayError> {
    let dialled = dialer.dial_any(addresses, LinkLane::Relay, Expected::Node(relay)).await;
    let dialled = dialled.map_err(|error| RelayError::Dial(Arc::new(error)))?;
    let member = dialled.peer.member.expect("a dial of this lane judges the membership");
    let seen = timeout(DIAL_TIMEOUT, welcome(&dialled.connection)).await.ok().flatten();
    Ok((dialled.connection, member, seen.ok_or(RelayError::Refused)?))
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
