//! What has to be looked at once in a while, and at the end of every step.

use super::effects::Effects;
use super::interface::{Event, Hint};
use super::mesh_core::{MeshCore, Phase};
use crate::defect::Defects;
use crate::fact::{Fact, FactKey, Liveness, NodeRecord, NodeState};
use crate::view::MemberState;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_attest::time::CLOCK_SKEW_S;
use std::sync::Arc;

/// Links that a node wants at most: its observers and observed, and as many of others.
const LINKS_WANTED: usize = 16;

/// Links that are asked for in one round of chores.
const DIALS: usize = 4;

impl<D: Defects> MeshCore<D> {
    pub(super) fn chores(&mut self, fx: &mut Effects<'_>) {
        self.doubtful.extend(self.remote.reconsider(fx.now));
        self.doubtful.extend(self.shown.keys().copied());
        self.want_links(fx);
        self.expire(fx);
    }

    /// Forgets members whose certificate ended: until then they stay on the list of those to dial.
    fn expire(&mut self, fx: &mut Effects<'_>) {
        let wall_s = fx.wall.unix_seconds().0;
        let ended =
            |member: &&Member| member.not_after().plus_s(CLOCK_SKEW_S).0 < wall_s && member.node() != self.config.me;
        let ended: Vec<NodeId> = self.roster.members().filter(ended).map(Member::node).collect();
        for node in ended {
            for key in [FactKey::Member(node), FactKey::Record(node), FactKey::Accusation(node)] {
                self.forget(fx, &key);
            }
            Arc::make_mut(&mut self.roster).dismiss(&node);
            self.swim.dismiss(&node);
            self.remote.dismiss(&node);
            self.shown.remove(&node);
            self.touch();
        }
    }

    /// Asks for links to members that have none: those that are down too, since nobody else dials them, and at once
    /// while most of the cell is out of sight. A member of whom nothing but its certificate is known is dialled as well:
    /// after a restart of the whole cell two groups that found each other first would never meet.
    fn want_links(&self, fx: &mut Effects<'_>) {
        let linked = self.shown.keys().filter(|node| self.contacts.of(node).linked).count();
        let redial = self.swim.is_isolated() || fx.below(5) == 0;
        let wanted = |node: &NodeId| {
            let unlinked = *node != self.config.me && !self.contacts.of(node).linked && !self.has_left(node);
            let needed = match self.liveness(node) {
                None => true,
                Some(Liveness::Down) => redial,
                Some(Liveness::Alive | Liveness::Suspect) => linked < LINKS_WANTED,
            };
            unlinked && needed
        };
        let mut peers: Vec<NodeId> = self.roster.members().map(Member::node).filter(wanted).collect();
        fx.shuffle(&mut peers);
        for peer in peers.into_iter().take(DIALS) {
            let addresses = self.record(&peer).map(|record| record.addresses.clone()).unwrap_or_default();
            fx.hint(Hint::Dial { peer, addresses });
        }
    }

    /// The end of every step: findings are acted on, and changed states are told.
    pub(super) fn conclude(&mut self, fx: &mut Effects<'_>) {
        self.act_on_findings(fx);
        for node in std::mem::take(&mut self.doubtful) {
            let Some(to) = self.state_of(fx.now, &node) else { continue };
            let from = self.shown.insert(node, to);
            if from != Some(to) {
                self.changes += 1;
                self.touch();
                fx.event(Event::MemberChanged { node, from, to });
            }
        }
        let answered = self.own.waiting.is_empty() && self.own.announced.is_empty();
        if self.own.state == NodeState::Left && answered && self.is_running() {
            self.phase = Phase::Gone;
        }
    }

    /// How a member is seen; nothing while it never said anything.
    pub(super) fn state_of(&self, now: crate::time::Mono, node: &NodeId) -> Option<MemberState> {
        let said = self.record(node)?.state;
        let found = self.liveness(node)?;
        Some(MemberState::of(said, found, self.is_overdue(now, node)))
    }

    /// Whether the member has not served for longer than a repair waits.
    pub(super) fn is_overdue(&self, now: crate::time::Mono, node: &NodeId) -> bool {
        if let Some(peer) = self.swim.peers().get(node) {
            return peer.away_since.is_some_and(|since| now.since(since) >= self.config.repair);
        }
        self.remote.silence(node, now).is_some_and(|silence| silence >= self.config.repair)
    }

    pub(super) fn record(&self, node: &NodeId) -> Option<&NodeRecord> {
        match self.facts.get(&FactKey::Record(*node))?.fact() {
            Fact::Record(record) => Some(record),
            Fact::Member(_)
            | Fact::Accusation(_)
            | Fact::Genesis(_)
            | Fact::Rollup(_)
            | Fact::Policy(..)
            | Fact::Deployment(_)
            | Fact::Decision(_) => None,
        }
    }
}

#[cfg(test)]
#[path = "chores_tests.rs"]
mod tests;
