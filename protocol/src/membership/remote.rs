//! Members of other cells. Nobody probes them all: their aggregator says how they are, and this node adds what it hears
//! itself. When a whole cell falls silent, aggregator included, silence is what is believed.

use super::contacts::Contacts;
use super::swim::UNDOUBTED;
use crate::core::Effects;
use crate::fact::{Liveness, NodeRecord, NodeState, RollupMember};
use crate::id::Incarnation;
use crate::time::Mono;
use crate::wire::Suspicion;
use hedgerow_attest::id::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Time between two probes of members of other cells. They measure distances; one in turn is enough.
const PROBE_PERIOD: Duration = Duration::from_millis(500);

/// Probes without an answer after which this node doubts a member that its aggregator believes in.
const MISSES_DOUBT: u32 = 3;

/// One member of another cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemotePeer {
    pub(crate) incarnation: Incarnation,
    pub(crate) said: NodeState,
    /// What its aggregator said last, and about which incarnation.
    reported: Option<(Liveness, Incarnation)>,
    /// The last sign of life from anywhere.
    sign: Mono,
    /// Own probes since it was last heard here.
    misses: u32,
    /// What was last shown, so that a change by mere time is noticed.
    shown: Liveness,
}

/// All members of other cells.
#[derive(Debug)]
pub(crate) struct Remote {
    peers: BTreeMap<NodeId, RemotePeer>,
    stale: Duration,
    next_probe: Mono,
    turn: Vec<NodeId>,
}

impl Remote {
    pub(crate) fn new(stale: Duration) -> Self {
        Self { peers: BTreeMap::new(), stale, next_probe: Mono(0), turn: Vec::new() }
    }

    pub(crate) fn peers(&self) -> &BTreeMap<NodeId, RemotePeer> {
        &self.peers
    }

    pub(crate) fn next_deadline(&self) -> Mono {
        self.next_probe
    }

    /// Probes the next of them. Returns those that are to be seen otherwise.
    pub(crate) fn tick(&mut self, fx: &mut Effects<'_>, contacts: &mut Contacts) -> Vec<NodeId> {
        if fx.now < self.next_probe {
            return Vec::new();
        }
        self.next_probe = fx.now + PROBE_PERIOD;
        if self.turn.is_empty() {
            self.turn = self.peers.keys().copied().collect();
            fx.shuffle(&mut self.turn);
        }
        while let Some(node) = self.turn.pop() {
            let Some(peer) = self.peers.get_mut(&node).filter(|peer| peer.said != NodeState::Left) else { continue };
            peer.misses = peer.misses.saturating_add(1);
            let belief = Suspicion { incarnation: peer.incarnation, liveness: peer.shown };
            let doubted = belief.liveness == Liveness::Down;
            contacts.ping(fx, node, if doubted { belief } else { UNDOUBTED }, Vec::new());
            break;
        }
        self.reconsider(fx.now)
    }

    /// The record of such a member, which the member signed.
    pub(crate) fn record(&mut self, record: &NodeRecord, now: Mono) {
        let newcomer = RemotePeer {
            incarnation: record.incarnation,
            said: record.state,
            reported: None,
            sign: now,
            misses: 0,
            shown: Liveness::Suspect,
        };
        let peer = self.peers.entry(record.node).or_insert(newcomer);
        peer.said = record.state;
        peer.incarnation = peer.incarnation.max(record.incarnation);
        peer.sign = now;
    }

    /// What the aggregator of its cell says.
    pub(crate) fn reported(&mut self, row: &RollupMember, now: Mono) {
        let Some(peer) = self.peers.get_mut(&row.node) else { return };
        peer.reported = Some((row.liveness, row.incarnation));
        if row.liveness == Liveness::Alive {
            peer.sign = now;
        }
    }

    /// It is a member no longer.
    pub(crate) fn dismiss(&mut self, node: &NodeId) {
        self.peers.remove(node);
    }

    /// A packet arrived from that member over its own link.
    pub(crate) fn heard(&mut self, node: &NodeId, now: Mono) {
        if let Some(peer) = self.peers.get_mut(node) {
            peer.sign = now;
            peer.misses = 0;
        }
    }

    /// Those whose liveness changed since it was last asked.
    pub(crate) fn reconsider(&mut self, now: Mono) -> Vec<NodeId> {
        let stale = self.stale;
        let mut changed = Vec::new();
        for (node, peer) in &mut self.peers {
            let liveness = peer.liveness(now, stale);
            if liveness != peer.shown {
                peer.shown = liveness;
                changed.push(*node);
            }
        }
        changed
    }
}

impl RemotePeer {
    /// As last shown.
    pub(crate) fn shown(&self) -> Liveness {
        self.shown
    }

    /// How long nobody has given a sign of it.
    pub(crate) fn silence(&self, now: Mono) -> Duration {
        now.since(self.sign)
    }

    fn liveness(&self, now: Mono, stale: Duration) -> Liveness {
        let silence = self.silence(now);
        match self.reported {
            // A later incarnation is news to the aggregator that reported this one.
            Some((Liveness::Down, incarnation)) if incarnation >= self.incarnation => Liveness::Down,
            _ if silence >= stale * 2 => Liveness::Down,
            Some((Liveness::Suspect, incarnation)) if incarnation >= self.incarnation => Liveness::Suspect,
            _ if silence >= stale || self.misses >= MISSES_DOUBT => Liveness::Suspect,
            _ => Liveness::Alive,
        }
    }
}

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;
