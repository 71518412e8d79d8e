//! What really happened, in true time. Nodes never see it.

use super::node::TestNode;
use crate::core::Output;
use crate::election::{ElectionConfig, Grant};
use crate::fact::Statement;
use crate::id::{BootId, ConfigEpoch, Generation, Slot, Term};
use crate::register::{Acceptance, Configuration};
use crate::time::Mono;
use crate::wire::{VerifiedLease, VerifiedMessage};
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::{CellId, NodeId};
use std::collections::BTreeMap;

/// What must hold at every moment of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// E1: one node at most ever holds the lease of a cell under one term of a generation.
    OneHolderPerTerm,
    /// E2: no two nodes hold the lease of a generation of a cell at one moment of true time.
    OneHolderAtATime,
    /// E3: a lease ends `L (1 - ρ)` of the holder's own clock after it last asked, whatever was answered when.
    LeaseEnds,
    /// E4: a voter's term never goes back, across restarts, and one term is granted to one run of one node.
    PromisesStand,
    /// E5: who acts as the holder is it, and a receiver forgets no fence that it saw.
    FencesHold,
    /// E6: quorums of consecutive voter sets meet.
    QuorumsMeet,
    /// A slot of a register has one value.
    OneValuePerSlot,
    /// A voter accepts one value per slot and term.
    OneAcceptancePerTerm,
}

/// One invariant broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) at: u64,
    pub(crate) what: String,
}

/// One node's belief to hold a lease, in true time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) cell: CellId,
    pub(crate) generation: Generation,
    pub(crate) node: usize,
    pub(crate) term: Term,
    pub(crate) from: u64,
    pub(crate) until: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// By region: every lease that anybody believed to hold.
    pub(crate) leases: BTreeMap<String, Vec<Lease>>,
    pub(crate) violations: Vec<Violation>,
    /// By voter, cell and generation: the last term that it granted anyone and to whom, across its runs.
    grants: BTreeMap<(NodeId, CellId, Generation), (Term, NodeId, BootId)>,
    /// By voter, slot and term: what it accepted.
    acceptances: BTreeMap<(NodeId, CellId, Generation, Slot, Term), Sha256Digest>,
    holders: BTreeMap<(CellId, Generation, Term), usize>,
    values: BTreeMap<(CellId, Generation, Slot), Sha256Digest>,
    voters: BTreeMap<(CellId, ConfigEpoch), Configuration>,
    /// By node: when it last asked for a lease, by its own clock.
    asked: BTreeMap<usize, Mono>,
    /// By node, run and cell: the highest fence of its own cell that it saw.
    fences: BTreeMap<(usize, u32, CellId), (Generation, Slot, Term)>,
}

impl Judge {
    /// What a node wants done, in the step in which it wants it.
    pub(crate) fn emitted(&mut self, now: u64, index: usize, node: &TestNode, output: &Output) {
        let held = node.core.held_lease(node.mono(now)).map(|(term, _)| term);
        let act = match output {
            Output::Sign { statement: Statement::Rollup(rollup), .. } => Some(rollup.term),
            Output::Send { message: VerifiedMessage::Lease(lease), .. } => match &**lease {
                VerifiedLease::Campaign(_) => {
                    self.asked.insert(index, node.mono(now));
                    None
                }
                VerifiedLease::Propose(propose) => Some(propose.term),
                VerifiedLease::Grant(_)
                | VerifiedLease::Denial(..)
                | VerifiedLease::Abandon(_)
                | VerifiedLease::Accepted(_)
                | VerifiedLease::Refused(_)
                | VerifiedLease::Decided(_)
                | VerifiedLease::Handover(..) => None,
            },
            Output::Send { .. }
            | Output::Publish { .. }
            | Output::Follow(_)
            | Output::Unfollow(_)
            | Output::Persist { .. }
            | Output::Sign { .. }
            | Output::Reply { .. }
            | Output::Event(_)
            | Output::Hint(_)
            | Output::Sometimes(_) => None,
        };
        if let Some(term) = act.filter(|term| Some(*term) != held) {
            self.blame(Invariant::FencesHold, now, format!("node {index} acts under term {term} and holds {held:?}"));
        }
    }

    /// What leaves a voter.
    pub(crate) fn sent(&mut self, now: u64, message: &VerifiedMessage) {
        let VerifiedMessage::Lease(lease) = message else { return };
        match &**lease {
            VerifiedLease::Grant(reply) => self.granted(now, &reply.grant),
            VerifiedLease::Accepted(acceptance) => self.accepted(now, acceptance),
            VerifiedLease::Campaign(_)
            | VerifiedLease::Denial(..)
            | VerifiedLease::Abandon(_)
            | VerifiedLease::Propose(_)
            | VerifiedLease::Refused(_)
            | VerifiedLease::Decided(_)
            | VerifiedLease::Handover(..) => {}
        }
    }

    /// After every step of a node: what it believes, judged against all others.
    pub(crate) fn look(&mut self, now: u64, index: usize, node: &TestNode) {
        self.look_at_register(now, index, node);
        let Some((term, until)) = node.core.held_lease(node.mono(now)) else {
            self.ended(now, index);
            return;
        };
        self.look_at_end(now, index, node, until);
        let (Some(cell), Some(head)) = (node.core.own_cell(), node.core.register_head()) else { return };
        let generation = head.generation;
        let region = node.member.region().to_string();
        let until = node.true_time(until);
        let leases = self.leases.entry(region).or_default();
        let of_cell = |lease: &&Lease| (lease.cell, lease.generation) == (cell, generation);
        let mut others = leases.iter().rev().take(64).filter(of_cell);
        let rival = others.find(|other| other.node != index && other.until > now).copied();
        let name = |lease: &Lease| (lease.cell, lease.generation, lease.node, lease.term);
        let mine = |lease: &&mut Lease| name(lease) == (cell, generation, index, term) && lease.until >= now;
        match leases.iter_mut().rev().find(mine) {
            Some(lease) => lease.until = until,
            None => leases.push(Lease { cell, generation, node: index, term, from: now, until }),
        }
        if let Some(rival) = rival {
            self.blame(Invariant::OneHolderAtATime, now, format!("node {index} holds term {term} beside {rival:?}"));
        }
        let first = *self.holders.entry((cell, generation, term)).or_insert(index);
        if first != index {
            self.blame(Invariant::OneHolderPerTerm, now, format!("nodes {first} and {index} held term {term}"));
        }
    }

    /// A node stopped believing, or was killed: its lease ended here.
    pub(crate) fn ended(&mut self, now: u64, index: usize) {
        for lease in self.leases.values_mut().flatten().rev().take(64) {
            if lease.node == index && lease.until > now {
                lease.until = now;
            }
        }
    }

    /// The lease that runs in a region.
    pub(crate) fn holder(&self, region: &str, now: u64) -> Option<Lease> {
        self.leases.get(region)?.iter().rev().find(|lease| lease.from <= now && lease.until > now).copied()
    }

    /// Who holds the lease of a cell.
    pub(crate) fn holder_of(&self, cell: &CellId, now: u64) -> Option<usize> {
        let mut leases = self.leases.values().flatten().filter(|lease| lease.cell == *cell);
        leases.find(|lease| lease.from <= now && lease.until > now).map(|lease| lease.node)
    }

    fn look_at_end(&mut self, now: u64, index: usize, node: &TestNode, until: Mono) {
        let mono = node.mono(now);
        let alone = node.core.voters().is_some_and(|voters| voters.voters.len() == 1);
        // Whoever votes alone asks itself, also for what it holds once others vote too.
        if alone {
            self.asked.insert(index, mono);
        }
        let asked = self.asked.get(&index).copied().unwrap_or(mono);
        if until > asked + ElectionConfig::local().holder_span() {
            let beyond = asked.until(until);
            self.blame(Invariant::LeaseEnds, now, format!("node {index} holds for {beyond:?} after it asked"));
        }
    }

    fn look_at_register(&mut self, now: u64, index: usize, node: &TestNode) {
        let core = &node.core;
        let Some(cell) = core.own_cell() else { return };
        let generation = core.register_head().map_or(Generation(0), |head| head.generation);
        let told = self.grants.get(&(node.id(), cell, generation)).map(|(term, ..)| *term);
        if let (Some(promised), Some(told)) = (core.promised_term(), told)
            && promised < told
        {
            self.blame(Invariant::PromisesStand, now, format!("node {index} granted {told} and remembers {promised}"));
        }
        if let Some(head) = core.register_head() {
            let known = *self.values.entry((cell, head.generation, head.slot)).or_insert(head.digest);
            if known != head.digest {
                self.blame(Invariant::OneValuePerSlot, now, format!("slot {} of node {index} differs", head.slot));
            }
        }
        let fence = core.fence(&cell);
        let before = self.fences.insert((index, node.run, cell), fence).unwrap_or_default();
        let (generation, slot, term) = fence;
        if generation < before.0 || (generation == before.0 && (slot < before.1 || term < before.2)) {
            self.blame(Invariant::FencesHold, now, format!("node {index} saw {before:?} and then {fence:?}"));
        }
        if let Some(latest) = core.roster().cell(&cell).map(|book| book.latest().clone()) {
            self.look_at_voters(now, cell, &latest);
        }
    }

    fn look_at_voters(&mut self, now: u64, cell: CellId, latest: &Configuration) {
        let known = self.voters.entry((cell, latest.epoch)).or_insert_with(|| latest.clone());
        if known != latest {
            let what = format!("two voter sets of epoch {}", latest.epoch);
            return self.blame(Invariant::OneValuePerSlot, now, what);
        }
        let Some(before) = self.voters.get(&(cell, ConfigEpoch(latest.epoch.0.saturating_sub(1)))) else { return };
        let all = before.voters.iter().chain(&latest.voters).map(|voter| voter.node);
        let all = all.collect::<std::collections::BTreeSet<_>>().len();
        // From one voter to three the sole one counts both sets from its acceptance on.
        let birth = before.voters.len() == 1;
        if !birth && usize::from(before.quorum) + usize::from(latest.quorum) <= all {
            let what = format!("voters of epoch {} and of the one before need not meet", latest.epoch);
            self.blame(Invariant::QuorumsMeet, now, what);
        }
    }

    fn granted(&mut self, now: u64, grant: &Grant) {
        let said = (grant.term, grant.candidate, grant.boot);
        if let Some(last) = self.grants.insert((grant.voter, grant.cell, grant.generation), said) {
            let kept = said == last || grant.term > last.0;
            if !kept {
                self.blame(Invariant::PromisesStand, now, format!("{} grants {said:?} after {last:?}", grant.voter));
            }
        }
    }

    fn accepted(&mut self, now: u64, acceptance: &Acceptance) {
        let Acceptance { cell, generation, slot, value, term, voter } = acceptance;
        let known = *self.acceptances.entry((*voter, *cell, *generation, *slot, *term)).or_insert(*value);
        if known != *value {
            self.blame(Invariant::OneAcceptancePerTerm, now, format!("{voter} accepts two values for slot {slot}"));
        }
    }

    fn blame(&mut self, invariant: Invariant, at: u64, what: String) {
        // The first of each kind is what matters; a broken run breaks them again and again.
        if !self.violations.iter().any(|violation| violation.invariant == invariant) {
            self.violations.push(Violation { invariant, at, what });
        }
    }
}
