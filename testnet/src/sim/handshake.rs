//! Links come and go: what the link machines of the nodes decide is carried out here.

use super::dice::Dice as _;
use super::link::{DIAL_TIMEOUT, HANDSHAKE_BYTES, HANDSHAKE_PTO, IDLE_TIMEOUT};
use super::time::Micros;
use super::world::{Event, World};
use hedgerow_protocol::core::{Command, Input, LinkEvent};
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::link::{
    AttemptId, Connected, ConnectionId, DialFailure, Life, LinkInput, LinkOutput, Origin, Urgency,
};
use hedgerow_protocol::machine::{Cx, Machine as _};

/// An attempt of a node to connect to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    /// Who dials.
    pub(crate) from: u32,
    /// In which run.
    pub(crate) run: u32,
    /// Whom.
    pub(crate) to: u32,
    /// Its number with the link machine of whoever dials.
    pub(crate) id: AttemptId,
}

impl<D: Defects> World<D> {
    /// Wants a link to that node.
    pub(super) fn dial(&mut self, from: u32, to: u32, urgency: Urgency) {
        if self.node(from).process.links.connection(to).is_some() {
            return;
        }
        if self.node(from).process.links.machine.addresses(&to).is_empty() {
            self.link_step(from, LinkInput::Learn { peer: to, origin: Origin::Said, addresses: vec![to] });
        }
        self.link_step(from, LinkInput::Want { peer: to, urgency });
    }

    /// One step of a node's link machine, and all that follows from it.
    pub(super) fn link_step(&mut self, number: u32, input: LinkInput<u32, u32>) {
        let now = self.now;
        let node = &mut self.nodes[number as usize];
        let (mono, wall) = (node.clock.mono(now), node.clock.wall(now));
        let mut out = Vec::new();
        let mut cx = Cx { now: mono, wall, rng: &mut node.rng, out: &mut out };
        node.process.links.machine.step(&mut cx, input);
        for output in out {
            self.carry_out_link(number, &output);
        }
        self.foresee_link_tick(number);
    }

    fn carry_out_link(&mut self, number: u32, output: &LinkOutput<u32, u32>) {
        match *output {
            LinkOutput::Dial { peer: to, attempt: id, address: _ } => self.knock(number, to, id),
            LinkOutput::Up { peer, .. } => self.link_up(number, peer),
            LinkOutput::Down { peer, .. } => {
                self.nodes[number as usize].process.links.starts_afresh(peer);
                let peer = self.node(peer).member.node();
                self.step(number, Input::Link { peer, event: LinkEvent::Down });
            }
            LinkOutput::Close { peer, connection, .. } => {
                // What is lost on the way is noticed by silence.
                if self.weather.is_cut(number, peer) {
                    return;
                }
                let at = self.now + self.geography.one_way_us(&self.node(number).spot, &self.node(peer).spot);
                self.queue.push(at, Event::Lost { node: peer, peer: number, connection: connection.0 });
            }
            LinkOutput::Failed { peer, .. } => drop(self.nodes[number as usize].process.links.take_waiting(peer)),
            // With one address for each peer a round has one attempt.
            // Everybody reaches everybody: nothing is relayed.
            LinkOutput::Cancel { .. } | LinkOutput::Moved { .. } | LinkOutput::Meet { .. } => {}
        }
    }

    /// A handshake begins: a round trip and a half until the peer has judged the certificate of whoever dials.
    fn knock(&mut self, from: u32, to: u32, id: AttemptId) {
        let rtt = 2 * self.geography.one_way_us(&self.node(from).spot, &self.node(to).spot);
        let mut takes = rtt * 3 / 2 + 3 * self.weather.congestion(from, to) + self.weather.jitter(&mut self.rng);
        for _flight in 0..3 {
            if self.rng.chance(self.weather.loss_ppm) {
                takes += HANDSHAKE_PTO;
            }
        }
        let attempt = Attempt { from, run: self.node(from).run, to, id };
        self.nodes[from as usize].process.links.attempt_begins(to);
        let gives_up = self.now + DIAL_TIMEOUT;
        if self.now + takes < gives_up {
            self.queue.push(self.now + takes, Event::Knock { attempt, gives_up });
        } else {
            self.queue.push(gives_up, Event::Unanswered { attempt });
        }
    }

    /// The last flight of a handshake arrives: the peer has a connection.
    pub(super) fn knocked(&mut self, attempt: Attempt, gives_up: Micros) {
        let Attempt { from, run, to, .. } = attempt;
        let dials = self.node(from).up && self.node(from).run == run;
        let is_open = !self.weather.is_cut(from, to) && !self.weather.is_cut(to, from);
        if !dials || !is_open || !self.node(to).is_awake(self.now) {
            return self.queue.push(gives_up, Event::Unanswered { attempt });
        }
        self.last_connection += 1;
        let connection = self.last_connection;
        self.count_packets(from, 3, HANDSHAKE_BYTES / 2);
        self.count_packets(to, 3, HANDSHAKE_BYTES / 2);
        // Whatever the peer sends over the connection comes after its greeting.
        let distance = self.geography.one_way_us(&self.node(to).spot, &self.node(from).spot);
        let life = self.node(to).run;
        self.queue.push(self.now + distance, Event::Greeted { attempt, connection, life });
        let connected = Connected { connection: ConnectionId(connection), life: Life(run.into()), address: from };
        self.link_step(to, LinkInput::Accepted { peer: from, connected });
    }

    /// The greeting of the peer arrives.
    pub(super) fn greeted(&mut self, attempt: Attempt, connection: u64, life: u32) {
        let Attempt { from, run, to, id } = attempt;
        if !self.node(from).up || self.node(from).run != run {
            let at = self.now + IDLE_TIMEOUT;
            return self.queue.push(at, Event::Lost { node: to, peer: from, connection });
        }
        self.nodes[from as usize].process.links.attempt_ends(to);
        let connected = Connected { connection: ConnectionId(connection), life: Life(life.into()), address: to };
        self.link_step(from, LinkInput::Attempted { peer: to, attempt: id, outcome: Ok(connected) });
        // It may have ended at the other end meanwhile, whose word of that arrived before the greeting could.
        let there = self.node(to);
        if !there.up || there.run != life || !there.process.links.is_open(from, connection) {
            self.queue.push(self.now, Event::Lost { node: from, peer: to, connection });
        }
    }

    pub(super) fn unanswered(&mut self, attempt: Attempt) {
        let Attempt { from, run, to, id } = attempt;
        if self.node(from).up && self.node(from).run == run {
            self.nodes[from as usize].process.links.attempt_ends(to);
            let outcome = Err(DialFailure::NoAnswer);
            self.link_step(from, LinkInput::Attempted { peer: to, attempt: id, outcome });
        }
    }

    /// A node has a link, and the certificate of the other end from the handshake.
    fn link_up(&mut self, here: u32, there: u32) {
        let rtt_us = 2 * self.geography.one_way_us(&self.node(here).spot, &self.node(there).spot);
        let links = &mut self.nodes[here as usize].process.links;
        links.starts_afresh(there);
        let waiting = links.take_waiting(there);
        let member = self.node(there).member.clone();
        let peer = member.node();
        self.command(here, Command::AddMember(member));
        self.step(here, Input::Link { peer, event: LinkEvent::Up { rtt_us: Some(rtt_us) } });
        for parcel in waiting {
            self.send(here, there, parcel);
        }
    }

    /// A connection ends at one of its ends.
    pub(super) fn lose_link(&mut self, number: u32, peer: u32, connection: u64) {
        let node = self.node(number);
        if node.up && node.process.links.is_open(peer, connection) {
            self.link_step(number, LinkInput::Closed { peer, connection: ConnectionId(connection) });
        }
    }

    pub(super) fn hang_up(&mut self, number: u32, peer: u32) {
        self.link_step(number, LinkInput::HangUp { peer });
    }

    pub(super) fn link_tick(&mut self, number: u32, run: u32) {
        let node = &mut self.nodes[number as usize];
        if node.up && node.run == run && node.process.links.tick_at == self.now {
            node.process.links.tick_at = 0;
            self.link_step(number, LinkInput::Tick);
        }
    }

    /// Foresees the next tick of the link machine, as [`Self::foresee_tick`] does that of the core.
    pub(super) fn foresee_link_tick(&mut self, number: u32) {
        let now = self.now;
        let node = &mut self.nodes[number as usize];
        let links = &mut node.process.links;
        let Some(deadline) = links.machine.next_deadline().filter(|_| node.up) else { return };
        let at = node.clock.true_time(deadline).max(now + 1);
        if links.tick_at <= now || at < links.tick_at {
            links.tick_at = at;
            let run = node.run;
            self.queue.push(at, Event::LinkTick { node: number, run });
        }
    }
}
