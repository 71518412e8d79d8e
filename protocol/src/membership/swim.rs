//! The members of the own cell, and who finds out how they are.

use super::config::{Monitoring, SwimConfig};
use super::contacts::Contacts;
use super::members::Members;
use super::peer::Peer;
use super::random::Rounds;
use super::redial::Redial;
use super::watch::Watches;
use crate::core::Effects;
use crate::defect::{Defects, Sound};
use crate::fact::{Charge, Liveness};
use crate::id::Incarnation;
use crate::node_map::NodeMap;
use crate::time::Mono;
use crate::wire::Suspicion;
use hedgerow_attest::id::NodeId;
use std::time::Duration;

/// What was found out in a step, for the core to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// A member is to be seen otherwise.
    Changed(NodeId),
    /// This node verified that a member does not answer; sign it.
    Accuse(NodeId, Incarnation),
    /// A member is down by the word of enough; tell everybody.
    Charged(Charge),
    /// A node that is no member of this cell does not answer.
    Silent(NodeId),
}

/// What a packet shows of the way to its sender and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It answers this node, or a handshake with it was just made.
    Answer,
    /// It asks, and does not doubt this node: it heard it lately.
    Question,
    /// It asks, and doubts this node: its packets arrive, perhaps not those of this node.
    Doubt,
    /// It sent something.
    Other,
}

/// How members are watched.
#[derive(Debug)]
pub(super) enum Prober<D> {
    /// Everybody in turn.
    Random(Rounds<D>),
    /// Neighbours in rings.
    Ring(Watches<D>),
}

/// The members of the own cell, and the probes that are under way.
#[derive(Debug)]
pub(crate) struct Swim<D = Sound> {
    pub(super) defects: D,
    pub(super) members: Members,
    pub(super) prober: Prober<D>,
    pub(super) redial: Redial,
}

impl<D: Defects> Swim<D> {
    /// With the time after which a member that said it would be back counts as gone.
    pub(crate) fn new(me: NodeId, config: SwimConfig, repair: Duration, defects: D) -> Self {
        let prober = match config.monitoring {
            Monitoring::Random => Prober::Random(Rounds::new(config, defects)),
            Monitoring::Ring { observers } => Prober::Ring(Watches::new(config, observers, repair, defects)),
        };
        Self { defects, members: Members::new(me), prober, redial: Redial::new(config.redial) }
    }

    pub(crate) fn peers(&self) -> &NodeMap<Peer> {
        self.members.peers()
    }

    pub(crate) fn tick(&mut self, fx: &mut Effects<'_>, contacts: &mut Contacts, findings: &mut Vec<Finding>) {
        match &mut self.prober {
            Prober::Random(rounds) => rounds.tick(fx, &mut self.members, contacts, findings),
            Prober::Ring(watches) => watches.tick(fx, &mut self.members, contacts, findings),
        }
        self.redial.tick(fx, &self.members, contacts);
    }

    pub(crate) fn next_deadline(&self) -> Mono {
        let prober = match &self.prober {
            Prober::Random(rounds) => rounds.next_deadline(&self.members),
            Prober::Ring(watches) => watches.next_deadline(&self.members),
        };
        prober.min(self.redial.next_deadline())
    }

    /// Members that are alive, this node counted.
    pub(crate) fn in_view(&self) -> usize {
        self.members.alive()
    }

    /// Members that have not left, this node counted.
    pub(crate) fn size(&self) -> usize {
        self.members.staying()
    }

    /// Members that are known beside this node.
    pub(crate) fn known(&self) -> usize {
        self.members.peers().len()
    }

    /// What this node believes about a member, as a ping tells it.
    pub(crate) fn belief(&self, node: &NodeId) -> Suspicion {
        self.members.belief(node)
    }

    /// Members that this node itself could not reach, a few: what random probing tells with every message.
    pub(crate) fn suspects(&self) -> Vec<(NodeId, Incarnation)> {
        match &self.prober {
            Prober::Random(rounds) => rounds.suspects(&self.members),
            Prober::Ring(_) => Vec::new(),
        }
    }

    /// Members to which this node keeps links.
    pub(crate) fn neighbours(&self) -> impl Iterator<Item = NodeId> + '_ {
        let watches = match &self.prober {
            Prober::Random(_) => None,
            Prober::Ring(watches) => Some(watches.neighbours()),
        };
        watches.into_iter().flatten()
    }

    /// Whether that member is watched: as a neighbour, because this node talks to it, or because it is in doubt.
    pub(crate) fn watches(&self, node: &NodeId) -> bool {
        match &self.prober {
            // Everybody is asked in turn, over links that are kept.
            Prober::Random(_) => self.members.get(node).is_some(),
            Prober::Ring(watches) => watches.watches.contains_key(node),
        }
    }

    /// A member to compare facts with: a neighbour, to whom there is a link, or anybody where there are none.
    pub(crate) fn partner(&self, fx: &mut Effects<'_>) -> Option<NodeId> {
        let neighbours: Vec<NodeId> =
            self.neighbours().filter(|node| self.members.get(node).is_some_and(Peer::is_in_ring)).collect();
        if neighbours.is_empty() {
            return self.members.around(fx).find(|(_, peer)| peer.is_in_ring()).map(|(node, _)| *node);
        }
        neighbours.get(fx.below(neighbours.len())).copied()
    }
}

/// What a ping says to a node about which nothing is believed.
pub(crate) const UNDOUBTED: Suspicion = Suspicion { incarnation: Incarnation(0), liveness: Liveness::Alive };
