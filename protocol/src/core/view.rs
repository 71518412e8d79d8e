//! Making the view.

use super::mesh_core::MeshCore;
use crate::defect::Defects;
use crate::fact::{Health, NodeRecord, Rollup, VerifiedRollup};
use crate::name::ModelRef;
use crate::placement::{Deployment, Holdings, Lineage, PlacementTable};
use crate::roster::CellBook;
use crate::time::{Mono, Wall, micros};
use crate::view::{
    AggregatorView, CellView, DeploymentView, MemberState, MemberView, MeshView, ModelPlacement, PlacementView,
};
use crate::wire::Load;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::member::Member;
use hedgerow_attest::region::Region;
use std::collections::BTreeMap;
use std::sync::Arc;

impl<D: Defects> MeshCore<D> {
    /// What this node believes. Its cost grows with the members and the groups of the placements; make it when
    /// [`MeshCore::view_version`] changed, not per request.
    #[must_use]
    pub fn view(&self, now: Mono) -> MeshView {
        let members: BTreeMap<NodeId, MemberView> = self
            .roster
            .members()
            .filter_map(|member| self.member_view(member, now))
            .map(|view| (view.node, view))
            .collect();
        let wanted: Vec<&Deployment> = self.deployments().collect();
        let placements = self.placement_views(&wanted);
        let deployments =
            wanted.iter().map(|deployment| self.deployment_view(deployment, &members, &placements)).collect();
        MeshView {
            me: self.config.me,
            mesh: self.config.mesh,
            region: self.config.region.clone(),
            cell: self.home,
            at: now,
            aggregators: self.aggregators(now),
            deployments,
            policy: self.policies.in_force().map(|(policy, _)| Arc::new(policy.into_owned())),
            policy_heads: self.policies.heads().to_vec(),
            node_classes: self.node_classes(),
            needed: self.needed(),
            cells: self.cells(now),
            members,
            lineage: self.lineage(),
            placements,
        }
    }

    /// The cells that ended, as far as is known.
    pub(super) fn lineage(&self) -> Lineage {
        Lineage::of(&self.roster)
    }

    /// The placements that this node follows, with the rows of these models.
    pub(super) fn placement_views(&self, wanted: &[&Deployment]) -> BTreeMap<CellId, PlacementView> {
        let view = |(cell, table): (&CellId, &PlacementTable)| {
            Some((*cell, self.placement_view(cell, self.roster.cell(cell)?.region(), table, wanted)))
        };
        self.placements.iter().filter_map(view).collect()
    }

    fn cells(&self, now: Mono) -> BTreeMap<CellId, CellView> {
        let view = |(cell, book): (CellId, CellBook<'_>)| {
            let rollup = self.rollup(&cell);
            let said_ms_ago = rollup.as_ref().map(|rollup| self.age_ms(rollup.at, now));
            let estimate_us = rollup.as_ref().and_then(|rollup| self.coords.estimate_rtt_us(rollup.place.as_ref()?));
            let (region, detail) = (book.region().clone(), self.facts.keeps(&cell));
            (cell, CellView { region, detail, rollup, said_ms_ago, estimate_us })
        };
        self.roster.cells().map(view).collect()
    }

    /// The last rollup of a cell.
    pub(super) fn rollup(&self, cell: &CellId) -> Option<VerifiedRollup> {
        self.facts.rollup(cell).and_then(VerifiedRollup::of)
    }

    fn member_view(&self, member: &Member, now: Mono) -> Option<MemberView> {
        let node = member.node();
        let record = self.record(&node)?;
        let contact = self.contacts.of(&node);
        Some(MemberView {
            node,
            region: member.region().clone(),
            cell: self.cell_of(member.region(), &node),
            class: member.class().to_string(),
            domain: member.domain().cloned(),
            roles: member.roles(),
            state: self.member_state(&node, now)?,
            incarnation: record.incarnation,
            addresses: record.addresses.clone(),
            health: self.health(&node, record),
            said_ms_ago: if node == self.config.me { 0 } else { self.age_ms(record.at, now) },
            load_ms_ago: contact.loaded().map(|loaded| micros(now.since(loaded)) / 1000),
            rtt_us: contact.rtt.least_us(),
            estimate_us: if contact.rtt.least_us().is_some() { None } else { self.estimate_us(member) },
            heard_ms_ago: contact.heard().map(|heard| micros(now.since(heard)) / 1000),
        })
    }

    /// By the coordinate of the aggregator of its cell: of a member that was never measured nothing else is known.
    fn estimate_us(&self, member: &Member) -> Option<u64> {
        let cell = self.cell_of(member.region(), &member.node()).filter(|_| member.node() != self.config.me)?;
        self.coords.estimate_rtt_us(self.rollup(&cell)?.place.as_ref()?)
    }

    /// How long ago a statement was signed, by its author's wall clock and by this node's.
    fn age_ms(&self, at: Wall, now: Mono) -> u64 {
        self.wall(now).0.saturating_sub(at.0) / 1000
    }

    fn member_state(&self, node: &NodeId, now: Mono) -> Option<MemberState> {
        self.shown.get(node).copied().or_else(|| self.state_of(now, node))
    }

    pub(super) fn health(&self, node: &NodeId, record: &NodeRecord) -> Health {
        if *node == self.config.me {
            return self.own.told_health();
        }
        let contact = self.contacts.of(node);
        if contact.loaded().is_none() {
            return record.health.clone();
        }
        let Load { queue_depth, free_memory_mib } = contact.load;
        Health { queue_depth, free_memory_mib, ..record.health.clone() }
    }

    fn aggregators(&self, now: Mono) -> BTreeMap<Region, AggregatorView> {
        let mut aggregators = BTreeMap::new();
        // An issuer that signed two births is at fault; the lower counts.
        let mut births: BTreeMap<&Region, CellId> = BTreeMap::new();
        for (_, book) in self.roster.cells() {
            let origin = book.origin();
            births.entry(book.region()).and_modify(|birth| *birth = origin.min(*birth)).or_insert(origin);
        }
        for (cell, book) in self.roster.cells() {
            let here = *book.region() == self.config.region;
            let counts = if here { self.home == Some(cell) } else { births.get(book.region()) == Some(&book.origin()) };
            if !counts {
                continue;
            }
            let voters = book.latest().voters.len();
            let own = self.cell.known(now).filter(|known| known.cell == cell).map(|known| AggregatorView {
                cell,
                holder: known.holder,
                generation: known.generation,
                term: known.term,
                config_epoch: known.config_epoch,
                voters,
                valid: known.until > now,
            });
            let reported = self.rollup(&cell).map(|rollup| AggregatorView {
                cell,
                holder: rollup.holder,
                generation: rollup.generation,
                term: rollup.term,
                config_epoch: rollup.config_epoch,
                voters,
                valid: self.is_current(&rollup, now),
            });
            // In the own cell acknowledgements know more than rollups, unless a rollup speaks of a later term.
            let view = match (own, reported) {
                (Some(own), Some(reported)) if (reported.generation, reported.term) > (own.generation, own.term) => {
                    Some(reported)
                }
                (own, reported) => own.or(reported),
            };
            if let Some(view) = view {
                // Of several cells of another region, one whose lease runs.
                let known = aggregators.get(book.region()).is_some_and(|known: &AggregatorView| known.valid);
                if !known {
                    aggregators.insert(book.region().clone(), view);
                }
            }
        }
        aggregators
    }

    /// Whether a rollup is so young that its successor cannot have been missed: three periods, and as much again for those that
    /// hear of it from others who heard of it.
    pub(super) fn is_current(&self, rollup: &Rollup, now: Mono) -> bool {
        let life = self.config.stale.max(self.rollup_period() * 3);
        match self.remote.heard_rollup(&rollup.cell) {
            Some(heard) => now.since(heard) < life,
            None => self.age_ms(rollup.at, now) < micros(life * 2) / 1000,
        }
    }

    fn deployment_view(
        &self,
        deployment: &Deployment,
        members: &BTreeMap<NodeId, MemberView>,
        placements: &BTreeMap<CellId, PlacementView>,
    ) -> DeploymentView {
        let model = deployment.model_ref();
        let placed = placements.values().filter_map(|placement| placement.models.get(&model));
        let mine = placed.flat_map(|placement| &placement.nodes).any(|node| *node == self.config.me);
        let warm = members.values().filter(|member| member.health.warm.contains(&model)).map(|member| member.node);
        DeploymentView { deployment: deployment.clone(), mine, warm: warm.collect() }
    }

    /// Rows of models count only while a publisher wants exactly that artifact served.
    fn placement_view(
        &self,
        cell: &CellId,
        region: &Region,
        table: &PlacementTable,
        wanted: &[&Deployment],
    ) -> PlacementView {
        let mut groups = BTreeMap::new();
        for row in &table.classes {
            for (prefix, list) in (0..=u8::MAX).zip(&row.groups) {
                groups.insert((row.class.clone(), prefix), table.nodes(list).collect());
            }
        }
        let served = |model: &ModelRef, manifest| {
            wanted.iter().any(|deployment| {
                deployment.model_ref() == *model && deployment.manifest == manifest && deployment.wants(region)
            })
        };
        // Models of a cell that ended are served by those that took its place, which go by its table at first.
        let ended = self.roster.end_of(cell).is_some();
        let rows = table.models.iter().filter(|row| !ended && served(&row.model, row.manifest));
        let models = rows
            .map(|row| {
                let nodes = table.nodes(&row.nodes).collect();
                (row.model.clone(), ModelPlacement { manifest: row.manifest, nodes })
            })
            .collect();
        let policy =
            table.policy.and_then(|name| self.policies.named(&name)).map(|policy| Arc::new(policy.into_owned()));
        PlacementView {
            region: region.clone(),
            epoch: table.epoch,
            retired: self.retired(cell),
            inherits: self.inherits(cell, table.epoch),
            formers: self
                .formers(cell, table.epoch)
                .into_iter()
                .map(|table| (table.epoch, Holdings::of_table(table)))
                .collect(),
            policy,
            groups,
            models,
        }
    }
}
