//! Each rule of the election and of the register left out once: a schedule made by hand in which nodes built without it
//! break an invariant, and nodes built with it do not.

use super::censor::{Fate, Kind};
use super::cluster::{Cluster, MS, S};
use super::judge::Invariant;
use super::scenario::class;
use crate::core::Command;
use crate::defect::Defect;
use crate::id::Term;
use crate::view::MeshView;
use std::cell::Cell;
use std::rc::Rc;

/// Runs the schedule with and without the defect in a few seeds, and wants that invariant to catch it in most of them.
fn convicts(defect: Defect, invariant: Invariant, schedule: fn(&mut Cluster)) {
    let mut caught = 0;
    for seed in 0..SEEDS {
        // A cluster of sound nodes asserts for itself.
        schedule(&mut led(seed, None));
        let mut broken = led(seed, Some(defect));
        schedule(&mut broken);
        caught += u64::from(broken.broke(invariant));
    }
    assert!(caught * 2 >= SEEDS, "{defect:?} was caught by {invariant:?} in {caught} of {SEEDS} runs");
}

const SEEDS: u64 = 4;

/// Three voters, one of them the holder, and a placement.
fn led(seed: u64, defect: Option<Defect>) -> Cluster {
    let mut cluster = Cluster::with_defect(seed, &["eu"; 3], defect);
    cluster.form(&["eu"; 3]);
    let policy = cluster.policy(1, vec![class("first", 3, 2, &[])]);
    cluster.announce(0, policy);
    cluster.run_until_holds(20 * S, "three voters, a placement and an aggregator", |c| {
        c.judge.holder("eu", c.now).is_some() && (0..3).all(|node| is_placed(&c.view(node)) && votes(c, node) == 3)
    });
    cluster.run_for(S);
    cluster
}

fn is_placed(view: &MeshView) -> bool {
    !view.placements.is_empty()
}

fn votes(cluster: &Cluster, node: usize) -> usize {
    cluster.nodes[node].core.voters().map_or(0, |voters| voters.voters.len())
}

/// The holder, and the two others.
fn roles(cluster: &Cluster) -> (usize, usize, usize) {
    let holder = cluster.judge.holder("eu", cluster.now).expect("somebody leads").node;
    let mut others = (0..3).filter(|node| *node != holder);
    let (Some(one), Some(other)) = (others.next(), others.next()) else { panic!("three nodes") };
    (holder, one, other)
}

fn slot(cluster: &Cluster, node: usize) -> u64 {
    cluster.nodes[node].core.register_head().expect("it has a cell").slot.0
}

/// Another policy, so that the next placement differs from any before; given to one node alone, if others are cut off.
fn another_policy(cluster: &mut Cluster, node: usize, version: u64) {
    let name = format!("class-{version}");
    let policy = cluster.policy(version, vec![class(&name, 3, 2, &[])]);
    cluster.announce(node, policy);
}

#[test]
fn a_voter_that_forgets_for_how_long_it_promised() {
    convicts(Defect::NoRestartWait, Invariant::OneHolderAtATime, |cluster| {
        let (holder, forgetful, rival) = roles(cluster);
        // The rival is out of sight until it knows of no lease and asks again and again.
        cluster.cut(&[rival], &[holder, forgetful]);
        cluster.run_for(6 * S);
        // The holder has just renewed from the forgetful voter, which restarts and then sees the rival only.
        cluster.cut(&[holder], &[forgetful]);
        cluster.kill(forgetful);
        cluster.cuts.retain(|(from, to)| *from == holder || *to == holder);
        cluster.start(forgetful);
        cluster.run_for(10 * S);
    });
}

#[test]
fn a_quorum_of_those_that_are_seen() {
    convicts(Defect::QuorumOfOwnView, Invariant::OneHolderAtATime, |cluster| {
        let (holder, one, other) = roles(cluster);
        cluster.cut(&[one], &[holder, other]);
        cluster.run_for(20 * S);
    });
}

#[test]
fn a_lease_that_counts_from_the_answer() {
    convicts(Defect::LeaseFromReceipt, Invariant::OneHolderAtATime, |cluster| {
        let (holder, one, other) = roles(cluster);
        // One voter does not hear the holder. The other hears it once a second, and is late to answer.
        let mut heard = 0;
        cluster.censor = Some(Box::new(move |frame| {
            if frame.is(other, holder, Kind::Grant) {
                return Fate::Delay(900 * MS);
            }
            let deaf = frame.is(holder, other, Kind::Campaign) && frame.now < heard + 900 * MS;
            if frame.is(holder, other, Kind::Campaign) && !deaf {
                heard = frame.now;
            }
            Fate::Lose.when(deaf || frame.is(holder, one, Kind::Campaign))
        }));
        cluster.run_for(4 * S);
        // Just after an answer left, the holder is alone.
        let asked = asked_of(cluster, other);
        let start = asked.get();
        while asked.get() == start {
            cluster.run_for(MS);
        }
        cluster.run_for(920 * MS);
        cluster.cut(&[holder], &[one, other]);
        cluster.run_for(6 * S);
    });
}

/// Counts how often a voter is asked, beside what the censor does.
fn asked_of(cluster: &mut Cluster, voter: usize) -> Rc<Cell<u64>> {
    let count = Rc::new(Cell::new(0));
    let (seen, mut before) = (Rc::clone(&count), cluster.censor.take());
    cluster.censor = Some(Box::new(move |frame| {
        let fate = before.as_mut().map_or(Fate::Pass, |before| before(frame));
        let asked = (frame.to, frame.kind) == (voter, Kind::Campaign) && fate == Fate::Pass;
        seen.set(seen.get() + u64::from(asked));
        fate
    }));
    count
}

#[test]
fn a_promise_that_is_not_written_before_it_is_given() {
    convicts(Defect::TermNotPersisted, Invariant::PromisesStand, |cluster| {
        let (holder, one, other) = roles(cluster);
        let term = cluster.judge.holder("eu", cluster.now).map(|lease| lease.term);
        cluster.kill(holder);
        let promised = |c: &Cluster, node: usize| c.nodes[node].core.promised_term() > term;
        while !promised(cluster, one) && !promised(cluster, other) {
            cluster.run_for(MS);
        }
        // The candidate's own promise is durable soon, that of the voter whom it asks is not.
        cluster.faults.sync_us = (400 * MS, 401 * MS);
        let (candidate, voter) = if promised(cluster, one) { (one, other) } else { (other, one) };
        cluster.run_until_holds(S, "the other promises", |c| promised(c, voter));
        cluster.run_for(10 * MS);
        cluster.kill(voter);
        cluster.cut(&[candidate], &[voter, holder]);
        cluster.faults.sync_us = (MS, 2 * MS);
        cluster.start(voter);
        cluster.run_for(3_990 * MS);
        cluster.start(holder);
        cluster.run_for(8 * S);
    });
}

/// The holder decides what only it and `accepts` know, and dies with it.
fn dies_with_a_decision(cluster: &mut Cluster, holder: usize, accepts: usize, cut: usize) {
    cluster.cut(&[cut], &[holder, accepts]);
    let before = slot(cluster, holder);
    another_policy(cluster, holder, 2);
    let start = cluster.now;
    while slot(cluster, holder) == before && cluster.now < start + 2 * S {
        cluster.run_for(MS / 4);
    }
    assert_eq!(slot(cluster, holder), before + 1, "the holder decided");
    cluster.kill(holder);
    assert_eq!(slot(cluster, accepts), before, "it told nobody");
    cluster.heal();
    another_policy(cluster, cut, 3);
    cluster.run_for(10 * S);
    assert!(slot(cluster, cut) > before, "the others decided");
}

#[test]
fn a_holder_that_forgets_what_was_accepted() {
    convicts(Defect::AcceptedNotReproposed, Invariant::OneValuePerSlot, |cluster| {
        let (holder, one, other) = roles(cluster);
        dies_with_a_decision(cluster, holder, one, other);
    });
}

#[test]
fn a_holder_that_signs_alone() {
    convicts(Defect::HolderSignsAlone, Invariant::OneValuePerSlot, |cluster| {
        let (holder, one, other) = roles(cluster);
        cluster.cut(&[holder], &[one, other]);
        another_policy(cluster, holder, 2);
        another_policy(cluster, one, 3);
        cluster.run_for(12 * S);
        assert!(cluster.judge.holder("eu", cluster.now).is_some_and(|lease| lease.node != holder));
    });
}

#[test]
fn a_value_exchanged_in_the_middle_of_a_term() {
    convicts(Defect::AcceptedReplacedAtSameTerm, Invariant::OneValuePerSlot, |cluster| {
        let (holder, one, other) = roles(cluster);
        let before = slot(cluster, holder);
        // One voter accepts the first value, and the holder does not hear of it.
        cluster.cut(&[other], &[holder, one]);
        cluster.censor = Some(Box::new(move |frame| Fate::Lose.when(frame.is(one, holder, Kind::Accepted))));
        another_policy(cluster, holder, 2);
        cluster.run_until_holds(2 * S, "one voter accepted", |c| c.accepted_by(one).is_some());
        cluster.run_for(20 * MS);
        // The other is there for the second value, if one comes, and the holder dies when it is decided.
        cluster.heal();
        cluster.cut(&[one], &[holder, other]);
        another_policy(cluster, holder, 3);
        let start = cluster.now;
        while slot(cluster, holder) == before && cluster.now < start + 2 * S {
            cluster.run_for(MS / 4);
        }
        cluster.kill(holder);
        cluster.heal();
        another_policy(cluster, one, 4);
        // The one with the first value leads.
        cluster.censor =
            Some(Box::new(move |frame| Fate::Lose.when(frame.from == other && frame.kind == Kind::Campaign)));
        cluster.run_until_holds(40 * S, "the others decide", |c| slot(c, one) > before);
    });
}

#[test]
fn a_voter_that_runs_ahead_of_the_register() {
    convicts(Defect::NewVoterWithoutHead, Invariant::OneValuePerSlot, |cluster| {
        let (holder, one, other) = roles(cluster);
        let before = slot(cluster, holder);
        // One voter hears proposals and is asked for the lease; what was decided does not reach it.
        cluster.cut(&[other], &[holder, one]);
        cluster.nodes[one].deaf_to_gossip = true;
        cluster.censor = Some(Box::new(move |frame| {
            Fate::Lose.when(frame.kind == Kind::Decided || frame.is(holder, one, Kind::Exchange))
        }));
        for version in [2, 3] {
            another_policy(cluster, holder, version);
            cluster.run_for(100 * MS);
            let policy = cluster.policy(version, vec![class(&format!("class-{version}"), 3, 2, &[])]);
            cluster.command(one, Command::Announce(Box::new(policy)));
            cluster.run_for(2 * S);
        }
        assert!(slot(cluster, holder) > before, "the first was decided");
        assert_eq!(slot(cluster, one), before, "it does not know");
        cluster.kill(holder);
        cluster.heal();
        cluster.nodes[one].deaf_to_gossip = false;
        another_policy(cluster, other, 4);
        cluster.run_for(12 * S);
        assert!(slot(cluster, other) > before, "the others decided");
    });
}

#[test]
fn a_restart_taken_for_a_renewal() {
    convicts(Defect::RestartTakenForRenewal, Invariant::OneHolderAtATime, |cluster| {
        let (holder, one, other) = roles(cluster);
        // The holder stops. One voter hears of it late; the other at once, and nobody hears the other.
        cluster.censor = Some(Box::new(move |frame| {
            let release = matches!(frame.kind, Kind::Abandon | Kind::Handover);
            match (release && frame.to == one, frame.from == other && frame.kind == Kind::Campaign) {
                (true, _) => Fate::Withhold,
                (false, deaf) => Fate::Lose.when(deaf),
            }
        }));
        cluster.command(holder, Command::Stop);
        cluster.run_for(20 * MS);
        cluster.kill(holder);
        cluster.cut(&[other], &[holder, one]);
        cluster.start(holder);
        cluster.run_until_holds(10 * S, "the restarted node leads", |c| {
            c.judge.holder("eu", c.now).is_some_and(|lease| lease.node == holder)
        });
        cluster.run_for(2 * S);
        cluster.censor = None;
        cluster.cut(&[holder], &[one, other]);
        cluster.cuts.retain(|(from, to)| *from == holder || *to == holder);
        cluster.deliver_withheld();
        cluster.run_for(6 * S);
    });
}

#[test]
fn a_grant_that_arrives_after_the_release() {
    convicts(Defect::GrantAfterReleaseCounted, Invariant::OneHolderAtATime, |cluster| {
        let (holder, ..) = roles(cluster);
        let given_up = Rc::new(Cell::new(false));
        let seen = Rc::clone(&given_up);
        cluster.kill(holder);
        cluster.censor = Some(Box::new(move |frame| {
            seen.set(seen.get() || frame.kind == Kind::Abandon);
            Fate::Withhold.when(frame.kind == Kind::Grant && !seen.get())
        }));
        cluster.run_until_holds(10 * S, "a round was given up", |_| given_up.get());
        let withheld = std::mem::take(&mut cluster.withheld);
        cluster.run_until_holds(3 * S, "somebody leads", |c| c.judge.holder("eu", c.now).is_some());
        cluster.withheld = withheld;
        cluster.deliver_withheld();
        cluster.run_for(S);
    });
}

#[test]
fn a_holder_that_does_not_look_at_its_lease() {
    convicts(Defect::StaleHolderActs, Invariant::FencesHold, |cluster| {
        let (holder, one, other) = roles(cluster);
        let before = cluster.judge.holder("eu", cluster.now).map_or(Term(0), |lease| lease.term);
        cluster.cut(&[holder], &[one, other]);
        cluster.run_for(10 * S);
        assert!(cluster.judge.holder("eu", cluster.now).is_some_and(|lease| lease.term > before));
        cluster.heal();
        cluster.run_for(10 * S);
    });
}
