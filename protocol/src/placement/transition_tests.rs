//! A group that moves from three nodes to three others, in a model in which anybody may learn of anything late: first by hand,
//! then at random, and then with each rule left out.

use super::*;
use crate::placement::{Availability, Fence, RttBucket, TrustClass};
use hedgerow_attest::membership::{Role, Roles};
use hedgerow_attest::name::NodeClass;
use hedgerow_attest::region::Region;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

const W: u8 = 2;
const NODES: u8 = 7;
const OLD: [u8; 3] = [0, 1, 2];
const NEW: [u8; 3] = [2, 3, 4];
const SEEDS: u64 = 400;

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn nodes(numbers: &[u8]) -> Vec<NodeId> {
    numbers.iter().map(|n| node(*n)).collect()
}

fn set(numbers: &[u8]) -> BTreeSet<NodeId> {
    nodes(numbers).into_iter().collect()
}

fn cart() -> ClassName {
    ClassName::new("cart").unwrap()
}

fn held(numbers: &[u8]) -> Holdings {
    Holdings { groups: [((cart(), 0), nodes(numbers))].into_iter().collect(), ..Holdings::default() }
}

fn moving<D: Defects>(defects: D) -> Transition<D> {
    let mut transition = Transition::new(defects);
    transition.placed(PlacementEpoch(1), held(&OLD));
    transition.placed(PlacementEpoch(2), held(&NEW));
    transition
}

#[derive(Debug, Clone, Copy)]
struct Planted(Option<Defect>);

impl Defects for Planted {
    fn has(self, defect: Defect) -> bool {
        self.0 == Some(defect)
    }
}

#[test]
fn both_sets_count_until_the_former_is_retired() {
    let mut transition = moving(Sound);
    let (old, new) = (nodes(&OLD), nodes(&NEW));
    assert_eq!(transition.write_sets(&cart(), 0), [&old[..], &new[..]]);
    assert_eq!(transition.read_sets(&cart(), 0), [&old[..], &new[..]]);
    let durable = |transition: &Transition, have: &[u8]| transition.is_durable(&cart(), 0, W, &set(have));
    let in_one = [durable(&transition, &[0, 1]), durable(&transition, &[3, 4]), durable(&transition, &[1, 2])];
    assert_eq!(in_one, [false; 3]);
    assert!(durable(&transition, &[1, 2, 3]) && durable(&transition, &[0, 1, 3, 4]));
    transition.retired(PlacementEpoch(1));
    assert_eq!(transition.write_sets(&cart(), 0), [&new[..]]);
    assert!(durable(&transition, &[3, 4]) && !durable(&transition, &[0, 1, 2]));
    transition.retired(PlacementEpoch(9));
    assert_eq!(transition.write_sets(&cart(), 0), [&new[..]], "the current placement stays");
    assert!(!Transition::new(Sound).is_durable(&cart(), 0, W, &set(&[0, 1, 2])), "nobody holds it");
    transition.placed(PlacementEpoch(3), held(&NEW));
    assert_eq!(transition.write_sets(&cart(), 0), [&new[..]], "the same set counts once");
}

#[test]
fn a_replica_drops_a_group_only_with_a_permit_and_when_a_quorum_has_it() {
    let mut transition = moving(Sound);
    let drop =
        |transition: &Transition, me: u8, have: &[u8]| transition.may_drop(&node(me), (&cart(), 0), W, &set(have));
    assert_eq!(drop(&transition, 2, &[3, 4]), Err(Retained::Current));
    assert_eq!(drop(&transition, 0, &[2, 3, 4]), Err(Retained::NotRetired(PlacementEpoch(1))));
    transition.retired(PlacementEpoch(1));
    assert_eq!(drop(&transition, 0, &[1, 3]), Err(Retained::Unacknowledged { by: 1, wanted: W }));
    assert_eq!(drop(&transition, 0, &[3, 4]), Ok(()));
    assert_eq!(drop(&transition, 2, &[3, 4]), Err(Retained::Current));
    let mut behind = Transition::new(Sound);
    behind.placed(PlacementEpoch(1), held(&OLD));
    behind.placed(PlacementEpoch(3), held(&NEW));
    behind.retired(PlacementEpoch(1));
    let unknown = Err(Retained::NotRetired(PlacementEpoch(2)));
    assert_eq!(drop(&behind, 0, &[3, 4]), unknown, "it may hold it by the placement that it does not know");
}

/// Everybody's disk and knowledge, and what was promised.
struct Model {
    rng: ChaCha8Rng,
    disks: Vec<BTreeSet<u32>>,
    views: Vec<Transition<Planted>>,
    retired: bool,
    done: BTreeSet<u32>,
    writes: u32,
    broken: Option<&'static str>,
}

impl Model {
    fn new(seed: u64, defect: Option<Defect>) -> Self {
        let mut view = Transition::new(Planted(defect));
        view.placed(PlacementEpoch(1), held(&OLD));
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            disks: vec![BTreeSet::new(); usize::from(NODES)],
            views: vec![view; usize::from(NODES)],
            retired: false,
            done: BTreeSet::new(),
            writes: 0,
            broken: None,
        }
    }

    fn pick(&mut self) -> usize {
        usize::try_from(self.rng.next_u64() % u64::from(NODES)).unwrap()
    }

    /// Whether a node takes part in the group, as far as it knows.
    fn serves(&self, at: usize) -> bool {
        let me = NodeId::from_bytes([u8::try_from(at).unwrap(); 32]);
        self.views[at].write_sets(&cart(), 0).iter().any(|set| set.contains(&me))
    }

    fn step(&mut self) {
        match self.rng.next_u64() % 8 {
            0 | 1 => self.write(),
            2 | 3 => self.copy(),
            4 => {
                let at = self.pick();
                self.views[at].placed(PlacementEpoch(2), held(&NEW));
            }
            5 => self.retire(),
            6 => self.drop(),
            _ => self.read(),
        }
        let kept = |write: &u32| self.disks.iter().any(|disk| disk.contains(write));
        if !self.done.iter().all(kept) {
            self.broken = Some("a write that was done is nowhere");
        }
    }

    fn write(&mut self) {
        let (coordinator, reached) = (self.pick(), self.rng.next_u64());
        self.writes += 1;
        let holders = |set: &&[NodeId], holder: &NodeId| set.contains(holder);
        let reached: Vec<usize> = (0..usize::from(NODES))
            .filter(|at| {
                let holder = NodeId::from_bytes([u8::try_from(*at).unwrap(); 32]);
                let asked = self.views[coordinator].write_sets(&cart(), 0).iter().any(|set| holders(set, &holder));
                asked && reached >> at & 1 == 1 && self.serves(*at)
            })
            .collect();
        for at in &reached {
            self.disks[*at].insert(self.writes);
        }
        let durable = reached.iter().map(|at| NodeId::from_bytes([u8::try_from(*at).unwrap(); 32])).collect();
        if self.views[coordinator].is_durable(&cart(), 0, W, &durable) {
            self.done.insert(self.writes);
        }
    }

    fn copy(&mut self) {
        let (from, to) = (self.pick(), self.pick());
        if self.serves(to) {
            let copied = self.disks[from].clone();
            self.disks[to].extend(copied);
        }
    }

    /// The holder of the lease retires at a time of its own: nothing that is durable may depend on its choice.
    fn retire(&mut self) {
        let at = self.pick();
        self.retired |= self.views.iter().filter(|view| view.epochs.len() == 2).count() > usize::from(NODES) / 2;
        if self.retired && self.views[at].epochs.len() == 2 {
            self.views[at].retired(PlacementEpoch(1));
        }
    }

    fn drop(&mut self) {
        let at = self.pick();
        let me = NodeId::from_bytes([u8::try_from(at).unwrap(); 32]);
        let has_all = |n: &&u8| self.disks[at].is_subset(&self.disks[usize::from(**n)]);
        let have = NEW.iter().filter(has_all).map(|n| node(*n)).collect();
        if self.views[at].may_drop(&me, (&cart(), 0), W, &have).is_ok() {
            self.disks[at].clear();
        }
    }

    /// A read that reaches enough of each set misses nothing that was done, unless the reader knows of the retirement.
    fn read(&mut self) {
        let (reader, reached) = (self.pick(), self.rng.next_u64());
        let sets = self.views[reader].read_sets(&cart(), 0);
        let answers = |set: &&[NodeId]| -> Vec<usize> {
            let numbers = set.iter().map(|holder| usize::from(holder.as_bytes()[0]));
            numbers.filter(|at| reached >> at & 1 == 1 && self.serves(*at)).collect()
        };
        let answers: Vec<Vec<usize>> = sets.iter().map(answers).collect();
        let complete = answers.iter().all(|of_set| of_set.len() > OLD.len() - usize::from(W));
        let seen: BTreeSet<u32> = answers.iter().flatten().flat_map(|at| self.disks[*at].iter().copied()).collect();
        let current = self.views[reader].epochs.len() == 2;
        if complete && current && !self.retired && !self.done.is_subset(&seen) {
            self.broken = Some("a read missed a write that was done");
        }
    }
}

/// How many of the seeds break something.
fn broken(defect: Option<Defect>) -> BTreeMap<&'static str, u64> {
    let mut broken = BTreeMap::new();
    for seed in 0..SEEDS {
        let mut model = Model::new(seed, defect);
        for _ in 0..200 {
            model.step();
        }
        if let Some(what) = model.broken {
            *broken.entry(what).or_default() += 1;
        }
    }
    broken
}

#[test]
fn nothing_that_was_done_is_lost_or_missed_whatever_is_learnt_late() {
    assert_eq!(broken(None), BTreeMap::new());
}

#[test]
fn a_retirement_that_forces_loses_writes() {
    let broken = broken(Some(Defect::RetireForces));
    assert!(broken.get("a write that was done is nowhere").is_some_and(|seeds| *seeds > 5), "{broken:?}");
}

#[test]
fn a_transition_that_reads_the_new_holders_only_misses_writes() {
    let broken = broken(Some(Defect::TransitionReadsNewOnly));
    assert!(broken.get("a read missed a write that was done").is_some_and(|seeds| *seeds > 5), "{broken:?}");
}

#[test]
fn a_hint_waits_where_the_rule_lets_it() {
    let host = |n: u8| Host {
        node: node(n),
        region: Region::new(if n < 6 { "us" } else { "eu" }).unwrap(),
        class: NodeClass::new("edge").unwrap(),
        roles: Roles::all(),
        trust: TrustClass::SelfAsserted,
        availability: Availability::Available,
        free_mib: None,
        weight: 1,
        bucket: RttBucket::NEAREST,
        domain: None,
    };
    let hosts: Vec<Host> = (0..8).map(host).collect();
    let rule = Rule {
        copies: 3,
        role: Role::Replica,
        regions: Fence::of_list(&[Region::new("eu").unwrap()]),
        classes: Fence::All,
        trust: TrustClass::SelfAsserted,
        free_mib: 0,
    };
    let waits = |defect, prefix: u8| {
        let mut transition = Transition::new(Planted(defect));
        let groups = (0..32).map(|prefix| ((cart(), prefix), nodes(&[0, 1, 7])));
        transition.placed(PlacementEpoch(1), Holdings { groups: groups.collect(), ..Holdings::default() });
        transition.hint(&rule, &hosts, (&cart(), prefix))
    };
    assert!(
        (0..32).all(|prefix| waits(None, prefix) == Some(node(6))),
        "the one node of the region that does not hold it"
    );
    let outside = (0..32).filter(|prefix| waits(Some(Defect::HintsUnconstrained), *prefix) != Some(node(6))).count();
    assert!(outside > 0, "data left its region");
}
