//! Members of other cells whose detail is kept. Nobody probes them all: their own cell accuses those that do not answer, its
//! aggregator says how those are that it names, and this node adds what it hears itself. When nobody of a cell is heard any
//! more, silence is what is believed.

use super::contacts::Contacts;
use super::swim::UNDOUBTED;
use crate::core::Effects;
use crate::fact::{Charge, Liveness, NodeRecord, NodeState, Rollup};
use crate::id::Incarnation;
use crate::node_map::NodeMap;
use crate::time::Mono;
use crate::wire::Suspicion;
use hedgerow_attest::id::{CellId, NodeId};
use std::time::Duration;

/// Time between two probes of members of other cells, each of the next cell in turn. They measure distances and are signs of
/// life of a cell; one at a time is enough for eight cells to be heard within [`crate::core::CoreConfig::stale`].
const PROBE_PERIOD: Duration = Duration::from_millis(500);

/// Probes without an answer after which this node doubts a member that its own cell believes in.
const MISSES_DOUBT: u32 = 3;

/// One member of another cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemotePeer {
    pub(crate) incarnation: Incarnation,
    pub(crate) said: NodeState,
    /// What the last rollup of its cell said, if it named the member, and about which incarnation.
    reported: Option<(Liveness, Incarnation)>,
    /// The incarnation that did not answer a member of its cell.
    accused: Option<Incarnation>,
    /// The last sign of life of this member.
    sign: Mono,
    /// Own probes since it was last heard here.
    misses: u32,
    /// What was last shown, so that a change by mere time is noticed.
    shown: Liveness,
}

/// One other cell.
#[derive(Debug)]
pub(crate) struct RemoteCell {
    cell: CellId,
    /// When its last rollup came.
    heard: Option<Mono>,
    /// The last sign of life of any member.
    sign: Mono,
    peers: NodeMap<RemotePeer>,
    /// The rest of this turn of probes, in random order.
    turn: Vec<NodeId>,
}

/// The other cells whose detail is kept.
#[derive(Debug)]
pub(crate) struct Remote {
    cells: Vec<RemoteCell>,
    stale: Duration,
    next_probe: Mono,
    /// The cell whose turn it is.
    next_cell: usize,
}

impl Remote {
    pub(crate) fn new(stale: Duration) -> Self {
        Self { cells: Vec::new(), stale, next_probe: Mono(0), next_cell: 0 }
    }

    pub(crate) fn peer(&self, node: &NodeId) -> Option<&RemotePeer> {
        self.cells.iter().find_map(|cell| cell.peers.get(node))
    }

    /// The members of one cell.
    pub(crate) fn members(&self, cell: &CellId) -> impl Iterator<Item = (&NodeId, &RemotePeer)> {
        self.cells.iter().filter(move |known| known.cell == *cell).flat_map(|known| known.peers.iter())
    }

    /// Members that said they would be back.
    pub(crate) fn stopping(&self) -> impl Iterator<Item = NodeId> + '_ {
        let peers = self.cells.iter().flat_map(|cell| cell.peers.iter());
        peers.filter(|(_, peer)| peer.said == NodeState::Stopping).map(|(node, _)| *node)
    }

    /// How many are known.
    pub(crate) fn known(&self) -> usize {
        self.cells.iter().map(|cell| cell.peers.len()).sum()
    }

    /// When the last rollup of that cell came.
    pub(crate) fn heard_rollup(&self, cell: &CellId) -> Option<Mono> {
        self.cells.iter().find(|known| known.cell == *cell)?.heard
    }

    /// How long that very member has given no sign of life.
    pub(crate) fn silence(&self, node: &NodeId, now: Mono) -> Option<Duration> {
        self.peer(node).map(|peer| now.since(peer.sign))
    }

    pub(crate) fn next_deadline(&self) -> Mono {
        if self.cells.is_empty() { Mono(u64::MAX) } else { self.next_probe }
    }

    /// Probes a member of the next cell. Returns those that are to be seen otherwise.
    pub(crate) fn tick(&mut self, fx: &mut Effects<'_>, contacts: &mut Contacts) -> Vec<NodeId> {
        if fx.now < self.next_deadline() {
            return Vec::new();
        }
        self.next_probe = fx.now + PROBE_PERIOD;
        self.next_cell = (self.next_cell + 1) % self.cells.len();
        if let Some(cell) = self.cells.get_mut(self.next_cell) {
            cell.probe(fx, contacts);
        }
        self.reconsider(fx.now)
    }

    /// Detail of that cell is kept from here on.
    pub(crate) fn keep(&mut self, cell: CellId, now: Mono) -> bool {
        let is_new = self.cells.iter().all(|known| known.cell != cell);
        if is_new {
            let (peers, turn) = (NodeMap::default(), Vec::new());
            self.cells.push(RemoteCell { cell, heard: None, sign: now, peers, turn });
        }
        is_new
    }

    /// It is kept no longer.
    pub(crate) fn drop_cell(&mut self, cell: &CellId) {
        self.cells.retain(|known| known.cell != *cell);
    }

    /// The record of such a member, which the member signed.
    pub(crate) fn record(&mut self, cell: CellId, record: &NodeRecord, now: Mono) {
        let Some(cell) = self.cells.iter_mut().find(|known| known.cell == cell) else { return };
        let newcomer = RemotePeer {
            incarnation: record.incarnation,
            said: record.state,
            reported: None,
            accused: None,
            sign: now,
            misses: 0,
            shown: Liveness::Suspect,
        };
        let peer = cell.peers.entry(record.node, || newcomer);
        peer.said = record.state;
        peer.incarnation = peer.incarnation.max(record.incarnation);
        peer.sign = now;
    }

    /// Members of its cell could not reach it. True when it is one of those looked after here.
    pub(crate) fn accused(&mut self, charge: &Charge, now: Mono) -> bool {
        for cell in &mut self.cells {
            if let Some(peer) = cell.peers.get_mut(&charge.accused()) {
                peer.accused = peer.accused.max(Some(charge.incarnation()));
                // Somebody of the cell is there to accuse.
                cell.sign = now;
                return true;
            }
        }
        false
    }

    /// What the aggregator of a cell says. Returns those that are to be seen otherwise.
    pub(crate) fn reported(&mut self, rollup: &Rollup, now: Mono) -> Vec<NodeId> {
        let mut changed = Vec::new();
        if let Some(cell) = self.cells.iter_mut().find(|known| known.cell == rollup.cell) {
            (cell.heard, cell.sign) = (Some(now), now);
            for (node, peer) in cell.peers.iter_mut() {
                let row = rollup.contacts.binary_search_by_key(node, |contact| contact.node);
                let row = row.ok().and_then(|place| rollup.contacts.get(place));
                peer.reported = row.map(|contact| (contact.liveness, contact.incarnation));
                if row.is_some_and(|contact| contact.liveness == Liveness::Alive) {
                    peer.sign = now;
                }
            }
            cell.reconsider(now, self.stale, &mut changed);
        }
        changed
    }

    /// It is a member no longer.
    pub(crate) fn dismiss(&mut self, node: &NodeId) {
        for cell in &mut self.cells {
            cell.peers.remove(node);
        }
    }

    /// A packet arrived from that member over its own link.
    pub(crate) fn heard(&mut self, node: &NodeId, now: Mono) {
        for cell in &mut self.cells {
            if let Some(peer) = cell.peers.get_mut(node) {
                (peer.sign, cell.sign) = (now, now);
                peer.misses = 0;
            }
        }
    }

    /// It left several probes of this node's own in a row unanswered.
    pub(crate) fn silent(&mut self, node: &NodeId) {
        for cell in &mut self.cells {
            if let Some(peer) = cell.peers.get_mut(node) {
                peer.misses = peer.misses.max(MISSES_DOUBT);
            }
        }
    }

    /// Those whose liveness changed since it was last asked.
    pub(crate) fn reconsider(&mut self, now: Mono) -> Vec<NodeId> {
        let mut changed = Vec::new();
        let stale = self.stale;
        self.cells.iter_mut().for_each(|cell| cell.reconsider(now, stale, &mut changed));
        changed
    }
}

impl RemoteCell {
    fn probe(&mut self, fx: &mut Effects<'_>, contacts: &mut Contacts) {
        if self.turn.is_empty() {
            self.turn = self.peers.keys().copied().collect();
            fx.shuffle(&mut self.turn);
        }
        while let Some(node) = self.turn.pop() {
            let Some(peer) = self.peers.get_mut(&node).filter(|peer| peer.said != NodeState::Left) else { continue };
            peer.misses = peer.misses.saturating_add(1);
            let belief = Suspicion { incarnation: peer.incarnation, liveness: peer.shown };
            let doubted = belief.liveness == Liveness::Down;
            contacts.ping_abroad(fx, node, if doubted { belief } else { UNDOUBTED });
            break;
        }
    }

    fn reconsider(&mut self, now: Mono, stale: Duration, changed: &mut Vec<NodeId>) {
        let cell_sign = self.sign;
        for (node, peer) in self.peers.iter_mut() {
            let liveness = peer.liveness(now, stale, cell_sign);
            if liveness != peer.shown {
                peer.shown = liveness;
                changed.push(*node);
            }
        }
    }
}

impl RemotePeer {
    /// As last shown.
    pub(crate) fn shown(&self) -> Liveness {
        self.shown
    }

    /// A sign of life of any member speaks for all: a cell in which somebody lives accuses those of its members who do not.
    fn liveness(&self, now: Mono, stale: Duration, cell_sign: Mono) -> Liveness {
        let silence = now.since(cell_sign.max(self.sign));
        match self.reported {
            // A later incarnation is news to whoever reported or accused this one.
            Some((Liveness::Down, incarnation)) if incarnation >= self.incarnation => Liveness::Down,
            _ if self.accused.is_some_and(|accused| accused >= self.incarnation) => Liveness::Down,
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
