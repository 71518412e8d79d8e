//! Cells that lose their quorum, and operators who have them go on.

use super::action::Action;
use super::play::Player;
use super::spec::Who;
use crate::sim::dice::Dice as _;
use crate::sim::time::{Micros, S};
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_protocol::core::Command;
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::register::{Point, Recovery};
use std::collections::BTreeMap;

/// Operators look after a cell that long after it lost its quorum, or a little later. Its lease has run out by then, and
/// whoever is left has served for long enough to vote.
const OPERATORS_ACT: (Micros, Micros) = (35 * S, 50 * S);

impl<D: Defects> Player<'_, D> {
    /// So many voters of a cell of the region lose their power that the others decide nothing.
    pub(super) fn lose_quorum(&mut self, region: usize, span: Option<Micros>) {
        let Some(witness) = self.victims(region, Who::One).first().copied() else { return };
        let Some(voters) = self.world.node(witness).core.voters() else { return };
        let mut nodes: Vec<u32> = voters.voters.iter().filter_map(|voter| self.world.number_of(&voter.node)).collect();
        let kept = usize::from(voters.quorum).saturating_sub(1);
        self.dice.shuffle(&mut nodes);
        // A cell needs somebody who is left.
        let most =
            self.world.running().filter(|node| self.world.node(*node).region == region).count().saturating_sub(1);
        nodes.retain(|node| self.world.node(*node).up);
        for node in nodes.into_iter().skip(kept).take(most) {
            self.cut_power(node, span, &[]);
        }
        let at = self.world.now + self.dice.within(OPERATORS_ACT);
        self.foresee(at, Action::Recover { region });
    }

    /// Operators ask all members that run and sign, for each cell, the draft that knows most of its register, where they see
    /// that no quorum of the voters that it knows is up.
    pub(super) fn recover(&mut self, region: usize) {
        let now = self.world.now;
        let of_region = |number: &u32| self.world.node(*number).region == region;
        let asked: Vec<u32> = self.world.running().filter(of_region).collect();
        let mut drafts: BTreeMap<CellId, (Point, u32, Recovery)> = BTreeMap::new();
        for number in asked {
            let node = self.world.node(number);
            let Ok(draft) = node.core.draft_recovery(node.mono(now)) else { continue };
            let knows = draft.base.point();
            if drafts.get(&draft.cell).is_none_or(|(most, ..)| knows > *most) {
                drafts.insert(draft.cell, (knows, number, draft));
            }
        }
        for (_, number, draft) in drafts.into_values() {
            if !self.has_quorum(number) {
                let fact = self.world.plan.recovery(&draft, self.world.node(number).core.roster());
                self.world.command(number, Command::Announce(Box::new(fact)));
            }
        }
    }

    /// Whether a quorum of the voters that a node knows runs.
    fn has_quorum(&self, number: u32) -> bool {
        let runs = |node: &NodeId| self.world.number_of(node).is_some_and(|number| self.world.node(number).up);
        let voters = self.world.node(number).core.voters();
        voters.is_some_and(|set| set.is_quorum(&set.voters.iter().map(|voter| voter.node).filter(runs).collect()))
    }
}
