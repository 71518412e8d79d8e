//! Who is out of the mesh for good: others take over what it had as after a departure, and what it signed counts on.

use super::effects::Effects;
use super::exchange;
use super::interface::{CommandRefusal, Event, Output, Reply};
use super::mesh_core::{MeshCore, Phase};
use crate::defect::Defects;
use crate::fact::{Fact, FactKey, VerifiedFact};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_attest::revocation::VerifiedRevocation;
use hedgerow_attest::revoked::Outcast;
use hedgerow_attest::time::UnixSeconds;
use std::sync::Arc;

impl<D: Defects> MeshCore<D> {
    pub(super) fn follow_revocation(
        &mut self,
        fx: &mut Effects<'_>,
        fact: &VerifiedFact,
        revocation: &VerifiedRevocation,
    ) {
        let out = Arc::make_mut(&mut self.roster).revoke(fact);
        for (member, outcast) in out {
            let node = member.node();
            if outcast == Outcast::Certificate && !self.founds_cells(&node) {
                self.forget(fx, &FactKey::Member(node));
                Arc::make_mut(&mut self.roster).forget(&node);
            }
            if outcast == Outcast::Node {
                self.turn_away(fx, &node);
            }
            self.let_go(fx, &node);
        }
        self.reinstate(fx.wall.unix_seconds());
        self.touch();
        let node = revocation.node();
        if self.roster.revoked().contains(&node) {
            fx.event(Event::Revoked { node, reason: revocation.reason().clone() });
        }
        if self.roster.revoked().contains(&self.config.me) {
            self.cast_out(fx);
        }
    }

    /// Whoever is out hears why, as long as there is a link to it, and nothing else.
    pub(super) fn turn_away(&self, fx: &mut Effects<'_>, node: &NodeId) {
        if *node != self.config.me {
            exchange::push(fx, *node, self.roster.revocation_of(node));
        }
    }

    /// A node is a member no more: nothing that it says, or that is said of it, is of interest.
    pub(super) fn let_go(&mut self, fx: &mut Effects<'_>, node: &NodeId) {
        self.forget(fx, &FactKey::Record(*node));
        self.forget(fx, &FactKey::Accusation(*node));
        self.swim.dismiss(node);
        self.remote.dismiss(node);
        self.contacts.dismiss(node);
        self.shown.remove(node);
        self.changes += 1;
        self.touch();
    }

    /// A withdrawal by an issuer that proves to have been stolen by then counts no more: whom it put out is a member again.
    fn reinstate(&mut self, now: UnixSeconds) {
        let roster = &self.roster;
        let held = roster.former().filter(|member| !member.has_ended(now) && roster.revoked().judge(member).is_none());
        let held: Vec<NodeId> = held.map(Member::node).collect();
        for node in held {
            if let Some(Fact::Member(member)) = self.facts.get(&FactKey::Member(node)).map(VerifiedFact::fact) {
                let member = member.clone();
                Arc::make_mut(&mut self.roster).admit(&member);
            }
        }
    }

    /// This node itself is out: nobody believes it any more, and it promises nothing.
    fn cast_out(&mut self, fx: &mut Effects<'_>) {
        if self.phase == Phase::Gone {
            return;
        }
        let mut outcomes = Vec::new();
        self.cell.halt(&mut outcomes);
        self.settle(fx, outcomes);
        for id in self.own.dismiss_commands() {
            let reply = Reply::Refused(CommandRefusal::NotRunning);
            fx.push(Output::Reply { id, reply, after: None });
        }
        self.phase = Phase::Gone;
    }
}
