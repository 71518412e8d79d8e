//! The links of one simulated node: the machine of a node, and what waits for it to make one.

use super::parcel::Parcel;
use super::time::{MS, Micros, S};
use hedgerow_protocol::link::{ConnectionId, LinkState, Links as Machine};
use hedgerow_protocol::time::Mono;

/// Silence after which a connection is given up, as in a node.
pub(crate) const IDLE_TIMEOUT: Micros = 6 * S;
/// Silence after which a packet is sent to keep a connection alive, as in a node.
pub(crate) const KEEP_ALIVE: Micros = 2 * S;
/// A whole dial, as in a node.
pub(crate) const DIAL_TIMEOUT: Micros = 3 * S;
/// Messages that wait for a dial.
const OUTBOX: usize = 256;
/// Wait of QUIC before a handshake packet is sent again (RFC 9002, section 6.2.2, with its initial round trip).
pub(crate) const HANDSHAKE_PTO: Micros = 999 * MS;
/// Bytes that both ends send for a handshake with membership certificates, each about half.
pub(crate) const HANDSHAKE_BYTES: u64 = 3_000;

/// All links of one node. Peers go by their number, and live where their number says.
#[derive(Debug)]
pub(crate) struct Links {
    pub(crate) machine: Machine<u32, u32>,
    /// Whom attempts to connect are under way to, once for each.
    attempts: Vec<u32>,
    /// What leaves when a dial succeeds, and to whom.
    waiting: Vec<(u32, Parcel)>,
    /// When this end sent anything last over a link, where bytes are counted; in the order of peers.
    sent: Vec<(u32, Micros)>,
    /// When the machine's next tick is foreseen; past when none is.
    pub(crate) tick_at: Micros,
}

impl Links {
    pub(crate) fn new(number: u32) -> Self {
        Self { machine: Machine::new(number), attempts: Vec::new(), waiting: Vec::new(), sent: Vec::new(), tick_at: 0 }
    }

    /// The number of the connection to that peer, while there is a link.
    pub(crate) fn connection(&self, peer: u32) -> Option<u64> {
        self.machine.connection(&peer).map(|connection| connection.0)
    }

    /// Whether what arrives over that connection counts.
    pub(crate) fn is_open(&self, peer: u32, connection: u64) -> bool {
        self.machine.is_open(&peer, ConnectionId(connection))
    }

    /// Peers to whom there is a link, and its connection.
    pub(crate) fn up(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.machine.up().map(|(peer, connection, _)| (peer, connection.0))
    }

    /// Whether a handshake with that peer is under way.
    pub(crate) fn dials(&self, peer: u32) -> bool {
        self.attempts.contains(&peer)
    }

    /// A handshake with that peer begins.
    pub(crate) fn attempt_begins(&mut self, peer: u32) {
        self.attempts.push(peer);
    }

    /// It ended.
    pub(crate) fn attempt_ends(&mut self, peer: u32) {
        if let Some(place) = self.attempts.iter().position(|attempt| *attempt == peer) {
            self.attempts.swap_remove(place);
        }
    }

    /// Lets a message wait for the dial that runs; without one, or with too many, it is lost.
    pub(crate) fn wait(&mut self, peer: u32, now: Mono, parcel: Parcel) {
        let dials = matches!(self.machine.state(&peer, now), LinkState::Dialling);
        if dials && self.waiting.iter().filter(|(to, _)| *to == peer).count() < OUTBOX {
            self.waiting.push((peer, parcel));
        }
    }

    /// What waited for a link to that peer.
    pub(crate) fn take_waiting(&mut self, peer: u32) -> Vec<Parcel> {
        let leaves = self.waiting.extract_if(.., |(to, _)| *to == peer).map(|(_, parcel)| parcel).collect();
        // Whoever dialled half of its cell at its start will not again.
        self.waiting.shrink_to_fit();
        leaves
    }

    /// Something is sent over the link to that peer; returns when anything was before, or when the link came up.
    pub(crate) fn sends(&mut self, peer: u32, now: Micros) -> Micros {
        match self.sent.binary_search_by_key(&peer, |(known, _)| *known) {
            Ok(place) => std::mem::replace(&mut self.sent[place].1, now),
            Err(place) => {
                self.sent.insert(place, (peer, now));
                now
            }
        }
    }

    /// A link came up, or went down.
    pub(crate) fn starts_afresh(&mut self, peer: u32) {
        if let Ok(place) = self.sent.binary_search_by_key(&peer, |(known, _)| *known) {
            self.sent.remove(place);
        }
    }
}
