//! Leaving for good: a voter is voted out first, so that those who stay can decide without it.

use super::effects::Effects;
use super::mesh_core::MeshCore;
use crate::defect::Defects;
use crate::fact::NodeState;
use crate::time::Mono;
use hedgerow_attest::member::Member;
use std::time::Duration;

/// How long a voter waits to be voted out. A cell without a quorum never does that; whoever leaves one for good may take
/// with it what the cell needs to have a quorum again, so this is longer than outages mostly last.
const PATIENCE: Duration = Duration::from_secs(600);

/// A departure that waits for the vote.
#[derive(Debug)]
pub(super) struct Leaving {
    until: Mono,
    /// Commands to answer when it has left.
    commands: Vec<u64>,
}

impl<D: Defects> MeshCore<D> {
    /// This node is to leave: at once where nobody needs its vote, else it drains until it has none.
    pub(super) fn leave(&mut self, fx: &mut Effects<'_>, id: u64) {
        if let Some(leaving) = &mut self.own.leaving {
            leaving.commands.push(id);
            return;
        }
        if !self.is_needed() {
            self.own.waiting.push(id);
            return self.intend(fx, NodeState::Left);
        }
        fx.sometimes("a voter that leaves waited until it was voted out");
        self.own.leaving = Some(Leaving { until: fx.now + PATIENCE, commands: vec![id] });
        self.intend(fx, NodeState::Draining);
    }

    /// Leaves as soon as nobody needs its vote any more, or when it has waited for long enough.
    pub(super) fn leave_on(&mut self, fx: &mut Effects<'_>) {
        let needed = self.is_needed();
        if let Some(leaving) = self.own.leaving.take_if(|leaving| !needed || fx.now >= leaving.until) {
            self.own.waiting.extend(leaving.commands);
            self.intend(fx, NodeState::Left);
        }
    }

    /// Whether this node votes in a cell in which somebody else could vote, reached or not: whoever is cut off cannot tell
    /// whether the others are gone.
    fn is_needed(&self) -> bool {
        let votes = self.cell.voters().is_some_and(|voters| voters.has(&self.config.me));
        let others = |member: &Member| member.node() != self.config.me && self.may_vote(member);
        votes && self.roster.members().any(others)
    }
}
