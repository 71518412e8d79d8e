//! What the holder of a lease says about its cell to the rest of the mesh, and when.

use super::effects::Effects;
use super::mesh_core::MeshCore;
use crate::defect::Defects;
use crate::fact::{
    CELL_MEMBERS_MAX, CONTACT_ADDRESSES_MAX, CONTACTS_MAX, CellContact, Liveness, NodeRecord, NodeState,
    ROLLUP_MODELS_MAX, Rollup, Scope, Statement, Totals, VerifiedFact, WarmModel,
};
use crate::id::{Generation, Term};
use crate::name::ModelRef;
use crate::register::Configuration;
use crate::time::Mono;
use hedgerow_attest::id::{CellId, NodeId};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a holder remembers of the last rollup that it signed.
#[derive(Debug)]
pub(super) struct LastRollup {
    rollup: Rollup,
    at: Mono,
    /// When to look again whether there is news, and what had changed by then.
    next_look: Mono,
    changes: u64,
    /// To whom it is told at once; everybody else hears of it by comparison.
    told: Option<Scope>,
}

/// So many cells tell each other of a new holder or voter at once.
const CELLS_FEW: usize = 16;

/// One member as the holder sees it.
#[derive(Debug, Clone, Copy)]
struct Seen<'a> {
    node: NodeId,
    liveness: Liveness,
    queue_depth: u32,
    record: &'a NodeRecord,
}

impl Seen<'_> {
    /// Whether work may be sent there.
    fn serves(&self) -> bool {
        self.liveness == Liveness::Alive && self.record.state == NodeState::Up
    }
}

impl<D: Defects> MeshCore<D> {
    /// The longest time between two rollups of one cell. The more cells there are, the rarer each speaks, so that all of them
    /// together cost no node more than a few hundred bytes a second.
    pub(super) fn rollup_period(&self) -> Duration {
        let cells = u32::try_from(self.roster.cell_count()).unwrap_or(u32::MAX);
        self.config.rollup.max(self.config.rollup_share.saturating_mul(cells))
    }

    /// Whom news of a cell concern at once: who leads it, and who votes. Where cells are many, all others come upon it when
    /// they compare what they know, or telling everybody would cost each node more the more cells there are.
    pub(super) fn audience(&self, cell: CellId) -> Scope {
        if self.roster.cell_count() <= CELLS_FEW { Scope::Mesh } else { Scope::Cell(cell) }
    }

    /// Tells the mesh how the cell is. A new holder is news beyond the cell. A change of who is alive and what is warm is news
    /// for those who keep the cell's detail; so are loads while the mesh is so small that nobody has to be sparing, if there is
    /// another cell to tell them to.
    pub(super) fn roll_up(&mut self, fx: &mut Effects<'_>, term: Term) {
        let (Some(cell), Some(voters), Some(head)) = (self.home, self.cell.voters(), self.cell.head()) else { return };
        let last = self.lead.rollup.as_deref().filter(|last| last.rollup.term == term);
        let period = self.rollup_period();
        let is_due = |last: &LastRollup| {
            let news = last.changes != self.changes && fx.now >= last.next_look;
            news || fx.now.since(last.at) >= period
        };
        if last.is_some_and(|last| !is_due(last)) {
            return;
        }
        let rollup = self.draft(fx, cell, (head.generation, term), voters);
        let told = match last {
            None => Some(self.audience(cell)),
            Some(last) if !last.rollup.says_the_same(&rollup) => Some(Scope::Cell(cell)),
            Some(last) if fx.now.since(last.at) < period => {
                return self.look_again(fx.now);
            }
            Some(_) => {
                let somebody_listens = self.roster.cell_count() > 1;
                (somebody_listens && period == self.config.rollup).then_some(Scope::Cell(cell))
            }
        };
        let next_look = fx.now + self.config.rollup_gap;
        fx.sign(Statement::Rollup(Box::new(rollup.clone())));
        let last = LastRollup { rollup, at: fx.now, next_look, changes: self.changes, told };
        self.lead.rollup = Some(Box::new(last));
    }

    /// A rollup of this node's own came back signed.
    pub(super) fn rollup_signed(&self, fx: &mut Effects<'_>, fact: &VerifiedFact) {
        if let Some(scope) = self.lead.rollup.as_ref().and_then(|last| last.told) {
            self.publish_to(fx, scope, fact, None);
        }
    }

    fn look_again(&mut self, now: Mono) {
        let (changes, gap) = (self.changes, self.config.rollup_gap);
        if let Some(last) = self.lead.rollup.as_mut() {
            (last.next_look, last.changes) = (now + gap, changes);
        }
    }

    fn draft(
        &self,
        fx: &Effects<'_>,
        cell: CellId,
        (generation, term): (Generation, Term),
        voters: &Configuration,
    ) -> Rollup {
        let members = self.census();
        let models = warm_models(&members);
        let mut totals = Totals::default();
        for seen in &members {
            if let Some(member) = self.roster.member(&seen.node) {
                let health = self.health(&seen.node, seen.record);
                totals.count(seen.liveness, seen.record.state != NodeState::Up, member.class(), &health);
            }
        }
        Rollup {
            cell,
            region: self.config.region.clone(),
            generation,
            config_epoch: voters.epoch,
            term,
            window: self.lead.rollup.as_ref().map_or(0, |last| last.rollup.window) + 1,
            holder: self.config.me,
            at: fx.wall,
            place: Some(self.coords.own()),
            totals,
            contacts: contacts(&members, &models, &self.config.me),
            models,
        }
    }

    /// This node and the members of its cell that have not left, by node.
    fn census(&self) -> Vec<Seen<'_>> {
        let near = self.swim.peers().iter().filter(|(_, peer)| peer.is_staying()).map(|(node, _)| *node);
        let mut nodes: Vec<NodeId> = near.chain([self.config.me]).collect();
        nodes.sort_unstable();
        nodes.truncate(CELL_MEMBERS_MAX);
        let seen = |node: NodeId| {
            let mine = node == self.config.me;
            let queue_depth = if mine { self.own.load() } else { self.contacts.of(&node).load }.queue_depth;
            Some(Seen { node, liveness: self.liveness(&node)?, queue_depth, record: self.record(&node)? })
        };
        nodes.into_iter().filter_map(seen).collect()
    }
}

fn warm_models(members: &[Seen<'_>]) -> Vec<WarmModel> {
    let mut models: BTreeMap<&ModelRef, u32> = BTreeMap::new();
    for model in members.iter().filter(|seen| seen.serves()).flat_map(|seen| &seen.record.health.warm) {
        *models.entry(model).or_default() += 1;
    }
    let listed = models.into_iter().take(ROLLUP_MODELS_MAX);
    listed.map(|(model, nodes)| WarmModel { model: model.clone(), nodes }).collect()
}

/// Whom to turn to. In a small cell everybody is named, however it is. In a larger one it is the holder, then as long as it
/// helps whoever adds most to the models that can be had from those named, then others by name, so that contacts stay while
/// they live.
fn contacts(members: &[Seen<'_>], models: &[WarmModel], holder: &NodeId) -> Vec<CellContact> {
    let warm = |seen: &Seen<'_>| {
        let held = models.iter().zip(0_u32..).filter(|(model, _)| seen.record.health.warm.contains(&model.model));
        held.fold(0_u64, |mask, (_, bit)| mask | 1 << bit)
    };
    let mut rest: Vec<(Seen<'_>, u64)> = members.iter().map(|seen| (*seen, warm(seen))).collect();
    if members.len() > CONTACTS_MAX {
        rest.retain(|(seen, _)| seen.serves() && seen.record.health.degraded.is_empty());
        rest.sort_by_key(|(seen, _)| (seen.node != *holder, seen.node));
    }
    let mut named: Vec<CellContact> = Vec::new();
    let mut covered = 0_u64;
    while named.len() < CONTACTS_MAX && !rest.is_empty() {
        let gain = |(_, mask): &(Seen<'_>, u64)| (mask & !covered).count_ones();
        // Of equals the first in the order above; the holder is named whatever it adds.
        let best = rest.iter().map(gain).max().filter(|_| !named.is_empty());
        let place = best.and_then(|best| rest.iter().position(|entry| gain(entry) == best)).unwrap_or(0);
        let (seen, mask) = rest.remove(place);
        covered |= mask;
        named.push(contact(&seen, mask));
    }
    named.sort_by_key(|contact| contact.node);
    named
}

fn contact(seen: &Seen<'_>, warm: u64) -> CellContact {
    let addresses = &seen.record.addresses;
    let mut dialled: Vec<_> = addresses.iter().take(1).copied().collect();
    let other_family =
        |address: &&std::net::SocketAddr| dialled.iter().any(|first| first.is_ipv4() != address.is_ipv4());
    let other = addresses.iter().find(other_family).copied();
    dialled.extend(other);
    dialled.truncate(CONTACT_ADDRESSES_MAX);
    CellContact {
        node: seen.node,
        incarnation: seen.record.incarnation,
        liveness: seen.liveness,
        queue_depth: seen.queue_depth,
        warm,
        addresses: dialled,
    }
}

#[cfg(test)]
#[path = "rollup_tests.rs"]
mod tests;
