//! Nodes that go for good, and whether anybody still sees them.

use super::action::Action;
use super::play::Player;
use super::stage::LAST_WORDS;
use crate::sim::time::{MINUTE, Micros};
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::view::MemberState;

/// A departed member must be seen as such by everybody after that long.
const GHOST_AGE: Micros = 10 * MINUTE;

impl<D: Defects> Player<'_, D> {
    /// A voter leaves when it was voted out; where its power goes first, it comes back and has not left.
    pub(super) fn depart(&mut self, node: u32, run: u32) {
        let soon = self.world.now + LAST_WORDS;
        let there = self.world.node(node);
        if !there.up || there.run != run {
            return;
        }
        if there.core.is_gone() {
            self.foresee(soon, Action::Part { node, back_after: None });
            self.bury(node, true);
        } else {
            self.foresee(soon, Action::Depart { node, run });
        }
    }

    /// It is gone for good; whether it said so itself.
    pub(super) fn bury(&mut self, node: u32, departed: bool) {
        self.gone.insert(node);
        self.foresee(self.world.now + GHOST_AGE, Action::LookForGhosts { node, departed });
    }

    /// Counts who still believes in it.
    pub(super) fn look_for_ghosts(&mut self, node: u32, departed: bool) {
        let id = self.world.node(node).member.node();
        let region = self.world.node(node).region;
        let sees_ghost = |observer: &u32| {
            let observer = self.world.node(*observer);
            let seen = observer.core.member_state_of(&id);
            let right = match seen {
                None | Some(MemberState::Left) => true,
                Some(MemberState::Down) => !departed,
                Some(MemberState::Alive | MemberState::Suspect | MemberState::Stopping | MemberState::Draining) => {
                    false
                }
            };
            observer.up && !right
        };
        let ghosts = self.world.plan.nodes_of(region).filter(|observer| *observer != node).filter(sees_ghost).count();
        self.world.oracle.measures.ghosts += ghosts as u64;
        self.world.oracle.measures.buried += 1;
    }
}
