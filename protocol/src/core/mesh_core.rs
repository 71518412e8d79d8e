//! The machine itself: its parts, and which part an input belongs to.

use super::config::CoreConfig;
use super::effects::Effects;
use super::exchange::Exchange;
use super::fact_store::FactStore;
use super::interface::{Input, LinkEvent, Output};
use super::own_record::OwnRecord;
use super::snapshot::Fence;
use super::standstill::Standstill;
use crate::cell::Cell;
use crate::coords::Coordinates;
use crate::defect::{Defect, Defects, Sound};
use crate::fact::{Liveness, SignedStatement};
use crate::id::Token;
use crate::machine::{Cx, Machine};
use crate::membership::{Contacts, Finding, Remote, Sign, Swim};
use crate::node_map::NodeMap;
use crate::placement::{PlacementTable, Policies};
use crate::roster::Roster;
use crate::time::{Mono, Wall};
use crate::view::MemberState;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::root::TrustRoot;
use hedgerow_attest::time::UnixSeconds;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One node's mesh core. Feed it [`Input::Start`] first.
#[derive(Debug)]
pub struct MeshCore<D = Sound> {
    pub(super) defects: D,
    pub(super) config: CoreConfig,
    pub(super) root: Arc<TrustRoot>,
    pub(super) roster: Arc<Roster>,
    pub(super) facts: FactStore<D>,
    /// The cell with which the region of this node began, once it has one.
    pub(super) origin: Option<CellId>,
    /// The cell of this node, once its region has one.
    pub(super) home: Option<CellId>,
    pub(super) policies: Policies,
    /// The table of each cell that was verified and is followed.
    pub(super) placements: BTreeMap<CellId, PlacementTable>,
    pub(super) fences: BTreeMap<CellId, Fence>,
    /// Recoveries that came second in their generation, by digest.
    pub(super) disobeyed: BTreeSet<Sha256Digest>,
    /// Counts what may make a difference to the rollup of the own cell.
    pub(super) changes: u64,
    pub(super) own: OwnRecord,
    pub(super) swim: Swim<D>,
    pub(super) remote: Remote,
    pub(super) contacts: Contacts,
    pub(super) coords: Coordinates<D>,
    pub(super) exchange: Exchange,
    pub(super) cell: Cell<D>,
    pub(super) phase: Phase,
    pub(super) last_token: Token,
    pub(super) next_chore: Mono,
    /// When the first certificate ends.
    pub(super) certificates_end: UnixSeconds,
    /// When this node, while it leads, looks at what there is to lead.
    next_lead: Mono,
    pub(super) lead: super::lead::Lead,
    pub(super) retiring: super::retire::Retiring,
    pub(super) census: super::divide::Census,
    clocks: Standstill,
    pub(super) findings: Vec<Finding>,
    /// How each member was last shown.
    pub(super) shown: NodeMap<MemberState>,
    /// Members whose state may have changed in this step.
    pub(super) doubtful: BTreeSet<NodeId>,
    /// Whether the own cell was last shown to be led.
    pub(super) is_shown_led: bool,
    pub(super) view_version: u64,
}

/// What the core may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before [`Input::Start`].
    New,
    /// The incarnation of this run is not durable: nothing may be sent.
    Starting(Token),
    /// Everything.
    Running,
    /// It left for good.
    Gone,
}

impl MeshCore {
    /// A core that waits for [`Input::Start`].
    #[must_use]
    pub fn new(config: CoreConfig, root: impl Into<Arc<TrustRoot>>) -> Self {
        Self::with_defects(config, root, Sound)
    }
}

impl<D: Defects> MeshCore<D> {
    /// The same, built without some of the rules.
    #[must_use]
    pub fn with_defects(config: CoreConfig, root: impl Into<Arc<TrustRoot>>, defects: D) -> Self {
        Self {
            defects,
            roster: Arc::new(Roster::waiving(defects)),
            facts: FactStore::new(defects),
            origin: None,
            home: None,
            policies: Policies::default(),
            placements: BTreeMap::new(),
            fences: BTreeMap::new(),
            disobeyed: BTreeSet::new(),
            changes: 0,
            own: OwnRecord::default(),
            swim: Swim::new(config.me, config.swim, config.repair, defects),
            remote: Remote::new(config.stale),
            contacts: Contacts::default(),
            coords: Coordinates::with_defects(defects),
            exchange: Exchange::new(config.exchange),
            cell: Cell::new(config.me, config.boot, config.election, defects),
            phase: Phase::New,
            last_token: Token(0),
            next_chore: Mono(0),
            certificates_end: UnixSeconds(u64::MAX),
            next_lead: Mono(u64::MAX),
            lead: super::lead::Lead::default(),
            retiring: super::retire::Retiring::default(),
            census: super::divide::Census::default(),
            clocks: Standstill::default(),
            findings: Vec::new(),
            shown: NodeMap::default(),
            doubtful: BTreeSet::new(),
            is_shown_led: false,
            view_version: 0,
            config,
            root: root.into(),
        }
    }

    /// Who belongs to the mesh and who votes: what [`crate::wire::Message::verify`] needs. Cheap to clone.
    #[must_use]
    pub fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// The root that the core was made with.
    #[must_use]
    pub fn root(&self) -> &TrustRoot {
        &self.root
    }

    /// Changes whenever [`MeshCore::view`] would differ in more than times and estimates.
    #[must_use]
    pub fn view_version(&self) -> u64 {
        self.view_version
    }

    pub(super) fn touch(&mut self) {
        self.view_version += 1;
    }

    pub(super) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    fn tick(&mut self, fx: &mut Effects<'_>) {
        if !self.is_running() {
            return;
        }
        self.swim.tick(fx, &mut self.contacts, &mut self.findings);
        self.doubtful.extend(self.remote.tick(fx, &mut self.contacts));
        if self.exchange.is_due(fx) {
            self.compare_round(fx);
        }
        self.tick_cell(fx);
        let leads = self.cell.holds(fx.now).is_some();
        self.next_lead = if leads { fx.now + LEAD_PERIOD } else { Mono(u64::MAX) };
        if fx.now >= self.next_chore {
            self.next_chore = fx.now + CHORE_PERIOD;
            self.chores(fx);
        }
    }

    fn link(&mut self, fx: &mut Effects<'_>, peer: NodeId, event: LinkEvent) {
        match event {
            LinkEvent::Up { .. } => self.contacts.set_linked(peer, true),
            LinkEvent::Down => self.contacts.set_linked(peer, false),
            LinkEvent::Rtt { .. } | LinkEvent::Used | LinkEvent::Unanswered => {}
        }
        if let LinkEvent::Up { rtt_us: Some(rtt_us) } | LinkEvent::Rtt { rtt_us } = event {
            self.contacts.entry(peer).rtt.hinted(rtt_us);
        }
        // Who is linked before this node may speak is greeted when it may.
        if !self.is_running() {
            return;
        }
        if self.roster.revoked().contains(&peer) {
            if matches!(event, LinkEvent::Up { .. }) {
                self.turn_away(fx, &peer);
            }
            return;
        }
        match event {
            LinkEvent::Up { .. } => {
                // A handshake is an answer.
                self.hear(fx, peer, Sign::Answer);
                self.greet(fx, peer);
            }
            LinkEvent::Down => {
                self.swim.link_lost(peer, fx.now);
                self.forget_guest(fx, peer);
            }
            LinkEvent::Used if self.is_probed(&peer) => self.swim.used(fx, peer),
            LinkEvent::Unanswered if self.is_probed(&peer) => self.swim.unanswered(fx, peer),
            LinkEvent::Rtt { .. } | LinkEvent::Used | LinkEvent::Unanswered => {}
        }
    }

    /// Whether it makes sense to ask that member how it is.
    fn is_probed(&self, node: &NodeId) -> bool {
        let liveness = self.liveness(node);
        *node != self.config.me && liveness.is_some_and(|liveness| liveness != Liveness::Down) && !self.has_left(node)
    }

    /// The wall clock at that moment, by what both clocks showed in the last step.
    pub(super) fn wall(&self, now: Mono) -> Wall {
        self.clocks.wall(now)
    }

    /// Clocks that moved apart mean that this machine stood still while others did not.
    fn watch_clocks(&mut self, fx: &mut Effects<'_>) {
        let election = &self.config.election;
        let apart = self.clocks.read(fx.now, fx.wall, election.lease, election.standstill);
        if apart && !self.defects.has(Defect::StandstillUnnoticed) {
            fx.event(super::interface::Event::ClockJump);
            self.clock_jumped(fx);
        }
    }
}

/// Time between looks at what time alone changes.
const CHORE_PERIOD: std::time::Duration = std::time::Duration::from_secs(1);

/// Longest time that a holder lets pass before it acts on what changed.
const LEAD_PERIOD: std::time::Duration = std::time::Duration::from_millis(250);

impl<D: Defects> Machine for MeshCore<D> {
    type Input = Input;
    type Output = Output;

    fn step(&mut self, cx: &mut Cx<'_, Output>, input: Input) {
        let mut last_token = self.last_token;
        let mut fx = Effects::new(cx, &mut last_token);
        fx.departure = self.own.departure;
        self.watch_clocks(&mut fx);
        self.contacts.mark = self.mark(fx.now);
        match input {
            Input::Start(snapshot) => self.start(&mut fx, *snapshot),
            Input::Tick => self.tick(&mut fx),
            Input::Net { from, message } => self.receive(&mut fx, from, message),
            Input::Fact(fact) => {
                self.adopt(&mut fx, &fact, super::adopt::Origin::Gossip);
            }
            Input::Link { peer, event } => self.link(&mut fx, peer, event),
            Input::Persisted(token) => self.persisted(&mut fx, token),
            Input::PersistFailed { token: _, kind } => self.storage_lost(&mut fx, kind),
            Input::Signed { token, statement } => match statement {
                SignedStatement::Fact(fact) => self.signed_fact(&mut fx, &fact),
                SignedStatement::Accusation(accusation) => {
                    self.swim.signed(&mut fx, &mut self.contacts, *accusation, &mut self.findings);
                }
                SignedStatement::Grant(grant) => self.signed_grant(&mut fx, token, &grant),
                SignedStatement::Acceptance(acceptance) => self.signed_acceptance(&mut fx, token, *acceptance),
            },
            Input::Command { id, command } => self.command(&mut fx, id, command),
        }
        self.conclude(&mut fx);
        self.last_token = last_token;
    }

    fn next_deadline(&self) -> Option<Mono> {
        if !self.is_running() {
            return None;
        }
        let parts = [
            self.swim.next_deadline(),
            self.remote.next_deadline(),
            self.exchange.next_deadline(),
            self.cell.next_deadline(),
            self.next_chore,
            self.next_lead,
        ];
        parts.into_iter().min()
    }

    fn digest(&self, hasher: &mut blake3::Hasher) {
        hasher.update(self.config.me.as_bytes());
        hasher.update(&self.view_version.to_be_bytes());
        hasher.update(&self.last_token.0.to_be_bytes());
        self.facts.digest(hasher);
        hasher.update(&self.next_deadline().unwrap_or_default().0.to_be_bytes());
        self.cell.digest(hasher);
        self.coords.digest(hasher);
    }
}
