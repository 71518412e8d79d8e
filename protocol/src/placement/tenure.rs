//! Who holds one group, by every placement that counts for it: those of its cell, and those of the cells through which it came.
//!
//! A row of a table is that of the groups of its class and prefix that were born in the cell, or in an ended one that the table
//! names. A group goes by the last table that names its birth cell; what it went by before counts beside that until the
//! register of its cell says otherwise. See `docs/rfd/0005-split-and-merge.md`.

use super::lineage::Lineage;
use crate::id::PlacementEpoch;
use crate::name::ClassName;
use crate::register::INHERITED_MAX;
use crate::session_id::GroupId;
use crate::view::PlacementView;
use hedgerow_attest::id::{CellId, NodeId};
use std::collections::BTreeMap;

/// The placements of all cells, as far as they are known.
type Placements = BTreeMap<CellId, PlacementView>;

/// Class and hash prefix.
type Row = (ClassName, u8);

/// The placements that count for one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenure<'a> {
    /// The cell by whose last table the group goes.
    pub cell: CellId,
    /// That table.
    pub epoch: PlacementEpoch,
    /// Its nodes for the group, home first.
    pub nodes: &'a [NodeId],
    /// The placements before it that are not retired, oldest first.
    pub formers: Vec<Former<'a>>,
    /// Whether every placement before is retired.
    pub is_settled: bool,
}

/// A placement that was followed by another and still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Former<'a> {
    /// Whose placement it is.
    pub cell: CellId,
    /// Which one.
    pub epoch: PlacementEpoch,
    /// Its nodes for the group.
    pub nodes: &'a [NodeId],
}

/// What a node that may have anything of a group still owes to those that hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Nothing: it holds it by the last table of the cell in which the group lives, and by none before.
    Stays,
    /// To hand over what it has, until a quorum of those that hold it by that table has all of it.
    HandsOver,
    /// To keep what it has: that cell places it nowhere, or not yet.
    Keeps,
}

/// What a node owes of a group.
#[must_use]
pub fn duty(lineage: &Lineage, placements: &Placements, group: &GroupId, node: &NodeId) -> Duty {
    tenure(lineage, placements, group).map_or(Duty::Keeps, |tenure| tenure.duty(lineage, group, node))
}

impl Tenure<'_> {
    /// What a node owes of the group for which this was found.
    #[must_use]
    pub fn duty(&self, lineage: &Lineage, group: &GroupId, node: &NodeId) -> Duty {
        if self.cell != lineage.home(group) {
            return Duty::Keeps;
        }
        let stays = self.nodes.contains(node) && !self.formers.iter().any(|former| former.nodes.contains(node));
        if stays { Duty::Stays } else { Duty::HandsOver }
    }
}

/// The placements that count for a group; nothing where none is known.
#[must_use]
pub fn tenure<'a>(lineage: &Lineage, placements: &'a Placements, group: &GroupId) -> Option<Tenure<'a>> {
    let row: Row = (group.class.clone(), group.prefix);
    let path = lineage.path(&group.cell, &row.0, row.1);
    let speaks =
        |cell: &CellId| placements.get(cell).is_some_and(|placement| first_for(placement, cell, group).is_some());
    let place = path.iter().rposition(speaks)?;
    let cell = *path.get(place)?;
    let placement = placements.get(&cell)?;
    let nodes = placement.groups.get(&row)?;
    // Until a cell that came of a split decides a table it goes by that of the one before.
    let inherited = placed_parent(lineage, placements, &group.cell);
    let mut formers: Vec<Former<'a>> = Vec::new();
    let before: Vec<CellId> = inherited.into_iter().chain(path.iter().take(place).copied()).collect();
    for (at, former) in before.iter().enumerate() {
        let Some(tables) = placements.get(former) else { continue };
        let is_inherited = inherited == Some(*former);
        let Some(since) = first_for(tables, former, group).or(is_inherited.then_some(PlacementEpoch(0))) else {
            continue;
        };
        let later: Vec<&CellId> = before.iter().skip(at + 1).chain([&cell]).collect();
        for (epoch, groups) in tables_of(tables).filter(|(epoch, _)| *epoch >= since) {
            if later.iter().all(|cell| counts(placements, former, epoch, cell)) {
                let nodes = groups.get(&row).map_or(&[][..], Vec::as_slice);
                formers.push(Former { cell: *former, epoch, nodes });
            }
        }
    }
    let since = first_for(placement, &cell, group)?;
    let own = placement.formers.iter().filter(|(epoch, _)| **epoch >= since);
    formers.extend(own.map(|(epoch, held)| Former { cell, epoch: *epoch, nodes: held.group(&row.0, row.1) }));
    formers.retain(|former| !former.nodes.is_empty());
    let is_settled = formers.is_empty() && placement.retired.next() >= placement.epoch;
    Some(Tenure { cell, epoch: placement.epoch, nodes, formers, is_settled })
}

/// The rows of other cells' tables that count beside those of that cell, each with who holds it by them.
pub(crate) fn inherited<'a>(
    lineage: &Lineage,
    placements: &'a Placements,
    cell: &CellId,
) -> Vec<(PlacementEpoch, &'a Row, &'a [NodeId])> {
    let parent = placed_parent(lineage, placements, cell);
    let mut rows = Vec::new();
    for other in lineage.leading_to(cell) {
        let Some(tables) = placements.get(&other) else { continue };
        for (epoch, groups) in tables_of(tables) {
            if counts(placements, &other, epoch, cell) {
                let here =
                    |row: &Row| parent == Some(other) || lineage.path(&other, &row.0, row.1).last() == Some(cell);
                rows.extend(
                    groups.iter().filter(|(row, _)| here(row)).map(|(row, nodes)| (epoch, row, nodes.as_slice())),
                );
            }
        }
    }
    rows
}

/// Whether a table of a cell that ended counts beside those of one to which it led.
fn counts(placements: &Placements, ended: &CellId, epoch: PlacementEpoch, cell: &CellId) -> bool {
    placements.get(cell).is_none_or(|placement| still_counts(&placement.inherits, placement.retired, ended, epoch))
}

/// The same by what the last table of that one names, and how far its placements are retired.
pub(crate) fn still_counts(
    inherits: &BTreeMap<CellId, PlacementEpoch>,
    retired: PlacementEpoch,
    ended: &CellId,
    epoch: PlacementEpoch,
) -> bool {
    // A full list leaves out those that were named first.
    inherits.get(ended).map_or(inherits.len() < INHERITED_MAX, |since| *since > retired.next() || epoch > retired)
}

/// The first table of the cell that is about the group; nothing where the last one is not.
fn first_for(placement: &PlacementView, cell: &CellId, group: &GroupId) -> Option<PlacementEpoch> {
    if *cell == group.cell || placement.inherits.len() >= INHERITED_MAX {
        return Some(PlacementEpoch(0));
    }
    placement.inherits.get(&group.cell).copied()
}

/// Each table of a cell that counts, oldest first.
fn tables_of(placement: &PlacementView) -> impl Iterator<Item = (PlacementEpoch, &BTreeMap<Row, Vec<NodeId>>)> {
    let formers = placement.formers.iter().map(|(epoch, held)| (*epoch, &held.groups));
    formers.chain([(placement.epoch, &placement.groups)])
}

/// The cell of whose split a cell came and that placed something, the last of them.
fn placed_parent(lineage: &Lineage, placements: &Placements, cell: &CellId) -> Option<CellId> {
    lineage.parents(cell).into_iter().find(|parent| placements.contains_key(parent))
}

#[cfg(test)]
#[path = "tenure_tests.rs"]
mod tests;
