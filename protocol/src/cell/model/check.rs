//! What may happen in a state, and what has to hold in every one.

use super::setting::{LEASE_TICKS, NODES, Setting, Wish};
use super::world::{Act, Move, Spent, World};
use crate::register::Content;
use stateright::{Checker as _, Model, Property};

/// A setting and the states from which it is explored.
pub(super) struct Check {
    pub(super) setting: Setting,
    /// What happened before, in each of the clocks' variants.
    opening: Vec<Play>,
}

/// A step of an opening, made by hand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Play {
    Do(Act),
    /// The letters of one node to another arrive, whichever they are, those under way now.
    Post(usize, usize),
    /// The letters of one node to another are lost.
    Lose(usize, usize),
}

pub(super) const ONE_HOLDER: &str = "one node at most holds the lease at a time";
pub(super) const ONE_PER_TERM: &str = "a term has one holder";
pub(super) const PROMISES: &str = "what a voter promised never goes back";
pub(super) const ONE_VALUE: &str = "a slot is decided once";
pub(super) const QUORUM_STANDS: &str = "what a quorum accepted is never replaced";
pub(super) const QUORUMS_MEET: &str = "quorums of voter sets that follow each other meet";

impl Check {
    pub(super) fn new(setting: Setting, openings: &[&[Play]]) -> Self {
        Self { setting, opening: openings.concat() }
    }

    /// The tick with which the exploration ends.
    fn end(&self) -> u8 {
        let passed = self.opening.iter().filter(|play| matches!(play, Play::Do(Act::Tick { .. }))).count();
        u8::try_from(passed).expect("an opening is short") + self.setting.bounds.ticks
    }

    fn begin(&self) -> Vec<World> {
        let begun = |rates: &_| {
            let begun =
                self.opening.iter().fold(World::new(&self.setting, *rates), |world, play| self.play(world, *play));
            World { spent: Spent::default(), ..begun }
        };
        self.setting.clocks.iter().map(begun).collect()
    }

    fn play(&self, mut world: World, play: Play) -> World {
        let on = |world: &World, act| {
            world
                .after(&self.setting, Move { act, crash_after: None })
                .expect("a step of an opening makes a difference")
        };
        match play {
            Play::Do(act) => on(&world, act),
            Play::Post(from, to) => {
                let marks: Vec<u64> = world
                    .letters
                    .iter()
                    .filter(|letter| (letter.from, letter.to) == (from, to))
                    .map(|it| it.mark)
                    .collect();
                assert!(!marks.is_empty(), "nothing is under way from {from} to {to}");
                for mark in marks {
                    let Some(place) = world.letters.iter().position(|letter| letter.mark == mark) else { continue };
                    let kind = world.letters[place].kind();
                    world = on(&world, Act::Deliver { from, to, kind, place, again: false });
                }
                world
            }
            Play::Lose(from, to) => {
                world.letters.retain(|letter| (letter.from, letter.to) != (from, to));
                world
            }
        }
    }

    fn acts_of(&self, world: &World, node: usize, acts: &mut Vec<Act>) {
        let (bounds, spent, now) = (&self.setting.bounds, &world.spent, world.now(&self.setting, node));
        let machine = &world.nodes[node];
        if machine.cell.next_deadline() <= now {
            acts.push(Act::Wake(node));
        }
        for from in (0..NODES).filter(|from| *from != node) {
            if world.news(node, from).is_some() {
                acts.push(Act::Learn { node, from });
            }
        }
        if bounds.slow_disk && !machine.cached.is_empty() {
            acts.push(Act::Sync(node));
        }
        let leads = machine.cell.acts_under(now).is_some();
        if leads && spent.proposals < bounds.proposals && machine.cell.is_free_to_propose() {
            let fits = |wish: &&Wish| match wish {
                Wish::Placement(_) => true,
                Wish::Voters(_) => !world
                    .history
                    .decisions
                    .iter()
                    .any(|decision| matches!(decision.value.content, Content::Configuration(_))),
            };
            acts.extend(
                self.setting.wishes.get(node).into_iter().flatten().filter(fits).map(|wish| Act::Propose(node, *wish)),
            );
        }
        if (leads || world.asks(node)) && spent.handovers < bounds.handovers {
            acts.push(Act::HandOver(node));
        }
    }
}

impl Model for Check {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        self.begin()
    }

    fn actions(&self, world: &World, moves: &mut Vec<Move>) {
        let (bounds, spent) = (&self.setting.bounds, &world.spent);
        let mut acts = Vec::new();
        for (place, letter) in world.letters.iter().enumerate() {
            let deliver = |again| Act::Deliver { from: letter.from, to: letter.to, kind: letter.kind(), place, again };
            acts.push(deliver(false));
            if spent.copies < bounds.copies {
                acts.push(deliver(true));
            }
        }
        (0..NODES).for_each(|node| self.acts_of(world, node, &mut acts));
        let crashes = spent.crashes < bounds.crashes;
        for act in &acts {
            moves.push(Move { act: *act, crash_after: None });
            if crashes && !bounds.slow_disk {
                moves.extend((0..WRITES).map(|writes| Move { act: *act, crash_after: Some(writes) }));
            }
        }
        if crashes {
            moves.extend((0..NODES).map(|node| Move { act: Act::Restart(node), crash_after: None }));
        }
        if world.tick < self.end() {
            let ticks = subsets(world.letters.len(), bounds.late).into_iter().map(|late| Act::Tick { late });
            moves.extend(ticks.map(|act| Move { act, crash_after: None }));
        }
    }

    fn next_state(&self, world: &World, next: Move) -> Option<World> {
        let mut world = world.after(&self.setting, next)?;
        if !self.setting.bounds.notes {
            world.letters.retain(|letter| !letter.kind().is_note());
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ONE_HOLDER, |check: &Self, world: &World| world.holders(&check.setting).len() <= 1),
            Property::always(ONE_PER_TERM, |_, world: &World| !world.history.term_shared),
            Property::always(PROMISES, |_, world: &World| !world.history.promise_broken),
            Property::always(ONE_VALUE, |_, world: &World| world.history.slots_have_one_value()),
            Property::always(QUORUM_STANDS, |check: &Self, world: &World| {
                world.history.quorums_accepted_one_value(&check.setting)
            }),
            Property::always(QUORUMS_MEET, |check: &Self, world: &World| world.history.quorums_meet(&check.setting)),
            Property::sometimes("a lease is held", |check: &Self, world: &World| {
                !world.holders(&check.setting).is_empty()
            }),
        ];
        let bounds = &self.setting.bounds;
        if bounds.ticks >= LEASE_TICKS {
            properties
                .push(Property::sometimes("another holds the lease", |_, world: &World| world.history.led_by() > 1));
        }
        if bounds.handovers > 0 {
            properties.push(Property::sometimes("a lease is handed over", |check: &Self, world: &World| {
                world.is_handed_over(&check.setting)
            }));
        }
        if bounds.proposals > 0 {
            properties
                .push(Property::sometimes("a slot is decided", |_, world: &World| !world.history.decisions.is_empty()));
        }
        if self.setting.wishes.iter().flatten().any(|wish| matches!(wish, Wish::Voters(_))) {
            properties.push(Property::sometimes("voters are changed", |_, world: &World| {
                world.history.decisions.iter().any(|it| matches!(it.value.content, Content::Configuration(_)))
            }));
        }
        properties
    }

    fn within_boundary(&self, world: &World) -> bool {
        let promised = |node: usize| world.nodes[node].cell.promised_term().unwrap_or_default();
        (0..NODES).all(|node| promised(node) <= self.setting.bounds.term)
    }
}

/// Explores every state, and wants what always holds to hold in all of them and what sometimes happens to happen.
pub(super) fn holds(check: Check) {
    let bounds = check.setting.bounds;
    let done = check.checker().spawn_bfs().join();
    println!(
        "{} states, {} steps, at most {} from the first: {bounds:?}",
        done.unique_state_count(),
        done.state_count(),
        done.max_depth()
    );
    assert!(done.is_done(), "something was left unexplored");
    done.assert_properties();
}

/// Writes of one step that a crash may come between.
const WRITES: usize = 2;

/// The sets of at most so many of that many places, one bit each.
fn subsets(places: usize, most: usize) -> Vec<u32> {
    let mut sets = vec![0_u32];
    for place in 0..places {
        let more: Vec<u32> = sets.iter().map(|set| set | 1 << place).collect();
        sets.extend(more.into_iter().filter(|set| usize::try_from(set.count_ones()).is_ok_and(|count| count <= most)));
    }
    sets
}
