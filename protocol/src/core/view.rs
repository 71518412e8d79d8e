//! Making the view.

use super::mesh_core::MeshCore;
use crate::defect::Defects;
use crate::fact::{Health, NodeRecord};
use crate::name::ModelRef;
use crate::placement::{Deployment, PlacementTable};
use crate::time::{Mono, micros};
use crate::view::{AggregatorView, DeploymentView, MemberState, MemberView, MeshView, ModelPlacement, PlacementView};
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
        let placements: BTreeMap<CellId, PlacementView> = self
            .placements
            .iter()
            .filter_map(|(cell, table)| Some((*cell, placement_view(self.roster.cell(cell)?.region(), table, &wanted))))
            .collect();
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
            policy: self.policies.values().next_back().map(|(policy, _)| Arc::new(policy.clone())),
            members,
            placements,
        }
    }

    fn member_view(&self, member: &Member, now: Mono) -> Option<MemberView> {
        let node = member.node();
        let record = self.record(&node)?;
        let contact = self.contacts.of(&node);
        Some(MemberView {
            node,
            region: member.region().clone(),
            cell: self.roster.cell_of(member.region()),
            class: member.class().to_string(),
            state: self.member_state(&node, now)?,
            incarnation: record.incarnation,
            addresses: record.addresses.clone(),
            health: self.health(&node, record),
            rtt_us: contact.rtt.least_us(),
            estimate_us: if contact.rtt.least_us().is_some() { None } else { self.estimate_us(member) },
            heard_ms_ago: contact.heard.map(|heard| micros(now.since(heard)) / 1000),
        })
    }

    /// By the coordinate of the aggregator of its cell: of a member that was never measured nothing else is known.
    fn estimate_us(&self, member: &Member) -> Option<u64> {
        let cell = self.roster.cell_of(member.region()).filter(|_| member.node() != self.config.me)?;
        self.coords.estimate_rtt_us(self.aggregates.get(&cell)?.place.as_ref()?)
    }

    fn member_state(&self, node: &NodeId, now: Mono) -> Option<MemberState> {
        self.shown.get(node).copied().or_else(|| self.state_of(now, node))
    }

    fn health(&self, node: &NodeId, record: &NodeRecord) -> Health {
        if *node == self.config.me {
            return self.own.health.clone();
        }
        let contact = self.contacts.of(node);
        let queue_depth = if contact.heard.is_some() { contact.load.queue_depth } else { record.health.queue_depth };
        Health { queue_depth, ..record.health.clone() }
    }

    fn aggregators(&self, now: Mono) -> BTreeMap<Region, AggregatorView> {
        let mut aggregators = BTreeMap::new();
        for (cell, book) in self.roster.cells() {
            if self.cell_in(book.region()) != Some(cell) {
                continue;
            }
            let voters = book.latest().voters.len();
            let own = self.cell.known(now).filter(|known| known.cell == cell).map(|known| AggregatorView {
                cell,
                holder: known.holder,
                term: known.term,
                config_epoch: known.config_epoch,
                voters,
                valid: known.until > now,
            });
            let reported = self.aggregates.get(&cell).map(|aggregate| AggregatorView {
                cell,
                holder: aggregate.holder,
                term: aggregate.term,
                config_epoch: aggregate.config_epoch,
                voters,
                valid: now.since(aggregate.heard) < self.config.stale,
            });
            // In the own cell acknowledgements know more than rollups, unless a rollup speaks of a later term.
            let view = match (own, reported) {
                (Some(own), Some(reported)) if reported.term > own.term => Some(reported),
                (own, reported) => own.or(reported),
            };
            if let Some(view) = view {
                aggregators.insert(book.region().clone(), view);
            }
        }
        aggregators
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
}

/// Rows of models count only while a publisher wants exactly that artifact served.
fn placement_view(region: &Region, table: &PlacementTable, wanted: &[&Deployment]) -> PlacementView {
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
    let rows = table.models.iter().filter(|row| served(&row.model, row.manifest));
    let models = rows
        .map(|row| {
            let nodes = table.nodes(&row.nodes).collect();
            (row.model.clone(), ModelPlacement { manifest: row.manifest, nodes })
        })
        .collect();
    PlacementView { region: region.clone(), epoch: table.epoch, groups, models }
}
