//! Members that cannot dial each other, over a fabric in memory: through a relay, and directly once both have dialled.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hedgerow::net::fabric::{Fabric, FabricSocket, Nat};
use hedgerow::net::limits::{RELAY_BURST_BYTES, RELAY_BYTES_PER_S};
use hedgerow::net::{DialError, Firewall, LinkError, Net, NetEvent, PathSettings, Protocol, RelayError, RequestError};
use hedgerow_attest::id::NodeId;
use hedgerow_protocol::link::{Origin, through};
use tokio::time::Instant;

use super::support::{Mesh, Node, PATIENCE, bring, eventually, never};

const ASK: Protocol = Protocol::new("ask/1");

/// A fabric on which every packet travels for 10 ms, with one node that everybody reaches.
struct World {
    fabric: Fabric,
    mesh: Mesh,
    relay: Node,
}

impl World {
    fn new() -> Self {
        let fabric = Fabric::new(1);
        fabric.set_default(PathSettings::delayed(Duration::from_millis(10)));
        let mesh = Mesh::new(1);
        let socket = fabric.public().bind(at("203.0.113.1:4334")).expect("nobody else has the address");
        let relay = Node::start_over(socket, mesh.trust(1));
        Self { fabric, mesh, relay }
    }

    /// A node with a public address behind a firewall, which waits at the relay.
    async fn walled(&self, number: u32, address: &str) -> (Node, Arc<FabricSocket>) {
        let socket = self.fabric.public().bind(at(address)).expect("nobody else has the address");
        socket.set_firewall(Firewall::Stateful);
        (self.waiting(number, socket.clone()).await, socket)
    }

    /// A node behind a translator of addresses, which waits at the relay.
    async fn at_home(&self, number: u32, outer: &str, nat: Nat) -> Node {
        let home = self.fabric.public().behind_nat(at(outer).ip(), nat).expect("nobody else has the address");
        self.waiting(number, home.bind(at("192.168.1.2:4334")).expect("it is alone at home")).await
    }

    async fn waiting(&self, number: u32, socket: Arc<FabricSocket>) -> Node {
        let mut node = Node::start_over(socket, self.mesh.trust(number));
        node.knows(&self.relay);
        node.net.connect(self.relay.id);
        node.link_up(self.relay.id).await;
        eventually("it waits at the relay", || *node.net.waits_at().borrow() == [self.relay.id]).await;
        node
    }
}

fn at(address: &str) -> SocketAddr {
    address.parse().expect("it is written as an address")
}

/// One hears what the other's record says: its own address, and that it waits at a relay.
fn hears_of(one: &Node, other: &Node, relay: NodeId) {
    one.net.learn(other.id, Origin::Said, &[other.address(), through(&relay)]);
}

/// The relays of the links to a node: none for a direct one.
fn relays_to(net: &Net, node: NodeId) -> Vec<Option<NodeId>> {
    net.links().iter().filter(|link| link.node == node).map(|link| link.relay).collect()
}

fn is_direct(net: &Net, node: NodeId) -> bool {
    relays_to(net, node) == [None]
}

async fn ask(net: &Net, to: NodeId) -> Result<Bytes, RequestError> {
    net.request(to, ASK, Bytes::from_static(b"hello"), PATIENCE).await
}

#[tokio::test(start_paused = true)]
async fn two_behind_firewalls_talk_through_a_relay_within_two_seconds_and_directly_within_five() {
    let world = World::new();
    let (a, _) = world.walled(2, "198.51.100.2:4334").await;
    let (b, _) = world.walled(3, "192.0.2.3:4334").await;
    hears_of(&a, &b, world.relay.id);
    let (to, relay) = (b.id, world.relay.id);
    let (b_net, _serving) = b.serve(b"");
    let start = Instant::now();
    assert_eq!(ask(&a.net, to).await.unwrap(), "hello");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(relays_to(&a.net, to), [Some(relay)], "nothing else leads there at first");
    assert_eq!(relays_to(&b_net, a.id), [Some(relay)]);
    eventually("the link is direct", || is_direct(&a.net, to) && is_direct(&b_net, a.id)).await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let carried = world.relay.net.relayed();
    assert!(carried.is_open && carried.members == 2 && carried.carried_bytes > 0, "{carried:?}");
    assert_eq!(ask(&a.net, to).await.unwrap(), "hello");
    let more = world.relay.net.relayed().carried_bytes - carried.carried_bytes;
    assert!(more < 1_000, "{more} bytes of a request went through the relay all the same");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_runs_while_the_link_becomes_direct_is_answered() {
    let world = World::new();
    let (a, _) = world.walled(2, "198.51.100.2:4334").await;
    let (mut b, _) = world.walled(3, "192.0.2.3:4334").await;
    hears_of(&a, &b, world.relay.id);
    let (net, to) = (a.net.clone(), b.id);
    let asking = tokio::spawn(async move { ask(&net, to).await });
    let respond = b.event(|event| match event {
        NetEvent::Request { respond, .. } => Some(respond),
        _ => None,
    });
    let respond = respond.await;
    eventually("the link is direct", || is_direct(&a.net, to)).await;
    never("the request ends", Duration::from_secs(10), || asking.is_finished()).await;
    respond.send(Ok(Bytes::from_static(b"late")));
    assert_eq!(asking.await.unwrap().unwrap(), "late");
}

#[tokio::test(start_paused = true)]
async fn two_at_home_with_equal_addresses_meet() {
    let world = World::new();
    let a = world.at_home(2, "198.51.100.2:0", Nat::HOME).await;
    let b = world.at_home(3, "192.0.2.3:0", Nat::HOME).await;
    assert_eq!(a.address(), b.address());
    hears_of(&a, &b, world.relay.id);
    let to = b.id;
    let (b_net, _serving) = b.serve(b"");
    assert_eq!(ask(&a.net, to).await.unwrap(), "hello");
    eventually("the link is direct", || is_direct(&a.net, to) && is_direct(&b_net, a.id)).await;
    let ours: Vec<_> = a.net.links().iter().map(|link| link.remote.ip().to_string()).collect();
    assert!(ours.contains(&"192.0.2.3".to_owned()), "{ours:?}");
    assert_eq!(ask(&a.net, to).await.unwrap(), "hello");
}

#[tokio::test(start_paused = true)]
async fn where_each_flow_has_a_port_of_its_own_everything_goes_through_the_relay_at_its_rate() {
    const CONTENT: &[u8] = &[7; 8 << 20];
    let world = World::new();
    let a = world.at_home(2, "198.51.100.2:0", Nat::SYMMETRIC).await;
    let b = world.at_home(3, "192.0.2.3:0", Nat::SYMMETRIC).await;
    hears_of(&a, &b, world.relay.id);
    let (from, relay) = (b.id, world.relay.id);
    let (_net, _serving) = b.serve(CONTENT);
    let start = Instant::now();
    bring(&a.net, from, CONTENT).await;
    let took = start.elapsed().as_secs_f64();
    let least = (CONTENT.len() as u64 - RELAY_BURST_BYTES) as f64 / RELAY_BYTES_PER_S as f64;
    assert!((least..least * 3.0).contains(&took), "{took} s, at least {least}");
    assert_eq!(ask(&a.net, from).await.unwrap(), "hello");
    assert_eq!(relays_to(&a.net, from), [Some(relay)]);
}

#[tokio::test(start_paused = true)]
async fn of_two_relays_the_other_leads_there_when_one_is_gone() {
    let world = World::new();
    let second = world.fabric.public().bind(at("203.0.113.200:4334")).unwrap();
    let second = Node::start_over(second, world.mesh.trust(9));
    let mut nodes = Vec::new();
    for (number, outer) in [(2, "198.51.100.2:0"), (3, "192.0.2.3:0")] {
        let node = world.at_home(number, outer, Nat::SYMMETRIC).await;
        node.knows(&second);
        node.net.connect(second.id);
        eventually("it waits at both", || node.net.waits_at().borrow().len() == 2).await;
        nodes.push(node);
    }
    let (b, a) = (nodes.pop().unwrap(), nodes.pop().unwrap());
    let both = [through(&world.relay.id), through(&second.id)];
    a.net.learn(b.id, Origin::Said, &both);
    let to = b.id;
    let (b_net, _serving) = b.serve(b"");
    ask(&a.net, to).await.unwrap();
    let used = relays_to(&a.net, to)[0].unwrap();
    let (gone, stays) = if used == second.id { (&second, &world.relay) } else { (&world.relay, &second) };
    gone.net.shutdown().await;
    eventually("a request gets there again", || {
        a.net.connect(to);
        a.net.links().iter().any(|link| link.node == to && link.relay == Some(stays.id))
    })
    .await;
    assert_eq!(ask(&a.net, to).await.unwrap(), "hello");
    eventually("it says where it waits now", || *b_net.waits_at().borrow() == [stays.id]).await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_wait_at_a_relay_is_said_to_be_absent_at_once() {
    let world = World::new();
    let (a, _) = world.walled(2, "198.51.100.2:4334").await;
    let nobody = world.mesh.trust(4).node;
    a.net.learn(nobody, Origin::Said, &[through(&world.relay.id)]);
    let start = Instant::now();
    let error = ask(&a.net, nobody).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let RequestError::Unreachable(LinkError::Dial(failed)) = &error else { panic!("{error:?}") };
    let [(_, failure)] = failed.0.as_slice() else { panic!("{failed:?}") };
    assert!(matches!(**failure, DialError::Relay(RelayError::Absent)), "{failure:?}");

    let elsewhere = world.mesh.trust(5).node;
    a.net.learn(nobody, Origin::Said, &[through(&elsewhere)]);
    let error = ask(&a.net, nobody).await.unwrap_err();
    let RequestError::Unreachable(LinkError::Dial(failed)) = &error else { panic!("{error:?}") };
    assert!(matches!(*failed.0[0].1, DialError::Relay(RelayError::Unknown)), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn neighbours_do_not_relay_for_each_other() {
    let fabric = Fabric::new(1);
    let mesh = Mesh::new(1);
    let home = fabric.public().behind_nat("198.51.100.2".parse().unwrap(), Nat::HOME).unwrap();
    let [mut a, b] = [1_u8, 2].map(|number| {
        let socket = home.bind(SocketAddr::from(([192, 168, 1, number], 4334))).unwrap();
        Node::start_over(socket, mesh.trust(u32::from(number)))
    });
    a.knows(&b);
    a.net.connect(b.id);
    a.link_up(b.id).await;
    let uses = |net: &Net| net.relayed().is_open || !net.waits_at().borrow().is_empty();
    never("one is a relay, or waits at one", Duration::from_secs(60), || uses(&a.net) || uses(&b.net)).await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_put_out_has_no_place_at_the_relay() {
    let world = World::new();
    let (a, _) = world.walled(2, "198.51.100.2:4334").await;
    assert_eq!(world.relay.net.relayed().members, 1);
    world.relay.trust.send_replace(Arc::new(world.mesh.trust_without(1, &[(2, 0)])));
    eventually("its place is gone", || world.relay.net.relayed().members == 0).await;
    eventually("it waits nowhere", || a.net.waits_at().borrow().is_empty()).await;
    a.net.connect(world.relay.id);
    eventually("it knocks again", || world.relay.net.refusals().contains_key("revoked")).await;
    never("it has a place", Duration::from_secs(30), || world.relay.net.relayed().members > 0).await;
}
