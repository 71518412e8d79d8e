//! Taking in facts, from wherever they come.

use super::effects::Effects;
use super::interface::{Event, Output};
use super::mesh_core::{MeshCore, Phase};
use super::shelf::Adoption;
use super::snapshot::{Fence, Snapshot, StoreOp, delete_fact, is_departure_of};
use crate::defect::{Defect, Defects};
use crate::fact::{
    Accusation, Charge, Fact, FactKey, Founding, Liveness, NodeRecord, NodeState, Rollup, Scope, Statement,
    VerifiedFact,
};
use crate::id::{Incarnation, Token};
use crate::membership::{Finding, RemotePeer};
use crate::register::{Content, VerifiedDecision};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::revoked::Outcast;
use std::sync::Arc;

/// Where a fact came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// From the store at start: it is durable.
    Disk,
    /// Everywhere else.
    Gossip,
}

impl<D: Defects> MeshCore<D> {
    pub(super) fn start(&mut self, fx: &mut Effects<'_>, snapshot: Snapshot) {
        let (has_left, is_revoked) = (snapshot.has_left(&self.config.me), snapshot.is_revoked(&self.config.me));
        self.fences = snapshot.fences;
        self.cell.restore(snapshot.votes);
        if has_left {
            // Others know that it left, and believe nothing else it says.
            self.own.state = NodeState::Left;
            self.phase = Phase::Gone;
            return;
        }
        if is_revoked {
            self.phase = Phase::Gone;
            return;
        }
        for fact in snapshot.facts {
            self.adopt(fx, &fact, Origin::Disk);
        }
        self.raise_at_start(fx, snapshot.incarnation);
    }

    /// Takes in a fact. Returns what became of it, and the token of the write that makes it durable.
    pub(super) fn adopt(
        &mut self,
        fx: &mut Effects<'_>,
        fact: &VerifiedFact,
        origin: Origin,
    ) -> (Adoption, Option<Token>) {
        if !self.is_of_use(fact) {
            return (Adoption::Known, None);
        }
        self.make_room(fx, fact);
        let mut ops = self.make_way(fx, fact);
        let adoption = self.shelve(fact);
        if adoption != Adoption::Fresh {
            return (adoption, None);
        }
        let is_kept =
            is_durable(fact.key()) && !(fact.recovered().is_some() && self.defects.has(Defect::RecoveryNotPersisted));
        if origin != Origin::Disk && is_kept {
            ops.push(StoreOp::Keep(fact.clone()));
        }
        let is_promised = is_promised(fact.key()) || self.is_departure(fact);
        let token = (!ops.is_empty()).then(|| fx.persist(ops, is_promised));
        self.follow(fx, fact, origin);
        (adoption, token)
    }

    /// Whether this node itself says that it left: that is for ever, and so it has to know it after a crash.
    fn is_departure(&self, fact: &VerifiedFact) -> bool {
        is_departure_of(fact, &self.config.me)
    }

    /// A mesh changes its policy as often as it likes: where it holds as many as it may, the oldest one goes that others
    /// replaced. A table that was made under it is followed further, by the rules in force alone.
    fn make_room(&mut self, fx: &mut Effects<'_>, fact: &VerifiedFact) {
        let Fact::Policy(policy, _) = fact.fact() else { return };
        if !self.facts.is_full(fact.key()) || self.facts.get(fact.key()).is_some() {
            return;
        }
        if let Some(name) = self.policies.oldest_replaced(policy.version, policy.parent.is_none()) {
            let (version, digest) = name;
            let begins = policy.parent.is_none();
            let key = if begins { FactKey::Policy(version) } else { FactKey::PolicyChild(version, digest) };
            self.policies.remove(&name);
            self.forget(fx, &key);
        }
    }

    /// Whether the fact could change anything; one that contradicts a later one of another kind is not kept.
    fn is_of_use(&self, fact: &VerifiedFact) -> bool {
        match fact.fact() {
            Fact::Accusation(charge) if self.roster.revoked().contains(&charge.accused()) => false,
            Fact::Accusation(charge) => {
                let later =
                    |record: &NodeRecord| record.incarnation > charge.incarnation() || record.state == NodeState::Left;
                !self.record(&charge.accused()).is_some_and(later)
            }
            Fact::Rollup(rollup) => {
                let fence = self.fences.get(&rollup.cell).copied().unwrap_or_default();
                let stale = (rollup.generation, rollup.term) < (fence.generation, fence.term);
                let ended = self.roster.end_of(&rollup.cell).is_some();
                !ended && (!stale || self.defects.has(Defect::StaleHolderActs))
            }
            Fact::Decision(decision) => {
                !self.is_over(decision) && !self.roster.is_undone(&decision.value.cell, decision.value.point())
            }
            // Nobody else speaks for this node; what it said in an earlier run is behind it.
            Fact::Record(record) if record.node == self.config.me => record.boot == self.config.boot,
            Fact::Record(record) => !self.roster.revoked().contains(&record.node),
            // What a revoked issuer issued late makes nobody a member.
            Fact::Member(member) => {
                let is_void = self.roster.revoked().judge(member) == Some(Outcast::Certificate);
                !is_void || self.founds_cells(&member.node())
            }
            Fact::Genesis(_)
            | Fact::Recovery(_)
            | Fact::Policy(..)
            | Fact::Deployment(_)
            | Fact::NodeClasses(_)
            | Fact::Revocation(_) => true,
        }
    }

    fn follow(&mut self, fx: &mut Effects<'_>, fact: &VerifiedFact, origin: Origin) {
        match fact.fact() {
            Fact::Member(member) => {
                Arc::make_mut(&mut self.roster).admit(member);
                if !member.is_past() {
                    self.certificates_end = self.certificates_end.min(member.not_after());
                }
                self.touch();
            }
            Fact::Genesis(founding) => self.follow_birth(fx, founding, origin),
            Fact::Record(record) => self.follow_record(fx, record),
            Fact::Accusation(charge) if charge.accused() == self.config.me => {
                let accusers = charge.accusations().iter().map(|accusation| accusation.accuser);
                self.refute(fx, charge.incarnation(), accusers);
            }
            Fact::Accusation(charge) => {
                self.swim.charged(fx, &self.contacts, charge, &mut self.findings);
                if self.remote.accused(charge, fx.now) {
                    self.doubtful.extend(self.remote.reconsider(fx.now));
                }
            }
            Fact::Rollup(rollup) => self.follow_rollup(fx, rollup),
            Fact::Policy(policy, digest) => {
                self.policies.insert(policy.clone(), *digest);
                self.review_placements(fx);
                self.touch();
            }
            Fact::Deployment(_) | Fact::NodeClasses(_) => self.touch(),
            Fact::Decision(decision) => self.follow_decision(fx, decision),
            Fact::Recovery(recovery) => self.follow_recovery(fx, recovery),
            Fact::Revocation(revocation) => self.follow_revocation(fx, fact, revocation),
        }
    }

    /// The roster knows the birth already.
    fn follow_birth(&mut self, fx: &mut Effects<'_>, founding: &Founding, origin: Origin) {
        let (cell, region) = (founding.birth().cell(), founding.region());
        let former = self.roster.births_of(region).find(|known| *known != cell);
        if let Some(former) = former {
            let (kept, other) = (former.min(cell), former.max(cell));
            fx.event(Event::TwoBirths { kept, other });
        }
        self.touch();
        if former.is_some_and(|former| former < cell) {
            return;
        }
        let here = *region == self.config.region;
        if here {
            self.origin = Some(cell);
            self.move_in(fx.now);
        }
        self.settle_region(fx, region);
        if here && origin != Origin::Disk {
            self.speak(fx);
        }
    }

    pub(super) fn follow_record(&mut self, fx: &Effects<'_>, record: &NodeRecord) {
        let node = record.node;
        let accusation = FactKey::Accusation(node);
        let answered =
            |known: &VerifiedFact| known.version().major < record.incarnation.0 || record.state == NodeState::Left;
        if self.facts.get(&accusation).is_some_and(answered) {
            self.facts.remove(&accusation);
        }
        if self.is_near(&record.region, &node) {
            self.changes += 1;
            if node != self.config.me {
                self.swim.record(record, fx.now, fx.wall, &mut self.findings);
            }
        } else {
            let Some(cell) = self.cell_of(&record.region, &node).filter(|cell| self.facts.keeps(cell)) else { return };
            self.remote.record(cell, record, fx.now);
        }
        self.doubtful.insert(node);
        self.touch();
    }

    fn follow_rollup(&mut self, fx: &mut Effects<'_>, rollup: &Rollup) {
        if let Some(fence) = self.fences.get_mut(&rollup.cell).filter(|_| self.defects.has(Defect::StaleHolderActs)) {
            fence.term = rollup.term;
        }
        self.raise_fence(fx, rollup.cell, Fence::under(rollup.generation, rollup.term));
        if Some(rollup.cell) == self.home {
            for contact in &rollup.contacts {
                self.swim.hearsay(&contact.node, contact.liveness, fx.now, &mut self.findings);
            }
        }
        self.doubtful.extend(self.remote.reported(rollup, fx.now));
        self.touch();
    }

    fn follow_decision(&mut self, fx: &mut Effects<'_>, decision: &VerifiedDecision) {
        let value = &decision.value;
        self.raise_fence(fx, value.cell, Fence::at(value.point()));
        match &value.content {
            Content::Configuration(next) => {
                let (cell, epoch, voters) = (value.cell, next.epoch, next.voters.len());
                fx.event(Event::VotersChanged { cell, epoch, voters });
                self.touch();
            }
            Content::Placement(_) | Content::Takeover(_) | Content::Retirement(_) => {
                self.follow_placements(fx, value.cell, &value.content);
                self.review_placements(fx);
            }
            Content::Absorb(_) | Content::Split(_) | Content::MergeInto(_) => self.touch(),
        }
        let mut outcomes = Vec::new();
        self.cell.decided(fx.now, decision, &mut outcomes);
        self.settle(fx, outcomes);
        if value.is_last() {
            self.follow_end(fx, decision);
        }
    }

    /// What became known changes what was found: act on it and note whose state may differ.
    pub(super) fn act_on_findings(&mut self, fx: &mut Effects<'_>) {
        for finding in std::mem::take(&mut self.findings) {
            match finding {
                Finding::Changed(node) => {
                    self.doubtful.insert(node);
                }
                Finding::Accuse(accused, incarnation) => self.accuse(fx, accused, incarnation),
                Finding::Charged(charge) => self.charge(fx, charge),
                Finding::Silent(node) => self.remote.silent(&node),
            }
        }
    }

    /// A member did not answer this node, which is worth saying unless others said enough.
    fn accuse(&self, fx: &mut Effects<'_>, accused: NodeId, incarnation: Incarnation) {
        let accusation = Accusation { accuser: self.config.me, accused, incarnation };
        fx.sign(Statement::Accusation(accusation));
    }

    /// A member is down on the word of enough, as everybody should hear.
    fn charge(&mut self, fx: &mut Effects<'_>, charge: Charge) {
        let fact = VerifiedFact::accusation(charge);
        if self.adopt(fx, &fact, Origin::Gossip).0 == Adoption::Fresh {
            self.publish(fx, &fact, None);
        }
    }

    /// A statement of this node's own came back signed and is a fact.
    pub(super) fn signed_fact(&mut self, fx: &mut Effects<'_>, fact: &VerifiedFact) {
        let (adoption, written) = self.adopt(fx, fact, Origin::Gossip);
        if adoption != Adoption::Fresh {
            return;
        }
        match fact.fact() {
            Fact::Record(_) => self.record_signed(fx, fact, written),
            Fact::Rollup(_) => self.rollup_signed(fx, fact),
            Fact::Member(_)
            | Fact::Accusation(_)
            | Fact::Genesis(_)
            | Fact::Policy(..)
            | Fact::Deployment(_)
            | Fact::NodeClasses(_)
            | Fact::Recovery(_)
            | Fact::Revocation(_)
            | Fact::Decision(_) => self.publish(fx, fact, None),
        }
    }

    /// Tells those who have to know.
    pub(super) fn publish(&self, fx: &mut Effects<'_>, fact: &VerifiedFact, after: Option<Token>) {
        self.publish_to(fx, self.scope(fact), fact, after);
    }

    pub(super) fn publish_to(&self, fx: &mut Effects<'_>, scope: Scope, fact: &VerifiedFact, after: Option<Token>) {
        fx.push(Output::Publish { scope, fact: fact.clone(), after });
    }

    /// Removes a fact that something else made void.
    pub(super) fn forget(&mut self, fx: &mut Effects<'_>, key: &FactKey) {
        if self.facts.remove(key) && is_durable(key) {
            fx.persist(vec![delete_fact(key)], false);
        }
    }

    /// How alive a member is, as far as was found out.
    pub(super) fn liveness(&self, node: &NodeId) -> Option<Liveness> {
        if *node == self.config.me {
            return Some(Liveness::Alive);
        }
        let near = self.swim.peers().get(node).map(|peer| peer.found);
        near.or_else(|| self.remote.peer(node).map(RemotePeer::shown))
    }
}

/// Facts that somebody is told are kept, and that nobody would repeat: commands about them are answered when they are on the
/// disk. What a node says of itself it says again.
fn is_promised(key: &FactKey) -> bool {
    !matches!(key, FactKey::Record(_) | FactKey::Accusation(_) | FactKey::Rollup(_))
}

/// Whether a fact outlives this run: liveness does not.
fn is_durable(key: &FactKey) -> bool {
    !matches!(key, FactKey::Accusation(_) | FactKey::Rollup(_))
}
