//! One member as the rpc lane knows it: addresses, back-off, and the one link to it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use hedgerow_attest::digest::Blake3Digest;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_attest::peer_id::PeerId;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::net::lane::Lane;
use crate::net::limits::{ADDRESSES_PER_PEER, DIAL_BACKOFF_MAX, DIAL_BACKOFF_MIN, REQUESTS_PER_PEER};

/// An established rpc connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) connection: quinn::Connection,
    pub(super) member: Member,
    /// Digest of the peer's TLS certificate, which is made anew when its process starts.
    pub(super) fingerprint: Blake3Digest,
    /// Whether this node dialled it.
    pub(super) dialled: bool,
    /// Requests of the peer being served.
    pub(super) serving: Arc<Semaphore>,
    /// When a request or a message of a session travelled last, in either direction.
    worked: Mutex<Instant>,
}

/// For so long after the last work a link counts as needed.
const NEEDED: Duration = Duration::from_secs(60);

impl Link {
    pub(super) fn new(
        connection: quinn::Connection,
        member: Member,
        fingerprint: Blake3Digest,
        dialled: bool,
    ) -> Arc<Self> {
        let serving = Arc::new(Semaphore::new(REQUESTS_PER_PEER));
        Arc::new(Self { connection, member, fingerprint, dialled, serving, worked: Mutex::new(Instant::now()) })
    }

    /// Something travels that somebody waits for, beyond what keeps the mesh together.
    pub(super) fn works(&self) {
        *self.worked.lock().expect("no holder of the lock panics") = Instant::now();
    }

    /// Whether nothing worked over it for a while. A link that is new was made for something.
    pub(super) fn is_idle(&self) -> bool {
        self.worked.lock().expect("no holder of the lock panics").elapsed() >= NEEDED
    }

    pub(super) fn is_live(&self) -> bool {
        self.connection.close_reason().is_none()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.connection.stable_id() == other.connection.stable_id()
    }

    pub(super) fn remote(&self) -> SocketAddr {
        let remote = self.connection.remote_address();
        SocketAddr::new(remote.ip().to_canonical(), remote.port())
    }

    /// Whether this link is kept when `current` exists to the same member. A peer that restarted
    /// (another certificate) cannot use the current one any more; otherwise both sides keep the dial
    /// of the lower NodeId, and of two dials of one side the later.
    fn supersedes(&self, current: &Self, me: NodeId) -> bool {
        if !current.is_live() || current.fingerprint != self.fingerprint || current.dialled == self.dialled {
            return true;
        }
        self.dialled == (me < self.member.node())
    }
}

/// A live link, for status and for the swarm that follows the links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkView {
    /// The member.
    pub node: NodeId,
    /// Its transport key.
    pub peer: PeerId,
    /// Where it is.
    pub remote: SocketAddr,
    /// Smoothed round trip, microseconds.
    pub rtt_us: u64,
    /// Whether this node dialled.
    pub dialled: bool,
    /// Another number for each link to the member; the same where one only took the place of a duplicate.
    pub epoch: u64,
}

/// A member's slot in the table of links.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) node: NodeId,
    state: Mutex<State>,
    /// Held while a dial runs, so that there is one at a time.
    pub(super) dialling: tokio::sync::Mutex<()>,
    pub(super) outboxes: Mutex<[Option<mpsc::Sender<Bytes>>; Lane::ALL.len()]>,
    /// When it was told last that requests go there.
    use_told: Mutex<Option<Instant>>,
}

/// Time between two tellings that a link is used. Whoever hears it counts the link as used for six times as long.
const USE_NEWS: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct State {
    addresses: Vec<SocketAddr>,
    /// Where the last inbound link came from.
    observed: Option<SocketAddr>,
    link: Option<Arc<Link>>,
    /// Grows with every link that does not merely replace a duplicate.
    epoch: u64,
    wait: Option<Backoff>,
}

#[derive(Clone, Copy, Debug)]
struct Backoff {
    until: Instant,
    wait: Duration,
}

/// What became of an offered link.
#[derive(Debug)]
pub(super) enum Offer {
    /// It is the link; the one it replaced, if it was still live, is to be retired.
    Kept { replaced: Option<Arc<Link>> },
    /// The existing link is kept; this one is to be retired.
    Duplicate,
}

impl Peer {
    pub(super) fn new(node: NodeId) -> Arc<Self> {
        Arc::new(Self {
            node,
            state: Mutex::default(),
            dialling: tokio::sync::Mutex::default(),
            outboxes: Mutex::default(),
            use_told: Mutex::default(),
        })
    }

    /// Whether it is worth telling that requests go there; it then counts as told.
    pub(super) fn is_use_news(&self) -> bool {
        let mut told = self.use_told.lock().expect("no holder of the lock panics");
        let is_news = told.is_none_or(|told| told.elapsed() >= USE_NEWS);
        if is_news {
            *told = Some(Instant::now());
        }
        is_news
    }

    pub(super) fn learn(&self, addresses: &[SocketAddr]) {
        let mut state = self.state();
        let kept = &addresses[..addresses.len().min(ADDRESSES_PER_PEER)];
        if state.addresses != kept {
            state.addresses = kept.to_vec();
            state.wait = None;
        }
    }

    /// Where to dial: what was learnt, then where the peer was last seen.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let state = self.state();
        let mut addresses = state.addresses.clone();
        addresses.extend(state.observed.filter(|seen| !state.addresses.contains(seen)));
        addresses
    }

    /// The link, if it is usable.
    pub(super) fn live(&self) -> Option<Arc<Link>> {
        self.state().link.clone().filter(|link| link.is_live())
    }

    /// The link with the epoch that the announcer compares.
    pub(super) fn epoch(&self) -> (u64, Option<Arc<Link>>) {
        let state = self.state();
        (state.epoch, state.link.clone().filter(|link| link.is_live()))
    }

    pub(super) fn offer(&self, link: &Arc<Link>, me: NodeId) -> Offer {
        let mut state = self.state();
        if let Some(current) = &state.link
            && !link.supersedes(current, me)
        {
            return Offer::Duplicate;
        }
        state.wait = None;
        if !link.dialled {
            state.observed = Some(link.remote());
        }
        let replaced = state.link.replace(link.clone()).filter(|old| old.is_live());
        let same_life = replaced.as_ref().is_some_and(|old| old.fingerprint == link.fingerprint);
        if !same_life {
            state.epoch += 1;
        }
        Offer::Kept { replaced }
    }

    /// Forgets a link that ended; `true` when it was the current one.
    pub(super) fn ended(&self, link: &Link) -> bool {
        let mut state = self.state();
        let current = state.link.as_ref().is_some_and(|current| current.is_same(link));
        if current {
            state.link = None;
        }
        current
    }

    /// How long the next dial must wait.
    pub(super) fn backing_off(&self) -> Option<Duration> {
        let until = self.state().wait?.until;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    pub(super) fn dial_failed(&self) {
        let mut state = self.state();
        let wait = state.wait.map_or(DIAL_BACKOFF_MIN, |last| (last.wait * 2).min(DIAL_BACKOFF_MAX));
        state.wait = Some(Backoff { until: Instant::now() + wait, wait });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the lock panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_back_off_doubles_to_its_bound_and_new_addresses_end_it() {
        let peer = Peer::new(NodeId::from_bytes([1; 32]));
        assert_eq!(peer.backing_off(), None);
        for wait_ms in [250, 500, 1000, 2000, 4000, 4000] {
            peer.dial_failed();
            assert_eq!(peer.backing_off(), Some(Duration::from_millis(wait_ms)));
            tokio::time::advance(Duration::from_millis(wait_ms)).await;
            assert_eq!(peer.backing_off(), None);
        }
        peer.dial_failed();
        let addresses = ["10.0.0.1:1".parse().unwrap()];
        peer.learn(&addresses);
        assert_eq!(peer.backing_off(), None);
        peer.dial_failed();
        peer.learn(&addresses);
        assert_eq!(peer.backing_off(), Some(DIAL_BACKOFF_MIN));
    }

    #[test]
    fn addresses_are_bounded() {
        let peer = Peer::new(NodeId::from_bytes([1; 32]));
        let many: Vec<SocketAddr> = (1..=20).map(|port| SocketAddr::from(([10, 0, 0, 1], port))).collect();
        peer.learn(&many);
        assert_eq!(peer.addresses(), many[..ADDRESSES_PER_PEER]);
    }
}
