//! A group that moves from three nodes to three others, in a model in which anybody may learn of anything late: first by hand,
//! then at random, and then with each rule left out.

use super::*;
use crate::name::ClassName;
use hedgerow_attest::id::CellId;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};

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

/// The set that a node goes by which knows the new placement, and perhaps that the old one is retired, or neither.
fn known(knows: Knows) -> ReplicaSet {
    let (epoch, now, formers, is_settled) = match knows {
        Knows::Old => (1, &OLD, vec![], true),
        Knows::Both => (2, &NEW, vec![nodes(&OLD)], false),
        Knows::Retired => (2, &NEW, vec![], true),
    };
    ReplicaSet {
        group: GroupId { cell: CellId::from_bytes([7; 32]), class: ClassName::new("cart").unwrap(), prefix: 0 },
        epoch: PlacementEpoch(epoch),
        nodes: nodes(now),
        formers,
        is_settled,
        write_quorum: W,
        ttl: None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Knows {
    Old,
    Both,
    Retired,
}

#[derive(Debug, Clone, Copy)]
struct Planted(Option<Defect>);

impl Defects for Planted {
    fn has(self, defect: Defect) -> bool {
        self.0 == Some(defect)
    }
}

fn among(numbers: &[u8]) -> impl Fn(&NodeId) -> bool {
    move |node| numbers.contains(&node.as_bytes()[0])
}

#[test]
fn both_sets_count_until_the_former_is_retired() {
    let durable = |knows, have: &[u8]| known(knows).reached(among(have)) >= W;
    let in_one = [&[0, 1][..], &[3, 4], &[1, 2]].map(|have| durable(Knows::Both, have));
    assert_eq!(in_one, [false; 3]);
    assert!(durable(Knows::Both, &[1, 2, 3]) && durable(Knows::Both, &[0, 1, 3, 4]));
    assert!(durable(Knows::Retired, &[3, 4]) && !durable(Knows::Retired, &[0, 1, 2]));
    let nowhere = ReplicaSet { nodes: vec![], ..known(Knows::Retired) };
    assert!(nowhere.reached(among(&[0, 1, 2])) < W, "nobody holds it");
    let covered = [&[0, 1][..], &[3, 4], &[1, 2, 3]].map(|answers| known(Knows::Both).covers(among(answers)));
    assert_eq!(covered, [false, false, true]);
}

#[test]
fn a_replica_drops_a_group_only_with_a_permit_and_when_a_quorum_has_it() {
    let drop = |knows, me: u8, have: &[u8]| known(knows).may_drop(&node(me), among(have));
    assert_eq!(drop(Knows::Both, 2, &[3, 4]), Err(Retained::Current));
    assert_eq!(drop(Knows::Both, 0, &[2, 3, 4]), Err(Retained::NotRetired(PlacementEpoch(1))));
    assert_eq!(drop(Knows::Retired, 0, &[1, 3]), Err(Retained::Unacknowledged { by: 1, wanted: W }));
    assert_eq!(drop(Knows::Retired, 0, &[3, 4]), Ok(()));
    assert_eq!(drop(Knows::Retired, 2, &[3, 4]), Err(Retained::Current));
    let behind = ReplicaSet { epoch: PlacementEpoch(3), is_settled: false, ..known(Knows::Retired) };
    let unknown = Err(Retained::NotRetired(PlacementEpoch(2)));
    assert_eq!(
        behind.may_drop(&node(0), among(&[3, 4])),
        unknown,
        "it may hold it by the placement that it does not know"
    );
}

/// Everybody's disk and knowledge, and what was promised.
struct Model {
    rng: ChaCha8Rng,
    defect: Planted,
    disks: Vec<BTreeSet<u32>>,
    views: Vec<Knows>,
    retired: bool,
    done: BTreeSet<u32>,
    writes: u32,
    broken: Option<&'static str>,
}

impl Model {
    fn new(seed: u64, defect: Option<Defect>) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            defect: Planted(defect),
            disks: vec![BTreeSet::new(); usize::from(NODES)],
            views: vec![Knows::Old; usize::from(NODES)],
            retired: false,
            done: BTreeSet::new(),
            writes: 0,
            broken: None,
        }
    }

    fn pick(&mut self) -> usize {
        usize::try_from(self.rng.next_u64() % u64::from(NODES)).unwrap()
    }

    fn set(&self, at: usize) -> ReplicaSet {
        known(self.views[at])
    }

    /// Those that a message of that node reaches and that hold the group, by its knowledge and by their own.
    fn reached(&mut self, from: usize) -> Vec<usize> {
        let (set, reached) = (self.set(from), self.rng.next_u64());
        let asked = |at: &usize| set.counts(&number(*at)) && reached >> at & 1 == 1 && self.serves(*at);
        (0..usize::from(NODES)).filter(asked).collect()
    }

    /// Whether a node takes part in the group, as far as it knows.
    fn serves(&self, at: usize) -> bool {
        self.set(at).counts(&number(at))
    }

    fn step(&mut self) {
        match self.rng.next_u64() % 8 {
            0 | 1 => self.write(),
            2 | 3 => self.copy(),
            4 => {
                let at = self.pick();
                if self.views[at] == Knows::Old {
                    self.views[at] = Knows::Both;
                }
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
        let coordinator = self.pick();
        let reached = self.reached(coordinator);
        self.writes += 1;
        for at in &reached {
            self.disks[*at].insert(self.writes);
        }
        if self.set(coordinator).reached(|node| reached.iter().any(|at| number(*at) == *node)) >= W {
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
        self.retired |= self.views.iter().filter(|view| **view == Knows::Both).count() > usize::from(NODES) / 2;
        if self.retired && self.views[at] == Knows::Both {
            self.views[at] = Knows::Retired;
        }
    }

    fn drop(&mut self) {
        let at = self.pick();
        let has_all = |node: &NodeId| self.disks[at].is_subset(&self.disks[usize::from(node.as_bytes()[0])]);
        if self.set(at).may_drop_with(self.defect, &number(at), has_all).is_ok() {
            self.disks[at].clear();
        }
    }

    /// A read that reaches enough of each set misses nothing that was done, unless the reader knows of the retirement.
    fn read(&mut self) {
        let reader = self.pick();
        let answers = self.reached(reader);
        let is_complete =
            self.set(reader).covers_with(self.defect, |node| answers.iter().any(|at| number(*at) == *node));
        let seen: BTreeSet<u32> = answers.iter().flat_map(|at| self.disks[*at].iter().copied()).collect();
        let knows_both = self.views[reader] == Knows::Both;
        if is_complete && knows_both && !self.retired && !self.done.is_subset(&seen) {
            self.broken = Some("a read missed a write that was done");
        }
    }
}

fn number(at: usize) -> NodeId {
    node(u8::try_from(at).unwrap())
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
fn whoever_asks_the_new_holders_only_misses_writes() {
    let broken = broken(Some(Defect::TransitionReadsNewOnly));
    assert!(broken.get("a read missed a write that was done").is_some_and(|seeds| *seeds > 5), "{broken:?}");
}
