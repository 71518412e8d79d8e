//! What happens to those who belong to a cell that ends.

use super::censor::{Fate, Frame, Kind};
use super::cluster::{Cluster, MS, S};
use super::scenario::class;
use crate::core::Event;
use crate::fact::SignedFact;
use crate::id::{ConfigEpoch, PlacementEpoch, Term};
use crate::register::{Acceptance, Configuration, Content, Decision, Half, MergeInto, Split, Value, Voter};
use crate::view::MemberState;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::CellId;
use hedgerow_attest::signed::Signed;
use hedgerow_attest::testing::SampleMesh;
use std::collections::BTreeSet;

/// Six nodes of a cell of five voters at most.
pub(super) fn grown(seed: u64) -> Cluster {
    let mut cluster = Cluster::formed(seed, &["eu"; 6]);
    let three = |c: &Cluster| c.nodes[5].core.voters().is_some_and(|voters| voters.voters.len() == 3);
    cluster.run_until_holds(15 * S, "three vote", three);
    cluster
}

/// The decision by the voters of that node's cell, all of whom sign.
pub(super) fn decide(cluster: &Cluster, node: usize, content: Content) -> Decision {
    let core = &cluster.nodes[node].core;
    let (head, voters) = (core.register_head().unwrap(), core.voters().unwrap());
    let (cell, term) = (core.own_cell().unwrap(), Term(core.promised_term().map_or(1, |term| term.0 + 1)));
    let (generation, slot) = (head.generation, head.slot.next());
    let value = Value { cell, generation, slot, previous: head.digest, content };
    let digest = value.digest();
    let sign = |voter: &Voter| {
        let signer = cluster.nodes.iter().find(|node| node.id() == voter.node).expect("a node of the cluster");
        Signed::sign(&Acceptance { cell, generation, slot, value: digest, term, voter: voter.node }, &signer.statement)
    };
    let acceptances = voters.voters.iter().map(sign).collect();
    Decision { config_epoch: voters.epoch, acceptances, value, term }
}

pub(super) fn half(cluster: &Cluster, nodes: &[usize]) -> Half {
    let voter = |node: &usize| Voter { node: cluster.nodes[*node].id(), key: *cluster.nodes[*node].member.statement() };
    let voters = Configuration::majority(ConfigEpoch(1), nodes.iter().map(voter).collect());
    let mut members: Vec<_> = nodes.iter().map(|node| cluster.nodes[*node].id()).collect();
    members.sort_unstable();
    Half { voters, members }
}

/// Tells one node, and through it all that it reaches.
pub(super) fn tell(cluster: &mut Cluster, node: usize, decision: Decision) {
    let core = &cluster.nodes[node].core;
    let fact = SignedFact::Decision(Box::new(decision)).verify(core.roster(), core.root(), SampleMesh::NOW);
    cluster.announce(node, fact.expect("all voters signed"));
}

fn cells(cluster: &Cluster, nodes: &[usize]) -> BTreeSet<Option<CellId>> {
    nodes.iter().map(|node| cluster.nodes[*node].core.own_cell()).collect()
}

/// Whether these nodes are one cell, which one of them leads, and see each other alive.
pub(super) fn is_whole(cluster: &Cluster, nodes: &[usize]) -> bool {
    let cell = cluster.nodes[nodes[0]].core.own_cell();
    let led = cell.and_then(|cell| cluster.judge.holder_of(&cell, cluster.now)).is_some_and(|at| nodes.contains(&at));
    let alive = |a: usize| nodes.iter().all(|b| cluster.sees(a, *b) == Some(MemberState::Alive));
    cells(cluster, nodes).len() == 1 && led && nodes.iter().all(|node| alive(*node))
}

pub(super) fn divided(seed: u64, away: Option<usize>) -> (Cluster, CellId) {
    let mut cluster = grown(seed);
    let parent = cluster.nodes[0].core.own_cell().expect("the region was founded");
    let split = Split { halves: [half(&cluster, &[0, 2, 4]), half(&cluster, &[1, 3, 5])] };
    if let Some(away) = away {
        cluster.kill(away);
    }
    let decision = decide(&cluster, 0, Content::Split(split));
    tell(&mut cluster, 0, decision);
    (cluster, parent)
}

#[test]
fn members_of_a_cell_that_is_split_find_theirs_and_the_old_one_grants_nothing() {
    for seed in 1..4 {
        let (mut cluster, parent) = divided(seed, None);
        let both = |c: &Cluster| is_whole(c, &[0, 2, 4]) && is_whole(c, &[1, 3, 5]);
        let spent = cluster.run_until_holds(10 * S, "both halves are led", both);
        assert!(spent > 10 * MS, "somebody had to be elected");
        assert_eq!(cells(&cluster, &[0, 1, 2, 3, 4, 5]).len(), 2);
        let ended = |(_, event): &(u64, Event)| matches!(event, Event::CellEnded { cell, .. } if *cell == parent);
        assert!(cluster.nodes.iter().all(|node| node.events.iter().filter(|event| ended(event)).count() == 1));
        cluster.run_for(10 * S);
        assert_eq!(cluster.judge.holder_of(&parent, cluster.now), None);
        assert!(both(&cluster), "and stay so");
        // Across a restart of everybody the old cell stays ended.
        (0..6).for_each(|node| cluster.kill(node));
        (0..6).for_each(|node| cluster.start(node));
        cluster.run_until_holds(20 * S, "both are led again", both);
        assert_eq!(cluster.judge.holder_of(&parent, cluster.now), None);
    }
}

#[test]
fn who_was_away_while_its_cell_was_split_finds_its_half() {
    for away in [4, 5] {
        let (mut cluster, _) = divided(7, Some(away));
        cluster.run_for(20 * S);
        cluster.start(away);
        let both = |c: &Cluster| is_whole(c, &[0, 2, 4]) && is_whole(c, &[1, 3, 5]);
        cluster.run_until_holds(20 * S, "it is seen in its half", both);
    }
}

#[test]
fn members_of_a_cell_that_ends_in_another_belong_to_that() {
    let (mut cluster, _) = divided(3, None);
    let both = |c: &Cluster| is_whole(c, &[0, 2, 4]) && is_whole(c, &[1, 3, 5]);
    cluster.run_until_holds(10 * S, "both halves are led", both);
    let policy = cluster.policy(1, vec![class("cart", 2, 2, &[])]);
    cluster.announce(0, policy);
    let placed = |c: &Cluster| c.nodes.iter().all(|node| node.core.decided_digest().is_some());
    cluster.run_until_holds(20 * S, "both have decided something", placed);
    let [a, b] = [0, 1].map(|node| cluster.nodes[node].core.own_cell().expect("it has a cell"));
    let (target, source) = if a < b { (a, 1) } else { (b, 0) };
    let merge = MergeInto { target, absorbed: Sha256Digest::from_bytes([0; 32]) };
    let decision = decide(&cluster, source, Content::MergeInto(merge));
    tell(&mut cluster, source, decision);
    cluster.run_until_holds(20 * S, "they are one cell", |c| is_whole(c, &[0, 1, 2, 3, 4, 5]));
    assert_eq!(cells(&cluster, &[0, 1, 2, 3, 4, 5]), BTreeSet::from([Some(target)]));
    // Whoever came knows what the register decided before.
    let agree = |c: &Cluster| {
        let heads: BTreeSet<_> = c.nodes.iter().map(|node| node.core.register_head().map(|head| head.slot)).collect();
        heads.len() == 1 && heads.first().is_some_and(|head| head.is_some_and(|slot| slot.0 > 0))
    };
    cluster.run_until_holds(20 * S, "they agree on the end of its register", agree);
}

#[test]
fn whoever_hears_of_the_end_of_its_cell_before_it_knows_the_next_goes_there_when_it_hears_of_that() {
    let sides = [[0, 2, 4], [1, 3, 5]];
    let mut cluster = divided(4, None).0;
    let both = |c: &Cluster| sides.iter().all(|side| is_whole(c, side));
    cluster.run_until_holds(10 * S, "both halves are led", both);
    let cell_of = |c: &Cluster, node: usize| c.nodes[node].core.own_cell();
    let is_first = cell_of(&cluster, 0) > cell_of(&cluster, 1);
    let (ended, split) = if is_first { (sides[0], sides[1]) } else { (sides[1], sides[0]) };
    cluster.cut(&ended, &split);
    let halves = [half(&cluster, &split[..1]), half(&cluster, &split[1..])];
    let decision = decide(&cluster, split[0], Content::Split(Split { halves }));
    tell(&mut cluster, split[0], decision);
    let next = |c: &Cluster| cell_of(c, split[0]).min(cell_of(c, split[1]));
    let former = cell_of(&cluster, split[1]);
    cluster.run_until_holds(10 * S, "the other cell is split", |c| cell_of(c, split[1]) != former);
    let target = next(&cluster).expect("both have a cell");
    assert!(target < cell_of(&cluster, ended[0]).expect("it has a cell"), "choose another seed");
    let merge = MergeInto { target, absorbed: Sha256Digest::from_bytes([0; 32]) };
    let decision = decide(&cluster, ended[0], Content::MergeInto(merge));
    tell(&mut cluster, ended[0], decision);
    let homeless = |c: &Cluster| ended.iter().all(|node| cell_of(c, *node).is_none());
    cluster.run_until_holds(10 * S, "they do not know where they belong", homeless);
    cluster.heal();
    let moved = |c: &Cluster| ended.iter().all(|node| cell_of(c, *node) == Some(target));
    cluster.run_until_holds(60 * S, "they go on in the next", moved);
    assert_eq!(cluster.judge.violations, []);
}

#[test]
fn a_voter_that_missed_the_end_is_told_when_it_asks() {
    let mut cluster = grown(5);
    let voters: Vec<usize> = (0..6)
        .filter(|node| cluster.nodes[0].core.voters().is_some_and(|set| set.has(&cluster.nodes[*node].id())))
        .collect();
    let late = voters[0];
    let others: Vec<usize> = (0..6).filter(|node| *node != late).collect();
    cluster.cut(&[late], &others);
    let split = Split { halves: [half(&cluster, &[0, 2, 4]), half(&cluster, &[1, 3, 5])] };
    let decision = decide(&cluster, others[0], Content::Split(split));
    cluster.run_for(10 * S);
    // No fact reaches it but what it is told for asking.
    let asks = move |frame: Frame| Fate::Lose.when(frame.to == late && frame.kind == Kind::Exchange);
    cluster.censor = Some(Box::new(asks));
    cluster.nodes[late].deaf_to_gossip = true;
    tell(&mut cluster, others[0], decision);
    cluster.run_for(5 * S);
    cluster.heal();
    let own =
        |c: &Cluster| c.nodes[late].core.own_cell() != c.nodes[late].core.roster().birth_of(c.nodes[0].member.region());
    cluster.run_until_holds(5 * S, "it knows its half", own);
    assert!(cluster.sometimes.contains_key("a candidate was told that its cell had ended"));
}

#[test]
fn the_cells_of_a_split_go_by_its_last_placement_until_they_decide_their_own() {
    let mut cluster = grown(2);
    let of = |c: &Cluster, node: usize, cell: CellId| c.view(node).placements.get(&cell).map(|seen| seen.epoch);
    let home = |c: &Cluster, node: usize| c.nodes[node].core.own_cell().expect("it has a cell");
    let parent = home(&cluster, 0);
    let policy = cluster.policy(1, vec![class("cart", 2, 2, &[])]);
    cluster.announce(0, policy);
    cluster.run_until_holds(20 * S, "it is placed", |c| of(c, 5, parent) == Some(PlacementEpoch(1)));
    // Whoever is away learns of the last placement of a cell that ended before it came back.
    cluster.kill(5);
    let split = Split { halves: [half(&cluster, &[0, 2, 4]), half(&cluster, &[1, 3, 5])] };
    let decision = decide(&cluster, 0, Content::Split(split));
    tell(&mut cluster, 0, decision);
    cluster.nodes[5].disk = Default::default();
    cluster.run_for(S);
    let inherited = |c: &Cluster, node: usize| {
        let first = Event::PlacementAdopted { cell: home(c, node), epoch: PlacementEpoch(1) };
        c.nodes[node].events.iter().any(|(_, event)| *event == first)
    };
    assert_eq!((0..5).map(|node| inherited(&cluster, node)).collect::<Vec<_>>(), [true; 5]);
    cluster.start(5);
    let own = |c: &Cluster, node: usize| of(c, node, home(c, node)) >= Some(PlacementEpoch(2));
    cluster.run_until_holds(60 * S, "both cells have placements of their own", |c| (0..6).all(|node| own(c, node)));
    assert!((0..6).all(|node| of(&cluster, node, parent) == Some(PlacementEpoch(1))), "the old one is still known");
    let near = |c: &Cluster, node: usize| {
        let view = c.view(node);
        let holders = view.placements[&home(c, node)].groups.values().flatten();
        holders.into_iter().all(|holder| view.members[holder].cell == view.cell)
    };
    assert!((0..6).all(|node| near(&cluster, node)), "by members of their own");
}
