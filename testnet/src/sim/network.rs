//! The network between the nodes: datagrams, streams and gossip over links.

use super::dice::{Dice as _, mix};
use super::link::{IDLE_TIMEOUT, KEEP_ALIVE};
use super::parcel::{Cargo, Parcel, Publication};
use super::post::Fate;
use super::time::{MS, Micros};
use super::weather::NodeSet;
use super::world::{Event, World};
use hedgerow_protocol::core::Lane;
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::fact::VerifiedFact;
use hedgerow_protocol::link::{ConnectionId, Urgency};
use std::time::Duration;

/// Peers to whom gossip is passed on (gossipsub's `D`).
const GOSSIP_DEGREE: usize = 6;

/// Bytes of a QUIC packet around its frames: flags 1, connection id 4, packet number 2, authentication tag 16.
const PACKET_BYTES: u64 = 23;
/// Bytes of a frame header, and of a packet that carries nothing but an acknowledgement.
const FRAME_BYTES: u64 = 3;
const ACK_PACKET_BYTES: u64 = 29;
/// Bytes that fit a packet beside its overhead.
const PACKET_PAYLOAD: u64 = 1_170;

/// Longest wait of a stream's sender for an acknowledgement.
const PATIENCE_MAX: Micros = 2_000 * MS;

impl<D: Defects> World<D> {
    /// Sends over the link to that node, which is dialled if there is none.
    pub(super) fn send(&mut self, from: u32, to: u32, parcel: Parcel) {
        if let Some(connection) = self.node(from).process.links.connection(to) {
            return self.transmit(from, to, connection, parcel);
        }
        self.dial(from, to, Urgency::Request);
        let node = &mut self.nodes[from as usize];
        let now = node.clock.mono(self.now);
        node.process.links.wait(to, now, parcel);
    }

    fn transmit(&mut self, from: u32, to: u32, connection: u64, parcel: Parcel) {
        self.meter(from, to, &parcel);
        if parcel.lane != Lane::Probe {
            let rtt = 2 * self.geography.one_way_us(&self.node(from).spot, &self.node(to).spot);
            // Three halves of a round trip and the longest delay of an acknowledgement (RFC 9002, section 6.2.1).
            return self.resend(from, to, connection, parcel, rtt * 3 / 2 + 30 * MS);
        }
        self.expect_acknowledgement(from, to, connection);
        if self.weather.is_cut(from, to) || self.rng.chance(self.weather.loss_ppm) {
            return;
        }
        if self.rng.chance(self.weather.duplicate_ppm) {
            self.deliver(from, to, connection, parcel.clone());
        }
        self.deliver(from, to, connection, parcel);
    }

    /// QUIC repeats what is lost until it is acknowledged: only a cut, or a peer that does not answer, leaves anything for longer
    /// than the link machine is patient. Another run of the peer's process answers with a reset (RFC 9000, section 10.3).
    fn expect_acknowledgement(&mut self, from: u32, to: u32, connection: u64) {
        let there = self.node(to);
        let is_answered = there.is_awake(self.now) && !self.weather.is_cut(from, to) && !self.weather.is_cut(to, from);
        let rtt_us = 2 * self.geography.one_way_us(&self.node(from).spot, &self.node(to).spot);
        if is_answered && !there.process.links.is_open(from, connection) && !there.process.links.dials(from) {
            self.queue.push(self.now + rtt_us, Event::Lost { node: from, peer: to, connection });
        }
        let node = &mut self.nodes[from as usize];
        let (links, connection) = (&mut node.process.links.machine, ConnectionId(connection));
        if is_answered {
            links.acknowledged(&to, connection);
        } else {
            links.sent(&to, connection, node.clock.mono(self.now), Duration::from_micros(rtt_us));
            self.foresee_link_tick(from);
        }
    }

    /// A stream repeats what is lost until it arrives or the connection ends.
    pub(super) fn resend(&mut self, from: u32, to: u32, connection: u64, parcel: Parcel, patience: Micros) {
        if !self.node(from).up || !self.node(from).process.links.is_open(to, connection) {
            return;
        }
        self.expect_acknowledgement(from, to, connection);
        if self.weather.is_cut(from, to) || self.rng.chance(self.weather.loss_ppm) {
            let at = self.now + patience;
            let patience = (patience * 2).min(PATIENCE_MAX);
            return self.queue.push(at, Event::Resend { from, to, connection, parcel, patience });
        }
        self.deliver(from, to, connection, parcel);
    }

    fn deliver(&mut self, from: u32, to: u32, connection: u64, parcel: Parcel) {
        match self.post.fate(from, to, &parcel.cargo) {
            Some(Fate::Held) => return self.held.push((from, to, parcel)),
            Some(Fate::Lost) => return,
            None => {}
        }
        let distance = self.geography.one_way_us(&self.node(from).spot, &self.node(to).spot);
        let more = self.weather.congestion(from, to) + self.weather.jitter(&mut self.rng);
        let at = self.now + distance + more;
        self.queue.push(at, Event::Arrival { from, to, connection, parcel });
    }

    /// How many letters wait.
    pub(crate) fn held_letters(&self) -> usize {
        self.held.len()
    }

    /// Every letter travels again, and those that waited arrive, over whichever link there is by now.
    pub(crate) fn release_letters(&mut self) {
        self.post.open();
        for (from, to, parcel) in std::mem::take(&mut self.held) {
            if let Some(connection) = self.node(to).process.links.connection(from) {
                self.queue.push(self.now, Event::Arrival { from, to, connection, parcel });
            }
        }
    }

    /// Passes a gossiped fact on over links of its topic, to as many peers as gossipsub's mesh has.
    pub(super) fn pass_on(&mut self, node: u32, source: Option<u32>, fact: &VerifiedFact, publication: Publication) {
        let links = self.node(node).process.links.up();
        let mut peers: Vec<(u64, u32, u64)> = links
            .filter(|(peer, _)| self.node(*peer).follows(publication.scope))
            .map(|(peer, connection)| (pair(node, peer), peer, connection))
            .collect();
        peers.sort_unstable();
        for (_, peer, connection) in peers.into_iter().take(GOSSIP_DEGREE) {
            if Some(peer) != source {
                let cargo = Cargo::publish(fact.clone(), publication, self.options.wire);
                self.transmit(node, peer, connection, Parcel { lane: Lane::Rpc, cargo });
            }
        }
    }

    /// Cuts one direction between two groups of nodes; connections across it end when they have been silent for long.
    pub(crate) fn cut(&mut self, from: &NodeSet, to: &NodeSet) -> u64 {
        let cut = self.weather.cut(from.clone(), to.clone());
        self.queue.push(self.now + IDLE_TIMEOUT + KEEP_ALIVE / 2, Event::Silence { cut });
        cut
    }

    pub(super) fn fall_silent(&mut self, cut: u64) {
        if !self.weather.is_in_force(cut) {
            return;
        }
        for number in 0..self.nodes.len() as u32 {
            let links: Vec<(u32, u64)> = self.node(number).process.links.up().collect();
            for (peer, connection) in links {
                if self.weather.divides(cut, number, peer) {
                    self.queue.push(self.now, Event::Lost { node: number, peer, connection });
                }
            }
        }
    }

    /// Counts what a parcel costs its sender, and the packets that kept its link alive before.
    fn meter(&mut self, from: u32, to: u32, parcel: &Parcel) {
        if !self.options.is_metered {
            return;
        }
        let bytes = parcel.cargo.bytes();
        let packets = bytes.div_ceil(PACKET_PAYLOAD).max(1);
        let total = bytes + packets * (PACKET_BYTES + FRAME_BYTES);
        self.keep_alive(from, to);
        self.count_packets(from, packets, total);
        let sent = &mut self.nodes[from as usize].sent;
        match (parcel.lane, &parcel.cargo) {
            (_, Cargo::Fact(..) | Cargo::FactBytes(..)) => sent.gossip_bytes += total,
            (Lane::Probe, _) => sent.probe_bytes += total,
            (Lane::Rpc, _) => {}
        }
    }

    /// An acknowledgement of its own, where no answer takes it along.
    pub(super) fn acknowledge(&mut self, node: u32, to: u32, parcel: &Parcel) {
        if self.options.is_metered && !parcel.cargo.is_answered() {
            self.keep_alive(node, to);
            self.count_packets(node, 1, ACK_PACKET_BYTES);
        }
    }

    /// Packets that kept a silent link alive until this moment: one in every span, and the other end's acknowledgement.
    pub(super) fn keep_alive(&mut self, node: u32, peer: u32) {
        let now = self.now;
        let before = self.nodes[node as usize].process.links.sends(peer, now);
        let silent = now.saturating_sub(before) / KEEP_ALIVE;
        self.count_packets(node, silent, silent * ACK_PACKET_BYTES);
    }

    pub(super) fn count_packets(&mut self, node: u32, packets: u64, bytes: u64) {
        let sent = &mut self.nodes[node as usize].sent;
        sent.packets += packets;
        sent.bytes += bytes;
    }
}

/// A number for a pair of nodes that is the same from both sides.
fn pair(a: u32, b: u32) -> u64 {
    mix(mix(u64::from(a.min(b))) ^ u64::from(a.max(b)))
}
