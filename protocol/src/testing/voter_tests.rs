//! Who votes, as members come, fail and leave.

use super::censor::{Fate, Kind};
use super::cluster::{Cluster, MS, S};
use super::judge::Invariant;
use crate::core::{Command, Input};
use crate::defect::Defect;
use crate::fact::SignedFact;
use crate::id::{ConfigEpoch, Generation, Slot, Term};
use crate::register::{Acceptance, Configuration, Content, Decision, Head, Value, Voter};
use hedgerow_attest::signed::Signed;
use hedgerow_attest::testing::SampleMesh;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

/// The voters in the view of a node, by number.
fn voters(cluster: &Cluster, node: usize) -> BTreeSet<usize> {
    let set = cluster.nodes[node].core.voters();
    let votes = |set: &&Configuration, node: usize| set.has(&cluster.nodes[node].id());
    (0..cluster.nodes.len()).filter(|node| set.as_ref().is_some_and(|set| votes(set, *node))).collect()
}

fn agree(cluster: &Cluster, count: usize) -> bool {
    let sets: BTreeSet<BTreeSet<usize>> = cluster.up().map(|node| voters(cluster, node)).collect();
    sets.len() == 1 && sets.iter().all(|set| set.len() == count) && holder(cluster).is_some()
}

fn holder(cluster: &Cluster) -> Option<usize> {
    cluster.judge.holder("eu", cluster.now).map(|lease| lease.node)
}

fn grown(seed: u64, size: usize, voters: usize) -> Cluster {
    let mut cluster = Cluster::formed(seed, &vec!["eu"; size]);
    cluster.run_until_holds(60 * S, "the cell has its voters", |c| agree(c, voters));
    cluster
}

#[test]
fn a_cell_of_five_has_five_voters_when_it_was_stable_for_half_a_minute() {
    let mut cluster = Cluster::formed(1, &["eu"; 5]);
    cluster.run_until_holds(10 * S, "three vote", |c| agree(c, 3));
    cluster.run_for(20 * S);
    assert!(agree(&cluster, 3), "not before");
    cluster.run_until_holds(20 * S, "five vote", |c| agree(c, 5));
    let leases = cluster.judge.leases["eu"].len();
    cluster.run_for(20 * S);
    assert_eq!((cluster.judge.leases["eu"].len(), leases), (1, 1), "the lease went on all the while");
}

#[test]
fn a_voter_shows_the_end_of_the_register_to_those_only_who_lack_it() {
    let mut cluster = grown(1, 5, 5);
    let grants = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&grants);
    cluster.censor = Some(Box::new(move |frame| {
        if frame.kind == Kind::Grant {
            seen.borrow_mut().push(frame.octets);
        }
        Fate::Pass
    }));
    cluster.run_for(20 * S);
    let longest = grants.borrow().iter().max().copied();
    assert!(grants.borrow().len() >= 60, "four voters renew every second");
    assert!(longest < Some(400), "a grant of {longest:?} octets proves what the holder knows");
}

#[test]
fn a_voter_that_stays_away_is_replaced_and_comes_back_as_a_member() {
    for seed in 0..3 {
        let mut cluster = grown(seed, 4, 3);
        cluster.run_for(25 * S);
        let before = voters(&cluster, 0);
        let lost = *before.iter().find(|node| Some(**node) != holder(&cluster)).expect("two do not lead");
        let reserve = (0..4).find(|node| !before.contains(node)).expect("one of four does not vote");
        cluster.kill(lost);
        cluster.run_for(28 * S);
        assert_eq!(voters(&cluster, reserve), before, "seed {seed}: it may come back");
        cluster.run_until_holds(15 * S, "another votes in its place", |c| {
            agree(c, 3) && voters(c, reserve).contains(&reserve)
        });
        cluster.start(lost);
        cluster.run_for(60 * S);
        assert!(agree(&cluster, 3) && !voters(&cluster, lost).contains(&lost), "seed {seed}");
        // The voters that are left elect among themselves.
        let leads = holder(&cluster).expect("somebody leads");
        cluster.kill(leads);
        cluster.run_until_holds(8 * S, "another leads", |c| holder(c).is_some_and(|node| node != leads));
    }
}

#[test]
fn a_cell_that_lost_two_of_five_survives_the_loss_of_a_third() {
    let mut cluster = grown(2, 5, 5);
    let leads = holder(&cluster).expect("somebody leads");
    let others: Vec<usize> = (0..5).filter(|node| *node != leads).collect();
    cluster.kill(others[0]);
    cluster.kill(others[1]);
    cluster.run_until_holds(60 * S, "three of three vote", |c| agree(c, 3));
    cluster.kill(others[2]);
    cluster.run_for(6 * S);
    assert!(holder(&cluster).is_some(), "two of three are a quorum");
    for node in &others[..3] {
        cluster.start(*node);
    }
    cluster.run_until_holds(90 * S, "five vote again", |c| agree(c, 5));
}

#[test]
fn whoever_drains_votes_no_more_and_its_part_is_taken_at_once() {
    let mut cluster = grown(3, 4, 3);
    cluster.run_for(31 * S);
    let leads = holder(&cluster).expect("somebody leads");
    let leaver = *voters(&cluster, leads).iter().find(|node| **node != leads).expect("two do not lead");
    cluster.command(leaver, Command::Drain);
    cluster
        .run_until_holds(5 * S, "another votes in its place", |c| agree(c, 3) && !voters(c, leads).contains(&leaver));
    assert!(cluster.judge.leases["eu"].len() == 1, "the lease went on");
}

#[test]
fn a_cell_shrinks_when_its_members_leave_and_the_last_one_votes_alone() {
    let mut cluster = grown(4, 3, 3);
    let leads = holder(&cluster).expect("somebody leads");
    let others: Vec<usize> = (0..3).filter(|node| *node != leads).collect();
    cluster.command(others[0], Command::Leave);
    cluster.run_for(200 * MS);
    cluster.kill(others[0]);
    cluster.run_until_holds(10 * S, "one of two votes", |c| agree(c, 1));
    assert_eq!(voters(&cluster, leads), BTreeSet::from([leads]));
    cluster.kill(others[1]);
    cluster.run_for(10 * S);
    assert_eq!(holder(&cluster), Some(leads));
}

#[test]
fn a_voter_whose_key_was_named_wrongly_votes_under_its_own() {
    let mut cluster = Cluster::formed(5, &["eu"; 3]);
    // Before the sole voter makes voters of the others, it has made them with a key of nobody's for one of them.
    let decision = misnamed(&cluster);
    for node in 0..3 {
        let core = &cluster.nodes[node].core;
        let fact = SignedFact::Decision(Box::new(decision.clone()));
        let verified = fact.verify(core.roster(), core.root(), SampleMesh::NOW).expect("two of three signed it");
        cluster.step(node, Input::Fact(Box::new(verified)));
    }
    let key = |c: &Cluster| c.nodes[0].core.voters().and_then(|set| set.key_of(&c.nodes[2].id()));
    cluster.run_until_holds(20 * S, "the key was changed", |c| key(c) == Some(*c.nodes[2].member.statement()));
    // Its vote counts.
    let leads = holder(&cluster).expect("somebody leads");
    cluster.kill((0..2).find(|node| *node != leads).expect("one of two does not lead"));
    cluster.run_for(10 * S);
    assert!(holder(&cluster).is_some(), "two of three are a quorum");
}

/// The decision by nodes 0 and 1 that nodes 0, 1 and 2 vote, the last with a key that it does not have.
fn misnamed(cluster: &Cluster) -> Decision {
    let cell = cluster.nodes[0].core.own_cell().expect("the region was founded");
    let voter =
        |node: usize, by: usize| Voter { node: cluster.nodes[node].id(), key: *cluster.nodes[by].member.statement() };
    let next = Configuration::majority(ConfigEpoch(2), vec![voter(0, 0), voter(1, 1), voter(2, 0)]);
    let head = Head::genesis(cell);
    let (generation, slot, term) = (Generation(0), Slot(1), Term(1));
    let value = Value { cell, generation, slot, previous: head.digest, content: Content::Configuration(next) };
    let accept = |node: usize| {
        let (digest, voter) = (value.digest(), cluster.nodes[node].id());
        Signed::sign(&Acceptance { cell, generation, slot, value: digest, term, voter }, &cluster.nodes[node].statement)
    };
    Decision { acceptances: vec![accept(0), accept(1)], term, config_epoch: ConfigEpoch(1), value }
}

/// Three voters and a reserve. One voter is away for long; the holder finds a successor for it, reaches only that one, and
/// is cut off with it. The one that was away comes back to the third.
fn replaced_out_of_sight(seed: u64, defect: Option<Defect>) -> Cluster {
    let mut cluster = Cluster::with_defect(seed, &["eu"; 4], defect);
    cluster.form(&["eu"; 4]);
    cluster.run_until_holds(20 * S, "three vote", |c| agree(c, 3));
    cluster.run_for(31 * S);
    let leads = holder(&cluster).expect("somebody leads");
    let set = voters(&cluster, leads);
    let [third, away] = [1, 2].map(|at| *set.iter().filter(|node| **node != leads).nth(at - 1).expect("three vote"));
    let reserve = (0..4).find(|node| !set.contains(node)).expect("one of four does not vote");
    cluster.cut(&[away], &[leads, third, reserve]);
    cluster.run_for(30 * S);
    cluster.cut(&[third], &[leads, reserve]);
    cluster.cuts.retain(|(from, to)| BTreeSet::from([*from, *to]) != BTreeSet::from([third, away]));
    // The lease of the holder ends within four seconds where it needs the third.
    cluster.run_for(40 * S);
    cluster
}

#[test]
fn voters_that_are_replaced_in_one_step_elect_two_holders() {
    let mut caught = 0;
    for seed in 0..4 {
        replaced_out_of_sight(seed, None);
        let broken = replaced_out_of_sight(seed, Some(Defect::VotersReplaced));
        caught += usize::from(broken.broke(Invariant::QuorumsMeet) && broken.broke(Invariant::OneHolderAtATime));
    }
    assert!(caught >= 2, "caught in {caught} of 4 runs");
}
