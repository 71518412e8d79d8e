//! When the holder of a lease proposes to split its cell, or to merge it with another.

use super::config::DivisionConfig;
use super::effects::Effects;
use super::mesh_core::MeshCore;
use crate::coords::{Coordinate, DIMENSIONS};
use crate::defect::{Defect, Defects};
use crate::election::{Presence, Prospect};
use crate::fact::{FactKey, Liveness, NodeState, Rollup, VerifiedFact, VerifiedRollup};
use crate::id::ConfigEpoch;
use crate::placement::draw;
use crate::register::{Absorb, Configuration, Content, HALF_MEMBERS_MAX, Half, MergeInto, Split, Value, Voter};
use crate::time::Mono;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::membership::Role;
use std::collections::BTreeMap;
use std::time::Duration;

/// Members whose place is asked for in one round of chores.
const ASKED: usize = 4;

/// How large the own cell is and for how long, and where its members lie. Every member counts, so that a new holder need not
/// begin anew.
#[derive(Debug, Default)]
pub(super) struct Census {
    large_since: Option<Mono>,
    small_since: Option<Mono>,
    /// Kept while the cell is too large.
    places: BTreeMap<NodeId, Coordinate>,
}

impl Census {
    fn count(&mut self, now: Mono, size: usize, config: &DivisionConfig) {
        let since = |since: Option<Mono>, is: bool| if is { since.or(Some(now)) } else { None };
        self.large_since = since(self.large_since, size > config.split_above);
        self.small_since = since(self.small_since, size < config.merge_below);
        if self.large_since.is_none() {
            self.places.clear();
        }
    }

    fn is_due(since: Option<Mono>, now: Mono, after: Duration) -> bool {
        since.is_some_and(|since| now.since(since) >= after)
    }
}

impl<D: Defects> MeshCore<D> {
    /// Counts the members. A holder whose cell is too large asks where they lie.
    pub(super) fn take_census(&mut self, fx: &mut Effects<'_>) {
        if self.home.is_none() {
            return;
        }
        self.census.count(fx.now, self.swim.size(), &self.config.division);
        if self.census.large_since.is_none() || self.cell.holds(fx.now).is_none() {
            return;
        }
        let unplaced = |node: &NodeId| !self.census.places.contains_key(node);
        let alive = self.swim.peers().iter().filter(|(_, peer)| peer.found == Liveness::Alive);
        let mut unplaced: Vec<NodeId> = alive.map(|(node, _)| *node).filter(unplaced).collect();
        fx.shuffle(&mut unplaced);
        for node in unplaced.into_iter().take(ASKED) {
            let belief = self.swim.belief(&node);
            self.contacts.ping(fx, node, belief, Vec::new());
        }
    }

    /// A member said where it lies.
    pub(super) fn note_place(&mut self, node: NodeId, at: Coordinate) {
        if self.census.large_since.is_some() && self.swim.peers().contains_key(&node) {
            self.census.places.insert(node, at);
        }
    }

    /// What this holder proposes for the number of members, if anything.
    pub(super) fn next_succession(&self, now: Mono) -> Option<Content> {
        let config = &self.config.division;
        if Census::is_due(self.census.large_since, now, config.split_after) {
            return self.division(now).map(Content::Split);
        }
        if Census::is_due(self.census.small_since, now, config.merge_after) {
            return self.merger(now);
        }
        None
    }

    /// The members of the cell cut in two by the median of the axis along which they lie widest apart, and the voters of each.
    fn division(&self, now: Mono) -> Option<Split> {
        let staying = self.swim.peers().iter().filter(|(_, peer)| peer.is_staying()).map(|(node, _)| *node);
        let own = (self.config.me, self.coords.own());
        let place = |node: NodeId| {
            let at = if node == own.0 { Some(&own.1) } else { self.census.places.get(&node) };
            (node, at.map(|at| at.fields().vector))
        };
        let members: Vec<(NodeId, Option<[i32; DIMENSIONS]>)> = staying.chain([own.0]).map(place).collect();
        let prospects = self.prospects(now);
        let [near, far] = halves(members);
        Some(Split { halves: [self.half(near, &prospects)?, self.half(far, &prospects)?] })
    }

    /// Half of a cell with its voters.
    fn half(&self, members: Vec<NodeId>, prospects: &BTreeMap<NodeId, Prospect<'_>>) -> Option<Half> {
        let voters = self.first_voters(ConfigEpoch(1), &members, prospects)?;
        Some(Half { voters, members })
    }

    /// As many voters as a cell of these members should have and can have: those who vote already first, then whoever has
    /// served for long.
    pub(super) fn first_voters(
        &self,
        epoch: ConfigEpoch,
        members: &[NodeId],
        prospects: &BTreeMap<NodeId, Prospect<'_>>,
    ) -> Option<Configuration> {
        let election = &self.config.election;
        let votes = |node: &NodeId| self.cell.voters().is_some_and(|voters| voters.has(node));
        let serves = |node: &NodeId| match prospects.get(node)?.presence {
            Presence::Serves(span) if span >= election.settle => Some(span >= election.stable),
            Presence::Serves(_) | Presence::Leaves | Presence::Away(_) => None,
        };
        let ready =
            members.iter().filter_map(|node| Some((!serves(node)?, !votes(node), draw(b"voter", node, 1), *node)));
        let mut ready: Vec<(bool, bool, u64, NodeId)> = ready.collect();
        ready.sort_unstable();
        let wanted = (1..=ready.len()).rev().find(|count| election.trust.voters(*count) == *count)?;
        let count = wanted.min(election.trust.voters(members.len()));
        let chosen = ready
            .iter()
            .take(count)
            .filter_map(|(.., node)| prospects.get(node).map(|prospect| Voter { node: *node, key: prospect.key }));
        Some(Configuration::trusting(election.trust, epoch, chosen.collect()))
    }

    /// Ends this cell in one that took it in, or takes in the nearest that is as small and has a higher id.
    fn merger(&self, now: Mono) -> Option<Content> {
        let home = self.home?;
        if self.defects.has(Defect::MergesUnabsorbed)
            && let Some(target) = self.small_neighbours(now).into_iter().map(|(_, cell)| cell).find(|cell| *cell < home)
        {
            return Some(Content::MergeInto(MergeInto { target, absorbed: Sha256Digest::from_bytes([0; 32]) }));
        }
        if let Some((target, absorbed)) = self.taken_in_by(now, &home) {
            return Some(Content::MergeInto(MergeInto { target, absorbed }));
        }
        let near: Vec<CellId> = self.small_neighbours(now).into_iter().map(|(_, cell)| cell).collect();
        let waits = near.iter().any(|source| self.facts.get(&FactKey::Absorb(home, *source)).is_some());
        let stays = self.own.state == NodeState::Up;
        let source = near.into_iter().find(|cell| *cell > home && !waits && stays)?;
        Some(Content::Absorb(Absorb { source }))
    }

    /// A small cell that took this one in, and the value by which it did.
    fn taken_in_by(&self, now: Mono, home: &CellId) -> Option<(CellId, Sha256Digest)> {
        self.small_neighbours(now).into_iter().find_map(|(_, target)| {
            let absorb = self.facts.get(&FactKey::Absorb(target, *home))?.decided()?;
            Some((target, absorb.digest()))
        })
    }

    /// Other cells of the region with which this one fits together, by their last rollups; the nearest first.
    fn small_neighbours(&self, now: Mono) -> Vec<(u64, CellId)> {
        let size = self.swim.size();
        // Whoever is alone there and leaves can make nobody a voter.
        let fits = |rollup: &VerifiedRollup| {
            let fits = rollup.totals.alive > 0 && self.config.division.fit_together(size, members_of(rollup));
            fits && rollup.region == self.config.region && self.is_current(rollup, now)
        };
        let cells = self.roster.cells_of(&self.config.region).into_iter().filter(|cell| Some(*cell) != self.home);
        let near = |cell: CellId| {
            let rollup = self.rollup(&cell).filter(fits)?;
            let rtt_us = rollup.place.as_ref().and_then(|place| self.coords.estimate_rtt_us(place));
            Some((rtt_us.unwrap_or(u64::MAX), cell))
        };
        let mut near: Vec<(u64, CellId)> = cells.filter_map(near).collect();
        near.sort_unstable();
        near
    }

    /// Whether a proposed split keeps the rules as far as this node knows them. Whom it names where is the holder's judgement,
    /// and so is whether it is time: what voters refuse for something that passes nobody can ever decide.
    pub(super) fn is_fit_split(&self, split: &Split) -> bool {
        let trust = self.config.election.trust;
        let known = |voter: &Voter| {
            let member = self.roster.member(&voter.node);
            let near = member.filter(|member| self.is_near(member.region(), &voter.node));
            near.is_some_and(|member| member.roles().contains(Role::Voter) && *member.statement() == voter.key)
        };
        let fit = |half: &Half| {
            let voters = &half.voters;
            usize::from(voters.quorum) == trust.quorum(voters.voters.len()) && voters.voters.iter().all(known)
        };
        split.is_well_formed() && split.halves.iter().all(fit)
    }

    /// The same of a merger. A cell ends in another only where that took it in.
    pub(super) fn is_fit_merger(&self, value: &Value) -> bool {
        let here = |cell: &CellId| self.roster.cell(cell).is_some_and(|book| *book.region() == self.config.region);
        let other = match &value.content {
            Content::Absorb(absorb) => absorb.source,
            Content::MergeInto(merge) => {
                let absorb = self.facts.get(&FactKey::Absorb(merge.target, value.cell)).and_then(VerifiedFact::decided);
                let absorbs = absorb.is_some_and(|absorb| absorb.digest() == merge.absorbed);
                // What a cell that ended meanwhile took in goes where its members went.
                let ended = self.roster.end_of(&merge.target).is_some();
                if !absorbs && !ended && !self.defects.has(Defect::MergesUnabsorbed) {
                    return false;
                }
                merge.target
            }
            Content::Configuration(_)
            | Content::Placement(_)
            | Content::Takeover(_)
            | Content::Retirement(_)
            | Content::Split(_) => {
                return false;
            }
        };
        value.succeeds_well() && here(&other)
    }
}

fn members_of(rollup: &Rollup) -> usize {
    let totals = &rollup.totals;
    let members = [totals.alive, totals.suspect, totals.down, totals.leaving].into_iter().fold(0, u32::saturating_add);
    usize::try_from(members).unwrap_or(usize::MAX)
}

/// Cuts members in two. Whose place is not known lies in the middle; of those that lie alike the lower name comes first.
fn halves(members: Vec<(NodeId, Option<[i32; DIMENSIONS]>)>) -> [Vec<NodeId>; 2] {
    let placed: Vec<[i32; DIMENSIONS]> = members.iter().filter_map(|(_, at)| *at).collect();
    let along = |axis: usize| {
        let mut along: Vec<i32> = placed.iter().filter_map(|at| at.get(axis)).copied().collect();
        along.sort_unstable();
        along
    };
    let width = |axis: &usize| {
        let along = along(*axis);
        along.first().zip(along.last()).map_or(0, |(first, last)| last.abs_diff(*first))
    };
    // Of equals the first axis.
    let axis = (0..DIMENSIONS).rev().max_by_key(width).unwrap_or(0);
    let along = along(axis);
    let median = along.get(along.len() / 2).copied().unwrap_or(0);
    let at = |at: Option<[i32; DIMENSIONS]>| at.and_then(|at| at.get(axis).copied()).unwrap_or(median);
    let mut order: Vec<(i32, NodeId)> = members.into_iter().map(|(node, place)| (at(place), node)).collect();
    order.sort_unstable();
    let rest = order.split_off(order.len() / 2);
    [order, rest].map(|half| {
        let mut half: Vec<NodeId> = half.into_iter().map(|(_, node)| node).take(HALF_MEMBERS_MAX).collect();
        half.sort_unstable();
        half
    })
}

#[cfg(test)]
#[path = "divide_tests.rs"]
mod tests;
