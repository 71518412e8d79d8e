//! What the judge of a simulation may see of a core; nothing is decided by it.

use super::lead::lead_rank;
use super::mesh_core::Phase;
use crate::coords::Coordinate;
use crate::core::MeshCore;
use crate::defect::Defects;
use crate::fact::{Fact, NodeRecord, NodeState};
use crate::id::{Generation, Incarnation, PlacementEpoch, Slot, Term};
use crate::register::{Configuration, Head, Value, VerifiedDecision};
use crate::time::Mono;
use crate::view::{MemberState, Need};
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::{CellId, NodeId};

impl<D: Defects> MeshCore<D> {
    /// The term and the end of this node's lease, while it runs.
    #[must_use]
    pub fn held_lease(&self, now: Mono) -> Option<(Term, Mono)> {
        self.cell.holds(now)
    }

    /// The last term that this node promised anyone.
    #[must_use]
    pub fn promised_term(&self) -> Option<Term> {
        self.cell.promised_term()
    }

    /// Until when this voter grants nobody but that node anything.
    #[must_use]
    pub fn bound_to(&self, holder: &NodeId) -> Mono {
        self.cell.bound_to(holder)
    }

    /// The end of its cell's register as this node knows it.
    #[must_use]
    pub fn register_head(&self) -> Option<Head> {
        self.cell.head()
    }

    /// The highest exclusive act of a cell that this node saw.
    #[must_use]
    pub fn fence(&self, cell: &CellId) -> (Generation, Slot, Term) {
        let fence = self.fences.get(cell).copied().unwrap_or_default();
        (fence.generation, fence.slot, fence.term)
    }

    /// The value that this node accepted for the next slot.
    #[must_use]
    pub fn accepted_value(&self) -> Option<&Value> {
        self.cell.accepted_value()
    }

    /// Its digest.
    #[must_use]
    pub fn accepted_digest(&self) -> Option<Sha256Digest> {
        self.accepted_value().map(Value::digest)
    }

    /// The last placement of its cell that this node knows to be decided.
    #[must_use]
    pub fn decided_digest(&self) -> Option<Sha256Digest> {
        self.decided_placement().map(|(decision, _)| decision.digest())
    }

    /// The same, and the end of the register.
    #[must_use]
    pub fn decided_placement(&self) -> Option<(VerifiedDecision, Head)> {
        let cell = self.home?;
        let Fact::Decision(decision) = self.facts.get(&self.decided_key(&cell)?)?.fact() else { return None };
        Some((decision.clone(), self.cell.head()?))
    }

    /// Whether this node would accept a value for its cell's register, as far as the rules of its content go.
    #[must_use]
    pub fn would_accept(&self, value: &Value) -> bool {
        self.is_fit(value)
    }

    /// How every known member is seen, without making a view.
    pub fn member_states(&self) -> impl Iterator<Item = (NodeId, MemberState)> + '_ {
        self.shown.iter().map(|(node, state)| (*node, *state))
    }

    /// How one member is seen.
    #[must_use]
    pub fn member_state_of(&self, node: &NodeId) -> Option<MemberState> {
        self.shown.get(node).copied()
    }

    /// The last that a member said of itself.
    #[must_use]
    pub fn record_of(&self, node: &NodeId) -> Option<&NodeRecord> {
        self.record(node)
    }

    /// As which incarnation a member of the own cell is known.
    #[must_use]
    pub fn incarnation_of(&self, node: &NodeId) -> Option<Incarnation> {
        self.swim.peers().get(node).map(|peer| peer.incarnation)
    }

    /// The voters of the own cell, as far as is known.
    #[must_use]
    pub fn voters(&self) -> Option<&Configuration> {
        self.cell.voters()
    }

    /// The same in the order in which they take turns to ask for the lease.
    #[must_use]
    pub fn candidates(&self) -> Vec<NodeId> {
        let voters = self.cell.voters().into_iter().flat_map(|set| &set.voters);
        let mut nodes: Vec<NodeId> = voters.map(|voter| voter.node).collect();
        nodes.sort_by_key(lead_rank);
        nodes
    }

    /// The rollup of its own cell that this node goes by: its generation and term, and its number within that term.
    #[must_use]
    pub fn own_rollup(&self) -> Option<(Generation, Term, u64)> {
        let rollup = self.rollup(&self.home?)?;
        Some((rollup.generation, rollup.term, rollup.window))
    }

    /// How many cells are known to have ended.
    #[must_use]
    pub fn ended_cells(&self) -> usize {
        self.roster.ended()
    }

    /// The last placement that this node follows of each cell that has not ended, by cell.
    pub fn living_placements(&self) -> impl Iterator<Item = (CellId, PlacementEpoch)> + '_ {
        let living = self.placements.iter().filter(|(cell, _)| self.roster.end_of(cell).is_none());
        living.map(|(cell, followed)| (*cell, followed.epoch))
    }

    /// Whether this node means to stay: it neither stops nor drains, and leaves no more.
    #[must_use]
    pub fn means_to_stay(&self) -> bool {
        self.own.state == NodeState::Up
    }

    /// Whether this node has said for good that it left.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.phase == Phase::Gone
    }

    /// Whether it left with sessions that nobody took over: in the time for which it waits, or at all.
    #[must_use]
    pub fn has_left_unrelieved(&self) -> bool {
        self.is_gone() && self.own.left_with.is_some_and(|needed| needed.holds != Need::None)
    }

    /// Where this node lies in the network, as it tells others.
    #[must_use]
    pub fn coordinate(&self) -> Coordinate {
        self.coords.own()
    }

    /// The cell of this node.
    #[must_use]
    pub fn own_cell(&self) -> Option<CellId> {
        self.home
    }
}
