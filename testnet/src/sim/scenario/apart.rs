//! Networks that fall apart, and whether everybody finds each other again.

use super::action::Action;
use super::fault::Split;
use super::play::Player;
use crate::sim::dice::Dice as _;
use crate::sim::time::{MINUTE, MS, Micros};
use crate::sim::weather::NodeSet;
use hedgerow_protocol::defect::Defects;

/// Time between two looks whether views are equal, and the longest time that they are waited for.
const LOOK_PERIOD: Micros = 100 * MS;
const LOOK_MAX: Micros = 2 * MINUTE;
/// How much longer packets of a congested node take, in each direction.
const CONGESTION: (Micros, Micros) = (100 * MS, 1_000 * MS);

impl<D: Defects> Player<'_, D> {
    /// Cuts a region in two, for good or for a while.
    pub(super) fn divide(&mut self, split: Split, region: usize, span: Option<Micros>) {
        let mut nodes: Vec<u32> = self.world.plan.nodes_of(region).collect();
        self.dice.shuffle(&mut nodes);
        let half = nodes.len() / 2;
        let set = |nodes: &[u32]| nodes.iter().copied().collect::<NodeSet>();
        let (left, right) = match split {
            Split::Halves | Split::OneWay => (set(&nodes[..half]), set(&nodes[half..])),
            Split::Bridge => (set(&nodes[..half]), set(&nodes[half + 1..])),
            Split::Isolate => (set(&nodes[1..]), set(&nodes[..1])),
            Split::Link => (set(&nodes[..1]), set(&nodes[1..2])),
        };
        let mut cuts = vec![self.world.cut(&left, &right)];
        if !matches!(split, Split::OneWay | Split::Isolate) {
            cuts.push(self.world.cut(&right, &left));
        }
        let now = self.world.now;
        self.world.oracle.network_changed(now);
        if let Some(span) = span {
            self.foresee(now + span, Action::Heal(cuts));
        }
    }

    /// Packets to and from a node take longer.
    pub(super) fn congest(&mut self, node: u32, span: Option<Micros>) {
        let more = self.dice.within(CONGESTION);
        let way = self.world.weather.congest([node].into_iter().collect(), more);
        let now = self.world.now;
        self.world.oracle.network_changed(now);
        self.foresee(now + span.unwrap_or(MINUTE), Action::Heal(vec![way]));
    }

    /// Cuts heal, and slow ways are fast again.
    pub(super) fn heal(&mut self, cuts: &[u64]) {
        let now = self.world.now;
        cuts.iter().for_each(|cut| self.world.weather.heal(*cut));
        self.world.oracle.network_changed(now);
        if self.world.weather.is_whole() {
            self.foresee(now, Action::LookForEquality { healed_at: now });
        }
    }

    /// Looks whether everybody has found each other again.
    pub(super) fn look_for_equality(&mut self, healed_at: Micros) {
        if !self.world.weather.is_whole() {
            return;
        }
        let now = self.world.now;
        let took = now - healed_at;
        if self.is_equal() {
            self.world.oracle.measures.healed.take(took);
        } else if took >= LOOK_MAX {
            self.world.oracle.measures.healed.take(took);
            self.world.oracle.measures.forgotten += self.unequal_pairs().len() as u64;
        } else {
            self.foresee(now + LOOK_PERIOD, Action::LookForEquality { healed_at });
        }
    }
}
