//! Which decided placements still count, and when the holder of the lease has those retired that no longer need to.

use super::effects::Effects;
use super::interface::Lane;
use super::mesh_core::MeshCore;
use crate::defect::Defects;
use crate::fact::{FactKey, VerifiedFact};
use crate::id::{Generation, PlacementEpoch, Slot};
use crate::name::ClassName;
use crate::placement::{Holdings, PlacementTable, Settled, inherited, same_nodes};
use crate::register::{Content, VerifiedDecision};
use crate::roster::CellBook;
use crate::time::Mono;
use crate::wire::VerifiedMessage;
use hedgerow_attest::id::{CellId, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Former placements that may count beside the current one. Each is a table that every node of the cell keeps, and a set of
/// nodes in which every write needs a quorum; where one more is wanted the oldest is retired first, whoever still holds what:
/// that permits and never forces.
pub(super) const FORMERS_MAX: usize = 4;

/// Time after which a node repeats to the holder what it said. A guess: what is lost on a link that is up is rare, and
/// nothing but room waits for it.
const REPEAT: Duration = Duration::from_secs(4);

/// Placements that a node asks for by name when it missed some; the comparison of facts brings the rest.
const PLACEMENTS_ASKED: u64 = 64;

/// What is known of placements that wait for their retirement.
#[derive(Debug, Default)]
pub(super) struct Retiring {
    /// The placements that are decided and kept, by cell.
    kept: BTreeMap<CellId, BTreeSet<PlacementEpoch>>,
    /// What this node's sessions said last of each cell.
    own: BTreeMap<CellId, Settled>,
    /// Whom this node told that, and when.
    told: BTreeMap<CellId, (NodeId, Mono)>,
    /// Since when it is known in this run that a cell ended.
    ended: BTreeMap<CellId, Mono>,
    /// What others told this node while it led.
    heard: BTreeMap<NodeId, Settled>,
}

impl<D: Defects> MeshCore<D> {
    /// The last table that the register of the cell decided, followed here or not. Until it decided one, that of the cell whose
    /// place it took is its own: what was written by that is where it says.
    pub(super) fn decided_table(&self, cell: &CellId) -> Option<&PlacementTable> {
        self.own_table(cell).or_else(|| self.parents(*cell).find_map(|parent| self.own_table(&parent)))
    }

    /// The number of the last table of the cell, or of one that led to it: numbers go on, so that a retirement speaks of both.
    pub(super) fn last_epoch(&self, cell: &CellId) -> PlacementEpoch {
        let tables = self.own_table(cell).into_iter().chain(self.heirlooms(cell));
        let last = tables.map(|table| table.epoch).max().unwrap_or_default();
        last.max(PlacementEpoch(self.first_epoch(cell).0 - 1))
    }

    /// The number with which the tables of the present generation of a cell begin.
    fn first_epoch(&self, cell: &CellId) -> PlacementEpoch {
        let recovery = self.roster.cell(cell).and_then(CellBook::recovery);
        PlacementEpoch::first_of(recovery.map_or(Generation(0), |recovery| recovery.generation))
    }

    /// The cells by whose splits a cell came about, the last first.
    pub(super) fn parents(&self, cell: CellId) -> impl Iterator<Item = CellId> + '_ {
        std::iter::successors(self.roster.parent_of(&cell), |child| self.roster.parent_of(child))
    }

    /// The last tables of cells that ended and led to this one.
    pub(super) fn heirlooms(&self, cell: &CellId) -> impl Iterator<Item = &PlacementTable> {
        self.led_to(cell).filter_map(|other| self.own_table(&other))
    }

    /// Cells that ended and led to this one, as far as what they placed is kept.
    pub(super) fn led_to(&self, cell: &CellId) -> impl Iterator<Item = CellId> {
        self.facts.kept().filter(move |other| other != cell && self.roster.leads_to(other, cell))
    }

    /// The last table that the register of the cell itself decided.
    pub(super) fn own_table(&self, cell: &CellId) -> Option<&PlacementTable> {
        self.table(cell, *self.retiring.kept.get(cell)?.last()?)
    }

    fn table(&self, cell: &CellId, epoch: PlacementEpoch) -> Option<&PlacementTable> {
        self.decision(cell, epoch)?.value.content.table()
    }

    /// The cells that ended and whose groups that table of the cell places, each with the first table that names it.
    pub(super) fn inherits(&self, cell: &CellId, epoch: PlacementEpoch) -> BTreeMap<CellId, PlacementEpoch> {
        let inherits = self.decision(cell, epoch).map_or(&[][..], |decision| decision.value.content.inherits());
        inherits.iter().map(|inherited| (inherited.cell, inherited.since)).collect()
    }

    /// A cell is known to have ended.
    pub(super) fn note_end(&mut self, now: Mono, cell: CellId) {
        // What was said of the cell to which it leads was not said of what came from it.
        self.retiring.own.clear();
        self.retiring.ended.insert(cell, now);
    }

    /// A recovery does not count the end of that cell.
    pub(super) fn forget_end(&mut self, cell: &CellId) {
        self.retiring.ended.remove(cell);
    }

    /// Since when that is known.
    pub(super) fn end_noted(&self, cell: &CellId) -> Option<Mono> {
        self.retiring.ended.get(cell).copied()
    }

    fn decision(&self, cell: &CellId, epoch: PlacementEpoch) -> Option<&VerifiedDecision> {
        self.facts.get(&FactKey::Placement(*cell, epoch))?.decided()
    }

    /// The placement of the cell that was decided last, and in which slot. It may have a lower number than another, where its
    /// proposer knew of none later; and it may be the end of the register, so that it is kept whatever it says.
    fn newest(&self, cell: &CellId) -> Option<(Slot, PlacementEpoch)> {
        let kept = self.retiring.kept.get(cell)?.iter();
        kept.filter_map(|epoch| Some((self.decision(cell, *epoch)?.value.slot, *epoch))).max()
    }

    /// Whether a placement was retired and the one that followed it is not known yet.
    pub(super) fn misses_placement(&self, cell: &CellId) -> bool {
        let retired = self.retired(cell);
        retired > PlacementEpoch(0) && self.decided_table(cell).is_none_or(|table| table.epoch <= retired)
    }

    /// The key of the last placement that the register of the cell decided.
    pub(super) fn decided_key(&self, cell: &CellId) -> Option<FactKey> {
        Some(FactKey::Placement(*cell, *self.retiring.kept.get(cell)?.last()?))
    }

    /// The cells of which a placement is known.
    pub(super) fn placed_cells(&self) -> impl Iterator<Item = CellId> + '_ {
        self.retiring.kept.keys().copied()
    }

    /// The placements of the cell before that one which still count, oldest first, as far as they are known. Those of cells that
    /// led to this one are `placement::inherited`.
    pub(super) fn formers(&self, cell: &CellId, epoch: PlacementEpoch) -> Vec<&PlacementTable> {
        let retired = self.retired(cell);
        let kept = self.retiring.kept.get(cell).into_iter().flatten();
        let counts = |known: &&PlacementEpoch| **known > retired && **known < epoch;
        kept.filter(counts).filter_map(|known| self.table(cell, *known)).collect()
    }

    /// The last placement of the cell that is retired; 0 if none.
    pub(super) fn retired(&self, cell: &CellId) -> PlacementEpoch {
        let retirement = self.facts.get(&FactKey::Retirement(*cell)).and_then(VerifiedFact::decided);
        retirement.and_then(|decision| decision.value.content.retires()).unwrap_or(PlacementEpoch(0))
    }

    /// Whether a decision is of a placement that is retired, while a later one is known.
    pub(super) fn is_over(&self, decision: &VerifiedDecision) -> bool {
        let Some(table) = decision.value.content.table() else { return false };
        let cell = &decision.value.cell;
        let later = |kept: &BTreeSet<PlacementEpoch>| kept.last().is_some_and(|last| *last > table.epoch);
        table.epoch <= self.retired(cell)
            && self.retiring.kept.get(cell).is_some_and(later)
            && self.newest(cell).is_some_and(|(newest, _)| newest > decision.value.slot)
    }

    /// A placement or a retirement was decided: what no longer counts is forgotten, but never the last one, by its number or
    /// by its slot.
    pub(super) fn follow_placements(&mut self, fx: &mut Effects<'_>, cell: CellId, content: &Content) {
        let retired = self.retired(&cell);
        if let Some(table) = content.table() {
            self.retiring.kept.entry(cell).or_default().insert(table.epoch);
        }
        let newest = self.newest(&cell).map(|(_, epoch)| epoch);
        let kept = self.retiring.kept.entry(cell).or_default();
        let stays = [kept.last().copied(), newest];
        let is_over = |known: &PlacementEpoch| *known <= retired && !stays.contains(&Some(*known));
        let over: Vec<PlacementEpoch> = kept.extract_if(.., |known| is_over(known)).collect();
        for epoch in over {
            self.forget(fx, &FactKey::Placement(cell, epoch));
        }
        self.touch();
    }

    /// A recovery does not count what was decided there: the table before it is followed again.
    pub(super) fn forget_placement(&mut self, key: &FactKey) {
        let FactKey::Placement(cell, epoch) = key else { return };
        if let Some(kept) = self.retiring.kept.get_mut(cell) {
            kept.remove(epoch);
        }
        self.placements.remove(cell);
    }

    /// The detail of a cell is kept no longer.
    pub(super) fn forget_placements(&mut self, cell: &CellId) {
        self.retiring.kept.remove(cell);
        self.retiring.own.remove(cell);
        self.retiring.told.remove(cell);
    }

    /// Keys of the placements that may have been decided in the slots that this node missed.
    pub(super) fn missed_placements(&self, cell: &CellId, slots: u64) -> Vec<FactKey> {
        let known = self.retiring.kept.get(cell).and_then(BTreeSet::last).copied().unwrap_or_default();
        let first = known.next().max(self.first_epoch(cell)).0;
        let missed = (first..).take(usize::try_from(slots.min(PLACEMENTS_ASKED)).unwrap_or(0));
        missed.map(|epoch| FactKey::Placement(*cell, PlacementEpoch(epoch))).collect()
    }

    /// This node's sessions say what they have handed over.
    pub(super) fn settled_here(&mut self, fx: &mut Effects<'_>, settled: Settled, ended: usize) {
        let cell = settled.cell;
        // A table may name a cell whose end is not known here: what that had placed was not handed over by this word.
        let named = self.inherits(&cell, settled.epoch).into_keys();
        let is_known =
            |cell: CellId| self.roster.end_of(&cell).is_some() || self.roster.recoveries_of(&cell).next().is_some();
        let knew_all = ended == self.roster.ended() && { named }.all(is_known);
        if knew_all && self.placements.contains_key(&cell) && self.retiring.own.get(&cell) != Some(&settled) {
            self.retiring.own.insert(cell, settled);
            self.retiring.told.remove(&cell);
            // What a view says of a departure rests on it.
            self.touch();
            self.tell_settled(fx);
        }
    }

    /// A replica tells the holder what it has handed over. Nobody else has a use for it, and it will be repeated.
    pub(super) fn settled_there(&mut self, now: Mono, from: NodeId, settled: Settled) {
        let of_region = self.roster.member(&from).is_some_and(|member| *member.region() == self.config.region);
        if of_region && self.home == Some(settled.cell) && self.cell.holds(now).is_some() {
            self.retiring.heard.insert(from, settled);
        }
    }

    /// Tells the holders of leases what this node has handed over, while anything waits for that. What it held in a cell that
    /// was split may live in the other half.
    pub(super) fn tell_settled(&mut self, fx: &mut Effects<'_>) {
        let cells: Vec<CellId> = self.retiring.own.keys().filter(|_| self.is_running()).copied().collect();
        for cell in cells {
            let holder = if self.home == Some(cell) {
                self.cell.known(fx.now).map(|known| known.holder)
            } else {
                self.rollup(&cell).map(|rollup| rollup.holder)
            };
            let (Some(own), Some(holder)) = (self.retiring.own.get(&cell).cloned(), holder) else { continue };
            let told = self.retiring.told.get(&cell);
            let told = told.is_some_and(|(to, at)| *to == holder && fx.now.since(*at) < REPEAT);
            if told || holder == self.config.me || !self.is_waited_for(&cell, own.epoch) {
                continue;
            }
            self.retiring.told.insert(cell, (holder, fx.now));
            fx.send(holder, Lane::Rpc, VerifiedMessage::Settled(own));
            if !self.contacts.of(&holder).is_linked() {
                self.dial(fx, holder);
            }
        }
    }

    /// Whether a placement before that one still counts and gives this node a group.
    fn is_waited_for(&self, cell: &CellId, epoch: PlacementEpoch) -> bool {
        let current = self.placements.get(cell).is_some_and(|followed| followed.epoch == epoch);
        current && self.held_before(cell, epoch)
    }

    /// Whether this node holds a group of the cell by a placement before that one which still counts, of the cell itself or of
    /// one that led to it.
    fn held_before(&self, cell: &CellId, epoch: PlacementEpoch) -> bool {
        let me = self.config.me;
        if self.formers(cell, epoch).into_iter().any(|former| holds(former, &me)) {
            return true;
        }
        let heirs = self.led_to(cell).any(|ended| self.placements.contains_key(&ended));
        let rows = |views: &_| inherited(&self.lineage(), views, cell).iter().any(|(.., nodes)| nodes.contains(&me));
        heirs && rows(&self.placement_views(&[]))
    }

    /// Whether this node holds sessions by the present placement, or its sessions have not said of the last placement of every
    /// cell that they handed over all that they have. What they said of an earlier one says nothing: of one that was retired
    /// while this node was away it may have what nobody else has.
    pub(super) fn is_holding(&self) -> bool {
        let Some(cell) = self.home else { return false };
        let is_open = |(cell, followed): (&CellId, &PlacementTable)| {
            let said = self.retiring.own.get(cell).filter(|said| said.epoch == followed.epoch);
            said.is_none_or(|said| !said.is_complete())
        };
        let here = self.placements.get(&cell).is_some_and(|followed| holds(followed, &self.config.me));
        // A cell of which it follows no table yet, though one was decided there or before it, may give it something to hand over.
        let is_unplaced = |cell: &CellId| {
            !self.placements.contains_key(cell)
                && (self.decided_table(cell).is_some() || self.heirlooms(cell).next().is_some())
        };
        let mut near = self.roster.cells_of(&self.config.region).into_iter();
        here || near.any(|cell| is_unplaced(&cell))
            || self.placements.iter().filter(|(cell, _)| self.roster.end_of(cell).is_none()).any(is_open)
    }

    /// The placement that the holder has retired next, with all before it: every group has been handed over to a quorum of
    /// its holders of today by every former holder that is not down, those by tables of cells that led to this one included.
    /// Those that are down, or have left, keep what they have and hand it over when they are back.
    pub(super) fn next_retirement(&self, now: Mono, cell: &CellId) -> Option<PlacementEpoch> {
        let current = self.own_table(cell)?;
        let today = Holdings::of_table(current);
        let own = self.formers(cell, current.epoch);
        let lineage = self.lineage();
        let retired = self.retired(cell);
        let comes_after = |since: &PlacementEpoch| *since > retired.next();
        let heirs = self.inherits(cell, current.epoch).values().any(comes_after) || self.is_behind(cell, retired);
        let before = PlacementEpoch(current.epoch.0.saturating_sub(1));
        let last = if heirs { before } else { own.last()?.epoch };
        if last <= retired {
            return None;
        }
        let policy = self.policies.in_force();
        let is_wanted = |class: &ClassName| {
            let mut classes = policy.iter().flat_map(|(policy, _)| &policy.classes);
            classes.any(|wanted| wanted.name == *class && wanted.allows(&self.config.region))
        };
        let handed_over = |(class, prefix): &(ClassName, u8), former: &[NodeId]| {
            let holders = today.group(class, *prefix);
            let has_handed_over = |node: &NodeId| {
                let said = self.said_settled(cell, node).filter(|said| said.epoch == current.epoch);
                said.is_some_and(|said| !said.is_open(class, *prefix)) || self.is_away(now, node)
            };
            // Where nobody may hold it there is nobody to hand it over to; where nobody can, somebody will.
            let is_over = holders.is_empty() && !is_wanted(class);
            is_over || same_nodes(holders, former) || former.iter().all(has_handed_over)
        };
        let own = own.into_iter().map(Holdings::of_table);
        let own_over = |held: Holdings| held.groups.iter().all(|(row, former)| handed_over(row, former));
        if !{ own }.all(own_over) {
            return None;
        }
        let views = if heirs { self.placement_views(&[]) } else { BTreeMap::new() };
        let rows = inherited(&lineage, &views, cell);
        rows.into_iter().all(|(_, row, former)| handed_over(row, former)).then_some(last)
    }

    /// Whether a member has left, or has been down for longer than a repair waits.
    fn is_away(&self, now: Mono, node: &NodeId) -> bool {
        let is_known = *node == self.config.me || self.liveness(node).is_some();
        !is_known || self.has_left(node) || self.is_overdue(now, node)
    }

    fn said_settled(&self, cell: &CellId, node: &NodeId) -> Option<&Settled> {
        let me = *node == self.config.me;
        let said = if me { self.retiring.own.get(cell) } else { self.retiring.heard.get(node) };
        said.filter(|said| said.cell == *cell)
    }

    /// The oldest placement, where there is no room for one more beside the current one.
    pub(super) fn crowded_out(&self, cell: &CellId) -> Option<PlacementEpoch> {
        let current = self.decided_table(cell)?;
        let formers = self.formers(cell, current.epoch);
        let oldest = formers.first()?.epoch;
        (formers.len() >= FORMERS_MAX).then_some(oldest)
    }
}

/// Whether the node holds a group by that table.
fn holds(table: &PlacementTable, node: &NodeId) -> bool {
    Holdings::of_table(table).groups.values().any(|set| set.contains(node))
}
