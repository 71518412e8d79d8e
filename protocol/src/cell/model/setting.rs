//! What stays the same in a run: who the nodes are, how their clocks run, how leases are timed, and how often what may go
//! wrong.

use crate::defect::Defect;
use crate::election::ElectionConfig;
use crate::fact::VerifiedFact;
use crate::id::{ConfigEpoch, Generation, PlacementEpoch, Slot, Term};
use crate::placement::PlacementTable;
use crate::register::{Acceptance, Configuration, Content, Decision, Head, Trust, Value, VerifiedDecision, Voter};
use crate::roster::Roster;
use crate::testing::Planted;
use crate::time::Mono;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::signed::Signed;
use hedgerow_attest::testing::SampleMesh;
use std::time::Duration;

/// The nodes; the first two are candidates.
pub(super) const NODES: usize = 3;

/// Length of a lease in ticks of true time.
pub(super) const LEASE_TICKS: u8 = 2;

/// The bound on rates, coarse enough for a grid: a slow clock shows three units in a tick of true time, a fast one five.
const RATE_BOUND_PERMILLE: u32 = 250;

/// What a clock shows that is neither slow nor fast, in one tick.
const UNITS: u32 = 4;

/// Longer than every random wait of the machine, all of which end with the tick in which they began.
const UNIT: Duration = Duration::from_secs(1);

/// By how much a clock is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Rate {
    Slow,
    Fast,
}

/// How much of what may happen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// True time, from where the exploration begins.
    pub(super) ticks: u8,
    /// The highest term that anybody promises.
    pub(super) term: Term,
    /// Letters under way that outlive a tick, for as many ticks as it pleases the network; the others arrive in the tick in
    /// which they were sent, in any order, or are lost.
    pub(super) late: usize,
    /// Whether refusals and notes of release arrive. Without them a cell is slower: what they tell is found out by time.
    pub(super) notes: bool,
    /// Letters that are delivered twice.
    pub(super) copies: u8,
    /// Crashes, each followed by a start.
    pub(super) crashes: u8,
    /// Leases that are given back to the other candidate.
    pub(super) handovers: u8,
    /// Values that holders propose of their own.
    pub(super) proposals: u8,
    /// Whether a write takes time. If not, it is durable at once or lost in a crash.
    pub(super) slow_disk: bool,
}

impl Bounds {
    /// Nothing goes wrong but time, order and loss.
    pub(super) const CALM: Self = Self {
        ticks: 4,
        term: Term(4),
        late: 1,
        notes: true,
        copies: 0,
        crashes: 0,
        handovers: 0,
        proposals: 0,
        slow_disk: false,
    };
}

/// What a holder may propose of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Wish {
    /// A placement that differs by this number from the others.
    Placement(u64),
    /// These voters, in the next epoch.
    Voters(&'static [usize]),
}

/// The mesh, and what may happen in it.
pub(super) struct Setting {
    pub(super) bounds: Bounds,
    pub(super) planted: Planted,
    pub(super) clocks: Vec<[Rate; NODES]>,
    /// By candidate: what it proposes.
    pub(super) wishes: [Vec<Wish>; 2],
    pub(super) cell: CellId,
    pub(super) roster: Roster,
    pub(super) election: ElectionConfig,
    /// What is decided from the beginning.
    pub(super) decided: Vec<VerifiedDecision>,
    pub(super) nodes: [NodeId; NODES],
    keys: Vec<SecretKey>,
}

impl Setting {
    /// A cell of three voters.
    pub(super) fn of_three(defect: Option<Defect>, bounds: Bounds) -> Self {
        let mut setting = Self::of_one(defect, bounds);
        setting.decided = vec![setting.three_voters()];
        setting
    }

    /// A cell whose sole voter is the first candidate.
    pub(super) fn of_one(defect: Option<Defect>, bounds: Bounds) -> Self {
        let mesh = SampleMesh::new(1);
        let member = |number| mesh.member(number, "eu");
        let birth = mesh.birth("eu", &member(0));
        let cell = birth.cell();
        let planted = Planted(defect);
        let mut roster = Roster::waiving(planted);
        roster.charter(&VerifiedFact::genesis(birth));
        let lease = UNIT * UNITS * u32::from(LEASE_TICKS);
        let least_tick = UNIT * 3;
        Self {
            bounds,
            planted,
            clocks: vec![[Rate::Slow, Rate::Fast, Rate::Fast]],
            wishes: [vec![], vec![]],
            cell,
            roster,
            election: ElectionConfig {
                lease,
                renew: least_tick,
                rate_bound_permille: RATE_BOUND_PERMILLE,
                standstill: Duration::ZERO,
                rank_step: UNIT,
                retry: least_tick,
                campaign: least_tick,
                settle: UNIT,
                stable: UNIT,
                trust: Trust::Shared,
            },
            decided: vec![],
            nodes: [0, 1, 2].map(|number| member(number).node()),
            keys: [0, 1, 2].map(|number| mesh.keys(number).statement).into(),
        }
    }

    /// The same with something for either candidate to propose.
    pub(super) fn wishing(mut self, wishes: [&[Wish]; 2]) -> Self {
        self.wishes = wishes.map(<[Wish]>::to_vec);
        self
    }

    /// What that node's clock shows at a moment of true time.
    pub(super) fn clock(&self, rates: &[Rate; NODES], node: usize, tick: u8) -> Mono {
        let units = match rates[node] {
            Rate::Slow => UNITS - 1,
            Rate::Fast => UNITS + 1,
        };
        // Starts elsewhere on every node, late enough that what its birth makes it wait for is over.
        self.birth(node) + self.election.lease * 2 + UNIT * units * u32::from(tick)
    }

    /// When that node took its seat.
    pub(super) fn birth(&self, node: usize) -> Mono {
        Mono(0) + UNIT * 1_000 * u32::try_from(node + 1).expect("three nodes")
    }

    pub(super) fn index(&self, node: &NodeId) -> usize {
        self.nodes.iter().position(|known| known == node).expect("one of the three")
    }

    pub(super) fn key(&self, node: usize) -> &SecretKey {
        &self.keys[node]
    }

    /// The voters before anything was decided.
    pub(super) fn first_voters(&self) -> &Configuration {
        self.roster.cell(&self.cell).expect("the cell was born").beginning().0
    }

    pub(super) fn content(&self, wish: Wish, in_force: &Configuration) -> Content {
        match wish {
            Wish::Placement(number) => Content::Placement(PlacementTable {
                epoch: PlacementEpoch(number),
                config_epoch: in_force.epoch,
                policy: None,
                members: vec![],
                classes: vec![],
                models: vec![],
            }),
            Wish::Voters(voters) => {
                let voters = voters.iter().map(|&node| Voter { node: self.nodes[node], key: self.keys[node].public() });
                Content::Configuration(Configuration::majority(in_force.epoch.next(), voters.collect()))
            }
        }
    }

    fn three_voters(&self) -> VerifiedDecision {
        let (cell, generation, slot, term) = (self.cell, Generation(0), Slot(1), Term(1));
        let first = self.first_voters();
        let content = self.content(Wish::Voters(&[0, 1, 2]), first);
        let value = Value { cell, generation, slot, previous: Head::genesis(cell).digest, content };
        let accept = |node: usize| {
            let acceptance =
                Acceptance { cell, generation, slot, value: value.digest(), term, voter: self.nodes[node] };
            Signed::sign(&acceptance, &self.keys[node])
        };
        let acceptances = vec![accept(0), accept(1)];
        let decision = Decision { acceptances, value, term, config_epoch: ConfigEpoch(1) };
        decision.verify(first).expect("the sole voter and another accepted")
    }
}
