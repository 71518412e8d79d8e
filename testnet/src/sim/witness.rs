//! What the oracle is shown of the nodes.

use super::oracle::{Backing, Reign, Seen};
use super::time::Micros;
use super::world::World;
use hedgerow_protocol::coords::Coordinate;
use hedgerow_protocol::core::{Event as CoreEvent, Input};
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::fact::Statement;
use hedgerow_protocol::id::{Generation, Term};
use hedgerow_protocol::register::Point;
use hedgerow_protocol::wire::VerifiedMessage;

impl<D: Defects> World<D> {
    /// A node is about to sign something.
    pub(super) fn claims(&mut self, number: u32, statement: &Statement) {
        let core = &self.node(number).core;
        match statement {
            Statement::Accusation(accusation) => {
                if let Some(accused) = self.number_of(&accusation.accused) {
                    self.oracle.accuses(self.now, number, accused);
                }
            }
            Statement::Grant(grant) => {
                let is_current = core.voters().is_some_and(|voters| voters.epoch == grant.config_epoch);
                let knows_end = core.roster().end_of(&grant.cell).is_some();
                self.oracle.votes(self.now, number, is_current, knows_end);
            }
            Statement::Acceptance(acceptance) => {
                let is_current = core.register_head().is_some_and(|head| {
                    head.next() == Point { generation: acceptance.generation, slot: acceptance.slot }
                });
                let knows_end = core.roster().end_of(&acceptance.cell).is_some();
                self.oracle.votes(self.now, number, is_current, knows_end);
                self.oracle.accepts(number, acceptance);
            }
            Statement::Record(_) | Statement::Rollup(_) => {}
        }
    }

    /// A node tells its own people something.
    pub(super) fn noticed(&mut self, number: u32, event: &CoreEvent) {
        if let CoreEvent::MemberChanged { node, to, .. } = event {
            let Some(of) = self.number_of(node) else { return };
            let connected = !self.weather.is_cut(number, of) && !self.weather.is_cut(of, number);
            let known = self.node(number).core.incarnation_of(node).unwrap_or_default();
            self.oracle.saw(self.now, number, of, Seen { to: *to, known, connected });
        }
        self.oracle.noticed(self.now, number, event);
    }

    /// A node heard a gossiped fact; before it went by that rollup of its cell.
    pub(super) fn heard(&mut self, number: u32, before: Option<(Generation, Term, u64)>) {
        let after = self.node(number).core.own_rollup();
        if let Some((generation, term, _)) = after.filter(|_| after != before) {
            self.oracle.believes(self.now, number, Reign { generation, term });
        }
    }

    /// Where the node lies, where a step may move it and somebody looks. Runs whose disks keep nothing are too large for it.
    pub(super) fn coordinate_before(&self, number: u32, input: &Input) -> Option<Coordinate> {
        let moves = matches!(input, Input::Net { message: VerifiedMessage::Probe(_), .. });
        (moves && self.options.keeps_disks).then(|| self.node(number).core.coordinate())
    }

    /// The oracle looks at what the node believes after a step.
    pub(super) fn watch(&mut self, number: u32) {
        let now = self.now;
        let node = &self.nodes[number as usize];
        let lease = node.core.held_lease(node.clock.mono(now));
        let held = lease.map(|(term, until)| (Reign::of(&node.core, term), node.clock.true_time(until)));
        let extended = held.filter(|_| node.process.lease.is_none() || lease > node.process.lease);
        let home = node.core.own_cell();
        let promised = node.core.promised_term().unwrap_or_default();
        let promised = home.map(|cell| (cell, Reign::of(&node.core, promised)));
        let held_before = node.process.lease.is_some();
        self.oracle.belongs(now, number, home);
        if held.is_some() || held_before {
            self.oracle.holds(now, number, held);
        }
        if let Some((cell, promised)) = promised {
            self.oracle.remembers(now, number, cell, promised);
        }
        self.nodes[number as usize].process.lease = lease;
        if let Some((reign, until)) = extended {
            let backing = self.backing(number, until);
            self.oracle.extended(now, number, reign, backing);
        }
    }

    /// Which voters a lease that lasts until then rests on. Who does not run waits a lease out when it starts.
    fn backing(&self, holder: u32, until: Micros) -> Backing {
        let holder = self.node(holder);
        let id = holder.member.node();
        let Some(voters) = holder.core.voters() else { return Backing::default() };
        let known = voters.voters.iter().filter_map(|voter| self.number_of(&voter.node));
        let binds = |voter: &u32| {
            let voter = self.node(*voter);
            !voter.up || voter.clock.true_time(voter.core.bound_to(&id)) >= until
        };
        Backing { quorum: usize::from(voters.quorum), voters: known.filter(binds).collect() }
    }
}
