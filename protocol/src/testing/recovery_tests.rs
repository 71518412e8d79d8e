//! What becomes of a cell that lost its quorum for good, and of those who knew more of it than its operators.

use super::cluster::{Cluster, S};
use super::scenario::class;
use super::succession_tests::{decide, half, tell};
use crate::core::{CommandRefusal, Event};
use crate::fact::{SignedFact, VerifiedFact};
use crate::id::{ConfigEpoch, Generation, PlacementEpoch};
use crate::register::{Configuration, Content, MergeInto, Recovery, Split, Voter};
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::id::CellId;
use hedgerow_attest::testing::SampleMesh;
use std::collections::BTreeSet;

impl Cluster {
    fn signed(&self, by: usize, recovery: &Recovery) -> VerifiedFact {
        let signed = SignedFact::Recovery(Endorsed::sign(recovery, &[self.mesh.operator()]));
        signed.verify(self.nodes[by].core.roster(), self.mesh.root(), SampleMesh::NOW).expect("signed by the operator")
    }

    fn draft(&self, by: usize) -> Option<Recovery> {
        let node = &self.nodes[by];
        node.core.draft_recovery(node.mono(self.now)).ok()
    }

    /// Those who vote, as that node knows it.
    fn voting(&self, by: usize) -> Vec<usize> {
        let voters = self.nodes[by].core.voters().expect("it has a cell");
        (0..self.nodes.len()).filter(|node| voters.has(&self.nodes[*node].id())).collect()
    }

    fn generation(&self, by: usize) -> Option<Generation> {
        self.nodes[by].core.register_head().map(|head| head.generation)
    }

    fn heard(&self, by: usize, wanted: impl Fn(&Event) -> bool) -> usize {
        self.nodes[by].events.iter().filter(|(_, event)| wanted(event)).count()
    }
}

/// A cell of six of which three vote, with a placement.
fn formed(seed: u64) -> (Cluster, CellId) {
    let mut cluster = Cluster::formed(seed, &["eu"; 6]);
    let three = |c: &Cluster| (0..6).all(|node| c.voting(node).len() >= 3);
    cluster.run_until_holds(15 * S, "three vote", three);
    let policy = cluster.policy(1, vec![class("cart", 2, 2, &[])]);
    cluster.announce(0, policy);
    let placed = |c: &Cluster| (0..6).all(|node| c.nodes[node].core.decided_digest().is_some());
    cluster.run_until_holds(20 * S, "it is placed", placed);
    let cell = cluster.nodes[0].core.own_cell().expect("the region was founded");
    (cluster, cell)
}

/// The same after all voters but one have died at once; who is left, the last voter first.
fn bereft(seed: u64) -> (Cluster, CellId, Vec<usize>, Vec<usize>) {
    let (mut cluster, cell) = formed(seed);
    let voting = cluster.voting(0);
    let (dead, kept) = (voting[1..].to_vec(), voting[0]);
    dead.iter().for_each(|node| cluster.kill(*node));
    let mut left = vec![kept];
    left.extend((0..6).filter(|node| !voting.contains(node)));
    cluster.run_for(60 * S);
    assert_eq!(cluster.judge.holder_of(&cell, cluster.now), None, "nobody can be elected");
    (cluster, cell, left, dead)
}

fn is_led(cluster: &Cluster, cell: CellId, generation: u64, nodes: &[usize]) -> bool {
    let led = cluster.judge.holder_of(&cell, cluster.now).is_some_and(|holder| nodes.contains(&holder));
    led && nodes.iter().all(|node| cluster.generation(*node) == Some(Generation(generation)))
}

#[test]
fn a_cell_without_a_quorum_goes_on_with_the_voters_that_its_operators_name() {
    for seed in 1..4 {
        let (mut cluster, cell, left, dead) = bereft(seed);
        let before = cluster.nodes[left[0]].core.register_head().expect("it has a cell");
        let recovery = cluster.draft(left[1]).expect("nobody leads");
        assert_eq!((recovery.generation, recovery.base), (Generation(1), before));
        assert!(recovery.voters.has(&cluster.nodes[left[0]].id()), "who voted already votes first");
        let told = cluster.now;
        let fact = cluster.signed(left[1], &recovery);
        cluster.announce(left[1], fact);
        let led = |c: &Cluster| is_led(c, cell, 1, &left);
        let spent = cluster.run_until_holds(15 * S, "the new voters elect", led);
        assert!(spent >= 4 * S, "they wait a full lease first, not {spent}");
        let first = cluster.judge.leases["eu"].iter().find(|lease| lease.generation == Generation(1)).copied();
        assert!(first.is_some_and(|lease| lease.from >= told + 4 * S));
        // What was placed on the dead is placed elsewhere, under numbers of the new generation.
        let placed = |c: &Cluster| {
            let placement = |node: &usize| c.view(*node).placements.get(&cell).map(|seen| seen.epoch);
            left.iter().all(|node| placement(node) >= Some(PlacementEpoch::first_of(Generation(1))))
        };
        cluster.run_until_holds(60 * S, "a placement of the new generation", placed);
        let holders: BTreeSet<_> = cluster.view(left[0]).placements[&cell].groups.values().flatten().copied().collect();
        assert!(dead.iter().all(|node| !holders.contains(&cluster.nodes[*node].id())));
        // Those that died come back with a quorum of the former voters among them, and follow.
        dead.iter().for_each(|node| cluster.start(*node));
        let all = |c: &Cluster| is_led(c, cell, 1, &[0, 1, 2, 3, 4, 5]) && c.is_converged();
        cluster.run_until_holds(30 * S, "the dead follow when they are back", all);
        cluster.run_for(20 * S);
        assert!(all(&cluster));
        let recovered = |event: &Event| matches!(event, Event::CellRecovered { cell: of, generation: Generation(1), .. } if *of == cell);
        assert_eq!((0..6).map(|node| cluster.heard(node, recovered)).collect::<Vec<_>>(), [1; 6]);
        // Across a restart of everybody the cell stays in its generation.
        (0..6).for_each(|node| cluster.kill(node));
        (0..6).for_each(|node| cluster.start(node));
        cluster.run_until_holds(30 * S, "it is led again", all);
        assert_eq!(cluster.judge.violations, [], "seed {seed}");
    }
}

#[test]
fn nobody_drafts_a_recovery_while_somebody_leads() {
    let (cluster, cell) = formed(1);
    assert!(cluster.judge.holder_of(&cell, cluster.now).is_some());
    let draft = |node: usize| cluster.nodes[node].core.draft_recovery(cluster.nodes[node].mono(cluster.now));
    assert_eq!((0..6).map(draft).collect::<Vec<_>>(), vec![Err(CommandRefusal::Led); 6]);
}

#[test]
fn what_was_decided_without_the_knowledge_of_the_operators_is_undone() {
    let (mut cluster, cell) = formed(2);
    let voting = cluster.voting(0);
    let left: Vec<usize> = (0..6).filter(|node| !voting.contains(node)).collect();
    // The voters alone decide another placement and another voter set, and die.
    cluster.cut(&voting, &left);
    let policy = cluster.policy(2, vec![class("cart", 1, 1, &[]), class("note", 2, 2, &[])]);
    cluster.announce(voting[0], policy);
    let epoch = |c: &Cluster, node: usize| c.view(node).placements.get(&cell).map(|seen| seen.epoch);
    let more = |c: &Cluster| voting.iter().all(|node| epoch(c, *node) >= Some(PlacementEpoch(2)));
    cluster.run_until_holds(90 * S, "the voters decide something", more);
    let known = cluster.nodes[voting[0]].core.register_head().expect("it has a cell");
    voting.iter().for_each(|node| cluster.kill(*node));
    cluster.heal();
    cluster.run_for(40 * S);
    let recovery = cluster.draft(left[0]).expect("nobody leads");
    assert!(recovery.base.slot < known.slot, "the operators do not know of it");
    let fact = cluster.signed(left[0], &recovery);
    cluster.announce(left[0], fact);
    cluster.run_until_holds(15 * S, "it is led", |c| is_led(c, cell, 1, &left));
    voting.iter().for_each(|node| cluster.start(*node));
    let all = |c: &Cluster| {
        let followed: BTreeSet<_> = (0..6).map(|node| epoch(c, node)).collect();
        let head = c.nodes[0].core.register_head();
        let alike = followed.len() == 1 && (0..6).all(|node| c.nodes[node].core.register_head() == head);
        alike && followed.first() >= Some(&Some(PlacementEpoch::first_of(Generation(1))))
    };
    cluster.run_until_holds(90 * S, "all follow the same register", all);
    assert!(cluster.sometimes.contains_key("a recovery undid what a node knew to be decided"));
    // Nothing of it comes back from a disk.
    (0..6).for_each(|node| cluster.kill(node));
    (0..6).for_each(|node| cluster.start(node));
    cluster.run_until_holds(30 * S, "all follow it after a restart", all);
    assert_eq!(cluster.judge.violations, []);
}

#[test]
fn a_split_that_the_operators_did_not_know_of_is_undone_and_its_cells_are_forgotten() {
    let (mut cluster, parent) = formed(4);
    let voting = cluster.voting(0);
    let left: Vec<usize> = (0..6).filter(|node| !voting.contains(node)).collect();
    cluster.cut(&voting, &left);
    let halves = [half(&cluster, &[voting[0], left[0]]), half(&cluster, &[voting[1], voting[2], left[1], left[2]])];
    let decision = decide(&cluster, voting[0], Content::Split(Split { halves }));
    tell(&mut cluster, voting[0], decision);
    let apart = |c: &Cluster| voting.iter().all(|node| c.nodes[*node].core.own_cell() != Some(parent));
    cluster.run_until_holds(10 * S, "the voters are in the cells of the split", apart);
    cluster.run_for(40 * S);
    let recovery = cluster.draft(left[0]).expect("nobody leads");
    let fact = cluster.signed(left[0], &recovery);
    cluster.announce(left[0], fact);
    cluster.run_until_holds(15 * S, "it is led", |c| is_led(c, parent, 1, &left));
    cluster.heal();
    let one = |c: &Cluster| is_led(c, parent, 1, &[0, 1, 2, 3, 4, 5]) && c.is_converged();
    cluster.run_until_holds(60 * S, "all are one cell again", one);
    let alone = |c: &Cluster| {
        (0..6).all(|node| {
            let (roster, view) = (c.nodes[node].core.roster(), c.view(node));
            roster.cell_count() == 1 && roster.end_of(&parent).is_none() && view.cells.keys().eq([&parent])
        })
    };
    assert!(alone(&cluster));
    (0..6).for_each(|node| cluster.kill(node));
    (0..6).for_each(|node| cluster.start(node));
    cluster.run_until_holds(30 * S, "and after a restart", |c| one(c) && alone(c));
    assert_eq!(cluster.judge.violations, []);
}

#[test]
fn the_first_recovery_of_a_generation_is_followed_and_a_second_is_reported_once() {
    let (mut cluster, cell, left, _) = bereft(3);
    let first = cluster.draft(left[0]).expect("nobody leads");
    let sole = Voter { node: cluster.nodes[left[2]].id(), key: *cluster.nodes[left[2]].member.statement() };
    let voters = Configuration::majority(ConfigEpoch::first_of(Generation(1)), vec![sole]);
    let second = Recovery { voters, ..first };
    let [one, two] = [&first, &second].map(|recovery| cluster.signed(left[0], recovery));
    cluster.announce(left[0], one.clone());
    cluster.run_until_holds(15 * S, "it is led", |c| is_led(c, cell, 1, &left));
    cluster.announce(left[0], two);
    cluster.run_for(20 * S);
    let reported = |event: &Event| matches!(event, Event::TwoRecoveries { .. });
    assert_eq!(cluster.heard(left[0], reported), 1);
    assert!(is_led(&cluster, cell, 1, &left), "the first is followed");
    assert_eq!(
        cluster.nodes[left[0]].core.roster().cell(&cell).map(|book| book.recovery().cloned()),
        Some(one.recovered().cloned())
    );
    // One of the next generation ends both.
    let epoch = ConfigEpoch::first_of(Generation(2));
    let third = Recovery { generation: Generation(2), voters: Configuration { epoch, ..second.voters }, ..first };
    let fact = cluster.signed(left[0], &third);
    cluster.announce(left[0], fact);
    let led = |c: &Cluster| is_led(c, cell, 2, &left);
    cluster.run_until_holds(20 * S, "the next generation is led", led);
    assert_eq!(cluster.judge.violations, []);
}

#[test]
fn members_of_cells_that_a_recovery_unmakes_are_in_the_first_cell_again() {
    let mut cluster = formed(5).0;
    let parent = cluster.nodes[0].core.own_cell().expect("the region was founded");
    let base = cluster.nodes[0].core.register_head().expect("it has a cell");
    let base_epoch = cluster.nodes[0].core.voters().expect("it has a cell").epoch;
    // It is split in halves, and the one with the higher id ends in the other: all without the operators knowing.
    let halves = [half(&cluster, &[0, 2, 4]), half(&cluster, &[1, 3, 5])];
    let decision = decide(&cluster, 0, Content::Split(Split { halves }));
    tell(&mut cluster, 0, decision);
    let cells = |c: &Cluster| (0..6).map(|node| c.nodes[node].core.own_cell()).collect::<BTreeSet<_>>();
    cluster
        .run_until_holds(10 * S, "there are two cells", |c| cells(c).len() == 2 && !cells(c).contains(&Some(parent)));
    let [a, b] = [0, 1].map(|node| cluster.nodes[node].core.own_cell().expect("it has a cell"));
    let (target, source) = if a < b { (a, 1) } else { (b, 0) };
    let merge = MergeInto { target, absorbed: Sha256Digest::from_bytes([0; 32]) };
    let decision = decide(&cluster, source, Content::MergeInto(merge));
    tell(&mut cluster, source, decision);
    cluster.run_until_holds(20 * S, "there is one", |c| cells(c) == BTreeSet::from([Some(target)]));
    let voters = {
        let sole = Voter { node: cluster.nodes[0].id(), key: *cluster.nodes[0].member.statement() };
        Configuration::majority(ConfigEpoch::first_of(Generation(1)), vec![sole])
    };
    let recovery = Recovery { cell: parent, generation: Generation(1), base, base_epoch, voters };
    let fact = cluster.signed(0, &recovery);
    cluster.announce(0, fact);
    let one = |c: &Cluster| is_led(c, parent, 1, &[0, 1, 2, 3, 4, 5]) && c.is_converged();
    cluster.run_until_holds(60 * S, "all are in the first cell again", one);
    assert!((0..6).all(|node| cluster.nodes[node].core.roster().cell_count() == 1));
    assert_eq!(cluster.judge.violations, []);
}

#[test]
fn a_recovery_that_contradicts_what_a_quorum_decided_to_the_knowledge_of_the_operators_is_none() {
    let (cluster, cell) = formed(6);
    let core = &cluster.nodes[0].core;
    let (base, voters) = (core.register_head().expect("it has a cell"), core.voters().expect("it has voters").clone());
    let next = Configuration { epoch: ConfigEpoch::first_of(Generation(1)), ..voters.clone() };
    let recovery = Recovery { cell, generation: Generation(1), base, base_epoch: voters.epoch, voters: next };
    let verified = |recovery: &Recovery| {
        let signed = SignedFact::Recovery(Endorsed::sign(recovery, &[cluster.mesh.operator()]));
        signed
            .verify(core.roster(), cluster.mesh.root(), SampleMesh::NOW)
            .map(|_| ())
            .map_err(|refusal| refusal.may_heal())
    };
    assert_eq!(verified(&recovery), Ok(()));
    let later = Recovery { base_epoch: voters.epoch.next(), ..recovery.clone() };
    assert_eq!(verified(&later), Err(true), "those voters may be heard of yet");
    let earlier = Recovery { base_epoch: ConfigEpoch(1), ..recovery };
    assert_eq!(verified(&earlier), Err(false), "others were in force there");
}

#[test]
fn a_cell_that_ended_in_one_that_is_unmade_goes_on_from_before_its_end_with_what_it_had_placed() {
    let mut cluster = formed(7).0;
    let sides = [[0, 2, 4], [1, 3, 5]];
    let decision = decide(&cluster, 0, Content::Split(Split { halves: sides.map(|side| half(&cluster, &side)) }));
    tell(&mut cluster, 0, decision);
    let cell_of = |c: &Cluster, node: usize| c.nodes[node].core.own_cell();
    let placed = |c: &Cluster, node: usize| c.nodes[node].core.decided_digest();
    let both = |c: &Cluster| sides.iter().flatten().all(|node| placed(c, *node).is_some());
    cluster.run_until_holds(60 * S, "both halves have placed something", both);
    // One is split once more, and the other ends in a half of that.
    let (split, kept) =
        if cell_of(&cluster, 0) > cell_of(&cluster, 1) { (sides[1], sides[0]) } else { (sides[0], sides[1]) };
    let [known, ended] = [split[0], kept[0]].map(|node| cell_of(&cluster, node).expect("it has a cell"));
    let core = &cluster.nodes[split[0]].core;
    let (base, base_epoch) = (core.register_head().expect("it has a cell"), core.voters().expect("voters").epoch);
    let halves = [half(&cluster, &split[..1]), half(&cluster, &split[1..])];
    let decision = decide(&cluster, split[0], Content::Split(Split { halves }));
    tell(&mut cluster, split[0], decision);
    let apart = |c: &Cluster| cell_of(c, split[0]) != cell_of(c, split[1]) && cell_of(c, split[0]) != Some(known);
    cluster.run_until_holds(10 * S, "it is split", apart);
    let target = cell_of(&cluster, split[0]).min(cell_of(&cluster, split[1])).expect("both have a cell");
    assert!(target < ended, "choose another seed: a cell ends in one with a lower id");
    let before = cluster.nodes[kept[0]].core.register_head().expect("it has a cell");
    let seen = |c: &Cluster, node: usize| c.view(node).placements.get(&ended).map(|placement| placement.epoch);
    let had = kept.map(|node| seen(&cluster, node));
    assert!(had[0].is_some() && had.iter().all(|epoch| *epoch == had[0]));
    let merge = MergeInto { target, absorbed: Sha256Digest::from_bytes([0; 32]) };
    let decision = decide(&cluster, kept[0], Content::MergeInto(merge));
    tell(&mut cluster, kept[0], decision);
    let moved = |c: &Cluster| kept.iter().all(|node| cell_of(c, *node) == Some(target));
    cluster.run_until_holds(20 * S, "the other ended", moved);
    // The operators did not know of the second split.
    let voters = {
        let sole = &cluster.nodes[split[0]];
        let voter = Voter { node: sole.id(), key: *sole.member.statement() };
        Configuration::majority(ConfigEpoch::first_of(Generation(1)), vec![voter])
    };
    let recovery = Recovery { cell: known, generation: Generation(1), base, base_epoch, voters };
    let fact = cluster.signed(split[0], &recovery);
    cluster.announce(split[0], fact);
    let homeless = |c: &Cluster| kept.iter().all(|node| cell_of(c, *node).is_none()) && is_led(c, known, 1, &split);
    cluster.run_until_holds(30 * S, "it led the others nowhere", homeless);
    cluster.run_for(20 * S);
    assert_eq!(kept.map(|node| seen(&cluster, node)), had, "what is on their disks follows from that");
    let recovery = cluster.draft(kept[0]).expect("nobody leads there");
    assert_eq!((recovery.cell, recovery.generation, recovery.base), (ended, Generation(1), before));
    let fact = cluster.signed(kept[0], &recovery);
    cluster.announce(kept[0], fact);
    let all = |c: &Cluster| is_led(c, known, 1, &split) && is_led(c, ended, 1, &kept) && c.is_converged();
    cluster.run_until_holds(60 * S, "each is led again", all);
    assert_eq!(kept.map(|node| seen(&cluster, node)), had, "nobody was lost, so nothing moved");
    assert_eq!(cluster.judge.violations, []);
}
