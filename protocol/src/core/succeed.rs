//! What follows when the cells of a region change: one is born, ends, or turns out not to count.

use super::effects::Effects;
use super::interface::{Event, Output};
use super::mesh_core::MeshCore;
use crate::defect::{Defect, Defects};
use crate::fact::{Fact, FactKey, Scope, VerifiedFact};
use crate::register::{Succession, VerifiedDecision};
use crate::time::Mono;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::member::Member;
use hedgerow_attest::region::Region;
use std::collections::BTreeSet;

impl<D: Defects> MeshCore<D> {
    /// A cell ended, as the roster knows already. Whoever belonged to it belongs to another from here on: its seat in the old
    /// one is gone, so that it neither grants nor accepts anything there again.
    pub(super) fn follow_end(&mut self, fx: &mut Effects<'_>, decision: &VerifiedDecision) {
        let ended = decision.value.cell;
        let Some(region) = self.roster.cell(&ended).map(|book| book.region().clone()) else { return };
        let into: Vec<CellId> = decision.succession().into_iter().flat_map(|next| next.cells()).collect();
        fx.event(Event::CellEnded { cell: ended, into });
        self.forget(fx, &FactKey::Rollup(ended));
        self.note_end(fx.now, ended);
        let clings = self.defects.has(Defect::RetiredCellGrants)
            && self.cell.voters().is_some_and(|voters| voters.has(&self.config.me));
        // Whoever heard of the end of its cell before it knew the next has none until then.
        if self.home.is_none() && region == self.config.region {
            self.move_in(fx.now);
        }
        if self.home == Some(ended) && !clings {
            self.move_in(fx.now);
            fx.sometimes(match decision.succession() {
                Some(Succession::Split(..)) => "a member of a cell that was split went on in its half",
                Some(Succession::Merged(_)) | None => "a member of a cell went on in the one that took it in",
            });
        }
        self.settle_region(fx, &region);
        self.touch();
    }

    /// Takes this node's seat in the cell to which it belongs.
    pub(super) fn move_in(&mut self, now: Mono) {
        self.home = self.origin.and_then(|birth| self.roster.cell_of_member(&birth, &self.config.me));
        self.lead = super::lead::Lead::default();
        self.census = super::divide::Census::default();
        if let Some(home) = self.home {
            self.remote.drop_cell(&home);
            self.cell.open(now, home, &self.roster);
            // What that one decided may have been known for long.
            let mut outcomes = Vec::new();
            for decision in self.decisions_of(&home) {
                self.cell.decided(now, &decision, &mut outcomes);
            }
            debug_assert_eq!(outcomes, Vec::new(), "nobody leads a cell that it has just come to");
        } else {
            self.cell.leave();
        }
    }

    /// What the register of a cell decided, as far as it is known here, in the order of slots.
    fn decisions_of(&self, cell: &CellId) -> Vec<VerifiedDecision> {
        let decided = self.roster.charters_of(cell).chain(self.facts.iter()).filter_map(VerifiedFact::decided);
        let mut known: Vec<VerifiedDecision> =
            decided.filter(|decision| decision.value.cell == *cell).cloned().collect();
        known.sort_by_key(|decision| decision.value.point());
        known
    }

    /// The cells of a region are others than before: what is known of its members goes where it belongs.
    pub(super) fn settle_region(&mut self, fx: &mut Effects<'_>, region: &Region) {
        let living = self.roster.cells_of(region);
        let mut moved = self.give_up_all_but(fx, region, &living);
        for cell in living.iter().copied() {
            let ended = |cell: &CellId| self.roster.end_of(cell).is_some();
            let others = self.facts.kept().filter(|kept| Some(*kept) != self.home && !ended(kept)).count();
            let here = Some(cell) == self.home;
            // Whoever held a group in the old cell hands it over to the members of the one in which it lives.
            let is_heir = *region == self.config.region && self.has_heirlooms(&cell);
            if self.facts.keeps(&cell) || !(here || is_heir || others < self.config.detail_cells) {
                continue;
            }
            self.facts.keep(cell);
            fx.push(Output::Follow(Scope::Cell(cell)));
        }
        for cell in living {
            moved.extend(self.put_right(fx.now, region, &cell));
        }
        let of_region = |fact: &VerifiedFact| match fact.fact() {
            Fact::Member(member) => member.region() == region,
            Fact::Record(record) => record.region == *region,
            Fact::Accusation(_)
            | Fact::Genesis(_)
            | Fact::Rollup(_)
            | Fact::Policy(..)
            | Fact::Deployment(_)
            | Fact::NodeClasses(_)
            | Fact::Recovery(_)
            | Fact::Revocation(_)
            | Fact::Decision(_) => false,
        };
        moved.extend(self.facts.take_strays(of_region));
        if let Some(home) = self.home.filter(|_| *region == self.config.region) {
            moved.extend(self.facts.of_cell(&home).cloned());
        }
        moved.sort_by(|a, b| a.turn().cmp(&b.turn()));
        self.part_from_others(region);
        for fact in moved {
            self.shelve(&fact);
            match fact.fact() {
                Fact::Record(record) => self.follow_record(fx, record),
                Fact::Accusation(charge) => drop(self.remote.accused(charge, fx.now)),
                Fact::Member(_)
                | Fact::Genesis(_)
                | Fact::Rollup(_)
                | Fact::Policy(..)
                | Fact::Deployment(_)
                | Fact::NodeClasses(_)
                | Fact::Recovery(_)
                | Fact::Revocation(_)
                | Fact::Decision(_) => {}
            }
        }
        self.forget_the_far(fx, region);
        self.review_placements(fx);
    }

    /// What does not stand where it should of a cell that is kept: a recovery may have led members away from it, and one that
    /// lives again may have been kept for what it had placed alone.
    fn put_right(&mut self, now: Mono, region: &Region, cell: &CellId) -> Vec<VerifiedFact> {
        if !self.facts.keeps(cell) {
            return Vec::new();
        }
        let of_members = self.facts.of_cell(cell).filter_map(|fact| fact.key().member());
        let strangers: BTreeSet<NodeId> =
            of_members.filter(|node| self.cell_of(region, node) != Some(*cell)).copied().collect();
        let is_strange = |fact: &VerifiedFact| fact.key().member().is_some_and(|node| strangers.contains(node));
        let mut moved = self.facts.take_of_cell(cell, is_strange);
        if Some(*cell) != self.home && self.remote.keep(*cell, now) {
            moved.extend(self.facts.of_cell(cell).cloned());
        }
        moved
    }

    /// Gives up the detail of cells of a region that ended, or never counted. Of one that led to others the last placements stay
    /// for as long as those need them.
    fn give_up_all_but(&mut self, fx: &mut Effects<'_>, region: &Region, living: &[CellId]) -> Vec<VerifiedFact> {
        // A cell that is not known any more came of a split that a recovery does not count.
        let of_region = |cell: &CellId| self.roster.cell(cell).is_none_or(|book| book.region() == region);
        let over: Vec<CellId> = self.facts.kept().filter(|cell| of_region(cell) && !living.contains(cell)).collect();
        let heirlooms = self.wanted_heirlooms();
        let mut moved = Vec::new();
        for cell in over {
            self.remote.drop_cell(&cell);
            let detail = self.facts.drop_cell(&cell);
            if heirlooms.contains(&cell) {
                self.facts.keep(cell);
            } else {
                self.give_up_placed(fx, cell, &detail);
            }
            moved.extend(detail);
        }
        moved
    }

    /// Members of the region that are not of the own cell are watched by their own.
    fn part_from_others(&mut self, region: &Region) {
        let far = |node: &&NodeId| !self.is_near(region, node);
        if *region == self.config.region {
            let far: Vec<NodeId> = self.swim.peers().keys().filter(far).copied().collect();
            for node in far {
                self.swim.dismiss(&node);
                self.doubtful.insert(node);
            }
        }
    }

    /// Forgets members of the region of whose cell no detail is kept, unless somebody talks to them.
    fn forget_the_far(&mut self, fx: &mut Effects<'_>, region: &Region) {
        let far = |member: &&Member| {
            // Almost all that are known are of another region, and at its start a node hears of every region.
            if member.region() != region {
                return false;
            }
            let node = member.node();
            let kept = self.cell_of(region, &node).is_none_or(|cell| self.facts.keeps(&cell));
            !kept && !self.contacts.of(&node).is_linked() && !self.founds_cells(&node)
        };
        let far: Vec<NodeId> = self.roster.members().filter(far).map(Member::node).collect();
        for node in far {
            self.forget_member(fx, &node);
            self.shown.remove(&node);
            self.doubtful.remove(&node);
        }
    }
}
