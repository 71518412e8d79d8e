//! The machine: all peers, and the rounds of dials under way.

use super::addresses::{Candidate, Origin};
use super::interface::{CloseReason, ConnectionId, LinkInput, LinkOutput, LinkState};
use super::limits::{PATIENCE, PEERS_MAX};
use super::peer::{Dialling, Peer};
use super::relayed::Address;
use crate::machine::{Cx, Machine};
use crate::sorted::insert_at;
use crate::time::Mono;
use rand_core::Rng as _;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

/// The links of one node, to peers named by `K` at addresses `A`.
#[derive(Debug)]
pub struct Links<K, A> {
    pub(super) me: K,
    /// In the order of the names.
    peers: Vec<(K, Peer<A>)>,
    pub(super) last_attempt: u64,
    /// Of all links, so that one to a peer that was forgotten meanwhile is not taken for its former one.
    pub(super) last_epoch: u32,
    /// Rounds under way.
    pub(super) rounds: usize,
    /// Meetings under way, which are no rounds that somebody waits for.
    pub(super) meetings: usize,
    /// Who waits for a round, those first that a request waits for. A name may stand here that does not wait any more.
    pub(super) urgent: VecDeque<K>,
    pub(super) upkeep: VecDeque<K>,
    /// Nothing is due before.
    deadline: Option<Mono>,
}

pub(super) type Step<'a, 'b, K, A> = &'a mut Cx<'b, LinkOutput<K, A>>;

impl<K: Copy + Ord + Debug + Hash, A: Address> Links<K, A> {
    /// A node without links.
    pub fn new(me: K) -> Self {
        let (urgent, upkeep) = (VecDeque::new(), VecDeque::new());
        Self {
            me,
            peers: Vec::new(),
            last_attempt: 0,
            last_epoch: 0,
            rounds: 0,
            meetings: 0,
            urgent,
            upkeep,
            deadline: None,
        }
    }

    /// How it stands with a peer.
    pub fn state(&self, peer: &K, now: Mono) -> LinkState {
        if *peer == self.me {
            return LinkState::Myself;
        }
        let Some(known) = self.peer(peer) else { return LinkState::Nowhere };
        match (&known.link, &known.dialling, known.backoff) {
            (Some(link), ..) => LinkState::Up { connection: link.connected.connection, epoch: known.epoch },
            (None, Dialling::Queued(_) | Dialling::Round(_), _) => LinkState::Dialling,
            (None, Dialling::No, _) if known.addresses.is_empty() => LinkState::Nowhere,
            (None, Dialling::No, Some(backoff)) if now < backoff.until => {
                LinkState::BackingOff { until: backoff.until }
            }
            (None, Dialling::No, _) => LinkState::Idle,
        }
    }

    /// The connection that the link to a peer runs on.
    pub fn connection(&self, peer: &K) -> Option<ConnectionId> {
        self.peer(peer)?.link.map(|link| link.connected.connection)
    }

    /// Whether the link to a peer runs through a relay.
    pub fn runs_through_a_relay(&self, peer: &K) -> bool {
        self.peer(peer).and_then(|known| known.link).is_some_and(|link| link.is_relayed())
    }

    /// Whether a connection is the link to that peer, or was until a moment ago: what arrives over it counts.
    pub fn is_open(&self, peer: &K, connection: ConnectionId) -> bool {
        let is_other = |peer: &Peer<A>| peer.others.iter().any(|(other, _)| other.connected.connection == connection);
        self.peer(peer).is_some_and(|peer| peer.is_link(connection) || is_other(peer))
    }

    /// To whom there is a link, the connection that it runs on, and its epoch ([`LinkState::Up`]), by name.
    pub fn up(&self) -> impl Iterator<Item = (K, ConnectionId, u32)> + '_ {
        self.peers.iter().filter_map(|(peer, known)| Some((*peer, known.link?.connected.connection, known.epoch)))
    }

    /// Where a peer may be, best first.
    pub fn addresses(&self, peer: &K) -> &[Candidate<A>] {
        self.peer(peer).map_or(&[], |peer| peer.addresses.candidates())
    }

    /// Everybody of whom an address is known, by name.
    pub fn known(&self) -> impl Iterator<Item = (K, &[Candidate<A>])> + '_ {
        let known = self.peers.iter().map(|(peer, known)| (*peer, known.addresses.candidates()));
        known.filter(|(_, addresses)| !addresses.is_empty())
    }

    /// Something was sent over the link to a peer that its transport acknowledges, when a round trip takes so long.
    pub fn sent(&mut self, peer: &K, connection: ConnectionId, now: Mono, rtt: Duration) {
        let by = now + PATIENCE + rtt;
        let waits = self.peer_mut(peer).filter(|peer| peer.is_link(connection) && peer.acknowledged_by.is_none());
        if let Some(peer) = waits {
            peer.acknowledged_by = Some(by);
            self.due(by);
        }
    }

    /// The peer acknowledged something that was sent over the link since.
    pub fn acknowledged(&mut self, peer: &K, connection: ConnectionId) {
        if let Some(peer) = self.peer_mut(peer).filter(|peer| peer.is_link(connection)) {
            peer.acknowledged_by = None;
        }
    }

    fn learn(&mut self, cx: Step<'_, '_, K, A>, peer: K, origin: Origin, addresses: &[A]) {
        // Whoever says nothing may still be where it was.
        let known = if addresses.is_empty() { None } else { self.entry(cx, peer) };
        let Some(known) = known else { return };
        if known.addresses.learn(origin, addresses) {
            known.backoff = None;
        }
    }

    /// Nobody wants a link, and none is made either.
    fn hang_up(&mut self, cx: Step<'_, '_, K, A>, peer: K) {
        self.end(cx, peer);
        self.end_round(cx, peer);
        self.begin_waiting(cx);
    }

    fn forget(&mut self, cx: Step<'_, '_, K, A>, peer: K) {
        self.hang_up(cx, peer);
        if let Ok(place) = self.place(&peer) {
            self.peers.remove(place);
        }
    }

    fn tick(&mut self, cx: Step<'_, '_, K, A>) {
        if self.deadline.is_none_or(|deadline| cx.now < deadline) {
            return;
        }
        let is_due = |known: &Peer<A>| known.deadline().is_some_and(|deadline| deadline <= cx.now);
        let due: Vec<K> = self.peers.iter().filter(|(_, known)| is_due(known)).map(|(peer, _)| *peer).collect();
        for peer in due {
            self.look_at(cx, peer);
        }
        self.deadline = self.peers.iter().filter_map(|(_, known)| known.deadline()).min();
    }

    fn look_at(&mut self, cx: Step<'_, '_, K, A>, peer: K) {
        let Some(known) = self.peer_mut(&peer) else { return };
        if known.acknowledged_by.is_some_and(|by| by <= cx.now) {
            self.give_up(cx, peer);
        }
        let Some(known) = self.peer_mut(&peer) else { return };
        let drained: Vec<_> = known.others.extract_if(.., |(_, until)| *until <= cx.now).collect();
        for (other, _) in drained {
            close(cx, peer, other.connected.connection, CloseReason::Duplicate);
        }
        let Some(known) = self.peer_mut(&peer) else { return };
        if known.round().is_some_and(|round| round.is_due(cx.now)) {
            self.attempt(cx, peer);
        }
        self.ask_to_meet(cx, peer);
    }

    fn recall(&mut self, cx: Step<'_, '_, K, A>, peer: K, known: &[Candidate<A>]) {
        if let Some(peer) = self.entry(cx, peer) {
            peer.addresses.recall(known);
        }
    }

    /// The peer's place, made if there is room; nothing for this node itself.
    pub(super) fn entry(&mut self, cx: Step<'_, '_, K, A>, peer: K) -> Option<&mut Peer<A>> {
        if peer == self.me {
            return None;
        }
        if self.place(&peer).is_err() && self.peers.len() >= PEERS_MAX {
            self.make_room(cx)?;
        }
        let place = self.place(&peer).unwrap_or_else(|place| {
            insert_at(&mut self.peers, place, (peer, Peer::default()));
            place
        });
        self.peers.get_mut(place).map(|(_, known)| known)
    }

    /// Forgets a peer to which nothing is under way: the next one after a place by lot.
    fn make_room(&mut self, cx: Step<'_, '_, K, A>) -> Option<()> {
        let count = u64::try_from(self.peers.len()).ok()?;
        let start = usize::try_from(cx.rng.next_u64() % count.max(1)).ok()?;
        let places = (start..self.peers.len()).chain(0..start);
        let idle = |place: &usize| self.peers.get(*place).is_some_and(|(_, known)| known.is_idle());
        let place = places.into_iter().find(idle)?;
        self.peers.remove(place);
        Some(())
    }

    pub(super) fn due(&mut self, at: Mono) {
        self.deadline = Some(self.deadline.map_or(at, |deadline| deadline.min(at)));
    }

    pub(super) fn place(&self, peer: &K) -> Result<usize, usize> {
        self.peers.binary_search_by_key(peer, |(known, _)| *known)
    }

    pub(super) fn peer(&self, peer: &K) -> Option<&Peer<A>> {
        let place = self.place(peer).ok()?;
        self.peers.get(place).map(|(_, known)| known)
    }

    pub(super) fn peer_mut(&mut self, peer: &K) -> Option<&mut Peer<A>> {
        let place = self.place(peer).ok()?;
        self.peers.get_mut(place).map(|(_, known)| known)
    }
}

pub(super) fn close<K, A>(cx: Step<'_, '_, K, A>, peer: K, connection: ConnectionId, why: CloseReason) {
    cx.out.push(LinkOutput::Close { peer, connection, why });
}

impl<K: Copy + Ord + Debug + Hash, A: Address> Machine for Links<K, A> {
    type Input = LinkInput<K, A>;
    type Output = LinkOutput<K, A>;

    fn step(&mut self, cx: &mut Cx<'_, LinkOutput<K, A>>, input: LinkInput<K, A>) {
        match input {
            LinkInput::Learn { peer, origin, addresses } => self.learn(cx, peer, origin, &addresses),
            LinkInput::Recall { peer, known } => self.recall(cx, peer, &known),
            LinkInput::Want { peer, urgency } => self.want(cx, peer, urgency),
            LinkInput::Attempted { peer, attempt, outcome } => self.attempted(cx, peer, attempt, outcome),
            LinkInput::Accepted { peer, connected } => self.accepted(cx, peer, connected),
            LinkInput::Closed { peer, connection } => self.closed(cx, peer, connection),
            LinkInput::Meet { peer, addresses } => self.meet(cx, peer, &addresses),
            LinkInput::HangUp { peer } => self.hang_up(cx, peer),
            LinkInput::Forget { peer } => self.forget(cx, peer),
            LinkInput::Tick => self.tick(cx),
        }
    }

    fn next_deadline(&self) -> Option<Mono> {
        self.deadline
    }

    fn digest(&self, hasher: &mut blake3::Hasher) {
        let counters = (self.last_attempt, self.last_epoch);
        (&self.peers, &self.urgent, &self.upkeep, counters).hash(&mut Feed(hasher));
    }
}

/// Feeds what is hashed to a hasher that does not depend on a seed.
struct Feed<'a>(&'a mut blake3::Hasher);

impl std::hash::Hasher for Feed<'_> {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0 // nobody asks
    }
}
