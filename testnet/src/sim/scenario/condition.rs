//! Whether it has come to what a step of a directed case waits for.

use super::direct::Unplayable;
use super::play::Player;
use super::step::{Condition, Names};
use crate::sim::node::SimNode;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::NodeId;
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::id::{Slot, Term};
use hedgerow_protocol::view::MemberState;
use std::collections::{BTreeMap, BTreeSet};

/// Where everything was at some moment, by node.
#[derive(Debug, Clone, Default)]
pub(super) struct Mark {
    decided: Vec<Slot>,
    placed: Vec<Option<Sha256Digest>>,
    promised: Vec<Option<Term>>,
    sometimes: BTreeMap<&'static str, u64>,
}

impl Mark {
    /// Where everything is.
    pub(super) fn of<D: Defects>(nodes: &[SimNode<D>], sometimes: &BTreeMap<&'static str, u64>) -> Self {
        Self {
            decided: nodes.iter().map(decided).collect(),
            placed: nodes.iter().map(|node| node.core.decided_digest()).collect(),
            promised: nodes.iter().map(|node| node.core.promised_term()).collect(),
            sometimes: sometimes.clone(),
        }
    }

    fn decided(&self, node: u32) -> Slot {
        self.decided.get(node as usize).copied().unwrap_or_default()
    }
}

impl<D: Defects> Player<'_, D> {
    /// Whether all of it is so now. Of a node that does not run it is asked what it was when its process ended.
    pub(super) fn is_met(&self, condition: &Condition) -> Result<bool, Unplayable> {
        Ok(self.is_lease_as(condition)?
            && self.are_voters_as(condition)?
            && self.is_register_as(condition)?
            && self.are_members_as(condition)?
            && condition.held.is_none_or(|count| self.world.held_letters() >= count)
            && condition.sometimes.as_ref().is_none_or(|path| self.was_taken(path)))
    }

    fn is_lease_as(&self, condition: &Condition) -> Result<bool, Unplayable> {
        let (now, holder) = (self.world.now, self.holder());
        let leads = match &condition.leads {
            Some(names) if names.0 == ["nobody"] => holder.is_none(),
            Some(names) => self.nodes(names)?.into_iter().any(|node| Some(node) == holder),
            None => true,
        };
        let left = || {
            let holder = self.world.node(holder?);
            holder.core.held_lease(holder.mono(now)).map(|(_, until)| holder.clock.true_time(until).saturating_sub(now))
        };
        Ok(leads && condition.lease_below.is_none_or(|most| left().is_some_and(|left| left < most)))
    }

    fn are_voters_as(&self, condition: &Condition) -> Result<bool, Unplayable> {
        if condition.voters.is_none() && condition.votes.is_none() {
            return Ok(true);
        }
        let voters: BTreeSet<NodeId> = match &condition.votes {
            Some(names) => self.nodes(names)?.into_iter().map(|node| self.world.node(node).member.node()).collect(),
            None => BTreeSet::new(),
        };
        let knows = |node: &u32| {
            self.world.node(*node).core.voters().is_some_and(|set| {
                condition.voters.is_none_or(|count| set.voters.len() == count)
                    && voters.iter().all(|voter| set.has(voter))
            })
        };
        Ok(self.players().all(|node| knows(&node)))
    }

    fn is_register_as(&self, condition: &Condition) -> Result<bool, Unplayable> {
        let all = |names: &Option<Names>, holds: &dyn Fn(u32) -> bool| -> Result<bool, Unplayable> {
            let Some(names) = names else { return Ok(true) };
            Ok(self.nodes(names)?.into_iter().all(holds))
        };
        let count = |names: &Option<Names>, of: &dyn Fn(u32) -> Option<Sha256Digest>| {
            let Some(names) = names else { return Ok(None) };
            let nodes = self.nodes(names)?;
            let values: BTreeSet<_> = nodes.iter().map(|node| of(*node)).collect();
            Ok(Some((values.len(), nodes.len())))
        };
        let one = |names: &Option<Names>, of: &dyn Fn(u32) -> Option<Sha256Digest>| {
            Ok(count(names, of)?.is_none_or(|(values, _)| values == 1))
        };
        let core = |node: u32| &self.world.node(node).core;
        let later = |node: u32| decided(self.world.node(node)) > self.mark.decided(node);
        let placed = |node: u32| self.mark.placed.get(node as usize) == Some(&core(node).decided_digest());
        let promised = |node: u32| self.mark.promised.get(node as usize) < Some(&core(node).promised_term());
        let free = |node: u32| {
            let now = self.world.node(node).mono(self.world.now);
            self.world.nodes.iter().all(|other| core(node).bound_to(&other.member.node()) <= now)
        };
        let unsynced = |node: u32| self.world.node(node).process.done < self.world.node(node).process.written;
        let Condition { accepted, at_odds, not_accepted, undecided, alike, unmoved, unsynced: writing, synced, .. } =
            condition;
        Ok(all(accepted, &|node| core(node).accepted_digest().is_some())?
            && one(accepted, &|node| core(node).accepted_digest())?
            && all(at_odds, &|node| core(node).accepted_digest().is_some())?
            && count(at_odds, &|node| core(node).accepted_digest())?.is_none_or(|(values, nodes)| values == nodes)
            && all(not_accepted, &|node| core(node).accepted_digest().is_none())?
            && all(&condition.decided, &later)?
            && all(undecided, &|node| !later(node))?
            && one(alike, &|node| core(node).register_head().map(|head| head.digest))?
            && one(alike, &|node| core(node).decided_digest())?
            && all(unmoved, &placed)?
            && all(&condition.promised, &promised)?
            && all(&condition.free, &free)?
            && all(writing, &unsynced)?
            && all(synced, &|node| !unsynced(node))?)
    }

    fn are_members_as(&self, condition: &Condition) -> Result<bool, Unplayable> {
        let all_see = |names: &Option<Names>, state: MemberState| -> Result<bool, Unplayable> {
            let Some(names) = names else { return Ok(true) };
            let nodes = self.nodes(names)?;
            let sees = |observer: u32, of: &u32| {
                let id = self.world.node(*of).member.node();
                observer == *of || self.world.node(observer).core.member_state_of(&id) == Some(state)
            };
            Ok(self.players().all(|observer| nodes.iter().all(|of| sees(observer, of))))
        };
        Ok(all_see(&condition.down, MemberState::Down)? && all_see(&condition.alive, MemberState::Alive)?)
    }

    fn was_taken(&self, path: &str) -> bool {
        let count = |counts: &BTreeMap<&'static str, u64>| counts.get(path).copied().unwrap_or_default();
        count(&self.world.sometimes) > count(&self.mark.sometimes)
    }

    /// Nodes with names that run.
    fn players(&self) -> impl Iterator<Item = u32> + '_ {
        self.cast.values().copied().filter(|node| self.world.node(*node).up)
    }
}

/// Directed cases look at the first region.
pub(super) const REGION: usize = 0;

fn decided<D: Defects>(node: &SimNode<D>) -> Slot {
    node.core.register_head().map(|head| head.slot).unwrap_or_default()
}
