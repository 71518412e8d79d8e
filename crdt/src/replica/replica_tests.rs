use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{
    engine::Body,
    limits::Limits,
    replica::harness::Mesh,
    testing::{increment, node, put, session},
};

fn body(value: serde_json::Value) -> Body {
    Body { value, ..Body::default() }
}

fn written(result: Option<&WriteResult>) -> &Written {
    match result {
        Some(WriteResult::Done(written) | WriteResult::Pending(written)) => written,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_write_is_done_when_w_nodes_have_it() {
    let mut mesh = Mesh::new(3, 2);
    mesh.run();
    let request = mesh.write(1, &session("cart"), &[put("/a", 1)], None);
    mesh.sync(1);
    assert_eq!(mesh.writes.get(&request), None, "only this node has it");
    let to_two = mesh.flights.iter().position(|flight| flight.to == 2).unwrap();
    mesh.deliver(to_two);
    assert_eq!(mesh.writes.get(&request), None, "node 2 has not synced it");
    mesh.sync(2);
    mesh.run();
    let Some(WriteResult::Done(Written { acked, wanted, etag, .. })) = mesh.writes.get(&request) else {
        panic!("{:?}", mesh.writes)
    };
    assert_eq!((*acked, *wanted), (2, 2));
    assert_eq!(mesh.hosts.iter().map(|host| host.state()[&session("cart")].0).collect::<Vec<_>>(), [*etag; 3]);
}

#[test]
fn without_a_quorum_a_write_is_pending_and_spreads_later() {
    let mut mesh = Mesh::new(2, 2);
    mesh.set_link(1, 2, false);
    mesh.run();
    let one = mesh.write(1, &session("cart"), &[put("/a", 1)], None);
    let two = mesh.write(2, &session("cart"), &[put("/b", 2)], None);
    mesh.run();
    assert_eq!((mesh.writes.get(&one), mesh.writes.get(&two)), (None, None));
    mesh.advance(Duration::from_secs(1));
    for request in [one, two] {
        let Some(WriteResult::Pending(written)) = mesh.writes.get(&request) else { panic!("{:?}", mesh.writes) };
        assert_eq!((written.acked, written.wanted), (1, 2));
    }
    mesh.heal();
    let states: Vec<_> = mesh.hosts.iter().map(|host| host.state()[&session("cart")].1.clone()).collect();
    assert_eq!(states, [body(json!({"a": 1, "b": 2})), body(json!({"a": 1, "b": 2}))]);
}

#[test]
fn a_quorum_larger_than_the_group_is_said_and_not_hidden() {
    let mut mesh = Mesh::new(1, 2);
    let request = mesh.write(1, &session("cart"), &[put("/a", 1)], None);
    mesh.run();
    mesh.advance(Duration::from_secs(1));
    let Some(WriteResult::Pending(written)) = mesh.writes.get(&request) else { panic!("{:?}", mesh.writes) };
    assert_eq!((written.acked, written.wanted), (1, 2));
}

#[test]
fn a_stale_precondition_gets_the_present_state() {
    let mut mesh = Mesh::new(3, 2);
    let first = mesh.write(1, &session("cart"), &[put("/a", 1)], None);
    mesh.settle();
    let seen = written(mesh.writes.get(&first)).etag;
    // A commit is on its way, so that the two share the next one.
    mesh.write(2, &session("other"), &[put("/a", 1)], None);
    let winner = mesh.write(2, &session("cart"), &[put("/a", 2)], Some(seen));
    let loser = mesh.write(2, &session("cart"), &[put("/a", 3)], Some(seen));
    mesh.sync(2);
    assert_eq!(mesh.writes.get(&loser), None, "the winner's state could still be lost");
    mesh.run();
    let won = written(mesh.writes.get(&winner)).clone();
    let failed = WriteResult::PreconditionFailed { etag: won.etag, token: won.token, body: body(json!({"a": 2})) };
    assert_eq!(mesh.writes.get(&loser), Some(&failed));
}

#[test]
fn of_racers_in_different_commits_one_wins() {
    let mut mesh = Mesh::new(1, 1);
    let none = mesh.write(1, &session("cart"), &[put("/a", 0)], None);
    mesh.run();
    let seen = written(mesh.writes.get(&none)).etag;
    let racers: Vec<u64> =
        (1..=8).map(|value| mesh.write(1, &session("cart"), &[put("/a", value)], Some(seen))).collect();
    mesh.run();
    let won = racers.iter().filter(|racer| matches!(mesh.writes[racer], WriteResult::Done(_))).count();
    assert_eq!(won, 1);
}

#[test]
fn writes_that_wait_for_the_disk_share_the_next_commit() {
    let mut mesh = Mesh::new(1, 1);
    for value in 0..20 {
        mesh.write(1, &session("cart"), &[increment("/n", value)], None);
    }
    mesh.sync(1);
    assert_eq!(mesh.host(1).disk.len(), 1);
    assert_eq!(mesh.writes.len(), 1);
    mesh.sync(1);
    assert_eq!((mesh.host(1).disk.len(), mesh.writes.len()), (2, 20));
    assert_eq!(mesh.host(1).state()[&session("cart")].1, body(json!({"n": 190})));
}

#[test]
fn a_read_shows_nothing_that_could_be_lost() {
    let mut mesh = Mesh::new(1, 1);
    mesh.write(1, &session("cart"), &[put("/a", 1)], None);
    let early = mesh.read(1, &session("cart"), None);
    assert_eq!(mesh.reads.get(&early), Some(&ReadResult::NotFound { stale: false }));
    mesh.sync(1);
    let late = mesh.read(1, &session("cart"), None);
    let Some(ReadResult::Found(found)) = mesh.reads.get(&late) else { panic!("{:?}", mesh.reads) };
    assert_eq!((found.body.clone(), found.stale), (body(json!({"a": 1})), false));
}

#[test]
fn a_token_is_waited_for_and_fetched() {
    let mut mesh = Mesh::new(3, 2);
    mesh.settle();
    mesh.set_link(1, 3, false);
    let request = mesh.write(1, &session("cart"), &[put("/a", 1)], None);
    mesh.run();
    let token = written(mesh.writes.get(&request)).token.clone();
    let read = mesh.read(3, &session("cart"), Some(token.clone()));
    assert_eq!(mesh.reads.get(&read), None, "node 3 has not heard of it");
    mesh.run();
    let Some(ReadResult::Found(found)) = mesh.reads.get(&read) else { panic!("{:?}", mesh.reads) };
    assert_eq!((found.body.clone(), found.token.clone()), (body(json!({"a": 1})), token));
}

#[test]
fn a_read_that_cannot_be_current_enough_says_so() {
    let mut mesh = Mesh::new(3, 2);
    mesh.settle();
    mesh.set_link(1, 3, false);
    mesh.set_link(2, 3, false);
    let request = mesh.write(1, &session("cart"), &[put("/a", 1)], None);
    mesh.run();
    let token = written(mesh.writes.get(&request)).token.clone();
    let (with, without) = (mesh.read(3, &session("cart"), Some(token.clone())), mesh.read(3, &session("cart"), None));
    let other = mesh.read(3, &session("other"), Some(token));
    mesh.advance(Duration::from_secs(1));
    assert_eq!(mesh.reads.get(&with), Some(&ReadResult::Behind { missing: 1 }));
    assert_eq!(mesh.reads.get(&without), Some(&ReadResult::NotFound { stale: true }));
    assert_eq!(mesh.reads.get(&other), Some(&ReadResult::Refused(Refusal::OtherSession)));
}

#[test]
fn a_node_outside_the_placement_names_the_replicas() {
    let mut mesh = Mesh::new(3, 2);
    mesh.place(&[1, 2], 2);
    let (write, read) = (mesh.write(3, &session("cart"), &[put("/a", 1)], None), mesh.read(3, &session("cart"), None));
    let refusal = Refusal::NotReplica { nodes: vec![node(1), node(2)] };
    assert_eq!(mesh.writes.get(&write), Some(&WriteResult::Refused(refusal.clone())));
    assert_eq!(mesh.reads.get(&read), Some(&ReadResult::Refused(refusal)));
}

#[test]
fn a_new_replica_gets_what_was_written_before() {
    let mut mesh = Mesh::new(3, 2);
    mesh.place(&[1, 2], 2);
    for value in 0..10 {
        mesh.write(1 + value % 2, &session("cart"), &[increment("/n", 1)], None);
        mesh.run();
    }
    assert!(mesh.host(3).state().is_empty());
    mesh.place(&[2, 3], 2);
    mesh.settle();
    assert_eq!(mesh.host(3).state(), mesh.host(2).state());
    assert_eq!(mesh.host(3).state()[&session("cart")].1, body(json!({"n": 10})));
}

#[test]
fn a_failed_persist_ends_all_promises() {
    let mut mesh = Mesh::new(2, 2);
    mesh.run();
    mesh.set_link(1, 2, false);
    let durable = mesh.write(1, &session("cart"), &[put("/a", 1)], None);
    mesh.run();
    let (staged, queued) = (
        mesh.write(1, &session("cart"), &[put("/b", 1)], None),
        mesh.write(1, &session("cart"), &[put("/c", 1)], None),
    );
    let (token, _) = mesh.host(1).unsynced.take().unwrap();
    mesh.input(1, Input::PersistFailed(token));
    let failed = WriteResult::Refused(Refusal::StorageFailed);
    assert!(matches!(mesh.writes.get(&durable), Some(WriteResult::Pending(Written { acked: 1, wanted: 2, .. }))));
    assert_eq!((mesh.writes.get(&staged), mesh.writes.get(&queued)), (Some(&failed), Some(&failed)));
    let (after, read) = (mesh.write(1, &session("cart"), &[put("/d", 1)], None), mesh.read(1, &session("cart"), None));
    assert_eq!(mesh.writes.get(&after), Some(&failed));
    assert_eq!(mesh.reads.get(&read), Some(&ReadResult::Refused(Refusal::StorageFailed)));
    assert!(mesh.events.contains(&(1, Event::StorageFailed)));
    mesh.set_link(1, 2, true);
    assert!(mesh.flights.iter().all(|flight| flight.from != 1), "a failed machine says nothing");
}

#[test]
fn requests_beyond_the_bound_are_refused() {
    let mut mesh = Mesh::new(1, 1);
    let requests: Vec<u64> = (0..4_098).map(|_| mesh.write(1, &session("cart"), &[increment("/n", 1)], None)).collect();
    let busy = requests
        .iter()
        .filter(|request| {
            matches!(mesh.writes.get(request), Some(WriteResult::Refused(Refusal::Busy { waiting: 4_096 })))
        })
        .count();
    assert_eq!(busy, 1, "one in the commit, 4,096 waiting, one too many");
}

#[test]
fn impossible_requests_are_refused_at_once() {
    let mut mesh = Mesh::new(1, 1);
    let mut other_class = session("cart");
    other_class.class = hedgerow_protocol::name::ClassName::new("other").unwrap();
    let empty = mesh.write(1, &session("cart"), &[], None);
    let other = mesh.write(1, &other_class, &[put("/a", 1)], None);
    assert_eq!(mesh.writes.get(&empty), Some(&WriteResult::Refused(Refusal::Ops(crate::ops::OpRefusal::NoOps))));
    assert_eq!(mesh.writes.get(&other), Some(&WriteResult::Refused(Refusal::OtherGroup)));
    assert_eq!(mesh.host(1).unsynced, None);
}

#[test]
fn sessions_beyond_the_bound_are_refused_in_one_commit_and_later() {
    let mut mesh = Mesh::with_limits(1, 1, Limits { sessions: 4, ..Limits::standard() });
    mesh.write(1, &session("0"), &[put("/a", 1)], None);
    let one_batch: Vec<u64> =
        (1..=4).map(|name| mesh.write(1, &session(&name.to_string()), &[put("/a", 1)], None)).collect();
    mesh.run();
    let full = WriteResult::Refused(Refusal::TooManySessions { sessions: 4 });
    let refused: Vec<_> = one_batch.iter().filter(|request| mesh.writes[request] == full).collect();
    assert_eq!(refused, [one_batch.last().unwrap()]);
    let existing = mesh.write(1, &session("3"), &[put("/a", 2)], None);
    let fresh = mesh.write(1, &session("fresh"), &[put("/a", 1)], None);
    mesh.run();
    assert!(matches!(mesh.writes[&existing], WriteResult::Done(_)));
    assert_eq!(mesh.writes[&fresh], full);
}

#[test]
fn a_full_log_refuses_writes() {
    let mut mesh = Mesh::with_limits(1, 1, Limits { log_bytes: 100, ..Limits::standard() });
    let first = mesh.write(1, &session("cart"), &[put("/a", 1)], None);
    mesh.run();
    let second = mesh.write(1, &session("cart"), &[put("/a", 2)], None);
    mesh.run();
    assert!(matches!(mesh.writes[&first], WriteResult::Done(_)));
    assert!(matches!(mesh.writes[&second], WriteResult::Refused(Refusal::LogFull { bytes: 100.. })));
}
