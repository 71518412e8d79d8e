use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;

use super::*;

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(1)
}

/// Arrivals after `start` of datagrams of `bytes`, offered at these times after it.
fn arrivals(
    settings: PathSettings,
    bytes: usize,
    offered: impl IntoIterator<Item = Duration>,
) -> Vec<Option<Duration>> {
    let (start, mut path, mut rng) = (Instant::now(), Path::new(settings), rng());
    let fate = |at| path.offer(start + at, bytes, &mut rng);
    let arrival = |fate| match fate {
        Fate::Deliver { at } => Some(at - start),
        Fate::Drop(_) => None,
    };
    offered.into_iter().map(fate).map(arrival).collect()
}

#[test]
fn without_settings_a_datagram_arrives_at_once() {
    let offered = [ms(0), ms(0), ms(7)];
    assert_eq!(arrivals(PathSettings::CLEAR, 1500, offered), offered.map(Some));
}

#[test]
fn a_delay_is_added_to_each() {
    let settings = PathSettings::delayed(ms(40));
    assert_eq!(arrivals(settings, 1500, [ms(0), ms(0), ms(7)]), [ms(40), ms(40), ms(47)].map(Some));
}

#[test]
fn a_cut_path_carries_nothing() {
    let mut path = Path::new(PathSettings { is_cut: true, delay: ms(40), ..PathSettings::CLEAR });
    assert_eq!(path.offer(Instant::now(), 1, &mut rng()), Fate::Drop(DropReason::Cut));
}

#[test]
fn jitter_is_uniform_where_datagrams_are_far_apart() {
    let settings = PathSettings { delay: ms(10), jitter: ms(20), ..PathSettings::CLEAR };
    let offered = (0..100_000).map(|i| ms(100 * i));
    let delays: Vec<_> =
        arrivals(settings, 100, offered.clone()).iter().zip(offered).map(|(at, sent)| at.unwrap() - sent).collect();
    let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
    assert!(*least >= ms(10) && *least < Duration::from_micros(10_010), "{least:?}");
    assert!(*most <= ms(30) && *most > Duration::from_micros(29_990), "{most:?}");
    for quarter in 0..4 {
        let (from, to) = (ms(10 + 5 * quarter), ms(15 + 5 * quarter));
        let share = delays.iter().filter(|delay| (from..to).contains(*delay)).count();
        assert!((24_500..25_500).contains(&share), "{share} of 100,000 between {from:?} and {to:?}");
    }
}

#[test]
fn jitter_keeps_the_order() {
    let settings = PathSettings { delay: ms(10), jitter: ms(20), ..PathSettings::CLEAR };
    let at = arrivals(settings, 100, (0..10_000).map(|i| Duration::from_micros(100 * i)));
    assert!(at.is_sorted(), "one overtook another");
    assert!(at.iter().enumerate().all(|(i, at)| at.unwrap() <= Duration::from_micros(100 * i as u64) + ms(30)));
}

#[test]
fn a_rate_is_kept_within_a_hundredth() {
    for rate_kbps in [64, 1_000, 20_000, 100_000, 1_000_000] {
        for bytes in [60, 1_228, 1_500] {
            // Offered at twice the rate for ten seconds; what does not fit the queue is dropped.
            let gap = time_on_line(rate_kbps, bytes as u64) / 2;
            let count = u32::try_from(ms(10_000).as_nanos() / gap.as_nanos()).unwrap().min(200_000);
            let settings = PathSettings { rate_kbps, ..PathSettings::CLEAR };
            let at: Vec<_> = arrivals(settings, bytes, (0..count).map(|i| gap * i)).into_iter().flatten().collect();
            let bits = (at.len() * bytes * 8) as f64;
            let kbps = bits / at.last().unwrap().as_secs_f64() / 1000.0;
            let off = kbps / f64::from(rate_kbps) - 1.0;
            assert!(off.abs() < 0.01, "{bytes} bytes at {rate_kbps} kbit/s: {kbps}");
        }
    }
}

#[test]
fn a_queue_takes_what_it_is_told_and_not_more() {
    let settings = PathSettings { rate_kbps: 8_000, queue_kib: 10, ..PathSettings::CLEAR };
    // A thousand bytes take a millisecond; of those that wait beside the one on the line ten fit into 10,240 bytes.
    let at = arrivals(settings, 1_000, [ms(0); 20]);
    let taken: Vec<_> = (1..=10).map(ms).map(Some).collect();
    assert_eq!(at, [taken, vec![None; 10]].concat());
    let later = arrivals(settings, 1_000, [[ms(0); 12].as_slice(), &[ms(1); 3]].concat());
    assert_eq!(later[10..], [None, None, Some(ms(11)), None, None]);
}

#[test]
fn a_line_that_is_free_takes_a_datagram_above_its_queue() {
    let settings = PathSettings { rate_kbps: 8_000, queue_kib: 1, ..PathSettings::CLEAR };
    assert_eq!(
        arrivals(settings, 1_500, [ms(0), ms(1), ms(2)]),
        [Some(Duration::from_micros(1_500)), None, Some(Duration::from_micros(3_500))]
    );
}

#[test]
fn a_queue_that_is_not_named_holds_a_tenth_of_a_second_and_the_beginning_of_a_connection() {
    let queue = |rate_kbps| PathSettings { rate_kbps, ..PathSettings::CLEAR }.queue_bytes();
    assert_eq!(queue(100_000), 1_250_000);
    assert_eq!(queue(64), QUEUE_BYTES_MIN);
}

#[test]
fn what_is_lost_took_its_turn_on_the_line() {
    let loss = Loss::from_percent(10.0).unwrap();
    let settings = PathSettings { rate_kbps: 8_000, loss, queue_kib: 1 << 16, ..PathSettings::CLEAR };
    let at = arrivals(settings, 1_000, std::iter::repeat_n(ms(0), 50_000));
    let lost = at.iter().filter(|at| at.is_none()).count();
    assert!((4_700..5_300).contains(&lost), "{lost} of 50,000");
    for (i, at) in at.iter().enumerate() {
        assert!(at.is_none_or(|at| at == ms(i as u64 + 1)), "the {i}th at {at:?}");
    }
}

#[test]
fn equal_draws_give_equal_fates() {
    let loss = Loss::from_percent(30.0).unwrap();
    let settings = PathSettings { jitter: ms(20), loss, rate_kbps: 1_000, ..PathSettings::CLEAR };
    let offered = || (0..1_000).map(|i| ms(3 * i));
    assert_eq!(arrivals(settings, 500, offered()), arrivals(settings, 500, offered()));
}

#[test]
fn other_settings_make_another_path_and_resting_ones_make_room() {
    let (now, mut rng) = (Instant::now(), rng());
    let slow = PathSettings { rate_kbps: 8, ..PathSettings::CLEAR };
    let mut paths = Paths::default();
    let mut offer =
        |at, name: usize, settings| paths.path(at, name, settings).map(|path| path.offer(at, 1_000, &mut rng));
    let at = |span: u64| Some(Fate::Deliver { at: now + Duration::from_secs(span) });
    assert_eq!([offer(now, 1, slow), offer(now, 1, slow), offer(now, 2, slow)], [at(1), at(2), at(1)]);
    assert_eq!(offer(now, 1, PathSettings::CLEAR), at(0));
    assert_eq!(offer(now, 1, slow), at(1), "the backlog went with the settings");
    for name in 3..=PATHS_MAX {
        assert_eq!(offer(now, name, slow), at(1));
    }
    assert_eq!(offer(now, 0, slow), None, "all are in use");
    let later = now + Duration::from_secs(1);
    assert_eq!(offer(later, 0, slow), at(2));
}
