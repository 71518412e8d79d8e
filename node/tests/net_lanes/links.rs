//! Links: at most one per member, told by events, replaced after a restart.

use bytes::Bytes;
use hedgerow::net::{Cut, Net, NetConfig, NetError, NetEvent, Protocol, Rule};

use super::support::{Mesh, Node, PATIENCE, eventually};

const ASK: Protocol = Protocol::new("ask/1");

#[tokio::test]
async fn of_two_dials_at_once_the_lower_nodes_is_kept_on_both_sides() {
    let mesh = Mesh::new(1);
    let (mut low, mut high) = (mesh.start(1), mesh.start(2));
    if high.id < low.id {
        std::mem::swap(&mut low, &mut high);
    }
    // With a delay neither dial can end before the other has begun.
    for (from, to) in [(&low, &high), (&high, &low)] {
        let delay = Rule { peer: to.address(), delay_ms: 30, cut: Cut::None };
        from.net.emulation().unwrap().set(&[delay]).unwrap();
        from.knows(to);
    }
    for _ in 0..3 {
        low.net.connect(high.id);
        high.net.connect(low.id);
        eventually("both keep the dial of the lower node", || {
            let (ours, theirs) = (low.net.links(), high.net.links());
            matches!((&ours[..], &theirs[..]), ([ours], [theirs]) if ours.dialled && !theirs.dialled)
        })
        .await;
        let (ours, theirs) = (low.net.links().remove(0), high.net.links().remove(0));
        assert_eq!((ours.node, ours.remote), (high.id, high.address()));
        assert_eq!((theirs.node, theirs.remote), (low.id, low.address()));
        low.net.hangup(high.id);
        eventually("the link is gone", || low.net.links().is_empty() && high.net.links().is_empty()).await;
    }
}

#[tokio::test]
async fn a_link_is_told_up_and_down_once() {
    let mesh = Mesh::new(1);
    let (mut a, mut b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    a.net.connect(b.id);
    a.link_up(b.id).await;
    b.link_up(a.id).await;
    b.net.shutdown().await;
    let mut told = Vec::new();
    a.event(|event| match event {
        NetEvent::LinkDown { peer } => (peer == b.id).then_some(()),
        NetEvent::LinkUp { peer, .. } => {
            told.push(peer);
            None
        }
        _ => None,
    })
    .await;
    assert_eq!(told, []);
    assert_eq!(a.net.links(), []);
}

#[tokio::test]
async fn a_restarted_peer_is_linked_again_and_the_old_connection_is_not_waited_for() {
    let mesh = Mesh::new(1);
    let (mut a, b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    let (b_id, address) = (b.id, b.address());
    a.net.connect(b_id);
    a.link_up(b_id).await;

    // Killed, not shut down: no close is sent, as the cut eats it.
    let cut = Rule { peer: a.address(), delay_ms: 0, cut: Cut::Both };
    b.net.emulation().unwrap().set(&[cut]).unwrap();
    b.net.shutdown().await;
    drop(b);
    let mut reborn = None;
    eventually("the port is free", || {
        reborn = Node::try_start(address, mesh.trust(2)).ok();
        reborn.is_some()
    })
    .await;
    let mut reborn = reborn.unwrap();
    reborn.knows(&a);
    reborn.net.connect(a.id);
    reborn.link_up(a.id).await;
    a.event(|event| matches!(event, NetEvent::LinkDown { peer } if peer == b_id).then_some(())).await;
    a.link_up(b_id).await;
    let (_net, _serving) = reborn.serve(b"");
    let echoed = a.net.request(b_id, ASK, Bytes::from_static(b"again"), PATIENCE).await.unwrap();
    assert_eq!(echoed, "again");
}

#[tokio::test]
async fn a_busy_port_is_named_and_a_shutdown_frees_it() {
    let mesh = Mesh::new(1);
    let a = mesh.start(1);
    let trust = tokio::sync::watch::channel(std::sync::Arc::new(mesh.trust(2))).1;
    let config = NetConfig { listen: a.address(), trust, emulate: false, topics: Vec::new() };
    let error = Net::start(config.clone()).unwrap_err();
    assert!(matches!(&error, NetError::Bind { listen, .. } if *listen == a.address()), "{error:?}");
    assert!(error.to_string().contains("--port-base"), "{error}");
    let Node { net, events, .. } = a;
    net.shutdown().await;
    drop((net, events));
    eventually("the port is free", || Net::start(config.clone()).is_ok()).await;
}
