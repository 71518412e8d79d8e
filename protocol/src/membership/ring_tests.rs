//! Tests of the rings: who watches whom.

use super::*;
use crate::fact::{Health, Liveness, NodeRecord, NodeState};
use crate::id::{BootId, Incarnation};
use crate::time::{Mono, Wall};
use hedgerow_attest::region::Region;

const K: u8 = Monitoring::OBSERVERS_MAX;

fn node(n: u8) -> NodeId {
    NodeId::from_bytes(*blake3::hash(&[n]).as_bytes())
}

/// The cell of nodes `0..size`, as one of them sees it.
fn members(me: u8, size: u8) -> Members {
    let mut members = Members::new(node(me));
    for n in (0..size).filter(|n| *n != me) {
        let record = NodeRecord {
            node: node(n),
            boot: BootId([0; 16]),
            incarnation: Incarnation(1),
            seq: 1,
            region: Region::new("eu").unwrap(),
            cell: None,
            addresses: vec![],
            state: NodeState::Up,
            health: Health::default(),
            at: Wall(0),
        };
        members.insert(&record, Liveness::Alive, Mono(0), &mut Vec::new());
    }
    members
}

#[test]
fn whoever_observes_is_observed_and_everybody_draws_the_same() {
    let here = members(0, 100);
    for n in 0..100 {
        let own = neighbours(&members(n, 100), K, &node(n));
        assert_eq!(neighbours(&here, K, &node(n)), own, "seen from another");
        assert!(!own.contains(&node(n)));
        assert!((5..=8).contains(&own.len()), "{} neighbours", own.len());
        for other in own {
            assert!(neighbours(&here, K, &other).contains(&node(n)), "the other does not observe it");
        }
    }
}

#[test]
fn in_a_small_cell_everybody_watches_everybody() {
    for size in 2..=9 {
        assert_eq!(neighbours(&members(1, size), K, &node(1)).len(), usize::from(size) - 1);
    }
    assert!(neighbours(&members(1, 10), K, &node(1)).len() < 9);
    assert_eq!(neighbours(&members(0, 1), K, &node(0)), BTreeSet::new());
}

#[test]
fn one_member_more_or_less_changes_the_neighbours_of_few() {
    let (before, mut after) = (members(0, 100), members(0, 100));
    let gone = node(42);
    let widowed = neighbours(&before, K, &gone);
    after.set_found(&gone, Liveness::Down, Mono(1), &mut Vec::new());
    assert!(after.redraw);
    for n in (0..100).filter(|n| *n != 42) {
        let (then, now) = (neighbours(&before, K, &node(n)), neighbours(&after, K, &node(n)));
        assert!(!now.contains(&gone));
        assert!(then == now || widowed.contains(&node(n)), "only those next to it draw anew");
    }
    assert_eq!(neighbours(&after, K, &gone), widowed, "it keeps its observers, who wait for it");
}

#[test]
fn fewer_observers_mean_fewer_rings() {
    let members = members(0, 100);
    assert_eq!(neighbours(&members, 2, &node(7)).len(), 2);
    assert!(neighbours(&members, 2, &node(7)).is_subset(&neighbours(&members, K, &node(7))));
}
