//! Membership, seen from all nodes at once.

use super::censor::{Fate, Kind};
use super::cluster::{Cluster, MS, S};
use crate::core::{Command, Event, Input, Output};
use crate::fact::{Accusation, Charge, NodeRecord, NodeState, VerifiedFact};
use crate::id::Incarnation;
use crate::machine::{Cx, Machine as _};
use crate::time::Wall;
use crate::view::MemberState;
use crate::wire::{VerifiedExchange, VerifiedMessage};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::signed::Verified;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

const FIVE: [&str; 5] = ["eu"; 5];

/// True when every running node sees `of` in that state.
fn all_see(cluster: &Cluster, of: usize, state: MemberState) -> bool {
    cluster.up().filter(|node| *node != of).all(|node| cluster.sees(node, of) == Some(state))
}

#[test]
fn nodes_that_start_one_after_the_other_all_see_each_other() {
    let cluster = Cluster::formed(1, &["eu", "eu", "eu", "us", "us", "us"]);
    for node in cluster.up() {
        let view = cluster.view(node);
        assert_eq!(view.members.len(), 6, "node {node}");
        assert!(view.members.values().all(|member| member.incarnation.0 == 1), "nobody was doubted");
    }
}

#[test]
fn a_crash_is_seen_by_everybody_within_six_and_a_half_seconds() {
    for seed in 0..12 {
        for regions in [&["eu"; 3][..], &FIVE[..], &["eu", "eu", "eu", "us", "us", "us"][..]] {
            let mut cluster = Cluster::formed(seed, regions);
            let settle = cluster.below(3 * S);
            cluster.run_for(5 * S + settle);
            cluster.kill(1);
            cluster.run_until_holds(6_500 * MS, "the crash is seen", |c| all_see(c, 1, MemberState::Down));
        }
    }
}

#[test]
fn two_of_three_that_die_together_are_both_seen() {
    let mut cluster = Cluster::formed(3, &["eu"; 3]);
    cluster.run_for(3 * S);
    cluster.kill(1);
    cluster.kill(2);
    cluster.run_until_holds(10 * S, "both are down", |c| {
        c.sees(0, 1) == Some(MemberState::Down) && c.sees(0, 2) == Some(MemberState::Down)
    });
}

#[test]
fn nobody_is_buried_alive_in_ten_minutes_at_five_percent_loss() {
    let mut cluster = Cluster::formed(4, &FIVE);
    cluster.faults.loss_percent = 5;
    cluster.run_for(600 * S);
    let buried = |event: &Event| matches!(event, Event::MemberChanged { to: MemberState::Down, .. });
    for node in &cluster.nodes {
        let downs: Vec<_> = node.events.iter().filter(|(_, event)| buried(event)).collect();
        assert!(downs.is_empty(), "seed {}: {downs:?}", cluster.seed);
    }
    assert!(cluster.is_converged(), "seed {}", cluster.seed);
}

#[test]
fn a_restart_keeps_the_identity_and_raises_the_incarnation() {
    let mut cluster = Cluster::formed(25, &FIVE);
    for round in 2..5 {
        cluster.kill(2);
        cluster.run_for(300 * MS);
        cluster.start(2);
        let id = cluster.nodes[2].id();
        cluster.run_until_holds(5 * S, "its new run is known to everybody", |c| {
            c.is_converged() && c.up().all(|node| c.view(node).members[&id].incarnation.0 == round)
        });
        cluster.run_for(5 * S);
        assert!(cluster.is_converged(), "and nobody held the former run against it");
    }
}

#[test]
fn a_member_that_was_down_comes_back_by_its_own_word() {
    let mut cluster = Cluster::formed(6, &FIVE);
    cluster.cut(&[4], &[0, 1, 2, 3]);
    cluster.run_until_holds(10 * S, "the cut member is down", |c| {
        (0..4).all(|node| c.sees(node, 4) == Some(MemberState::Down))
    });
    cluster.heal();
    cluster.run_until_holds(15 * S, "it is alive again", Cluster::is_converged);
    let id = cluster.nodes[4].id();
    let incarnation = cluster.view(0).members[&id].incarnation.0;
    assert!(incarnation > 1, "it raised its incarnation, which is {incarnation}");
    assert!(cluster.sometimes.contains_key("a member that was taken for down spoke"));
}

#[test]
fn a_stop_is_not_a_departure() {
    let mut cluster = Cluster::formed(7, &FIVE);
    cluster.command(3, Command::Stop);
    cluster.run_for(200 * MS);
    cluster.kill(3);
    assert!(all_see(&cluster, 3, MemberState::Stopping));
    cluster.run_for(20 * S);
    assert!(all_see(&cluster, 3, MemberState::Stopping), "a restart may take a while");
    cluster.start(3);
    cluster.run_until_holds(5 * S, "it is back", Cluster::is_converged);

    cluster.command(3, Command::Stop);
    cluster.run_for(200 * MS);
    cluster.kill(3);
    cluster.run_for(35 * S);
    assert!(all_see(&cluster, 3, MemberState::Down), "a stop that lasts is a failure");
}

#[test]
fn a_departure_is_final_and_outlives_every_rebroadcast() {
    let mut cluster = Cluster::formed(8, &FIVE);
    cluster.command(3, Command::Leave);
    cluster.run_for(S);
    assert!(all_see(&cluster, 3, MemberState::Left));
    cluster.kill(3);
    cluster.run_for(60 * S);
    cluster.start(3);
    cluster.run_for(10 * S);
    assert!(all_see(&cluster, 3, MemberState::Left));
    assert!(cluster.nodes[3].core.is_gone(), "and the node that left knows it after a crash");
}

#[test]
fn whoever_hears_of_a_departure_hears_of_one_that_outlives_a_crash() {
    for seed in 0..4 {
        let mut cluster = Cluster::formed(seed, &FIVE);
        // Slower than the news travels.
        cluster.faults.sync_us = (300 * MS, 400 * MS);
        cluster.command(3, Command::Leave);
        let heard = |c: &Cluster| [0, 1, 2, 4].iter().any(|node| c.sees(*node, 3) == Some(MemberState::Left));
        cluster.run_until_holds(20 * S, "somebody has heard", heard);
        cluster.kill(3);
        cluster.start(3);
        cluster.run_for(S);
        assert!(cluster.nodes[3].core.is_gone(), "seed {seed}");
    }
}

#[test]
fn a_node_that_missed_all_gossip_is_right_within_ten_seconds() {
    for seed in 0..6 {
        let mut cluster = Cluster::formed(seed, &["eu", "eu", "eu", "us", "us", "us"]);
        cluster.run_for(3 * S);
        cluster.nodes[4].deaf_to_gossip = true;
        let health = crate::fact::Health { degraded: vec![crate::fact::DegradedReason::DISK], ..Default::default() };
        cluster.command(0, Command::SetHealth(health.clone()));
        let deployment = cluster.deployment("digits", 1, 2, &[]);
        cluster.announce(0, deployment);
        let id = cluster.nodes[0].id();
        let told = |cluster: &Cluster, node: usize| {
            let view = cluster.view(node);
            view.members[&id].health == health && view.deployments.len() == 1
        };
        cluster.run_for(S);
        assert!(told(&cluster, 3), "seed {seed}: gossip reaches those who listen");
        cluster.run_until_holds(9 * S, "the deaf node knows too", |c| told(c, 4));
    }
}

#[test]
fn a_silent_cell_is_doubted_and_then_taken_for_down() {
    let mut cluster = Cluster::formed(9, &["eu", "eu", "eu", "us", "us", "us"]);
    cluster.run_for(5 * S);
    for node in 3..6 {
        cluster.kill(node);
    }
    cluster.run_until_holds(35 * S, "the silent cell is down", |c| {
        (0..3).all(|a| (3..6).all(|b| c.sees(a, b) == Some(MemberState::Down)))
    });
}

#[test]
fn an_isolated_node_does_not_believe_that_it_is_in_good_company() {
    let mut cluster = Cluster::formed(10, &FIVE);
    cluster.cut(&[0], &[1, 2, 3, 4]);
    cluster.run_until_holds(20 * S, "it sees nobody", |c| (1..5).all(|b| c.sees(0, b) == Some(MemberState::Down)));
    let record = cluster.view(0).members[&cluster.nodes[0].id()].state;
    assert_eq!((record, NodeState::Up), (MemberState::Alive, NodeState::Up));
}

#[test]
fn a_member_whose_certificate_ended_is_forgotten() {
    let mut cluster = Cluster::formed(11, &["eu"; 3]);
    cluster.kill(2);
    cluster.run_for(20 * S);
    assert_eq!(cluster.sees(0, 2), Some(MemberState::Down));
    // Certificates of the sample mesh last thirty days.
    cluster.nodes[0].wall_offset_us = 31 * 24 * 3_600 * S;
    cluster.run_for(3 * S);
    assert_eq!(cluster.sees(0, 2), None);
    assert_eq!(cluster.sees(1, 2), Some(MemberState::Down), "its clock says otherwise");
}

#[test]
fn the_issuer_that_founded_a_cell_ends_as_a_member_and_stays_as_an_author() {
    let mut cluster = Cluster::formed(11, &["eu"; 3]);
    cluster.kill(0);
    cluster.run_for(20 * S);
    assert_eq!(cluster.sees(1, 0), Some(MemberState::Down));
    cluster.nodes[1].wall_offset_us = 31 * 24 * 3_600 * S;
    cluster.run_for(3 * S);
    let (founder, roster) = (cluster.nodes[0].id(), cluster.nodes[1].core.roster());
    assert_eq!((cluster.sees(1, 0), roster.member(&founder)), (None, None));
    assert!(roster.author(&founder).is_some(), "whoever hears of the cell later checks its genesis by it");
    assert!(cluster.view(1).cell.is_some());
}

#[test]
fn a_later_certificate_of_its_own_is_shown_to_everybody_at_the_other_end_of_a_link() {
    let mut cluster = Cluster::formed(13, &["eu", "eu", "us", "us"]);
    let (now, mine) = (cluster.now, cluster.nodes[3].id());
    let renewed = cluster.mesh.member_of(&cluster.mesh.keys(3), "us", 9);
    let (mut rng, mut out) = (ChaCha8Rng::from_seed([1; 32]), Vec::new());
    let node = &mut cluster.nodes[3];
    let mut cx = Cx { now: node.mono(now), wall: node.wall(now), rng: &mut rng, out: &mut out };
    let fact = VerifiedFact::member(renewed.clone());
    node.core.step(&mut cx, Input::Command { id: 1, command: Command::Announce(Box::new(fact.clone())) });
    let shown = |output: &Output| {
        let Output::Send { to, message: VerifiedMessage::Exchange(VerifiedExchange::Push(facts)), .. } = output else {
            return None;
        };
        facts.contains(&fact).then_some(*to)
    };
    let shown: BTreeSet<NodeId> = out.iter().filter_map(shown).collect();
    let others = cluster.nodes.iter().map(|node| node.id()).filter(|node| *node != mine);
    assert_eq!(shown, others.collect());
    assert!(out.iter().any(|output| matches!(output, Output::Publish { fact: published, .. } if *published == fact)));
    assert_eq!(cluster.nodes[3].core.roster().member(&mine), Some(&renewed));
    // What it had before replaces nothing, here or elsewhere.
    let before = cluster.nodes[3].member.clone();
    cluster.announce(3, VerifiedFact::member(before));
    cluster.announce(2, VerifiedFact::member(renewed.clone()));
    cluster.run_for(S);
    assert!(cluster.nodes.iter().all(|node| node.core.roster().member(&mine) == Some(&renewed)));
}

/// The charge that these nodes would make of their word against one.
fn charge(cluster: &Cluster, accusers: &[usize], accused: usize, incarnation: u64) -> Box<VerifiedFact> {
    let accusation = |accuser: &usize| {
        let accusation = Accusation {
            accuser: cluster.nodes[*accuser].id(),
            accused: cluster.nodes[accused].id(),
            incarnation: Incarnation(incarnation),
        };
        Verified::sign_verified(&accusation, &cluster.nodes[*accuser].statement)
    };
    let charge = Charge::new(accusers.iter().map(accusation).collect()).expect("they say the same");
    Box::new(VerifiedFact::accusation(charge))
}

#[test]
fn an_accusation_buries_nobody_who_answers() {
    let mut cluster = Cluster::formed(12, &FIVE);
    cluster.run_for(2 * S);
    let accused = cluster.nodes[2].id();
    let charge = charge(&cluster, &[0, 1, 4], 2, 1);
    cluster.step(3, Input::Fact(charge));
    assert_eq!(cluster.sees(3, 2), Some(MemberState::Suspect), "it is asked first");
    cluster.run_until_holds(500 * MS, "it answered", |c| c.sees(3, 2) == Some(MemberState::Alive));
    cluster.run_for(10 * S);
    let down = |(_, event): &(u64, Event)| matches!(event, Event::MemberChanged { to: MemberState::Down, .. });
    assert!(!cluster.nodes[3].events.iter().any(down));
    assert!(cluster.is_converged());
    assert!(cluster.view(0).members[&accused].incarnation > Incarnation(1), "the accused said otherwise");
}

/// A later word of a member's own, signed so long ago.
fn later_word(cluster: &Cluster, of: usize, age_us: u64) -> Box<VerifiedFact> {
    let node = &cluster.nodes[of];
    let known = cluster.nodes[0].core.record_of(&node.id()).expect("it said something before");
    let at = Wall(node.wall(cluster.now).0 - age_us);
    let record = NodeRecord { incarnation: known.incarnation.next(), at, ..known.clone() };
    Box::new(VerifiedFact::record(Verified::sign_verified(&record, &node.statement)))
}

#[test]
fn a_word_that_is_older_than_a_burial_revives_nobody_who_does_not_answer() {
    let mut cluster = Cluster::formed(16, &FIVE);
    cluster.run_for(2 * S);
    cluster.kill(4);
    cluster.run_until_holds(10 * S, "the crash is seen", |c| all_see(c, 4, MemberState::Down));
    let (old, new) = (later_word(&cluster, 4, 4 * S), later_word(&cluster, 4, S));
    cluster.step(0, Input::Fact(old));
    assert_eq!(cluster.sees(0, 4), Some(MemberState::Suspect), "it may have died since, and is asked");
    cluster.step(1, Input::Fact(new));
    assert_eq!(cluster.sees(1, 4), Some(MemberState::Alive), "whoever said so just now was not buried after it");
    cluster.run_until_holds(10 * S, "it is still dead", |c| all_see(c, 4, MemberState::Down));
}

#[test]
fn two_who_have_both_buried_a_member_do_not_accuse_it_to_each_other_for_ever() {
    let mut cluster = Cluster::formed(15, &FIVE);
    cluster.run_for(2 * S);
    let (accusations, late) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let (counted, withheld) = (Rc::clone(&accusations), Rc::clone(&late));
    cluster.censor = Some(Box::new(move |frame| {
        let counts = frame.kind == Kind::Accusation;
        counted.set(counted.get() + u32::from(counts));
        Fate::Withhold.when(frame.is(0, 1, Kind::Accusation) && !withheld.replace(true))
    }));
    cluster.kill(4);
    cluster.run_until_holds(10 * S, "the crash is seen", |c| all_see(c, 4, MemberState::Down));
    cluster.run_for(5 * S);
    assert_eq!(cluster.withheld.len(), 1, "one accusation is on its way for long");
    accusations.set(0);
    cluster.deliver_withheld();
    cluster.run_for(30 * S);
    assert!((1..=3).contains(&accusations.get()), "{} accusations of one that is down", accusations.get());
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    let digest = |seed: u64| {
        let mut cluster = Cluster::formed(seed, &["eu", "eu", "eu", "us"]);
        cluster.faults.loss_percent = 10;
        cluster.run_for(10 * S);
        cluster.kill(1);
        cluster.run_for(10 * S);
        cluster.digest()
    };
    assert_eq!(digest(13), digest(13));
    assert_ne!(digest(13), digest(14));
}
