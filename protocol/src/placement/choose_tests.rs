//! Tests of computing a table, and that what is computed passes verification.

use super::*;
use crate::id::PolicyVersion;
use crate::name::{ClassName, ModelName, ModelVersion};
use crate::placement::{DataClass, Rules, verify_table};
use crate::roster::Roster;
use hedgerow_attest::member::Member;
use hedgerow_attest::testing::SampleMesh;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Eight members of `eu` and four of `us`.
fn members() -> &'static [Member] {
    static MEMBERS: OnceLock<Vec<Member>> = OnceLock::new();
    MEMBERS.get_or_init(|| {
        let mesh = SampleMesh::new(1);
        (0..12).map(|number| mesh.member(number, if number < 8 { "eu" } else { "us" })).collect()
    })
}

fn roster() -> Roster {
    let mut roster = Roster::default();
    for member in members() {
        roster.admit(member);
    }
    roster
}

fn candidates(count: usize) -> Vec<Candidate> {
    members()[..count]
        .iter()
        .map(|member| Candidate { node: member.node(), weight: 1, replica: true, worker: true })
        .collect()
}

fn region(name: &str) -> Region {
    Region::new(name).unwrap()
}

fn class(name: &str, replicas: u8, regions: &[&str]) -> DataClass {
    let regions: Vec<Region> = regions.iter().map(|name| region(name)).collect();
    let name = ClassName::new(name).unwrap();
    DataClass { name, replicas, write_quorum: 1, personal: false, regions, ttl_s: 0 }
}

fn deployment(model: &str, replicas: u8) -> Deployment {
    Deployment {
        model: ModelName::new(model).unwrap(),
        version: ModelVersion::new("1").unwrap(),
        revision: 1,
        manifest: Sha256Digest::of(model.as_bytes()),
        replicas,
        regions: vec![],
    }
}

fn table(classes: &[DataClass], deployments: &[&Deployment], candidates: &[Candidate]) -> PlacementTable {
    let policy = Policy { version: PolicyVersion(1), parent: None, classes: classes.to_vec() };
    choose(&Inputs {
        region: &region("eu"),
        policy: Some((&policy, Sha256Digest::of(b"policy"))),
        deployments,
        candidates,
        previous: None,
        config_epoch: ConfigEpoch(2),
    })
}

fn holdings(table: &PlacementTable) -> BTreeMap<(u8, NodeId), ()> {
    let class = ClassName::new("cart").unwrap();
    (0..16)
        .flat_map(|prefix| table.group(&class, prefix).unwrap().into_iter().map(move |node| ((prefix, node), ())))
        .collect()
}

#[test]
fn one_node_more_takes_its_share_and_moves_nothing_else() {
    let before = holdings(&table(&[class("cart", 3, &[])], &[], &candidates(6)));
    let after = holdings(&table(&[class("cart", 3, &[])], &[], &candidates(7)));
    let newcomer = members()[6].node();
    let gained: Vec<_> = after.keys().filter(|key| !before.contains_key(key)).collect();
    assert!(gained.iter().all(|(_, node)| *node == newcomer), "others gained {gained:?}");
    let lost = before.keys().filter(|key| !after.contains_key(key)).count();
    assert_eq!(lost, gained.len());
    // 48 places over 7 nodes make 7; a seventh of the places within three standard deviations of the binomial.
    assert!((1..=15).contains(&gained.len()), "{}", gained.len());
}

#[test]
fn fewer_nodes_than_replicas_hold_what_they_can() {
    let table = table(&[class("cart", 3, &[])], &[&deployment("digits", 4)], &candidates(2));
    assert_eq!(table.group(&ClassName::new("cart").unwrap(), 0).map(|nodes| nodes.len()), Some(2));
    assert_eq!(table.model(&deployment("digits", 4).model_ref()).map(|nodes| nodes.len()), Some(2));
    assert_eq!(table.epoch, PlacementEpoch(1));
}

#[test]
fn nobody_at_all_holds_nothing() {
    let table = table(&[class("cart", 3, &[])], &[&deployment("digits", 4)], &[]);
    assert!(table.is_empty() && table.members.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_chosen_always_passes_verification(
        count in 0_usize..8,
        roles in proptest::collection::vec((any::<bool>(), any::<bool>(), 1_u32..9), 8),
        replicas in proptest::collection::vec((1_u8..7, any::<bool>()), 0..4),
        copies in 0_u8..5,
    ) {
        let mut candidates = candidates(count);
        for (candidate, (replica, worker, weight)) in candidates.iter_mut().zip(roles) {
            *candidate = Candidate { replica, worker, weight, ..*candidate };
        }
        let classes: Vec<DataClass> = replicas
            .iter()
            .zip('a'..)
            .map(|(&(replicas, abroad), name)| class(&name.to_string(), replicas, if abroad { &["us"] } else { &[] }))
            .collect();
        let policy = Policy { version: PolicyVersion(1), parent: None, classes: classes.clone() };
        let table = table(&classes, &[&deployment("digits", copies)], &candidates);
        let policies = BTreeMap::from([(PolicyVersion(1), (policy, Sha256Digest::of(b"policy")))]);
        let (roster, eu) = (roster(), region("eu"));
        let rules = Rules { region: &eu, policies: &policies, roster: &roster };
        prop_assert_eq!(verify_table(&table, &rules), Ok(()));
        prop_assert!(table.classes.iter().all(|row| classes.iter().any(|class| class.name == row.class && class.allows(&eu))));
    }
}
