//! Tests of a group with a network that nobody else is on and a disk that fails.

use std::time::{Duration, Instant};

use hedgerow_crdt::ops::{Scalar, SessionOp};
use hedgerow_protocol::id::BootId;
use hedgerow_protocol::name::Namespace;
use hedgerow_protocol::session_id::{GROUP_PREFIXES, SessionId};

use super::super::{Groups, GroupsParts, Sessions, WriteRequest};
use super::*;
use crate::core::testing::{CELL, cart, node, place, view};
use crate::net::testing::lonely_net;
use crate::store::testing::{Disk, session_log};

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_group_whose_log_failed_says_that_nothing_is_done_here() {
    let disk = Disk::default();
    let (log, thread) = session_log(&disk);
    let session = SessionId::named(CELL, cart(), Namespace::new("shop").unwrap(), "alice");
    let mut placed = view(&[(1, vec![])]);
    place(&mut placed, 1, session.group(GROUP_PREFIXES).prefix, &[1]);
    let (_views, view) = watch::channel(Arc::new(placed));
    let (net, stop) = (lonely_net(node(1)), CancellationToken::new());
    let conditions = Conditions::default();
    let groups = groups(log, &net, &conditions, &stop);
    let follow = tokio::spawn(groups.clone().follow(view.clone()));
    let sessions = Sessions::new(node(1), groups.clone(), net.clone(), view);

    let deadline = Instant::now() + PATIENCE;
    let first = loop {
        match write(&sessions, &session).await {
            SessionAnswer::Refused { why: Refused::Elsewhere | Refused::Later, .. } if Instant::now() < deadline => {
                tokio::task::yield_now().await;
            }
            answer => break answer,
        }
    };
    assert!(matches!(first, SessionAnswer::Written { acked: 1, wanted: 1, .. }), "{first:?}");
    assert_eq!(conditions.standing().len(), 0);

    disk.fail();
    let unsure = write(&sessions, &session).await;
    assert!(matches!(unsure, SessionAnswer::Refused { why: Refused::Broken, .. }), "{unsure:?}");
    assert_eq!(write(&sessions, &session).await, broken());
    assert_eq!(conditions.standing().into_iter().collect::<Vec<_>>(), [Condition::SessionStorage]);

    stop.cancel();
    groups.ended().await;
    follow.await.unwrap();
    net.shutdown().await;
    thread.close().await;
}

fn groups(log: SessionLog, net: &Net, conditions: &Conditions, stop: &CancellationToken) -> Groups {
    let parts = GroupsParts {
        me: node(1),
        boot: BootId([1; 16]),
        statement: Arc::new(SecretKey::from_seed([2; 32])),
        log,
        net: net.clone(),
        roster: watch::channel(Arc::default()).1,
        counters: Counters::default(),
        conditions: conditions.clone(),
        seed: [3; 32],
    };
    Groups::new(parts, stop.clone()).unwrap()
}

async fn write(sessions: &Sessions, session: &SessionId) -> SessionAnswer {
    let op = SessionOp::Put { path: vec!["a".to_owned()], value: Scalar::Int(1) };
    let request = WriteRequest { ops: vec![op], if_match: None, quorum: Some(1), timeout: PATIENCE };
    sessions.write(session, request).await.unwrap()
}
