//! Whole networks of nodes that measure each other: do their coordinates predict, and what can liars do to them?
//! A run is a function of its seed, which it prints.

use super::*;
use crate::defect::{Defect, Defects, Sound};
use hedgerow_attest::id::NodeId;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

const SIZE: usize = 50;

/// Of which so many lie, where any do.
const LIARS: usize = 5;

/// Nodes on a plane, each at the end of an access link.
struct Network<D> {
    rng: ChaCha8Rng,
    /// Where it is on the plane, and how long its link is, in microseconds.
    places: Vec<(u64, u64, u64)>,
    nodes: Vec<Coordinates<D>>,
    liars: usize,
    lie: Lie,
    round: u64,
    /// The farthest that one observation moved anybody, in microseconds.
    farthest_us: u64,
}

/// What liars do. All of them claim to be as sure as anybody may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// From one end of the space to the other and back.
    Alternating,
    /// Always at the same end.
    FarAway,
    /// There, and they answer late.
    FarAwayAndLate,
    /// Exactly where whoever asks is.
    Shadow,
    /// There, and they answer a second late.
    LateShadow,
    /// A little beside whoever asks, always on the same side.
    Nudge,
}

const LIES: [Lie; 6] = [Lie::Alternating, Lie::FarAway, Lie::FarAwayAndLate, Lie::Shadow, Lie::LateShadow, Lie::Nudge];

impl<D: Defects> Network<D> {
    fn new(seed: u64, defects: D, mut place: impl FnMut(usize, &mut dyn FnMut(u64) -> u64) -> (u64, u64, u64)) -> Self {
        println!("seed {seed}");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let places = (0..SIZE).map(|number| place(number, &mut |bound| below(&mut rng, bound))).collect();
        let nodes = (0..SIZE).map(|_| Coordinates::with_defects(defects)).collect();
        Self { rng, places, nodes, liars: 0, lie: Lie::Shadow, round: 0, farthest_us: 0 }
    }

    /// Anywhere on a square of that width, with links up to that length.
    fn square(seed: u64, defects: D, width: u64, link: u64) -> Self {
        Self::new(seed, defects, |_, below| (below(width), below(width), 1 + below(link)))
    }

    fn rtt_us(&self, a: usize, b: usize) -> u64 {
        let ((ax, ay, a_link), (bx, by, b_link)) = (self.places[a], self.places[b]);
        (ax.abs_diff(bx).pow(2) + ay.abs_diff(by).pow(2)).isqrt() + a_link + b_link
    }

    /// Every honest node measures one other, so many times.
    fn rounds(&mut self, rounds: u64) {
        for _ in 0..rounds {
            self.round += 1;
            for here in self.liars..SIZE {
                let other = usize::try_from(below(&mut self.rng, SIZE as u64 - 1)).unwrap();
                let there = other + usize::from(other >= here);
                let (theirs, delay_us) = if there < self.liars { self.lie(here) } else { (self.nodes[there].own(), 0) };
                let rtt_us = self.rtt_us(here, there) + delay_us;
                let draw = self.rng.next_u64();
                match self.nodes[here].observe(node(there), &theirs, rtt_us, draw) {
                    Observation::Moved { by_us, .. } => self.farthest_us = self.farthest_us.max(by_us),
                    Observation::Refused(refusal) => panic!("{refusal:?} of {rtt_us}"),
                }
            }
        }
    }

    fn lie(&mut self, to: usize) -> (Coordinate, u64) {
        let most = i32::try_from(COMPONENT_MAX).unwrap();
        let end = |sign: i32| CoordinateWire {
            vector: [sign * most; DIMENSIONS],
            height: if sign > 0 { HEIGHT_MAX } else { HEIGHT_MIN },
            adjustment: sign * 2_000,
            error: ERROR_MIN,
        };
        let shadow = CoordinateWire { error: ERROR_MIN, ..*self.nodes[to].own().fields() };
        let (wire, delay_us) = match self.lie {
            Lie::Alternating => (end(if self.round.is_multiple_of(2) { 1 } else { -1 }), 0),
            Lie::FarAway => (end(1), 0),
            Lie::FarAwayAndLate => (end(-1), below(&mut self.rng, 1_000_000)),
            Lie::Shadow => (shadow, 0),
            Lie::LateShadow => (shadow, 1_000_000),
            Lie::Nudge => {
                let mut beside = shadow;
                beside.vector[0] = (beside.vector[0] + 5_000).min(most);
                (beside, 0)
            }
        };
        (Coordinate::try_from(wire).unwrap(), delay_us)
    }

    /// By which shares of the round trip the honest mispredict each other, in thousandths, sorted.
    fn errors(&self) -> Vec<u64> {
        let mut errors = Vec::new();
        for a in self.liars..SIZE {
            for b in self.liars..a {
                let rtt_us = self.rtt_us(a, b);
                errors
                    .push(self.nodes[a].own().estimate_rtt_us(&self.nodes[b].own()).abs_diff(rtt_us) * 1_000 / rtt_us);
            }
        }
        errors.sort_unstable();
        errors
    }

    fn median(&self) -> u64 {
        let errors = self.errors();
        errors[errors.len() / 2]
    }

    /// How far from the origin the honest lie at most, in milliseconds.
    fn eccentricity_ms(&self) -> u64 {
        let squares = |node: &Coordinates<D>| {
            node.own().fields().vector.iter().map(|part| u64::from(part.unsigned_abs()).pow(2)).sum::<u64>()
        };
        self.nodes[self.liars..]
            .iter()
            .map(|node| squares(node).isqrt() * u64::from(UNIT_US) / 1_000)
            .max()
            .unwrap_or(0)
    }

    /// The error that nodes expect of themselves, in thousandths, in the mean.
    fn expected(&self) -> u64 {
        self.nodes.iter().map(|node| u64::from(node.own().fields().error)).sum::<u64>() / SIZE as u64
    }

    fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        self.nodes.iter().for_each(|node| node.digest(&mut hasher));
        hasher.finalize()
    }
}

fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    rng.next_u64() % bound
}

fn node(number: usize) -> NodeId {
    NodeId::from_bytes([u8::try_from(number).unwrap(); 32])
}

#[test]
fn a_static_network_is_learnt_and_its_nodes_know_that_they_learn() {
    for seed in 1..=3 {
        let mut network = Network::square(seed, Sound, 100_000, 5_000);
        let mut expected = vec![network.expected()];
        for rounds in [20, 30, 50, 100, 200] {
            network.rounds(rounds);
            expected.push(network.expected());
            println!("round {}: median {}, expected {}", network.round, network.median(), network.expected());
            if network.round == 100 {
                assert!(network.median() < 100, "a tenth after a hundred measurements each");
            }
        }
        let errors = network.errors();
        assert!(network.median() < 25 && errors[errors.len() * 9 / 10] < 100, "{}", network.median());
        assert!(expected.is_sorted_by(|before, after| before > after), "{expected:?}");
        assert!(network.farthest_us <= MOVE_MAX_US);
    }
}

#[test]
fn the_five_that_seem_nearest_are_near() {
    // Ten nodes at each of five sites, a few hundred microseconds apart there and 50 to 140 ms between.
    let sites = [(60, 40), (120, 40), (60, 100), (140, 120), (10, 60)];
    for seed in 1..=3 {
        let mut network = Network::new(seed, Sound, |number, below| {
            let (x, y) = sites[number % 5];
            (x * 1_000 + below(300), y * 1_000 + below(300), 1 + below(200))
        });
        network.rounds(300);
        let mut strangers = 0;
        for here in 0..SIZE {
            let own = network.nodes[here].own();
            let mut others: Vec<usize> = (0..SIZE).filter(|there| *there != here).collect();
            others.sort_by_key(|there| own.estimate_rtt_us(&network.nodes[*there].own()));
            strangers += others[..5].iter().filter(|there| *there % 5 != here % 5).count();
        }
        println!("{strangers} strangers");
        assert!(strangers * 20 <= 5 * SIZE, "{strangers}");
    }
}

#[test]
fn a_tenth_of_liars_does_not_keep_the_others_from_knowing_each_other() {
    for (width, link) in [(100_000, 5_000), (1_000, 300)] {
        for lie in LIES {
            let mut network = Network::square(1, Sound, width, link);
            network.rounds(200);
            (network.liars, network.lie) = (LIARS, lie);
            let mut worst = (0, 0);
            for _ in 0..40 {
                network.rounds(10);
                let errors = network.errors();
                worst = (worst.0.max(network.median()), worst.1.max(errors[errors.len() * 9 / 10]));
            }
            let eccentricity_ms = network.eccentricity_ms();
            println!("{width} {lie:?}: median {}, nine in ten {}, {eccentricity_ms} ms", worst.0, worst.1);
            assert!(worst.0 < 350 && worst.1 < 1_500, "{lie:?}: {worst:?}");
            assert!(eccentricity_ms < 350, "{lie:?}: {eccentricity_ms} ms from the origin");
            assert!(network.farthest_us <= MOVE_MAX_US);
        }
    }
}

#[test]
fn they_recover_from_liars() {
    let mut network = Network::square(1, Sound, 100_000, 5_000);
    (network.liars, network.lie) = (LIARS, Lie::Alternating);
    network.rounds(200);
    network.liars = 0;
    network.rounds(200);
    assert!(network.median() < 25, "{}", network.median());
}

#[derive(Debug, Clone, Copy)]
struct Planted;

impl Defects for Planted {
    fn has(self, defect: Defect) -> bool {
        defect == Defect::CoordinateUnbounded
    }
}

#[test]
fn without_the_bound_one_liar_is_enough() {
    let mut network = Network::square(1, Planted, 100_000, 5_000);
    network.rounds(200);
    assert!(network.median() < 25, "{}", network.median());
    (network.liars, network.lie) = (1, Lie::Alternating);
    network.rounds(100);
    assert!(network.farthest_us > 100 * MOVE_MAX_US, "{}", network.farthest_us);
    assert!(network.median() > 1_000, "{}", network.median());
}

#[test]
fn a_run_is_a_function_of_its_seed_on_every_machine() {
    let run = |seed| {
        let mut network = Network::square(seed, Sound, 100_000, 5_000);
        network.rounds(100);
        (network.nodes[0].own(), network.digest())
    };
    let (own, digest) = run(7);
    assert_eq!(run(7), (own, digest));
    assert_ne!(run(8).1, digest);
    let fields = CoordinateWire {
        vector: [708, 3_308, -795, 368, -1_221, 210, -4_281, -1_322],
        height: 338,
        adjustment: -28,
        error: 89,
    };
    assert_eq!(*own.fields(), fields);
    assert_eq!(&digest.to_hex()[..16], "6f0ca2b4a5c42f57");
}
