//! Leaving for good: a voter is voted out first, so that those who stay can decide without it, and a replica hands over what it
//! holds.

use super::effects::Effects;
use super::mesh_core::MeshCore;
use crate::defect::Defects;
use crate::fact::{FactKey, NodeState};
use crate::time::Mono;
use crate::view::{Need, Needed};
use hedgerow_attest::member::Member;
use hedgerow_attest::membership::Role;
use std::time::Duration;

/// How long a node waits to be voted out and to have handed over. A cell without a quorum never does that; whoever leaves one for good may take
/// with it what the cell needs to have a quorum again, so this is longer than outages mostly last.
pub const LEAVE_PATIENCE: Duration = Duration::from_secs(600);

/// A departure that waits.
#[derive(Debug)]
pub(super) struct Leaving {
    until: Mono,
    /// Commands to answer when it has left.
    commands: Vec<u64>,
}

impl Leaving {
    /// The commands that wait for it.
    pub(super) fn into_commands(self) -> Vec<u64> {
        self.commands
    }
}

impl<D: Defects> MeshCore<D> {
    /// This node is to leave: at once where nobody needs its vote and it holds nothing, else it drains until then.
    pub(super) fn leave(&mut self, fx: &mut Effects<'_>, id: u64) {
        if let Some(leaving) = &mut self.own.leaving {
            leaving.commands.push(id);
            return;
        }
        let needed = self.needed();
        if !needed.is_needed() || self.own.left_with.is_some() {
            return self.depart(fx, needed, vec![id]);
        }
        fx.sometimes("a node that leaves waited until it was voted out and had handed over");
        self.own.leaving = Some(Leaving { until: fx.now + LEAVE_PATIENCE, commands: vec![id] });
        self.intend(fx, NodeState::Draining);
    }

    /// Leaves as soon as nobody needs it any more, or when it has waited for long enough.
    pub(super) fn leave_on(&mut self, fx: &mut Effects<'_>) {
        let needed = self.needed();
        if let Some(leaving) = self.own.leaving.take_if(|leaving| !needed.is_needed() || fx.now >= leaving.until) {
            self.depart(fx, needed, leaving.commands);
        }
    }

    fn depart(&mut self, fx: &mut Effects<'_>, needed: Needed, commands: Vec<u64>) {
        self.own.left_with = Some(needed);
        self.own.waiting.extend(commands);
        self.intend(fx, NodeState::Left);
    }

    /// What this node is needed for, or was when it left: what comes after that it cannot hand over. To vote in a cell in which somebody else could vote, or is about to come that could, or to
    /// hold what somebody else could hold, reached or not: whoever is cut off cannot tell whether the others are gone.
    pub(super) fn needed(&self) -> Needed {
        if let Some(needed) = self.own.left_with {
            return needed;
        }
        let me = self.config.me;
        let votes = self.cell.voters().is_some_and(|voters| voters.has(&me));
        let may_hold = |member: &Member| {
            *member.region() == self.config.region
                && member.roles().contains(Role::Replica)
                && !self.has_left(&member.node())
        };
        let others =
            |fits: &dyn Fn(&Member) -> bool| self.roster.members().any(|member| member.node() != me && fits(member));
        let of = |does: bool, others: bool| match (does, others) {
            (false, _) => Need::None,
            (true, true) => Need::UntilRelieved,
            (true, false) => Need::Alone,
        };
        let holds = self.is_holding();
        let relieved = || others(&|member| self.may_vote(member)) || self.awaits_another();
        Needed { votes: of(votes, votes && relieved()), holds: of(holds, holds && others(&may_hold)) }
    }

    /// Whether the own cell took in another whose members have not come yet. They find nobody to vote for them where the last
    /// voter left before.
    fn awaits_another(&self) -> bool {
        let Some(home) = self.home else { return false };
        let living = self.roster.cells_of(&self.config.region);
        living.into_iter().any(|cell| self.facts.get(&FactKey::Absorb(home, cell)).is_some())
    }
}
