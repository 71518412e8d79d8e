//! An established rpc connection, and what is known of the work on it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_attest::peer_id::PeerId;
use hedgerow_protocol::link::{ConnectionId, through};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::acknowledged::Progress;
use crate::net::limits::{BODY_BYTES_PER_PEER, REQUESTS_PER_PEER};
use crate::net::socket::canonical;

/// An established rpc connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: ConnectionId,
    pub(super) connection: quinn::Connection,
    /// Whom the handshake proved.
    pub(super) member: Member,
    /// The same by a later certificate that arrived since.
    renewed: Mutex<Option<Member>>,
    /// Whether this node dialled it.
    pub(super) dialled: bool,
    /// The member through which it runs, if it is not direct.
    relay: Option<NodeId>,
    /// Requests of the peer being served.
    pub(super) serving: Arc<Semaphore>,
    /// KiB of request bodies that are held for the peer at once.
    pub(super) bodies: Semaphore,
    pub(super) progress: Mutex<Progress>,
    /// When a request or a message of a session travelled last, in either direction.
    worked: Mutex<Instant>,
    /// When the peer asked to meet last.
    met: Mutex<Option<Instant>>,
}

/// A peer asks no sooner: its own wait is longer.
const MEET_GAP: Duration = Duration::from_millis(1_500);

/// For so long after the last work a link counts as needed.
const NEEDED: Duration = Duration::from_secs(60);

impl Link {
    pub(super) fn new(id: ConnectionId, made: Made, dialled: bool) -> Arc<Self> {
        let Made { connection, member, relay } = made;
        let serving = Arc::new(Semaphore::new(REQUESTS_PER_PEER));
        let (progress, worked) = (Mutex::default(), Mutex::new(Instant::now()));
        let met = Mutex::default();
        Arc::new(Self {
            id,
            connection,
            member,
            renewed: Mutex::default(),
            dialled,
            relay,
            serving,
            bodies: Semaphore::new(BODY_BYTES_PER_PEER >> 10),
            progress,
            worked,
            met,
        })
    }

    /// By which certificate the link stands: the last one of the member that is known.
    pub(super) fn standing(&self) -> Member {
        let renewed = self.renewed.lock().expect("no holder of the lock panics");
        renewed.as_ref().unwrap_or(&self.member).clone()
    }

    /// The member has a later certificate. One of another transport key says nothing of this connection, which proved the one
    /// before.
    pub(super) fn renew(&self, member: &Member) {
        let standing = self.standing();
        if member.supersedes(&standing) && member.peer() == standing.peer() {
            *self.renewed.lock().expect("no holder of the lock panics") = Some(member.clone());
        }
    }

    /// Whether the peer may be met: whoever asks for it has addresses dialled that it names.
    pub(super) fn may_meet(&self) -> bool {
        let mut met = self.met.lock().expect("no holder of the lock panics");
        let may = met.is_none_or(|met| met.elapsed() >= MEET_GAP);
        if may {
            *met = Some(Instant::now());
        }
        may
    }

    /// Something travels that somebody waits for, beyond what keeps the mesh together.
    pub(super) fn works(&self) {
        *self.worked.lock().expect("no holder of the lock panics") = Instant::now();
    }

    /// Whether nothing worked over it for a while. A link that is new was made for something.
    pub(super) fn is_idle(&self) -> bool {
        self.worked.lock().expect("no holder of the lock panics").elapsed() >= NEEDED
    }

    /// The member through which it runs, if it is not direct.
    pub(super) fn relay(&self) -> Option<NodeId> {
        self.relay
    }

    pub(super) fn is_live(&self) -> bool {
        self.connection.close_reason().is_none()
    }

    /// Where the endpoint of this node finds the member.
    pub(super) fn remote(&self) -> SocketAddr {
        canonical(self.connection.remote_address())
    }

    /// Where the member is for all nodes.
    pub(super) fn place(&self) -> SocketAddr {
        self.relay.as_ref().map_or_else(|| self.remote(), through)
    }

    pub(super) fn rtt_us(&self) -> u64 {
        u64::try_from(self.connection.rtt().as_micros()).unwrap_or(u64::MAX)
    }
}

/// What a link is made of: a connection that was judged, and the way on which it was made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) connection: quinn::Connection,
    pub(super) member: Member,
    pub(super) relay: Option<NodeId>,
}

/// A live link, for status and for the swarm that follows the links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkView {
    /// The member.
    pub node: NodeId,
    /// Its transport key.
    pub peer: PeerId,
    /// Where it is: for a member at a relay, a place that means something to this node's endpoint alone.
    pub remote: SocketAddr,
    /// The member through which the link runs, if it is not direct.
    pub relay: Option<NodeId>,
    /// Smoothed round trip, microseconds.
    pub rtt_us: u64,
    /// Packets that this node sent on it.
    pub sent_packets: u64,
    /// Those of them that count as lost.
    pub lost_packets: u64,
    /// Whether this node dialled.
    pub dialled: bool,
    /// Another number for each link to the member; the same where one only took the place of a duplicate.
    pub epoch: u32,
}

impl LinkView {
    pub(super) fn new(link: &Link, epoch: u32) -> Self {
        let sent = link.connection.stats().path;
        Self {
            node: link.member.node(),
            peer: link.member.peer(),
            remote: link.remote(),
            relay: link.relay,
            rtt_us: link.rtt_us(),
            sent_packets: sent.sent_packets,
            lost_packets: sent.lost_packets,
            dialled: link.dialled,
            epoch,
        }
    }
}
