//! What lived in a cell that ended goes to the holders that another cell names, and whoever had it waits for that.

use super::censor::{Fate, Kind};
use super::cluster::{Cluster, S};
use super::scenario::class;
use super::succession_tests::{decide, grown, half, is_whole, tell};
use crate::core::Command;
use crate::name::ClassName;
use crate::placement::{ReplicaSet, Settled, group_set};
use crate::register::{Absorb, Content, Half, MergeInto, Split};
use crate::session_id::{GROUP_PREFIXES, GroupId};
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::CellId;

fn groups(birth: CellId) -> impl Iterator<Item = GroupId> {
    let cart = ClassName::new("cart").unwrap();
    (0..=u8::MAX).take(usize::from(GROUP_PREFIXES)).map(move |prefix| GroupId {
        cell: birth,
        class: cart.clone(),
        prefix,
    })
}

fn home(cluster: &Cluster, node: usize) -> CellId {
    cluster.nodes[node].core.own_cell().expect("it has a cell")
}

fn sets(cluster: &Cluster, node: usize, birth: CellId) -> Vec<ReplicaSet> {
    let view = cluster.view(node);
    groups(birth).filter_map(|group| group_set(&view, &group).ok()).collect()
}

/// Whether every node finds the groups of that birth with members of the cells in which they live, under own tables of those.
fn moved(cluster: &Cluster, birth: CellId) -> bool {
    (0..6).all(|node| {
        let view = cluster.view(node);
        let sets = sets(cluster, node, birth);
        let at_home = |set: &ReplicaSet| {
            let lives = view.lineage.home(&set.group);
            let own = view.placements.get(&lives).is_some_and(|own| own.inherits.contains_key(&birth));
            own && set.nodes.iter().all(|holder| view.members.get(holder).is_some_and(|at| at.cell == Some(lives)))
        };
        sets.len() == usize::from(GROUP_PREFIXES) && sets.iter().all(at_home)
    })
}

/// All say of all cells that everything is handed over.
fn settle_all(cluster: &mut Cluster) {
    settle_all_but(cluster, None);
}

fn settle_all_but(cluster: &mut Cluster, but: Option<usize>) {
    for node in (0..6).filter(|node| Some(*node) != but && !cluster.nodes[*node].core.is_gone()).collect::<Vec<_>>() {
        let view = cluster.view(node);
        for said in Settled::of_living(&view.lineage, &view.placements, []).into_values() {
            cluster.command(node, Command::Settled { said, ended: view.lineage.len() });
        }
    }
}

fn is_settled(cluster: &Cluster, birth: CellId) -> bool {
    let settled = |set: &ReplicaSet| set.is_settled && set.formers.is_empty();
    let all = |sets: Vec<ReplicaSet>| sets.len() == usize::from(GROUP_PREFIXES) && sets.iter().all(settled);
    (0..6).all(|node| all(sets(cluster, node, birth)))
}

/// A class placed in a cell that was then split, and in its halves.
fn placed_and_split(seed: u64) -> (Cluster, CellId) {
    let mut cluster = grown(seed);
    let parent = home(&cluster, 0);
    let policy = cluster.policy(1, vec![class("cart", 2, 2, &[])]);
    cluster.announce(0, policy);
    cluster.run_until_holds(20 * S, "it is placed", |c| (0..6).all(|node| sets(c, node, parent).len() == 16));
    let split = Split { halves: [half(&cluster, &[0, 2, 4]), half(&cluster, &[1, 3, 5])] };
    let decision = decide(&cluster, 0, Content::Split(split));
    tell(&mut cluster, 0, decision);
    cluster.run_until_holds(60 * S, "both halves name the cell that was split", |c| moved(c, parent));
    (cluster, parent)
}

#[test]
fn groups_of_a_cell_that_was_split_move_to_the_first_tables_of_its_halves() {
    let (mut cluster, parent) = placed_and_split(2);
    let unsettled = |c: &Cluster, node: usize| {
        let sets = sets(c, node, parent);
        sets.iter().any(|set| !set.formers.is_empty()) && sets.iter().all(|set| !set.is_settled)
    };
    assert!((0..6).all(|node| unsettled(&cluster, node)), "what the old cell had placed counts beside that");
    cluster.run_for(20 * S);
    assert!((0..6).all(|node| unsettled(&cluster, node)), "for as long as nobody says that it has handed over");
    settle_all(&mut cluster);
    cluster.run_until_holds(20 * S, "the old tables are retired", |c| is_settled(c, parent));
    let forgotten = |c: &Cluster| (0..6).all(|node| !c.view(node).placements.contains_key(&parent));
    cluster.run_until_holds(5 * S, "nobody keeps them", forgotten);
    let lives = |set: &ReplicaSet| cluster.view(0).lineage.home(&set.group);
    let found: Vec<CellId> = sets(&cluster, 0, parent).iter().map(lives).collect();
    let halves = [home(&cluster, 0), home(&cluster, 1)];
    assert!(found.len() == 16 && halves.iter().all(|half| found.contains(half)), "{found:?}");
}

/// The two halves placed theirs, and one ended in the other: the cell that took in, and a node of each.
fn merged(seed: u64) -> (Cluster, CellId, CellId, usize) {
    let (mut cluster, parent) = placed_and_split(seed);
    settle_all(&mut cluster);
    cluster.run_until_holds(20 * S, "the old tables are retired", |c| is_settled(c, parent));
    let [a, b] = [home(&cluster, 0), home(&cluster, 1)];
    let (target, source, node) = if a < b { (a, b, 1) } else { (b, a, 0) };
    let merge = MergeInto { target, absorbed: Sha256Digest::from_bytes([0; 32]) };
    let decision = decide(&cluster, node, Content::MergeInto(merge));
    tell(&mut cluster, node, decision);
    (cluster, target, source, node)
}

#[test]
fn groups_of_a_cell_that_another_took_in_move_to_that_one() {
    let (mut cluster, target, source, _) = merged(3);
    cluster.run_until_holds(60 * S, "its table names the cell that it took in", |c| moved(c, source));
    let formers = |c: &Cluster| sets(c, 0, source).iter().filter(|set| !set.formers.is_empty()).count();
    assert!(formers(&cluster) > 0 && !is_settled(&cluster, source));
    settle_all(&mut cluster);
    cluster.run_until_holds(20 * S, "the old tables are retired", |c| is_settled(c, source) && is_settled(c, target));
}

#[test]
fn what_was_said_before_a_merger_lets_nobody_leave_with_what_came_by_it() {
    // Its sessions said of the other cell, of which they held nothing, that all was handed over.
    let (mut cluster, _, source, node) = merged(3);
    cluster.run_until_holds(5 * S, "it is in the other cell", |c| home(c, node) != source);
    let holds = sets(&cluster, node, source).iter().any(|set| set.nodes.contains(&cluster.nodes[node].id()));
    assert!(holds, "it holds groups of the cell that ended");
    cluster.command(node, Command::Leave);
    cluster.run_for(30 * S);
    assert!(!cluster.nodes[node].core.is_gone(), "it has not handed over");
    settle_all(&mut cluster);
    cluster.run_for(S);
    let mut ticks = 0;
    while !cluster.nodes[node].core.is_gone() {
        ticks += 1;
        assert!(ticks < 60, "it leaves when it has");
        settle_all(&mut cluster);
        cluster.run_for(S);
    }
}

#[test]
fn whoever_does_not_follow_the_last_table_of_a_cell_that_is_split_does_not_leave_at_once() {
    let mut cluster = grown(5);
    let parent = home(&cluster, 0);
    let policy = cluster.policy(1, vec![class("cart", 2, 2, &[])]);
    cluster.announce(0, policy);
    cluster.run_until_holds(20 * S, "it is placed", |c| (0..6).all(|node| sets(c, node, parent).len() == 16));
    // One that does not vote hears what is decided, and misses the policy of which that speaks.
    let holder = cluster.judge.holder_of(&parent, cluster.now).expect("it is led");
    let votes = |node: &usize| cluster.nodes[0].core.voters().is_some_and(|set| set.has(&cluster.nodes[*node].id()));
    let holds = |node: &usize| {
        let me = cluster.nodes[*node].id();
        sets(&cluster, *node, parent).iter().any(|set| set.nodes.contains(&me))
    };
    let late = (0..6).find(|node| !votes(node) && holds(node)).expect("three do not vote");
    cluster.nodes[late].deaf_to_gossip = true;
    cluster.censor = Some(Box::new(move |frame| Fate::Lose.when(frame.to == late && frame.kind == Kind::Exchange)));
    let policy = cluster.policy(2, vec![class("cart", 3, 2, &[])]);
    cluster.announce(holder, policy);
    let followed = |c: &Cluster, node: usize| c.view(node).placements.get(&parent).map(|placement| placement.epoch);
    let before = followed(&cluster, late);
    cluster.run_until_holds(30 * S, "others follow another table", |c| followed(c, holder) > before);
    let (decision, _) = cluster.nodes[holder].core.decided_placement().expect("it was decided");
    tell(&mut cluster, late, decision.decision().clone());
    cluster.command(late, Command::Leave);
    cluster.run_for(5 * S);
    assert_eq!(
        (followed(&cluster, late), cluster.nodes[late].core.is_gone()),
        (before, false),
        "it holds groups by that"
    );
    let split = Split { halves: [half(&cluster, &[0, 2, 4]), half(&cluster, &[1, 3, 5])] };
    let side = |half: Half| {
        let is_other = |node: &usize| *node != late && half.members.contains(&cluster.nodes[*node].id());
        let others: Vec<usize> = (0..6).filter(is_other).collect();
        Half { voters: self::half(&cluster, &others).voters, ..half }
    };
    let decision = decide(&cluster, holder, Content::Split(Split { halves: split.halves.map(side) }));
    tell(&mut cluster, late, decision);
    cluster.run_for(20 * S);
    assert_ne!(cluster.nodes[late].core.own_cell(), Some(parent));
    assert!(!cluster.nodes[late].core.is_gone(), "its sessions have said nothing of what was placed last");
}

#[test]
fn a_sole_voter_that_took_a_cell_in_waits_for_those_who_come() {
    let parted = |seed: u64| {
        let mut cluster = grown(seed);
        let split = Split { halves: [half(&cluster, &[0]), half(&cluster, &[1, 2, 3, 4, 5])] };
        let decision = decide(&cluster, 0, Content::Split(split));
        tell(&mut cluster, 0, decision);
        let both = |c: &Cluster| is_whole(c, &[0]) && is_whole(c, &[1, 2, 3, 4, 5]);
        cluster.run_until_holds(20 * S, "both are led", both);
        (home(&cluster, 0) < home(&cluster, 1)).then_some(cluster)
    };
    let mut cluster = (1..20).find_map(parted).expect("of two ids either is the lower one");
    let (target, source) = (home(&cluster, 0), home(&cluster, 1));
    let absorb = decide(&cluster, 0, Content::Absorb(Absorb { source }));
    tell(&mut cluster, 0, absorb);
    cluster.run_for(S);
    cluster.command(0, Command::Leave);
    cluster.run_for(10 * S);
    assert!(!cluster.nodes[0].core.is_gone(), "those whom it took in have not come");
    let merge = MergeInto { target, absorbed: Sha256Digest::from_bytes([0; 32]) };
    let decision = decide(&cluster, 1, Content::MergeInto(merge));
    tell(&mut cluster, 1, decision);
    cluster.run_until_holds(120 * S, "it leaves, and others lead", |c| {
        c.nodes[0].core.is_gone() && c.judge.holder_of(&target, c.now).is_some_and(|at| at != 0)
    });
}

#[test]
fn who_leaves_the_cell_that_was_split_has_its_say_in_either_half() {
    // What node 0 held of a group that lives in the other half it hands over to members of that.
    let (mut cluster, parent) = placed_and_split(4);
    let other = home(&cluster, 1);
    let me = cluster.nodes[0].id();
    let held = sets(&cluster, 0, parent);
    let there = |set: &&ReplicaSet| {
        cluster.view(0).lineage.home(&set.group) == other && set.formers.iter().flatten().any(|node| *node == me)
    };
    let open: Vec<u8> = held.iter().filter(there).map(|set| set.group.prefix).collect();
    assert!(!open.is_empty(), "it held something that lives in the other half");
    let (epoch, ended) = (cluster.view(0).placements[&other].epoch, cluster.view(0).lineage.len());
    settle_all_but(&mut cluster, Some(0));
    let cart = ClassName::new("cart").unwrap();
    let said = Settled::but_for(other, epoch, open.iter().map(|prefix| (cart.clone(), *prefix)));
    cluster.command(0, Command::Settled { said, ended });
    cluster.run_for(20 * S);
    assert!(!is_settled(&cluster, parent), "the holder of the other half waits for it");
    settle_all(&mut cluster);
    cluster.run_until_holds(20 * S, "the old tables are retired", |c| is_settled(c, parent));
}
