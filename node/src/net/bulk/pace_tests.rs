//! The pacer in a loop with a link: a queue that is served at a rate, and a way that takes its time.

use std::collections::VecDeque;

use super::*;

const PACKET: u64 = 1_200;

/// A sender that always has something to send, over one link with a queue of any length.
struct Path {
    rate_bytes_s: f64,
    /// The way there and back, without the queue.
    way: Duration,
    start: Instant,
    now: Duration,
    /// When the link has sent what it took.
    free: Duration,
    /// When each packet under way is acknowledged, and when it was sent.
    under_way: VecDeque<(Duration, Duration)>,
    smoothed: Option<Duration>,
    pacer: Pacer,
}

/// What a stretch of time brought.
struct Stretch {
    rate_bytes_s: f64,
    /// Delays of the packets in the queue, in ascending order.
    delays: Vec<Duration>,
}

impl Path {
    fn new(mbit_s: f64, way_ms: u64) -> Self {
        let start = Instant::now();
        Self {
            rate_bytes_s: mbit_s * 125_000.0,
            way: Duration::from_millis(way_ms),
            start,
            now: Duration::ZERO,
            free: Duration::ZERO,
            under_way: VecDeque::new(),
            smoothed: None,
            pacer: Pacer::new(start),
        }
    }

    fn run(&mut self, length: Duration) -> Stretch {
        let (end, began) = (self.now + length, self.now);
        let (mut delays, mut acknowledged, mut written) = (Vec::new(), 0, 0);
        while self.now < end {
            while (self.under_way.len() as u64 + 1) * PACKET <= self.pacer.window() {
                let leaves = self.free.max(self.now);
                delays.push(leaves - self.now);
                self.free = leaves + Duration::from_secs_f64(PACKET as f64 / self.rate_bytes_s);
                self.under_way.push_back((self.free + self.way, self.now));
                written += PACKET;
            }
            let (arrived, sent) = self.under_way.pop_front().expect("the least window holds packets");
            self.now = arrived;
            acknowledged += PACKET;
            let rtt = arrived - sent;
            // RFC 9002 §5.3.
            let smoothed = self.smoothed.map_or(rtt, |smoothed| smoothed * 7 / 8 + rtt / 8);
            self.smoothed = Some(smoothed);
            self.pacer.sample(self.start + self.now, smoothed, std::mem::take(&mut written));
        }
        delays.sort_unstable();
        Stretch { rate_bytes_s: acknowledged as f64 / (self.now - began).as_secs_f64(), delays }
    }
}

impl Stretch {
    fn delay(&self, share: f64) -> Duration {
        self.delays[((self.delays.len() - 1) as f64 * share) as usize]
    }
}

#[test]
fn a_link_is_filled_and_its_queue_stays_short() {
    let ms = Duration::from_millis;
    // Mbit/s, way; the longest delay of the start, and that of 99 in 100 packets afterwards.
    let paths = [
        (100.0, 40, ms(20), ms(11)),
        (20.0, 40, ms(26), ms(11)),
        // The least window is more than this link holds.
        (2.0, 40, ms(300), ms(40)),
        (1000.0, 1, ms(3), ms(3)),
        (300.0, 200, ms(38), ms(38)),
    ];
    for (mbit_s, way_ms, at_first, delay) in paths {
        let mut path = Path::new(mbit_s, way_ms);
        let first = path.run(Duration::from_secs(4));
        let later = path.run(Duration::from_secs(20));
        let reached = later.rate_bytes_s / path.rate_bytes_s;
        assert!(reached >= 0.95, "{mbit_s} Mbit/s {way_ms} ms: {reached} of the rate");
        assert!(first.delay(1.0) <= at_first, "{mbit_s} Mbit/s {way_ms} ms: {:?} at first", first.delay(1.0));
        assert!(later.delay(0.99) <= delay, "{mbit_s} Mbit/s {way_ms} ms: {:?}", later.delay(0.99));
    }
}

#[test]
fn a_fast_path_is_bounded_by_the_largest_window_and_an_idle_one_does_not_grow() {
    let mut path = Path::new(100_000.0, 100);
    path.run(Duration::from_secs(20));
    assert_eq!(path.pacer.window(), WINDOW_MAX);

    let (start, rtt) = (Instant::now(), Duration::from_millis(10));
    let mut pacer = Pacer::new(start);
    for round in 1..100 {
        assert!(!pacer.sample(start + rtt * round, rtt, WINDOW_START / 2 - 1), "round {round}");
    }
    assert_eq!(pacer.window(), WINDOW_START);
    assert!(pacer.sample(start + rtt * 100, rtt, WINDOW_START / 2));
}

#[test]
fn a_delay_halves_the_window_at_most_once_a_round() {
    let (start, base) = (Instant::now(), Duration::from_millis(40));
    let mut pacer = Pacer::new(start);
    assert!(pacer.sample(start + base, base, WINDOW_START));
    let grown = pacer.window();
    let slow = base * 10;
    assert!(!pacer.sample(start + base * 2, slow, 0), "the round is not over");
    assert!(pacer.sample(start + base + slow, slow, 0));
    assert_eq!(pacer.window(), grown / 2);
    for round in 2..10 {
        pacer.sample(start + base + slow * round, slow, 0);
    }
    assert_eq!(pacer.window(), WINDOW_MIN);
}

#[test]
fn a_path_that_became_longer_is_measured_anew() {
    let mut path = Path::new(100.0, 20);
    path.run(Duration::from_secs(3));
    path.way = Duration::from_millis(120);
    path.run(Duration::from_secs(10));
    let later = path.run(Duration::from_secs(10));
    let reached = later.rate_bytes_s / path.rate_bytes_s;
    assert!(reached >= 0.9, "{reached}");
    assert!(later.delay(0.99) <= Duration::from_millis(40), "{:?}", later.delay(0.99));
}
