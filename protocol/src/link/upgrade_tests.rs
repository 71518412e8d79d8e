//! Relayed links, step by step.

use super::super::interface::{AttemptId, CloseReason, ConnectionId, Ended, LinkInput, Urgency};
use super::super::limits::{
    ADDRESSES_MAX, MEET_MAX, MEET_MIN, MEETINGS_MAX, PATIENCE, RELAYED_DRAIN, ROUNDS_MAX, SETTLED, STAGGER,
};
use super::super::links_tests::{Bench, Out, RELAYED, close, connected, dial};
use std::time::Duration;

const RELAY: u16 = RELAYED;

/// Node 1, which dialled node 2 through a relay over connection 1 after its direct address failed.
fn relayed() -> Bench {
    let mut bench = Bench::new(1);
    bench.learn(2, &[RELAY, 10]);
    assert_eq!(bench.want(2), [dial(2, 1, 10)], "direct ones first");
    assert_eq!(bench.after(STAGGER), [dial(2, 2, RELAY)]);
    let outcome = Ok(connected(1, 1, RELAY));
    let up = bench.step(LinkInput::Attempted { peer: 2, attempt: AttemptId(2), outcome });
    assert_eq!(up, [Out::Cancel { attempt: AttemptId(1) }, Out::Up { peer: 2, connection: ConnectionId(1) }]);
    assert!(bench.links.runs_through_a_relay(&2));
    bench
}

fn ask() -> Out {
    Out::Meet { peer: 2, connection: ConnectionId(1) }
}

fn meet(bench: &mut Bench, addresses: &[u16]) -> Vec<Out> {
    bench.step(LinkInput::Meet { peer: 2, addresses: addresses.to_vec() })
}

fn accepted(bench: &mut Bench, connection: u64, address: u16) -> Vec<Out> {
    bench.step(LinkInput::Accepted { peer: 2, connected: connected(connection, 1, address) })
}

#[test]
fn a_relayed_link_asks_to_meet_at_once_and_then_ever_more_rarely() {
    let mut bench = relayed();
    assert_eq!(bench.after(Duration::ZERO), [ask()]);
    let mut wait = MEET_MIN;
    for _ in 0..12 {
        assert_eq!(bench.after(wait - Duration::from_millis(1)), []);
        assert_eq!(bench.after(Duration::from_millis(1)), [ask()]);
        wait = (wait * 2).min(MEET_MAX);
    }
    bench.step(LinkInput::HangUp { peer: 2 });
    assert_eq!(bench.after(MEET_MAX * 2), []);
}

#[test]
fn the_end_that_was_dialled_does_not_ask() {
    let mut bench = Bench::new(1);
    assert_eq!(accepted(&mut bench, 1, RELAY), [Out::Up { peer: 2, connection: ConnectionId(1) }]);
    assert_eq!(bench.after(MEET_MAX * 2), []);
}

#[test]
fn a_meeting_dials_all_at_once_and_the_direct_connection_takes_over() {
    let mut bench = relayed();
    assert_eq!(meet(&mut bench, &[20, RELAY, 21]), [dial(2, 3, 20), dial(2, 4, 21)]);
    assert_eq!(meet(&mut bench, &[22]), [], "one at a time");
    assert_eq!(bench.failed(2, 3), []);
    let outcome = Ok(connected(5, 1, 21));
    let moved = bench.step(LinkInput::Attempted { peer: 2, attempt: AttemptId(4), outcome });
    assert_eq!(moved, [Out::Moved { peer: 2, connection: ConnectionId(5) }]);
    assert!(!bench.links.runs_through_a_relay(&2));
    assert!(bench.links.is_open(&2, ConnectionId(1)), "requests go on over it");
    assert_eq!(meet(&mut bench, &[22]), [], "it is direct");
    assert_eq!(bench.after(RELAYED_DRAIN - Duration::from_millis(1)), []);
    assert_eq!(bench.after(Duration::from_millis(1)), [close(2, 1, CloseReason::Duplicate)]);
    assert_eq!(bench.after(MEET_MAX * 2), []);
}

#[test]
fn a_meeting_that_fails_leaves_the_link_and_says_nothing() {
    let mut bench = relayed();
    let many: Vec<u16> = (20..40).collect();
    let dialled = meet(&mut bench, &many);
    assert_eq!(dialled.len(), ADDRESSES_MAX, "{dialled:?}");
    for attempt in 3..11 {
        assert_eq!(bench.failed(2, attempt), []);
    }
    assert!(bench.links.runs_through_a_relay(&2));
    assert_eq!(meet(&mut bench, &[20]), [dial(2, 11, 20)], "and another may follow");
}

#[test]
fn nobody_is_dialled_for_a_meeting_who_has_no_relayed_link() {
    let mut bench = Bench::new(1);
    assert_eq!(meet(&mut bench, &[20]), [], "unknown");
    bench.learn(2, &[10]);
    assert_eq!(meet(&mut bench, &[20]), [], "known, and no link");
    accepted(&mut bench, 1, 10);
    assert_eq!(meet(&mut bench, &[20]), [], "a direct link");
}

#[test]
fn a_relayed_connection_does_not_replace_a_direct_one_whoever_dialled() {
    for me in [1, 3] {
        let mut bench = Bench::new(me);
        accepted(&mut bench, 1, 10);
        assert_eq!(accepted(&mut bench, 2, RELAY), []);
        assert_eq!(bench.links.connection(&2), Some(ConnectionId(1)));
        assert_eq!(accepted(&mut bench, 3, 10), [Out::Moved { peer: 2, connection: ConnectionId(3) }]);
    }
}

#[test]
fn when_the_direct_connection_breaks_the_relayed_one_is_the_link_again() {
    let mut bench = relayed();
    accepted(&mut bench, 5, 77);
    assert!(!bench.links.runs_through_a_relay(&2));
    assert_eq!(bench.after(SETTLED), []);
    let moved = bench.step(LinkInput::Closed { peer: 2, connection: ConnectionId(5) });
    assert_eq!(moved, [Out::Moved { peer: 2, connection: ConnectionId(1) }]);
    assert_eq!(bench.after(Duration::ZERO), [ask()], "it had lasted");

    accepted(&mut bench, 6, 77);
    bench.links.sent(&2, ConnectionId(6), bench.now, Duration::ZERO);
    let expected = [
        Out::Down { peer: 2, why: Ended::Unacknowledged },
        close(2, 6, CloseReason::Unacknowledged),
        Out::Up { peer: 2, connection: ConnectionId(1) },
    ];
    assert_eq!(bench.after(PATIENCE), expected);
    assert_eq!(bench.after(MEET_MIN * 2 - Duration::from_millis(1)), [], "it had not");
    assert_eq!(bench.after(Duration::from_millis(1)), [ask()]);
}

#[test]
fn a_direct_way_that_never_lasts_is_tried_ever_more_rarely() {
    let mut bench = relayed();
    assert_eq!(bench.after(Duration::ZERO), [ask()]);
    let mut wait = MEET_MIN;
    for connection in 10..20 {
        accepted(&mut bench, connection, 77);
        bench.step(LinkInput::Closed { peer: 2, connection: ConnectionId(connection) });
        wait = (wait * 2).min(MEET_MAX);
        assert_eq!(bench.after(wait - Duration::from_millis(1)), [], "{wait:?}");
        assert_eq!(bench.after(Duration::from_millis(1)), [ask()]);
    }
}

#[test]
fn when_the_relayed_link_ends_in_a_meeting_all_other_ways_are_tried() {
    let mut bench = relayed();
    assert_eq!(meet(&mut bench, &[20]), [dial(2, 3, 20)]);
    let down = bench.step(LinkInput::Closed { peer: 2, connection: ConnectionId(1) });
    assert_eq!(down, [Out::Down { peer: 2, why: Ended::Closed }]);
    assert_eq!(bench.want(2), [], "it is being dialled");
    assert_eq!(bench.failed(2, 3), [dial(2, 4, 10)], "and what waits is not told that it failed");
    assert_eq!(bench.failed(2, 4), [dial(2, 5, RELAY)]);
}

#[test]
fn meetings_are_few_and_take_no_place_of_other_rounds() {
    let mut bench = Bench::new(1);
    for peer in 10..10 + u32::try_from(MEETINGS_MAX).unwrap() + 1 {
        bench.step(LinkInput::Accepted { peer, connected: connected(u64::from(peer), 1, RELAY) });
        let dialled = bench.step(LinkInput::Meet { peer, addresses: vec![20, 20, 20] });
        let expected = usize::from(peer < 10 + u32::try_from(MEETINGS_MAX).unwrap());
        assert_eq!(dialled.len(), expected, "the same address once");
    }
    for peer in 100..100 + u32::try_from(ROUNDS_MAX).unwrap() {
        bench.learn(peer, &[10]);
        assert_eq!(bench.want(peer).len(), 1);
    }
}

#[test]
fn a_direct_attempt_that_came_all_the_same_is_better_than_the_relayed_link() {
    let mut bench = relayed();
    let outcome = Ok(connected(5, 1, 10));
    let moved = bench.step(LinkInput::Attempted { peer: 2, attempt: AttemptId(1), outcome });
    assert_eq!(moved, [Out::Moved { peer: 2, connection: ConnectionId(5) }]);
}

#[test]
fn a_relayed_address_is_tried_after_those_that_failed_no_more_often() {
    let mut bench = relayed();
    let order: Vec<u16> = bench.links.addresses(&2).iter().map(|known| known.address).collect();
    assert_eq!(order, [10, RELAY], "the one was not tried to its end");
    bench.step(LinkInput::HangUp { peer: 2 });
    assert_eq!(bench.step(LinkInput::Want { peer: 2, urgency: Urgency::Request }), [dial(2, 3, 10)]);
    assert_eq!(bench.failed(2, 3), [dial(2, 4, RELAY)]);
    let order: Vec<u16> = bench.links.addresses(&2).iter().map(|known| known.address).collect();
    assert_eq!(order, [RELAY, 10]);
}
