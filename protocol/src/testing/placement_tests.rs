//! Placement from policy and deployments to every node's view.

use super::cluster::{Cluster, MS, S};
use super::scenario::class;
use crate::core::{Command, Event};
use crate::fact::{SignedFact, VerifiedFact};
use crate::id::{PlacementEpoch, PolicyVersion};
use crate::name::{ClassName, ModelRef, Namespace};
use crate::placement::{
    ClassFate, DataClass, PlacementError, PlacementReason, Policy, Proposal, Refusal, TableFault, explain, preview,
    replica_set,
};
use crate::register::{Acceptance, Content, Decision, Value};
use crate::session_id::{GROUP_PREFIXES, SessionId};
use crate::view::MeshView;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::name::NodeClass;
use hedgerow_attest::region::Region;
use hedgerow_attest::signed::Signed;
use std::collections::BTreeSet;

const SIX: [&str; 6] = ["eu", "eu", "eu", "us", "us", "us"];

fn placed(seed: u64, regions: &[&str]) -> Cluster {
    let mut cluster = Cluster::formed(seed, regions);
    let three = |c: &Cluster| c.up().all(|node| c.view(node).aggregators.values().all(|seen| seen.voters == 3));
    cluster.run_until_holds(15 * S, "the cells have grown", three);
    let policy = cluster.policy(1, vec![class("cart", 3, 2, &[]), class("personal", 2, 2, &["eu"])]);
    cluster.announce(0, policy);
    let everywhere = cluster.deployment("digits", 1, 2, &[]);
    cluster.announce(1, everywhere);
    let abroad = cluster.deployment("fraud", 1, 1, &["us"]);
    cluster.announce(1, abroad);
    let cells: BTreeSet<&str> = regions.iter().copied().collect();
    let count = cells.len();
    cluster.run_until_holds(10 * S, "every node follows every cell's placement", |c| {
        c.up().all(|node| {
            let view = c.view(node);
            let whole = |cell: &crate::view::PlacementView| !cell.groups.is_empty() && !cell.models.is_empty();
            view.placements.len() == count && view.placements.values().all(whole)
        })
    });
    cluster
}

fn cell(view: &MeshView, region: &str) -> CellId {
    view.aggregators[&Region::new(region).unwrap()].cell
}

fn session(view: &MeshView, region: &str, class: &str, name: &str) -> SessionId {
    SessionId::named(cell(view, region), ClassName::new(class).unwrap(), Namespace::new("shop").unwrap(), name)
}

fn region_of(view: &MeshView, node: &NodeId) -> String {
    view.members[node].region.to_string()
}

#[test]
fn every_node_knows_every_placement_and_no_fence_is_crossed() {
    let cluster = placed(1, &SIX);
    let view = cluster.view(0);
    for node in cluster.up() {
        assert_eq!(cluster.view(node).placements, view.placements, "node {node}");
    }
    let (eu, us) = (&view.placements[&cell(&view, "eu")], &view.placements[&cell(&view, "us")]);
    let (cart, personal) = (ClassName::new("cart").unwrap(), ClassName::new("personal").unwrap());
    for prefix in 0..u8::try_from(GROUP_PREFIXES).unwrap() {
        assert_eq!(eu.groups[&(cart.clone(), prefix)].len(), 3);
        assert_eq!(us.groups[&(cart.clone(), prefix)].len(), 3);
        let private = &eu.groups[&(personal.clone(), prefix)];
        assert_eq!(private.len(), 2);
        assert!(private.iter().all(|node| region_of(&view, node) == "eu"));
        assert!(!us.groups.contains_key(&(personal.clone(), prefix)));
    }
    let copies = |models: &std::collections::BTreeMap<ModelRef, crate::view::ModelPlacement>| {
        models.iter().map(|(model, placed)| (model.to_string(), placed.nodes.len())).collect::<Vec<_>>()
    };
    assert_eq!(copies(&eu.models), [("digits@1".to_owned(), 2)]);
    assert_eq!(copies(&us.models), [("digits@1".to_owned(), 2), ("fraud@1".to_owned(), 1)]);
    let mine: usize = cluster.up().map(|node| cluster.view(node).deployments.iter().filter(|d| d.mine).count()).sum();
    assert_eq!(mine, 5, "four copies of one model and one of the other");
}

#[test]
fn sessions_are_found_and_explained() {
    let cluster = placed(2, &SIX);
    let view = cluster.view(5);
    let set = replica_set(&view, &session(&view, "eu", "personal", "alice")).unwrap();
    assert_eq!((set.nodes.len(), set.write_quorum), (2, 2));
    let explained = explain(&view, &session(&view, "eu", "personal", "alice")).unwrap();
    let reasons: Vec<PlacementReason> = explained.members.iter().map(|(_, reason)| *reason).collect();
    assert_eq!(reasons[..2], [PlacementReason::Holds { place: 0 }, PlacementReason::Holds { place: 1 }]);
    assert_eq!(reasons.iter().filter(|reason| **reason == PlacementReason::Reserve).count(), 1);
    assert_eq!(reasons.iter().filter(|reason| **reason == PlacementReason::Forbidden).count(), 3);
    let abroad = session(&view, "us", "personal", "alice");
    assert_eq!(replica_set(&view, &abroad), Err(PlacementError::Forbidden(abroad.class.clone())));
}

#[test]
fn a_policy_that_tightens_counts_before_any_table_follows() {
    let mut cluster = placed(3, &SIX);
    let id = session(&cluster.view(0), "us", "cart", "bob");
    assert_eq!(replica_set(&cluster.view(0), &id).unwrap().nodes.len(), 3);
    let tighter = cluster.policy(2, vec![class("cart", 3, 2, &["eu"]), class("personal", 2, 2, &["eu"])]);
    cluster.announce(0, tighter);
    assert_eq!(replica_set(&cluster.view(0), &id), Err(PlacementError::Forbidden(id.class.clone())));
    cluster.run_until_holds(10 * S, "the table follows", |c| {
        c.up().all(|node| c.view(node).placements[&id.birth].groups.keys().all(|(class, _)| *class != id.class))
    });
}

#[test]
fn of_two_policies_at_once_no_node_does_what_either_forbids_until_a_third_replaces_both() {
    let mut cluster = placed(8, &SIX);
    let abroad = session(&cluster.view(0), "us", "cart", "bob");
    let (set, heads) = (replica_set(&cluster.view(0), &abroad).unwrap(), cluster.view(0).policy_heads);
    assert_eq!((set.nodes.len(), set.write_quorum, heads.len()), (3, 2, 1));
    let fenced = cluster.successor(2, &[heads[0].1], vec![class("cart", 3, 2, &["eu"])]);
    let strict = cluster.successor(2, &[heads[0].1], vec![class("cart", 3, 3, &[])]);
    cluster.announce(0, fenced);
    cluster.announce(3, strict);
    let settled = |c: &Cluster| {
        c.up().all(|node| {
            let view = c.view(node);
            let followed = view.placements.values().all(|placement| placement.policy == view.policy);
            view.policy_heads.len() == 2 && followed
        })
    };
    cluster.run_until_holds(15 * S, "both are known everywhere, and placed under", settled);
    let home = session(&cluster.view(0), "eu", "cart", "bob");
    for node in cluster.up() {
        let view = cluster.view(node);
        assert_eq!(replica_set(&view, &abroad), Err(PlacementError::Forbidden(abroad.class.clone())), "node {node}");
        let set = replica_set(&view, &home).unwrap();
        assert_eq!((set.nodes.len(), set.write_quorum), (3, 3), "node {node}");
    }
    let heads: Vec<_> = cluster.view(0).policy_heads.iter().map(|(_, digest)| *digest).collect();
    let both = cluster.successor(3, &heads, vec![class("cart", 3, 1, &[])]);
    cluster.announce(1, both);
    cluster.run_until_holds(15 * S, "the third alone is in force", |c| {
        c.up().all(|node| {
            replica_set(&c.view(node), &abroad).is_ok_and(|set| (set.nodes.len(), set.write_quorum) == (3, 1))
        })
    });
}

#[test]
fn a_short_absence_moves_nothing_and_a_long_one_is_repaired() {
    let mut cluster = placed(4, &["eu"; 5]);
    let holder = cluster.judge.holder("eu", cluster.now).expect("somebody leads").node;
    let voters: BTreeSet<usize> = (0..5).filter(|node| cluster.nodes[*node].core.promised_term().is_some()).collect();
    let victim = (0..5).find(|node| *node != holder && !voters.contains(node)).expect("two of five do not vote");
    let observer = (0..5).find(|node| *node != victim).expect("five nodes");
    let epoch = |c: &Cluster| c.view(observer).placements.values().next().map(|placement| placement.epoch);
    let dead = cluster.nodes[victim].id();
    let holds = |c: &Cluster| {
        let view = c.view(observer);
        view.placements.values().flat_map(|placement| placement.groups.values()).any(|nodes| nodes.contains(&dead))
    };
    assert!(holds(&cluster));
    let before = epoch(&cluster);
    cluster.kill(victim);
    cluster.run_for(28 * S);
    assert_eq!(epoch(&cluster), before, "an absence of 28 s moves nothing");
    assert!(holds(&cluster));
    cluster.run_until_holds(15 * S, "what it held is placed elsewhere", |c| !holds(c));
    cluster.start(victim);
    cluster.run_until_holds(10 * S, "it gets its share again", holds);
}

#[test]
fn what_a_plan_says_is_what_the_table_then_does() {
    let mut cluster = placed(9, &["eu"; 5]);
    let view = cluster.view(0);
    let eu = cell(&view, "eu");
    let in_force = view.policy.as_deref().cloned();
    let none = std::collections::BTreeMap::new();
    let node_classes = &view.node_classes;
    let proposal = |policy| Proposal { policy, node_classes };
    assert!(preview(&view, eu, proposal(in_force.as_ref()), &none).unwrap().is_empty(), "no change moves nothing");
    let classes: Vec<DataClass> = vec![class("cart", 4, 2, &[]), class("other", 2, 1, &["us"])];
    let proposed = Policy { version: PolicyVersion(2), parent: None, classes: classes.clone() };
    let plan = preview(&view, eu, proposal(Some(&proposed)), &none).unwrap();
    let fates: Vec<(String, ClassFate)> =
        plan.classes.iter().map(|class| (class.class.to_string(), class.fate)).collect();
    let expected = [("cart", ClassFate::Placed), ("other", ClassFate::Forbidden), ("personal", ClassFate::Removed)];
    assert_eq!(fates, expected.map(|(name, fate)| (name.to_owned(), fate)));
    let region = Refusal::Region(Region::new("eu").unwrap());
    assert_eq!(plan.classes[1].refusals.values().filter(|refusals| refusals[..] == [region.clone()]).count(), 5);
    assert_eq!(plan.copies(), usize::from(GROUP_PREFIXES), "one copy more of each group");
    let next = cluster.policy(2, classes);
    cluster.announce(0, next);
    cluster.run_until_holds(10 * S, "the table follows", |c| {
        let cart = &plan.classes[0];
        let groups = &c.view(0).placements[&eu].groups;
        cart.groups.iter().zip(0..).all(|(group, prefix)| groups.get(&(cart.class.clone(), prefix)) == Some(&group.to))
            && groups.len() == cart.groups.len()
    });
    assert!(preview(&view, CellId::from_bytes([9; 32]), proposal(None), &none).is_err());
}

#[test]
fn the_last_shares_of_node_classes_are_known_everywhere_and_move_nothing_that_is_held() {
    let mut cluster = placed(10, &["eu"; 5]);
    let before = cluster.view(0).placements;
    for (revision, weight) in [(2, 700), (1, 3)] {
        let shares = cluster.node_class(revision, "edge", weight);
        cluster.announce(1, shares);
    }
    let edge = NodeClass::new("edge").unwrap();
    cluster.run_until_holds(10 * S, "the higher revision is known", |c| {
        c.up().all(|node| c.view(node).node_classes.weight(&edge) == 700)
    });
    cluster.run_for(5 * S);
    assert_eq!(cluster.view(0).placements, before);
}

#[test]
fn a_draining_member_loses_what_it_holds_at_once() {
    let mut cluster = placed(5, &["eu"; 5]);
    let holder = cluster.judge.holder("eu", cluster.now).expect("somebody leads").node;
    let leaver = (0..5).find(|node| *node != holder).expect("five nodes");
    let id = cluster.nodes[leaver].id();
    cluster.command(leaver, Command::Drain);
    cluster.run_until_holds(5 * S, "nothing is placed on it", |c| {
        let view = c.view(holder);
        let groups = view.placements.values().flat_map(|placement| placement.groups.values());
        let models = view.placements.values().flat_map(|placement| placement.models.values().map(|model| &model.nodes));
        groups.chain(models).all(|nodes| !nodes.contains(&id))
    });
}

#[test]
fn a_placement_that_breaks_a_rule_is_followed_by_nobody_even_with_a_quorum() {
    let mut cluster = placed(6, &SIX);
    let view = cluster.view(0);
    let eu = cell(&view, "eu");
    let (decision, forged) = forge(&cluster, eu);
    let fact = SignedFact::Decision(Box::new(decision));
    cluster.run_for(100 * MS);
    for node in cluster.up().collect::<Vec<_>>() {
        let core = &cluster.nodes[node].core;
        let verified = fact.clone().verify(core.roster(), core.root(), hedgerow_attest::testing::SampleMesh::NOW);
        cluster.step(node, crate::core::Input::Fact(Box::new(verified.expect("the signatures are good"))));
        let refused = Event::PlacementRefused { cell: eu, epoch: forged, fault: fault(&cluster) };
        assert!(cluster.nodes[node].events.iter().any(|(_, event)| *event == refused), "node {node}");
        assert!(cluster.view(node).placements[&eu].epoch < forged, "node {node} follows the former placement");
    }
}

fn fault(cluster: &Cluster) -> TableFault {
    TableFault::ForeignMember(cluster.nodes[4].id())
}

/// What a quorum of corrupt voters could sign: a placement of the `eu` cell on a node of `us`.
fn forge(cluster: &Cluster, eu: CellId) -> (Decision, PlacementEpoch) {
    let (last, _) = cluster.nodes[0].core.decided_placement().expect("a placement was decided");
    let Content::Placement(mut table) = last.value.content.clone() else { panic!("a placement") };
    table.epoch = table.epoch.next();
    table.members.push(cluster.nodes[4].id());
    table.members.sort_unstable();
    let epoch = table.epoch;
    (sign(cluster, eu, Content::Placement(table)), epoch)
}

/// The next slot of the `eu` cell, signed by its first three nodes.
fn sign(cluster: &Cluster, eu: CellId, content: Content) -> Decision {
    let (last, head) = cluster.nodes[0].core.decided_placement().expect("a placement was decided");
    let value = Value { slot: head.slot.next(), previous: head.digest, content, ..last.value.clone() };
    let sign = |node: usize| {
        let acceptance = Acceptance {
            cell: eu,
            generation: value.generation,
            slot: value.slot,
            value: value.digest(),
            term: last.term,
            voter: cluster.nodes[node].id(),
        };
        Signed::sign(&acceptance, &cluster.nodes[node].statement)
    };
    let acceptances = (0..3).map(sign).collect();
    Decision { value, term: last.term, config_epoch: last.config_epoch, acceptances }
}

#[test]
fn a_retirement_is_known_everywhere_and_the_register_goes_on_after_it() {
    let mut cluster = placed(11, &SIX);
    let eu = cell(&cluster.view(0), "eu");
    let seen = |c: &Cluster, node: usize| {
        let placement = &c.view(node).placements[&eu];
        (placement.epoch.0, placement.retired.0)
    };
    let (first, _) = seen(&cluster, 0);
    let follow = |cluster: &mut Cluster, version: u64, expected: (u64, u64)| {
        let policy = cluster.policy(version, vec![class("cart", 2, 1, &[]), class("personal", 2, 2, &["eu"])]);
        cluster.announce(0, policy);
        let all = |c: &Cluster| (0..3).all(|node| seen(c, node) == expected);
        cluster.run_until_holds(15 * S, "another placement follows", all);
    };
    follow(&mut cluster, 2, (first + 1, 0));
    let fit = |c: &Cluster, epoch: u64| {
        let value = sign(c, eu, Content::Retirement(PlacementEpoch(epoch))).value;
        c.nodes[1].core.would_accept(&value)
    };
    let judged = |c: &Cluster| [0, 1, 2, 3].map(|more| fit(c, first + more));
    assert_eq!(judged(&cluster), [true, false, false, false], "only what is not current");
    let fact = SignedFact::Decision(Box::new(sign(&cluster, eu, Content::Retirement(PlacementEpoch(first)))));
    let core = &cluster.nodes[0].core;
    let verified = fact.verify(core.roster(), core.root(), hedgerow_attest::testing::SampleMesh::NOW);
    cluster.announce(0, verified.expect("signed by a quorum"));
    let all = |c: &Cluster| (0..3).all(|node| seen(c, node) == (first + 1, first));
    cluster.run_until_holds(10 * S, "the cell knows that the first placement is retired", all);
    assert_eq!(judged(&cluster), [true, false, false, false], "once more says nothing, and is in nobody's way");
    follow(&mut cluster, 3, (first + 2, first));
    assert_eq!(judged(&cluster), [true, true, false, false], "what was current may be from here on");
}

#[test]
fn a_mesh_changes_its_policy_as_often_as_it_likes() {
    let mut cluster = placed(12, &["eu"; 3]);
    for version in 2..70 {
        let policy = cluster.policy(version, vec![class("cart", 3, 2, &[])]);
        cluster.announce(usize::try_from(version % 3).unwrap(), policy);
        cluster.run_for(S);
    }
    let eu = cell(&cluster.view(0), "eu");
    cluster.run_until_holds(15 * S, "the last one is in force everywhere, and placed under", |c| {
        let last = |view: &MeshView| {
            let policies = [view.policy.as_ref(), view.placements[&eu].policy.as_ref()];
            policies.iter().all(|policy| policy.is_some_and(|policy| policy.version == PolicyVersion(69)))
        };
        c.up().all(|node| last(&c.view(node)))
    });
}

#[test]
fn a_decision_without_a_quorum_is_not_believed() {
    let cluster = placed(7, &SIX);
    let view = cluster.view(0);
    let (mut decision, _) = forge(&cluster, cell(&view, "eu"));
    decision.acceptances.truncate(1);
    let core = &cluster.nodes[0].core;
    let verify = |decision: &Decision| {
        let signed = SignedFact::Decision(Box::new(decision.clone()));
        let now = hedgerow_attest::testing::SampleMesh::NOW;
        signed.verify(core.roster(), core.root(), now).map(|fact: VerifiedFact| fact.key().clone())
    };
    assert_eq!(verify(&decision).unwrap_err().to_string(), "decision that does not hold");
    let twice =
        Decision { acceptances: [decision.acceptances.clone(), decision.acceptances.clone()].concat(), ..decision };
    assert_eq!(verify(&twice).unwrap_err().to_string(), "decision that does not hold", "one voter counts once");
}
