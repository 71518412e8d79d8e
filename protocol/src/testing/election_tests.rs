//! Leases and the register, judged in true time: the judge asserts after every step that no two nodes hold the lease of
//! one cell at once, that no term has two holders, and that no voter's term goes back.

use super::censor::{Fate, Kind};
use super::cluster::{Cluster, MS, S};
use crate::core::{Command, Event};
use crate::fact::DegradedReason;
use crate::id::{ConfigEpoch, Term};
use crate::view::AggregatorView;
use hedgerow_attest::region::Region;

fn eu() -> Region {
    Region::new("eu").unwrap()
}

pub(super) fn aggregator(cluster: &Cluster, node: usize) -> Option<AggregatorView> {
    cluster.view(node).aggregators.get(&eu()).copied()
}

/// Whether all running nodes name the same valid aggregator, which really holds the lease.
fn is_agreed(cluster: &Cluster) -> bool {
    let Some(lease) = cluster.judge.holder("eu", cluster.now) else { return false };
    let holder = cluster.nodes[lease.node].id();
    cluster.up().all(|node| {
        aggregator(cluster, node).is_some_and(|seen| seen.valid && seen.holder == holder && seen.term == lease.term)
    })
}

pub(super) fn three_voters(cluster: &Cluster) -> bool {
    cluster.up().all(|node| aggregator(cluster, node).is_some_and(|seen| seen.voters == 3))
}

pub(super) fn grown(seed: u64, size: usize) -> Cluster {
    let mut cluster = Cluster::formed(seed, &vec!["eu"; size]);
    cluster.run_until_holds(15 * S, "three voters and one aggregator", |c| three_voters(c) && is_agreed(c));
    cluster
}

#[test]
fn a_sole_voter_leads_at_once_and_makes_two_more_when_three_are_ready() {
    let mut cluster = Cluster::new(1, &["eu"; 3]);
    cluster.start(0);
    let birth = crate::fact::VerifiedFact::genesis(cluster.mesh.birth("eu", &cluster.nodes[0].member));
    cluster.announce(0, birth);
    cluster.run_until_holds(300 * MS, "it leads alone", is_agreed);
    assert_eq!(aggregator(&cluster, 0).map(|seen| (seen.voters, seen.config_epoch)), Some((1, ConfigEpoch(1))));
    cluster.start(1);
    cluster.run_for(10 * S);
    assert!(!three_voters(&cluster), "two voters would survive no loss");
    cluster.start(2);
    cluster.run_until_holds(10 * S, "three vote", three_voters);
    cluster.run_for(2 * S);
    assert_eq!(aggregator(&cluster, 2).map(|seen| seen.config_epoch), Some(ConfigEpoch(2)));
    assert_eq!(cluster.judge.holder("eu", cluster.now).map(|lease| lease.term), Some(Term(1)), "the lease went on");
}

#[test]
fn the_lease_fails_over_to_a_higher_term_within_eight_seconds() {
    for seed in 0..15 {
        let mut cluster = grown(seed, 3 + usize::try_from(seed % 3).unwrap());
        let wait = cluster.below(4 * S);
        cluster.run_for(wait);
        let before = cluster.judge.holder("eu", cluster.now).expect("somebody leads");
        cluster.kill(before.node);
        let took = cluster.run_until_holds(8 * S, "another leads", is_agreed);
        let after = cluster.judge.holder("eu", cluster.now).expect("somebody leads");
        assert!(after.term > before.term && after.node != before.node, "seed {seed}: {before:?} then {after:?}");
        assert!(took > S, "seed {seed}: the promise to the dead holder was kept");

        cluster.start(before.node);
        cluster.run_until_holds(8 * S, "the old one is back as a plain member", is_agreed);
        assert_eq!(cluster.judge.holder("eu", cluster.now).map(|lease| lease.node), Some(after.node), "seed {seed}");
    }
}

#[test]
fn a_holder_that_leaves_hands_over_within_half_a_second() {
    for seed in 0..24 {
        let mut cluster = grown(seed, 3 + usize::try_from(seed % 3).unwrap());
        cluster.faults.delay_us = (10 * MS, 25 * MS);
        cluster.faults.loss_percent = 1;
        cluster.run_for(2 * S);
        let before = cluster.judge.holder("eu", cluster.now).expect("somebody leads");
        let (command, stays) = match seed % 3 {
            0 => (Command::Stop, false),
            1 => (Command::Leave, false),
            _ => (Command::Drain, true),
        };
        cluster.command(before.node, command);
        let left = cluster.now;
        cluster.run_for(300 * MS);
        if !stays {
            cluster.kill(before.node);
        }
        cluster.run_for(700 * MS);
        let after = cluster.judge.holder("eu", cluster.now).expect("somebody leads");
        assert!(after.node != before.node && after.term > before.term, "seed {seed}: {before:?} then {after:?}");
        assert!(after.from - left <= 500 * MS, "seed {seed}: it took {} ms", (after.from - left) / MS);
        cluster.run_until_holds(10 * S, "all agree", is_agreed);
    }
}

#[test]
fn the_sole_voter_of_two_members_leaves_the_other_one_able_to_lead() {
    let mut cluster = Cluster::formed(17, &["eu"; 2]);
    cluster.run_until_holds(10 * S, "one of two leads", is_agreed);
    let before = cluster.judge.holder("eu", cluster.now).expect("somebody leads");
    cluster.replies.clear();
    cluster.command(before.node, Command::Leave);
    cluster.run_until_holds(10 * S, "it has left", |c| !c.replies.is_empty());
    assert!(cluster.nodes[before.node].core.is_gone());
    cluster.kill(before.node);
    cluster.run_until_holds(10 * S, "the other leads", |c| {
        c.judge.holder("eu", c.now).is_some_and(|lease| lease.node != before.node)
    });
}

#[test]
fn a_voter_that_nobody_votes_out_leaves_after_ten_minutes() {
    let mut cluster = grown(18, 3);
    let leaver = cluster.judge.holder("eu", cluster.now).expect("somebody leads").node;
    cluster.censor = Some(Box::new(|frame| Fate::Lose.when(frame.kind == Kind::Propose)));
    cluster.replies.clear();
    cluster.command(leaver, Command::Leave);
    let waited = cluster.run_until_holds(700 * S, "it has left", |c| !c.replies.is_empty());
    assert!((599 * S..=602 * S).contains(&waited), "{} ms", waited / MS);
}

#[test]
fn the_answer_to_a_stop_waits_until_the_lease_was_taken() {
    let mut cluster = grown(5, 3);
    let before = cluster.judge.holder("eu", cluster.now).expect("somebody leads");
    cluster.replies.clear();
    cluster.command(before.node, Command::Stop);
    cluster.run_until_holds(S, "it is answered", |c| !c.replies.is_empty());
    assert!(cluster.judge.holder("eu", cluster.now).is_some_and(|lease| lease.node != before.node));
}

#[test]
fn a_sole_voter_that_drains_leads_until_another_votes() {
    let mut cluster = Cluster::formed(6, &["eu"; 2]);
    cluster.run_until_holds(5 * S, "somebody leads", is_agreed);
    cluster.command(0, Command::Drain);
    cluster.run_until_holds(5 * S, "the other leads", |c| {
        c.judge.holder("eu", c.now).is_some_and(|lease| lease.node == 1)
    });
    let leases = &cluster.judge.leases["eu"];
    let [first, second] = leases.as_slice() else { panic!("two leases: {leases:?}") };
    assert!(second.from - first.until < 100 * MS, "{leases:?}");
    cluster.kill(0);
    cluster.run_for(10 * S);
    assert!(cluster.judge.holder("eu", cluster.now).is_some());
}

#[test]
fn a_holder_without_a_quorum_stops_within_a_lease() {
    let mut cluster = grown(6, 3);
    let before = cluster.judge.holder("eu", cluster.now).expect("somebody leads");
    let others: Vec<usize> = (0..3).filter(|node| *node != before.node).collect();
    cluster.cut(&[before.node], &others);
    cluster.run_for(4 * S);
    let lost = |(_, event): &(u64, Event)| matches!(event, Event::LeaseLost { .. });
    assert!(cluster.nodes[before.node].events.iter().any(lost), "it knows that it holds the lease no more");
    cluster.run_until_holds(5 * S, "the others lead", |c| {
        c.judge.holder("eu", c.now).is_some_and(|lease| lease.term > before.term && lease.node != before.node)
    });
    cluster.heal();
    cluster.run_until_holds(20 * S, "all agree again", is_agreed);
}

#[test]
fn a_sole_voter_that_is_cut_off_in_the_middle_of_the_change_leads_no_more_alone() {
    for seed in 0..40 {
        let mut cluster = Cluster::formed(seed, &["eu"; 3]);
        // The change is proposed about a second after all three are seen: cut somewhere around it.
        let moment = cluster.below(2 * S);
        cluster.run_for(moment);
        cluster.cut(&[0], &[1, 2]);
        let span = 4 * S + cluster.below(20 * S);
        cluster.run_for(span);
        cluster.heal();
        cluster.run_until_holds(40 * S, "all agree", |c| is_agreed(c) && three_voters(c));
    }
}

#[test]
fn cuts_crashes_loss_and_bad_clocks_never_make_two_holders() {
    let mut leases = 0;
    for seed in 0..25 {
        let mut cluster = grown(seed, 3 + usize::try_from(seed % 3).unwrap());
        cluster.faults.loss_percent = seed % 4 * 4;
        if seed % 5 == 0 {
            cluster.faults.sync_us = (20 * MS, 250 * MS);
        }
        let size = cluster.nodes.len();
        for node in 0..size {
            let drift = i64::try_from(cluster.below(18_000)).unwrap() - 9_000;
            cluster.set_drift(node, drift);
        }
        for _ in 0..12 {
            torment(&mut cluster, size);
        }
        cluster.heal();
        cluster.faults.loss_percent = 0;
        for node in 0..size {
            if !cluster.nodes[node].up {
                cluster.start(node);
            }
        }
        cluster.run_until_holds(60 * S, "all agree in the end", is_agreed);
        let suspect = |(_, event): &(u64, Event)| matches!(event, Event::ClockSuspect { .. });
        assert!(!cluster.nodes.iter().any(|node| node.events.iter().any(suspect)), "seed {seed}: within the bound");
        leases += cluster.judge.leases["eu"].len();
    }
    assert!(leases > 60, "the faults moved the lease only {leases} times");
}

/// One fault, and some time with it.
fn torment(cluster: &mut Cluster, size: usize) {
    let node = usize::try_from(cluster.below(size as u64)).unwrap();
    match cluster.below(5) {
        0 | 1 if cluster.nodes[node].up => {
            cluster.kill(node);
            let quick = cluster.below(2) == 0;
            let pause = if quick { cluster.below(S) } else { cluster.below(12 * S) };
            cluster.run_for(pause);
            cluster.start(node);
        }
        2 => {
            let others: Vec<usize> = (0..size).filter(|other| *other != node).collect();
            cluster.cut(&[node], &others);
        }
        3 => {
            // One direction only.
            let to = usize::try_from(cluster.below(size as u64)).unwrap();
            cluster.cuts.insert((node, to));
        }
        _ => cluster.heal(),
    }
    let span = cluster.below(8 * S);
    cluster.run_for(span);
}

#[test]
fn a_voter_that_forgot_its_lease_in_a_restart_waits_it_out() {
    let mut moved = 0;
    for seed in 0..8 {
        let mut cluster = grown(seed, 3);
        let holder = cluster.judge.holder("eu", cluster.now).expect("somebody leads").node;
        let others: Vec<usize> = (0..3).filter(|node| *node != holder).collect();
        let [forgetful, rival] = [others[0], others[1]];
        // The rival is out of sight until it knows of no lease and asks again and again.
        cluster.cut(&[rival], &[holder, forgetful]);
        cluster.run_for(6 * S);
        // The holder has just renewed from the forgetful voter, which restarts and then sees the rival only.
        cluster.cut(&[holder], &[forgetful]);
        cluster.kill(forgetful);
        cluster.cuts.retain(|(from, to)| *from == holder || *to == holder);
        cluster.start(forgetful);
        cluster.run_for(12 * S);
        let lease = cluster.judge.holder("eu", cluster.now);
        moved += usize::from(lease.is_some_and(|lease| lease.node != holder));
    }
    assert!(moved >= 6, "the lease moved in {moved} of 8 runs: the wait ends");
}

#[test]
fn a_grant_that_was_not_durable_was_not_given() {
    let lost = (0..12).filter(|seed| voter_dies_after_its_promise(*seed, 400 * MS)).count();
    assert!(lost >= 6, "the voter died between its promise and the write in {lost} of 12 runs");
}

#[test]
fn a_grant_that_was_given_is_remembered() {
    let given = (0..12).filter(|seed| voter_dies_after_its_promise(*seed, MS)).count();
    assert!(given >= 6, "the voter died after its promise in {given} of 12 runs");
}

/// The holder dies, another asks, and the voter that promised dies too, ten milliseconds later. Then the old holder asks
/// for the term that was, or was not, given away. Whether the voter had promised.
fn voter_dies_after_its_promise(seed: u64, sync_us: u64) -> bool {
    let mut cluster = grown(seed, 3);
    cluster.faults.sync_us = (sync_us, sync_us + MS);
    let holder = cluster.judge.holder("eu", cluster.now).expect("somebody leads");
    cluster.kill(holder.node);
    let others: Vec<usize> = (0..3).filter(|node| *node != holder.node).collect();
    let promised = |c: &Cluster, node: usize| c.nodes[node].core.promised_term() > Some(holder.term);
    cluster.run_until_holds(15 * S, "somebody asks", |c| others.iter().any(|node| promised(c, *node)));
    let candidate = *others.iter().find(|node| promised(&cluster, **node)).expect("it was just seen");
    let voter = *others.iter().find(|node| **node != candidate).expect("two are left");
    let start = cluster.now;
    while !promised(&cluster, voter) && cluster.now < start + S {
        cluster.run_for(MS);
    }
    cluster.run_for(10 * MS);
    let had_promised = promised(&cluster, voter);
    cluster.kill(voter);
    cluster.cut(&[candidate], &[voter, holder.node]);
    cluster.faults.sync_us = (MS, 2 * MS);
    // Back from the dead, the voter waits a lease; the old holder asks just when that wait is over.
    cluster.start(voter);
    cluster.run_for(3_990 * MS);
    cluster.start(holder.node);
    cluster.run_for(8 * S);
    had_promised
}

#[test]
fn the_value_that_a_dead_holder_left_accepted_is_proposed_again() {
    let mut seen = 0;
    for seed in 0..12 {
        let mut cluster = grown(seed, 3);
        let before = cluster.judge.holder("eu", cluster.now).expect("somebody leads");
        let policy = cluster.policy(1, vec![super::scenario::class("cart", 3, 2, &[])]);
        cluster.announce(before.node, policy);
        // The holder proposes within half a second; it dies when somebody has just accepted.
        let others: Vec<usize> = (0..3).filter(|node| *node != before.node).collect();
        let start = cluster.now;
        while others.iter().all(|node| cluster.accepted_by(*node).is_none()) && cluster.now < start + S {
            cluster.run_for(MS);
        }
        let accepted: Vec<_> = others.iter().filter_map(|node| cluster.accepted_by(*node)).collect();
        let decided = (0..3).any(|node| !cluster.view(node).placements.is_empty());
        cluster.kill(before.node);
        if decided || accepted.is_empty() {
            continue;
        }
        seen += 1;
        cluster.run_until_holds(20 * S, "the placement is decided", |c| {
            c.up().all(|node| !c.view(node).placements.is_empty())
        });
        for node in cluster.up().collect::<Vec<_>>() {
            let first = cluster.decided_digest(node);
            assert!(accepted.contains(&first.unwrap()), "seed {seed}: another value took the slot");
        }
        assert!(cluster.sometimes.contains_key("the value of an earlier holder was proposed again"));
    }
    assert!(seen >= 6, "only {seen} seeds hit the moment between acceptance and decision");
}

#[test]
fn a_jump_of_the_clocks_ends_the_lease_until_it_is_asked_for_afresh() {
    let mut cluster = grown(11, 3);
    let before = cluster.judge.holder("eu", cluster.now).expect("somebody leads");
    cluster.nodes[before.node].wall_offset_us += 5 * S;
    cluster.run_for(S);
    let jumped = |(_, event): &(u64, Event)| matches!(event, Event::ClockJump);
    assert!(cluster.nodes[before.node].events.iter().any(jumped));
    cluster.run_until_holds(10 * S, "somebody leads under a later term", |c| {
        is_agreed(c) && c.judge.holder("eu", c.now).is_some_and(|lease| lease.term > before.term)
    });
}

#[test]
fn a_node_whose_clock_runs_wrong_says_so_and_neither_leads_nor_votes_until_it_is_well() {
    for (seed, ppm) in [(1, 30_000), (2, -30_000)] {
        let mut cluster = grown(seed, 4);
        let bad = cluster.judge.holder("eu", cluster.now).expect("somebody leads").node;
        let is_told = |c: &Cluster, node: usize| {
            let id = c.nodes[bad].id();
            c.view(node).members[&id].health.degraded == [DegradedReason::CLOCK]
        };
        // What a clock out of bound does to leases until it is noticed is not promised.
        cluster.excuse();
        cluster.set_drift(bad, ppm);
        cluster.run_until_holds(120 * S, "everybody knows", |c| c.up().all(|node| is_told(c, node)));
        let suspect = |(_, event): &(u64, Event)| matches!(event, Event::ClockSuspect { .. });
        let suspects: Vec<usize> = cluster.up().filter(|n| cluster.nodes[*n].events.iter().any(suspect)).collect();
        assert_eq!(suspects, [bad], "the others are not mistaken for it");
        cluster.run_until_holds(10 * S, "another leads", |c| {
            c.judge.holder("eu", c.now).is_some_and(|lease| lease.node != bad)
        });
        let promised = cluster.nodes[bad].core.promised_term();
        cluster.run_for(60 * S);
        assert_eq!(cluster.nodes[bad].core.promised_term(), promised, "it promised nothing");
        assert!(cluster.judge.holder("eu", cluster.now).is_some_and(|lease| lease.node != bad));

        cluster.set_drift(bad, 0);
        cluster.run_until_holds(240 * S, "it is well", |c| c.up().all(|node| !is_told(c, node)));
    }
}
