//! What follows when the operators of the mesh give a cell that lost its quorum other voters: `docs/rfd/0006-recovery.md`.

use super::effects::Effects;
use super::interface::{CommandRefusal, Event};
use super::mesh_core::MeshCore;
use super::snapshot::{Fence, StoreOp, delete_fact};
use crate::defect::Defects;
use crate::fact::{FactKey, VerifiedFact};
use crate::id::{ConfigEpoch, Slot};
use crate::register::{Head, Recovery, VerifiedRecovery};
use crate::time::Mono;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::member::Member;

impl<D: Defects> MeshCore<D> {
    /// What the operators may sign so that the cell of this node goes on: from the end of its register as this node knows it,
    /// with voters of the members that serve, those who vote already first.
    ///
    /// # Errors
    /// [`CommandRefusal`], while somebody leads the cell, and where nobody may vote.
    pub fn draft_recovery(&self, now: Mono) -> Result<Recovery, CommandRefusal> {
        let (cell, base, base_epoch) = self.end_of_register().ok_or(CommandRefusal::NoCell)?;
        if self.cell.known(now).is_some_and(|known| known.until > now) {
            return Err(CommandRefusal::Led);
        }
        let prospects = self.prospects(now);
        let near = |member: &&Member| self.is_near(member.region(), &member.node()) && !self.has_left(&member.node());
        let members: Vec<NodeId> = self.roster.members().filter(near).map(Member::node).collect();
        let generation = base.generation.next();
        let voters = self.first_voters(ConfigEpoch::first_of(generation), &members, &prospects);
        let voters = voters.ok_or(CommandRefusal::Voterless)?;
        Ok(Recovery { cell, generation, base, base_epoch, voters })
    }

    /// The end of the register of this node's cell, and who votes there. Where its cell ended in one that a recovery has unmade,
    /// it has none: then of that one, before its end.
    fn end_of_register(&self) -> Option<(CellId, Head, ConfigEpoch)> {
        if let Some(home) = self.home {
            return Some((home, self.cell.head()?, self.cell.voters()?.epoch));
        }
        let end = self.roster.dead_end(&self.origin?, &self.config.me)?.decided()?;
        let (value, slot) = (&end.value, Slot(end.value.slot.0.saturating_sub(1)));
        let base = Head { generation: value.generation, slot, digest: value.previous };
        Some((value.cell, base, end.config_epoch))
    }

    /// Before a recovery is taken in, what never counted by it is forgotten. Returns what is to be deleted with the write of the
    /// recovery: without it a voter of the generation before would miss what it knew to be decided.
    pub(super) fn make_way(&mut self, fx: &mut Effects<'_>, fact: &VerifiedFact) -> Vec<StoreOp> {
        let Some(recovery) = fact.recovered() else { return Vec::new() };
        if !self.roster.is_news(fact) {
            self.watch_recoveries(fx, recovery);
            return Vec::new();
        }
        let mut deletes = Vec::new();
        let unmade = self.roster.unmade_by(recovery);
        for undone in self.roster.undone_by(recovery) {
            self.facts.chartered(&undone);
            deletes.push(delete_fact(undone.key()));
            if let Some((ended, _)) = undone.charter().filter(|_| undone.succession().is_some()) {
                self.forget_end(&ended);
            }
        }
        for cell in &unmade {
            // Not durable.
            self.facts.remove(&FactKey::Rollup(*cell));
        }
        let is_undone = |fact: &&VerifiedFact| {
            let decided = fact.decided().map(|decision| &decision.value);
            decided.is_some_and(|value| {
                unmade.contains(&value.cell) || (value.cell == recovery.cell && recovery.undoes(value.point()))
            })
        };
        let undone: Vec<FactKey> = self.facts.iter().filter(is_undone).map(|fact| fact.key().clone()).collect();
        for key in undone {
            fx.sometimes("a recovery undid what a node knew to be decided");
            self.facts.remove(&key);
            deletes.push(delete_fact(&key));
            self.forget_placement(&key);
        }
        deletes
    }

    /// The first recovery of a generation is obeyed. That the operators signed a second one they should hear of, once.
    fn watch_recoveries(&mut self, fx: &mut Effects<'_>, other: &VerifiedRecovery) {
        let (cell, generation) = (other.cell, other.generation);
        let followed = self.roster.recoveries_of(&cell).find(|known| known.generation == generation);
        let Some(kept) = followed.map(VerifiedRecovery::digest).filter(|kept| *kept != other.digest()) else { return };
        if self.disobeyed.insert(other.digest()) {
            fx.event(Event::TwoRecoveries { cell, generation, kept, other: other.digest() });
        }
    }

    /// The roster follows the recovery already.
    pub(super) fn follow_recovery(&mut self, fx: &mut Effects<'_>, recovery: &VerifiedRecovery) {
        let (cell, generation, voters) = (recovery.cell, recovery.generation, recovery.voters.voters.len());
        fx.event(Event::CellRecovered { cell, generation, voters });
        fx.sometimes("a cell went on in another generation");
        let Some(region) = self.roster.cell(&cell).map(|book| book.region().clone()) else { return };
        let home = self.origin.and_then(|birth| self.roster.cell_of_member(&birth, &self.config.me));
        if home == Some(cell) || home != self.home {
            let mut outcomes = Vec::new();
            self.cell.superseded(&mut outcomes);
            self.settle(fx, outcomes);
            self.move_in(fx.now);
        }
        self.settle_region(fx, &region);
        self.raise_fence(fx, cell, Fence::at(recovery.point()));
        self.touch();
    }
}
