//! The oracle itself: what it notes, and what it is told.

use super::invariant::{Invariant, Violation};
use super::leases::Leases;
use super::measures::Measures;
use super::members::Members;
use super::registers::{Ending, Registers};
use super::reign::Reign;
use super::shown::{Backing, Seen};
use crate::sim::life::End;
use crate::sim::time::Micros;
use hedgerow_attest::id::CellId;
use hedgerow_protocol::coords::{Coordinate, MOVE_MAX_US, UNIT_US};
use hedgerow_protocol::core::Event;
use hedgerow_protocol::fact::Liveness;
use hedgerow_protocol::fact::{Fact, FactKey, VerifiedFact};
use hedgerow_protocol::register::Acceptance;
use hedgerow_protocol::view::MemberState;
use hedgerow_protocol::wire::{ProbeMessage, VerifiedExchange, VerifiedLease, VerifiedMessage};
use std::collections::BTreeMap;

/// Violations that are kept word for word; more are counted.
const KEPT_MAX: usize = 16;

/// What really happened so far.
#[derive(Debug)]
pub(crate) struct Oracle {
    /// Violations word for word, the first of them.
    pub(crate) violations: Vec<Violation>,
    /// How many there were.
    pub(crate) violated: u64,
    /// What was measured.
    pub(crate) measures: Measures,
    /// Messages and facts that receivers refused.
    pub(crate) refused: u64,
    pub(super) members: Members,
    pub(super) leases: Leases,
    pub(super) registers: Registers,
    /// By node and cell: the reign of the latest holder that it knew of when its process last ended in order.
    fences: BTreeMap<(u32, CellId), Reign>,
}

impl Oracle {
    /// Nothing has happened yet. `regions` says where each node stands.
    pub(crate) fn new(regions: &[usize]) -> Self {
        Self {
            violations: Vec::new(),
            violated: 0,
            measures: Measures::default(),
            refused: 0,
            members: Members::new(regions),
            leases: Leases::default(),
            registers: Registers::default(),
            fences: BTreeMap::new(),
        }
    }

    /// A promise was broken.
    pub(crate) fn violate(&mut self, at_us: Micros, invariant: Invariant, what: String) {
        self.violated += 1;
        if self.violations.len() < KEPT_MAX {
            self.violations.push(Violation { at_us, invariant, what });
        }
    }

    /// To which cell a node counts itself.
    pub(crate) fn belongs(&mut self, now: Micros, node: u32, cell: Option<CellId>) {
        let former = self.members.home(node);
        if self.members.belongs(node, cell)
            && let Some(former) = former
        {
            self.leases.released(now, former, node);
        }
    }

    /// A node's process began.
    pub(crate) fn started(&mut self, now: Micros, node: u32) {
        self.members.started(now, node);
    }

    /// A node's power went.
    pub(crate) fn crashed(&mut self, now: Micros, node: u32) {
        self.measures.crashes += 1;
        // Fences are written with whatever else is.
        self.fences.retain(|(fenced, _), _| *fenced != node);
        if let Some(cell) = self.members.home(node)
            && self.leases.ended_by_crash(now, cell, node)
        {
            self.leases.vacate(now, cell, true);
        }
        self.members.crashed(now, node);
        self.conclude_detections(now);
    }

    /// A node's process ended in order, and had seen that reign.
    pub(crate) fn stopped(&mut self, now: Micros, node: u32, seen: Reign) {
        if let Some(cell) = self.members.home(node) {
            self.fences.insert((node, cell), seen);
            self.leases.ended_by_crash(now, cell, node);
        }
        self.members.stopped(now, node);
        self.conclude_detections(now);
    }

    /// A node said that it is about to end.
    pub(crate) fn announced(&mut self, now: Micros, node: u32, end: End) {
        if let Some(cell) = self.members.home(node)
            && self.leases.is_held_by(now, cell, node)
        {
            self.leases.vacate(now, cell, false);
        }
        self.members.announced(now, node, end);
    }

    /// A node stands still until `until`.
    pub(crate) fn paused(&mut self, now: Micros, node: u32, until: Micros) {
        if let Some(cell) = self.members.home(node)
            && self.leases.ended_by_crash(now, cell, node)
        {
            self.leases.excuse(now, cell);
        }
        self.members.disturbed(node, until);
    }

    /// A node's clock is wrong from here on.
    pub(crate) fn drifts(&mut self, node: u32, rate_ppm: i64) {
        self.leases.set_drift(node, rate_ppm);
    }

    /// The network between groups of nodes changed.
    pub(crate) fn network_changed(&mut self, now: Micros) {
        self.members.network_changed(now);
        self.leases.network_changed(now);
    }

    /// A node sent a message.
    pub(crate) fn said(&mut self, now: Micros, node: u32, to: u32, message: &VerifiedMessage) {
        match message {
            VerifiedMessage::Probe(ProbeMessage::Ping { belief, .. }) if belief.liveness != Liveness::Alive => {
                self.members.suspicion_told(now, node, to);
            }
            VerifiedMessage::Lease(lease) => self.said_lease(now, node, lease),
            // What is decided may be passed on before it is told, where the disk of whoever decided it is slow; and whoever was to
            // tell it may lose its power.
            VerifiedMessage::Exchange(VerifiedExchange::Push(facts)) => {
                let is_passed_on =
                    |fact: &&VerifiedFact| matches!(fact.key(), FactKey::Absorb(..) | FactKey::Recovery(..));
                for fact in facts.iter().filter(is_passed_on) {
                    self.published(now, node, fact);
                }
            }
            VerifiedMessage::Probe(_)
            | VerifiedMessage::Exchange(_)
            | VerifiedMessage::Accusation(_)
            | VerifiedMessage::Settled(_) => {}
        }
    }

    /// A node is about to sign that another did not answer it.
    pub(crate) fn accuses(&mut self, now: Micros, node: u32, accused: u32) {
        if !self.members.has_verified(now, node, accused) {
            let what = format!("node {node} accuses node {accused} and did not ask it");
            self.violate(now, Invariant::VerifiedBeforeDown, what);
        }
    }

    /// A voter is about to sign a grant, or that it accepts a value: what it then knows of the register is at its head.
    pub(crate) fn votes(&mut self, now: Micros, node: u32, is_current: bool, knows_end: bool) {
        if knows_end {
            let what = format!("node {node} votes in a cell of which it knows that it ended");
            self.violate(now, Invariant::TombstonedNeverGrants, what);
        }
        if !is_current {
            self.violate(now, Invariant::VotersAreCurrent, format!("node {node} votes on what it does not know"));
        }
    }

    /// A voter is about to sign that it accepts a value.
    pub(crate) fn accepts(&mut self, node: u32, acceptance: &Acceptance) {
        self.registers.signs(node, acceptance);
    }

    /// A node goes by what a holder said in that reign.
    pub(crate) fn believes(&mut self, now: Micros, node: u32, reign: Reign) {
        let fence = self.members.home(node).and_then(|cell| self.fences.get(&(node, cell)));
        if fence.is_some_and(|seen| reign < *seen) {
            let what =
                format!("node {node} believes the holder of term {reign} and saw a later one before it was restarted");
            self.violate(now, Invariant::FencesHold, what);
        }
    }

    /// What a node that has a cell remembers to have promised.
    pub(crate) fn remembers(&mut self, now: Micros, voter: u32, cell: CellId, promised: Reign) {
        if let Err(what) = self.leases.remembers(voter, cell, promised) {
            self.violate(now, Invariant::GrantsGoForward, what);
        }
    }

    fn said_lease(&mut self, now: Micros, node: u32, lease: &VerifiedLease) {
        match lease {
            VerifiedLease::Grant(reply) => {
                if let Err(what) = self.leases.granted(node, &reply.grant) {
                    self.violate(now, Invariant::GrantsGoForward, what);
                }
                if let Some(head) = &reply.head {
                    self.decided(now, head);
                }
            }
            VerifiedLease::Propose(propose) => {
                let reign = Reign { generation: propose.value.generation, term: propose.term };
                self.must_hold(now, node, propose.value.cell, reign, "proposes");
                let noted = self.registers.proposed(node, propose);
                self.blame(now, noted);
            }
            VerifiedLease::Accepted(acceptance) => {
                let noted = self.registers.accepted(acceptance);
                self.blame(now, noted);
            }
            VerifiedLease::Decided(decision) | VerifiedLease::Handover(_, Some(decision)) => {
                self.decided(now, decision);
            }
            VerifiedLease::Campaign(_)
            | VerifiedLease::Denial(..)
            | VerifiedLease::Abandon(_)
            | VerifiedLease::Handover(_, None)
            | VerifiedLease::Refused(_) => {}
        }
    }

    /// A node published a fact.
    pub(crate) fn published(&mut self, now: Micros, node: u32, fact: &VerifiedFact) {
        match fact.fact() {
            Fact::Rollup(rollup) => {
                let reign = Reign { generation: rollup.generation, term: rollup.term };
                self.must_hold(now, node, rollup.cell, reign, "speaks for its cell");
                if let Err((invariant, what)) = self.registers.spoken_for(&rollup.cell, rollup.generation) {
                    self.violate(now, invariant, what);
                }
            }
            Fact::Record(record) => {
                if let Err(what) = self.members.spoke(node, record) {
                    self.violate(now, Invariant::IncarnationsGoForward, what);
                }
            }
            Fact::Decision(decision) => self.decided(now, decision),
            Fact::Recovery(recovery) => {
                if self.registers.recovered(recovery) {
                    self.measures.recoveries.count();
                }
            }
            Fact::Member(_)
            | Fact::Accusation(_)
            | Fact::Genesis(_)
            | Fact::Policy(..)
            | Fact::Deployment(_)
            | Fact::NodeClasses(_)
            | Fact::Revocation(_) => {}
        }
    }

    fn decided(&mut self, now: Micros, decision: &hedgerow_protocol::register::VerifiedDecision) {
        match self.registers.decided(decision) {
            Ok(Some(Ending::Split)) => self.measures.splits.count(),
            Ok(Some(Ending::Merged)) => self.measures.mergers.count(),
            Ok(None) => {}
            Err((invariant, what)) => self.violate(now, invariant, what),
        }
    }

    fn blame(&mut self, now: Micros, noted: Result<(), (Invariant, String)>) {
        if let Err((invariant, what)) = noted {
            self.violate(now, invariant, what);
        }
    }

    fn must_hold(&mut self, now: Micros, node: u32, cell: CellId, reign: Reign, act: &str) {
        if !self.leases.covers(now, cell, node, reign) {
            let what = format!("node {node} {act} under term {reign} without its lease");
            self.violate(now, Invariant::ActsUnderLease, what);
        }
    }

    /// What a node believes to hold after a step: a reign, and the true time at which it will stop believing.
    pub(crate) fn holds(&mut self, now: Micros, node: u32, held: Option<(Reign, Micros)>) {
        let Some(cell) = self.members.home(node) else { return };
        let change = match held {
            Some((reign, until)) => self.leases.held(now, cell, node, reign, until),
            None => {
                self.leases.released(now, cell, node);
                Ok(None)
            }
        };
        match change {
            Ok(None) => {}
            Ok(Some(change)) => self.measures.count(change),
            Err((invariant, what)) => self.violate(now, invariant, what),
        }
    }

    /// A node believes for longer than before that it holds the lease.
    pub(crate) fn extended(&mut self, now: Micros, node: u32, reign: Reign, backing: Backing) {
        let Backing { quorum, voters } = backing;
        if self.leases.keeps_time(node)
            && voters.iter().filter(|voter| self.leases.keeps_time(**voter)).count() < quorum
        {
            let what =
                format!("the lease of node {node} in term {reign} is longer than the promises of all but {voters:?}");
            self.violate(now, Invariant::LeasesRestOnPromises, what);
        }
    }

    /// A node's coordinate moved. Coordinates are told in whole units, so that rounding may add one along each dimension.
    pub(crate) fn moved(&mut self, now: Micros, node: u32, before: &Coordinate, after: &Coordinate) {
        let (before, after) = (before.fields(), after.fields());
        let squares = before.vector.iter().zip(&after.vector).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2));
        let units = squares.sum::<u64>().isqrt();
        let most = MOVE_MAX_US / u64::from(UNIT_US) + before.vector.len() as u64;
        if units > most {
            let what = format!("node {node} moved by {} us at once", units * u64::from(UNIT_US));
            self.violate(now, Invariant::CoordinatesAreBounded, what);
        }
    }

    /// An event of a node.
    pub(crate) fn noticed(&mut self, _now: Micros, _node: u32, event: &Event) {
        if matches!(event, Event::PlacementRefused { .. }) {
            self.refused += 1;
        }
    }

    /// A node sees another in another state. What it believes of members of other cells is their aggregators' word, which
    /// may be late.
    pub(crate) fn saw(&mut self, now: Micros, observer: u32, of: u32, seen: Seen) {
        let Seen { to, known, connected } = seen;
        if !self.members.are_near(observer, of) {
            return;
        }
        if self.members.saw(observer, of, to, known) {
            let what = format!("node {observer} sees node {of} {to} after its departure");
            self.violate(now, Invariant::DeparturesAreFinal, what);
        }
        match to {
            MemberState::Down => {
                if connected && self.members.is_undisturbed(now, observer, of) && self.members.is_first_mistake(now, of)
                {
                    self.measures.false_downs += 1;
                }
            }
            MemberState::Alive if self.members.is_known_dead(observer, of) => {
                let what = format!("node {observer} sees node {of} alive, which does not run");
                self.violate(now, Invariant::NoRevivalOfTheDead, what);
            }
            MemberState::Alive
            | MemberState::Suspect
            | MemberState::Stopping
            | MemberState::Draining
            | MemberState::Left => {}
        }
        self.conclude_detections(now);
    }

    /// Whose crash or return is known to all who run.
    fn conclude_detections(&mut self, now: Micros) {
        let Some(known) = self.members.conclude(now) else { return };
        for known in known {
            match known {
                super::members::Known::Crash(span) => self.measures.crash_known.take(span),
                super::members::Known::Avoided { span, in_flight: false } => self.measures.routed_around.take(span),
                super::members::Known::Avoided { span, in_flight: true } => {
                    self.measures.routed_around_in_flight.take(span);
                }
                super::members::Known::Return(span) => self.measures.return_known.take(span),
            }
        }
    }

    /// Whether a node holds the lease of its cell.
    pub(crate) fn leads(&self, now: Micros, node: u32) -> bool {
        self.members.home(node).is_some_and(|cell| self.leases.is_held_by(now, cell, node))
    }

    /// Whether somebody holds the lease of a cell.
    pub(crate) fn is_led(&self, now: Micros, cell: CellId) -> bool {
        self.leases.holder(now, cell).is_some()
    }

    /// How many cells there are, and how many of them nobody leads.
    pub(crate) fn cells(&self, now: Micros) -> (u64, u64) {
        let cells = self.members.cells();
        cells.fold((0, 0), |(all, vacant), cell| (all + 1, vacant + u64::from(!self.is_led(now, cell))))
    }

    /// Nodes that talk to that one: from here on it is measured when they route around it.
    pub(crate) fn talk(&mut self, to: u32, talkers: &[u32], in_flight: bool) {
        self.members.talk(to, talkers, in_flight);
    }
}
