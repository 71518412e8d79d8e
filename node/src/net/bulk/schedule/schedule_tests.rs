//! The schedule alone, and against a world of sources that lie, break, stall, and lose what was asked of them.

use proptest::prelude::*;

use super::super::source::{FAILURES_MAX, STALL};
use super::*;
use crate::content::testing::range;

fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 32])
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn step(schedule: &mut Schedule, at_ms: u64, input: Input) -> Vec<Output> {
    let mut out = Vec::new();
    schedule.step(ms(at_ms), input, &mut out);
    out
}

fn ask(source: u8, range: GroupRange) -> Output {
    Output::Ask { source: node(source), range }
}

fn stored(source: u8, range: GroupRange) -> Input {
    Input::Stored { source: node(source), range }
}

fn failed(source: u8, fault: Fault) -> Input {
    Input::Failed { source: node(source), fault }
}

/// The content has three ranges.
const RANGES: u32 = 3;

fn part(number: u32) -> GroupRange {
    range(64 * number, 64 * (number + 1))
}

fn three_ranges(sources: &[u8]) -> Schedule {
    let mut schedule = Schedule::new([range(0, 64 * RANGES)]);
    for source in sources {
        step(&mut schedule, 0, Input::Join(node(*source)));
    }
    schedule
}

#[test]
fn each_source_gets_a_range_and_the_faster_one_the_next() {
    let mut schedule = Schedule::new([range(0, 192)]);
    assert_eq!(step(&mut schedule, 0, Input::Join(node(1))), [ask(1, part(0))]);
    assert_eq!(step(&mut schedule, 0, Input::Join(node(1))), [], "known already");
    assert_eq!(step(&mut schedule, 0, Input::Join(node(2))), [ask(2, part(1))]);
    assert_eq!(step(&mut schedule, 100, stored(2, part(1))), [ask(2, part(2))]);
    assert_eq!(step(&mut schedule, 200, stored(2, part(2))), []);
    assert_eq!(step(&mut schedule, 300, stored(1, part(0))), [Output::Done]);
    assert_eq!(step(&mut schedule, 400, Input::Join(node(3))), [], "nothing follows");
    assert_eq!(schedule.next_deadline(), None);
}

#[test]
fn a_fast_source_has_ever_more_ranges_asked_of_it_at_once() {
    let mut schedule = Schedule::new([range(0, 64 * 100)]);
    let mut asked = step(&mut schedule, 0, Input::Join(node(1))).len();
    for number in 0..20 {
        asked += step(&mut schedule, u64::from(number) * 10, stored(1, part(number))).len();
    }
    assert_eq!(asked, 20 + 8, "eight are under way");
    // It became slow: each takes five seconds.
    for number in 20..30 {
        step(&mut schedule, 1_000 + u64::from(number) * 5_000, Input::Heard(node(1)));
        asked += step(&mut schedule, 1_000 + u64::from(number) * 5_000, stored(1, part(number))).len();
    }
    assert_eq!(asked, 30 + 1, "one is under way");
}

#[test]
fn a_liar_is_dropped_for_good_and_its_range_asked_elsewhere() {
    let mut schedule = three_ranges(&[1, 2]);
    let out = step(&mut schedule, 10, failed(1, Fault::Lied));
    assert_eq!(out, [Output::Drop { source: node(1), fault: Fault::Lied }]);
    assert_eq!(step(&mut schedule, 20, stored(2, part(1))), [ask(2, part(0)), ask(2, part(2))]);
    assert_eq!(step(&mut schedule, 25, failed(1, Fault::Broke)), [], "no news of a source that is out");
    assert_eq!(step(&mut schedule, 26, Input::Join(node(1))), []);
    let out = step(&mut schedule, 30, failed(2, Fault::Absent));
    assert_eq!(out, [Output::Drop { source: node(2), fault: Fault::Absent }, Output::Failed]);
    assert_eq!(schedule.faults(), [(node(1), Fault::Lied), (node(2), Fault::Absent)]);
}

#[test]
fn a_source_that_broke_is_asked_again_after_ever_longer_waits_and_then_given_up() {
    let mut schedule = Schedule::new([range(0, 1)]);
    let mut now = 0;
    assert_eq!(step(&mut schedule, now, Input::Join(node(1))), [ask(1, range(0, 1))]);
    let mut waits = Vec::new();
    let end = loop {
        let out = step(&mut schedule, now, failed(1, Fault::Broke));
        let Some(until) = schedule.next_deadline() else { break out };
        assert_eq!(out, [Output::Drop { source: node(1), fault: Fault::Broke }]);
        let until = u64::try_from(until.as_millis()).unwrap();
        assert_eq!(step(&mut schedule, until - 1, Input::Tick), []);
        assert_eq!(step(&mut schedule, until, Input::Tick), [ask(1, range(0, 1))]);
        waits.push(until - now);
        assert!(waits.len() < 20, "it is never given up");
        now = until;
    };
    assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 16_000]);
    assert_eq!(waits.len() + 1, FAILURES_MAX as usize);
    assert_eq!(end, [Output::Drop { source: node(1), fault: Fault::Broke }, Output::Failed]);
}

#[test]
fn a_source_that_brings_something_between_its_failures_is_kept() {
    let mut schedule = Schedule::new([range(0, 64 * 3 * FAILURES_MAX)]);
    let mut now = 0;
    let mut out = step(&mut schedule, now, Input::Join(node(1)));
    for number in 0..2 * FAILURES_MAX {
        assert_eq!(out, [ask(1, part(number))]);
        step(&mut schedule, now, stored(1, part(number)));
        step(&mut schedule, now, failed(1, Fault::Broke));
        now += 500;
        out = step(&mut schedule, now, Input::Tick);
    }
}

#[test]
fn silence_is_a_stall_and_a_trickle_is_one_in_the_end() {
    let drop = |source| Output::Drop { source: node(source), fault: Fault::Stalled };
    let mut schedule = three_ranges(&[1]);
    assert_eq!(schedule.next_deadline(), Some(STALL));
    assert_eq!(step(&mut schedule, 9_000, Input::Heard(node(1))), []);
    assert_eq!(step(&mut schedule, 18_999, Input::Tick), []);
    assert_eq!(step(&mut schedule, 19_000, Input::Tick), [drop(1)]);

    let mut schedule = three_ranges(&[1]);
    for second in 1..120 {
        assert_eq!(step(&mut schedule, second * 1_000, Input::Heard(node(1))), []);
    }
    assert_eq!(step(&mut schedule, 120_000, Input::Heard(node(1))), []);
    assert_eq!(step(&mut schedule, 120_000, Input::Tick), [drop(1)]);
}

#[test]
fn what_is_slow_to_come_is_asked_of_one_idle_source_more_and_taken_once() {
    let mut schedule = three_ranges(&[1, 2, 3]);
    step(&mut schedule, 100, stored(2, part(1)));
    assert_eq!(step(&mut schedule, 100, stored(3, part(2))), []);
    assert_eq!(schedule.next_deadline(), Some(ms(2_000)));
    assert_eq!(step(&mut schedule, 1_999, Input::Heard(node(1))), []);
    assert_eq!(step(&mut schedule, 2_000, Input::Tick), [ask(2, part(0))]);
    assert_eq!(step(&mut schedule, 2_100, Input::Tick), [], "two are enough");
    let cancel = Output::Cancel { source: node(1), range: part(0) };
    assert_eq!(step(&mut schedule, 2_200, stored(2, part(0))), [cancel, Output::Done]);
}

#[test]
fn a_source_that_is_not_in_use_helps_a_slow_one_after_a_while() {
    let mut schedule = Schedule::new([range(0, 1)]);
    assert_eq!(step(&mut schedule, 0, Input::Join(node(1))), [ask(1, range(0, 1))]);
    assert_eq!(step(&mut schedule, 0, Input::Join(node(2))), []);
    assert_eq!(step(&mut schedule, 4_999, Input::Heard(node(1))), []);
    assert_eq!(step(&mut schedule, 5_000, Input::Tick), [ask(2, range(0, 1))]);
    // The first breaks: the second has it still.
    let drop = Output::Drop { source: node(1), fault: Fault::Broke };
    assert_eq!(step(&mut schedule, 5_100, failed(1, Fault::Broke)), [drop]);
    assert_eq!(step(&mut schedule, 5_200, stored(2, range(0, 1))), [Output::Done]);
}

#[test]
fn a_range_that_was_stored_just_before_its_source_broke_counts() {
    let mut schedule = three_ranges(&[1]);
    step(&mut schedule, 100, failed(1, Fault::Broke));
    assert_eq!(step(&mut schedule, 101, stored(1, part(0))), []);
    assert_eq!(step(&mut schedule, 600, Input::Tick), [ask(1, part(1))]);
}

#[test]
fn without_sources_it_fails_and_without_missing_groups_it_is_done() {
    assert_eq!(step(&mut Schedule::new([range(0, 9)]), 0, Input::Tick), [Output::Failed]);
    assert_eq!(step(&mut Schedule::new([]), 0, Input::Tick), [Output::Done]);
}

/// How a source of the world below behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    Honest,
    /// Sends so many ranges and lies from then on.
    LiarAfter(u8),
    Absent,
    /// Brings or breaks, busy or partly there, as chance has it.
    Unsteady,
    /// Brings so many ranges, then nothing more is heard of it.
    SilentAfter(u8),
}

fn nature() -> impl Strategy<Value = Nature> {
    prop_oneof![
        Just(Nature::Honest),
        (0..4_u8).prop_map(Nature::LiarAfter),
        Just(Nature::Absent),
        Just(Nature::Unsteady),
        (0..4_u8).prop_map(Nature::SilentAfter),
    ]
}

/// Sources that answer after a while, out of order.
struct World {
    natures: Vec<Nature>,
    brought: Vec<u8>,
    answers: BTreeSet<(Duration, u64, NodeId, GroupRange)>,
    chance: u64,
    asked: BTreeMap<GroupRange, Vec<NodeId>>,
    out: BTreeSet<NodeId>,
    missing: BTreeSet<GroupRange>,
}

impl World {
    fn chance(&mut self) -> u64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.chance >> 33
    }

    /// Does what the schedule says, checking that it may say it.
    fn obey(&mut self, now: Duration, output: Output) {
        match output {
            Output::Ask { source, range } => {
                assert!(!self.out.contains(&source), "a source is asked that was dropped for good");
                assert!(self.missing.contains(&range), "a range is asked for that is there");
                let askers = self.asked.entry(range).or_default();
                assert!(!askers.contains(&source) && askers.len() < ASKERS_MAX, "{askers:?}");
                askers.push(source);
                let delay = ms(self.chance() % 4_000);
                let order = self.chance();
                self.answers.insert((now + delay, order, source, range));
            }
            Output::Cancel { source, range } => {
                assert!(!self.missing.contains(&range), "a range is given up that is not there");
                self.forget(|asker, asked| asker == source && asked == range);
            }
            Output::Drop { source, fault } => {
                if fault.is_final() {
                    self.out.insert(source);
                }
                self.forget(|asker, _| asker == source);
            }
            Output::Done => assert_eq!(self.missing, BTreeSet::new()),
            Output::Failed => assert_ne!(self.missing, BTreeSet::new()),
        }
    }

    fn forget(&mut self, gone: impl Fn(NodeId, GroupRange) -> bool) {
        self.answers.retain(|(_, _, source, range)| !gone(*source, *range));
        for (range, askers) in &mut self.asked {
            askers.retain(|asker| !gone(*asker, *range));
        }
    }

    /// What a source says to what was asked of it, if it says anything.
    fn answer(&mut self, source: NodeId, range: GroupRange) -> Option<Input> {
        let number = usize::from(source.as_bytes()[0]);
        let brings = match self.natures[number] {
            Nature::Honest => Ok(()),
            Nature::LiarAfter(ranges) if self.brought[number] >= ranges => Err(Fault::Lied),
            Nature::SilentAfter(ranges) if self.brought[number] >= ranges => return None,
            Nature::LiarAfter(_) | Nature::SilentAfter(_) => Ok(()),
            Nature::Absent => Err(Fault::Absent),
            Nature::Unsteady => match self.chance() % 6 {
                0 => Err(Fault::Broke),
                1 => Err(Fault::Busy),
                2 => Err(Fault::Partly),
                3 => Err(Fault::Unreachable),
                _ => Ok(()),
            },
        };
        if let Err(fault) = brings {
            return Some(Input::Failed { source, fault });
        }
        self.brought[number] += 1;
        self.missing.remove(&range);
        self.forget(|asker, asked| asker == source && asked == range);
        Some(Input::Stored { source, range })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    /// Whatever the order of answers, lies and losses: it ends, done if an honest source is among them, and then with all
    /// ranges; without one only if the others happened to bring everything.
    #[test]
    fn it_ends_done_where_an_honest_source_is(
        natures in prop::collection::vec(nature(), 0..12),
        groups in 1..2_000_u32,
        chance: u64,
    ) {
        let whole = range(0, groups);
        let mut world = World {
            brought: vec![0; natures.len()],
            natures,
            answers: BTreeSet::new(),
            chance,
            asked: BTreeMap::new(),
            out: BTreeSet::new(),
            missing: whole.cut().collect(),
        };
        let mut schedule = Schedule::new([whole]);
        let mut joins: Vec<_> = (0..world.natures.len()).map(|number| Input::Join(node(number as u8))).collect();
        joins.push(Input::Tick);
        let (mut now, mut stepped) = (Duration::ZERO, None);
        let mut inputs = joins.into_iter();
        let mut end = None;
        for _ in 0..100_000 {
            let answer = world.answers.first().copied();
            let deadline = schedule.next_deadline();
            let input = match (inputs.next(), answer, deadline) {
                (Some(input), _, _) => input,
                (None, Some((at, order, source, range)), deadline) if deadline.is_none_or(|deadline| at <= deadline) => {
                    now = now.max(at);
                    world.answers.remove(&(at, order, source, range));
                    let Some(input) = world.answer(source, range) else { continue };
                    input
                }
                (None, _, Some(deadline)) => {
                    prop_assert!(stepped < Some(deadline), "a deadline that is no progress");
                    now = now.max(deadline);
                    Input::Tick
                }
                (None, _, None) => break,
            };
            let mut out = Vec::new();
            schedule.step(now, input, &mut out);
            stepped = Some(now);
            for output in out {
                prop_assert_eq!(end, None, "something follows the end");
                world.obey(now, output);
                if matches!(output, Output::Done | Output::Failed) {
                    end = Some(output);
                }
            }
        }
        if world.natures.contains(&Nature::Honest) {
            prop_assert_eq!(end, Some(Output::Done));
        } else {
            prop_assert!(end.is_some(), "it never ended");
        }
    }
}
