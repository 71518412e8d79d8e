//! How the voters of the own cell change.

use super::mesh_core::MeshCore;
use crate::defect::{Defect, Defects};
use crate::election::{Presence, Prospect, Roll};
use crate::fact::{Liveness, NodeState};
use crate::register::{Configuration, Voter, Waiver};
use crate::time::Mono;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_attest::membership::Role;
use hedgerow_attest::name::FailureDomain;
use std::collections::BTreeMap;
use std::time::Duration;

impl<D: Defects> MeshCore<D> {
    /// The voters that this holder proposes, if others than those in force.
    pub(super) fn voter_change(&self, now: Mono, current: &Configuration) -> Option<Configuration> {
        let prospects = self.prospects(now);
        let roll = Roll { me: self.config.me, config: &self.config.election, current, prospects: &prospects };
        let exchanged = if self.defects.has(Defect::VotersReplaced) { roll.exchanged() } else { None };
        exchanged.or_else(|| roll.next())
    }

    /// Whether a proposed change of voters keeps the rules as far as this node knows them. Who is removed is the holder's
    /// judgement; who is added has to be a member that may vote, with the key of its certificate.
    pub(super) fn is_fit_change(&self, current: &Configuration, next: &Configuration) -> bool {
        let quorum = self.config.election.trust.quorum(next.voters.len());
        let known = |voter: &Voter| {
            let member = self.roster.member(&voter.node).filter(|member| self.may_vote(member));
            current.voters.contains(voter) || member.is_some_and(|member| *member.statement() == voter.key)
        };
        let in_turn = Waiver::of(self.defects).allows(current, next);
        in_turn && usize::from(next.quorum) == quorum && next.voters.iter().all(known)
    }

    pub(super) fn is_settled(&self, now: Mono, serves_since: Option<Mono>) -> bool {
        serves_since.is_some_and(|since| now.since(since) >= self.config.election.settle)
    }

    pub(super) fn may_vote(&self, member: &Member) -> bool {
        let node = member.node();
        self.is_near(member.region(), &node) && member.roles().contains(Role::Voter) && !self.has_left(&node)
    }

    pub(super) fn prospects(&self, now: Mono) -> BTreeMap<NodeId, Prospect<'_>> {
        let members = self.roster.members().filter(|member| self.may_vote(member));
        members
            .map(|member| {
                let (presence, domain) = (self.presence(now, &member.node()), member.domain());
                let domain = domain.map(FailureDomain::as_str);
                (member.node(), Prospect { key: *member.statement(), domain, presence })
            })
            .collect()
    }

    fn presence(&self, now: Mono, node: &NodeId) -> Presence {
        let (said, serves_since, away_since) = if *node == self.config.me {
            (self.own.state, Some(Mono(0)), None)
        } else {
            let Some(peer) = self.swim.peers().get(node) else { return Presence::Away(Duration::ZERO) };
            let answers = peer.found == Liveness::Alive && !peer.out_of_time;
            (peer.said, peer.serves_since().filter(|_| answers), peer.away_since())
        };
        match (said, serves_since) {
            (NodeState::Up, Some(since)) => Presence::Serves(now.since(since)),
            (NodeState::Draining, _) if self.liveness(node) == Some(Liveness::Alive) => Presence::Leaves,
            (NodeState::Up | NodeState::Stopping | NodeState::Draining | NodeState::Left, _) => {
                Presence::Away(away_since.map_or(Duration::ZERO, |since| now.since(since)))
            }
        }
    }
}
