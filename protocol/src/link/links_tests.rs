//! One machine, step by step.

use super::limits::{BACKOFF_MAX, BACKOFF_MIN, DRAIN, ROUNDS_MAX, STAGGER};
use super::*;
use crate::machine::{Cx, Machine as _};
use crate::time::{Mono, Wall};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use std::time::Duration;

pub(super) type Out = LinkOutput<u32, u16>;

/// Places from here on are at a relay.
pub(super) const RELAYED: u16 = 1_000;

impl Address for u16 {
    fn is_relayed(&self) -> bool {
        *self >= RELAYED
    }
}

/// A machine, its clock and its random stream.
pub(super) struct Bench {
    pub(super) links: Links<u32, u16>,
    pub(super) now: Mono,
    rng: ChaCha8Rng,
}

impl Bench {
    pub(super) fn new(me: u32) -> Self {
        Self { links: Links::new(me), now: Mono(1), rng: ChaCha8Rng::seed_from_u64(u64::from(me)) }
    }

    pub(super) fn step(&mut self, input: LinkInput<u32, u16>) -> Vec<Out> {
        let mut out = Vec::new();
        self.links.step(&mut Cx { now: self.now, wall: Wall(0), rng: &mut self.rng, out: &mut out }, input);
        out
    }

    pub(super) fn learn(&mut self, peer: u32, addresses: &[u16]) {
        let out = self.step(LinkInput::Learn { peer, origin: Origin::Said, addresses: addresses.to_vec() });
        assert_eq!(out, []);
    }

    pub(super) fn want(&mut self, peer: u32) -> Vec<Out> {
        self.step(LinkInput::Want { peer, urgency: Urgency::Request })
    }

    pub(super) fn failed(&mut self, peer: u32, attempt: u64) -> Vec<Out> {
        self.step(LinkInput::Attempted { peer, attempt: AttemptId(attempt), outcome: Err(DialFailure::NoAnswer) })
    }

    fn succeeded(&mut self, peer: u32, attempt: u64, connection: u64) -> Vec<Out> {
        let outcome = Ok(connected(connection, 1, 10));
        self.step(LinkInput::Attempted { peer, attempt: AttemptId(attempt), outcome })
    }

    fn accepted(&mut self, peer: u32, connection: u64, life: u64) -> Vec<Out> {
        self.step(LinkInput::Accepted { peer, connected: connected(connection, life, 77) })
    }

    pub(super) fn after(&mut self, span: Duration) -> Vec<Out> {
        self.now = self.now + span;
        self.step(LinkInput::Tick)
    }

    /// A node that dialled its peer, at address 10, over connection 1.
    fn linked(me: u32, peer: u32) -> Self {
        let mut bench = Self::new(me);
        bench.learn(peer, &[10, 11]);
        bench.want(peer);
        assert_eq!(bench.succeeded(peer, 1, 1), [Out::Up { peer, connection: ConnectionId(1) }]);
        bench
    }
}

pub(super) fn connected(connection: u64, life: u64, address: u16) -> Connected<u16> {
    Connected { connection: ConnectionId(connection), life: Life(life), address }
}

pub(super) fn dial(peer: u32, attempt: u64, address: u16) -> Out {
    Out::Dial { peer, attempt: AttemptId(attempt), address }
}

pub(super) fn close(peer: u32, connection: u64, why: CloseReason) -> Out {
    Out::Close { peer, connection: ConnectionId(connection), why }
}

#[test]
fn addresses_are_raced_a_moment_apart_and_the_first_that_answers_wins() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.want(2), [], "nobody knows where it is");
    assert_eq!(bench.links.state(&2, bench.now), LinkState::Nowhere);
    bench.learn(2, &[10, 11, 12]);
    assert_eq!(bench.want(2), [dial(2, 1, 10)]);
    assert_eq!(bench.want(2), [], "one round at a time");
    assert_eq!(bench.after(STAGGER - Duration::from_millis(1)), []);
    assert_eq!(bench.after(Duration::from_millis(1)), [dial(2, 2, 11)]);
    assert_eq!(bench.failed(2, 1), [dial(2, 3, 12)], "a failure does not wait");
    let won = bench.succeeded(2, 2, 5);
    assert_eq!(won, [Out::Cancel { attempt: AttemptId(3) }, Out::Up { peer: 2, connection: ConnectionId(5) }]);
    assert_eq!(
        bench.succeeded(2, 3, 6),
        [close(2, 6, CloseReason::Duplicate)],
        "it was given up, and came all the same"
    );
    let order: Vec<u16> = bench.links.addresses(&2).iter().map(|known| known.address).collect();
    assert_eq!(order, [11, 12, 10], "where it worked, where it was not tried to the end, where it failed");
}

#[test]
fn after_a_round_that_failed_nobody_dials_until_its_wait_or_news_of_the_peer() {
    let mut bench = Bench::new(1);
    bench.learn(2, &[10]);
    let mut attempt = 0;
    for least in [1, 2, 4, 8, 16, 16].map(|times| BACKOFF_MIN * times * 3 / 4) {
        attempt += 1;
        assert_eq!(bench.want(2), [dial(2, attempt, 10)]);
        let out = bench.failed(2, attempt);
        let [Out::Failed { peer: 2, failure: DialFailure::NoAnswer, retry_in }] = out[..] else { panic!("{out:?}") };
        assert!(retry_in >= least && retry_in <= BACKOFF_MAX * 5 / 4, "{retry_in:?}");
        assert_eq!(bench.want(2), []);
        let until = bench.now + retry_in;
        assert_eq!(bench.links.state(&2, bench.now), LinkState::BackingOff { until });
        bench.now = until;
    }
    bench.want(2);
    bench.failed(2, attempt + 1);
    bench.learn(2, &[10]);
    assert_eq!(bench.want(2), [], "no news");
    bench.learn(2, &[11]);
    assert_eq!(bench.want(2), [dial(2, attempt + 2, 11)]);
}

#[test]
fn a_peer_that_only_ever_dialled_in_is_dialled_where_it_was_seen() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.accepted(2, 1, 1), [Out::Up { peer: 2, connection: ConnectionId(1) }]);
    let closed = bench.step(LinkInput::Closed { peer: 2, connection: ConnectionId(1) });
    assert_eq!(closed, [Out::Down { peer: 2, why: Ended::Closed }]);
    assert_eq!(bench.want(2), [dial(2, 1, 77)]);
}

#[test]
fn of_two_dials_both_ends_keep_that_of_the_lower_name() {
    // The lower one dialled; the dial of the higher one arrives.
    let mut lower = Bench::linked(1, 2);
    assert_eq!(lower.accepted(2, 9, 1), []);
    assert_eq!(lower.links.connection(&2), Some(ConnectionId(1)));
    assert!(lower.links.is_open(&2, ConnectionId(9)), "what runs on it ends in peace");
    assert_eq!(lower.after(DRAIN), [close(2, 9, CloseReason::Duplicate)]);
    // The higher one dialled, and the dial of the lower one arrives.
    let mut higher = Bench::linked(2, 1);
    assert_eq!(higher.accepted(1, 9, 1), [Out::Moved { peer: 1, connection: ConnectionId(9) }]);
    assert_eq!(higher.after(DRAIN), [close(1, 1, CloseReason::Duplicate)]);
}

#[test]
fn whoever_would_lose_tries_no_further_and_ends_in_peace_what_it_began() {
    for (me, peer) in [(1, 2), (2, 1)] {
        let mut bench = Bench::new(me);
        bench.learn(peer, &[10, 11]);
        bench.want(peer);
        assert_eq!(bench.accepted(peer, 3, 1), [Out::Up { peer, connection: ConnectionId(3) }]);
        if me < peer {
            assert_eq!(bench.after(STAGGER), [dial(peer, 2, 11)]);
            let moved = Out::Moved { peer, connection: ConnectionId(4) };
            assert_eq!(bench.succeeded(peer, 1, 4), [Out::Cancel { attempt: AttemptId(2) }, moved]);
            assert_eq!(bench.after(DRAIN), [close(peer, 3, CloseReason::Duplicate)]);
        } else {
            assert_eq!(bench.after(STAGGER), []);
            assert_eq!(bench.succeeded(peer, 1, 4), []);
            assert_eq!(bench.after(DRAIN), [close(peer, 4, CloseReason::Duplicate)]);
        }
    }
}

#[test]
fn a_link_falls_back_to_the_connection_that_it_replaced() {
    let mut bench = Bench::new(1);
    bench.accepted(2, 1, 1);
    assert_eq!(bench.accepted(2, 2, 1), [Out::Moved { peer: 2, connection: ConnectionId(2) }]);
    let closed = bench.step(LinkInput::Closed { peer: 2, connection: ConnectionId(2) });
    assert_eq!(closed, [Out::Moved { peer: 2, connection: ConnectionId(1) }], "its dialler gave the second up");
    assert_eq!(bench.after(DRAIN * 2), [], "the first is the link again");
    assert_eq!(bench.links.connection(&2), Some(ConnectionId(1)));
}

#[test]
fn another_run_of_the_peer_is_another_link() {
    let mut bench = Bench::linked(1, 2);
    let up =
        |connection| LinkState::Up { connection: ConnectionId(connection), epoch: u32::try_from(connection).unwrap() };
    assert_eq!(bench.links.state(&2, bench.now), up(1));
    let expected = [
        Out::Down { peer: 2, why: Ended::Restarted },
        close(2, 1, CloseReason::Duplicate),
        Out::Up { peer: 2, connection: ConnectionId(2) },
    ];
    assert_eq!(bench.accepted(2, 2, 99), expected);
    assert_eq!(bench.links.state(&2, bench.now), up(2));
}

#[test]
fn a_link_that_is_not_acknowledged_is_ended_and_another_way_is_tried() {
    let mut bench = Bench::linked(1, 2);
    let (connection, rtt) = (ConnectionId(1), Duration::from_millis(40));
    bench.links.sent(&2, connection, bench.now, rtt);
    bench.now = bench.now + Duration::from_secs(1);
    bench.links.acknowledged(&2, connection);
    assert_eq!(bench.after(PATIENCE * 2), [], "an acknowledgement is enough");
    bench.links.sent(&2, connection, bench.now, rtt);
    bench.now = bench.now + Duration::from_secs(1);
    bench.links.sent(&2, connection, bench.now, rtt);
    let left = (PATIENCE + rtt).checked_sub(Duration::from_secs(1)).unwrap();
    assert_eq!(bench.after(left.checked_sub(Duration::from_micros(1)).unwrap()), []);
    let expected =
        [Out::Down { peer: 2, why: Ended::Unacknowledged }, close(2, 1, CloseReason::Unacknowledged), dial(2, 2, 11)];
    assert_eq!(bench.after(Duration::from_micros(1)), expected, "counted from what was sent first");
}

#[test]
fn a_flood_of_wishes_is_served_few_at_a_time_and_requests_first() {
    let mut bench = Bench::new(0);
    let ghosts = 1..=445;
    for peer in ghosts.clone().chain([500]) {
        bench.learn(peer, &[10]);
    }
    let mut dialled = Vec::new();
    for peer in ghosts {
        let out = bench.step(LinkInput::Want { peer, urgency: Urgency::Upkeep });
        dialled.extend(out);
    }
    let first: Vec<Out> = (1..=32).map(|peer| dial(peer, u64::from(peer), 10)).collect();
    assert_eq!((dialled, ROUNDS_MAX), (first, 32));
    assert_eq!(bench.want(500), []);
    let out = bench.failed(1, 1);
    assert!(matches!(out[..], [Out::Failed { peer: 1, .. }, Out::Dial { peer: 500, .. }]), "{out:?}");
    // Whoever is heard meanwhile is dialled no more.
    bench.accepted(33, 1, 1);
    let out = bench.failed(2, 2);
    assert!(matches!(out[..], [Out::Failed { peer: 2, .. }, Out::Dial { peer: 34, .. }]), "{out:?}");
}

#[test]
fn the_table_is_bounded_and_forgets_nobody_to_whom_there_is_a_link() {
    let mut bench = Bench::new(0);
    let most = u32::try_from(PEERS_MAX).unwrap();
    for peer in 1..=most {
        bench.accepted(peer, u64::from(peer), 1);
    }
    let turned_away = bench.accepted(most + 1, u64::from(most) + 1, 1);
    assert_eq!(turned_away, [close(most + 1, u64::from(most) + 1, CloseReason::Unwelcome)]);
    bench.step(LinkInput::Closed { peer: 7, connection: ConnectionId(7) });
    bench.learn(most + 1, &[10]);
    assert_eq!((bench.links.addresses(&7).len(), bench.links.addresses(&(most + 1)).len()), (0, 1));
    assert_eq!(bench.accepted(0, 5_000, 1), [close(0, 5_000, CloseReason::Unwelcome)], "this node itself");
}

#[test]
fn a_link_that_nobody_wants_ends_with_all_that_was_under_way() {
    let mut bench = Bench::linked(1, 2);
    let down = Out::Down { peer: 2, why: Ended::HungUp };
    assert_eq!(bench.step(LinkInput::HangUp { peer: 2 }), [down, close(2, 1, CloseReason::HungUp)]);
    assert_eq!(bench.want(2), [dial(2, 2, 10)]);
    assert_eq!(bench.step(LinkInput::HangUp { peer: 2 }), [Out::Cancel { attempt: AttemptId(2) }]);
    assert_eq!(bench.after(STAGGER), [], "nor is another address tried");
    assert_eq!(bench.want(2), [dial(2, 3, 10)]);
    assert_eq!(bench.step(LinkInput::Forget { peer: 2 }), [Out::Cancel { attempt: AttemptId(3) }]);
    assert_eq!(bench.links.state(&2, bench.now), LinkState::Nowhere);
    assert_eq!(bench.succeeded(2, 3, 4), [close(2, 4, CloseReason::Duplicate)]);
}

#[test]
fn no_two_links_have_one_epoch() {
    let mut bench = Bench::linked(1, 2);
    bench.step(LinkInput::Forget { peer: 2 });
    bench.accepted(2, 7, 1);
    let up = LinkState::Up { connection: ConnectionId(7), epoch: 2 };
    assert_eq!(bench.links.state(&2, bench.now), up);
}

/// A node with as many rounds under way as there may be, and one peer more that waits.
fn crowded() -> Bench {
    let mut bench = Bench::new(1_000);
    for peer in 1..=33 {
        bench.learn(peer, &[10]);
        bench.want(peer);
    }
    assert_eq!(bench.links.state(&33, bench.now), LinkState::Dialling);
    bench
}

#[test]
fn a_peer_that_waits_and_says_nowhere_is_dialled_where_it_was() {
    let mut bench = crowded();
    bench.learn(33, &[]);
    let out = bench.failed(1, 1);
    assert!(matches!(out[..], [Out::Failed { peer: 1, .. }, Out::Dial { peer: 33, .. }]), "{out:?}");
}

#[test]
fn a_link_that_an_old_attempt_made_leaves_nobody_waiting() {
    let mut bench = crowded();
    // Its round is left when the peer, whose dial would win, comes in; the attempt goes on.
    bench.accepted(1, 1, 1);
    assert_eq!(bench.links.state(&33, bench.now), LinkState::Dialling);
    bench.step(LinkInput::Closed { peer: 1, connection: ConnectionId(1) });
    assert_eq!(bench.want(1), [], "it waits, as the place went to another");
    assert_eq!(bench.succeeded(1, 1, 2), [Out::Up { peer: 1, connection: ConnectionId(2) }]);
    bench.step(LinkInput::Closed { peer: 1, connection: ConnectionId(2) });
    bench.failed(2, 2);
    let out = bench.want(1);
    assert!(matches!(out[..], [Out::Dial { peer: 1, .. }]), "{out:?}");
}

#[test]
fn a_round_that_fails_beside_a_link_says_nothing() {
    let mut bench = Bench::new(1);
    bench.learn(2, &[10]);
    bench.want(2);
    bench.accepted(2, 1, 1);
    assert_eq!(bench.failed(2, 1), []);
    bench.step(LinkInput::Closed { peer: 2, connection: ConnectionId(1) });
    assert_eq!(bench.want(2), [dial(2, 2, 77)], "there is nothing to wait for");
}

#[test]
fn a_connection_beside_a_link_that_is_not_acknowledged_takes_its_place() {
    let mut bench = Bench::linked(1, 2);
    bench.links.sent(&2, ConnectionId(1), bench.now, Duration::ZERO);
    bench.now = bench.now + PATIENCE.checked_sub(Duration::from_millis(1)).unwrap();
    // The peer noticed first and dialled by another way; by the rule the older link would stay.
    assert_eq!(bench.accepted(2, 9, 1), []);
    let expected = [
        Out::Down { peer: 2, why: Ended::Unacknowledged },
        close(2, 1, CloseReason::Unacknowledged),
        Out::Up { peer: 2, connection: ConnectionId(9) },
    ];
    assert_eq!(bench.after(Duration::from_millis(1)), expected);
    assert_eq!(bench.after(DRAIN * 2), []);
}
