//! How the voters of the own cell change.

use super::mesh_core::MeshCore;
use crate::defect::Defects;
use crate::placement::draw;
use crate::register::{Configuration, Voter};
use crate::time::Mono;
use hedgerow_attest::member::Member;
use hedgerow_attest::membership::Role;

/// Voters that a sole voter makes of a cell.
const FIRST_VOTERS: usize = 3;

impl<D: Defects> MeshCore<D> {
    /// From one voter to three, as soon as three members are ready. No other change at this point.
    pub(super) fn growth(&self, now: Mono, voters: &Configuration) -> Option<Configuration> {
        let [sole] = voters.voters.as_slice() else { return None };
        if sole.node != self.config.me {
            return None;
        }
        let ready = self.swim.peers().iter().filter(|(_, peer)| self.is_settled(now, peer.serves_since));
        let members = ready.filter_map(|(node, _)| self.roster.member(node));
        let mut voters_to_be: Vec<&Member> = members.filter(|member| member.roles().contains(Role::Voter)).collect();
        voters_to_be.sort_by_key(|member| draw(b"voter", &member.node(), 1));
        let others = voters_to_be.iter().take(FIRST_VOTERS - 1);
        let others: Vec<Voter> = others.map(|member| Voter { node: member.node(), key: *member.statement() }).collect();
        let enough = others.len() == FIRST_VOTERS - 1;
        enough.then(|| Configuration::majority(voters.epoch.next(), [vec![*sole], others].concat()))
    }

    pub(super) fn is_settled(&self, now: Mono, serves_since: Option<Mono>) -> bool {
        serves_since.is_some_and(|since| now.since(since) >= self.config.election.settle)
    }
}
