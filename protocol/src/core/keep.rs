//! Where a fact is kept: with everybody's, with those of a cell, or not at all.

use super::effects::Effects;
use super::fact_store::Keeping;
use super::mesh_core::MeshCore;
use super::shelf::Adoption;
use crate::defect::Defects;
use crate::fact::{Fact, FactKey, FactVersion, Scope, VerifiedFact};
use crate::register::Content;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::member::Member;
use hedgerow_attest::region::Region;
use std::sync::Arc;

impl<D: Defects> MeshCore<D> {
    /// Puts the fact where it belongs, if it is news.
    pub(super) fn shelve(&mut self, fact: &VerifiedFact) -> Adoption {
        if fact.charter().is_none() {
            return self.facts.adopt(self.keeping(fact), fact.clone());
        }
        if !self.roster.is_news(fact) {
            return Adoption::Known;
        }
        if !Arc::make_mut(&mut self.roster).charter(fact) {
            return Adoption::Full;
        }
        self.facts.chartered(fact);
        Adoption::Fresh
    }

    /// The version in which something is known here.
    pub fn known_version(&self, key: &FactKey) -> Option<FactVersion> {
        self.known_fact(key).map(VerifiedFact::version)
    }

    /// Any fact that this node knows.
    pub(super) fn known_fact(&self, key: &FactKey) -> Option<&VerifiedFact> {
        match key.chartered() {
            Some(cell) => self.roster.charters_of(cell).find(|fact| fact.key() == key),
            None => self.facts.get(key),
        }
    }

    /// Who has to hear of the fact. What is said of a node whose region has no cell yet concerns everybody.
    pub(super) fn scope(&self, fact: &VerifiedFact) -> Scope {
        match fact.fact() {
            Fact::Genesis(_)
            | Fact::Recovery(_)
            | Fact::Policy(..)
            | Fact::Deployment(_)
            | Fact::NodeClasses(_)
            | Fact::Revocation(_) => Scope::Mesh,
            Fact::Rollup(_) => Scope::Directory,
            Fact::Decision(decision) => match &decision.value.content {
                Content::Configuration(_) | Content::Split(_) | Content::Absorb(_) | Content::MergeInto(_) => {
                    Scope::Mesh
                }
                Content::Placement(_) | Content::Takeover(_) | Content::Retirement(_) => {
                    Scope::Cell(decision.value.cell)
                }
            },
            Fact::Member(member) if self.founds_cells(&member.node()) => Scope::Mesh,
            Fact::Member(member) => self.cell_scope(member.region(), &member.node()),
            Fact::Record(record) => self.cell_scope(&record.region, &record.node),
            Fact::Accusation(charge) => {
                let accused = charge.accused();
                self.region_of(&accused).map_or(Scope::Mesh, |region| self.cell_scope(region, &accused))
            }
        }
    }

    fn keeping(&self, fact: &VerifiedFact) -> Keeping {
        // Only members of a cell may say that one of them does not answer.
        if let Fact::Accusation(charge) = fact.fact() {
            let here = self.region_of(&charge.accused());
            if charge.accusations().iter().any(|accusation| self.region_of(&accusation.accuser) != here) {
                return Keeping::Elsewhere;
            }
        }
        let is_of_member = matches!(fact.fact(), Fact::Member(_) | Fact::Record(_) | Fact::Accusation(_));
        match self.scope(fact) {
            Scope::Cell(cell) if self.facts.keeps(&cell) => Keeping::Scope(Scope::Cell(cell)),
            Scope::Cell(_) if matches!(fact.fact(), Fact::Member(_) | Fact::Record(_)) => Keeping::Stray,
            Scope::Cell(_) => Keeping::Elsewhere,
            Scope::Mesh if is_of_member && !self.is_of_issuer(fact) => Keeping::Stray,
            scope @ (Scope::Mesh | Scope::Directory) => Keeping::Scope(scope),
        }
    }

    fn region_of(&self, node: &NodeId) -> Option<&Region> {
        self.roster.member(node).map(Member::region)
    }

    fn cell_scope(&self, region: &Region, node: &NodeId) -> Scope {
        self.cell_of(region, node).map_or(Scope::Mesh, Scope::Cell)
    }

    /// The cell to which a member of a region belongs.
    pub(super) fn cell_of(&self, region: &Region, node: &NodeId) -> Option<CellId> {
        if *node == self.config.me {
            self.home
        } else if *region == self.config.region {
            self.roster.cell_of_member(&self.origin?, node)
        } else {
            self.roster.cell_of(region, node)
        }
    }

    /// Whether a member belongs to the cell of this node.
    pub(super) fn is_near(&self, region: &Region, node: &NodeId) -> bool {
        *region == self.config.region && self.cell_of(region, node) == self.home
    }

    /// Whether the root lets that node found cells: whoever checks a genesis needs its certificate.
    pub(super) fn founds_cells(&self, node: &NodeId) -> bool {
        self.root.founds_cells(node)
    }

    fn is_of_issuer(&self, fact: &VerifiedFact) -> bool {
        matches!(fact.fact(), Fact::Member(member) if self.founds_cells(&member.node()))
    }

    /// The link to a member ended: one of a cell whose detail is not kept is of no further use.
    pub(super) fn forget_guest(&mut self, fx: &mut Effects<'_>, node: NodeId) {
        let Some(member) = self.roster.member(&node) else { return };
        let cell = self.cell_of(member.region(), &node);
        if cell.is_none_or(|cell| self.facts.keeps(&cell)) || self.founds_cells(&node) {
            return;
        }
        self.forget_member(fx, &node);
    }

    pub(super) fn forget_member(&mut self, fx: &mut Effects<'_>, node: &NodeId) {
        for key in [FactKey::Record(*node), FactKey::Member(*node), FactKey::Accusation(*node)] {
            self.forget(fx, &key);
        }
        Arc::make_mut(&mut self.roster).dismiss(node);
    }
}
