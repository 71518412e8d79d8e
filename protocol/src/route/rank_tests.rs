//! Tests of ranking: a view is written down, and the whole ranking is compared.

use super::*;
use crate::fact::Health;
use crate::id::Incarnation;
use crate::name::ModelRef;
use crate::time::Mono;
use hedgerow_attest::id::MeshId;
use hedgerow_attest::region::Region;
use std::collections::BTreeMap;

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn digits(version: &str) -> ModelRef {
    ModelRef { model: ModelName::new("digits").unwrap(), version: ModelVersion::new(version).unwrap() }
}

fn member(n: u8, rtt_us: Option<u64>, queue_depth: u32) -> MemberView {
    MemberView {
        node: node(n),
        region: Region::new("eu").unwrap(),
        cell: None,
        class: "edge".to_owned(),
        state: MemberState::Alive,
        incarnation: Incarnation(1),
        addresses: vec![],
        health: Health { queue_depth, warm: vec![digits("1")], ..Health::default() },
        rtt_us,
        said_ms_ago: 0,
        load_ms_ago: None,
        estimate_us: None,
        heard_ms_ago: Some(0),
    }
}

fn view(members: Vec<MemberView>) -> MeshView {
    MeshView {
        me: node(0),
        mesh: MeshId::from_bytes([9; 32]),
        region: Region::new("eu").unwrap(),
        cell: None,
        at: Mono(0),
        members: members.into_iter().map(|member| (member.node, member)).collect(),
        aggregators: BTreeMap::new(),
        cells: BTreeMap::new(),
        placements: BTreeMap::new(),
        deployments: vec![],
        policy: None,
    }
}

fn query(version: Option<&str>, deadline_us: Option<u64>) -> RankQuery {
    let version = version.map(|version| ModelVersion::new(version).unwrap());
    RankQuery { model: ModelName::new("digits").unwrap(), version, deadline_us }
}

#[test]
fn nearness_and_queues_decide_and_every_refusal_has_a_reason() {
    let cold = MemberView { health: Health::default(), ..member(5, Some(1), 0) };
    let down = MemberView { state: MemberState::Down, ..member(6, Some(1), 0) };
    let stopping = MemberView { state: MemberState::Stopping, ..member(7, Some(1), 0) };
    let view = view(vec![
        member(0, None, 5),
        member(1, Some(900), 0),
        member(2, Some(900), 10),
        member(3, None, 0),
        member(4, Some(400), 0),
        cold,
        down,
        stopping,
    ]);
    let candidate = |n, hops, expected_us, reason| Candidate { node: node(n), hops, expected_us, reason };
    let ranking = rank(&view, &query(None, None));
    let expected = vec![
        candidate(4, 1, 400, RouteReason::Measured { rtt_us: 400, queue_depth: 0 }),
        candidate(1, 1, 900, RouteReason::Measured { rtt_us: 900, queue_depth: 0 }),
        candidate(0, 0, 5_000, RouteReason::Here),
        candidate(2, 1, 10_900, RouteReason::Measured { rtt_us: 900, queue_depth: 10 }),
        candidate(3, 1, 50_000, RouteReason::Unmeasured { queue_depth: 0 }),
    ];
    assert_eq!(ranking.candidates, expected);
    let refused = vec![
        (node(5), RefusalReason::NotWarm),
        (node(6), RefusalReason::State(MemberState::Down)),
        (node(7), RefusalReason::State(MemberState::Stopping)),
    ];
    assert_eq!(ranking.refused, refused);
}

#[test]
fn an_estimate_orders_the_unmeasured_and_overrules_no_measurement() {
    let guessed = |n, estimate_us| MemberView { estimate_us: Some(estimate_us), ..member(n, None, 0) };
    let measured = |n, rtt_us| MemberView { estimate_us: Some(1), ..member(n, Some(rtt_us), 0) };
    let view = view(vec![
        guessed(1, 90_000),
        member(2, None, 0),
        guessed(3, 7_000),
        guessed(4, 10),
        measured(5, 50_000),
        measured(6, 60_000),
    ]);
    let candidate = |n, expected_us, reason| Candidate { node: node(n), hops: 1, expected_us, reason };
    let estimated = |rtt_us| RouteReason::Estimated { rtt_us, queue_depth: 0 };
    let expected = vec![
        candidate(5, 50_000, RouteReason::Measured { rtt_us: 50_000, queue_depth: 0 }),
        candidate(4, 50_000, estimated(10)),
        candidate(3, 50_000, estimated(7_000)),
        candidate(2, 50_000, RouteReason::Unmeasured { queue_depth: 0 }),
        candidate(6, 60_000, RouteReason::Measured { rtt_us: 60_000, queue_depth: 0 }),
        candidate(1, 90_000, estimated(90_000)),
    ];
    assert_eq!(rank(&view, &query(None, None)), Ranking { candidates: expected, refused: vec![] });
}

#[test]
fn a_degraded_node_comes_last_and_a_late_one_not_at_all() {
    let mut tired = member(1, Some(10), 0);
    tired.health.degraded = vec![DegradedReason::DISK];
    let view = view(vec![tired, member(2, Some(30_000), 0), member(3, Some(90_000), 0)]);
    let ranking = rank(&view, &query(None, Some(50_000)));
    let order: Vec<NodeId> = ranking.candidates.iter().map(|candidate| candidate.node).collect();
    assert_eq!(order, [node(2), node(1)]);
    assert_eq!(ranking.refused, [(node(3), RefusalReason::TooLate { expected_us: 90_000 })]);
}

#[test]
fn another_version_is_not_the_one_that_was_asked_for() {
    let mut both = member(2, Some(5), 0);
    both.health.warm = vec![digits("1"), digits("2")];
    let view = view(vec![member(1, Some(1), 0), both]);
    let ranking = rank(&view, &query(Some("2"), None));
    assert_eq!(ranking.candidates.iter().map(|candidate| candidate.node).collect::<Vec<_>>(), [node(2)]);
    assert_eq!(ranking.refused, [(node(1), RefusalReason::OtherVersion)]);
}
