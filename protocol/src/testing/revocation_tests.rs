//! Nodes that are put out for good.

use super::cluster::{Cluster, S};
use super::retirement_tests::placed;
use crate::core::{Command, Event, Input, LinkEvent};
use crate::fact::{SignedFact, VerifiedFact};
use crate::view::MemberState;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;

const FIVE: [&str; 5] = ["eu"; 5];

impl Cluster {
    /// What the operators sign to put that node out.
    fn revocation(&self, node: usize, holds_up_to: u64) -> VerifiedFact {
        self.verified(SignedFact::Revocation(self.mesh.revoking(u32::try_from(node).unwrap(), holds_up_to)))
    }

    fn id(&self, node: usize) -> NodeId {
        self.nodes[node].id()
    }

    /// Whether all others see each other alive.
    fn is_converged_but(&self, out: usize) -> bool {
        let others: Vec<usize> = self.up().filter(|node| *node != out).collect();
        others.iter().all(|one| others.iter().all(|other| self.sees(*one, *other) == Some(MemberState::Alive)))
    }

    /// Whether that node is none of the members for all of these, and its signatures can still be checked.
    fn is_out(&self, node: usize, of: &[usize]) -> bool {
        let out = |other: &usize| {
            let roster = self.nodes[*other].core.roster();
            let (member, author) = (roster.member(&self.id(node)), roster.author(&self.id(node)));
            self.sees(*other, node).is_none() && member.is_none() && author.is_some()
        };
        of.iter().all(out)
    }
}

#[test]
fn a_revoked_member_is_out_for_everybody_and_others_take_over_its_vote_and_what_it_holds() {
    let (mut cluster, cell) = placed(21);
    let holder = cluster.judge.holder("eu", cluster.now).expect("somebody leads").node;
    let votes = |c: &Cluster, node: usize| c.view(0).cell.is_some() && c.nodes[node].core.promised_term().is_some();
    let victim = (1..6).find(|node| *node != holder && votes(&cluster, *node)).expect("a voter that does not lead");
    let others: Vec<usize> = (0..6).filter(|node| *node != victim).collect();
    cluster.announce(0, cluster.revocation(victim, 0));
    cluster.run_for(S);
    assert!(cluster.is_out(victim, &others));
    let told = |(_, event): &(u64, Event)| matches!(event, Event::Revoked { node, .. } if *node == cluster.id(victim));
    assert!(others.iter().all(|node| cluster.nodes[*node].events.iter().any(told)));
    assert!(cluster.nodes[victim].core.is_gone(), "it heard of it by gossip");
    cluster.run_until_holds(60 * S, "it votes no more", |c| {
        others.iter().all(|node| c.nodes[*node].core.voters().is_some_and(|set| !set.has(&c.id(victim))))
    });
    cluster.run_until_holds(60 * S, "it holds nothing, and what it held is held by others", |c| {
        let groups = c.view(0).placements[&cell].groups.clone();
        groups.values().all(|nodes| nodes.len() == 3 && !nodes.contains(&c.id(victim)))
    });
}

#[test]
fn a_revocation_outlives_restarts_later_certificates_and_whatever_the_node_says() {
    let mut cluster = Cluster::formed(22, &FIVE);
    cluster.kill(4);
    cluster.run_for(S);
    cluster.announce(1, cluster.revocation(4, 0));
    cluster.run_for(S);
    let all = [0, 1, 2, 3];
    assert!(cluster.is_out(4, &all));
    for node in all {
        cluster.kill(node);
    }
    for node in all {
        cluster.start(node);
    }
    cluster.run_for(10 * S);
    assert!(cluster.is_out(4, &all));

    // It comes back with a certificate that somebody renewed, and has not heard.
    let renewed = cluster.mesh.member_of(&cluster.mesh.keys(4), "eu", 99);
    cluster.nodes[4].member = renewed.clone();
    cluster.start(4);
    for node in all {
        cluster.command(node, Command::AddMember(renewed.clone()));
    }
    cluster.run_for(20 * S);
    assert!(cluster.is_out(4, &all));
    assert_eq!(cluster.nodes[0].core.roster().author(&cluster.id(4)).map(Member::serial), Some(99));
    assert!(cluster.nodes[4].core.is_gone(), "it learnt of it from others");
    cluster.kill(4);
    cluster.start(4);
    cluster.run_for(S);
    assert!(cluster.nodes[4].core.is_gone(), "it knows it at its next start");
}

#[test]
fn who_missed_the_gossip_hears_of_it_by_comparing_facts() {
    let mut cluster = Cluster::formed(23, &FIVE);
    cluster.cut(&[3], &[0, 1, 2, 4]);
    cluster.announce(0, cluster.revocation(2, 0));
    cluster.run_for(2 * S);
    assert!(cluster.is_out(2, &[0, 1, 4]) && cluster.sees(3, 2).is_some());
    cluster.heal();
    for other in [0, 1, 4] {
        cluster.connect(3, other);
    }
    cluster.run_until_holds(20 * S, "it is out there, too", |c| c.is_out(2, &[3]));
}

#[test]
fn what_a_revoked_issuer_issued_after_the_named_serial_is_void_and_cells_go_on() {
    let mut cluster = Cluster::formed(24, &FIVE);
    cluster.run_for(5 * S);
    // Serials are the numbers of the nodes; node 0 issued all.
    cluster.announce(1, cluster.revocation(0, 3));
    cluster.run_for(2 * S);
    let left = [1, 2, 3];
    assert!(cluster.is_out(0, &left));
    assert!(left.iter().all(|node| cluster.sees(*node, 4).is_none()), "its certificate is void");
    assert!(left.iter().all(|one| left.iter().all(|other| cluster.sees(*one, *other) == Some(MemberState::Alive))));
    assert!(cluster.nodes[1].core.roster().author(&cluster.id(4)).is_none());
    for node in left {
        cluster.kill(node);
        cluster.start(node);
    }
    cluster.run_for(5 * S);
    assert!(left.iter().all(|node| cluster.view(*node).cell.is_some()), "by the genesis that the issuer signed");
    let late = cluster.mesh.member_of(&cluster.mesh.keys(7), "eu", 40);
    cluster.command(1, Command::AddMember(late.clone()));
    cluster.run_for(S);
    assert!(cluster.nodes[1].core.roster().member(&late.node()).is_none());
}

#[test]
fn what_a_stolen_issuer_withdrew_is_undone_when_the_issuer_is_revoked() {
    let mut cluster = Cluster::formed(25, &FIVE);
    let withdrawal = SignedFact::Withdrawal(Box::new(cluster.mesh.withdrawing(2, 2, 50)));
    cluster.announce(1, cluster.verified(withdrawal));
    cluster.run_for(2 * S);
    assert!(cluster.is_out(2, &[0, 1, 3, 4]));
    cluster.announce(1, cluster.revocation(0, 49));
    cluster.run_for(2 * S);
    assert!(cluster.is_out(0, &[1, 3, 4]));
    let roster = cluster.nodes[1].core.roster();
    assert!(roster.member(&cluster.id(2)).is_some(), "it is a member again");
}

#[test]
fn a_link_to_a_revoked_member_revives_nobody() {
    let mut cluster = Cluster::formed(26, &FIVE);
    cluster.announce(0, cluster.revocation(2, 0));
    cluster.run_for(S);
    let peer = cluster.id(2);
    for event in [LinkEvent::Down, LinkEvent::Up { rtt_us: Some(100) }] {
        cluster.step(1, Input::Link { peer, event });
    }
    let said = cluster.nodes[2].member.clone();
    cluster.command(1, Command::AddMember(said));
    cluster.run_for(5 * S);
    assert!(cluster.is_out(2, &[0, 1, 3, 4]));
    assert!(cluster.is_converged_but(2));
}
