//! Tests of which groups are told what.

use hedgerow_protocol::id::PlacementEpoch;
use hedgerow_protocol::placement::Holdings;

use super::*;
use crate::core::testing::{CELL, cart, node, place, view};

fn group(prefix: u8) -> GroupId {
    GroupId { cell: CELL, class: cart(), prefix }
}

#[test]
fn the_groups_of_this_node_are_those_that_the_placement_puts_here() {
    let mut view = view(&[(1, vec![]), (2, vec![]), (3, vec![])]);
    place(&mut view, 4, 0, &[2, 1]);
    place(&mut view, 4, 1, &[2, 3]);
    let sets = sets_here(&view);
    let told: Vec<_> = sets.iter().map(|set| (&set.group, set.epoch.0, set.nodes.clone())).collect();
    assert_eq!(told, [(&group(0), 4, vec![node(2), node(1)])]);
    view.policy = None;
    assert_eq!(sets_here(&view), []);
}

#[test]
fn a_group_that_moved_away_hears_where_and_one_that_nobody_may_hold_hears_nobody() {
    let mut view = view(&[(1, vec![]), (2, vec![]), (3, vec![])]);
    for prefix in 0..2 {
        place(&mut view, 4, prefix, &[1, 2]);
    }
    let sets = sets_here(&view);
    let told: Vec<_> = sets.iter().map(|set| (set.group.clone(), Some(set.clone()))).collect();
    assert_eq!(sets_gone(&view, &told), []);

    place(&mut view, 5, 1, &[2, 3]);
    let moved = ReplicaSet {
        nodes: vec![node(2), node(3)],
        epoch: view.placements[&CELL].epoch,
        is_settled: false,
        ..sets[1].clone()
    };
    assert_eq!(sets_gone(&view, &told), std::slice::from_ref(&moved));
    assert_eq!(
        sets_gone(&view, &[(group(1), None)]),
        [moved],
        "what a restart found in the log is handed over as well"
    );

    view.policy = None;
    let nowhere: Vec<_> =
        sets.iter().map(|set| ReplicaSet { nodes: vec![], is_settled: false, ..set.clone() }).collect();
    assert_eq!(sets_gone(&view, &told), nowhere);
    assert_eq!(sets_gone(&view, &[(group(1), None)]), [], "who knows no policy yet waits for it");
}

#[test]
fn a_group_stays_here_while_a_former_placement_counts() {
    let mut view = view(&[(1, vec![]), (2, vec![]), (3, vec![])]);
    place(&mut view, 4, 0, &[2, 3]);
    let former = Holdings { groups: BTreeMap::from([((cart(), 0), vec![node(1), node(2)])]), ..Holdings::default() };
    view.placements.get_mut(&CELL).unwrap().formers.insert(PlacementEpoch(3), former);
    let sets = sets_here(&view);
    let told: Vec<_> = sets.iter().map(|set| (set.nodes.clone(), set.formers.clone(), set.is_settled)).collect();
    assert_eq!(told, [(vec![node(2), node(3)], vec![vec![node(1), node(2)]], false)]);
    let here = [(group(0), Some(sets[0].clone()))];
    assert_eq!(sets_gone(&view, &here), []);
    let placement = view.placements.get_mut(&CELL).unwrap();
    (placement.retired, placement.formers) = (PlacementEpoch(3), BTreeMap::new());
    assert_eq!(sets_here(&view), []);
    let gone = ReplicaSet { formers: vec![], is_settled: true, ..sets[0].clone() };
    assert_eq!(sets_gone(&view, &here), [gone]);
}
