//! What is found out about the own cell from outside.

use super::contacts::Contacts;
use super::swim::{Finding, Prober, Sign, Swim};
use crate::core::Effects;
use crate::defect::{Defect, Defects};
use crate::fact::{Accusation, Charge, Liveness, NodeRecord};
use crate::id::Incarnation;
use crate::time::{Mono, Wall, micros};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::signed::Verified;
use std::time::Duration;

/// Nobody is taken for down sooner than this after its last sign of life: whoever was buried signed nothing later.
const FRESH: Duration = Duration::from_millis(2_500);

impl<D: Defects> Swim<D> {
    /// The record of a member of this cell, which the member signed: the only thing that opens the way back from down.
    pub(crate) fn record(&mut self, record: &NodeRecord, now: Mono, wall: Wall, findings: &mut Vec<Finding>) {
        let node = record.node;
        // A clock that is wrong only makes that the member is asked.
        let is_fresh = wall.0.abs_diff(record.at.0) <= micros(FRESH);
        let rounds = match &mut self.prober {
            Prober::Ring(watches) => return watches.record(&mut self.members, record, (now, is_fresh), findings),
            Prober::Random(rounds) => rounds,
        };
        let Some(peer) = self.members.get(&node) else {
            self.members.insert(record, Liveness::Suspect, now, findings);
            return rounds.newcomer(node, now);
        };
        let returned = record.incarnation > peer.incarnation && peer.found != Liveness::Alive;
        self.members.change(&node, now, findings, |peer| {
            peer.says(record);
            if returned {
                peer.found = Liveness::Suspect;
            }
        });
        if returned {
            rounds.newcomer(node, now);
        }
    }

    /// It is a member no longer.
    pub(crate) fn dismiss(&mut self, node: &NodeId) {
        self.members.remove(node);
        match &mut self.prober {
            Prober::Random(rounds) => rounds.forget(node),
            Prober::Ring(watches) => watches.forget(node),
        }
    }

    /// A packet arrived from that node over its own link.
    pub(crate) fn heard(
        &mut self,
        fx: &mut Effects<'_>,
        contacts: &mut Contacts,
        node: &NodeId,
        sign: Sign,
        findings: &mut Vec<Finding>,
    ) {
        if self.members.found(node) == Some(Liveness::Down) {
            self.redial.heard_again(fx.now);
        }
        match &mut self.prober {
            Prober::Random(rounds) => rounds.heard(&mut self.members, node, fx.now, findings),
            Prober::Ring(watches) => watches.heard(fx, &mut self.members, contacts, node, sign, findings),
        }
    }

    /// The transport lost its last link to that node: a reason to ask it at once, and no more.
    pub(crate) fn link_lost(&mut self, node: NodeId, now: Mono) {
        match &mut self.prober {
            Prober::Random(rounds) => rounds.hurry(node),
            Prober::Ring(watches) => watches.hurry(&node, now),
        }
    }

    /// Requests travel between this node and that one.
    pub(crate) fn used(&mut self, fx: &mut Effects<'_>, node: NodeId) {
        if let Prober::Ring(watches) = &mut self.prober {
            watches.used(fx, node);
        }
    }

    /// A request to that node has no answer for longer than expected.
    pub(crate) fn unanswered(&mut self, fx: &mut Effects<'_>, node: NodeId) {
        match &mut self.prober {
            Prober::Random(rounds) => rounds.hurry(node),
            Prober::Ring(watches) => watches.unanswered(fx, node),
        }
    }

    /// Facts were compared with that node.
    pub(crate) fn compared_with(&mut self, node: &NodeId, now: Mono) {
        if let Prober::Ring(watches) = &mut self.prober
            && self.members.get(node).is_some()
        {
            watches.touched(now);
        }
    }

    /// Members that `from` could not reach itself.
    pub(crate) fn shared_suspicions(&mut self, from: NodeId, suspects: &[(NodeId, Incarnation)]) {
        let Prober::Random(rounds) = &mut self.prober else { return };
        if suspects.iter().any(|(node, _)| *node == self.members.me) {
            rounds.doubted_self();
        }
        rounds.shared_suspicions(&self.members, from, suspects);
    }

    /// A charge against a member of this cell.
    pub(crate) fn charged(
        &mut self,
        fx: &mut Effects<'_>,
        contacts: &Contacts,
        charge: &Charge,
        findings: &mut Vec<Finding>,
    ) {
        let node = charge.accused();
        if self.members.get(&node).is_none_or(|peer| charge.incarnation() < peer.incarnation) {
            return;
        }
        match &mut self.prober {
            Prober::Random(rounds) => rounds.accused(&mut self.members, node, fx.now, findings),
            Prober::Ring(watches) => watches.charged(fx, &mut self.members, contacts, findings, charge),
        }
    }

    /// A member accuses another, and asks. The answer, where there is more to say than what is believed.
    pub(crate) fn accused(
        &mut self,
        fx: &mut Effects<'_>,
        contacts: &Contacts,
        accusation: Verified<Accusation>,
        findings: &mut Vec<Finding>,
    ) -> Option<Verified<Accusation>> {
        match &mut self.prober {
            Prober::Random(_) => None,
            Prober::Ring(watches) => watches.accused(fx, &mut self.members, contacts, findings, accusation),
        }
    }

    /// This node's own accusation came back signed.
    pub(crate) fn signed(
        &mut self,
        fx: &mut Effects<'_>,
        contacts: &mut Contacts,
        accusation: Verified<Accusation>,
        findings: &mut Vec<Finding>,
    ) {
        match &mut self.prober {
            Prober::Random(_) => findings.extend(Charge::new(vec![accusation]).map(Finding::Charged)),
            Prober::Ring(watches) => watches.signed(fx, &mut self.members, contacts, findings, accusation),
        }
    }

    /// What another believes about a member. It revives nobody.
    pub(crate) fn hearsay(&mut self, about: &NodeId, belief: Liveness, now: Mono, findings: &mut Vec<Finding>) {
        let revives = self.defects.has(Defect::ThirdPartyRevival) && belief == Liveness::Alive;
        if revives && self.members.found(about) == Some(Liveness::Down) {
            self.members.set_found(about, Liveness::Alive, now, findings);
        }
    }

    /// An acknowledgement of one of this node's pings arrived.
    pub(crate) fn acknowledged(&mut self, fx: &mut Effects<'_>, from: NodeId, nonce: u64) {
        if let Prober::Random(rounds) = &mut self.prober {
            rounds.acknowledged(fx, from, nonce);
        }
    }

    /// A member asks to have another probed.
    pub(crate) fn asked(
        &mut self,
        fx: &mut Effects<'_>,
        contacts: &mut Contacts,
        from: NodeId,
        nonce: u64,
        target: NodeId,
    ) {
        if let Prober::Random(rounds) = &mut self.prober
            && self.members.get(&target).is_some()
        {
            rounds.asked(fx, contacts, from, nonce, target);
        }
    }

    /// What a helper found out.
    pub(crate) fn told(
        &mut self,
        from: NodeId,
        nonce: u64,
        target: NodeId,
        reached: bool,
        now: Mono,
        findings: &mut Vec<Finding>,
    ) {
        if let Prober::Random(rounds) = &mut self.prober
            && rounds.told(from, nonce, target, reached)
        {
            rounds.heard(&mut self.members, &target, now, findings);
        }
    }

    /// This node was doubted although it lives: a sign that it, or its network, is slow (Lifeguard, section IV-A).
    pub(crate) fn doubted_self(&mut self) {
        match &mut self.prober {
            Prober::Random(rounds) => rounds.doubted_self(),
            Prober::Ring(watches) => watches.doubted_self(),
        }
    }
}
