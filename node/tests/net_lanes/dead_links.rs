//! Links that died without a word, and nodes that are elsewhere: found again by another way.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hedgerow::net::limits::IDLE_TIMEOUT;
use hedgerow::net::{Cut, Lane, Net, Protocol, Rule};
use hedgerow_attest::id::NodeId;
use hedgerow_protocol::link::Origin;
use tokio::task::JoinHandle;

use super::support::{Mesh, Node, PATIENCE, eventually};

const ASK: Protocol = Protocol::new("ask/1");

#[tokio::test]
async fn a_dead_direction_is_noticed_while_the_other_still_speaks() {
    for cut in [Cut::Out, Cut::In] {
        let mesh = Mesh::new(1);
        let (mut a, mut b) = mesh.linked().await;
        let speak = [speaks(a.net.clone(), b.id), speaks(b.net.clone(), a.id)];
        set(&a, &[Rule { cut, ..Rule::towards(b.address()) }]);
        let (start, [at_a, at_b]) = (Instant::now(), [a.id, b.id]);
        tokio::join!(a.link_down(at_b), b.link_down(at_a));
        // Silence alone would end it later, and at one end only.
        assert!(start.elapsed() + Duration::from_secs(1) < IDLE_TIMEOUT, "{cut:?}: after {:?}", start.elapsed());
        speak.iter().for_each(JoinHandle::abort);
    }
}

#[tokio::test]
async fn a_link_that_died_is_made_again_over_another_address() {
    let mesh = Mesh::new(1);
    let a = Node::try_start("0.0.0.0:0".parse().unwrap(), mesh.trust(1)).unwrap();
    let b = Node::try_start("0.0.0.0:0".parse().unwrap(), mesh.trust(2)).unwrap();
    let ways = [[127, 0, 0, 1], [127, 0, 0, 2]].map(|ip| SocketAddr::from((ip, b.address().port())));
    a.net.learn(b.id, Origin::Said, &ways);
    a.net.connect(b.id);
    eventually("the first way works", || a.net.links().iter().any(|link| link.remote == ways[0])).await;
    let speak = speaks(a.net.clone(), b.id);
    set(&a, &[Rule { cut: Cut::Both, ..Rule::towards(ways[0]) }]);
    eventually("the second way is taken", || a.net.links().iter().any(|link| link.remote == ways[1])).await;
    let (to, (_net, _serving)) = (b.id, b.serve(b""));
    assert_eq!(a.net.request(to, ASK, Bytes::from_static(b"there"), PATIENCE).await.unwrap(), "there");
    speak.abort();
}

#[tokio::test]
async fn a_peer_that_only_ever_dialled_in_is_dialled_where_it_was_seen() {
    let mesh = Mesh::new(1);
    let (mut a, mut b) = (mesh.start(1), mesh.start(2));
    b.knows(&a);
    b.net.connect(a.id);
    a.link_up(b.id).await;
    b.link_up(a.id).await;
    b.net.hangup(a.id);
    a.link_down(b.id).await;
    let (to, (_net, _serving)) = (b.id, b.serve(b""));
    assert_eq!(a.net.request(to, ASK, Bytes::from_static(b"again"), PATIENCE).await.unwrap(), "again");
    assert!(a.net.links()[0].dialled);
}

#[tokio::test]
async fn a_node_that_moved_leaves_no_ghost_of_its_old_address() {
    let mesh = Mesh::new(1);
    let (mut a, b) = mesh.linked().await;
    let (old, id) = (b.address(), b.id);
    a.net.learn(id, Origin::Said, &[old]);
    b.net.shutdown().await;
    drop(b);
    a.link_down(id).await;
    let moved = mesh.start(2);
    assert_ne!(moved.address(), old);
    moved.knows(&a);
    moved.net.connect(a.id);
    a.link_up(id).await;
    let new = moved.address();
    a.net.learn(id, Origin::Said, &[new]);
    let known: Vec<SocketAddr> = a.net.address_book().remove(0).1.iter().map(|known| known.address).collect();
    assert_eq!(known, [new]);
    let (_net, _serving) = moved.serve(b"");
    assert_eq!(a.net.request(id, ASK, Bytes::from_static(b"moved"), PATIENCE).await.unwrap(), "moved");
}

#[tokio::test]
async fn hundreds_of_ghosts_do_not_keep_a_request_waiting() {
    let mesh = Mesh::new(1);
    let (a, b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    // Nobody answers there: a port that was free a moment ago.
    let nowhere = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for ghost in 0..445_u16 {
        let mut name = [9; 32];
        name[..2].copy_from_slice(&ghost.to_be_bytes());
        let ghost = NodeId::from_bytes(name);
        a.net.learn(ghost, Origin::Said, &[nowhere]);
        a.net.connect(ghost);
    }
    let (to, (_net, _serving)) = (b.id, b.serve(b""));
    // The dials that run take three seconds each and there is room for 32: in turn it would be after forty.
    assert_eq!(a.net.request(to, ASK, Bytes::from_static(b"first"), PATIENCE).await.unwrap(), "first");
}

/// What members of one neighbourhood do all the time.
fn speaks(net: Net, to: NodeId) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut again = tokio::time::interval(Duration::from_millis(500));
        loop {
            again.tick().await;
            if let Err(error) = net.send(to, Lane::Probe, Bytes::from_static(b"are you there")) {
                panic!("a probe is queued: {error}");
            }
        }
    })
}

fn set(node: &Node, rules: &[Rule]) {
    node.net.emulation().expect("tests start with emulation").set(rules).expect("the rules are taken");
}
