//! What simulated replicas say of what they have handed over: to each other, and to their cores.

use super::sessions::{Sessions, Traffic, is_awake, is_connected};
use super::world::World;
use hedgerow_attest::id::NodeId;
use hedgerow_protocol::core::Command;
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::placement::{DataClass, Settled};
use hedgerow_protocol::session_id::GroupId;
use std::collections::BTreeSet;

impl<D: Defects> Sessions<D> {
    /// Everybody tells its core what is not handed over, cell by cell.
    pub(super) fn report(&mut self, world: &mut World<D>, traffic: Traffic) {
        for node in world.running().collect::<Vec<_>>() {
            if world.node(node).process.asleep_until > world.now {
                continue;
            }
            let known = &self.followers[node as usize].known;
            let groups = if traffic == Traffic::None { Vec::new() } else { self.groups(world.node(node).region) };
            let is_open = |(group, class): &(GroupId, DataClass)| self.is_open(world, node, group, class.write_quorum);
            let open = groups.into_iter().filter(is_open).map(|(group, _)| group);
            let said = Settled::of_living(&known.lineage, &known.placements, open);
            let (run, ended) = (world.node(node).run, known.lineage.len());
            for said in said.into_values() {
                let last = self.followers[node as usize].said.insert(said.cell, (run, said.clone()));
                if last.is_none_or(|last| last != (run, said.clone())) {
                    world.command(node, Command::Settled { said, ended });
                }
            }
        }
    }

    /// Whether the node holds a group by a former placement, or by none, that is not handed over.
    fn is_open(&self, world: &World<D>, node: u32, group: &GroupId, quorum: u8) -> bool {
        let (follower, id) = (&self.followers[node as usize], &self.ids[node as usize]);
        let has_any = self.kept[node as usize].contains_key(group);
        let Some(followed) = follower.of(group) else { return has_any };
        let is_holder = follower.holders(group).contains(id);
        if followed.last.0 != follower.known.lineage.home(group) {
            return has_any || is_holder;
        }
        let mut before = followed.transition.held_before(id);
        let held_before = before.any(|(class, prefix)| (class, *prefix) == (&group.class, group.prefix));
        let is_stray = has_any && !is_holder;
        (is_stray || held_before) && self.have_all(world, node, group).len() < usize::from(quorum)
    }

    /// The holders of today that know of being that, and say to that node itself that they have all that it has.
    pub(super) fn have_all(&self, world: &World<D>, node: u32, group: &GroupId) -> BTreeSet<NodeId> {
        let follows = |node: u32| self.followers[node as usize].last(group);
        let nothing = BTreeSet::new();
        let kept = |node: u32| self.kept[node as usize].get(group).unwrap_or(&nothing);
        let has = |holder: &&NodeId| {
            world.number_of(holder).is_some_and(|other| {
                let says =
                    is_awake(world, other) && is_connected(world, node, other) && follows(other) >= follows(node);
                says && kept(node).is_subset(kept(other))
            })
        };
        self.followers[node as usize].holders(group).iter().filter(has).copied().collect()
    }
}
