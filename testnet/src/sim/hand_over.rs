//! What simulated replicas say of what they have handed over: to each other, and to their cores.

use super::followers::Followed;
use super::sessions::{Sessions, Told, is_awake, is_connected};
use super::world::World;
use hedgerow_attest::id::NodeId;
use hedgerow_protocol::core::Command;
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::placement::{DataClass, Duty, Settled};
use hedgerow_protocol::session_id::GroupId;
use std::collections::BTreeSet;

impl<D: Defects> Sessions<D> {
    /// Everybody tells its core what is not handed over, cell by cell.
    pub(super) fn report(&mut self, world: &mut World<D>) {
        for node in world.awake().collect::<Vec<_>>() {
            let Some(view) = &self.followers[node as usize].view else { continue };
            let groups = self.groups(world.node(node).region);
            let is_open = |(group, _): &(GroupId, DataClass)| self.is_open(world, node, group);
            let open = groups.into_iter().filter(is_open).map(|(group, _)| group);
            let said = Settled::of_living(&view.lineage, &view.placements, open);
            let (run, ended) = (world.node(node).run, view.lineage.len());
            for said in said.into_values() {
                let now = (run, ended, said.clone());
                let last = self.followers[node as usize].said.insert(said.cell, now.clone());
                if last.is_none_or(|last| last != now) {
                    world.command(node, Command::Settled { said, ended });
                }
            }
        }
    }

    /// The same where there are no sessions.
    pub(super) fn report_of_none(&mut self, world: &mut World<D>) {
        for node in world.awake().collect::<Vec<_>>() {
            let (core, run) = (&world.node(node).core, world.node(node).run);
            let told = self.told[node as usize].as_ref();
            let is_told = |(process, ended, placed): &Told| {
                *process == run && *ended == core.ended_cells() && core.living_placements().eq(placed.iter().copied())
            };
            if told.is_some_and(is_told) {
                continue;
            }
            let (ended, placed) = (core.ended_cells(), core.living_placements().collect::<Vec<_>>());
            for (cell, epoch) in &placed {
                world.command(node, Command::Settled { said: Settled::but_for(*cell, *epoch, []), ended });
            }
            self.told[node as usize] = Some((run, ended, placed));
        }
    }

    /// Whether the node has anything of a group that is not handed over.
    fn is_open(&self, world: &World<D>, node: u32, group: &GroupId) -> bool {
        if !self.kept[node as usize].contains_key(group) {
            return false;
        }
        let Some(Followed { set, duty, .. }) = self.followers[node as usize].of(group) else { return true };
        match duty {
            Duty::Stays => false,
            Duty::HandsOver => {
                let have = self.have_all(world, node, group);
                set.as_ref().is_none_or(|set| set.has_quorum(|node| have.contains(node)).is_err())
            }
            Duty::Keeps => true,
        }
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
