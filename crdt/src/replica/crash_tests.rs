use std::time::Duration;

use hedgerow_attest::signed::Verified;
use hedgerow_protocol::id::{BootId, PlacementEpoch};
use proptest::prelude::*;
use serde_json::json;

use crate::{
    engine::{AutomergeDoc, DocEngine},
    frame::{FrameHead, FrameRoot, Lsn, Origin, Record, SealedFrame, VerifiedFrame},
    heads::DocEpoch,
    limits::Limits,
    message::{SyncBody, SyncMessage},
    replica::{Event, Input, WriteResult, harness::Mesh},
    session_doc::AdmitRefusal,
    testing::{author, group, node, put, secret, session},
};

fn key(request: u64) -> String {
    format!("/k{request}")
}

/// Every write that was answered as made is in the state of every replica.
fn assert_nothing_lost(mesh: &mut Mesh, counts: impl Fn(&WriteResult) -> bool) {
    let requests: Vec<u64> =
        mesh.writes.iter().filter(|(_, result)| counts(result)).map(|(request, _)| *request).collect();
    for at in 1..=mesh.count() {
        let state = mesh.host(at).state();
        let body = state.get(&session("cart")).map(|(_, body)| body.value.clone()).unwrap_or_default();
        for request in &requests {
            assert_eq!(body.get(&key(*request)[1..]), Some(&json!(1)), "write {request} at node {at}: {body}");
        }
    }
    let first = mesh.host(1).state();
    (2..=mesh.count()).for_each(|at| assert_eq!(mesh.host(at).state(), first));
}

/// One thing that happens next, in a fixed order: messages before disks.
fn one_step(mesh: &mut Mesh) -> bool {
    if !mesh.flights.is_empty() {
        mesh.deliver(0);
        return true;
    }
    let waiting = (1..=mesh.count()).find(|at| mesh.host(*at).unsynced.is_some());
    waiting.into_iter().for_each(|at| mesh.sync(at));
    waiting.is_some()
}

#[test]
fn a_crash_between_any_two_steps_loses_no_acknowledged_write() {
    let mut crashes = 0;
    for (crashed, lucky) in [(1, false), (1, true), (2, false), (2, true)] {
        for steps in 0.. {
            let mut mesh = Mesh::new(3, 2);
            for (request, at) in [(1, 1), (2, 2), (3, 1)] {
                assert_eq!(mesh.write(at, &session("cart"), &[put(&key(request), 1)], None), request);
            }
            let more = (0..steps).all(|_| one_step(&mut mesh));
            mesh.crash(crashed, lucky);
            mesh.run();
            mesh.advance(Duration::from_secs(1));
            mesh.heal();
            assert_nothing_lost(&mut mesh, |result| matches!(result, WriteResult::Done(_) | WriteResult::Pending(_)));
            crashes += 1;
            if !more {
                break;
            }
        }
    }
    assert!(crashes > 60, "{crashes} crashes");
}

#[test]
fn one_lost_disk_loses_nothing_that_two_nodes_acknowledged() {
    for lost in 1..=3 {
        let mut mesh = Mesh::new(3, 2);
        mesh.settle();
        mesh.set_link(1, 3, false);
        for request in 1..=6 {
            assert_eq!(
                mesh.write(u8::try_from(1 + request % 3).unwrap(), &session("cart"), &[put(&key(request), 1)], None),
                request
            );
            mesh.run();
        }
        mesh.lose_disk(lost);
        mesh.heal();
        let done = mesh.writes.values().filter(|result| matches!(result, WriteResult::Done(_))).count();
        assert_eq!(done, 6);
        assert_nothing_lost(&mut mesh, |result| matches!(result, WriteResult::Done(_)));
    }
}

#[test]
fn a_log_reads_back_when_a_commit_held_a_frame_and_a_write_upon_it() {
    let mut mesh = Mesh::new(2, 1);
    mesh.run();
    mesh.write(2, &session("cart"), &[put(&key(1), 1)], None);
    mesh.sync(2);
    mesh.write(1, &session("other"), &[put("/a", 1)], None);
    mesh.deliver(0);
    assert_eq!(mesh.write(1, &session("cart"), &[put(&key(3), 1)], None), 3);
    mesh.sync(1);
    assert_eq!(mesh.host(1).unsynced.as_ref().map(|(_, records)| records.len()), Some(2), "one commit with both");
    mesh.sync(1);
    mesh.crash(1, false);
    mesh.restart(1);
    assert_eq!(mesh.events.last(), Some(&(1, Event::Started { sessions: 2, frames: 3 })));
    assert_eq!(mesh.host(1).state()[&session("cart")].1.value, json!({"k1": 1, "k3": 1}));
}

#[test]
fn a_node_whose_disk_went_back_in_time_is_told_and_catches_up() {
    let mut mesh = Mesh::new(2, 1);
    mesh.write(1, &session("cart"), &[put(&key(1), 1)], None);
    mesh.settle();
    let old_copy = mesh.host(1).disk.clone();
    mesh.crash(1, false);
    mesh.restart(1);
    mesh.settle();
    mesh.write(1, &session("cart"), &[put(&key(2), 1)], None);
    mesh.settle();
    mesh.crash(1, false);
    mesh.host(1).disk = old_copy;
    mesh.heal();
    let origin = Origin { node: node(1), boot: BootId([2; 16]) };
    assert!(mesh.events.contains(&(1, Event::OwnPast { origin })), "{:?}", mesh.events);
    assert_nothing_lost(&mut mesh, |_| true);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn crashes_at_any_time_lose_no_acknowledged_write(acts in proptest::collection::vec((0u8..8, 1u8..=3, any::<usize>()), 1..80)) {
        let mut mesh = Mesh::new(3, 2);
        let mut begun = 0;
        for (act, at, place) in acts {
            match act {
                0 | 1 if mesh.host(at).machine.is_some() => {
                    begun += 1;
                    prop_assert_eq!(mesh.write(at, &session("cart"), &[put(&key(begun), 1)], None), begun);
                }
                2 => mesh.crash(at, place % 2 == 0),
                3 => mesh.restart(at),
                4 => mesh.advance(Duration::from_millis(300)),
                5 => mesh.sync(at),
                _ if !mesh.flights.is_empty() => mesh.deliver(place % mesh.flights.len()),
                _ => {}
            }
        }
        mesh.heal();
        assert_nothing_lost(&mut mesh, |result| matches!(result, WriteResult::Done(_) | WriteResult::Pending(_)));
    }
}

/// A frame of node 3 with these changes, signed as a member would sign it.
fn foreign_frame(first_lsn: u64, previous: FrameRoot, changes: &[Vec<u8>]) -> VerifiedFrame {
    let record = |change: &Vec<u8>| Record { session: session("cart"), epoch: DocEpoch(0), change: change.clone() };
    let records: Vec<Record> = changes.iter().map(record).collect();
    let origin = Origin { node: node(3), boot: author(3, 7).boot };
    let head = FrameHead::over(origin, group(), Lsn(first_lsn), previous, &records);
    VerifiedFrame::new(Verified::sign_verified(&head, &secret(3)), records).unwrap()
}

fn send_frame(mesh: &mut Mesh, to: u8, frame: &SealedFrame) {
    let message =
        SyncMessage { group: group(), placement: PlacementEpoch(1), body: SyncBody::Frames(vec![frame.clone()]) };
    mesh.input(to, Input::Net { from: node(3), message });
    mesh.run();
}

fn change_by(boot: u8, value: i64) -> Vec<u8> {
    let mut doc = AutomergeDoc::skeleton();
    doc.edit(&author(3, boot), &session("cart"), &[put("/a", value)], &Limits::standard()).unwrap().bytes
}

#[test]
fn two_signed_histories_are_proven_and_the_second_is_refused() {
    let mut mesh = Mesh::new(3, 2);
    let (one, two) = (
        foreign_frame(1, FrameRoot::NONE, &[change_by(7, 1)]).seal(),
        foreign_frame(1, FrameRoot::NONE, &[change_by(7, 2)]).seal(),
    );
    send_frame(&mut mesh, 1, &one);
    send_frame(&mut mesh, 1, &two);
    let origin = one.claimed_head().unwrap().origin;
    let proof = Event::Equivocation { origin, held: Some(Box::new(one)), refused: Box::new(two) };
    assert_eq!(mesh.events.last(), Some(&(1, proof)));
    assert_eq!(mesh.host(1).state()[&session("cart")].1.value, json!({"a": 1}));
}

#[test]
fn a_number_used_twice_in_frames_that_fit_is_proven_too() {
    let mut mesh = Mesh::new(3, 2);
    let one = foreign_frame(1, FrameRoot::NONE, &[change_by(7, 1)]);
    let two = foreign_frame(2, one.head().root, &[change_by(7, 2)]);
    send_frame(&mut mesh, 1, &one.seal());
    send_frame(&mut mesh, 1, &two.seal());
    let (origin, held) = (one.head().origin, Some(Box::new(one.seal())));
    assert_eq!(mesh.events.last(), Some(&(1, Event::Equivocation { origin, held, refused: Box::new(two.seal()) })));
    assert_eq!(mesh.host(1).state()[&session("cart")].1.value, json!({"a": 1}));
}

#[test]
fn a_frame_that_names_another_past_is_proven_too() {
    let mut mesh = Mesh::new(3, 2);
    let one = foreign_frame(1, FrameRoot::NONE, &[change_by(7, 1)]);
    let two = foreign_frame(2, FrameRoot([5; 32]), &[change_by(7, 1)]);
    send_frame(&mut mesh, 1, &one.seal());
    send_frame(&mut mesh, 1, &two.seal());
    let (origin, held) = (one.head().origin, Some(Box::new(one.seal())));
    assert_eq!(mesh.events.last(), Some(&(1, Event::Equivocation { origin, held, refused: Box::new(two.seal()) })));
    assert_eq!(mesh.host(1).disk.len(), 1);
}

#[test]
fn a_forged_change_is_refused_with_all_its_frame() {
    let mut mesh = Mesh::new(3, 2);
    let frame = foreign_frame(1, FrameRoot::NONE, &[change_by(7, 1), change_by(8, 2)]);
    send_frame(&mut mesh, 1, &frame.seal());
    let reason = AdmitRefusal::ForgedActor;
    assert_eq!(
        mesh.events.last(),
        Some(&(1, Event::Quarantined { origin: frame.head().origin, session: session("cart"), reason }))
    );
    assert!(mesh.host(1).state().is_empty());
    assert!(mesh.host(1).disk.is_empty());
}

#[test]
fn known_and_parked_frames_are_not_verified_again() {
    let mut mesh = Mesh::new(3, 2);
    let mut doc = AutomergeDoc::skeleton();
    let mut next =
        |value| doc.edit(&author(3, 7), &session("cart"), &[put("/a", value)], &Limits::standard()).unwrap().bytes;
    let one = foreign_frame(1, FrameRoot::NONE, &[next(1)]);
    let two = foreign_frame(2, one.head().root, &[next(2)]).seal();
    send_frame(&mut mesh, 1, &two);
    send_frame(&mut mesh, 1, &two);
    assert_eq!(mesh.verifications, 1);
    assert!(mesh.host(1).state().is_empty(), "it waits for what it depends on");
    send_frame(&mut mesh, 1, &one.seal());
    let verifications = mesh.verifications;
    send_frame(&mut mesh, 1, &two);
    assert_eq!(mesh.verifications, verifications);
    assert_eq!(mesh.host(1).state()[&session("cart")].1.value, json!({"a": 2}));
}

#[test]
fn a_node_that_is_no_replica_takes_nothing_in() {
    let mut mesh = Mesh::new(3, 1);
    mesh.place(&[2], 1);
    send_frame(&mut mesh, 1, &foreign_frame(1, FrameRoot::NONE, &[change_by(7, 1)]).seal());
    assert_eq!((mesh.verifications, mesh.host(1).disk.len()), (0, 0));
}
