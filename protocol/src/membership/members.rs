//! The members of the own cell, as this node sees them.

use super::peer::Peer;
use super::ring::Place;
use super::swim::{Finding, UNDOUBTED};
use crate::core::Effects;
use crate::fact::{Liveness, NodeRecord};
use crate::node_map::NodeMap;
use crate::time::Mono;
use crate::wire::Suspicion;
use hedgerow_attest::id::NodeId;

/// All of them but this node.
#[derive(Debug)]
pub(crate) struct Members {
    pub(super) me: NodeId,
    pub(super) place: Place,
    peers: NodeMap<Peer>,
    alive: usize,
    staying: usize,
    /// Of those that stay.
    down: usize,
    /// Whether somebody entered or left the rings since they were drawn.
    pub(super) redraw: bool,
}

/// What one member adds to the counts.
fn weight(peer: &Peer) -> (usize, usize, usize) {
    let staying = peer.is_staying();
    let down = staying && peer.found == Liveness::Down;
    (usize::from(peer.found == Liveness::Alive), usize::from(staying), usize::from(down))
}

impl Members {
    pub(super) fn new(me: NodeId) -> Self {
        let place = Place::of(&me);
        Self { me, place, peers: NodeMap::default(), alive: 0, staying: 0, down: 0, redraw: true }
    }

    pub(crate) fn peers(&self) -> &NodeMap<Peer> {
        &self.peers
    }

    pub(super) fn get(&self, node: &NodeId) -> Option<&Peer> {
        self.peers.get(node)
    }

    pub(super) fn found(&self, node: &NodeId) -> Option<Liveness> {
        self.peers.get(node).map(|peer| peer.found)
    }

    /// A member that was not known.
    pub(super) fn insert(&mut self, record: &NodeRecord, found: Liveness, now: Mono, findings: &mut Vec<Finding>) {
        let peer = Peer::new(record, found, now);
        self.count(&peer, 1);
        self.redraw |= peer.is_in_ring();
        self.peers.insert(record.node, peer);
        findings.push(Finding::Changed(record.node));
    }

    pub(super) fn remove(&mut self, node: &NodeId) {
        if let Some(peer) = self.peers.remove(node) {
            self.count(&peer, -1);
            self.redraw |= peer.is_in_ring();
        }
    }

    /// Changes what is known of one of them.
    pub(super) fn change(
        &mut self,
        node: &NodeId,
        now: Mono,
        findings: &mut Vec<Finding>,
        change: impl FnOnce(&mut Peer),
    ) {
        let Some(peer) = self.peers.get_mut(node) else { return };
        let before = peer.clone();
        peer.change(now, change);
        let after = peer.clone();
        self.count(&before, -1);
        self.count(&after, 1);
        self.redraw |= before.is_in_ring() != after.is_in_ring();
        findings.push(Finding::Changed(*node));
    }

    pub(super) fn set_found(&mut self, node: &NodeId, found: Liveness, now: Mono, findings: &mut Vec<Finding>) {
        self.change(node, now, findings, |peer| peer.found = found);
    }

    fn count(&mut self, peer: &Peer, sign: isize) {
        let (alive, staying, down) = weight(peer);
        let counts = [(&mut self.alive, alive), (&mut self.staying, staying), (&mut self.down, down)];
        for (count, share) in counts {
            *count = if sign > 0 { *count + share } else { *count - share };
        }
    }

    /// Members that are alive, this node counted.
    pub(super) fn alive(&self) -> usize {
        self.alive + 1
    }

    /// Members that mean to stay, this node counted.
    pub(super) fn staying(&self) -> usize {
        self.staying + 1
    }

    /// Members that are down and may come back.
    pub(super) fn down(&self) -> usize {
        self.down
    }

    /// Whether this node sees less than half of its cell, itself counted.
    pub(super) fn is_isolated(&self) -> bool {
        self.alive() * 2 < self.staying()
    }

    /// What this node believes about a member, as a ping tells it.
    pub(super) fn belief(&self, node: &NodeId) -> Suspicion {
        self.peers.get(node).map_or(UNDOUBTED, |peer| Suspicion { incarnation: peer.incarnation, liveness: peer.found })
    }

    /// The members from a random one on, once around.
    pub(super) fn around<'m>(&'m self, fx: &mut Effects<'_>) -> impl Iterator<Item = (&'m NodeId, &'m Peer)> + use<'m> {
        self.peers.around(anywhere(fx))
    }
}

/// A place among identities, which are digests and so spread evenly: the next one after it is picked by chance.
pub(crate) fn anywhere(fx: &mut Effects<'_>) -> NodeId {
    let mut bytes = [0; 32];
    for (byte, random) in bytes.iter_mut().zip(fx.random().to_be_bytes()) {
        *byte = random;
    }
    NodeId::from_bytes(bytes)
}
