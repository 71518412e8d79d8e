//! How far the groups of this node have handed over what they hold by former placements.

use std::collections::{BTreeMap, BTreeSet};

use hedgerow_attest::id::CellId;
use hedgerow_crdt::replica::Standing;
use hedgerow_protocol::placement::{Duty, Settled, duty};
use hedgerow_protocol::session_id::GroupId;
use hedgerow_protocol::view::MeshView;

/// What each group's task said last.
pub(super) type Standings = BTreeMap<GroupId, GroupStanding>;

/// What one group's task said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GroupStanding {
    /// How far its hand-over is.
    Held(Standing),
    /// Everything was handed over and dropped; the task has ended.
    Dropped,
}

/// What this node has to say of the last placement of each cell that has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// How many cells had ended as far as was known.
    pub(super) ended: usize,
    pub(super) cells: BTreeMap<CellId, Settled>,
}

/// Which groups are not handed over, cell by cell: those that this node holds by a placement before the last one that still
/// counts, those of cells that ended which the table of the cell in which they live does not place yet, and those that it holds
/// by none any more: it may have been away while that was retired. A group whose task has not said anything of the last
/// placement is not handed over; of a cell that ended only those have anything that have a task.
pub(super) fn settled(view: &MeshView, standings: &Standings, running: impl IntoIterator<Item = GroupId>) -> Said {
    let mut groups: BTreeSet<GroupId> = running.into_iter().chain(standings.keys().cloned()).collect();
    for (cell, placement) in view.placements.iter().filter(|(cell, _)| !view.lineage.has_ended(cell)) {
        let former = placement.formers.values().flat_map(|former| &former.groups);
        let held = former.filter(|(_, nodes)| nodes.contains(&view.me)).map(|(row, _)| row);
        groups.extend(held.map(|(class, prefix)| GroupId { cell: *cell, class: class.clone(), prefix: *prefix }));
    }
    let open = groups.into_iter().filter(|group| is_open(view, standings, group));
    Said { ended: view.lineage.len(), cells: Settled::of_living(&view.lineage, &view.placements, open) }
}

fn is_open(view: &MeshView, standings: &Standings, group: &GroupId) -> bool {
    let standing = match standings.get(group) {
        Some(GroupStanding::Held(standing)) => Some(standing),
        Some(GroupStanding::Dropped) => return false,
        None => None,
    };
    let home = view.placements.get(&view.lineage.home(group));
    let is_told = |epoch| home.is_some_and(|placement| placement.epoch == epoch);
    match duty(&view.lineage, &view.placements, group, &view.me) {
        Duty::Stays => false,
        Duty::HandsOver => standing.is_none_or(|standing| !is_told(standing.epoch) || standing.is_open),
        Duty::Keeps => true,
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_protocol::id::PlacementEpoch;
    use hedgerow_protocol::placement::Holdings;

    use super::*;
    use crate::core::testing::{CELL, OLD, cart, end_old, node, place, view};

    #[test]
    fn a_group_is_open_until_its_task_says_otherwise_of_the_last_placement() {
        let mut view = view(&[(1, vec![]), (2, vec![]), (3, vec![])]);
        for prefix in 0..9 {
            place(&mut view, 4, prefix, &[2, 3]);
        }
        let nothing_held = settled(&view, &Standings::new(), []);
        assert!(nothing_held.cells[&CELL].is_complete());
        let former = Holdings {
            groups: (0..5).map(|prefix| ((cart(), prefix), vec![node(if prefix == 4 { 2 } else { 1 })])).collect(),
            ..Holdings::default()
        };
        view.placements.get_mut(&CELL).unwrap().formers.insert(PlacementEpoch(3), former);
        let held = |epoch, is_open| GroupStanding::Held(Standing { epoch: PlacementEpoch(epoch), is_open });
        let said = [(0, held(4, true)), (1, held(3, false)), (2, held(4, false)), (3, GroupStanding::Dropped)];
        let group = |prefix| GroupId { cell: CELL, class: cart(), prefix };
        let standings: Standings = said.map(|(prefix, standing)| (group(prefix), standing)).into();
        let open = |standings: &Standings| {
            let said = settled(&view, standings, []).cells[&CELL].clone();
            assert_eq!((said.cell, said.epoch), (CELL, PlacementEpoch(4)));
            (0..16).filter(|prefix| said.is_open(&cart(), *prefix)).collect::<Vec<u8>>()
        };
        assert_eq!(open(&standings), [0, 1]);
        assert_eq!(open(&Standings::new()), [0, 1, 2, 3]);
        let stray = Standings::from([(group(7), held(4, true)), (group(8), held(4, false))]);
        assert_eq!(open(&stray), [0, 1, 2, 3, 7], "the placement by which it held group 7 was retired meanwhile");
    }

    #[test]
    fn a_group_of_a_cell_that_ended_is_open_until_those_have_it_whom_the_next_names() {
        let mut view = view(&[(1, vec![]), (2, vec![]), (3, vec![])]);
        place(&mut view, 4, 0, &[2, 3]);
        let said_then = settled(&view, &Standings::new(), []);
        assert!(said_then.ended == 0 && said_then.cells[&CELL].is_complete());
        end_old(&mut view, 2, 0, &[1, 2], None);
        let group = GroupId { cell: OLD, class: cart(), prefix: 0 };
        let held = |epoch, is_open| GroupStanding::Held(Standing { epoch: PlacementEpoch(epoch), is_open });
        let said = |view: &MeshView, standing| {
            let said = settled(view, &Standings::from([(group.clone(), standing)]), [group.clone()]);
            assert_eq!((said.ended, said.cells.len()), (1, 1), "nobody waits for the word of a cell that ended");
            said.cells[&CELL].is_open(&cart(), 0)
        };
        assert!(said(&view, held(2, false)), "the cell in which it lives does not place it yet");
        place(&mut view, 5, 0, &[2, 3]);
        end_old(&mut view, 2, 0, &[1, 2], Some(5));
        assert!(said(&view, held(2, false)), "its task has not heard of that");
        assert!(said(&view, held(5, true)));
        assert!(!said(&view, held(5, false)));
        assert!(!said(&view, GroupStanding::Dropped));
    }
}
