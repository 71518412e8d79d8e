//! What happens on the stage: faults begin and end, and the state of things is looked at.

use super::action::Action;
use super::play::{Player, SAMPLE_PERIOD};
use super::spec::{FaultKind, Who};
use crate::sim::dice::Dice as _;
use crate::sim::life::End;
use crate::sim::time::{HOUR, MINUTE, MS, Micros, S};
use crate::sim::weather::NodeSet;
use hedgerow_protocol::core::{Input, LinkEvent, StorageFailure};
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::view::MemberState;

/// A departed member must be seen as such by everybody after that long.
const GHOST_AGE: Micros = 10 * MINUTE;
/// Time between an announcement and the end of the process.
const LAST_WORDS: Micros = 300 * MS;
/// Time between two looks whether views are equal, and the longest time that they are waited for.
const LOOK_PERIOD: Micros = 100 * MS;
const LOOK_MAX: Micros = 2 * MINUTE;
/// Others have talked to a node for that long when its power goes.
const TALK: Micros = 2 * S;
/// A request without an answer for that long is unanswered.
const IMPATIENCE: Micros = 500 * MS;
/// How much slower a slow disk is.
const SLOWNESS: u64 = 100;

impl<D: Defects> Player<'_, D> {
    /// Does one line of the script.
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Begin { kind, region, who, span, ppm } => self.begin(kind, region, who, span, ppm),
            Action::PowerCut { node, span, talkers } => self.cut_power(node, span, &talkers),
            Action::Unanswered { node, talkers } => self.tell_talkers(node, &talkers, LinkEvent::Unanswered),
            Action::Start(node) => {
                if !self.world.node(node).up && !self.gone.contains(&node) {
                    self.world.start(node);
                }
            }
            Action::Part { node, back_after } => {
                self.world.part(node);
                if let Some(back_after) = back_after {
                    self.foresee(self.world.now + back_after, Action::Start(node));
                }
            }
            Action::Depart { node, run } => self.depart(node, run),
            Action::Heal(cuts) => self.heal(&cuts),
            Action::MendDisk(node) => self.mend_disk(node),
            Action::LookForGhosts { node, departed } => self.look_for_ghosts(node, departed),
            Action::LookForEquality { healed_at } => self.look_for_equality(healed_at),
            Action::Sample => self.sample(),
            Action::Void => {}
        }
    }

    fn begin(&mut self, kind: FaultKind, region: usize, who: Who, span: Option<Micros>, ppm: u32) {
        match kind {
            FaultKind::Partition
            | FaultKind::OneWay
            | FaultKind::Bridge
            | FaultKind::Isolate
            | FaultKind::FlappingLink => self.divide(kind, region, span),
            FaultKind::FlashJoin => self.flash_join(region),
            FaultKind::Crash
            | FaultKind::Restart
            | FaultKind::Drain
            | FaultKind::Leave
            | FaultKind::Pause
            | FaultKind::Suspend
            | FaultKind::Drift
            | FaultKind::SlowDisk
            | FaultKind::FullDisk
            | FaultKind::Jump => {
                for node in self.victims(region, who) {
                    self.strike(kind, node, span, ppm);
                }
            }
        }
    }

    fn strike(&mut self, kind: FaultKind, node: u32, span: Option<Micros>, ppm: u32) {
        let now = self.world.now;
        match kind {
            FaultKind::Crash if self.case.talkers > 0 => {
                let talkers = self.choose_talkers(node);
                self.tell_talkers(node, &talkers, LinkEvent::Used);
                self.foresee(now + TALK, Action::PowerCut { node, span, talkers });
            }
            FaultKind::Crash => self.cut_power(node, span, &[]),
            FaultKind::Restart => {
                self.world.announce_end(node, End::Stop);
                self.foresee(now + LAST_WORDS, Action::Part { node, back_after: Some(span.unwrap_or(S)) });
            }
            FaultKind::Drain => {
                self.world.announce_end(node, End::Drain);
                let back_after = Some(span.unwrap_or(MINUTE));
                self.foresee(now + span.unwrap_or(MINUTE), Action::Part { node, back_after });
            }
            FaultKind::Leave => {
                self.world.announce_end(node, End::Leave);
                self.foresee(now, Action::Depart { node, run: self.world.node(node).run });
            }
            FaultKind::Pause => self.world.pause(node, span.unwrap_or(S), false),
            FaultKind::Suspend => self.world.pause(node, span.unwrap_or(S), true),
            FaultKind::Drift => {
                let wrong = i64::try_from(self.dice.below(u64::from(ppm) * 2 + 1)).unwrap_or(0);
                self.world.drift(node, wrong - i64::from(ppm));
            }
            FaultKind::SlowDisk => {
                self.world.nodes[node as usize].disk.slowness = SLOWNESS;
                self.foresee(now + span.unwrap_or(MINUTE), Action::MendDisk(node));
            }
            FaultKind::FullDisk => {
                self.world.nodes[node as usize].disk.failing = Some(StorageFailure::Full);
                self.foresee(now + span.unwrap_or(MINUTE), Action::MendDisk(node));
            }
            FaultKind::Jump => self.world.jump_wall(node, HOUR),
            FaultKind::Partition
            | FaultKind::OneWay
            | FaultKind::Bridge
            | FaultKind::Isolate
            | FaultKind::FlappingLink
            | FaultKind::FlashJoin => {}
        }
    }

    /// Whom a fault strikes: nodes that run and are awake, and never the last one of a region unless all are meant.
    fn victims(&mut self, region: usize, who: Who) -> Vec<u32> {
        let now = self.world.now;
        let awake = |node: &u32| self.world.node(*node).up && self.world.node(*node).asleep_until <= now;
        let mut nodes: Vec<u32> = self.world.plan.nodes_of(region).filter(awake).collect();
        self.dice.shuffle(&mut nodes);
        let many = match who {
            Who::One => 1,
            Who::Holder => {
                let holder = self.world.oracle.holder(now, region);
                nodes.retain(|node| Some(*node) == holder);
                return nodes;
            }
            Who::Third => nodes.len() / 3,
            Who::Most => nodes.len() * 9 / 10,
            Who::All => nodes.len(),
        };
        let most = if who == Who::All { nodes.len() } else { nodes.len().saturating_sub(1) };
        nodes.truncate(many.min(most));
        nodes
    }

    fn divide(&mut self, kind: FaultKind, region: usize, span: Option<Micros>) {
        let mut nodes: Vec<u32> = self.world.plan.nodes_of(region).collect();
        self.dice.shuffle(&mut nodes);
        let half = nodes.len() / 2;
        let set = |nodes: &[u32]| nodes.iter().copied().collect::<NodeSet>();
        let (left, right) = match kind {
            FaultKind::Bridge => (set(&nodes[..half]), set(&nodes[half + 1..])),
            FaultKind::Isolate => (set(&nodes[1..]), set(&nodes[..1])),
            FaultKind::FlappingLink => (set(&nodes[..1]), set(&nodes[1..2])),
            FaultKind::Partition
            | FaultKind::OneWay
            | FaultKind::Crash
            | FaultKind::Restart
            | FaultKind::Drain
            | FaultKind::Leave
            | FaultKind::Pause
            | FaultKind::Suspend
            | FaultKind::Drift
            | FaultKind::SlowDisk
            | FaultKind::FullDisk
            | FaultKind::Jump
            | FaultKind::FlashJoin => (set(&nodes[..half]), set(&nodes[half..])),
        };
        let mut cuts = vec![self.world.cut(&left, &right)];
        if !matches!(kind, FaultKind::OneWay | FaultKind::Isolate) {
            cuts.push(self.world.cut(&right, &left));
        }
        let now = self.world.now;
        self.world.oracle.network_changed(now);
        if let Some(span) = span {
            self.foresee(now + span, Action::Heal(cuts));
        }
    }

    /// Everybody in the region who has never run before starts within a second.
    fn flash_join(&mut self, region: usize) {
        let nodes: Vec<u32> = self.world.plan.nodes_of(region).collect();
        for node in nodes {
            if self.world.node(node).run == 0 {
                let at = self.world.now + self.dice.below(S);
                self.foresee(at, Action::Start(node));
            }
        }
    }

    fn heal(&mut self, cuts: &[u64]) {
        let now = self.world.now;
        cuts.iter().for_each(|cut| self.world.weather.heal(*cut));
        self.world.oracle.network_changed(now);
        if self.world.weather.is_whole() {
            self.foresee(now, Action::LookForEquality { healed_at: now });
        }
    }

    fn look_for_equality(&mut self, healed_at: Micros) {
        if !self.world.weather.is_whole() {
            return;
        }
        let now = self.world.now;
        let took = now - healed_at;
        if self.is_equal() {
            self.world.oracle.measures.healed.take(took);
        } else if took >= LOOK_MAX {
            self.world.oracle.measures.healed.take(took);
            self.world.oracle.measures.forgotten += self.unequal_pairs().len() as u64;
        } else {
            self.foresee(now + LOOK_PERIOD, Action::LookForEquality { healed_at });
        }
    }

    fn mend_disk(&mut self, node: u32) {
        let disk = &mut self.world.nodes[node as usize].disk;
        disk.slowness = 1;
        // A node whose disk failed promises nothing more: somebody restarts it.
        if disk.failing.take().is_some() {
            self.world.crash(node);
            self.foresee(self.world.now + S, Action::Start(node));
        }
    }

    /// A voter leaves when it was voted out; where its power goes first, it comes back and has not left.
    fn depart(&mut self, node: u32, run: u32) {
        let soon = self.world.now + LAST_WORDS;
        let there = self.world.node(node);
        if !there.up || there.run != run {
            return;
        }
        if there.core.is_gone() {
            self.foresee(soon, Action::Part { node, back_after: None });
            self.bury(node, true);
        } else {
            self.foresee(soon, Action::Depart { node, run });
        }
    }

    fn bury(&mut self, node: u32, departed: bool) {
        self.gone.insert(node);
        self.foresee(self.world.now + GHOST_AGE, Action::LookForGhosts { node, departed });
    }

    fn look_for_ghosts(&mut self, node: u32, departed: bool) {
        let id = self.world.node(node).member.node();
        let region = self.world.node(node).region;
        let sees_ghost = |observer: &u32| {
            let observer = self.world.node(*observer);
            let seen = observer.core.member_state_of(&id);
            let right = match seen {
                None | Some(MemberState::Left) => true,
                Some(MemberState::Down) => !departed,
                Some(MemberState::Alive | MemberState::Suspect | MemberState::Stopping | MemberState::Draining) => {
                    false
                }
            };
            observer.up && !right
        };
        let ghosts = self.world.plan.nodes_of(region).filter(|observer| *observer != node).filter(sees_ghost).count();
        self.world.oracle.measures.ghosts += ghosts as u64;
    }

    fn cut_power(&mut self, node: u32, span: Option<Micros>, talkers: &[u32]) {
        let now = self.world.now;
        if !talkers.is_empty() {
            let in_flight = self.dice.chance(500_000);
            self.world.oracle.talk(node, talkers, in_flight);
            if in_flight {
                self.foresee(now + IMPATIENCE, Action::Unanswered { node, talkers: talkers.to_vec() });
            }
        }
        self.world.crash(node);
        match span {
            Some(span) => self.foresee(now + span, Action::Start(node)),
            None => self.bury(node, false),
        }
    }

    /// What the transport of those who talk to a node notices.
    fn tell_talkers(&mut self, node: u32, talkers: &[u32], event: LinkEvent) {
        let peer = self.world.node(node).member.node();
        for talker in talkers {
            if self.world.node(*talker).up {
                self.world.step(*talker, Input::Link { peer, event });
            }
        }
    }

    /// Who talks to a node, by chance.
    fn choose_talkers(&mut self, node: u32) -> Vec<u32> {
        let region = self.world.node(node).region;
        let mut others: Vec<u32> = self.world.plan.nodes_of(region).filter(|other| *other != node).collect();
        others.retain(|other| self.world.node(*other).up);
        self.dice.shuffle(&mut others);
        others.truncate(self.case.talkers as usize);
        others
    }

    fn sample(&mut self) {
        let regions = self.world.plan.regions().len();
        let now = self.world.now;
        let leaderless = (0..regions).filter(|region| self.world.oracle.holder(now, *region).is_none()).count();
        let running = self.world.running().count() as u64;
        let measures = &mut self.world.oracle.measures;
        measures.cell_us += SAMPLE_PERIOD * regions as u64;
        measures.leaderless_us += SAMPLE_PERIOD * leaderless as u64;
        measures.node_us += SAMPLE_PERIOD * running;
        self.sample_again();
    }

    /// Everything heals, wakes up and comes back, but for what is gone for good.
    pub(super) fn end_all_faults(&mut self) {
        let now = self.world.now;
        self.world.weather.heal_all();
        self.world.oracle.network_changed(now);
        let awake = self.world.nodes.iter().map(|node| node.asleep_until).max().unwrap_or(0);
        self.pass_until(awake.clamp(now, now + HOUR));
        for node in 0..self.world.nodes.len() as u32 {
            let disk = &mut self.world.nodes[node as usize].disk;
            disk.slowness = 1;
            if disk.failing.take().is_some() {
                self.world.crash(node);
            }
            if !self.world.node(node).up && !self.gone.contains(&node) {
                self.world.start(node);
            }
        }
    }
}
