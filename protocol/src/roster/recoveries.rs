//! What recoveries of cells leave of their registers.

use super::Roster;
use crate::charters::left_of;
use crate::fact::VerifiedFact;
use crate::register::{Point, VerifiedRecovery};
use hedgerow_attest::id::{CellId, NodeId};

/// What the voters were that a recovery names as the last.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Basis<'a> {
    /// What put them in force.
    Known(&'a VerifiedFact),
    /// They are to come.
    Unknown,
    /// Others were in force there, or the cell had ended: the operators contradict what a quorum decided to their knowledge.
    None,
}

impl Roster {
    /// What of the voters and ends of cells never counted by that recovery.
    pub(crate) fn undone_by(&self, recovery: &VerifiedRecovery) -> Vec<VerifiedFact> {
        self.charters().filter(|fact| fact.is_undone_by(recovery)).cloned().collect()
    }

    /// The cells of which nothing is left by that recovery: those that came of a split that never counted.
    pub(crate) fn unmade_by(&self, recovery: &VerifiedRecovery) -> Vec<CellId> {
        let is_unmade = |(cell, last): &(CellId, &VerifiedFact)| left_of(cell, last, recovery).is_none();
        self.charters.iter().filter(is_unmade).map(|(cell, _)| cell).collect()
    }

    /// Whether what was decided there never counted, by a recovery of the cell.
    pub(crate) fn is_undone(&self, cell: &CellId, point: Point) -> bool {
        self.recoveries_of(cell).any(|recovery| recovery.undoes(point))
    }

    /// The recoveries of a cell that this node follows, the last first.
    pub(crate) fn recoveries_of(&self, cell: &CellId) -> impl Iterator<Item = &VerifiedRecovery> {
        self.charters_of(cell).filter_map(VerifiedFact::recovered)
    }

    /// The voters on whom a recovery builds.
    pub(crate) fn basis_of(&self, recovery: &VerifiedRecovery) -> Basis<'_> {
        let before = |fact: &&VerifiedFact| match fact.charter() {
            Some((of, at)) if of == recovery.cell => at <= recovery.base.point(),
            Some(_) | None => true,
        };
        let Some(last) = self.latest_charter(&recovery.cell).and_then(|last| last.charters().find(before)) else {
            return Basis::Unknown;
        };
        match last.voters_of(&recovery.cell) {
            Some((_, voters)) if voters.epoch == recovery.base_epoch => Basis::Known(last),
            Some((_, voters)) if voters.epoch < recovery.base_epoch => Basis::Unknown,
            Some(_) | None => Basis::None,
        }
    }

    /// The end of a cell that led a member nowhere: into one that a recovery has unmade.
    pub(crate) fn dead_end(&self, birth: &CellId, node: &NodeId) -> Option<&VerifiedFact> {
        let mut cell = *birth;
        for _ in 0..=self.charters.len() {
            let end = self.end_of(&cell)?;
            cell = end.succession()?.of_member(node);
            if self.cell(&cell).is_none() {
                return Some(end);
            }
        }
        None
    }
}
