//! How far the groups of this node have handed over what they hold by former placements.

use std::collections::{BTreeMap, BTreeSet};

use hedgerow_crdt::replica::Standing;
use hedgerow_protocol::name::ClassName;
use hedgerow_protocol::placement::Settled;
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

/// What this node has to say of its cell's last placement, if there is one: which groups are not handed over. They are those
/// that it holds by a placement before that still counts, and those that it holds by none any more: it may have been away while
/// that was retired. A group whose task has not said anything of the last placement is not handed over.
pub(super) fn settled(view: &MeshView, standings: &Standings) -> Option<Settled> {
    let cell = view.cell?;
    let placement = view.placements.get(&cell)?;
    let held = placement.formers.values().flat_map(|former| &former.groups).filter(|(_, set)| set.contains(&view.me));
    let is_mine = |group: &(ClassName, u8)| placement.groups.get(group).is_some_and(|set| set.contains(&view.me));
    let of_cell = standings.keys().filter(|group| group.cell == cell).map(|group| (group.class.clone(), group.prefix));
    let strays = of_cell.filter(|group| !is_mine(group));
    let is_open = |(class, prefix): &(ClassName, u8)| match standings.get(&GroupId {
        cell,
        class: class.clone(),
        prefix: *prefix,
    }) {
        Some(GroupStanding::Held(standing)) => standing.epoch != placement.epoch || standing.is_open,
        Some(GroupStanding::Dropped) => false,
        None => true,
    };
    let groups: BTreeSet<(ClassName, u8)> = held.map(|(group, _)| group.clone()).chain(strays).collect();
    Some(Settled::but_for(cell, placement.epoch, groups.into_iter().filter(is_open)))
}

#[cfg(test)]
mod tests {
    use hedgerow_protocol::id::PlacementEpoch;
    use hedgerow_protocol::placement::Holdings;

    use super::*;
    use crate::core::testing::{CELL, cart, node, place, view};

    #[test]
    fn a_group_is_open_until_its_task_says_otherwise_of_the_last_placement() {
        let mut view = view(&[(1, vec![]), (2, vec![]), (3, vec![])]);
        for prefix in 0..5 {
            place(&mut view, 4, prefix, &[2, 3]);
        }
        let nothing_held = settled(&view, &Standings::new()).unwrap();
        assert!(nothing_held.is_complete());
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
            let said = settled(&view, standings).unwrap();
            assert_eq!((said.cell, said.epoch), (CELL, PlacementEpoch(4)));
            (0..16).filter(|prefix| said.is_open(&cart(), *prefix)).collect::<Vec<u8>>()
        };
        assert_eq!(open(&standings), [0, 1]);
        assert_eq!(open(&Standings::new()), [0, 1, 2, 3]);
        let stray = Standings::from([(group(7), held(4, true)), (group(8), held(4, false))]);
        assert_eq!(open(&stray), [0, 1, 2, 3, 7], "the placement by which it held group 7 was retired meanwhile");
    }
}
