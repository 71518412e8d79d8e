//! Lines of policies that fork and join, in every order of arrival.

use super::*;
use crate::name::ClassName;
use crate::placement::DataClass;
use hedgerow_attest::region::Region;

/// Signed policies differ in their bytes, which a name stands for here.
fn digest(name: &str) -> Sha256Digest {
    Sha256Digest::of(name.as_bytes())
}

fn class(regions: &[&str]) -> DataClass {
    let regions = regions.iter().map(|region| Region::new(region).unwrap()).collect();
    let name = ClassName::new("cart").unwrap();
    DataClass { name, replicas: 3, write_quorum: 2, regions, personal: false, ttl_s: 0 }
}

fn policy(version: u64, parent: Option<Sha256Digest>, regions: &[&str]) -> Policy {
    Policy { version: PolicyVersion(version), parent, classes: vec![class(regions)] }
}

/// One beginning, two that change it, and one that names both.
fn fork() -> Vec<(&'static str, Policy)> {
    let both = parent_of(&[digest("left"), digest("right")]);
    vec![
        ("first", policy(1, None, &[])),
        ("left", policy(2, Some(digest("first")), &["eu", "us"])),
        ("right", policy(2, Some(digest("first")), &["ap", "eu"])),
        ("both", policy(3, both, &[])),
    ]
}

fn taken_in(policies: &[(&'static str, Policy)]) -> Policies {
    let mut taken = Policies::default();
    for (name, policy) in policies {
        taken.insert(policy.clone(), digest(name));
    }
    taken
}

fn regions(policies: &Policies) -> Vec<String> {
    let (policy, _) = policies.in_force().unwrap();
    policy.classes[0].regions.iter().map(Region::to_string).collect()
}

fn heads(policies: &Policies) -> Vec<Sha256Digest> {
    policies.heads().iter().map(|(_, digest)| *digest).collect()
}

#[test]
fn of_concurrent_policies_the_meet_holds_until_a_successor_names_both() {
    let fork = fork();
    assert!(Policies::default().in_force().is_none());
    assert_eq!(regions(&taken_in(&fork[..1])), [""; 0]);
    assert_eq!(regions(&taken_in(&fork[..2])), ["eu", "us"]);
    let met = taken_in(&fork[..3]);
    assert_eq!(regions(&met), ["eu"]);
    let (_, name) = met.in_force().unwrap();
    assert_eq!(name, (PolicyVersion(2), parent_of(&[digest("right"), digest("left")]).unwrap()));
    assert_eq!(met.named(&name).unwrap(), met.in_force().unwrap().0);
    let joined = taken_in(&fork);
    assert_eq!((regions(&joined), heads(&joined)), (vec![], vec![digest("both")]));
}

#[test]
fn a_successor_of_one_child_does_not_undo_the_other() {
    let mut policies = fork();
    policies[3] = ("both", policy(3, Some(digest("left")), &[]));
    let taken = taken_in(&policies);
    assert_eq!(regions(&taken), ["ap", "eu"]);
    let mut names = heads(&taken);
    names.sort_unstable();
    let mut expected = [digest("right"), digest("both")];
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn what_holds_depends_on_what_is_known_and_not_on_the_order_of_arrival() {
    let fork = fork();
    for turn in 0..4 {
        let mut order = fork.clone();
        order.rotate_left(turn);
        assert_eq!(regions(&taken_in(&order)), [""; 0]);
        order.reverse();
        assert_eq!(heads(&taken_in(&order)), [digest("both")]);
    }
}

#[test]
fn a_policy_without_a_parent_begins_anew_and_an_unknown_parent_replaces_nothing() {
    let mut policies = fork();
    policies[3] = ("anew", policy(3, None, &["us"]));
    assert_eq!(heads(&taken_in(&policies)), [digest("anew")]);
    policies[3] = ("orphan", policy(3, Some(digest("lost")), &["eu"]));
    assert_eq!(regions(&taken_in(&policies)), ["eu"]);
    assert_eq!(heads(&taken_in(&policies)).len(), 3);
    // A parent has a lower version than its child.
    policies[3] = ("same", policy(2, Some(digest("left")), &["eu", "us"]));
    assert_eq!(heads(&taken_in(&policies)).len(), 3);
}

#[test]
fn a_table_may_name_a_meet_of_fewer_than_are_known_here() {
    let mut policies = fork();
    let two = taken_in(&policies[..3]).in_force().unwrap().1;
    policies[3] = ("third", policy(2, Some(digest("first")), &["ap"]));
    let three = taken_in(&policies);
    assert_eq!(three.in_force().unwrap().0.classes, []);
    assert_eq!(three.named(&two).unwrap().classes, [class(&["eu"])]);
    assert_eq!(three.named(&(PolicyVersion(1), digest("first"))).unwrap().classes, [class(&[])]);
    assert!(three.named(&(PolicyVersion(2), digest("another"))).is_none());
}

#[test]
fn the_digest_of_several_parents_is_frozen() {
    let parents = [Sha256Digest::from_bytes([2; 32]), Sha256Digest::from_bytes([1; 32])];
    let bytes = [&b"hedgerow/policy-parents/1\0"[..], &[1; 32], &[2; 32]].concat();
    assert_eq!(parent_of(&parents), Some(Sha256Digest::of(&bytes)));
    assert_eq!(parent_of(&parents[..1]), Some(parents[0]));
    assert_eq!(parent_of(&[]), None);
}
