//! Requests, bulk transfers and one-way messages between members.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hedgerow::net::limits::{BULK_CONNECTIONS_PER_PEER, BULK_SERVED_MAX, REQUEST_BODY_BYTES_MAX, REQUESTS_PER_PEER};
use hedgerow::net::{FetchError, LinkError, NetEvent, Protocol, RemoteError, RequestError};
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_protocol::link::Origin;

use super::support::{Mesh, Node, PATIENCE};

const ASK: Protocol = Protocol::new("ask/1");

#[tokio::test]
async fn a_request_carries_its_name_sender_and_remaining_time() {
    let mesh = Mesh::new(1);
    let (a, mut b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    let asked = Instant::now();
    let asking = a.net.request(b.id, ASK, Bytes::from_static(b"question"), Duration::from_secs(30));
    let serving = b.event(|event| match event {
        NetEvent::Request { from, protocol, body, deadline, trace: None, respond } => {
            respond.send(Ok(Bytes::from_static(b"answer")));
            Some((from, protocol, body, deadline))
        }
        _ => None,
    });
    let (answer, (from, protocol, body, deadline)) = tokio::join!(asking, serving);
    assert_eq!(answer.unwrap(), "answer");
    assert_eq!((from, protocol, &body[..]), (a.id, ASK, &b"question"[..]));
    let remaining = deadline.into_std() - asked;
    assert!(remaining <= Duration::from_secs(31) && remaining > Duration::from_secs(20), "{remaining:?}");
}

#[tokio::test]
async fn an_unanswered_request_ends_at_its_deadline_and_its_server_learns_of_it() {
    let mesh = Mesh::new(1);
    let (a, mut b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    a.net.connect(b.id);
    b.link_up(a.id).await;
    let deadline = Duration::from_millis(200);
    let asking = a.net.request(b.id, ASK, Bytes::new(), deadline);
    let holding = b.event(|event| match event {
        NetEvent::Request { respond, .. } => Some(respond),
        _ => None,
    });
    let (answer, mut respond) = tokio::join!(asking, holding);
    let error = answer.unwrap_err();
    assert!(matches!(error, RequestError::Deadline { after } if after == deadline), "{error:?}");
    tokio::time::timeout(PATIENCE, respond.abandoned()).await.unwrap();
    assert!(respond.is_abandoned());
}

#[tokio::test]
async fn a_request_that_takes_long_is_told_to_the_failure_detector_while_it_waits() {
    let mesh = Mesh::new(1);
    let (mut a, mut b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    let (net, asked) = (a.net.clone(), b.id);
    let asking = tokio::spawn(async move { net.request(asked, ASK, Bytes::new(), Duration::from_secs(30)).await });
    let respond = b.event(|event| match event {
        NetEvent::Request { respond, .. } => Some(respond),
        _ => None,
    });
    let respond = respond.await;
    let mut told = Vec::new();
    a.event(|event| match event {
        NetEvent::LinkUsed { peer } => {
            told.push(("used", peer));
            None
        }
        NetEvent::LinkUnanswered { peer } => {
            told.push(("unanswered", peer));
            Some(())
        }
        _ => None,
    })
    .await;
    assert_eq!(told, [("used", b.id), ("unanswered", b.id)]);
    respond.send(Ok(Bytes::from_static(b"late")));
    assert_eq!(asking.await.unwrap().unwrap(), "late");
}

#[tokio::test]
async fn errors_of_the_peer_arrive_typed_and_a_dropped_request_has_failed() {
    let mesh = Mesh::new(1);
    let (a, mut b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    let refusals = [
        RemoteError::UnknownProtocol,
        RemoteError::Overloaded,
        RemoteError::Deadline,
        RemoteError::Refused,
        RemoteError::Failed,
    ];
    for refusal in refusals {
        let asking = a.net.request(b.id, ASK, Bytes::new(), PATIENCE);
        let refusing = b.event(|event| match event {
            NetEvent::Request { respond, .. } => {
                if refusal == RemoteError::Failed {
                    drop(respond);
                } else {
                    respond.send(Err(refusal));
                }
                Some(())
            }
            _ => None,
        });
        let (answer, ()) = tokio::join!(asking, refusing);
        let error = answer.unwrap_err();
        assert!(matches!(error, RequestError::Remote(told) if told == refusal), "{error:?}");
    }
}

#[tokio::test]
async fn bodies_above_the_bound_are_refused_on_either_way() {
    let mesh = Mesh::new(1);
    let (a, mut b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    let long = Bytes::from(vec![0; REQUEST_BODY_BYTES_MAX + 1]);
    let error = a.net.request(b.id, ASK, long.clone(), PATIENCE).await.unwrap_err();
    assert!(matches!(error, RequestError::TooLong { got } if got == REQUEST_BODY_BYTES_MAX + 1), "{error:?}");

    let whole = long.slice(1..);
    let asking = a.net.request(b.id, ASK, whole.clone(), PATIENCE);
    let answering = b.event(|event| match event {
        NetEvent::Request { body, respond, .. } => {
            respond.send(Ok(long.clone()));
            Some(body)
        }
        _ => None,
    });
    let (answer, body) = tokio::join!(asking, answering);
    assert_eq!(body, whole);
    let error = answer.unwrap_err();
    assert!(matches!(error, RequestError::Remote(RemoteError::TooLarge)), "{error:?}");
}

#[tokio::test]
async fn a_peer_may_have_so_many_requests_served_and_no_more() {
    let mesh = Mesh::new(1);
    let (a, mut b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    let mut held = Vec::new();
    let asking: Vec<_> = (0..REQUESTS_PER_PEER)
        .map(|_| {
            let (net, to) = (a.net.clone(), b.id);
            tokio::spawn(async move { net.request(to, ASK, Bytes::new(), PATIENCE).await })
        })
        .collect();
    while held.len() < REQUESTS_PER_PEER {
        held.push(
            b.event(|event| match event {
                NetEvent::Request { respond, .. } => Some(respond),
                _ => None,
            })
            .await,
        );
    }
    let error = a.net.request(b.id, ASK, Bytes::from_static(b"one more"), PATIENCE).await.unwrap_err();
    assert!(matches!(error, RequestError::Remote(RemoteError::Overloaded)), "{error:?}");
    for respond in held {
        respond.send(Ok(Bytes::from_static(b"served")));
    }
    for asked in asking {
        assert_eq!(asked.await.unwrap().unwrap(), "served");
    }
}

#[tokio::test]
async fn a_node_without_a_known_address_is_unreachable_at_once() {
    let mesh = Mesh::new(1);
    let a = mesh.start(1);
    let error = a.net.request(mesh.node(7), ASK, Bytes::new(), PATIENCE).await.unwrap_err();
    assert!(matches!(error, RequestError::Unreachable(LinkError::Unknown)), "{error:?}");
    a.net.learn(a.id, Origin::Given, &[a.address()]);
    let error = a.net.request(a.id, ASK, Bytes::new(), PATIENCE).await.unwrap_err();
    assert!(matches!(error, RequestError::Unreachable(LinkError::Myself)), "{error:?}");
}

#[tokio::test]
async fn bulk_tells_absent_too_long_and_wrong_content_apart() {
    let mesh = Mesh::new(1);
    let (a, mut b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    let content = Bytes::from((0..3_000_000_u32).map(|i| i.to_le_bytes()[1]).collect::<Vec<u8>>());
    let named = Sha256Digest::of(&content);
    let other = Sha256Digest::of(b"other");
    let serving = tokio::spawn({
        let content = content.clone();
        async move {
            for answer in [Some(content.clone()), None, Some(content.clone()), Some(content)] {
                let respond = b.event(|event| match event {
                    NetEvent::BulkRequest { respond, .. } => Some(respond),
                    _ => None,
                });
                respond.await.send(answer);
            }
            b
        }
    });
    let to = mesh.node(2);
    assert_eq!(a.net.fetch(to, named, 3_000_000).await.unwrap(), content);
    assert!(matches!(a.net.fetch(to, named, 3_000_000).await, Err(FetchError::Absent)));
    let error = a.net.fetch(to, named, 2_999_999).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLong { length: 3_000_000, max: 2_999_999 }), "{error:?}");
    assert!(matches!(a.net.fetch(to, other, 3_000_000).await, Err(FetchError::Mismatch)));
    drop(serving.await.unwrap());
}

#[tokio::test]
async fn a_node_that_writes_its_limit_of_bulk_answers_says_that_it_is_busy_and_no_member_has_all_of_them() {
    let mesh = Mesh::new(1);
    let (askers, mut b) = ([mesh.start(1), mesh.start(3), mesh.start(4)], mesh.start(2));
    askers.iter().for_each(|asker| asker.knows(&b));
    let (to, digest) = (b.id, Sha256Digest::of(b"content"));
    let ask = |asker: &Node| {
        let net = asker.net.clone();
        tokio::spawn(async move { net.fetch(to, digest, 100).await })
    };
    let (mut asking, mut held) = (Vec::new(), Vec::new());
    for asker in &askers[..2] {
        asking.extend((0..BULK_CONNECTIONS_PER_PEER).map(|_| ask(asker)));
        while held.len() < asking.len() {
            let respond = b.event(|event| match event {
                NetEvent::BulkRequest { respond, .. } => Some(respond),
                _ => None,
            });
            held.push(respond.await);
        }
        let refused = ask(asker).await.unwrap();
        assert!(matches!(refused, Err(FetchError::Busy)), "{refused:?}");
    }
    assert_eq!(held.len(), BULK_SERVED_MAX);
    assert!(matches!(ask(&askers[2]).await.unwrap(), Err(FetchError::Busy)));
    for respond in held {
        respond.send(Some(Bytes::from_static(b"content")));
    }
    for asked in asking {
        assert_eq!(asked.await.unwrap().unwrap(), "content");
    }
    // Their connections have ended: there is room again.
    let again = ask(&askers[0]);
    let respond = b.event(|event| match event {
        NetEvent::BulkRequest { respond, .. } => Some(respond),
        _ => None,
    });
    respond.await.send(Some(Bytes::from_static(b"content")));
    assert_eq!(again.await.unwrap().unwrap(), "content");
}
