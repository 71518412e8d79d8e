//! What this node says about itself, and when it says it again.

use super::config::CoreConfig;
use super::effects::Effects;
use super::exchange;
use super::interface::{Event, Output};
use super::mesh_core::{MeshCore, Phase};
use super::snapshot::put_incarnation;
use crate::defect::Defects;
use crate::fact::{
    DEGRADED_MAX, DegradedReason, Fact, FactKey, Health, NodeRecord, NodeState, Statement, VerifiedFact,
};
use crate::id::{Incarnation, Token};
use crate::time::{Mono, Wall};
use crate::view::Needed;
use crate::wire::Load;
use hedgerow_attest::id::{CellId, NodeId};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// Shortest time between two refutations: each is written and told to the whole cell, and one liar could ask for them.
const REFUTE_GAP: Duration = Duration::from_secs(2);

/// Doubters that are told without waiting for gossip.
const DOUBTERS_MAX: usize = 16;

/// The contents of the next record.
#[derive(Debug)]
pub(super) struct OwnRecord {
    pub(super) incarnation: Incarnation,
    seq: u64,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) state: NodeState,
    pub(super) health: Health,
    /// It has spoken since this run had a link: what it said before reached nobody by gossip.
    introduced: bool,
    /// Its clock is not to be trusted with leases.
    pub(super) out_of_time: bool,
    /// An incarnation that is being made durable.
    raising: Option<Token>,
    /// When this node last raised its incarnation against a rumour.
    raised: Option<Mono>,
    /// Who doubted this node, and should hear that it lives without waiting for gossip.
    doubters: BTreeSet<NodeId>,
    /// Commands to answer when the record is out.
    pub(super) waiting: Vec<u64>,
    /// Commands whose record is out, to answer when the lease was handed over.
    pub(super) announced: Vec<u64>,
    /// The write of its departure.
    pub(super) departure: Option<Token>,
    /// It is to leave, and waits until it is voted out.
    pub(super) leaving: Option<super::leave::Leaving>,
    /// What it was needed for when it left: more than nothing where it had waited for long enough.
    pub(super) left_with: Option<Needed>,
}

impl Default for OwnRecord {
    fn default() -> Self {
        Self {
            incarnation: Incarnation(0),
            seq: 0,
            addresses: Vec::new(),
            state: NodeState::Up,
            health: Health::default(),
            introduced: false,
            out_of_time: false,
            raising: None,
            raised: None,
            doubters: BTreeSet::new(),
            waiting: Vec::new(),
            announced: Vec::new(),
            departure: None,
            leaving: None,
            left_with: None,
        }
    }
}

impl OwnRecord {
    /// Commands that will not be carried out.
    pub(super) fn dismiss_commands(&mut self) -> Vec<u64> {
        let leaving = self.leaving.take().map(super::leave::Leaving::into_commands);
        let waiting = std::mem::take(&mut self.waiting).into_iter().chain(std::mem::take(&mut self.announced));
        waiting.chain(leaving.into_iter().flatten()).collect()
    }

    /// What acknowledgements say.
    pub(super) fn load(&self) -> Load {
        Load { queue_depth: self.health.queue_depth, free_memory_mib: self.health.free_memory_mib }
    }

    /// What it can do, with what the core itself found out about this node.
    pub(super) fn told_health(&self) -> Health {
        let mut health = self.health.clone();
        if self.out_of_time && !health.degraded.contains(&DegradedReason::CLOCK) {
            health.degraded.truncate(DEGRADED_MAX - 1);
            health.degraded.push(DegradedReason::CLOCK);
        }
        health
    }

    fn next(&mut self, config: &CoreConfig, cell: Option<CellId>, at: Wall) -> NodeRecord {
        self.seq += 1;
        NodeRecord {
            node: config.me,
            boot: config.boot,
            incarnation: self.incarnation,
            seq: self.seq,
            region: config.region.clone(),
            cell,
            addresses: self.addresses.clone(),
            state: self.state,
            health: self.told_health(),
            at,
        }
    }
}

impl<D: Defects> MeshCore<D> {
    /// Raises the incarnation past the stored one; nothing is sent before that is durable.
    pub(super) fn raise_at_start(&mut self, fx: &mut Effects<'_>, stored: Incarnation) {
        self.own.incarnation = stored.next();
        let token = fx.persist(vec![put_incarnation(self.own.incarnation)], true);
        self.phase = Phase::Starting(token);
    }

    /// Says what this node has to say about itself.
    pub(super) fn speak(&mut self, fx: &mut Effects<'_>) {
        if self.is_running() && self.own.raising.is_none() {
            let record = self.own.next(&self.config, self.home, fx.wall);
            fx.sign(Statement::Record(Box::new(record)));
        }
    }

    /// Says again who it is, now that somebody hears it. Those it is linked to heard it when the link came up; gossip takes
    /// it to all others, who would learn of it from comparisons else, a quarter of a minute later.
    pub(super) fn introduce(&mut self, fx: &mut Effects<'_>) {
        if !self.own.introduced && self.contacts.links() > 0 {
            self.own.introduced = true;
            self.speak(fx);
        }
    }

    /// Somebody takes this node for dead or dying at that incarnation: raise it, durably, then say so.
    pub(super) fn refute(&mut self, fx: &mut Effects<'_>, doubted: Incarnation, by: impl IntoIterator<Item = NodeId>) {
        if !self.is_running() {
            return;
        }
        if doubted < self.own.incarnation && self.own.raising.is_none() {
            // Already refuted; whoever asks has not heard.
            let record = self.facts.get(&FactKey::Record(self.config.me));
            for (by, fact) in by.into_iter().filter_map(|by| Some((by, record?))) {
                exchange::push(fx, by, [fact]);
            }
            return;
        }
        self.own.doubters.extend(by.into_iter().take(DOUBTERS_MAX.saturating_sub(self.own.doubters.len())));
        if self.own.raised.is_some_and(|raised| fx.now.since(raised) < REFUTE_GAP) {
            // Whoever takes this node for down says so again.
            return;
        }
        if self.own.raising.is_none() || doubted >= self.own.incarnation {
            self.own.raised = Some(fx.now);
            self.swim.doubted_self();
            self.own.incarnation = doubted.max(self.own.incarnation).next();
            self.own.raising = Some(fx.persist(vec![put_incarnation(self.own.incarnation)], true));
        }
    }

    pub(super) fn incarnation_durable(&mut self, fx: &mut Effects<'_>, token: Token) {
        let incarnation = self.own.incarnation;
        if self.phase == Phase::Starting(token) {
            self.phase = Phase::Running;
            self.touch();
            fx.event(Event::Running { incarnation });
            self.speak(fx);
            let early: Vec<NodeId> = self.contacts.linked().collect();
            for peer in early {
                self.greet(fx, peer);
            }
        } else if self.own.raising == Some(token) {
            self.own.raising = None;
            fx.event(Event::Refuted { incarnation });
            self.speak(fx);
        }
    }

    /// This node's own record came back signed. Of a departure, which is for ever, nobody hears before this node is sure to
    /// know of it after a crash; whatever else it says, it says again.
    pub(super) fn record_signed(&mut self, fx: &mut Effects<'_>, fact: &VerifiedFact, written: Option<Token>) {
        self.own.departure = written.filter(|_| self.own.state == NodeState::Left);
        fx.departure = self.own.departure;
        self.publish(fx, fact, self.own.departure);
        let mut told = std::mem::take(&mut self.own.doubters);
        if let Fact::Record(record) = fact.fact()
            && matches!(record.state, NodeState::Stopping | NodeState::Left)
        {
            // The process may be gone before gossip has taken it further.
            told.extend(self.swim.peers().keys().copied());
        }
        for peer in told {
            exchange::push(fx, peer, [fact]);
        }
        let waiting = std::mem::take(&mut self.own.waiting);
        self.own.announced.extend(waiting);
        self.answer_announced(fx);
    }

    /// Answers whoever announced an intention, unless a lease is still being handed over: the process may end with the answer.
    pub(super) fn answer_announced(&mut self, fx: &mut Effects<'_>) {
        if self.cell.is_parting() {
            return;
        }
        for id in std::mem::take(&mut self.own.announced) {
            fx.push(Output::Reply { id, reply: super::interface::Reply::Done, after: self.own.departure });
        }
    }
}
