//! The membership gate: each lane, each kind of caller.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hedgerow::content::{Content, MemorySink};
use hedgerow::net::limits::REFUSED_BURST;
use hedgerow::net::{
    Answerer, DialError, DialReport, DialsFailed, JoinError, LinkError, LinkLane, Protocol, Refusal, RequestError,
    Trust,
};
use hedgerow_attest::digest::{Blake3Digest, Sha256Digest};
use hedgerow_attest::membership::Certificate;
use hedgerow_attest::peer_id::PeerId;
use hedgerow_protocol::link::Origin;

use super::support::{DAY_S, Mesh, Node, PATIENCE, eventually, now_s};

const ECHO: Protocol = Protocol::new("echo/1");

#[tokio::test]
async fn a_member_is_admitted_on_every_lane() {
    let mesh = Mesh::new(1);
    let (a, b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    let (address, b_id, b_peer) = (b.address(), b.id, b.peer);
    let content = b"a layer of an artifact";
    let (b_net, _serving) = b.serve(content);

    let echoed = a.net.request(b_id, ECHO, Bytes::from_static(b"hello"), PATIENCE).await.unwrap();
    assert_eq!(echoed, "hello");
    assert_eq!(a.net.fetch(b_id, Sha256Digest::of(content), 1 << 20).await.unwrap(), content.as_slice());
    let named = Content::new(Blake3Digest::of(content), content.len() as u64).unwrap();
    let sink = Arc::new(MemorySink::new(named));
    a.net.gather(&[b_id], sink.clone()).await.unwrap();
    assert_eq!(sink.take(), content.as_slice());
    let answer = a.net.join_client(address, b_peer, |exporter| Bytes::copy_from_slice(exporter)).await.unwrap();
    assert_eq!(answer.len(), 32);
    eventually("both swarms name the other member", || {
        a.net.gossip_peers() == [b_id] && b_net.gossip_peers() == [a.id]
    })
    .await;
    let report = a.net.dial(address).await;
    assert!(report.outcome.is_ok() && report.rtt.is_some(), "{report:?}");
    assert_eq!(report.theirs, Some(Ok(Answerer { peer: b_peer, node: Some(b_id) })));
    assert_eq!((a.net.refusals(), b_net.refusals()), (BTreeMap::new(), BTreeMap::new()));
}

#[tokio::test]
async fn a_stranger_is_admitted_on_the_join_lane_only() {
    let mesh = Mesh::new(1);
    let b = mesh.start(2);
    let (address, b_peer) = (b.address(), b.peer);
    let (b_net, _serving) = b.serve(b"");
    let stranger = Node::start(mesh.stranger(9));

    let answer = stranger.net.join_client(address, b_peer, |_| Bytes::from_static(b"let me in")).await.unwrap();
    assert_eq!(answer.len(), 32);
    let report = stranger.net.dial(address).await;
    refused_by_peer(&report, Refusal::NoMembership);
    assert_eq!(report.theirs, Some(Err(Refusal::NoRoot)));
    eventually("the refusal is counted", || b_net.refusals() == BTreeMap::from([("no_membership", 1)])).await;
}

#[tokio::test]
async fn a_member_of_another_mesh_is_refused_and_counted() {
    let b = Mesh::new(1).start(2);
    let foreign = Mesh::new(2).start(1);
    let report = foreign.net.dial(b.address()).await;
    refused_by_peer(&report, Refusal::OtherMesh);
    assert_eq!(report.theirs, Some(Err(Refusal::OtherMesh)));
    eventually("the refusal is counted", || b.net.refusals() == BTreeMap::from([("other_mesh", 1)])).await;
}

#[tokio::test]
async fn each_fault_of_a_membership_is_refused_by_its_reason() {
    let mesh = Mesh::new(1);
    let b = mesh.start(2);
    let now = now_s();
    // One byte of the issuer's signature over the membership.
    let mut forged = mesh.certificate(1).to_bytes();
    let envelope = mesh.certificate(1).membership.to_bytes();
    let tail = &envelope[envelope.len() - 32..];
    let at = forged.windows(32).position(|window| window == tail).unwrap();
    forged[at] ^= 1;
    let forged = Certificate::from_bytes(&forged).unwrap();
    let cases = [
        (mesh.certificate_between(1, now - 3 * DAY_S, now - 2 * DAY_S), Refusal::Expired, "expired"),
        (mesh.certificate_between(1, now + DAY_S, now + 2 * DAY_S), Refusal::Expired, "not_yet_valid"),
        (mesh.certificate(3), Refusal::WrongPeer, "wrong_peer"),
        (forged, Refusal::BadSignature, "bad_signature"),
    ];
    for (own, told, counted) in cases {
        let caller = Node::start(Trust { own: Some(own), ..mesh.trust(1) });
        refused_by_peer(&caller.net.dial(b.address()).await, told);
        eventually(counted, || b.net.refusals().get(counted) == Some(&1)).await;
    }
}

#[tokio::test]
async fn a_revoked_member_loses_its_link_and_is_refused_from_then_on() {
    let mesh = Mesh::new(1);
    let (a, b) = mesh.linked().await;
    let shunned = a.net.shunned();
    assert_eq!(*shunned.borrow(), 0);

    b.trust.send_replace(Arc::new(mesh.trust_without(2, &[(1, 0)])));
    eventually("the link is closed", || b.net.links().is_empty()).await;
    refused_by_peer(&a.net.dial(b.address()).await, Refusal::Revoked);
    eventually("the refusal is counted", || b.net.refusals().contains_key("revoked")).await;
    eventually("it notices that it is not wanted", || *shunned.borrow() > 0).await;
    let before = *shunned.borrow();
    a.net.connect(b.id);
    eventually("it notices that also when it dials", || *shunned.borrow() > before).await;
}

#[tokio::test]
async fn a_certificate_that_its_revoked_issuer_issued_late_is_refused() {
    let mesh = Mesh::new(1);
    // Serials are the numbers of the nodes.
    let b = Node::start(mesh.trust_without(2, &[(0, 2)]));
    refused_by_peer(&mesh.start(3).net.dial(b.address()).await, Refusal::Revoked);
    let early = mesh.start(1).net.dial(b.address()).await;
    assert!(early.outcome.is_ok(), "{early:?}");
    refused_by_peer(&mesh.start(0).net.dial(b.address()).await, Refusal::Revoked);
}

#[tokio::test]
async fn a_link_ends_with_the_certificate_of_its_member_unless_a_later_one_is_known() {
    let mesh = Mesh::new(1);
    let b = mesh.start(2);
    let [one, three] = [1, 3].map(|number| Node::start(mesh.ending(number, 8)));
    for node in [&one, &three] {
        node.knows(&b);
        node.net.connect(b.id);
    }
    let linked = |nodes: &[&Node]| {
        let live: BTreeSet<_> = b.net.links().iter().map(|link| link.node).collect();
        live == nodes.iter().map(|node| node.id).collect()
    };
    eventually("both are linked", || linked(&[&one, &three]) && b.net.gossip_peers().len() == 2).await;
    b.net.renewed(&mesh.renewed(1, 9));
    // Of two certificates the one with the lower serial counts nothing.
    b.net.renewed(&mesh.renewed(3, 2));
    eventually("the link of an ended certificate is closed", || linked(&[&one])).await;
    eventually("so is its gossip", || b.net.gossip_peers() == [one.id]).await;
    refused_by_peer(&three.net.dial(b.address()).await, Refusal::Expired);
    refused_by_peer(&one.net.dial(b.address()).await, Refusal::Expired);
    assert!(linked(&[&one]), "it shows its later certificate when it has it");
}

#[tokio::test]
async fn a_node_that_joins_shows_its_membership_without_a_restart() {
    let mesh = Mesh::new(1);
    let b = mesh.start(2);
    let joiner = Node::start(mesh.stranger(1));
    refused_by_peer(&joiner.net.dial(b.address()).await, Refusal::NoMembership);
    joiner.trust.send_replace(Arc::new(mesh.trust(1)));
    let report = joiner.net.dial(b.address()).await;
    assert!(report.outcome.is_ok(), "{report:?}");
}

#[tokio::test]
async fn a_dialer_refuses_whoever_is_not_expected() {
    let mesh = Mesh::new(1);
    let (a, b) = (mesh.start(1), mesh.start(2));
    a.net.learn(mesh.node(3), Origin::Given, &[b.address()]);
    let error = a.net.request(mesh.node(3), ECHO, Bytes::new(), PATIENCE).await.unwrap_err();
    let RequestError::Unreachable(LinkError::Dial(DialsFailed(failed))) = &error else { panic!("{error:?}") };
    let [(address, failure)] = &failed[..] else { panic!("{error:?}") };
    assert_eq!(*address, b.address());
    assert!(matches!(**failure, DialError::RefusedByUs { reason: Refusal::WrongPeer }), "{error:?}");
    assert_eq!(a.net.refusals(), BTreeMap::from([("wrong_peer", 1)]));
    eventually("the other side saw it too", || b.net.refusals() == BTreeMap::from([("refused_by_peer", 1)])).await;

    let other = PeerId::of(&mesh.keys(3).transport.public());
    let error = a.net.join_client(b.address(), other, |_| Bytes::new()).await.unwrap_err();
    let JoinError::Dial { source: DialError::RefusedByUs { reason: Refusal::WrongPeer }, address } = error else {
        panic!("{error:?}");
    };
    assert_eq!(address, b.address());
}

#[tokio::test]
async fn a_silent_address_is_told_as_a_timeout() {
    let a = Mesh::new(1).start(1);
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let report = a.net.dial(silent.local_addr().unwrap()).await;
    assert!(matches!(report.outcome, Err(DialError::Timeout)), "{report:?}");
    assert_eq!((report.theirs, report.rtt), (None, None));
    assert!(report.elapsed >= Duration::from_secs(3));
}

#[tokio::test]
async fn a_certificate_without_a_membership_opens_the_join_lane_and_no_other() {
    let b = Mesh::new(1).start(2);
    for (lane, admitted) in
        [(LinkLane::Join, true), (LinkLane::Ctl, false), (LinkLane::Rpc, false), (LinkLane::Bulk, false)]
    {
        let greeted = foreign_dial(b.address(), &[lane.alpn()]).await;
        assert_eq!(greeted, if admitted { Ok(1) } else { Err(ALERT_ACCESS_DENIED) }, "{lane:?}");
    }
    assert_eq!(b.net.refusals(), BTreeMap::from([("no_membership", 3)]));
}

#[tokio::test]
async fn an_unknown_alpn_or_several_or_none_are_refused() {
    let b = Mesh::new(1).start(2);
    for offers in [&["hedgerow-rpc/2"][..], &["hedgerow-join/1", "hedgerow-rpc/1"], &[]] {
        assert_eq!(foreign_dial(b.address(), offers).await, Err(ALERT_ACCESS_DENIED), "{offers:?}");
    }
    eventually("all are counted", || b.net.refusals() == BTreeMap::from([("bad_alpn", 3)])).await;
}

/// Dials as any libp2p program would, with these ALPNs; the acceptor's greeting, or its TLS alert.
async fn foreign_dial(address: SocketAddr, offers: &[&str]) -> Result<u8, u64> {
    let endpoint = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port exists");
    let keypair = libp2p::identity::Keypair::generate_ed25519();
    let mut tls = libp2p_tls::make_client_config(&keypair, None).expect("an ed25519 key makes a certificate");
    tls.alpn_protocols = offers.iter().map(|offer| offer.as_bytes().to_vec()).collect();
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).expect("libp2p's TLS fits QUIC");
    let config = quinn::ClientConfig::new(Arc::new(tls));
    let connecting = endpoint.connect_with(config, address, "any").expect("the address can be dialled");
    let greeted = async {
        let connection = connecting.await?;
        let mut greeting = [0];
        match connection.accept_uni().await?.read_exact(&mut greeting).await {
            Ok(()) => Ok(greeting[0]),
            Err(_) => Err(connection.closed().await),
        }
    };
    greeted.await.map_err(|error| match error {
        quinn::ConnectionError::ConnectionClosed(close) => u64::from(close.error_code) - 0x100,
        other => panic!("{other:?}"),
    })
}

#[track_caller]
fn refused_by_peer(report: &DialReport, expected: Refusal) {
    let Err(DialError::RefusedByPeer { reason }) = &report.outcome else {
        panic!("{report:?}");
    };
    assert_eq!(*reason, Some(expected));
}

/// RFC 8446 §6.2.
const ALERT_ACCESS_DENIED: u64 = 49;

#[tokio::test]
async fn who_fails_again_and_again_is_not_answered_for_a_while_and_others_are() {
    let (mesh, stranger) = (Mesh::new(1), Mesh::new(2));
    let (b, of_another_mesh) = (mesh.start(2), stranger.start(3));
    let ignored = || b.net.refusals().get("rate_limited").copied().unwrap_or_default();
    let mut refused = 0;
    while ignored() == 0 {
        let outcome = of_another_mesh.net.dial(b.address()).await.outcome;
        assert!(matches!(outcome, Err(DialError::RefusedByPeer { .. } | DialError::Timeout)), "{outcome:?}");
        refused += u32::from(matches!(outcome, Err(DialError::RefusedByPeer { .. })));
        // Another each second, on a slow machine.
        assert!(refused < 10 * REFUSED_BURST);
    }
    assert!(refused >= REFUSED_BURST, "{refused}");
    assert!(mesh.start(1).net.dial(b.address()).await.outcome.is_ok());
}
