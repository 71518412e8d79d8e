//! What the register of the own cell should decide next, and which decided placements are followed.

use super::effects::Effects;
use super::interface::Event;
use super::mesh_core::MeshCore;
use crate::defect::Defects;
use crate::fact::{CELL_MEMBERS_MAX, Fact, FactKey, NodeState, VerifiedFact};
use crate::id::PlacementEpoch;
use crate::placement::{
    Availability, Deployment, Ground, Holdings, Host, Inputs, NodeClasses, PlacementTable, RttBucket, Rules,
    TableFault, TrustClass, choose, verify_table,
};
use crate::register::{Configuration, Content, Takeover, Value};
use crate::time::Mono;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::member::Member;
use std::collections::BTreeMap;

impl<D: Defects> MeshCore<D> {
    /// What this holder proposes next, if anything: voters first, since they are what keeps the rest.
    pub(super) fn next_content(&self, now: Mono) -> Option<Content> {
        let cell = self.home?;
        let voters = self.cell.voters()?;
        if let Some(next) = self.voter_change(now, voters) {
            return Some(Content::Configuration(next));
        }
        if let Some(succession) = self.next_succession(now) {
            return Some(succession);
        }
        if let Some(epoch) = self.next_retirement(now, &cell) {
            return Some(Content::Retirement(epoch));
        }
        if self.misses_placement(&cell) {
            return None;
        }
        let policy = self.policies.in_force();
        let deployments: Vec<&Deployment> = self.deployments().collect();
        let previous = self.decided_table(&cell);
        let held = previous.map(Holdings::of_table).unwrap_or_default();
        let former = previous.and_then(|table| self.policies.named(&table.policy?));
        let table = choose(&Inputs {
            ground: Ground {
                region: &self.config.region,
                hosts: &self.hosts(now),
                held: &held,
                former: former.as_deref(),
            },
            policy: policy.as_ref().map(|(policy, name)| (&**policy, name.1)),
            deployments: &deployments,
            previous: self.last_epoch(&cell),
            config_epoch: voters.epoch,
        });
        self.next_table(now, &cell, table)
    }

    /// The members of the own cell as placement sees them. All are near, so that no round trip tells them apart: what is
    /// placed must not depend on where its holder stands.
    fn hosts(&self, now: Mono) -> Vec<Host> {
        let classes = self.node_classes();
        let near = self.roster.members().filter(|member| self.is_near(member.region(), &member.node()));
        let host = |member: &Member| {
            let class = member.class();
            let free_mib = self.record(&member.node()).map_or(0, |record| record.health.free_memory_mib);
            Host {
                node: member.node(),
                region: member.region().clone(),
                weight: classes.weight(class),
                class: class.clone(),
                roles: member.roles(),
                trust: TrustClass::SelfAsserted,
                availability: self.availability(now, &member.node()),
                free_mib: Some(free_mib).filter(|free_mib| *free_mib > 0),
                bucket: RttBucket::NEAREST,
                domain: member.domain().cloned(),
            }
        };
        near.map(host).take(CELL_MEMBERS_MAX).collect()
    }

    fn availability(&self, now: Mono, node: &NodeId) -> Availability {
        if *node == self.config.me {
            return if self.own.state == NodeState::Up { Availability::Available } else { Availability::Draining };
        }
        let Some(peer) = self.swim.peers().get(node) else { return Availability::Down };
        match peer.said {
            NodeState::Draining | NodeState::Left => Availability::Draining,
            NodeState::Up | NodeState::Stopping if self.is_overdue(now, node) => Availability::Down,
            NodeState::Up | NodeState::Stopping if self.is_settled(now, peer.serves_since()) => Availability::Available,
            NodeState::Up | NodeState::Stopping => Availability::Settling,
        }
    }

    /// Whether a proposal keeps the rules as far as this node knows them.
    pub(super) fn is_fit(&self, value: &Value) -> bool {
        let Some(voters) = self.cell.voters() else { return false };
        match &value.content {
            Content::Configuration(next) => self.is_fit_change(voters, next),
            Content::Placement(table) | Content::Takeover(Takeover { table, .. }) => {
                self.is_fit_table(&value.cell, voters, table) && self.goes_on(&value.cell, value.content.inherits())
            }
            // That of one that is retired already says nothing; refused, it would be in the way of what comes after.
            Content::Retirement(epoch) => self.decided_table(&value.cell).is_some_and(|table| *epoch < table.epoch),
            Content::Split(split) => self.is_fit_split(split),
            Content::Absorb(_) | Content::MergeInto(_) => self.is_fit_merger(value),
        }
    }

    fn is_fit_table(&self, cell: &CellId, voters: &Configuration, table: &PlacementTable) -> bool {
        let numbered = table.epoch == self.last_epoch(cell).next() && table.config_epoch == voters.epoch;
        numbered && verify_table(table, &self.rules()).is_ok()
    }

    /// Looks at every decided placement again: what it is checked against may have arrived, or changed.
    pub(super) fn review_placements(&mut self, fx: &mut Effects<'_>) {
        let mut verdicts = Vec::new();
        for cell in self.placed_cells() {
            let Some(table) = self.decided_table(&cell) else { continue };
            let followed = self.placements.get(&cell).is_some_and(|followed| followed.epoch >= table.epoch);
            let Some(book) = self.roster.cell(&cell).filter(|_| !followed) else { continue };
            let rules = Rules { region: book.region(), ..self.rules() };
            verdicts.push((cell, table.clone(), verify_table(table, &rules)));
        }
        for (cell, table, verdict) in verdicts {
            let epoch = table.epoch;
            match verdict {
                Ok(()) => {
                    self.placements.insert(cell, table);
                    self.touch();
                    fx.event(Event::PlacementAdopted { cell, epoch });
                }
                Err(fault) => self.refuse_table(fx, cell, epoch, fault),
            }
        }
        self.inherit_placements(fx);
        self.settle_heirlooms(fx);
    }

    /// A cell that decided no table yet goes by the last one of the cell whose place it took.
    fn inherit_placements(&mut self, fx: &mut Effects<'_>) {
        let bare = self.facts.kept().filter(|cell| !self.placements.contains_key(cell));
        let followed = |table: &&PlacementTable| self.placements.values().any(|followed| followed == *table);
        let inherited = |cell: CellId| {
            let latest = self.decided_table(&cell).filter(followed)?;
            Some((cell, latest.clone())).filter(|_| self.roster.end_of(&cell).is_none())
        };
        let inherited: Vec<(CellId, PlacementTable)> = bare.filter_map(inherited).collect();
        for (cell, table) in inherited {
            fx.sometimes("a cell inherited a placement");
            fx.event(Event::PlacementAdopted { cell, epoch: table.epoch });
            self.placements.insert(cell, table);
            self.touch();
        }
    }

    fn refuse_table(&self, fx: &mut Effects<'_>, cell: CellId, epoch: PlacementEpoch, fault: TableFault) {
        if fault.may_heal() {
            fx.sometimes("a placement waits for the policy or the certificate that it speaks of");
        } else {
            fx.event(Event::PlacementRefused { cell, epoch, fault });
        }
    }

    fn rules(&self) -> Rules<'_> {
        Rules { region: &self.config.region, policies: &self.policies, roster: &self.roster }
    }

    /// The shares of node classes, as far as they are written.
    pub(super) fn node_classes(&self) -> NodeClasses {
        match self.facts.get(&FactKey::NodeClasses).map(VerifiedFact::fact) {
            Some(Fact::NodeClasses(classes)) => classes.clone(),
            _ => NodeClasses::default(),
        }
    }

    /// The deployments that publishers want, by model.
    pub(super) fn deployments(&self) -> impl Iterator<Item = &Deployment> {
        let by_model: BTreeMap<_, _> =
            self.facts.deployments().map(|deployment| (deployment.model_ref(), deployment)).collect();
        by_model.into_values()
    }
}
