//! Tests of which groups are told what.

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
    let told = sets_here(&view);
    assert_eq!(sets_gone(&view, &told), []);

    place(&mut view, 5, 1, &[2, 3]);
    let gone = sets_gone(&view, &told);
    let moved = ReplicaSet { nodes: vec![node(2), node(3)], epoch: view.placements[&CELL].epoch, ..told[1].clone() };
    assert_eq!(gone, [moved]);

    view.policy = None;
    let nowhere: Vec<_> = told.iter().map(|set| ReplicaSet { nodes: vec![], ..set.clone() }).collect();
    assert_eq!(sets_gone(&view, &told), nowhere);
}
