//! Tests of computing a table, and that what is computed passes verification.

use super::*;
use crate::id::PolicyVersion;
use crate::name::{ClassName, ModelName, ModelVersion};
use crate::placement::{Availability, DataClass, Holdings, Host, Policies, RttBucket, Rules, TrustClass, verify_table};
use crate::roster::Roster;
use hedgerow_attest::member::Member;
use hedgerow_attest::membership::{Role, Roles};
use hedgerow_attest::region::Region;
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

fn hosts(count: usize) -> Vec<Host> {
    members()[..count]
        .iter()
        .map(|member| Host {
            node: member.node(),
            region: member.region().clone(),
            class: member.class().clone(),
            roles: member.roles(),
            trust: TrustClass::SelfAsserted,
            availability: Availability::Available,
            free_mib: None,
            weight: 1,
            bucket: RttBucket::NEAREST,
            domain: None,
        })
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

fn table(classes: &[DataClass], deployments: &[&Deployment], hosts: &[Host]) -> PlacementTable {
    let policy = Policy { version: PolicyVersion(1), parent: None, classes: classes.to_vec() };
    choose(&Inputs {
        ground: Ground { region: &region("eu"), hosts, held: &Holdings::default(), former: None },
        policy: Some((&policy, Sha256Digest::of(b"policy"))),
        deployments,
        previous: PlacementEpoch(0),
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
    let before = holdings(&table(&[class("cart", 3, &[])], &[], &hosts(6)));
    let after = holdings(&table(&[class("cart", 3, &[])], &[], &hosts(7)));
    let newcomer = members()[6].node();
    let gained: Vec<_> = after.keys().filter(|key| !before.contains_key(key)).collect();
    assert!(gained.iter().all(|(_, node)| *node == newcomer), "others gained {gained:?}");
    let lost = before.keys().filter(|key| !after.contains_key(key)).count();
    assert_eq!(lost, gained.len());
    // 48 places over 7 nodes make 7; a seventh of the places within three standard deviations of the binomial.
    assert!((1..=15).contains(&gained.len()), "{}", gained.len());
}

/// The table after another one.
fn follow(
    former: &Policy,
    policy: &Policy,
    deployment: &Deployment,
    hosts: &[Host],
    previous: Option<&PlacementTable>,
) -> PlacementTable {
    let held = previous.map(Holdings::of_table).unwrap_or_default();
    choose(&Inputs {
        ground: Ground { region: &region("eu"), hosts, held: &held, former: Some(former) },
        policy: Some((policy, Sha256Digest::of(b"policy"))),
        deployments: &[deployment],
        previous: previous.map_or(PlacementEpoch(0), |table| table.epoch),
        config_epoch: ConfigEpoch(2),
    })
}

#[test]
fn who_holds_something_keeps_it_until_what_is_demanded_changes() {
    let policy = |class| Policy { version: PolicyVersion(1), parent: None, classes: vec![class] };
    let open = policy(class("cart", 3, &[]));
    let (one, two) =
        (deployment("digits", 3), Deployment { version: ModelVersion::new("2").unwrap(), ..deployment("digits", 3) });
    let before = follow(&open, &open, &one, &hosts(6), None);
    assert_eq!(before.members.len(), 6);
    let mut heavier = hosts(6);
    for (host, weight) in heavier.iter_mut().zip([64, 1, 32, 1, 16, 1]) {
        host.weight = weight;
    }
    let warm = |table: &PlacementTable, deployment: &Deployment| -> BTreeSet<NodeId> {
        table.model(&deployment.model_ref()).unwrap().into_iter().collect()
    };
    let ideal = follow(&open, &open, &two, &heavier, None);
    assert_ne!((holdings(&ideal), warm(&ideal, &two)), (holdings(&before), warm(&before, &one)));
    let longer = policy(DataClass { ttl_s: 60, ..class("cart", 3, &[]) });
    let kept = follow(&open, &longer, &two, &heavier, Some(&before));
    assert_eq!((holdings(&kept), warm(&kept, &two)), (holdings(&before), warm(&before, &one)));
    let fenced = policy(class("cart", 3, &["eu", "us"]));
    let after = follow(&open, &fenced, &two, &heavier, Some(&before));
    assert_eq!((after.classes, after.epoch), (ideal.classes, PlacementEpoch(2)));
}

#[test]
fn fewer_nodes_than_replicas_hold_what_they_can() {
    let table = table(&[class("cart", 3, &[])], &[&deployment("digits", 4)], &hosts(2));
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
        let mut hosts = hosts(count);
        for (host, (replica, worker, weight)) in hosts.iter_mut().zip(roles) {
            let given = [(replica, Role::Replica), (worker, Role::Worker)];
            let given = given.into_iter().filter(|(given, _)| *given);
            host.roles = given.fold(Roles::default(), |roles, (_, role)| roles.with(role));
            host.weight = weight;
        }
        let classes: Vec<DataClass> = replicas
            .iter()
            .zip('a'..)
            .map(|(&(replicas, abroad), name)| class(&name.to_string(), replicas, if abroad { &["us"] } else { &[] }))
            .collect();
        let policy = Policy { version: PolicyVersion(1), parent: None, classes: classes.clone() };
        let table = table(&classes, &[&deployment("digits", copies)], &hosts);
        let mut policies = Policies::default();
        policies.insert(policy, Sha256Digest::of(b"policy"));
        let (roster, eu) = (roster(), region("eu"));
        let rules = Rules { region: &eu, policies: &policies, roster: &roster };
        prop_assert_eq!(verify_table(&table, &rules), Ok(()));
        prop_assert!(table.classes.iter().all(|row| classes.iter().any(|class| class.name == row.class && class.allows(&eu))));
    }
}
