//! Whole networks over a fabric in memory. Those without gossip own the clock: the swarm alone has timers in real time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hedgerow::net::fabric::{Fabric, FabricSocket, Nat};
use hedgerow::net::{DialError, Firewall, NetEvent, PathSettings, Protocol, RequestError, Verdict};
use tokio::time::Instant;

use super::support::{Mesh, Node, PATIENCE, TOPIC, bring, eventually};

const ASK: Protocol = Protocol::new("ask/1");

const fn delayed(ms: u64) -> PathSettings {
    PathSettings::delayed(Duration::from_millis(ms))
}

/// Nodes 1 and 2 with public addresses, and their sockets.
fn pair(mesh: &Mesh, fabric: &Fabric) -> [(Node, Arc<FabricSocket>); 2] {
    [1_u8, 2].map(|number| {
        let address = SocketAddr::from(([203, 0, 113, number], 4334));
        let socket = fabric.public().bind(address).expect("nobody else has the address");
        (Node::start_over(socket.clone(), mesh.trust(u32::from(number))), socket)
    })
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_the_round_trip_of_its_path() {
    let fabric = Fabric::new(1);
    fabric.set_default(delayed(20));
    let mesh = Mesh::new(1);
    let [(mut a, _), (mut b, _)] = pair(&mesh, &fabric);
    a.knows(&b);
    a.net.connect(b.id);
    a.link_up(b.id).await;
    b.link_up(a.id).await;
    assert_eq!(a.net.links()[0].remote, "203.0.113.2:4334".parse().unwrap());
    let (to, b_net) = (b.id, b.net.clone());
    let (_net, _serving) = b.serve(b"");
    let start = Instant::now();
    assert_eq!(a.net.request(to, ASK, Bytes::from_static(b"hello"), PATIENCE).await.unwrap(), "hello");
    let took = start.elapsed();
    // A timer of tokio may be a millisecond late, in each direction.
    assert!((Duration::from_millis(40)..=Duration::from_millis(42)).contains(&took), "{took:?}");
    let (ours, theirs) = (a.net.traffic(), b_net.traffic());
    assert!(ours.sent_bytes > 0 && theirs.received_bytes > 0, "{ours:?} {theirs:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cut_of_one_direction_stops_requests_until_it_is_healed() {
    let fabric = Fabric::new(1);
    fabric.set_default(delayed(5));
    let mesh = Mesh::new(1);
    let [(a, at_a), (b, at_b)] = pair(&mesh, &fabric);
    a.knows(&b);
    let to = b.id;
    let (_net, _serving) = b.serve(b"");
    a.net.request(to, ASK, Bytes::new(), PATIENCE).await.unwrap();
    for (from, towards) in [(&at_a, &at_b), (&at_b, &at_a)] {
        let (from, towards) = (from.place(), towards.place());
        fabric.set_path(from, towards, PathSettings::CUT);
        let error = a.net.request(to, ASK, Bytes::new(), Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(error, RequestError::Deadline { .. }), "{error:?}");
        fabric.clear_path(from, towards);
        a.net.request(to, ASK, Bytes::new(), PATIENCE).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_behind_stateful_firewalls_neither_is_reached_until_both_dial() {
    let fabric = Fabric::new(1);
    fabric.set_default(delayed(10));
    let mesh = Mesh::new(1);
    let [(mut a, at_a), (mut b, at_b)] = pair(&mesh, &fabric);
    at_a.set_firewall(Firewall::Stateful);
    at_b.set_firewall(Firewall::Stateful);
    let report = a.net.dial(b.address()).await;
    assert!(matches!(report.outcome, Err(DialError::Timeout)), "{report:?}");
    a.knows(&b);
    b.knows(&a);
    a.net.connect(b.id);
    b.net.connect(a.id);
    a.link_up(b.id).await;
    b.link_up(a.id).await;
}

#[tokio::test(start_paused = true)]
async fn nodes_behind_two_translators_with_equal_addresses_both_reach_a_public_one() {
    let fabric = Fabric::new(1);
    fabric.set_default(delayed(10));
    let mesh = Mesh::new(1);
    let public = fabric.public();
    let at = |address: &str| address.parse().unwrap();
    let server = Node::start_over(public.bind(at("203.0.113.1:4334")).unwrap(), mesh.trust(1));
    let mut clients = [(2, "198.51.100.2"), (3, "198.51.100.3")].map(|(number, outer)| {
        let home = public.behind_nat(outer.parse().unwrap(), Nat::HOME).unwrap();
        Node::start_over(home.bind(at("192.168.1.2:4334")).unwrap(), mesh.trust(number))
    });
    for client in &mut clients {
        client.knows(&server);
        client.net.connect(server.id);
        client.link_up(server.id).await;
    }
    eventually("both are linked", || server.net.links().len() == 2).await;
    let mut seen: Vec<_> = server.net.links().iter().map(|link| link.remote.ip().to_string()).collect();
    seen.sort();
    assert_eq!(seen, ["198.51.100.2", "198.51.100.3"]);
    for client in clients {
        assert_eq!(client.address(), at("192.168.1.2:4334"));
        let to = client.id;
        let (_net, _serving) = client.serve(b"");
        let body = Bytes::from(to.to_string());
        assert_eq!(server.net.request(to, ASK, body.clone(), PATIENCE).await.unwrap(), body);
    }
}

#[tokio::test(start_paused = true)]
async fn content_moves_at_the_rate_of_its_path() {
    const CONTENT: &[u8] = &[7; 4_000_000];
    let fabric = Fabric::new(1);
    fabric.set_default(PathSettings { rate_kbps: 20_000, ..delayed(20) });
    let mesh = Mesh::new(1);
    let [(mut a, _), (b, _)] = pair(&mesh, &fabric);
    a.knows(&b);
    a.net.connect(b.id);
    a.link_up(b.id).await;
    let from = b.id;
    let (_net, _serving) = b.serve(CONTENT);
    let start = Instant::now();
    bring(&a.net, from, CONTENT).await;
    // 32 Mbit at 20 Mbit/s take 1.6 s; a handshake, headers and the start of a connection come on top.
    let took = start.elapsed().as_secs_f64();
    assert!((1.6..2.4).contains(&took), "{took} s");
}

#[tokio::test]
async fn gossip_travels_over_a_fabric_in_real_time() {
    let fabric = Fabric::new(1);
    fabric.set_default(delayed(2));
    let mesh = Mesh::new(1);
    let [(a, _), (mut b, _)] = pair(&mesh, &fabric);
    a.knows(&b);
    a.net.connect(b.id);
    let fact = Bytes::from_static(b"a signed fact");
    a.net.publish(TOPIC, fact.clone()).unwrap();
    let heard = b.event(|event| match event {
        NetEvent::Gossip { from, bytes, verdict, .. } => {
            verdict.give(Verdict::Accept);
            Some((from, bytes))
        }
        _ => None,
    });
    assert_eq!(heard.await, (a.id, fact));
}
