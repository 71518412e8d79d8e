use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Instant, advance, timeout};

use super::super::super::loss::Loss;
use super::super::super::path::{DropReason, PathSettings};
use super::super::{Fabric, FabricError, Filtering, Mapping, Nat, Realm};
use super::*;
use crate::net::limits::{PINHOLE_IDLE, SOCKET_BUFFER_BYTES};

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn bind(realm: &Realm, at: &str) -> Arc<FabricSocket> {
    realm.bind(address(at)).unwrap()
}

fn send(from: &FabricSocket, to: SocketAddr, contents: &[u8]) {
    send_batch(from, to, contents, None);
}

fn send_batch(from: &FabricSocket, destination: SocketAddr, contents: &[u8], segment_size: Option<usize>) {
    from.try_send(&Transmit { destination, ecn: None, contents, segment_size, src_ip: None }).unwrap();
}

/// All that has arrived by now, with its senders.
async fn arrived(at: &FabricSocket) -> Vec<(Vec<u8>, SocketAddr)> {
    let mut datagrams = Vec::new();
    while let Ok(datagram) = timeout(Duration::ZERO, next(at)).await {
        datagrams.push(datagram);
    }
    datagrams
}

async fn next(at: &FabricSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 2048];
    let mut meta = [RecvMeta::default()];
    let received = poll_fn(|cx| at.poll_recv(cx, &mut [IoSliceMut::new(&mut buffer)], &mut meta)).await.unwrap();
    assert_eq!((received, meta[0].len), (1, meta[0].stride));
    buffer.truncate(meta[0].len);
    (buffer, meta[0].addr)
}

/// What was dropped, by reason.
fn dropped(fabric: &Fabric) -> BTreeMap<DropReason, u64> {
    fabric.counts().dropped
}

#[tokio::test(start_paused = true)]
async fn a_datagram_arrives_after_the_delay_of_its_direction() {
    let fabric = Fabric::new(1);
    let (a, b) = (bind(&fabric.public(), "10.0.0.1:7"), bind(&fabric.public(), "10.0.0.2:7"));
    fabric.set_default(PathSettings::delayed(ms(20)));
    fabric.set_path(b.place(), a.place(), PathSettings::delayed(ms(5)));
    let start = Instant::now();
    send(&a, address("10.0.0.2:7"), b"there");
    assert_eq!(next(&b).await, (b"there".to_vec(), address("10.0.0.1:7")));
    assert_eq!(start.elapsed(), ms(20));
    send(&b, address("10.0.0.1:7"), b"back");
    assert_eq!(next(&a).await, (b"back".to_vec(), address("10.0.0.2:7")));
    assert_eq!(start.elapsed(), ms(25));
    fabric.clear_path(b.place(), a.place());
    send(&b, address("10.0.0.1:7"), b"back again");
    next(&a).await;
    assert_eq!(start.elapsed(), ms(45));
    let counts = fabric.counts();
    assert_eq!((counts.delivered_datagrams, counts.delivered_bytes), (3, 19));
    assert_eq!(counts.dropped, BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn what_is_due_late_does_not_hold_up_what_is_due_soon() {
    let fabric = Fabric::new(1);
    let (a, b) = (bind(&fabric.public(), "10.0.0.1:7"), bind(&fabric.public(), "10.0.0.2:7"));
    let start = Instant::now();
    let waiting = async {
        let first = next(&b).await.0;
        (first, start.elapsed(), next(&b).await.0, start.elapsed())
    };
    let sending = async {
        fabric.set_default(PathSettings::delayed(ms(500)));
        send(&a, address("10.0.0.2:7"), b"late");
        // The delivery sleeps until then, unless it is told of something earlier.
        tokio::task::yield_now().await;
        fabric.set_default(PathSettings::delayed(ms(20)));
        send(&a, address("10.0.0.2:7"), b"soon");
    };
    let (arrived, ()) = tokio::join!(waiting, sending);
    assert_eq!(arrived, (b"soon".to_vec(), ms(20), b"late".to_vec(), ms(500)));
}

#[tokio::test(start_paused = true)]
async fn without_delay_a_datagram_is_there_at_once_and_none_overtakes() {
    let fabric = Fabric::new(1);
    let (a, b) = (bind(&fabric.public(), "10.0.0.1:7"), bind(&fabric.public(), "10.0.0.2:7"));
    fabric.set_default(PathSettings { rate_kbps: 100_000, ..PathSettings::CLEAR });
    for number in 0..100 {
        send(&a, address("10.0.0.2:7"), &[number; 1000]);
    }
    advance(ms(50)).await;
    send(&a, address("10.0.0.2:7"), &[100; 1000]);
    for number in 0..=100 {
        assert_eq!(next(&b).await.0, [number; 1000]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_direction_can_be_cut_and_healed() {
    let fabric = Fabric::new(1);
    let (a, b) = (bind(&fabric.public(), "10.0.0.1:7"), bind(&fabric.public(), "10.0.0.2:7"));
    let cut = PathSettings::CUT;
    fabric.set_path(a.place(), b.place(), cut);
    send(&a, address("10.0.0.2:7"), b"lost");
    send(&b, address("10.0.0.1:7"), b"heard");
    assert_eq!(arrived(&b).await, []);
    assert_eq!(next(&a).await.0, b"heard");
    fabric.set_path(a.place(), b.place(), PathSettings::CLEAR);
    send(&a, address("10.0.0.2:7"), b"healed");
    assert_eq!(next(&b).await.0, b"healed");
    assert_eq!(dropped(&fabric), BTreeMap::from([(DropReason::Cut, 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_split_by_its_segments() {
    let fabric = Fabric::new(1);
    let (a, b) = (bind(&fabric.public(), "10.0.0.1:7"), bind(&fabric.public(), "10.0.0.2:7"));
    send_batch(&a, address("10.0.0.2:7"), b"aaabbbc", Some(3));
    let datagrams: Vec<_> = arrived(&b).await.into_iter().map(|(bytes, _)| bytes).collect();
    assert_eq!(datagrams, [b"aaa".to_vec(), b"bbb".to_vec(), b"c".to_vec()]);
    let absent = address("10.0.0.3:7");
    send_batch(&a, absent, b"aaabbbc", Some(3));
    assert_eq!(dropped(&fabric), BTreeMap::from([(DropReason::NoRoute, 3)]));
}

#[tokio::test(start_paused = true)]
async fn a_datagram_above_the_mtu_is_dropped() {
    let fabric = Fabric::new(1);
    let (a, b) = (bind(&fabric.public(), "10.0.0.1:7"), bind(&fabric.public(), "10.0.0.2:7"));
    let (a6, b6) = (bind(&fabric.public(), "[2001:db8::1]:7"), bind(&fabric.public(), "[2001:db8::2]:7"));
    let largest = |mtu: usize| {
        fabric.set_mtu(mtu);
        for bytes in [mtu - 28, mtu - 27] {
            send(&a, address("10.0.0.2:7"), &vec![4; bytes]);
        }
        for bytes in [mtu - 48, mtu - 47] {
            send(&a6, address("[2001:db8::2]:7"), &vec![6; bytes]);
        }
    };
    largest(1500);
    largest(1280);
    let lengths = async |at| arrived(at).await.iter().map(|(bytes, _)| bytes.len()).collect::<Vec<_>>();
    assert_eq!((lengths(&b).await, lengths(&b6).await), (vec![1472, 1252], vec![1452, 1232]));
    assert_eq!(dropped(&fabric), BTreeMap::from([(DropReason::TooBig, 4)]));
    assert!(!a.may_fragment());
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_does_not_read_loses_what_its_buffer_does_not_take() {
    let fabric = Fabric::new(1);
    let (a, b) = (bind(&fabric.public(), "10.0.0.1:7"), bind(&fabric.public(), "10.0.0.2:7"));
    let fits = SOCKET_BUFFER_BYTES / 1024;
    for _ in 0..fits + 3 {
        send(&a, address("10.0.0.2:7"), &[7; 1024]);
    }
    assert_eq!(dropped(&fabric), BTreeMap::from([(DropReason::BufferFull, 3)]));
    assert_eq!(arrived(&b).await.len(), fits);
    send(&a, address("10.0.0.2:7"), &[7; 1024]);
    assert_eq!(arrived(&b).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stateful_firewall_lets_answers_in_for_a_while() {
    let fabric = Fabric::new(1);
    let (a, b) = (bind(&fabric.public(), "10.0.0.1:7"), bind(&fabric.public(), "10.0.0.2:7"));
    a.set_firewall(Firewall::Stateful);
    send(&b, address("10.0.0.1:7"), b"uninvited");
    assert_eq!(arrived(&a).await, []);
    send(&a, address("10.0.0.2:7"), b"hello");
    send(&b, address("10.0.0.1:7"), b"answer");
    assert_eq!(arrived(&a).await.len(), 1);
    advance(PINHOLE_IDLE).await;
    send(&b, address("10.0.0.1:7"), b"late");
    assert_eq!(arrived(&a).await, []);
    a.set_firewall(Firewall::Open);
    send(&b, address("10.0.0.1:7"), b"anything");
    assert_eq!(arrived(&a).await.len(), 1);
    assert_eq!(dropped(&fabric), BTreeMap::from([(DropReason::Firewall, 2)]));
}

#[tokio::test(start_paused = true)]
async fn a_datagram_that_is_on_its_way_when_a_hole_is_punched_gets_through() {
    let fabric = Fabric::new(1);
    let (a, b) = (bind(&fabric.public(), "10.0.0.1:7"), bind(&fabric.public(), "10.0.0.2:7"));
    fabric.set_default(PathSettings::delayed(ms(20)));
    a.set_firewall(Firewall::Stateful);
    b.set_firewall(Firewall::Stateful);
    send(&a, address("10.0.0.2:7"), b"from a");
    advance(ms(19)).await;
    send(&b, address("10.0.0.1:7"), b"from b");
    assert_eq!(next(&b).await.0, b"from a");
    assert_eq!(next(&a).await.0, b"from b");
}

#[tokio::test(start_paused = true)]
async fn sockets_of_equal_private_addresses_are_told_apart_by_their_translators() {
    let fabric = Fabric::new(1);
    let public = fabric.public();
    let server = bind(&public, "203.0.113.1:4334");
    let homes = ["198.51.100.1", "198.51.100.2"].map(|outer| public.behind_nat(ip(outer), Nat::HOME).unwrap());
    let clients = [0, 1].map(|home| bind(&homes[home], "192.168.1.2:4334"));
    fabric.set_default(PathSettings::delayed(ms(1)));
    // The path of the second takes longer, whatever its outer port is.
    fabric.set_path(clients[1].place(), server.place(), PathSettings::delayed(ms(30)));
    fabric.set_path(server.place(), clients[1].place(), PathSettings::delayed(ms(30)));
    let start = Instant::now();
    for client in &clients {
        send(client, address("203.0.113.1:4334"), b"hello");
    }
    let mut outers = Vec::new();
    for at in [1, 30] {
        let (_, from) = next(&server).await;
        assert_eq!(start.elapsed(), ms(at));
        outers.push(from);
    }
    assert_eq!([outers[0].ip(), outers[1].ip()], [ip("198.51.100.1"), ip("198.51.100.2")]);
    send(&server, outers[0], b"to the first");
    send(&server, outers[1], b"to the second");
    assert_eq!(next(&clients[0]).await, (b"to the first".to_vec(), address("203.0.113.1:4334")));
    assert_eq!(next(&clients[1]).await, (b"to the second".to_vec(), address("203.0.113.1:4334")));
    assert_eq!(start.elapsed(), ms(60));
    let stranger = bind(&public, "203.0.113.9:4334");
    send(&stranger, outers[0], b"uninvited");
    send(&clients[0], outers[1], b"uninvited");
    advance(ms(10)).await;
    assert_eq!((arrived(&clients[0]).await, arrived(&clients[1]).await), (vec![], vec![]));
    assert_eq!(dropped(&fabric), BTreeMap::from([(DropReason::Nat, 2)]));
}

#[tokio::test(start_paused = true)]
async fn two_home_translators_are_punched_by_sending_at_once_and_symmetric_ones_are_not() {
    let punched = async |nat| {
        let fabric = Fabric::new(1);
        let public = fabric.public();
        let server = bind(&public, "203.0.113.1:4334");
        let clients = ["198.51.100.1", "198.51.100.2"]
            .map(|outer| bind(&public.behind_nat(ip(outer), nat).unwrap(), "192.168.1.2:4334"));
        fabric.set_default(PathSettings::delayed(ms(20)));
        let mut outers = Vec::new();
        for client in &clients {
            send(client, address("203.0.113.1:4334"), b"where am I");
            outers.push(next(&server).await.1);
        }
        for (client, other) in clients.iter().zip(outers.iter().rev()) {
            send(client, *other, b"punch");
        }
        advance(ms(20)).await;
        (arrived(&clients[0]).await.len(), arrived(&clients[1]).await.len())
    };
    assert_eq!(punched(Nat::HOME).await, (1, 1));
    assert_eq!(punched(Nat::SYMMETRIC).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_open_translator_lets_anybody_in_and_hairpins_where_it_is_said_to() {
    let open =
        Nat { mapping: Mapping::EndpointIndependent, filtering: Filtering::EndpointIndependent, is_hairpinning: true };
    for nat in [open, Nat { is_hairpinning: false, ..open }] {
        let fabric = Fabric::new(1);
        let public = fabric.public();
        let (server, stranger) = (bind(&public, "203.0.113.1:7"), bind(&public, "203.0.113.2:7"));
        let home = public.behind_nat(ip("198.51.100.1"), nat).unwrap();
        let (a, b) = (bind(&home, "192.168.1.2:7"), bind(&home, "192.168.1.3:7"));
        send(&a, address("203.0.113.1:7"), b"where am I");
        let (_, outer) = next(&server).await;
        send(&stranger, outer, b"anybody");
        send(&b, address("192.168.1.2:7"), b"neighbour");
        assert_eq!(next(&a).await, (b"anybody".to_vec(), address("203.0.113.2:7")));
        assert_eq!(next(&a).await, (b"neighbour".to_vec(), address("192.168.1.3:7")));
        send(&b, outer, b"around");
        let around = arrived(&a).await;
        assert_eq!(around.len(), usize::from(nat.is_hairpinning));
        assert!(around.iter().all(|(_, from)| from.ip() == outer.ip()), "{around:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_realm_behind_two_translators_reaches_the_internet() {
    let fabric = Fabric::new(1);
    let server = bind(&fabric.public(), "203.0.113.1:7");
    let carrier = fabric.public().behind_nat(ip("198.51.100.1"), Nat::SYMMETRIC).unwrap();
    let home = carrier.behind_nat(ip("100.64.0.9"), Nat::HOME).unwrap();
    let client = bind(&home, "192.168.1.2:7");
    let neighbour = bind(&carrier, "100.64.0.10:7");
    send(&client, address("203.0.113.1:7"), b"hello");
    let (_, from) = next(&server).await;
    assert_eq!(from.ip(), ip("198.51.100.1"));
    send(&server, from, b"answer");
    assert_eq!(next(&client).await, (b"answer".to_vec(), address("203.0.113.1:7")));
    send(&client, address("100.64.0.10:7"), b"hello");
    assert_eq!(next(&neighbour).await.1.ip(), ip("100.64.0.9"));
    send(&neighbour, address("203.0.113.1:7"), b"hello");
    assert_eq!(next(&server).await.1.ip(), ip("198.51.100.1"));
}

#[tokio::test(start_paused = true)]
async fn addresses_are_taken_once_and_given_back() {
    let fabric = Fabric::new(1);
    let public = fabric.public();
    let at = address("10.0.0.1:7");
    let (a, b) = (bind(&public, "10.0.0.1:7"), bind(&public, "10.0.0.2:7"));
    assert_eq!(public.bind(at).unwrap_err(), FabricError::PortTaken { address: at });
    assert_eq!(public.behind_nat(at.ip(), Nat::HOME).unwrap_err(), FabricError::AddressTaken { address: at.ip() });
    let outer = ip("198.51.100.1");
    let home = public.behind_nat(outer, Nat::HOME).unwrap();
    assert_eq!(public.behind_nat(outer, Nat::HOME).unwrap_err(), FabricError::AddressTaken { address: outer });
    assert_eq!(public.bind(SocketAddr::new(outer, 7)).unwrap_err(), FabricError::AddressTaken { address: outer });
    assert_eq!(public.bind(address("0.0.0.0:7")).unwrap_err(), FabricError::Unspecified);
    let first = bind(&home, "10.0.0.1:0").local_addr().unwrap();
    assert_eq!(first.port(), 49_152);
    let kept = [bind(&home, "10.0.0.1:0"), bind(&home, "10.0.0.1:0")];
    assert_eq!(kept.map(|socket| socket.local_addr().unwrap().port()), [49_152, 49_153], "the first is free again");

    fabric.set_default(PathSettings::delayed(ms(20)));
    send(&b, at, b"to the first life");
    drop(a);
    advance(ms(20)).await;
    let a = bind(&public, "10.0.0.1:7");
    send(&b, at, b"to the second");
    assert_eq!(next(&a).await.0, b"to the second");
    assert_eq!(dropped(&fabric), BTreeMap::from([(DropReason::NoRoute, 1)]));
}

#[tokio::test(start_paused = true)]
async fn equal_seeds_give_equal_runs() {
    let run = async |seed| {
        let fabric = Fabric::new(seed);
        let (a, b) = (bind(&fabric.public(), "10.0.0.1:7"), bind(&fabric.public(), "10.0.0.2:7"));
        let loss = Loss::from_percent(20.0).unwrap();
        fabric.set_default(PathSettings { delay: ms(10), jitter: ms(50), loss, ..PathSettings::CLEAR });
        let start = Instant::now();
        for number in 0..200_u8 {
            send(&a, address("10.0.0.2:7"), &[number]);
            advance(ms(5)).await;
        }
        let mut told = Vec::new();
        while let Ok((bytes, _)) = timeout(ms(100), next(&b)).await {
            told.push((bytes, start.elapsed()));
        }
        told
    };
    let (first, again, other) = (run(1).await, run(1).await, run(2).await);
    assert!((120..200).contains(&first.len()), "{} of 200", first.len());
    assert_eq!(first, again);
    assert_ne!(first, other);
}
