//! What the watching of neighbours learns from outside.

use super::contacts::Contacts;
use super::members::Members;
use super::swim::{Finding, Sign};
use super::watch::{Doubt, LOCAL_HEALTH_MAX, Stage, Touch, Watch, Watches};
use crate::core::Effects;
use crate::defect::Defects;
use crate::fact::{Liveness, NodeRecord, NodeState};
use crate::time::Mono;
use crate::wire::Suspicion;
use hedgerow_attest::id::NodeId;
use std::time::Duration;

/// Members that are watched because this node talks to them.
pub(super) const BUSY_MAX: usize = 8;

/// For how long after the last word with it.
const BUSY: Duration = Duration::from_secs(30);

impl<D: Defects> Watches<D> {
    /// The record of a member, which the member signed. One that was not known is alive, unless this node knows nothing of
    /// the cell yet: then it is found out first. A later incarnation opens the way back from down; where it was signed
    /// longer ago than a burial takes, the member may have died since, and is asked.
    pub(super) fn record(
        &mut self,
        members: &mut Members,
        record: &NodeRecord,
        (now, is_fresh): (Mono, bool),
        findings: &mut Vec<Finding>,
    ) {
        let node = record.node;
        let presumed = if self.touch == Touch::Made { Liveness::Alive } else { Liveness::Suspect };
        let Some(peer) = members.get(&node) else {
            return members.insert(record, presumed, now, findings);
        };
        let later = record.incarnation > peer.incarnation;
        let returns = later && peer.found == Liveness::Down;
        members.change(&node, now, findings, |peer| {
            peer.says(record);
            if returns {
                peer.found = if is_fresh { presumed } else { Liveness::Suspect };
            }
        });
        if later || record.state == NodeState::Left {
            self.acquit(&node);
        }
        if record.state == NodeState::Left {
            self.watches.remove(&node);
        }
        if let Some(watch) = self.watches.get_mut(&node).filter(|_| later) {
            // It lives, or did when it signed this: what went before does not count.
            watch.next = now;
            watch.awaited = false;
            if let Some(doubt) = &mut watch.doubt {
                **doubt = Doubt::new(now, Stage::Suspected);
            }
        }
        if returns && !is_fresh {
            self.suspect(now, members, findings, node, Stage::Suspected);
        }
    }

    /// It is of interest no longer.
    pub(super) fn forget(&mut self, node: &NodeId) {
        self.watches.remove(node);
        self.acquit(node);
    }

    /// Nothing that was said of a member so far counts any more.
    fn acquit(&mut self, node: &NodeId) {
        self.cases.remove(node);
        self.words.remove(node);
        self.charges.retain(|(_, charge)| charge.accused() != *node);
    }

    /// A packet arrived from that node over its own link.
    pub(super) fn heard(
        &mut self,
        fx: &mut Effects<'_>,
        members: &mut Members,
        contacts: &mut Contacts,
        node: &NodeId,
        sign: Sign,
        findings: &mut Vec<Finding>,
    ) {
        self.cases.remove(node);
        let both_ways = matches!(sign, Sign::Answer | Sign::Question);
        if both_ways {
            self.local_health = self.local_health.saturating_sub(1);
        }
        let period = self.slowed(self.config.period);
        let watch = self.watches.get_mut(node);
        let was_doubted = watch.as_ref().is_some_and(|watch| watch.doubt.is_some());
        if members.found(node) == Some(Liveness::Suspect) && (both_ways || !was_doubted) {
            members.set_found(node, Liveness::Alive, fx.now, findings);
        }
        let Some(watch) = watch else { return };
        let accused = watch.doubt.as_ref().is_some_and(|doubt| doubt.stage == Stage::Unreached);
        if both_ways {
            let next = fx.now + period + fx.jitter(self.config.period / 4);
            *watch = Watch { next, awaited: false, misses: 0, doubt: None, ..*watch };
        } else {
            if let Some(doubt) = &mut watch.doubt {
                // It lives, but whether it hears this node is open: it is suspected on, and not buried.
                **doubt = Doubt::new(fx.now, Stage::Suspected);
            }
            if !watch.awaited && (was_doubted || sign == Sign::Doubt) {
                watch.next = fx.now;
            }
        }
        if accused {
            // Others hold this node's word against it: it has to say otherwise.
            let belief = Suspicion { liveness: Liveness::Down, ..members.belief(node) };
            contacts.ping(fx, *node, belief, Vec::new());
        }
    }

    /// This node talks to that one, and wants to know early when it cannot.
    pub(super) fn used(&mut self, fx: &mut Effects<'_>, node: NodeId) {
        let first = fx.now + fx.jitter(self.config.period);
        self.watches.entry(node, || Watch::new(first)).busy_until = fx.now + BUSY;
        let busy = |watch: &Watch| watch.busy_until > fx.now;
        while self.watches.values().filter(|watch| busy(watch)).count() > BUSY_MAX {
            let oldest = self.watches.values_mut().filter(|watch| busy(watch)).min_by_key(|watch| watch.busy_until);
            let Some(oldest) = oldest else { break };
            oldest.busy_until = Mono(0);
        }
    }

    /// A request to that node has no answer for longer than expected: ask whether it lives.
    pub(super) fn unanswered(&mut self, fx: &mut Effects<'_>, node: NodeId) {
        self.used(fx, node);
        self.hurry(&node, fx.now);
    }

    /// A reason to ask a node that is watched at once.
    pub(super) fn hurry(&mut self, node: &NodeId, now: Mono) {
        if let Some(watch) = self.watches.get_mut(node).filter(|watch| !watch.awaited) {
            watch.next = now;
        }
    }

    /// Facts were compared with a member of the cell.
    pub(super) fn touched(&mut self, now: Mono) {
        if self.touch == Touch::Never {
            self.touch = Touch::Since(now);
        }
    }

    /// This node was doubted although it lives: a sign that it, or its network, is slow (Lifeguard, section IV-A).
    pub(super) fn doubted_self(&mut self) {
        self.local_health = (self.local_health + 1).min(LOCAL_HEALTH_MAX);
    }
}
