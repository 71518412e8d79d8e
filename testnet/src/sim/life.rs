//! Births, deaths and accidents of nodes.

use super::dice::Dice as _;
use super::link::IDLE_TIMEOUT;
use super::node::Process;
use super::oracle::Reign;
use super::time::{MS, Micros};
use super::world::{Event, World};
use hedgerow_protocol::core::{Command, Input};
use hedgerow_protocol::defect::Defects;
use std::net::{Ipv4Addr, SocketAddr};

/// How an announced end goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The process comes back.
    Stop,
    /// The node hands on what it holds.
    Drain,
    /// It departs for good.
    Leave,
}

impl<D: Defects> World<D> {
    /// Gives every node the disk that it would have if the whole mesh had run before, but for the last `joiners` of each
    /// region: they know whom their ticket named, and the births.
    fn furnish_disks(&mut self, joiners: u32) {
        for region in 0..self.plan.regions().len() {
            let nodes = self.plan.nodes_of(region);
            let first_joiner = nodes.end.saturating_sub(joiners);
            let known = self.plan.known_facts(region, first_joiner).into();
            let told = self.plan.known_facts(region, nodes.start).into();
            for number in nodes {
                let facts = if number < first_joiner { &known } else { &told };
                self.nodes[number as usize].disk.furnish(facts);
            }
        }
    }

    /// The wall clock of a node jumps ahead.
    pub(crate) fn jump_wall(&mut self, number: u32, by: Micros) {
        self.nodes[number as usize].clock.jump_wall(by);
    }

    /// Starts a node's process from what is on its disk.
    pub(crate) fn start(&mut self, number: u32) {
        let node = &self.nodes[number as usize];
        assert!(!node.up, "node {number} runs");
        let snapshot = node.disk.snapshot().expect("a simulated disk loses writes and changes none");
        self.nodes[number as usize].run += 1;
        let core = self.fresh_core(number);
        let node = &mut self.nodes[number as usize];
        node.core = core;
        node.process = Process::new(number);
        node.up = true;
        self.oracle.started(self.now, number);
        self.step(number, Input::Start(Box::new(snapshot)));
        // What a node has in files of its own, and whom its ticket named.
        let own = self.node(number).member.clone();
        for member in self.plan.members().first().cloned().into_iter().chain([own]) {
            self.command(number, Command::AddMember(member));
        }
        let octets = number.to_be_bytes();
        let address = Ipv4Addr::new(10, octets[1], octets[2], octets[3]);
        self.command(number, Command::SetAddresses(vec![SocketAddr::from((address, 4334))]));
    }

    /// The power goes: what was not synced may be lost, and nobody is told.
    pub(crate) fn crash(&mut self, number: u32) {
        if !self.node(number).up {
            return;
        }
        self.oracle.crashed(self.now, number);
        self.end_process(number, IDLE_TIMEOUT);
        let node = &mut self.nodes[number as usize];
        node.disk.crash(&mut self.rng);
    }

    /// The node says what it is about to do. The process ends a little later; see [`Self::part`].
    pub(crate) fn announce_end(&mut self, number: u32, end: End) {
        if !self.node(number).up {
            return;
        }
        self.oracle.announced(self.now, number, end);
        self.command(
            number,
            match end {
                End::Stop => Command::Stop,
                End::Drain => Command::Drain,
                End::Leave => Command::Leave,
            },
        );
    }

    /// The process ends in order: everything is written, and connections are closed.
    pub(crate) fn part(&mut self, number: u32) {
        if !self.node(number).up {
            return;
        }
        let core = &self.node(number).core;
        let fence = core.own_cell().map(|cell| core.fence(&cell)).unwrap_or_default();
        let seen = Reign { generation: fence.0, term: fence.2 };
        self.oracle.stopped(self.now, number, seen);
        let written = self.node(number).process.written;
        self.nodes[number as usize].disk.sync(written);
        self.end_process(number, 0);
    }

    fn end_process(&mut self, number: u32, noticed_after: Micros) {
        let links: Vec<(u32, u64)> = self.node(number).process.links.up().collect();
        for (peer, connection) in links {
            let distance = self.geography.one_way_us(&self.node(number).spot, &self.node(peer).spot);
            let at = self.now + distance + noticed_after;
            self.queue.push(at, Event::Lost { node: peer, peer: number, connection });
        }
        let node = &mut self.nodes[number as usize];
        node.up = false;
        node.process = Process::new(number);
    }

    /// The process stands still for a while; with `machine` its whole machine does, clocks included.
    pub(crate) fn pause(&mut self, number: u32, span: Micros, machine: bool) {
        let now = self.now;
        let node = &mut self.nodes[number as usize];
        if !node.is_awake(now) {
            return;
        }
        node.process.asleep_until = now + span;
        let run = node.run;
        self.oracle.paused(now, number, now + span);
        self.queue.push(now + span, Event::Wake { node: number, run, stood_since: machine.then_some(now) });
        // A connection that is silent for too long is given up by the other end.
        if span > IDLE_TIMEOUT {
            let links: Vec<(u32, u64)> = self.node(number).process.links.up().collect();
            for (peer, connection) in links {
                self.queue.push(now + IDLE_TIMEOUT, Event::Lost { node: peer, peer: number, connection });
                self.queue.push(now + span, Event::Lost { node: number, peer, connection });
            }
        }
    }

    pub(super) fn wake(&mut self, number: u32, run: u32, stood_since: Option<Micros>) {
        let now = self.now;
        let node = &mut self.nodes[number as usize];
        if !node.up || node.run != run {
            return;
        }
        if let Some(since) = stood_since {
            node.clock.stood_still(since, now);
            node.process.tick_at = 0;
        }
        self.step(number, Input::Tick);
    }

    /// From here on a node's clock runs fast or slow.
    pub(crate) fn drift(&mut self, number: u32, rate_ppm: i64) {
        let now = self.now;
        let node = &mut self.nodes[number as usize];
        node.clock.set_rate(now, rate_ppm);
        node.process.tick_at = 0;
        if node.up {
            self.foresee_tick(number);
        }
        self.oracle.drifts(number, rate_ppm);
    }

    /// Starts all nodes of a mesh that has run before, within a second.
    pub(crate) fn start_all(&mut self, joiners: u32) {
        self.furnish_disks(joiners);
        let regions = 0..self.plan.regions().len();
        let numbers: Vec<u32> = regions
            .flat_map(|region| {
                let nodes = self.plan.nodes_of(region);
                nodes.start..nodes.end.saturating_sub(joiners)
            })
            .collect();
        let mut moments: Vec<(Micros, u32)> =
            numbers.into_iter().map(|number| (self.rng.below(1_000 * MS), number)).collect();
        moments.sort_unstable();
        for (at, number) in moments {
            let script = self.run_until(at);
            debug_assert!(script.is_none(), "no script runs before the mesh does");
            self.start(number);
        }
    }
}
