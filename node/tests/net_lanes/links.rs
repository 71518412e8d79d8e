//! Links: at most one per member, told by events, replaced after a restart.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hedgerow::net::limits::IDLE_TIMEOUT;
use hedgerow::net::{Cut, Lane, Net, NetConfig, NetError, NetEvent, Protocol, Relaying, Rule, Socket};

use super::support::{Mesh, Node, PATIENCE, eventually};

const ASK: Protocol = Protocol::new("ask/1");

#[tokio::test]
async fn of_two_dials_at_once_the_lower_nodes_is_kept_on_both_sides() {
    let mesh = Mesh::new(1);
    let (low, high) = in_order(&mesh);
    // With a delay neither dial can end before the other has begun.
    for (from, to) in [(&low, &high), (&high, &low)] {
        let delay = Rule { delay_ms: 30, ..Rule::towards(to.address()) };
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
async fn a_link_that_was_just_made_is_not_spared() {
    let mesh = Mesh::new(1);
    let (a, mut b) = mesh.linked().await;
    let before = a.net.links();
    a.net.spare(b.id);
    let asking = a.net.request(b.id, ASK, Bytes::new(), Duration::from_secs(30));
    let serving = b.event(|event| match event {
        NetEvent::LinkDown { peer } => panic!("the link to {peer} is down"),
        NetEvent::Request { respond, .. } => {
            respond.send(Ok(Bytes::from_static(b"yes")));
            Some(())
        }
        _ => None,
    });
    let (answer, ()) = tokio::join!(asking, serving);
    assert_eq!(answer.unwrap(), "yes");
    assert_eq!(a.net.links().len(), before.len());
}

#[tokio::test]
async fn a_link_is_told_up_and_down_once() {
    let mesh = Mesh::new(1);
    let (mut a, b) = mesh.linked().await;
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
async fn a_restarted_peer_that_dials_replaces_the_link_of_its_former_life() {
    let mesh = Mesh::new(1);
    let (mut survivor, victim) = in_order(&mesh);
    survivor.knows(&victim);
    survivor.net.connect(victim.id);
    survivor.link_up(victim.id).await;

    let mut reborn = restart(&mesh, victim, &survivor).await;
    reborn.knows(&survivor);
    reborn.net.connect(survivor.id);
    reborn.link_up(survivor.id).await;
    survivor.link_down(reborn.id).await;
    survivor.link_up(reborn.id).await;
    // The swarm's connection to the former life would be silent for a minute before it ended by itself.
    eventually("the swarm has followed", || reborn.net.gossip_peers() == [survivor.id]).await;
    let to = reborn.id;
    let (_net, _serving) = reborn.serve(b"");
    let echoed = survivor.net.request(to, ASK, Bytes::from_static(b"again"), PATIENCE).await.unwrap();
    assert_eq!(echoed, "again");
}

#[tokio::test]
async fn a_restarted_peer_tells_at_once_that_its_connections_are_lost() {
    let mesh = Mesh::new(1);
    let (mut survivor, victim) = in_order(&mesh);
    survivor.knows(&victim);
    survivor.net.connect(victim.id);
    survivor.link_up(victim.id).await;
    let last_heard = Instant::now();
    let reborn = restart(&mesh, victim, &survivor).await;
    survivor.net.send(reborn.id, Lane::Probe, Bytes::from_static(b"are you there")).unwrap();
    survivor.link_down(reborn.id).await;
    // Silence would end it a whole idle timeout after what was last heard.
    assert!(last_heard.elapsed() + Duration::from_secs(1) < IDLE_TIMEOUT);
}

/// Two nodes, the lower NodeId first.
fn in_order(mesh: &Mesh) -> (Node, Node) {
    let (one, other) = (mesh.start(1), mesh.start(2));
    if one.id < other.id { (one, other) } else { (other, one) }
}

/// Kills a node, so that `witness` hears no close, and starts it again on its port.
async fn restart(mesh: &Mesh, victim: Node, witness: &Node) -> Node {
    let cut = Rule { cut: Cut::Both, ..Rule::towards(witness.address()) };
    let emulation = victim.net.emulation().expect("tests start with emulation");
    emulation.set(&[cut]).expect("one rule is taken");
    let number = if victim.id == mesh.node(1) { 1 } else { 2 };
    let address = victim.address();
    victim.net.shutdown().await;
    drop(victim);
    let mut reborn = None;
    eventually("the port is free", || {
        reborn = Node::try_start(address, mesh.trust(number)).ok();
        reborn.is_some()
    })
    .await;
    reborn.expect("it was just started")
}

#[tokio::test]
async fn a_busy_port_is_named_and_a_shutdown_frees_it() {
    let mesh = Mesh::new(1);
    let a = mesh.start(1);
    let trust = tokio::sync::watch::channel(std::sync::Arc::new(mesh.trust(2))).1;
    let config = NetConfig {
        socket: Socket::Bind(a.address()),
        trust,
        emulate: false,
        relaying: Relaying::default(),
        topics: Vec::new(),
    };
    let error = Net::start(config.clone()).unwrap_err();
    assert!(matches!(&error, NetError::Bind { listen, .. } if *listen == a.address()), "{error:?}");
    assert!(error.to_string().contains("--port-base"), "{error}");
    let Node { net, events, .. } = a;
    net.shutdown().await;
    drop((net, events));
    eventually("the port is free", || Net::start(config.clone()).is_ok()).await;
}
