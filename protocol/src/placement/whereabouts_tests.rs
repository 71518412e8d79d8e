//! Tests of finding a session without a mesh around it.

use super::*;
use crate::id::{Incarnation, PlacementEpoch, PolicyVersion};
use crate::name::Namespace;
use crate::placement::{Holdings, Policy, Retained};
use crate::time::Mono;
use crate::view::{MemberView, PlacementView};
use hedgerow_attest::id::MeshId;
use hedgerow_attest::region::Region;
use std::collections::BTreeMap;
use std::sync::Arc;

const CELL: CellId = CellId::from_bytes([7; 32]);

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn cart() -> ClassName {
    ClassName::new("cart").unwrap()
}

fn session() -> SessionId {
    SessionId::named(CELL, cart(), Namespace::new("shop").unwrap(), "alice")
}

fn view(regions: Vec<Region>) -> MeshView {
    let eu = Region::new("eu").unwrap();
    let member = |n: u8| MemberView {
        node: node(n),
        region: eu.clone(),
        cell: Some(CELL),
        class: "edge".to_owned(),
        domain: None,
        roles: hedgerow_attest::membership::Roles::all(),
        state: if n == 2 { MemberState::Down } else { MemberState::Alive },
        incarnation: Incarnation(1),
        addresses: vec![],
        health: crate::fact::Health::default(),
        rtt_us: None,
        said_ms_ago: 0,
        load_ms_ago: None,
        estimate_us: None,
        heard_ms_ago: None,
    };
    let class = DataClass { name: cart(), replicas: 2, write_quorum: 2, regions, personal: false, ttl_s: 60 };
    let groups = (0..16).map(|prefix| ((cart(), prefix), vec![node(1), node(2)])).collect();
    let placement = PlacementView {
        region: eu.clone(),
        epoch: PlacementEpoch(4),
        retired: PlacementEpoch(3),
        formers: BTreeMap::new(),
        inherits: BTreeMap::new(),
        policy: None,
        groups,
        models: BTreeMap::new(),
    };
    MeshView {
        me: node(1),
        mesh: MeshId::from_bytes([9; 32]),
        region: eu.clone(),
        cell: Some(CELL),
        at: Mono(0),
        members: (1..=3).map(|n| (node(n), member(n))).collect(),
        aggregators: BTreeMap::new(),
        cells: BTreeMap::new(),
        lineage: crate::placement::Lineage::default(),
        placements: BTreeMap::from([(CELL, placement)]),
        deployments: vec![],
        policy: Some(Arc::new(Policy { version: PolicyVersion(1), parent: None, classes: vec![class] })),
        policy_heads: vec![],
        node_classes: crate::placement::NodeClasses::default(),
        needed: crate::view::Needed::default(),
    }
}

#[test]
fn a_session_is_where_the_table_puts_its_group() {
    let set = replica_set(&view(vec![]), &session()).unwrap();
    let group = session().group(GROUP_PREFIXES);
    let nodes = vec![node(1), node(2)];
    let expected = ReplicaSet {
        group,
        epoch: PlacementEpoch(4),
        nodes,
        formers: vec![],
        is_settled: true,
        write_quorum: 2,
        ttl: Some(Duration::from_secs(60)),
    };
    assert_eq!(set, expected);
    let reasons = explain(&view(vec![]), &session()).unwrap().members;
    let expected = vec![
        (node(1), PlacementReason::Holds { place: 0 }),
        (node(2), PlacementReason::HoldsUnreached { place: 1, state: MemberState::Down }),
        (node(3), PlacementReason::Reserve),
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn former_holders_count_until_their_placement_is_retired() {
    let mut following = view(vec![]);
    let placement = following.placements.get_mut(&CELL).unwrap();
    placement.retired = PlacementEpoch(0);
    let prefix = session().group(GROUP_PREFIXES).prefix;
    let held = |numbers: &[u8]| Holdings {
        groups: BTreeMap::from([((cart(), prefix), numbers.iter().map(|n| node(*n)).collect())]),
        ..Holdings::default()
    };
    // The first is as the third, the second as today, and of the third one node is not known.
    let formers = [(1, held(&[3, 9])), (2, held(&[2, 1])), (3, held(&[3]))];
    placement.formers = formers.map(|(epoch, held)| (PlacementEpoch(epoch), held)).into();
    let set = replica_set(&following, &session()).unwrap();
    assert_eq!((&set.formers, set.is_settled), (&vec![vec![node(3)]], false));
    assert_eq!(set.holders(), [1, 2, 3].map(node));
    let reasons = explain(&following, &session()).unwrap().members;
    assert_eq!(reasons[2], (node(3), PlacementReason::HandsOver { state: MemberState::Alive }));
    assert_eq!([1, 2, 3, 4].map(|n| set.counts(&node(n))), [true, true, true, false]);
    let among = |nodes: &'static [u8]| move |node: &NodeId| nodes.contains(&node.as_bytes()[0]);
    let durable = [&[1, 2][..], &[3], &[1, 3], &[1, 2, 3]].map(|nodes| set.reached(among(nodes)));
    assert_eq!(durable, [0, 0, 1, 2], "all of a former set are enough, though they are fewer than the quorum");
    assert_eq!([&[1, 2][..], &[3], &[1, 3]].map(|nodes| set.covers(among(nodes))), [false, false, true]);
    let drop = |set: &ReplicaSet, me, nodes| set.may_drop(&node(me), among(nodes));
    assert_eq!(drop(&set, 1, &[1, 2]), Err(Retained::Current));
    assert_eq!(drop(&set, 3, &[1, 2]), Err(Retained::NotRetired(PlacementEpoch(3))));
    following.placements.get_mut(&CELL).unwrap().formers.clear();
    following.placements.get_mut(&CELL).unwrap().retired = PlacementEpoch(3);
    let set = replica_set(&following, &session()).unwrap();
    assert_eq!(drop(&set, 3, &[1, 3]), Err(Retained::Unacknowledged { by: 1, wanted: 2 }));
    assert_eq!(drop(&set, 3, &[1, 2]), Ok(()));
}

#[test]
fn a_node_counts_itself_before_it_is_a_member_in_its_own_view() {
    let mut early = view(vec![]);
    early.members.clear();
    assert_eq!(replica_set(&early, &session()).unwrap().nodes, [node(1)]);
    early.region = Region::new("us").unwrap();
    early.policy = view(vec![Region::new("eu").unwrap()]).policy;
    assert_eq!(replica_set(&early, &session()).unwrap().nodes, []);
}

#[test]
fn a_looser_rule_waits_for_the_placement_that_keeps_it_and_a_tighter_one_does_not() {
    let us = Region::new("us").unwrap();
    let ruled = |in_force: DataClass, committed: DataClass| {
        let policy = |class| Some(Arc::new(Policy { version: PolicyVersion(1), parent: None, classes: vec![class] }));
        let mut view = view(vec![]);
        view.policy = policy(in_force);
        view.placements.get_mut(&CELL).unwrap().policy = policy(committed);
        replica_set(&view, &session()).map(|set| (set.write_quorum, set.ttl))
    };
    let rule = |write_quorum, ttl_s| DataClass {
        name: cart(),
        replicas: 2,
        write_quorum,
        regions: vec![],
        personal: false,
        ttl_s,
    };
    let (long, short) = (Some(Duration::from_secs(60)), Some(Duration::from_secs(30)));
    assert_eq!(ruled(rule(1, 30), rule(2, 60)), Ok((2, long)));
    assert_eq!(ruled(rule(2, 60), rule(1, 30)), Ok((2, long)));
    assert_eq!(ruled(rule(1, 30), rule(1, 30)), Ok((1, short)));
    let abroad = |class| DataClass { regions: vec![us.clone()], ..class };
    assert_eq!(ruled(abroad(rule(2, 60)), rule(2, 60)), Err(PlacementError::Forbidden(cart())));
    assert_eq!(ruled(rule(2, 60), abroad(rule(2, 60))), Err(PlacementError::Forbidden(cart())));
}

#[test]
fn each_reason_for_not_finding_it_is_told_apart() {
    let us = Region::new("us").unwrap();
    assert_eq!(replica_set(&view(vec![us]), &session()), Err(PlacementError::Forbidden(cart())));
    let mut lawless = view(vec![]);
    lawless.policy = None;
    assert_eq!(replica_set(&lawless, &session()), Err(PlacementError::NoPolicy));
    let mut unplaced = view(vec![]);
    unplaced.placements.clear();
    assert_eq!(replica_set(&unplaced, &session()), Err(PlacementError::NotPlaced(cart())));
    let elsewhere = SessionId { birth: CellId::from_bytes([8; 32]), ..session() };
    assert_eq!(replica_set(&view(vec![]), &elsewhere), Err(PlacementError::UnknownCell(elsewhere.birth)));
    let other = SessionId { class: ClassName::new("other").unwrap(), ..session() };
    assert_eq!(replica_set(&view(vec![]), &other), Err(PlacementError::UnknownClass(other.class.clone())));
}
