//! What cells that ended placed: for how long that is kept, and when the table of another cell takes it over.

use super::effects::Effects;
use super::interface::Output;
use super::mesh_core::MeshCore;
use super::snapshot::delete_fact;
use crate::defect::{Defect, Defects};
use crate::fact::{FactKey, Scope, VerifiedFact};
use crate::id::PlacementEpoch;
use crate::placement::{PlacementTable, still_counts};
use crate::register::{Content, INHERITED_MAX, Inherited, Takeover};
use crate::time::Mono;
use hedgerow_attest::id::CellId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Cells that ended and whose placements are kept at most; of more the nearest to a cell that has not. Beside the mesh, the own
/// cell and eight others they fit into one comparison ([`crate::wire::SCOPES_MAX`]).
const HEIRLOOMS_MAX: usize = 6;

/// How long a holder waits for the last table of a cell that ended, of which it may be that there is none. A guess: several
/// comparisons of facts. What it does not wait for counts later, when it comes.
const PATIENCE: Duration = Duration::from_secs(10);

impl<D: Defects> MeshCore<D> {
    /// The ended cells whose placements some cell still needs, the nearest first. Those that ended in what a recovery has unmade
    /// are among them: they go on from before their ends when operators say so.
    pub(super) fn wanted_heirlooms(&self) -> Vec<CellId> {
        let lineage = self.lineage();
        let mut wanted = Vec::new();
        let here = |cell: &CellId| {
            let of_region = |of: &CellId| self.roster.cell(of).is_some_and(|book| *book.region() == self.config.region);
            self.facts.keeps(cell) || Some(*cell) == self.home || of_region(cell)
        };
        let living = self.roster.cells().map(|(cell, _)| cell).filter(|_| !lineage.is_empty());
        let is_dead_end = |cell: &CellId| self.roster.living_after(*cell).is_empty();
        let dead_ends = lineage.ended().filter(is_dead_end);
        // What leads to where this node itself is comes first.
        let own = self.home.or_else(|| self.roster.dead_end(&self.origin?, &self.config.me)?.chartered().copied());
        let mut heads: Vec<CellId> = living.chain(dead_ends).filter(here).collect();
        heads.sort_by_key(|cell| Some(*cell) != own);
        for cell in heads {
            wanted.extend(lineage.has_ended(&cell).then_some(cell));
            let needed = lineage.leading_to(&cell).into_iter().filter(|ended| self.needs(&cell, ended));
            wanted.extend(needed);
        }
        let mut seen = BTreeSet::new();
        wanted.retain(|cell| seen.insert(*cell));
        wanted.truncate(HEIRLOOMS_MAX);
        wanted
    }

    /// Whether something that an ended cell placed may count in that one.
    fn needs(&self, cell: &CellId, ended: &CellId) -> bool {
        let followed = self.placements.get(cell).map(|table| table.epoch);
        let Some(epoch) = followed.filter(|_| self.own_table(cell).is_some()) else { return true };
        let last = self.own_table(ended).map_or(PlacementEpoch(0), |last| last.epoch);
        still_counts(&self.inherits(cell, epoch), self.retired(cell), ended, last)
    }

    /// Whether placements of cells that led to this one are kept.
    pub(super) fn has_heirlooms(&self, cell: &CellId) -> bool {
        self.led_to(cell).next().is_some()
    }

    /// Whether a cell that led to this one placed something under a number that is not retired here.
    pub(super) fn is_behind(&self, cell: &CellId, epoch: PlacementEpoch) -> bool {
        self.heirlooms(cell).any(|table| table.epoch > epoch)
    }

    /// Keeps the placements of ended cells that some cell needs, and gives up those that none does.
    pub(super) fn settle_heirlooms(&mut self, fx: &mut Effects<'_>) {
        let wanted = self.wanted_heirlooms();
        let over: Vec<CellId> = self.facts.kept().filter(|kept| self.roster.end_of(kept).is_some()).collect();
        for cell in over.into_iter().filter(|cell| !wanted.contains(cell)) {
            fx.sometimes("what an ended cell had placed was given up");
            let detail = self.facts.drop_cell(&cell);
            self.give_up_placed(fx, cell, &detail);
            self.touch();
        }
        for cell in wanted {
            if !self.facts.keeps(&cell) {
                self.facts.keep(cell);
                fx.push(Output::Follow(Scope::Cell(cell)));
            }
        }
    }

    /// Forgets what a cell had placed, of which this node keeps no detail any more.
    pub(super) fn give_up_placed(&mut self, fx: &mut Effects<'_>, cell: CellId, detail: &[VerifiedFact]) {
        for key in detail.iter().map(VerifiedFact::key) {
            if let FactKey::Placement(..) | FactKey::Retirement(_) = key {
                fx.persist(vec![delete_fact(key)], false);
            }
        }
        self.placements.remove(&cell);
        self.forget_placements(&cell);
        fx.push(Output::Unfollow(Scope::Cell(cell)));
    }

    /// A table as the register of the cell should decide it, if it says anything beyond the last one.
    pub(super) fn next_table(&self, now: Mono, cell: &CellId, table: PlacementTable) -> Option<Content> {
        let own = self.own_table(cell);
        let former = self.last_inherits(cell);
        let inherits = self.next_inherits(now, cell, former.clone(), table.epoch)?;
        let moved = !inherits.keys().eq(former.keys()) || own.is_some_and(|own| self.is_behind(cell, own.epoch));
        let previous = self.decided_table(cell);
        let same = previous.map_or_else(|| table.is_empty(), |previous| !moved && previous.places_like(&table));
        if same {
            return None;
        }
        if let Some(oldest) = self.crowded_out(cell) {
            return Some(Content::Retirement(oldest));
        }
        if inherits.is_empty() {
            return Some(Content::Placement(table));
        }
        let inherits = inherits.into_iter().map(|(cell, since)| Inherited { cell, since }).collect();
        Some(Content::Takeover(Takeover { table, inherits }))
    }

    /// The ended cells that the next table names: those that the last one did, and others that led here, once their last table
    /// is known. Nothing while that of the cell whose place this one took may still come.
    fn next_inherits(
        &self,
        now: Mono,
        cell: &CellId,
        mut inherits: BTreeMap<CellId, PlacementEpoch>,
        next: PlacementEpoch,
    ) -> Option<BTreeMap<CellId, PlacementEpoch>> {
        let leading = self.lineage().leading_to(cell);
        if self.defects.has(Defect::TakeoverNamesNothing) {
            return Some(inherits);
        }
        let waited = |ended: &CellId| self.end_noted(ended).is_none_or(|since| now.since(since) >= PATIENCE);
        let is_ready = |ended: &CellId| self.own_table(ended).is_some() || waited(ended);
        if self.own_table(cell).is_none() && self.roster.parent_of(cell).is_some_and(|parent| !is_ready(&parent)) {
            return None;
        }
        let tables = || leading.iter().filter_map(|ended| Some((ended, self.own_table(ended)?.epoch)));
        let taken: BTreeSet<CellId> =
            tables().flat_map(|(ended, epoch)| self.inherits(ended, epoch).into_keys()).collect();
        for ended in leading.iter().filter(|ended| is_ready(ended) || taken.contains(*ended)) {
            inherits.entry(*ended).or_insert(next);
        }
        while inherits.len() > INHERITED_MAX {
            let first = inherits.iter().min_by_key(|(cell, since)| (**since, **cell)).map(|(cell, _)| *cell)?;
            inherits.remove(&first);
        }
        Some(inherits)
    }

    /// Whether a table that names those goes on with what the last one named. A full list leaves out those that were named first.
    pub(super) fn goes_on(&self, cell: &CellId, named: &[Inherited]) -> bool {
        let is_named = |(cell, since): (CellId, PlacementEpoch)| named.contains(&Inherited { cell, since });
        named.len() >= INHERITED_MAX || self.last_inherits(cell).into_iter().all(is_named)
    }

    /// The ended cells that the last table of a cell names.
    fn last_inherits(&self, cell: &CellId) -> BTreeMap<CellId, PlacementEpoch> {
        self.own_table(cell).map(|own| self.inherits(cell, own.epoch)).unwrap_or_default()
    }
}
