//! Watching neighbours in rings, and a few members more: those that this node talks to, and those of which it heard ill.
//!
//! A pair of neighbours exchanges one ping and one acknowledgement per period, whichever of the two begins: either message
//! shows one of them that the other lives. What follows from silence is in `docs/rfd/0002-membership.md`.

use super::config::SwimConfig;
use super::contacts::Contacts;
use super::members::Members;
use super::peer::Peer;
use super::ring;
use super::swim::Finding;
use super::verdict::{Case, Word};
use crate::core::Effects;
use crate::defect::{Defect, Defects};
use crate::fact::{Charge, Liveness, NodeState};
use crate::node_map::NodeMap;
use crate::time::Mono;
use hedgerow_attest::id::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Bound of the local health: a node that doubts itself waits up to three times as long.
pub(super) const LOCAL_HEALTH_MAX: u32 = 4;

/// A tick that comes so late means that this node stood still: what it missed meanwhile accuses nobody.
const STALL: Duration = Duration::from_millis(300);

/// From the first comparison of facts after the start until members of which nothing ill was heard count as alive.
const TOUCH: Duration = Duration::from_secs(1);

/// One member that is probed.
#[derive(Debug)]
pub(super) struct Watch {
    /// When to send the next ping; the last one, if it is awaited, is then missed.
    pub(super) next: Mono,
    /// Whether the answer to the last ping is awaited.
    pub(super) awaited: bool,
    /// Pings in a row that were not answered.
    pub(super) misses: u8,
    /// Whether it is a neighbour.
    pub(super) neighbour: bool,
    /// Until when it is watched because this node talks to it.
    pub(super) busy_until: Mono,
    /// Why it may be gone.
    pub(super) doubt: Option<Box<Doubt>>,
}

/// What this node has on a member that it suspects.
#[derive(Debug)]
pub(super) struct Doubt {
    /// Since when it is silent.
    pub(super) since: Mono,
    pub(super) stage: Stage,
    /// When to ask its observers, again; and for how long to wait then.
    pub(super) ask_at: Option<Mono>,
    pub(super) ask_gap: Duration,
    /// Since when they are asked, and who how often.
    pub(super) asked_since: Option<Mono>,
    pub(super) asked: BTreeMap<NodeId, u8>,
}

/// How far the doubt has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It did not answer; perhaps it will.
    Suspected,
    /// It is asked directly, with the suspicion attached; so many times so far.
    Verifying(u32),
    /// It did not answer those either, and this node says so.
    Unreached,
}

impl Doubt {
    pub(super) fn new(now: Mono, stage: Stage) -> Self {
        let (ask_gap, asked) = (Duration::ZERO, BTreeMap::new());
        Self { since: now, stage, ask_at: None, ask_gap, asked_since: None, asked }
    }
}

/// Whether this node compared what it knows with anybody since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touch {
    Never,
    Since(Mono),
    Made,
}

/// Everybody who is watched, and what is held against them.
#[derive(Debug)]
pub(super) struct Watches<D> {
    pub(super) defects: D,
    pub(super) config: SwimConfig,
    pub(super) observers: u8,
    repair: Duration,
    /// Neighbours, at most [`super::watch_input::BUSY_MAX`] more that this node talks to, and members in doubt.
    pub(super) watches: NodeMap<Watch>,
    /// By accused; none speaks of more than the cell.
    pub(super) cases: BTreeMap<NodeId, Case>,
    /// What this node itself said of members that are down, for those who are still in doubt.
    pub(super) words: BTreeMap<NodeId, Word>,
    /// Charges of this node's own that others may tell first.
    pub(super) charges: Vec<(Mono, Charge)>,
    pub(super) local_health: u32,
    pub(super) touch: Touch,
    /// Whether somebody was doubted or buried since the cases were weighed: observers count only while they are alive.
    pub(super) review: bool,
}

impl<D: Defects> Watches<D> {
    pub(super) fn new(config: SwimConfig, observers: u8, repair: Duration, defects: D) -> Self {
        Self {
            defects,
            config,
            observers,
            repair,
            watches: NodeMap::default(),
            cases: BTreeMap::new(),
            words: BTreeMap::new(),
            charges: Vec::new(),
            local_health: 0,
            touch: Touch::Never,
            review: false,
        }
    }

    /// Those in the rings next to this node.
    pub(super) fn neighbours(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.watches.iter().filter(|(_, watch)| watch.neighbour).map(|(node, _)| *node)
    }

    pub(super) fn next_deadline(&self, members: &Members) -> Mono {
        if members.redraw {
            return Mono(0);
        }
        let touch = if let Touch::Since(since) = self.touch { since + TOUCH } else { Mono(u64::MAX) };
        let charges = self.charges.iter().map(|(at, _)| *at);
        self.watches.values().map(Watch::due).chain(charges).fold(touch, Mono::min)
    }

    pub(super) fn tick(
        &mut self,
        fx: &mut Effects<'_>,
        members: &mut Members,
        contacts: &mut Contacts,
        findings: &mut Vec<Finding>,
    ) {
        self.make_touch(fx.now, members, findings);
        let late = self.watches.values().map(|watch| fx.now.since(watch.due())).max().unwrap_or_default();
        if late > STALL {
            self.forgive(fx, contacts, late);
        }
        self.draw(fx, members);
        while let Some(node) = self.due(fx.now) {
            self.look_after(fx, members, contacts, findings, node);
        }
        self.review(fx, members, contacts, findings);
        self.draw(fx, members);
        let now = fx.now;
        findings.extend(self.charges.extract_if(.., |(at, _)| *at <= now).map(|(_, charge)| Finding::Charged(charge)));
    }

    fn due(&self, now: Mono) -> Option<NodeId> {
        self.watches.iter().find(|(_, watch)| watch.due() <= now).map(|(node, _)| *node)
    }

    /// What is due for one member. Its next deadline then lies ahead, or it is watched no longer.
    fn look_after(
        &mut self,
        fx: &mut Effects<'_>,
        members: &mut Members,
        contacts: &mut Contacts,
        findings: &mut Vec<Finding>,
        node: NodeId,
    ) {
        let Some(watch) = self.watches.get_mut(&node) else { return };
        if watch.doubt.as_ref().is_some_and(|doubt| doubt.ask_at.is_some_and(|at| at <= fx.now)) {
            return self.ask(fx, members, contacts, findings, node);
        }
        if !watch.has_reason(fx.now) {
            self.watches.remove(&node);
            return;
        }
        self.probe(fx, members, contacts, findings, node);
    }

    /// Sends the next ping, after drawing the conclusion from the last.
    fn probe(
        &mut self,
        fx: &mut Effects<'_>,
        members: &mut Members,
        contacts: &mut Contacts,
        findings: &mut Vec<Finding>,
        node: NodeId,
    ) {
        let now = fx.now;
        let Some(watch) = self.watches.get_mut(&node) else { return };
        if watch.awaited {
            watch.misses = watch.misses.saturating_add(1);
            // One packet that is lost says nothing of this node (Lifeguard counts probes that failed by all ways).
            if watch.misses == 2 {
                self.local_health = (self.local_health + 1).min(LOCAL_HEALTH_MAX);
            }
        }
        self.advance(now, members, findings, node);
        let patience = self.slowed(contacts.patience(&node, self.config.timeout));
        let ripe = self.ripe_at(members, &node);
        let Some(watch) = self.watches.get_mut(&node) else { return };
        let wait = match watch.doubt.as_mut().map(|doubt| &mut doubt.stage) {
            None => now + patience,
            Some(Stage::Suspected) => (now + patience.max(self.config.retry)).min(ripe.max(now + patience)),
            Some(Stage::Verifying(sent)) => {
                *sent += 1;
                now + patience
            }
            Some(Stage::Unreached) => now + patience.max(self.config.period),
        };
        watch.next = wait;
        watch.awaited = true;
        contacts.ping(fx, node, members.belief(&node), Vec::new());
    }

    /// What the silence so far makes of a member.
    fn advance(&mut self, now: Mono, members: &mut Members, findings: &mut Vec<Finding>, node: NodeId) {
        let ripe = now >= self.ripe_at(members, &node);
        let Some(watch) = self.watches.get_mut(&node) else { return };
        let Some(peer) = members.get(&node) else {
            if watch.misses >= self.config.misses {
                watch.misses = 0;
                findings.push(Finding::Silent(node));
            }
            return;
        };
        let verified = match &mut watch.doubt {
            None if watch.misses >= self.config.misses => {
                self.suspect(now, members, findings, node, Stage::Suspected);
                return;
            }
            Some(doubt) if doubt.stage == Stage::Suspected && ripe => {
                doubt.stage = Stage::Verifying(0);
                self.defects.has(Defect::SkippedVerification)
            }
            Some(doubt) => matches!(doubt.stage, Stage::Verifying(sent) if sent >= self.config.verify_probes),
            None => false,
        };
        if let Some(doubt) = watch.doubt.as_mut().filter(|_| verified) {
            doubt.stage = Stage::Unreached;
            findings.push(Finding::Accuse(node, peer.incarnation));
        }
    }

    /// From here on a member is in doubt, unless it is already.
    pub(super) fn suspect(
        &mut self,
        now: Mono,
        members: &mut Members,
        findings: &mut Vec<Finding>,
        node: NodeId,
        stage: Stage,
    ) {
        if !members.get(&node).is_some_and(Peer::is_in_ring) {
            return;
        }
        let watch = self.watches.entry(node, || Watch::new(now));
        let waits = watch.doubt.as_ref().is_none_or(|doubt| doubt.stage == Stage::Suspected);
        if waits && watch.doubt.as_ref().is_none_or(|doubt| doubt.stage != stage) {
            watch.doubt = Some(Box::new(Doubt::new(now, stage)));
            watch.next = now;
        }
        if members.found(&node) == Some(Liveness::Alive) {
            members.set_found(&node, Liveness::Suspect, now, findings);
            self.review = true;
        }
    }

    /// Until when a suspect may stay silent before it is verified: at once when others have verified it, and not before it
    /// is overdue when it said that it would be back.
    fn ripe_at(&self, members: &Members, node: &NodeId) -> Mono {
        let doubt = self.watches.get(node).and_then(|watch| watch.doubt.as_ref());
        let (Some(doubt), Some(peer)) = (doubt, members.get(node)) else { return Mono(u64::MAX) };
        if peer.said == NodeState::Stopping {
            return peer.away_since().unwrap_or(doubt.since) + self.repair;
        }
        let shared = self.cases.get(node).is_some_and(|case| case.has_another(&members.me));
        if shared { doubt.since } else { doubt.since + self.slowed(self.config.suspicion) }
    }

    /// A node that doubts itself gives others more time (Lifeguard, section IV-A).
    pub(super) fn slowed(&self, span: Duration) -> Duration {
        span * (2 + self.local_health) / 2
    }

    /// This node stood still: nobody is to blame for answers that it did not read.
    fn forgive(&mut self, fx: &mut Effects<'_>, contacts: &Contacts, late: Duration) {
        self.local_health = (self.local_health + 1).min(LOCAL_HEALTH_MAX);
        fx.sometimes("a node that stood still forgave the silence of others");
        let grace = self.slowed(self.config.timeout);
        for (node, watch) in self.watches.iter_mut() {
            watch.next = if watch.awaited { fx.now + contacts.patience(node, grace) } else { watch.next + late };
            if let Some(doubt) = &mut watch.doubt {
                doubt.since = doubt.since + late;
                doubt.ask_at = doubt.ask_at.map(|at| at + late);
            }
        }
    }

    /// Draws the neighbours anew when somebody entered or left the rings.
    fn draw(&mut self, fx: &mut Effects<'_>, members: &mut Members) {
        if !std::mem::take(&mut members.redraw) {
            return;
        }
        let neighbours = ring::neighbours(members, self.observers, &members.me);
        for watch in self.watches.values_mut() {
            watch.neighbour = false;
        }
        for node in neighbours {
            // Spread over the period, but for those that were never heard.
            let known = members.found(&node) == Some(Liveness::Alive);
            let first = if known { fx.now + fx.jitter(self.config.period) } else { fx.now };
            self.watches.entry(node, || Watch::new(first)).neighbour = true;
        }
        let now = fx.now;
        self.watches.retain(|_, watch| watch.has_reason(now));
    }

    /// Members of which nothing was heard count as alive once others were asked what they know.
    fn make_touch(&mut self, now: Mono, members: &mut Members, findings: &mut Vec<Finding>) {
        if !matches!(self.touch, Touch::Since(since) if now >= since + TOUCH) {
            return;
        }
        self.touch = Touch::Made;
        let in_doubt = |node: &NodeId| self.watches.get(node).is_some_and(|watch| watch.doubt.is_some());
        let unheard = members.peers().iter().filter(|(node, peer)| peer.found == Liveness::Suspect && !in_doubt(node));
        let unheard: Vec<NodeId> = unheard.map(|(node, _)| *node).collect();
        for node in unheard {
            members.set_found(&node, Liveness::Alive, now, findings);
        }
    }
}

impl Watch {
    pub(super) fn new(next: Mono) -> Self {
        Self { next, awaited: false, misses: 0, neighbour: false, busy_until: Mono(0), doubt: None }
    }

    fn due(&self) -> Mono {
        let ask = self.doubt.as_ref().and_then(|doubt| doubt.ask_at);
        ask.map_or(self.next, |ask| self.next.min(ask))
    }

    /// Whether there is still a reason to watch it.
    pub(super) fn has_reason(&self, now: Mono) -> bool {
        self.neighbour || self.busy_until > now || self.doubt.is_some()
    }
}
