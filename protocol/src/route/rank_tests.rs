//! Tests of ranking: a view is written down, and the whole ranking is compared.

use super::*;
use crate::fact::{CellContact, Health, Rollup, SignedStatement, Statement, Totals, VerifiedRollup, WarmModel};
use crate::id::{ConfigEpoch, Generation, Incarnation, Term};
use crate::name::ModelRef;
use crate::time::{Mono, Wall};
use hedgerow_attest::id::{CellId, MeshId};
use hedgerow_attest::key::SecretKey;
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
        domain: None,
        roles: hedgerow_attest::membership::Roles::all(),
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
        lineage: crate::placement::Lineage::default(),
        placements: BTreeMap::new(),
        deployments: vec![],
        policy: None,
        policy_heads: vec![],
        node_classes: crate::placement::NodeClasses::default(),
        needed: crate::view::Needed::default(),
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

#[test]
fn contacts_of_cells_that_are_not_known_in_detail_are_candidates_by_hearsay() {
    let rollup =
        rollup(&[(40, 0b1, 2, Liveness::Alive), (41, 0b10, 0, Liveness::Alive), (42, 0b11, 0, Liveness::Down)]);
    let cell = |detail, rollup| CellView {
        region: Region::new("us").unwrap(),
        detail,
        rollup: Some(rollup),
        said_ms_ago: Some(30_000),
        estimate_us: Some(80_000),
    };
    let far = MeshView {
        cells: [(7, cell(false, rollup.clone())), (8, cell(true, rollup))]
            .map(|(n, cell)| (CellId::from_bytes([n; 32]), cell))
            .into(),
        ..view(vec![member(1, Some(900), 0)])
    };
    let expected = vec![
        Candidate {
            node: node(1),
            hops: 1,
            expected_us: 900,
            reason: RouteReason::Measured { rtt_us: 900, queue_depth: 0 },
        },
        Candidate {
            node: node(40),
            hops: 1,
            expected_us: 82_000,
            reason: RouteReason::Abroad { queue_depth: 2, said_ms_ago: 30_000 },
        },
    ];
    assert_eq!(rank(&far, &query(Some("1"), None)).candidates, expected);
    assert_eq!(rank(&far, &query(Some("1"), Some(80_000))).candidates, expected[..1], "it would be too late");
    let other = rank(&far, &query(Some("2"), None));
    assert_eq!(other.candidates.iter().map(|candidate| candidate.node).collect::<Vec<_>>(), [node(41)]);
    assert_eq!(
        far.contact(&node(41)).map(|(cell, contact)| (cell.region.as_str(), contact.node)),
        Some(("us", node(41)))
    );
    assert_eq!(far.contact(&node(1)), None);
}

#[test]
fn a_low_battery_comes_last() {
    let low = Health { energy: Energy::Low, warm: vec![digits("1")], ..Health::default() };
    let battery = Health { energy: Energy::Battery, ..low.clone() };
    let view = view(vec![
        MemberView { health: low, ..member(1, Some(10), 0) },
        MemberView { health: battery, ..member(2, Some(20), 0) },
        member(3, Some(30), 0),
    ]);
    let ranking = rank(&view, &query(None, None));
    let order: Vec<NodeId> = ranking.candidates.iter().map(|candidate| candidate.node).collect();
    assert_eq!(order, [node(2), node(3), node(1)]);
    assert_eq!(ranking.candidates[2].reason, RouteReason::LowBattery);
}

/// Two models, `digits@1` and `digits@2`, and contacts as (node, warm models, queue, liveness).
fn rollup(contacts: &[(u8, u64, u32, Liveness)]) -> VerifiedRollup {
    let contact = |(n, warm, queue_depth, liveness): &(u8, u64, u32, Liveness)| CellContact {
        node: node(*n),
        incarnation: Incarnation(1),
        liveness: *liveness,
        queue_depth: *queue_depth,
        warm: *warm,
        addresses: vec![],
    };
    let rollup = Rollup {
        cell: CellId::from_bytes([7; 32]),
        region: Region::new("us").unwrap(),
        generation: Generation(0),
        config_epoch: ConfigEpoch(1),
        term: Term(1),
        window: 1,
        holder: node(40),
        at: Wall(0),
        place: None,
        totals: Totals::default(),
        models: ["1", "2"].map(|version| WarmModel { model: digits(version), nodes: 1 }).to_vec(),
        contacts: contacts.iter().map(contact).collect(),
    };
    match Statement::Rollup(Box::new(rollup)).sign(&SecretKey::from_seed([1; 32])) {
        SignedStatement::Fact(fact) => VerifiedRollup::of(&fact).expect("a rollup"),
        SignedStatement::Accusation(_) | SignedStatement::Grant(_) | SignedStatement::Acceptance(_) => {
            unreachable!("a rollup is a fact")
        }
    }
}
