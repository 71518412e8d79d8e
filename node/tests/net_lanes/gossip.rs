//! Gossip over the ctl lane: facts spread over members that are not linked, and only once accepted.

use std::time::Duration;

use bytes::Bytes;
use hedgerow::net::{NetEvent, PublishError, Verdict};

use super::support::{Mesh, Node, TOPIC, eventually};

/// Three nodes of which only the middle one is linked to both others.
async fn line(mesh: &Mesh) -> [Node; 3] {
    let nodes = [mesh.start(1), mesh.start(2), mesh.start(3)];
    let [a, b, c] = &nodes;
    for end in [a, c] {
        end.knows(b);
        end.net.connect(b.id);
    }
    eventually("the middle has both in its swarm", || {
        a.net.gossip_peers() == [b.id] && c.net.gossip_peers() == [b.id] && b.net.gossip_peers().len() == 2
    })
    .await;
    nodes
}

async fn gossip(node: &mut Node, verdict: Verdict) -> (hedgerow_attest::id::NodeId, Bytes) {
    node.event(|event| match event {
        NetEvent::Gossip { from, topic, bytes, verdict: judge } => {
            assert_eq!(topic, TOPIC);
            judge.give(verdict);
            Some((from, bytes))
        }
        _ => None,
    })
    .await
}

/// The first that the last of a line hears of facts that the first publishes one after the other: gossip is lossy, and who has
/// only just connected is not known to listen yet.
async fn heard_by_the_last(a: &Node, b: &mut Node, c: &mut Node) -> (hedgerow_attest::id::NodeId, Bytes) {
    let mut number = 0;
    loop {
        let fact = Bytes::from(format!("fact {number}"));
        a.net.publish(TOPIC, fact.clone()).expect("there is room for one");
        assert_eq!(gossip(b, Verdict::Accept).await, (a.id, fact));
        if let Ok(heard) = tokio::time::timeout(Duration::from_secs(1), gossip(c, Verdict::Accept)).await {
            return heard;
        }
        number += 1;
        assert!(number < 20, "nothing reaches the last");
    }
}

#[tokio::test]
async fn an_accepted_fact_reaches_members_that_are_not_linked_to_its_author() {
    let mesh = Mesh::new(1);
    let [a, mut b, mut c] = line(&mesh).await;
    let (from, fact) = heard_by_the_last(&a, &mut b, &mut c).await;
    assert!(from == b.id && fact.starts_with(b"fact "), "{fact:?}");
}

#[tokio::test]
async fn a_rejected_or_ignored_fact_spreads_no_further() {
    let mesh = Mesh::new(1);
    let [a, mut b, mut c] = line(&mesh).await;
    // The last one listens to the middle from here on.
    heard_by_the_last(&a, &mut b, &mut c).await;
    for (fact, verdict) in [("forged", Verdict::Reject), ("stale", Verdict::Ignore), ("good", Verdict::Accept)] {
        a.net.publish(TOPIC, Bytes::from_static(fact.as_bytes())).unwrap();
        assert_eq!(gossip(&mut b, verdict).await, (a.id, Bytes::from_static(fact.as_bytes())));
    }
    // Gossip from one peer keeps its order, so what came before the good fact would be here by now.
    let next = async |c: &mut Node| loop {
        let (from, fact) = gossip(c, Verdict::Accept).await;
        if !fact.starts_with(b"fact ") {
            return (from, fact);
        }
    };
    assert_eq!(next(&mut c).await, (b.id, Bytes::from_static(b"good")));
}

#[tokio::test]
async fn a_fact_published_before_anybody_listened_is_heard_when_somebody_comes() {
    let mesh = Mesh::new(1);
    let (a, mut b) = (mesh.start(1), mesh.start(2));
    a.net.publish(TOPIC, Bytes::from_static(b"early")).unwrap();
    let long = Bytes::from(vec![0; 16 << 10]);
    assert_eq!(a.net.publish(TOPIC, long), Err(PublishError::TooLong { got: 16 << 10 }));
    a.knows(&b);
    a.net.connect(b.id);
    assert_eq!(gossip(&mut b, Verdict::Accept).await, (a.id, Bytes::from_static(b"early")));
}

#[tokio::test]
async fn the_swarm_leaves_with_the_link_and_comes_back_with_it() {
    let mesh = Mesh::new(1);
    let (a, b) = mesh.linked().await;
    let together = || a.net.gossip_peers() == [b.id] && b.net.gossip_peers() == [a.id];
    eventually("each has the other in its swarm", together).await;
    a.net.hangup(b.id);
    eventually("neither has", || a.net.gossip_peers().is_empty() && b.net.gossip_peers().is_empty()).await;
    a.net.connect(b.id);
    eventually("each has the other again", together).await;
}
