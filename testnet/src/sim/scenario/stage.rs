//! What happens on the stage: faults begin and end, and the state of things is looked at.

use super::action::Action;
use super::fault::{Blow, FaultKind, NodeFault};
use super::play::{Player, SAMPLE_PERIOD};
use super::spec::Who;
use crate::sim::dice::Dice as _;
use crate::sim::life::End;
use crate::sim::sessions::Traffic;
use crate::sim::time::{HOUR, MINUTE, MS, Micros, S};
use hedgerow_protocol::core::{Command, Input, LinkEvent, StorageFailure};
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::view::MemberState;

/// Time between an announcement and the end of the process.
pub(super) const LAST_WORDS: Micros = 300 * MS;
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
                    self.start(node);
                }
            }
            Action::Part { node, back_after } => {
                self.world.part(node);
                if let Some(back_after) = back_after {
                    self.foresee(self.world.now + back_after, Action::Start(node));
                }
            }
            Action::Depart { node, run } => self.depart(node, run),
            Action::Recover { region } => self.recover(region),
            Action::Heal(cuts) => self.heal(&cuts),
            Action::MendDisk(node) => self.mend_disk(node),
            Action::LookForGhosts { node, departed } => self.look_for_ghosts(node, departed),
            Action::LookForEquality { healed_at } => self.look_for_equality(healed_at),
            Action::Sample => self.sample(),
            Action::Void => {}
        }
    }

    fn begin(&mut self, kind: FaultKind, region: usize, who: Who, span: Option<Micros>, ppm: u32) {
        match kind.blow() {
            Blow::Network(split) => self.divide(split, region, span),
            Blow::FlashJoin => self.flash_join(region),
            Blow::Policy => self.announce_policy(region),
            Blow::Quorum => self.lose_quorum(region, span),
            Blow::Node(fault) => {
                for node in self.victims(region, who) {
                    self.strike(fault, node, span, ppm);
                }
            }
        }
    }

    fn strike(&mut self, fault: NodeFault, node: u32, span: Option<Micros>, ppm: u32) {
        let now = self.world.now;
        match fault {
            NodeFault::Crash if self.case.talkers > 0 => {
                let talkers = self.choose_talkers(node);
                self.tell_talkers(node, &talkers, LinkEvent::Used);
                self.foresee(now + TALK, Action::PowerCut { node, span, talkers });
            }
            NodeFault::Crash => self.cut_power(node, span, &[]),
            NodeFault::Restart => {
                self.world.announce_end(node, End::Stop);
                self.foresee(now + LAST_WORDS, Action::Part { node, back_after: Some(span.unwrap_or(S)) });
            }
            NodeFault::Drain => {
                self.world.announce_end(node, End::Drain);
                let back_after = Some(span.unwrap_or(MINUTE));
                self.foresee(now + span.unwrap_or(MINUTE), Action::Part { node, back_after });
            }
            NodeFault::Leave => {
                self.world.announce_end(node, End::Leave);
                self.foresee(now, Action::Depart { node, run: self.world.node(node).run });
            }
            NodeFault::Pause => self.world.pause(node, span.unwrap_or(S), false),
            NodeFault::Suspend => self.world.pause(node, span.unwrap_or(S), true),
            NodeFault::Drift => {
                let wrong = i64::try_from(self.dice.below(u64::from(ppm) * 2 + 1)).unwrap_or(0);
                self.world.drift(node, wrong - i64::from(ppm));
            }
            NodeFault::SlowDisk => {
                self.world.nodes[node as usize].disk.slowness = SLOWNESS;
                self.foresee(now + span.unwrap_or(MINUTE), Action::MendDisk(node));
            }
            NodeFault::FullDisk => {
                self.world.nodes[node as usize].disk.failing = Some(StorageFailure::Full);
                self.foresee(now + span.unwrap_or(MINUTE), Action::MendDisk(node));
            }
            NodeFault::Jump => self.world.jump_wall(node, HOUR),
            NodeFault::Congestion => self.congest(node, span),
        }
    }

    /// Whom a fault strikes: nodes that run and are awake, and never the last one of a region unless all are meant.
    pub(super) fn victims(&mut self, region: usize, who: Who) -> Vec<u32> {
        let now = self.world.now;
        let awake = |node: &u32| self.world.node(*node).is_awake(now);
        let mut nodes: Vec<u32> = self.world.plan.nodes_of(region).filter(awake).collect();
        self.dice.shuffle(&mut nodes);
        let many = match who {
            Who::One => 1,
            Who::Holder => {
                nodes.retain(|node| self.world.oracle.leads(now, *node));
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

    /// Somebody in the region hears of a policy that asks for another placement than the last.
    pub(super) fn announce_policy(&mut self, region: usize) {
        if let Some(node) = self.victims(region, Who::One).first().copied() {
            self.announce_another_policy(node);
        }
    }

    /// A node hears of a policy that asks for another placement than the last.
    pub(super) fn announce_another_policy(&mut self, node: u32) {
        self.policies += 1;
        let others = if self.case.clients > 0 { self.sessions.classes(self.policies) } else { Vec::new() };
        let policy = self.world.plan.policy(self.policies, others);
        self.world.command(node, Command::Announce(Box::new(policy)));
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

    fn mend_disk(&mut self, node: u32) {
        let disk = &mut self.world.nodes[node as usize].disk;
        disk.slowness = 1;
        // A node whose disk failed promises nothing more: somebody restarts it.
        if disk.failing.take().is_some() {
            self.world.crash(node);
            self.foresee(self.world.now + S, Action::Start(node));
        }
    }

    pub(super) fn cut_power(&mut self, node: u32, span: Option<Micros>, talkers: &[u32]) {
        let now = self.world.now;
        let id = self.world.node(node).member.node();
        // Whoever passes it over already, as for a dial that takes long, need not notice anything.
        let trusts = |talker: &u32| self.world.node(*talker).core.member_state_of(&id) == Some(MemberState::Alive);
        let talkers: Vec<u32> = talkers.iter().copied().filter(trusts).collect();
        if !talkers.is_empty() {
            let in_flight = self.dice.chance(500_000);
            self.world.oracle.talk(node, &talkers, in_flight);
            if in_flight {
                self.foresee(now + IMPATIENCE, Action::Unanswered { node, talkers });
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
        let (cells, leaderless) = self.world.oracle.cells(self.world.now);
        let running = self.world.running().count() as u64;
        let measures = &mut self.world.oracle.measures;
        measures.cell_us += SAMPLE_PERIOD * cells;
        measures.leaderless_us += SAMPLE_PERIOD * leaderless;
        measures.node_us += SAMPLE_PERIOD * running;
        self.sessions.pass(&mut self.world, Traffic::of(self.case.clients));
        self.sample_again();
    }

    /// Everything heals, wakes up and comes back, but for what is gone for good.
    pub(super) fn end_all_faults(&mut self) {
        let now = self.world.now;
        self.world.weather.heal_all();
        self.world.oracle.network_changed(now);
        let awake = self.world.nodes.iter().map(|node| node.process.asleep_until).max().unwrap_or(0);
        self.pass_until(awake.clamp(now, now + HOUR));
        for node in 0..self.world.nodes.len() as u32 {
            let disk = &mut self.world.nodes[node as usize].disk;
            disk.slowness = 1;
            if disk.failing.take().is_some() {
                self.world.crash(node);
            }
            if !self.world.node(node).up && !self.gone.contains(&node) {
                self.start(node);
            }
        }
    }

    /// A node's next process begins. One that finds that it has left is gone for good.
    fn start(&mut self, node: u32) {
        self.world.start(node);
        if self.world.node(node).core.is_gone() {
            self.bury(node, true);
        }
    }
}
