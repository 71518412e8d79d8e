//! From one placement of a cell to the next, as one node knows it.
//!
//! Placements overlap. From the moment at which a node knows placement n+1 until the retirement of n is certified, the
//! holders of both count: a write is durable with a quorum in each, and both are read. A retirement permits and never forces:
//! a replica drops a group only when a quorum of its holders said that they have, durably, everything that this one has.

use super::ground::Holdings;
use super::rendezvous::draw;
use super::rule::{Host, Rule};
use super::tenure::Tenure;
use crate::defect::{Defect, Defects, Sound};
use crate::id::PlacementEpoch;
use crate::name::ClassName;
use crate::session_id::GroupId;
use hedgerow_attest::id::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// The placements that still count, and what follows from them.
#[derive(Debug, Clone, Default)]
pub struct Transition<D: Defects = Sound> {
    defects: D,
    /// Those that are not retired; the last one is current.
    epochs: BTreeMap<PlacementEpoch, Holdings>,
    /// The last that is retired; 0 if none.
    retired: PlacementEpoch,
}

/// Why a replica keeps a group that it might drop one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Retained {
    /// It holds it by the current placement.
    #[error("drop a group that the current placement gives to this node")]
    Current,
    /// A placement before the current one still counts, whether or not this node knows who held the group by it.
    #[error("drop a group before placement {0} is retired")]
    NotRetired(PlacementEpoch),
    /// Too few holders have what it has.
    #[error("drop a group of which {by} of {wanted} holders have everything")]
    Unacknowledged {
        /// Holders by the current placement that said so.
        by: usize,
        /// The quorum.
        wanted: u8,
    },
}

impl<D: Defects> Transition<D> {
    /// The placements that count for one group.
    #[must_use]
    pub fn of_tenure(tenure: &Tenure<'_>, group: &GroupId, defects: D) -> Self {
        // Numbers of several cells are no order; their places are.
        let first = if tenure.is_settled { 1 } else { 2 };
        let held = |nodes: &[NodeId]| Holdings {
            groups: BTreeMap::from([((group.class.clone(), group.prefix), nodes.to_vec())]),
            ..Holdings::default()
        };
        let sets = tenure.formers.iter().map(|former| former.nodes).chain([tenure.nodes]);
        let epochs = (first..).map(PlacementEpoch).zip(sets.map(held)).collect();
        Self { defects, epochs, retired: PlacementEpoch(0) }
    }

    /// Before any placement is known.
    pub const fn new(defects: D) -> Self {
        Self { defects, epochs: BTreeMap::new(), retired: PlacementEpoch(0) }
    }

    /// A placement was certified.
    pub fn placed(&mut self, epoch: PlacementEpoch, holdings: Holdings) {
        self.epochs.insert(epoch, holdings);
    }

    /// The retirement of a placement was certified, and with it that of all before. The current one cannot be retired.
    pub fn retired(&mut self, epoch: PlacementEpoch) {
        let current = self.epochs.keys().next_back().copied();
        self.epochs.retain(|known, _| *known > epoch || Some(*known) == current);
        self.retired = self.retired.max(epoch);
    }

    /// The placements that count, as far as they are known.
    pub fn epochs(&self) -> impl DoubleEndedIterator<Item = PlacementEpoch> + '_ {
        self.epochs.keys().copied()
    }

    /// Who holds a group by the current placement.
    #[must_use]
    pub fn holders(&self, class: &ClassName, prefix: u8) -> &[NodeId] {
        self.epochs.values().next_back().map_or(&[][..], |held| held.group(class, prefix))
    }

    /// The groups that a node holds by a placement before the current one.
    pub fn held_before<'a>(&'a self, node: &'a NodeId) -> impl Iterator<Item = &'a (ClassName, u8)> {
        let formers = self.epochs.values().rev().skip(1).flat_map(|former| &former.groups);
        formers.filter(|(_, holders)| holders.contains(node)).map(|(group, _)| group)
    }

    /// The sets of nodes in each of which a write needs its quorum, oldest placement first, each set once.
    #[must_use]
    pub fn write_sets(&self, class: &ClassName, prefix: u8) -> Vec<&[NodeId]> {
        let mut sets: Vec<&[NodeId]> = Vec::new();
        for holders in self.epochs.values().map(|held| held.group(class, prefix)) {
            if !holders.is_empty() {
                sets.retain(|set| !same_nodes(set, holders));
                sets.push(holders);
            }
        }
        sets
    }

    /// The sets of nodes in each of which a read that must miss nothing asks.
    #[must_use]
    pub fn read_sets(&self, class: &ClassName, prefix: u8) -> Vec<&[NodeId]> {
        let sets = self.write_sets(class, prefix);
        let skipped = if self.defects.has(Defect::TransitionReadsNewOnly) { sets.len().saturating_sub(1) } else { 0 };
        sets.into_iter().skip(skipped).collect()
    }

    /// Whether a write that these nodes have durably is done.
    #[must_use]
    pub fn is_durable(&self, class: &ClassName, prefix: u8, quorum: u8, durable: &BTreeSet<NodeId>) -> bool {
        let sets = self.write_sets(class, prefix);
        let has = |node: &NodeId| durable.contains(node);
        let Some((current, formers)) = sets.split_last() else { return false };
        reached(current, formers.iter().copied(), has) >= quorum
    }

    /// Whether this node may drop a group of which these nodes said that they have, durably, all that it has.
    ///
    /// # Errors
    /// [`Retained`] while it may not. Dropping is never due: what is kept too long costs room.
    pub fn may_drop(
        &self,
        me: &NodeId,
        (class, prefix): (&ClassName, u8),
        quorum: u8,
        have: &BTreeSet<NodeId>,
    ) -> Result<(), Retained> {
        let current = self.holders(class, prefix);
        if current.contains(me) {
            return Err(Retained::Current);
        }
        let before = self.epochs().next_back().map_or(0, |current| current.0.saturating_sub(1));
        if self.retired < PlacementEpoch(before) {
            return Err(Retained::NotRetired(PlacementEpoch(before)));
        }
        if self.defects.has(Defect::RetireForces) {
            return Ok(());
        }
        has_quorum(current, quorum, |node| have.contains(node))
    }

    /// Where a write waits for a holder that is away: the node that draws best among those that the rule lets in and that do
    /// not hold the group. A hint is a copy, so every rule for copies holds for it.
    #[must_use]
    pub fn hint(&self, rule: &Rule, hosts: &[Host], (class, prefix): (&ClassName, u8)) -> Option<NodeId> {
        let sets = self.write_sets(class, prefix);
        let holds = |host: &Host| sets.iter().any(|set| set.contains(&host.node));
        let fit = |host: &Host| rule.refusals(host).is_empty() || self.defects.has(Defect::HintsUnconstrained);
        let key = [b"hint\0", class.as_str().as_bytes(), b"\0", &[prefix]].concat();
        let waiting = hosts.iter().filter(|host| fit(host) && !holds(host));
        waiting.map(|host| (draw(&key, &host.node, host.weight), host.node)).min().map(|(_, node)| node)
    }
}

/// On how many nodes a write counts as durable: in each set as many as have it there, and the fewest of these. All of a former
/// set are enough, however few they are: its own rule may have asked for no more.
pub(super) fn reached<'a>(
    current: &[NodeId],
    formers: impl IntoIterator<Item = &'a [NodeId]>,
    has: impl Fn(&NodeId) -> bool,
) -> u8 {
    let among = |set: &[NodeId]| set.iter().filter(|node| has(node)).count();
    let incomplete = formers.into_iter().map(|set| (among(set), set.len())).filter(|(durable, all)| durable < all);
    let fewest = incomplete.map(|(durable, _)| durable).chain([among(current)]).min().unwrap_or_default();
    u8::try_from(fewest).unwrap_or(u8::MAX)
}

/// Whether a quorum of the current holders has everything.
pub(super) fn has_quorum(current: &[NodeId], quorum: u8, has: impl Fn(&NodeId) -> bool) -> Result<(), Retained> {
    let by = current.iter().filter(|node| has(node)).count();
    if by < usize::from(quorum) { Err(Retained::Unacknowledged { by, wanted: quorum }) } else { Ok(()) }
}

/// Whether two sets of holders are of the same nodes, whoever is home.
pub(crate) fn same_nodes(one: &[NodeId], other: &[NodeId]) -> bool {
    one.len() == other.len() && one.iter().all(|node| other.contains(node))
}

#[cfg(test)]
#[path = "transition_tests.rs"]
mod tests;
