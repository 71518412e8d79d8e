//! What recoveries of cells leave of their registers.

use super::{Roster, is_end_of};
use crate::fact::VerifiedFact;
use crate::register::{Point, VerifiedRecovery};
use hedgerow_attest::id::CellId;

impl Roster {
    /// Forgets what never counted by that recovery, and the cells that came of it.
    pub(super) fn undo(&mut self, recovery: &VerifiedRecovery) {
        let before = |cell: &CellId, last: &VerifiedFact| {
            let stays = last.charters().find(|fact| !fact.is_undone_by(recovery)).cloned()?;
            let is_its = stays.voters_of(cell).is_some() || stays.charter().is_some_and(|(of, _)| of == *cell);
            is_its.then_some((*cell, stays))
        };
        self.charters = self.charters.iter().filter_map(|(cell, last)| before(cell, last)).collect();
        self.living = self.charters.iter().filter(|(cell, last)| !is_end_of(cell, last)).count();
    }

    /// What of the voters and ends of cells never counted by that recovery.
    pub(crate) fn undone_by(&self, recovery: &VerifiedRecovery) -> Vec<VerifiedFact> {
        self.charters().filter(|fact| fact.is_undone_by(recovery)).cloned().collect()
    }

    /// Whether what was decided there never counted, by a recovery of the cell.
    pub(crate) fn is_undone(&self, cell: &CellId, point: Point) -> bool {
        self.recoveries_of(cell).any(|recovery| recovery.undoes(point))
    }

    /// The recoveries of a cell that this node follows, the last first.
    pub(crate) fn recoveries_of(&self, cell: &CellId) -> impl Iterator<Item = &VerifiedRecovery> {
        self.charters_of(cell).filter_map(VerifiedFact::recovered)
    }
}
