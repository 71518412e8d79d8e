//! A group that moves from three nodes to three others: by hand, and with everybody learning of everything at any time.

use std::{collections::BTreeMap, time::Duration};

use hedgerow_protocol::{id::PlacementEpoch, placement::ReplicaSet};
use proptest::prelude::*;
use serde_json::json;

use crate::{
    replica::{Found, ReadResult, Refusal, Standing, WriteResult, Written, harness::Mesh},
    testing::{increment, node, put, session},
};

const OLD: [u8; 3] = [1, 2, 3];
const NEW: [u8; 3] = [4, 5, 6];

/// What a node knows: the first placement alone, both, or that the first is retired.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
enum Known {
    First,
    Both,
    Retired,
}

fn set(mesh: &Mesh, known: Known) -> ReplicaSet {
    let [old, new] = [OLD, NEW].map(|numbers| numbers.map(node).to_vec());
    let first = ReplicaSet { nodes: old.clone(), formers: vec![], is_settled: true, ..mesh.told(1).clone() };
    let second = ReplicaSet { nodes: new, epoch: PlacementEpoch(2), ..first.clone() };
    match known {
        Known::First => ReplicaSet { epoch: PlacementEpoch(1), ..first },
        Known::Both => ReplicaSet { formers: vec![old], is_settled: false, ..second },
        Known::Retired => second,
    }
}

fn tell(mesh: &mut Mesh, nodes: &[u8], known: Known) {
    for at in nodes {
        let set = set(mesh, known);
        mesh.tell(*at, set);
    }
}

/// Six nodes of which the first three are replicas.
fn moving() -> Mesh {
    let mut mesh = Mesh::new(6, 2);
    tell(&mut mesh, &[1, 2, 3, 4, 5, 6], Known::First);
    mesh.run();
    mesh
}

fn standings(mesh: &Mesh) -> Vec<(u64, bool)> {
    let of = |standing: Standing| (standing.epoch.0, standing.is_open);
    mesh.hosts.iter().filter_map(|host| host.standing).map(of).collect()
}

fn on_disk(mesh: &Mesh) -> Vec<bool> {
    mesh.hosts.iter().map(|host| !host.disk.is_empty()).collect()
}

#[test]
fn a_group_moves_to_three_other_nodes_and_is_dropped_only_then() {
    let mut mesh = moving();
    mesh.write(1, &session("cart"), &[put("/a", 1)], None);
    mesh.run();
    let [t, f] = [true, false];
    assert_eq!(on_disk(&mesh), [t, t, t, f, f, f]);
    tell(&mut mesh, &[1, 2, 3, 4, 5, 6], Known::Both);
    assert_eq!(standings(&mesh), [(2, t), (2, t), (2, t), (2, f), (2, f), (2, f)], "nobody was told anything");
    mesh.settle();
    assert_eq!(standings(&mesh), [(2, f); 6]);
    assert_eq!(on_disk(&mesh), [t; 6], "nothing is dropped before the permit");
    let late = mesh.write(2, &session("cart"), &[put("/b", 2)], None);
    mesh.settle();
    assert!(
        matches!(mesh.writes[&late], WriteResult::Done(Written { acked: 2, wanted: 2, .. })),
        "a former holder serves"
    );
    tell(&mut mesh, &[1, 2, 3, 4, 5, 6], Known::Retired);
    mesh.settle();
    assert_eq!(on_disk(&mesh), [f, f, f, t, t, t]);
    for at in NEW {
        let request = mesh.read(at, &session("cart"), None);
        let Some(ReadResult::Found(Found { body, stale: false, .. })) = mesh.reads.get(&request) else {
            panic!("{:?}", mesh.reads)
        };
        assert_eq!(body.value, json!({"a": 1, "b": 2}));
    }
    let request = mesh.read(1, &session("cart"), None);
    assert_eq!(mesh.reads[&request], ReadResult::Refused(Refusal::NotReplica { nodes: NEW.map(node).to_vec() }));
}

#[test]
fn what_a_node_has_counts_once_it_knows_that_it_is_to_hold_it() {
    let mut mesh = moving();
    mesh.write(1, &session("cart"), &[put("/a", 1)], None);
    mesh.settle();
    let later = ReplicaSet { nodes: [2, 3, 4].map(node).to_vec(), ..set(&mesh, Known::Retired) };
    mesh.tell(1, later.clone());
    mesh.settle();
    assert!(on_disk(&mesh)[0], "by what they know, nodes 2 and 3 may hand over to node 1 and drop what they have");
    for at in [2, 3] {
        mesh.tell(at, later.clone());
    }
    mesh.settle();
    assert_eq!(on_disk(&mesh)[..3], [false, true, true]);
}

#[test]
fn while_one_placement_follows_another_a_write_needs_a_quorum_of_both() {
    let mut mesh = moving();
    tell(&mut mesh, &[1, 2, 3, 4, 5, 6], Known::Both);
    mesh.run();
    let apart = |mesh: &mut Mesh, up: bool| {
        for (old, new) in OLD.into_iter().flat_map(|old| NEW.map(|new| (old, new))) {
            mesh.set_link(old, new, up);
        }
    };
    apart(&mut mesh, false);
    let writes = [1, 4].map(|at| mesh.write(at, &session("cart"), &[put("/a", at.into())], None));
    mesh.run();
    let stale = [1, 4].map(|at| {
        let request = mesh.read(at, &session("cart"), None);
        matches!(&mesh.reads[&request], ReadResult::Found(found) if found.stale)
    });
    assert_eq!(stale, [true; 2], "either side may miss what the other has");
    mesh.advance(Duration::from_secs(1));
    let pending = |mesh: &Mesh, request: u64| {
        matches!(mesh.writes[&request], WriteResult::Pending(Written { acked: 0, wanted: 2, .. }))
    };
    assert!(writes.iter().all(|request| pending(&mesh, *request)), "{:?}", mesh.writes);
    apart(&mut mesh, true);
    mesh.settle();
    let both = mesh.write(4, &session("cart"), &[put("/c", 1)], None);
    mesh.settle();
    assert!(matches!(mesh.writes[&both], WriteResult::Done(Written { acked: 2, .. })), "{:?}", mesh.writes);
}

#[test]
fn a_former_holder_that_was_away_hands_over_what_was_done_there_and_takes_nothing() {
    let mut mesh = moving();
    for (old, new) in [1, 2].into_iter().flat_map(|old| [3, 4, 5, 6].map(|new| (old, new))) {
        mesh.set_link(old, new, false);
    }
    let aside = mesh.write(1, &session("cart"), &[put("/aside", 1)], None);
    mesh.run();
    assert!(matches!(mesh.writes[&aside], WriteResult::Done(_)), "two of three, by the placement that they know");
    tell(&mut mesh, &[3, 4, 5, 6], Known::Both);
    tell(&mut mesh, &[3, 4, 5, 6], Known::Retired);
    mesh.write(4, &session("other"), &[put("/b", 1)], None);
    mesh.settle();
    tell(&mut mesh, &[1, 2], Known::Retired);
    mesh.restart(1);
    assert_eq!(on_disk(&mesh)[..2], [true; 2], "a retirement permits and does not force");
    mesh.set_link(2, 5, true);
    mesh.settle();
    assert_eq!(on_disk(&mesh)[..2], [true; 2], "one of three knows of it first hand");
    let sessions = |mesh: &mut Mesh, at: u8| mesh.host(at).state().into_keys().collect::<Vec<_>>();
    assert_eq!(sessions(&mut mesh, 2), [session("cart")], "nobody hands it what it need not have");
    mesh.heal();
    assert_eq!(on_disk(&mesh), [false, false, false, true, true, true]);
    for at in NEW {
        assert_eq!(sessions(&mut mesh, at).len(), 2);
    }
}

#[derive(Debug, Clone)]
enum Act {
    Write(u8),
    Deliver(usize),
    Drop(usize),
    Sync(u8),
    Cut(u8, u8),
    Join(u8, u8),
    Crash(u8, bool),
    Restart(u8),
    Learn(u8),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let node = 1u8..=6;
    prop_oneof![
        6 => node.clone().prop_map(Act::Write),
        12 => any::<usize>().prop_map(Act::Deliver),
        2 => any::<usize>().prop_map(Act::Drop),
        8 => node.clone().prop_map(Act::Sync),
        3 => (node.clone(), node.clone()).prop_map(|(one, two)| Act::Cut(one, two)),
        2 => (node.clone(), node.clone()).prop_map(|(one, two)| Act::Join(one, two)),
        1 => (node.clone(), any::<bool>()).prop_map(|(at, lucky)| Act::Crash(at, lucky)),
        2 => node.clone().prop_map(Act::Restart),
        4 => node.prop_map(Act::Learn),
        2 => (1u64..2_000).prop_map(Act::Wait),
    ]
}

/// What each node knows, and the writes that were begun.
#[derive(Default)]
struct Story {
    known: BTreeMap<u8, Known>,
    written: Vec<(u64, i64)>,
}

fn perform(mesh: &mut Mesh, story: &mut Story, act: &Act) {
    match act {
        Act::Write(at) => {
            let by = 1 << (story.written.len() % 40);
            story.written.push((mesh.write(*at, &session("cart"), &[increment("/count", by)], None), by));
        }
        Act::Deliver(at) if !mesh.flights.is_empty() => mesh.deliver(at % mesh.flights.len()),
        Act::Drop(at) if !mesh.flights.is_empty() => drop(mesh.flights.remove(at % mesh.flights.len())),
        Act::Deliver(_) | Act::Drop(_) => {}
        Act::Sync(at) => mesh.sync(*at),
        Act::Cut(one, two) => mesh.set_link(*one, *two, false),
        Act::Join(one, two) => mesh.set_link(*one, *two, true),
        Act::Crash(at, lucky) => mesh.crash(*at, *lucky),
        Act::Restart(at) => mesh.restart(*at),
        Act::Learn(at) => {
            let known = story.known.get(at).copied().unwrap_or(Known::First);
            let next = if known == Known::First { Known::Both } else { Known::Retired };
            story.known.insert(*at, next);
            tell(mesh, &[*at], next);
        }
        Act::Wait(span_ms) => mesh.advance(Duration::from_millis(*span_ms)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The harness asserts whenever a node drops the group that a quorum of the others has everything.
    #[test]
    fn no_write_that_was_done_is_lost_whenever_anybody_learns_of_the_move(acts in proptest::collection::vec(act(), 1..120)) {
        let (mut mesh, mut story) = (moving(), Story::default());
        for act in &acts {
            perform(&mut mesh, &mut story, act);
        }
        mesh.heal();
        tell(&mut mesh, &[1, 2, 3, 4, 5, 6], Known::Retired);
        mesh.settle();
        prop_assert_eq!(&on_disk(&mesh)[..3], &[false; 3]);
        let counts = NEW.map(|at| {
            let state = mesh.host(at).state();
            state.get(&session("cart")).and_then(|(_, body)| body.value.get("count")?.as_i64()).unwrap_or(0)
        });
        for (request, by) in story.written {
            if matches!(mesh.writes.get(&request), Some(WriteResult::Done(_))) {
                prop_assert!(counts.iter().all(|count| count & by != 0), "{:?} without {}", counts, by);
            }
        }
    }
}
