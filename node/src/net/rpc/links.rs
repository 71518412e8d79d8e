//! The table of links: who may be dialled, which connection is the link, and its end.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use tokio::sync::{Semaphore, mpsc, watch};

use super::link::{Link, LinkView, Offer, Peer};
use super::outbox::{Dropped, Losses};
use crate::net::certificate::Presented;
use crate::net::close::Close;
use crate::net::dial::{DialError, Dialer};
use crate::net::event::NetEvent;
use crate::net::lane::LinkLane;
use crate::net::limits::{DRAIN, PEERS_MAX, SERVED_BODY_BYTES_MAX};
use crate::net::tasks::Tasks;
use crate::net::tls::Expected;

/// Why there is no link to a member.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No address of the member is known; its record has not arrived yet.
    #[error("no known address of the node")]
    Unknown,
    /// The member is this node.
    #[error("the node is this one")]
    Myself,
    /// A dial failed a moment ago; retry after the wait.
    #[error("the last dial failed; the next is in {} ms", .retry_in.as_millis())]
    BackingOff {
        /// Until the next dial.
        retry_in: Duration,
    },
    /// The link was not there in time; the dial may go on.
    #[error("no link within {} ms", .after.as_millis())]
    Slow {
        /// The time allowed.
        after: Duration,
    },
    /// The dial failed.
    #[error("dial the node")]
    Dial(#[source] DialError),
    /// The table is full of live links.
    #[error("{PEERS_MAX} links are the most a node keeps")]
    TooMany,
    /// The link ended as soon as it was there.
    #[error("the link ended at once")]
    Lost,
}

/// All links of this node; clones share the table.
#[derive(Clone, Debug)]
pub(in crate::net) struct Links(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dialer: Dialer,
    events: mpsc::Sender<NetEvent>,
    tasks: Tasks,
    table: Mutex<BTreeMap<NodeId, Arc<Peer>>>,
    version: watch::Sender<u64>,
    /// Bytes of request bodies held at once, in KiB.
    body_budget: Arc<Semaphore>,
    losses: Losses,
}

impl Links {
    pub(in crate::net) fn new(dialer: Dialer, events: mpsc::Sender<NetEvent>, tasks: Tasks) -> Self {
        Self(Arc::new(Inner {
            dialer,
            events,
            tasks,
            table: Mutex::default(),
            version: watch::Sender::new(0),
            body_budget: Arc::new(Semaphore::new(SERVED_BODY_BYTES_MAX >> 10)),
            losses: Losses::default(),
        }))
    }

    pub(in crate::net) fn learn(&self, node: NodeId, addresses: &[SocketAddr]) {
        match self.slot(node) {
            Ok(peer) => peer.learn(addresses),
            Err(error) => tracing::debug!(%node, %error, "did not keep addresses"),
        }
    }

    pub(in crate::net) fn connect(&self, node: NodeId) {
        let links = self.clone();
        self.tasks().spawn(async move {
            let linked = async { links.link(&links.slot(node)?).await };
            if let Err(error) = linked.await {
                tracing::debug!(%node, %error, "no link");
            }
        });
    }

    pub(in crate::net) fn hangup(&self, node: NodeId) {
        if let Some(link) = self.peer(node).and_then(|peer| peer.live()) {
            Close::Hangup.close(&link.connection);
        }
    }

    /// Closes the link to a member, unless something travelled over it lately that the caller does not know of.
    pub(in crate::net) fn spare(&self, node: NodeId) {
        if self.peer(node).and_then(|peer| peer.live()).is_some_and(|link| link.is_idle()) {
            self.hangup(node);
        }
    }

    /// Live links by NodeId.
    pub(in crate::net) fn live(&self) -> Vec<LinkView> {
        let live = |peer: &Arc<Peer>| {
            let (epoch, link) = peer.epoch();
            link.map(|link| view(&link, epoch))
        };
        self.peers().iter().filter_map(live).collect()
    }

    /// Changes whenever a link comes, goes or is replaced.
    pub(in crate::net) fn changes(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    /// Where a member can be dialled.
    pub(in crate::net) fn addresses(&self, node: NodeId) -> Vec<SocketAddr> {
        let Some(peer) = self.peer(node) else { return Vec::new() };
        // The address of a live link is known to work.
        match peer.live() {
            Some(link) => vec![link.remote()],
            None => peer.addresses(),
        }
    }

    pub(in crate::net) fn dropped(&self) -> Dropped {
        self.0.losses.snapshot()
    }

    /// Takes an inbound rpc connection.
    pub(in crate::net) fn adopt_inbound(&self, connection: quinn::Connection, presented: &Presented, member: Member) {
        let node = member.node();
        let link = Link::new(connection, member, presented.fingerprint, false);
        if let Err(error) = self.adopt(link) {
            tracing::debug!(%node, %error, "turned a link away");
        }
    }

    /// The link to a member, dialled if there is none. Callers that come while a dial runs share its result.
    pub(super) async fn link(&self, peer: &Arc<Peer>) -> Result<Arc<Link>, LinkError> {
        if let Some(link) = peer.live() {
            return Ok(link);
        }
        if peer.node == self.me() {
            return Err(LinkError::Myself);
        }
        let _one_at_a_time = peer.dialling.lock().await;
        if let Some(link) = peer.live() {
            return Ok(link);
        }
        if let Some(retry_in) = peer.backing_off() {
            return Err(LinkError::BackingOff { retry_in });
        }
        let addresses = peer.addresses();
        if addresses.is_empty() {
            return Err(LinkError::Unknown);
        }
        let expected = Expected::Node(peer.node);
        let dial = self.0.dialer.dial_any(&addresses, LinkLane::Rpc, expected);
        let dialled = tokio::select! {
            dialled = dial => dialled,
            // The peer dialled us meanwhile. Only the side whose dial would lose gives up its own:
            // if both did, none would be left.
            link = self.until_live(peer), if peer.node < self.me() => return Ok(link),
        };
        match dialled {
            Ok(dialled) => {
                let member = dialled.peer.member.ok_or(LinkError::Lost)?;
                let fingerprint = dialled.peer.presented.fingerprint;
                self.adopt(Link::new(dialled.connection, member, fingerprint, true))?;
                peer.live().ok_or(LinkError::Lost)
            }
            Err(error) => peer.live().ok_or_else(|| {
                peer.dial_failed();
                LinkError::Dial(error)
            }),
        }
    }

    /// The slot of a member; made if there is room, at the expense of one without a link.
    pub(super) fn slot(&self, node: NodeId) -> Result<Arc<Peer>, LinkError> {
        let mut table = self.table();
        if let Some(peer) = table.get(&node) {
            return Ok(peer.clone());
        }
        if table.len() >= PEERS_MAX {
            let idle = table.values().find(|peer| peer.live().is_none()).map(|peer| peer.node);
            table.remove(&idle.ok_or(LinkError::TooMany)?);
        }
        let peer = Peer::new(node);
        table.insert(node, peer.clone());
        Ok(peer)
    }

    pub(super) fn peers(&self) -> Vec<Arc<Peer>> {
        self.table().values().cloned().collect()
    }

    pub(super) fn dialer(&self) -> &Dialer {
        &self.0.dialer
    }

    pub(super) fn events(&self) -> &mpsc::Sender<NetEvent> {
        &self.0.events
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    pub(super) fn body_budget(&self) -> &Arc<Semaphore> {
        &self.0.body_budget
    }

    pub(in crate::net) fn losses(&self) -> &Losses {
        &self.0.losses
    }

    fn me(&self) -> NodeId {
        self.0.dialer.gate.node()
    }

    fn peer(&self, node: NodeId) -> Option<Arc<Peer>> {
        self.table().get(&node).cloned()
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<NodeId, Arc<Peer>>> {
        self.0.table.lock().expect("no holder of the lock panics")
    }

    /// Serves a connection, and makes it the member's link unless a better one exists.
    fn adopt(&self, link: Arc<Link>) -> Result<(), LinkError> {
        if link.member.node() == self.me() {
            Close::Protocol.close(&link.connection);
            return Err(LinkError::Myself);
        }
        let peer = self.slot(link.member.node()).inspect_err(|_| Close::Overloaded.close(&link.connection))?;
        let retired = match peer.offer(&link, self.me()) {
            Offer::Kept { replaced } => replaced,
            Offer::Duplicate => Some(link.clone()),
        };
        if let Some(retired) = retired {
            tracing::debug!(node = %peer.node, dialled = retired.dialled, "retired a duplicate link");
            self.tasks().spawn(async move {
                tokio::time::sleep(DRAIN).await;
                Close::Duplicate.close(&retired.connection);
            });
        }
        self.changed();
        let links = self.clone();
        self.tasks().spawn(async move {
            let reason = links.serve(&link).await;
            if peer.ended(&link) {
                tracing::info!(node = %peer.node, %reason, "link down");
                links.changed();
            }
        });
        Ok(())
    }

    async fn until_live(&self, peer: &Peer) -> Arc<Link> {
        let mut changes = self.changes();
        loop {
            if let Some(link) = peer.live() {
                return link;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn changed(&self) {
        self.0.version.send_modify(|version| *version += 1);
    }
}

fn view(link: &Link, epoch: u64) -> LinkView {
    LinkView {
        node: link.member.node(),
        peer: link.member.peer(),
        remote: link.remote(),
        rtt_us: rtt_us(&link.connection),
        dialled: link.dialled,
        epoch,
    }
}

pub(super) fn rtt_us(connection: &quinn::Connection) -> u64 {
    u64::try_from(connection.rtt().as_micros()).unwrap_or(u64::MAX)
}
