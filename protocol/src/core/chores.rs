//! What has to be looked at once in a while, and at the end of every step.

use super::effects::Effects;
use super::interface::Event;
use super::mesh_core::{MeshCore, Phase};
use crate::defect::{Defect, Defects};
use crate::fact::{FactKey, NodeRecord, NodeState};
use crate::time::Mono;
use crate::view::MemberState;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_attest::time::UnixSeconds;
use std::sync::Arc;
use std::time::Duration;

impl<D: Defects> MeshCore<D> {
    pub(super) fn chores(&mut self, fx: &mut Effects<'_>) {
        self.doubtful.extend(self.remote.reconsider(fx.now));
        // All else that time alone changes makes itself known.
        let near = self.swim.peers().iter().filter(|(_, peer)| peer.said == NodeState::Stopping);
        self.doubtful.extend(near.map(|(node, _)| *node));
        self.doubtful.extend(self.remote.stopping());
        if self.defects.has(Defect::DepartureForgotten) {
            self.forget_departures(fx);
        }
        self.introduce(fx);
        self.take_census(fx);
        self.want_links(fx);
        self.spare_links(fx);
        self.tell_settled(fx);
        self.expire(fx);
    }

    /// Forgets who left a minute ago. Nothing sound does that: whoever was away meanwhile knows of no departure.
    fn forget_departures(&mut self, fx: &mut Effects<'_>) {
        let over = |since: Mono| fx.now.since(since) >= Duration::from_secs(60);
        let peers = self.swim.peers().iter();
        let departed = peers.filter(|(_, peer)| peer.said == NodeState::Left && peer.away_since().is_some_and(over));
        let departed: Vec<NodeId> = departed.map(|(node, _)| *node).collect();
        for node in departed {
            self.forget(fx, &FactKey::Record(node));
            self.swim.dismiss(&node);
            self.shown.remove(&node);
        }
    }

    /// Forgets members whose certificate ended: until then they stay on the list of those to dial.
    fn expire(&mut self, fx: &mut Effects<'_>) {
        let now = fx.wall.unix_seconds();
        if now <= self.certificates_end.plus_s(self.root.skew_s()) {
            return;
        }
        let me = self.config.me;
        let founds = |member: &&Member| self.founds_cells(&member.node());
        let (ended, valid): (Vec<&Member>, Vec<&Member>) =
            self.roster.members().filter(|member| member.node() != me).partition(|member| member.has_ended(now));
        // Of those who are out for good the certificate is kept as long as that of anybody else.
        let (gone, kept): (Vec<&Member>, Vec<&Member>) =
            self.roster.former().filter(|member| !founds(member)).partition(|member| member.has_ended(now));
        let ends = valid.iter().chain(&kept).map(|member| member.not_after());
        self.certificates_end = ends.min().unwrap_or(UnixSeconds(u64::MAX));
        let ended: Vec<NodeId> = ended.into_iter().map(Member::node).collect();
        let gone: Vec<NodeId> = gone.into_iter().map(Member::node).collect();
        for node in &ended {
            Arc::make_mut(&mut self.roster).retire(node);
            self.let_go(fx, node);
        }
        for node in ended.iter().chain(&gone).filter(|node| !self.founds_cells(node)).copied().collect::<Vec<NodeId>>()
        {
            Arc::make_mut(&mut self.roster).forget(&node);
            self.forget(fx, &FactKey::Member(node));
        }
    }

    /// The end of every step: findings are acted on, and changed states are told.
    pub(super) fn conclude(&mut self, fx: &mut Effects<'_>) {
        self.act_on_findings(fx);
        if self.own.leaving.is_some() {
            self.leave_on(fx);
        }
        for node in self.contacts.take_unlinked() {
            self.dial(fx, node);
        }
        for node in std::mem::take(&mut self.doubtful) {
            let Some(to) = self.state_of(fx.now, &node) else { continue };
            let from = self.shown.insert(node, to);
            if from != Some(to) {
                self.changes += 1;
                self.touch();
                fx.event(Event::MemberChanged { node, from, to });
            }
        }
        let is_led = self.cell.known(fx.now).is_some_and(|known| known.until > fx.now);
        if is_led != std::mem::replace(&mut self.is_shown_led, is_led) {
            self.touch();
        }
        let answered = self.own.waiting.is_empty() && self.own.announced.is_empty();
        if self.own.state == NodeState::Left && answered && self.is_running() {
            self.phase = Phase::Gone;
        }
    }

    /// How a member is seen; nothing while it never said anything.
    pub(super) fn state_of(&self, now: Mono, node: &NodeId) -> Option<MemberState> {
        let said = self.record(node)?.state;
        let found = self.liveness(node)?;
        Some(MemberState::of(said, found, self.is_overdue(now, node)))
    }

    /// Whether the member has not served for longer than a repair waits.
    pub(super) fn is_overdue(&self, now: Mono, node: &NodeId) -> bool {
        if let Some(peer) = self.swim.peers().get(node) {
            return peer.away_since().is_some_and(|since| now.since(since) >= self.config.repair);
        }
        self.remote.silence(node, now).is_some_and(|silence| silence >= self.config.repair)
    }

    pub(super) fn record(&self, node: &NodeId) -> Option<&NodeRecord> {
        self.facts.get(&FactKey::Record(*node))?.recorded()
    }
}
