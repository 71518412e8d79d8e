//! Tests of which groups are told what.

use std::time::{Duration, Instant};

use hedgerow_crdt::frame::SealedFrame;
use hedgerow_crdt::ops::{Scalar, SessionOp};
use hedgerow_protocol::id::PlacementEpoch;
use hedgerow_protocol::name::Namespace;
use hedgerow_protocol::placement::Holdings;
use hedgerow_protocol::session_id::{GROUP_PREFIXES, SessionId};

use super::super::{SessionAnswer, Sessions, WriteRequest};
use super::*;
use crate::core::testing::{CELL, OLD, cart, end_old, node, place, view};
use crate::net::testing::lonely_net;
use crate::store::testing::{Disk, session_log};

fn group(prefix: u8) -> GroupId {
    GroupId { cell: CELL, class: cart(), prefix }
}

#[test]
fn the_groups_of_this_node_are_those_that_the_placement_puts_here() {
    let mut view = view(&[(1, vec![]), (2, vec![]), (3, vec![])]);
    place(&mut view, 4, 0, &[2, 1]);
    place(&mut view, 4, 1, &[2, 3]);
    let sets = sets_to_tell(&view, &BTreeMap::new());
    let told: Vec<_> = sets.iter().map(|set| (&set.group, set.epoch.0, set.nodes.clone())).collect();
    assert_eq!(told, [(&group(0), 4, vec![node(2), node(1)])]);
    view.policy = None;
    assert_eq!(sets_to_tell(&view, &BTreeMap::new()), []);
}

#[test]
fn a_group_that_moved_away_hears_where_and_one_that_nobody_may_hold_hears_nobody() {
    let mut view = view(&[(1, vec![]), (2, vec![]), (3, vec![])]);
    for prefix in 0..2 {
        place(&mut view, 4, prefix, &[1, 2]);
    }
    let sets = sets_to_tell(&view, &BTreeMap::new());
    let told: BTreeMap<_, _> = sets.iter().map(|set| (set.group.clone(), Some(set.clone()))).collect();
    assert_eq!(sets_to_tell(&view, &told), sets);

    place(&mut view, 5, 1, &[2, 3]);
    let moved = ReplicaSet {
        nodes: vec![node(2), node(3)],
        epoch: view.placements[&CELL].epoch,
        is_settled: false,
        ..sets[1].clone()
    };
    let now = [ReplicaSet { epoch: moved.epoch, ..sets[0].clone() }, moved];
    assert_eq!(sets_to_tell(&view, &told), now);
    let found = BTreeMap::from([(group(1), None)]);
    assert_eq!(sets_to_tell(&view, &found), now, "what a restart found in the log is handed over as well");

    view.policy = None;
    let nowhere: Vec<_> =
        sets.iter().map(|set| ReplicaSet { nodes: vec![], is_settled: false, ..set.clone() }).collect();
    assert_eq!(sets_to_tell(&view, &told), nowhere);
    assert_eq!(sets_to_tell(&view, &found), [], "who knows no policy yet waits for it");
}

#[test]
fn a_group_stays_here_while_a_former_placement_counts() {
    let mut view = view(&[(1, vec![]), (2, vec![]), (3, vec![])]);
    place(&mut view, 4, 0, &[2, 3]);
    let former = Holdings { groups: BTreeMap::from([((cart(), 0), vec![node(1), node(2)])]), ..Holdings::default() };
    view.placements.get_mut(&CELL).unwrap().formers.insert(PlacementEpoch(3), former);
    let sets = sets_to_tell(&view, &BTreeMap::new());
    let told: Vec<_> = sets.iter().map(|set| (set.nodes.clone(), set.formers.clone(), set.is_settled)).collect();
    assert_eq!(told, [(vec![node(2), node(3)], vec![vec![node(1), node(2)]], false)]);
    let here = BTreeMap::from([(group(0), Some(sets[0].clone()))]);
    assert_eq!(sets_to_tell(&view, &here), sets);
    let placement = view.placements.get_mut(&CELL).unwrap();
    (placement.retired, placement.formers) = (PlacementEpoch(3), BTreeMap::new());
    assert_eq!(sets_to_tell(&view, &BTreeMap::new()), []);
    let gone = ReplicaSet { formers: vec![], is_settled: true, ..sets[0].clone() };
    assert_eq!(sets_to_tell(&view, &here), [gone]);
}

#[tokio::test]
async fn a_group_that_comes_back_after_a_drop_numbers_its_changes_as_another_run() {
    let (log, thread) = session_log(&Disk::default());
    let session = SessionId::named(CELL, cart(), Namespace::new("shop").unwrap(), "alice");
    let group = session.group(GROUP_PREFIXES);
    let mut placed = view(&[(1, vec![])]);
    place(&mut placed, 1, group.prefix, &[1]);
    let (_views, view) = watch::channel(Arc::new(placed));
    let (net, stop) = (lonely_net(node(1)), CancellationToken::new());
    let groups = groups_of(&log, &net, &stop);
    let follow = tokio::spawn(groups.clone().follow(view.clone()));
    let sessions = Sessions::new(node(1), groups.clone(), net.clone(), view);

    write(&sessions, &session).await;
    groups.0.context.standings.send_modify(|said| said.extend([(group.clone(), GroupStanding::Dropped)]));
    let deadline = Instant::now() + PATIENCE;
    while !groups.state().dropped.contains(&group) {
        assert!(Instant::now() < deadline, "the task that ended is forgotten");
        tokio::task::yield_now().await;
    }
    write(&sessions, &session).await;

    let rows = log.rows(&postcard::to_stdvec(&group).unwrap()).unwrap();
    let boot = |(_, row): &(u64, Vec<u8>)| SealedFrame::from_bytes(row).unwrap().claimed_head().unwrap().origin.boot;
    let boots: Vec<BootId> = rows.iter().map(boot).collect();
    assert!(boots.len() == 2 && boots[0] == BootId([1; 16]) && boots[1] != boots[0], "{boots:?}");

    stop.cancel();
    groups.ended().await;
    follow.await.unwrap();
    net.shutdown().await;
    thread.close().await;
}

#[test]
fn a_group_of_a_cell_that_ended_moves_to_those_whom_the_next_names() {
    let mut view = view(&[(1, vec![]), (2, vec![]), (3, vec![])]);
    place(&mut view, 4, 0, &[2, 3]);
    end_old(&mut view, 2, 0, &[1, 2], None);
    let old = GroupId { cell: OLD, ..group(0) };
    let told = |sets: Vec<ReplicaSet>| {
        let told = |set: ReplicaSet| (set.group, set.epoch.0, set.nodes, set.formers, set.is_settled);
        sets.into_iter().map(told).collect::<Vec<_>>()
    };
    let stays = (old.clone(), 2, vec![node(1), node(2)], vec![], false);
    assert_eq!(told(sets_to_tell(&view, &BTreeMap::new())), [stays], "until the next cell names the old one");
    place(&mut view, 5, 0, &[2, 3]);
    end_old(&mut view, 2, 0, &[1, 2], Some(5));
    let moves = (old.clone(), 5, vec![node(2), node(3)], vec![vec![node(1), node(2)]], false);
    assert_eq!(told(sets_to_tell(&view, &BTreeMap::new())), [moves]);
    view.placements.get_mut(&CELL).unwrap().retired = PlacementEpoch(4);
    let gone = (old.clone(), 5, vec![node(2), node(3)], vec![], true);
    assert_eq!(told(sets_to_tell(&view, &BTreeMap::new())), []);
    assert_eq!(told(sets_to_tell(&view, &BTreeMap::from([(old, None)]))), [gone]);
}

#[tokio::test]
async fn a_session_of_a_cell_that_ended_is_served_where_the_next_places_it() {
    let (log, thread) = session_log(&Disk::default());
    let session = SessionId::named(OLD, cart(), Namespace::new("shop").unwrap(), "alice");
    let group = session.group(GROUP_PREFIXES);
    let mut placed = view(&[(1, vec![])]);
    place(&mut placed, 3, group.prefix, &[1]);
    end_old(&mut placed, 2, group.prefix, &[2], Some(3));
    placed.placements.get_mut(&CELL).unwrap().retired = PlacementEpoch(2);
    let (_views, view) = watch::channel(Arc::new(placed));
    let (net, stop) = (lonely_net(node(1)), CancellationToken::new());
    let groups = groups_of(&log, &net, &stop);
    let follow = tokio::spawn(groups.clone().follow(view.clone()));
    let sessions = Sessions::new(node(1), groups.clone(), net.clone(), view);

    write(&sessions, &session).await;
    let running: Vec<GroupId> = groups.told().into_keys().collect();
    assert_eq!(running, [GroupId { cell: CELL, ..group.clone() }, group.clone()], "other old groups have no task");
    assert_eq!(log.rows(&postcard::to_stdvec(&group).unwrap()).unwrap().len(), 1);

    stop.cancel();
    groups.ended().await;
    follow.await.unwrap();
    net.shutdown().await;
    thread.close().await;
}

const PATIENCE: Duration = Duration::from_secs(10);

/// Writes as soon as the group takes it.
async fn write(sessions: &Sessions, session: &SessionId) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let op = SessionOp::Put { path: vec!["a".to_owned()], value: Scalar::Int(1) };
        let request = WriteRequest { ops: vec![op], if_match: None, quorum: Some(1), timeout: PATIENCE };
        if matches!(sessions.write(session, request).await, Ok(SessionAnswer::Written { acked: 1, .. })) {
            return;
        }
        assert!(Instant::now() < deadline, "the group takes a write");
        tokio::task::yield_now().await;
    }
}

/// The groups of node 1.
fn groups_of(log: &SessionLog, net: &Net, stop: &CancellationToken) -> Groups {
    let parts = GroupsParts {
        me: node(1),
        boot: BootId([1; 16]),
        statement: Arc::new(SecretKey::from_seed([2; 32])),
        log: log.clone(),
        net: net.clone(),
        roster: watch::channel(Arc::default()).1,
        counters: Counters::default(),
        conditions: Conditions::default(),
        seed: [3; 32],
    };
    Groups::new(parts, stop.clone()).unwrap()
}
