//! Former placements: known to everybody until they are retired, and retired when what is held by them was handed over.

use super::cluster::{Cluster, S};
use super::scenario::class;
use crate::core::{Command, Input};
use crate::fact::{NodeState, VerifiedFact};
use crate::id::PlacementEpoch;
use crate::name::ClassName;
use crate::placement::{ReplicaSet, Settled, group_set};
use crate::session_id::{GROUP_PREFIXES, GroupId};
use crate::view::{Needed, PlacementView};
use hedgerow_attest::id::{CellId, NodeId};
use std::collections::BTreeSet;

fn cart() -> ClassName {
    ClassName::new("cart").unwrap()
}

fn prefixes() -> impl Iterator<Item = u8> {
    (0..=u8::MAX).take(usize::from(GROUP_PREFIXES))
}

/// Six nodes of one cell with a class of three copies of which two must be durable.
pub(super) fn placed(seed: u64) -> (Cluster, CellId) {
    let mut cluster = Cluster::formed(seed, &["eu"; 6]);
    cluster.run_until_holds(40 * S, "the cell has five voters", |c| {
        c.up().all(|node| c.view(node).aggregators.values().all(|seen| seen.voters == 5))
    });
    let policy = cluster.policy(1, vec![class("cart", 3, 2, &[])]);
    cluster.announce(0, policy);
    cluster.run_until_holds(10 * S, "every node follows a placement", |c| {
        c.up().all(|node| c.view(node).placements.values().any(|placement| !placement.groups.is_empty()))
    });
    let cell = cluster.view(0).cell.expect("a cell");
    (cluster, cell)
}

fn placement(cluster: &Cluster, node: usize, cell: &CellId) -> PlacementView {
    cluster.view(node).placements[cell].clone()
}

fn set(cluster: &Cluster, node: usize, cell: CellId, prefix: u8) -> ReplicaSet {
    group_set(&cluster.view(node), &GroupId { cell, class: cart(), prefix }).expect("it is placed")
}

/// A member that votes not drains, so that its groups move to others and nothing else happens.
fn drain_one(cluster: &mut Cluster, cell: &CellId) -> usize {
    let holder = cluster.judge.holder("eu", cluster.now).expect("somebody leads").node;
    let votes = |node: &usize| cluster.nodes[*node].core.promised_term().is_some();
    let leaver = (1..6).find(|node| *node != holder && !votes(node)).or((1..6).find(|node| *node != holder)).unwrap();
    let (before, id) = (placement(cluster, leaver, cell).epoch, cluster.nodes[leaver].id());
    cluster.command(leaver, Command::Drain);
    cluster.run_until_holds(10 * S, "everybody follows a placement without it", |c| {
        c.up().all(|node| {
            let placement = placement(c, node, cell);
            placement.epoch > before && placement.groups.values().all(|nodes| !nodes.contains(&id))
        })
    });
    leaver
}

/// Says for a node what its sessions would say.
fn settle(cluster: &mut Cluster, node: usize, cell: CellId, open: &[u8]) {
    let epoch = placement(cluster, node, &cell).epoch;
    let open = open.iter().map(|prefix| (cart(), *prefix));
    cluster.command(node, Command::Settled { said: Settled::but_for(cell, epoch, open), ended: 0 });
}

fn retired(cluster: &Cluster, cell: &CellId) -> BTreeSet<u64> {
    cluster.up().map(|node| placement(cluster, node, cell).retired.0).collect()
}

/// The groups that moved, and who held them before.
fn moved(cluster: &Cluster, cell: CellId) -> Vec<(u8, Vec<NodeId>)> {
    let former = |prefix| set(cluster, 0, cell, prefix).formers.into_iter().flatten().collect::<Vec<_>>();
    prefixes().map(|prefix| (prefix, former(prefix))).filter(|(_, former)| !former.is_empty()).collect()
}

#[test]
fn a_placement_is_retired_when_all_that_held_by_it_have_handed_over() {
    let (mut cluster, cell) = placed(1);
    let first = placement(&cluster, 0, &cell).epoch;
    let leaver = drain_one(&mut cluster, &cell);
    let groups = moved(&cluster, cell);
    assert!(!groups.is_empty() && groups.iter().all(|(_, former)| former.contains(&cluster.nodes[leaver].id())));
    for node in cluster.up() {
        let known = set(&cluster, node, cell, groups[0].0);
        assert_eq!((known.formers, known.is_settled), (vec![groups[0].1.clone()], false), "node {node}");
    }
    let open = groups[0].0;
    for node in (0..6).filter(|node| *node != leaver) {
        settle(&mut cluster, node, cell, &[]);
    }
    cluster.run_for(10 * S);
    assert_eq!(retired(&cluster, &cell), BTreeSet::from([0]), "one of them said nothing");
    settle(&mut cluster, leaver, cell, &[open]);
    cluster.run_for(10 * S);
    assert_eq!(retired(&cluster, &cell), BTreeSet::from([0]), "one group is not handed over");
    settle(&mut cluster, leaver, cell, &[]);
    cluster.run_until_holds(5 * S, "the cell knows", |c| retired(c, &cell) == BTreeSet::from([first.0]));
    for node in cluster.up() {
        let known = set(&cluster, node, cell, open);
        assert_eq!((known.formers, known.is_settled), (vec![], true), "node {node}");
    }
}

#[test]
fn what_was_said_of_an_earlier_placement_retires_nothing() {
    let (mut cluster, cell) = placed(2);
    drain_one(&mut cluster, &cell);
    let early = placement(&cluster, 0, &cell).epoch.0 - 1;
    for node in 0..6 {
        cluster.command(node, Command::Settled { said: Settled::but_for(cell, PlacementEpoch(early), []), ended: 0 });
    }
    cluster.run_for(10 * S);
    assert_eq!(retired(&cluster, &cell), BTreeSet::from([0]));
}

#[test]
fn who_is_down_for_long_is_not_waited_for() {
    let (mut cluster, cell) = placed(3);
    let leaver = drain_one(&mut cluster, &cell);
    for node in (0..6).filter(|node| *node != leaver) {
        settle(&mut cluster, node, cell, &[]);
    }
    cluster.kill(leaver);
    cluster.run_for(25 * S);
    assert_eq!(retired(&cluster, &cell), BTreeSet::from([0]), "it may be back");
    let all = |c: &Cluster| retired(c, &cell).iter().all(|retired| *retired > 0);
    cluster.run_until_holds(15 * S, "what it held is on its disk and can wait", all);
}

#[test]
fn a_restart_and_a_new_holder_forget_no_former_placement() {
    let (mut cluster, cell) = placed(4);
    let leaver = drain_one(&mut cluster, &cell);
    let groups = moved(&cluster, cell);
    let holder = cluster.judge.holder("eu", cluster.now).expect("somebody leads").node;
    cluster.kill(holder);
    cluster.run_for(15 * S);
    cluster.start(holder);
    cluster.run_for(5 * S);
    for node in cluster.up() {
        assert_eq!(set(&cluster, node, cell, groups[0].0).formers.last(), Some(&groups[0].1), "node {node}");
    }
    let all = |c: &Cluster| c.up().all(|node| set(c, node, cell, groups[0].0).is_settled);
    let deadline = cluster.now + 30 * S;
    while !all(&cluster) {
        assert!(cluster.now < deadline, "whoever leads is told again");
        (0..6).for_each(|node| settle(&mut cluster, node, cell, &[]));
        cluster.run_for(S);
    }
    assert!(set(&cluster, leaver, cell, groups[0].0).formers.is_empty());
}

#[test]
fn former_placements_are_bounded_whether_or_not_anybody_hands_over() {
    let (mut cluster, cell) = placed(5);
    for version in 2..10 {
        let copies = 2 + u8::try_from(version % 3).unwrap();
        let policy = cluster.policy(version, vec![class("cart", copies, 2, &[])]);
        cluster.announce(0, policy);
        let before = placement(&cluster, 0, &cell).epoch;
        let follows = |c: &Cluster| c.up().all(|node| placement(c, node, &cell).epoch > before);
        cluster.run_until_holds(15 * S, "the next placement follows", follows);
    }
    for node in cluster.up() {
        let known = placement(&cluster, node, &cell);
        assert!(known.retired.0 > 0 && known.formers.len() <= 4, "{known:?}");
        let counting = known.retired.0 + 1..known.epoch.0;
        assert!(known.formers.keys().map(|epoch| epoch.0).eq(counting), "{known:?}");
    }
}

#[test]
fn a_replica_that_leaves_for_good_hands_over_first() {
    let (mut cluster, cell) = placed(6);
    let votes = |node: &usize| cluster.nodes[*node].core.promised_term().is_some();
    let leaver = (0..6).find(|node| !votes(node)).expect("five of six vote");
    let id = cluster.nodes[leaver].id();
    let said = |c: &Cluster| c.nodes[0].core.record_of(&id).map(|record| record.state);
    cluster.command(leaver, Command::Leave);
    cluster.run_until_holds(10 * S, "its groups move", |c| {
        placement(c, leaver, &cell).groups.values().all(|nodes| !nodes.contains(&id))
    });
    cluster.run_for(20 * S);
    assert_eq!(said(&cluster), Some(NodeState::Draining), "nobody has what it has");
    settle(&mut cluster, leaver, cell, &[3]);
    cluster.run_for(5 * S);
    assert_eq!(said(&cluster), Some(NodeState::Draining), "not all of it");
    settle(&mut cluster, leaver, cell, &[]);
    cluster.run_until_holds(5 * S, "it has left", |c| said(c) == Some(NodeState::Left));
    assert_eq!(cluster.view(leaver).needed, Needed::default());
    // What is decided without it is none of its business any more.
    let policy = cluster.policy(2, vec![class("cart", 2, 2, &[])]);
    cluster.step(leaver, Input::Fact(Box::new(policy.clone())));
    let last = placement(&cluster, leaver, &cell).epoch;
    cluster.announce(0, policy);
    cluster.run_until_holds(10 * S, "a placement follows", |c| placement(c, 0, &cell).epoch > last);
    let (next, _) = cluster.nodes[0].core.decided_placement().expect("it was decided");
    let next = VerifiedFact::decision(next, cluster.nodes[leaver].core.roster());
    cluster.step(leaver, Input::Fact(Box::new(next)));
    assert!(placement(&cluster, leaver, &cell).epoch > last);
    assert_eq!(cluster.view(leaver).needed, Needed::default());
}

#[test]
fn a_replica_that_was_away_leaves_when_its_sessions_have_spoken_of_the_last_placement() {
    let (mut cluster, cell) = placed(7);
    let votes = |node: &usize| cluster.nodes[*node].core.promised_term().is_some();
    let leaver = (0..6).find(|node| !votes(node)).expect("five of six vote");
    let others: Vec<usize> = (0..6).filter(|node| *node != leaver).collect();
    let id = cluster.nodes[leaver].id();
    // By the placement of which it is a holder it has nothing to hand over.
    settle(&mut cluster, leaver, cell, &[]);
    cluster.cut(&[leaver], &others);
    cluster.command(leaver, Command::Leave);
    let moved = |c: &Cluster| others.iter().all(|node| placement(c, *node, &cell).epoch > PlacementEpoch(1));
    cluster.run_until_holds(60 * S, "its groups move when it is down", moved);
    let retired = |c: &Cluster| others.iter().all(|node| placement(c, *node, &cell).retired > PlacementEpoch(0));
    let deadline = cluster.now + 60 * S;
    while !retired(&cluster) {
        assert!(cluster.now < deadline, "nobody waits for it");
        others.iter().for_each(|node| settle(&mut cluster, *node, cell, &[]));
        cluster.run_for(S);
    }
    cluster.heal();
    let said = |c: &Cluster| c.nodes[0].core.record_of(&id).map(|record| record.state);
    let knows = |c: &Cluster| placement(c, leaver, &cell).retired > PlacementEpoch(0);
    cluster.run_until_holds(20 * S, "it hears that it holds nothing any more", knows);
    cluster.run_for(20 * S);
    assert_eq!(said(&cluster), Some(NodeState::Draining), "it may have what nobody else has");
    settle(&mut cluster, leaver, cell, &[3]);
    cluster.run_for(5 * S);
    assert_eq!(said(&cluster), Some(NodeState::Draining), "and has");
    settle(&mut cluster, leaver, cell, &[]);
    cluster.run_until_holds(5 * S, "it has left", |c| said(c) == Some(NodeState::Left));
}
