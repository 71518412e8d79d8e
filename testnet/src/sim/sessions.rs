//! Sessions in a few strokes: clients write and read, replicas copy and drop, all by the transitions that the cores of their
//! nodes follow. What a replica holds is a set of numbers, and whoever is reached is reached at once; what is tried is who
//! may acknowledge, read, retire and drop what, while everybody learns of placements when it does.

use super::dice::Dice as _;
use super::mesh::MeshPlan;
use super::oracle::Invariant;
use super::world::World;
use hedgerow_attest::id::NodeId;
use hedgerow_protocol::core::Command;
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::id::PlacementEpoch;
use hedgerow_protocol::name::ClassName;
use hedgerow_protocol::placement::{DataClass, Host, Rule, Settled, Transition};
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

type Group = (ClassName, u8);

/// What clients wrote, and who has it.
#[derive(Debug)]
pub(crate) struct Sessions<D: Defects> {
    dice: ChaCha8Rng,
    defects: D,
    ids: Vec<NodeId>,
    hosts: Vec<Host>,
    classes: Vec<DataClass>,
    followers: Vec<Follower<D>>,
    /// What is on the disk of each node. Disks lose nothing.
    kept: Vec<BTreeMap<Group, BTreeSet<u32>>>,
    /// The last placement and the last retirement that any node of a region followed.
    latest: Vec<(PlacementEpoch, PlacementEpoch)>,
    done: Vec<Done>,
    writes: u32,
}

/// What one node knows of the placements of its cell.
#[derive(Debug)]
struct Follower<D: Defects> {
    mark: Option<(PlacementEpoch, PlacementEpoch, usize)>,
    transition: Transition<D>,
    /// What its process said last, and which process that was: the next one knows nothing of it.
    said: Option<(u32, Settled)>,
}

/// A write that was acknowledged.
#[derive(Debug)]
struct Done {
    write: u32,
    region: usize,
    group: Group,
    /// The placements in whose sets it was.
    epochs: BTreeSet<PlacementEpoch>,
    /// Whether all that took it knew the last of these.
    known_to_all: bool,
}

impl<D: Defects> Sessions<D> {
    /// Nothing was written yet.
    pub(crate) fn new(plan: &Arc<MeshPlan>, seed: u64, defects: D) -> Self {
        let hosts: Vec<Host> = plan.hosts();
        let follower = |_: &NodeId| Follower { mark: None, transition: Transition::new(defects), said: None };
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
            defects,
            followers: ids.iter().map(follower).collect(),
            kept: vec![BTreeMap::new(); ids.len()],
            ids,
            hosts,
            classes: vec![class("cart", 2, fence), class("note", 1, Vec::new())],
            latest: vec![Default::default(); plan.regions().len()],
            done: Vec::new(),
            writes: 0,
        }
    }

    /// The classes to which clients write, as a policy of that version has them: each version asks for other copies.
    pub(crate) fn classes(&self, version: u64) -> Vec<DataClass> {
        let copies = |place: u64| if (version + place).is_multiple_of(2) { 2 } else { 3 };
        self.classes
            .iter()
            .zip(0..)
            .map(|(class, place)| DataClass { replicas: copies(place), ..class.clone() })
            .collect()
    }

    /// A little time passes.
    pub(crate) fn pass(&mut self, world: &mut World<D>, traffic: Traffic) {
        self.follow(world);
        self.bury(world);
        for region in 0..world.plan.regions().len() {
            let writers = if let Traffic::Busy(clients) = traffic { clients } else { 0 };
            for _ in 0..writers {
                if self.dice.chance(500_000) {
                    self.write(world, region);
                }
            }
            if traffic != Traffic::None {
                self.copy(world, region, traffic);
                self.drop(world, region);
                self.read(world, region);
            }
        }
        self.report(world, traffic);
    }

    /// After a calm everything that was held by former placements was handed over, where enough are there to take it.
    pub(crate) fn look_for_formers(&mut self, world: &mut World<D>) {
        self.follow(world);
        let stays = |node: &u32| is_awake(world, *node) && world.node(*node).core.means_to_stay();
        let most = self.classes.iter().map(|class| usize::from(class.write_quorum)).max().unwrap_or(0);
        let is_served = |region: usize| world.plan.nodes_of(region).filter(stays).count() >= most;
        let waits = |node: &u32| {
            is_served(world.node(*node).region) && self.followers[*node as usize].transition.epochs().count() > 1
        };
        let waiting: Vec<u32> = world.running().filter(waits).collect();
        if let Some(node) = waiting.first() {
            let transition = &self.followers[*node as usize].transition;
            let epochs: Vec<u64> = transition.epochs().map(|epoch| epoch.0).collect();
            let what = format!("{} nodes know former placements, node {node} all of {epochs:?}", waiting.len());
            world.oracle.violate(world.now, Invariant::PlacementsRetire, what);
        }
    }

    /// Everybody's sessions learn what their core follows.
    fn follow(&mut self, world: &World<D>) {
        for node in world.running() {
            let core = &world.node(node).core;
            let follower = &mut self.followers[node as usize];
            let mark = core.placement_mark();
            if follower.mark != mark {
                follower.mark = mark;
                follower.transition = core.transition().unwrap_or_else(|| Transition::new(self.defects));
                follower.said = None;
            }
            let latest = &mut self.latest[world.node(node).region];
            latest.0 = latest.0.max(last(&follower.transition));
            latest.1 = latest.1.max(follower.transition.last_retired());
        }
    }

    /// A client writes through a replica, which reaches most of those that it asks.
    fn write(&mut self, world: &mut World<D>, region: usize) {
        let Some((group, class)) = self.any_group() else { return };
        let replicas = self.awake(world, region, |this, node| this.serves(node, &group));
        let Some(by) = self.dice.pick(&replicas).copied() else { return };
        let transition = &self.followers[by as usize].transition;
        let asked: BTreeSet<NodeId> = transition.write_sets(&group.0, group.1).into_iter().flatten().copied().collect();
        let (current, epochs) = (last(transition), transition.epochs().collect());
        let takes = |node: &u32| asked.contains(&self.ids[*node as usize]) && is_connected(world, by, *node);
        let mut taking: Vec<u32> = replicas.into_iter().filter(takes).collect();
        taking.retain(|node| *node == by || self.dice.chance(800_000));
        self.writes += 1;
        for node in &taking {
            self.kept[*node as usize].entry(group.clone()).or_default().insert(self.writes);
            self.may_be_at(world, *node, &class);
        }
        let durable: BTreeSet<NodeId> = taking.iter().map(|node| self.ids[*node as usize]).collect();
        let transition = &self.followers[by as usize].transition;
        if transition.is_durable(&group.0, group.1, class.write_quorum, &durable) {
            let known_to_all = taking.iter().all(|node| last(&self.followers[*node as usize].transition) >= current);
            self.done.push(Done { write: self.writes, region, group, epochs, known_to_all });
        } else if let Some(hint) = transition.hint(&Rule::of_class(&class), &self.hosts, (&group.0, group.1)) {
            let waits = world.number_of(&hint).expect("hosts are members");
            self.may_be_at(world, waits, &class);
        }
    }

    /// What of the class is at that node must not be forbidden there.
    fn may_be_at(&self, world: &mut World<D>, node: u32, class: &DataClass) {
        let region = &self.hosts[node as usize].region;
        if !class.allows(region) {
            let what = format!("node {node} in {region} has data of class {}", class.name);
            world.oracle.violate(world.now, Invariant::ConstraintsHold, what);
        }
    }

    /// Replicas take what others have, of each group now and then; those that left it hand over and take nothing.
    fn copy(&mut self, world: &World<D>, region: usize, traffic: Traffic) {
        for (group, _) in self.groups() {
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
            }
        }
    }

    /// Who holds a group no more drops it, if it may.
    fn drop(&mut self, world: &mut World<D>, region: usize) {
        for (group, class) in self.groups() {
            for node in self.awake(world, region, |this, node| this.kept[node as usize].contains_key(&group)) {
                let transition = &self.followers[node as usize].transition;
                let have = self.have_all(world, node, &group);
                let id = &self.ids[node as usize];
                if transition.may_drop(id, (&group.0, group.1), class.write_quorum, &have).is_ok() {
                    let dropped = self.kept[node as usize].remove(&group).unwrap_or_default();
                    *world.sometimes.entry("a replica dropped what it had handed over").or_default() += 1;
                    self.look_for(world, node, &group, &dropped);
                }
            }
        }
    }

    /// What a node has that left for good is nobody's any more.
    fn bury(&mut self, world: &mut World<D>) {
        for node in (0..).take(self.ids.len()) {
            if world.node(node).core.is_gone() {
                for (group, kept) in std::mem::take(&mut self.kept[node as usize]) {
                    self.look_for(world, node, &group, &kept);
                }
            }
        }
    }

    /// Of what a node dropped, everything that was acknowledged is on another disk.
    fn look_for(&mut self, world: &mut World<D>, node: u32, group: &Group, dropped: &BTreeSet<u32>) {
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
        if let Some(first) = lost.first() {
            let what = format!("node {node} dropped write {} of {group:?}, which nobody else has", first.write);
            world.oracle.violate(world.now, Invariant::AcknowledgedWritesSurvive, what);
        }
    }

    /// A client reads through a node that knows all placements that count, and hears most of those that it asks.
    fn read(&mut self, world: &mut World<D>, region: usize) {
        let Some((group, class)) = self.any_group().filter(|_| self.dice.chance(500_000)) else { return };
        let readers = self.awake(world, region, |this, node| this.is_current(node, region));
        let Some(reader) = self.dice.pick(&readers).copied() else { return };
        let mut heard = self.awake(world, region, |this, node| this.serves(node, &group));
        heard.retain(|node| is_connected(world, reader, *node) && self.dice.chance(800_000));
        let ids: BTreeSet<NodeId> = heard.iter().map(|node| self.ids[*node as usize]).collect();
        let transition = &self.followers[reader as usize].transition;
        let sets = transition.read_sets(&group.0, group.1);
        let silent = |set: &[NodeId]| set.iter().filter(|node| !ids.contains(node)).count();
        if !sets.iter().all(|set| silent(set) < usize::from(class.write_quorum).min(set.len())) {
            return;
        }
        let asked: BTreeSet<&NodeId> = sets.into_iter().flatten().collect();
        let answers = heard.iter().filter(|node| asked.contains(&self.ids[**node as usize]));
        let seen: BTreeSet<u32> =
            answers.flat_map(|node| self.kept[*node as usize].get(&group).into_iter().flatten().copied()).collect();
        let epochs: BTreeSet<PlacementEpoch> = transition.epochs().collect();
        let is_due = |done: &&Done| {
            let of_group = done.region == region && done.group == group && done.known_to_all;
            of_group && !done.epochs.is_disjoint(&epochs)
        };
        if let Some(missed) = self.done.iter().filter(is_due).find(|done| !seen.contains(&done.write)) {
            let what = format!("node {reader} misses write {} of {group:?} in what {heard:?} have", missed.write);
            world.oracle.violate(world.now, Invariant::ReadsMissNothing, what);
        }
    }

    /// Everybody tells its core what is not handed over.
    fn report(&mut self, world: &mut World<D>, traffic: Traffic) {
        for node in world.running().collect::<Vec<_>>() {
            let Some(cell) = world.node(node).core.own_cell() else { continue };
            let follower = &self.followers[node as usize];
            let (id, epoch) = (self.ids[node as usize], last(&follower.transition));
            if world.node(node).process.asleep_until > world.now {
                continue;
            }
            let is_open = |group: &&Group| {
                let class = self.classes.iter().find(|class| class.name == group.0);
                let quorum = class.map_or(0, |class| class.write_quorum);
                let holders = follower.transition.holders(&group.0, group.1);
                let by = holders.iter().filter(|holder| self.have_all(world, node, group).contains(*holder)).count();
                traffic != Traffic::None && by < usize::from(quorum)
            };
            let strays = self.kept[node as usize]
                .keys()
                .filter(|group| !follower.transition.holders(&group.0, group.1).contains(&id));
            let held: BTreeSet<&Group> = follower.transition.held_before(&id).chain(strays).collect();
            let said = Settled::but_for(cell, epoch, held.into_iter().filter(is_open).cloned());
            let said_by = Some((world.node(node).run, said.clone()));
            if follower.said != said_by {
                self.followers[node as usize].said = said_by;
                world.command(node, Command::Settled(said));
            }
        }
    }

    /// The holders of today that know of being that, and say to that node itself that they have all that it has.
    fn have_all(&self, world: &World<D>, node: u32, group: &Group) -> BTreeSet<NodeId> {
        let follows = |node: u32| last(&self.followers[node as usize].transition);
        let holders = self.followers[node as usize].transition.holders(&group.0, group.1);
        let nothing = BTreeSet::new();
        let kept = |node: u32| self.kept[node as usize].get(group).unwrap_or(&nothing);
        let has = |holder: &&NodeId| {
            world.number_of(holder).is_some_and(|other| {
                let says =
                    is_awake(world, other) && is_connected(world, node, other) && follows(other) >= follows(node);
                says && kept(node).is_subset(kept(other))
            })
        };
        holders.iter().filter(has).copied().collect()
    }

    fn serves(&self, node: u32, group: &Group) -> bool {
        let sets = self.followers[node as usize].transition.write_sets(&group.0, group.1);
        sets.iter().any(|set| set.contains(&self.ids[node as usize]))
    }

    /// Whether a node knows all placements of its cell that count, and of no retirement too few.
    fn is_current(&self, node: u32, region: usize) -> bool {
        let transition = &self.followers[node as usize].transition;
        let (current, retired) = self.latest[region];
        let counting = (retired.0 + 1)..=current.0;
        current > PlacementEpoch(0) && transition.epochs().map(|epoch| epoch.0).eq(counting)
    }

    fn awake(&self, world: &World<D>, region: usize, fits: impl Fn(&Self, u32) -> bool) -> Vec<u32> {
        world.plan.nodes_of(region).filter(|node| is_awake(world, *node) && fits(self, *node)).collect()
    }

    fn groups(&self) -> Vec<(Group, DataClass)> {
        let of_class = |class: &DataClass| {
            let class = class.clone();
            (0..PREFIXES).map(move |prefix| ((class.name.clone(), prefix), class.clone()))
        };
        self.classes.iter().flat_map(of_class).collect()
    }

    fn any_group(&mut self) -> Option<(Group, DataClass)> {
        let groups = self.groups();
        self.dice.pick(&groups).cloned()
    }
}

fn last<D: Defects>(transition: &Transition<D>) -> PlacementEpoch {
    transition.epochs().next_back().unwrap_or_default()
}

fn is_awake<D: Defects>(world: &World<D>, node: u32) -> bool {
    world.node(node).is_there() && world.node(node).process.asleep_until <= world.now
}

fn is_connected<D: Defects>(world: &World<D>, one: u32, other: u32) -> bool {
    one == other || !(world.weather.is_cut(one, other) || world.weather.is_cut(other, one))
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
