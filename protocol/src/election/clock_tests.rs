//! Clocks at all rates, read over a network that takes its time.

use super::*;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

const BOUND_PERMILLE: u32 = 10;

/// A clock that is off by so many millionths and was started some time ago.
#[derive(Debug, Clone, Copy)]
struct Clock {
    ppm: i64,
    start_us: u64,
}

impl Clock {
    fn at(self, true_us: u64) -> u64 {
        let rate = u128::try_from(1_000_000 + self.ppm).expect("clocks go forward");
        self.start_us + u64::try_from(u128::from(true_us) * rate / 1_000_000).expect("a few minutes")
    }
}

/// A node with this clock reads the clocks of others, one twice a second, over round trips of up to `rtt_us`. Verdicts and
/// their moments in seconds.
fn run(seed: u64, own_ppm: i64, others_ppm: &[i64], seconds: u64, rtt_us: u64) -> Vec<(u64, ClockVerdict)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut below = |bound: u64| rng.next_u64() % bound.max(1);
    let own = Clock { ppm: own_ppm, start_us: below(1 << 40) };
    // One of the clocks wraps on the way.
    let wraps = (u64::from(u32::MAX) - 60_000) * 1_000;
    let others: Vec<Clock> = others_ppm.iter().map(|&ppm| Clock { ppm, start_us: wraps + below(1 << 30) }).collect();
    let mut check = ClockCheck::default();
    let mut verdicts = Vec::new();
    for probe in 0..seconds * 2 {
        let sent = probe * 500_000;
        let (there, back) = (below(rtt_us / 2), below(rtt_us / 2));
        let which = usize::try_from(below(others.len() as u64)).unwrap();
        let clock_ms = u32::try_from(others[which].at(sent + there) / 1_000 % (1 << 32)).unwrap();
        let node = NodeId::from_bytes([u8::try_from(which).unwrap(); 32]);
        let (sent, received) = (Mono(own.at(sent)), Mono(own.at(sent + there + back)));
        verdicts.extend(check.read(node, sent, received, clock_ms, BOUND_PERMILLE).map(|verdict| (probe / 2, verdict)));
    }
    verdicts
}

#[test]
fn clocks_within_the_bound_never_raise_an_alarm() {
    for seed in 0..20 {
        for own in [-9_000, -500, 0, 9_000] {
            for others in [[9_000; 4], [-9_000; 4], [9_000, -9_000, 0, 500]] {
                assert_eq!(run(seed, own, &others, 600, 100_000), [], "{own} among {others:?}");
            }
        }
    }
}

#[test]
fn a_clock_far_out_of_bound_is_noticed_within_two_minutes() {
    for seed in 0..20 {
        for own in [-30_000, 30_000] {
            for others in [vec![0, 0], vec![400, -300, 100, 0], vec![9_000, -9_000, 0, 0, 4_000, -4_000]] {
                let verdicts = run(seed, own, &others, 600, 100_000);
                let [(at, ClockVerdict::Suspect(ppm))] = verdicts.as_slice() else { panic!("{verdicts:?}") };
                assert!(*at <= 120, "{own} among {others:?} was noticed after {at} s");
                assert!(ppm.signum() == own.signum() && (20_000..39_000).contains(&ppm.abs()), "{ppm}");
            }
        }
    }
}

#[test]
fn neither_a_liar_nor_a_minority_of_bad_clocks_raises_an_alarm() {
    for seed in 0..20 {
        for others in
            [vec![900_000, 0], vec![30_000, 0, 0], vec![-30_000, -30_000, 0, 0], vec![30_000, 30_000, 30_000, 0, 0, 0]]
        {
            assert_eq!(run(seed, 0, &others, 300, 50_000), [], "{others:?}");
        }
        assert_eq!(run(seed, 0, &[30_000], 300, 50_000), [], "of two clocks nobody knows which is wrong");
    }
}

#[test]
fn a_clock_that_is_well_again_is_trusted_after_a_while() {
    let node = |n: u8| NodeId::from_bytes([n; 32]);
    let mut check = ClockCheck::default();
    let (mut own_us, mut verdicts) = (1_000_000, Vec::new());
    for second in 0..400_u64 {
        own_us += if second < 100 { 1_030_000 } else { 1_000_000 };
        let clock_ms = u32::try_from(second * 1_000).unwrap();
        for witness in 0..3 {
            let (sent, received) = (Mono(own_us), Mono(own_us + 1_000));
            verdicts.extend(check.read(node(witness), sent, received, clock_ms, BOUND_PERMILLE).map(|v| (second, v)));
        }
        let suspected = verdicts.len() == 1;
        assert_eq!(check.is_trusted(), !suspected, "after {second} s");
    }
    let [(first, ClockVerdict::Suspect(_)), (second, ClockVerdict::Well)] = verdicts.as_slice() else {
        panic!("{verdicts:?}")
    };
    assert!((30..60).contains(first) && (160..260).contains(second), "{verdicts:?}");
    check.forget();
    assert_eq!(check.read(node(0), Mono(0), Mono(1), 9, BOUND_PERMILLE), None);
}
