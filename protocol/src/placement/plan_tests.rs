//! Plans of small changes, and the law of transitions for any change.

use super::*;
use crate::id::PolicyVersion;
use crate::name::{ModelName, ModelVersion};
use crate::placement::{Availability, Holdings, Host, RttBucket, TrustClass};
use crate::session_id::GROUP_PREFIXES;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::membership::{Role, Roles};
use hedgerow_attest::name::NodeClass;
use hedgerow_attest::region::Region;
use proptest::prelude::*;

const GROUPS: usize = GROUP_PREFIXES as usize;

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn name(text: &str) -> ClassName {
    ClassName::new(text).unwrap()
}

fn eu() -> Region {
    Region::new("eu").unwrap()
}

fn hosts(count: u8) -> Vec<Host> {
    let host = |n: u8| Host {
        node: node(n),
        region: eu(),
        class: NodeClass::new("edge").unwrap(),
        roles: Roles::all(),
        trust: TrustClass::SelfAsserted,
        availability: Availability::Available,
        free_mib: None,
        weight: 4,
        bucket: RttBucket::NEAREST,
        domain: None,
    };
    (0..count).map(host).collect()
}

fn class(text: &str, replicas: u8, regions: &[&str]) -> DataClass {
    let regions = regions.iter().map(|region| Region::new(region).unwrap()).collect();
    DataClass { name: name(text), replicas, write_quorum: 1, regions, personal: false, ttl_s: 0 }
}

fn policy(classes: Vec<DataClass>) -> Policy {
    Policy { version: PolicyVersion(1), parent: None, classes }
}

fn digits(version: &str, replicas: u8) -> Deployment {
    Deployment {
        model: ModelName::new("digits").unwrap(),
        version: ModelVersion::new(version).unwrap(),
        revision: 1,
        manifest: Sha256Digest::of(b"m"),
        replicas,
        regions: vec![],
    }
}

struct Scene {
    hosts: Vec<Host>,
    held: Holdings,
    former: Policy,
}

impl Scene {
    /// A cell in which everything is placed by its policy.
    fn new(hosts: Vec<Host>, former: &Policy) -> Self {
        let mut scene = Self { hosts, held: Holdings::default(), former: former.clone() };
        let first = scene.plan(former, &[&digits("1", 2)]);
        let groups = first.classes.iter().flat_map(|class| {
            prefixes().zip(&class.groups).map(|(prefix, group)| ((class.class.clone(), prefix), group.to.clone()))
        });
        scene.held.groups = groups.filter(|(_, nodes)| !nodes.is_empty()).collect();
        scene.held.models = first.models.iter().map(|model| (model.model.clone(), model.nodes.to.clone())).collect();
        scene
    }

    fn plan(&self, policy: &Policy, deployments: &[&Deployment]) -> Plan {
        let region = eu();
        let ground = Ground { region: &region, hosts: &self.hosts, held: &self.held, former: Some(&self.former) };
        let bytes = BTreeMap::from([((name("cart"), 3), 1_000)]);
        plan(&Change { ground, policy: Some(policy), deployments, bytes: &bytes })
    }

    fn follow(&self, policy: &Policy) -> Plan {
        self.plan(policy, &[&digits("1", 2)])
    }
}

#[test]
fn a_plan_of_no_change_is_empty() {
    let former = policy(vec![class("abroad", 2, &["us"]), class("cart", 3, &[])]);
    let plan = Scene::new(hosts(6), &former).follow(&former);
    assert!(plan.is_empty());
    assert_eq!((plan.copies(), plan.bytes()), (0, (0, 0)));
    let fates: Vec<ClassFate> = plan.classes.iter().map(|class| class.fate).collect();
    assert_eq!(fates, [ClassFate::Forbidden, ClassFate::Placed]);
    let region = vec![Refusal::Region(eu())];
    assert_eq!(plan.classes[0].refusals, (0..6).map(|n| (node(n), region.clone())).collect());
    assert_eq!(plan.classes[1].refusals, BTreeMap::new());
    assert!(plan.classes[1].groups.iter().all(|group| group.to.len() == 3 && group.from == group.to));
    let models: Vec<(String, usize)> =
        plan.models.iter().map(|model| (model.model.to_string(), model.nodes.to.len())).collect();
    assert_eq!(models, [("digits@1".to_owned(), 2)]);
}

#[test]
fn a_draining_node_is_refused_by_name_and_its_groups_are_copied() {
    let former = policy(vec![class("cart", 3, &[])]);
    let mut scene = Scene::new(hosts(6), &former);
    scene.hosts[0].availability = Availability::Draining;
    let plan = scene.follow(&former);
    let cart = &plan.classes[0];
    assert_eq!(cart.refusals, BTreeMap::from([(node(0), vec![Refusal::Draining])]));
    for group in &cart.groups {
        let held = group.from.contains(&node(0));
        assert_eq!((group.losses().count(), group.gains().count()), (usize::from(held), usize::from(held)));
        assert!(group.losses().all(|loser| *loser == node(0)));
        // It hands over and serves until then.
        assert_eq!((&group.stops, &group.waits), (&vec![], &vec![]));
    }
    let groups = cart.groups.iter().filter(|group| group.from.contains(&node(0))).count();
    let models = plan.models.iter().filter(|model| model.nodes.from.contains(&node(0))).count();
    assert_eq!(plan.copies(), groups + models);
    let known = usize::from(cart.groups[3].from.contains(&node(0)));
    assert_eq!(plan.bytes(), (known as u64 * 1_000, groups + models - known));
}

#[test]
fn what_the_policy_forbids_or_forgets_stops_at_once_everywhere() {
    let former = policy(vec![class("cart", 3, &[]), class("log", 2, &[])]);
    let scene = Scene::new(hosts(6), &former);
    let plan = scene.follow(&policy(vec![class("cart", 3, &["us"])]));
    let fates: Vec<(ClassFate, usize)> = plan.classes.iter().map(|class| (class.fate, class.groups.len())).collect();
    assert_eq!(fates, [(ClassFate::Forbidden, GROUPS), (ClassFate::Removed, GROUPS)]);
    for group in plan.classes.iter().flat_map(|class| &class.groups) {
        assert!(!group.from.is_empty());
        assert_eq!((&group.to, &group.stops), (&vec![], &group.from));
        assert_eq!(group.before_commit().count() + group.after_commit().count(), 0);
    }
}

#[test]
fn a_class_that_nobody_may_hold_says_so_and_why() {
    let former = policy(vec![class("cart", 2, &[])]);
    let mut workers = hosts(3);
    for host in &mut workers {
        host.roles = Roles::default().with(Role::Worker);
    }
    let plan = Scene::new(workers, &former).follow(&former);
    assert_eq!(plan.classes[0].fate, ClassFate::Nobody);
    assert_eq!(plan.classes[0].refusals, (0..3).map(|n| (node(n), vec![Refusal::Role])).collect());
    assert!(plan.classes[0].groups.iter().all(|group| *group == Move { bytes: group.bytes, ..Move::default() }));
}

#[test]
fn more_copies_are_made_from_those_there_are_and_a_new_version_goes_where_the_old_is() {
    let former = policy(vec![class("cart", 2, &[])]);
    let scene = Scene::new(hosts(6), &former);
    let plan = scene.plan(&policy(vec![class("cart", 3, &[])]), &[&digits("2", 2)]);
    assert!(plan.classes[0].groups.iter().all(|group| (group.gains().count(), group.losses().count()) == (1, 0)));
    assert!(plan.classes[0].groups.iter().all(|group| !group.stays()));
    let models: Vec<(String, usize, usize)> = plan
        .models
        .iter()
        .map(|model| (model.model.to_string(), model.nodes.from.len(), model.nodes.to.len()))
        .collect();
    assert_eq!(models, [("digits@1".to_owned(), 2, 0), ("digits@2".to_owned(), 0, 2)]);
    assert_eq!(plan.models[0].nodes.from, plan.models[1].nodes.to);
    assert_eq!(plan.copies(), GROUPS + 2);
    let added = scene.follow(&policy(vec![class("cart", 2, &[]), class("neu", 3, &[])]));
    assert_eq!((added.copies(), added.bytes(), added.is_empty()), (0, (0, 0), false));
    let few = Scene::new(hosts(2), &policy(vec![class("cart", 2, &[])])).follow(&policy(vec![class("cart", 3, &[])]));
    let too_few = [Note::TooFew { wanted: 3, found: 2 }];
    assert!(few.classes[0].groups.iter().all(|group| group.notes == too_few) && few.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_instant_of_a_transition_breaks_a_rule(
        places in proptest::collection::vec((any::<bool>(), any::<bool>(), 0_u8..4), 1..12),
        (old, new) in (1_u8..5, 1_u8..5),
        fences in (0_usize..4, 0_usize..4),
    ) {
        let mut hosts = hosts(u8::try_from(places.len()).unwrap());
        for (host, (abroad, worker, _)) in hosts.iter_mut().zip(&places) {
            host.region = Region::new(if *abroad { "us" } else { "eu" }).unwrap();
            host.roles = if *worker { Roles::default().with(Role::Worker) } else { Roles::all() };
        }
        let fence = |number: usize| [&[][..], &["eu"], &["eu", "us"], &["us"]][number];
        let (former, proposed) =
            (policy(vec![class("cart", old, fence(fences.0))]), policy(vec![class("cart", new, fence(fences.1))]));
        let mut scene = Scene::new(hosts, &former);
        for (host, (_, _, state)) in scene.hosts.iter_mut().zip(&places) {
            host.availability = [Availability::Available, Availability::Draining, Availability::Down, Availability::Settling][usize::from(*state)];
        }
        let rules = [&former, &proposed].map(|policy| Rule::of_class(&policy.classes[0]));
        let breaks = |node: &NodeId, rule: &Rule| {
            let host = scene.hosts.iter().find(|host| host.node == *node).unwrap();
            rule.refusals(host).iter().any(Refusal::forbids)
        };
        for group in scene.follow(&proposed).classes.iter().flat_map(|class| &class.groups) {
            prop_assert!(group.before_commit().all(|node| !breaks(node, &rules[0]) && !breaks(node, &rules[1])));
            prop_assert!(group.after_commit().all(|node| !breaks(node, &rules[1])));
            let early = group.to.iter().filter(|node| breaks(node, &rules[0])).copied().collect::<Vec<_>>();
            prop_assert_eq!(&group.waits, &early);
            let union: BTreeSet<&NodeId> = group.after_commit().collect();
            prop_assert!(group.to.iter().all(|node| union.contains(node)));
        }
    }
}
