//! Emulated delay, loss, rate and cuts between two real sockets.

use std::time::Duration;

use bytes::Bytes;
use hedgerow::net::{Cut, DropReason, Loss, NetEvent, Protocol, RequestError, Rule};

use super::support::{Mesh, Node, PATIENCE, eventually};

const ASK: Protocol = Protocol::new("ask/1");

fn rule(towards: &Node) -> Rule {
    Rule::towards(towards.address())
}

#[tokio::test]
async fn an_emulated_delay_shows_in_the_round_trip() {
    let mesh = Mesh::new(1);
    let (a, b) = (mesh.start(1), mesh.start(2));
    let delay = Rule { delay_ms: 20, ..rule(&b) };
    a.net.emulation().unwrap().set(&[delay]).unwrap();
    b.net.emulation().unwrap().set(&[Rule { delay_ms: 20, ..rule(&a) }]).unwrap();
    assert_eq!(a.net.emulation().unwrap().settings().rules, [delay]);
    a.knows(&b);
    a.net.connect(b.id);
    eventually("the link is up", || a.net.links().len() == 1).await;
    let rtt_us = a.net.links()[0].rtt_us;
    assert!((40_000..400_000).contains(&rtt_us), "{rtt_us}");

    let mut a = a;
    a.net.emulation().unwrap().set(&[]).unwrap();
    b.net.emulation().unwrap().set(&[]).unwrap();
    let b_id = b.id;
    let (_net, _serving) = b.serve(b"");
    for _ in 0..100 {
        a.net.request(b_id, ASK, Bytes::new(), PATIENCE).await.unwrap();
    }
    a.event(|event| matches!(event, NetEvent::LinkRtt { rtt_us, .. } if rtt_us < 10_000).then_some(())).await;
}

#[tokio::test]
async fn a_cut_stops_requests_in_each_direction_and_healing_brings_them_back() {
    let mesh = Mesh::new(1);
    let (a, b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    let (b_id, to_b) = (b.id, rule(&b));
    let (_net, _serving) = b.serve(b"");
    a.net.request(b_id, ASK, Bytes::new(), PATIENCE).await.unwrap();
    for cut in [Cut::Both, Cut::In, Cut::Out] {
        let emulation = a.net.emulation().unwrap();
        emulation.set(&[Rule { cut, ..to_b }]).unwrap();
        let short = Duration::from_millis(300);
        let error = a.net.request(b_id, ASK, Bytes::new(), short).await.unwrap_err();
        assert!(matches!(error, RequestError::Deadline { .. }), "{cut:?}: {error:?}");
        emulation.set(&[]).unwrap();
        a.net.request(b_id, ASK, Bytes::new(), PATIENCE).await.unwrap();
    }
    let dropped = a.net.emulation().unwrap().dropped();
    assert_eq!(dropped.into_keys().collect::<Vec<_>>(), [DropReason::Cut]);
}

#[tokio::test]
async fn a_link_that_a_long_cut_ended_is_dialled_again_after_healing() {
    let mesh = Mesh::new(1);
    let (mut a, b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    let (b_id, to_b) = (b.id, rule(&b));
    let (_net, _serving) = b.serve(b"");
    a.net.request(b_id, ASK, Bytes::new(), PATIENCE).await.unwrap();
    a.net.emulation().unwrap().set(&[Rule { cut: Cut::Both, ..to_b }]).unwrap();
    a.event(|event| matches!(event, NetEvent::LinkDown { peer } if peer == b_id).then_some(())).await;
    let error = a.net.request(b_id, ASK, Bytes::new(), PATIENCE).await.unwrap_err();
    assert!(matches!(error, RequestError::Unreachable(_)), "{error:?}");
    a.net.emulation().unwrap().set(&[]).unwrap();
    let healed = async {
        while a.net.request(b_id, ASK, Bytes::new(), PATIENCE).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, healed).await.unwrap();
}

#[tokio::test]
async fn requests_get_through_what_loses_and_holds_up() {
    let mesh = Mesh::new(1);
    let (a, b) = (mesh.start(1), mesh.start(2));
    let loss_percent = Loss::from_percent(10.0).unwrap();
    let bad = |towards: &Node| Rule { delay_ms: 2, jitter_ms: 3, loss_percent, rate_kbps: 8_000, ..rule(towards) };
    a.net.emulation().unwrap().set(&[bad(&b)]).unwrap();
    b.net.emulation().unwrap().set(&[bad(&a)]).unwrap();
    a.knows(&b);
    let b_id = b.id;
    let (_net, _serving) = b.serve(b"");
    let body = Bytes::from(vec![7; 200_000]);
    let start = std::time::Instant::now();
    assert_eq!(a.net.request(b_id, ASK, body.clone(), PATIENCE).await.unwrap(), body);
    // There and back: 400,000 bytes at a million each second.
    assert!(start.elapsed() >= Duration::from_millis(400), "{:?}", start.elapsed());
    assert!(a.net.emulation().unwrap().dropped()[&DropReason::Lost] > 0);
}
