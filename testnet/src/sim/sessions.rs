//! Sessions in a few strokes: clients write and read, replicas copy and drop, all by the replica sets that the cores of their
//! nodes follow. What a replica holds is a set of numbers, and whoever is reached is reached at once; what is tried is who
//! may acknowledge, read, retire and drop what, while everybody learns of placements when it does.

use super::dice::Dice as _;
use super::followers::{Followed, Follower, Known, News, Placed};
use super::mesh::MeshPlan;
use super::oracle::Invariant;
use super::world::World;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::name::ClassName;
use hedgerow_protocol::placement::DataClass;
use hedgerow_protocol::session_id::GroupId;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Hash prefixes of each class to which clients write: more of them make each busy less often.
const PREFIXES: u8 = 4;

/// What clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// There are none, so that every replica has handed over what it has.
    None,
    /// So many in each region write and read.
    Busy(u32),
    /// They read, and replicas have time for each other.
    Calm,
}

impl Traffic {
    /// That of so many clients.
    pub(crate) fn of(clients: u32) -> Self {
        if clients == 0 { Self::None } else { Self::Busy(clients) }
    }
}

/// What clients wrote, and who has it.
#[derive(Debug)]
pub(crate) struct Sessions<D: Defects> {
    dice: ChaCha8Rng,
    pub(super) ids: Vec<NodeId>,
    defects: D,
    classes: Vec<DataClass>,
    pub(super) followers: Vec<Follower<D>>,
    /// What is on the disk of each node. Disks lose nothing.
    pub(super) kept: Vec<BTreeMap<GroupId, BTreeSet<u32>>>,
    /// What any node followed so far.
    known: Known,
    /// The cells in each region in which sessions were born.
    births: Vec<BTreeSet<CellId>>,
    done: Vec<Done>,
    writes: u32,
    /// Where nobody has any sessions: what each process last said to be handed over.
    pub(super) told: Vec<Option<Told>>,
}

/// A process, how many cells had ended, and the last placement of each other.
pub(super) type Told = (u32, usize, Vec<Placed>);

/// A write that was acknowledged.
#[derive(Debug)]
struct Done {
    write: u32,
    region: usize,
    group: GroupId,
    /// The placements in whose sets it was.
    counting: BTreeSet<Placed>,
    /// Whether all that took it knew the last of these.
    known_to_all: bool,
}

impl<D: Defects> Sessions<D> {
    /// Nothing was written yet.
    pub(crate) fn new(plan: &Arc<MeshPlan>, seed: u64, defects: D) -> Self {
        let ids: Vec<NodeId> = plan.ids().collect();
        let fence = plan.members().iter().take(1).map(|first| first.region().clone()).collect();
        let class = |name: &str, write_quorum: u8, regions| DataClass {
            name: ClassName::new(name).expect("a short word"),
            replicas: 3,
            write_quorum,
            regions,
            personal: false,
            ttl_s: 0,
        };
        Self {
            dice: ChaCha8Rng::seed_from_u64(seed),
            followers: ids.iter().map(|_| Follower::new(defects)).collect(),
            kept: vec![BTreeMap::new(); ids.len()],
            told: vec![None; ids.len()],
            ids,
            defects,
            classes: vec![class("cart", 2, fence), class("note", 1, Vec::new())],
            known: Known::default(),
            births: vec![BTreeSet::new(); plan.regions().len()],
            done: Vec::new(),
            writes: 0,
        }
    }

    /// The classes to which clients write, as a policy of that version has them: each version asks for other copies, and some
    /// for other regions.
    pub(crate) fn classes(&self, version: u64) -> Vec<DataClass> {
        let fence = self.classes.iter().map(|class| &class.regions).find(|regions| !regions.is_empty());
        let ruled = |(class, place): (&DataClass, u64)| DataClass {
            replicas: if (version + place).is_multiple_of(2) { 2 } else { 3 },
            // Every third one tightens where the data may be.
            regions: fence.filter(|_| version.is_multiple_of(3)).unwrap_or(&class.regions).clone(),
            ..class.clone()
        };
        self.classes.iter().zip(0..).map(ruled).collect()
    }

    /// A little time passes.
    pub(crate) fn pass(&mut self, world: &mut World<D>, traffic: Traffic) {
        if traffic == Traffic::None {
            return self.report_of_none(world);
        }
        self.follow(world);
        self.bury(world);
        for region in 0..world.plan.regions().len() {
            let writers = if let Traffic::Busy(clients) = traffic { clients } else { 0 };
            for _ in 0..writers {
                if self.dice.chance(500_000) {
                    self.write(world, region);
                }
            }
            self.copy(world, region, traffic);
            self.drop(world, region);
            self.read(world, region);
        }
        self.report(world);
    }

    /// After a calm everything that was held by former placements was handed over, where enough are there to take it.
    pub(crate) fn look_for_formers(&mut self, world: &mut World<D>) {
        if let Some(what) = self.unsettled(world) {
            world.oracle.violate(world.now, Invariant::PlacementsRetire, what);
        }
    }

    /// Who still knows of placements before the last one of its cell, if anybody does.
    pub(crate) fn unsettled(&mut self, world: &World<D>) -> Option<String> {
        self.follow(world);
        let most = self.classes.iter().map(|class| usize::from(class.write_quorum)).max().unwrap_or(0);
        let mut served: BTreeMap<CellId, usize> = BTreeMap::new();
        for node in world.running().filter(|node| is_awake(world, *node)) {
            let core = &world.node(node).core;
            if let Some(cell) = core.own_cell().filter(|_| core.means_to_stay()) {
                *served.entry(cell).or_default() += 1;
            }
        }
        let waits = |node: u32| {
            let (region, cell) = (world.node(node).region, world.node(node).core.own_cell()?);
            let follower = &self.followers[node as usize];
            let groups = self
                .groups(region)
                .into_iter()
                .filter(|(group, _)| follower.view.as_ref().is_some_and(|view| view.lineage.home(group) == cell));
            let of_groups = groups.filter_map(|(group, _)| Some((follower.of(&group)?, group)));
            let open = |followed: &Followed| followed.counting.len() > 1 || followed.last.0 != cell;
            let (followed, group) = of_groups.into_iter().find(|(followed, _)| open(followed))?;
            Some((node, group, followed.counting.clone())).filter(|_| served.get(&cell).is_some_and(|all| *all >= most))
        };
        let waiting: Vec<_> = world.running().filter_map(waits).collect();
        let (node, group, counting) = waiting.first()?;
        let placements: Vec<String> =
            counting.iter().map(|(cell, epoch)| format!("{}:{}", cell.short(), epoch.0)).collect();
        Some(format!("{} nodes know former placements, node {node} all of {placements:?} for {group}", waiting.len()))
    }

    /// Everybody's sessions learn what their core follows.
    fn follow(&mut self, world: &World<D>) {
        let mut is_undone = false;
        for node in world.running() {
            let at = world.node(node);
            self.births[at.region].extend(at.core.own_cell());
            let follower = &mut self.followers[node as usize];
            match follower.follow(at.run, &at.core, at.mono(world.now)) {
                News::None => {}
                News::More => follower.view.iter().for_each(|view| self.known.merge(view)),
                News::Undone => is_undone = true,
            }
        }
        if is_undone {
            self.known = Known::default();
            let views = world.running().filter_map(|node| self.followers[node as usize].view.as_ref());
            views.for_each(|view| self.known.merge(view));
        }
        let groups: Vec<Vec<_>> = (0..self.births.len()).map(|region| self.groups(region)).collect();
        for node in world.running() {
            let follower = &mut self.followers[node as usize];
            groups[world.node(node).region].iter().for_each(|(group, _)| follower.look_up(group));
        }
    }

    /// A client writes through a replica, which reaches most of those that it asks.
    fn write(&mut self, world: &mut World<D>, region: usize) {
        let Some((group, class)) = self.any_group(region) else { return };
        let replicas = self.awake(world, region, |this, node| this.serves(node, &group));
        let Some(by) = self.dice.pick(&replicas).copied() else { return };
        let Some(followed) = self.followers[by as usize].of(&group) else { return };
        let Some(set) = followed.set.clone() else { return };
        let (current, counting) = (followed.last.1, followed.counting.clone());
        let takes = |node: &u32| set.counts(&self.ids[*node as usize]) && is_connected(world, by, *node);
        let mut taking: Vec<u32> = replicas.into_iter().filter(takes).collect();
        taking.retain(|node| *node == by || self.dice.chance(800_000));
        self.writes += 1;
        for node in &taking {
            self.kept[*node as usize].entry(group.clone()).or_default().insert(self.writes);
            self.may_be_at(world, *node, &class);
        }
        let durable: BTreeSet<NodeId> = taking.iter().map(|node| self.ids[*node as usize]).collect();
        if set.reached(|node| durable.contains(node)) >= set.write_quorum {
            let known_to_all = taking.iter().all(|node| self.followers[*node as usize].last(&group) >= current);
            self.done.push(Done { write: self.writes, region, group, counting, known_to_all });
        }
    }

    /// No rule for the class forbids that the node takes what it took: not that of every policy, and not that of the one which it
    /// knows to be in force.
    fn may_be_at(&self, world: &mut World<D>, node: u32, class: &DataClass) {
        let Some(view) = &self.followers[node as usize].view else { return };
        let in_force = view.policy.as_ref().and_then(|policy| policy.class(&class.name));
        if [Some(class), in_force].into_iter().flatten().any(|rule| !rule.allows(&view.region)) {
            let what = format!("node {node} in {} takes data of class {}", view.region, class.name);
            world.oracle.violate(world.now, Invariant::ConstraintsHold, what);
        }
    }

    /// Replicas take what others have, of each group now and then; those that left it hand over and take nothing.
    fn copy(&mut self, world: &mut World<D>, region: usize, traffic: Traffic) {
        for (group, class) in self.groups(region) {
            let is_busy = matches!(traffic, Traffic::Busy(_));
            if is_busy && !self.dice.chance(300_000) {
                continue;
            }
            let takers = self.awake(world, region, |this, node| this.serves(node, &group));
            let givers = self.awake(world, region, |this, node| this.kept[node as usize].contains_key(&group));
            let pairs = takers.iter().flat_map(|to| givers.iter().map(move |from| (*from, *to)));
            let mut pairs: Vec<(u32, u32)> = pairs.filter(|(from, to)| is_connected(world, *from, *to)).collect();
            if is_busy {
                self.dice.shuffle(&mut pairs);
                pairs.truncate(1);
            }
            for (from, to) in pairs.into_iter().filter(|(from, to)| from != to) {
                let given = self.kept[from as usize][&group].clone();
                self.kept[to as usize].entry(group.clone()).or_default().extend(given);
                self.may_be_at(world, to, &class);
            }
        }
    }

    /// Who holds a group no more drops it, if it may.
    fn drop(&mut self, world: &mut World<D>, region: usize) {
        for (group, _) in self.groups(region) {
            for node in self.awake(world, region, |this, node| this.kept[node as usize].contains_key(&group)) {
                let Some(set) = self.followers[node as usize].set(&group) else { continue };
                let have = self.have_all(world, node, &group);
                let me = &self.ids[node as usize];
                if set.may_drop_with(self.defects, me, |node| have.contains(node)).is_ok() {
                    let dropped = self.kept[node as usize].remove(&group).unwrap_or_default();
                    *world.sometimes.entry("a replica dropped what it had handed over").or_default() += 1;
                    self.look_for(world, node, &group, &dropped);
                }
            }
        }
    }

    /// What a node has that left for good is nobody's any more. It waits for ten minutes until others have it, and no longer: of a
    /// cell that all of its members leave nobody does.
    fn bury(&mut self, world: &mut World<D>) {
        for node in (0..).take(self.ids.len()) {
            if world.node(node).core.is_gone() {
                for (group, kept) in std::mem::take(&mut self.kept[node as usize]) {
                    if world.node(node).core.has_left_unrelieved() {
                        *world.sometimes.entry("a replica left with what nobody took over").or_default() += 1;
                        self.lose(world, node, &group, &kept);
                    } else {
                        self.look_for(world, node, &group, &kept);
                    }
                }
            }
        }
    }

    /// Of what a node dropped, everything that was acknowledged is on another disk.
    fn look_for(&mut self, world: &mut World<D>, node: u32, group: &GroupId, dropped: &BTreeSet<u32>) {
        if let Some(first) = self.lose(world, node, group, dropped).first() {
            let what = format!("node {node} dropped write {} of {group}, which nobody else has", first.write);
            world.oracle.violate(world.now, Invariant::AcknowledgedWritesSurvive, what);
        }
    }

    /// What was acknowledged of what a node dropped, and is on no other disk: nobody asks for it any more.
    fn lose(&mut self, world: &World<D>, node: u32, group: &GroupId, dropped: &BTreeSet<u32>) -> Vec<Done> {
        let region = world.node(node).region;
        let is_kept = |write: &u32| {
            let nodes = world.plan.nodes_of(region);
            nodes.into_iter().any(|node| self.kept[node as usize].get(group).is_some_and(|kept| kept.contains(write)))
        };
        let lost = |done: &Done| {
            done.region == region && done.group == *group && dropped.contains(&done.write) && !is_kept(&done.write)
        };
        let (lost, kept): (Vec<Done>, Vec<Done>) = std::mem::take(&mut self.done).into_iter().partition(lost);
        self.done = kept;
        lost
    }

    /// A client reads through a node that knows all placements that count, and hears most of those that it asks.
    fn read(&mut self, world: &mut World<D>, region: usize) {
        let Some((group, _)) = self.any_group(region).filter(|_| self.dice.chance(500_000)) else { return };
        let counting = self.known.counting(&group);
        let knows_all = |followed: &Followed| followed.counting == counting;
        let readers =
            self.awake(world, region, |this, node| this.followers[node as usize].of(&group).is_some_and(knows_all));
        let Some(reader) = self.dice.pick(&readers).copied() else { return };
        let mut heard = self.awake(world, region, |this, node| this.serves(node, &group));
        heard.retain(|node| is_connected(world, reader, *node) && self.dice.chance(800_000));
        let ids: BTreeSet<NodeId> = heard.iter().map(|node| self.ids[*node as usize]).collect();
        let Some(set) = self.followers[reader as usize].set(&group) else { return };
        if !set.covers_with(self.defects, |node| ids.contains(node)) {
            return;
        }
        *world.sometimes.entry("a read was judged").or_default() += 1;
        let answers = heard.iter().filter(|node| set.counts(&self.ids[**node as usize]));
        let seen: BTreeSet<u32> =
            answers.flat_map(|node| self.kept[*node as usize].get(&group).into_iter().flatten().copied()).collect();
        let is_due = |done: &&Done| {
            let of_group = done.region == region && done.group == group && done.known_to_all;
            of_group && !done.counting.is_disjoint(&counting)
        };
        if let Some(missed) = self.done.iter().filter(is_due).find(|done| !seen.contains(&done.write)) {
            let what = format!("node {reader} misses write {} of {group} in what {heard:?} have", missed.write);
            world.oracle.violate(world.now, Invariant::ReadsMissNothing, what);
        }
    }

    fn serves(&self, node: u32, group: &GroupId) -> bool {
        self.followers[node as usize].set(group).is_some_and(|set| set.counts(&self.ids[node as usize]))
    }

    fn awake(&self, world: &World<D>, region: usize, fits: impl Fn(&Self, u32) -> bool) -> Vec<u32> {
        world.plan.nodes_of(region).filter(|node| is_awake(world, *node) && fits(self, *node)).collect()
    }

    /// The groups of a region, of each cell in which sessions were born.
    pub(super) fn groups(&self, region: usize) -> Vec<(GroupId, DataClass)> {
        let of_class = |cell: &CellId, class: &DataClass| {
            let (cell, class) = (*cell, class.clone());
            (0..PREFIXES).map(move |prefix| (GroupId { cell, class: class.name.clone(), prefix }, class.clone()))
        };
        let of_cell = |cell: &CellId| self.classes.iter().flat_map(|class| of_class(cell, class)).collect::<Vec<_>>();
        self.births[region].iter().flat_map(of_cell).collect()
    }

    fn any_group(&mut self, region: usize) -> Option<(GroupId, DataClass)> {
        let groups = self.groups(region);
        self.dice.pick(&groups).cloned()
    }
}

pub(super) fn is_awake<D: Defects>(world: &World<D>, node: u32) -> bool {
    world.node(node).is_there() && world.node(node).is_awake(world.now)
}

pub(super) fn is_connected<D: Defects>(world: &World<D>, one: u32, other: u32) -> bool {
    one == other || !(world.weather.is_cut(one, other) || world.weather.is_cut(other, one))
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
