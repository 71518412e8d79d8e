//! Tests of the rules that a table must keep: each breaks one of them.

use super::*;
use crate::id::{ConfigEpoch, PlacementEpoch};
use crate::name::{ModelName, ModelVersion};
use crate::placement::{ClassRow, DataClass, ModelRow, Policy};
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::testing::SampleMesh;

struct Scene {
    roster: Roster,
    policies: Policies,
    nodes: Vec<NodeId>,
    table: PlacementTable,
}

fn region(name: &str) -> Region {
    Region::new(name).unwrap()
}

/// Three members of `eu` and one of `us`, a class and a model, and a table that keeps every rule.
fn scene() -> Scene {
    let mesh = SampleMesh::new(1);
    let mut roster = Roster::default();
    let mut nodes = Vec::new();
    for number in 0..4 {
        let member = mesh.member(number, if number < 3 { "eu" } else { "us" });
        roster.admit(&member);
        nodes.push(member.node());
    }
    let class = |name: &str, regions: Vec<Region>| DataClass {
        name: ClassName::new(name).unwrap(),
        replicas: 2,
        write_quorum: 2,
        personal: false,
        regions,
        ttl_s: 0,
    };
    let classes = vec![class("abroad", vec![region("us")]), class("cart", vec![])];
    let policy = Policy { version: PolicyVersion(1), parent: None, classes };
    let digest = Sha256Digest::of(b"policy");
    let mut members = nodes[..3].to_vec();
    members.sort_unstable();
    let groups = vec![NodeList(vec![0, 2]); usize::from(GROUP_PREFIXES)];
    let model = ModelRef { model: ModelName::new("digits").unwrap(), version: ModelVersion::new("1").unwrap() };
    let table = PlacementTable {
        epoch: PlacementEpoch(1),
        config_epoch: ConfigEpoch(1),
        policy: Some((PolicyVersion(1), digest)),
        members,
        classes: vec![ClassRow { class: ClassName::new("cart").unwrap(), groups }],
        models: vec![ModelRow { model, manifest: digest, nodes: NodeList(vec![1]) }],
    };
    let mut policies = Policies::default();
    policies.insert(policy, digest);
    Scene { roster, policies, nodes, table }
}

fn verdict(change: impl FnOnce(&mut Scene)) -> Result<(), TableFault> {
    let mut scene = scene();
    change(&mut scene);
    let eu = region("eu");
    verify_table(&scene.table, &Rules { region: &eu, policies: &scene.policies, roster: &scene.roster })
}

#[test]
fn a_table_that_keeps_the_rules_passes() {
    assert_eq!(verdict(|_| ()), Ok(()));
}

#[test]
fn data_does_not_leave_its_region() {
    let abroad = ClassName::new("abroad").unwrap();
    let us = scene().nodes[3];
    let admit_foreigner = |scene: &mut Scene| {
        scene.table.members.push(us);
        scene.table.members.sort_unstable();
    };
    assert_eq!(verdict(admit_foreigner), Err(TableFault::ForeignMember(us)));
    let forbidden = verdict(|scene| scene.table.classes[0].class = abroad.clone());
    assert_eq!(forbidden, Err(TableFault::ForbiddenClass(abroad)));
}

#[test]
fn what_is_not_known_yet_may_heal() {
    let stranger = NodeId::from_bytes([0xff; 32]);
    let unknown = verdict(|scene| scene.table.members.push(stranger)).unwrap_err();
    assert_eq!((&unknown, unknown.may_heal()), (&TableFault::UnknownMember(stranger), true));
    let policy = verdict(|scene| scene.policies = Policies::default()).unwrap_err();
    assert_eq!((&policy, policy.may_heal()), (&TableFault::UnknownPolicy(PolicyVersion(1)), true));
    let other = verdict(|scene| scene.table.policy = Some((PolicyVersion(1), Sha256Digest::of(b"another"))));
    assert_eq!(other, Err(TableFault::UnknownPolicy(PolicyVersion(1))));
}

#[test]
fn sets_of_nodes_are_sets_of_the_right_size() {
    let cart = || ClassName::new("cart").unwrap();
    for list in [vec![], vec![0, 0], vec![0, 1, 2], vec![9]] {
        let broken = verdict(|scene| scene.table.classes[0].groups[3] = NodeList(list.clone()));
        assert_eq!(broken, Err(TableFault::Replicas(cart())), "{list:?}");
    }
    assert_eq!(verdict(|scene| drop(scene.table.classes[0].groups.pop())), Err(TableFault::Replicas(cart())));
    let copies = verdict(|scene| scene.table.models[0].nodes = NodeList(vec![3]));
    assert!(matches!(copies, Err(TableFault::Copies(_))));
}

#[test]
fn rows_are_in_order_and_classes_have_a_policy() {
    assert_eq!(verdict(|scene| scene.table.members.reverse()), Err(TableFault::Disorder));
    let twice = verdict(|scene| scene.table.models.push(scene.table.models[0].clone()));
    assert_eq!(twice, Err(TableFault::Disorder));
    let lawless = verdict(|scene| scene.table.policy = None);
    assert_eq!(lawless, Err(TableFault::ForbiddenClass(ClassName::new("cart").unwrap())));
}
