//! Driving one node: its inputs in, its outputs carried out, as the node's own driver does it.

use super::dice::Dice as _;
use super::parcel::{Cargo, Opened, Parcel, Publication};
use super::time::{MS, Micros};
use super::world::{Event, World};
use hedgerow_protocol::core::{Command, Hint, Input, Lane, Output};
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::id::Token;
use hedgerow_protocol::link::Urgency;
use hedgerow_protocol::machine::{Cx, Machine as _};

/// How long a write takes that nobody waits for.
const UNSYNCED_WRITE: Micros = MS / 5;

impl<D: Defects> World<D> {
    /// One step of a node, and all that follows from it at once.
    pub(crate) fn step(&mut self, number: u32, input: Input) {
        debug_assert!(self.node(number).up, "an input for a node that does not run");
        let mut soon = std::mem::take(&mut self.soon);
        let mut out = std::mem::take(&mut self.out);
        soon.push_back(input);
        while let Some(input) = soon.pop_front() {
            let now = self.now;
            let before = self.coordinate_before(number, &input);
            let node = &mut self.nodes[number as usize];
            let (mono, wall) = (node.clock.mono(now), node.clock.wall(now));
            node.core.step(&mut Cx { now: mono, wall, rng: &mut node.rng, out: &mut out }, input);
            self.steps += 1;
            self.watch(number);
            if let Some(before) = before {
                self.oracle.moved(self.now, number, &before, &self.nodes[number as usize].core.coordinate());
            }
            for output in out.drain(..) {
                if let Output::Sign { token, statement } = output {
                    self.claims(number, &statement);
                    let statement = statement.sign(&self.node(number).signer);
                    soon.push_back(Input::Signed { token, statement });
                } else {
                    self.carry_out(number, output);
                }
            }
        }
        self.soon = soon;
        self.out = out;
        self.foresee_tick(number);
    }

    /// A command of the node's own people and programs.
    pub(crate) fn command(&mut self, number: u32, command: Command) {
        self.last_command += 1;
        let id = self.last_command;
        self.step(number, Input::Command { id, command });
    }

    /// Carries out an output, or lets it wait for its write.
    pub(super) fn carry_out(&mut self, number: u32, output: Output) {
        let after = match &output {
            Output::Send { after, .. } | Output::Publish { after, .. } | Output::Reply { after, .. } => *after,
            Output::Persist { .. }
            | Output::Sign { .. }
            | Output::Follow(_)
            | Output::Unfollow(_)
            | Output::Event(_)
            | Output::Hint(_)
            | Output::Sometimes(_) => None,
        };
        let node = &mut self.nodes[number as usize];
        match after.filter(|token| !node.is_done(*token)) {
            Some(token) => node.process.waiting.entry(token).or_default().push(output),
            None => self.release(number, output),
        }
    }

    fn release(&mut self, number: u32, output: Output) {
        match output {
            Output::Send { to, lane, message, not_after, .. } => {
                if not_after.is_some_and(|latest| self.node(number).mono(self.now) > latest) {
                    return;
                }
                let Some(to) = self.number_of(&to) else { return };
                self.oracle.said(self.now, number, to, &message);
                let cargo = Cargo::pack(message, self.options.wire);
                self.send(number, to, Parcel { lane, cargo });
            }
            Output::Follow(scope) => self.nodes[number as usize].follow(scope),
            Output::Unfollow(scope) => self.nodes[number as usize].unfollow(scope),
            Output::Publish { fact, scope, .. } => {
                self.oracle.published(self.now, number, &fact);
                self.last_publication += 1;
                let publication = Publication { scope, number: self.last_publication };
                self.nodes[number as usize].see(publication.number);
                self.pass_on(number, None, &fact, publication);
            }
            Output::Persist { token, ops, sync } => self.write(number, token, ops, sync),
            Output::Sign { .. } => unreachable!("signed in the step"),
            Output::Event(event) => self.noticed(number, &event),
            Output::Hint(Hint::Dial { peer, .. }) => {
                if let Some(peer) = self.number_of(&peer) {
                    self.dial(number, peer, Urgency::Upkeep);
                }
            }
            Output::Hint(Hint::Hangup { peer }) => {
                if let Some(peer) = self.number_of(&peer) {
                    self.hang_up(number, peer);
                }
            }
            Output::Sometimes(path) => *self.sometimes.entry(path).or_default() += 1,
            Output::Reply { .. } => {}
        }
    }

    fn write(&mut self, number: u32, token: Token, ops: Vec<hedgerow_protocol::core::StoreOp>, sync: bool) {
        let now = self.now;
        let node = &mut self.nodes[number as usize];
        node.process.written = token;
        let synced_at = node.disk.write(now, token, ops, &mut self.rng);
        let at = if sync { synced_at } else { now + UNSYNCED_WRITE };
        // Writes complete in the order in which they were asked for.
        node.process.sync_at = node.process.sync_at.max(at);
        let (run, at) = (node.run, node.process.sync_at);
        self.queue.push(at, Event::Written { node: number, run, token, synced: sync });
    }

    pub(super) fn written(&mut self, number: u32, run: u32, token: Token, synced: bool) {
        let node = &mut self.nodes[number as usize];
        if !node.up || node.run != run {
            return;
        }
        if let Some(kind) = node.disk.failing {
            node.process.waiting.clear();
            return self.step(number, Input::PersistFailed { token, kind });
        }
        if synced {
            node.disk.sync(token);
        }
        node.process.done = token;
        let later = node.process.waiting.split_off(&Token(token.0 + 1));
        let ready = std::mem::replace(&mut node.process.waiting, later);
        for output in ready.into_values().flatten() {
            self.release(number, output);
        }
        self.step(number, Input::Persisted(token));
    }

    pub(super) fn tick(&mut self, number: u32, run: u32) {
        let now = self.now;
        let node = &mut self.nodes[number as usize];
        if !node.up || node.run != run || node.process.tick_at != now {
            return;
        }
        node.process.tick_at = 0;
        let due = node.core.next_deadline().is_some_and(|deadline| node.clock.mono(now) >= deadline);
        if due {
            self.leave_trail(number, 1);
            self.step(number, Input::Tick);
        } else {
            self.foresee_tick(number);
        }
    }

    /// Foresees the next tick; an earlier one that is foreseen already looks again when it comes.
    pub(super) fn foresee_tick(&mut self, number: u32) {
        let now = self.now;
        let node = &mut self.nodes[number as usize];
        let Some(deadline) = node.core.next_deadline().filter(|deadline| node.up && deadline.0 != u64::MAX) else {
            return;
        };
        let at = node.clock.true_time(deadline).max(now + 1);
        if node.process.tick_at <= now || at < node.process.tick_at {
            node.process.tick_at = at;
            let run = node.run;
            self.queue.push(at, Event::Tick { node: number, run });
        }
    }

    pub(super) fn arrive(&mut self, from: u32, to: u32, connection: u64, parcel: Parcel) {
        let node = &self.nodes[to as usize];
        if !node.up || !node.process.links.is_open(from, connection) {
            return;
        }
        self.acknowledge(to, from, &parcel);
        let sender = self.node(from).member.node();
        let cargo = self.spoil(parcel.cargo);
        let node = &self.nodes[to as usize];
        let now = node.clock.wall(self.now).unix_seconds();
        let kind = if parcel.lane == Lane::Probe { 2 } else { 3 };
        match cargo.open(sender, node.core.roster(), node.core.root(), now) {
            Opened::Message(message) => {
                self.leave_trail(to, kind);
                self.step(to, Input::Net { from: sender, message });
            }
            Opened::Fact(fact, publication) => {
                if self.nodes[to as usize].see(publication.number) {
                    self.leave_trail(to, kind);
                    self.pass_on(to, Some(from), &fact, publication);
                    let before = self.node(to).core.own_rollup();
                    self.step(to, Input::Fact(Box::new(fact)));
                    self.heard(to, before);
                }
            }
            Opened::Refused => self.oracle.refused += 1,
        }
    }

    /// Flips a bit of a frame now and then.
    fn spoil(&mut self, cargo: Cargo) -> Cargo {
        match cargo {
            Cargo::Frame(mut frame) if self.rng.chance(self.weather.flip_ppm) => {
                let at = usize::try_from(self.rng.below(frame.len() as u64)).unwrap_or(0);
                if let Some(byte) = frame.get_mut(at) {
                    *byte ^= 1 << self.rng.below(8);
                }
                Cargo::Frame(frame)
            }
            other => other,
        }
    }
}
