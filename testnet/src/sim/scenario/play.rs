//! Playing one case with one seed.

use super::action::Action;
use super::condition::Mark;
use super::script;
use super::spec::{Case, DivisionSpec, Preset, WeatherSpec};
use crate::sim::dice::mix;
use crate::sim::disk::Disk;
use crate::sim::mesh::MeshPlan;
use crate::sim::oracle::{Invariant, Measures, Violation};
use crate::sim::sessions::{Sessions, Traffic};
use crate::sim::time::{MINUTE, MS, Micros, S};
use crate::sim::weather::Weather;
use crate::sim::world::{Event, World, WorldOptions};
use hedgerow_attest::id::CellId;
use hedgerow_protocol::core::{CoreConfig, Monitoring};
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::view::MemberState;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A mesh that has not formed by then never will.
const FORMATION_MAX: Micros = 3 * MINUTE;

/// Keeps the stream of the script apart from that of the world.
const SCRIPT_SALT: u64 = 0x005c_7197;

/// Keeps the stream of clients apart from both.
const SESSIONS_SALT: u64 = 0x5e55_1045;

/// Longest time until everything is well again after a cell ended.
const UPHEAVAL: Micros = 30 * S;

/// Time between two samples of the state of things.
pub(super) const SAMPLE_PERIOD: Micros = 250 * MS;

/// What came of one run.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// What was measured.
    pub(crate) measures: Measures,
    /// The first violations, word for word.
    pub(crate) violations: Vec<Violation>,
    /// How many there were.
    pub(crate) violated: u64,
    /// How often which rare path was taken.
    pub(crate) sometimes: BTreeMap<&'static str, u64>,
    /// Of the whole run.
    pub(crate) digest: String,
    /// Steps of all cores.
    pub(crate) steps: u64,
    /// True time that passed.
    pub(crate) virtual_us: Micros,
    /// How long it took until everybody saw everybody and every cell had a holder.
    pub(crate) formed_us: Option<Micros>,
    /// The step of a directed case that could not be done, and why.
    pub(crate) missed: Option<String>,
}

/// A run in progress.
#[derive(Debug)]
pub(crate) struct Player<'a, D: Defects> {
    pub(super) world: World<D>,
    pub(super) case: &'a Case,
    pub(super) actions: Vec<Action>,
    /// Nodes that are not started again.
    pub(super) gone: BTreeSet<u32>,
    /// What clients wrote.
    pub(super) sessions: Sessions<D>,
    /// Policies that were announced so far.
    pub(super) policies: u64,
    /// Randomness of the script alone, so that a change of the machines does not change what happens to them.
    pub(super) dice: ChaCha8Rng,
    /// Who has which name in a directed case.
    pub(super) cast: BTreeMap<String, u32>,
    pub(super) mark: Mark,
    /// Cuts that steps made.
    pub(super) cuts: Vec<u64>,
    /// Copies of disks that were put aside, by node.
    pub(super) copies: BTreeMap<u32, Disk>,
    pub(super) missed: Option<String>,
    formed_us: Option<Micros>,
    sample_line: usize,
}

/// Plays a case with a seed on nodes that are built without some of the rules.
pub(crate) fn play<D: Defects>(plan: Arc<MeshPlan>, case: &Case, seed: u64, defects: D) -> Outcome {
    let options = WorldOptions {
        seed,
        wire: case.wire,
        is_metered: case.metered,
        keeps_disks: case.disks,
        defects,
        settings: settings(case.preset),
        division: case.division.map(DivisionSpec::config),
    };
    let mut player = Player {
        sessions: Sessions::new(&plan, mix(seed ^ SESSIONS_SALT), defects),
        world: World::new(plan, options),
        case,
        actions: Vec::new(),
        gone: BTreeSet::new(),
        policies: 0,
        dice: ChaCha8Rng::seed_from_u64(mix(seed ^ SCRIPT_SALT)),
        cast: BTreeMap::new(),
        mark: Mark::default(),
        cuts: Vec::new(),
        copies: BTreeMap::new(),
        missed: None,
        formed_us: None,
        sample_line: 0,
    };
    player.form();
    player.world.weather = case.weather.weather();
    player.perform();
    player.calm_down();
    player.finish()
}

impl<D: Defects> Player<'_, D> {
    /// Starts all nodes and waits until the mesh is whole.
    fn form(&mut self) {
        self.world.start_all(self.case.mesh.joiners);
        while self.formed_us.is_none() && self.world.now < FORMATION_MAX {
            let next = self.world.now + S;
            self.pass_until(next);
            self.formed_us = (self.is_equal() && self.is_led()).then_some(self.world.now);
        }
        let settled = self.world.now + self.case.settle;
        self.pass_until(settled);
        if self.formed_us.is_none() {
            self.complain(Invariant::ViewsBecomeEqual, format!("the mesh has not formed: {:?}", self.unequal_pairs()));
        }
    }

    /// Lets the faults of the case happen.
    fn perform(&mut self) {
        let start = self.world.now;
        if self.case.clients > 0 {
            self.announce_policy(0);
        }
        for (at, action) in script::lines(self.case, start, &mut self.dice) {
            self.foresee(at, action);
        }
        self.sample_line = self.actions.len();
        self.foresee(start + SAMPLE_PERIOD, Action::Sample);
        for node in &mut self.world.nodes {
            node.sent = Default::default();
        }
        self.direct();
        let end = self.world.now + self.case.span;
        self.pass_until(end);
        if self.case.metered {
            self.count_traffic(self.case.span);
        }
    }

    /// The faults end; everything must become well again. Operators still look after what has lost its quorum for good.
    fn calm_down(&mut self) {
        let Some(span) = self.case.calm else { return };
        let is_fault = |action: &&mut Action| !matches!(action, Action::Recover { .. });
        self.actions.iter_mut().filter(is_fault).for_each(|action| *action = Action::Void);
        // Whoever said that it stops does, and comes back.
        let stops = |number: &u32| {
            let node = self.world.node(*number);
            node.core.member_state_of(&node.member.node()) == Some(MemberState::Stopping)
        };
        for node in self.world.running().filter(stops).collect::<Vec<_>>() {
            self.world.part(node);
        }
        self.end_all_faults();
        self.world.weather = Weather::default();
        let until = self.world.now + span;
        let traffic = if self.case.clients > 0 { Traffic::Calm } else { Traffic::None };
        while self.world.now < until {
            self.pass_until((self.world.now + SAMPLE_PERIOD).min(until));
            self.sessions.pass(&mut self.world, traffic);
        }
        // A cell may have ended just before, and what took its place needs some seconds.
        let patience = if self.case.division.is_some() { UPHEAVAL } else { 0 };
        while self.world.now < until + patience && !self.is_well() {
            let next = self.world.now + S;
            self.pass_until(next);
            self.sessions.pass(&mut self.world, traffic);
        }
        if self.case.clients > 0 {
            self.sessions.look_for_formers(&mut self.world);
        }
        if !self.is_equal() {
            let pairs = self.unequal_pairs();
            let what = format!("{} pairs do not see each other, first {:?}", pairs.len(), pairs.first());
            self.complain(Invariant::ViewsBecomeEqual, what);
        }
        for (observer, of) in self.outdated_pairs() {
            self.complain(Invariant::ViewsBecomeEqual, format!("node {observer} missed the last word of node {of}"));
        }
        if !self.is_led() {
            let what = format!("no holder in cells {:?}", self.leaderless());
            self.complain(Invariant::CellsAreLed, what);
        }
    }

    fn is_well(&mut self) -> bool {
        let settled = self.case.clients == 0 || self.sessions.unsettled(&self.world).is_none();
        settled && self.is_equal() && self.is_led() && self.is_up_to_date()
    }

    fn finish(self) -> Outcome {
        let digest = self.world.digest();
        Outcome {
            digest,
            measures: self.world.oracle.measures,
            violations: self.world.oracle.violations,
            violated: self.world.oracle.violated,
            sometimes: self.world.sometimes,
            steps: self.world.steps,
            virtual_us: self.world.now,
            formed_us: self.formed_us,
            missed: self.missed,
        }
    }

    /// Lets time pass and does what the script says.
    pub(super) fn pass_until(&mut self, until: Micros) {
        while let Some(line) = self.world.run_until(until) {
            let action = self.actions[line].clone();
            self.act(action);
        }
    }

    /// Lets one thing happen, and does what the script says if it is the script's; false when nothing happens up to then.
    pub(super) fn pass_one(&mut self, until: Micros) -> bool {
        let happened = self.world.run_once(until);
        if let Some(line) = self.world.take_due() {
            let action = self.actions[line].clone();
            self.act(action);
        }
        happened
    }

    /// Adds a line to the script.
    pub(super) fn foresee(&mut self, at: Micros, action: Action) {
        self.actions.push(action);
        self.world.queue.push(at, Event::Script(self.actions.len() - 1));
    }

    /// Foresees the next sample, on the same line.
    pub(super) fn sample_again(&mut self) {
        let at = self.world.now + SAMPLE_PERIOD;
        self.world.queue.push(at, Event::Script(self.sample_line));
    }

    pub(super) fn complain(&mut self, invariant: Invariant, what: String) {
        let now = self.world.now;
        self.world.oracle.violate(now, invariant, what);
    }

    /// Whether everybody who runs and has not left sees all others of its cell alive.
    pub(super) fn is_equal(&self) -> bool {
        self.world.there().all(|node| self.blind_spots(node).next().is_none())
    }

    /// Who does not see whom.
    pub(super) fn unequal_pairs(&self) -> Vec<(u32, u32)> {
        self.world.there().flat_map(|node| self.blind_spots(node).map(move |of| (node, of))).collect()
    }

    fn blind_spots(&self, observer: u32) -> impl Iterator<Item = u32> + '_ {
        let core = &self.world.node(observer).core;
        self.world.plan.nodes_of(self.world.node(observer).region).filter(move |of| {
            let there = self.world.node(*of);
            let seen = core.member_state_of(&there.member.node());
            let near = there.core.own_cell() == core.own_cell();
            *of != observer
                && near
                && there.is_there()
                && !matches!(seen, Some(MemberState::Alive | MemberState::Draining))
        })
    }

    fn is_up_to_date(&self) -> bool {
        self.outdated_pairs().is_empty()
    }

    /// Who does not know the last that another of its cell said of itself.
    fn outdated_pairs(&self) -> Vec<(u32, u32)> {
        let of_cell = |observer: u32| self.world.plan.nodes_of(self.world.node(observer).region);
        let pairs = self.world.there().flat_map(|observer| of_cell(observer).map(move |of| (observer, of)));
        let outdated = |(observer, of): &(u32, u32)| {
            let there = self.world.node(*of);
            let id = there.member.node();
            let version = |number: u32| {
                let record = self.world.node(number).core.record_of(&id)?;
                Some((record.incarnation, record.seq))
            };
            let near = there.core.own_cell() == self.world.node(*observer).core.own_cell();
            observer != of && near && there.is_there() && version(*observer) != version(*of)
        };
        pairs.filter(outdated).collect()
    }

    pub(super) fn is_led(&self) -> bool {
        self.leaderless().is_empty()
    }

    /// The cells of those who run that nobody leads, by region.
    fn leaderless(&self) -> BTreeSet<(usize, Option<CellId>)> {
        let there = self.world.there().map(|node| self.world.node(node));
        let cells: BTreeSet<_> = there.map(|node| (node.region, node.core.own_cell())).collect();
        let led = |cell: &Option<CellId>| cell.is_some_and(|cell| self.world.oracle.is_led(self.world.now, cell));
        cells.into_iter().filter(|(_, cell)| !led(cell)).collect()
    }

    /// Adds up what was sent in the last `span`.
    fn count_traffic(&mut self, span: Micros) {
        for number in 0..self.world.nodes.len() as u32 {
            let links: Vec<u32> = self.world.node(number).process.links.up().map(|(peer, _)| peer).collect();
            for peer in links {
                self.world.keep_alive(number, peer);
            }
            let sent = self.world.node(number).sent;
            let measures = &mut self.world.oracle.measures;
            measures.sent_bytes += sent.bytes;
            measures.probe_bytes += sent.probe_bytes;
            measures.gossip_bytes += sent.gossip_bytes;
            measures.counted_us += span;
        }
    }
}

impl WeatherSpec {
    /// The same in integers.
    pub(crate) fn weather(&self) -> Weather {
        let mut weather = Weather::default();
        weather.loss_ppm = ppm(self.loss_percent);
        weather.duplicate_ppm = ppm(self.duplicate_percent);
        weather.late_ppm = ppm(self.late_percent);
        weather.flip_ppm = ppm(self.flip_percent);
        weather.jitter_us = self.jitter_ms * MS;
        weather
    }
}

fn ppm(percent: f64) -> u32 {
    (percent.clamp(0.0, 100.0) * 10_000.0).round() as u32
}

fn settings(preset: Preset) -> fn(&mut CoreConfig) {
    match preset {
        Preset::Local => |_config| (),
        Preset::RandomProbing => |config| config.swim.monitoring = Monitoring::Random,
        Preset::ManyCells => |config| config.detail_cells = 0,
    }
}
