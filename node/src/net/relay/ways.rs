//! Peers at relays as socket addresses: what the endpoint sends there goes to the relay, and what comes from there seems to come
//! from such an address.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Waker};

use bytes::Bytes;
use hedgerow_attest::id::NodeId;
use quinn::udp::{RecvMeta, Transmit};
use tokio::time::Instant;

use super::frame::carry;
use super::ports::Ports;
use super::post::Post;
use crate::net::limits::{RELAY_INBOUND_BYTES_MAX, RELAYS_MAX};

/// The relays that this node has connections to, and the peers there.
///
/// A place is an address of `240.0.0.0/8`, which no network carries (RFC 1112, section 4), with the number of the relay in its
/// last three bytes and a port that this node gave the peer there. It means something to this node's endpoint alone, whether that
/// speaks IPv4 or both versions.
#[derive(Debug, Default)]
pub(in crate::net) struct Ways {
    relays: Mutex<Relays>,
    inbound: Mutex<Inbound>,
}

#[derive(Debug, Default)]
struct Relays {
    by_number: BTreeMap<u32, AtRelay>,
    last_number: u32,
}

/// Whether an address is that of a place at a relay.
pub(in crate::net) fn is_place(address: &SocketAddr) -> bool {
    relay_number(address).is_some()
}

fn relay_number(address: &SocketAddr) -> Option<u32> {
    let IpAddr::V4(ip) = address.ip().to_canonical() else { return None };
    let [first, rest @ ..] = ip.octets();
    let [a, b, c] = rest;
    (first == RESERVED).then(|| u32::from_be_bytes([0, a, b, c]))
}

fn place(number: u32, port: u16) -> SocketAddr {
    let [_, a, b, c] = number.to_be_bytes();
    SocketAddr::from(([RESERVED, a, b, c], port))
}

const RESERVED: u8 = 240;
const NUMBERS: u32 = 1 << 24;
/// What a datagram takes that waits, beside its bytes.
const OVERHEAD_BYTES: usize = 64;

impl Relays {
    /// The number of a relay, another if it has none; of those without a connection the one that was used longest ago makes room.
    fn number_of(&mut self, node: NodeId) -> u32 {
        if let Some((number, _)) = self.by_number.iter().find(|(_, at)| at.node == node) {
            return *number;
        }
        if self.by_number.len() >= 2 * RELAYS_MAX {
            let gone = self.by_number.iter().filter(|(_, at)| at.post.is_none());
            let oldest = gone.min_by_key(|(_, at)| at.used).map(|(number, _)| *number);
            oldest.and_then(|oldest| self.by_number.remove(&oldest));
        }
        loop {
            self.last_number = (self.last_number + 1) % NUMBERS;
            if !self.by_number.contains_key(&self.last_number) {
                return self.last_number;
            }
        }
    }
}

/// A relay that this node has a connection to, or had: its number and the ports of the peers there stay, so that their
/// connections outlive the one to the relay.
#[derive(Debug)]
struct AtRelay {
    node: NodeId,
    post: Option<Post>,
    ports: Ports,
    /// When something was sent there last.
    used: Instant,
}

/// Datagrams that the endpoint has not taken yet.
#[derive(Debug, Default)]
struct Inbound {
    queue: VecDeque<(SocketAddr, Bytes)>,
    bytes: usize,
    waker: Option<Waker>,
}

impl Ways {
    /// There is a connection to a relay.
    pub(super) fn add_relay(&self, node: NodeId, post: Post) {
        let mut relays = self.relays();
        let (number, now) = (relays.number_of(node), Instant::now());
        let at = relays.by_number.entry(number);
        let at = at.or_insert_with(|| AtRelay { node, post: None, ports: Ports::default(), used: now });
        (at.post, at.used) = (Some(post), now);
    }

    /// That connection to a relay has ended.
    pub(super) fn remove_relay(&self, node: NodeId, post: &Post) {
        let ended = post.connection.stable_id();
        for at in self.relays().by_number.values_mut().filter(|at| at.node == node) {
            at.post = at.post.take().filter(|known| known.connection.stable_id() != ended);
        }
    }

    /// Where a peer is for the endpoint; nothing without a connection to the relay.
    pub(super) fn place(&self, relay: NodeId, peer: NodeId) -> Option<SocketAddr> {
        let mut relays = self.relays();
        let (number, at) = relays.by_number.iter_mut().find(|(_, at)| at.node == relay)?;
        Some(place(*number, at.ports.of(peer)))
    }

    /// The relay that a place is at.
    pub(in crate::net) fn relay(&self, place: &SocketAddr) -> Option<NodeId> {
        self.relays().by_number.get(&relay_number(place)?).map(|at| at.node)
    }

    /// Connections to relays over which nothing travelled since then.
    pub(super) fn idle_since(&self, since: Instant) -> Vec<(NodeId, Post)> {
        let relays = self.relays();
        let idle = relays.by_number.values().filter(|at| at.used <= since);
        idle.filter_map(|at| Some((at.node, at.post.clone()?))).collect()
    }

    /// Posts what the endpoint sends to a place; what is for none is lost, as on a network.
    pub(in crate::net) fn send(&self, transmit: &Transmit<'_>) {
        let Some((post, peer)) = self.way(&transmit.destination) else { return };
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        for datagram in transmit.contents.chunks(segment) {
            if !post.send(carry(&peer, datagram)) {
                tracing::trace!(peer = %peer.short(), bytes = datagram.len(), "a relayed datagram is lost");
            }
        }
    }

    fn way(&self, place: &SocketAddr) -> Option<(Post, NodeId)> {
        let mut relays = self.relays();
        let at = relays.by_number.get_mut(&relay_number(place)?)?;
        let peer = at.ports.use_port(place.port())?;
        at.used = Instant::now();
        Some((at.post.clone()?, peer))
    }

    /// Something came from a peer through a relay.
    pub(super) fn deliver(&self, relay: NodeId, from: NodeId, datagram: Bytes) {
        let Some(place) = self.place(relay, from) else { return };
        let mut inbound = self.inbound();
        let bytes = datagram.len() + OVERHEAD_BYTES;
        if inbound.bytes.saturating_add(bytes) > RELAY_INBOUND_BYTES_MAX {
            return;
        }
        inbound.bytes += bytes;
        inbound.queue.push_back((place, datagram));
        if let Some(waker) = inbound.waker.take() {
            waker.wake();
        }
    }

    /// Fills buffers with what came, as a socket does; returns how many. Where there is none the task is woken by the next.
    /// `maps` tells whether the socket gives IPv4 addresses as mapped ones.
    pub(in crate::net) fn receive(
        &self,
        maps: bool,
        cx: &Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> usize {
        let mut inbound = self.inbound();
        let mut filled = 0;
        for (buf, meta) in bufs.iter_mut().zip(meta.iter_mut()) {
            let Some((place, datagram)) = inbound.queue.pop_front() else { break };
            inbound.bytes -= datagram.len() + OVERHEAD_BYTES;
            // One that is longer than any buffer of the endpoint is none of its datagrams.
            let length = if datagram.len() <= buf.len() { datagram.len() } else { 0 };
            buf[..length].copy_from_slice(&datagram[..length]);
            let addr = if maps { mapped(place) } else { place };
            *meta = RecvMeta { addr, len: length, stride: length.max(1), ecn: None, dst_ip: None };
            filled += 1;
        }
        if filled == 0 {
            inbound.waker = Some(cx.waker().clone());
        }
        filled
    }

    fn relays(&self) -> MutexGuard<'_, Relays> {
        self.relays.lock().expect("no holder of the lock panics")
    }

    fn inbound(&self) -> MutexGuard<'_, Inbound> {
        self.inbound.lock().expect("no holder of the lock panics")
    }
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    }
}
