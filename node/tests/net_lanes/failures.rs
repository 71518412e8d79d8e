//! What failed in comparable meshes and can fail between two nodes, each under the name of that failure; `docs/network.md` lists
//! all of them with the tests that hold the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hedgerow::net::Protocol;
use hedgerow_protocol::link::Origin;

use super::support::{Mesh, PATIENCE, eventually};

const ASK: Protocol = Protocol::new("ask/1");

/// Elsewhere 29 of 29 messages were lost when two ends changed the keys of a session. Here certificates change while a link is used:
/// none of its requests may fail.
#[tokio::test]
async fn two_ends_that_change_their_certificates_lose_no_request() {
    let mesh = Mesh::new(1);
    let (a, b) = mesh.linked().await;
    let (to, a_trust, b_trust) = (b.id, a.trust.clone(), b.trust.clone());
    let (a_net, (b_net, _serving)) = (a.net.clone(), b.serve(b""));
    let (asked, is_over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let asking = tokio::spawn({
        let (net, asked, is_over) = (a_net.clone(), asked.clone(), is_over.clone());
        async move {
            while !is_over.load(Ordering::Relaxed) {
                net.request(to, ASK, Bytes::from_static(b"?"), PATIENCE).await?;
                asked.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, hedgerow::net::RequestError>(())
        }
    });
    for serial in 100..130 {
        for (number, trust) in [(1, &a_trust), (2, &b_trust)] {
            let member = mesh.renewed(number, serial);
            trust.send_modify(|trust| Arc::make_mut(trust).own = Some(member.certificate().clone()));
            a_net.renewed(&member);
            b_net.renewed(&member);
        }
        let before = asked.load(Ordering::Relaxed);
        eventually("requests go on", || asked.load(Ordering::Relaxed) > before || asking.is_finished()).await;
    }
    is_over.store(true, Ordering::Relaxed);
    asking.await.unwrap().expect("no request is lost");
    assert!(asked.load(Ordering::Relaxed) >= 30);
}

/// The bridges of container engines have the same addresses on every machine, so that an address of one member leads to another.
/// The handshake tells, and the link comes up where the member is.
#[tokio::test]
async fn an_address_at_which_another_member_answers_keeps_no_link_from_coming_up() {
    let mesh = Mesh::new(1);
    let (mut a, other, b) = (mesh.start(1), mesh.start(3), mesh.start(2));
    a.net.learn(b.id, Origin::Said, &[other.address()]);
    a.net.connect(b.id);
    eventually("somebody else answered there", || a.net.refusals().contains_key("wrong_peer")).await;
    assert_eq!(a.net.links(), []);
    a.net.learn(b.id, Origin::Said, &[other.address(), b.address()]);
    a.net.connect(b.id);
    a.link_up(b.id).await;
    let links = a.net.links();
    let [link] = &links[..] else { panic!("{links:?}") };
    assert_eq!((link.node, link.remote), (b.id, b.address()));
}

/// Elsewhere starting up waited for 445 dead members, 30 seconds each. Here they are dialled side by side, and whoever is asked for
/// something waits for none of them but those that are being dialled.
#[tokio::test]
async fn members_that_are_gone_hold_up_no_link_to_one_that_lives() {
    let mesh = Mesh::new(1);
    let (a, b) = (mesh.start(1), mesh.start(2));
    let gone = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port exists");
    for number in 10..455 {
        let ghost = mesh.node(number);
        a.net.learn(ghost, Origin::Said, &[gone.local_addr().expect("it is bound")]);
        a.net.connect(ghost);
    }
    a.knows(&b);
    a.net.reach(b.id, Duration::from_secs(5)).await.expect("it waits for no more than one dial");
}
